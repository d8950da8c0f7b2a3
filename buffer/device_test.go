//go:build linux

package buffer_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/buffer"
	"livebox-agent/testbench/flash"
)

// mountCopy mounts a copy of what is on the device at this moment: what loss
// of power would leave of it. What is only in the page cache is not there.
func mountCopy(t *testing.T, d *flash.Device, flags uintptr) (dir string) {
	t.Helper()
	temp := t.TempDir()
	dir = filepath.Join(temp, "mnt")
	image, err := os.OpenFile(filepath.Join(temp, "image"), os.O_RDWR|os.O_CREATE, 0o600)
	must(t, err)
	defer image.Close()
	from, err := os.Open(filepath.Join(filepath.Dir(d.Dir), "image"))
	must(t, err)
	_, err = io.Copy(image, from)
	must(t, errors.Join(err, from.Close(), os.Mkdir(dir, 0o700)))

	ctl, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	must(t, err)
	defer ctl.Close()
	n, err := unix.IoctlRetInt(int(ctl.Fd()), unix.LOOP_CTL_GET_FREE)
	must(t, err)
	name := "/dev/loop" + strconv.Itoa(n)
	loop, err := os.OpenFile(name, os.O_RDWR, 0)
	must(t, err)
	// Gone by itself with the last user: the mount.
	defer loop.Close()
	must(t, unix.IoctlLoopConfigure(int(loop.Fd()), &unix.LoopConfig{
		Fd: uint32(image.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR},
	}))
	must(t, unix.Mount(name, dir, "ext4", flags, ""))
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// held counts the reports of a store that nobody has open.
func held(t *testing.T, dir string) (events, windows int) {
	t.Helper()
	c, err := buffer.Inspect(dir)
	must(t, err)
	for _, r := range c.Runs {
		if r.Lane == buffer.Events {
			events += r.Reports
		} else {
			windows += r.Reports
		}
	}
	return events, windows
}

func newDevice(t *testing.T) *flash.Device {
	t.Helper()
	d, err := flash.NewDevice(16 << 20)
	if errors.Is(err, flash.ErrNoDevice) {
		t.Skip(err)
	}
	must(t, err)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// Promise 1, on a real file system: what Append and Spill acknowledged is on
// the device when they return, with nothing unmounted or flushed after that.
func TestWhatWasAcknowledgedIsOnTheDevice(t *testing.T) {
	d := newDevice(t)
	b := flash.NewBox(filepath.Join(d.Dir, "buffer"), buffer.DefaultConfig())
	t.Cleanup(func() { b.Close() })
	dir := filepath.Join(mountCopy(t, d, unix.MS_RDONLY), "buffer")
	if events, windows := held(t, dir); events != 0 || windows != 0 {
		t.Fatalf("after Open: %d events and %d windows on the device", events, windows)
	}
	for n := 1; n <= 4; n++ {
		must(t, b.Event())
		dir = filepath.Join(mountCopy(t, d, unix.MS_RDONLY), "buffer")
		if events, windows := held(t, dir); events != n || windows != n-1 {
			t.Fatalf("after event %d: %d events and %d windows on the device", n, events, windows)
		}
		must(t, b.Window())
		must(t, b.Spill("test"))
		dir = filepath.Join(mountCopy(t, d, unix.MS_RDONLY), "buffer")
		if events, windows := held(t, dir); events != n || windows != n {
			t.Fatalf("after window %d: %d events and %d windows on the device", n, events, windows)
		}
	}
}

// A read-only file system is called that, and is taken when it is writable.
func TestReadOnlyFileSystemIsTakenWhenItIsWritable(t *testing.T) {
	d := newDevice(t)
	b := flash.NewBox(filepath.Join(d.Dir, "buffer"), buffer.DefaultConfig())
	must(t, b.Event())
	must(t, b.Close())
	remount := func(flags uintptr) {
		t.Helper()
		must(t, unix.Mount("", d.Dir, "", unix.MS_REMOUNT|flags, ""))
	}
	for _, dir := range []string{"buffer", "other"} {
		remount(0)
		must(t, os.MkdirAll(filepath.Join(d.Dir, dir), 0o700))
		remount(unix.MS_RDONLY)
		b = flash.NewBox(filepath.Join(d.Dir, dir), buffer.DefaultConfig())
		if c := b.Condition(); c.State != buffer.Unavailable || c.Reason != "read-only" {
			t.Errorf("%s: %+v; want unavailable, read-only", dir, c)
		}
		if err := b.Pass(10*time.Minute, false, false); err != nil {
			t.Error(err)
		}
		remount(0)
		if err := b.Pass(10*time.Minute, false, false); err != nil {
			t.Error(err)
		}
		if c := b.Condition(); c.State != buffer.OK {
			t.Errorf("%s, writable: %+v", dir, c)
		}
		must(t, b.Close())
		if _, windows := held(t, filepath.Join(d.Dir, dir)); windows != 4 {
			t.Errorf("%s: %d windows; want those from before and after", dir, windows)
		}
	}
}
