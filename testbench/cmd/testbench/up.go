package main

import (
	"context"
	"flag"
	"path/filepath"
	"strconv"
	"time"

	"livebox-agent/testbench/up"
)

const longUp = `Start an MQTT broker, a CEM and the real livebox-agent, which then measures this
machine: TLS 1.3 with certificates made on the spot, on a free port of
127.0.0.1. What the CEM decodes is shown as a table that is redrawn in place on
a terminal, and as blocks of text elsewhere.

Three lines stand above the table. The agent's own count: sampled, buffered,
delivered (the broker has it), acknowledged (the CEM has stored it, and said
so), lost. The CEM's count: decoded, stored, missing, duplicates.

Ctrl-C ends it, as RUN_SECONDS=30 in the environment does after 30 s: the agent
is asked to stop, and a summary tells what came of it. The exit status is 0 only
if readings of the real agent were decoded by the CEM and acknowledged back to
the agent; else it is 1 and the reason is given.

What it leaves in --dir: pki/ (certificates), broker/ (the streams, which
"testbench decode --dir" prints), agent/ (configuration, state and log of the
agent), lab.log.`

func cmdUp(ctx context.Context, e env, fs *flag.FlagSet, args []string) error {
	o := up.Options{Out: e.stdout}
	fs.StringVar(&o.Dir, "dir", filepath.Join("build", "run"), "the lab's `directory`")
	fs.BoolVar(&o.Keep, "keep", false, "go on with what the directory holds instead of making it anew")
	fs.StringVar(&o.Agent, "agent", "", "the agent's `program`; built from this module if not given")
	fs.BoolVar(&o.Plain, "plain", false, "print blocks of text even on a terminal")
	fs.DurationVar(&o.For, "for", 0, "end after this `time`; 0 runs until Ctrl-C (default: RUN_SECONDS)")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if o.For < 0 {
		return usage(fs, "--for %v: a time cannot be negative", o.For)
	}
	if text := e.getenv("RUN_SECONDS"); o.For == 0 && text != "" {
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return usage(fs, "RUN_SECONDS=%q: want a whole number of seconds", text)
		}
		o.For = time.Duration(n) * time.Second
	}
	return up.Run(ctx, o)
}
