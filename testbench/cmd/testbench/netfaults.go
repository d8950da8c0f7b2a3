package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"livebox-agent/testbench/netfault"
	"livebox-agent/testbench/process"
	"livebox-agent/testbench/table"
)

const longNetfaults = `Break the network, the name service, the broker's certificate and the clock
under boxes that deliver, and print what each fault cost: trials, reports lost,
counted twice, sent again, and the time from the end of the fault until the CEM
had everything and the box knew.

As root the kernel loses packets too, on a line between two network namespaces
over which the shipped agent delivers.

The exit status is 1 if a report was lost or counted twice, or if a fault did
not take effect.`

func cmdNetfaults(ctx context.Context, e env, fs *flag.FlagSet, args []string) error {
	trials := fs.Int("trials", 5, "how often each fault is tried")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *trials < 1 || *trials > 1000 {
		return usage(fs, "--trials %d: want 1 to 1000", *trials)
	}
	dir, err := os.MkdirTemp("", "livebox-agent-netfaults")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	agent, err := process.Build(ctx, dir)
	if err != nil {
		return err
	}
	o := netfault.Options{Dir: dir, Trials: *trials, Agent: agent}
	rows, err := netfault.Run(ctx, o)
	kernel, kerr := netfault.RunKernel(ctx, o)
	if errors.Is(kerr, netfault.ErrNoKernel) {
		fmt.Fprintf(e.stderr, "packet loss by the kernel not tried: %v\n", kerr)
		kerr = nil
	}
	tw := tabwriter.NewWriter(e.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "FAULT\tTRIALS\tREPORTS\tLOST\tDUPLICATED\tSENT AGAIN\tRECOVERED IN, MEDIAN\tLONGEST\tFLASH BYTES")
	for _, r := range append(rows, kernel...) {
		fmt.Fprintf(tw, "%s\t%d\t%d\t%d\t%d\t%d\t%v\t%v\t%s\n", r.Fault, r.Trials, r.Made, r.Lost, r.Duplicated, r.Again,
			r.Median.Round(10*time.Millisecond), r.Longest.Round(10*time.Millisecond), table.Group(uint64(r.FlashBytes)))
	}
	return errors.Join(tw.Flush(), err, kerr)
}
