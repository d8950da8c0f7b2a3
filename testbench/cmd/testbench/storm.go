package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"livebox-agent/testbench/storm"
)

const longStorm = `Let power return to a street, a town, a region and the country, let a broker
restart, die for hours and shed load, and print what the waits of the agent,
of paho and of SDKs with 25 % jitter make of it: simulated, with the agent's
own code for its waits, up to 12 million boxes.

With --real so many real uplinks, each with a certificate of its own, connect
over TLS to the embedded broker, which runs in a process of its own and takes
--rate connections a second: after a return of power, and after a restart that
was announced to each box by retry_after.

The tables are Markdown; --out also writes curves as SVG.`

func cmdStorm(ctx context.Context, e env, fs *flag.FlagSet, args []string) error {
	out := fs.String("out", "", "`directory` for the pictures")
	seed := fs.Uint64("seed", 1, "of all random numbers; the same gives the same simulation")
	divide := fs.Int("divide", 1, "make simulated fleets and brokers smaller by this `factor`; 0 simulates none")
	boxes := fs.Int("real", 0, "so `many` real uplinks")
	rate := fs.Float64("rate", 150, "connections a second that the real broker takes")
	wait := fs.Duration("power-return-wait", time.Minute, "the longest first wait of real uplinks")
	most := fs.Duration("backoff-max", 2*time.Minute, "the longest wait of real uplinks after a failure")
	operate := fs.String("operate", "", "be the broker of --real, in this `directory`")
	listen := fs.String("listen", "", "`address` of that broker")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	switch {
	case *operate != "":
		return storm.Operate(ctx, *operate, *listen, e.stdin, e.stdout)
	case *divide < 0:
		return usage(fs, "--divide %d: want 0 or more", *divide)
	case *boxes < 0 || *rate <= 0:
		return usage(fs, "--real and --rate: want more than 0")
	}
	if *divide > 0 {
		if err := storm.Study(ctx, e.stdout, *out, storm.Cases(*seed, *divide)); err != nil {
			return err
		}
	}
	if *boxes == 0 {
		return nil
	}
	return stormReal(ctx, e, storm.Real{
		Boxes: *boxes, Seed: *seed, Rate: *rate, PowerReturnWait: *wait, BackoffMax: *most,
		Spread: max(1, int(float64(*boxes) / *rate)), Within: 10*time.Minute + 3**most, Start: startOperator,
	})
}

// others is how many files a process has open beside its connections, at most.
const others = 200

func stormReal(ctx context.Context, e env, r storm.Real) (err error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if most := int(min(limit.Cur, 1<<20)) - others; r.Boxes > most {
		return fmt.Errorf("--real %d: this process may have no more than %d connections (RLIMIT_NOFILE)", r.Boxes, most)
	}
	if r.Dir, err = os.MkdirTemp("", "storm"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.Dir)) }()
	r.Out = e.stderr
	o, err := r.Run(ctx)
	if err != nil {
		return err
	}
	_, err = io.WriteString(e.stdout, o.Table(r))
	return err
}

// startOperator runs this program again as the broker: both ends of ten
// thousand connections are more than one process may have open.
func startOperator(_ context.Context, dir, listen string) (*storm.Operator, error) {
	c, err := again("storm", "--operate", dir, "--listen", listen)
	if err != nil {
		return nil, err
	}
	return &storm.Operator{In: c.in, Out: c.out, Ended: c.Wait, Used: func() time.Duration { return processTime(c.Process.Pid) }}, nil
}

// processTime returns the processor time of a process (proc(5), stat: utime
// and stime in ticks of 10 ms), 0 where it has ended.
func processTime(pid int) time.Duration {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(after)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}
