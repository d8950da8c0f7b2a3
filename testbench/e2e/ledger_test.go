package e2e

import (
	"context"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"livebox-agent/agent"
	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
	"livebox-agent/testbench/lab"
	"livebox-agent/uplink/wire"
)

// noise is a source whose readings do not compress, so that a small store is
// soon full.
type noise struct{ rnd *rand.Rand }

func (noise) Describe() collector.Description {
	return collector.Description{
		Name: "line", Purpose: catalogue.Essential, Interval: time.Minute, Timeout: time.Second,
		Metrics: []catalogue.ID{catalogue.LineDownMaxRate},
	}
}

func (n noise) Collect(_ context.Context, b *sample.Batch) error {
	for i := range 60 {
		b.Add(catalogue.LineDownMaxRate, "dsl"+strconv.Itoa(i), n.rnd.Int64N(1<<17))
	}
	return nil
}

// Days without a backend fill the smallest store that there may be. What the
// CEM is told was dropped and thinned is what it does not have, or has without
// columns: each window of the run is accounted for.
func TestLossesThatAreToldAddUpToWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := newStory(t, "livebox5")
	s.source = func(agent.Env) agent.Box {
		return agent.Box{Sources: []collector.Source{noise{rand.New(rand.NewPCG(1, 2))}}}
	}
	s.agent.Set["buffer.ram_bytes"], s.agent.Set["buffer.flash_bytes"] = "65536", "524288"
	s.boot(t, s.configuration(t), func(teller) bool {
		<-time.After(48 * time.Hour)
		return false
	})
	got := s.delivered(t)
	s.operatorDown(t)
	run := got.Runs[0]
	messages, err := lab.Stored(t.Context(), s.dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	has, whole := map[uint64]bool{}, 0
	for _, m := range messages {
		r, err := wire.ParseReport(m.Payload)
		if err != nil || r.Run.ID != run.ID || r.Lane != wire.Windows || has[r.Sequence] {
			continue
		}
		has[r.Sequence] = true
		for _, section := range r.Sections {
			if section.Fidelity == wire.Columns {
				whole++
				break
			}
		}
	}
	windows := run.Windows.Ranges
	made := windows[len(windows)-1].Last
	missing := made - uint64(len(has))
	t.Logf("of %d windows %d came, %d with columns; told: %d dropped, %d thinned", made, len(has), whole, got.Lost, got.Thinned)
	if missing == 0 || got.Lost != missing || got.Missing() != missing {
		t.Errorf("%d windows are missing, %d were told as dropped", missing, got.Lost)
	}
	if made < 48*12 || !has[1] {
		t.Errorf("%d windows, the first: %v; want those of all hours", made, has[1])
	}
	// One that is dropped in the end was thinned before, or not.
	if bare := uint64(len(has) - whole); bare == 0 || got.Thinned < bare || got.Thinned > bare+got.Lost {
		t.Errorf("%d windows came without columns, %d were told as thinned and %d as dropped", bare, got.Thinned, got.Lost)
	}
}
