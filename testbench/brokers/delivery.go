package brokers

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/testbench/cem"
	"livebox-agent/testbench/courier"
	"livebox-agent/testbench/faultproxy"
	"livebox-agent/testbench/process"
	"livebox-agent/uplink/wire"
)

const delivered = "each once"

// window is a window of a box of few words, of one run.
func window(box string, seq uint64) []byte {
	at := time.Duration(seq) * time.Second
	b := wire.AppendHeader(nil, wire.Header{
		Box: box, Run: wire.Run{ID: 1, Counter: 1, KernelBoot: 1}, Lane: wire.Windows, Sequence: seq,
		Consent: wire.Consent{PolicyVersion: 1, Purposes: 1 << catalogue.Essential}, Opened: at, Sealed: at,
	})
	var e wire.Encoder
	return wire.AppendSection(b, catalogue.Essential, wire.Columns, e.AppendColumns(nil, []wire.Table{{
		Times:   []time.Duration{at},
		Columns: []wire.Column{{Metric: catalogue.UpTime, Values: []int64{int64(seq)}}},
	}}, true))
}

// withCourier runs f with a box that delivers, and then settles it.
func (b *bench) withCourier(box, addr string, f func(*courier.Courier) error) (cem.BoxState, error) {
	c, err := b.courier(box, addr)
	if err != nil {
		return cem.BoxState{}, err
	}
	if err := f(c); err != nil {
		return cem.BoxState{}, errors.Join(err, c.Stop())
	}
	s, err := b.settle(c, box)
	return s, errors.Join(err, c.Stop())
}

// delivers makes reports while all is well.
func delivers(_ context.Context, b *bench) (string, error) {
	s, err := b.withCourier("steady", "", func(c *courier.Courier) error {
		for range 5 {
			if err := errors.Join(c.Windows(20), c.Event(10)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	if s.Duplicates != 0 {
		return "each once, some twice on the way", nil
	}
	return delivered, nil
}

// large sends the longest report there may be, and asks for more.
func large(_ context.Context, b *bench) (string, error) {
	_, err := b.withCourier("large", "", func(c *courier.Courier) error { return c.Event(63 << 10) })
	if err != nil {
		return "", err
	}
	taken := "64 kB"
	for _, try := range []struct {
		bytes int
		name  string
	}{{200 << 10, "200 kB"}, {1 << 20, "1 MB"}, {4 << 20, "4 MB"}} {
		box, err := b.dial("large")
		if err != nil {
			return "", err
		}
		err = box.Publish("cem/v1/large/reply", make([]byte, try.bytes))
		box.Close()
		if err != nil {
			break
		}
		taken = try.name
	}
	return "delivered; " + taken, nil
}

// agentRestarts runs the shipped program three times.
func agentRestarts(ctx context.Context, b *bench) (string, error) {
	_, pair, err := b.certificate("shipped")
	if err != nil {
		return "", err
	}
	cfg := process.Config{
		Binary: b.agent, Dir: filepath.Join(b.dir, "agent"), Broker: b.broker.URL(), CAFile: b.ca.CAFile(), Box: pair,
		Window: time.Second, SpillAfter: time.Second, Every: 500 * time.Millisecond,
		Set: map[string]string{"uplink.backoff_max": `"1s"`, "uplink.backlog_rate": "100.0"},
	}
	var s cem.BoxState
	for run := range 3 {
		p, err := process.Start(cfg)
		if err != nil {
			return "", err
		}
		s, err = b.await("shipped", "windows of a run", func(s cem.BoxState) bool {
			return len(s.Runs) == run+1 && s.Runs[run].Windows.Contiguous() >= 2 && s.Runs[run].Events.Stored() > 0
		})
		switch {
		case err != nil:
			err = errors.Join(err, p.Kill())
		case run == 1:
			err = p.Kill()
		default:
			err = p.Terminate(patience)
		}
		if err != nil {
			return "", err
		}
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	return delivered, once(s, 0)
}

// reconnects resets the line of a box again and again.
func reconnects(ctx context.Context, b *bench) (string, error) {
	p, err := faultproxy.Start(faultproxy.Config{Target: b.cfg.Addr})
	if err != nil {
		return "", err
	}
	_, err = b.withCourier("often", p.Addr(), func(c *courier.Courier) error {
		for n := uint64(1); n <= 20; n++ {
			if err := errors.Join(c.Windows(5), c.Event(0)); err != nil {
				return err
			}
			if err := until(ctx, func() bool { return c.Uplink().Connects >= n }); err != nil {
				return fmt.Errorf("connection %d: %w", n, err)
			}
			p.ResetAll()
		}
		return nil
	})
	return delivered, errors.Join(err, p.Close())
}

// until waits until ok.
func until(ctx context.Context, ok func() bool) error {
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline:
			return fmt.Errorf("not within %v", patience)
		}
	}
	return nil
}

// restart stops the broker while messages wait for the CEM, and starts it.
func restart(ctx context.Context, b *bench) (string, error) {
	if err := b.cemDown(); err != nil {
		return "", err
	}
	acked, err := b.publish(ctx, "restart", 100, nil)
	if err != nil {
		return "", err
	}
	if err := b.brokerDown(false); err != nil {
		return "", err
	}
	if err := b.brokerUp(ctx, ""); err != nil {
		return "", err
	}
	if err := b.cemUp(ctx, "journal"); err != nil {
		return "", err
	}
	gone := b.gone("restart", acked, redelivery)
	if gone == 0 {
		return "all kept", nil
	}
	return "lost", nil
}

// kill kills the broker under a box that delivers.
func kill(ctx context.Context, b *bench) (string, error) {
	_, err := b.withCourier("killed", "", func(c *courier.Courier) error {
		making, end := context.WithCancel(ctx)
		made := make(chan error, 1)
		go func() {
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-making.Done():
					made <- nil
					return
				case <-tick.C:
				}
				if err := c.Windows(1); err != nil {
					made <- err
					return
				}
			}
		}()
		err := until(ctx, func() bool { return c.Uplink().Pubacked >= 50 })
		err = errors.Join(err, b.brokerDown(true), b.brokerUp(ctx, ""))
		end()
		return errors.Join(err, <-made)
	})
	if err != nil {
		return "", err
	}
	return "nothing", nil
}

// publish sends windows 1 to n of a box of few words, eight at once, and returns
// those that the broker answered with PUBACK. after is called with their number
// each time; where it returns true, it ends.
func (b *bench) publish(ctx context.Context, name string, n uint64, after func(acked int) bool) (acked []uint64, err error) {
	box, err := b.dial(name)
	if err != nil {
		return nil, err
	}
	defer box.Close()
	var (
		mu    sync.Mutex // guards next, acked and ended
		next  uint64
		ended bool
		wg    sync.WaitGroup
	)
	for range 8 {
		wg.Go(func() {
			for {
				mu.Lock()
				if ended || next == n || ctx.Err() != nil {
					mu.Unlock()
					return
				}
				next++
				seq := next
				mu.Unlock()
				err := box.Publish("cem/v1/"+name+"/telemetry", window(name, seq))
				mu.Lock()
				if err != nil {
					ended = true
				} else {
					acked = append(acked, seq)
					ended = ended || after != nil && after(len(acked))
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return acked, ctx.Err()
}

// redelivery is after how long a broker has sent again what it has no answer to:
// NATS after 30 s.
const redelivery = 40 * time.Second

// gone waits until the CEM has got no more of a box for so long, and returns how
// many of the sequences it does not have.
func (b *bench) gone(name string, acked []uint64, long time.Duration) int {
	missing := func(s cem.BoxState) int {
		n := len(acked)
		for _, r := range s.Runs {
			for _, seq := range acked {
				for _, have := range r.Windows.Ranges {
					if have.First <= seq && seq <= have.Last {
						n--
					}
				}
			}
		}
		return n
	}
	for {
		changed := b.cem.Changed()
		s, _ := b.cem.Box(name)
		n := missing(s)
		if n == 0 {
			return 0
		}
		select {
		case <-changed:
		case <-time.After(long):
			return n
		}
	}
}

// forgets kills the broker right after it has answered, while the CEM is away:
// what it then does not have, nobody has but the box.
func forgets(ctx context.Context, b *bench) (string, error) {
	trials := 3
	if b.cfg.Kind == RabbitMQ {
		trials = 1 // it takes ten seconds to start
	}
	answered, lost := 0, 0
	for i := range trials {
		name := fmt.Sprint("lost", i)
		if err := b.cemDown(); err != nil {
			return "", err
		}
		acked, err := b.publish(ctx, name, 1000, func(acked int) bool {
			if acked == 200 {
				err := b.brokerDown(true)
				return err == nil
			}
			return false
		})
		if err != nil {
			return "", err
		}
		if b.broker != nil {
			return "", fmt.Errorf("only %d of 200 publications were answered", len(acked))
		}
		if err := b.brokerUp(ctx, ""); err != nil {
			return "", err
		}
		if err := b.cemUp(ctx, "journal"); err != nil {
			return "", err
		}
		answered += len(acked)
		lost += b.gone(name, acked, 5*quiet)
	}
	return fmt.Sprintf("%d of %d", lost, answered), nil
}

// queue asks how much the broker keeps for a CEM that is away.
func queue(ctx context.Context, b *bench) (string, error) {
	if err := b.cemDown(); err != nil {
		return "", err
	}
	acked, err := b.publish(ctx, "away", 1500, nil)
	if err != nil {
		return "", err
	}
	if err := b.cemUp(ctx, "journal"); err != nil {
		return "", err
	}
	if len(acked) < 1500 {
		return fmt.Sprintf("takes %d", len(acked)), nil
	}
	if gone := b.gone("away", acked, redelivery); gone > 0 {
		return fmt.Sprintf("%d", 1500-gone), nil
	}
	return "all", nil
}

// denied has the rules deny a box its events, and mends them.
func denied(ctx context.Context, b *bench) (string, error) {
	if err := errors.Join(b.brokerDown(false), b.brokerUp(ctx, "event")); err != nil {
		return "", err
	}
	answer := ""
	_, err := b.withCourier("muted", "", func(c *courier.Courier) error {
		if err := errors.Join(c.Windows(10), c.Event(10), c.Windows(10)); err != nil {
			return err
		}
		said := func() bool {
			_, stuck := c.Sick(wire.HealthNotStored)
			_, down := c.Sick(wire.HealthUplinkDown)
			return stuck || down
		}
		if err := until(ctx, said); err != nil {
			return fmt.Errorf("no health state says that events do not get through: %w", err)
		}
		answer = "answered with PUBACK, dropped: not_stored"
		if _, down := c.Sick(wire.HealthUplinkDown); down {
			answer = "connection closed: uplink_down"
		}
		if s, _ := b.cem.Box("muted"); c.Left() == 0 || len(s.Runs) > 0 && s.Runs[0].Events.Stored() > 0 {
			return errors.New("the event came although the rules deny it")
		}
		return errors.Join(b.brokerDown(false), b.brokerUp(ctx, ""))
	})
	return answer, err
}
