package sysfs

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// A Waiter waits until the kernel says that one of some files has another value
// (sysfs_notify). It takes a thread while it waits. It is not safe for
// concurrent use.
type Waiter struct {
	wake  int
	polls []unix.PollFd
}

// NewWaiter returns one for the files, which stay open for as long as it is
// used. Each has to be read before the first Wait, and again after each.
func NewWaiter(files ...*File) (*Waiter, error) {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	w := &Waiter{wake: wake, polls: []unix.PollFd{{Fd: int32(wake), Events: unix.POLLIN}}}
	for _, f := range files {
		raw, err := f.f.SyscallConn()
		if err == nil {
			err = raw.Control(func(fd uintptr) {
				w.polls = append(w.polls, unix.PollFd{Fd: int32(fd), Events: unix.POLLPRI})
			})
		}
		if err != nil {
			_ = w.Close()
			return nil, err
		}
	}
	return w, nil
}

// Wait returns nil when one of the files may have changed, and when d is over:
// many drivers do not say when their values change. It returns the context's
// error when ctx is done.
func (w *Waiter) Wait(ctx context.Context, d time.Duration) error {
	one := []byte{1, 1, 1, 1, 1, 1, 1, 1} // a number, in any order of bytes
	stop := context.AfterFunc(ctx, func() { _, _ = unix.Write(w.wake, one) })
	defer stop()
	end := time.Now().Add(d)
	for ctx.Err() == nil {
		left := max(0, time.Until(end))
		ms := min(int64((left+time.Millisecond-1)/time.Millisecond), math.MaxInt32)
		n, err := unix.Poll(w.polls, int(ms))
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("poll: %w", err)
		case n > 0 && w.polls[0].Revents == 0, n == 0 && time.Until(end) <= 0:
			return nil
		}
	}
	return ctx.Err()
}

// Close gives the waiter up; the files stay open.
func (w *Waiter) Close() error { return unix.Close(w.wake) }
