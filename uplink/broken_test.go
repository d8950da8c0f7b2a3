package uplink

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"livebox-agent/uplink/wire"
)

// noCEM is a broker that answers and stores nothing.
func noCEM(p *peer, m *packets.PublishPacket) { p.puback(m.MessageID) }

// raw sends bytes in place of any answer.
func raw(b ...byte) func(*peer) { return func(p *peer) { p.raw(b...) } }

// reportOnly plays f for reports and is honest about the status.
func reportOnly(f func(p *peer, m *packets.PublishPacket)) func(*peer, *packets.PublishPacket) {
	return func(p *peer, m *packets.PublishPacket) {
		if m.TopicName == "cem/v1/box1/status" {
			p.puback(m.MessageID)
			return
		}
		f(p, m)
	}
}

// strangeAcks acknowledges all but what it should.
func strangeAcks(p *peer, m *packets.PublishPacket) {
	p.puback(m.MessageID)
	k := parseKey(m.Payload)
	p.message("cem/v1/box2/ack", wire.AppendAck(nil, wire.Ack{
		Lanes: []wire.LaneAck{{RunID: k.Run.ID, Lane: k.Lane, Contiguous: k.Sequence}},
	}))
	k.Run.ID++
	p.store(k)
	p.ack(k)
	p.message("cem/v1/box1/ack", nil)
	p.message("cem/v1/box1/ack", []byte("\xff\xff\xff not an ack"))
	p.message("", nil)
}

// A broken is a broker that breaks a rule.
type broken struct {
	name string
	s    script
	// mostConns and mostReports are for two hours with three reports queued.
	mostConns, mostReports int
	class                  Class // one that must be counted; empty: no failure at all
}

// silentBrokers leave out or hold back what they should say.
func silentBrokers() []broken {
	return []broken{
		{
			"closes without PUBACK",
			script{publish: func(p *peer, _ *packets.PublishPacket) { p.Close() }},
			40, 120, ClassLost,
		},
		{
			"never acks",
			script{publish: func(*peer, *packets.PublishPacket) {}},
			40, 120, ClassTimeout,
		},
		{
			"acks the status, never a report",
			script{publish: reportOnly(func(*peer, *packets.PublishPacket) {})},
			40, 120, ClassTimeout,
		},
		{
			"acks and loses; a denied publish looks the same",
			script{publish: noCEM},
			1, 9, "",
		},
		{
			"accepts TCP and never answers",
			script{connect: func(*peer) {}},
			40, 0, ClassTimeout,
		},
		{
			"accepts TCP and never reads",
			script{open: func(p *peer) bool { <-time.After(10 * time.Minute); return true }},
			40, 0, ClassTimeout,
		},
		{
			"stops reading after the first report",
			script{publish: reportOnly(func(p *peer, m *packets.PublishPacket) {
				p.puback(m.MessageID)
				<-time.After(10 * time.Minute)
				p.Close()
			})},
			40, 120, ClassTimeout,
		},
		{
			"never answers the subscription",
			script{subscribe: func(*peer, uint16) {}},
			40, 0, ClassTimeout,
		},
		{
			"answers the subscription with a PUBACK",
			script{subscribe: func(p *peer, id uint16) { p.puback(id) }, publish: noCEM},
			1, 9, "",
		},
		{
			"denies the subscription",
			script{subscribe: func(p *peer, id uint16) { p.suback(id, 0x80) }, publish: noCEM},
			1, 9, "",
		},
	}
}

// wrongBrokers say what they should not.
func wrongBrokers() []broken {
	return []broken{
		{
			"refuses: bad user name",
			script{connect: func(p *peer) { p.connack(4) }},
			20, 0, ClassRefused,
		},
		{
			"refuses: not authorised",
			script{connect: func(p *peer) { p.connack(5) }},
			20, 0, ClassRefused,
		},
		{
			"refuses: unavailable",
			script{connect: func(p *peer) { p.connack(3) }},
			40, 0, ClassUnavailable,
		},
		{
			"refuses with a code that does not exist",
			script{connect: func(p *peer) { p.connack(77) }},
			20, 0, ClassProtocol,
		},
		{
			"closes at once",
			script{open: func(*peer) bool { return true }},
			40, 0, ClassLost,
		},
		{
			"closes after CONNACK",
			script{connect: func(p *peer) { p.connack(0); p.Close() }},
			40, 0, ClassLost,
		},
		{
			"garbage",
			script{connect: raw([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")...)},
			20, 0, ClassProtocol,
		},
		{
			"garbage later",
			script{publish: func(p *peer, _ *packets.PublishPacket) { p.raw(0xf0, 0xff, 0xff, 0xff, 0xff) }},
			20, 60, ClassProtocol,
		},
		{
			"a packet of 256 MiB",
			script{publish: func(p *peer, _ *packets.PublishPacket) { p.raw(0x30, 0xff, 0xff, 0xff, 0x7f) }},
			20, 60, ClassProtocol,
		},
		{
			"more SUBACK codes than subscriptions",
			script{subscribe: func(p *peer, id uint16) { p.suback(id, 1, 1, 1) }},
			20, 0, ClassProtocol,
		},
		{
			"closes in the middle of a packet",
			script{open: func(p *peer) bool {
				b := make([]byte, 20)
				_, _ = p.Read(b)
				p.connack(0)
				_, _ = p.Read(b[:7])
				return true
			}},
			40, 0, ClassLost,
		},
		{
			"PUBACKs of others, twice each",
			script{publish: func(p *peer, m *packets.PublishPacket) {
				p.puback(m.MessageID + 7)
				p.puback(m.MessageID + 7)
			}},
			40, 120, ClassTimeout,
		},
		{
			"acks of an unknown run, of nothing, garbage and wrong topics",
			script{publish: strangeAcks},
			1, 9, "",
		},
	}
}

// After two hours of each of these, no report has left the queue against the
// rule, the broker has seen a bounded number of connections and reports, and
// when it is honest again everything is delivered.
func TestBrokenBrokerCostsNoReportAndNoTightLoop(t *testing.T) {
	for _, tt := range append(silentBrokers(), wrongBrokers()...) {
		t.Run(tt.name, func(t *testing.T) {
			for _, mode := range []string{AckApplication, AckBroker} {
				t.Run(mode, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { breakAndMend(t, tt, mode) })
				})
			}
		})
	}
}

func breakAndMend(t *testing.T, bad broken, mode string) {
	t.Helper()
	c := labConfig()
	c.Acknowledgement = mode
	mended := make(chan struct{})
	r := newRig(t, c, func(int) script {
		select {
		case <-mended:
			return script{broker: mode == AckBroker}
		default:
			return bad.s
		}
	}, nil)
	r.q.add(window(1), window(2), event(1))
	r.run()
	after(2 * time.Hour)
	conns, reports := r.count()
	s := r.u.Stats()
	t.Logf("2h: %d connections, %d reports, failures %v", conns, reports, s.Failures)
	if conns == 0 || conns > bad.mostConns {
		t.Errorf("%d connections in 2h; want 1 to %d", conns, bad.mostConns)
	}
	if reports > bad.mostReports {
		t.Errorf("%d reports in 2h; want at most %d", reports, bad.mostReports)
	}
	if bad.class != "" && s.Failures[bad.class] == 0 {
		t.Errorf("failures %v; want some of %q", s.Failures, bad.class)
	}
	// A PUBACK is enough for the mode that says so, and for no other.
	if pubacked := mode == AckBroker && s.Pubacked > 0; r.q.left() != 3 && !pubacked {
		t.Errorf("%d reports left; want 3", r.q.left())
	}
	close(mended)
	after(4 * time.Hour)
	if n := r.q.left(); n != 0 && bad.class != "" { // without a failure the broken connection is still in use
		again, _ := r.count()
		t.Errorf("%d reports left 4h after the broker was mended, %d connections later; want 0", n, again-conns)
	}
	if d := r.end(); d > 15*time.Second {
		t.Errorf("Run ended %v after its context; want at most 15s", d)
	}
}

// The bubble of each test fails if a goroutine is left behind; this one counts
// on the way.
func TestNoGoroutineIsLeftBehindOverReconnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ends := []script{
			{publish: func(p *peer, _ *packets.PublishPacket) { p.Close() }},
			{connect: func(p *peer) { p.connack(5) }},
			{connect: raw(0xff, 0xff)},
			{subscribe: func(*peer, uint16) {}},
			{publish: func(p *peer, m *packets.PublishPacket) { p.raw(0x30, 0xff, 0xff, 0xff, 0x7f) }},
			{publish: func(p *peer, m *packets.PublishPacket) { p.ack(parseKey(m.Payload)); p.Close() }},
			{publish: func(*peer, *packets.PublishPacket) {}},
		}
		r := newRig(t, labConfig(), func(n int) script { return ends[n%len(ends)] }, nil)
		r.q.add(windows(1, 100)...)
		r.run()
		counts := map[int]int{}
		for n := 0; n < 110; {
			after(time.Minute)
			if now, _ := r.count(); now != n && r.u.Stats().State == StateWaiting {
				n = now
				counts[n] = runtime.NumGoroutine()
			}
		}
		early, late := 1<<30, 0
		for n, g := range counts {
			switch {
			case n <= 20:
				early = min(early, g)
			case n > 100:
				late = max(late, g)
			}
		}
		if late > early+3 {
			t.Errorf("%d goroutines after 100 connections, %d before 20; want no more", late, early)
		}
		r.end()
	})
}

func TestHugePacketIsRefusedBeforeItIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, labConfig(), func(int) script {
			return script{connect: raw(0x20, 0xff, 0xff, 0xff, 0x7f)}
		}, nil)
		var before, behind runtime.MemStats
		runtime.ReadMemStats(&before)
		r.run()
		after(time.Hour)
		runtime.ReadMemStats(&behind)
		if d := behind.TotalAlloc - before.TotalAlloc; d > 32<<20 {
			t.Errorf("%d bytes allocated for packets that claim 256 MiB each; want none of it", d)
		}
		if r.u.Stats().Failures[ClassProtocol] == 0 {
			t.Errorf("failures %v; want protocol", r.u.Stats().Failures)
		}
		r.end()
	})
}
