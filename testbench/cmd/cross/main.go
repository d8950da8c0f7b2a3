// Command cross builds the release binaries of the agent and prints their
// sizes.
//
// Usage:
//
//	cross [-verify] [-out dist] [target ...]
//
// With -verify each binary is built once more from a copy of the tree in
// another folder with an empty build cache, and must have the same bytes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"text/tabwriter"

	"livebox-agent/testbench/build"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "cross:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, w io.Writer, args []string) error {
	flags := flag.NewFlagSet("cross", flag.ContinueOnError)
	out := flags.String("out", "", "`folder` for the binaries (default dist in the module)")
	verify := flags.Bool("verify", false, "build each binary twice and compare")
	if err := flags.Parse(args); err != nil {
		return err
	}
	root, err := build.Root()
	if err != nil {
		return err
	}
	if *out == "" {
		*out = filepath.Join(root, "dist")
	}
	targets, err := choose(flags.Args())
	if err != nil {
		return err
	}
	version, err := build.Version(root)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "livebox-agent %s\n", version)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "target\tbytes\txz -9\t same bytes twice\t")
	for _, t := range targets {
		if err := one(ctx, table, root, *out, t, *verify); err != nil {
			return err
		}
	}
	return table.Flush()
}

func choose(names []string) ([]build.Target, error) {
	if len(names) == 0 {
		return build.Targets(), nil
	}
	var targets []build.Target
	for _, name := range names {
		t, err := build.Lookup(name)
		if err != nil {
			return nil, err
		}
		targets = append(targets, t)
	}
	return targets, nil
}

// one builds and checks one target and writes its line.
func one(ctx context.Context, w io.Writer, root, out string, t build.Target, verify bool) error {
	path := filepath.Join(out, t.File())
	if err := build.Agent(ctx, root, t, path); err != nil {
		return err
	}
	if err := build.CheckStatic(path); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	packed := "no xz here"
	switch n, err := build.Compressed(ctx, path); {
	case err == nil:
		packed = fmt.Sprint(n)
	case !errors.Is(err, build.ErrNoXZ):
		return err
	}
	same := "not tried"
	if verify {
		scratch, err := os.MkdirTemp("", "livebox-agent-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(scratch)
		if err := build.Reproduce(ctx, root, t, path, scratch); err != nil {
			return err
		}
		same = "yes"
	}
	fmt.Fprintf(w, "%s\t%d\t%s\t%s\t\n", t.Name, info.Size(), packed, same)
	return nil
}
