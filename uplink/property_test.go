package uplink

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"livebox-agent/uplink/wire"
)

// chaos is a far side that does something else each time, until it is calm.
type chaos struct {
	mu   sync.Mutex // guards what follows
	rand *rand.Rand
	calm bool
}

func (c *chaos) roll(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calm {
		return 0
	}
	return c.rand.IntN(n)
}

func (c *chaos) script(int) script {
	switch c.roll(8) {
	case 6:
		return script{connect: func(p *peer) { p.connack(byte(1 + c.roll(7))) }}
	case 7:
		return script{open: func(*peer) bool { <-time.After(time.Duration(c.roll(60)) * time.Second); return true }}
	}
	return script{publish: c.publish}
}

func (c *chaos) publish(p *peer, m *packets.PublishPacket) {
	if m.TopicName == "cem/v1/box1/status" {
		p.puback(m.MessageID)
		return
	}
	k := parseKey(m.Payload)
	switch c.roll(12) {
	default: // as it should be
		p.puback(m.MessageID)
		p.store(k)
		p.ack(k)
	case 4: // accepted and lost
		p.puback(m.MessageID)
	case 5: // stored; the broker's answer is lost
		p.store(k)
		p.Close()
	case 6: // stored; the Ack is lost
		p.puback(m.MessageID)
		p.store(k)
	case 7: // neither
		p.Close()
	case 8: // neither, silently
	case 9: // all of it, late
		time.AfterFunc(time.Duration(c.roll(90))*time.Second, func() {
			p.puback(m.MessageID)
			p.store(k)
			p.ack(k)
		})
	case 10: // an Ack of what another box did
		p.puback(m.MessageID)
		k.Run.ID++
		p.store(k)
		p.ack(k)
	case 11:
		p.raw(byte(c.roll(256)), byte(c.roll(256)), 0xff)
	}
}

// Whatever the other side does: a report leaves the queue only when the CEM
// has stored it, once, and in the end the CEM has all of them.
func TestNothingIsLostWhateverTheBrokerDoes(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() {
		seeds = 10
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { surviveChaos(t, seed) })
		})
	}
}

func surviveChaos(t *testing.T, seed uint64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 5))
	c := labConfig()
	c.Window = 1 + rng.IntN(16)
	far := &chaos{rand: rand.New(rand.NewPCG(seed, 6))}
	r := newRig(t, c, far.script, func(o *Options) { o.Rand = rand.New(rand.NewPCG(seed, 7)) })
	want := map[Key]bool{}
	add := func(run wire.Run, lane wire.Lane, seq uint64) {
		k := Key{Run: run, Lane: lane, Sequence: seq}
		want[k] = true
		r.q.add(k)
	}
	before, now := wire.Run{ID: rng.Uint64() | 1, Counter: 1}, wire.Run{ID: rng.Uint64() &^ 1, Counter: 2}
	for seq := range 1 + rng.Uint64N(30) { // what the run before left
		add(before, wire.Windows, seq+1)
	}
	add(before, wire.Events, 1)
	r.run()
	events := uint64(0)
	for seq := range uint64(72) { // six hours
		add(now, wire.Windows, seq+1)
		if rng.IntN(6) == 0 {
			events++
			add(now, wire.Events, events)
		}
		after(time.Duration(1+rng.IntN(600)) * time.Second)
	}
	far.mu.Lock()
	far.calm = true
	far.mu.Unlock()
	after(30 * time.Hour)
	if n := r.q.left(); n != 0 {
		t.Errorf("%d reports left 30h after calm came; want 0", n)
	}
	r.end()
	r.mu.Lock()
	defer r.mu.Unlock()
	for k := range want {
		if !r.stored[k] {
			t.Errorf("the CEM does not have %v", k)
		}
	}
	gone := map[Key]int{}
	for _, k := range r.q.gone {
		gone[k]++
	}
	if len(gone) != len(want) || len(r.q.gone) != len(want) {
		t.Errorf("%d reports left the queue, %d different; want each of %d once", len(r.q.gone), len(gone), len(want))
	}
	if most := 20 * len(want); len(r.got) > most {
		t.Errorf("%d publications for %d reports; want at most %d", len(r.got), len(want), most)
	}
}
