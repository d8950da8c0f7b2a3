package storm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"livebox-agent/testbench/pki"
	"livebox-agent/testbench/table"
	"livebox-agent/uplink"
)

// An Operator is a running Operate, in this process or in another.
type Operator struct {
	// In and Out are its standard input and output; to close In ends it.
	In  io.WriteCloser
	Out io.Reader
	// Ended waits for its end and returns how it ended.
	Ended func() error
	// Used returns the processor time that it has used so far.
	Used func() time.Duration
}

// Real says what is done with real uplinks.
type Real struct {
	Boxes int
	Seed  uint64
	// Dir holds certificates and streams.
	Dir string
	// Rate is how many connections the broker takes in a second; those beyond
	// are refused.
	Rate float64
	// PowerReturnWait and BackoffMax are those of the boxes.
	PowerReturnWait, BackoffMax time.Duration
	// Spread is over how many seconds boxes are told to come back.
	Spread int
	// Within bounds each part.
	Within time.Duration
	// Start starts an operator in dir who listens at the address, empty: any.
	Start func(ctx context.Context, dir, listen string) (*Operator, error)
	// Out is told what happens.
	Out io.Writer
}

// Outcome is what came of it.
type Outcome struct {
	// Power is the return of power, Planned the restart that was announced by
	// retry_after.
	Power, Planned Figures
	// Stored is how many boxes had their event stored by the CEM.
	Stored int
	// Early is how many boxes tried before their waits were over, TooSoon how
	// many before the time that they were told.
	Early, TooSoon int
	// First and Last are when the first and the last box tried again after the
	// planned restart began.
	First, Last time.Duration
	// Connect is the broker's processor time for each connection, in the return
	// of power.
	Connect time.Duration
}

// Run lets power return to the boxes, tells them by retry_after when to come
// back, restarts the broker, and waits until they are back again.
func (r Real) Run(ctx context.Context) (o Outcome, err error) {
	ca, err := pki.Open(filepath.Join(r.Dir, "pki"))
	if err != nil {
		return o, err
	}
	op, addr, err := r.operator(ctx, "")
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, op.stop()) }()
	cfg := uplink.DefaultConfig()
	cfg.Broker, cfg.CAFile = "tls://"+addr, ca.CAFile()
	cfg.PowerReturnWait, cfg.BackoffMax = r.PowerReturnWait, r.BackoffMax
	fmt.Fprintf(r.Out, "making %s certificates …\n", table.Group(uint64(r.Boxes)))
	f, err := NewFleet(FleetConfig{
		Boxes: r.Boxes, Seed: r.Seed, Uplink: cfg, Identity: ca.Box, Door: NewDoor(r.Rate, queued*r.Rate),
	})
	if err != nil {
		return o, err
	}
	running, end := context.WithCancel(ctx)
	ended := make(chan error, 1)
	used := op.Used()
	power := time.Now()
	go func() { ended <- f.Run(running) }()
	defer func() {
		end()
		err = errors.Join(err, <-ended)
	}()
	if err := r.await(ctx, "back", func() int { return f.Back(power) }); err != nil {
		return o, err
	}
	o.Power = f.Result(power, r.Rate).Figures()
	o.Connect = (op.Used() - used) / time.Duration(r.Boxes)
	if err := r.await(ctx, "stored", f.Stored); err != nil {
		return o, err
	}
	o.Stored = f.Stored()

	told := f.told()
	if err := op.tell(r.Boxes, r.Spread); err != nil {
		return o, err
	}
	if err := r.await(ctx, "told", told); err != nil {
		return o, err
	}
	restart := time.Now()
	if err := op.stop(); err != nil {
		return o, err
	}
	if op, _, err = r.operator(ctx, addr); err != nil {
		return o, err
	}
	if err := r.await(ctx, "back again", func() int { return f.Back(restart) }); err != nil {
		return o, err
	}
	o.Planned = f.Result(restart, r.Rate).Figures()
	o.TooSoon, o.First, o.Last = f.EarlierThan(restart, func(i int) time.Duration { return Told(i, r.Spread) })
	o.Early = f.Early()
	return o, nil
}

// told counts the boxes that have had an Ack more than when it was called.
func (f *Fleet) told() func() int {
	before := make([]uint64, len(f.boxes))
	for i, m := range f.boxes {
		before[i] = m.uplink.Stats().Acks
	}
	return func() int {
		n := 0
		for i, m := range f.boxes {
			if m.uplink.Stats().Acks > before[i] {
				n++
			}
		}
		return n
	}
}

// await waits until all boxes are what, and says each ten seconds how far they
// are.
func (r Real) await(ctx context.Context, what string, count func() int) error {
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	say := time.NewTicker(10 * time.Second)
	defer say.Stop()
	over := time.NewTimer(r.Within)
	defer over.Stop()
	start := time.Now()
	for {
		n := count()
		if n == r.Boxes {
			fmt.Fprintf(r.Out, "%6.1f s  all %s\n", time.Since(start).Seconds(), what)
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-over.C:
			return fmt.Errorf("%d of %d boxes are %s after %v", n, r.Boxes, what, r.Within)
		case <-say.C:
			fmt.Fprintf(r.Out, "%6.1f s  %s %s\n", time.Since(start).Seconds(), table.Group(uint64(n)), what)
		case <-look.C:
		}
	}
}

// operator starts one and returns where its broker listens.
func (r Real) operator(ctx context.Context, listen string) (*operation, string, error) {
	started, err := r.Start(ctx, r.Dir, listen)
	if err != nil {
		return nil, "", err
	}
	op := &operation{Operator: started, lines: bufio.NewScanner(started.Out)}
	addr, err := op.line()
	return op, addr, err
}

// operation is an Operator that is talked to.
type operation struct {
	*Operator

	lines   *bufio.Scanner
	stopped bool
}

func (op *operation) line() (string, error) {
	if !op.lines.Scan() {
		return "", fmt.Errorf("the operator has ended: %w", errors.Join(op.lines.Err(), op.stop()))
	}
	return op.lines.Text(), nil
}

func (op *operation) tell(boxes, seconds int) error {
	if _, err := fmt.Fprintf(op.In, "tell %d %d\n", boxes, seconds); err != nil {
		return err
	}
	_, err := op.line()
	return err
}

// stop ends the operator; again is no harm.
func (op *operation) stop() error {
	if op.stopped {
		return nil
	}
	op.stopped = true
	err := op.In.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	return errors.Join(err, op.Ended())
}

// Table is the outcome in Markdown.
func (o Outcome) Table(r Real) string {
	row := func(what string, f Figures) string {
		return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %.1f, %d, %d, %d |\n", what, table.Group(uint64(f.Boxes)),
			table.Group(uint64(f.Peak)), span(f.Half), span(f.Most), span(f.All),
			float64(f.Attempts)/float64(f.Boxes), f.TriesHalf, f.TriesMost, f.TriesAll)
	}
	return fmt.Sprintf(`### Real uplinks, TLS 1.3 with client certificates, the embedded broker

The broker takes %.0f connections a second and refuses the others. Waits: after the return of power at most %s, at most
%s after failures. Seed %d.

| what | boxes | most tries in a second | 50 %% back | 99 %% back | last back | tries per box: mean, p50, p99, most |
|---|---|---|---|---|---|---|
%s%s
%s events stored by the CEM. %d boxes tried before their waits were over, %d before the time that retry_after told them
(1 to %d s after the broker ended; the first came after %s, the last after %s). A connection cost the broker %.1f ms of
processor time, with subscription, status and event.
`, r.Rate, span(r.PowerReturnWait), span(r.BackoffMax), r.Seed,
		row("power returns", o.Power), row("announced restart", o.Planned),
		table.Group(uint64(o.Stored)), o.Early, o.TooSoon, r.Spread, span(o.First), span(o.Last),
		float64(o.Connect)/float64(time.Millisecond))
}
