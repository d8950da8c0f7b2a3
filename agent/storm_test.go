package agent

import (
	"context"
	"log/slog"
	"path/filepath"
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
					Box:  func(Env) Box { return Box{Watchers: []collector.Watcher{flapper{mono}}} },
				})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), tt.span)
				defer cancel()
				if err := a.Run(ctx); err != nil {
					t.Fatal(err)
				}
				s := a.store.Stats()
				bytes := stored(cfg)
				if s.Appended < 4 || s.Appended > tt.events || s.FlashWritten > tt.flash || bytes == 0 || bytes > tt.uplink || a.signsLost.Load() > 0 {
					t.Errorf("%d events, %d B of flash, %d B for the line, %d signs lost; want at most %d, %d, %d, none",
						s.Appended, s.FlashWritten, bytes, a.signsLost.Load(), tt.events, tt.flash, tt.uplink)
				}
				t.Logf("%d events, %d B of flash in %d commits, %d B for the line", s.Appended, s.FlashWritten, s.Commits, bytes)
			})
		})
	}
}
