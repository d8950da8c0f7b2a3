package collector_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

// A fake is a source made of a function.
type fake struct {
	collector.Description
	collect func(ctx context.Context, b *sample.Batch) error
}

func (f *fake) Describe() collector.Description { return f.Description }

func (f *fake) Collect(ctx context.Context, b *sample.Batch) error { return f.collect(ctx, b) }

// uptime returns an essential source called name, asked every ten seconds for
// at most two.
func uptime(name string, collect func(ctx context.Context, b *sample.Batch) error) *fake {
	return &fake{collector.Description{
		Name: name, Purpose: catalogue.Essential, Metrics: []catalogue.ID{catalogue.UpTime},
		Interval: 10 * time.Second, Timeout: 2 * time.Second,
	}, collect}
}

func one(_ context.Context, b *sample.Batch) error {
	b.Add(catalogue.UpTime, "", int64(b.At/time.Second))
	return nil
}

// A bench runs a set in a bubble of fake time that starts at one second since
// boot.
type bench struct {
	opt  collector.Options
	log  bytes.Buffer
	born time.Time
	set  *collector.Set
	// got are the times of the delivered batches of each source.
	got map[string][]time.Duration
	// readings are all that was delivered.
	readings []sample.Reading
}

func newBench(t *testing.T, change func(*collector.Options), sources ...collector.Source) *bench {
	t.Helper()
	b := &bench{born: time.Now().Add(-time.Second), got: map[string][]time.Duration{}}
	b.opt = collector.Options{
		Log: slog.New(slog.NewTextHandler(&b.log, nil)),
		Now: func() time.Duration { return time.Since(b.born) },
	}
	if change != nil {
		change(&b.opt)
	}
	set, err := collector.NewSet(b.opt, sources...)
	if err != nil {
		t.Fatal(err)
	}
	b.set = set
	return b
}

// run runs the set until d after boot, and checks the books.
func (b *bench) run(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Until(b.born.Add(d)))
	defer cancel()
	delivering := false
	b.set.Run(ctx, func(name string, d collector.Description, batch *sample.Batch) {
		if delivering {
			t.Error("deliver called twice at once")
		}
		delivering = true
		if name != d.Name {
			t.Errorf("delivered as %q; description says %q", name, d.Name)
		}
		b.got[name] = append(b.got[name], batch.At)
		b.readings = append(b.readings, batch.Readings...)
		delivering = false
	})
	for _, st := range b.set.Stats() {
		sum := st.OK + st.NoData + st.Refused + st.Failed + st.TimedOut + st.Panicked + st.NotGranted + st.Skipped + st.Cancelled
		if inFlight := st.Rounds - sum; inFlight != 0 {
			t.Errorf("%s: %d rounds, %d outcomes: %+v", st.Source, st.Rounds, sum, st)
		}
	}
}

func (b *bench) stats(name string) collector.Stats {
	st := b.set.Stats()
	return st[slices.IndexFunc(st, func(s collector.Stats) bool { return s.Source == name })]
}

func (b *bench) capability(name string) collector.Capability {
	c := b.set.Capabilities()
	return c[slices.IndexFunc(c, func(c collector.Capability) bool { return c.Source == name })]
}

// seconds returns durations of whole seconds.
func seconds(s ...int) []time.Duration {
	d := make([]time.Duration, len(s))
	for i := range s {
		d[i] = time.Duration(s[i]) * time.Second
	}
	return d
}

func TestRoundsAreMultiplesOfTheIntervalPlusPhase(t *testing.T) {
	for _, tt := range []struct {
		name  string
		phase time.Duration
		want  []time.Duration
	}{
		{"no phase", 0, seconds(1, 10, 20, 30)},
		{"a phase", 3 * time.Second, seconds(1, 3, 13, 23, 33)},
		{"a phase longer than the interval", 43 * time.Second, seconds(1, 3, 13, 23, 33)},
		{"a negative phase", -2 * time.Second, seconds(1, 8, 18, 28)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, func(o *collector.Options) { o.Phase = tt.phase }, uptime("a", one))
				b.run(t, 35*time.Second)
				if !slices.Equal(b.got["a"], tt.want) {
					t.Errorf("rounds at %v; want %v", b.got["a"], tt.want)
				}
			})
		})
	}
}

func TestIntervalMayChangeDuringTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var born time.Time
		b := newBench(t, func(o *collector.Options) {
			o.Interval = func(name string) time.Duration {
				if name == "a" && time.Since(born) > 20*time.Second {
					return 5 * time.Second
				}
				return 0
			}
		}, uptime("a", one), uptime("b", one))
		born = b.born
		b.run(t, 42*time.Second)
		if want := seconds(1, 10, 20, 30, 35, 40); !slices.Equal(b.got["a"], want) {
			t.Errorf("rounds of a at %v; want %v", b.got["a"], want)
		}
		if want := seconds(1, 10, 20, 30, 40); !slices.Equal(b.got["b"], want) {
			t.Errorf("rounds of b at %v; want %v", b.got["b"], want)
		}
	})
}

func TestSourceThatHangsFailsOrPanicsCostsItsOwnReadings(t *testing.T) {
	release := make(chan struct{})
	for _, tt := range []struct {
		name    string
		collect func(ctx context.Context, b *sample.Batch) error
		want    collector.Stats
		reason  string
	}{
		{
			name:    "hangs for ever",
			collect: func(context.Context, *sample.Batch) error { <-release; return nil },
			want:    collector.Stats{Rounds: 4, TimedOut: 1, Skipped: 3, Hanging: true},
			reason:  "does not return",
		},
		{
			name:    "answers only its context",
			collect: func(ctx context.Context, _ *sample.Batch) error { <-ctx.Done(); return ctx.Err() },
			want:    collector.Stats{Rounds: 4, TimedOut: 4, Took: 2 * time.Second, TookMax: 2 * time.Second},
			reason:  "context deadline exceeded",
		},
		{
			name:    "fails",
			collect: func(context.Context, *sample.Batch) error { return errors.New("read /proc/x:\n input/output error") },
			want:    collector.Stats{Rounds: 4, Failed: 4},
			reason:  "read /proc/x: input/output error",
		},
		{
			name: "panics after a reading",
			collect: func(ctx context.Context, b *sample.Batch) error {
				_ = one(ctx, b)
				panic("index out of range")
			},
			want:   collector.Stats{Rounds: 4, Panicked: 4},
			reason: "panic: index out of range",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release = make(chan struct{})
				b := newBench(t, nil, uptime("bad", tt.collect), uptime("good", one))
				b.run(t, 35*time.Second)
				if want := seconds(1, 10, 20, 30); !slices.Equal(b.got["good"], want) {
					t.Errorf("the other source gave readings at %v; want %v", b.got["good"], want)
				}
				tt.want.Source = "bad"
				if got := b.stats("bad"); got != tt.want {
					t.Errorf("stats %+v; want %+v", got, tt.want)
				}
				if c := b.capability("bad"); c.State != collector.Failing || c.Reason != tt.reason {
					t.Errorf("capability %+v; want failing: %s", c, tt.reason)
				}
				if len(b.got["bad"]) != 0 {
					t.Errorf("delivered %v of the bad source; want nothing", b.got["bad"])
				}
				close(release)
			})
		})
	}
}

func TestLateReadingsAreNotReportedAsFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		first := true
		b := newBench(t, nil, uptime("a", func(ctx context.Context, b *sample.Batch) error {
			if first {
				first = false
				<-release
			}
			return one(ctx, b)
		}))
		time.AfterFunc(24*time.Second, func() { close(release) }) // 25 s after boot
		b.run(t, 45*time.Second)
		if want := seconds(30, 40); !slices.Equal(b.got["a"], want) {
			t.Errorf("readings of %v; want %v", b.got["a"], want)
		}
		if st := b.stats("a"); st.TimedOut != 1 || st.Skipped != 2 || st.OK != 2 || st.Hanging {
			t.Errorf("stats %+v; want 1 timed out, 2 skipped, 2 ok, not hanging", st)
		}
		if c := b.capability("a"); c.State != collector.Working {
			t.Errorf("state %v after it answered; want working", c.State)
		}
	})
}

func TestSlowSourceSkipsTheRoundsItIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := uptime("slow", func(ctx context.Context, b *sample.Batch) error {
			<-time.After(12 * time.Second)
			return one(ctx, b)
		})
		slow.Timeout = 15 * time.Second
		b := newBench(t, nil, slow)
		b.run(t, 39*time.Second)
		if want := seconds(1, 20); !slices.Equal(b.got["slow"], want) {
			t.Errorf("rounds at %v; want %v", b.got["slow"], want)
		}
		if st := b.stats("slow"); st.Skipped != 2 || st.TookMax != 12*time.Second {
			t.Errorf("stats %+v; want 2 skipped, 12 s at most", st)
		}
	})
}

func TestAbsentOrRefusedSourceIsRetriedRarely(t *testing.T) {
	for _, tt := range []struct {
		err   error
		state collector.State
	}{
		{collector.ErrNoData, collector.Absent},
		{fmt.Errorf("open /sys/class/hwmon: %w", collector.ErrNoData), collector.Absent},
		{fmt.Errorf("dump stations: %w", collector.ErrRefused), collector.Refused},
	} {
		t.Run(tt.err.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				err := tt.err
				var at []time.Duration
				b := newBench(t, nil, uptime("a", func(ctx context.Context, b *sample.Batch) error {
					at = append(at, b.At)
					if err != nil {
						return err
					}
					return one(ctx, b)
				}))
				b.run(t, 21*time.Minute)
				// Each minute while the box is starting, then each ten.
				if want := seconds(1, 70, 140, 210, 280, 350, 420, 490, 560, 630, 1240); !slices.Equal(at, want) {
					t.Errorf("asked at %v; want %v", at, want)
				}
				if c := b.capability("a"); c.State != tt.state || c.Reason != tt.err.Error() {
					t.Errorf("capability %+v; want %v: %v", c, tt.state, tt.err)
				}
				err = nil // it appears
				at = nil
				b.run(t, 21*time.Minute+25*time.Second)
				if want := seconds(1260, 1270, 1280); !slices.Equal(at, want) {
					t.Errorf("asked at %v once it is there; want %v", at, want)
				}
			})
		})
	}
}

func TestPartOfTheReadingsCounts(t *testing.T) {
	for _, tt := range []struct {
		err   error
		state collector.State
		count func(collector.Stats) uint64
	}{
		{collector.ErrNoData, collector.Working, func(s collector.Stats) uint64 { return s.OK }},
		{errors.New("radio 1: no answer"), collector.Failing, func(s collector.Stats) uint64 { return s.Failed }},
	} {
		t.Run(tt.err.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, nil, uptime("a", func(ctx context.Context, b *sample.Batch) error {
					_ = one(ctx, b)
					return tt.err
				}))
				b.run(t, 35*time.Second)
				if len(b.got["a"]) != 4 || tt.count(b.stats("a")) != 4 {
					t.Errorf("%d batches, %+v; want 4 of each", len(b.got["a"]), b.stats("a"))
				}
				if c := b.capability("a"); c.State != tt.state || c.Reason != tt.err.Error() {
					t.Errorf("capability %+v; want %v: %v", c, tt.state, tt.err)
				}
			})
		})
	}
}

func TestOneFailureDoesNotChangeTheState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		round := 0
		b := newBench(t, nil, uptime("a", func(ctx context.Context, b *sample.Batch) error {
			round++
			if round%3 != 0 { // two failures in a row, then a success
				return errors.New("resource temporarily unavailable")
			}
			return one(ctx, b)
		}))
		b.run(t, 2*time.Minute)
		if n := strings.Count(b.log.String(), "\n"); n != 1 || b.capability("a").State != collector.Working {
			t.Errorf("state %v, %d lines logged; want working, 1:\n%s", b.capability("a").State, n, b.log.String())
		}
	})
}

func TestOnlyChangesOfStateAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		round := 0
		b := newBench(t, nil, uptime("a", func(ctx context.Context, b *sample.Batch) error {
			round++
			switch {
			case round <= 5:
				return one(ctx, b)
			case round <= 10:
				panic("boom")
			}
			return one(ctx, b)
		}))
		b.run(t, 5*time.Minute)
		var msgs []string
		for line := range strings.Lines(b.log.String()) {
			_, msg, _ := strings.Cut(line, "msg=")
			msg, _, _ = strings.Cut(msg, " stack=")
			msgs = append(msgs, strings.TrimSpace(msg))
		}
		want := []string{
			`"source changed state" source=a from=unknown to=working reason=""`,
			`"source panicked" source=a reason="panic: boom"`,
			`"source changed state" source=a from=working to=failing reason="panic: boom"`,
			`"source changed state" source=a from=failing to=working reason=""`,
		}
		if !slices.Equal(msgs, want) {
			t.Errorf("logged\n%s\nwant\n%s", strings.Join(msgs, "\n"), strings.Join(want, "\n"))
		}
	})
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Run("and takes what a source still gives", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, nil, uptime("a", func(ctx context.Context, b *sample.Batch) error {
				<-ctx.Done()
				return one(ctx, b)
			}), uptime("b", func(ctx context.Context, _ *sample.Batch) error {
				<-ctx.Done()
				return ctx.Err()
			}))
			b.run(t, 2*time.Second)
			if b.stats("a").OK != 1 || len(b.got["a"]) != 1 || b.stats("b").Cancelled != 1 {
				t.Errorf("stats %+v, %+v; want one ok and delivered, one cancelled", b.stats("a"), b.stats("b"))
			}
			if s := b.capability("b").State; s != 0 {
				t.Errorf("state of the cancelled source: %v; want unknown", s)
			}
		})
	})
	t.Run("and gives up a source that hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			b := newBench(t, nil, uptime("a", func(context.Context, *sample.Batch) error { <-release; return nil }))
			b.run(t, 2*time.Second)
			if took := time.Since(b.born); took != 3*time.Second {
				t.Errorf("Run ended %v after boot; want a second after its context, at 3s", took)
			}
			if !b.stats("a").Hanging || b.stats("a").TimedOut != 1 {
				t.Errorf("stats %+v; want hanging", b.stats("a"))
			}
			b.run(t, 14*time.Second) // again, with the source still hanging
			if st := b.stats("a"); st.Skipped != 2 || st.Rounds != 3 {
				t.Errorf("stats %+v; want the next rounds skipped", st)
			}
			close(release)
			synctest.Wait()
			b.run(t, 25*time.Second)
			if st := b.stats("a"); st.OK != 1 || st.Hanging {
				t.Errorf("stats %+v; want it asked again when it has returned", st)
			}
		})
	})
}

func TestEveryRoundEndsInOneCountedOutcome(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	synctest.Test(t, func(t *testing.T) {
		granted := true
		var sources []collector.Source
		for i := range 6 {
			src := rand.New(rand.NewPCG(7, uint64(i)))
			sources = append(sources, uptime(fmt.Sprint("s", i), func(ctx context.Context, b *sample.Batch) error {
				<-time.After(time.Duration(src.IntN(20000)) * time.Millisecond >> src.IntN(10))
				switch src.IntN(6) {
				case 0:
					return collector.ErrNoData
				case 1:
					return errors.New("no")
				case 2:
					panic("no")
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				return one(ctx, b)
			}))
		}
		b := newBench(t, func(o *collector.Options) {
			o.RetryAbsent = 20 * time.Second
			o.Granted = func(catalogue.Purpose) bool { granted = granted != (rng.IntN(5) == 0); return granted }
		}, sources...)
		for i := range 20 {
			b.run(t, time.Duration(i)*time.Minute) // checks the sum
			<-time.After(20 * time.Second)
		}
		var sum collector.Stats
		for _, st := range b.set.Stats() {
			sum.OK += st.OK
			sum.NoData += st.NoData
			sum.Failed += st.Failed
			sum.Panicked += st.Panicked
			sum.TimedOut += st.TimedOut
			sum.Skipped += st.Skipped
			sum.NotGranted += st.NotGranted
		}
		for i, n := range []uint64{sum.OK, sum.NoData, sum.Failed, sum.Panicked, sum.TimedOut, sum.Skipped, sum.NotGranted} {
			if n == 0 {
				t.Errorf("outcome %d never happened: %+v", i, sum)
			}
		}
	})
}

func TestNewSetRefusesContradictions(t *testing.T) {
	now := func() time.Duration { return 0 }
	with := func(change func(*fake)) *fake {
		f := uptime("a", one)
		change(f)
		return f
	}
	for _, tt := range []struct {
		name    string
		now     func() time.Duration
		sources []collector.Source
		want    string
	}{
		{"no clock", nil, nil, "needs a clock"},
		{"a name twice", now, []collector.Source{uptime("a", one), uptime("a", one)}, `source "a" is there twice`},
		{"no name", now, []collector.Source{with(func(f *fake) { f.Name = "" })}, "no name"},
		{"no interval", now, []collector.Source{with(func(f *fake) { f.Interval = 0 })}, "must be above zero"},
		{"no timeout", now, []collector.Source{with(func(f *fake) { f.Timeout = 0 })}, "must be above zero"},
		{"no metrics", now, []collector.Source{with(func(f *fake) { f.Metrics = nil })}, "0 metrics"},
		{"an unknown metric", now, []collector.Source{with(func(f *fake) { f.Metrics = []catalogue.ID{7} })}, "metric 7 is not in the catalogue"},
		{"a metric twice", now, []collector.Source{with(func(f *fake) { f.Metrics = append(f.Metrics, catalogue.UpTime) })}, "is there twice"},
		{"another purpose", now, []collector.Source{with(func(f *fake) { f.Purpose = catalogue.Support })}, "purpose support, but metric DeviceInfo.UpTime is for essential"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := collector.NewSet(collector.Options{Now: tt.now}, tt.sources...)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "BUG: ") {
				t.Errorf("NewSet: %v; want BUG: … %s", err, tt.want)
			}
		})
	}
}

func TestSetIsNotRunTwiceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, uptime("a", one))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			b.set.Run(ctx, func(string, collector.Description, *sample.Batch) {})
		}()
		synctest.Wait()
		for name, f := range map[string]func(){
			"Run":  func() { b.set.Run(ctx, nil) },
			"Once": func() { b.set.Once(ctx) },
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s beside Run did not panic", name)
					}
				}()
				f()
			}()
		}
		cancel()
		<-ended
	})
}
