package detect

import (
	"slices"

	"livebox-agent/collector/catalogue"
)

// A Baseline is what is usual for one instance, to be kept over a restart: a
// step that came with a loss of power is then seen after it.
type Baseline struct {
	Metric   catalogue.ID
	Instance string
	// Low, Usual and High are in units of the metric's readings. For ProbeRTT
	// Usual is the 95th percentile, and Low and High are the same.
	Low, Usual, High int64
}

// A baselined state knows what is usual.
type baselined interface {
	baseline() (b Baseline, ok bool)
	restore(b Baseline)
}

// Baselines returns what is usual, in a fixed order. What is not known yet is
// not there, nor what a restart sets anew (margin, noise of a channel).
func (d *Detectors) Baselines() []Baseline {
	var all []Baseline
	for _, e := range d.index {
		s, ok := e.state.(baselined)
		if !ok {
			continue
		}
		if b, ok := s.baseline(); ok {
			b.Metric, b.Instance = e.metric, e.instance
			all = append(all, b)
		}
	}
	for _, b := range d.baselines { // not seen again yet
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b Baseline) int {
		if (&entry{key: key{a.Metric, a.Instance}}).less(&entry{key: key{b.Metric, b.Instance}}) {
			return -1
		}
		return 1
	})
	return all
}

// Restore gives back what Baselines gave before a restart, to detectors that
// have seen nothing yet. What is not sound, or too much, is left out.
func (d *Detectors) Restore(all []Baseline) {
	d.baselines = map[key]Baseline{}
	for _, b := range all {
		if b.Low > b.Usual || b.Usual > b.High || b.Low < -maxValue || b.High > maxValue || len(d.baselines) >= maxBaselines {
			continue
		}
		if int(b.Metric) >= len(d.routes) {
			continue
		}
		switch rt := d.routes[b.Metric]; rt.kind {
		case ofLevel, ofTemperature, ofRail, ofPath:
			d.baselines[key{b.Metric, b.Instance}] = b
		}
	}
}

// maxBaselines bounds what Restore takes.
const maxBaselines = 128

func (l *level) baseline() (Baseline, bool) {
	if !l.ready || l.rule.trains {
		return Baseline{}, false
	}
	usual := min(max(l.usual/usualWeight, l.band.low), l.band.high)
	return Baseline{Low: int64(l.band.low), Usual: int64(usual), High: int64(l.band.high)}, true
}

func (l *level) restore(b Baseline) {
	if l.rule.trains || b.Low < int64(l.rule.least) || b.High > int64(l.rule.most) {
		return
	}
	l.restart(span{int32(b.Low), int32(b.High)}, int32(b.Usual))
}

func (q *delay) baseline() (Baseline, bool) {
	u := q.usual / fine
	return Baseline{Low: u, Usual: u, High: u}, q.learnt >= enoughBlocks
}

func (q *delay) restore(b Baseline) {
	if b.Usual > 0 {
		q.usual, q.learnt = b.Usual*fine, enoughBlocks
	}
}
