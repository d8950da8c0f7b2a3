// Command testbench is the lab: everything that an engineer needs to see the
// agent work without a box on the desk.
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

	"livebox-agent/testbench/brokers"
	"livebox-agent/testbench/faultdisk"
	"livebox-agent/testbench/kill"
	"livebox-agent/testbench/storage"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1 // it could not do, or did not see, what was asked
	exitUsage   = 2 // it was asked wrongly
)

// A command is one subcommand. run gets the arguments behind its name and
// parses them with fs, which has the command's usage.
type command struct {
	name, args, about, long string
	run                     func(ctx context.Context, e env, fs *flag.FlagSet, args []string) error
}

// env is what a command may use of the world.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
}

// commands in the order in which help shows them.
func commands() []command {
	return []command{
		{"up", "", "run broker, CEM and the real agent here, and show what arrives", longUp, cmdUp},
		{"decode", "[FILE | -]", "print reports for people", longDecode, cmdDecode},
		{"box", "", "be a Livebox or a router, for curl or for the agent", longBox, cmdBox},
		{"samples", "DIR", "read captured replies of boxes as the agent does", longSamples, cmdSamples},
		{"platforms", "", "show which platform gives which metric", longPlatforms, cmdPlatforms},
		{"storm", "", "let the power of millions of boxes return", longStorm, cmdStorm},
		{"soak", "", "run the agent for long and see that nothing grows", longSoak, cmdSoak},
		{"brokers", "", "measure what brokers guarantee, and that the agent loses nothing over any", longBrokers, cmdBrokers},
		{"flash", "", "measure what the buffer writes to the flash", longFlash, cmdFlash},
		{"detectors", "", "measure what the detectors find, and how often they are wrong", longDetectors, cmdDetectors},
		{"faults", "", "do to the agent what power, flash and networks do, and count what is lost", longFaults, cmdFaults},
		{"wire", "", "measure what readings cost on the wire, beside other encodings", longWire, cmdWire},
	}
}

// errUsage says that the arguments were wrong and that this has been said.
var errUsage = errors.New("usage")

func main() {
	// Where this process does something for another, these do not return.
	brokers.Child()
	faultdisk.Main()
	storage.Main()
	kill.Main()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, env{os.Stdin, os.Stdout, os.Stderr, os.Getenv}, os.Args[1:])
	stop()
	os.Exit(code)
}

func run(ctx context.Context, e env, args []string) int {
	if len(args) == 0 {
		help(e.stderr)
		return exitUsage
	}
	switch args[0] {
	case "help", "-h", "--help", "-help":
		help(e.stdout)
		return exitOK
	}
	for _, c := range commands() {
		if c.name != args[0] {
			continue
		}
		fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
		fs.SetOutput(e.stderr)
		fs.Usage = func() {
			fmt.Fprintf(fs.Output(), "Usage: testbench %s [flags] %s\n\n%s\n\nFlags:\n", c.name, c.args, c.long)
			fs.PrintDefaults()
		}
		switch err := c.run(ctx, e, fs, args[1:]); {
		case err == nil, errors.Is(err, flag.ErrHelp):
			return exitOK
		case errors.Is(err, errUsage):
			return exitUsage
		default:
			fmt.Fprintf(e.stderr, "testbench %s: %v\n", c.name, err)
			return exitFailure
		}
	}
	fmt.Fprintf(e.stderr, "testbench: unknown command %q\n\n", args[0])
	help(e.stderr)
	return exitUsage
}

func help(w io.Writer) {
	fmt.Fprint(w, `testbench is the lab: what an engineer needs to see livebox-agent work without
a box on the desk.

Usage: testbench COMMAND [flags] [arguments]

Commands:
`)
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-9s %s\n", c.name, c.about)
	}
	fmt.Fprint(w, `
"testbench COMMAND --help" tells more. Two to begin with, in the module's root:

  make run                                    watch this machine's readings arrive
  testbench decode --dir build/run --last 1   see what the last report said
`)
}

// parse parses the flags of a command that takes at most n arguments.
func parse(fs *flag.FlagSet, args []string, n int) error {
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage // the flag set has said what is wrong
	}
	if fs.NArg() > n {
		return usage(fs, "unexpected argument %q", fs.Arg(n))
	}
	return nil
}

// usage says what was wrong and how it is right.
func usage(fs *flag.FlagSet, format string, a ...any) error {
	fmt.Fprintf(fs.Output(), format+"\n\n", a...)
	fs.Usage()
	return errUsage
}
