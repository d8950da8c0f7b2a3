package flash

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/buffer"
)

// ErrNoDevice says that this machine does not let a loop device be mounted:
// not root, or no mkfs.ext4, losetup or loop driver.
var ErrNoDevice = errors.New("no loop device to be had")

// A Device is an ext4 file system on a loop device of its own.
type Device struct {
	// Dir is where it is mounted.
	Dir  string
	temp string
	loop string
}

// NewDevice makes and mounts a file system of size bytes, with blocks of 4 KiB
// and the journal in ordered mode.
func NewDevice(size int64) (d *Device, err error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("%w: not root", ErrNoDevice)
	}
	temp, err := os.MkdirTemp("", "flash")
	if err != nil {
		return nil, err
	}
	d = &Device{Dir: filepath.Join(temp, "mnt"), temp: temp}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	image := filepath.Join(temp, "image")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		return nil, err
	}
	if err := errors.Join(os.Truncate(image, size), os.Mkdir(d.Dir, 0o700)); err != nil {
		return nil, err
	}
	// Tables and journal are written now, not in the background later.
	if err := run("mkfs.ext4", "-q", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0", image); err != nil {
		return nil, err
	}
	out, err := exec.Command("losetup", "--find", "--show", "--direct-io=on", image).Output()
	if err != nil {
		return nil, fmt.Errorf("%w: losetup: %w", ErrNoDevice, err)
	}
	d.loop = strings.TrimSpace(string(out))
	if err := unix.Mount(d.loop, d.Dir, "ext4", unix.MS_NOATIME, "data=ordered"); err != nil {
		return nil, fmt.Errorf("%w: mount: %w", ErrNoDevice, err)
	}
	return d, nil
}

func run(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s: %w %s", ErrNoDevice, name, err, out)
	}
	return nil
}

// Written returns the bytes written to the device so far.
func (d *Device) Written() (int64, error) {
	f, err := os.Open(d.Dir)
	if err != nil {
		return 0, err
	}
	err = errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
	if err != nil {
		return 0, err
	}
	b, err := os.ReadFile(filepath.Join("/sys/block", filepath.Base(d.loop), "stat"))
	if err != nil {
		return 0, err
	}
	// Field 7: sectors written, of 512 bytes (Documentation/block/stat.rst).
	fields := strings.Fields(string(b))
	if len(fields) < 7 {
		return 0, fmt.Errorf("%d fields in the statistics of %s", len(fields), d.loop)
	}
	n, err := strconv.ParseInt(fields[6], 10, 64)
	return n * 512, err
}

// Close unmounts and removes everything.
func (d *Device) Close() error {
	var errs []error
	if d.loop != "" {
		if err := unix.Unmount(d.Dir, 0); err != nil && !errors.Is(err, unix.EINVAL) {
			errs = append(errs, err)
		}
		errs = append(errs, run("losetup", "--detach", d.loop))
	}
	return errors.Join(append(errs, os.RemoveAll(d.temp))...)
}

// DayOnDevice is Day on a real ext4 file system of 32 MiB: bytes is what the
// buffer counted, device what reached the block device. It needs root.
func DayOnDevice(up bool) (bytes, device int64, err error) {
	d, err := NewDevice(32 << 20)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	b := NewBox(filepath.Join(d.Dir, "buffer"), buffer.DefaultConfig())
	defer func() { err = errors.Join(err, b.Close()) }()
	if c := b.Condition(); c.State != buffer.OK {
		return 0, 0, fmt.Errorf("buffer %v: %s", c.State, c.Reason)
	}
	start := b.Stats().FlashWritten
	before, err := d.Written()
	if err != nil {
		return 0, 0, err
	}
	if err := b.Pass(24*time.Hour, up, false); err != nil {
		return 0, 0, err
	}
	after, err := d.Written()
	return b.Stats().FlashWritten - start, after - before, err
}
