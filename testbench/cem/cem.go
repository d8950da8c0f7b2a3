package cem

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"livebox-agent/testbench/broker"
	"livebox-agent/uplink/wire"
)

const (
	defaultAckEvery = time.Minute
	// soon is how long after a connection's first report the box is answered:
	// long enough for the rest of a burst to be in the same answer.
	soon = 200 * time.Millisecond
	// look is how often the CEM looks whom it owes an answer.
	look = 50 * time.Millisecond
)

// Options say how a CEM works.
type Options struct {
	// Conn is a connection to the broker with the backend's rights. It stays
	// the caller's. It is not used where MQTT is set.
	Conn *nats.Conn
	// MQTT, if set, has the CEM read from any broker of MQTT into a journal of
	// its own, in place of NATS's streams.
	MQTT *MQTT
	// Log receives changes of state. Nil discards them.
	Log *slog.Logger
	// AckEvery is how long reports may wait for a common acknowledgement; 0
	// means a minute.
	AckEvery time.Duration
}

// A CEM folds what boxes send.
type CEM struct {
	opts     Options
	caughtUp chan struct{}

	listening chan struct{} // closed when the broker first granted the subscriptions
	once      sync.Once     // closes listening

	mu      sync.Mutex // guards what follows
	boxes   map[string]*box
	due     map[*box]time.Time // boxes that are owed an acknowledgement, by when
	behind  int                // streams not yet read to where they were at start
	changed chan struct{}      // closed and replaced at each change
}

// New returns a CEM that does nothing until Run.
func New(o Options) *CEM {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.AckEvery = cmp.Or(o.AckEvery, defaultAckEvery)
	return &CEM{
		opts: o, caughtUp: make(chan struct{}), changed: make(chan struct{}),
		boxes: make(map[string]*box), due: make(map[*box]time.Time), listening: make(chan struct{}),
	}
}

// CaughtUp is closed when the state holds everything that was in the streams
// when Run began. Nothing is acknowledged before.
func (c *CEM) CaughtUp() <-chan struct{} { return c.caughtUp }

// Listening is closed when a broker of MQTT has granted the subscriptions: from
// then on it keeps for the CEM what boxes send, if it keeps sessions.
func (c *CEM) Listening() <-chan struct{} { return c.listening }

func (c *CEM) listen() { c.once.Do(func() { close(c.listening) }) }

// Changed returns a channel that is closed at the next change of the state.
func (c *CEM) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// Snapshot returns the state of every box, in order of their names.
func (c *CEM) Snapshot() []BoxState {
	c.mu.Lock()
	defer c.mu.Unlock()
	states := make([]BoxState, 0, len(c.boxes))
	for _, b := range c.boxes {
		states = append(states, b.snapshot())
	}
	slices.SortFunc(states, func(x, y BoxState) int { return cmp.Compare(x.Box, y.Box) })
	return states
}

// Box returns the state of one box; ok is false if nothing came from it.
func (c *CEM) Box(name string) (s BoxState, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, ok := c.boxes[name]
	if !ok {
		return BoxState{}, false
	}
	return b.snapshot(), true
}

// Run folds and acknowledges until parent is done, which is no error, or the
// broker is gone. It may be called once.
func (c *CEM) Run(parent context.Context) error {
	if c.opts.MQTT != nil {
		return c.runMQTT(parent, *c.opts.MQTT)
	}
	js, err := jetstream.New(c.opts.Conn)
	if err != nil {
		return fmt.Errorf("open JetStream: %w", err)
	}
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	var wg sync.WaitGroup
	defer wg.Wait()
	streams := []struct {
		name string
		take func(message)
	}{
		{broker.StreamStatus, c.takeStatus},
		{broker.StreamTelemetry, c.takeReport},
	}
	c.behind = len(streams)
	for _, s := range streams {
		wg.Go(func() {
			if err := c.follow(ctx, js, s.name, s.take); err != nil {
				cancel(fmt.Errorf("follow stream %s: %w", s.name, err))
			}
		})
	}
	wg.Go(func() {
		if err := c.acknowledge(ctx, c.opts.Conn.Publish); err != nil {
			cancel(err)
		}
	})
	<-ctx.Done()
	if parent.Err() != nil {
		return nil
	}
	return context.Cause(ctx)
}

// follow hands every message of a stream to take, from the first to what is
// still to come. An ordered consumer begins anew by itself after a gap.
func (c *CEM) follow(ctx context.Context, js jetstream.JetStream, name string, take func(message)) error {
	stream, err := js.Stream(ctx, name)
	if err != nil {
		return err
	}
	end := stream.CachedInfo().State.LastSeq
	empty := stream.CachedInfo().State.Msgs == 0
	consumer, err := js.OrderedConsumer(ctx, name, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, messages.Stop)()
	defer messages.Stop()
	behind := true
	reached := func() {
		if behind {
			behind = false
			c.reachedEnd()
		}
	}
	if empty {
		reached()
	}
	for {
		m, err := messages.Next()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		take(message{subject: m.Subject(), sequence: meta.Sequence.Stream, stored: meta.Timestamp, payload: m.Data()})
		if meta.Sequence.Stream >= end {
			reached()
		}
	}
}

// reachedEnd notes that one stream more is read to where it was at start.
func (c *CEM) reachedEnd() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.behind--; c.behind == 0 {
		close(c.caughtUp)
	}
}

// box returns the state of the box that sent m. The lock is held.
func (c *CEM) box(m message) *box {
	name, _ := m.sender()
	b := c.boxes[name]
	if b == nil {
		b = newBox(name)
		c.boxes[name] = b
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// notify wakes those who wait for a change. The lock is held.
func (c *CEM) notify() {
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *CEM) takeReport(m message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.box(m)
	rejected := b.totals.Rejected + b.totals.UndecodableReports
	owed := b.fold(m)
	if rejected == 0 && b.totals.Rejected+b.totals.UndecodableReports > 0 {
		c.opts.Log.Warn("box sent what cannot be decoded", "box", b.name,
			"stream_sequence", m.sequence, "reason", b.undecodable[0].Reason)
	}
	if owed {
		at, waiting := c.due[b]
		if !waiting {
			at = time.Now().Add(c.opts.AckEvery)
		}
		if b.fresh {
			b.fresh = false
			at = earlier(at, time.Now().Add(soon))
		}
		c.due[b] = at
	}
	c.notify()
}

func (c *CEM) takeStatus(m message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.box(m)
	was := b.online
	b.foldStatus(m)
	if b.online != was {
		c.opts.Log.Info("box changed state", "box", b.name, "online", b.online)
	}
	// The two streams are read side by side: the first report may be here
	// before the status that announced it.
	if at, waiting := c.due[b]; waiting && b.fresh {
		b.fresh = false
		c.due[b] = earlier(at, time.Now().Add(soon))
	}
	c.notify()
}

// acknowledge publishes what boxes are owed when it is due.
func (c *CEM) acknowledge(ctx context.Context, publish func(subject string, ack []byte) error) error {
	select {
	case <-ctx.Done():
		return nil
	case <-c.caughtUp:
	}
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for subject, ack := range c.owed(time.Now()) {
			if err := publish(subject, ack); err != nil {
				return fmt.Errorf("publish %s: %w", subject, err)
			}
		}
	}
}

// owed takes the acknowledgements that are due, by subject.
func (c *CEM) owed(now time.Time) map[string][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	acks := make(map[string][]byte)
	for b, at := range c.due {
		if at.After(now) {
			continue
		}
		delete(c.due, b)
		acks["cem.v1."+b.name+".ack"] = wire.AppendAck(nil, b.ack())
		b.totals.Acks++
	}
	if len(acks) > 0 {
		c.notify()
	}
	return acks
}
