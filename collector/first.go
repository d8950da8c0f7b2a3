package collector

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"livebox-agent/collector/sample"
)

// A First is one source for which boxes have different interfaces. It asks the
// first way that this box has, and keeps to it for as long as it has it.
type First struct {
	desc Description
	ways []Source
	at   atomic.Int32 // the way that worked last
}

// NewFirst returns the source that asks the ways in their order. All have the
// same name and purpose; there is at least one.
func NewFirst(ways ...Source) *First {
	f := &First{desc: ways[0].Describe(), ways: ways}
	f.desc.Metrics = slices.Clone(f.desc.Metrics)
	for _, w := range ways[1:] {
		d := w.Describe()
		for _, m := range d.Metrics {
			if !slices.Contains(f.desc.Metrics, m) {
				f.desc.Metrics = append(f.desc.Metrics, m)
			}
		}
		f.desc.Timeout = max(f.desc.Timeout, d.Timeout)
	}
	return f
}

// Describe gives the metrics of all ways and the longest of their timeouts;
// the interval is that of the first way, Interval that of the one in use.
func (f *First) Describe() Description { return f.desc }

// Interval returns the default interval of the way in use: what is quick on one
// box takes half a minute on another.
func (f *First) Interval() time.Duration { return f.ways[f.at.Load()].Describe().Interval }

// Collect asks the way that worked last and, where the box does not have it or
// does not let the agent read it, the others. What one way gives is from that
// way alone.
func (f *First) Collect(ctx context.Context, b *sample.Batch) error {
	var reasons []string
	refused := false
	start := int(f.at.Load())
	for i := range f.ways {
		at := (start + i) % len(f.ways)
		err := f.ways[at].Collect(ctx, b)
		absent := errors.Is(err, ErrNoData) || errors.Is(err, ErrRefused)
		if len(b.Readings) > 0 || !absent {
			if err == nil || len(b.Readings) > 0 {
				f.at.Store(int32(at))
			}
			return err
		}
		refused = refused || errors.Is(err, ErrRefused)
		if reason := err.Error(); !slices.Contains(reasons, reason) {
			reasons = append(reasons, reason)
		}
	}
	kind := ErrNoData
	if refused {
		kind = ErrRefused
	}
	return &noWayError{kind, strings.Join(reasons, "; ")}
}

// A noWayError says why no way could be gone. The reasons have the kind's words
// in them.
type noWayError struct {
	kind    error
	reasons string
}

func (e *noWayError) Error() string { return e.reasons }
func (e *noWayError) Unwrap() error { return e.kind }
