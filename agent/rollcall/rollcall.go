package rollcall

import (
	"slices"
	"time"

	"livebox-agent/agent/allowance"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

const (
	// Patience is how long links have after a restart to come up.
	Patience = 5 * time.Minute
	// Settled is how long a state lasts before it is worth keeping.
	Settled = 5 * time.Minute
	// Limit bounds what is known.
	Limit = 64

	// atOnce and every bound the writes of what is kept: 28 in a day, of one
	// block of flash each and what the file system adds.
	atOnce = 4
	every  = time.Hour
	// forgotten is how long nothing is read of a line before it is no longer one.
	forgotten = 24 * time.Hour
)

// A Mark is a port or a line that has a link.
type Mark struct {
	// Metric is what says so: PortCarrier, LineStatus, OpticState,
	// OpticLossOfSignal.
	Metric   catalogue.ID
	Instance string
	// Value is what it says.
	Value int64
	// Mbits is the speed of a port; 0: not known.
	Mbits int64 `json:",omitempty"`
}

// up tells whether a value of a metric means that there is a link; known is false
// for metrics and values that mean nothing.
func up(id catalogue.ID, v int64) (up, known bool) {
	switch id {
	case catalogue.PortCarrier:
		return v == 1, true
	case catalogue.LineStatus:
		return v == lineIsUp, v != 0
	case catalogue.OpticState:
		return v == catalogue.OpticStateO5, v != catalogue.OpticStateUnknown
	case catalogue.OpticLossOfSignal:
		return v == 0, true
	}
	return false, false
}

// lineIsUp is the value of LineStatus, in the order of its States.
const lineIsUp = 1

// An entry is what is known of a port or a line.
type entry struct {
	kept    Mark // what is on flash; without a metric: nothing
	now     Mark // what is read
	isUp    bool
	since   time.Duration // when it became that
	at      time.Duration // when it was last read
	reading bool          // it was read in this run
}

// A Roll knows them. It is not safe for concurrent use.
type Roll struct {
	isPort  func(instance string) bool
	all     []entry
	start   time.Duration
	call    time.Duration // when it is called; 0: not, or done
	ports   time.Duration // when ports were last read
	writes  allowance.Allowance
	changed bool // entries were dropped
}

// New returns a Roll. Interfaces of which isPort says no are no ports: someone
// makes and removes those at will.
func New(isPort func(instance string) bool) *Roll {
	return &Roll{isPort: isPort, writes: allowance.Allowance{Burst: atOnce, Every: every}}
}

// Restore gives back what was kept, at the start of a run. With compare it is
// compared Patience after now: the box restarted, and nobody had asked for it.
func (r *Roll) Restore(marks []Mark, now time.Duration, compare bool) {
	r.start = now
	for _, m := range marks {
		if isUp, known := up(m.Metric, m.Value); known && isUp && len(r.all) < Limit && r.find(m.Metric, m.Instance, 0) < 0 {
			r.all = append(r.all, entry{kept: m, now: m, at: now})
		}
	}
	if compare && len(r.all) > 0 {
		r.call = now + Patience
	}
}

// Observe takes the readings of one source. A box gives its readings in the same
// order each time, so that the search goes on where it ended.
func (r *Roll) Observe(b *sample.Batch) {
	next := 0
	for i := range b.Readings {
		v := &b.Readings[i]
		if v.Metric == catalogue.PortBitRate {
			if n := r.find(catalogue.PortCarrier, v.Instance, max(next-1, 0)); n >= 0 && r.all[n].at == b.At {
				r.all[n].speed(v.Value, b.At)
			}
			continue
		}
		isUp, known := up(v.Metric, v.Value)
		if !known {
			continue
		}
		if v.Metric == catalogue.PortCarrier {
			r.ports = b.At
		}
		n := r.find(v.Metric, v.Instance, next)
		if n < 0 {
			if n = r.add(v); n < 0 {
				continue
			}
		}
		next = n + 1
		r.all[n].become(v.Value, isUp, b.At)
	}
}

// find returns the place of an entry, looked for from next on; -1 where there is
// none.
func (r *Roll) find(id catalogue.ID, instance string, next int) int {
	for i := range r.all {
		n := (next + i) % len(r.all)
		if r.all[n].now.Metric == id && r.all[n].now.Instance == instance {
			return n
		}
	}
	return -1
}

// add makes an entry, and returns its place; -1 where it is not wanted.
func (r *Roll) add(v *sample.Reading) int {
	if len(r.all) >= Limit || v.Metric == catalogue.PortCarrier && !r.isPort(v.Instance) {
		return -1
	}
	r.all = append(r.all, entry{now: Mark{Metric: v.Metric, Instance: v.Instance}})
	return len(r.all) - 1
}

// become takes the state.
func (e *entry) become(v int64, isUp bool, at time.Duration) {
	if !e.reading || isUp != e.isUp {
		e.since = at
		if isUp {
			e.now.Mbits = 0
		}
	}
	e.now.Value, e.isUp, e.at, e.reading = v, isUp, at, true
}

// speed takes the speed of a port.
func (e *entry) speed(mbits int64, at time.Duration) {
	if e.now.Mbits != mbits {
		if e.now.Mbits != 0 {
			e.since = at
		}
		e.now.Mbits = mbits
	}
}

// Call returns the signs of those that had a link before the restart and have
// none, or a slower one: once, when the time has come. The signs are of that
// time.
func (r *Roll) Call(now time.Duration) (signs []sample.Sign) {
	if r.call == 0 || now < r.call {
		return nil
	}
	r.call = 0
	for i := range r.all {
		if s, missed := r.all[i].missed(r.ports > r.start); missed {
			s.At = now
			signs = append(signs, s)
		}
	}
	return signs
}

// missed compares what is with what was kept.
func (e *entry) missed(portsSeen bool) (s sample.Sign, missed bool) {
	port := e.kept.Metric == catalogue.PortCarrier
	switch {
	case e.kept.Metric == 0:
		return s, false
	case !e.reading:
		// Not there any more, or not read: of ports it is known which.
		if !port || !portsSeen {
			return s, false
		}
		return sample.Sign{Kind: sample.PortDead, Instance: e.kept.Instance, Metric: catalogue.PortBitRate, Before: e.kept.Mbits}, true
	case !e.isUp && port:
		return sample.Sign{Kind: sample.PortDead, Instance: e.kept.Instance, Metric: catalogue.PortBitRate, Before: e.kept.Mbits}, true
	case !e.isUp:
		return sample.Sign{Kind: sample.LineDown, Instance: e.kept.Instance, Metric: e.kept.Metric, Before: e.kept.Value, After: e.now.Value}, true
	case port && e.now.Mbits > 0 && e.now.Mbits < e.kept.Mbits:
		return sample.Sign{
			Kind: sample.PortSlower, Instance: e.kept.Instance,
			Metric: catalogue.PortBitRate, Before: e.kept.Mbits, After: e.now.Mbits,
		}, true
	}
	return s, false
}

// Due returns what should be written now, if it should: something that has
// settled is not as it was kept. Nothing is before Call has compared it.
func (r *Roll) Due(now time.Duration) (marks []Mark, due bool) {
	if r.call != 0 {
		return nil, false
	}
	r.forget(now)
	due = r.changed
	for i := range r.all {
		due = due || r.all[i].settled(now) != r.all[i].kept
	}
	if !due || !r.writes.Take(now) {
		return nil, false
	}
	for i := range r.all {
		if m := r.all[i].settled(now); m.Metric != 0 {
			marks = append(marks, m)
		}
	}
	return marks, true
}

// Kept says that what Due returned is on flash.
func (r *Roll) Kept(marks []Mark) {
	r.changed = false
	for i := range r.all {
		e := &r.all[i]
		e.kept = Mark{}
		for _, m := range marks {
			if m.Metric == e.now.Metric && m.Instance == e.now.Instance {
				e.kept = m
			}
		}
	}
}

// settled returns what is to be kept of an entry: what is read once it has
// lasted, until then what was kept before. Without a metric it is nothing.
func (e *entry) settled(now time.Duration) Mark {
	switch {
	case !e.reading || now-e.since < Settled:
		return e.kept
	case !e.isUp:
		return Mark{}
	}
	return e.now
}

// forget drops what is no longer there: a port that the other ports outlived, a
// line of which nothing was read for long.
func (r *Roll) forget(now time.Duration) {
	before := len(r.all)
	r.all = slices.DeleteFunc(r.all, func(e entry) bool {
		if e.now.Metric == catalogue.PortCarrier {
			return r.ports-e.at > Settled
		}
		return now-e.at > forgotten
	})
	r.changed = r.changed || len(r.all) < before
}
