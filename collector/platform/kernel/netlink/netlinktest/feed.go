package netlinktest

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"

	"livebox-agent/collector/platform/kernel/netlink"
)

// A Teller is the kernel's end of a feed.
type Teller struct {
	mu       sync.Mutex
	queue    []datagram
	deadline time.Time
	closed   bool
	changed  chan struct{} // closed, and made anew, at each change
}

// A datagram is what a read gives.
type datagram struct {
	data []byte
	err  error
}

// NewFeed returns a feed and the kernel's end of it.
func NewFeed() (*netlink.Feed, *Teller) {
	t := &Teller{changed: make(chan struct{})}
	return netlink.NewFeed(t), t
}

// Tell sends the messages, in one datagram.
func (t *Teller) Tell(messages ...netlink.Message) {
	var b []byte
	for i, m := range messages {
		// What a request has caused carries its number.
		b = netlink.AppendFrame(b, netlink.Frame{Message: m, Sequence: uint32(i)})
	}
	t.Send(b)
}

// Send sends bytes as they are.
func (t *Teller) Send(data []byte) { t.push(datagram{data: data}) }

// Fail lets a read end with err: unix.ENOBUFS where the kernel had no room.
func (t *Teller) Fail(err error) { t.push(datagram{err: err}) }

func (t *Teller) push(d datagram) {
	t.change(func() { t.queue = append(t.queue, d) })
}

// change lets f change t, and wakes a read.
func (t *Teller) change(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f()
	close(t.changed)
	t.changed = make(chan struct{})
}

// Read implements netlink.Transport.
func (t *Teller) Read(p []byte) (int, error) {
	for {
		t.mu.Lock()
		changed, deadline := t.changed, t.deadline
		switch {
		case t.closed:
			t.mu.Unlock()
			return 0, fs.ErrClosed
		case len(t.queue) > 0:
			d := t.queue[0]
			t.queue = t.queue[1:]
			t.mu.Unlock()
			return copy(p, d.data), d.err
		}
		t.mu.Unlock()
		left := time.Hour
		if !deadline.IsZero() {
			left = time.Until(deadline)
		}
		if left <= 0 {
			return 0, os.ErrDeadlineExceeded
		}
		timer := time.NewTimer(left)
		select {
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// Write implements netlink.Transport: nothing is written on a feed.
func (t *Teller) Write([]byte) (int, error) { return 0, errors.New("BUG: write on a feed") }

// SetReadDeadline implements netlink.Transport.
func (t *Teller) SetReadDeadline(deadline time.Time) error {
	t.change(func() { t.deadline = deadline })
	return nil
}

// Close implements netlink.Transport.
func (t *Teller) Close() error {
	t.change(func() { t.closed = true })
	return nil
}
