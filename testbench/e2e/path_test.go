package e2e

import (
	"testing"
	"time"

	"livebox-agent/agent"
	"livebox-agent/buffer"
	"livebox-agent/collector/catalogue"
	"livebox-agent/testbench/cem"
	"livebox-agent/uplink/wire"
)

func TestReadingsAreDecodedAndAcknowledged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.operatorUp(t)
	p := b.agentUp(t)
	b.await(t, "three windows", windows(3))
	a := b.ask(t, p, "acknowledgement", func(s agent.Snapshot) bool { return s.Counters.Acknowledged >= 3 })
	if a.Box != box || !a.Connected {
		t.Errorf("box %q, connected %v; want %q, true", a.Box, a.Connected, box)
	}
	if err := p.Terminate(patience); err != nil {
		t.Fatal(err)
	}
	s := b.await(t, "clean stop", func(s cem.BoxState) bool { return s.Status.GetCleanStop() && s.Missing() == 0 })
	once(t, s)
	if s.Online || len(s.Runs) != 1 || !s.Runs[0].CleanStop || s.Runs[0].Events.Stored() == 0 {
		t.Errorf("online %v, runs %+v; want one run, stopped, with its first event", s.Online, s.Runs)
	}
	if s.Duplicates != 0 {
		t.Errorf("%d duplicates on a connection that held; want none", s.Duplicates)
	}
	var upTime bool
	for _, v := range s.Values {
		upTime = upTime || v.Metric == catalogue.UpTime && v.Value > 0
	}
	if !upTime {
		t.Errorf("values %+v; want the machine's uptime", s.Values)
	}
}

func TestOutageLosesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.operatorUp(t)
	p := b.agentUp(t)
	b.await(t, "two windows", windows(2))
	b.operatorDown(t)
	down := b.ask(t, p, "backlog in memory and on flash", func(s agent.Snapshot) bool {
		return s.Counters.BufferedReports >= 6 && s.Counters.BufferedFlashBytes > 0
	})
	b.operatorUp(t)
	s := b.await(t, "everything that was sampled meanwhile", func(s cem.BoxState) bool {
		return s.Reports >= down.Counters.Reports && s.Missing() == 0
	})
	once(t, s)
	a := b.ask(t, p, "acknowledgement of the backlog", func(s agent.Snapshot) bool {
		return s.Counters.Acknowledged >= down.Counters.Reports
	})
	if a.Counters.Lost != 0 || a.Counters.Connects < 2 {
		t.Errorf("lost %d, %d connections; want none lost over two or more", a.Counters.Lost, a.Counters.Connects)
	}
	if cost, kills := s.KillCost(); cost != 0 || kills != 0 {
		t.Errorf("KillCost() = %v, %d; want none: the agent ran on", cost, kills)
	}
}

// The agent is killed during an outage and started again before it ends. What
// was on flash arrives once; the CEM tells what the kill cost.
func TestKillDuringOutageLosesNothingDurable(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.agent.SpillAfter = 3 * time.Second // so that some windows die in memory
	b.operatorUp(t)
	p := b.agentUp(t)
	b.await(t, "two windows", windows(2))
	b.operatorDown(t)
	b.ask(t, p, "backlog on flash and in memory", func(s agent.Snapshot) bool {
		return s.Counters.BufferedFlashBytes > 0 && s.Counters.BufferedRAMBytes > 0 && s.Counters.BufferedReports >= 6
	})
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	held, err := buffer.Inspect(b.agent.Dir + "/state")
	if err != nil {
		t.Fatal(err)
	}
	durable := windowsOf(t, held)

	p = b.agentUp(t)
	again := b.ask(t, p, "second run", func(s agent.Snapshot) bool { return s.Counters.Reports >= 3 })
	if again.RunCounter != 2 || again.PreviousEnd != "unclean" {
		t.Errorf("run %d, the one before ended %q; want 2, unclean", again.RunCounter, again.PreviousEnd)
	}
	b.operatorUp(t)
	s := b.await(t, "the durable windows and those after the kill", func(s cem.BoxState) bool {
		return len(s.Runs) == 2 && s.Runs[0].Windows.Contiguous() >= durable.Last &&
			s.Runs[1].Windows.Stored() >= 2 && s.Runs[1].Events.Stored() >= 1 && s.Missing() == 0
	})
	once(t, s)
	first, second := s.Runs[0], s.Runs[1]
	if first.ID != durable.Run.ID || first.CleanStop || second.PreviousRun != first.ID || second.PreviousEnd != "unclean" {
		t.Errorf("runs %+v, %+v; want the second to tell that the first, %x, was killed", first, second, durable.Run.ID)
	}
	// The kill cost what was in memory, the time until the start, and at most
	// the window that was open.
	cost, kills := s.KillCost()
	if gap := second.Windows.First - first.Windows.Last; kills != 1 || cost != gap || cost <= 0 || cost > patience {
		t.Errorf("KillCost() = %v, %d; want %v, the time between the windows, once", cost, kills, gap)
	}
	t.Logf("the kill cost %v of window time; %d windows and more were durable", cost, durable.Reports)
	a := b.ask(t, p, "empty buffer", func(s agent.Snapshot) bool { return s.Counters.BufferedReports <= 2 })
	if a.Counters.Lost != 0 {
		t.Errorf("the agent counts %d lost; want none: what died in memory was never in its ledger", a.Counters.Lost)
	}
}

// windowsOf returns what the store holds of the windows of the only run.
func windowsOf(t *testing.T, held buffer.Contents) buffer.RunSummary {
	t.Helper()
	for _, r := range held.Runs {
		if r.Lane == buffer.Windows {
			if n := r.Last - r.First + 1; n != uint64(r.Reports) {
				t.Fatalf("store holds %d windows from %d to %d; want all of them", r.Reports, r.First, r.Last)
			}
			return r
		}
	}
	t.Fatalf("store holds no windows: %+v", held)
	return buffer.RunSummary{}
}

// A restart as the operator's scripts do it costs no more than the window that
// was open, and counts as no kill.
func TestCleanRestartIsNoKill(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.operatorUp(t)
	p := b.agentUp(t)
	b.await(t, "two windows", windows(2))
	if err := p.Terminate(patience); err != nil {
		t.Fatal(err)
	}
	b.agentUp(t)
	s := b.await(t, "two windows of the second run", func(s cem.BoxState) bool {
		return len(s.Runs) == 2 && s.Runs[1].Windows.Contiguous() >= 2
	})
	once(t, s)
	if cost, kills := s.KillCost(); cost != 0 || kills != 0 {
		t.Errorf("KillCost() = %v, %d; want no kill", cost, kills)
	}
	if i := s.Interruptions(); len(i) != 1 || !i[0].Clean {
		t.Errorf("interruptions %+v; want one, clean", i)
	}
	if !hasEvent(s, func(e cem.Event) bool {
		return e.Run == s.Runs[1].ID && e.Type == wire.AgentStarted
	}) {
		t.Errorf("events %+v; want the start of the second run", s.Events)
	}
}
