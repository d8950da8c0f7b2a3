package episode

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
	"livebox-agent/uplink/wire"
)

// at is the hour in which the tests play, so that times before it are possible.
const at = time.Hour

// say adds a sign at its own time.
func say(g *Gatherer, after time.Duration, kind sample.SignKind, instance string) []Told {
	return g.Add(sample.Sign{At: at + after, Kind: kind, Instance: instance}, at+after)
}

// stepped adds a step.
func stepped(g *Gatherer, after time.Duration, s sample.Sign) []Told {
	s.At, s.Kind = at+after, sample.Stepped
	return g.Add(s, at+after)
}

var lessMargin = sample.Sign{Metric: catalogue.LineDownMargin, Instance: "dsl0", Before: 80, After: 50}

// show writes what was told, an event a line.
func show(told []Told) string {
	var b strings.Builder
	for _, t := range told {
		fmt.Fprint(&b, t.Event.Type)
		for _, a := range t.Event.Attributes {
			fmt.Fprintf(&b, " %s=%s", a.Key, a.Value)
		}
		b.WriteString(":")
		for _, v := range t.Event.Evidence {
			fmt.Fprintf(&b, " %s", v.Kind)
			if v.Instance != "" {
				fmt.Fprintf(&b, "(%s)", v.Instance)
			}
			if v.Count > 1 {
				fmt.Fprintf(&b, "×%d", v.Count)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

// finish lets an hour pass.
func finish(g *Gatherer) []Told {
	var told []Told
	for {
		next, ok := g.Next()
		if !ok {
			return told
		}
		told = append(told, g.Tick(next)...)
	}
}

func TestEpisodes(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(g *Gatherer) []Told
		want string
	}{
		{"a rail sags", func(g *Gatherer) []Told {
			return say(g, 0, sample.BrownOut, "in1")
		}, "surge episode=1 part=notice: brown_out(in1)\nsurge episode=1 part=whole: brown_out(in1)\n"},
		{"a line trains anew", func(g *Gatherer) []Told {
			told := say(g, 0, sample.LineRetrained, "dsl0")
			return append(told, say(g, 40*time.Second, sample.LineUp, "dsl0")...)
		}, "line episode=1 part=notice: line_retrained(dsl0)\nline episode=1 part=whole: line_retrained(dsl0) line_up(dsl0)\n"},
		{"a cable is pulled", func(g *Gatherer) []Told {
			return say(g, 0, sample.PortDown, "lan1")
		}, ""},
		{"a cable is pulled, another a minute later", func(g *Gatherer) []Told {
			return append(say(g, 0, sample.PortDown, "lan1"), say(g, time.Minute, sample.PortDown, "lan2")...)
		}, ""},
		{"two devices that sleep by chance within seconds", func(g *Gatherer) []Told {
			return append(say(g, 0, sample.PortDown, "lan1"), say(g, 4*time.Second, sample.PortDown, "lan2")...)
		}, ""},
		{"two ports at once after another", func(g *Gatherer) []Told {
			told := say(g, 0, sample.PortDown, "lan1")
			told = append(told, say(g, 9*time.Second, sample.PortDown, "lan2")...)
			return append(told, say(g, 10*time.Second, sample.PortDown, "lan3")...)
		}, "surge episode=1 part=notice: port_down(lan1) port_down(lan2) port_down(lan3)\n" +
			"surge episode=1 part=whole: port_down(lan1) port_down(lan2) port_down(lan3) port_dead(lan1) port_dead(lan2) port_dead(lan3)\n"},
		{"two ports at once, one comes back", func(g *Gatherer) []Told {
			told := say(g, 0, sample.PortDown, "lan1")
			told = append(told, say(g, time.Millisecond, sample.PortDown, "lan2")...)
			return append(told, say(g, 5*time.Second, sample.PortUp, "lan1")...)
		}, "surge episode=1 part=notice: port_down(lan1) port_down(lan2)\n" +
			"surge episode=1 part=whole: port_down(lan1) port_down(lan2) port_up(lan1) port_dead(lan2)\n"},
		{"one port twice", func(g *Gatherer) []Told {
			told := say(g, 0, sample.PortDown, "lan1")
			told = append(told, say(g, time.Second, sample.PortUp, "lan1")...)
			return append(told, say(g, 2*time.Second, sample.PortDown, "lan1")...)
		}, ""},
		{"a port, then the line within seconds", func(g *Gatherer) []Told {
			return append(say(g, 0, sample.PortDown, "lan3"), say(g, 9*time.Second, sample.LineDown, "dsl0")...)
		}, "surge episode=1 part=notice: port_down(lan3) line_down(dsl0)\n" +
			"surge episode=1 part=whole: port_down(lan3) line_down(dsl0) port_dead(lan3)\n"},
		{"a line alone becomes a surge", func(g *Gatherer) []Told {
			return append(say(g, 0, sample.LineDown, "dsl0"), say(g, 20*time.Second, sample.PortSlower, "lan1")...)
		}, "line episode=1 part=notice: line_down(dsl0)\n" +
			"surge episode=1 part=notice: line_down(dsl0) port_slower(lan1)\n" +
			"surge episode=1 part=whole: line_down(dsl0) port_slower(lan1)\n"},
		{"a margin moves", func(g *Gatherer) []Told {
			return stepped(g, 0, lessMargin)
		}, "step: stepped(dsl0)\n"},
		{"a temperature moves", func(g *Gatherer) []Told {
			return stepped(g, 0, sample.Sign{Metric: catalogue.SensorTemperature, Instance: "soc", Before: 50000, After: 60000})
		}, "step: stepped(soc)\n"},
		{"a port and a margin together", func(g *Gatherer) []Told {
			return append(say(g, 0, sample.PortDown, "lan1"), stepped(g, 2*time.Second, lessMargin)...)
		}, "surge episode=1 part=notice: port_down(lan1) stepped(dsl0)\n" +
			"surge episode=1 part=whole: port_down(lan1) stepped(dsl0) port_dead(lan1)\n"},
		{"strikes far away, then a retrain", func(g *Gatherer) []Told {
			told := say(g, 0, sample.Strike, "")
			told = append(told, say(g, 3*time.Second, sample.Strike, "")...)
			return append(told, say(g, 5*time.Second, sample.LineRetrained, "dsl0")...)
		}, "line episode=1 part=notice: strike×2 line_retrained(dsl0)\n" +
			"line episode=1 part=whole: strike×2 line_retrained(dsl0)\n"},
		{"a strike alone", func(g *Gatherer) []Told { return say(g, 0, sample.Strike, "") }, ""},
		{"a port flaps", func(g *Gatherer) []Told {
			return append(say(g, 0, sample.PortFlapping, "lan1"), say(g, time.Hour, sample.PortSteady, "lan1")...)
		}, "flapping: port_flapping(lan1)\nflapping: port_steady(lan1)\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := New()
			told := tt.do(g)
			if got := show(append(told, finish(g)...)); got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
		})
	}
}

func TestWhatOpensAnEpisodeIsToldAtOnce(t *testing.T) {
	for kind, c := range classes {
		if c != opens {
			continue
		}
		told := say(New(), 0, kind, "x")
		if len(told) != 1 || !told[0].Notice || len(told[0].Event.Evidence) != 1 || told[0].To != 0 {
			t.Errorf("%v: told %+v", kind, told)
		}
	}
}

func TestWholeHasTheLevelsBeforeAndAfter(t *testing.T) {
	g := New()
	read := func(after time.Duration, margin, rx int64) {
		b := &sample.Batch{At: at + after}
		b.Add(catalogue.PortErrorsSent, "eth0", 7) // of no interest
		b.Add(catalogue.LineDownMargin, "dsl0", margin)
		b.Add(catalogue.OpticRxPower, "veip0", rx)
		g.Observe(b)
	}
	gone := &sample.Batch{At: at - time.Hour}
	gone.Add(catalogue.LineUpMargin, "dsl0", 99)
	g.Observe(gone) // long before: tells nothing of before
	read(-10*time.Second, 82, -18794)
	say(g, 0, sample.LineRetrained, "dsl0")
	read(time.Minute, 47, -18794)
	g.Observe(gone)
	told := finish(g)
	if len(told) != 1 {
		t.Fatalf("told %+v", told)
	}
	var got []sample.Sign
	for _, v := range told[0].Event.Evidence {
		if v.Kind == sample.Level {
			got = append(got, v.Sign)
		}
	}
	want := []sample.Sign{
		{At: at + time.Minute, Kind: sample.Level, Instance: "dsl0", Metric: catalogue.LineDownMargin, Before: 82, After: 47},
		{At: at + time.Minute, Kind: sample.Level, Instance: "veip0", Metric: catalogue.OpticRxPower, Before: -18794, After: -18794},
	}
	if !slices.Equal(got, want) {
		t.Errorf("levels\n%+v\nwant\n%+v", got, want)
	}
	if told[0].From != at-recordBefore || told[0].To != at+settle {
		t.Errorf("recording from %v to %v", told[0].From, told[0].To)
	}
}

// A poll finds a training with the values that came of it: those of the poll
// before are what was before.
func TestLevelsBeforeAreNotThoseOfTheReadingThatShowedIt(t *testing.T) {
	g := New()
	read := func(after time.Duration, margin int64) {
		b := &sample.Batch{At: at + after}
		b.Add(catalogue.LineDownMargin, "dsl0", margin)
		g.Observe(b)
	}
	read(-time.Minute, 82)
	read(0, 47)
	say(g, 0, sample.LineRetrained, "dsl0")
	read(time.Minute, 48)
	told := finish(g)
	for _, v := range told[0].Event.Evidence {
		if v.Kind == sample.Level && v.Before == 82 && v.After == 48 {
			return
		}
	}
	t.Errorf("evidence %+v; want the margin of 82 before and 48 after", told[0].Event.Evidence)
}

// What is missed since a restart is one episode with the restart in it, whatever
// opens one otherwise.
func TestWhatIsMissedSinceARestartIsOneEpisode(t *testing.T) {
	restart := []sample.Sign{{Kind: sample.Restarted}, {Kind: sample.ResetCause, Instance: "box", Metric: catalogue.RestartReason, After: 1}}
	dead := sample.Sign{At: at, Kind: sample.PortDead, Instance: "lan1", Metric: catalogue.PortBitRate, Before: 1000}
	for _, tt := range []struct {
		name string
		do   func(g *Gatherer) []Told
		want string
	}{
		{"nothing", func(g *Gatherer) []Told { return g.Restarted(nil, at) }, ""},
		{
			"a port", func(g *Gatherer) []Told { return g.Restarted(append(restart, dead), at) },
			"surge episode=1 part=notice: restarted reset_cause(box) port_dead(lan1)\n" +
				"surge episode=1 part=whole: restarted reset_cause(box) port_dead(lan1)\n",
		},
		{"the line alone", func(g *Gatherer) []Told {
			return g.Restarted(append(restart, sample.Sign{At: at, Kind: sample.LineDown, Instance: "dsl0"}), at)
		}, "surge episode=1 part=notice: restarted reset_cause(box) line_down(dsl0)\n" +
			"surge episode=1 part=whole: restarted reset_cause(box) line_down(dsl0)\n"},
		{"a port that comes up late", func(g *Gatherer) []Told {
			told := g.Restarted(append(restart, dead), at)
			return append(told, say(g, time.Minute, sample.PortUp, "lan1")...)
		}, "surge episode=1 part=notice: restarted reset_cause(box) port_dead(lan1)\n" +
			"surge episode=1 part=whole: restarted reset_cause(box) port_dead(lan1) port_up(lan1)\n"},
		{"in an episode that is open", func(g *Gatherer) []Told {
			told := say(g, -time.Minute, sample.LineRetrained, "dsl0")
			return append(told, g.Restarted(append(restart, dead), at)...)
		}, "line episode=1 part=notice: line_retrained(dsl0)\n" +
			"surge episode=1 part=notice: line_retrained(dsl0) restarted reset_cause(box) port_dead(lan1)\n" +
			"surge episode=1 part=whole: line_retrained(dsl0) restarted reset_cause(box) port_dead(lan1)\n"},
		{"what waits belongs", func(g *Gatherer) []Told {
			told := say(g, -time.Second, sample.PortDown, "lan2")
			return append(told, g.Restarted(append(restart, dead), at)...)
		}, "surge episode=1 part=notice: port_down(lan2) restarted reset_cause(box) port_dead(lan1)\n" +
			"surge episode=1 part=whole: port_down(lan2) restarted reset_cause(box) port_dead(lan1) port_dead(lan2)\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := New()
			told := tt.do(g)
			if len(told) > 0 && told[len(told)-1].Event.At > at {
				t.Errorf("at %v", told[0].Event.At)
			}
			if got := show(append(told, finish(g)...)); got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
		})
	}
}

func TestEpisodeEndsWhateverComes(t *testing.T) {
	g := New()
	var told []Told
	for s := range 700 {
		told = append(told, say(g, time.Duration(s)*time.Second, sample.LineRetrained, "dsl0")...)
	}
	want := "line episode=1 part=notice: line_retrained(dsl0)\n" +
		"line episode=1 part=whole: line_retrained(dsl0)×600\n" +
		"line episode=2 part=notice: line_retrained(dsl0)\n"
	if got := show(told); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestStopEndsAnEpisodeBeforeItsTime(t *testing.T) {
	g := New()
	say(g, 0, sample.BrownOut, "in1")
	if got, want := show(g.Close(at+time.Second)), "surge episode=1 part=whole: brown_out(in1)\n"; got != want {
		t.Errorf("got %s", got)
	}
	if told := g.Close(at + 2*time.Second); told != nil {
		t.Errorf("told %+v twice", told)
	}
}

// A day of the worst: everything happens every second. What is told stays within
// what the flash is given, and what is not told is counted.
func TestAStormOfSignsMakesFewEvents(t *testing.T) {
	g := New()
	r := rand.New(rand.NewPCG(1, 2))
	var kinds []sample.SignKind
	for k := range classes {
		kinds = append(kinds, k)
	}
	slices.Sort(kinds)
	var events, counted, single, evidence int
	take := func(told []Told) {
		for _, tl := range told {
			events++
			evidence = max(evidence, len(tl.Event.Evidence))
			if types[tl.Event.Evidence[0].Kind] != 0 && len(tl.Event.Evidence) == 1 && tl.To == 0 && !tl.Notice {
				single++
			}
			for _, a := range tl.Event.Attributes {
				if a.Key == "untold" {
					n, err := strconv.Atoi(a.Value)
					if err != nil {
						t.Error(err)
					}
					counted += n
				}
			}
		}
	}
	alones := 0
	for s := range 24 * 3600 {
		k := kinds[r.IntN(len(kinds))]
		if classes[k] == alone {
			alones++
		}
		take(say(g, time.Duration(s)*time.Second, k, fmt.Sprint("i", r.IntN(100))))
	}
	take(finish(g))
	// Of either kind of episode: those at once, 12 in a day, four events each.
	if limit := 4*2*(burst+12) + 6*(burstOthers+6); events > limit {
		t.Errorf("%d events; want at most %d", events, limit)
	}
	if evidence > maxEvidence*2+maxEach*len(watched) {
		t.Errorf("%d pieces of evidence in one event", evidence)
	}
	if open := int(g.untold); single+counted+open < alones {
		t.Errorf("%d signs alone were told, %d counted, %d to be counted; %d were added", single, counted, open, alones)
	}
	t.Logf("%d events, %d counted", events, counted)
}

func TestWhatFollowsIsToldBeforeThePowerFails(t *testing.T) {
	g := New()
	say(g, 0, sample.LineRetrained, "dsl0")
	told := say(g, time.Second, sample.PortDown, "lan1")
	told = append(told, say(g, time.Second, sample.PortDown, "lan1")...) // nothing new
	told = append(told, say(g, 2*time.Second, sample.PortDown, "lan3")...)
	told = append(told, say(g, 3*time.Second, sample.PortDown, "lan4")...) // no more notices
	want := "surge episode=1 part=notice: line_retrained(dsl0) port_down(lan1)\n" +
		"surge episode=1 part=notice: line_retrained(dsl0) port_down(lan1)×2 port_down(lan3)\n"
	if got := show(told); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestLineThatTrainsAllDayKeepsNoSurgeFromBeingTold(t *testing.T) {
	g := New()
	var told []Told
	for i := range 3 * burst {
		told = append(told, say(g, time.Duration(i)*5*time.Minute, sample.LineRetrained, "dsl0")...)
	}
	if len(told) >= 3*2*burst {
		t.Fatalf("%d events of the line: the limit is not reached", len(told))
	}
	// An episode of the line that is open and untold becomes one of more.
	got := show(say(g, time.Duration(3*burst-1)*5*time.Minute+time.Second, sample.BrownOut, "in1"))
	if want := "surge episode=18 part=notice untold="; !strings.HasPrefix(got, want) {
		t.Errorf("got %s; want %s…", got, want)
	}
}

// Each type of event alone, flooded for a day, leaves room for the first of every
// other type, and for the first episode.
func TestFloodOfOneTypeSilencesNoOther(t *testing.T) {
	of := map[wire.EventType]sample.SignKind{}
	for k, e := range types {
		of[e] = max(of[e], k)
	}
	for flooding, kind := range of {
		g := New()
		flooded, last := 0, time.Duration(0)
		for i := range 24 * 60 {
			last = time.Duration(i) * time.Minute
			flooded += len(say(g, last, kind, fmt.Sprint("i", i)))
		}
		if most := burstOthers + 6; flooded > most || flooded < burstOthers || g.untold == 0 {
			t.Errorf("%v: %d told in a day, %d counted; want at most %d", flooding, flooded, g.untold, most)
		}
		for other, kind := range of {
			if other == flooding {
				continue
			}
			last += time.Minute
			told := append(say(g, last, kind, "x"), finish(g)...) // a step waits for what it may belong to
			if len(told) != 1 || told[0].Event.Type != other {
				t.Errorf("%v floods: of the first %v was told %s", flooding, other, show(told))
			}
		}
		if told := say(g, last+time.Minute, sample.BrownOut, "in1"); len(told) != 1 {
			t.Errorf("%v floods: of the first brown-out was told %s", flooding, show(told))
		}
	}
}

func TestMessagesThatTheKernelOverwroteAreCountedInTheNextEvent(t *testing.T) {
	g := New()
	for i := range 2 {
		after := time.Duration(i) * time.Minute
		told := g.Add(sample.Sign{At: at + after, Kind: sample.KernelMessagesLost, Before: int64(7 * i), After: int64(7 * (i + 1))}, at+after)
		if told = append(told, finish(g)...); len(told) > 0 {
			t.Errorf("told %s", show(told))
		}
	}
	if got, want := show(say(g, time.Hour, sample.PortFlapping, "lan1")), "flapping messages_lost=14: port_flapping(lan1)\n"; got != want {
		t.Errorf("got %s; want %s", got, want)
	}
	if got, want := show(say(g, 2*time.Hour, sample.PortSteady, "lan1")), "flapping: port_steady(lan1)\n"; got != want {
		t.Errorf("got %s; want it told once: %s", got, want)
	}
}

func TestStopTellsWhatWaits(t *testing.T) {
	g := New()
	stepped(g, 0, sample.Sign{Metric: catalogue.LineDownMargin, Instance: "dsl0", Before: 80, After: 50})
	if got, want := show(g.Close(at+time.Second)), "step: stepped(dsl0)\n"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestLateSignOfASlowSourceBelongs(t *testing.T) {
	g := New()
	say(g, 0, sample.PortDown, "lan1")
	// The poll found it 9 s after, and says when.
	told := g.Add(sample.Sign{At: at + time.Second, Kind: sample.LineRetrained, Instance: "dsl0"}, at+9*time.Second)
	if want := "surge episode=1 part=notice: port_down(lan1) line_retrained(dsl0)\n"; show(told) != want {
		t.Errorf("got %s", show(told))
	}
	if e := told[0].Event; e.At != at {
		t.Errorf("opened at %v; want the first sign's time", e.At)
	}
}

func TestPurposeOfASingleSignIsThatOfItsMetric(t *testing.T) {
	g := New()
	told := g.Add(sample.Sign{At: at, Kind: sample.PoorCoverage, Instance: "p", Metric: catalogue.StationSignal}, at)
	if len(told) != 1 || told[0].Purpose != catalogue.Personalised || told[0].Event.Type != wire.Coverage {
		t.Errorf("told %+v", told)
	}
}

// FuzzGatherer adds signs of any kind at any time: nothing panics, memory stays
// bounded, and time never stands still.
func FuzzGatherer(f *testing.F) {
	f.Add([]byte{24, 0, 1, 1, 5, 8, 2, 90})
	f.Fuzz(func(t *testing.T, b []byte) {
		g := New()
		now := at
		for len(b) >= 2 {
			now += time.Duration(b[1]) * 100 * time.Millisecond
			g.Add(sample.Sign{At: now, Kind: sample.SignKind(b[0] % 64), Instance: string(b[1:2])}, now)
			if next, ok := g.Next(); ok && next < now-lookback {
				t.Fatalf("next at %v, now %v", next, now)
			}
			if len(g.recent) > maxRecent {
				t.Fatalf("%d signs wait", len(g.recent))
			}
			b = b[2:]
		}
		finish(g)
		if g.now != nil || len(g.recent) > 0 {
			t.Error("an hour later something is still open")
		}
	})
}

func BenchmarkObserve(b *testing.B) {
	g := New()
	batch := &sample.Batch{At: at}
	for _, m := range watched {
		batch.Add(m, "x", 1)
	}
	for range 40 {
		batch.Add(catalogue.PortErrorsSent, "eth0", 1)
	}
	b.ReportAllocs()
	for b.Loop() {
		g.Observe(batch)
	}
}
