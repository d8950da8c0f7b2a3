package e2e

import (
	"maps"
	"slices"
	"testing"
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
	"livebox-agent/testbench/cem"
	"livebox-agent/uplink/wire"
)

// steps returns the lasting changes of a metric that the CEM was told of.
func steps(s cem.BoxState, id catalogue.ID) (all []sample.Sign) {
	for _, e := range s.Events {
		for _, v := range e.Evidence {
			if v.Kind == sample.Stepped && v.Metric == id {
				all = append(all, v.Sign)
			}
		}
	}
	return all
}

// notices returns the first parts of episodes.
func notices(s cem.BoxState) (all []cem.Event) {
	for _, e := range s.Events {
		if attribute(e, "part") == "notice" {
			all = append(all, e)
		}
	}
	return all
}

func TestNearStrikeOnACopperLine(t *testing.T) {
	t.Parallel()
	s := newStory(t, "livebox4")
	cfg := s.configuration(t)
	s.boot(t, cfg, func(x teller) bool {
		x.wait(7 * time.Hour)
		x.box.StrikeLine(4)
		x.push(sample.PortDown, "lan1", time.Millisecond)
		x.push(sample.PortDown, "lan3", time.Second)
		return true
	})
	s.box.PowerDip(time.Second)
	s.boot(t, cfg, func(x teller) bool {
		x.wait(time.Hour)
		return false
	})
	got := s.told(t)
	n := notices(got)
	if len(n) == 0 {
		t.Fatal("nothing was stored before the power failed")
	}
	last := n[len(n)-1]
	if last.Type != wire.Surge || len(evidence(last, sample.PortDown)) != 2 || len(evidence(last, sample.LineDown))+len(evidence(last, sample.LineRetrained)) == 0 {
		t.Fatalf("notices %+v; want two ports and the line at last, stored before the power failed", n)
	}
	if len(events(got, wire.Surge)) != 0 {
		t.Errorf("the episode that the power cut off has an end: %+v", events(got, wire.Surge))
	}
	i := slices.IndexFunc(got.Events, func(e cem.Event) bool {
		return e.Type == wire.AgentStarted && attribute(e, "previous_end") == "unclean"
	})
	if i < 0 || len(evidence(got.Events[i], sample.Restarted)) != 1 {
		t.Fatalf("no unclean start: %+v", got.Events)
	}
	if cause := causes(got.Events[i]); !slices.Contains(cause, catalogue.RestartPowerOn) {
		t.Errorf("causes %v; want power", cause)
	}
	st := steps(got, catalogue.LineDownAttenuation)
	if len(st) != 1 || st[0].After-st[0].Before < 35 || st[0].After-st[0].Before > 45 {
		t.Errorf("steps of attenuation %+v; want one of 4 dB, over the restart", st)
	}
}

func TestNoiseBurstIsOfTheLineAlone(t *testing.T) {
	t.Parallel()
	s := newStory(t, "livebox4")
	s.boot(t, s.configuration(t), func(x teller) bool {
		x.wait(3 * time.Hour)
		x.box.DegradeLine(9)
		x.wait(4 * time.Minute)
		x.box.DegradeLine(-9)
		x.wait(2 * time.Hour)
		return false
	})
	got := s.told(t)
	if e := events(got, wire.Surge); len(e) > 0 {
		t.Errorf("a surge: %+v", e)
	}
	line := events(got, wire.Line)
	if len(line) == 0 {
		t.Fatalf("events %+v; want one of the line", got.Events)
	}
	if e := line[0]; len(evidence(e, sample.LineRetrained))+len(evidence(e, sample.LineDown)) == 0 || len(evidence(e, sample.Level)) == 0 {
		t.Errorf("event %+v; want a line that was lost, and the levels", e)
	}
	if st := steps(got, catalogue.LineDownAttenuation); len(st) > 0 {
		t.Errorf("the attenuation stepped: %+v", st)
	}
}

func TestFibreBendIsAStepOfLight(t *testing.T) {
	t.Parallel()
	s := newStory(t, "livebox5")
	s.boot(t, s.configuration(t), func(x teller) bool {
		x.wait(3 * time.Hour)
		x.box.BendFibre(3)
		x.wait(time.Hour)
		return false
	})
	got := s.told(t)
	if e := events(got, wire.Surge, wire.Line); len(e) > 0 {
		t.Errorf("events %+v; want none of a surge or of a line that was lost", e)
	}
	st := steps(got, catalogue.OpticRxPower)
	if len(st) != 1 || st[0].Before-st[0].After < 2700 || st[0].Before-st[0].After > 3300 {
		t.Errorf("steps of light %+v; want one of -3 dB", st)
	}
}

func TestStrikeThroughTheMainsLeavesTheLineUnharmed(t *testing.T) {
	t.Parallel()
	s := newStory(t, "livebox4")
	cfg := s.configuration(t)
	s.boot(t, cfg, func(x teller) bool {
		x.wait(7 * time.Hour)
		x.box.Rail(9.1)
		x.wait(time.Second)
		x.wait(12 * time.Second) // the supply holds for so long
		return true
	})
	s.box.PowerDip(time.Second)
	s.box.Rail(12)
	s.boot(t, cfg, func(x teller) bool {
		x.wait(time.Hour)
		return false
	})
	got := s.told(t)
	n := notices(got)
	if len(n) == 0 || n[0].Type != wire.Surge || len(evidence(n[0], sample.BrownOut)) == 0 {
		t.Errorf("notices %+v; want the first of a brown-out", n)
	}
	if !hasEvent(got, func(e cem.Event) bool {
		return e.Type == wire.AgentStarted && attribute(e, "previous_end") == "unclean" && len(evidence(e, sample.Restarted)) == 1
	}) {
		t.Errorf("events %+v; want an unclean start", got.Events)
	}
	if missed, found := restart(got); found {
		t.Errorf("nothing is missed since the restart, but %+v", missed)
	}
	for _, id := range []catalogue.ID{catalogue.LineDownAttenuation, catalogue.LineDownMargin, catalogue.LineUpAttenuation} {
		if st := steps(got, id); len(st) > 0 {
			t.Errorf("the line was unharmed, but %+v", st)
		}
	}
}

// restart returns the event of what is missed since a restart, when it was over.
func restart(s cem.BoxState) (cem.Event, bool) {
	for _, e := range events(s, wire.Surge) {
		if len(evidence(e, sample.Restarted)) > 0 {
			return e, true
		}
	}
	return cem.Event{}, false
}

// What dies while the power is away gives no sign: the box that starts sees a port
// without a link and a line that does not train, as many boxes do all their life.
func TestWhatDiesWithThePowerIsInTheEvidenceOfTheRestart(t *testing.T) {
	t.Parallel()
	s := newStory(t, "livebox5")
	cfg := s.configuration(t)
	port := func(name string) {
		if err := s.box.Port(name, false, 0); err != nil {
			t.Fatal(err)
		}
	}
	s.boot(t, cfg, func(x teller) bool {
		x.wait(2 * time.Hour)
		port("eth2") // its device is unplugged an hour before
		x.wait(time.Hour)
		return true
	})
	s.box.PowerDip(time.Second)
	port("eth1")
	s.box.BendFibre(30)
	s.boot(t, cfg, func(x teller) bool {
		x.wait(time.Hour)
		return false
	})
	got := s.told(t)
	for _, e := range notices(got) {
		if len(evidence(e, sample.Restarted)) == 0 {
			t.Errorf("before the power failed: %+v; want nothing", e)
		}
	}
	missed, found := restart(got)
	if !found {
		t.Fatalf("events %+v; want one of what is missed since the restart", got.Events)
	}
	dead := evidence(missed, sample.PortDead)
	if p := dead["eth1"]; len(dead) != 1 || p.Metric != catalogue.PortBitRate || p.Before != 1000 {
		t.Errorf("dead ports %+v; want eth1 alone, which had 1000 Mbit/s", dead)
	}
	down := slices.Collect(maps.Values(evidence(missed, sample.LineDown)))
	if len(down) != 1 || down[0].Metric != catalogue.OpticState || down[0].Before != catalogue.OpticStateO5 {
		t.Errorf("lines that are down %+v; want the optical unit, which was in O5", down)
	}
	if cause := causes(missed); !slices.Contains(cause, catalogue.RestartPowerOn) {
		t.Errorf("causes %v; want power", cause)
	}
}

// A port flaps every five seconds for an hour. What the CEM is told is that it
// flaps, and what it costs stays within what a day may cost.
func TestFlappingPortForAnHourIsToldOnce(t *testing.T) {
	t.Parallel()
	s := newStory(t, "livebox5")
	s.boot(t, s.configuration(t), func(x teller) bool {
		x.wait(time.Hour)
		for range 720 {
			x.push(sample.PortDown, "lan2", 2*time.Second)
			x.push(sample.PortUp, "lan2", 3*time.Second)
		}
		x.wait(30 * time.Minute)
		return false
	})
	got := s.told(t)
	flaps := events(got, wire.Flapping)
	if len(flaps) != 2 || len(evidence(flaps[0], sample.PortFlapping)) != 1 || len(evidence(flaps[1], sample.PortSteady)) != 1 {
		t.Errorf("events %+v; want that it flaps, and that it no longer does", flaps)
	}
	if e := events(got, wire.Surge, wire.Line); len(e) > 0 {
		t.Errorf("events %+v; want no other", e)
	}
	// Windows of an outage of two hours and a half are most of it.
	if flash := got.Status.GetCounters().GetFlashBytes(); got.Bytes > 200_000 || flash > 1<<20 {
		t.Errorf("%d bytes on the line, %d of flash", got.Bytes, flash)
	}
	t.Logf("%d reports, %d bytes", got.Reports, got.Bytes)
}
