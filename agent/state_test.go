package agent

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"livebox-agent/buffer/durable"
	"livebox-agent/uplink/wire"
)

// A run whose number is lower than that of reports that wait would be delivered
// in rounds of sending again, hours late.
func TestLostRecordOfRunsHoldsUpNoReport(t *testing.T) {
	rewrite := func(f durable.Format) func(t *testing.T, state string) {
		return func(t *testing.T, state string) {
			t.Helper()
			root, err := os.OpenRoot(state)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			if err := f.Write(root, "runs", []byte("{}")); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, state string)
		kept  bool
	}{
		{"gone", func(t *testing.T, state string) {
			t.Helper()
			if err := os.Remove(filepath.Join(state, "runs")); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"damaged", rewrite(durable.Format{Magic: [4]byte{'?'}, Version: 1, Limit: 100}), true},
		{"newer", rewrite(durable.Format{Magic: [4]byte{'L', 'B', 'R', 'N'}, Version: 2, Limit: 100}), false},
		{"unreadable", func(t *testing.T, state string) {
			t.Helper()
			file := filepath.Join(state, "runs")
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("runs", file); err != nil { // ELOOP
				t.Fatal(err)
			}
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTrial(t)
			var ran, runs []wire.Run
			for range 3 {
				ran = append(ran, tr.run(t, enough(1)).clock.Start().Run)
			}
			tt.spoil(t, tr.cfg.Box.StateDir)
			said := false
			for range 2 { // the second as the first, whatever was kept
				a := tr.run(t, func(a *Agent) bool {
					said = said || slices.ContainsFunc(a.health.all(), func(h wire.Health) bool {
						return h.Code == wire.HealthStateNotKept && h.Detail != ""
					})
					return enough(1)(a) && said == !tt.kept
				})
				ran = append(ran, a.clock.Start().Run)
			}
			for _, r := range tr.left(t).reports {
				if r.Lane == wire.Events {
					runs = append(runs, r.Run)
				}
			}
			if !slices.Equal(runs, ran) {
				t.Errorf("runs of the events, as they are delivered: %+v; want them as they ran, %+v", runs, ran)
			}
		})
	}
}
