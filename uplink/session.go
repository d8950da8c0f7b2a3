package uplink

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"livebox-agent/uplink/wire"
)

const (
	// maxMessage is the longest payload that is sent; brokers and the CEM count
	// on it.
	maxMessage = 64 << 10
	// statusEvery is the least time between two publications of the status.
	statusEvery = 10 * time.Second
	// eventBurst is how many old events go at once, before anything else.
	eventBurst = 16
	// stopWait bounds the last status at the end.
	stopWait = 3 * time.Second
)

// kind is what a publication carries.
type kind uint8

const (
	kindReport kind = iota
	kindStatus
	kindFinal
)

// A publication is on its way to the broker; once settled, err says how it
// went: nil is a PUBACK on this connection, while it was open.
type publication struct {
	kind    kind
	topic   string
	payload []byte
	key     Key
	again   bool // a report that the broker accepted before
	err     error
}

// A flight is a report between Publish and PUBACK.
type flight struct {
	old    bool // of the backlog
	stored bool // the CEM was quicker than the broker
}

// A session is the traffic of one link. All its fields belong to the
// goroutine of Run; the publisher and its waiters get and give publications
// over channels that are wide enough for all that may be in flight.
type session struct {
	u       *Uplink
	link    *link
	out     chan publication
	settled chan publication
	over    chan struct{} // closed at the end
	workers sync.WaitGroup

	flying  map[Key]flight
	old     int  // how many in flight are of the backlog
	burst   int  // old events that may still go unpaced
	backlog pace // of old reports

	statusDirty, statusFlying bool
	statusAt                  time.Time // when the next may go
}

// serve delivers over the link until it is lost, the broker fails to answer,
// or ctx is done, which is no error.
func (u *Uplink) serve(ctx context.Context, l *link) *Error {
	s := &session{
		u: u, link: l,
		out:     make(chan publication, u.cfg.Window+2),
		settled: make(chan publication, u.cfg.Window+2),
		over:    make(chan struct{}),
		flying:  make(map[Key]flight, u.cfg.Window),
		burst:   eventBurst, statusDirty: true,
	}
	s.workers.Go(s.publish)
	defer func() {
		close(s.over)
		l.close()
		s.workers.Wait()
		now := time.Now()
		for i := range u.lanes {
			u.lanes[i].suspend(now)
		}
	}()
	now := time.Now()
	for i := range u.lanes {
		u.lanes[i].begin(now, u.lanes[i].id == wire.Windows, u.cfg.ResendAfter)
	}
	return s.run(ctx)
}

func (s *session) run(ctx context.Context) *Error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		// Asked for before the queue is looked at, so that no report is missed.
		appended := s.u.o.Queue.Appended()
		now := time.Now()
		s.fill(now)
		s.watch(now)
		timer.Reset(s.wake(now))
		select {
		case <-ctx.Done():
			s.finish()
			return nil
		case <-s.link.lost:
			s.drain()
			return s.u.failed("stay connected to", s.link.why(), ClassLost)
		case p := <-s.settled:
			if err := s.settle(p); err != nil {
				return err
			}
		case m := <-s.link.acks:
			s.acknowledge(m)
		case <-appended:
			for i := range s.u.lanes {
				s.u.lanes[i].more = true
			}
		case <-s.u.statusChanged:
			s.statusDirty = true
		case <-timer.C:
		}
	}
}

// fill sends what may be sent now.
func (s *session) fill(now time.Time) {
	metered := s.u.metered()
	s.u.lane(wire.Windows).hold(metered)
	s.u.health(wire.HealthMetered, metered, "the connection runs over a metered network: events are sent, windows wait")
	if s.statusDirty && !s.statusFlying && !now.Before(s.statusAt) && s.u.line.ready(now) {
		s.statusDirty, s.statusFlying, s.statusAt = false, true, now.Add(statusEvery)
		s.put(publication{kind: kindStatus, topic: s.u.topic("status"), payload: s.u.o.Status(true)}, now)
	}
	for i := range s.u.lanes {
		if l := &s.u.lanes[i]; s.u.application && !l.round && !l.held && !l.next.IsZero() && !now.Before(l.next) {
			l.beginAgain()
		}
	}
	for len(s.flying) < s.u.cfg.Window && s.send(now) {
	}
}

// put hands a publication to the publisher.
func (s *session) put(p publication, now time.Time) {
	s.u.line.sent(now, s.u.pace.takes(len(p.topic)+len(p.payload)))
	s.out <- p
}

// send takes the next report that may go and hands it to the publisher. It is
// false where there is none.
func (s *session) send(now time.Time) bool {
	if !s.u.line.ready(now) {
		return false
	}
	events, windows := &s.u.lanes[0], &s.u.lanes[1]
	if s.burst > 0 {
		if it, ok := events.nextOld(now, s.flying, s.u.pace); ok {
			s.burst--
			s.launch(it, events, true, now)
			return true
		}
	}
	for _, l := range []*lane{events, windows} {
		if it, ok := l.nextFresh(); ok {
			s.launch(it, l, false, now)
			return true
		}
	}
	if !s.backlog.ready(now) || s.old >= max(1, s.u.cfg.Window/2) {
		return false
	}
	for _, l := range []*lane{events, windows} {
		if it, ok := l.nextOld(now, s.flying, s.u.pace); ok {
			if size := s.launch(it, l, true, now); size > 0 {
				s.backlog.sent(now, s.u.pace.gap(size))
			}
			return true
		}
	}
	return false
}

// launch sends one report and returns its size, 0 where it cannot be sent.
func (s *session) launch(it Item, l *lane, old bool, now time.Time) int {
	payload, err := it.Payload(nil)
	if err == nil && len(payload) > maxMessage {
		err = fmt.Errorf("%d bytes are more than the %d that may be sent", len(payload), maxMessage)
	}
	if err == nil && len(payload) == 0 {
		err = errors.New("nothing to send")
	}
	if err != nil {
		l.seen, l.refused = true, true
		s.u.count(func(st *Stats) { st.Refused++ })
		s.u.health(wire.HealthReportRefused, true,
			fmt.Sprintf("%s %d of run %016x: %v", l.id, it.Key.Sequence, it.Key.Run.ID, err))
		return 0
	}
	topic := s.u.topic("telemetry")
	if l.id == wire.Events {
		topic = s.u.topic("event")
	}
	s.flying[it.Key] = flight{old: old}
	if old {
		s.old++
	}
	s.put(publication{topic: topic, payload: payload, key: it.Key, again: old && l.again}, now)
	return len(payload)
}

// publish hands publications to the library one after the other, so that they
// keep their order, and has each waited for.
func (s *session) publish() {
	for {
		var p publication
		select {
		case <-s.over:
			return
		case p = <-s.out:
		}
		s.u.count(func(st *Stats) {
			if p.kind == kindReport {
				st.Published++
			}
		})
		tok := s.link.client.Publish(p.topic, 1, p.kind != kindReport, p.payload)
		p.payload = nil
		s.workers.Go(func() {
			timeout := time.NewTimer(s.u.cfg.PubackTimeout)
			defer timeout.Stop()
			select {
			case <-tok.Done():
				if p.err = tok.Error(); p.err == nil && !s.link.isOpen() {
					p.err = errLost
				}
			case <-timeout.C:
				p.err = errTimeout
			case <-s.link.lost:
				p.err = errLost
			case <-s.over:
				return
			}
			s.settled <- p
		})
	}
}

// settle takes in how a publication went. An error ends the connection.
func (s *session) settle(p publication) *Error {
	f := s.flying[p.key]
	switch p.kind {
	case kindStatus:
		s.statusFlying = false
	case kindReport:
		if f.old {
			s.old--
		}
		delete(s.flying, p.key)
	}
	if p.err != nil {
		err := p.err
		if why := s.link.guard.why(); why != nil {
			err = why
		}
		return s.u.failed("publish to", err, ClassLost)
	}
	if p.kind != kindReport {
		return nil
	}
	s.u.count(func(st *Stats) { st.Pubacked++ })
	if !s.u.application {
		n := s.u.o.Queue.Ack(p.key.Run.ID, p.key.Lane, 0, []wire.Range{{First: p.key.Sequence, Last: p.key.Sequence}})
		s.u.count(func(st *Stats) { st.Acknowledged += uint64(n) })
		return nil
	}
	if !f.stored {
		s.u.lane(p.key.Lane).accepted(p.key, p.again, time.Now(), s.u.pace)
	}
	return nil
}

// drain takes in what came before the link was lost.
func (s *session) drain() {
	for {
		select {
		case m := <-s.link.acks:
			s.acknowledge(m)
		case p := <-s.settled:
			if p.err == nil {
				_ = s.settle(p) // nil where p.err is
			}
		default:
			return
		}
	}
}

// acknowledge takes in an Ack of the CEM.
func (s *session) acknowledge(payload []byte) {
	a, err := wire.ParseAck(payload)
	if err != nil {
		s.u.count(func(st *Stats) { st.AcksIgnored++ })
		s.u.log.Debug("acknowledgement ignored", "err", err)
		return
	}
	s.u.standing.RetryAfter(a.RetryAfter)
	removed := 0
	for _, la := range a.Lanes {
		l := s.u.lane(la.Lane)
		if l == nil || !s.u.application {
			continue
		}
		n := s.u.o.Queue.Ack(la.RunID, la.Lane, la.Contiguous, la.Ranges)
		l.acknowledged(la, n, time.Now(), s.u.pace)
		removed += n
		for k, f := range s.flying {
			if k.Lane == la.Lane && k.Run.ID == la.RunID && covers(la, k.Sequence) {
				f.stored = true
				s.flying[k] = f
			}
		}
	}
	s.u.count(func(st *Stats) { st.Acks++; st.Acknowledged += uint64(removed) })
}

// watch keeps the health states that a session can judge.
func (s *session) watch(now time.Time) {
	detail := ""
	for i := range s.u.lanes {
		l := &s.u.lanes[i]
		if l.waiting != (Key{}) && now.Sub(l.since) >= s.u.cfg.NotStoredAfter {
			l.stuck = true
		}
		if l.stuck && detail == "" {
			detail = fmt.Sprintf("the broker accepted %s %d of run %016x and the CEM has not stored it: "+
				"check the broker's access rules and the CEM", l.id, l.waiting.Sequence, l.waiting.Run.ID)
		}
	}
	s.u.health(wire.HealthNotStored, detail != "", detail)
	if !s.u.lanes[0].refused && !s.u.lanes[1].refused {
		s.u.health(wire.HealthReportRefused, false, "")
	}
}

// wake says when the session has to look again if nothing happens.
func (s *session) wake(now time.Time) time.Duration {
	d := time.Hour
	at := func(t time.Time) {
		if !t.IsZero() {
			d = min(d, max(t.Sub(now), 0))
		}
	}
	line := s.u.line.next()
	if s.statusDirty && !s.statusFlying {
		at(later(s.statusAt, line))
	}
	for i := range s.u.lanes {
		l := &s.u.lanes[i]
		if l.waiting != (Key{}) && !l.stuck {
			at(l.since.Add(s.u.cfg.NotStoredAfter))
		}
		if l.held {
			continue
		}
		if l.round && s.backlog.next().After(now) {
			at(s.backlog.next())
		}
		if line.After(now) && (l.round || l.more || l.newest != nil) {
			at(line)
		}
		if s.u.application && !l.round {
			at(l.next)
		}
	}
	return d
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// finish publishes the last status, takes in what still comes meanwhile, and
// takes leave.
func (s *session) finish() {
	timeout := time.NewTimer(stopWait)
	defer timeout.Stop()
	s.out <- publication{kind: kindFinal, topic: s.u.topic("status"), payload: s.u.o.Status(false)}
	for {
		select {
		case <-timeout.C:
			return
		case <-s.link.lost:
			s.drain()
			return
		case m := <-s.link.acks:
			s.acknowledge(m)
		case p := <-s.settled:
			if s.settle(p) != nil {
				return
			}
			if p.kind == kindFinal {
				s.link.farewell()
				return
			}
		}
	}
}
