package detect

import (
	"testing"
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

func TestLineLostAndBack(t *testing.T) {
	for _, tt := range []struct {
		name     string
		metric   catalogue.ID
		up, down int64
	}{
		{"copper", catalogue.LineStatus, lineIsUp, 4},
		{"optical unit", catalogue.OpticState, catalogue.OpticStateO5, catalogue.OpticStateO1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench()
			state := func(v int64) { b.see(time.Minute, reading(tt.metric, "l", v)) }
			state(tt.down)
			state(tt.up)
			b.want(t, "a start in training")
			state(unknownState)
			state(tt.up)
			b.want(t, "a state that is not known")
			state(tt.down)
			state(tt.down)
			if len(b.told) != 1 || b.told[0].Before != tt.up || b.told[0].After != tt.down || b.told[0].Metric != tt.metric {
				t.Errorf("lost: told %+v", b.told)
			}
			b.want(t, "lost", sample.LineDown)
			state(tt.up)
			b.want(t, "back", sample.LineUp)
		})
	}
}

func TestRetrain(t *testing.T) {
	b := newBench()
	count := func(v int64) { b.see(time.Minute, reading(catalogue.LineRetrains, "l", v)) }
	count(7)
	count(7)
	b.want(t, "the first reading")
	count(9)
	if len(b.told) != 1 || b.told[0].Before != 7 || b.told[0].After != 9 {
		t.Errorf("told %+v", b.told)
	}
	b.want(t, "two trainings", sample.LineRetrained)
	count(0)
	b.want(t, "a counter that starts again")
	count(1)
	b.want(t, "and counts", sample.LineRetrained)
	s := newBench()
	show := func(v int64) {
		s.see(time.Minute, reading(catalogue.LineStatus, "l", lineIsUp), reading(catalogue.LineLastChange, "l", v))
	}
	show(5000)
	show(5060)
	show(20)
	s.want(t, "by the showtime where no one counts", sample.LineRetrained)
}

func TestBurstOfErrors(t *testing.T) {
	b := newBench()
	total := int64(100)
	errors := func(n int64, wait time.Duration) {
		total += n
		b.see(wait, reading(catalogue.LineStatus, "l", lineIsUp), reading(catalogue.LineDownSES, "l", total))
	}
	errors(0, time.Minute)
	for range 100 {
		errors(1, 5*time.Minute) // what is bad, but no burst
	}
	b.want(t, "three in 15 min")
	before := total
	errors(6, time.Minute)
	b.want(t, "six at once")
	errors(5, time.Minute)
	if len(b.told) != 1 || b.told[0].After != total || b.told[0].After-b.told[0].Before < 11 || b.told[0].Before > before {
		t.Errorf("a burst: told %+v", b.told)
	}
	b.want(t, "a burst", sample.LineErrors)
	for range 30 {
		errors(5, time.Minute)
	}
	b.want(t, "a burst that goes on")
	for range 70 {
		errors(0, time.Minute)
	}
	errors(20, time.Minute)
	b.want(t, "the next one", sample.LineErrors)
}

func TestBadLineIsUsualToItself(t *testing.T) {
	b := newBench()
	total := int64(0)
	run := func(long time.Duration, n int64) {
		for until := b.at + long; b.at < until; total += n {
			b.see(time.Minute, reading(catalogue.LineStatus, "l", lineIsUp), reading(catalogue.LineDownSES, "l", total))
		}
	}
	run(3*24*time.Hour, 1) // 15 in 15 min
	if n := len(b.kinds()); n > 1 {
		t.Errorf("a bad line was told %d times", n)
	}
	run(time.Hour, 0)
	run(2*time.Hour, 1)
	b.want(t, "as bad as ever")
	run(time.Hour, 0)
	run(30*time.Minute, 20)
	b.want(t, "far worse", sample.LineErrors)
}

func TestTrainingExplainsItsErrors(t *testing.T) {
	b := newBench()
	see := func(status, retrains, uas int64) {
		b.see(time.Minute, reading(catalogue.LineStatus, "l", status), reading(catalogue.LineRetrains, "l", retrains), reading(catalogue.LineDownUAS, "l", uas))
	}
	see(lineIsUp, 1, 700)
	see(lineIsUp, 2, 745)
	b.want(t, "retrained", sample.LineRetrained)
	see(lineIsUp, 2, 760)
	for range 30 {
		see(lineIsUp, 2, 760)
	}
	see(2, 2, 800)
	for i := range int64(30) {
		see(2, 2, 860+60*i)
	}
	see(lineIsUp, 2, 3000)
	b.want(t, "lost for half an hour", sample.LineDown, sample.LineUp)
	for range 10 {
		see(lineIsUp, 2, 3000)
	}
	see(lineIsUp, 2, 3060)
	b.want(t, "unavailable without a training", sample.LineErrors)
}

func TestRail(t *testing.T) {
	for _, tt := range []struct {
		name   string
		metric catalogue.ID
		usual  int64
		v      []int64
		want   []sample.SignKind
	}{
		{"sag", catalogue.SensorVoltage, 12_000, []int64{10_900}, []sample.SignKind{sample.BrownOut}},
		{"sag and back", catalogue.SensorVoltage, 12_000, []int64{10_900, 10_800, 12_000, 12_000, 12_000}, []sample.SignKind{sample.BrownOut, sample.RailNormal}},
		{"swell", catalogue.SensorVoltage, 5_000, []int64{5_500}, []sample.SignKind{sample.OverVoltage}},
		{"module", catalogue.OpticVoltage, 33_000, []int64{30_000}, []sample.SignKind{sample.BrownOut}},
		{"5 %", catalogue.SensorVoltage, 12_000, []int64{11_400, 12_600}, nil},
		{"an adapter that idles high, under load", catalogue.SensorVoltage, 12_600, []int64{11_500}, nil},
		{"no nominal voltage", catalogue.SensorVoltage, 6_600, []int64{6_000}, []sample.SignKind{sample.BrownOut}},
		{"a converter that gives nothing", catalogue.SensorVoltage, 12_000, []int64{0, 65_535, -1}, nil},
		{"a processor's rail", catalogue.SensorVoltage, 900, []int64{700, 1100}, nil},
		{"from one end to the other", catalogue.SensorVoltage, 5_000, []int64{4_000, 6_000}, []sample.SignKind{sample.BrownOut, sample.OverVoltage}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench()
			b.stay(3*time.Hour, tt.metric, "r", tt.usual)
			for _, v := range tt.v {
				b.see(time.Minute, reading(tt.metric, "r", v))
			}
			b.want(t, tt.name, tt.want...)
		})
	}
}

// A chip's own alarm and the readings find the same heat, in either order: it is
// told by the first of them, and its end by the last.
func TestHeatOfWhichTheChipTellsTooIsToldOnce(t *testing.T) {
	b := newBench(func(c *Config) { c.Step = false })
	heat := func(v int64) {
		for range 10 {
			b.see(20*time.Second, reading(catalogue.SensorTemperature, "soc", v))
		}
	}
	for range 2 { // again and again
		b.push(sample.Hot, "soc")
		b.want(t, "the alarm", sample.Hot)
		heat(101_000)
		b.want(t, "the alarm, then the readings")
		b.push(sample.Cooled, "soc")
		b.want(t, "the alarm goes, the readings stay")
		heat(90_000)
		b.want(t, "both are over", sample.Cooled)

		heat(101_000)
		b.want(t, "the readings", sample.Hot)
		b.push(sample.Hot, "soc")
		b.want(t, "the readings, then the alarm")
		heat(90_000)
		b.want(t, "the readings go, the alarm stays")
		b.push(sample.Cooled, "soc")
		b.want(t, "both are over", sample.Cooled)
	}
	b.push(sample.Hot, "soc")
	b.push(sample.Hot, "other")
	b.push(sample.Cooled, "other")
	b.want(t, "two sensors", sample.Hot, sample.Hot, sample.Cooled)
}

// An alarm that comes and goes is bounded as all signs are, and heat that it kept
// from being told is told when there is room.
func TestAlarmThatComesAndGoesIsBounded(t *testing.T) {
	b := newBench(func(c *Config) { c.Step = false })
	hot := 0
	for range 60 {
		b.see(30*time.Second, reading(catalogue.SensorTemperature, "soc", 90_000))
		b.push(sample.Hot, "soc")
		b.see(30*time.Second, reading(catalogue.SensorTemperature, "soc", 90_000))
		b.push(sample.Cooled, "soc")
	}
	for _, s := range b.told {
		if s.Kind == sample.Hot {
			hot++
		}
	}
	if hot < atOnce || hot > 2*atOnce || len(b.told) != 2*hot {
		t.Errorf("%d times hot in an hour, of %d signs; want at most %d, each with its end", hot, len(b.told), 2*atOnce)
	}
	b.told = nil
	b.push(sample.Hot, "soc")
	for range 60 {
		b.see(time.Minute, reading(catalogue.SensorTemperature, "soc", 90_000))
	}
	b.want(t, "hot for an hour", sample.Hot)
}

func TestThermal(t *testing.T) {
	b := newBench(func(c *Config) { c.Step = false })
	heat := func(v int64, n int) {
		for range n {
			b.see(20*time.Second, reading(catalogue.SensorTemperature, "soc", v))
		}
	}
	heat(90_000, 10)
	heat(101_000, 3) // 40 s
	heat(99_000, 3)
	b.want(t, "hot for less than a minute")
	heat(101_000, 10)
	if len(b.told) != 1 || b.told[0].Before != 99_000 || b.told[0].After != 101_000 {
		t.Errorf("hot: told %+v", b.told)
	}
	b.want(t, "hot", sample.Hot)
	heat(97_000, 10)
	b.want(t, "not well below the limit")
	heat(94_000, 10)
	b.want(t, "cool", sample.Cooled)
	heat(250_000, 10)
	heat(-274_000, 10)
	b.want(t, "no temperature")
	m := newBench(func(c *Config) { c.Thermal = false })
	for range 100 {
		m.see(20*time.Second, reading(catalogue.SensorTemperature, "soc", 140_000))
	}
	m.want(t, "off")
}

// probes gives rounds of ten probes.
func (b *bench) probes(rounds int, rtt, answered int64, skipped bool) {
	for range rounds {
		b.sent += 10
		b.received += answered
		if skipped {
			b.skipped++
		}
		r := []sample.Reading{
			reading(catalogue.ProbeSent, "p", b.sent), reading(catalogue.ProbeReceived, "p", b.received), reading(catalogue.ProbeSkipped, "p", b.skipped),
		}
		if rtt > 0 {
			r = append(r, reading(catalogue.ProbeRTT, "p", rtt+b.sent%30))
		}
		b.see(time.Minute, r...)
	}
}

func TestLatency(t *testing.T) {
	b := newBench()
	b.probes(13*60, 10_000, 10, false)
	b.probes(60, 38_000, 10, false) // 28 ms more
	b.want(t, "less than the excess")
	b.probes(10, 90_000, 10, false)
	b.probes(20, 10_000, 10, false)
	b.want(t, "for ten minutes")
	b.probes(120, 90_000, 10, true)
	b.want(t, "beside rounds that were left out")
	begun := b.at
	b.probes(60, 90_000, 10, false)
	if len(b.told) != 1 || b.told[0].Before > 13_000 || b.told[0].After < 90_000 || b.told[0].At < begun-10*time.Minute || b.told[0].At > begun+10*time.Minute {
		t.Errorf("slow: told %+v", b.told)
	}
	b.want(t, "slow", sample.Degraded)
	b.probes(60, 10_000, 10, false)
	b.want(t, "as usual", sample.Recovered)
	b.probes(8*24*60, 90_000, 10, false)
	b.want(t, "another way for a week", sample.Degraded)
	b.probes(60, 90_000, 10, false)
	b.want(t, "which is then usual")
}

func TestLoss(t *testing.T) {
	b := newBench()
	for range 300 {
		b.probes(9, 10_000, 10, false)
		b.probes(1, 10_000, 8, false)
	}
	b.want(t, "2 %")
	b.probes(3, 0, 0, false)
	if len(b.told) != 1 || b.told[0].Metric != catalogue.ProbeReceived || b.told[0].Before < 20 || b.told[0].After > b.told[0].Before-12 {
		t.Errorf("nothing answered: told %+v", b.told)
	}
	b.want(t, "nothing answered", sample.Degraded)
	b.probes(300, 0, 0, false)
	b.want(t, "and goes on")
	b.probes(40, 10_000, 10, false)
	b.want(t, "all answered", sample.Recovered)
	b.probes(60, 10_000, 9, false)
	b.want(t, "10 %", sample.Degraded)
}

// traffic gives rounds of ten seconds of a station.
func (b *bench) traffic(rounds int, signal, bytes int64) {
	for range rounds {
		b.sent += bytes
		b.see(10*time.Second, reading(catalogue.StationSignal, "s", signal), reading(catalogue.StationBytesSent, "s", b.sent), reading(catalogue.StationBytesReceived, "s", 7))
	}
}

func TestCoverage(t *testing.T) {
	const busy, quiet = 1 << 20, 50_000 / 8 * 9
	b := newBench()
	b.traffic(60, -60, busy)
	b.traffic(4, -90, busy)
	b.traffic(60, -60, busy)
	b.want(t, "a fade")
	b.traffic(600, -82, quiet)
	b.want(t, "weak and quiet")
	b.traffic(60, -82, busy)
	if len(b.told) != 1 || b.told[0].Metric != catalogue.StationSignal || b.told[0].After > -75 || b.told[0].Before < -82 {
		t.Errorf("weak: told %+v", b.told)
	}
	if p := b.told[0].Purpose(); p != catalogue.Personalised {
		t.Errorf("coverage of a device is for the purpose %v", p)
	}
	b.want(t, "weak", sample.PoorCoverage)
	b.traffic(60, -73, busy)
	b.want(t, "not yet good")
	b.traffic(60, -60, busy)
	b.want(t, "good", sample.GoodCoverage)
	b.traffic(60, -82, busy)
	b.want(t, "weak again within the hour")
	b.traffic(360, -82, busy)
	b.want(t, "and after it", sample.PoorCoverage)
}

func TestAssociationFailures(t *testing.T) {
	b := newBench()
	fail := func(n int64, wait time.Duration) {
		b.sent += n
		b.see(wait, reading(catalogue.RadioAssociationFailures, "wlan0", b.sent))
	}
	fail(9, 10*time.Second)
	for range 100 {
		fail(1, 50*time.Second) // a device with an old password
	}
	b.want(t, "each on its own")
	for range 60 {
		fail(0, time.Minute)
	}
	fail(2, 30*time.Second)
	fail(2, 30*time.Second)
	if len(b.told) != 1 || b.told[0].After-b.told[0].Before != 4 {
		t.Errorf("four: told %+v", b.told)
	}
	b.want(t, "four", sample.AssociationFailures)
	for range 60 {
		fail(3, time.Minute)
	}
	b.want(t, "that go on")
	for range 40 {
		fail(0, time.Minute)
	}
	fail(5, time.Minute)
	b.want(t, "after half an hour without", sample.AssociationFailures)
}
