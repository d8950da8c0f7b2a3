package main

import (
	"context"
	"flag"

	"livebox-agent/agent/detect"
	"livebox-agent/testbench/signals"
)

const longDetectors = `Run the agent's detectors on labelled traces of homes, time compressed, and
print for each its method, its false alarms a box-year, what it finds of faults
by their size and how soon, and what it costs; and how many episodes a life
makes in which nothing is struck. Exit status 1 means that there was more of one
than its budget. A seed always gives the same traces.`

func cmdDetectors(_ context.Context, e env, fs *flag.FlagSet, args []string) error {
	run := signals.Run{}
	fs.Uint64Var(&run.Seed, "seed", 1, "of the first home")
	fs.IntVar(&run.Homes, "homes", 122, "without faults")
	fs.IntVar(&run.Days, "days", 60, "that each is watched")
	fs.IntVar(&run.Tries, "tries", 40, "homes for each size of each fault")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	for name, n := range map[string]int{"homes": run.Homes, "days": run.Days, "tries": run.Tries} {
		if n < 1 || n > 100_000 {
			return usage(fs, "--%s %d: want 1 to 100000", name, n)
		}
	}
	return signals.Print(e.stdout, detect.DefaultConfig(), run)
}
