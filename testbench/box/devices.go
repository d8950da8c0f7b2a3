package box

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// devices are the files of /dev that stand for the box's; the zero value has
// none, and what it is told is lost.
type devices struct {
	mu       sync.Mutex // guards what follows
	kmsg     *os.File
	iio      *os.File
	sequence int64
}

// ServeDevices makes in dir what the box has of /dev: kmsg, its kernel's log,
// and iio:device0, its lightning sensor, as named pipes. A pipe has no history
// but what no one has read yet, and what it has no room for is lost, as in the
// kernel's own ring. Close removes them.
func (b *Box) ServeDevices(dir string) (stop func() error, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	d := &b.devices
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, x := range []struct {
		name string
		file **os.File
	}{{"kmsg", &d.kmsg}, {"iio:device0", &d.iio}} {
		name := filepath.Join(dir, x.name)
		if err := unix.Mkfifo(name, 0o600); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", name, err), d.close())
		}
		// Open for both, so that it lasts while no one reads.
		f, err := os.OpenFile(name, os.O_RDWR|unix.O_NONBLOCK, 0)
		if err != nil {
			return nil, errors.Join(err, os.Remove(name), d.close())
		}
		*x.file = f
	}
	return func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.close()
	}, nil
}

// close removes the pipes. The caller holds mu.
func (d *devices) close() (err error) {
	for _, f := range []**os.File{&d.kmsg, &d.iio} {
		if *f != nil {
			err = errors.Join(err, os.Remove((*f).Name()), (*f).Close())
		}
		*f = nil
	}
	return err
}

// say writes a record of the kernel's log, at the time of this machine's
// kernel: the agent runs on it.
func (d *devices) say(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var now unix.Timespec
	if d.kmsg == nil || unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return
	}
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
	const most = 1000 // of LOG_LINE_MAX, kernel/printk/printk.c
	put(d.kmsg, fmt.Appendf(nil, "4,%d,%d,-;%s\n", d.sequence, now.Nano()/1000, text[:min(len(text), most)]))
	d.sequence++
}

// strike writes a record of the lightning sensor.
func (d *devices) strike(kilometres byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.iio != nil {
		put(d.iio, []byte{kilometres})
	}
}

// put writes a record to a pipe where there is room for all of it, and never
// waits. A record is shorter than PIPE_BUF: it is written whole or not at all.
func put(f *os.File, record []byte) {
	raw, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Write(func(fd uintptr) bool {
		_, _ = unix.Write(int(fd), record)
		return true
	})
}
