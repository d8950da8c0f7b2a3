package cem

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"livebox-agent/uplink/wire"
)

// covered is a run of which windows came from first to last.
func covered(id uint64, kernel uint32, first, last time.Duration) RunState {
	return RunState{
		ID: id, Counter: uint32(id), KernelBoot: kernel, Started: first,
		Windows: LaneState{Ranges: []wire.Range{{First: 1, Last: 1}}, First: first, Last: last},
	}
}

func TestKillCost(t *testing.T) {
	stopped := covered(1, 7, 0, time.Minute)
	stopped.CleanStop = true
	told := covered(2, 7, 2*time.Minute, 3*time.Minute)
	told.PreviousRun, told.PreviousEnd = 1, "clean"
	silent := RunState{ID: 2, Counter: 2, KernelBoot: 7, Started: 2 * time.Minute}
	for _, tt := range []struct {
		name  string
		runs  []RunState
		want  time.Duration
		kills int
	}{
		{name: "no run"},
		{name: "one run", runs: []RunState{covered(1, 7, 0, time.Minute)}},
		{
			name: "killed and started again", want: 90 * time.Second, kills: 1,
			runs: []RunState{covered(1, 7, 0, time.Minute), covered(2, 7, 150*time.Second, 5*time.Minute)},
		},
		{
			name: "killed twice", want: 30 * time.Second, kills: 2,
			runs: []RunState{
				covered(1, 7, 0, time.Minute), covered(2, 7, 70*time.Second, 2*time.Minute),
				covered(3, 7, 140*time.Second, 3*time.Minute),
			},
		},
		{
			name: "killed right after a window", kills: 1,
			runs: []RunState{covered(1, 7, 0, time.Minute), covered(2, 7, time.Minute, 2*time.Minute)},
		},
		{
			name: "another boot of the kernel",
			runs: []RunState{covered(1, 7, 0, time.Minute), covered(2, 8, 30*time.Minute, time.Hour)},
		},
		{
			name: "another boot in between", want: 4 * time.Minute, kills: 1,
			runs: []RunState{
				covered(1, 7, 0, time.Minute), covered(2, 8, 0, time.Minute),
				covered(3, 7, 5*time.Minute, 6*time.Minute),
			},
		},
		{name: "stopped as asked", runs: []RunState{stopped, covered(2, 7, time.Hour, 2*time.Hour)}},
		{name: "the next run says it was clean", runs: []RunState{covered(1, 7, 0, time.Minute), told}},
		{name: "nothing of the next run yet", runs: []RunState{covered(1, 7, 0, time.Minute), silent}},
		{
			name: "a run of which nothing was delivered", want: 2 * time.Minute, kills: 1,
			runs: []RunState{covered(1, 7, 0, time.Minute), silent, covered(3, 7, 3*time.Minute, 4*time.Minute)},
		},
		{
			name: "the first run delivered nothing", want: time.Minute, kills: 1,
			runs: []RunState{
				{ID: 1, Counter: 1, KernelBoot: 7, Started: 2 * time.Minute}, covered(2, 7, 3*time.Minute, 4*time.Minute),
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cost, kills := BoxState{Runs: tt.runs}.KillCost()
			if cost != tt.want || kills != tt.kills {
				t.Errorf("KillCost() = %v, %d; want %v, %d", cost, kills, tt.want, tt.kills)
			}
		})
	}
}

// The windows that a kill costs, from the reports themselves.
func TestKillCostFromReports(t *testing.T) {
	b := newBox("box1")
	run2 := wire.Run{ID: 0xa2, Counter: 2, KernelBoot: run1.KernelBoot}
	started := eventReport(run2, 1, wire.Event{
		Type: wire.AgentStarted, At: 310 * time.Second,
		Attributes: []wire.Attribute{
			{Key: "previous_run", Value: "00000000000000a1"}, {Key: "previous_end", Value: "unclean"}, {Key: "version", Value: "1"},
		},
	})
	after := window(run2, 1)
	after.Opened, after.Sealed = 315*time.Second, 6*time.Minute
	// Windows 4 and 5 of the first run, to 5m, were in memory and died with it.
	send(b, window(run1, 1), window(run1, 2), window(run1, 3), started, after)
	want := []Interruption{{Before: run1.ID, After: run2.ID, From: 3 * time.Minute, To: 315 * time.Second}}
	if diff := cmp.Diff(want, b.snapshot().Interruptions()); diff != "" {
		t.Errorf("interruptions (-want +got):\n%s", diff)
	}
	s := b.snapshot()
	if r := s.Runs[1]; r.PreviousRun != run1.ID || r.PreviousEnd != "unclean" || r.Version != "1" || r.Started != 310*time.Second {
		t.Errorf("second run %+v; want what its first event says", r)
	}
	if cost, kills := s.KillCost(); cost != 135*time.Second || kills != 1 {
		t.Errorf("KillCost() = %v, %d; want 2m15s, 1", cost, kills)
	}
}
