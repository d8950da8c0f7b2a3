package detect

import (
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

// errorMetrics are the counters whose bursts are told.
var errorMetrics = [...]catalogue.ID{
	catalogue.LineDownSES, catalogue.LineUpSES, catalogue.LineDownUAS,
	catalogue.LineUpUAS, catalogue.LineDownLOS, catalogue.LineUpLOS,
}

const (
	unknownState = 0 // of LineStatus and OpticState
	lineIsUp     = 1 // LineStatus, in the order of its States
	// explained is how long after a training errors are taken for its own:
	// modems count the time of a training as unavailable.
	explained = 5 * time.Minute
)

// A link is the state of a copper line or of an optical unit.
type link struct {
	last    int64
	changed uint32 // the batch of the last change
	lost    bool   // it went down, and that was told
	told    bucket
}

// become takes the state.
func (l *link) become(d *Detectors, e *entry, m catalogue.ID, v, up int64) {
	if v == unknownState || v == l.last {
		return
	}
	was := l.last
	l.last, l.changed = v, d.batch
	switch {
	case was == up:
		if d.cfg.Line && l.told.allow(d.at) {
			l.lost = true
			d.tell(e, sample.Sign{At: d.at, Kind: sample.LineDown, Metric: m, Before: was, After: v})
		}
	case v == up && l.lost:
		l.lost = false
		d.tell(e, sample.Sign{At: d.at, Kind: sample.LineUp, Metric: m, Before: was, After: v})
	}
}

// An optic is an optical unit.
type optic struct{ link }

func (o *optic) observe(d *Detectors, e *entry, m catalogue.ID, v int64) {
	o.become(d, e, m, v, catalogue.OpticStateO5)
}

// A line is a copper line. What one batch says of it is judged together.
type line struct {
	link
	retrains, showtime count
	errors             [len(errorMetrics)]burst
	trained            bool          // in this batch
	until              time.Duration // trainings explain errors until then
	toldTrained        bucket
}

// A count is the last reading of a total, and of this batch how much it grew.
type count struct {
	last, grew int64
	at         time.Duration // of the last reading
	over       time.Duration // which grew took
	has        bool
}

// take takes a reading. A total that falls was reset and has grown by nothing.
func (c *count) take(at time.Duration, v int64) {
	c.grew, c.over = 0, 0
	if c.has && v > c.last && at > c.at {
		c.grew, c.over = v-c.last, at-c.at
	}
	c.last, c.at, c.has = v, at, true
}

// within returns how much of the growth is of the last d: where nothing was
// read for longer, its part.
func (c *count) within(d time.Duration) int64 {
	if c.grew == 0 || c.over <= d {
		return c.grew
	}
	return max(1, int64(float64(c.grew)*float64(d)/float64(c.over)))
}

func (l *line) observe(d *Detectors, e *entry, m catalogue.ID, v int64) {
	switch m {
	case catalogue.LineStatus:
		l.become(d, e, m, v, lineIsUp)
		l.trained = l.trained || l.changed == d.batch
	case catalogue.LineRetrains:
		l.retrains.take(d.at, v)
	case catalogue.LineLastChange:
		before := l.showtime.last
		fell := l.showtime.has && v < before
		l.showtime.take(d.at, v)
		if !fell || l.last != lineIsUp || l.changed == d.batch {
			return
		}
		l.trained = true
		if !l.retrains.has { // this box does not count trainings
			l.retrained(d, e, m, before, v)
		}
	default:
		for i := range errorMetrics {
			if errorMetrics[i] == m {
				l.errors[i].take(d.at, v)
			}
		}
	}
}

// retrained tells of a training.
func (l *line) retrained(d *Detectors, e *entry, m catalogue.ID, before, after int64) {
	if d.cfg.Line && l.toldTrained.allow(d.at) {
		d.tell(e, sample.Sign{At: d.at, Kind: sample.LineRetrained, Metric: m, Before: before, After: after})
	}
}

func (l *line) finish(d *Detectors, e *entry) {
	if r := &l.retrains; r.grew > 0 {
		l.retrained(d, e, catalogue.LineRetrains, r.last-r.grew, r.last)
		r.grew, l.trained = 0, true
	}
	if l.trained {
		// The margin was set anew, and may have been given another target.
		l.trained, l.until = false, d.at+explained
		d.relearn(catalogue.LineDownMargin, e.instance)
		d.relearn(catalogue.LineUpMargin, e.instance)
	}
	down := l.last != lineIsUp && l.last != unknownState
	for i := range l.errors {
		b := &l.errors[i]
		if b.grew > 0 && !down && d.at >= l.until {
			b.judge(d, e, errorMetrics[i])
		}
		b.grew = 0
	}
}

const (
	errorWindow = 15 * time.Minute
	// mostUsual is how much more than usual a bad line must have.
	mostUsual = 5
	rearmed   = time.Hour
	// aDay is how many windows what is usual is smoothed over.
	aDay = 96
)

// A burst is a counter that should hardly count. Where it always does, what is
// usual for it is learnt.
type burst struct {
	count
	window
	usual int64         // in errorWindow, × aDay, smoothed
	now   int64         // in the present errorWindow
	begun time.Duration // the present one
	told  time.Duration // the last time that it was too much; 0: never
}

func (b *burst) judge(d *Detectors, e *entry, m catalogue.ID) {
	n := b.within(explained)
	least := int64(d.cfg.ErroredSeconds)
	if m == catalogue.LineDownLOS || m == catalogue.LineUpLOS {
		least = catalogue.LookupThreshold(m).Burst
	}
	enough := max(least, min(mostUsual*b.usual/aDay, 900))
	b.pass(d.at, enough)
	b.now += n
	total := b.add(d.at, errorWindow, n)
	if total < enough {
		return
	}
	quiet := b.told == 0 || d.at < b.told || d.at-b.told >= rearmed
	b.told = d.at
	if quiet {
		d.tell(e, sample.Sign{At: d.at, Kind: sample.LineErrors, Metric: m, Before: b.last - total, After: b.last})
	}
}

// pass ends the windows that are over.
func (b *burst) pass(at time.Duration, enough int64) {
	if at < b.begun {
		b.begun = at
	}
	for n := min((at-b.begun)/errorWindow, 4*aDay); n > 0; n-- {
		b.usual += min(b.now, 2*enough) - b.usual/aDay
		b.now = 0
	}
	if at-b.begun >= errorWindow {
		b.begun = at
	}
}
