package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
	"unicode"

	"livebox-agent/testbench/decode"
	"livebox-agent/testbench/lab"
)

const longDecode = `Print what a box sent: every reading of a report with metric, instance, value
and unit, an event with its attributes, or a status.

The message is read from FILE, or from the standard input if there is none or it
is "-": the bytes as they travel, or as hexadecimal digits.

With --dir the reports that the broker of a lab has stored are read instead,
also while the lab runs:

  RUN_SECONDS=30 make run
  go run ./testbench/cmd/testbench decode --dir build/run --last 1

With --dir and --status it is the last status of each box.

What can be decoded is printed; where something cannot, the reason is given and
the exit status is 1.`

// maxMessage bounds what is read: twice the largest message, for hexadecimal
// digits, and room for spaces.
const maxMessage = 1 << 20

func cmdDecode(ctx context.Context, e env, fs *flag.FlagSet, args []string) error {
	asJSON := fs.Bool("json", false, "print JSON")
	status := fs.Bool("status", false, "a status, not a report")
	dir := fs.String("dir", "", "read what the lab in this `directory` has stored")
	last := fs.Uint64("last", 0, "with --dir: so `many` of the last reports; 0 prints all")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	show := printer(*status, *asJSON)
	if *dir == "" {
		if *last > 0 {
			return usage(fs, "--last: only with --dir")
		}
		b, err := readMessage(e.stdin, fs.Arg(0))
		if err != nil {
			return err
		}
		return show(e.stdout, b)
	}
	if fs.NArg() > 0 {
		return usage(fs, "--dir: takes the place of a file")
	}
	if *status && *last > 0 {
		return usage(fs, "--last: counts reports; of statuses the last of each box is printed")
	}
	messages, err := read(ctx, *dir, *status, *last)
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range messages {
		if !*asJSON {
			fmt.Fprintf(e.stdout, "== %s, number %d in the stream, stored %s, %d bytes\n",
				m.Topic, m.Sequence, m.Stored.UTC().Format(time.RFC3339Nano), len(m.Payload))
		}
		if err := show(e.stdout, m.Payload); err != nil {
			errs = append(errs, fmt.Errorf("message %d: %w", m.Sequence, err))
		}
		if !*asJSON {
			fmt.Fprintln(e.stdout)
		}
	}
	return errors.Join(errs...)
}

// read returns the last status of each box of a lab, or its last reports.
func read(ctx context.Context, dir string, status bool, last uint64) ([]lab.Message, error) {
	if status {
		return lab.Statuses(ctx, dir)
	}
	return lab.Stored(ctx, dir, last)
}

// printer returns the function that prints such a message.
func printer(status, asJSON bool) func(io.Writer, []byte) error {
	switch {
	case status && asJSON:
		return decode.PrintStatusJSON
	case status:
		return decode.PrintStatus
	case asJSON:
		return decode.PrintJSON
	}
	return decode.Print
}

// readMessage reads the file of that name, or stdin.
func readMessage(stdin io.Reader, name string) ([]byte, error) {
	from := stdin
	if name != "" && name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		from = f
	}
	b, err := io.ReadAll(io.LimitReader(from, maxMessage+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxMessage {
		return nil, fmt.Errorf("message is larger than %d bytes", maxMessage)
	}
	return unhex(b), nil
}

// unhex decodes hexadecimal digits with any space between them; other bytes it
// returns as they are. No report is made of digits only: it begins with the
// byte 0x0a and a length, or with a run that holds random bytes.
func unhex(b []byte) []byte {
	digits := bytes.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, b)
	decoded := make([]byte, hex.DecodedLen(len(digits)))
	if _, err := hex.Decode(decoded, digits); err != nil || len(digits) == 0 {
		return b
	}
	return decoded
}
