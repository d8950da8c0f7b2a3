package detect

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

// A bench feeds detectors, one batch a call, and keeps what they tell.
type bench struct {
	d     *Detectors
	batch sample.Batch
	told  []sample.Sign
	at    time.Duration
	emit  func(sample.Sign)

	sent, received, skipped int64
}

func newBench(change ...func(*Config)) *bench {
	c := DefaultConfig()
	for _, f := range change {
		f(&c)
	}
	b := &bench{d: New(c), at: 2 * time.Hour}
	b.emit = func(s sample.Sign) { b.told = append(b.told, s) }
	return b
}

// see gives readings of one instant, and lets time pass.
func (b *bench) see(wait time.Duration, readings ...sample.Reading) {
	b.batch.Reset(b.at)
	b.batch.Readings = append(b.batch.Readings, readings...)
	b.d.Observe(&b.batch, b.emit)
	b.at += wait
}

// stay gives one reading a minute for so long, of values around v.
func (b *bench) stay(long time.Duration, m catalogue.ID, instance string, v int64) {
	for until := b.at + long; b.at < until; {
		b.see(time.Minute, sample.Reading{Metric: m, Instance: instance, Value: v + int64(b.at/time.Minute)%2})
	}
}

func (b *bench) push(k sample.SignKind, instance string) {
	b.d.Notice(sample.Sign{At: b.at, Kind: k, Instance: instance}, b.emit)
}

// kinds returns the kinds of what was told, and forgets it.
func (b *bench) kinds() []sample.SignKind {
	var all []sample.SignKind
	for _, s := range b.told {
		all = append(all, s.Kind)
	}
	b.told = nil
	return all
}

func (b *bench) want(t *testing.T, what string, want ...sample.SignKind) {
	t.Helper()
	told := slices.Clone(b.told)
	if got := b.kinds(); !slices.Equal(got, want) {
		t.Errorf("%s: told %v; want %v: %+v", what, got, want, told)
	}
}

func reading(m catalogue.ID, instance string, v int64) sample.Reading {
	return sample.Reading{Metric: m, Instance: instance, Value: v}
}

func TestStepOfALevel(t *testing.T) {
	for _, tt := range []struct {
		name     string
		metric   catalogue.ID
		from, to int64
		lasts    time.Duration
		want     bool
	}{
		{"attenuation by 3 dB", catalogue.LineDownAttenuation, 200, 230, time.Hour, true},
		{"attenuation by 1 dB", catalogue.LineDownAttenuation, 200, 210, 12 * time.Hour, false},
		{"attenuation for 10 min", catalogue.LineDownAttenuation, 200, 230, 9 * time.Minute, false},
		{"margin down by 6 dB", catalogue.LineUpMargin, 90, 30, 2 * time.Hour, true},
		{"margin below zero", catalogue.LineUpMargin, 30, -30, 2 * time.Hour, true},
		{"light down by 3 dB", catalogue.OpticRxPower, -20_000, -23_000, 15 * time.Minute, true},
		{"a blip of light", catalogue.OpticRxPower, -20_000, -30_000, 3 * time.Minute, false},
		{"noise up by 12 dB", catalogue.RadioNoise, -95, -83, 24 * time.Hour, true},
		{"a neighbour's film", catalogue.RadioNoise, -95, -75, 2 * time.Hour, false},
		{"20 degrees more", catalogue.SensorTemperature, 50_000, 70_000, 24 * time.Hour, true},
		{"two busy hours", catalogue.SensorTemperature, 50_000, 70_000, 2 * time.Hour, false},
		{"12 V by 5 %", catalogue.SensorVoltage, 12_000, 11_410, time.Hour, true},
		{"a processor's rail", catalogue.SensorVoltage, 900, 1100, 6 * time.Hour, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(func(c *Config) { c.Rail = false })
			b.stay(26*time.Hour, tt.metric, "x", tt.from)
			begun := b.at
			b.stay(tt.lasts, tt.metric, "x", tt.to)
			b.stay(24*time.Hour, tt.metric, "x", tt.from)
			var steps []sample.Sign
			for _, s := range b.told {
				if s.Kind != sample.Stepped {
					t.Errorf("told %+v", s)
				}
				steps = append(steps, s)
			}
			if !tt.want {
				if len(steps) > 0 {
					t.Errorf("told %+v; want nothing", steps)
				}
				return
			}
			if len(steps) == 0 {
				t.Fatal("nothing was told")
			}
			s := steps[0]
			if before, after := abs(s.Before-tt.from), abs(s.After-tt.to); before > 2 || after > 2 || s.Metric != tt.metric || s.Instance != "x" {
				t.Errorf("told %+v; want from %d to %d", s, tt.from, tt.to)
			}
			if off := s.At - begun; off < -time.Hour || off > 12*time.Minute {
				t.Errorf("it is said to have begun %v after it did", off)
			}
			if len(steps) > 2 {
				t.Errorf("told %+v; want one there and at most one back", steps)
			}
		})
	}
}

func abs(v int64) int64 { return max(v, -v) }

func TestStepBackIsTold(t *testing.T) {
	b := newBench()
	b.stay(3*time.Hour, catalogue.LineDownAttenuation, "l", 200)
	b.stay(time.Hour, catalogue.LineDownAttenuation, "l", 240)
	b.want(t, "up", sample.Stepped)
	b.stay(time.Hour, catalogue.LineDownAttenuation, "l", 200)
	if len(b.told) != 1 || b.told[0].Before < 235 || b.told[0].After > 205 {
		t.Errorf("back: told %+v", b.told)
	}
}

func TestDriftIsFollowed(t *testing.T) {
	b := newBench()
	for i := range 48 * 60 { // 20 dB within two days: 0.4 dB an hour
		b.see(time.Minute, reading(catalogue.LineDownAttenuation, "l", 100+int64(i)*200/(48*60)))
	}
	b.want(t, "drift")
}

func TestTrainingSetsTheMarginAnew(t *testing.T) {
	for _, how := range []string{"counted", "by its state", "by the showtime", "not at all"} {
		b := newBench(func(c *Config) { c.Line = false })
		show, retrains, status := int64(100_000), int64(7), int64(lineIsUp)
		run := func(long time.Duration, margin int64) {
			for until := b.at + long; b.at < until; show += 60 {
				r := []sample.Reading{reading(catalogue.LineStatus, "l", status), reading(catalogue.LineDownMargin, "l", margin)}
				if how != "counted" {
					r = append(r, reading(catalogue.LineLastChange, "l", show))
				}
				if how == "counted" {
					r = append(r, reading(catalogue.LineRetrains, "l", retrains))
				}
				b.see(time.Minute, r...)
			}
		}
		run(3*time.Hour, 60)
		switch how {
		case "counted":
			retrains++
		case "by the showtime":
			show = 5
		case "by its state":
			status = 2
			run(time.Minute, 60)
			status = lineIsUp
		}
		run(4*time.Hour, 120)
		if told := len(b.kinds()) > 0; told != (how == "not at all") {
			t.Errorf("training %s: told %v", how, told)
		}
	}
}

func TestAnotherChannelHasAnotherNoise(t *testing.T) {
	b := newBench()
	run := func(channel, noise int64) {
		for range 24 * 60 {
			b.see(time.Minute, reading(catalogue.RadioChannel, "r", channel), reading(catalogue.RadioNoise, "r", noise))
		}
	}
	run(36, -95)
	run(52, -80)
	b.want(t, "another channel")
	run(52, -95)
	b.want(t, "the same channel", sample.Stepped)
}

func TestColdStartIsNoStep(t *testing.T) {
	b := newBench()
	b.at = time.Minute
	b.d.Restore([]Baseline{{catalogue.SensorTemperature, "soc", 50_000, 52_000, 55_000}})
	for i := range 55 {
		b.see(time.Minute, reading(catalogue.SensorTemperature, "soc", 20_000+int64(i)*500))
	}
	b.stay(6*time.Hour, catalogue.SensorTemperature, "soc", 52_000)
	b.want(t, "warming up")
}

func TestUsualBeforeARestartIsUsualAfterIt(t *testing.T) {
	b := newBench()
	b.stay(26*time.Hour, catalogue.LineDownAttenuation, "l", 200)
	b.stay(26*time.Hour, catalogue.OpticRxPower, "o", -20_000)
	b.stay(26*time.Hour, catalogue.LineDownMargin, "l", 60)
	b.stay(26*time.Hour, catalogue.ProbeRTT, "p", 10_000)
	kept := b.d.Baselines()
	var metrics []catalogue.ID
	for _, k := range kept {
		metrics = append(metrics, k.Metric)
	}
	if want := []catalogue.ID{catalogue.LineDownAttenuation, catalogue.OpticRxPower, catalogue.ProbeRTT}; !slices.Equal(metrics, want) {
		t.Fatalf("baselines of %v; want %v", metrics, want)
	}
	after := newBench()
	after.at = 5 * time.Minute
	after.d.Restore(kept)
	if again := after.d.Baselines(); !slices.Equal(again, kept) {
		t.Errorf("baselines that nothing was seen of: %v; want %v", again, kept)
	}
	after.stay(30*time.Minute, catalogue.LineDownAttenuation, "l", 260)
	after.want(t, "a step over a restart", sample.Stepped)
	after.stay(30*time.Minute, catalogue.OpticRxPower, "o", -20_000)
	after.stay(time.Hour, catalogue.LineDownMargin, "l", 120)
	after.want(t, "no step, and the margin that every training sets")
	after.stay(30*time.Minute, catalogue.ProbeRTT, "p", 90_000)
	after.want(t, "a slow line after a restart", sample.Degraded)
}

func TestRestoreLeavesOutWhatIsNotSound(t *testing.T) {
	b := newBench()
	bad := []Baseline{
		{catalogue.LineDownAttenuation, "low above high", 9, 5, 1},
		{catalogue.LineDownAttenuation, "huge", 1, 5, math.MaxInt64},
		{catalogue.UpTime, "of no detector", 1, 2, 3},
		{65535, "of no metric", 1, 2, 3},
		{catalogue.PortCarrierDowns, "of a counter", 1, 2, 3},
	}
	b.d.Restore(bad)
	if got := b.d.Baselines(); len(got) != 0 {
		t.Errorf("took %v", got)
	}
	many := make([]Baseline, 10*maxBaselines)
	for i := range many {
		many[i] = Baseline{catalogue.OpticRxPower, strconv.Itoa(i), -5, -4, -3}
	}
	b.d.Restore(many)
	if got := len(b.d.Baselines()); got != maxBaselines {
		t.Errorf("took %d; want %d", got, maxBaselines)
	}
	b.d.Restore([]Baseline{{catalogue.OpticRxPower, "o", -90_000, -80_000, -70_000}}) // of no module
	b.stay(2*time.Hour, catalogue.OpticRxPower, "o", -20_000)
	b.want(t, "a baseline that cannot be")
}

func TestFlappingLinkIsToldOnce(t *testing.T) {
	b := newBench()
	for i := range 100 {
		b.push(sample.PortDown, "eth0")
		b.at += 2 * time.Second
		b.push(sample.PortUp, "eth0")
		b.at += 8 * time.Second
		b.see(0, reading(catalogue.PortCarrierDowns, "eth0", int64(i+1)))
	}
	b.push(sample.PortDown, "eth0")
	got := b.told
	n := slices.IndexFunc(got, func(s sample.Sign) bool { return s.Kind == sample.PortFlapping })
	if n < 0 || n != len(got)-1 || n > 2*DefaultConfig().Flaps {
		t.Fatalf("told %d signs, flapping is number %d", len(got), n)
	}
	if s := got[n]; s.Metric != catalogue.PortCarrierDowns || s.Before != 0 || s.After != 6 {
		t.Errorf("flapping: %+v; want from 0 to 6 downs", s)
	}
	b.told = nil
	b.at += 11 * time.Minute
	b.d.Tick(b.at, b.emit)
	b.want(t, "steady, and left down", sample.PortSteady, sample.PortDown)
	b.push(sample.PortUp, "eth0")
	b.want(t, "links are told again", sample.PortUp)
}

func TestPortsPeopleUseDoNotFlap(t *testing.T) {
	b := newBench()
	for range 24 { // a computer started each hour: down three times
		for range 3 {
			b.push(sample.PortDown, "eth0")
			b.at += 5 * time.Second
			b.push(sample.PortUp, "eth0")
			b.at += 15 * time.Second
		}
		b.at += time.Hour - time.Minute
	}
	if n := len(b.told); n != 24*6 || slices.Contains(b.kinds(), sample.PortFlapping) {
		t.Errorf("told %d signs of links; want each, and no flapping", n)
	}
}

func TestCounterShowsTheFlapsThatNoOneTold(t *testing.T) {
	b := newBench()
	for i := range 20 {
		b.see(10*time.Second, reading(catalogue.PortCarrierDowns, "eth1", int64(100+i)))
	}
	b.want(t, "by the counter", sample.PortFlapping)
	// Both ways see the same flaps: they are counted once.
	both := newBench()
	both.see(time.Second, reading(catalogue.PortCarrierDowns, "eth1", 7))
	for i := range 4 {
		both.push(sample.PortDown, "eth1")
		both.see(time.Second, reading(catalogue.PortCarrierDowns, "eth1", int64(8+i)))
	}
	both.want(t, "four flaps, seen twice", sample.PortDown, sample.PortDown, sample.PortDown, sample.PortDown)
}

func TestOtherSignsAreGivenOn(t *testing.T) {
	b := newBench()
	for range 20 {
		b.push(sample.KernelMessage, "eth0")
	}
	if len(b.told) != 20 {
		t.Errorf("%d of 20 signs were given on", len(b.told))
	}
	off := newBench(func(c *Config) { c.Flapping = false })
	for range 100 {
		off.push(sample.PortDown, "eth0")
	}
	if len(off.told) != 100 {
		t.Errorf("%d of 100 signs were given on by a detector that is off", len(off.told))
	}
}

func TestPortNoPlaceIsLeftForIsToldAsItIs(t *testing.T) {
	b := newBench()
	for i := range places[ofPort] + 1 {
		b.push(sample.PortDown, strconv.Itoa(i))
	}
	if len(b.told) != places[ofPort]+1 {
		t.Errorf("%d signs of %d ports", len(b.told), places[ofPort]+1)
	}
}

func TestForgetForgetsWhatWasLearntUnderAPurpose(t *testing.T) {
	b := newBench()
	b.stay(26*time.Hour, catalogue.ProbeRTT, "p", 10_000)
	b.stay(3*time.Hour, catalogue.LineDownAttenuation, "l", 200)
	b.see(time.Minute, reading(catalogue.StationSignal, "s", -70))
	b.d.Forget(catalogue.Support)
	b.d.Forget(catalogue.Personalised)
	for k := range b.d.index {
		if m, _ := catalogue.Lookup(k.metric); m.Purpose != catalogue.Essential {
			t.Errorf("%s is still known", m.Name)
		}
	}
	if all := b.d.Baselines(); len(all) != 1 || all[0].Metric != catalogue.LineDownAttenuation {
		t.Errorf("baselines after Forget: %v", all)
	}
	b.d.Restore([]Baseline{{catalogue.ProbeRTT, "p", 1, 1, 1}})
	b.d.Forget(catalogue.Support)
	if all := b.d.Baselines(); len(all) != 1 {
		t.Errorf("a baseline given back is still there: %v", all)
	}
	b.stay(time.Hour, catalogue.ProbeRTT, "p", 90_000)
	b.want(t, "what was usual is forgotten")
}

func TestDetectorsThatAreOffAreSilent(t *testing.T) {
	b := newBench(func(c *Config) {
		*c = DefaultConfig()
		c.Step, c.Flapping, c.Line, c.Rail, c.Quality, c.Coverage, c.Association, c.Thermal = false, false, false, false, false, false, false, false
	})
	r := rand.New(rand.NewPCG(3, 3))
	for range 500 {
		for _, m := range catalogue.All() {
			if r.IntN(20) == 0 {
				b.batch.Add(m.ID, "x", r.Int64N(1<<r.IntN(30)))
			}
		}
		b.see(time.Minute, b.batch.Readings...)
	}
	b.want(t, "all off")
	if n := len(b.d.index); n != 0 {
		t.Errorf("%d instances are known", n)
	}
}

func TestQuietReadingsAllocateNothing(t *testing.T) {
	b := newBench()
	batch := fullBatch(20)
	r := rand.New(rand.NewPCG(1, 1))
	run := func() {
		batch.At += 10 * time.Second
		for i := range batch.Readings {
			if m := batch.Readings[i].Metric; m == catalogue.StationBytesSent {
				batch.Readings[i].Value += r.Int64N(1 << 20)
			}
		}
		b.d.Observe(batch, b.emit)
	}
	for range 1000 {
		run()
	}
	if n := testing.AllocsPerRun(5000, run); n != 0 {
		t.Errorf("%v allocations a batch; want none", n)
	}
	b.want(t, "quiet readings")
}

// fullBatch has the readings of every detector, of a box with that many
// stations.
func fullBatch(stations int) *sample.Batch {
	b := &sample.Batch{At: 3 * time.Hour}
	for i := range 4 {
		b.Add(catalogue.PortCarrierDowns, fmt.Sprint("eth", i), 5)
		b.Add(catalogue.PortBytesSent, fmt.Sprint("eth", i), 5)
	}
	for i := range 3 {
		b.Add(catalogue.SensorTemperature, fmt.Sprint("t", i), 55_000)
		b.Add(catalogue.SensorVoltage, fmt.Sprint("v", i), 12_000)
	}
	b.Add(catalogue.LineStatus, "l", lineIsUp)
	b.Add(catalogue.LineDownMargin, "l", 60)
	b.Add(catalogue.LineUpMargin, "l", 60)
	b.Add(catalogue.LineDownAttenuation, "l", 200)
	b.Add(catalogue.LineUpAttenuation, "l", 150)
	b.Add(catalogue.LineRetrains, "l", 2)
	for _, m := range errorMetrics {
		b.Add(m, "l", 10)
	}
	b.Add(catalogue.OpticState, "o", catalogue.OpticStateO5)
	b.Add(catalogue.OpticRxPower, "o", -20_000)
	b.Add(catalogue.OpticTxPower, "o", 2_000)
	b.Add(catalogue.OpticVoltage, "o", 33_000)
	b.Add(catalogue.OpticTemperature, "o", 45_000)
	for i := range 2 {
		b.Add(catalogue.RadioChannel, fmt.Sprint("r", i), 36)
		b.Add(catalogue.RadioNoise, fmt.Sprint("r", i), -95)
		b.Add(catalogue.RadioAssociationFailures, fmt.Sprint("r", i), 3)
	}
	b.Add(catalogue.ProbeRTT, "p", 10_000)
	b.Add(catalogue.ProbeSent, "p", 10)
	b.Add(catalogue.ProbeReceived, "p", 10)
	for i := range stations {
		b.Add(catalogue.StationSignal, fmt.Sprint("s", i), -60)
		b.Add(catalogue.StationBytesSent, fmt.Sprint("s", i), 1000)
		b.Add(catalogue.StationBytesReceived, fmt.Sprint("s", i), 1000)
	}
	return b
}

func BenchmarkObserve(b *testing.B) {
	bench := newBench()
	batch := fullBatch(8)
	b.ReportAllocs()
	for b.Loop() {
		batch.At += 10 * time.Second
		bench.d.Observe(batch, bench.emit)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(batch.Readings)), "ns/reading")
}
