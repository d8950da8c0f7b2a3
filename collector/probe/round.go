package probe

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A Conn is a socket connected to the host of the reflector.
type Conn interface {
	Write(b []byte) (int, error)
	ReadFrom(b []byte) (int, net.Addr, error)
	SetReadDeadline(t time.Time) error
	RemoteAddr() net.Addr
	Close() error
}

// maxStray is how many datagrams for each packet of a round may be none of its
// answers, errors included, before the round ends early: somebody floods it.
const maxStray = 100

// A packet is one probe of a round.
type packet struct {
	nonce    uint64
	at       time.Time
	sent     bool
	answered bool
	rtt      time.Duration
}

// A round is one exchange with the reflector.
type round struct {
	config  Config
	method  method
	conn    Conn
	packets []packet
	buf     []byte
	// written is how many of packets were tried, open how many of those wait
	// for their answer.
	written, open int
	stray         int
	// refused says that the host has nobody at that port.
	refused bool
	// sendErr is why a packet could not be sent.
	sendErr error
}

// run sends the packets and takes the answers. An error says why the round
// was cut short: then it says nothing of the line.
func (r *round) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = r.conn.Close() })
	defer stop()
	r.packets = make([]packet, r.config.PacketsPerRound)
	// One byte more than the longest packet shows a longer one.
	r.buf = make([]byte, maxPacket+1)
	due := time.Now()
	for {
		now := time.Now()
		if r.written < len(r.packets) && !now.Before(due) {
			r.send()
			now = time.Now()
			due = now.Add(r.config.Spacing)
			if r.written == len(r.packets) {
				due = now.Add(r.config.Wait)
			}
		}
		if r.written == len(r.packets) && (r.open == 0 || !now.Before(due)) {
			return nil
		}
		if r.stray > maxStray*len(r.packets) {
			return fmt.Errorf("%d datagrams that are no answers", r.stray)
		}
		if err := r.receive(due); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("receive answer: %w", err)
		}
	}
}

// send sends the next packet.
func (r *round) send() {
	p := &r.packets[r.written]
	p.nonce = r.method.nonce(rand.Uint64())
	b := r.method.request(nil, uint16(r.written), p.nonce, r.config.PacketBytes)
	r.written++
	p.at = time.Now()
	_, err := r.conn.Write(b)
	if errors.Is(err, unix.ECONNREFUSED) {
		// That was the answer to the packet before.
		r.refused = true
		p.at = time.Now()
		_, err = r.conn.Write(b)
	}
	if err != nil {
		r.sendErr = err
		return
	}
	p.sent = true
	r.open++
}

// receive waits for one datagram until the time until. An error is one that
// the socket does not survive.
func (r *round) receive(until time.Time) error {
	if err := r.conn.SetReadDeadline(until); err != nil {
		return err
	}
	n, from, err := r.conn.ReadFrom(r.buf)
	at := time.Now()
	switch {
	case err == nil:
		if !r.take(r.buf[:n], from, at) {
			r.stray++
		}
	case errors.Is(err, os.ErrDeadlineExceeded):
	case errors.Is(err, net.ErrClosed):
		return err
	default:
		// What routers and the host say of our packets (ICMP errors).
		r.refused = r.refused || errors.Is(err, unix.ECONNREFUSED)
		r.stray++
	}
	return nil
}

// take counts b if it is the first answer to a packet of this round, from
// whom it was sent to, and in time.
func (r *round) take(b []byte, from net.Addr, at time.Time) bool {
	if !same(from, r.conn.RemoteAddr()) {
		return false
	}
	a, ok := r.method.answer(b)
	if !ok || int(a.sequence) >= r.written {
		return false
	}
	p := &r.packets[a.sequence]
	rtt := at.Sub(p.at)
	if !p.sent || p.answered || a.nonce != p.nonce || rtt > r.config.Wait {
		return false
	}
	if a.turnaround <= rtt {
		rtt -= a.turnaround
	}
	p.answered, p.rtt = true, rtt
	r.open--
	return true
}

// same says whether two addresses are of the same host, and the same port
// where they have one.
func same(a, b net.Addr) bool {
	x, y := addrPort(a), addrPort(b)
	return x.IsValid() && x == y
}

func addrPort(a net.Addr) netip.AddrPort {
	var p netip.AddrPort
	switch a := a.(type) {
	case *net.UDPAddr:
		p = a.AddrPort()
	case *net.IPAddr:
		ip, _ := netip.AddrFromSlice(a.IP)
		p = netip.AddrPortFrom(ip, 0)
	}
	return netip.AddrPortFrom(p.Addr().Unmap().WithZone(""), p.Port())
}

// A result is what a round found. The times are of the packets answered.
type result struct {
	sent, received    int64
	mean, least       time.Duration
	jitter            time.Duration
	jittered, refused bool
}

func (r *round) result() result {
	res := result{refused: r.refused}
	var sum, difference time.Duration
	pairs := 0
	for i, p := range r.packets {
		if p.sent {
			res.sent++
		}
		if !p.answered {
			continue
		}
		res.received++
		sum += p.rtt
		if res.received == 1 || p.rtt < res.least {
			res.least = p.rtt
		}
		if i > 0 && r.packets[i-1].answered {
			difference += (p.rtt - r.packets[i-1].rtt).Abs()
			pairs++
		}
	}
	if res.received > 0 {
		res.mean = sum / time.Duration(res.received)
	}
	if res.jittered = pairs > 0; res.jittered {
		res.jitter = difference / time.Duration(pairs)
	}
	return res
}
