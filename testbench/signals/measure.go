package signals

import (
	"cmp"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"

	"livebox-agent/agent/detect"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

// A Told is a sign that a detector gave, and when as the trace has it.
type Told struct {
	sample.Sign
	Now time.Duration
}

// Watch lets detectors see a home until the trace is that old, and returns
// what they told. They are started anew with the box, with what was usual
// before.
func Watch(cfg detect.Config, o Options, until time.Duration) (told []Told, h *Home, readings int) {
	var d *detect.Detectors
	emit := func(s sample.Sign) { told = append(told, Told{s, h.Now}) }
	sink := Sink{
		Boot: func() {
			old := d
			d = detect.New(cfg)
			if old != nil {
				d.Restore(old.Baselines())
			}
		},
		Batch: func(b *sample.Batch) {
			readings += len(b.Readings)
			d.Observe(b, emit)
		},
		Sign: func(s sample.Sign) { d.Notice(s, emit) },
	}
	h = New(o, sink)
	h.Run(until)
	return told, h, readings
}

// Names of the detectors, as the tables have them.
const (
	Margin      = "step of margin"
	Attenuation = "step of attenuation"
	Optical     = "step of optical power"
	Noise       = "step of radio noise"
	Temperature = "step of temperature"
	RailStep    = "step of a rail"
	RailBand    = "brown-out, over-voltage"
	Flapping    = "flapping"
	LineLoss    = "line lost, retrained"
	LineErrors  = "burst of line errors"
	Latency     = "latency"
	Loss        = "loss"
	Coverage    = "coverage"
	Association = "association failures"
	Thermal     = "thermal"
)

// Names returns the detectors in the order of the tables.
func Names() []string {
	return []string{
		Margin, Attenuation, Optical, Noise, Temperature, RailStep, RailBand, Flapping, LineLoss, LineErrors,
		Latency, Loss, Coverage, Association, Thermal,
	}
}

// Detector names the detector that a sign is of; empty for what ends
// something, or was only passed on.
func Detector(s sample.Sign) string {
	switch s.Kind {
	case sample.Stepped:
		switch s.Metric {
		case catalogue.LineDownMargin, catalogue.LineUpMargin:
			return Margin
		case catalogue.LineDownAttenuation, catalogue.LineUpAttenuation:
			return Attenuation
		case catalogue.OpticRxPower, catalogue.OpticTxPower:
			return Optical
		case catalogue.RadioNoise:
			return Noise
		case catalogue.SensorVoltage, catalogue.OpticVoltage:
			return RailStep
		}
		return Temperature
	case sample.BrownOut, sample.OverVoltage:
		return RailBand
	case sample.PortFlapping:
		return Flapping
	case sample.LineDown, sample.LineRetrained:
		return LineLoss
	case sample.LineErrors:
		return LineErrors
	case sample.Degraded:
		if s.Metric == catalogue.ProbeRTT {
			return Latency
		}
		return Loss
	case sample.PoorCoverage:
		return Coverage
	case sample.AssociationFailures:
		return Association
	case sample.Hot:
		return Thermal
	}
	return ""
}

// right tells whether a sign is true, and of something harmless.
func right(t Told, truth []Label) (ok, harmless bool) {
	for _, l := range truth {
		if t.Now >= l.From && t.Now <= l.Until && slices.Contains(l.Kinds, t.Kind) &&
			(l.Metric == 0 || l.Metric == t.Metric) && (l.Instance == "" || l.Instance == t.Instance) {
			return true, l.Harmless
		}
	}
	return false, false
}

// Alarms is what a detector told in homes where nothing was at fault.
type Alarms struct {
	// False is of nothing; Harmless of what was so, and needs no one.
	False, Harmless int
	// Examples of false ones.
	Examples []Told
	Seeds    []uint64
}

// A Quietness is what detectors told in homes where nothing was at fault.
type Quietness struct {
	BoxYears float64
	Readings int
	By       map[string]*Alarms
}

// FalseAlarms watches so many homes for so many days each, seeds from seed on.
func FalseAlarms(cfg detect.Config, seed uint64, homes, days int) Quietness {
	q := Quietness{BoxYears: float64(homes*days) / 365, By: map[string]*Alarms{}}
	for _, n := range Names() {
		q.By[n] = &Alarms{}
	}
	type result struct {
		told     []Told
		truth    []Label
		readings int
	}
	results := make([]result, homes)
	parallel(homes, func(i int) {
		told, h, n := Watch(cfg, Options{Seed: seed + uint64(i)}, time.Duration(days)*day)
		results[i] = result{told, h.Truth, n}
	})
	for i, r := range results {
		q.Readings += r.readings
		for _, t := range r.told {
			a := q.By[Detector(t.Sign)]
			if a == nil {
				continue
			}
			switch ok, harmless := right(t, r.truth); {
			case !ok:
				a.False++
				if len(a.Examples) < 5 {
					a.Examples, a.Seeds = append(a.Examples, t), append(a.Seeds, seed+uint64(i))
				}
			case harmless:
				a.Harmless++
			}
		}
	}
	return q
}

// parallel does n things on every processor.
func parallel(n int, do func(i int)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// A Challenge is a fault that a detector must find, in some sizes.
type Challenge struct {
	Detector string
	What     string
	Unit     string
	Fault    Fault
	Sizes    []float64
	Access   string
}

// A Found is how a detector did with faults of one size.
type Found struct {
	Size        float64
	Tries, Hits int
	Median, P90 time.Duration // of those found
	// Early is how many signs of the same detector came before the fault.
	Early int
}

// Rate is the part of the faults that was found.
func (f Found) Rate() float64 { return float64(f.Hits) / float64(f.Tries) }

// Challenges returns the faults of the tables.
func Challenges() []Challenge {
	long := 3 * time.Hour
	step := func(m catalogue.ID, instance string) Fault { return Fault{Kind: StepOf, Metric: m, Instance: instance} }
	return []Challenge{
		{Margin, "step down", "dB", step(catalogue.LineDownMargin, LineName), []float64{-2, -3, -4.5, -6}, "dsl"},
		{Attenuation, "step up", "dB", step(catalogue.LineDownAttenuation, LineName), []float64{1, 2, 3, 6, 15}, "dsl"},
		{Attenuation, "within half an hour", "dB", Fault{Kind: RampOf, Metric: catalogue.LineDownAttenuation, Instance: LineName}, []float64{2, 3, 6}, "dsl"},
		{Optical, "bend", "dB", step(catalogue.OpticRxPower, OpticName), []float64{-1, -2, -3, -6}, "fibre"},
		{Noise, "step up", "dB", step(catalogue.RadioNoise, Radio), []float64{4, 6, 9, 12}, ""},
		{Temperature, "step up", "K", step(catalogue.SensorTemperature, temperatures[0]), []float64{5, 8, 12, 20}, ""},
		{RailStep, "sag that stays", "%", Fault{Kind: Sag, Instance: AdapterRail}, []float64{2, 3, 5, 7}, ""},
		{RailBand, "sag of 30 s", "%", Fault{Kind: Sag, Instance: AdapterRail, For: 30 * time.Second}, []float64{5, 8, 10, 15}, ""},
		{Flapping, "down each … s", "s", Fault{Kind: Flap, Instance: "eth0", For: long}, []float64{20, 60, 240, 600}, ""},
		{LineLoss, "out of service", "min", Fault{Kind: Lose, Instance: LineName}, []float64{1, 3, 10}, "dsl"},
		{LineLoss, "optical unit", "min", Fault{Kind: Lose, Instance: OpticName}, []float64{1, 3, 10}, "fibre"},
		{LineLoss, "retrain", "", Fault{Kind: Retrain, Instance: LineName, For: time.Minute}, []float64{1}, "dsl"},
		{LineErrors, "within 2 min", "SES", Fault{Kind: Errors, Instance: LineName, For: 5 * time.Minute}, []float64{6, 10, 20, 60}, "dsl"},
		{Latency, "more, for 3 h", "ms", Fault{Kind: Delay, Instance: Reflector, For: 3 * time.Hour}, []float64{20, 40, 80, 200}, ""},
		{Loss, "for 3 h", "%", Fault{Kind: Drop, Instance: Reflector, For: 3 * time.Hour}, []float64{2, 5, 10, 100}, ""},
		{Coverage, "station with traffic at", "dBm", Fault{Kind: Weak, Instance: Moving, For: time.Hour}, []float64{-74, -76, -78, -85}, ""},
		{Association, "failures in 90 s", "", Fault{Kind: Refuse, Instance: Network, For: 90 * time.Second}, []float64{3, 5, 8, 12}, ""},
		{Thermal, "beyond the limit, 10 min", "K", Fault{Kind: Heat, Instance: temperatures[0], For: 10 * time.Minute}, []float64{-2, 1, 5, 20}, ""},
	}
}

// Try does a challenge to so many homes with all that confounds, seeds from
// seed on, once in each, on the second or third day.
func (c Challenge) Try(cfg detect.Config, seed uint64, homes int) []Found {
	all := make([]Found, len(c.Sizes))
	for s, size := range c.Sizes {
		delays := make([]time.Duration, homes)
		early := make([]int, homes)
		parallel(homes, func(i int) {
			f := c.Fault
			f.Size = size
			if f.Kind == Lose {
				f.For = time.Duration(size * float64(minute))
			}
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			f.At = (30*time.Hour + time.Duration(r.Int64N(int64(18*time.Hour)))).Truncate(tick)
			limit := f.For + 2*minute
			if f.For == 0 {
				limit = 18 * time.Hour
			}
			told, _, _ := Watch(cfg, Options{Seed: seed + uint64(i), Faults: []Fault{f}, Access: c.Access}, f.At+limit)
			delays[i] = -1
			for _, t := range told {
				if Detector(t.Sign) != c.Detector || t.Instance != f.Instance || t.Kind == sample.OverVoltage {
					continue
				}
				if t.Now < f.At {
					early[i]++
				} else if delays[i] < 0 {
					delays[i] = t.Now - f.At
				}
			}
		})
		found := Found{Size: size, Tries: homes}
		var hits []time.Duration
		for i, d := range delays {
			found.Early += early[i]
			if d >= 0 {
				hits = append(hits, d)
			}
		}
		slices.SortFunc(hits, cmp.Compare)
		if found.Hits = len(hits); found.Hits > 0 {
			found.Median, found.P90 = hits[len(hits)/2], hits[min(len(hits)*9/10, len(hits)-1)]
		}
		all[s] = found
	}
	return all
}
