package e2e

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"livebox-agent/agent"
	"livebox-agent/agent/clock"
	"livebox-agent/agent/config"
	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
	"livebox-agent/testbench/pipebroker"
	"livebox-agent/uplink/wire"
)

// noisy is a source whose readings take room: none follows from another.
type noisy struct{ rand *rand.Rand }

func (noisy) Describe() collector.Description {
	return collector.Description{
		Name: "noisy", Purpose: catalogue.Essential, Metrics: []catalogue.ID{catalogue.PortErrorsSent},
		Interval: 30 * time.Second, Timeout: time.Second,
	}
}

func (n noisy) Collect(_ context.Context, b *sample.Batch) error {
	for port := range 60 {
		b.Add(catalogue.PortErrorsSent, "port"+string(rune('A'+port)), n.rand.Int64N(1<<40))
	}
	return nil
}

// An operator is a broker and a CEM, of which either may be away.
type operator struct {
	mu          sync.Mutex
	broker, cem bool
	told        map[uint64]uint64 // reports dropped, by the event's number
}

func (o *operator) set(broker, cem bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.broker, o.cem = broker, cem
}

func (o *operator) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.broker {
		return nil, errors.New("no broker")
	}
	return pipebroker.Broker{Published: o.published}.Dial(ctx, network, addr)
}

// published takes in the losses of an event, and acknowledges what the CEM has.
func (o *operator) published(_, topic string, payload []byte) (ack []byte) {
	r, err := wire.ParseReport(payload)
	if err != nil || strings.HasSuffix(topic, "/status") {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range r.Sections {
		if e, err := wire.ParseEvent(s.Body); r.Lane == wire.Events && err == nil && e.Type == wire.ReportsLost {
			o.told[r.Sequence] = 0
			for _, l := range e.Losses {
				if l.Reason == wire.LostFull {
					o.told[r.Sequence] += l.Count
				}
			}
		}
	}
	if !o.cem {
		return nil
	}
	return wire.AppendAck(nil, wire.Ack{Lanes: []wire.LaneAck{{
		RunID: r.Run.ID, Lane: r.Lane, Ranges: []wire.Range{{First: r.Sequence, Last: r.Sequence}},
	}}})
}

// heard returns how many events have told losses, and how many in all.
func (o *operator) heard() (events int, dropped uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, n := range o.told {
		dropped += n
	}
	return len(o.told), dropped
}

// A store at its limit loses reports for a day: no event tells it while nobody
// hears, one while nobody stores it, and all is told, once, when the CEM is back.
func TestLossesAreToldWhenSomebodyHears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		born := time.Now()
		cfg := config.Default()
		cfg.Box.ID = "box-1"
		cfg.Box.StateDir = filepath.Join(t.TempDir(), "state")
		cfg.Box.RunDir = "/dev/null/run"
		cfg.Uplink.Broker = "tcp://broker.test:1"
		cfg.Buffer.FlashBytes, cfg.Buffer.RAMBytes = 512<<10, 64<<10
		op := &operator{told: map[uint64]uint64{}}
		a, err := agent.New(cfg, agent.Options{
			Log: slog.New(slog.DiscardHandler), Dial: op.dial,
			Host: clock.Host{
				Mono:   func() time.Duration { return time.Since(born) + time.Hour },
				BootID: func() ([]byte, error) { return []byte("boot"), nil },
			},
			Box: func(agent.Env) agent.Box {
				return agent.Box{Sources: []collector.Source{noisy{rand.New(rand.NewPCG(1, 2))}}}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		pass := func(d time.Duration) (lost uint64) {
			<-time.After(d)
			synctest.Wait()
			return a.Snapshot().Counters.Lost
		}

		lost := pass(30 * time.Hour)
		if lost < 100 {
			t.Errorf("%d lost after 30 hours without a broker; want the store at its limit", lost)
		}
		op.set(true, false) // what was made meanwhile comes, nothing is stored
		more := pass(12 * time.Hour)
		if n, _ := op.heard(); more == lost || n != 1 {
			t.Errorf("after 12 hours without a CEM: %d lost after %d, told by %d events; want one", more, lost, n)
		}
		op.set(true, true)
		lost = pass(12 * time.Hour)
		n, heard := op.heard()
		if left := a.Snapshot().Losses; len(left) > 0 || heard != lost || n < 2 || n > 4 {
			t.Errorf("%d events told that %d are lost, %+v is not told; want %d told by a few", n, heard, left, lost)
		}
		t.Logf("%d lost, told by %d events", lost, n)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
