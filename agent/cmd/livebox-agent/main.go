// Command livebox-agent measures a home gateway and delivers what it measured
// to the operator's backend.
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
)

// version is set by the linker: -X main.version=….
var version = "unversioned"

const defaultConfig = "/etc/livebox-agent/agent.toml"

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1 // it could not do what was asked
	exitUsage   = 2 // it was asked wrongly
)

// A command is one subcommand. run gets the arguments behind its name and
// parses them with fs, which has the command's usage.
type command struct {
	name  string
	args  string
	about string
	long  string
	run   func(ctx context.Context, e env, fs *flag.FlagSet, args []string) error
}

// env is what a command may use of the world.
type env struct {
	stdout, stderr io.Writer
}

// commands in the order in which help shows them.
func commands() []command {
	return []command{
		{"run", "", "measure, buffer and deliver until told to stop", longRun, cmdRun},
		{"sample", "", "ask every source once and show what this box can measure", longSample, cmdSample},
		{"check-config", "", "say what is wrong with the configuration", longCheck, cmdCheckConfig},
		{"status", "", "show what the running agent does", longStatus, cmdStatus},
		{"record", "", "have the running agent report what its flight recorder holds", longRecord, cmdRecord},
		{"buffer", "", "show what the store of a stopped agent holds", longBuffer, cmdBuffer},
		{"catalogue", "", "print every metric the agent can report", longCatalogue, cmdCatalogue},
		{"version", "", "print the version", "Print the version of the agent.", cmdVersion},
	}
}

// errUsage says that the arguments were wrong and that this has been said.
var errUsage = errors.New("usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, env{os.Stdout, os.Stderr}, os.Args[1:])
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
			fmt.Fprintf(fs.Output(), "Usage: livebox-agent %s [flags]\n\n%s\n\nFlags:\n", c.name, c.long)
			fs.PrintDefaults()
		}
		switch err := c.run(ctx, e, fs, args[1:]); {
		case err == nil, errors.Is(err, flag.ErrHelp):
			return exitOK
		case errors.Is(err, errUsage):
			return exitUsage
		default:
			fmt.Fprintf(e.stderr, "livebox-agent %s: %v\n", c.name, err)
			return exitFailure
		}
	}
	fmt.Fprintf(e.stderr, "livebox-agent: unknown command %q\n\n", args[0])
	help(e.stderr)
	return exitUsage
}

func help(w io.Writer) {
	fmt.Fprint(w, `livebox-agent measures a home gateway and delivers what it measured to the
operator's backend over MQTT. Nothing is collected that the customer has not
granted the purpose for.

Usage: livebox-agent COMMAND [flags]

Commands:
`)
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-13s %s\n", c.name, c.about)
	}
	fmt.Fprintf(w, `
"livebox-agent COMMAND --help" tells more. The configuration is a TOML file,
%s unless --config says otherwise.
`, defaultConfig)
}

// parse parses the flags of a command that takes no arguments.
func parse(fs *flag.FlagSet, args []string) error {
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage // the flag set has said what is wrong
	}
	if fs.NArg() > 0 {
		fmt.Fprintf(fs.Output(), "unexpected argument %q\n\n", fs.Arg(0))
		fs.Usage()
		return errUsage
	}
	return nil
}

func cmdVersion(_ context.Context, e env, fs *flag.FlagSet, args []string) error {
	if err := parse(fs, args); err != nil {
		return err
	}
	_, err := fmt.Fprintln(e.stdout, "livebox-agent", version)
	return err
}
