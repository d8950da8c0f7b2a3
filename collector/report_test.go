package collector_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

func TestOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		long := strings.Repeat("very ", 100) + "long"
		b := newBench(t, nil,
			uptime("works", one),
			uptime("absent", func(context.Context, *sample.Batch) error { return collector.ErrNoData }),
			uptime("fails", func(context.Context, *sample.Batch) error { return errors.New(long) }),
			uptime("panics", func(context.Context, *sample.Batch) error { panic("no") }),
			uptime("slow", func(ctx context.Context, _ *sample.Batch) error { <-ctx.Done(); return ctx.Err() }),
			uptime("hangs", func(context.Context, *sample.Batch) error { <-release; return nil }),
		)
		out := b.set.Once(t.Context())
		want := []struct {
			name     string
			state    collector.State
			reason   string
			readings int
			took     time.Duration
		}{
			{"works", collector.Working, "", 1, 0},
			{"absent", collector.Absent, "no data", 0, 0},
			{"fails", collector.Failing, long[:200] + "…", 0, 0},
			{"panics", collector.Failing, "panic: no", 0, 0},
			{"slow", collector.Failing, "context deadline exceeded", 0, 2 * time.Second},
			{"hangs", collector.Failing, "does not return", 0, 0},
		}
		for i, w := range want {
			o := out[i]
			if o.Description.Name != w.name || o.State != w.state || o.Reason != w.reason || len(o.Readings) != w.readings || o.Took != w.took {
				t.Errorf("got %+v; want %+v", o, w)
			}
		}
		close(release)
		synctest.Wait()
		again := b.set.Once(t.Context())
		if len(again[0].Readings) != 1 || again[0].Readings[0] != out[0].Readings[0] && again[0].Readings[0].Value == 1 {
			t.Errorf("asked again: %+v", again[0])
		}
		if out[0].Readings[0].Value != 1 {
			t.Errorf("readings of the first answer changed to %v", out[0].Readings)
		}
	})
}

func TestOnceEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		b := newBench(t, nil, uptime("a", func(ctx context.Context, _ *sample.Batch) error { <-ctx.Done(); return ctx.Err() }))
		if o := b.set.Once(ctx)[0]; o.State != 0 || o.Reason != "context canceled" {
			t.Errorf("Once = %+v; want no state: context canceled", o)
		}
	})
}

func TestStateString(t *testing.T) {
	for s, want := range map[collector.State]string{
		0: "unknown", collector.Working: "working", collector.Absent: "absent", collector.Refused: "refused",
		collector.Failing: "failing", collector.NotGranted: "not_granted", 9: "state(9)",
	} {
		if got := s.String(); got != want {
			t.Errorf("State(%d) = %q; want %q", uint8(s), got, want)
		}
	}
}

// A round costs the same few allocations (its goroutine and its context)
// however many readings it gives.
func BenchmarkOnce100Readings(b *testing.B) {
	b.ReportAllocs()
	set, err := collector.NewSet(collector.Options{Now: func() time.Duration { return 0 }},
		uptime("a", func(_ context.Context, b *sample.Batch) error {
			for range 100 {
				b.Add(catalogue.UpTime, "", 1)
			}
			return nil
		}))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		set.Once(b.Context())
	}
}
