package uplink

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	mochipackets "github.com/mochi-mqtt/server/v2/packets"

	"livebox-agent/uplink/wire"
)

// eventually waits in real time until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("not within 20s: %s", what)
		case <-tick.C:
		}
	}
}

// allowAll lets everyone who got through TLS do everything.
type allowAll struct{ mochi.HookBase }

func (allowAll) ID() string { return "allow all" }

func (allowAll) Provides(b byte) bool {
	return b == mochi.OnConnectAuthenticate || b == mochi.OnACLCheck
}

func (allowAll) OnConnectAuthenticate(*mochi.Client, mochipackets.Packet) bool { return true }

func (allowAll) OnACLCheck(*mochi.Client, string, bool) bool { return true }

// A realBroker is somebody else's broker on the loopback, with TLS, and a CEM
// behind it.
type realBroker struct {
	*mochi.Server
	far

	mu       sync.Mutex // guards statuses
	statuses []string
}

func newRealBroker(t *testing.T, lab *tlsLab) (b *realBroker, addr string) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	b = &realBroker{Server: mochi.New(&mochi.Options{InlineClient: true, Logger: log}), far: far{t: t}}
	if err := b.AddHook(&allowAll{}, nil); err != nil {
		t.Fatal(err)
	}
	l := listeners.NewTCP(listeners.Config{ID: "tls", Address: "127.0.0.1:0", TLSConfig: lab.server})
	if err := b.AddListener(l); err != nil {
		t.Fatal(err)
	}
	if err := b.Serve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	for i, topic := range []string{"cem/v1/+/telemetry", "cem/v1/+/event"} {
		if err := b.Subscribe(topic, i+1, b.ingest); err != nil {
			t.Fatal(err)
		}
	}
	err := b.Subscribe("cem/v1/+/status", 3, func(_ *mochi.Client, _ mochipackets.Subscription, m mochipackets.Packet) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.statuses = append(b.statuses, string(m.Payload))
	})
	if err != nil {
		t.Fatal(err)
	}
	return b, l.Address()
}

// ingest stores a report and acknowledges it.
func (b *realBroker) ingest(_ *mochi.Client, _ mochipackets.Subscription, m mochipackets.Packet) {
	k := parseKey(m.Payload)
	b.store(k)
	ack := wire.AppendAck(nil, wire.Ack{Lanes: []wire.LaneAck{b.stands(k)}})
	go func() { _ = b.Publish("cem/v1/box1/ack", ack, false, 1) }() // lost only when the server has ended
}

func (b *realBroker) seen() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.statuses)
}

func (b *realBroker) retained() string {
	pk, _ := b.Topics.Retained.Get("cem/v1/box1/status")
	return string(pk.Payload)
}

func TestAgainstARealBroker(t *testing.T) {
	lab := newTLSLab(t)
	b, addr := newRealBroker(t, lab)
	lab.config.ServerName = "cem.test"
	lab.config.Broker = "tls://" + addr
	lab.config.BacklogRate = 200
	lab.config.BackoffMax = time.Second
	var mu sync.Mutex // guards line
	var line net.Conn
	r := newRig(t, lab.config, nil, func(o *Options) {
		o.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dialTCP(ctx, network, addr)
			mu.Lock()
			defer mu.Unlock()
			line = c
			return c, err
		}
	})
	r.q.may = b.isStored
	r.q.add(windows(1, 30)...)
	r.q.add(event(1), event(2))
	r.run()
	eventually(t, "everything delivered and acknowledged", func() bool { return r.q.left() == 0 })
	eventually(t, "online is retained", func() bool { return b.retained() == "online" })

	mu.Lock()
	line.Close() // no farewell
	mu.Unlock()
	r.q.add(window(31))
	eventually(t, "window 31 acknowledged over a second connection", func() bool {
		return r.q.left() == 0 && r.u.Stats().Connects == 2
	})
	eventually(t, "the will came in between", func() bool { return slices.Equal(b.seen(), []string{"online", "gone", "online"}) })

	r.end()
	eventually(t, "the last status is retained", func() bool { return b.retained() == "stopped" })
	eventually(t, "all four statuses came", func() bool {
		return slices.Equal(b.seen(), []string{"online", "gone", "online", "stopped"})
	})
	if s := r.u.Stats(); s.Acknowledged != 33 || s.Failures[ClassLost] != 1 {
		t.Errorf("Stats() = %+v; want 33 acknowledged and one connection lost", s)
	}
}

func TestBrokerThatIsAwayAtTheStart(t *testing.T) {
	lab := newTLSLab(t)
	lab.config.ServerName = "cem.test"
	lab.config.Broker = "tls://127.0.0.1:1" // given to nobody, unlike a port that was just free
	lab.config.BackoffMax = time.Second
	r := newRig(t, lab.config, nil, func(o *Options) { o.Dial = nil })
	r.q.add(window(1))
	r.run()
	eventually(t, "two attempts", func() bool { return r.u.Stats().Failures[ClassDial] >= 2 })
	if r.q.left() != 1 {
		t.Error("the report left the queue without a broker")
	}
	r.end()
}
