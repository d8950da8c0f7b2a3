package uplink

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"livebox-agent/uplink/wire"
)

func TestPaceHoldsToItsRate(t *testing.T) {
	start := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, ahead := range []time.Duration{0, 3 * time.Second} {
		p := pace{ahead: ahead}
		now, sent := start, time.Duration(0)
		for i := range 1000 {
			if !p.ready(now) {
				if next := p.next(); !next.After(now) || p.ready(next.Add(-1)) || !p.ready(next) {
					t.Fatalf("next() = %v at %v is not when more may go", next, now)
				}
				now = p.next()
			}
			d := time.Duration(i%7) * 100 * time.Millisecond
			p.sent(now, d)
			sent += d
			if most := now.Sub(start) + ahead + d; sent > most {
				t.Fatalf("%v of sending by %v; want at most %v", sent, now.Sub(start), most)
			}
		}
		if least := now.Sub(start) - time.Second; sent < least {
			t.Errorf("%v of sending in %v; want no idle time", sent, now.Sub(start))
		}
		// What was not used is not saved up.
		now = now.Add(time.Hour)
		n := 0
		for ; p.ready(now); n++ {
			p.sent(now, time.Second)
		}
		if want := int(ahead/time.Second) + 1; n != want {
			t.Errorf("%d seconds of sending at once after an idle hour; want %d", n, want)
		}
	}
}

func longItem(k Key, size int) Item {
	text := append([]byte(keyText(k)), bytes.Repeat([]byte(" "), size)...)
	return Item{Key: k, Payload: func(b []byte) ([]byte, error) { return append(b, text...), nil }}
}

// Fresh reports, backlog and statuses together, over connections that end: no
// more goes in any time than the cap and one burst allow.
func TestBandwidthCapsAllThatIsPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := labConfig()
		c.Bandwidth, c.BacklogRate, c.BacklogBytes, c.BackoffMax = 1000, 1000, 1e8, time.Second
		r := newRig(t, c, func(int) script {
			return script{connect: func(p *peer) {
				p.connack(0)
				time.AfterFunc(100*time.Second, func() { p.Close() })
			}}
		}, nil)
		for s := range uint64(60) {
			r.q.addItem(longItem(window(s+1), 4000))
		}
		r.run()
		var up []uint64
		for s := range uint64(900) {
			if s < 60 {
				r.q.addItem(longItem(window(1000+s), 3000))
				r.u.StatusChanged()
			}
			after(time.Second)
			up = append(up, r.u.Stats().BytesUp)
		}
		const headers = 200 // of MQTT, for each connection and for all that is not published
		for i := range up {
			for j := i; j < len(up); j++ {
				if n, most := up[j]-up[i], uint64(1000*(j-i+1)+maxMessage+4100+headers*(1+(j-i)/50)); n > most {
					t.Fatalf("%d bytes up from second %d to %d; want at most %d", n, i, j, most)
				}
			}
		}
		if n := r.q.left(); n > 0 || up[len(up)-1] < 420_000 {
			t.Errorf("%d reports left after %d bytes; want 420 kB delivered", n, up[len(up)-1])
		}
		r.end()
	})
}

func TestEventGoesBeforeWindowsThatWaitForTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := labConfig()
		c.Bandwidth = 1000
		r := newRig(t, c, nil, nil)
		r.run()
		after(time.Minute)
		for s := range uint64(100) {
			r.q.addItem(longItem(window(s+1), 4000))
		}
		after(2 * time.Minute) // past the burst
		before := len(r.arrivals())
		r.q.addItem(longItem(event(1), 4000))
		after(10 * time.Second)
		as := r.arrivals()
		if before < 20 || before > 60 || len(as) <= before || as[before].key.Lane != wire.Events {
			t.Errorf("%d windows before the event, %v after; want the event next", before, as[before:])
		}
		after(10 * time.Minute)
		if n := r.q.left(); n > 0 {
			t.Errorf("%d reports left", n)
		}
		r.end()
	})
}
