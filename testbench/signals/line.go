package signals

import (
	"math"
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

// Names of what the traces have.
const (
	LineName  = "dsl0"
	OpticName = "sfp0"
)

const (
	lineIsUp     = 1
	initialising = 2
)

// A lineModel is a copper line.
type lineModel struct {
	down, up             ar // noise of the margins
	downMargin, upMargin float64
	downLoss, upLoss     float64
	night                float64 // what a medium-wave transmitter takes at night
	since                time.Duration
	training             time.Duration // until
	retrains, ses, uas   int64
	los, farSES          int64
	lost                 bool
	dlm, impulse         due
	rein                 due
	reinUntil            time.Duration
	reinTakes            float64
	rain                 due
	wetFrom, wetUntil    time.Duration
	wetTakes             float64
	gave                 time.Duration // when an Errors fault was last done
}

func (l *lineModel) init(h *Home) {
	l.down, l.up = ar{phi: 0.97, sigma: 0.3}, ar{phi: 0.97, sigma: 0.25}
	l.downMargin, l.upMargin = 6+4*h.r.Float64(), 6+3*h.r.Float64()
	l.downLoss, l.upLoss = 8+25*h.r.Float64(), 5+15*h.r.Float64()
	l.night = 1.2 * h.r.Float64()
	l.since = -72 * time.Hour
	l.retrains, l.ses, l.uas = 3, 40, 700
	per := func(perDay float64) due {
		if h.quiet {
			perDay = 0
		}
		return h.every(perDay)
	}
	l.dlm, l.impulse = per(0.02), per(0.5)
	rein, wet := 0.0, 0.0
	if h.r.Float64() < 0.03 {
		rein = 3
	}
	if h.r.Float64() < 0.05 {
		wet = 1.0 / 15
	}
	l.rein, l.rain = per(rein), per(wet)
}

// boot: a line trains where its box starts.
func (l *lineModel) boot(h *Home) { l.train(h, 0) }

// train takes the line out of service for a minute, and gives it another
// target of margin where the network manages it.
func (l *lineModel) train(h *Home, target float64) {
	l.training = h.Now + 70*time.Second
	l.downMargin = min(max(l.downMargin+target, 4), 15)
	l.downLoss += 0.1 * h.r.NormFloat64()
	l.upLoss += 0.1 * h.r.NormFloat64()
	l.retrains++
	l.ses += 5
	l.uas += 45
	l.los++
	l.since = l.training
}

func (l *lineModel) happens(h *Home) {
	if l.dlm.now(h) {
		// At night, and no fault: nothing of it but the training is to be told.
		h.happened(Label{Kinds: []sample.SignKind{sample.LineRetrained, sample.LineDown, sample.LineUp}, Cause: "line management", Harmless: true}, 10*minute)
		l.train(h, float64(3*(h.r.IntN(3)-1)))
	}
	if l.impulse.now(h) {
		l.ses += 1 + int64(h.r.IntN(3))
	}
	if l.rein.now(h) && h.Now > l.reinUntil {
		lasts := h.lognormal(15*minute, 1)
		l.reinUntil, l.reinTakes = h.Now+lasts, 2+4*h.r.Float64()
		h.happened(Label{
			Kinds: []sample.SignKind{sample.LineErrors, sample.Stepped}, Instance: LineName, Cause: "impulse noise", Harmless: true,
		}, lasts+3*time.Hour)
	}
	if h.Now < l.reinUntil {
		l.ses += h.poisson(0.5)
	}
	if l.rain.now(h) && h.Now > l.wetUntil+12*time.Hour {
		lasts := time.Duration((1 + 4*h.r.Float64()) * float64(day))
		l.wetFrom, l.wetUntil, l.wetTakes = h.Now, h.Now+lasts, 1+5*h.r.Float64()
		h.happened(Label{Kinds: []sample.SignKind{sample.Stepped}, Instance: LineName, Cause: "wet line", Harmless: true}, lasts+day)
	}
	if f := h.fault(Retrain, LineName); f != nil && l.gave < f.At {
		l.gave = h.Now
		l.train(h, 0)
	}
	if f := h.fault(Errors, LineName); f != nil && h.Now < f.At+2*minute {
		l.ses += int64(f.Size / 2)
	}
	if f := h.fault(Lose, LineName); f != nil {
		l.lost = true
	} else if l.lost {
		l.lost = false
		l.train(h, 0)
	}
}

// wet is the part of the rain's loss that is there: it comes within three
// hours and dries within twelve.
func (l *lineModel) wet(now time.Duration) float64 {
	if l.wetTakes == 0 {
		return 0
	}
	rise := math.Min(1, float64(now-l.wetFrom)/float64(3*time.Hour))
	dry := math.Max(0, math.Min(1, 1-float64(now-l.wetUntil)/float64(12*time.Hour)))
	return l.wetTakes * math.Min(rise, dry)
}

func (l *lineModel) read(h *Home, b *sample.Batch) {
	l.happens(h)
	status := int64(lineIsUp)
	if l.lost || h.Now < l.training {
		status = initialising
		if l.lost {
			l.uas += 60
		}
	}
	b.Add(catalogue.LineStatus, LineName, status)
	b.Add(catalogue.LineLastChange, LineName, max(0, int64((h.Now-l.since)/time.Second)))
	if status == lineIsUp {
		take := l.wet(h.Now) - 0.4*h.daylight
		if h.hour < 6 || h.hour > 20 {
			take += l.night
		}
		if h.Now < l.reinUntil {
			take += l.reinTakes
		}
		loss := l.wet(h.Now) + 0.15*h.daylight
		add := func(m catalogue.ID, v float64) { b.Add(m, LineName, quantise(10*(v+h.shift(m, LineName)), 1)) }
		add(catalogue.LineDownMargin, l.downMargin-take+l.down.next(h.r))
		add(catalogue.LineUpMargin, l.upMargin-take/2+l.up.next(h.r))
		add(catalogue.LineDownAttenuation, l.downLoss+loss+0.03*h.r.NormFloat64())
		add(catalogue.LineUpAttenuation, l.upLoss+loss*0.8+0.03*h.r.NormFloat64())
	}
	b.Add(catalogue.LineRetrains, LineName, l.retrains)
	b.Add(catalogue.LineDownSES, LineName, l.ses)
	b.Add(catalogue.LineUpSES, LineName, l.farSES)
	b.Add(catalogue.LineDownUAS, LineName, l.uas)
	b.Add(catalogue.LineDownLOS, LineName, l.los)
}

// An opticModel is an optical module.
type opticModel struct {
	rx, tx, volts, warm ar
	level, sends        float64 // dBm
	touch               due
	touched             time.Duration // until
	touchTakes          float64
}

func (o *opticModel) init(h *Home) {
	o.rx, o.tx = ar{phi: 0.98, sigma: 0.05}, ar{phi: 0.98, sigma: 0.04}
	o.volts, o.warm = ar{phi: 0.95, sigma: 0.004}, ar{phi: 0.99, sigma: 0.5}
	o.level, o.sends = -13-14*h.r.Float64(), 1+2*h.r.Float64()
	perDay := 0.02
	if h.quiet {
		perDay = 0
	}
	o.touch = h.every(perDay)
}

// register rounds a power to the 0.1 µW of a module's register: at -27 dBm one
// step of it is 0.23 dB.
func register(dBm float64) int64 {
	n := math.Round(1e4 * math.Pow(10, dBm/10))
	if n < 1 {
		return -40_000
	}
	return int64(math.Round(1e4 * math.Log10(n/1e4)))
}

func (o *opticModel) read(h *Home, b *sample.Batch) {
	if o.touch.now(h) { // someone moves the box: no step, it is over soon
		o.touched, o.touchTakes = h.Now+minute+time.Duration(h.r.IntN(120))*time.Second, 1+2*h.r.Float64()
	}
	state := int64(catalogue.OpticStateO5)
	if h.fault(Lose, OpticName) != nil {
		state = catalogue.OpticStateO1
	}
	b.Add(catalogue.OpticState, OpticName, state)
	rx := o.level + 0.12*h.daylight + o.rx.next(h.r) + h.shift(catalogue.OpticRxPower, OpticName)
	if h.Now < o.touched {
		rx -= o.touchTakes
	}
	if state == catalogue.OpticStateO5 {
		b.Add(catalogue.OpticRxPower, OpticName, register(rx))
	}
	b.Add(catalogue.OpticTxPower, OpticName, register(o.sends-0.05*h.daylight+o.tx.next(h.r)+h.shift(catalogue.OpticTxPower, OpticName)))
	volts := 3.29 + o.volts.next(h.r)
	if f := h.fault(Sag, OpticName); f != nil {
		volts *= 1 - f.Size/100
	}
	b.Add(catalogue.OpticVoltage, OpticName, quantise(volts*1e4, 1))
	heat := h.ambientIs + 22*(1-math.Exp(-h.up().Minutes()/15)) + o.warm.next(h.r)
	b.Add(catalogue.OpticTemperature, OpticName, quantise(1000*(heat+h.shift(catalogue.OpticTemperature, OpticName)), 100))
}
