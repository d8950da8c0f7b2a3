package budget

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// What the internet adds to the bytes of a TCP connection: an IPv4 header of
// 20 bytes and a TCP header of 20 with 12 of timestamps for each segment, which
// carries at most 1448 bytes on Ethernet.
const (
	segmentHeader  = 20 + 20 + 12
	segmentPayload = 1448
)

// traffic is what passed a relay, both ways together.
type traffic struct {
	bytes    uint64 // what TCP carried: TLS records
	segments uint64 // bare acknowledgements included
}

// wire returns the bytes as an access line carries them.
func (t traffic) wire() float64 { return float64(t.bytes + segmentHeader*t.segments) }

func (t traffic) minus(o traffic) traffic {
	return traffic{t.bytes - o.bytes, t.segments - o.segments}
}

func (t traffic) plus(o traffic) traffic {
	return traffic{t.bytes + o.bytes, t.segments + o.segments}
}

// A relay stands between a box and the broker and asks the kernel what crossed
// the box's connections, in segments of the size that Ethernet has.
type relay struct {
	listener net.Listener
	target   string
	work     sync.WaitGroup

	mu     sync.Mutex // guards what follows
	live   map[*net.TCPConn]struct{}
	ended  traffic // of connections that are gone
	closed bool
}

// startRelay listens on a free port of 127.0.0.1 for connections to target.
func startRelay(ctx context.Context, target string) (*relay, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var set error
		err := c.Control(func(fd uintptr) {
			// Loopback would send segments of 64 KiB. The option counts the
			// timestamps as payload.
			set = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, segmentPayload+12)
		})
		return errors.Join(err, set)
	}}
	l, err := config.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	r := &relay{listener: l, target: target, live: map[*net.TCPConn]struct{}{}}
	r.work.Go(r.accept)
	return r, nil
}

// addr returns where boxes connect to.
func (r *relay) addr() string { return r.listener.Addr().String() }

func (r *relay) accept() {
	for {
		c, err := r.listener.Accept()
		if err != nil {
			return
		}
		box := c.(*net.TCPConn)
		r.mu.Lock()
		if r.closed {
			r.mu.Unlock()
			box.Close()
			return
		}
		r.live[box] = struct{}{}
		r.mu.Unlock()
		r.work.Go(func() { r.carry(box) })
	}
}

// carry joins a box's connection to one of its own until either ends.
func (r *relay) carry(box *net.TCPConn) {
	defer r.drop(box)
	broker, err := net.Dial("tcp", r.target)
	if err != nil {
		return
	}
	defer broker.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(broker, box) //nolint:errcheck // how a side ends does not matter
		broker.Close()
	}()
	io.Copy(box, broker) //nolint:errcheck // how a side ends does not matter
	r.drop(box)
	<-done
}

// drop closes a box's connection and keeps what crossed it.
func (r *relay) drop(box *net.TCPConn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.live[box]; !ok {
		return
	}
	delete(r.live, box)
	if t, err := crossed(box); err == nil {
		r.ended = r.ended.plus(t)
	}
	box.Close()
}

// total returns what crossed all connections so far.
func (r *relay) total() (traffic, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := r.ended
	for c := range r.live {
		t, err := crossed(c)
		if err != nil {
			return traffic{}, err
		}
		sum = sum.plus(t)
	}
	return sum, nil
}

// close ends the relay and its connections.
func (r *relay) close() {
	r.listener.Close()
	r.mu.Lock()
	r.closed = true
	for c := range r.live {
		c.CloseRead()  //nolint:errcheck // it may be gone already
		c.CloseWrite() //nolint:errcheck // it may be gone already
	}
	r.mu.Unlock()
	r.work.Wait()
}

// crossed asks the kernel what a connection has carried (tcp(7), TCP_INFO).
func crossed(c *net.TCPConn) (traffic, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return traffic{}, fmt.Errorf("relay: %w", err)
	}
	var info *unix.TCPInfo
	var asked error
	err = raw.Control(func(fd uintptr) {
		info, asked = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	})
	if err := errors.Join(err, asked); err != nil {
		return traffic{}, fmt.Errorf("relay: %w", err)
	}
	return traffic{
		bytes:    info.Bytes_received + info.Bytes_sent,
		segments: uint64(info.Segs_in) + uint64(info.Segs_out),
	}, nil
}
