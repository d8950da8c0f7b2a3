package soak

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"livebox-agent/agent"
	"livebox-agent/agent/config"
	"livebox-agent/testbench/budget"
	"livebox-agent/testbench/lab"
	"livebox-agent/testbench/pki"
	"livebox-agent/testbench/process"
)

// The life of a box in a soak: shorter windows and samples than by default, so
// that an hour sees as many of them as most of a day, and an operator who is
// away for a tenth of the time.
const (
	every     = time.Second
	cycle     = 10 * time.Minute
	away      = time.Minute
	ackEvery  = 5 * time.Second
	perSample = 15 * time.Second
	// perLine samples have one told.
	perLine = 20
	box     = "soak-box"
)

// Agent runs the agent with the configuration in file until in ends, and
// writes a Sample to w, as a line of JSON, for each line that it reads. It is
// for a process of its own: what it samples is the process.
func Agent(ctx context.Context, file string, in io.Reader, w io.Writer) error {
	cfg, err := config.Load(file, agent.SourceNames())
	if err != nil {
		return err
	}
	a, err := agent.New(cfg, agent.Options{Log: slog.New(slog.DiscardHandler), Version: "soak"})
	if err != nil {
		return err
	}
	began := time.Now()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	enc := json.NewEncoder(w)
	for lines := bufio.NewScanner(in); lines.Scan(); {
		s, err := Take(time.Since(began), cfg.Box.StateDir)
		if err == nil {
			err = enc.Encode(s)
		}
		if err != nil {
			stop()
			return errors.Join(err, <-ended)
		}
	}
	stop()
	return <-ended
}

// An Inside is a process that runs Agent.
type Inside struct {
	PID int
	In  io.WriteCloser
	Out io.Reader
	// Ended waits for its end and returns how it ended.
	Ended func() error
}

// Live says how a soak in real time is run.
type Live struct {
	// For is how long it runs.
	For time.Duration
	// Window is the time of one report.
	Window time.Duration
	// Dir is its directory.
	Dir string
	// Start starts a process that runs Agent with the configuration.
	Start func(file string) (*Inside, error)
	// Out is told what happens.
	Out io.Writer
}

// Run soaks the agent and judges what it holds.
func (l Live) Run(ctx context.Context) (err error) {
	op, err := lab.Start(lab.Config{Dir: l.Dir, AckEvery: ackEvery})
	if err != nil {
		return err
	}
	listen := op.Broker.Addr()
	defer func() { err = errors.Join(err, op.Stop()) }()
	pair, err := op.CA.Box(box)
	if err != nil {
		return err
	}
	cfg := l.config(op.Broker.URL(), op.CA.CAFile(), pair)
	if err := cfg.Write(); err != nil {
		return err
	}
	in, err := l.Start(cfg.File())
	if err != nil {
		return err
	}
	closed := false
	defer func() {
		if !closed {
			err = errors.Join(err, in.In.Close(), in.Ended())
		}
	}()
	lines := bufio.NewScanner(in.Out)
	var samples []Sample
	tick := time.NewTicker(min(perSample, l.For/40))
	defer tick.Stop()
	over := time.After(l.For)
	turn := time.NewTimer(min(cycle-away, l.For/4))
	defer turn.Stop()
	down, restarts := false, 0
	for running := true; running; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-over:
			running = false
		case <-turn.C:
			if down {
				again, err := lab.Start(lab.Config{Dir: l.Dir, Listen: listen, AckEvery: ackEvery})
				if err != nil {
					return err
				}
				op = again
				turn.Reset(min(cycle-away, l.For/4))
				restarts++
			} else {
				if err := op.Stop(); err != nil {
					return err
				}
				turn.Reset(min(away, l.For/20))
			}
			down = !down
		case <-tick.C:
			s, err := ask(in, lines)
			if err != nil {
				return err
			}
			samples = append(samples, s)
			if len(samples)%perLine == 0 {
				fmt.Fprintf(l.Out, "%v of %v: %v\n", s.At.Round(time.Second), l.For, s)
			}
		}
	}
	closed = true
	if err := errors.Join(in.In.Close(), in.Ended()); err != nil {
		return err
	}
	state, _ := op.CEM.Box(box)
	fmt.Fprintf(l.Out, "%v, %d samples; the operator was away %d times; %d reports, %d readings decoded, %d missing\n",
		l.For, len(samples), restarts, state.Reports, state.Readings, state.Missing())
	if state.Readings == 0 {
		return errors.New("the agent delivered no readings")
	}
	return Judge(l.Out, samples)
}

func (l Live) config(url, ca string, pair pki.Pair) process.Config {
	return process.Config{
		Dir: filepath.Join(l.Dir, "agent"), Broker: url, CAFile: ca, Box: pair,
		Window: l.Window, Every: every, SpillAfter: 30 * time.Second,
		Set: map[string]string{"uplink.backoff_max": `"10s"`},
	}
}

// ask has the process sample itself, and adds what is seen from outside.
func ask(in *Inside, lines *bufio.Scanner) (Sample, error) {
	var s Sample
	if _, err := io.WriteString(in.In, "\n"); err != nil {
		return s, err
	}
	if !lines.Scan() {
		return s, errors.Join(errors.New("the agent has ended"), lines.Err())
	}
	if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
		return s, fmt.Errorf("read a sample: %w", err)
	}
	var err error
	s.Resident, s.Anonymous, err = budget.MemoryOf(in.PID)
	if errors.Is(err, os.ErrNotExist) {
		err = errors.New("the agent has ended")
	}
	return s, err
}
