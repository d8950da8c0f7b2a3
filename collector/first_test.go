package collector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

// A way is one interface of a box, which the test has or has not.
type way struct {
	metric   catalogue.ID
	interval time.Duration
	err      error
	silent   bool
	asked    int
}

func (w *way) Describe() Description {
	return Description{
		Name: "ports", Purpose: catalogue.Essential, Metrics: []catalogue.ID{catalogue.PortStatus, w.metric},
		Interval: w.interval, Timeout: w.interval / 2,
	}
}

func (w *way) Collect(_ context.Context, b *sample.Batch) error {
	w.asked++
	if !w.silent {
		b.Add(w.metric, "eth0", 1)
	}
	return w.err
}

func TestFirstKeepsToTheWayThatTheBoxHas(t *testing.T) {
	none := fmt.Errorf("no such family: %w", ErrNoData)
	kernel := &way{metric: catalogue.PortCarrier, interval: 10 * time.Second, err: none, silent: true}
	bus := &way{metric: catalogue.PortBitRate, interval: time.Minute}
	f := NewFirst(kernel, bus)

	d := f.Describe()
	if want := []catalogue.ID{catalogue.PortStatus, catalogue.PortCarrier, catalogue.PortBitRate}; !slices.Equal(d.Metrics, want) ||
		d.Name != "ports" || d.Timeout != 30*time.Second {
		t.Errorf("Describe() = %+v", d)
	}
	ask := func() (sample.Batch, error) {
		var b sample.Batch
		err := f.Collect(t.Context(), &b)
		return b, err
	}
	for range 3 {
		if b, err := ask(); err != nil || len(b.Readings) != 1 || b.Readings[0].Metric != catalogue.PortBitRate {
			t.Fatalf("Collect = %v, %v; want the bus's reading", b.Readings, err)
		}
	}
	if kernel.asked != 1 || bus.asked != 3 {
		t.Errorf("asked %d and %d times; want the way that the box does not have once", kernel.asked, bus.asked)
	}
	if f.Interval() != time.Minute {
		t.Errorf("Interval() = %v; want that of the way in use", f.Interval())
	}

	bus.err, bus.silent = errors.New("timeout"), true
	if _, err := ask(); err != bus.err || kernel.asked != 1 { //nolint:errorlint // the very error
		t.Errorf("a fault: %v, kernel asked %d times; want the fault, and no other way", err, kernel.asked)
	}

	bus.err = fmt.Errorf("service gone: %w", ErrRefused)
	_, err := ask()
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "service gone") || !strings.Contains(err.Error(), "no such family") {
		t.Errorf("no way: %v; want refused, with every reason", err)
	}
	kernel.err, kernel.silent = nil, false
	if b, err := ask(); err != nil || b.Readings[0].Metric != catalogue.PortCarrier || f.Interval() != 10*time.Second {
		t.Errorf("after the driver came: %v, %v, every %v", b.Readings, err, f.Interval())
	}
	kernel.err = none
	if b, err := ask(); !errors.Is(err, ErrNoData) || len(b.Readings) != 1 || bus.asked != 6 {
		t.Errorf("a part and no more: %v, %v, bus asked %d times; want what there was, from one way", b.Readings, err, bus.asked)
	}
}
