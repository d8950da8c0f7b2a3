package storage

import (
	"testing"

	"livebox-agent/testbench/fault"
)

// The trials that the tests of their own do not cover: their rows.
func TestRowsOfTheTable(t *testing.T) {
	lab := fault.Lab{Dir: t.TempDir(), Log: t.Logf}
	var quick []fault.Trial
	for _, trial := range Trials() {
		if trial.Name == "damage" || trial.Name == "limits" {
			quick = append(quick, trial)
		}
	}
	rows, err := fault.Run(t.Context(), quick, lab)
	if err != nil {
		t.Error(err)
	}
	if len(rows) != 4 {
		t.Fatalf("%d rows; want 4", len(rows))
	}
	for _, r := range rows {
		if r.Trials == 0 || r.Note == "" || r.Lost+r.Duplicated > 0 {
			t.Errorf("row %+v", r)
		}
	}
}
