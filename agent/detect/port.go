package detect

import (
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

const (
	// steadyAfter is how long a link that flapped must not change.
	steadyAfter = 10 * time.Minute
	// eachFlap drains from a port's bucket: ten an hour may go on for ever.
	eachFlap = 6 * time.Minute
)

// A port counts how often its link goes down: by signs that are pushed, and by
// the kernel's counter, which misses none. Both count the same, so what counts
// is whichever has more.
type port struct {
	bucket
	pushed, counted int64 // since the port is known
	last            int64 // the counter's last reading
	has             bool

	flapping bool
	first    int64         // downs before it flapped
	changed  time.Duration // when the link last changed
	// What was told of the link last, and what would have been.
	told, held sample.Sign
}

func (p *port) downs() int64 { return max(p.pushed, p.counted) }

func (p *port) observe(d *Detectors, e *entry, _ catalogue.ID, v int64) {
	if !p.has || v < p.last {
		p.last, p.has = v, true
		p.counted = max(p.counted, p.pushed)
		return
	}
	was := p.downs()
	p.counted += v - p.last
	p.last = v
	if n := p.downs() - was; n > 0 {
		p.flap(d, e, d.at, n)
	}
}

// notice takes a pushed sign of the link.
func (p *port) notice(d *Detectors, e *entry, s sample.Sign) {
	was := p.downs()
	if s.Kind == sample.PortDown {
		p.pushed++
	}
	if n := p.downs() - was; n > 0 {
		p.flap(d, e, s.At, n)
	}
	if p.flapping {
		p.changed = s.At
		if s.Kind != sample.PortSlower {
			p.held = s
		}
		return
	}
	if s.Kind != sample.PortSlower {
		p.told = s
	}
	d.emit(s)
}

// flap takes n downs.
func (p *port) flap(d *Detectors, e *entry, at time.Duration, n int64) {
	limit := time.Duration(d.cfg.Flaps) * eachFlap
	full := p.pour(at, n, eachFlap, limit)
	p.changed = at
	if p.flapping || full < limit-eachFlap/2 {
		return
	}
	d.flapping++
	p.flapping, p.first = true, p.downs()-int64((full+eachFlap/2)/eachFlap)
	d.tell(e, p.sign(sample.PortFlapping, at))
}

// sign says how often the link went down: before it flapped, and until now.
func (p *port) sign(kind sample.SignKind, at time.Duration) sample.Sign {
	return sample.Sign{At: at, Kind: kind, Metric: catalogue.PortCarrierDowns, Before: max(0, p.first), After: p.downs()}
}

// calm ends the flapping of a link that has not changed for long, and tells
// how it was left where that is not what was last told.
func (p *port) calm(d *Detectors, e *entry, now time.Duration) {
	if now-p.changed < steadyAfter {
		return
	}
	d.flapping--
	p.flapping = false
	d.tell(e, p.sign(sample.PortSteady, now))
	if p.held.Kind != 0 && p.held.Kind != p.told.Kind {
		p.told = p.held
		d.emit(p.held)
	}
	p.held = sample.Sign{}
}
