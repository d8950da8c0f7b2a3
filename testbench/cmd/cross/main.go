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
	r := release{root: root, out: *out, verify: *verify, table: tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)}
	fmt.Fprintln(r.table, "target\tbytes\txz -9\tsame bytes twice\t")
	for _, t := range targets {
		if err := r.build(ctx, t); err != nil {
			return err
		}
	}
	return r.table.Flush()
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

// release is what all targets have in common.
type release struct {
	root, out string
	verify    bool
	table     *tabwriter.Writer
}

// build builds and checks one target and writes its line.
func (r release) build(ctx context.Context, t build.Target) error {
	path := filepath.Join(r.out, t.File())
	if err := build.Agent(ctx, r.root, t, path); err != nil {
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
	if r.verify {
		scratch, err := os.MkdirTemp("", "livebox-agent-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(scratch)
		if err := build.Reproduce(ctx, r.root, t, path, scratch); err != nil {
			return err
		}
		same = "yes"
	}
	fmt.Fprintf(r.table, "%s\t%d\t%s\t%s\t\n", t.Name, info.Size(), packed, same)
	return nil
}
