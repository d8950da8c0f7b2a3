package collector_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

// A scripted watcher is made of a function.
type scripted struct {
	name    string
	purpose catalogue.Purpose
	run     func(ctx context.Context, notice func(sample.Sign)) error
}

func (s *scripted) Watch() collector.Watch { return collector.Watch{Name: s.name, Purpose: s.purpose} }

func (s *scripted) Run(ctx context.Context, notice func(sample.Sign)) error {
	return s.run(ctx, notice)
}

// watcher returns an essential one.
func watcher(run func(ctx context.Context, notice func(sample.Sign)) error) *scripted {
	return &scripted{"links", catalogue.Essential, run}
}

// quiet waits for the end.
func quiet(ctx context.Context, _ func(sample.Sign)) error {
	<-ctx.Done()
	return ctx.Err()
}

// A watchBench runs watchers in a bubble that starts at one second since boot.
type watchBench struct {
	log  bytes.Buffer
	born time.Time
	all  *collector.Watchers
	got  []sample.Sign
	// take is called for each sign; nil does nothing more.
	take func(sample.Sign)
}

func newWatchBench(t *testing.T, change func(*collector.WatchOptions), watchers ...collector.Watcher) *watchBench {
	t.Helper()
	b := &watchBench{born: time.Now().Add(-time.Second)}
	o := collector.WatchOptions{
		Log: slog.New(slog.NewTextHandler(&b.log, nil)),
		Now: func() time.Duration { return time.Since(b.born) },
	}
	if change != nil {
		change(&o)
	}
	all, err := collector.NewWatchers(o, watchers...)
	if err != nil {
		t.Fatal(err)
	}
	b.all = all
	return b
}

// run runs the watchers until d after boot, and checks the books.
func (b *watchBench) run(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Until(b.born.Add(d)))
	defer cancel()
	b.all.Run(ctx, func(s sample.Sign) {
		b.got = append(b.got, s)
		if b.take != nil {
			b.take(s)
		}
	})
	for _, st := range b.all.Stats() {
		ended := st.NoData + st.Refused + st.Failed + st.Panicked + st.Withdrawn + st.Cancelled
		if st.Hanging {
			ended++
		}
		if st.Running != st.Hanging || st.Starts != ended {
			t.Errorf("%s: %d starts, %d ended, running %v, hanging %v", st.Watcher, st.Starts, ended, st.Running, st.Hanging)
		}
	}
}

func (b *watchBench) state(t *testing.T, want collector.State, reason string) {
	t.Helper()
	if c := b.all.Capabilities()[0]; c.State != want || !strings.Contains(c.Reason, reason) {
		t.Errorf("%s is %v (%q); want %v (%q)", c.Source, c.State, c.Reason, want, reason)
	}
}

func TestUngrantedWatcherIsNotStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &scripted{"stations", catalogue.Personalised, func(context.Context, func(sample.Sign)) error {
			t.Error("started without consent")
			return nil
		}}
		b := newWatchBench(t, nil, w)
		b.run(t, time.Hour)
		b.state(t, collector.NotGranted, "")
	})
}

func TestWatcherEndsWhenItsPurposeIsWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var granted atomic.Bool
		var ran []time.Duration
		var b *watchBench
		w := &scripted{"stations", catalogue.Personalised, func(ctx context.Context, _ func(sample.Sign)) error {
			began := time.Since(b.born)
			<-ctx.Done()
			ran = append(ran, began, time.Since(b.born))
			return ctx.Err()
		}}
		b = newWatchBench(t, func(o *collector.WatchOptions) {
			o.Granted = func(catalogue.Purpose) bool { return granted.Load() }
		}, w)
		time.AfterFunc(30*time.Second, func() { granted.Store(true) })
		time.AfterFunc(5*time.Minute, func() { granted.Store(false) })
		time.AfterFunc(7*time.Minute, func() { granted.Store(true) })
		b.run(t, 10*time.Minute)
		if len(ran) != 4 || ran[0] > 42*time.Second || ran[1] > 5*time.Minute+12*time.Second || ran[2] < 7*time.Minute || ran[3] != 10*time.Minute {
			t.Errorf("ran %v; want each within ten seconds of the customer's word", ran)
		}
		if st := b.all.Stats()[0]; st.Withdrawn != 1 || st.Cancelled != 1 {
			t.Errorf("%+v; want one run withdrawn, one cancelled", st)
		}
	})
}

func TestSignWithoutAGrantedPurposeIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watcher(func(ctx context.Context, notice func(sample.Sign)) error {
			notice(sample.Sign{Kind: sample.PoorCoverage, Metric: catalogue.StationSignal})
			notice(sample.Sign{Kind: sample.PortDown, Instance: "eth1"})
			<-ctx.Done()
			return ctx.Err()
		})
		b := newWatchBench(t, nil, w)
		b.run(t, time.Minute)
		if len(b.got) != 1 || b.got[0].Kind != sample.PortDown {
			t.Errorf("got %v; want the port alone", b.got)
		}
		if st := b.all.Stats()[0]; st.Ungranted != 1 || st.Signs != 1 {
			t.Errorf("%+v; want one sign ungranted, one taken", st)
		}
		b.state(t, collector.Working, "")
	})
}

func TestWatcherThatFailsIsStartedAgainAfterGrowingWaits(t *testing.T) {
	for _, tt := range []struct {
		name string
		run  func(context.Context, func(sample.Sign)) error
		want string
	}{
		{"error", func(context.Context, func(sample.Sign)) error { return errors.New("socket broke") }, "socket broke"},
		{"no reason", func(context.Context, func(sample.Sign)) error { return nil }, "without a reason"},
		{"panic", func(context.Context, func(sample.Sign)) error { panic("index") }, "panic: index"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var starts []time.Time
				b := newWatchBench(t, nil, watcher(func(ctx context.Context, n func(sample.Sign)) error {
					starts = append(starts, time.Now())
					return tt.run(ctx, n)
				}))
				b.run(t, time.Hour)
				want := time.Second
				for i := 1; i < len(starts); i++ {
					if d := starts[i].Sub(starts[i-1]); d < want/2 || d > want {
						t.Errorf("wait %d was %v; want %v to %v", i, d, want/2, want)
					}
					want = min(2*want, 5*time.Minute)
				}
				if len(starts) < 15 {
					t.Errorf("%d starts in an hour", len(starts))
				}
				b.state(t, collector.Failing, tt.want)
				if st := b.all.Stats()[0]; st.Failed+st.Panicked != st.Starts {
					t.Errorf("%+v; want all failed", st)
				}
				if tt.name == "panic" && !strings.Contains(b.log.String(), "watchers_test.go") {
					t.Error("the log does not say where it panicked")
				}
			})
		})
	}
}

func TestSteadyRunForgetsEarlierFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		b := newWatchBench(t, nil, watcher(func(ctx context.Context, _ func(sample.Sign)) error {
			if runs++; runs == 5 {
				timer := time.NewTimer(10 * time.Minute)
				defer timer.Stop()
				select {
				case <-timer.C:
				case <-ctx.Done():
				}
			}
			if runs == 7 {
				return quiet(ctx, nil)
			}
			return errors.New("socket broke")
		}))
		b.run(t, time.Hour)
		if runs != 7 {
			t.Errorf("%d runs", runs)
		}
		b.state(t, collector.Working, "")
		for _, change := range []string{"from=unknown to=failing", "from=failing to=working"} {
			if strings.Count(b.log.String(), change) != 1 {
				t.Errorf("%q is not in the log once:\n%s", change, b.log.String())
			}
		}
	})
}

func TestAbsentAndRefusedWatchersAreStartedRarely(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want collector.State
	}{{collector.ErrNoData, collector.Absent}, {collector.ErrRefused, collector.Refused}} {
		synctest.Test(t, func(t *testing.T) {
			b := newWatchBench(t, nil, watcher(func(context.Context, func(sample.Sign)) error {
				return fmt.Errorf("open /dev/kmsg: %w", tt.err)
			}))
			b.run(t, time.Hour)
			b.state(t, tt.want, "open /dev/kmsg")
			if st := b.all.Stats()[0]; st.NoData+st.Refused != 15 || st.Starts != 15 {
				t.Errorf("%+v; want 10 starts in the first ten minutes, 5 in the rest of an hour", st)
			}
		})
	}
}

func TestSlowConsumerHoldsUpNoWatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := 0
		flood := watcher(func(ctx context.Context, notice func(sample.Sign)) error {
			began := time.Now()
			for range 1000 {
				notice(sample.Sign{Kind: sample.KernelMessage, Instance: "usb"})
			}
			if d := time.Since(began); d != 0 {
				t.Errorf("telling took %v", d)
			}
			return quiet(ctx, nil)
		})
		other := &scripted{"other", catalogue.Essential, func(ctx context.Context, notice func(sample.Sign)) error {
			<-time.After(time.Second)
			for range 10 {
				notice(sample.Sign{Kind: sample.PortDown, Instance: "eth1"})
			}
			return quiet(ctx, nil)
		}}
		b := newWatchBench(t, nil, flood, other)
		b.take = func(sample.Sign) { told++; <-time.After(100 * time.Millisecond) }
		b.run(t, time.Minute)
		count := map[sample.SignKind]int{}
		lost := int64(0)
		for _, s := range b.got {
			count[s.Kind]++
			if s.Kind == sample.SignsLost {
				lost += s.After
				if s.Instance != "links" {
					t.Errorf("%q lost signs", s.Instance)
				}
			}
		}
		st := b.all.Stats()
		if count[sample.PortDown] != 10 || st[1].Lost != 0 {
			t.Errorf("the other watcher told %d of 10, lost %d", count[sample.PortDown], st[1].Lost)
		}
		if n := count[sample.KernelMessage]; n < 64 || uint64(lost) != st[0].Lost || n+int(lost) != 1000 {
			t.Errorf("%d signs, %d told as lost, %d counted; want 1000 in all", n, lost, st[0].Lost)
		}
	})
}

func TestLastSignsAreTakenAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watcher(func(ctx context.Context, notice func(sample.Sign)) error {
			<-time.After(5 * time.Second)
			for range 20 {
				notice(sample.Sign{Kind: sample.PortDown})
			}
			return quiet(ctx, nil)
		})
		b := newWatchBench(t, nil, w)
		b.take = func(sample.Sign) { <-time.After(time.Second) }
		b.run(t, 8*time.Second)
		if len(b.got) != 20 {
			t.Errorf("%d signs taken; want all 20", len(b.got))
		}
	})
}

func TestWatcherThatDoesNotEndIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var late func(sample.Sign)
		w := watcher(func(_ context.Context, notice func(sample.Sign)) error {
			late = notice
			<-release
			notice(sample.Sign{Kind: sample.PortDown})
			return nil
		})
		b := newWatchBench(t, nil, w)
		b.run(t, 10*time.Second)
		if d := time.Since(b.born); d != 11*time.Second {
			t.Errorf("the run ended %v after boot; want a second after its end", d)
		}
		b.state(t, collector.Failing, "does not return")
		close(release)
		synctest.Wait()
		late(sample.Sign{Kind: sample.PortDown})
		if st := b.all.Stats()[0]; st.Hanging || st.Running || st.Signs != 0 || len(b.got) != 0 {
			t.Errorf("%+v after it returned; want no sign of it", st)
		}
	})
}

func TestWatchersThatContradictThemselvesAreABug(t *testing.T) {
	now := func() time.Duration { return 0 }
	for _, tt := range []struct {
		name     string
		now      func() time.Duration
		watchers []collector.Watcher
		want     string
	}{
		{"no clock", nil, nil, "need a clock"},
		{"one name twice", now, []collector.Watcher{watcher(quiet), watcher(quiet)}, "there twice"},
		{"no name", now, []collector.Watcher{&scripted{"", catalogue.Essential, quiet}}, "needs both"},
		{"no purpose", now, []collector.Watcher{&scripted{"x", 0, quiet}}, "needs both"},
	} {
		_, err := collector.NewWatchers(collector.WatchOptions{Now: tt.now}, tt.watchers...)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", tt.name, err, tt.want)
		}
	}
}

func BenchmarkNotice(b *testing.B) {
	b.ReportAllocs()
	done := make(chan struct{})
	w := watcher(func(ctx context.Context, notice func(sample.Sign)) error {
		for b.Loop() {
			notice(sample.Sign{Kind: sample.PortDown, Instance: "eth1"})
		}
		close(done)
		return quiet(ctx, nil)
	})
	all, err := collector.NewWatchers(collector.WatchOptions{Now: func() time.Duration { return 0 }}, w)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	go func() { <-done; cancel() }()
	all.Run(ctx, func(sample.Sign) {})
}
