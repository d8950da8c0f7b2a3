package detect

import (
	"math"
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

const (
	blockSize  = 5
	blockLeast = 3             // readings that are enough where more do not come in time
	blockGap   = 2 * time.Hour // between two readings of one block: what is older is left out
	// aMinute is between two readings of a block, so that five make five
	// minutes: a little less, since no source is asked to the second.
	aMinute = 55 * time.Second
	// fifthOfHour is that of levels which follow what people do: what is over
	// within some minutes is not in the median of an hour.
	fifthOfHour = 12*time.Minute - 5*time.Second
)

// A block gathers readings; their median stands for its time.
type block struct {
	values      [blockSize]int32
	n           int
	begun, last time.Duration
}

// add takes a reading, if it is spaced from the last one. Where it ends a
// block, ok, it returns the block's median and when the block began.
func (b *block) add(at, spacing time.Duration, v int32) (m int32, begun time.Duration, ok bool) {
	switch gap := at - b.last; {
	case b.n == 0:
	case gap < 0 || gap > blockGap:
		b.n = 0
	case gap < spacing:
		return 0, 0, false
	}
	if b.n >= blockLeast && at-b.begun > (blockSize+1)*spacing {
		m, begun, ok = medianOf(b.values, b.n), b.begun, true
		b.n = 0
	}
	if b.n == 0 {
		b.begun = at
	}
	b.values[b.n] = v
	b.n++
	b.last = at
	if b.n == blockSize {
		m, begun, ok = medianOf(b.values, b.n), b.begun, true
		b.n = 0
	}
	return m, begun, ok
}

// The judgement of levels: a two-sided cumulative sum of what the medians of
// blocks are beyond the band of the day before, in 256ths of the step that is
// worth an event.
const (
	hours       = 24 // of readings, that make the band
	one         = 256
	allowance   = one / 2     // of each block: half a step or less is none
	mostExcess  = one * 3 / 2 // a block counts no more: it takes half the time at least
	inside      = -one        // of a block inside the band: it ends what did not stay
	leastBlocks = 2           // are beyond the band before anything is told
	usualWeight = 16
	maxBand     = 2 // in steps, that is taken along to a new level
)

// A levelRule says what step of a metric is worth an event.
type levelRule struct {
	step        int32 // 0: percent of what is usual
	percent     int64
	least, most int32
	limit       int32         // of the sum
	spacing     time.Duration // of the readings in a block
	perHour     int           // blocks
	learnt      int           // hours that are enough to judge by
	// trains: the level is set anew where the line trains, or the radio
	// changes its channel.
	trains bool
}

// newLevelRule makes the rule of a metric for a step in its unit, or in per
// cent of what is usual.
func newLevelRule(m catalogue.ID, step float64, percent int64) *levelRule {
	t := catalogue.LookupThreshold(m)
	row, _ := catalogue.Lookup(m)
	r := &levelRule{
		step:    int32(step*float64(perUnit(row)) + 0.5),
		percent: percent,
		least:   int32(t.Least), most: int32(t.Most),
		trains:  m == catalogue.LineDownMargin || m == catalogue.LineUpMargin || m == catalogue.RadioNoise,
		spacing: aMinute, perHour: 12, learnt: 1,
	}
	switch m {
	case catalogue.SensorTemperature, catalogue.OpticTemperature, catalogue.RadioNoise:
		r.spacing, r.perHour, r.learnt = fifthOfHour, 1, 6
	}
	blocks := int32(t.Stay * time.Duration(r.perHour) / time.Hour)
	r.limit = max(leastBlocks, blocks) * (one - allowance)
	return r
}

// A span is the least and the greatest median of some time.
type span struct{ low, high int32 }

func (s *span) add(v int32) { s.low, s.high = min(s.low, v), max(s.high, v) }

// empty is the span of nothing.
var empty = span{math.MaxInt32, math.MinInt32}

// A level finds lasting changes of one gauge.
type level struct {
	rule *levelRule
	block
	ring   [hours]span // hours of readings, whatever time passes between them
	filled int         // of ring
	ready  bool        // it can be judged
	at     int         // of ring, to be written next
	band   span        // of ring
	hour   span        // the hour being gathered
	blocks int         // in it
	usual  int32       // × usualWeight, smoothed

	up, down int32
	onset    time.Duration // when the sums began to grow
	beyond   int           // blocks since then
}

func (l *level) observe(d *Detectors, e *entry, m catalogue.ID, v int64) {
	r := l.rule
	if v < int64(r.least) || v > int64(r.most) {
		return
	}
	if median, begun, ok := l.add(d.at, r.spacing, bounded(v)); ok {
		l.judge(d, e, median, begun)
	}
}

// step is the change that is worth an event.
func (l *level) step() int32 {
	if l.rule.step > 0 {
		return l.rule.step
	}
	return max(1, int32(int64(l.usual/usualWeight)*l.rule.percent/100))
}

// judge takes the median of a block.
func (l *level) judge(d *Detectors, e *entry, v int32, begun time.Duration) {
	if !l.ready {
		l.learn(v)
		return
	}
	step := l.step()
	quiet := l.up == 0 && l.down == 0
	l.up = sum(l.up, v-l.band.high, step)
	l.down = sum(l.down, l.band.low-v, step)
	if l.up == 0 && l.down == 0 {
		l.learn(v)
		return
	}
	if quiet {
		l.onset, l.beyond = begun, 0
	}
	if l.beyond++; l.beyond < leastBlocks || l.up < l.rule.limit && l.down < l.rule.limit {
		return // the band stays as it is until this is decided
	}
	before := l.usual / usualWeight
	l.move(v)
	if d.cfg.Step {
		d.tell(e, sample.Sign{At: l.onset, Kind: sample.Stepped, Metric: e.metric, Before: int64(before), After: int64(v)})
	}
}

// sum adds to a cumulative sum what a block is beyond the band.
func sum(s, beyond, step int32) int32 {
	x := int32(inside)
	if beyond > 0 {
		x = int32(min(int64(beyond)*one/int64(step), mostExcess))
	}
	return max(0, s+x-allowance)
}

// learn makes the band of what is usual.
func (l *level) learn(v int32) {
	if l.blocks == 0 {
		l.hour = empty
	}
	if l.usual == 0 && l.filled == 0 && l.blocks == 0 {
		l.usual = v * usualWeight
	} else {
		l.usual += v - l.usual/usualWeight
	}
	l.hour.add(v)
	if l.blocks++; l.blocks < l.rule.perHour {
		return
	}
	l.push(l.hour)
}

// push puts an hour into the ring.
func (l *level) push(s span) {
	l.blocks = 0
	l.ring[l.at] = s
	l.at = (l.at + 1) % hours
	l.filled = min(l.filled+1, hours)
	l.ready = l.ready || l.filled >= l.rule.learnt
	l.band = empty
	for _, s := range l.ring[:l.filled] {
		l.band.add(s.low)
		l.band.add(s.high)
	}
}

// move goes on at a new level: the band is as wide as it was, around v.
func (l *level) move(v int32) {
	width := min(l.band.high-l.band.low, maxBand*l.step())
	l.restart(span{v - width/2, v + width/2}, v)
}

func (l *level) restart(s span, usual int32) {
	l.up, l.down, l.at, l.filled, l.n = 0, 0, 0, 0, 0
	l.usual = usual * usualWeight
	l.push(s)
	l.ready = true
}

// relearn forgets the level: it was set anew for a reason that is known.
func (l *level) relearn() { *l = level{rule: l.rule} }

// relearn lets the level of an instance be learnt anew.
func (d *Detectors) relearn(m catalogue.ID, instance string) {
	if e := d.index[key{m, instance}]; e != nil {
		if l, ok := e.state.(*level); ok {
			l.relearn()
		}
	}
}

// A channel watches the channel of a radio: the noise of another channel is
// another noise.
type channel struct {
	last  int64
	known bool
}

func (c *channel) observe(d *Detectors, e *entry, _ catalogue.ID, v int64) {
	if c.known && v != c.last {
		d.relearn(catalogue.RadioNoise, e.instance)
	}
	c.last, c.known = v, true
}
