// Package netlinktest has a kernel that is a function, for tests of what
// speaks netlink.
//
// The connection in front of it is the real one, so headers, datagrams,
// acknowledgements and the end of dumps are those of the kernel.
package netlinktest

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/collector/platform/kernel/netlink"
)

// A Kernel answers a request. The request is valid only during the call; the
// replies are copied before the next one.
//
// An error that wraps a unix.Errno is what the kernel answers: at once where
// there are no replies, after them where there are (a dump that fails half
// way). ErrSilent is no answer at all. Any other error breaks the socket.
type Kernel func(request netlink.Message) ([]netlink.Message, error)

// ErrSilent is returned by a Kernel that never answers.
var ErrSilent = errors.New("kernel does not answer")

// port is what the fake kernel calls the connection.
const port = 4711

// perDatagram is how many messages share a datagram: small, so that every
// dump of a few entries takes more than one.
const perDatagram = 3

// New returns a connection to kernel.
func New(kernel Kernel) *netlink.Conn {
	return netlink.New(&transport{kernel: kernel, closed: make(chan struct{})}, port)
}

// A transport turns what a Kernel says into datagrams. Its memory is reused,
// so that a steady exchange allocates nothing here either.
type transport struct {
	kernel   Kernel
	deadline time.Time
	closed   chan struct{}
	close    sync.Once

	buf  []byte
	ends []int // of each datagram in buf
	next int   // datagram to be read
}

// Write takes a request and prepares its answer.
func (t *transport) Write(p []byte) (int, error) {
	request, _, err := netlink.CutFrame(p)
	if err != nil {
		return 0, err
	}
	if request.Flags&unix.NLM_F_REQUEST == 0 {
		return 0, errors.New("BUG: request without NLM_F_REQUEST")
	}
	t.buf, t.ends, t.next = t.buf[:0], t.ends[:0], 0
	replies, err := t.kernel(request.Message)
	if errors.Is(err, ErrSilent) {
		return len(p), nil
	}
	errno, ok := errors.AsType[unix.Errno](err)
	if err != nil && !ok {
		return 0, err
	}
	t.answer(request, replies, errno)
	return len(p), nil
}

func (t *transport) answer(request netlink.Frame, replies []netlink.Message, errno unix.Errno) {
	dump := request.Flags&unix.NLM_F_DUMP == unix.NLM_F_DUMP
	for i, m := range replies {
		if dump {
			m.Flags |= unix.NLM_F_MULTI
		}
		if i > 0 && i%perDatagram == 0 {
			t.ends = append(t.ends, len(t.buf))
		}
		t.buf = netlink.AppendFrame(t.buf, netlink.Frame{Message: m, Sequence: request.Sequence, Port: port})
	}
	var end netlink.Frame
	end.Sequence, end.Port = request.Sequence, port
	var code [4 + unix.SizeofNlMsghdr]byte
	binary.NativeEndian.PutUint32(code[:], uint32(-int32(errno)))
	switch {
	case dump && (errno == 0 || len(replies) > 0):
		end.Type, end.Flags, end.Data = unix.NLMSG_DONE, unix.NLM_F_MULTI, code[:4]
	default:
		// The kernel repeats the header of the request.
		end.Type, end.Data = unix.NLMSG_ERROR, code[:]
		if len(replies) > 0 {
			t.ends = append(t.ends, len(t.buf))
		}
	}
	t.buf = netlink.AppendFrame(t.buf, end)
	t.ends = append(t.ends, len(t.buf))
}

// Read gives the next datagram, or waits until the deadline where the kernel
// has nothing more to say.
func (t *transport) Read(p []byte) (int, error) {
	if t.next < len(t.ends) {
		start := 0
		if t.next > 0 {
			start = t.ends[t.next-1]
		}
		n := copy(p, t.buf[start:t.ends[t.next]])
		t.next++
		return n, nil
	}
	timer := time.NewTimer(time.Until(t.deadline))
	defer timer.Stop()
	select {
	case <-timer.C:
		return 0, os.ErrDeadlineExceeded
	case <-t.closed:
		return 0, fs.ErrClosed
	}
}

// SetReadDeadline says how long Read may wait.
func (t *transport) SetReadDeadline(deadline time.Time) error {
	t.deadline = deadline
	return nil
}

// Close ends a Read that waits.
func (t *transport) Close() error {
	t.close.Do(func() { close(t.closed) })
	return nil
}
