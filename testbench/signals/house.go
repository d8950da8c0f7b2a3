package signals

import (
	"math"
	"strconv"
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

// A sensorModel is the box's own sensors.
type sensorModel struct {
	noise  [3]float64
	load   ar // of the processor, over minutes
	busy   due
	until  time.Duration // the box works hard
	works  float64
	core   float64
	glitch due
}

var temperatures = [3]string{"soc", "wifi0", "board"}

// Rails of the box: the adapter's, one of the board's, the processor's.
const (
	AdapterRail = "in0"
	boardRail   = "in1"
	coreRail    = "core"
)

func (s *sensorModel) init(h *Home) {
	s.load = ar{phi: 0.99, sigma: 0.15}
	s.busy, s.glitch = h.every(6), h.every(1.0/30)
	s.core = 0.85
}

func (s *sensorModel) read(h *Home, b *sample.Batch) {
	if s.busy.now(h) && !h.quiet {
		s.until, s.works = h.Now+h.lognormal(20*minute, 1), 3+6*h.r.Float64()
	}
	load := s.load.next(h.r)
	extra := 1.5 * h.evening
	if h.Now < s.until {
		extra += s.works
	}
	warm := 1 - math.Exp(-h.up().Minutes()/15)
	for i, name := range temperatures {
		s.noise[i] = 0.98*s.noise[i] + 0.06*h.r.NormFloat64()
		v := h.ambientIs + (float64(32-8*i)+extra*float64(3-i)/3+2*load)*warm + s.noise[i] + h.shift(catalogue.SensorTemperature, name)
		if f := h.fault(Heat, name); f != nil {
			v = 100 + f.Size
		}
		b.Add(catalogue.SensorTemperature, name, quantise(1000*v, float64(100+400*(i/2))))
	}
	adapter := 12.15 - 0.12*load - 0.02*extra + 0.02*h.r.NormFloat64()
	if f := h.fault(Sag, AdapterRail); f != nil {
		adapter *= 1 - f.Size/100
	}
	glitch := s.glitch.now(h) && !h.quiet
	if glitch {
		adapter = 0 // the converter did not answer in time
	}
	b.Add(catalogue.SensorVoltage, AdapterRail, quantise(1000*(adapter+h.shift(catalogue.SensorVoltage, AdapterRail)), 47))
	b.Add(catalogue.SensorVoltage, boardRail, quantise(3312+8*h.r.NormFloat64(), 16))
	if h.r.IntN(8) == 0 { // the processor's rail follows its clock
		s.core = 0.85 + 0.1*float64(h.r.IntN(3))
	}
	b.Add(catalogue.SensorVoltage, coreRail, int64(1000*s.core))
}

// A portModel is an Ethernet port with what hangs on it.
type portModel struct {
	name    string
	downs   int64
	isDown  bool
	back    time.Duration // when the link is back; 0: it is up
	rest    int           // downs that a starting device still makes
	pull    due
	start   due
	sleep   due
	flapped time.Duration

	// What life does to it: a cable that is pulled, a device that stays off.
	pulledAt, pulledFor time.Duration
	offUntil, slowUntil time.Duration
}

func newPort(h *Home, i int) *portModel {
	p := &portModel{name: "eth" + strconv.Itoa(i), downs: int64(i)}
	if h.quiet {
		p.pull, p.start, p.sleep = h.every(0), h.every(0), h.every(0)
		return p
	}
	p.pull = h.every(0.05)
	p.start, p.sleep = h.every([4]float64{0, 0.5, 1, 2}[i]), h.every([4]float64{0, 0, 1, 10}[i])
	return p
}

func (p *portModel) down(h *Home, lasts time.Duration) {
	if p.isDown {
		return
	}
	p.isDown, p.back = true, h.Now+lasts
	p.downs++
	h.push(sample.PortDown, p.name)
}

func (p *portModel) step(h *Home) {
	switch {
	case p.isDown && h.Now >= p.back:
		p.isDown = false
		h.push(sample.PortUp, p.name)
		if p.rest > 0 {
			p.rest--
			p.back = h.Now + 10*time.Second
		}
	case !p.isDown && p.back > 0 && h.Now >= p.back && p.rest > 0:
		p.down(h, 10*time.Second)
	}
	if p.pull.now(h) {
		p.down(h, h.lognormal(10*minute, 1.5))
	}
	if p.start.now(h) { // a computer starts: its link comes and goes
		p.rest = 1 + h.r.IntN(2)
		p.down(h, 10*time.Second)
	}
	if p.sleep.now(h) {
		p.down(h, h.lognormal(10*minute, 0.5))
	}
	if f := h.fault(Flap, p.name); f != nil && h.Now-p.flapped >= time.Duration(f.Size)*time.Second {
		p.flapped = h.Now
		p.down(h, 0)
	}
}

func (h *Home) readPorts(_ *Home, b *sample.Batch) {
	for _, p := range h.ports {
		p.step(h)
		b.Add(catalogue.PortCarrierDowns, p.name, p.downs)
		if h.life != nil {
			p.link(h, b)
		}
	}
}

// A stationModel is a device in the home's Wi-Fi.
type stationModel struct {
	name      string
	level     float64
	noise     float64
	here      bool
	comes     due
	goes      due
	moves     due
	mobile    bool
	talks     bool // it has traffic
	turn      due
	fadeUntil time.Duration
	fade      due
	total     int64
}

// Moving is the station that Weak moves.
const Moving = "s0"

func newStation(h *Home, i int) *stationModel {
	s := &stationModel{name: "s" + strconv.Itoa(i), mobile: i < 3, here: true}
	s.place(h)
	if i == 4 { // a sensor far away that hardly says a thing
		s.level = -82
	}
	s.comes, s.goes = h.every(3), h.every(2)
	s.moves, s.turn, s.fade = h.every(20), h.every(60), h.every(60)
	return s
}

// place puts a station where there is coverage.
func (s *stationModel) place(h *Home) { s.level = -40 - 31*h.r.Float64() }

func (h *Home) readStations(_ *Home, b *sample.Batch) {
	for i, s := range h.stations {
		if s.here && s.mobile && s.goes.now(h) && !h.quiet {
			s.here = false
			s.comes.draw(h)
		} else if !s.here && s.comes.now(h) {
			s.here = true
			s.goes.draw(h)
		}
		weak := h.fault(Weak, s.name)
		if !s.here && weak == nil {
			continue
		}
		if s.mobile && s.moves.now(h) {
			s.place(h)
		}
		if s.turn.now(h) {
			s.talks = h.r.IntN(2) == 0
		}
		if s.fade.now(h) { // someone walks by, or carries it through a bad spot
			s.fadeUntil = h.Now + time.Duration(10+h.r.IntN(30))*time.Second
		}
		s.noise = 0.8*s.noise + 1.2*h.r.NormFloat64()
		v, talks := s.level+s.noise, s.talks && i != 4
		if h.Now < s.fadeUntil {
			v -= 10
		}
		if weak != nil {
			v, talks = weak.Size+s.noise, true
		}
		s.total += 1500 + h.r.Int64N(3000) // what every device says
		if talks {
			s.total += 100_000 + h.r.Int64N(2_000_000)
		}
		b.Add(catalogue.StationSignal, s.name, quantise(v, 1))
		b.Add(catalogue.StationBytesSent, s.name, s.total)
		b.Add(catalogue.StationBytesReceived, s.name, s.total/20)
	}
}

// A probeModel is the probes to the first hop.
type probeModel struct {
	base, crowd    float64 // ms
	drift          ar
	sent, received int64
	skipped        int64
	own            due
	ownUntil       time.Duration
	ownTakes       float64
}

// Reflector is what answers the probes.
const Reflector = "first_hop"

func (p *probeModel) init(h *Home) {
	p.base = 2 + 18*h.r.Float64()
	p.drift = ar{phi: 0.98, sigma: 0.3}
	p.own = h.every(2)
	switch x := h.r.Float64(); {
	case h.quiet:
	case x < 0.05: // the street shares too little
		p.crowd = 25
	case x < 0.35:
		p.crowd = p.base * (0.1 + 0.5*h.r.Float64())
	}
}

func (p *probeModel) read(h *Home, b *sample.Batch) {
	if p.own.now(h) && !h.quiet {
		p.ownUntil, p.ownTakes = h.Now+h.lognormal(8*minute, 0.8), 20+40*h.r.Float64()
	}
	rtt := p.base + p.drift.next(h.r) + 0.3*h.r.ExpFloat64() + p.crowd*h.evening*(0.7+0.6*h.r.Float64())
	if h.Now < p.ownUntil {
		if h.r.IntN(5) > 0 { // the round is left out: the line is busy
			p.skipped++
			b.Add(catalogue.ProbeSent, Reflector, p.sent)
			b.Add(catalogue.ProbeReceived, Reflector, p.received)
			b.Add(catalogue.ProbeSkipped, Reflector, p.skipped)
			return
		}
		rtt += p.ownTakes
	}
	if h.r.IntN(500) == 0 {
		rtt += 50 * h.r.ExpFloat64()
	}
	lose := 0.001 + 0.004*h.evening*min(1, p.crowd/10)
	if f := h.fault(Delay, Reflector); f != nil {
		rtt += f.Size
	}
	if f := h.fault(Drop, Reflector); f != nil {
		lose += f.Size / 100
	}
	got := int64(0)
	for range 10 {
		if h.r.Float64() >= lose {
			got++
		}
	}
	p.sent += 10
	p.received += got
	if got > 0 {
		b.Add(catalogue.ProbeRTT, Reflector, int64(1000*max(rtt, 0.2)))
	}
	b.Add(catalogue.ProbeSent, Reflector, p.sent)
	b.Add(catalogue.ProbeReceived, Reflector, p.received)
	b.Add(catalogue.ProbeSkipped, Reflector, p.skipped)
}

// A radioModel is a radio of the box.
type radioModel struct {
	name    string
	level   float64
	noise   ar
	channel int64
	changes due
	crowd   due
	until   time.Duration
	takes   float64
}

// Radio is the first radio of a home.
const Radio = "radio0"

func newRadio(h *Home, i int) *radioModel {
	r := &radioModel{name: "radio" + strconv.Itoa(i), level: -96 + 6*h.r.Float64(), noise: ar{phi: 0.9, sigma: 1.2}, channel: 1}
	perDay := [2]float64{0.3, 12}
	if h.quiet {
		perDay = [2]float64{}
	}
	r.changes, r.crowd = h.every(perDay[0]), h.every(perDay[1])
	return r
}

func (h *Home) readRadios(_ *Home, b *sample.Batch) {
	for _, r := range h.radios {
		if r.changes.now(h) { // the box looks for a better channel
			r.channel = 1 + int64(h.r.IntN(13))
			r.level = -96 + 8*h.r.Float64()
		}
		if r.crowd.now(h) { // an oven, a neighbour's film
			r.until, r.takes = h.Now+h.lognormal(5*minute, 1), 3+9*h.r.Float64()
		}
		v := r.level + 1.5*h.evening + r.noise.next(h.r) + h.shift(catalogue.RadioNoise, r.name)
		if h.Now < r.until {
			v += r.takes
		}
		b.Add(catalogue.RadioChannel, r.name, r.channel)
		b.Add(catalogue.RadioNoise, r.name, quantise(v, 1))
	}
}

// A failureModel is who fails to join.
type failureModel struct {
	total  int64
	single due
	old    bool // a device with an old password tries for ever
	try    due
	refuse float64
}

// Network is the access point of a home.
const Network = "wlan0"

func (m *failureModel) init(h *Home) {
	m.single, m.try = h.every(1), h.every(1440)
	if m.old = h.r.Float64() < 0.03 && !h.quiet; m.old {
		h.happened(Label{Kinds: []sample.SignKind{sample.AssociationFailures}, Cause: "old password", Harmless: true}, 1<<62)
	}
}

func (m *failureModel) read(h *Home, b *sample.Batch) {
	if m.single.now(h) && !h.quiet {
		m.total += 1 + int64(h.r.IntN(2))
	}
	if m.try.now(h) && m.old {
		m.total++
	}
	if f := h.fault(Refuse, Network); f != nil {
		m.refuse += f.Size * float64(tick) / float64(f.For)
		for ; m.refuse >= 1; m.refuse-- {
			m.total++
		}
	}
	b.Add(catalogue.RadioAssociationFailures, Network, m.total)
}
