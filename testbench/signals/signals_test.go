package signals

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"livebox-agent/agent/detect"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

func TestSameSeedGivesTheSameTrace(t *testing.T) {
	trace := func(seed uint64) (all []sample.Reading, truth []Label) {
		h := New(Options{Seed: seed}, Sink{
			Batch: func(b *sample.Batch) { all = append(all, b.Readings...) },
			Sign:  func(s sample.Sign) { all = append(all, sample.Reading{Instance: s.Instance, Value: int64(s.At)}) },
			Boot:  func() { all = append(all, sample.Reading{}) },
		})
		h.Run(12 * time.Hour)
		return all, h.Truth
	}
	for seed := range uint64(3) {
		one, truth := trace(seed)
		two, same := trace(seed)
		if len(one) < 10_000 || !slices.Equal(one, two) {
			t.Errorf("seed %d: %d and %d readings, which differ", seed, len(one), len(two))
		}
		if d := cmp.Diff(truth, same); d != "" {
			t.Errorf("seed %d: another truth (-first +second):\n%s", seed, d)
		}
	}
	one, _ := trace(1)
	if two, _ := trace(2); slices.Equal(one, two) {
		t.Error("two seeds give the same trace")
	}
}

// What a trace writes down is what is in it: with rain comes attenuation, with
// impulse noise come errors, with management a training.
func TestTruthIsWrittenDown(t *testing.T) {
	for _, tt := range []struct {
		cause string
		often func(*Home)
		in    catalogue.ID
		least int64
	}{
		{"wet line", func(h *Home) { h.line.rain = h.every(5) }, catalogue.LineDownAttenuation, 10},
		{"impulse noise", func(h *Home) { h.line.rein = h.every(20) }, catalogue.LineDownSES, 3},
		{"line management", func(h *Home) { h.line.dlm = h.every(5) }, catalogue.LineRetrains, 1},
	} {
		for _, often := range []bool{false, true} {
			least, most := int64(math.MaxInt64), int64(math.MinInt64)
			h := New(Options{Seed: 5, Access: "dsl", Quiet: true}, Sink{
				Batch: func(b *sample.Batch) {
					for _, r := range b.Readings {
						if r.Metric == tt.in {
							least, most = min(least, r.Value), max(most, r.Value)
						}
					}
				},
				Sign: func(sample.Sign) {}, Boot: func() {},
			})
			if often {
				tt.often(h)
			}
			h.Run(2 * day)
			written := slices.ContainsFunc(h.Truth, func(l Label) bool { return l.Cause == tt.cause && l.Harmless && l.From < l.Until })
			if is := most-least >= tt.least; is != often || written != often {
				t.Errorf("%s: moved by %d, written down %v; want both %v", tt.cause, most-least, written, often)
			}
		}
	}
}

func TestFalseAlarmsStayWithinTheBudget(t *testing.T) {
	q := FalseAlarms(detect.DefaultConfig(), 1, 12, 15)
	for _, n := range Names() {
		if a := q.By[n]; a.False > Allowed(n, q.BoxYears) {
			t.Errorf("%s: %d false alarms in %.1f box-years; want at most %d: %+v of seeds %v", n, a.False, q.BoxYears, Allowed(n, q.BoxYears), a.Examples, a.Seeds)
		}
	}
	t.Logf("%d readings of %.2f box-years", q.Readings, q.BoxYears)
}

// Detectors that tell of too little are found out by the same traces.
func TestTracesShowDetectorsThatAreTooEager(t *testing.T) {
	c := detect.DefaultConfig()
	c.MarginStep, c.NoiseStep, c.TemperatureStep, c.WeakSignal, c.AssociationFailures, c.RTTExcess = 1, 2, 2, -60, 2, time.Millisecond
	q := FalseAlarms(c, 1, 6, 10)
	for _, n := range []string{Noise, Temperature, Coverage, Association} {
		if q.By[n].False == 0 {
			t.Errorf("%s: an eager detector gave no false alarm", n)
		}
	}
}

func TestFaultsAreFound(t *testing.T) {
	for _, c := range Challenges() {
		c.Sizes = c.Sizes[len(c.Sizes)-1:]
		if c.Detector == Flapping {
			c.Sizes = []float64{60} // here a smaller number is worse
		}
		if c.Detector == Association {
			c.Access = "dsl" // of these homes none has a device that always fails
		}
		for _, f := range c.Try(detect.DefaultConfig(), 1, 2) {
			if f.Hits != f.Tries || f.P90 > 12*time.Hour {
				t.Errorf("%s, %s of %v %s: found %d of %d, 90 %% within %v", c.Detector, c.What, f.Size, c.Unit, f.Hits, f.Tries, f.P90)
			}
		}
	}
}

func TestSmallFaultsAreNotTold(t *testing.T) {
	for _, tt := range []struct {
		detector string
		size     float64
	}{{Attenuation, 0.8}, {Optical, -0.8}, {Noise, 2}, {RailBand, 4}, {Flapping, 900}, {LineErrors, 4}, {Latency, 10}, {Coverage, -70}, {Association, 2}, {Thermal, -3}} {
		i := slices.IndexFunc(Challenges(), func(c Challenge) bool { return c.Detector == tt.detector })
		c := Challenges()[i]
		c.Sizes = []float64{tt.size}
		if f := c.Try(detect.DefaultConfig(), 1, 2)[0]; f.Hits > 0 {
			t.Errorf("%s, %s of %v %s was told", c.Detector, c.What, tt.size, c.Unit)
		}
	}
}

func TestEverySignHasADetector(t *testing.T) {
	for _, c := range Challenges() {
		if !slices.Contains(Names(), c.Detector) {
			t.Errorf("%s is not in the tables", c.Detector)
		}
	}
	for _, n := range Names() {
		if !slices.ContainsFunc(Challenges(), func(c Challenge) bool { return c.Detector == n }) || method(n) == "" || Budget(n) <= 0 {
			t.Errorf("%s has no fault, method or budget", n)
		}
		if m, v, g := usual(n); len(m) != len(v) || len(v) != len(g) {
			t.Errorf("%s: %d metrics, %d values, %d growths", n, len(m), len(v), len(g))
		}
	}
	if got := Detector(sample.Sign{Kind: sample.PortUp, Metric: catalogue.PortCarrier}); got != "" {
		t.Errorf("a link that is up again is of %q", got)
	}
}

func TestPrint(t *testing.T) {
	var b bytes.Buffer
	if err := Print(&b, detect.DefaultConfig(), Run{Seed: 1, Homes: 2, Days: 2, Tries: 1}); err != nil {
		t.Error(err)
	}
	for _, n := range Names() {
		if strings.Count(b.String(), "| "+n+" |") < 3 {
			t.Errorf("%s is not in both tables:\n%s", n, b.String())
		}
	}
	c := detect.DefaultConfig()
	c.TemperatureStep, c.NoiseStep = 2, 2
	if err := printAlarms(&b, c, Run{Seed: 1, Homes: 3, Days: 4}); err == nil || !strings.Contains(err.Error(), Temperature) {
		t.Errorf("detectors that are too eager: %v", err)
	}
}
