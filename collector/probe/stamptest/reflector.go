// Package stamptest has a STAMP reflector for tests and for the lab, over a
// real socket or in memory, that loses, delays, doubles and reorders answers
// as it is told.
package stamptest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"livebox-agent/collector/probe/stamp"
)

// A Path says what becomes of the packet with that sequence number: an answer
// arrives after each of the durations. None is a loss, two are a duplicate,
// one longer than that of the packet after it is out of order.
type Path func(sequence uint32) []time.Duration

// Direct is the Path on which every answer comes at once.
func Direct(uint32) []time.Duration { return []time.Duration{0} }

// A Reflector answers the requests of RFC 8762 in unauthenticated mode. It
// keeps no state of sessions: an answer has the sequence number of its request.
// It may be used by several goroutines.
type Reflector struct {
	// Processing is how long the reflector says that it had the packet, which
	// is added to the delay of the path.
	Processing time.Duration
	// PTP says that its timestamps are in PTP's format.
	PTP bool
	// Clock is what its clock is ahead.
	Clock time.Duration

	mu       sync.Mutex
	path     Path
	received int
}

// New returns a Reflector at the end of the path.
func New(path Path) *Reflector { return &Reflector{path: path} }

// SetPath changes the path for the requests to come.
func (r *Reflector) SetPath(path Path) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.path = path
}

// Received returns how many requests have come.
func (r *Reflector) Received() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.received
}

// A Delivery is a datagram on its way back.
type Delivery struct {
	After time.Duration
	Data  []byte
	// From is who sent it; nil is whom the Conn is connected to.
	From net.Addr
}

// Answer returns what the reflector sends when it gets b now.
func (r *Reflector) Answer(b []byte) []Delivery {
	request, err := stamp.ParseRequest(b)
	if err != nil {
		return nil
	}
	r.mu.Lock()
	r.received++
	path := r.path
	r.mu.Unlock()
	var answers []Delivery
	for _, delay := range path(request.Sequence) {
		after := delay + r.Processing
		left := time.Now().Add(after + r.Clock)
		reply := stamp.Reply{
			Sequence: request.Sequence, SenderSequence: request.Sequence,
			SenderTimestamp: request.Timestamp, SenderErrorEstimate: request.ErrorEstimate, SenderTTL: 255,
			ErrorEstimate: stamp.Unknown, Timestamp: stamp.NTP(left), Received: stamp.NTP(left.Add(-r.Processing)),
		}
		if r.PTP {
			reply.ErrorEstimate |= stamp.PTPFormat
			reply.Timestamp, reply.Received = stamp.PTP(left), stamp.PTP(left.Add(-r.Processing))
		}
		// As long as the request (RFC 8762, section 4.3).
		answers = append(answers, Delivery{After: after, Data: reply.Append(nil, len(b))})
	}
	return answers
}

// maxRequest is the longest request that Serve takes.
const maxRequest = 64 << 10

// Serve answers what comes to conn until ctx is done, and closes conn. The
// error says why it ended before.
func (r *Reflector) Serve(ctx context.Context, conn net.PacketConn) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	var answers sync.WaitGroup
	defer answers.Wait()
	b := make([]byte, maxRequest)
	for {
		n, from, err := conn.ReadFrom(b)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("receive request: %w", err)
		}
		for _, d := range r.Answer(b[:n]) {
			answers.Go(func() {
				timer := time.NewTimer(d.After)
				defer timer.Stop()
				select {
				case <-timer.C:
					// An answer that cannot be sent is one that is lost.
					_, _ = conn.WriteTo(d.Data, from)
				case <-ctx.Done():
				}
			})
		}
	}
}

// A Conn is a connected socket in memory. Whatever is written to it is
// answered by a function. It is for a synctest bubble as well as outside.
type Conn struct {
	peer   net.Addr
	answer func(b []byte) []Delivery
	// arrived takes what has come; as in a kernel, what finds no room in it
	// is lost.
	arrived chan Delivery
	closed  chan struct{}
	once    sync.Once

	mu       sync.Mutex
	deadline time.Time // guarded by mu
}

// NewConn returns a socket connected to peer, which answers.
func NewConn(peer net.Addr, answer func(b []byte) []Delivery) *Conn {
	return &Conn{peer: peer, answer: answer, arrived: make(chan Delivery, 256), closed: make(chan struct{})}
}

// Write sends b.
func (c *Conn) Write(b []byte) (int, error) {
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	default:
	}
	for _, d := range c.answer(b) {
		if d.From == nil {
			d.From = c.peer
		}
		time.AfterFunc(d.After, func() {
			select {
			case c.arrived <- d:
			default:
			}
		})
	}
	return len(b), nil
}

// ReadFrom waits for a datagram until the deadline.
func (c *Conn) ReadFrom(b []byte) (int, net.Addr, error) {
	c.mu.Lock()
	deadline := c.deadline
	c.mu.Unlock()
	var expired <-chan time.Time
	if !deadline.IsZero() {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case d := <-c.arrived:
		return copy(b, d.Data), d.From, nil
	case <-expired:
		return 0, nil, os.ErrDeadlineExceeded
	case <-c.closed:
		return 0, nil, net.ErrClosed
	}
}

// SetReadDeadline sets the end of the calls of ReadFrom to come.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return nil
}

// RemoteAddr returns whom the Conn is connected to.
func (c *Conn) RemoteAddr() net.Addr { return c.peer }

// Close ends all calls of ReadFrom.
func (c *Conn) Close() error {
	err := errors.New("close of a closed connection")
	c.once.Do(func() { close(c.closed); err = nil })
	return err
}
