package storm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/testbench/pki"
	"livebox-agent/uplink"
	"livebox-agent/uplink/wire"
)

// A Door lets so many connections a second through and refuses the others, as
// a broker does that limits the rate. It is safe for concurrent use.
type Door struct {
	mu    sync.Mutex // guards what follows
	rate  float64
	burst float64
	free  float64
	at    time.Time
}

// NewDoor lets rate connections a second through, and so many at once.
func NewDoor(rate, burst float64) *Door {
	return &Door{rate: rate, burst: burst, free: burst, at: time.Now()}
}

// admit tells whether the door is open for one more.
func (d *Door) admit(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.free = min(d.burst, d.free+d.rate*now.Sub(d.at).Seconds())
	d.at = now
	if d.free < 1 {
		return false
	}
	d.free--
	return true
}

// FleetConfig says what boxes there are.
type FleetConfig struct {
	Boxes int
	Seed  uint64
	// Uplink is what all boxes are configured with, apart from their files.
	Uplink uplink.Config
	// Identity gives the certificate of a box; nil: there is no TLS.
	Identity func(name string) (pki.Pair, error)
	// Dial is Options.Dial of the uplink; nil: TCP.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Door refuses connections; nil: none.
	Door *Door
}

// A Fleet is real uplinks in one process, each with a name, a random number
// generator and, with TLS, a certificate of its own. Each has one event to
// deliver.
type Fleet struct {
	cfg   FleetConfig
	start time.Time
	boxes []*member
}

// member is one box.
type member struct {
	name   string
	fleet  *Fleet
	uplink *uplink.Uplink

	mu       sync.Mutex // guards what follows
	attempts []time.Time
	online   []time.Time // when connections began
	stored   bool        // the event is acknowledged
}

// BoxName is the name of a box.
func BoxName(i int) string { return fmt.Sprintf("storm-%05d", i) }

// NewFleet makes the boxes; power is not there yet.
func NewFleet(cfg FleetConfig) (*Fleet, error) {
	f := &Fleet{cfg: cfg}
	if f.cfg.Dial == nil {
		f.cfg.Dial = (&net.Dialer{KeepAlive: -1}).DialContext
	}
	for i := range cfg.Boxes {
		m := &member{name: BoxName(i), fleet: f}
		c := cfg.Uplink
		if cfg.Identity != nil {
			pair, err := cfg.Identity(m.name)
			if err != nil {
				return nil, err
			}
			c.CertFile, c.KeyFile = pair.Cert, pair.Key
		}
		run := wire.Run{ID: uint64(i) + 1, Counter: 1, KernelBoot: 1}
		u, err := uplink.New(c, uplink.Options{
			Log: slog.New(slog.DiscardHandler), Box: m.name,
			Queue: oneEvent{m, run},
			Status: func(online bool) []byte {
				if online {
					m.connected()
				}
				return wire.AppendStatus(nil, wire.Status{Box: m.name, Run: run, Online: online})
			},
			Will: wire.AppendStatus(nil, wire.Status{Box: m.name, Run: run}),
			Rand: random(cfg.Seed, 1000+uint64(i)),
			Dial: m.dial,
		})
		if err != nil {
			return nil, err
		}
		m.uplink = u
		f.boxes = append(f.boxes, m)
	}
	return f, nil
}

// Run lets power return: all boxes start at once and run until ctx is done.
func (f *Fleet) Run(ctx context.Context) error {
	f.start = time.Now()
	errs := make([]error, len(f.boxes))
	var running sync.WaitGroup
	for i, m := range f.boxes {
		running.Go(func() { errs[i] = m.uplink.Run(ctx) })
	}
	running.Wait()
	return errors.Join(errs...)
}

func (m *member) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	now := time.Now()
	m.mu.Lock()
	m.attempts = append(m.attempts, now)
	m.mu.Unlock()
	if d := m.fleet.cfg.Door; d != nil && !d.admit(now) {
		return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	return m.fleet.cfg.Dial(ctx, network, addr)
}

func (m *member) connected() {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.online = append(m.online, now)
}

// since returns the attempts and connections from then on. The slices are only
// lent: what they hold does not change.
func (m *member) since(then time.Time) (attempts, online []time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	from := func(ts []time.Time) []time.Time {
		for i, t := range ts {
			if !t.Before(then) {
				return ts[i:len(ts):len(ts)]
			}
		}
		return nil
	}
	return from(m.attempts), from(m.online)
}

// Back returns how many boxes have had a connection since then.
func (f *Fleet) Back(then time.Time) int {
	n := 0
	for _, m := range f.boxes {
		if _, online := m.since(then); len(online) > 0 {
			n++
		}
	}
	return n
}

// Stored returns of how many boxes the CEM has stored the event.
func (f *Fleet) Stored() int {
	n := 0
	for _, m := range f.boxes {
		m.mu.Lock()
		if m.stored {
			n++
		}
		m.mu.Unlock()
	}
	return n
}

// Early returns how many of the connected boxes have tried before all the
// waits that they drew were over.
func (f *Fleet) Early() int {
	n := 0
	for _, m := range f.boxes {
		s := m.uplink.Stats()
		attempts, _ := m.since(f.start)
		if s.State == uplink.StateOnline && attempts[len(attempts)-1].Sub(f.start) < s.Waited {
			n++
		}
	}
	return n
}

// EarlierThan returns how many boxes made their first attempt after then
// before then and what least says for them, and how long after then the first
// and the last of all boxes did.
func (f *Fleet) EarlierThan(then time.Time, least func(box int) time.Duration) (early int, first, last time.Duration) {
	first = -1
	for i, m := range f.boxes {
		attempts, _ := m.since(then)
		if len(attempts) == 0 {
			continue
		}
		d := attempts[0].Sub(then)
		if d < least(i) {
			early++
		}
		if first < 0 || d < first {
			first = d
		}
		last = max(last, d)
	}
	return early, first, last
}

// Result is what the fleet has done since then, in the terms of a simulation
// of a broker of that rate.
func (f *Fleet) Result(then time.Time, rate float64) *Result {
	horizon := time.Since(then)
	sc := Scenario{Boxes: len(f.boxes), Broker: Broker{Rate: rate}, Horizon: horizon, Seed: f.cfg.Seed}
	r := newResult(sc, "real uplinks", int(horizon/tick)+1)
	tries := make([]uint16, len(f.boxes))
	for i, m := range f.boxes {
		attempts, online := m.since(then)
		for _, at := range attempts {
			r.offered[at.Sub(then)/time.Second]++
			tries[i]++
		}
		if len(online) > 0 {
			r.connected(int32(i), online[0].Sub(then))
		}
	}
	r.finish(tries)
	return r
}

// oneEvent is a queue with the event of one box.
type oneEvent struct {
	*member

	run wire.Run
}

func (q oneEvent) key() uplink.Key {
	return uplink.Key{Run: q.run, Lane: wire.Events, Sequence: 1}
}

func (q oneEvent) Next(lane wire.Lane, after uplink.Key) (uplink.Item, bool) {
	k := q.key()
	if lane != wire.Events || after.Compare(k) >= 0 || q.isStored() {
		return uplink.Item{}, false
	}
	return uplink.Item{Key: k, Payload: func(dst []byte) ([]byte, error) {
		dst = wire.AppendHeader(dst, wire.Header{
			Box: q.name, Run: q.run, Lane: wire.Events, Sequence: 1, Catalogue: catalogue.Hash(),
			Consent: wire.Consent{PolicyVersion: 1},
		})
		return wire.AppendSection(dst, catalogue.Essential, wire.EventBody,
			wire.AppendEvent(nil, wire.Event{Type: wire.AgentStarted})), nil
	}}, true
}

func (q oneEvent) Last(lane wire.Lane) (uplink.Item, bool) { return q.Next(lane, uplink.Key{}) }

// Appended is never ready: nothing is appended.
func (q oneEvent) Appended() <-chan struct{} { return nil }

func (q oneEvent) Ack(runID uint64, lane wire.Lane, upTo uint64, _ []wire.Range) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stored || runID != q.run.ID || lane != wire.Events || upTo < 1 {
		return 0
	}
	q.stored = true
	return 1
}

func (q oneEvent) isStored() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.stored
}
