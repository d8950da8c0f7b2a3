package main

import (
	"context"
	"encoding/json"
	"flag"

	"livebox-agent/testbench/trace"
)

const longWire = `Code the reference trace, a day of one box with 60 readings each 10 s, as the
agent does and as others do, in windows of 1, 5 and 15 minutes, and print the
bytes that each takes per reading.`

func cmdWire(_ context.Context, e env, fs *flag.FlagSet, args []string) error {
	asJSON := fs.Bool("json", false, "print JSON")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	figures := trace.Figures()
	if !*asJSON {
		return trace.PrintFigures(e.stdout, figures)
	}
	enc := json.NewEncoder(e.stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(figures)
}
