package agent

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"livebox-agent/agent/clock"
	"livebox-agent/agent/config"
	"livebox-agent/agent/consent"
	"livebox-agent/buffer"
	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
	"livebox-agent/uplink/wire"
)

// counting is a source of one counter that goes up by one at each reading.
type counting struct {
	name    string
	purpose catalogue.Purpose
	metric  catalogue.ID
	asked   atomic.Int64
}

func (c *counting) Describe() collector.Description {
	return collector.Description{
		Name: c.name, Purpose: c.purpose, Metrics: []catalogue.ID{c.metric},
		Interval: 100 * time.Millisecond, Timeout: time.Second,
	}
}

func (c *counting) Collect(_ context.Context, b *sample.Batch) error {
	b.Add(c.metric, "eth0", c.asked.Add(1))
	return nil
}

// trial is an agent whose broker does not answer.
type trial struct {
	cfg                config.Config
	essential, support *counting
	personalised       *counting
	extra              []collector.Source
	watchers           []collector.Watcher
	restart            func(context.Context) ([]sample.Sign, []string)
	host               clock.Host
}

func newTrial(t *testing.T, purposes ...string) *trial {
	t.Helper()
	return newTrialIn(t.TempDir(), purposes...)
}

func newTrialIn(dir string, purposes ...string) *trial {
	cfg := config.Default()
	cfg.Box.ID = "box-1"
	cfg.Box.StateDir = filepath.Join(dir, "state")
	cfg.Box.RunDir = filepath.Join(dir, "run")
	cfg.Consent.Purposes = purposes
	cfg.Sampling.Window = time.Second
	cfg.Uplink.Broker = "tcp://127.0.0.1:1"
	cfg.Uplink.PowerReturnWait = 0
	return &trial{
		cfg:          cfg,
		essential:    &counting{name: "ports", purpose: catalogue.Essential, metric: catalogue.PortErrorsSent},
		support:      &counting{name: "traffic", purpose: catalogue.Support, metric: catalogue.PortPacketsSent},
		personalised: &counting{name: "stations", purpose: catalogue.Personalised, metric: catalogue.StationRetries},
	}
}

func (tr *trial) box(Env) Box {
	return Box{
		Sources:  append([]collector.Source{tr.essential, tr.support, tr.personalised}, tr.extra...),
		Watchers: tr.watchers,
		Restart:  tr.restart,
	}
}

// run runs an agent until done says so, and returns it ended.
func (tr *trial) run(t *testing.T, done func(a *Agent) bool) *Agent {
	t.Helper()
	a, err := New(tr.cfg, Options{Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Version: "test", Box: tr.box, Host: tr.host})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !done(a) {
		select {
		case <-ctx.Done():
			t.Fatalf("nothing came of it: %+v", a.counters())
		case <-ticker.C:
		}
	}
	cancel()
	if err := <-ended; err != nil && !errors.Is(err, buffer.ErrNotDurable) {
		t.Errorf("Run = %v", err)
	}
	return a
}

// left is what a stopped agent left in its store.
type left struct {
	readings map[catalogue.ID][]int64
	events   []wire.Event
	reports  []wire.Report
}

func (tr *trial) left(t *testing.T) left {
	t.Helper()
	s := buffer.Open(tr.cfg.Buffer, buffer.Options{Dir: tr.cfg.Box.StateDir, Log: slog.New(slog.DiscardHandler), Now: func() time.Duration { return time.Hour }})
	defer s.Close()
	l := left{readings: map[catalogue.ID][]int64{}}
	for _, lane := range []buffer.Lane{buffer.Events, buffer.Windows} {
		k := buffer.Key{Lane: lane}
		for {
			r, ok := s.Next(lane, k)
			if !ok {
				break
			}
			k = r.Key
			b := append([]byte(nil), r.Header...)
			for _, sec := range r.Sections {
				b = wire.AppendSection(b, sec.Purpose, wire.Fidelity(sec.Fidelity), sec.Body)
			}
			rep, err := wire.ParseReport(b)
			if err != nil {
				t.Fatal(err)
			}
			l.reports = append(l.reports, rep)
			for _, sec := range rep.Sections {
				switch sec.Fidelity {
				case wire.EventBody:
					e, err := wire.ParseEvent(sec.Body)
					if err != nil {
						t.Fatal(err)
					}
					l.events = append(l.events, e)
				case wire.Columns:
					tables, err := wire.DecodeColumns(sec.Body)
					if err != nil {
						t.Fatal(err)
					}
					for _, tab := range tables {
						for _, c := range tab.Columns {
							for _, v := range c.Values {
								if v != wire.Absent {
									l.readings[c.Metric] = append(l.readings[c.Metric], v)
								}
							}
						}
					}
				}
			}
		}
	}
	return l
}

func enough(n int64) func(a *Agent) bool {
	return func(a *Agent) bool { return a.counters().Reports >= uint64(n) }
}

// after is a condition: so many reports, and each of the sources was asked.
func after(n int64, sources ...*counting) func(a *Agent) bool {
	return func(a *Agent) bool {
		return enough(n)(a) && !slices.ContainsFunc(sources, func(c *counting) bool { return c.asked.Load() == 0 })
	}
}

func TestStopLosesNothing(t *testing.T) {
	tr := newTrial(t, "essential")
	tr.run(t, enough(3))
	got := tr.left(t).readings[catalogue.PortErrorsSent]
	slices.Sort(got)
	if int64(len(got)) != tr.essential.asked.Load() {
		t.Fatalf("%d readings stored of %d taken", len(got), tr.essential.asked.Load())
	}
	for i, v := range got {
		if v != int64(i+1) {
			t.Fatalf("reading %d is %d: one is missing or twice", i+1, v)
		}
	}
}

func TestDataWithoutAGrantedPurposeIsNotCollected(t *testing.T) {
	tr := newTrial(t, "support")
	tr.run(t, after(2, tr.support))
	if n := tr.personalised.asked.Load(); n != 0 {
		t.Errorf("a source without consent was asked %d times", n)
	}
	l := tr.left(t)
	if len(l.readings[catalogue.PortPacketsSent]) == 0 || len(l.readings[catalogue.StationRetries]) != 0 {
		t.Errorf("stored %v", l.readings)
	}
	want := wire.Consent{PolicyVersion: 1, Purposes: uint32(consent.Of(catalogue.Support))}
	for _, r := range l.reports {
		if r.Consent != want {
			t.Errorf("report says consent %+v; want %+v", r.Consent, want)
		}
	}
}

func TestWithdrawnConsentRemovesWhatItLeft(t *testing.T) {
	tr := newTrial(t, "support", "personalised")
	tr.run(t, after(2, tr.personalised))
	if len(tr.left(t).readings[catalogue.StationRetries]) == 0 {
		t.Fatal("nothing to withdraw")
	}
	tr.cfg.Consent.Purposes = []string{"support"}
	before := tr.personalised.asked.Load()
	tr.support.asked.Store(0)
	tr.run(t, after(1, tr.support))
	l := tr.left(t)
	for _, r := range l.reports {
		for _, s := range r.Sections {
			if s.Purpose == catalogue.Personalised {
				t.Errorf("report %d still has a %v section of a withdrawn purpose", r.Sequence, s.Fidelity)
			}
		}
	}
	if tr.personalised.asked.Load() != before {
		t.Error("asked after withdrawal")
	}
	if len(l.readings[catalogue.PortPacketsSent]) == 0 {
		t.Error("what is still granted went too")
	}
}

func TestSamplingGoesOnWithoutStoreAndBackend(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, c *config.Config)
	}{
		{"state directory below a file", func(t *testing.T, c *config.Config) {
			t.Helper()
			f := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(f, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			c.Box.StateDir = filepath.Join(f, "state")
		}},
		{"store is no store", func(t *testing.T, c *config.Config) {
			t.Helper()
			if err := os.MkdirAll(c.Box.StateDir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(c.Box.StateDir, "reports.db"), []byte(strings.Repeat("not a store ", 1000)), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"no run directory", func(_ *testing.T, c *config.Config) { c.Box.RunDir = "/dev/null/run" }},
		{"no certificate", func(_ *testing.T, c *config.Config) {
			c.Box.ID = ""
			c.Uplink.CertFile = "/nonexistent"
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTrial(t, "essential")
			tt.spoil(t, &tr.cfg)
			a := tr.run(t, func(a *Agent) bool { return enough(3)(a) && tr.essential.asked.Load() > 10 })
			if got := a.counters(); got.Readings < 10 {
				t.Errorf("counters = %+v", got)
			}
		})
	}
}

func TestDamagedStoreIsSetAsideAndTold(t *testing.T) {
	tr := newTrial(t, "essential")
	tr.run(t, enough(2))
	store := filepath.Join(tr.cfg.Box.StateDir, "reports.db")
	if err := os.WriteFile(store, []byte(strings.Repeat("garbage", 5000)), 0o600); err != nil {
		t.Fatal(err)
	}
	tr.run(t, enough(2))
	if !slices.ContainsFunc(tr.left(t).events, func(e wire.Event) bool { return e.Type == wire.StoreReset }) {
		t.Error("no event says that the store was set aside")
	}
}

func TestEveryRunSaysHowTheOneBeforeEnded(t *testing.T) {
	tr := newTrial(t, "essential")
	tr.run(t, enough(1))
	tr.run(t, enough(1))
	var ends []string
	for _, e := range tr.left(t).events {
		if e.Type == wire.AgentStarted {
			for _, at := range e.Attributes {
				if at.Key == "previous_end" {
					ends = append(ends, at.Value)
				}
			}
		}
	}
	if want := []string{"first", "clean"}; !slices.Equal(ends, want) {
		t.Errorf("previous ends %q; want %q", ends, want)
	}
}

func TestAskTheRunningAgent(t *testing.T) {
	tr := newTrial(t, "essential", "support")
	var got Snapshot
	tr.run(t, func(a *Agent) bool {
		s, err := Ask(t.Context(), tr.cfg.Box.RunDir)
		if err != nil || s.Counters.Reports < 2 || tr.essential.asked.Load() < 2 || tr.support.asked.Load() < 2 {
			return false // the state of a source is that of the time before
		}
		got = s
		return true
	})
	if got.Version != "test" || got.Counters.Readings == 0 || len(got.Sources) != 3 || got.Connected {
		t.Errorf("snapshot = %+v", got)
	}
	for _, s := range got.Sources {
		want := collector.Working
		if s.Name == "stations" {
			want = collector.NotGranted
		}
		if s.State != want.String() {
			t.Errorf("source %s is %s; want %v", s.Name, s.State, want)
		}
	}
	var b strings.Builder
	if err := got.Print(&b); err != nil || !strings.Contains(b.String(), "not_granted") {
		t.Errorf("Print = %v:\n%s", err, b.String())
	}
	if _, err := Ask(t.Context(), tr.cfg.Box.RunDir); err == nil {
		t.Error("an agent that ended answers")
	}
}

func TestSecondAgentDoesNotStart(t *testing.T) {
	tr := newTrial(t)
	tr.run(t, func(a *Agent) bool {
		before := a.clock.Start().Run.Counter
		if _, err := New(tr.cfg, Options{Log: slog.New(slog.DiscardHandler), Box: tr.box}); !errors.Is(err, errRunning) {
			t.Errorf("a second agent on the same directories: %v; want refused", err)
		}
		if _, err := Ask(t.Context(), tr.cfg.Box.RunDir); err != nil {
			t.Errorf("after that the first one is silent: %v", err)
		}
		return before > 0
	})
	again := tr.run(t, enough(1))
	if n := again.clock.Start().Run.Counter; n != 2 {
		t.Errorf("run %d after the first; the refused one was counted", n)
	}
}

func TestSocketIsForTheAgentsUserOnly(t *testing.T) {
	tr := newTrial(t)
	tr.run(t, func(*Agent) bool {
		fi, err := os.Stat(filepath.Join(tr.cfg.Box.RunDir, socketName))
		if err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("socket: %v, %v", fi.Mode(), err)
		}
		return true
	})
}

// prepared is an agent that does not run, on a machine whose clock the test
// sets.
func prepared(t *testing.T, tr *trial, h clock.Host) *Agent {
	t.Helper()
	a, err := New(tr.cfg, Options{Log: slog.New(slog.DiscardHandler), Version: "test", Box: tr.box, Host: h})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		a.control.Close()
		a.store.Close()
	})
	return a
}

func TestDatesAreCheckedByASynchronisedClockOnly(t *testing.T) {
	synced := false
	a := prepared(t, newTrial(t), clock.Host{Synchronised: func() bool { return synced }})
	o := a.uplinkOptions("box-1")
	if o.ClockKnown() {
		t.Error("a clock that may be years behind is relied on")
	}
	synced = true
	if !o.ClockKnown() {
		t.Error("a synchronised clock is not relied on")
	}
}

func TestRunsOfOneBootAreWarm(t *testing.T) {
	tr := newTrial(t)
	tr.run(t, enough(1))
	if a := prepared(t, tr, clock.Host{}); !a.uplinkOptions("box-1").Warm {
		t.Error("the second run of a boot waits as after a loss of power")
	}
	tr.cfg.Box.RunDir = t.TempDir()
	reboot := clock.Host{BootID: func() ([]byte, error) { return []byte("another"), nil }}
	if a := prepared(t, tr, reboot); a.uplinkOptions("box-1").Warm {
		t.Error("the first run of a boot does not wait")
	}
}

func TestStatusSaysEverythingAndTheWillWhoIsGone(t *testing.T) {
	a := prepared(t, newTrial(t, "support"), clock.Host{})
	a.health.set(wire.HealthStoreReset, true, "why")
	o := a.uplinkOptions("box-1")
	will, err := wire.ParseStatus(o.Will)
	if err != nil || will.Box != "box-1" || will.Online || will.Run != a.clock.Start().Run || will.Version != "" {
		t.Errorf("will %+v, %v", will, err)
	}
	s, err := wire.ParseStatus(o.Status(true))
	if err != nil {
		t.Fatal(err)
	}
	if !s.Online || s.Version != "test" || s.Catalogue != catalogue.Hash() || s.Configuration != a.cfg.Hash() ||
		s.Consent != a.consent() || len(s.Capabilities) != 3 || len(s.Health) != 1 || s.CleanStop {
		t.Errorf("status %+v", s)
	}
}

func TestKeysAgeWithTheAgent(t *testing.T) {
	a := prepared(t, newTrial(t, "personalised"), clock.Host{})
	mac := [6]byte{2, 0, 0, 0, 1, 0}
	first := a.pseudonym(mac)
	a.lookAtClock(consent.KeyLife - 48*time.Hour)
	if a.pseudonym(mac) != first {
		t.Error("another pseudonym before its time")
	}
	a.lookAtClock(72 * time.Hour)
	if a.pseudonym(mac) == first || first == "" {
		t.Errorf("pseudonym %q outlives its key", first)
	}
}

// What cannot be stored, because the owner wants nothing on flash, ends as
// well as it can.
func TestAgentWithoutFlashEnds(t *testing.T) {
	tr := newTrial(t, "essential")
	tr.cfg.Buffer.FlashBytes = 0
	a := tr.run(t, enough(3))
	if a.cleanStop.Load() {
		t.Error("a run whose reports went with the memory calls itself cleanly stopped")
	}
}

func TestPayloadLeavesOutSummariesWhoseColumnsAreThere(t *testing.T) {
	a, err := New(newTrial(t).cfg, Options{Log: slog.New(slog.DiscardHandler), Box: newTrial(t).box})
	if err != nil {
		t.Fatal(err)
	}
	defer a.store.Close()
	defer a.control.Close()
	run := a.clock.Start().Run
	r := buffer.Report{
		Key:    buffer.Key{Run: buffer.Run(run), Lane: buffer.Windows, Sequence: 1},
		Header: wire.AppendHeader(nil, wire.Header{Run: run, Lane: wire.Windows, Sequence: 1}),
		Sections: []buffer.Section{
			{Purpose: catalogue.Essential, Fidelity: buffer.Columns, Body: []byte("c")},
			{Purpose: catalogue.Essential, Fidelity: buffer.Summary, Body: []byte("s")},
			{Purpose: catalogue.Support, Fidelity: buffer.Summary, Body: []byte("thinned")},
		},
	}
	got, err := wire.ParseReport(a.payload(nil, "box-1", r))
	if err != nil {
		t.Fatal(err)
	}
	if got.Box != "box-1" || got.Run != run || got.Clock.Quality == wire.ClockUnknown {
		t.Errorf("report = %+v", got)
	}
	if len(got.Sections) != 2 || got.Sections[0].Fidelity != wire.Columns || got.Sections[1].Purpose != catalogue.Support {
		t.Errorf("sections = %+v; want the columns and the summary that has none", got.Sections)
	}
}
