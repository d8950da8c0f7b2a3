package netlink

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// DefaultTimeout ends an exchange whose context has no deadline.
const DefaultTimeout = 5 * time.Second

const (
	// A dump never fills this: the kernel caps its datagrams at 32 KiB less
	// what it keeps for itself (netlink_recvmsg, SKB_WITH_OVERHEAD). So a
	// datagram that does fill it was cut.
	receiveSize = 32 << 10
	// patience is how long a cancelled exchange may go on.
	patience = 250 * time.Millisecond
)

// spare is room for a datagram while no exchange needs it. Connections are
// used one after the other nearly always, so that they share what would be most
// of each.
var spare atomic.Pointer[[receiveSize]byte]

// A Transport carries datagrams to and from the kernel. An *os.File over a
// non-blocking socket is one.
type Transport interface {
	// Read takes the next datagram, cut to len(p). After the deadline it
	// gives an error that wraps os.ErrDeadlineExceeded.
	Read(p []byte) (int, error)
	Write(p []byte) (int, error)
	SetReadDeadline(time.Time) error
	Close() error
}

// A Conn is one socket. It carries out one exchange at a time; it is not safe
// for concurrent use, but for Close.
type Conn struct {
	t        Transport
	port     uint32
	sequence uint32
	out      []byte
	// broken is why no further exchange can work: part of an answer may still
	// be on its way.
	broken error
}

// Dial opens a socket of the netlink family (unix.NETLINK_ROUTE,
// unix.NETLINK_GENERIC) that hears the kernel only. Where the kernel does not
// have the family, the error wraps EPROTONOSUPPORT.
func Dial(family int) (*Conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, family)
	if err != nil {
		return nil, dialError(family, err)
	}
	port, err := bind(fd)
	if err != nil {
		_ = unix.Close(fd)
		return nil, dialError(family, err)
	}
	s, err := newSocket(fd)
	if err != nil {
		return nil, dialError(family, err)
	}
	return New(s, port), nil
}

// bind gives the socket a port and ties it to the kernel's: from then on the
// kernel refuses what any other process sends to it (netlink_getsockbyportid).
func bind(fd int) (port uint32, err error) {
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, fmt.Errorf("bind: %w", err)
	}
	if err := unix.Connect(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, fmt.Errorf("connect: %w", err)
	}
	// Not that of unix: it would link every kind of address once more.
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, fmt.Errorf("getsockname: %w", err)
	}
	address, ok := name.(*syscall.SockaddrNetlink)
	if !ok {
		return 0, fmt.Errorf("getsockname: %T", name)
	}
	return address.Pid, nil
}

func dialError(family int, err error) error {
	return &OpError{Op: "dial " + familyName(family), Err: err}
}

func familyName(family int) string {
	switch family {
	case unix.NETLINK_ROUTE:
		return "route"
	case unix.NETLINK_GENERIC:
		return "generic"
	}
	return "family " + strconv.Itoa(family)
}

// New returns a connection over t on which the kernel answers to port. Dial
// is what programs use; New is for fake kernels.
func New(t Transport, port uint32) *Conn {
	return &Conn{t: t, port: port}
}

// Close closes the socket; an exchange under way ends with an error.
func (c *Conn) Close() error { return c.t.Close() }

// Execute sends the request and calls each for every reply, until the kernel
// says that there are no more. A request with NLM_F_DUMP is answered by any
// number of replies, another usually by one or none. A message and its data
// are valid only during the call. When each returns an error it is not called
// again, and Execute returns that error as it is.
//
// Any other error is an *OpError. It wraps the kernel's errno, ErrInterrupted
// (see Dump), ErrMalformed, os.ErrDeadlineExceeded or the context's error. An
// exchange that did not reach its end leaves the connection useless: all that
// follow end with an error, and the caller has to dial again.
func (c *Conn) Execute(ctx context.Context, request Message, each func(Message) error) error {
	if c.broken != nil {
		return &OpError{Op: "send", Err: fmt.Errorf("connection given up: %w", c.broken)}
	}
	if err := ctx.Err(); err != nil {
		return &OpError{Op: "send", Err: err}
	}
	if err := c.send(request); err != nil {
		c.broken = err
		return &OpError{Op: "send", Err: err}
	}
	x := exchange{port: c.port, sequence: c.sequence, each: each}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(DefaultTimeout)
	}
	in := spare.Swap(nil)
	if in == nil {
		in = new([receiveSize]byte)
	}
	defer spare.Store(in)
	for !x.over {
		datagram, err := c.receive(ctx, deadline, in[:])
		if err == nil {
			err = x.take(datagram)
		}
		if err != nil {
			c.broken = err
			return &OpError{Op: "receive", Err: err}
		}
	}
	return x.result(request)
}

func (c *Conn) send(request Message) error {
	flags := request.Flags | unix.NLM_F_REQUEST
	if flags&unix.NLM_F_DUMP != unix.NLM_F_DUMP {
		// Without it, nothing tells the end of an answer.
		flags |= unix.NLM_F_ACK
	}
	c.sequence++
	if c.sequence == 0 {
		// Notifications carry sequence 0.
		c.sequence = 1
	}
	request.Flags = flags
	c.out = AppendFrame(c.out[:0], Frame{Message: request, Sequence: c.sequence, Port: c.port})
	_, err := c.t.Write(c.out)
	return err
}

// receive waits for a datagram in short steps, so that it notices that ctx
// was cancelled without a goroutine or a timer of its own. It returns a part of
// in.
func (c *Conn) receive(ctx context.Context, deadline time.Time, in []byte) ([]byte, error) {
	for {
		step := time.Now().Add(patience)
		last := !step.Before(deadline)
		if last {
			step = deadline
		}
		if err := c.t.SetReadDeadline(step); err != nil {
			return nil, err
		}
		n, err := c.t.Read(in)
		switch {
		case err == nil && n == len(in):
			return nil, fmt.Errorf("datagram beyond %d bytes: %w", n, ErrMalformed)
		case err == nil:
			return in[:n], nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if last {
			return nil, os.ErrDeadlineExceeded
		}
	}
}

// An exchange is what is known of the answer to one request.
type exchange struct {
	port, sequence uint32
	each           func(Message) error

	over        bool
	interrupted bool
	refusal     unix.Errno
	failure     error // of each
}

// take goes through the messages of one datagram. Its error means that the
// datagram does not hold together.
func (x *exchange) take(datagram []byte) error {
	for len(datagram) > 0 && !x.over {
		f, rest, err := CutFrame(datagram)
		if err != nil {
			return err
		}
		datagram = rest
		if f.Sequence != x.sequence || f.Port != x.port {
			continue
		}
		x.interrupted = x.interrupted || f.Flags&unix.NLM_F_DUMP_INTR != 0
		switch f.Type {
		case unix.NLMSG_NOOP:
		case unix.NLMSG_OVERRUN:
			return errors.New("overrun")
		case unix.NLMSG_ERROR, unix.NLMSG_DONE:
			x.over = true
			if x.refusal, err = status(f.Message); err != nil {
				return err
			}
		default:
			if x.failure == nil {
				x.failure = x.each(f.Message)
			}
		}
	}
	return nil
}

func (x *exchange) result(request Message) error {
	var err error
	switch {
	case x.failure != nil:
		return x.failure
	case x.refusal != 0:
		err = x.refusal
	case x.interrupted:
		err = ErrInterrupted
	default:
		return nil
	}
	return &OpError{Op: "request " + strconv.Itoa(int(request.Type)), Err: err}
}

// Dump carries out a request with NLM_F_DUMP and, where it is interrupted by
// a change, once more. It calls begin before each attempt: what an earlier
// one gave is to be dropped. A second interruption is ErrInterrupted: what
// was given then is all there, but for the entries that came or went.
func Dump(ctx context.Context, x Executor, request Message, begin func(), each func(Message) error) error {
	request.Flags |= unix.NLM_F_DUMP
	begin()
	err := x.Execute(ctx, request, each)
	if err == nil || !errors.Is(err, ErrInterrupted) {
		return err
	}
	begin()
	return x.Execute(ctx, request, each)
}
