package budget

import (
	"strings"
	"testing"

	"livebox-agent/testbench/build"
)

func TestEvidenceIsTimedByTheAgentsBenchmark(t *testing.T) {
	root, err := build.Root()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := evidence(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1 || rows[0].Value <= 0 || rows[0].Budget != maxEvidence || rows[0].State == NotMeasured || rows[0].State == Over {
		t.Errorf("rows %+v; want one that was measured, and that fails nothing", rows)
	}
}

func TestBenchmarkThatSaysNothingIsAnError(t *testing.T) {
	const said = "BenchmarkEvidenceToFlash-2   200   3010 ns/op   2.5 ms_median   7 ms_p99\nPASS\n"
	if v, err := metric(said, "ms_p99"); err != nil || v != 7 {
		t.Errorf("metric = %v, %v", v, err)
	}
	for _, out := range []string{"", "PASS", "ms_median", "x ms_median"} {
		if _, err := metric(out, "ms_median"); err == nil || !strings.Contains(err.Error(), "ms_median") {
			t.Errorf("%q: %v", out, err)
		}
	}
}
