// Command budget measures what the agent costs a box and fails on what is over
// its budget.
//
// Usage:
//
//	budget [--json] [-span 1m]
//
// What it is doing goes to standard error, the table to standard output.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"livebox-agent/testbench/budget"
	"livebox-agent/testbench/build"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "budget:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, w io.Writer, args []string) error {
	flags := flag.NewFlagSet("budget", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "print JSON")
	span := flags.Duration("span", time.Minute, "how long the running agent is watched")
	heap := flags.String("heap", "", "run the agent with this configuration `file` and print its live heap (used by budget itself)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *heap != "" {
		return budget.Heap(ctx, w, *heap)
	}
	root, err := build.Root()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	report, err := budget.Measure(ctx, budget.Options{Root: root, Span: *span, Self: self, Progress: os.Stderr})
	if err != nil {
		return err
	}
	write := report.WriteText
	if *asJSON {
		write = report.WriteJSON
	}
	if err := write(w); err != nil {
		return err
	}
	return report.Err()
}
