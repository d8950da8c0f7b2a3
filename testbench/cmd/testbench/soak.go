package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"time"

	"livebox-agent/testbench/soak"
)

const longSoak = `Run the agent for long, in a process of its own, on this machine, against a
broker and a CEM that are away for a minute in ten, and look four times a
minute at what it holds: heap, goroutines, open files, memory, the files of its
state directory. At the end the linear trend of each over the run is printed;
the first quarter is left out. Exit status 1: something grew.

Windows are 20 s and samples 1 s, so that an hour has 180 windows.`

// soakWindow is the time of one report in a soak.
const soakWindow = 20 * time.Second

func cmdSoak(ctx context.Context, e env, fs *flag.FlagSet, args []string) (err error) {
	span := fs.Duration("for", time.Hour, "how long it runs")
	inside := fs.String("inside", "", "be the agent of a soak, with this configuration `file`")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *inside != "" {
		return soak.Agent(ctx, *inside, e.stdin, e.stdout)
	}
	if *span < 20*time.Second {
		return usage(fs, "--for %v: want 20s or more", *span)
	}
	dir, err := os.MkdirTemp("", "soak")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return soak.Live{For: *span, Window: soakWindow, Dir: dir, Start: startInside, Out: e.stdout}.Run(ctx)
}

// startInside runs this program again as the agent.
func startInside(file string) (*soak.Inside, error) {
	c, err := again("soak", "--inside", file)
	if err != nil {
		return nil, err
	}
	return &soak.Inside{PID: c.Process.Pid, In: c.in, Out: c.out, Ended: c.Wait}, nil
}
