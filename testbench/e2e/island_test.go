package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
	emulated "livebox-agent/testbench/box"
	"livebox-agent/testbench/cem"
	"livebox-agent/testbench/island"
	"livebox-agent/testbench/process"
	"livebox-agent/uplink/wire"
)

// A house is a bench whose agent, the program as it is shipped, runs on a box
// with ports, with the files of its kernel, and with mains that can fail.
type house struct {
	*bench
	box   *emulated.Box
	ports map[string]*island.Port
	agent *process.Process
}

// newHouse builds a house around an emulated box, with the operator's side up
// and the agent running. The tests of houses do not run in parallel: they have
// one island.
func newHouse(t *testing.T, model string) *house {
	t.Helper()
	island.Need(t)
	h := &house{bench: newBench(t), ports: map[string]*island.Port{}}
	var names []string
	for i := range 4 {
		name := fmt.Sprintf("lan%d", i+1)
		h.ports[name] = island.AddPort(t, name)
		names = append(names, fmt.Sprintf("%q", name))
	}
	h.bench.agent.Set["surge.ports"] = "[" + strings.Join(names, ", ") + "]"
	h.box = h.on(t, model)
	h.show(t)
	island.Boot(t)
	h.operatorUp(t)
	h.powerOn(t)
	return h
}

// show keeps the files of the box's kernel where the agent looks for them.
func (h *house) show(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	if err := h.box.WriteTree(dir); err != nil {
		t.Fatal(err)
	}
	island.ShowTree(t, dir)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				if err := h.box.WriteTree(dir); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	t.Cleanup(func() {
		close(done)
		<-ended
	})
}

// powerOn starts the agent and waits until its readings reach the CEM.
func (h *house) powerOn(t *testing.T) {
	t.Helper()
	before := len(h.state().Runs)
	h.agent = h.agentUp(t)
	h.await(t, "windows of the new run", func(s cem.BoxState) bool {
		return len(s.Runs) > before && s.Runs[len(s.Runs)-1].Windows.Contiguous() >= 2
	})
}

// powerOff takes the mains away: nobody is asked to end.
func (h *house) powerOff(t *testing.T) {
	t.Helper()
	if err := h.agent.Kill(); err != nil {
		t.Fatal(err)
	}
	h.box.PowerDip(time.Minute)
	island.Boot(t)
}

func (h *house) state() cem.BoxState {
	s, _ := h.lab.CEM.Box(box)
	return s
}

// settle stops the agent in order, which ends an open episode, and returns the
// events of a type that the CEM has.
func (h *house) settle(t *testing.T) cem.BoxState {
	t.Helper()
	if err := h.agent.Terminate(patience); err != nil {
		t.Fatal(err)
	}
	s := h.await(t, "clean stop", func(s cem.BoxState) bool { return s.Status.GetCleanStop() && s.Missing() == 0 })
	once(t, s)
	return s
}

// events returns what the CEM has of a type, the last part of each episode only.
func events(s cem.BoxState, types ...wire.EventType) (all []cem.Event) {
	for _, e := range s.Events {
		if slices.Contains(types, e.Type) && attribute(e, "part") != "notice" {
			all = append(all, e)
		}
	}
	return all
}

func attribute(e cem.Event, key string) string {
	for _, a := range e.Attributes {
		if a.Key == key {
			return a.Value
		}
	}
	return ""
}

// evidence returns what an event has of a kind, by instance.
func evidence(e cem.Event, kind sample.SignKind) map[string]sample.Sign {
	all := map[string]sample.Sign{}
	for _, v := range e.Evidence {
		if v.Kind == kind {
			all[v.Instance] = v.Sign
		}
	}
	return all
}

func TestMain(m *testing.M) {
	code := island.Main(m)
	removeProgram()
	os.Exit(code)
}

func TestOrdinaryPowerCutIsARestartAndNoSurge(t *testing.T) {
	h := newHouse(t, "livebox5")
	h.powerOff(t)
	h.powerOn(t)
	s := h.settle(t)
	if got := events(s, wire.Surge, wire.Line); len(got) > 0 {
		t.Errorf("events %+v; want none", got)
	}
	started := events(s, wire.AgentStarted)
	if len(started) != 2 || attribute(started[1], "previous_end") != "unclean" || len(evidence(started[1], sample.Restarted)) != 1 {
		t.Errorf("starts %+v; want a second one after an unclean end", started)
	}
}

// causes are what the parts of the box say of the restart before an event.
func causes(e cem.Event) (all []int64) {
	for _, v := range evidence(e, sample.ResetCause) {
		all = append(all, v.After)
	}
	return all
}

func TestCustomerUnplugsTheBox(t *testing.T) {
	h := newHouse(t, "livebox4")
	h.ports["lan1"].SetLink(t, false) // the cable of one device goes first
	h.powerOff(t)
	h.powerOn(t)
	s := h.settle(t)
	if got := events(s, wire.Surge, wire.Line); len(got) > 0 {
		t.Errorf("events %+v; want none", got)
	}
	started := events(s, wire.AgentStarted)
	if len(started) != 2 || len(evidence(started[1], sample.Restarted)) != 1 {
		t.Fatalf("starts %+v; want a second one, not asked for", started)
	}
	if cause := causes(started[1]); !slices.Contains(cause, catalogue.RestartPowerOn) {
		t.Errorf("causes %v; want power: %+v", cause, started[1])
	}
}

func TestPlannedRebootIsNoRestart(t *testing.T) {
	h := newHouse(t, "livebox4")
	if err := h.agent.Terminate(patience); err != nil {
		t.Fatal(err)
	}
	h.box.Reboot("TR069 reboot")
	island.Boot(t)
	h.powerOn(t)
	s := h.settle(t)
	if got := events(s, wire.Surge, wire.Line); len(got) > 0 {
		t.Errorf("events %+v; want none", got)
	}
	started := events(s, wire.AgentStarted)
	if len(started) != 2 || attribute(started[1], "previous_end") != "clean" || len(evidence(started[1], sample.Restarted)) != 0 {
		t.Fatalf("starts %+v; want a second one after a clean end", started)
	}
	if cause := causes(started[1]); !slices.Contains(cause, catalogue.RestartPlanned) {
		t.Errorf("causes %v; want a planned restart: %+v", cause, started[1])
	}
}

// The kernel's own links: two ports die at once, one comes back, slower; the rail
// sags meanwhile. The power stays.
func TestSurgeThatTheBoxSurvives(t *testing.T) {
	h := newHouse(t, "livebox5")
	h.ports["lan1"].SetLink(t, false)
	h.ports["lan4"].SetLink(t, false)
	h.await(t, "notice", func(s cem.BoxState) bool {
		return slices.ContainsFunc(s.Events, func(e cem.Event) bool { return attribute(e, "part") == "notice" })
	})
	h.box.Rail(9.5)
	h.ports["lan1"].SetSpeed(t, 100)
	h.ports["lan1"].SetLink(t, true)
	at := h.windowsNow()
	h.await(t, "what follows", windows(at+8))
	h.box.Rail(12)
	h.await(t, "the end of it", windows(at+12))
	s := h.settle(t)
	surge := events(s, wire.Surge)
	if len(surge) != 1 {
		t.Fatalf("events %+v; want one surge", s.Events)
	}
	e := surge[0]
	slower := evidence(e, sample.PortSlower)["lan1"]
	if len(evidence(e, sample.PortDown)) != 2 || slower.Before != 1000 || slower.After != 100 {
		t.Errorf("ports down %+v, slower %+v", evidence(e, sample.PortDown), slower)
	}
	if dead := evidence(e, sample.PortDead); len(dead) != 1 || dead["lan4"].Kind == 0 {
		t.Errorf("dead ports %+v; want lan4", dead)
	}
	if len(evidence(e, sample.BrownOut)) == 0 {
		t.Errorf("evidence %+v; want the brown-out", e.Evidence)
	}
	if len(evidence(e, sample.Level)) == 0 || len(e.Unseen) == 0 {
		t.Errorf("levels %+v, unseen %q; want some of both", evidence(e, sample.Level), e.Unseen)
	}
}

// windowsNow is how many windows of its only run the CEM has.
func (h *house) windowsNow() uint64 {
	s := h.state()
	return s.Runs[len(s.Runs)-1].Windows.Contiguous()
}
