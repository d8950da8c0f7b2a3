package uplink

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"livebox-agent/uplink/wire"
)

// A far is the other side: a broker and a CEM in one, which behave as a
// script says, connection by connection.
type far struct {
	t      *testing.T
	script func(n int) script // of connection n, from 1; nil: honest

	mu       sync.Mutex // guards what follows
	dials    []time.Time
	connects []*packets.ConnectPacket
	got      []arrival
	statuses []string
	stored   map[Key]bool
	cut      int // connections that ended without a farewell
}

// An arrival is one report that reached the broker.
type arrival struct {
	conn  int
	topic string
	key   Key
	at    time.Time
}

// A script says how the far side behaves on one connection. What is nil is
// honest.
type script struct {
	open      func(p *peer) (stop bool) // before anything is read
	connect   func(p *peer)
	subscribe func(p *peer, id uint16)
	publish   func(p *peer, m *packets.PublishPacket)
	// broker: no CEM is behind it.
	broker bool
}

// A peer is one connection as the far side sees it.
type peer struct {
	*far
	net.Conn
	n    int // from 1
	out  chan []byte
	quit chan struct{} // closed at the end
}

// dial connects to the far side without a network.
func (f *far) dial(context.Context, string, string) (net.Conn, error) {
	near, away := net.Pipe()
	go f.serve(away)
	return near, nil
}

// serve plays one connection.
func (f *far) serve(c net.Conn) {
	f.mu.Lock()
	f.dials = append(f.dials, time.Now())
	p := &peer{far: f, Conn: c, n: len(f.dials), out: make(chan []byte, 1024), quit: make(chan struct{})}
	f.mu.Unlock()
	var s script
	if f.script != nil {
		s = f.script(p.n)
	}
	var writer sync.WaitGroup
	writer.Go(func() {
		for {
			select {
			case b := <-p.out:
				_, _ = c.Write(b) // the reader notices
			case <-p.quit:
				return
			}
		}
	})
	defer writer.Wait()
	defer close(p.quit)
	defer c.Close()
	if s.open != nil && s.open(p) {
		return
	}
	for {
		cp, err := packets.ReadPacket(c)
		if err != nil {
			f.mu.Lock()
			f.cut++
			f.mu.Unlock()
			return
		}
		if _, ok := cp.(*packets.DisconnectPacket); ok {
			return
		}
		p.play(s, cp)
	}
}

func (p *peer) play(s script, cp packets.ControlPacket) {
	switch m := cp.(type) {
	case *packets.ConnectPacket:
		p.mu.Lock()
		p.connects = append(p.connects, m)
		p.mu.Unlock()
		if s.connect != nil {
			s.connect(p)
			return
		}
		p.connack(0)
	case *packets.SubscribePacket:
		if s.subscribe != nil {
			s.subscribe(p, m.MessageID)
			return
		}
		p.suback(m.MessageID, 0)
	case *packets.PingreqPacket:
		p.send(packets.NewControlPacket(packets.Pingresp))
	case *packets.PublishPacket:
		if m.TopicName == "cem/v1/box1/status" {
			p.mu.Lock()
			p.statuses = append(p.statuses, string(m.Payload))
			p.mu.Unlock()
			if s.publish == nil || s.broker {
				p.puback(m.MessageID)
				return
			}
			s.publish(p, m)
			return
		}
		k := parseKey(m.Payload)
		p.mu.Lock()
		p.got = append(p.got, arrival{p.n, m.TopicName, k, time.Now()})
		p.mu.Unlock()
		if s.publish != nil {
			s.publish(p, m)
			return
		}
		p.puback(m.MessageID)
		if !s.broker {
			p.store(k)
			p.ack(k)
		}
	}
}

func (p *peer) send(cp packets.ControlPacket) { p.raw(packetBytes(cp)...) }

// raw sends bytes, unless the connection is over.
func (p *peer) raw(b ...byte) {
	select {
	case p.out <- b:
	case <-p.quit:
	}
}

func (p *peer) connack(code byte) {
	cp := packets.NewControlPacket(packets.Connack).(*packets.ConnackPacket)
	cp.ReturnCode = code
	p.send(cp)
}

func (p *peer) suback(id uint16, codes ...byte) {
	cp := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
	cp.MessageID, cp.ReturnCodes = id, codes
	p.send(cp)
}

func (p *peer) puback(id uint16) {
	cp := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
	cp.MessageID = id
	p.send(cp)
}

// message publishes to the box, at the QoS that it has subscribed with.
func (p *peer) message(topic string, payload []byte) {
	cp := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	cp.TopicName, cp.Payload = topic, payload
	p.send(cp)
}

func (f *far) store(k Key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stored == nil {
		f.stored = map[Key]bool{}
	}
	f.stored[k] = true
}

func (f *far) isStored(k Key) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stored[k]
}

// ack says what is stored of the run and lane of k.
func (p *peer) ack(k Key) {
	p.message("cem/v1/box1/ack", wire.AppendAck(nil, wire.Ack{Lanes: []wire.LaneAck{p.stands(k)}}))
}

// stands says what is stored of the run and lane of k.
func (f *far) stands(k Key) wire.LaneAck {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := wire.LaneAck{RunID: k.Run.ID, Lane: k.Lane}
	var seqs []uint64
	for s := range f.stored {
		if s.Run.ID == k.Run.ID && s.Lane == k.Lane {
			seqs = append(seqs, s.Sequence)
		}
	}
	slices.Sort(seqs)
	for _, s := range seqs {
		last := len(a.Ranges) - 1
		switch {
		case s == a.Contiguous+1:
			a.Contiguous = s
		case last >= 0 && a.Ranges[last].Last == s-1:
			a.Ranges[last].Last = s
		default:
			a.Ranges = append(a.Ranges, wire.Range{First: s, Last: s})
		}
	}
	return a
}

// arrivals returns the reports that have reached the broker.
func (f *far) arrivals() []arrival {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.got)
}

func (f *far) count() (dials, reports int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.dials), len(f.got)
}

func packetBytes(cp packets.ControlPacket) []byte {
	var b writerBytes
	_ = cp.Write(&b) // into memory
	return b
}

type writerBytes []byte

func (w *writerBytes) Write(p []byte) (int, error) {
	*w = append(*w, p...)
	return len(p), nil
}

// A memQueue is a Queue in memory that notes what leaves it.
type memQueue struct {
	appended chan struct{}
	may      func(Key) bool // the rule: whether k may leave now; nil: not checked
	t        *testing.T

	mu    sync.Mutex // guards what follows
	items []Item     // in order
	gone  []Key
}

func newQueue(t *testing.T) *memQueue {
	t.Helper()
	return &memQueue{t: t, appended: make(chan struct{}, 1)}
}

func (q *memQueue) add(keys ...Key) {
	for _, k := range keys {
		text := keyText(k)
		q.addItem(Item{Key: k, Payload: func(b []byte) ([]byte, error) { return append(b, text...), nil }})
	}
}

func (q *memQueue) addItem(it Item) {
	q.mu.Lock()
	q.items = append(q.items, it)
	slices.SortStableFunc(q.items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(a.Key.Lane, b.Key.Lane), a.Key.Compare(b.Key))
	})
	q.mu.Unlock()
	poke(q.appended)
}

func (q *memQueue) Next(lane wire.Lane, after Key) (Item, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range q.items {
		if it.Key.Lane == lane && it.Key.Compare(after) > 0 {
			return it, true
		}
	}
	return Item{}, false
}

func (q *memQueue) Last(lane wire.Lane) (Item, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range slices.Backward(q.items) {
		if it.Key.Lane == lane {
			return it, true
		}
	}
	return Item{}, false
}

func (q *memQueue) Appended() <-chan struct{} { return q.appended }

func (q *memQueue) Ack(run uint64, lane wire.Lane, upTo uint64, ranges []wire.Range) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := len(q.items)
	q.items = slices.DeleteFunc(q.items, func(it Item) bool {
		k := it.Key
		if k.Run.ID != run || k.Lane != lane ||
			!covers(wire.LaneAck{Contiguous: upTo, Ranges: ranges}, k.Sequence) {
			return false
		}
		if q.may != nil && !q.may(k) {
			q.t.Errorf("report %v left the queue against the rule", k)
		}
		q.gone = append(q.gone, k)
		return true
	})
	return n - len(q.items)
}

func (q *memQueue) left() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)
}

func keyText(k Key) string {
	return fmt.Sprintf("%d %d %d %d", k.Run.ID, k.Run.Counter, k.Lane, k.Sequence)
}

func parseKey(b []byte) Key {
	var k Key
	_, _ = fmt.Sscanf(string(b), "%d %d %d %d", &k.Run.ID, &k.Run.Counter, &k.Lane, &k.Sequence)
	return k
}

func window(seq uint64) Key {
	return Key{Run: wire.Run{ID: 77, Counter: 3}, Lane: wire.Windows, Sequence: seq}
}

func event(seq uint64) Key {
	return Key{Run: wire.Run{ID: 77, Counter: 3}, Lane: wire.Events, Sequence: seq}
}

func windows(first, last uint64) []Key {
	var ks []Key
	for s := first; s <= last; s++ {
		ks = append(ks, window(s))
	}
	return ks
}

// A rig is an uplink, its queue, and the far side.
type rig struct {
	*far
	t    *testing.T
	q    *memQueue
	u    *Uplink
	stop context.CancelFunc
	done chan error

	healthMu sync.Mutex
	health   map[string]string // details of the bad states
	news     []string          // code and + or -
}

// labConfig is DefaultConfig without TLS and without the wait at the start.
func labConfig() Config {
	c := DefaultConfig()
	c.Broker, c.PowerReturnWait = "tcp://broker.test:1883", 0
	return c
}

// newRig makes a rig that is not yet running. Inside a bubble everything in it
// lives by virtual time.
func newRig(t *testing.T, c Config, scripts func(n int) script, change func(*Options)) *rig {
	t.Helper()
	r := &rig{t: t, q: newQueue(t), done: make(chan error, 1), health: map[string]string{}}
	r.far = &far{t: t, script: scripts}
	if c.Acknowledgement == AckApplication {
		r.q.may = r.isStored
	}
	o := Options{
		Log:   slog.New(slog.NewTextHandler(t.Output(), nil)),
		Box:   "box1",
		Queue: r.q,
		Status: func(online bool) []byte {
			if online {
				return []byte("online")
			}
			return []byte("stopped")
		},
		Will: []byte("gone"),
		Dial: r.dial,
		Rand: rand.New(rand.NewPCG(1, 2)),
		OnHealth: func(code string, bad bool, detail string) {
			r.healthMu.Lock()
			defer r.healthMu.Unlock()
			if bad {
				if _, was := r.health[code]; !was {
					r.news = append(r.news, code+"+")
				}
				r.health[code] = detail
			} else {
				r.news = append(r.news, code+"-")
				delete(r.health, code)
			}
		},
	}
	if change != nil {
		change(&o)
	}
	u, err := New(c, o)
	if err != nil {
		t.Fatal(err)
	}
	r.u = u
	return r
}

func (r *rig) run() {
	ctx, cancel := context.WithCancel(r.t.Context())
	r.stop = cancel
	go func() { r.done <- r.u.Run(ctx) }()
}

// end stops the uplink and returns how long it took.
func (r *rig) end() time.Duration {
	r.t.Helper()
	start := time.Now()
	r.stop()
	if err := <-r.done; err != nil {
		r.t.Errorf("Run() = %v; want nil", err)
	}
	return time.Since(start)
}

func (r *rig) sick(code string) string {
	r.healthMu.Lock()
	defer r.healthMu.Unlock()
	return r.health[code]
}

// after lets virtual time pass, and all that happens in it happen.
func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// sequences returns the sequences of the arrivals on a connection, 0: on all.
func sequences(as []arrival, conn int, lane wire.Lane) []uint64 {
	var s []uint64
	for _, a := range as {
		if (conn == 0 || a.conn == conn) && a.key.Lane == lane {
			s = append(s, a.key.Sequence)
		}
	}
	return s
}
