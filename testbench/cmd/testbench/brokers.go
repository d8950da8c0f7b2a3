package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"livebox-agent/testbench/brokers"
	"livebox-agent/testbench/build"
	"livebox-agent/testbench/process"
)

const longBrokers = `Run the same suite over four brokers of MQTT, each a process of its own with the
configuration shipped for it: the embedded NATS server, Mosquitto, RabbitMQ with
its MQTT plug-in, mochi-mqtt. The answers come one by one, and then as a table.

The exit status is 1 if the agent lost a report over any of them, if a box
reached another's topics, or if testbench/BROKERS.md tells something else. With
--write that file is written anew.

Mosquitto and RabbitMQ must be installed (Debian: mosquitto, rabbitmq-server).`

func cmdBrokers(ctx context.Context, e env, fs *flag.FlagSet, args []string) error {
	write := fs.Bool("write", false, "write testbench/BROKERS.md")
	only := fs.String("only", "", "comma-separated `names` of the brokers to run (default all)")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	var kinds []brokers.Kind
	for name := range strings.FieldsFuncSeq(*only, func(r rune) bool { return r == ',' }) {
		kinds = append(kinds, brokers.Kind(name))
	}
	if *write && kinds != nil {
		return usage(fs, "--write with --only: the table has all brokers")
	}
	root, err := build.Root()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "livebox-agent-brokers")
	if err != nil {
		return err
	}
	agent, err := process.Build(ctx, dir)
	if err != nil {
		return err
	}
	var mu sync.Mutex // guards stdout
	results, err := brokers.Run(ctx, brokers.Options{
		Dir: dir, Agent: agent, Kinds: kinds,
		Tell: func(k brokers.Kind, p brokers.Property, a brokers.Answer) {
			mu.Lock()
			defer mu.Unlock()
			text := a.Text
			if a.Err != nil {
				text = "FAILED: " + a.Err.Error()
			}
			fmt.Fprintf(e.stdout, "%-10s  %s: %s\n", k, p.Name, text)
		},
	})
	if err = errors.Join(err, results.Err()); err != nil {
		return fmt.Errorf("%w\nwhat the brokers said is in %s", err, dir)
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	var table bytes.Buffer
	if err := brokers.WriteTable(&table, results); err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "\n%s", table.String())
	name := filepath.Join(root, "testbench", "BROKERS.md")
	if *write {
		return os.WriteFile(name, table.Bytes(), 0o644)
	}
	committed, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if found := brokers.Compare(string(committed), results); found != nil {
		return fmt.Errorf("testbench/BROKERS.md is out of date (make brokers-table):\n%s", strings.Join(found, "\n"))
	}
	return nil
}
