package netfault

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	faulttable "livebox-agent/testbench/fault"
)

// usual and long are how often each fault is tried.
const (
	usual = 3
	long  = 30
)

// Trials are the faults of network, names, certificates and clock, and those
// that the kernel does to packets.
func Trials() []faulttable.Trial {
	return []faulttable.Trial{
		{Name: "network", Run: func(ctx context.Context, l faulttable.Lab) ([]faulttable.Row, error) {
			rows, err := Run(ctx, options(l, "network"))
			return inTable(rows), err
		}},
		{Name: "packets", Run: func(ctx context.Context, l faulttable.Lab) ([]faulttable.Row, error) {
			o := options(l, "packets")
			var err error
			if o.Agent, err = l.Agent(); err != nil {
				return nil, err
			}
			rows, err := RunKernel(ctx, o)
			if errors.Is(err, ErrNoKernel) {
				return []faulttable.Row{{Fault: "kernel: packets lost, refused, slowed, delayed", Untried: err.Error()}}, nil
			}
			return inTable(rows), err
		}},
	}
}

func options(l faulttable.Lab, name string) Options {
	o := Options{Dir: filepath.Join(l.Dir, name), Trials: usual}
	if l.Long {
		o.Trials = long
	}
	return o
}

// inTable puts rows into the form of the table of all faults.
func inTable(rows []Row) (all []faulttable.Row) {
	for _, r := range rows {
		if r.Untried != "" {
			all = append(all, faulttable.Row{Fault: r.Fault, Untried: r.Untried})
			continue
		}
		all = append(all, faulttable.Row{
			Fault: r.Fault, Trials: r.Trials, Lost: int(r.Lost), Duplicated: int(r.Duplicated),
			Recovered: r.Longest, FlashBytes: r.FlashBytes,
			Note: fmt.Sprintf("%d reports, %d sent again; recovered in %v (median)", r.Made, r.Again, r.Median.Round(10*time.Millisecond)),
		})
	}
	return all
}
