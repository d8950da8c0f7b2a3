package storm

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"livebox-agent/testbench/pipebroker"
	"livebox-agent/uplink"
	"livebox-agent/uplink/wire"
)

// inMemory is a fleet at a broker in memory.
func inMemory(boxes int, seed uint64, b pipebroker.Broker, door *Door) FleetConfig {
	cfg := uplink.DefaultConfig()
	cfg.Broker = "tcp://broker.test:1883"
	return FleetConfig{Boxes: boxes, Seed: seed, Uplink: cfg, Dial: b.Dial, Door: door}
}

// during runs a fleet while what is done, and checks that it ends well.
func during(t *testing.T, cfg FleetConfig, what func(f *Fleet)) {
	t.Helper()
	f, err := NewFleet(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	synctest.Wait()
	what(f)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// near tells whether two figures are within a share of each other.
func near(a, b, share float64) bool { return math.Abs(a-b) <= share*math.Max(a, b) }

// Four hundred real uplinks and as many simulated boxes, at a broker that
// needs 22 minutes for them.
func TestSimulationAndRealUplinksAgree(t *testing.T) {
	const boxes, rate, queue = 400, 0.3, 4
	var real Figures
	synctest.Test(t, func(t *testing.T) {
		during(t, inMemory(boxes, 1, pipebroker.Broker{}, NewDoor(rate, queue)), func(f *Fleet) {
			<-time.After(90 * time.Minute)
			synctest.Wait()
			if n := f.Early(); n != 0 {
				t.Errorf("%d boxes tried before their waits were over", n)
			}
			real = f.Result(f.start, rate).Figures()
		})
	})
	if real.Never != 0 {
		t.Fatalf("%d real boxes never came back", real.Never)
	}
	simulated := Simulate(Scenario{
		Boxes: boxes, Broker: Broker{Rate: rate, Queue: queue, Patience: patience}, Horizon: 90 * time.Minute, Seed: 1,
	}, agentPolicy(Scenario{Boxes: boxes, Seed: 1})).Figures()
	t.Logf("real       %+v", real)
	t.Logf("simulated  %+v", simulated)
	for _, c := range []struct {
		what             string
		real, simulation float64
		share            float64
	}{
		{"attempts", float64(real.Attempts), float64(simulated.Attempts), 0.1},
		{"half back", real.Half.Seconds(), simulated.Half.Seconds(), 0.1},
		{"99 % back", real.Most.Seconds(), simulated.Most.Seconds(), 0.2},
		{"Gini", real.Gini, simulated.Gini, 0.1},
	} {
		if !near(c.real, c.simulation, c.share) {
			t.Errorf("%s: %.3g of real uplinks, %.3g simulated; want them within %.0f %%", c.what, c.real, c.simulation, 100*c.share)
		}
	}
}

// A broker that takes every box, tells it when to come back, another time for
// each, and cuts it: no box comes sooner, and they come spread.
func TestFleetHonoursRetryAfter(t *testing.T) {
	const boxes, spread = 200, 1200
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // guards told
		told := map[string]bool{}
		number := map[string]int{}
		for i := range boxes {
			number[BoxName(i)] = i
		}
		b := pipebroker.Broker{Published: func(box, _ string, _ []byte) []byte {
			mu.Lock()
			defer mu.Unlock()
			if told[box] {
				return nil
			}
			told[box] = true
			return wire.AppendAck(nil, wire.Ack{RetryAfter: 6 * Told(number[box], boxes)})
		}}
		var cut []io.Closer // guarded by mu
		cfg := inMemory(boxes, 2, b, nil)
		cfg.Uplink.PowerReturnWait = time.Minute
		dial := cfg.Dial
		cfg.Dial = func(ctx context.Context, network, addr string) (c net.Conn, err error) {
			c, err = dial(ctx, network, addr)
			mu.Lock()
			defer mu.Unlock()
			cut = append(cut, c)
			return c, err
		}
		during(t, cfg, func(f *Fleet) {
			<-time.After(2 * time.Minute)
			synctest.Wait()
			if n := f.Back(f.start); n != boxes {
				t.Fatalf("%d of %d boxes are back", n, boxes)
			}
			mu.Lock()
			lost := time.Now()
			for _, c := range cut {
				c.Close()
			}
			mu.Unlock()
			<-time.After(time.Hour)
			synctest.Wait()
			if n := f.Back(lost); n != boxes {
				t.Errorf("%d of %d boxes came back", n, boxes)
			}
			early, first, last := f.EarlierThan(lost, func(i int) time.Duration { return 6 * Told(i, boxes) })
			if early != 0 {
				t.Errorf("%d boxes came before the time that they were told", early)
			}
			if first < 6*time.Second || last > 1800*time.Second+uplink.FirstWait {
				t.Errorf("boxes came from %v to %v; want 6s to 31m", first, last)
			}
			if most := f.Result(lost, 1).Figures().Peak; most > 4 {
				t.Errorf("%d boxes in one second; want at most 4 of %d over 20 minutes", most, boxes)
			}
		})
	})
}

// Real uplinks over TLS, the embedded broker and the CEM, in this process.
func TestRealUplinksComeBackOverTLS(t *testing.T) {
	r := Real{
		Boxes: 40, Seed: 3, Dir: t.TempDir(), Rate: 5, PowerReturnWait: time.Second, BackoffMax: 2 * time.Second,
		Spread: 3, Within: 2 * time.Minute, Out: t.Output(), Start: operateHere,
	}
	o, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Log(o.Table(r))
	if o.Stored != r.Boxes || o.Early != 0 || o.TooSoon != 0 || o.Planned.Never+o.Power.Never != 0 {
		t.Errorf("%+v; want all events stored, nobody too early, nobody away", o)
	}
	if o.Power.Attempts <= int64(r.Boxes) {
		t.Errorf("%d attempts; want more than boxes: the broker refuses some", o.Power.Attempts)
	}
}

// operateHere runs the operator in the process of the test.
func operateHere(ctx context.Context, dir, listen string) (*Operator, error) {
	inEnd, in := io.Pipe()
	out, outEnd := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := Operate(ctx, dir, listen, inEnd, outEnd)
		ended <- err
		outEnd.CloseWithError(io.EOF)
	}()
	return &Operator{
		In: in, Out: out, Ended: func() error { return <-ended },
		Used: func() time.Duration { return 0 },
	}, nil
}

func TestOperatorRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, line := range []string{"tell", "tell 0 1", "tell 1 0", "sing 1 1"} {
		op, err := operateHere(t.Context(), filepath.Join(t.TempDir(), "lab"), "")
		if err != nil {
			t.Fatal(err)
		}
		o := &operation{Operator: op}
		go func() { _, _ = fmt.Fprintln(op.In, line) }()
		_, _ = io.ReadAll(op.Out)
		if err := o.stop(); err == nil {
			t.Errorf("%q is taken", line)
		}
	}
}
