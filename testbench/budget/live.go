package budget

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"livebox-agent/agent"
	"livebox-agent/testbench/process"
)

// Budgets of the running agent.
const (
	maxResident  = 12.0 // MB
	maxAnonymous = 4.0  // MB
)

// usage is what a running agent took while it was watched.
type usage struct {
	span       time.Duration
	memory     memory
	processor  time.Duration
	readings   uint64
	reports    uint64 // that reached the broker
	payload    uint64 // bytes of those
	statuses   uint64 // that reached the broker
	traffic    traffic
	flashBytes uint64
	sources    int // that work here
	// connect is what the connection took before the watch, without reports.
	connect float64
}

// rounds is how often the fastest sources were asked.
func (u usage) rounds() float64 { return u.span.Seconds() / round.Seconds() }

// perReport is what a report costs the line beyond its own bytes: MQTT, TLS,
// TCP/IP, the acknowledgements of both and that of the CEM, and its part of the
// statuses.
func (u usage) perReport() float64 {
	return (u.traffic.wire() - float64(u.payload)) / float64(u.reports)
}

// watch runs the shipped program on the bench and watches it for span.
func watch(ctx context.Context, b *bench, cfg process.Config, span time.Duration) (u usage, err error) {
	var log bytes.Buffer
	cfg.Log = &log
	p, err := process.Start(cfg)
	if err != nil {
		return usage{}, err
	}
	defer func() {
		err = errors.Join(err, p.Terminate(20*time.Second))
		if err != nil {
			err = fmt.Errorf("watch agent: %w\n%s", err, tail(log.String(), 20))
		}
	}()
	if err := awaitStart(ctx, cfg.RunDir(), p.Done()); err != nil {
		return usage{}, err
	}
	if err := b.awaitQuiet(ctx, p.Done()); err != nil {
		return usage{}, err
	}
	before, err := b.look(ctx, p)
	if err != nil {
		return usage{}, err
	}
	peak, err := observe(ctx, p.PID(), span, p.Done())
	if err != nil {
		return usage{}, err
	}
	if err := b.awaitQuiet(ctx, p.Done()); err != nil {
		return usage{}, err
	}
	after, err := b.look(ctx, p)
	if err != nil {
		return usage{}, err
	}
	u = after.since(before)
	u.memory = peak
	u.connect = before.traffic.wire() - float64(before.payload) - float64(before.reports)*u.perReport()
	return u, nil
}

// a glance is all counters at one moment.
type glance struct {
	at               time.Time
	processor        time.Duration
	traffic          traffic
	reports, payload uint64
	statuses         uint64
	agent            agent.Snapshot
}

func (b *bench) look(ctx context.Context, p *process.Process) (glance, error) {
	s, err := p.Ask(ctx)
	if err != nil {
		return glance{}, err
	}
	cpu, err := processorTime(p.PID())
	if err != nil {
		return glance{}, err
	}
	t, err := b.relay.total()
	if err != nil {
		return glance{}, err
	}
	return glance{time.Now(), cpu, t, b.reports.Load(), b.payload.Load(), b.statuses.Load(), s}, nil
}

func (g glance) since(o glance) usage {
	u := usage{
		span: g.at.Sub(o.at), processor: g.processor - o.processor, traffic: g.traffic.minus(o.traffic),
		reports: g.reports - o.reports, payload: g.payload - o.payload, statuses: g.statuses - o.statuses,
		readings:   g.agent.Counters.Readings - o.agent.Counters.Readings,
		flashBytes: g.agent.Counters.FlashBytes - o.agent.Counters.FlashBytes,
	}
	for _, s := range g.agent.Sources {
		if s.State == "working" {
			u.sources++
		}
	}
	return u
}

// observe returns the most memory that the process held at any second of span.
func observe(ctx context.Context, pid int, span time.Duration, ended <-chan struct{}) (memory, error) {
	enough := time.NewTimer(span)
	defer enough.Stop()
	each := time.NewTicker(time.Second)
	defer each.Stop()
	var peak memory
	for {
		m, err := memoryOf(pid)
		if err != nil {
			return memory{}, err
		}
		peak.most(m)
		select {
		case <-ended:
			return memory{}, errEnded
		case <-ctx.Done():
			return memory{}, context.Cause(ctx)
		case <-enough.C:
			return peak, nil
		case <-each.C:
		}
	}
}

// how says under what the usage was.
func (u usage) how() string {
	return fmt.Sprintf("%s, %d sources, %.0f readings a round, everything %d times as often as by default",
		runtime.GOARCH, u.sources, float64(u.readings)/u.rounds(), haste)
}

// rows turns what was watched into rows.
func (u usage) rows() []Row {
	how := u.how()
	return []Row{
		measured("resident memory", "MB", float64(u.memory.resident)/mega, maxResident, "most of each second; "+how),
		measured("anonymous memory", "MB", float64(u.memory.anonymous)/mega, maxAnonymous, "most of each second; "+how),
		measured("flash written, backend answering", "bytes", float64(u.flashBytes), 0,
			fmt.Sprintf("device bytes that the store counted in %.0f s", u.span.Seconds())),
		informative("processor time per round", "ms", float64(u.processor.Microseconds())/1000/u.rounds(), how),
	}
}

// tail returns the last n lines of s.
func tail(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
