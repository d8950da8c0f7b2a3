package netdev

import (
	"context"
	"errors"
	"fmt"
	"math"

	"golang.org/x/sys/unix"

	"livebox-agent/collector"
	"livebox-agent/collector/counter"
	"livebox-agent/collector/label"
	"livebox-agent/collector/platform/kernel/netlink"
)

// MaxInterfaces is how many interfaces are reported at most.
const MaxInterfaces = 64

// maxRemembered is how many interfaces are remembered at most, so that the
// totals of one that comes back go on.
const maxRemembered = 2 * MaxInterfaces

// A Conn carries out exchanges with the kernel, as *netlink.Conn does.
type Conn interface {
	netlink.Executor
	Close() error
}

// dialKernel opens a socket to the kernel.
func dialKernel() (Conn, error) { return netlink.Dial(unix.NETLINK_ROUTE) }

// A table is what is known of the interfaces.
type table struct {
	dial func() (Conn, error)
	conn Conn
	// ports are those present and those remembered, by the kernel's name.
	ports map[string]*port
	// present are those of this round, in the kernel's order.
	present []*port
	round   uint64
	// omitted counts the interfaces of this round beyond MaxInterfaces.
	omitted int
	// malformed is the first message of this round that made no sense.
	malformed error
	link      link

	request netlink.Message
	begin   func()
	each    func(netlink.Message) error
}

// A port is one interface.
type port struct {
	name     string // as the kernel has it: it must not be reported
	instance string
	// round is the last one in which it was there.
	round uint64
	link  link // of that round, without name and kind
	known bool // the counters were read before

	counters  [numStats]counter.Unwrapper
	totals    [numStats]int64
	ups       counter.Unwrapper
	upTotal   int64
	downs     counter.Unwrapper
	downTotal int64
	resets    int64

	negotiated negotiated
}

func newTable(dial func() (Conn, error)) *table {
	if dial == nil {
		dial = dialKernel
	}
	t := &table{dial: dial, ports: map[string]*port{}}
	t.request = netlink.Message{Type: unix.RTM_GETLINK, Data: make([]byte, unix.SizeofIfInfomsg)}
	t.begin, t.each = t.start, t.take
	return t
}

// read asks the kernel and brings the ports up to date. After an error present
// are those that were read all the same.
func (t *table) read(ctx context.Context) error {
	t.start()
	err := t.dump(ctx)
	for _, p := range t.present {
		p.count()
	}
	if len(t.ports) > len(t.present) {
		for _, p := range t.ports {
			if p.round != t.round {
				p.negotiated.close()
			}
		}
	}
	switch {
	case err != nil:
		return err
	case t.malformed != nil:
		return t.malformed
	case len(t.present) == 0:
		return fmt.Errorf("no interface to report: %w", collector.ErrNoData)
	case t.omitted > 0:
		return fmt.Errorf("%d interfaces beyond the first %d: %w", t.omitted, MaxInterfaces, collector.ErrNoData)
	}
	return nil
}

func (t *table) dump(ctx context.Context) error {
	if t.conn == nil {
		conn, err := t.dial()
		if err != nil {
			return outcome(err)
		}
		t.conn = conn
	}
	err := netlink.Dump(ctx, t.conn, t.request, t.begin, t.each)
	if err == nil || errors.Is(err, netlink.ErrInterrupted) {
		// Interrupted twice: interfaces come and go, those that stay are here.
		return nil
	}
	_ = t.close()
	return outcome(err)
}

// outcome says what an error of the kernel means.
func outcome(err error) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: %w", err, collector.ErrRefused)
	case errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w: %w", err, collector.ErrNoData)
	}
	return err
}

// close gives up the socket; the next round dials anew.
func (t *table) close() error {
	if t.conn == nil {
		return nil
	}
	conn := t.conn
	t.conn = nil
	return conn.Close()
}

// start forgets what an attempt at a dump has given so far.
func (t *table) start() {
	t.round++
	t.present = t.present[:0]
	t.omitted = 0
	t.malformed = nil
}

// take notes one interface.
func (t *table) take(m netlink.Message) error {
	if m.Type != unix.RTM_NEWLINK {
		return nil
	}
	if err := t.link.parse(m.Data); err != nil {
		if t.malformed == nil {
			t.malformed = err
		}
		return nil
	}
	if !t.link.wanted() {
		return nil
	}
	p := t.ports[string(t.link.name)]
	if p != nil && p.round == t.round {
		return nil // twice in a dump that was interrupted
	}
	if len(t.present) == MaxInterfaces {
		t.omitted++
		return nil
	}
	if p == nil {
		p = t.add(string(t.link.name), t.link.index)
	}
	renewed := p.known && p.link.index != t.link.index
	p.round = t.round
	p.link = t.link
	p.link.name, p.link.kind = nil, nil
	if renewed {
		p.renew()
	}
	t.present = append(t.present, p)
	return nil
}

// add makes a port, in the place of the one that has been away for longest if
// there are too many.
func (t *table) add(name string, index int32) *port {
	if len(t.ports) >= maxRemembered {
		var oldest *port
		for _, p := range t.ports {
			if oldest == nil || p.round < oldest.round {
				oldest = p
			}
		}
		delete(t.ports, oldest.name)
	}
	p := &port{name: name, instance: label.Interface(name, uint32(index))}
	// An interface does not change its link hundreds of times in a round; a
	// count that goes down is one that started again.
	p.ups.MaxStep, p.downs.MaxStep = 1<<16, 1<<16
	t.ports[name] = p
	return p
}

// renew notes that another device has taken the name of p.
func (p *port) renew() {
	p.instance = label.Interface(p.name, uint32(p.link.index))
	for i := range p.counters {
		p.counters[i].Restart()
	}
	p.ups.Restart()
	p.downs.Restart()
	p.negotiated.close()
}

// count continues the totals by what the link says.
func (p *port) count() {
	p.known = true
	l := &p.link
	reset := false
	if l.hasUps {
		p.upTotal, _ = p.ups.Next(uint64(l.ups), 32)
	}
	if l.hasDowns {
		p.downTotal, _ = p.downs.Next(uint64(l.downs), 32)
	}
	if !l.hasStats {
		return
	}
	if p.counters[rxPackets].Resets(l.stats[rxPackets], 32) || p.counters[txPackets].Resets(l.stats[txPackets], 32) {
		for i := range p.counters {
			p.counters[i].Restart()
		}
	}
	before := p.totals
	for i := range p.counters {
		// The packets come first, and bound the bytes.
		switch stat(i) {
		case rxBytes:
			p.counters[i].MaxStep = maxBytes(p.totals[rxPackets] - before[rxPackets])
		case txBytes:
			p.counters[i].MaxStep = maxBytes(p.totals[txPackets] - before[txPackets])
		}
		total, again := p.counters[i].Next(l.stats[i], 32)
		p.totals[i] = total
		reset = reset || again
	}
	if reset {
		p.resets++
	}
}

// maxBytes returns the most bytes by which packets can have moved a 32-bit
// counter: 64 KiB each, which is the largest that offloads make of one, and no
// more than the range less a sixteenth, which is rather a step back.
func maxBytes(packets int64) uint64 {
	const most = math.MaxUint32 / 16 * 15
	return max(1, uint64(min(packets, most>>16))<<16)
}
