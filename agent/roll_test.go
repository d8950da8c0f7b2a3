package agent

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"livebox-agent/agent/clock"
	"livebox-agent/agent/config"
	"livebox-agent/agent/rollcall"
	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
	"livebox-agent/uplink/wire"
)

// sockets are the source ports of a box with two of them.
type sockets struct{ lan1, lan2 int64 } // Mbit/s; 0: no link

func (*sockets) Describe() collector.Description {
	return collector.Description{
		Name: "ports", Purpose: catalogue.Essential, Interval: 10 * time.Second, Timeout: time.Second,
		Metrics: []catalogue.ID{catalogue.PortCarrier, catalogue.PortBitRate},
	}
}

func (s *sockets) Collect(_ context.Context, b *sample.Batch) error {
	for i, mbits := range []int64{s.lan1, s.lan2} {
		name := "lan" + strconv.Itoa(i+1)
		b.Add(catalogue.PortCarrier, name, min(mbits, 1))
		if mbits > 0 {
			b.Add(catalogue.PortBitRate, name, mbits)
		}
	}
	return nil
}

// boot runs one boot of a box for some time, and leaves what is on flash then, or
// where the agent is asked to stop, what it leaves.
func (tr *trial) boot(t *testing.T, id string, s sockets, lasts time.Duration, asked bool) *trial {
	t.Helper()
	after := *tr
	cut := filepath.Join(t.TempDir(), "state")
	synctest.Test(t, func(t *testing.T) {
		born := time.Now()
		tr.cfg.Sampling.Window = config.Default().Sampling.Window
		tr.cfg.Box.RunDir = "/dev/null/run" // a socket's Accept would stop virtual time
		a, err := New(tr.cfg, Options{
			Log: slog.New(slog.DiscardHandler),
			Host: clock.Host{
				Mono:   func() time.Duration { return time.Since(born) + time.Minute },
				BootID: func() ([]byte, error) { return []byte(id), nil },
			},
			Box: func(Env) Box {
				return Box{
					Sources: []collector.Source{&s},
					Restart: func(context.Context) ([]sample.Sign, []string) {
						return []sample.Sign{{Kind: sample.ResetCause, Instance: "box", Metric: catalogue.RestartReason, After: catalogue.RestartPowerOn}}, nil
					},
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		timer := time.NewTimer(lasts)
		defer timer.Stop()
		<-timer.C
		if !asked {
			after.cfg.Box.StateDir = cut
			if err := os.CopyFS(cut, os.DirFS(tr.cfg.Box.StateDir)); err != nil {
				t.Error(err)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return &after
}

func TestPortThatDiedWithThePowerIsASignOfTheRestart(t *testing.T) {
	for _, tt := range []struct {
		name  string
		after sockets
		asked bool
		want  []sample.SignKind
		of    sample.Sign
	}{
		{
			"dead",
			sockets{0, 100},
			false,
			[]sample.SignKind{sample.Restarted, sample.ResetCause, sample.PortDead},
			sample.Sign{Kind: sample.PortDead, Instance: "lan1", Metric: catalogue.PortBitRate, Before: 1000},
		},
		{
			"slower",
			sockets{100, 100},
			false,
			[]sample.SignKind{sample.Restarted, sample.ResetCause, sample.PortSlower},
			sample.Sign{Kind: sample.PortSlower, Instance: "lan1", Metric: catalogue.PortBitRate, Before: 1000, After: 100},
		},
		{"well", sockets{1000, 100}, false, nil, sample.Sign{}},
		{"dead after a restart that was asked for", sockets{0, 100}, true, nil, sample.Sign{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTrial(t, "essential")
			cut := tr.boot(t, "first", sockets{1000, 100}, time.Hour, tt.asked)
			back := cut.boot(t, "second", tt.after, rollcall.Patience+time.Minute, false)
			surge := back.left(t).ofType(wire.Surge)
			if len(tt.want) == 0 {
				if len(surge) > 0 {
					t.Errorf("events %+v; want none", surge)
				}
				return
			}
			// On flash when the power fails again, which cuts the episode off.
			if len(surge) != 1 {
				t.Fatalf("events %+v; want the notice of the restart's episode", surge)
			}
			var got []sample.SignKind
			for _, v := range surge[0].Evidence {
				got = append(got, v.Kind)
			}
			last := surge[0].Evidence[len(surge[0].Evidence)-1].Sign
			tt.of.At = last.At
			if !slices.Equal(got, tt.want) || last != tt.of {
				t.Errorf("evidence %v, last %+v; want %v, %+v", got, last, tt.want, tt.of)
			}
			// The next restart finds it as it was found by this one.
			if again := back.boot(t, "third", tt.after, time.Hour, true).left(t).ofType(wire.Surge); len(again) != 1 {
				t.Errorf("%d events after another restart; want the one that was there", len(again))
			}
		})
	}
}

func TestRollThatCannotBeReadCostsItselfAlone(t *testing.T) {
	tr := newTrial(t, "essential")
	first := tr.boot(t, "first", sockets{1000, 100}, time.Hour, false)
	for _, spoil := range []func(name string) error{
		func(name string) error { return os.Truncate(name, 20) },
		func(name string) error { return os.WriteFile(name, []byte("nothing of the kind"), 0o600) },
		func(name string) error { return errors.Join(os.Remove(name), os.Mkdir(name, 0o700)) },
	} {
		cut := copyState(t, first)
		if err := spoil(filepath.Join(cut.cfg.Box.StateDir, "links")); err != nil {
			t.Fatal(err)
		}
		l := cut.boot(t, "second", sockets{0, 100}, rollcall.Patience+time.Minute, false).left(t)
		if len(l.ofType(wire.AgentStarted)) != 2 || len(l.ofType(wire.Surge)) != 0 {
			t.Errorf("events %+v; want two starts and nothing of a surge", l.events)
		}
	}
}
