package episode

import (
	"math"
	"slices"
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
	"livebox-agent/uplink/wire"
)

// watched are the metrics whose values before and after an episode are told:
// what a surge leaves changed, in the order of telling.
var watched = [...]catalogue.ID{
	catalogue.LineStatus, catalogue.LineDownMargin, catalogue.LineUpMargin,
	catalogue.LineDownAttenuation, catalogue.LineUpAttenuation,
	catalogue.LineDownRate, catalogue.LineUpRate, catalogue.LineDownMaxRate, catalogue.LineUpMaxRate,
	catalogue.OpticState, catalogue.OpticRxPower, catalogue.OpticTxPower, catalogue.OpticBias, catalogue.OpticVoltage,
	catalogue.SensorVoltage, catalogue.SensorTemperature, catalogue.PortBitRate,
}

// maxEach bounds the levels that are kept of each metric: many ports must leave
// room for the line.
const maxEach = 8

// A level is the latest value of a watched metric, and what it was when the
// episode opened.
type level struct {
	metric     catalogue.ID
	instance   string
	at         time.Duration
	value      int64
	was        int64 // the value before that
	wasAt      time.Duration
	before     int64
	hadBefore  bool
	seenInside bool
}

// levels are kept in the order of watched, then of their coming.
type levels struct{ all []level }

// observe takes the readings of one source. A box gives its readings in the
// same order each time, so that the search goes on where it ended.
func (l *levels) observe(b *sample.Batch) {
	next := 0
	for _, r := range b.Readings {
		if !slices.Contains(watched[:], r.Metric) {
			continue
		}
		i := l.find(r, next)
		if i < 0 {
			if l.count(r.Metric) == maxEach {
				continue
			}
			l.all = append(l.all, level{metric: r.Metric, instance: r.Instance, at: never})
			i = len(l.all) - 1
		}
		v := &l.all[i]
		if b.At > v.at {
			v.was, v.wasAt = v.value, v.at
		}
		v.at, v.value, v.seenInside = b.At, r.Value, true
		next = i + 1
	}
}

// count returns how many levels there are of a metric.
func (l *levels) count(id catalogue.ID) (n int) {
	for i := range l.all {
		if l.all[i].metric == id {
			n++
		}
	}
	return n
}

// find returns the place of the level of r, looked for from next on; -1 where
// there is none.
func (l *levels) find(r sample.Reading, next int) int {
	for n := range len(l.all) {
		i := (next + n) % len(l.all)
		if l.all[i].metric == r.Metric && l.all[i].instance == r.Instance {
			return i
		}
	}
	return -1
}

// never is when a level was read that was not.
const never = math.MinInt64 / 2

// open notes what the levels were before an episode opened. What was read at that
// instant shows what had happened: the value before it counts then. One that was
// last read longer ago than stale is of a line or a port that was lost before.
func (l *levels) open(at, stale time.Duration) {
	for i := range l.all {
		v := &l.all[i]
		read := v.at
		v.before = v.value
		if read >= at {
			read, v.before = v.wasAt, v.was
		}
		v.hadBefore, v.seenInside = read < at && at-read <= stale, false
	}
}

// told returns the levels that were read before the episode and in it.
func (l *levels) told() []wire.Evidence {
	var all []wire.Evidence
	for _, m := range watched {
		for _, v := range l.all {
			if v.metric == m && v.hadBefore && v.seenInside {
				all = append(all, wire.Evidence{Sign: sample.Sign{
					At: v.at, Kind: sample.Level, Instance: v.instance, Metric: m, Before: v.before, After: v.value,
				}})
			}
		}
	}
	return all
}
