package uplink

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"livebox-agent/uplink/wire"
)

// maxInbound is the longest packet that a broker may send: the largest Ack
// and its topic. The library would allocate whatever length a packet claims,
// up to 256 MiB.
const maxInbound = wire.MaxAckBytes + 1024

// A counted connection counts the bytes that pass.
type counted struct {
	net.Conn
	up, down *atomic.Uint64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.down.Add(uint64(n))
	return n, err
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.up.Add(uint64(n))
	return n, err
}

// A guard stands between the connection and the library. It gives every write
// a deadline (the library gives none to pings and subscriptions, and then
// waits for ever), and lets through only packets that cannot hurt it.
type guard struct {
	net.Conn
	timeout time.Duration
	died    func() // called once, when the connection is of no more use
	frames  frames
	greeted atomic.Bool // the first write, MQTT's CONNECT, is done
	closed  atomic.Bool // by this side

	mu    sync.Mutex // guards cause and dead
	cause error
	dead  bool
}

// A deadError is what the library sees of a connection's end. Its text is
// fixed because the library drops errors that say that the connection was
// closed by this side, and then never ends the client.
type deadError struct{ err error }

func (e *deadError) Error() string { return "connection dead" }
func (e *deadError) Unwrap() error { return e.err }

func (g *guard) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	if ferr := g.frames.feed(p[:n]); ferr != nil {
		return 0, g.fail(ferr)
	}
	if err != nil {
		return n, g.fail(err)
	}
	return n, nil
}

func (g *guard) Write(p []byte) (int, error) {
	if err := g.Conn.SetWriteDeadline(time.Now().Add(g.timeout)); err != nil {
		return 0, g.fail(err)
	}
	n, err := g.Conn.Write(p)
	if first := g.greeted.CompareAndSwap(false, true); first && err != nil {
		err = g.explain(err)
	}
	if err != nil {
		return n, g.fail(err)
	}
	return n, nil
}

// explain looks for a better reason for a failed CONNECT: with TLS 1.3 a
// broker's verdict on the box's certificate comes after the handshake, and may
// be waiting to be read. Nobody else reads before CONNECT is written.
func (g *guard) explain(err error) error {
	if g.SetReadDeadline(time.Now().Add(time.Second)) != nil {
		return err
	}
	if _, rerr := g.Conn.Read(make([]byte, 1)); rerr != nil {
		if _, ok := classifyTLS(rerr); ok {
			return rerr
		}
	}
	return err
}

// SetWriteDeadline does nothing: each write sets its own.
func (g *guard) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline sets the deadline of reads: each write sets its own.
func (g *guard) SetDeadline(t time.Time) error { return g.SetReadDeadline(t) }

// Close closes the connection. What fails from then on explains nothing: the
// library closes it when it has waited in vain for the answer to a ping.
func (g *guard) Close() error {
	g.closed.Store(true)
	return g.Conn.Close()
}

// fail keeps the first failure, which explains the others.
func (g *guard) fail(err error) error {
	g.mu.Lock()
	first := !g.dead
	g.dead = true
	if first && !g.closed.Load() {
		g.cause = err
	}
	if g.cause != nil {
		err = g.cause
	}
	g.mu.Unlock()
	if first {
		g.died()
	}
	return &deadError{err}
}

// why returns the first failure of the connection, nil while there is none.
func (g *guard) why() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cause
}

// frames follows the packets in a stream from a broker and checks them as far
// as the library relies on them: type, length, and the codes that it uses as
// indices or looks up in maps.
type frames struct {
	part      part
	kind      byte // type and flags of the packet
	left      int  // bytes of its body to come
	shift     uint // of the next seven bits of left
	at        int  // bytes of its body that have passed
	connected bool // CONNACK has passed
}

// part is the part of a packet that the next byte belongs to.
type part uint8

const (
	partKind part = iota
	partLength
	partBody
)

var errLength = errors.New("length of more than four bytes")

// feed checks the next bytes of the stream.
func (f *frames) feed(b []byte) error {
	for len(b) > 0 {
		switch f.part {
		case partKind:
			if err := f.open(b[0]); err != nil {
				return err
			}
			b = b[1:]
		case partLength:
			f.left |= int(b[0]&0x7f) << f.shift
			f.shift += 7
			last := b[0]&0x80 == 0
			b = b[1:]
			if !last {
				if f.shift > 21 {
					return fmt.Errorf("%w: %w", errProtocol, errLength)
				}
				continue
			}
			if err := f.sized(); err != nil {
				return err
			}
		case partBody:
			n := min(f.left, len(b))
			if err := f.body(b[:n]); err != nil {
				return err
			}
			b = b[n:]
			f.left -= n
			f.at += n
			if f.left == 0 {
				f.part = partKind
			}
		}
	}
	return nil
}

// open begins a packet with its first byte.
func (f *frames) open(kind byte) error {
	*f = frames{part: partLength, kind: kind, connected: f.connected}
	ok := false
	switch kind >> 4 {
	case packets.Connack:
		ok = kind&0x0f == 0 && !f.connected
		f.connected = true
		return f.refuseUnless(ok)
	case packets.Publish:
		// QoS 0, as the box subscribes: for each of QoS 1 the library keeps a
		// goroutine that waits to answer, and a broker may send without reading.
		ok = kind&0x06 == 0
	case packets.Puback, packets.Suback, packets.Pingresp:
		ok = kind&0x0f == 0
	}
	return f.refuseUnless(ok && f.connected)
}

// sized checks the length of the packet.
func (f *frames) sized() error {
	ok := false
	switch f.kind >> 4 {
	case packets.Connack, packets.Puback:
		ok = f.left == 2
	case packets.Suback:
		ok = f.left == 3 // subscriptions are made one by one
	case packets.Pingresp:
		ok = f.left == 0
	case packets.Publish:
		ok = f.left >= 2 && f.left <= maxInbound
	}
	f.part = partBody
	if f.left == 0 {
		f.part = partKind
	}
	if !ok {
		return fmt.Errorf("%w: %s of %d bytes", errProtocol, packets.PacketNames[f.kind>>4], f.left)
	}
	return nil
}

// body checks the codes in the next bytes of the packet's body.
func (f *frames) body(b []byte) error {
	kind := f.kind >> 4
	if kind != packets.Connack && kind != packets.Suback {
		return nil
	}
	for i, c := range b {
		switch at := f.at + i; {
		case kind == packets.Connack && at == 1 && c > packets.ErrRefusedNotAuthorised,
			kind == packets.Suback && at == 2 && c > 2 && c != 0x80:
			return fmt.Errorf("%w: %s with code %#x", errProtocol, packets.PacketNames[kind], c)
		}
	}
	return nil
}

func (f *frames) refuseUnless(ok bool) error {
	if ok {
		return nil
	}
	return fmt.Errorf("%w: unexpected packet %#x", errProtocol, f.kind)
}
