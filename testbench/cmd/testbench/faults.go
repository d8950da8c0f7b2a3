package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"livebox-agent/testbench/build"
	"livebox-agent/testbench/fault"
	"livebox-agent/testbench/kill"
	"livebox-agent/testbench/netfault"
	"livebox-agent/testbench/process"
	"livebox-agent/testbench/storage"
)

const longFaults = `Do to the agent what flash, power, networks and operators do to it, and print
what that costs, a row for each kind: how often it was done, how many reports
were lost or duplicated that were promised to be kept, how long it took until
all was as before, and what was written to the flash. The exit status is 1 if
anything was lost or duplicated.

It takes minutes; with --long, hours. The disk that fails on purpose takes root.
With --write testbench/FAULTS.md is written anew.`

// faultsPage is what testbench/FAULTS.md says before its table.
const faultsPage = `# What is done to the agent, and what that costs

Written by %[1]s. One of these trials alone: make faults ARGS="--only cuts".
The run drew its lots from --seed %[2]d and took %[3]v; processes and kernels make no two runs alike.

Lost are reports that were promised to be kept and neither arrived nor were told as lost by the ledger; duplicated, those
that the CEM counted twice. "Recovered in" is the longest of the trials, from the end of the fault until everything had
arrived; of faults that pass on a simulated clock, by that clock. What each trial does, and the test that shows that it
can fail, is in the doc.go of [storage](storage), [kill](kill) and [netfault](netfault).

`

// trials are all rows, in the order of the table. A package that does something
// to the agent adds its own here.
func trials() []fault.Trial {
	return slices.Concat(storage.Trials(), kill.Trials(), netfault.Trials())
}

func cmdFaults(ctx context.Context, e env, fs *flag.FlagSet, args []string) error {
	long := fs.Bool("long", false, "2 000 kills instead of 200, and every cut of more workloads")
	only := fs.String("only", "", "run these `trials` only, separated by commas: "+strings.Join(names(trials()), ", "))
	seed := fs.Uint64("seed", 0, "repeat a run with the `seed` that it printed; 0 draws one")
	asJSON := fs.Bool("json", false, "print JSON")
	write := fs.Bool("write", false, "write testbench/FAULTS.md")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *write && *only != "" {
		return usage(fs, "--write with --only: the page has all trials")
	}
	chosen := trials()
	if *only != "" {
		chosen = nil
		for name := range strings.SplitSeq(*only, ",") {
			i := slices.Index(names(trials()), name)
			if i < 0 {
				return usage(fs, "--only: unknown trial %q", name)
			}
			chosen = append(chosen, trials()[i])
		}
	}
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	dir, err := os.MkdirTemp("", "faults")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Fprintf(e.stderr, "--seed %d\n", *seed)
	start := time.Now()
	rows, err := fault.Run(ctx, chosen, fault.Lab{
		Dir: dir, Long: *long, Seed: *seed,
		Agent: sync.OnceValues(func() (string, error) { return process.Build(ctx, dir) }),
		Log:   func(format string, a ...any) { fmt.Fprintf(e.stderr, format+"\n", a...) },
	})
	if *write && err == nil {
		err = writeFaults(rows, *long, *seed, time.Since(start))
	}
	if *asJSON {
		return errors.Join(err, fault.PrintJSON(e.stdout, rows))
	}
	return errors.Join(err, fault.Print(e.stdout, rows))
}

func writeFaults(rows []fault.Row, long bool, seed uint64, took time.Duration) error {
	root, err := build.Root()
	if err != nil {
		return err
	}
	command := "make faults-table"
	if long {
		command += ` ARGS=--long`
	}
	var page bytes.Buffer
	fmt.Fprintf(&page, faultsPage, "`"+command+"`", seed, took.Round(time.Minute))
	if err := fault.PrintMarkdown(&page, rows); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, "testbench", "FAULTS.md"), page.Bytes(), 0o644)
}

func names(all []fault.Trial) (names []string) {
	for _, t := range all {
		names = append(names, t.Name)
	}
	return names
}
