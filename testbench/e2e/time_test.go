package e2e

import (
	"os/exec"
	"slices"
	"testing"
	"time"

	"livebox-agent/agent"
	"livebox-agent/testbench/cem"
	"livebox-agent/testbench/lab"
	"livebox-agent/testbench/process"
	"livebox-agent/testbench/timeshift"
	"livebox-agent/uplink/wire"
)

var in1970 = time.Unix(0, 0)

// reboot gives the box a kernel that has just booted, its clock at wall.
func (b *bench) reboot(id string, wall time.Time) *timeshift.Clocks {
	c := timeshift.Boot(id, wall)
	b.agent.Begin = func(cmd *exec.Cmd) error { return timeshift.Start(cmd, c) }
	return c
}

// more waits for so many windows more of the run than there are.
func (b *bench) more(t *testing.T, run int, n uint64) cem.BoxState {
	t.Helper()
	first := b.await(t, "run", func(s cem.BoxState) bool { return len(s.Runs) > run })
	return b.await(t, "window more", func(s cem.BoxState) bool {
		return s.Runs[run].Windows.Contiguous() >= first.Runs[run].Windows.Contiguous()+n
	})
}

// placed counts the readings of a boot that the CEM has, and those that it
// places; each must be within a second of the truth.
func (b *bench) placed(t *testing.T, s cem.BoxState, kernelBoot uint32, truth time.Time) (placed, readings int) {
	t.Helper()
	messages, err := lab.Stored(t.Context(), b.dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	var worst time.Duration
	for _, m := range messages {
		r, err := wire.ParseReport(m.Payload)
		if err != nil {
			t.Fatal(err)
		}
		if r.Run.KernelBoot != kernelBoot {
			continue
		}
		for _, at := range times(t, r) {
			readings++
			wall, ok := s.Place(kernelBoot, at)
			if !ok {
				continue
			}
			placed++
			off := wall.Sub(truth.Add(at)).Abs()
			if worst = max(worst, off); off > time.Second {
				t.Fatalf("a reading at %v is placed %v off; boots %+v", at, off, s.Boots)
			}
		}
	}
	t.Logf("boot %08x: %d of %d readings placed, at worst %v off", kernelBoot, placed, readings, worst)
	return placed, readings
}

// times returns when each reading of a report was taken.
func times(t *testing.T, r wire.Report) (all []time.Duration) {
	t.Helper()
	for _, section := range r.Sections {
		if section.Fidelity != wire.Columns {
			continue
		}
		tables, err := wire.DecodeColumns(section.Body)
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range tables {
			for _, c := range table.Columns {
				for i, v := range c.Values {
					if v != wire.Absent {
						all = append(all, table.Times[i])
					}
				}
			}
		}
	}
	return all
}

// Three boots of a box without a battery: one that learns the time late, whose
// clock is stepped forward and back, and which dies; one that ends before it
// learns it; one that delivers what the others left.
func TestReadingsOfEveryBootArePlacedOrNot(t *testing.T) {
	timeshift.Need(t)
	t.Parallel()
	b := newBench(t)
	b.operatorUp(t)
	first := b.reboot("first", in1970)
	p := b.agentUp(t)
	nowhere := func(when string, s cem.BoxState) {
		t.Helper()
		if slices.ContainsFunc(s.Values, func(v cem.Value) bool { return !v.Wall.IsZero() }) || len(s.Boots) > 0 {
			t.Errorf("%s: something is placed: %+v", when, s.Boots)
		}
	}
	nowhere("in 1970", b.more(t, 0, 2))
	first.Set(time.Now().Add(100 * 24 * time.Hour))
	nowhere("after a step by decades", b.more(t, 0, 2))
	first.Synchronise()
	b.await(t, "readings that are placed", func(s cem.BoxState) bool { return len(s.Boots) == 1 })
	b.more(t, 0, 1)
	first.Set(time.Now().Add(-time.Hour))
	b.more(t, 0, 2)
	first.Set(in1970)
	s := b.more(t, 0, 2)
	if placed, readings := b.placed(t, s, s.Runs[0].KernelBoot, first.Booted()); placed < readings || readings == 0 {
		t.Errorf("first boot: %d of %d readings placed; want all, also those that came before", placed, readings)
	}

	b.operatorDown(t)
	onFlash := func(s agent.Snapshot) bool { return s.Counters.BufferedFlashBytes > 0 && s.Counters.Reports >= 3 }
	b.ask(t, p, "backlog on flash", onFlash)
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	second := b.reboot("second", in1970)
	p = b.agentUp(t)
	b.ask(t, p, "backlog of the second boot", func(s agent.Snapshot) bool { return s.Counters.Reports >= 4 })
	if err := p.Terminate(patience); err != nil { // or its windows might die in memory
		t.Fatal(err)
	}
	third := b.reboot("third", time.Now().Add(-72*time.Hour))
	p = b.agentUp(t)
	b.operatorUp(t)
	b.await(t, "reports of three boots", func(s cem.BoxState) bool { return len(s.Runs) == 3 && s.Runs[2].Windows.Stored() > 2 })
	third.Synchronise()
	b.ask(t, p, "end of the backlog", func(s agent.Snapshot) bool { return s.Counters.BufferedReports <= 2 && s.Clock == "synchronised" })
	s = b.more(t, 2, 2)
	for i, boot := range []struct {
		clocks *timeshift.Clocks
		all    bool // or none
	}{{first, true}, {second, false}, {third, true}} {
		placed, readings := b.placed(t, s, s.Runs[i].KernelBoot, boot.clocks.Booted())
		if boot.all && placed < readings || !boot.all && placed > 0 || readings == 0 {
			t.Errorf("boot %d: %d of %d readings placed; want all: %v", i+1, placed, readings, boot.all)
		}
	}
	if err := p.Terminate(patience); err != nil {
		t.Error(err)
	}
}

func TestAgentRefusesAKernelWithoutMonotonicTime(t *testing.T) {
	timeshift.Need(t)
	t.Parallel()
	b := newBench(t)
	b.reboot("broken", time.Now()).Break()
	began := time.Now()
	p, err := process.Start(b.agent)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Done():
	case <-time.After(patience):
		t.Error("the agent runs on")
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("it ended after %v: %v", time.Since(began), p.Err())
	if p.Err() == nil {
		t.Error("the agent ended well; want an exit status that says otherwise")
	}
	b.log.says(t, "livebox-agent run:", "monotonic time does not move as it should", "CONFIG_COMPAT_32BIT_TIME=y")
}
