// Command runtests runs every test of the module and ends with the count.
//
// Usage:
//
//	runtests [-lanes race,plain,armv7,mips,mipsle] [packages]
//
// As root on Debian it installs the packages that the tests need and says so.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"livebox-agent/testbench/build"
	"livebox-agent/testbench/suite"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Stdout, os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, suite.ErrFailed):
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "runtests:", err)
		os.Exit(2)
	}
}

func run(ctx context.Context, w io.Writer, args []string) error {
	flags := flag.NewFlagSet("runtests", flag.ContinueOnError)
	lanes := flags.String("lanes", "", "comma-separated `names` of the lanes to run (default all)")
	timeout := flags.Duration("timeout", 15*time.Minute, "how long the tests of one package may take")
	if err := flags.Parse(args); err != nil {
		return err
	}
	root, err := build.Root()
	if err != nil {
		return err
	}
	return suite.Run(ctx, w, suite.Options{
		Root: root, Packages: flags.Args(), Timeout: *timeout,
		Lanes:   strings.FieldsFunc(*lanes, func(r rune) bool { return r == ',' || r == ' ' }),
		Machine: suite.ThisMachine(w), Tools: suite.Tools(),
	})
}
