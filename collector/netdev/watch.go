package netdev

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/label"
	"livebox-agent/collector/platform/kernel"
	"livebox-agent/collector/platform/kernel/netlink"
	"livebox-agent/collector/platform/kernel/sysfs"
	"livebox-agent/collector/sample"
)

// speedAfter are when the speed of a link is asked for after it came up: the
// kernel tells of the link before some drivers know what was negotiated.
var speedAfter = [...]time.Duration{250 * time.Millisecond, time.Second, 3 * time.Second}

// Links is the watcher links: it tells when a port loses its link, has one
// again, or comes back slower.
type Links struct {
	sys       string
	dial      func() (Conn, error)
	subscribe func() (*netlink.Feed, error)
	now       func() time.Duration
	// wanted says which links are of ports.
	wanted func(*link) bool

	ports map[int32]*watchedPort
	round uint64 // of dumps
	link  link
	// malformed says that a message made no sense.
	malformed bool
	notice    func(sample.Sign)
	// instances are those of ports, for Has.
	instances atomic.Pointer[[]string]
}

// A watchedPort is what is known of one port.
type watchedPort struct {
	name, instance string
	round          uint64
	ups, downs     uint32
	changes        uint32
	counted        bool // ups and downs are there
	enabled        bool // IFF_UP
	carrier        bool
	// mbits is the speed last negotiated; 0: not known.
	mbits int64
	// upAt is when the link came up, and due when its speed is asked for; zero:
	// no more. tries are how often it was.
	upAt, due time.Duration
	tries     int
}

// NewLinks returns the watcher links.
func NewLinks(c Config) *Links {
	w := &Links{sys: c.Sys, dial: c.Dial, subscribe: c.Subscribe, now: c.Now, ports: map[int32]*watchedPort{}}
	if w.sys == "" {
		w.sys = "/sys"
	}
	if w.dial == nil {
		w.dial = dialKernel
	}
	if w.subscribe == nil {
		w.subscribe = func() (*netlink.Feed, error) { return netlink.Subscribe(unix.NETLINK_ROUTE, unix.RTMGRP_LINK) }
	}
	if w.now == nil {
		w.now = kernel.SinceBoot
	}
	w.wanted = func(l *link) bool {
		return l.plugged() && !w.wireless(string(l.name)) || slices.Contains(c.Ports, string(l.name))
	}
	return w
}

// wireless says whether an interface is one of Wi-Fi.
func (w *Links) wireless(name string) bool {
	for _, file := range []string{"phy80211", "wireless"} {
		if _, err := os.Stat(filepath.Join(w.sys, "class", "net", name, file)); err == nil {
			return true
		}
	}
	return false
}

// Watch implements collector.Watcher.
func (w *Links) Watch() collector.Watch {
	return collector.Watch{Name: "links", Purpose: catalogue.Essential}
}

// Has tells whether an instance is that of a port, as far as the watcher has seen
// them. It may be called at any time.
func (w *Links) Has(instance string) bool {
	all := w.instances.Load()
	return all != nil && slices.Contains(*all, instance)
}

// publish has Has know of the ports that there are.
func (w *Links) publish() {
	all := make([]string, 0, len(w.ports))
	for _, p := range w.ports {
		all = append(all, p.instance)
	}
	w.instances.Store(&all)
}

// Run implements collector.Watcher. What changed while it did not run, after a
// fault, is told when it runs again.
func (w *Links) Run(ctx context.Context, notice func(sample.Sign)) error {
	w.notice = notice
	// First the feed, then the state: nothing falls between the two.
	feed, err := w.subscribe()
	if err != nil {
		return outcome(err)
	}
	defer feed.Close()
	if err := w.dump(ctx); err != nil {
		return err
	}
	for {
		w.malformed = false
		err := feed.Next(ctx, w.next(), w.take)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, netlink.ErrOverrun), errors.Is(err, netlink.ErrMalformed), err == nil && w.malformed:
			if err := w.dump(ctx); err != nil {
				return err
			}
		case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		}
		w.speeds()
	}
}

// dump asks for the present state of all ports, and tells what has changed
// since it was last known.
func (w *Links) dump(ctx context.Context) error {
	conn, err := w.dial()
	if err != nil {
		return outcome(err)
	}
	defer conn.Close()
	request := netlink.Message{Type: unix.RTM_GETLINK, Data: make([]byte, unix.SizeofIfInfomsg)}
	err = netlink.Dump(ctx, conn, request, func() { w.round++ }, func(m netlink.Message) error {
		w.take(m)
		return nil
	})
	if err != nil && !errors.Is(err, netlink.ErrInterrupted) {
		return outcome(err)
	}
	if err == nil {
		for index, p := range w.ports {
			if p.round != w.round {
				w.remove(index)
			}
		}
	}
	return nil
}

// take notes what the kernel says of one interface. What makes no sense tells
// nothing; the source ports counts it, which is given the same.
func (w *Links) take(m netlink.Message) {
	if m.Type != unix.RTM_NEWLINK && m.Type != unix.RTM_DELLINK {
		return
	}
	if w.link.parse(m.Data) != nil {
		w.malformed = true
		return
	}
	l := &w.link
	p := w.ports[l.index]
	switch {
	case m.Type == unix.RTM_DELLINK:
		w.remove(l.index)
	case p == nil && w.wanted(l) && len(w.ports) < MaxInterfaces:
		w.add()
	case p != nil:
		w.update(p)
	}
}

// add notes a port that was not known.
func (w *Links) add() {
	l := &w.link
	p := &watchedPort{
		name: string(l.name), instance: label.Interface(string(l.name), uint32(l.index)), round: w.round,
		ups: l.ups, downs: l.downs, changes: l.changes, counted: l.hasUps && l.hasDowns,
		enabled: l.flags&unix.IFF_UP != 0, carrier: l.carrier(),
	}
	w.ports[l.index] = p
	w.publish()
	if p.carrier {
		p.mbits = w.speed(p)
	}
}

// remove forgets a port, which has lost its link if it had one.
func (w *Links) remove(index int32) {
	p := w.ports[index]
	if p == nil {
		return
	}
	delete(w.ports, index)
	w.publish()
	if p.carrier {
		w.notice(sample.Sign{At: w.now(), Kind: sample.PortDown, Instance: p.instance})
	}
}

// update compares what the kernel says with what was known. It tells of a link
// that went and came back between two messages, which only the counts show.
func (w *Links) update(p *watchedPort) {
	l := &w.link
	p.round = w.round
	if name := string(l.name); name != p.name {
		p.name, p.instance = name, label.Interface(name, uint32(l.index))
		w.publish()
	}
	before := *p
	ups, downs, late := p.count(l)
	if late {
		return
	}
	enabled := l.flags&unix.IFF_UP != 0
	p.carrier, p.enabled = l.carrier(), enabled
	if !enabled {
		// Someone switched the port off: its cable tells nothing.
		p.due = 0
		return
	}
	if ups+downs == 0 && before.carrier != p.carrier {
		// A driver that counts nothing, or a port that was switched on.
		if p.carrier {
			ups = 1
		} else {
			downs = 1
		}
	}
	at := w.now()
	if downs > 0 && before.enabled {
		w.notice(p.sign(at, sample.PortDown, catalogue.PortCarrierDowns, before.downs, p.downs))
	}
	if !p.carrier {
		p.due = 0
		return
	}
	if ups > 0 {
		w.notice(p.sign(at, sample.PortUp, catalogue.PortCarrierUps, before.ups, p.ups))
		p.upAt, p.tries, p.due = at, 0, at+speedAfter[0]
	}
}

// count brings the counts of p up to date and returns by how much they moved.
// late says that the message is older than what is known, as those are that
// were sent before a dump and read after it.
func (p *watchedPort) count(l *link) (ups, downs uint32, late bool) {
	counted := l.hasUps && l.hasDowns && p.counted
	switch {
	case counted:
		ups, downs = l.ups-p.ups, l.downs-p.downs
		late = int32(ups) < 0 || int32(downs) < 0
	case l.hasChanges:
		n := l.changes - p.changes
		late = int32(n) < 0
		// The first change is away from what was.
		ups, downs = n/2, n-n/2
		if !p.carrier {
			ups, downs = downs, ups
		}
	}
	if late {
		return 0, 0, true
	}
	p.ups, p.downs, p.changes = l.ups, l.downs, l.changes
	p.counted = l.hasUps && l.hasDowns
	return ups, downs, false
}

// sign returns a sign of p, with the kernel's counts before and after where it
// has them: more than one step apart where links came and went between two
// messages.
func (p *watchedPort) sign(at time.Duration, kind sample.SignKind, m catalogue.ID, before, after uint32) sample.Sign {
	s := sample.Sign{At: at, Kind: kind, Instance: p.instance}
	if p.counted && before != after {
		s.Metric, s.Before, s.After = m, int64(before), int64(after)
	}
	return s
}

// next returns when a speed is due next; zero: none is.
func (w *Links) next() time.Time {
	first := time.Duration(0)
	for _, p := range w.ports {
		if p.due > 0 && (first == 0 || p.due < first) {
			first = p.due
		}
	}
	if first == 0 {
		return time.Time{}
	}
	return time.Now().Add(first - w.now())
}

// speeds asks for the speeds that are due, and tells which are lower than
// before.
func (w *Links) speeds() {
	now := w.now()
	for _, p := range w.ports {
		if p.due == 0 || p.due > now {
			continue
		}
		mbits := w.speed(p)
		if mbits == 0 {
			p.due = 0
			if p.tries++; p.tries < len(speedAfter) {
				p.due = p.upAt + speedAfter[p.tries]
			}
			continue
		}
		p.due = 0
		if mbits < p.mbits {
			w.notice(sample.Sign{
				At: p.upAt, Kind: sample.PortSlower, Instance: p.instance,
				Metric: catalogue.PortBitRate, Before: p.mbits, After: mbits,
			})
		}
		p.mbits = mbits
	}
}

// speed returns what a link was negotiated to, in Mbit/s; 0 where that is not
// known.
func (w *Links) speed(p *watchedPort) int64 {
	f, err := sysfs.Open(w.sys, filepath.Join("class", "net", p.name, "speed"))
	if err != nil {
		return 0
	}
	defer f.Close()
	if mbits, err := f.Int(); err == nil && mbits > 0 && mbits <= maxMbits {
		return mbits
	}
	return 0
}
