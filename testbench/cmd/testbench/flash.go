package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"text/tabwriter"

	"livebox-agent/testbench/flash"
	"livebox-agent/testbench/table"
)

const longFlash = `Run the buffer through days of windows at its default configuration, time
compressed, and print what it writes to the flash: in a day while the backend
answers, in a day while it is down, and what is kept after a longer outage.

With --device the same days run on an ext4 file system on a loop device of their
own, and the bytes that reach the device are counted; this takes root.`

func cmdFlash(_ context.Context, e env, fs *flag.FlagSet, args []string) error {
	device := fs.Bool("device", false, "count the bytes that reach a block device too (as root)")
	days := fs.Int("days", 7, "how many `days` the longer outage lasts")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *days < 1 || *days > 366 {
		return usage(fs, "--days %d: want 1 to 366", *days)
	}
	tw := tabwriter.NewWriter(e.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "A DAY WITH THE BACKEND\tBYTES WRITTEN\tCOMMITS\tWINDOWS HELD\tBYTES ON THE DEVICE")
	for _, up := range []bool{true, false} {
		bytes, commits, held, err := flash.Day(up)
		if err != nil {
			return err
		}
		onDevice := "not measured"
		if *device {
			_, n, err := flash.DayOnDevice(up)
			if errors.Is(err, flash.ErrNoDevice) {
				return fmt.Errorf("--device: %w", err)
			}
			if err != nil {
				return err
			}
			onDevice = table.Group(uint64(n))
		}
		name := "down"
		if up {
			name = "answering"
		}
		fmt.Fprintf(tw, "%s\t%s\t%d\t%d\t%s\n", name, table.Group(uint64(bytes)), commits, held, onDevice)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	k, err := flash.Outage(*days)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, `
An outage of %d days, 8 events a day
  windows   %d made, %d kept, %d of them with every reading, the others as summaries
  events    %d made, %d kept
  flash     %s bytes written, %s on the worst day; the store is %s bytes
`, *days, k.Windows, k.Held, k.Whole, k.Events, k.HeldEvents,
		table.Group(uint64(k.Written)), table.Group(uint64(k.WorstDay)), table.Group(uint64(k.FileBytes)))
	return err
}
