package soak

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"livebox-agent/agent"
	"livebox-agent/agent/clock"
	"livebox-agent/agent/config"
	"livebox-agent/buffer"
	"livebox-agent/testbench/pipebroker"
	"livebox-agent/uplink/wire"
)

// An operator is a broker and a CEM in memory. While it is down nothing
// connects.
type operator struct {
	mu      sync.Mutex // guards what follows
	down    bool
	lines   map[net.Conn]bool
	stored  map[[2]uint64]bool // lane and sequence: there is one run
	connect int
	bad     int // what was no report
}

func (o *operator) dial(context.Context, string, string) (net.Conn, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.down {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}
	}
	o.connect++
	near, away := net.Pipe()
	o.lines[away] = true
	go pipebroker.Broker{Published: o.store}.Serve(away)
	return near, nil
}

// set takes it down, or up again; its connections are cut either way.
func (o *operator) set(down bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.down = down
	for c := range o.lines {
		c.Close()
	}
	clear(o.lines)
}

// store keeps a report and returns the Ack for it.
func (o *operator) store(_, topic string, payload []byte) []byte {
	if topic == "cem/v1/box-1/status" {
		return nil
	}
	r, err := wire.ParseReport(payload)
	o.mu.Lock()
	if err != nil {
		o.bad++
	}
	o.stored[[2]uint64{uint64(r.Lane), r.Sequence}] = true
	o.mu.Unlock()
	return wire.AppendAck(nil, wire.Ack{Lanes: []wire.LaneAck{{
		RunID: r.Run.ID, Lane: r.Lane, Ranges: []wire.Range{{First: r.Sequence, Last: r.Sequence}},
	}}})
}

// A day of the whole agent with its real sources, in virtual time: each four
// hours an hour without the operator, each other hour a connection is cut.
func TestADayLeavesTheAgentAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		born := time.Now()
		o := &operator{lines: map[net.Conn]bool{}, stored: map[[2]uint64]bool{}}
		cfg := config.Default()
		cfg.Box.ID = "box-1"
		cfg.Box.StateDir = filepath.Join(t.TempDir(), "state")
		cfg.Box.RunDir = "/dev/null/run" // waits on a socket are not virtual
		cfg.Box.MemoryLimit = 1 << 30    // this process is more than the agent
		cfg.Uplink.Broker = "tcp://broker.test:1883"
		cfg.Consent.Purposes = []string{"essential", "support", "personalised"}
		a, err := agent.New(cfg, agent.Options{
			Log: slog.New(slog.DiscardHandler), Version: "soak", Dial: o.dial,
			Host: clock.Host{
				Mono:   func() time.Duration { return time.Since(born) + time.Hour },
				Wall:   func() time.Time { return clock.Release.Add(time.Since(born)) },
				BootID: func() ([]byte, error) { return []byte("boot"), nil },
			},
			Box: func(e agent.Env) agent.Box { return agent.Box{Sources: agent.Sources(e)} },
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		var samples []Sample
		for hour := range 24 {
			<-time.After(30 * time.Minute)
			o.set(hour%4 == 2)
			// Sampled where the operator has been there for a while.
			<-time.After(29 * time.Minute)
			synctest.Wait()
			if hour%4 == 1 || hour%4 == 0 {
				s, err := Take(time.Since(born), cfg.Box.StateDir)
				if err != nil {
					t.Fatal(err)
				}
				samples = append(samples, s)
			}
			<-time.After(time.Minute)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := Judge(t.Output(), samples); err != nil {
			t.Error(err)
		}
		most := int64(cfg.Buffer.FlashBytes)
		for _, s := range samples {
			if s.Store > most {
				t.Errorf("after %v the state directory has %d bytes; want at most %d", s.At, s.Store, most)
			}
		}
		windows := 0
		for k := range o.stored {
			if buffer.Lane(k[0]) == buffer.Windows {
				windows++
			}
		}
		if windows < 24*12-3 || o.bad != 0 || o.connect < 18 {
			t.Errorf("%d windows stored, %d bad, %d connections; want all 288 or so, none, 18 or more", windows, o.bad, o.connect)
		}
		t.Logf("%d windows and %d events stored over %d connections", windows, len(o.stored)-windows, o.connect)
	})
}
