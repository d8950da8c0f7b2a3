package line

import (
	"context"
	"errors"
	"fmt"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/counter"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
)

const (
	interval = time.Minute
	// timeout leaves room for one slow reply of a Livebox (25 s) and what
	// waits before it, and ends before the next round.
	timeout = 55 * time.Second
	// maxLines is how many lines are reported: bonding joins up to four.
	maxLines = 4
	// maxTotals bounds what is remembered of a box that names its line anew
	// each time.
	maxTotals = 32 * maxLines
	// retryRounds is for how many rounds a call is left out that the box does
	// not have, or refuses, while it has others.
	retryRounds = 30
	// maxStep is the largest increase between two readings that is believed of
	// a counter that seems to have wrapped: six hours of the fastest, the code
	// words of a VDSL2 line (some 10,000 a second). What is beyond is a reset.
	maxStep = 1 << 28
)

// Sysbus asks a Livebox, as *sysbus.Client does.
type Sysbus interface {
	Call(ctx context.Context, object, method string, params any) (tree.Node, error)
}

// Ubus asks OpenWrt, as *ubus.Conn does.
type Ubus interface {
	Call(ctx context.Context, object, method string, params map[string]any) (tree.Node, error)
}

// A Config says how the box can be asked. What is nil is not there.
type Config struct {
	Sysbus Sysbus
	Ubus   Ubus
}

// Source is the source line.
type Source struct {
	sysbus Sysbus
	ubus   Ubus
	// raw takes what one reply says, before counters become totals.
	raw sample.Batch
	// totals are those of this run, and wait the calls that are left out.
	totals map[counted]*total
	wait   map[string]int
}

// counted names a total.
type counted struct {
	metric catalogue.ID
	line   string
}

// A total continues one counter of the box.
type total struct {
	// from is the reply that it is read from: the box may count the same thing
	// in two places, since different times.
	from string
	u    counter.Unwrapper
}

// New returns the source of the DSL lines of a box.
func New(c Config) *Source {
	return &Source{sysbus: c.Sysbus, ubus: c.Ubus, totals: map[counted]*total{}, wait: map[string]int{}}
}

// Describe implements collector.Source.
func (s *Source) Describe() collector.Description {
	return collector.Description{
		Name: "line", Purpose: catalogue.Essential, Interval: interval, Timeout: timeout,
		Metrics: union(mibMetrics(), statsMetrics(), lineStatsMetrics(), ubusMetrics()),
	}
}

// Collect implements collector.Source.
func (s *Source) Collect(ctx context.Context, b *sample.Batch) error {
	err := fmt.Errorf("no way to ask for a DSL line: %w", collector.ErrNoData)
	if s.sysbus != nil {
		if err = s.askSysbus(ctx, b); !absent(err) {
			return err
		}
	}
	if s.ubus != nil {
		if next := s.askUbus(ctx, b); !errors.Is(next, collector.ErrNoData) || s.sysbus == nil {
			return next
		}
	}
	return err
}

// absent says that err means that the box does not have, or does not give,
// what was asked for.
func absent(err error) bool {
	return errors.Is(err, collector.ErrNoData) || errors.Is(err, collector.ErrRefused)
}

// deliver adds what the reply called from says to b, with its counters as
// totals.
func (s *Source) deliver(from string, b *sample.Batch) {
	for _, r := range s.raw.Readings {
		if m, _ := catalogue.Lookup(r.Metric); m.Kind != catalogue.Counter {
			b.Readings = append(b.Readings, r)
			continue
		}
		key := counted{r.Metric, r.Instance}
		t := s.totals[key]
		if t == nil {
			if len(s.totals) == maxTotals {
				continue
			}
			t = &total{from: from, u: counter.Unwrapper{MaxStep: maxStep}}
			s.totals[key] = t
		}
		if t.from != from {
			continue
		}
		v, _ := t.u.Next(uint64(r.Value), 32)
		b.Add(r.Metric, r.Instance, v)
	}
}

// union returns each of the metrics once.
func union(lists ...[]catalogue.ID) []catalogue.ID {
	var all []catalogue.ID
	seen := map[catalogue.ID]bool{}
	for _, list := range lists {
		for _, id := range list {
			if !seen[id] {
				seen[id] = true
				all = append(all, id)
			}
		}
	}
	return all
}
