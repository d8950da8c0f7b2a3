package kill

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"livebox-agent/buffer"
	"livebox-agent/testbench/cem"
	"livebox-agent/testbench/process"
	"livebox-agent/uplink/wire"
)

func TestMain(m *testing.M) {
	Main()
	os.Exit(m.Run())
}

func build(t *testing.T) string {
	t.Helper()
	binary, err := process.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// KILL_SEED repeats a run, KILLS makes it longer or shorter.
func TestNothingDurableIsLostByKills(t *testing.T) {
	number := func(name string, otherwise uint64) uint64 {
		s := os.Getenv(name)
		if s == "" {
			return otherwise
		}
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	cfg := Config{
		Binary: build(t), Dir: t.TempDir(), Kills: int(number("KILLS", 200)), Together: 4,
		Seed: number("KILL_SEED", uint64(time.Now().UnixNano())), Log: t.Logf,
	}
	t.Logf("KILL_SEED=%d KILLS=%d", cfg.Seed, cfg.Kills)
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v; a kill cost %v of window time", r, r.Uncovered/time.Duration(max(r.Measured, 1)))
	if r.Kills != cfg.Kills || r.OperatorKills < cfg.Kills/40 || r.Durable < cfg.Kills/2 {
		t.Errorf("%d kills, %d of the operator, %d reports durable: not what was to be tried", r.Kills, r.OperatorKills, r.Durable)
	}
	if r.Lost != 0 || r.Duplicated != 0 {
		t.Errorf("%d lost, %d duplicated", r.Lost, r.Duplicated)
	}
}

// A flash that forgets what it had at a kill is told as reports lost: were it
// not, the table's zeros would mean nothing.
func TestFlashThatForgetsLosesReports(t *testing.T) {
	forgotten := 0
	r, err := Run(t.Context(), Config{
		// With this seed the operator first comes in the eighth life.
		Binary: build(t), Dir: t.TempDir(), Kills: 8, Together: 1, Seed: 57, Log: t.Logf, Patience: 3 * time.Second,
		Meanwhile: func(state string) error {
			err := os.Remove(filepath.Join(state, "reports.db"))
			if errors.Is(err, os.ErrNotExist) {
				return nil
			}
			forgotten++
			return err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if forgotten == 0 || r.Durable == 0 || r.Lost == 0 || r.Lost > r.Durable {
		t.Errorf("a flash that forgot %d times lost %d of %d durable reports", forgotten, r.Lost, r.Durable)
	}
}

func TestReportsOfTheCEMAreCounted(t *testing.T) {
	run := buffer.Run{ID: 7}
	v := &victim{durable: map[buffer.Key]bool{
		{Lane: buffer.Events, Run: run, Sequence: 1}:  true,
		{Lane: buffer.Windows, Run: run, Sequence: 1}: true,
		{Lane: buffer.Windows, Run: run, Sequence: 5}: true,
	}}
	state := cem.BoxState{Runs: []cem.RunState{{
		ID:      run.ID,
		Events:  cem.LaneState{Ranges: []wire.Range{{First: 1, Last: 1}}},
		Windows: cem.LaneState{Ranges: []wire.Range{{First: 2, Last: 4}, {First: 6, Last: 9}}},
	}}}
	if n := v.lost(state); n != 2 {
		t.Errorf("%d lost; want both windows", n)
	}
	state.Reports = 8
	if v.count(state); v.Duplicated != 0 {
		t.Errorf("%d duplicated of 8 reports in 8 places", v.Duplicated)
	}
	state.Reports, state.Duplicates = 10, 3
	if v.count(state); v.Duplicated != 2 || v.SentAgain != 3 {
		t.Errorf("%d duplicated, %d sent again; want 2 and 3", v.Duplicated, v.SentAgain)
	}
}
