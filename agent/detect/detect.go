package detect

import (
	"math"
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

// A route says whose state the readings of a metric go to.
type route struct {
	kind kind
	// key is the metric that the state goes by: several metrics may go to one.
	key catalogue.ID
}

// Detectors find signs in readings. They are not safe for concurrent use.
type Detectors struct {
	cfg    Config
	routes []route // by metric
	levels map[catalogue.ID]*levelRule
	table

	at        time.Duration
	emit      func(sample.Sign)
	batch     uint32
	touched   []*entry // of this batch, to be finished
	flapping  int      // ports
	tick      time.Duration
	swept     time.Duration
	baselines map[key]Baseline // given by Restore, and not yet taken
}

const (
	tickEvery  = 10 * time.Second
	sweepEvery = 10 * time.Minute
	// maxTouched bounds the states of one batch that are finished at its end.
	maxTouched = 256
	// maxValue bounds values, so that no sum overflows.
	maxValue = 1 << 26
)

// New returns detectors that know nothing yet. The configuration has been
// validated.
func New(cfg Config) *Detectors {
	d := &Detectors{cfg: cfg, table: newTable(), levels: map[catalogue.ID]*levelRule{}, touched: make([]*entry, 0, maxTouched)}
	d.routes = make([]route, 256)
	on := func(enabled bool, of kind, key catalogue.ID, metrics ...catalogue.ID) {
		for _, m := range metrics {
			if enabled {
				d.route(m, route{of, key})
			}
		}
	}
	level := func(step float64, metrics ...catalogue.ID) {
		for _, m := range metrics {
			d.levels[m] = newLevelRule(m, step, 0)
			on(cfg.Step, ofLevel, m, m)
		}
	}
	level(cfg.MarginStep, catalogue.LineDownMargin, catalogue.LineUpMargin)
	level(cfg.AttenuationStep, catalogue.LineDownAttenuation, catalogue.LineUpAttenuation)
	level(cfg.OpticalStep, catalogue.OpticRxPower, catalogue.OpticTxPower)
	level(cfg.NoiseStep, catalogue.RadioNoise)
	on(cfg.Step, ofChannel, catalogue.RadioChannel, catalogue.RadioChannel)
	for _, m := range []catalogue.ID{catalogue.SensorTemperature, catalogue.OpticTemperature} {
		d.levels[m] = newLevelRule(m, cfg.TemperatureStep, 0)
		on(cfg.Step || cfg.Thermal, ofTemperature, m, m)
	}
	for _, m := range []catalogue.ID{catalogue.SensorVoltage, catalogue.OpticVoltage} {
		d.levels[m] = newLevelRule(m, 0, int64(cfg.RailStep))
		on(cfg.Step || cfg.Rail, ofRail, m, m)
	}
	// The line's state tells the step detector of trainings, also where no one
	// asks for signs of the line itself.
	on(cfg.Line || cfg.Step, ofLine, catalogue.LineStatus, catalogue.LineStatus, catalogue.LineLastChange, catalogue.LineRetrains)
	on(cfg.Line, ofLine, catalogue.LineStatus, errorMetrics[:]...)
	on(cfg.Line, ofOptic, catalogue.OpticState, catalogue.OpticState)
	on(cfg.Flapping, ofPort, catalogue.PortCarrierDowns, catalogue.PortCarrierDowns)
	on(cfg.Quality, ofPath, catalogue.ProbeRTT, catalogue.ProbeRTT, catalogue.ProbeSent, catalogue.ProbeReceived, catalogue.ProbeSkipped)
	on(cfg.Coverage, ofStation, catalogue.StationSignal, catalogue.StationSignal, catalogue.StationBytesSent, catalogue.StationBytesReceived)
	on(cfg.Association, ofAssociation, catalogue.RadioAssociationFailures, catalogue.RadioAssociationFailures)
	return d
}

func (d *Detectors) route(m catalogue.ID, r route) {
	for int(m) >= len(d.routes) {
		d.routes = append(d.routes, route{})
	}
	d.routes[m] = r
}

// Observe takes the readings of one source at one instant and gives what it
// finds to emit. Batches of a source come in order of time. The batch is not
// kept.
func (d *Detectors) Observe(b *sample.Batch, emit func(sample.Sign)) {
	d.at, d.emit = b.At, emit
	d.batch++
	d.touched = d.touched[:0]
	for i := range b.Readings {
		r := &b.Readings[i]
		if int(r.Metric) >= len(d.routes) {
			continue
		}
		rt := d.routes[r.Metric]
		if rt.kind == none {
			continue
		}
		e := d.find(key{rt.key, r.Instance})
		if e == nil {
			if e = d.start(key{rt.key, r.Instance}, rt.kind); e == nil {
				continue
			}
		}
		if e.batch != d.batch {
			e.batch, e.seen = d.batch, b.At
			if _, ok := e.state.(finisher); ok && len(d.touched) < maxTouched {
				d.touched = append(d.touched, e)
			}
		}
		e.state.observe(d, e, r.Metric, r.Value)
	}
	for _, e := range d.touched {
		if s, ok := e.state.(finisher); ok { // not removed in the meantime
			s.finish(d, e)
		}
	}
	d.due(b.At)
}

// start makes the state of an instance seen for the first time.
func (d *Detectors) start(k key, of kind) *entry {
	e := d.add(k, of, d.at)
	if e == nil {
		return nil
	}
	switch of {
	case ofLevel:
		e.state = &level{rule: d.levels[k.metric]}
	case ofTemperature:
		e.state = newTemperature(d, k.metric)
	case ofRail:
		e.state = &rail{level: level{rule: d.levels[k.metric]}, since: never}
	case ofLine:
		e.state = &line{}
	case ofOptic:
		e.state = &optic{}
	case ofPort:
		e.state = &port{}
	case ofChannel:
		e.state = &channel{}
	case ofPath:
		e.state = &path{}
	case ofStation:
		e.state = &station{}
	case ofAssociation:
		e.state = &association{}
	}
	if b, ok := d.baselines[k]; ok {
		delete(d.baselines, k)
		e.state.(baselined).restore(b)
	}
	return e
}

// Notice takes a sign that was pushed (a link that went down, a message of the
// kernel) and gives it to emit, but for those of a link that flaps: the first
// and the last of those are told, and that it flaps. What a chip's alarm and its
// readings both say of a temperature is told once.
func (d *Detectors) Notice(s sample.Sign, emit func(sample.Sign)) {
	d.emit = emit
	switch s.Kind {
	case sample.PortDown, sample.PortUp, sample.PortSlower:
		if e := d.noticed(d.cfg.Flapping, key{catalogue.PortCarrierDowns, s.Instance}, ofPort, s.At); e != nil {
			e.state.(*port).notice(d, e, s)
			return
		}
	case sample.Hot, sample.Cooled:
		if e := d.noticed(d.cfg.Thermal, key{catalogue.SensorTemperature, s.Instance}, ofTemperature, s.At); e != nil {
			e.state.(*temperature).alarm(d, e, s)
			return
		}
	}
	emit(s)
}

// noticed returns the entry that a pushed sign is of; nil where it is not looked
// at, or one too many: it is then told as it is.
func (d *Detectors) noticed(enabled bool, k key, of kind, at time.Duration) *entry {
	if !enabled {
		return nil
	}
	e := d.find(k)
	if e == nil {
		d.at = at
		if e = d.start(k, of); e == nil {
			return nil
		}
	}
	e.seen = max(e.seen, at)
	return e
}

// Tick tells what follows from time alone (a link that flaps no more) and lets
// old instances go. Observe does the same, so it is needed only where nothing
// is sampled for long.
func (d *Detectors) Tick(now time.Duration, emit func(sample.Sign)) {
	d.emit = emit
	d.due(now)
}

func (d *Detectors) due(now time.Duration) {
	if now < d.tick {
		return
	}
	d.tick = now + tickEvery
	if d.flapping > 0 {
		for _, e := range d.index {
			if p, ok := e.state.(*port); ok && p.flapping {
				p.calm(d, e, now)
			}
		}
	}
	if now-d.swept >= sweepEvery {
		d.swept = now
		d.sweep(now)
	}
}

// Forget forgets what was learnt under a purpose that is no longer granted.
func (d *Detectors) Forget(p catalogue.Purpose) {
	d.forget(p)
	for k := range d.baselines {
		if m, _ := catalogue.Lookup(k.metric); m.Purpose == p {
			delete(d.baselines, k)
		}
	}
}

// tell gives a sign of an entry.
func (d *Detectors) tell(e *entry, s sample.Sign) {
	s.Instance = e.instance
	d.emit(s)
}

// bounded returns v as a number that can be summed without a care.
func bounded(v int64) int32 { return int32(min(max(v, -maxValue), maxValue)) }

// A bucket fills with what happens and drains with time: one unit a unit.
type bucket struct{ full, at time.Duration }

// drain returns what is in it at that time.
func (b *bucket) drain(at time.Duration) time.Duration {
	if at > b.at {
		b.full = max(0, b.full-(at-b.at))
	}
	b.at = at
	return b.full
}

// pour adds n times amount and returns what is in it then, at most limit.
func (b *bucket) pour(at time.Duration, n int64, amount, limit time.Duration) time.Duration {
	b.drain(at)
	if n >= int64(limit/amount) {
		b.full = limit
	} else {
		b.full = min(limit, b.full+time.Duration(n)*amount)
	}
	return b.full
}

// A window counts what happened in a time that has just passed, or up to a
// quarter longer.
type window struct {
	counts [5]int64
	slot   int64
}

// add counts n more and returns how many there are within that time.
func (w *window) add(at, within time.Duration, n int64) (total int64) {
	const slots = int64(len(w.counts))
	slot := int64(max(at, 0) / (within / time.Duration(slots-1)))
	if gone := slot - w.slot; gone < 0 || gone >= slots {
		w.counts = [5]int64{}
	} else {
		for i := range gone {
			w.counts[(w.slot+1+i)%slots] = 0
		}
	}
	w.slot = slot
	w.counts[slot%slots] += n
	for _, c := range w.counts {
		total += c
	}
	return total
}

// atOnce bounds what one instance tells of a kind: five at once and five more
// in the hour, ten in any hour.
const (
	atOnce  = 5
	oneSign = time.Hour / atOnce
)

// allow tells whether one more sign may be told.
func (b *bucket) allow(at time.Duration) bool {
	if b.drain(at)+oneSign > time.Hour {
		return false
	}
	b.full += oneSign
	return true
}

// medianOf returns the median of at most five values.
func medianOf(v [5]int32, n int) int32 {
	for i := 1; i < n; i++ {
		for j := i; j > 0 && v[j] < v[j-1]; j-- {
			v[j], v[j-1] = v[j-1], v[j]
		}
	}
	return v[n/2]
}

const never = math.MinInt64
