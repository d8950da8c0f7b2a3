package agent

import (
	"context"
	"errors"
	"time"

	"livebox-agent/agent/episode"
	"livebox-agent/agent/window"
	"livebox-agent/buffer"
	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

const (
	// pendingSigns bounds the signs that wait while an event goes to flash.
	pendingSigns = 256
	// episodeBytes bounds what an event has of the flight recorder.
	episodeBytes = 40 << 10
)

// hear takes a sign from a watcher. The detectors see it first: a link that
// flaps is told as that.
func (a *Agent) hear(s sample.Sign) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.detectors.Notice(s, a.notice)
}

// notice takes a sign that becomes an event. It never waits: signs that
// come faster than the flash takes events are counted.
func (a *Agent) notice(s sample.Sign) {
	if !a.granted.Has(s.Purpose()) {
		return
	}
	if episode.Suspicious(s) {
		a.set.Hasten("line", "optics", "sensors")
	}
	select {
	case a.signs <- s:
	default:
		a.signsLost.Add(1)
	}
}

// lostSigns returns how many signs found no room in this run: between watchers
// and the agent, or on the way to the flash.
func (a *Agent) lostSigns() uint64 {
	n := a.signsLost.Load()
	for _, w := range a.watchers.Stats() {
		n += w.Lost
	}
	return n
}

// gather makes events of signs until ctx is done, and of what is open then.
func (a *Agent) gather(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case s := <-a.signs:
			a.tell(func(g *episode.Gatherer, now time.Duration) []episode.Told { return g.Add(s, now) })
		case signs := <-a.missed:
			a.tellMissed(signs)
		case <-timer.C:
			a.tell((*episode.Gatherer).Tick)
		case <-ctx.Done():
			if len(a.missed) > 0 {
				a.tellMissed(<-a.missed)
			}
			for len(a.signs) > 0 {
				s := <-a.signs
				a.tell(func(g *episode.Gatherer, now time.Duration) []episode.Told { return g.Add(s, now) })
			}
			a.tell((*episode.Gatherer).Close)
			return
		}
		a.mu.Lock()
		next, ok := a.gatherer.Next()
		a.mu.Unlock()
		wait := time.Hour
		if ok {
			wait = next - a.clock.Mono()
		}
		timer.Reset(wait)
	}
}

// tell makes reports of the events that are due.
func (a *Agent) tell(due func(*episode.Gatherer, time.Duration) []episode.Told) {
	now := a.clock.Mono()
	a.mu.Lock()
	told := due(a.gatherer, now)
	recordings := make([]window.Cut, len(told)) // coded when no reading waits for it
	for i, t := range told {
		if t.To > 0 {
			only := func(p catalogue.Purpose) bool { return p == t.Purpose }
			recordings[i] = a.window.Cut(t.From, t.To, only)
		}
	}
	a.mu.Unlock()
	for i, t := range told {
		if t.To > 0 {
			t.Event.Unseen = a.unseen()
		}
		sections := append(eventSections(t.Event, t.Purpose), recordings[i].Sections(episodeBytes)...)
		a.report(buffer.Events, t.Event.At, t.Event.At, sections, a.store.Append)
		if t.Notice {
			// The power may fail at any moment: what was measured until now is
			// worth as much as the event.
			a.sealWindow()
			if err := a.store.Spill("surge"); err != nil && !errors.Is(err, buffer.ErrNotDurable) {
				a.log.Debug("windows not stored at a sign of a surge", "err", err)
			}
		}
	}
}

// unseen says which of the essential sources and watchers do not give what a surge could be
// seen in, and why.
func (a *Agent) unseen() []string {
	var all []string
	for _, c := range a.asked() {
		if a.purposes[c.Source] != catalogue.Essential || c.State == collector.Working || c.State == 0 {
			continue
		}
		s := c.Source + ": " + c.State.String()
		if c.Reason != "" {
			s += ": " + c.Reason
		}
		all = append(all, s)
	}
	return all
}
