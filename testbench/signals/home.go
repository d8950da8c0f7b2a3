package signals

import (
	"math"
	"math/rand/v2"
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

const (
	tick   = 10 * time.Second
	minute = time.Minute
	day    = 24 * time.Hour
)

// A Label says what truly happened in a home: the signs of Kinds that come
// between From and Until, of Metric and Instance, are right.
type Label struct {
	Kinds    []sample.SignKind
	Metric   catalogue.ID // 0: any
	Instance string       // empty: any
	// From and Until are times since the trace began, whatever the box's own
	// clock said.
	From, Until time.Duration
	Cause       string
	// Harmless: it was so, and no one needs to do anything.
	Harmless bool
}

// A Sink takes what the box of a home would see.
type Sink struct {
	// Batch takes the readings of one source; the batch is reused.
	Batch func(*sample.Batch)
	// Sign takes what is pushed.
	Sign func(sample.Sign)
	// Boot says that the box starts anew: its clock begins at zero.
	Boot func()
}

// A Home makes the readings of one box, ten seconds at a time.
type Home struct {
	// Now is the time since the trace began.
	Now time.Duration
	// Truth is what happened so far.
	Truth []Label

	// Asked tells whether the last restart was asked for.
	Asked bool

	Fibre bool
	quiet bool       // no confounders
	life  *rand.Rand // of what only episodes are made of; nil: nothing of it

	r      *rand.Rand
	sink   Sink
	faults []Fault
	batch  sample.Batch

	booted    time.Duration // as Now
	offUntil  time.Duration
	nightOff  bool
	reboot    due
	longOff   due
	cleaning  time.Duration // when all cables are next pulled
	staysOff  float64       // the part of the devices that stay off after a power cut
	line      lineModel
	optic     opticModel
	sensors   sensorModel
	ports     []*portModel
	stations  []*stationModel
	probe     probeModel
	radios    []*radioModel
	failures  failureModel
	evening   float64
	daylight  float64
	hour      float64
	ambient   ar
	ambientIs float64
}

// Options are what a home is made of.
type Options struct {
	Seed uint64
	// Quiet leaves out all that happens in a home but noise and the day's
	// rhythm.
	Quiet  bool
	Faults []Fault
	// Access is "dsl", "fibre" or empty for either.
	Access string
	// Life adds what episodes are made of: the links of ports as readings, devices
	// that stay off after a power cut, cables that are all pulled at once.
	Life bool
}

// New makes a home.
func New(o Options, sink Sink) *Home {
	r := rand.New(rand.NewPCG(o.Seed, 0x5eed))
	h := &Home{r: r, sink: sink, faults: o.Faults, quiet: o.Quiet}
	h.Fibre = r.IntN(2) == 0
	switch o.Access {
	case "dsl":
		h.Fibre = false
	case "fibre":
		h.Fibre = true
	}
	h.nightOff = r.Float64() < 0.05 && !o.Quiet
	h.reboot = h.every(0.03)
	h.longOff = h.every((1.9 + 1.5) / 365) // power cuts, holidays
	h.ambient = ar{phi: 0.9995, sigma: 1.5}
	h.line.init(h)
	h.optic.init(h)
	h.sensors.init(h)
	for i := range 4 {
		h.ports = append(h.ports, newPort(h, i))
	}
	for i := range 5 {
		h.stations = append(h.stations, newStation(h, i))
	}
	h.probe.init(h)
	for i := range 2 {
		h.radios = append(h.radios, newRadio(h, i))
	}
	h.failures.init(h)
	if o.Life {
		h.life = rand.New(rand.NewPCG(o.Seed, 0x11fe))
		h.staysOff = staysOff
		h.nextCleaning()
	}
	sink.Boot()
	return h
}

// Run goes on until the trace is that old.
func (h *Home) Run(until time.Duration) {
	for h.Now < until {
		h.step()
		h.Now += tick
	}
}

// up is the box's own clock: the time since it booted.
func (h *Home) up() time.Duration { return h.Now - h.booted }

func (h *Home) step() {
	h.hour = math.Mod(h.Now.Hours(), 24)
	if h.Now%minute == 0 {
		h.daylight = math.Cos((h.hour - 15) / 24 * 2 * math.Pi)
		h.evening = math.Exp(-(h.hour - 21) * (h.hour - 21) / 3)
		h.ambientIs = 22 + 2.5*h.daylight + h.ambient.next(h.r)
	}
	off := h.Now < h.offUntil
	switch {
	case off:
	case h.nightOff && h.hour >= 23.5:
		h.Asked = false
		h.powerOff(7*time.Hour + 15*minute)
		off = true
	case !h.quiet && h.reboot.now(h):
		h.Asked = h.life != nil && h.life.IntN(2) == 0 // by its web page, or by its plug
		h.powerOff(time.Duration(60+h.r.IntN(120)) * time.Second)
		off = true
	case !h.quiet && h.longOff.now(h):
		h.Asked = false
		h.darken()
		h.powerOff(time.Duration(math.Exp(math.Log(40)+h.r.NormFloat64()) * float64(minute)))
		off = true
	}
	if off {
		return
	}
	if h.offUntil != 0 && h.Now >= h.offUntil {
		h.offUntil = 0
		h.booted = h.Now - 40*time.Second
		h.sink.Boot()
		h.line.boot(h)
		h.resume()
	}
	whole := h.Now%minute == 0
	h.give(h.sensors.read)
	h.clean()
	h.give(h.readPorts)
	h.give(h.readStations)
	h.give(h.failures.read)
	if !whole {
		return
	}
	if h.Fibre {
		h.give(h.optic.read)
	} else {
		h.give(h.line.read)
	}
	h.give(h.probe.read)
	h.give(h.readRadios)
}

func (h *Home) powerOff(d time.Duration) {
	h.offUntil = (h.Now + max(d, minute)).Truncate(tick)
}

// give hands over one source's batch.
func (h *Home) give(read func(*Home, *sample.Batch)) {
	h.batch.Reset(h.up())
	read(h, &h.batch)
	if len(h.batch.Readings) > 0 {
		h.sink.Batch(&h.batch)
	}
}

// push hands over a sign.
func (h *Home) push(k sample.SignKind, instance string) {
	h.sink.Sign(sample.Sign{At: h.up(), Kind: k, Instance: instance})
}

// happened puts down what is true from now on for the given time.
func (h *Home) happened(l Label, lasts time.Duration) {
	l.From, l.Until = h.Now-2*minute, h.Now+lasts
	h.Truth = append(h.Truth, l)
}

// An ar is a first-order autoregressive process around zero with standard
// deviation sigma.
type ar struct{ phi, sigma, x, k float64 }

func (a *ar) next(r *rand.Rand) float64 {
	if a.k == 0 {
		a.k = a.sigma * math.Sqrt(1-a.phi*a.phi)
		a.x = a.sigma * r.NormFloat64()
	}
	a.x = a.phi*a.x + a.k*r.NormFloat64()
	return a.x
}

// due is when something that happens so often a day happens next.
type due struct {
	at     time.Duration
	perDay float64
}

func (h *Home) every(perDay float64) due {
	d := due{perDay: perDay}
	d.draw(h)
	return d
}

func (d *due) draw(h *Home) {
	if d.perDay <= 0 {
		d.at = math.MaxInt64
		return
	}
	d.at = h.Now + time.Duration(h.r.ExpFloat64()/d.perDay*float64(day)) + tick
}

// now tells whether it happens now, and draws the next time.
func (d *due) now(h *Home) bool {
	if h.Now < d.at {
		return false
	}
	d.draw(h)
	return true
}

// lognormal draws a time with that median.
func (h *Home) lognormal(median time.Duration, sigma float64) time.Duration {
	return time.Duration(float64(median) * math.Exp(sigma*h.r.NormFloat64()))
}

// poisson draws a number; the means are small.
func (h *Home) poisson(mean float64) int64 {
	limit, p, n := math.Exp(-mean), 1.0, int64(-1)
	for p > limit {
		p *= h.r.Float64()
		n++
	}
	return n
}

// quantise rounds to a step.
func quantise(v, step float64) int64 { return int64(math.Round(v/step) * step) }
