package netfault_test

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"testing"

	"livebox-agent/testbench/netfault"
	"livebox-agent/testbench/process"
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

// The shipped agent, and a kernel that loses, refuses and slows its packets.
func TestNothingIsLostWhateverTheKernelDoesToPackets(t *testing.T) {
	for _, name := range []string{"ip", "nft", "tc"} {
		if _, err := exec.LookPath(name); err != nil && os.Getenv("CI") != "true" {
			t.Skipf("%s is not installed", name)
		}
	}
	dir := t.TempDir()
	agent, err := process.Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := netfault.RunKernel(t.Context(), netfault.Options{
		Dir: dir, Trials: 1, Agent: agent,
		Tell: func(r netfault.Row) {
			t.Logf("%-40s made %d lost %d twice %d again %d, recovered in %v, flash %d",
				r.Fault, r.Made, r.Lost, r.Duplicated, r.Again, r.Longest, r.FlashBytes)
		},
	})
	if errors.Is(err, netfault.ErrNoKernel) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Error(err)
	}
	for _, r := range rows {
		if r.Untried != "" {
			t.Run(r.Fault, func(t *testing.T) { t.Skip(r.Untried) })
			continue
		}
		if r.Made < 5 || r.Lost+r.Duplicated != 0 {
			t.Errorf("%+v; want 5 reports or more, each once", r)
		}
	}
}
