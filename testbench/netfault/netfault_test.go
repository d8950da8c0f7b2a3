package netfault_test

import (
	"log/slog"
	"testing"

	"livebox-agent/testbench/netfault"
)

func TestNothingIsLostUnderAnyFault(t *testing.T) {
	rows, err := netfault.Run(t.Context(), netfault.Options{
		Dir: t.TempDir(), Trials: 1, Log: slog.New(slog.DiscardHandler),
		Tell: func(r netfault.Row) {
			t.Logf("%-40s made %d lost %d twice %d again %d, recovered in %v, flash %d",
				r.Fault, r.Made, r.Lost, r.Duplicated, r.Again, r.Longest, r.FlashBytes)
		},
	})
	if err != nil {
		t.Error(err)
	}
	if want := len(netfault.Faults()); len(rows) != want || want < 30 {
		t.Errorf("%d rows; want one for each of %d faults, 30 or more", len(rows), want)
	}
	for _, r := range rows {
		if r.Trials != 1 || r.Made < 20 || r.Lost+r.Duplicated != 0 {
			t.Errorf("%+v; want 20 reports or more, each once", r)
		}
	}
}
