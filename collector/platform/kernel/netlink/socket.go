package netlink

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A socket is the Transport of a Conn. The kernel answers inside the call that
// sends the request, so what is read is there already: only where it is not does
// Read set a timer, which would wake the process long after the exchange.
type socket struct {
	*os.File
	raw      syscall.RawConn
	deadline time.Time
	// attempt reads once into p, and leaves n and err.
	attempt func(fd uintptr) (done bool)
	p       []byte
	n       int
	err     error
}

// newSocket returns the socket fd, which is its own from then on.
func newSocket(fd int) (*socket, error) {
	s := &socket{File: os.NewFile(uintptr(fd), "netlink")}
	var err error
	if s.raw, err = s.SyscallConn(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.attempt = func(fd uintptr) bool {
		for {
			if s.n, s.err = unix.Read(int(fd), s.p); !errors.Is(s.err, unix.EINTR) {
				return true
			}
		}
	}
	return s, nil
}

// SetReadDeadline is for the reads that follow, not for one under way.
func (s *socket) SetReadDeadline(t time.Time) error {
	s.deadline = t
	return nil
}

// Read takes the next datagram.
func (s *socket) Read(p []byte) (int, error) {
	s.p = p
	err := s.raw.Read(s.attempt)
	s.p = nil
	switch {
	case err != nil:
		return 0, err
	case errors.Is(s.err, unix.EAGAIN):
		return s.wait(p)
	case s.err != nil:
		return 0, os.NewSyscallError("read", s.err)
	case s.n == 0:
		return 0, io.EOF
	}
	return s.n, nil
}

// wait is Read where nothing has come yet.
func (s *socket) wait(p []byte) (int, error) {
	if err := s.File.SetReadDeadline(s.deadline); err != nil {
		return 0, err
	}
	n, err := s.File.Read(p)
	// Also after one that has passed: no attempt would be made any more.
	return n, errors.Join(err, s.File.SetReadDeadline(time.Time{}))
}
