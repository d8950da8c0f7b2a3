package up

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"livebox-agent/agent"
	"livebox-agent/testbench/cem"
	"livebox-agent/testbench/lab"
	"livebox-agent/testbench/process"
	"livebox-agent/testbench/table"
)

// What the demonstration shortens, so that a person sees data at once.
const (
	window   = 5 * time.Second
	every    = time.Second
	ackEvery = time.Second
)

const (
	box = "demo-box"
	// marker is the file by which a directory is known to be a lab's own.
	marker = ".livebox-agent-lab"
	// stopWithin is how long the agent may take to end cleanly.
	stopWithin = 20 * time.Second
	// settle is how long the last messages may take to get through the CEM.
	settle = 2 * time.Second
	// redraw is the time between two views on a terminal, block between two
	// where there is none.
	redraw = 500 * time.Millisecond
	block  = 10 * time.Second
)

// Options say what is run for how long.
type Options struct {
	// For is how long the lab runs; 0 means until the context is done.
	For time.Duration
	// Dir is the lab's directory. It is made anew unless Keep is set.
	Dir  string
	Keep bool
	// Agent is the agent's program; empty builds it.
	Agent string
	// Plain prints views one after the other even on a terminal.
	Plain bool
	// Out is where everything is shown.
	Out io.Writer
}

// Run runs the lab until its time is over or ctx is done, and says what came
// of it. The error is nil only if readings of the agent were decoded by the CEM
// and acknowledged back to the agent.
func Run(ctx context.Context, o Options) error {
	if err := prepare(o); err != nil {
		return err
	}
	program := o.Agent
	if program == "" {
		fmt.Fprintln(o.Out, "building the agent …")
		var err error
		if program, err = process.Build(ctx, filepath.Dir(filepath.Clean(o.Dir))); err != nil {
			return err
		}
	}
	logFile, err := os.Create(filepath.Join(o.Dir, "lab.log"))
	if err != nil {
		return err
	}
	defer logFile.Close()
	l, err := lab.Start(lab.Config{
		Dir: o.Dir, AckEvery: ackEvery, Log: slog.New(slog.NewTextHandler(logFile, nil)),
	})
	if err != nil {
		return err
	}
	defer func() { _ = l.Stop() }() // what it says is in the summary

	d := &demonstration{Options: o, lab: l, began: time.Now(), log: &tail{}}
	agentLog, err := d.start(program)
	if err != nil {
		return err
	}
	defer agentLog.Close()
	d.watch(ctx)
	return d.finish()
}

// prepare makes the lab's directory, removing one that is a lab's own.
func prepare(o Options) error {
	entries, err := os.ReadDir(o.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		if _, err := os.Stat(filepath.Join(o.Dir, marker)); err != nil {
			return fmt.Errorf("directory %s is not empty and not a lab's own: %w", o.Dir, err)
		}
		if err := lab.Free(o.Dir); err != nil {
			return err
		}
		if !o.Keep {
			if err := os.RemoveAll(o.Dir); err != nil {
				return err
			}
		}
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(o.Dir, marker), []byte("Made by testbench up, which may remove this directory.\n"), 0o644)
}

// A demonstration is one run of the lab with its agent.
type demonstration struct {
	Options

	lab   *lab.Lab
	agent *process.Process
	began time.Time
	log   *tail
	last  *agent.Snapshot // the agent's last answer
	died  bool            // the agent ended before it was asked to
}

// start runs the agent, whose log goes to the file returned, and says what is
// going on.
func (d *demonstration) start(program string) (agentLog *os.File, err error) {
	pair, err := d.lab.CA.Box(box)
	if err != nil {
		return nil, err
	}
	// Absolute names: the control socket and the certificates are named in the
	// configuration.
	dir, err := filepath.Abs(filepath.Join(d.Dir, "agent"))
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if agentLog, err = os.Create(filepath.Join(dir, "agent.log")); err != nil {
		return nil, err
	}
	d.agent, err = process.Start(process.Config{
		Binary: program, Dir: dir, Broker: d.lab.Broker.URL(), CAFile: d.lab.CA.CAFile(), Box: pair,
		Window: window, Every: every, Log: io.MultiWriter(agentLog, d.log),
	})
	if err != nil {
		return nil, errors.Join(err, agentLog.Close())
	}
	ends := "on Ctrl-C"
	if d.For > 0 {
		ends = fmt.Sprintf("after %v, or on Ctrl-C", d.For)
	}
	fmt.Fprintf(d.Out, `The real livebox-agent measures this machine and delivers to a broker and a CEM.
  agent      %s, process %d, its log in %s
  broker     %s, TLS 1.3, certificates made just now
  consent    all purposes granted for this demonstration (a box: essential only, until the customer says otherwise)
  windows    shortened to %v, samples to one each %v, so that data shows at once (a box: 5 min, 10 s and slower)
  files      %s (made anew at each start, unless --keep)
  ends       %s

`, program, d.agent.PID(), filepath.Join(d.Dir, "agent", "agent.log"), d.lab.Broker.URL(), window, every, d.Dir, ends)
	return agentLog, nil
}

// watch shows views until the time is over, ctx is done or the agent has ended.
func (d *demonstration) watch(ctx context.Context) {
	if d.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.For)
		defer cancel()
	}
	screen := table.Open(d.Out, d.Plain)
	screen.Begin()
	defer screen.End()
	pause := block
	if screen.InPlace() {
		pause = redraw
	}
	tick := time.NewTicker(pause)
	defer tick.Stop()
	first := d.lab.CEM.Changed()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.agent.Done():
			d.died = true
			return
		case <-first:
			// The first block comes with the first readings.
			if first = d.lab.CEM.Changed(); screen.InPlace() || d.state().Readings == 0 {
				continue
			}
			first = nil
		case <-tick.C:
		}
		if d.ask(ctx); ctx.Err() != nil {
			return // the summary has the last word, not an answer that came too late
		}
		if err := screen.Show(d.view()); err != nil {
			return // nobody looks any more
		}
	}
}

// ask asks the agent what it does; no answer leaves the last one.
func (d *demonstration) ask(ctx context.Context) {
	if s, err := d.agent.Ask(ctx); err == nil {
		d.last = &s
	}
}

func (d *demonstration) view() table.View {
	return table.View{
		Now: time.Now(), Running: time.Since(d.began), Ends: d.For,
		Boxes: d.lab.CEM.Snapshot(), Agent: d.last, Log: d.log.lines(),
	}
}

func (d *demonstration) state() cem.BoxState {
	s, _ := d.lab.CEM.Box(box)
	return s
}

// finish ends the agent, waits for its last words, and sums up.
func (d *demonstration) finish() error {
	ctx, cancel := context.WithTimeout(context.Background(), settle)
	defer cancel()
	d.ask(ctx)
	o := outcome{ran: time.Since(d.began), last: d.last, died: d.died, log: d.log.lines(), dir: d.Dir}
	if d.died {
		o.ended = d.agent.Err()
	} else {
		o.ended = d.agent.Terminate(stopWithin)
		d.awaitLastWords()
	}
	o.state = d.state()
	err := o.judge()
	_, _ = io.WriteString(d.Out, o.summary(err))
	return err
}

// awaitLastWords waits until the CEM has the agent's final status.
func (d *demonstration) awaitLastWords() {
	deadline := time.After(settle)
	for {
		changed := d.lab.CEM.Changed()
		if d.state().Status.GetCleanStop() {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			return
		}
	}
}

// failure is the error of a lab that ran but did not show what it should.
func failure(reasons []string) error {
	if len(reasons) == 0 {
		return nil
	}
	return errors.New(strings.Join(reasons, "; "))
}
