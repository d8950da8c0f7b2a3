package agent

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"livebox-agent/buffer"
	"livebox-agent/collector/catalogue"
	"livebox-agent/uplink"
	"livebox-agent/uplink/wire"
)

const (
	// tick is how often the slow duties run.
	tick = 30 * time.Second
	// lossesEvery is how long losses gather before an event tells them.
	lossesEvery = 10 * time.Minute
)

// duties does what need not be done at once: what the store has to say and to
// write, the ledger, the clock, the keys.
func (a *Agent) duties(ctx context.Context) {
	ticker := time.NewTicker(min(tick, a.cfg.Sampling.Window, a.cfg.Buffer.SpillAfter))
	defer ticker.Stop()
	told, teller := a.clock.Mono()-lossesEvery, uint64(0)
	looked, kept := a.clock.Mono(), a.clock.Mono()
	var said []byte // what the last status said
	for {
		if now := a.clock.Mono(); now-told >= lossesEvery && a.mayTellLosses(teller) {
			told, teller = now, a.tellLosses()
		}
		now := a.clock.Mono()
		a.lookAtClock(now - looked)
		a.lookAtState()
		looked = now
		if now-kept >= usualEvery {
			kept = now
			a.keepUsual()
		}
		a.mu.Lock()
		a.detectors.Tick(now, a.notice)
		a.mu.Unlock()
		a.callRoll(now)
		a.health.set(wire.HealthSignsLost, a.lostSigns() > 0, "")
		said = a.tellStatus(said)
		select {
		case <-ctx.Done():
			return
		case c := <-a.conditions:
			a.storeIs(c)
		case <-a.store.Due():
			a.tickStore()
		case <-ticker.C:
			a.tickStore()
		}
	}
}

// countOn makes this run count after those whose reports wait in the store, by
// whose order they are delivered and thinned.
func (a *Agent) countOn() {
	newest, found := uint32(0), false
	for _, lane := range []buffer.Lane{buffer.Events, buffer.Windows} {
		if k, ok := a.store.Last(lane); ok {
			newest, found = max(newest, k.Run.Counter), true
		}
	}
	if !found {
		return
	}
	if err := a.clock.CountAfter(newest); err != nil {
		a.log.Warn("count of runs not kept", "err", err)
	}
}

// lookAtState says whether what is kept beside the reports is kept.
func (a *Agent) lookAtState() {
	detail := ""
	if err := errors.Join(a.clock.Kept(), a.keys.Kept()); err != nil {
		detail = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	a.health.set(wire.HealthStateNotKept, detail != "", detail)
}

// tellStatus publishes the status again where it says something new beside
// its counters, and returns what it says.
func (a *Agent) tellStatus(said []byte) []byte {
	says := wire.AppendStatus(nil, wire.Status{Capabilities: a.capabilities(), Health: a.health.all()})
	if l := a.line.Load(); l != nil && !bytes.Equal(says, said) {
		l.uplink.StatusChanged()
	}
	return says
}

// tickStore lets the store write what is due, and what is known of the clock
// with it: reports that are on flash may be read after a loss of power.
func (a *Agent) tickStore() {
	if err := a.store.Tick(); err != nil {
		return // the store has said so by its condition
	}
	if s := a.store.Stats(); s.Events.FlashReports+s.Windows.FlashReports == 0 {
		return
	}
	if err := a.clock.Keep(); err != nil {
		a.log.Debug("time of boot not kept", "err", err)
	}
}

// lookAtClock says when the clock is not known, and ages the keys by the time
// since it was last called.
func (a *Agent) lookAtClock(since time.Duration) {
	a.health.set(wire.HealthClockUnknown, a.clock.Now().Quality == wire.ClockUnknown, "")
	rotated, err := a.keys.Age(since)
	if err != nil {
		a.log.Debug("pseudonym keys not kept", "err", err)
	}
	if rotated {
		a.log.Info("pseudonym keys replaced")
	}
}

// onCondition is called by the store, which may be in the middle of taking an
// event: what follows from it is done later.
func (a *Agent) onCondition(c buffer.Condition) {
	select {
	case a.conditions <- c:
	default: // a store that changes faster than events are made has said enough
	}
}

// storeIs tells the backend how the store stands with its directory.
func (a *Agent) storeIs(c buffer.Condition) {
	a.health.set(wire.HealthStoreUnavailable, c.State == buffer.Unavailable, c.Reason)
	a.health.set(wire.HealthStoreReset, c.State == buffer.Reset, c.Reason)
	e := wire.Event{Attributes: []wire.Attribute{{Key: "reason", Value: c.Reason}}}
	switch c.State {
	case buffer.Unavailable:
		e.Type = wire.StoreUnavailable
	case buffer.Reset:
		e.Type = wire.StoreReset
		e.Attributes = append(e.Attributes,
			wire.Attribute{Key: "set_aside", Value: c.SetAside},
			wire.Attribute{Key: "lost", Value: strconv.FormatInt(c.Lost, 10)})
	default:
		return
	}
	a.event(e)
}

// mayTellLosses tells whether there are losses to tell and somebody hears them: a
// store at its limit must not fill itself with its own ledger. One event of it
// may wait, which teller is the number of.
func (a *Agent) mayTellLosses(teller uint64) bool {
	l := a.line.Load()
	if l == nil || l.uplink.Stats().State != uplink.StateOnline || len(a.store.Losses()) == 0 {
		return false
	}
	if teller == 0 {
		return true
	}
	k := buffer.Key{Run: buffer.Run(a.clock.Start().Run), Lane: buffer.Events, Sequence: teller - 1}
	r, ok := a.store.Next(buffer.Events, k)
	return !ok || r.Key.Sequence != teller
}

// tellLosses makes an event of the ledger, and returns its number.
func (a *Agent) tellLosses() uint64 {
	losses := a.store.Losses()
	e := wire.Event{Type: wire.ReportsLost, At: a.clock.Mono()}
	for _, l := range losses {
		e.Losses = append(e.Losses, wireLoss(l))
	}
	return a.report(buffer.Events, e.At, e.At, eventSections(e, catalogue.Essential), func(r buffer.Report) error {
		return a.store.SettleLosses(r, losses)
	})
}

func wireLoss(l buffer.Loss) wire.Loss {
	return wire.Loss{
		RunID: l.Run, Lane: wire.Lane(l.Lane), First: l.First, Last: l.Last, Count: l.Count,
		Reason: wire.LossReason(l.Reason),
	}
}

// eventSections returns the section of an event that was collected for a purpose.
func eventSections(e wire.Event, p catalogue.Purpose) []buffer.Section {
	return []buffer.Section{{
		Purpose:  p,
		Fidelity: buffer.EventBody,
		Body:     wire.AppendEvent(nil, e),
	}}
}
