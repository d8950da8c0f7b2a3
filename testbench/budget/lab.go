package budget

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"livebox-agent/agent"
	"livebox-agent/collector"
	"livebox-agent/testbench/lab"
	"livebox-agent/testbench/process"
)

const (
	// haste divides every interval of a measured agent and of its peer: what
	// takes five minutes takes half a minute, in the same proportions.
	haste = 10
	// round is the time in which the fastest sources are asked once: 10 s at
	// the defaults.
	round = 10 * time.Second / haste
	// window is the time of one report: 5 min at the defaults.
	window = 5 * time.Minute / haste
	// patience bounds the wait for an acknowledged report.
	patience = 2 * time.Minute
	// settled is how many acknowledged reports end the start: the event that
	// the agent started, and two windows. The first minute is not like others:
	// what the sources give is told in a status.
	settled = 3
)

// A bench is a lab with a relay before it and a count of what reaches it.
type bench struct {
	dir   string
	lab   *lab.Lab
	relay *relay
	conn  *nats.Conn

	reports, payload atomic.Uint64 // reports that came, and their bytes
	statuses, acks   atomic.Uint64 // other messages that crossed the line
}

// startBench starts everything under dir.
func startBench(ctx context.Context, dir string) (b *bench, err error) {
	b = &bench{dir: dir}
	if b.lab, err = lab.Start(lab.Config{Dir: filepath.Join(dir, "lab"), AckEvery: time.Second}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.stop())
		}
	}()
	if b.relay, err = startRelay(ctx, b.lab.Broker.Addr()); err != nil {
		return nil, err
	}
	if b.conn, err = b.lab.Broker.InProcess(); err != nil {
		return nil, err
	}
	for subject, count := range map[string]nats.MsgHandler{
		"cem.v1.*.telemetry": b.report, "cem.v1.*.event": b.report,
		"cem.v1.*.status": func(*nats.Msg) { b.statuses.Add(1) },
		"cem.v1.*.ack":    func(*nats.Msg) { b.acks.Add(1) },
	} {
		if _, err := b.conn.Subscribe(subject, count); err != nil {
			return nil, fmt.Errorf("count messages: %w", err)
		}
	}
	return b, nil
}

// report notes a report that came.
func (b *bench) report(m *nats.Msg) {
	b.reports.Add(1)
	b.payload.Add(uint64(len(m.Data)))
}

// stop ends the bench, which may be half started.
func (b *bench) stop() error {
	if b.relay != nil {
		b.relay.close()
	}
	if b.conn != nil {
		b.conn.Close()
	}
	return b.lab.Stop()
}

// box says how the agent of the box with this name is to run: every purpose
// granted, each source asked haste times as often as by default.
func (b *bench) box(name, program string, sources []collector.Source) (process.Config, error) {
	cert, err := b.lab.CA.Box(name)
	return process.Config{
		Binary: program, Dir: filepath.Join(b.dir, name), Broker: "tls://" + b.relay.addr(),
		CAFile: b.lab.CA.CAFile(), Box: cert, Window: window, Set: intervals(sources),
	}, err
}

// intervals is the configuration of the sources' intervals.
func intervals(sources []collector.Source) map[string]string {
	keys := map[string]string{}
	for name, d := range hasty(sources) {
		keys["sampling.intervals."+name] = strconv.Quote(d.String())
	}
	return keys
}

// here are the sources of this machine.
func here() []collector.Source { return agent.Sources(agent.Env{}) }

// hasty returns the interval of each source of a measured agent: by default it
// may depend on how the box answered before.
func hasty(sources []collector.Source) map[string]time.Duration {
	m := map[string]time.Duration{}
	for _, s := range sources {
		d := s.Describe()
		if p, ok := s.(interface{ Interval() time.Duration }); ok {
			d.Interval = p.Interval()
		}
		m[d.Name] = d.Interval / haste
	}
	return m
}

// errEnded says that the agent ended by itself while it was measured.
var errEnded = errors.New("agent ended")

// awaitStart returns when the agent has had its first reports acknowledged.
func awaitStart(ctx context.Context, runDir string, ended <-chan struct{}) error {
	last := errors.New("no answer yet")
	err := poll(ctx, ended, func() bool {
		s, err := agent.Ask(ctx, runDir)
		if err == nil {
			err = fmt.Errorf("%d published, %d acknowledged, uplink %s", s.Counters.Published, s.Counters.Acknowledged, s.UplinkState)
		}
		last = err
		return s.Counters.Acknowledged >= settled
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no %d reports acknowledged within %v: %w", settled, patience, last)
	}
	return err
}

// awaitQuiet returns when the next report has come and been acknowledged and
// nothing crosses the line any more, so that no report is counted by half. It
// does not ask the agent, which would cost it processor time.
func (b *bench) awaitQuiet(ctx context.Context, ended <-chan struct{}) error {
	reports, acks := b.reports.Load(), b.acks.Load()
	var before traffic
	same := 0
	var failed error
	err := poll(ctx, ended, func() bool {
		now, err := b.relay.total()
		if err != nil {
			failed = err
			return true
		}
		same++
		if now != before {
			before, same = now, 0
		}
		return b.reports.Load() > reports && b.acks.Load() > acks && same >= 2
	})
	return errors.Join(err, failed)
}

// poll returns when done says so.
func poll(ctx context.Context, ended <-chan struct{}, done func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	each := time.NewTicker(250 * time.Millisecond)
	defer each.Stop()
	for {
		select {
		case <-ended:
			return errEnded
		case <-ctx.Done():
			return ctx.Err()
		case <-each.C:
			if done() {
				return nil
			}
		}
	}
}
