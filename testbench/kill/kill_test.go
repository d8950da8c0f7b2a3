package kill

import (
	"os"
	"strconv"
	"testing"
	"time"

	"livebox-agent/testbench/process"
)

func TestMain(m *testing.M) {
	Main()
	os.Exit(m.Run())
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
	binary, err := process.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Binary: binary, Dir: t.TempDir(), Kills: int(number("KILLS", 200)), Together: 4,
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
