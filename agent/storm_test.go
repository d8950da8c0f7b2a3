package agent

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"livebox-agent/agent/clock"
	"livebox-agent/agent/config"
	"livebox-agent/buffer"
	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

// flapper is a box on which everything comes and goes: a port each few seconds,
// the line as often as it can train, another port now and then.
type flapper struct{ mono func() time.Duration }

func (flapper) Watch() collector.Watch {
	return collector.Watch{Name: "flapper", Purpose: catalogue.Essential}
}

func (f flapper) Run(ctx context.Context, notice func(sample.Sign)) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		say := func(k sample.SignKind, instance string) {
			notice(sample.Sign{At: f.mono(), Kind: k, Instance: instance})
		}
		if n%5 == 0 {
			say(sample.PortDown, "lan1")
		}
		if n%5 == 2 {
			say(sample.PortUp, "lan1")
		}
		if n%40 == 10 {
			say(sample.LineDown, "dsl0")
			say(sample.LineRetrained, "dsl0")
		}
		if n%40 == 35 {
			say(sample.LineUp, "dsl0")
		}
		if n%300 == 0 {
			say(sample.PortDown, "lan2")
		}
	}
}

// stored returns the bytes of all events in the store of a stopped agent.
func stored(cfg config.Config) (bytes int64) {
	s := buffer.Open(cfg.Buffer, buffer.Options{Dir: cfg.Box.StateDir, Now: func() time.Duration { return 48 * time.Hour }})
	defer s.Close()
	k := buffer.Key{Lane: buffer.Events}
	for {
		r, ok := s.Next(buffer.Events, k)
		if !ok {
			return bytes
		}
		k = r.Key
		bytes += int64(len(r.Header))
		for _, sec := range r.Sections {
			bytes += int64(len(sec.Body))
		}
	}
}

// mayhem is a box on which everything happens every second.
type mayhem struct{ flapper }

func (f mayhem) Run(ctx context.Context, notice func(sample.Sign)) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	r := rand.New(rand.NewPCG(3, 4))
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
			// The line alone for ten minutes, then everything for as long.
			k := sample.LineRetrained
			if f.mono()/(10*time.Minute)%2 == 0 {
				k = sample.SignKind(r.IntN(51))
			}
			notice(sample.Sign{At: f.mono(), Kind: k, Instance: "i" + strconv.Itoa(r.IntN(9))})
		}
	}
}

// storm runs the agent on a box without a backend for some time.
func storm(t *testing.T, span time.Duration, box func(flapper) collector.Watcher) (a *Agent, line int64) {
	t.Helper()
	born := time.Now()
	mono := func() time.Duration { return time.Since(born) + time.Hour }
	cfg := config.Default()
	cfg.Box.ID = "box-1"
	cfg.Box.StateDir = filepath.Join(t.TempDir(), "state")
	cfg.Box.RunDir = "/dev/null/run"
	cfg.Uplink.Broker = "tcp://127.0.0.1:1"
	a, err := New(cfg, Options{
		Log:  slog.New(slog.DiscardHandler),
		Host: clock.Host{Mono: mono, BootID: func() ([]byte, error) { return []byte("boot"), nil }},
		Box:  func(Env) Box { return Box{Watchers: []collector.Watcher{box(flapper{mono})}} },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), span)
	defer cancel()
	if err := a.Run(ctx); err != nil {
		t.Fatal(err)
	}
	line = stored(cfg)
	s := a.store.Stats()
	t.Logf("%d events, %d B of flash in %d commits (%d B each), %d B for the line",
		s.Appended, s.FlashWritten, s.Commits, s.FlashWritten/int64(max(s.Commits, 1)), line)
	return a, line
}

// An hour, and then a day, of a line and a port that flap without end and no
// backend: events stay within what an outage may write to flash and what a day
// may cost the line.
func TestFlappingHourStaysWithinTheFlashAndUplinkBudgets(t *testing.T) {
	for _, tt := range []struct {
		name          string
		span          time.Duration
		events        uint64 // at most
		flash, uplink int64  // bytes, at most
	}{
		{"an hour", time.Hour, 20, 1 << 20, 100 << 10},
		{"a day", 24 * time.Hour, 70, 4 << 20, 450_000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, line := storm(t, tt.span, func(f flapper) collector.Watcher { return f })
				s := a.store.Stats()
				if s.Appended < 4 || s.Appended > tt.events || s.FlashWritten > tt.flash || line == 0 || line > tt.uplink || a.signsLost.Load() > 0 {
					t.Errorf("%d events, %d B of flash, %d B for the line, %d signs lost; want at most %d, %d, %d, none",
						s.Appended, s.FlashWritten, line, a.signsLost.Load(), tt.events, tt.flash, tt.uplink)
				}
			})
		})
	}
}

// A day on which everything happens all the time: every event that is told finds
// room in the day's allowance of flash, so that none waits in memory.
func TestWorstDayOfEventsStaysWithinTheFlashBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := storm(t, 24*time.Hour, func(f flapper) collector.Watcher { return mayhem{f} })
		s := a.store.Stats()
		if s.Appended < 100 || s.Commits < s.Appended || s.FlashWritten > 4<<20 {
			t.Errorf("%d events in %d commits, %d B of flash; want each in a commit of its own, within 4 MiB", s.Appended, s.Commits, s.FlashWritten)
		}
	})
}
