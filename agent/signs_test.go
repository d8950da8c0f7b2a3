package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"livebox-agent/agent/episode"
	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
	"livebox-agent/uplink/wire"
)

// ofType returns the events of one type.
func (l left) ofType(t wire.EventType) (all []wire.Event) {
	for _, e := range l.events {
		if e.Type == t {
			all = append(all, e)
		}
	}
	return all
}

// copyState copies the state directory as the flash has it at this moment: what
// a power cut would leave.
func copyState(t *testing.T, tr *trial) *trial {
	t.Helper()
	c := *tr
	c.cfg.Box.StateDir = filepath.Join(t.TempDir(), "state")
	if err := os.CopyFS(c.cfg.Box.StateDir, os.DirFS(tr.cfg.Box.StateDir)); err != nil {
		t.Fatal(err)
	}
	return &c
}

func TestEvidenceAndWhatWasMeasuredAreOnFlashBeforeThePowerFails(t *testing.T) {
	tr := newTrial(t, "essential")
	tr.cfg.Sampling.Window = time.Hour
	tr.cfg.Buffer.SpillAfter = time.Hour
	var cut *trial
	signed := false
	tr.run(t, func(a *Agent) bool {
		if tr.essential.asked.Load() < 5 {
			return false
		}
		if !signed {
			signed = true
			a.notice(sample.Sign{At: a.clock.Mono(), Kind: sample.BrownOut, Instance: "in1", Metric: catalogue.SensorVoltage, Before: 12000, After: 9100})
		}
		if s := a.store.Stats(); s.Events.FlashReports < 2 || s.Windows.FlashReports == 0 {
			return false
		}
		cut = copyState(t, tr)
		return true
	})
	l := cut.left(t)
	surge := l.ofType(wire.Surge)
	if len(surge) != 1 || len(surge[0].Evidence) != 1 || surge[0].Evidence[0].After != 9100 {
		t.Errorf("on flash: %+v", surge)
	}
	if n := len(l.readings[catalogue.PortErrorsSent]); n < 4 {
		t.Errorf("%d readings on flash of those before the sign", n)
	}
}

func TestWholeEpisodeHasTheRecordingAndWhatWasNotSeen(t *testing.T) {
	tr := newTrial(t, "essential", "support")
	tr.cfg.Sampling.Window = time.Hour
	tr.extra = []collector.Source{absent{}}
	var before int64
	tr.run(t, func(a *Agent) bool {
		if tr.support.asked.Load() < 5 {
			return false
		}
		before = tr.essential.asked.Load()
		a.notice(sample.Sign{At: a.clock.Mono(), Kind: sample.OverVoltage, Instance: "in1"})
		return true // the stop ends the episode
	})
	l := tr.left(t)
	surge := l.ofType(wire.Surge)
	if len(surge) != 2 {
		t.Fatalf("%d events of the episode: %+v", len(surge), l.events)
	}
	if want := "optics: absent: no data: no module"; !slices.Contains(surge[1].Unseen, want) || surge[0].Unseen != nil {
		t.Errorf("unseen %q; want %q", surge[1].Unseen, want)
	}
	for _, r := range l.reports {
		if r.Lane != wire.Events || len(r.Sections) < 2 {
			continue
		}
		n := 0
		for _, s := range r.Sections[1:] {
			if s.Purpose != catalogue.Essential || s.Fidelity != wire.Columns {
				t.Errorf("the event has a section of %v, %v", s.Purpose, s.Fidelity)
				continue
			}
			tables, err := wire.DecodeColumns(s.Body)
			if err != nil {
				t.Fatal(err)
			}
			for _, tab := range tables {
				n += len(tab.Times)
			}
		}
		if int64(n) < before {
			t.Errorf("%d readings recorded of %d", n, before)
		}
		return
	}
	t.Error("no event has a recording")
}

// absent is a source of what the box does not have.
type absent struct{}

func (absent) Describe() collector.Description {
	return collector.Description{
		Name: "optics", Purpose: catalogue.Essential, Metrics: []catalogue.ID{catalogue.OpticRxPower},
		Interval: time.Second, Timeout: time.Second,
	}
}

func (absent) Collect(context.Context, *sample.Batch) error { return errNoModule }

var errNoModule = fmt.Errorf("%w: no module", collector.ErrNoData)

func TestSignWithoutConsentIsNotKept(t *testing.T) {
	tr := newTrial(t, "essential")
	tr.run(t, func(a *Agent) bool {
		a.notice(sample.Sign{At: a.clock.Mono(), Kind: sample.PoorCoverage, Instance: "p", Metric: catalogue.StationSignal})
		return true
	})
	if got := tr.left(t).ofType(wire.Coverage); len(got) != 0 {
		t.Errorf("kept %+v", got)
	}
}

func TestRecordingOnDemand(t *testing.T) {
	tr := newTrial(t, "essential", "support")
	tr.cfg.Sampling.Window = time.Hour
	var got Recorded
	tr.run(t, func(a *Agent) bool {
		if tr.support.asked.Load() < 5 {
			return false
		}
		var err error
		if got, err = Record(t.Context(), tr.cfg.Box.RunDir, "the customer\ncalled"); err != nil {
			t.Fatal(err)
		}
		return true
	})
	l := tr.left(t)
	e := l.ofType(wire.Recording)
	if len(e) != 1 || e[0].Attributes[0] != (wire.Attribute{Key: "reason", Value: "the customer called"}) {
		t.Errorf("events %+v", l.events)
	}
	for _, r := range l.reports {
		if r.Lane == wire.Events && r.Sequence == got.Sequence && len(r.Sections) == 1+got.Sections && got.Sections >= 2 {
			return
		}
	}
	t.Errorf("no report is as the answer says: %+v", got)
}

func TestTooManyRecordingsAreRefusedUntilATimeThatIsTold(t *testing.T) {
	tr := newTrial(t, "essential")
	asked := 0
	tr.run(t, func(a *Agent) bool {
		if tr.essential.asked.Load() < 2 {
			return false
		}
		for range recordings {
			if r, err := Record(t.Context(), tr.cfg.Box.RunDir, "again"); err != nil || r.Sequence == 0 {
				t.Errorf("recording %d: %+v, %v", asked, r, err)
			}
			asked++
		}
		for range 20 {
			r, err := Record(t.Context(), tr.cfg.Box.RunDir, "again")
			many, ok := errors.AsType[*TooManyError](err)
			if !ok || r.Sequence != 0 || many.Again > recordingEvery || many.Again < recordingEvery-time.Minute || !strings.Contains(err.Error(), many.Again.String()) {
				t.Fatalf("one too many: %+v, %v; want to be told to wait for some %v", r, err, recordingEvery)
			}
		}
		a.mu.Lock()
		a.recordings = newRecordings() // that time passes
		a.mu.Unlock()
		if _, err := Record(t.Context(), tr.cfg.Box.RunDir, "later"); err != nil {
			t.Error(err)
		}
		return true
	})
	if e := tr.left(t).ofType(wire.Recording); len(e) != recordings+1 {
		t.Errorf("%d recordings; want %d", len(e), recordings+1)
	}
}

// BenchmarkEvidenceToFlash is the time from a watcher's notice of a sign to its
// being on flash, on the file system of the temporary directory: what a dying box
// must live for. The sign passes the detectors, the queue and the gatherer, and the
// commit has been synced when the store counts it.
func BenchmarkEvidenceToFlash(b *testing.B) {
	tr := newTrialIn(b.TempDir(), "essential")
	tr.cfg.Buffer.FlashDailyBytes = 1 << 30
	a, err := New(tr.cfg, Options{Log: slog.New(slog.DiscardHandler), Box: tr.box})
	if err != nil {
		b.Fatal(err)
	}
	defer a.store.Close()
	ctx, cancel := context.WithCancel(b.Context())
	gathered := make(chan struct{})
	go func() { defer close(gathered); a.gather(ctx) }()
	defer func() { cancel(); <-gathered }()
	var took []time.Duration
	for b.Loop() {
		a.mu.Lock()
		a.gatherer = episode.New() // each sign is the first of an episode
		a.mu.Unlock()
		before := a.store.Stats().Events.FlashReports
		start := time.Now()
		a.hear(sample.Sign{At: a.clock.Mono(), Kind: sample.BrownOut, Instance: "in1", Metric: catalogue.SensorVoltage, Before: 12000, After: 9100})
		for a.store.Stats().Events.FlashReports == before {
			runtime.Gosched()
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms_median")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms_p99")
}

// booted has the agent start as on another boot of the kernel than the last.
func (tr *trial) booted(id string) {
	tr.host.BootID = func() ([]byte, error) { return []byte(id), nil }
}

func TestFirstReportAfterAPowerCutSaysWhyBeforeAnyWindow(t *testing.T) {
	tr := newTrial(t, "essential")
	tr.booted("first")
	tr.run(t, enough(2))
	var cut *trial
	tr.booted("second")
	tr.run(t, func(a *Agent) bool {
		if !enough(4)(a) {
			return false
		}
		cut = copyState(t, tr)
		return true
	})
	cut.booted("third")
	asked := 0
	cut.restart = func(ctx context.Context) ([]sample.Sign, []string) {
		if asked++; asked > 1 {
			t.Error("asked twice")
		}
		select {
		case <-ctx.Done():
			t.Error("asked after the patience was over")
		case <-time.After(300 * time.Millisecond):
		}
		return []sample.Sign{{Kind: sample.ResetCause, Instance: "watchdog0"}}, []string{"restart: refused"}
	}
	a := cut.run(t, func(a *Agent) bool {
		delivers := a.line.Load() != nil // asked first: both may come between two questions
		select {
		case <-a.introduced:
			return true
		default:
			if delivers {
				t.Error("delivers before the first event is made")
			}
			return false
		}
	})
	for _, r := range cut.left(t).reports {
		if r.Run.ID != a.clock.Start().Run.ID || r.Lane != wire.Events || r.Sequence != 1 {
			continue
		}
		e, err := wire.ParseEvent(r.Sections[0].Body)
		if err != nil {
			t.Fatal(err)
		}
		if len(e.Evidence) != 2 || e.Evidence[0].Kind != sample.Restarted || e.Evidence[1].Kind != sample.ResetCause || !slices.Equal(e.Unseen, []string{"restart: refused"}) {
			t.Errorf("first event %+v", e)
		}
		return
	}
	t.Error("no first event")
}

// Evidence does not wait for what the box says of its restart, which may take
// seconds.
func TestEvidenceOfTheFirstSecondsIsOnFlashBeforeTheBoxHasAnswered(t *testing.T) {
	tr := newTrial(t, "essential")
	tr.booted("first")
	tr.run(t, enough(1))
	tr.booted("second")
	answer := make(chan struct{})
	tr.restart = func(context.Context) ([]sample.Sign, []string) {
		<-answer
		return []sample.Sign{{Kind: sample.ResetCause, Instance: "box"}}, nil
	}
	tr.watchers = []collector.Watcher{gossip{sample.Sign{Kind: sample.BrownOut, Instance: "in1"}}}
	var cut *trial
	tr.run(t, func(a *Agent) bool {
		introduced := false
		select {
		case <-a.introduced:
			introduced = true
		default:
		}
		if cut == nil {
			if a.store.Stats().Events.FlashReports < 2 { // the first run's start, and the evidence
				return false
			}
			if introduced {
				t.Error("introduced before the box has answered")
			}
			cut = copyState(t, tr)
			close(answer)
		}
		return introduced
	})
	if surge := cut.left(t).ofType(wire.Surge); len(surge) == 0 || len(surge[0].Evidence) != 1 {
		t.Errorf("on flash before the box has answered: %+v; want the evidence", surge)
	}
	starts := tr.left(t).ofType(wire.AgentStarted)
	if len(starts) != 2 || len(starts[1].Evidence) != 1 || starts[1].Evidence[0].Kind != sample.ResetCause {
		t.Errorf("starts %+v; want the second with the answer", starts)
	}
}

func TestRestartOfTheAgentAloneAsksNobody(t *testing.T) {
	tr := newTrial(t, "essential")
	tr.run(t, enough(1))
	tr.restart = func(context.Context) ([]sample.Sign, []string) {
		t.Error("asked")
		return nil, nil
	}
	tr.run(t, enough(1))
	for _, e := range tr.left(t).ofType(wire.AgentStarted) {
		if len(e.Evidence) > 0 {
			t.Errorf("evidence %+v", e.Evidence)
		}
	}
}

// gossip is a watcher that tells one sign.
type gossip struct{ s sample.Sign }

func (gossip) Watch() collector.Watch {
	return collector.Watch{Name: "gossip", Purpose: catalogue.Essential}
}

func (g gossip) Run(ctx context.Context, notice func(sample.Sign)) error {
	notice(g.s)
	<-ctx.Done()
	return ctx.Err()
}

func TestWhatAWatcherTellsBecomesAnEvent(t *testing.T) {
	tr := newTrial(t, "essential")
	tr.watchers = []collector.Watcher{gossip{sample.Sign{Kind: sample.ProtectionTripped, Instance: "spd"}}}
	a := tr.run(t, enough(3))
	if e := tr.left(t).ofType(wire.Surge); len(e) != 2 || e[0].Evidence[0].Instance != "spd" {
		t.Errorf("events %+v", e)
	}
	if !slices.ContainsFunc(a.Snapshot().Sources, func(s SnapshotSource) bool { return s.Name == "gossip" && s.Purpose == "essential" }) {
		t.Error("the watcher is not among the sources of the status")
	}
}

func TestSignsForWhichThereIsNoRoomAreToldInTheHealth(t *testing.T) {
	tr := newTrial(t, "essential")
	flooded := false
	a := tr.run(t, func(a *Agent) bool {
		if !flooded {
			flooded = true
			for range 100 * pendingSigns {
				a.notice(sample.Sign{At: a.clock.Mono(), Kind: sample.BrownOut, Instance: "in1"})
			}
		}
		return slices.ContainsFunc(a.Snapshot().Health, func(h SnapshotHealth) bool { return h.Code == wire.HealthSignsLost })
	})
	if a.Snapshot().Counters.SignsLost == 0 {
		t.Error("no sign is counted as lost")
	}
}
