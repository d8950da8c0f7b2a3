package budget

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"livebox-agent/agent"
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
	// the agent started, and a window.
	settled = 2
)

// A bench is a lab with a relay before it and a count of what reaches it.
type bench struct {
	dir   string
	lab   *lab.Lab
	relay *relay
	conn  *nats.Conn

	reports, payload atomic.Uint64 // reports that came, and their bytes
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
	for _, subject := range []string{"cem.v1.*.telemetry", "cem.v1.*.event"} {
		if _, err := b.conn.Subscribe(subject, b.count); err != nil {
			return nil, fmt.Errorf("count reports: %w", err)
		}
	}
	return b, nil
}

// count notes a report that came.
func (b *bench) count(m *nats.Msg) {
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
func (b *bench) box(name, program string) (process.Config, error) {
	cert, err := b.lab.CA.Box(name)
	return process.Config{
		Binary: program, Dir: filepath.Join(b.dir, name), Broker: "tls://" + b.relay.addr(),
		CAFile: b.lab.CA.CAFile(), Box: cert, Window: window, Extra: intervals(),
	}, err
}

// intervals is the configuration of the sources' intervals.
func intervals() string {
	text := "\n[sampling.intervals]\n"
	for name, d := range hasty() {
		text += fmt.Sprintf("%s = %q\n", name, d)
	}
	return text
}

// hasty returns the interval of each source of a measured agent.
func hasty() map[string]time.Duration {
	m := map[string]time.Duration{}
	for _, s := range agent.Sources(agent.Env{}) {
		d := s.Describe()
		m[d.Name] = d.Interval / haste
	}
	return m
}

// errEnded says that the agent ended by itself while it was measured.
var errEnded = errors.New("agent ended")

// awaitAcknowledged returns when the agent has had enough reports acknowledged.
func awaitAcknowledged(ctx context.Context, runDir string, enough uint64, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	poll := time.NewTicker(250 * time.Millisecond)
	defer poll.Stop()
	last := errors.New("no answer yet")
	for {
		select {
		case <-ended:
			return errEnded
		case <-ctx.Done():
			return fmt.Errorf("no %d reports acknowledged within %v: %w", enough, patience, last)
		case <-poll.C:
		}
		s, err := agent.Ask(ctx, runDir)
		switch {
		case err != nil:
			last = err
		case s.Counters.Acknowledged >= enough:
			return nil
		default:
			last = fmt.Errorf("%d published, %d acknowledged, uplink %s", s.Counters.Published, s.Counters.Acknowledged, s.UplinkState)
		}
	}
}
