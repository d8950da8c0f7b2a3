// Package courier is a box that only delivers: the agent's own buffer and
// uplink, and reports that are made when they are asked for.
//
// Tests of faults use it where it matters which report came and which did not,
// and where many boxes are needed in one process.
package courier

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"livebox-agent/buffer"
	"livebox-agent/collector/catalogue"
	"livebox-agent/uplink"
	"livebox-agent/uplink/wire"
)

// tickEvery is how often the store is asked to write what is due.
const tickEvery = 100 * time.Millisecond

// kernelBoot is the boot of all couriers of a process.
const kernelBoot = 1

// Config says which box it is and how it delivers.
type Config struct {
	// Box is its name, Dir where its store is.
	Box, Dir string
	Uplink   uplink.Config
	// SpillAfter is that of the buffer; 0 keeps the default.
	SpillAfter time.Duration
	// Counter orders the runs of one box.
	Counter uint32
	// Now, ClockKnown and Dial are those of uplink.Options.
	Now        func() time.Time
	ClockKnown func() bool
	Dial       func(ctx context.Context, network, addr string) (net.Conn, error)
	// Log receives what buffer and uplink say; nil discards it.
	Log *slog.Logger
}

// Eager is an uplink's configuration for a trial: what waits between two
// attempts waits about a second, and the keepalive has its least value. An
// answer may take its time: many boxes of one busy machine that all gave up
// after a second would keep each other from ever getting one.
func Eager(broker string) uplink.Config {
	c := uplink.DefaultConfig()
	c.Broker = broker
	c.PowerReturnWait = 0
	c.BackoffMax = time.Second
	c.ConnectTimeout, c.WriteTimeout, c.PubackTimeout = 10*time.Second, 10*time.Second, 10*time.Second
	c.KeepAlive = 5 * time.Second
	c.ResendAfter, c.NotStoredAfter = 2*time.Second, time.Second
	c.BacklogRate, c.BacklogBytes, c.Bandwidth = 1000, 10_000_000, 10_000_000
	return c
}

// A Courier is a running box.
type Courier struct {
	cfg    Config
	store  *buffer.Store
	uplink *uplink.Uplink
	run    wire.Run
	begin  time.Time

	end     context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex // guards what follows
	encoder  wire.Encoder
	sequence [2]uint64 // the last of events and of windows
	health   map[string]string
	ever     map[string]bool
}

// Start opens the store and begins to deliver.
func Start(cfg Config) (*Courier, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &Courier{
		cfg: cfg, begin: time.Now().Add(-time.Hour), health: map[string]string{}, ever: map[string]bool{},
		run: wire.Run{ID: rand.Uint64(), Counter: cfg.Counter, KernelBoot: kernelBoot},
	}
	kept := buffer.DefaultConfig()
	if cfg.SpillAfter > 0 {
		kept.SpillAfter = cfg.SpillAfter
	}
	var err error
	c.uplink, err = uplink.New(cfg.Uplink, uplink.Options{
		Log: cfg.Log, Box: cfg.Box, Queue: queue{c}, Warm: true,
		Status:     c.status,
		Will:       wire.AppendStatus(nil, wire.Status{Box: cfg.Box, Run: c.run}),
		Now:        cfg.Now,
		ClockKnown: cfg.ClockKnown,
		Dial:       cfg.Dial,
		OnHealth:   c.onHealth,
	})
	if err != nil {
		return nil, err
	}
	c.store = buffer.Open(kept, buffer.Options{
		Dir: cfg.Dir, Log: cfg.Log, Now: c.mono, KernelBoot: kernelBoot,
	})
	ctx, end := context.WithCancel(context.Background())
	c.end = end
	c.running.Go(func() { _ = c.uplink.Run(ctx) }) // nil whenever ctx is done
	c.running.Go(func() { c.tick(ctx) })
	return c, nil
}

// tick lets the store write what is due.
func (c *Courier) tick(ctx context.Context) {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			_ = c.store.Tick() // the store says so in its condition, and tries again
		}
	}
}

// Stop ends the box as a clean stop does: what is in memory goes to flash.
func (c *Courier) Stop() error {
	c.end()
	c.running.Wait()
	return c.store.Close()
}

func (c *Courier) mono() time.Duration { return time.Since(c.begin) }

// Run returns the identity of this run.
func (c *Courier) Run() wire.Run { return c.run }

// Windows makes n windows of a few readings.
func (c *Courier) Windows(n int) error {
	for range n {
		c.mu.Lock()
		now := c.mono()
		body := c.encoder.AppendColumns(nil, []wire.Table{{
			Times:   []time.Duration{now - time.Second, now},
			Columns: []wire.Column{{Metric: catalogue.UpTime, Values: []int64{rand.Int64N(1 << 40), rand.Int64N(1 << 40)}}},
		}}, true)
		c.mu.Unlock()
		if err := c.append(wire.Windows, wire.Section{Purpose: catalogue.Essential, Fidelity: wire.Columns, Body: body}); err != nil {
			return err
		}
	}
	return nil
}

// Event makes an event whose text has so many bytes.
func (c *Courier) Event(size int) error {
	e := wire.Event{Type: wire.StoreReset, At: c.mono()}
	if size > 0 {
		e.Attributes = []wire.Attribute{{Key: "text", Value: strings.Repeat("x", size)}}
	}
	return c.append(wire.Events, wire.Section{
		Purpose: catalogue.Essential, Fidelity: wire.EventBody, Body: wire.AppendEvent(nil, e),
	})
}

func (c *Courier) append(lane wire.Lane, s wire.Section) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sequence[lane-1]++
	now := c.mono()
	k := buffer.Key{Run: buffer.Run(c.run), Lane: buffer.Lane(lane), Sequence: c.sequence[lane-1]}
	return c.store.Append(buffer.Report{
		Key: k, Opened: now - time.Second, Sealed: now,
		Header: wire.AppendHeader(nil, wire.Header{
			Run: c.run, Lane: lane, Sequence: k.Sequence, Opened: now - time.Second, Sealed: now,
			Consent: wire.Consent{PolicyVersion: 1, Purposes: 1 << catalogue.Essential},
		}),
		Sections: []buffer.Section{{Purpose: s.Purpose, Fidelity: buffer.Fidelity(s.Fidelity), Body: s.Body}},
	})
}

// Made returns how many reports this run has made.
func (c *Courier) Made() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sequence[0] + c.sequence[1]
}

// Left returns how many reports wait to be acknowledged.
func (c *Courier) Left() int {
	s := c.store.Stats()
	return s.Events.RAMReports + s.Events.FlashReports + s.Windows.RAMReports + s.Windows.FlashReports
}

// FlashWritten returns the bytes that this run wrote to flash.
func (c *Courier) FlashWritten() int64 { return c.store.Stats().FlashWritten }

// Uplink returns what the uplink has counted.
func (c *Courier) Uplink() uplink.Stats { return c.uplink.Stats() }

// Sick returns the detail of a health state, "" while it is good, and whether
// it ever was bad.
func (c *Courier) Sick(code string) (detail string, ever bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.health[code], c.ever[code]
}

func (c *Courier) onHealth(code string, bad bool, detail string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.health, code)
	if bad {
		c.health[code], c.ever[code] = detail, true
	}
}

func (c *Courier) status(online bool) []byte {
	return wire.AppendStatus(nil, wire.Status{
		Box: c.cfg.Box, Online: online, Run: c.run, Version: "courier", CleanStop: !online,
	})
}

// queue shows the store to the uplink, as the agent does.
type queue struct{ c *Courier }

// Next implements uplink.Queue, as do the methods below.
func (q queue) Next(lane wire.Lane, after uplink.Key) (uplink.Item, bool) {
	r, ok := q.c.store.Next(buffer.Lane(lane), buffer.Key{
		Run: buffer.Run(after.Run), Lane: buffer.Lane(lane), Sequence: after.Sequence,
	})
	return q.item(r), ok
}

// Last returns the newest report of the lane.
func (q queue) Last(lane wire.Lane) (uplink.Item, bool) {
	k, ok := q.c.store.Last(buffer.Lane(lane))
	if !ok {
		return uplink.Item{}, false
	}
	k.Sequence-- // Next gives the one behind it
	r, ok := q.c.store.Next(buffer.Lane(lane), k)
	return q.item(r), ok
}

func (q queue) item(r buffer.Report) uplink.Item {
	return uplink.Item{
		Key: uplink.Key{Run: wire.Run(r.Key.Run), Lane: wire.Lane(r.Key.Lane), Sequence: r.Key.Sequence},
		Payload: func(dst []byte) ([]byte, error) {
			if len(r.Sections) == 0 {
				return dst, fmt.Errorf("report %d of %v without sections", r.Key.Sequence, r.Key.Lane)
			}
			dst = wire.AppendBox(append(dst, r.Header...), q.c.cfg.Box)
			for _, s := range r.Sections {
				dst = wire.AppendSection(dst, s.Purpose, wire.Fidelity(s.Fidelity), s.Body)
			}
			return dst, nil
		},
	}
}

// Appended tells when there is something new.
func (q queue) Appended() <-chan struct{} { return q.c.store.Appended() }

// Ack takes away what the CEM has stored.
func (q queue) Ack(runID uint64, lane wire.Lane, upTo uint64, ranges []wire.Range) int {
	rs := make([]buffer.Range, len(ranges))
	for i, r := range ranges {
		rs[i] = buffer.Range(r)
	}
	return q.c.store.Ack(runID, buffer.Lane(lane), upTo, rs)
}
