package main

import (
	"context"
	"flag"
	"fmt"

	"livebox-agent/testbench/storm"
)

const longStorm = `Let power return to a street, a town, a region and the country, let a broker
restart, die for hours and shed load, and print what the waits of the agent,
of paho and of SDKs with 25 % jitter make of it: simulated, with the agent's
own code for its waits, up to 12 million boxes.

The tables are Markdown; --out also writes curves as SVG.`

func cmdStorm(ctx context.Context, e env, fs *flag.FlagSet, args []string) error {
	out := fs.String("out", "", "`directory` for the pictures")
	seed := fs.Uint64("seed", 1, "of all random numbers; the same gives the same figures")
	divide := fs.Int("divide", 1, "make fleets and brokers smaller by this `factor`")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *divide < 1 {
		return usage(fs, "--divide %d: want 1 or more", *divide)
	}
	fmt.Fprintf(e.stdout, "Seed %d.\n\n", *seed)
	return storm.Study(ctx, e.stdout, *out, storm.Cases(*seed, *divide))
}
