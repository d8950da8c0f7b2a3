package budget

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"livebox-agent/testbench/build"
	"livebox-agent/testbench/process"
)

// Options say how to measure.
type Options struct {
	// Root is the module's folder.
	Root string
	// Span is how long the running agent is watched; 0 means a minute.
	Span time.Duration
	// Self is the program that answers "-heap FILE" with Heap.
	Self string
	// Progress is told what is being measured.
	Progress io.Writer
}

// Measure measures everything. An error means that the measurement itself did
// not work; what is over its budget is in the report.
func Measure(ctx context.Context, o Options) (report Report, err error) {
	if o.Span == 0 {
		o.Span = time.Minute
	}
	scratch, err := os.MkdirTemp("", "livebox-agent-budget-")
	if err != nil {
		return Report{}, fmt.Errorf("measure: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	if report.Version, err = build.Version(o.Root); err != nil {
		return Report{}, err
	}
	var r running
	for _, part := range []struct {
		name string
		do   func() ([]Row, error)
	}{
		{"building the release binaries", func() ([]Row, error) { return binaries(ctx, o.Root, scratch) }},
		{"listing what is linked", func() ([]Row, error) { return modules(ctx, o.Root) }},
		{fmt.Sprintf("watching the running agent for %v", o.Span), func() (rows []Row, err error) {
			rows, r, err = live(ctx, o, scratch)
			return rows, err
		}},
		{"coding the reference trace", func() ([]Row, error) { return line(r) }},
		{"timing evidence on its way to flash", func() ([]Row, error) { return evidence(ctx, o.Root) }},
		{"writing a day of reports to flash", func() ([]Row, error) { return flashDays() }},
	} {
		fmt.Fprintf(o.Progress, "%s\n", part.name)
		rows, err := part.do()
		if err != nil {
			return Report{}, fmt.Errorf("%s: %w", part.name, err)
		}
		report.Rows = append(report.Rows, rows...)
	}
	return report, nil
}

// running is what the running agent showed that other rows need.
type running struct {
	perReport         float64 // bytes on the line beyond the report's own
	connect           float64 // bytes on the line of one connection
	reports, statuses uint64  // that this was seen at
}

// live measures the running agent, and collectd at the same time.
func live(ctx context.Context, o Options, scratch string) (rows []Row, r running, err error) {
	program, err := process.Build(ctx, scratch)
	if err != nil {
		return nil, running{}, err
	}
	b, err := startBench(ctx, scratch)
	if err != nil {
		return nil, running{}, err
	}
	defer func() { err = errors.Join(err, b.stop()) }()
	var peer time.Duration
	var reason string
	var failed error
	var beside sync.WaitGroup
	beside.Go(func() { peer, reason, failed = collectd(ctx, scratch, o.Span) })
	cfg, err := b.box("budget", program, here())
	if err != nil {
		return nil, running{}, err
	}
	u, err := watch(ctx, b, cfg, o.Span)
	beside.Wait()
	if err := errors.Join(err, failed); err != nil {
		return nil, running{}, err
	}
	rows = append(u.rows(), share(u, peer, reason)...)
	home, err := livebox(ctx, b, program, o.Span)
	if err != nil {
		return nil, running{}, err
	}
	rows = append(rows, home...)
	n, err := heap(ctx, b, o.Self)
	if err != nil {
		return nil, running{}, err
	}
	rows = append(rows, measured("live heap", "MB", float64(n)/mega, maxHeap,
		"after a collection, the agent's library alone in a process, reports acknowledged"))
	return rows, running{u.perReport(), u.connect, u.reports, u.statuses}, nil
}

// share compares the processor time of a round with collectd's.
func share(u usage, peer time.Duration, reason string) []Row {
	const name = "processor time, of collectd's"
	if reason != "" {
		return []Row{unmeasured(name, "", maxShare, reason)}
	}
	own := float64(u.processor.Microseconds()) / 1000 / u.rounds()
	theirs := float64(peer.Microseconds()) / 1000
	return []Row{goal(name, "", own/theirs, maxShare, fmt.Sprintf("collectd %.2f ms per round at the same time, delivering over MQTT without TLS", theirs))}
}
