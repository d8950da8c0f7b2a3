package faultproxy

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"livebox-agent/testbench/freeport"
)

// handshakeWithin bounds the handshakes of a proxy that ends TLS.
const handshakeWithin = 10 * time.Second

// A Phase is a moment in the life of a connection.
type Phase uint8

// The phases. Those from Connect on need Config.Server and Config.Client.
const (
	Never Phase = iota
	// Accepted: TCP is connected, nothing has been read.
	Accepted
	// Hello: the client's first bytes have come, and are not passed on.
	Hello
	// Handshake: half of the server's first answer is passed on.
	Handshake
	// Connect: CONNECT has come and is not passed on; so with the next ones.
	Connect
	Connack
	Subscribe
	Suback
	// Publish: half of a PUBLISH of the box is passed on.
	Publish
	// Puback: the broker has taken a PUBLISH, and its answer is not passed on.
	Puback
	// Message: a PUBLISH of the broker has come and is not passed on.
	Message
	// Pingreq: the box asks on an idle connection.
	Pingreq
)

// String returns the phase in words.
func (p Phase) String() string {
	names := [...]string{
		"never", "TCP connect", "TLS hello", "TLS handshake", "CONNECT", "CONNACK", "SUBSCRIBE", "SUBACK",
		"in a PUBLISH", "before PUBACK", "before the CEM's ack", "idle, PINGREQ",
	}
	if int(p) < len(names) {
		return names[p]
	}
	return fmt.Sprintf("phase(%d)", uint8(p))
}

// An Action is what happens at the phase.
type Action uint8

// The actions.
const (
	// Reset resets both connections.
	Reset Action = iota
	// Swallow: from now on nothing passes either way, while both sides see
	// their bytes taken.
	Swallow
	// SwallowUp and SwallowDown: nothing passes in that direction.
	SwallowUp
	SwallowDown
	// Stall: nothing is read any more, so that the senders fill their buffers.
	Stall
	// Pretend: a PUBLISH of the box at QoS 1 is answered with PUBACK and
	// dropped. It needs the phase Publish, and the connection goes on.
	Pretend
)

// A Fault is what goes wrong. The zero Fault is none.
type Fault struct {
	At Phase
	Do Action
	// Times is how often the fault strikes, at most once on a connection unless
	// it is Pretend; 0: always.
	Times int
	// Topic narrows Publish to topics that end in it.
	Topic string
	// Delay holds back every byte, both ways. BitsPerSecond, where it is not
	// 0, bounds each direction.
	Delay         time.Duration
	BitsPerSecond int
}

// Config says what the proxy stands before.
type Config struct {
	// Target is the broker's host and port.
	Target string
	// Listener takes the connections of boxes; nil: a free port of 127.0.0.1.
	Listener net.Listener
	// Server ends the box's TLS and Client begins the broker's: both or none.
	Server, Client *tls.Config
}

// Counts is what the proxy saw.
type Counts struct {
	Connections, Struck uint64
	// Up and Down are the bytes passed on to the broker and to the box: below
	// TLS where the proxy ends it.
	Up, Down uint64
}

// A Proxy is a running proxy.
type Proxy struct {
	cfg  Config
	addr string

	mu     sync.Mutex // guards what follows
	ln     net.Listener
	server *tls.Config
	fault  Fault
	left   int // connections that the fault may still strike
	conns  map[*conn]struct{}
	closed bool

	running          sync.WaitGroup
	accepted, struck atomic.Uint64
	up, down         atomic.Uint64
}

// Start runs a proxy without a fault.
func Start(cfg Config) (*Proxy, error) {
	if (cfg.Server == nil) != (cfg.Client == nil) {
		return nil, fmt.Errorf("faultproxy before %s: certificates of one side only", cfg.Target)
	}
	p := &Proxy{cfg: cfg, ln: cfg.Listener, server: cfg.Server, conns: make(map[*conn]struct{})}
	if p.ln == nil {
		// The proxy closes its port and opens it again.
		address, err := freeport.Address()
		if err != nil {
			return nil, err
		}
		if p.ln, err = net.Listen("tcp", address); err != nil {
			return nil, err
		}
	}
	p.addr = p.ln.Addr().String()
	p.accept(p.ln)
	return p, nil
}

// Addr returns the host and port for boxes.
func (p *Proxy) Addr() string { return p.addr }

// Counts returns what has been counted.
func (p *Proxy) Counts() Counts {
	return Counts{
		Connections: p.accepted.Load(), Struck: p.struck.Load(),
		Up: p.up.Load(), Down: p.down.Load(),
	}
}

// Set replaces the fault. Connections that were struck stay broken; the others
// get the new one.
func (p *Proxy) Set(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.left = f, f.Times
	if f.Times == 0 {
		p.left = -1
	}
}

// Present replaces the certificate that boxes see.
func (p *Proxy) Present(c tls.Certificate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.server = p.server.Clone()
	p.server.Certificates = []tls.Certificate{c}
}

// Refuse closes the port, so that TCP connections are refused, and resets those
// there are.
func (p *Proxy) Refuse() error {
	p.mu.Lock()
	ln := p.ln
	p.ln = nil
	p.mu.Unlock()
	p.ResetAll()
	if ln == nil {
		return nil
	}
	return ln.Close()
}

// Listen opens the port again.
func (p *Proxy) Listen() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ln != nil || p.closed {
		return nil
	}
	ln, err := net.Listen("tcp", p.addr)
	if err != nil {
		return err
	}
	p.ln = ln
	p.accept(ln)
	return nil
}

// ResetAll resets every connection there is.
func (p *Proxy) ResetAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.reset()
	}
}

// Close ends the proxy and its connections.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	err := p.Refuse()
	p.running.Wait()
	return err
}

func (p *Proxy) accept(ln net.Listener) {
	p.running.Go(func() {
		for {
			box, err := ln.Accept()
			if err != nil {
				return
			}
			p.accepted.Add(1)
			p.running.Go(func() { p.serve(box) })
		}
	})
}

// take returns the fault, and whether it is to strike a connection at phase,
// which counts where it does.
func (p *Proxy) take(phase Phase, topic string) (Fault, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.fault
	if f.At != phase || phase == Never || p.left == 0 || !endsIn(topic, f.Topic) {
		return f, false
	}
	if p.left > 0 {
		p.left--
	}
	p.struck.Add(1)
	return f, true
}

func (p *Proxy) line() (delay time.Duration, bitsPerSecond int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault.Delay, p.fault.BitsPerSecond
}

// serve passes one connection on.
func (p *Proxy) serve(box net.Conn) {
	c := &conn{proxy: p, box: box, over: make(chan struct{})}
	p.mu.Lock()
	gone := p.closed || p.ln == nil
	p.conns[c] = struct{}{}
	server := p.server
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, c)
		c.close()
	}()
	if gone {
		c.reset()
		return
	}
	if f, ok := p.take(Accepted, ""); ok {
		c.strike(f.Do)
		c.hold()
		return
	}
	broker, err := net.Dial("tcp", p.cfg.Target)
	if err != nil {
		c.reset() // as if the broker itself had not been there
		return
	}
	if !c.join(broker) {
		return
	}
	if server == nil {
		c.run(box, broker, readBytes)
		return
	}
	c.serveTLS(server, broker)
}

// serveTLS ends TLS on both sides, and passes on packets.
func (c *conn) serveTLS(server *tls.Config, broker net.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), handshakeWithin)
	defer cancel()
	near := tls.Server(c.box, server)
	if err := near.HandshakeContext(ctx); err != nil {
		return // the certificate was refused, or the box went away
	}
	client := c.proxy.cfg.Client.Clone()
	if client.ServerName == "" {
		client.ServerName, _, _ = net.SplitHostPort(c.proxy.cfg.Target)
	}
	away := tls.Client(broker, client)
	if err := away.HandshakeContext(ctx); err != nil {
		c.reset()
		return
	}
	c.run(near, away, readPacket)
}
