package signals

import (
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

const (
	// cleanings are the times in a year that someone moves the box, or cleans
	// behind it, and pulls every cable within half a minute.
	cleanings = 2
	// staysOff is the part of the devices that stay off after a power cut until
	// someone starts them; half of those keep a slow link meanwhile.
	staysOff = 0.25
)

// speeds of links, in Mbit/s: of a device that runs, and of one that waits to be
// woken.
const (
	fullSpeed = 1000
	slowSpeed = 100
)

func (h *Home) nextCleaning() {
	h.cleaning = h.Now + time.Duration(h.life.ExpFloat64()/cleanings*365*float64(day))
}

// clean pulls every cable where it is time to, one after the other.
func (h *Home) clean() {
	if h.life == nil || h.quiet || h.Now < h.cleaning {
		return
	}
	for _, p := range h.ports {
		if p.isDown || h.Now < p.pulledAt {
			continue
		}
		p.pulledAt = h.Now + time.Duration(h.life.IntN(3))*tick
		p.pulledFor = 2*minute + time.Duration(h.life.IntN(8))*minute
	}
	h.nextCleaning()
}

// darken is a power cut of the whole home: some devices will stay off.
func (h *Home) darken() {
	if h.life == nil {
		return
	}
	for _, p := range h.ports {
		if p.isDown || h.life.Float64() >= h.staysOff {
			continue
		}
		stays := time.Duration(float64(h.life.IntN(12)+1) * float64(time.Hour))
		if h.life.IntN(2) == 0 {
			p.slowUntil = h.Now + stays
		} else {
			p.offUntil = h.Now + stays
		}
	}
}

// resume lets go of what devices would have done while the box was off: they did
// it without it.
func (h *Home) resume() {
	if h.life == nil {
		return
	}
	for _, p := range h.ports {
		for _, d := range []*due{&p.pull, &p.start, &p.sleep} {
			if h.Now >= d.at {
				d.draw(h)
			}
		}
	}
}

// link reads the link of a port, after what life does to it.
func (p *portModel) link(h *Home, b *sample.Batch) {
	if p.pulledFor > 0 && h.Now >= p.pulledAt {
		p.down(h, p.pulledFor)
		p.pulledFor = 0
	}
	if p.isDown || h.Now < p.offUntil {
		b.Add(catalogue.PortCarrier, p.name, 0)
		return
	}
	b.Add(catalogue.PortCarrier, p.name, 1)
	mbits := int64(fullSpeed)
	if h.Now < p.slowUntil {
		mbits = slowSpeed
	}
	b.Add(catalogue.PortBitRate, p.name, mbits)
}
