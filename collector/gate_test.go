package collector_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

func TestUngrantedSourceIsNotAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		load := &fake{collector.Description{
			Name: "load", Purpose: catalogue.Support, Metrics: []catalogue.ID{catalogue.CPUUsage},
			Interval: 10 * time.Second, Timeout: time.Second,
		}, func(context.Context, *sample.Batch) error { asked++; return nil }}
		granted := false
		b := newBench(t, func(o *collector.Options) {
			o.Granted = func(p catalogue.Purpose) bool { return p == catalogue.Essential || granted }
		}, uptime("a", one), load)
		b.run(t, 35*time.Second)
		if asked != 0 || b.stats("load").NotGranted != 4 || b.capability("load").State != collector.NotGranted {
			t.Errorf("asked %d times, %+v, %+v; want not at all, and four rounds counted", asked, b.stats("load"), b.capability("load"))
		}
		if out := b.set.Once(t.Context()); asked != 0 || out[1].State != collector.NotGranted {
			t.Errorf("Once asked %d times and says %v; want not at all", asked, out[1].State)
		}
		granted = true
		b.run(t, 45*time.Second)
		if asked != 2 || b.capability("load").State != collector.Working {
			t.Errorf("asked %d times once granted, state %v; want 2 and working", asked, b.capability("load").State)
		}
	})
}

func TestOnlyEssentialIsGrantedByDefault(t *testing.T) {
	for _, p := range catalogue.Purposes() {
		ids := []catalogue.ID{}
		for _, m := range catalogue.All() {
			if m.Purpose == p {
				ids = append(ids, m.ID)
			}
		}
		if len(ids) == 0 {
			continue
		}
		asked := false
		src := &fake{
			collector.Description{Name: "s", Purpose: p, Metrics: ids, Interval: time.Second, Timeout: time.Second},
			func(context.Context, *sample.Batch) error { asked = true; return nil },
		}
		b := newBench(t, nil, src)
		b.set.Once(t.Context())
		if want := p == catalogue.Essential; asked != want {
			t.Errorf("%v: asked %v; want %v", p, asked, want)
		}
	}
}

func TestReadingsOfAWithdrawnPurposeAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		granted := true
		b := newBench(t, func(o *collector.Options) {
			o.Granted = func(catalogue.Purpose) bool { return granted }
		}, uptime("a", func(ctx context.Context, b *sample.Batch) error {
			granted = false // withdrawn while the source is being asked
			return one(ctx, b)
		}))
		b.run(t, 5*time.Second)
		if len(b.got["a"]) != 0 || b.stats("a").NotGranted != 1 || b.stats("a").Readings != 0 {
			t.Errorf("delivered %v, %+v; want nothing", b.got["a"], b.stats("a"))
		}
		if c := b.capability("a"); c.State != collector.NotGranted || len(c.Metrics) != 0 {
			t.Errorf("capability %+v; want not granted, no metrics", c)
		}
	})
}

func TestForeignMetricsAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, uptime("a", func(ctx context.Context, b *sample.Batch) error {
			b.Add(catalogue.StationSignal, "somebody", -60)
			_ = one(ctx, b)
			b.Add(60000, "", 1)
			b.Add(0, "", 1)
			return nil
		}))
		b.run(t, 5*time.Second)
		if want := []sample.Reading{{Metric: catalogue.UpTime, Value: 1}}; !slices.Equal(b.readings, want) {
			t.Errorf("delivered %v; want %v", b.readings, want)
		}
		if st := b.stats("a"); st.Foreign != 3 || st.Readings != 1 {
			t.Errorf("stats %+v; want 3 foreign, 1 reading", st)
		}
		if c := b.capability("a"); !slices.Equal(c.Metrics, []catalogue.ID{catalogue.UpTime}) {
			t.Errorf("capability %+v; want the one metric it announced", c)
		}
	})
}
