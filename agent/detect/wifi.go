package detect

import (
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

const (
	// A signal outside is none: some drivers say 0 for what they do not know.
	leastSignal, mostSignal = -110, -1
	// longRound is the most between two readings of a station whose traffic is
	// still known.
	longRound = 2 * time.Minute
	// quietFor is how long a station may be quiet before what was seen of it
	// counts no more.
	quietFor = 5 * time.Minute
	// weakBack is, in dB, how much better than the limit is good again.
	weakBack    = 3
	signalParts = 16
)

// A station is a device of the home in its Wi-Fi.
type station struct {
	sent, received count
	signal         int64
	heard, last    time.Duration // when the signal was read; the round before
	smooth         int64         // the signal of rounds with traffic, × signalParts
	before         int64         // the last smooth signal that was not weak, in dBm
	active         time.Duration // the last round with traffic
	weak, strong   time.Duration // for how long, with traffic
	since          time.Duration // weak began
	poor           bool
	told           time.Duration // that it is poor; 0: never
	known          bool
}

func (s *station) observe(d *Detectors, _ *entry, m catalogue.ID, v int64) {
	switch m {
	case catalogue.StationBytesSent:
		s.sent.take(d.at, v)
	case catalogue.StationBytesReceived:
		s.received.take(d.at, v)
	default:
		if v >= leastSignal && v <= mostSignal {
			s.signal, s.heard = v, d.at
		}
	}
}

func (s *station) finish(d *Detectors, e *entry) {
	round := d.at - s.last
	s.last = d.at
	bytes := min(s.sent.grew, 1<<40) + min(s.received.grew, 1<<40)
	s.sent.grew, s.received.grew = 0, 0
	if round <= 0 || round > longRound || s.heard != d.at {
		return
	}
	if bytes*8 < int64(d.cfg.ActiveRate)*int64(round/time.Millisecond) {
		return // a quiet station does not count
	}
	if !s.known || d.at-s.active > quietFor {
		s.smooth, s.weak, s.strong, s.known = s.signal*signalParts, 0, 0, true
		s.before = s.signal
	}
	s.active = d.at
	s.smooth += (s.signal*signalParts - s.smooth) / 8
	s.judge(d, e, round)
}

// judge takes one round with traffic.
func (s *station) judge(d *Detectors, e *entry, round time.Duration) {
	limit := int64(d.cfg.WeakSignal) * signalParts
	back := limit + weakBack*signalParts
	switch {
	case s.smooth < limit:
		if s.weak == 0 {
			s.since = d.at - round
		}
		if s.signal*signalParts < limit { // not a fade that is over
			s.weak += round
		}
		s.strong = 0
	case s.smooth >= back:
		s.weak, s.strong = 0, s.strong+round
		s.before = s.smooth / signalParts
	case !s.poor:
		s.weak = 0
		s.before = s.smooth / signalParts
	default:
		s.strong = 0
	}
	now := s.smooth / signalParts
	switch {
	case !s.poor && s.weak >= d.cfg.WeakFor && (s.told == 0 || d.at-s.told >= time.Hour):
		s.poor, s.told = true, d.at
		d.tell(e, sample.Sign{At: s.since, Kind: sample.PoorCoverage, Metric: catalogue.StationSignal, Before: s.before, After: now})
	case s.poor && s.strong >= d.cfg.WeakFor:
		s.poor = false
		d.tell(e, sample.Sign{At: d.at, Kind: sample.GoodCoverage, Metric: catalogue.StationSignal, Before: int64(d.cfg.WeakSignal), After: now})
	}
}

// calmAfter is how long no one must fail to join before the next burst is
// told: a device with an old password tries for ever.
const calmAfter = 30 * time.Minute

// An association counts who fails to join a network.
type association struct {
	count
	window
	told time.Duration // the last failure since a burst was told; 0: none
}

func (a *association) observe(d *Detectors, e *entry, m catalogue.ID, v int64) {
	if a.take(d.at, v); a.grew == 0 {
		return
	}
	within := catalogue.LookupThreshold(m).Stay
	n := a.add(d.at, within, a.within(within))
	switch {
	case a.told != 0 && d.at >= a.told && d.at-a.told < calmAfter:
		a.told = d.at
	case n >= int64(d.cfg.AssociationFailures):
		a.told = d.at
		d.tell(e, sample.Sign{At: d.at, Kind: sample.AssociationFailures, Metric: m, Before: v - n, After: v})
	}
}
