package detect

import (
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

const (
	// hotFor is how long a temperature is beyond its limit, or back below it,
	// before that is told.
	hotFor = time.Minute
	// normalFor is how long a rail is back in its band before that is told.
	normalFor = time.Minute
)

// A temperature has a level and an upper limit.
type temperature struct {
	level
	high, back int32 // 0: none

	hot     bool          // beyond its own limit
	alarmed bool          // its chip's alarm is raised
	said    bool          // that it is hot
	since   time.Duration // when the other state was first seen; never: it is not
	was     int32         // the last value that was no sign of the other state
	told    bucket
}

func newTemperature(d *Detectors, m catalogue.ID) *temperature {
	t := &temperature{level: level{rule: d.levels[m]}, since: never}
	if d.cfg.Thermal {
		limit := d.cfg.Hot
		if m == catalogue.OpticTemperature {
			limit = d.cfg.HotOptics
		}
		row, _ := catalogue.Lookup(m)
		t.high, t.back = int32(int64(limit)*perUnit(row)), int32(catalogue.LookupThreshold(m).Back)
	}
	return t
}

func (t *temperature) observe(d *Detectors, e *entry, m catalogue.ID, v int64) {
	if d.cfg.Step {
		t.level.observe(d, e, m, v)
	}
	if t.high == 0 || v < int64(t.rule.least) || v > int64(t.rule.most) {
		return
	}
	x := bounded(v)
	if hot := t.hot || t.alarmed; hot && !t.said { // it was told too often of late
		t.say(d, e, sample.Sign{At: d.at, Kind: sample.Hot, Metric: m, Before: int64(t.was), After: v}, d.at)
	}
	if other := !t.hot && x >= t.high || t.hot && x <= t.high-t.back; !other {
		t.since, t.was = never, x
		return
	}
	if t.since == never || d.at < t.since {
		t.since = d.at
	}
	if d.at-t.since < hotFor {
		return
	}
	s := sample.Sign{At: t.since, Kind: sample.Hot, Metric: m, Before: int64(t.was), After: v}
	if t.hot {
		s.Kind = sample.Cooled
	}
	t.hot, t.since, t.was = !t.hot, never, x
	t.say(d, e, s, d.at)
}

// alarm takes a sign that the chip's own alarm was raised, or is no more.
func (t *temperature) alarm(d *Detectors, e *entry, s sample.Sign) {
	t.alarmed = s.Kind == sample.Hot
	t.say(d, e, s, s.At)
}

// say tells that it is hot where the limit or the alarm is the first to find so,
// and that it has cooled where neither does any more.
func (t *temperature) say(d *Detectors, e *entry, s sample.Sign, at time.Duration) {
	switch hot := t.hot || t.alarmed; {
	case hot == t.said, hot && !t.told.allow(at):
		return
	default:
		t.said = hot
		d.tell(e, s)
	}
}

// A rail is a supply voltage: it has a level, and a band that it leaves at
// once.
type rail struct {
	level
	out   sample.SignKind // BrownOut or OverVoltage; 0: normal
	since time.Duration   // when it came back; never: it is not back
	told  bucket
}

// nominal voltages, in millivolts, of the rails of gateways and their modules.
var nominal = [...]int64{1800, 2500, 3300, 5000, 9000, 12_000, 15_000, 19_000, 24_000, 48_000}

func (r *rail) observe(d *Detectors, e *entry, m catalogue.ID, v int64) {
	// The usual voltage is known from the first five minutes on. A rail of a
	// processor, which follows its load, never has one.
	usual := int64(r.usual / usualWeight)
	if d.cfg.Rail && usual > 0 && v > usual*2/5 && v < usual*8/5 { // what else a converter says is a fault of its own
		r.judgeBand(d, e, m, v, usual)
	}
	r.level.observe(d, e, m, v)
}

func (r *rail) judgeBand(d *Detectors, e *entry, m catalogue.ID, v, usual int64) {
	off := max(v-usual, usual-v) * 100
	if off < usual*int64(d.cfg.RailBand)/2 {
		r.back(d, e, m, v)
		return
	}
	r.since = never
	kind := sample.BrownOut
	if v > usual {
		kind = sample.OverVoltage
	}
	if off < usual*int64(d.cfg.RailBand) || asSpecified(m, v, usual) || kind == r.out || !r.told.allow(d.at) {
		return
	}
	r.out = kind
	d.tell(e, sample.Sign{At: d.at, Kind: kind, Metric: m, Before: usual, After: v})
}

// back takes a reading well inside the band.
func (r *rail) back(d *Detectors, e *entry, m catalogue.ID, v int64) {
	if r.out == 0 {
		return
	}
	if r.since == never || d.at < r.since {
		r.since = d.at
	}
	if d.at-r.since < normalFor {
		return
	}
	r.out, r.since = 0, never
	d.tell(e, sample.Sign{At: d.at, Kind: sample.RailNormal, Metric: m, Before: int64(r.usual / usualWeight), After: v})
}

// asSpecified tells whether a voltage is within 5 % of the nominal one of its
// rail: an adapter that idles above it may come down under load.
func asSpecified(m catalogue.ID, v, usual int64) bool {
	scale := int64(1)
	if m == catalogue.OpticVoltage {
		scale = 10
	}
	for _, n := range nominal {
		n *= scale
		if within(usual, n, 8) {
			return within(v, n, 5)
		}
	}
	return false
}

func within(v, n, percent int64) bool { return max(v-n, n-v)*100 <= n*percent }
