package uplink

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"livebox-agent/uplink/wire"
)

func TestReportLeavesOnlyByAckOfTheCEM(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var box *peer
		r := newRig(t, labConfig(), func(int) script {
			return script{publish: func(p *peer, m *packets.PublishPacket) {
				box = p
				p.puback(m.MessageID)
			}}
		}, nil)
		r.q.add(window(1), event(1))
		r.run()
		after(10 * time.Minute)
		if n := r.q.left(); n != 2 {
			t.Fatalf("%d reports left after the broker's PUBACK; want 2: the CEM has stored nothing", n)
		}
		if s := r.u.Stats(); s.Pubacked != 2 || s.Acknowledged != 0 {
			t.Errorf("Stats() = %+v; want 2 pubacked, 0 acknowledged", s)
		}
		r.store(window(1))
		box.ack(window(1))
		after(time.Second)
		if _, ok := r.q.Last(wire.Windows); ok {
			t.Error("window 1 is still queued after the CEM's Ack")
		}
		if _, ok := r.q.Last(wire.Events); !ok {
			t.Error("event 1 left the queue with the Ack of window 1")
		}
		if s := r.u.Stats(); s.Acknowledged != 1 {
			t.Errorf("Stats().Acknowledged = %d; want 1", s.Acknowledged)
		}
		r.end()
	})
}

func TestBrokerModeNeedsPubackOnTheSameConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := labConfig()
		c.Acknowledgement = AckBroker
		r := newRig(t, c, func(n int) script {
			return script{broker: true, publish: func(p *peer, m *packets.PublishPacket) {
				switch {
				case m.TopicName == "cem/v1/box1/status" && n > 1:
					p.puback(m.MessageID)
				case n == 1: // read, and closed without PUBACK
					p.Close()
				case n == 2: // the PUBACK of another
					p.puback(m.MessageID + 100)
				default:
					p.store(parseKey(m.Payload))
					p.puback(m.MessageID)
				}
			}}
		}, nil)
		r.q.may = r.isStored
		r.q.add(windows(1, 3)...)
		r.run()
		for len(r.arrivals()) < 4 {
			after(time.Second)
		}
		if n := r.q.left(); n != 3 {
			t.Errorf("%d reports left before any PUBACK; want 3", n)
		}
		after(10 * time.Minute)
		if n := r.q.left(); n != 0 {
			t.Errorf("%d reports left after their PUBACK; want 0", n)
		}
		r.end()
	})
}

func TestFreshFirstThenBacklogOldestFirstAtACappedRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, labConfig(), nil, nil)
		r.q.add(windows(1, 50)...)
		r.q.add(event(1), event(2), event(3))
		r.run()
		after(10 * time.Second)
		r.q.add(window(51))
		after(time.Second)
		r.q.add(event(4))
		after(2 * time.Minute)

		as := r.arrivals()
		if got, want := sequences(as, 1, wire.Events), []uint64{1, 2, 3, 4}; !slices.Equal(got, want) {
			t.Errorf("events came as %v; want %v", got, want)
		}
		for i, a := range as[:3] {
			if a.key.Lane != wire.Events {
				t.Errorf("arrival %d is of %v; want all old events before any window", i, a.key.Lane)
			}
		}
		got := sequences(as, 1, wire.Windows)
		if got[0] != 50 {
			t.Errorf("the first window is %d; want the newest, 50", got[0])
		}
		if i := slices.Index(got, 51); i < 0 || i > 20 {
			t.Errorf("fresh window 51 came at place %d; want it before the backlog is through", i)
		}
		old := slices.DeleteFunc(slices.Clone(got), func(s uint64) bool { return s >= 50 })
		if !slices.IsSorted(old) || len(old) != 49 {
			t.Errorf("backlog came as %v; want 1 to 49 in order", old)
		}
		var times []time.Time
		gaps := map[time.Duration]bool{}
		for _, a := range as {
			if a.key.Lane == wire.Windows && a.key.Sequence < 50 {
				if n := len(times); n > 0 {
					gaps[a.at.Sub(times[n-1])] = true
				}
				times = append(times, a.at)
			}
		}
		took := times[len(times)-1].Sub(times[0])
		if took < 35*time.Second || took > 65*time.Second {
			t.Errorf("48 gaps at 1 report/s took %v; want about 48s", took)
		}
		if len(gaps) < 40 {
			t.Errorf("%d different gaps; want jittered ones", len(gaps))
		}
		if r.q.left() != 0 {
			t.Errorf("%d reports left; want 0", r.q.left())
		}
		r.end()
	})
}

func TestBacklogRateInBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := labConfig()
		c.BacklogRate, c.BacklogBytes = 1000, 1000
		r := newRig(t, c, nil, nil)
		for s := range uint64(21) {
			text := keyText(window(s+1)) + strings.Repeat(" ", 4000)
			r.q.addItem(Item{Key: window(s + 1), Payload: func(b []byte) ([]byte, error) { return append(b, text...), nil }})
		}
		r.run()
		after(10 * time.Minute)
		as := r.arrivals()
		if len(as) != 21 {
			t.Fatalf("%d arrivals; want 21", len(as))
		}
		if took := as[20].at.Sub(as[1].at); took < 60*time.Second || took > 92*time.Second {
			t.Errorf("19 gaps of 4 KB at 1000 bytes/s took %v; want about 76s", took)
		}
		r.end()
	})
}

func TestEventsOvertakeWindowsInTheBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, labConfig(), nil, nil)
		r.q.add(windows(1, 10)...)
		for s := range uint64(30) {
			r.q.add(event(s + 1))
		}
		r.run()
		after(2 * time.Minute)
		as := r.arrivals()
		if got := sequences(as, 1, wire.Events); !slices.IsSorted(got) || len(got) != 30 {
			t.Errorf("events came as %v; want 1 to 30", got)
		}
		lastEvent := 0
		for i, a := range as {
			if a.key.Lane == wire.Events {
				lastEvent = i
			}
		}
		for i, a := range as[:lastEvent] {
			if a.key.Lane == wire.Windows && (i < eventBurst || a.key.Sequence != 10) {
				t.Errorf("window %d came at place %d of %d, before the last event; want only the newest, after the burst",
					a.key.Sequence, i, lastEvent)
			}
		}
		r.end()
	})
}

func TestAcceptedButNotStoredIsSentAgainAfterDoublingWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, labConfig(), func(int) script { return script{broker: true} }, nil)
		r.q.add(window(1))
		r.run()
		after(14 * time.Minute)
		if d := r.sick(wire.HealthNotStored); d != "" {
			t.Errorf("not_stored after 14m: %s", d)
		}
		after(2 * time.Minute)
		if d := r.sick(wire.HealthNotStored); !strings.Contains(d, "windows 1 of run 000000000000004d") {
			t.Errorf("not_stored after 16m = %q; want it to name window 1", d)
		}
		after(24 * time.Hour)
		var waits []time.Duration
		as := r.arrivals()
		for i := 1; i < len(as); i++ {
			waits = append(waits, as[i].at.Sub(as[i-1].at).Round(time.Minute))
		}
		want := []time.Duration{30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour}
		if !slices.Equal(waits, want) {
			t.Errorf("sent again after %v; want %v", waits, want)
		}
		if d, _ := r.count(); d != 1 {
			t.Errorf("%d connections; want 1", d)
		}
		r.end()
	})
}

func TestOnlyOldEnoughReportsAreSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, labConfig(), func(int) script { return script{broker: true} }, nil)
		r.run()
		for s := range uint64(20) { // one every five minutes
			r.q.add(window(s + 1))
			after(5 * time.Minute)
		}
		sent := map[uint64]time.Time{}
		again := 0
		for _, a := range r.arrivals() {
			if first, ok := sent[a.key.Sequence]; ok {
				again++
				if d := a.at.Sub(first); d < 30*time.Minute {
					t.Errorf("window %d was sent again after %v; want at least 30m", a.key.Sequence, d)
				}
				continue
			}
			sent[a.key.Sequence] = a.at
		}
		if len(sent) != 20 || again == 0 {
			t.Errorf("%d windows sent, %d again; want 20 and some", len(sent), again)
		}
		r.end()
	})
}

func TestNotStoredIsSaidThoughTheLinkNeverLastsThatLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, labConfig(), func(int) script {
			return script{broker: true, open: func(p *peer) bool {
				time.AfterFunc(6*time.Minute, func() { p.Close() })
				return false
			}}
		}, nil)
		r.q.add(windows(1, 3)...)
		r.run()
		after(10 * time.Minute)
		if d := r.sick(wire.HealthNotStored); d != "" {
			t.Errorf("not_stored after 10m: %s", d)
		}
		after(20 * time.Minute)
		if r.sick(wire.HealthNotStored) == "" {
			t.Error("not_stored is good after five connections of 6m without an Ack")
		}
		r.end()
	})
}

func TestFreshWaitsForNoSlowBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := labConfig()
		c.BacklogRate, c.BacklogBytes = 1000, 1e6
		r := newRig(t, c, func(int) script {
			return script{publish: reportOnly(func(p *peer, m *packets.PublishPacket) {
				time.AfterFunc(30*time.Second, func() { p.puback(m.MessageID) })
			})}
		}, nil)
		r.q.add(windows(1, 40)...)
		r.run()
		after(40 * time.Second) // the newest is through, the slots are full of the backlog
		r.q.add(window(41))
		after(time.Second)
		if !slices.Contains(sequences(r.arrivals(), 1, wire.Windows), 41) {
			t.Error("fresh window 41 waits for the backlog's PUBACKs")
		}
		r.end()
	})
}

func TestCEMQuickerThanTheBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, labConfig(), func(int) script {
			return script{publish: reportOnly(func(p *peer, m *packets.PublishPacket) {
				k := parseKey(m.Payload)
				p.store(k)
				p.ack(k)
				time.AfterFunc(time.Second, func() { p.puback(m.MessageID) })
			})}
		}, nil)
		r.q.add(window(1), event(1))
		r.run()
		after(time.Hour)
		if len(r.news) != 1 || r.q.left() != 0 {
			t.Errorf("health %v, %d reports left; want not_encrypted+ and the Acks taken", r.news, r.q.left())
		}
		r.end()
	})
}

func TestAnOutageDoesNotCountAsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, labConfig(), func(n int) script {
			switch {
			case n == 1: // accepts, and is gone before the CEM can answer
				return script{publish: func(p *peer, m *packets.PublishPacket) {
					p.puback(m.MessageID)
					time.AfterFunc(time.Second, func() { p.Close() })
				}}
			case n < 12:
				return script{open: func(*peer) bool { return true }}
			}
			return script{}
		}, nil)
		r.q.add(window(1))
		r.run()
		after(5 * time.Hour)
		if slices.Contains(r.news, wire.HealthNotStored+"+") {
			t.Errorf("health %v; want no not_stored: the broker was away", r.news)
		}
		if r.q.left() != 0 {
			t.Errorf("%d reports left; want 0", r.q.left())
		}
		r.end()
	})
}

func TestFreshEventGoesBeforeFreshWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := labConfig()
		c.Window = 1
		r := newRig(t, c, func(int) script {
			return script{publish: func(p *peer, m *packets.PublishPacket) {
				time.AfterFunc(10*time.Second, func() { p.puback(m.MessageID) })
			}}
		}, nil)
		r.run()
		after(time.Minute)
		r.q.add(window(1))
		after(time.Second) // in flight: nothing else may go
		r.q.add(window(2))
		r.q.add(event(1))
		after(time.Minute)
		as := r.arrivals()
		if len(as) != 3 || as[1].key != event(1) {
			t.Errorf("arrivals %v; want window 1, event 1, window 2", as)
		}
		r.end()
	})
}

func TestNotStoredEndsWhenTheCEMComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		back := false
		r := newRig(t, labConfig(), func(int) script {
			return script{publish: func(p *peer, m *packets.PublishPacket) {
				p.puback(m.MessageID)
				if k := parseKey(m.Payload); back && k.Sequence > 0 {
					p.store(k)
					p.ack(k)
				}
			}}
		}, nil)
		r.q.add(windows(1, 3)...)
		r.run()
		after(9 * time.Hour)
		if r.sick(wire.HealthNotStored) == "" {
			t.Error("not_stored is good after 9h without a CEM")
		}
		back = true
		r.q.add(window(4))
		after(time.Hour) // rounds were up to 8h apart
		if n := r.q.left(); n != 0 {
			t.Errorf("%d reports left an hour after the CEM came back; want 0", n)
		}
		if d := r.sick(wire.HealthNotStored); d != "" {
			t.Errorf("not_stored an hour after the CEM came back: %s", d)
		}
		r.end()
	})
}

func TestOneReportNeverStoredIsNotSentOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, labConfig(), func(int) script {
			return script{publish: func(p *peer, m *packets.PublishPacket) {
				p.puback(m.MessageID)
				if k := parseKey(m.Payload); k.Sequence > 1 {
					p.store(k)
					p.ack(k)
				}
			}}
		}, nil)
		r.run()
		for s := range uint64(24 * 12) {
			r.q.add(window(s + 1))
			after(5 * time.Minute)
		}
		times := 0
		for _, a := range r.arrivals() {
			if a.key.Sequence == 1 {
				times++
			}
		}
		if times < 4 || times > 7 {
			t.Errorf("the report that is never stored was sent %d times in a day; want 4 to 7", times)
		}
		if r.sick(wire.HealthNotStored) == "" {
			t.Error("not_stored is good; want it bad for the one report")
		}
		if n := r.q.left(); n != 1 {
			t.Errorf("%d reports left; want that one", n)
		}
		r.end()
	})
}

func TestUnacknowledgedIsSentAgainOnTheNextConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, labConfig(), func(n int) script {
			if n > 1 {
				return script{}
			}
			return script{publish: func(p *peer, m *packets.PublishPacket) {
				p.puback(m.MessageID)
				if parseKey(m.Payload).Sequence == 2 {
					time.AfterFunc(time.Second, func() { p.Close() })
				}
			}}
		}, nil)
		r.q.add(windows(1, 3)...)
		r.run()
		after(time.Minute)
		if got, want := sequences(r.arrivals(), 2, wire.Windows), []uint64{3, 1, 2}; !slices.Equal(got, want) {
			t.Errorf("second connection carried %v; want %v", got, want)
		}
		if n := r.q.left(); n != 0 {
			t.Errorf("%d reports left; want 0", n)
		}
		r.end()
	})
}

func TestReportThatCannotBeSentHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, labConfig(), nil, nil)
		big := make([]byte, maxMessage+1)
		r.q.addItem(Item{Key: window(1), Payload: func(b []byte) ([]byte, error) { return append(b, big...), nil }})
		r.q.addItem(Item{Key: event(1), Payload: func([]byte) ([]byte, error) { return nil, errors.New("damaged") }})
		r.q.addItem(Item{Key: window(2), Payload: func(b []byte) ([]byte, error) { return b, nil }})
		r.q.add(window(3), event(2), window(4))
		r.run()
		after(time.Minute)
		if n := r.q.left(); n != 3 {
			t.Errorf("%d reports left; want the 3 that cannot be sent", n)
		}
		if s := r.u.Stats(); s.Refused != 3 || s.Published != 3 {
			t.Errorf("refused %d, published %d; want 3 and 3", s.Refused, s.Published)
		}
		if r.sick(wire.HealthReportRefused) == "" {
			t.Error("report_refused is good; want it bad")
		}
		after(6 * time.Hour)
		if s := r.u.Stats(); s.Refused > 3*15 {
			t.Errorf("refused %d times in 6h; want no tight loop", s.Refused)
		}
		for _, k := range []Key{window(1), window(2), event(1)} { // evicted at last
			r.store(k)
			r.q.Ack(k.Run.ID, k.Lane, k.Sequence, nil)
		}
		after(14 * time.Hour)
		if d := r.sick(wire.HealthReportRefused); d != "" {
			t.Errorf("report_refused after they are gone: %s", d)
		}
		r.end()
	})
}

func TestNoMoreInFlightThanTheWindow(t *testing.T) {
	for _, size := range []int{1, 2, 4, 16} {
		t.Run(fmt.Sprint("window ", size), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := labConfig()
				c.Window = size
				c.PubackTimeout = 4 * time.Minute
				var mu sync.Mutex // guards flying and most
				flying, most := 0, 0
				r := newRig(t, c, func(int) script {
					return script{publish: func(p *peer, m *packets.PublishPacket) {
						if m.TopicName == "cem/v1/box1/status" {
							p.puback(m.MessageID)
							return
						}
						mu.Lock()
						flying++
						most = max(most, flying)
						mu.Unlock()
						time.AfterFunc(20*time.Second, func() { // a slow PUBACK
							mu.Lock()
							flying--
							mu.Unlock()
							p.puback(m.MessageID)
							k := parseKey(m.Payload)
							p.store(k)
							p.ack(k)
						})
					}}
				}, nil)
				r.q.add(windows(1, 20)...)
				r.run()
				after(time.Second)
				r.q.add(windows(21, 60)...)
				after(time.Hour)
				if most != size {
					t.Errorf("at most %d reports in flight; want %d", most, size)
				}
				if n := r.q.left(); n != 0 {
					t.Errorf("%d reports left; want 0: slow PUBACKs are PUBACKs", n)
				}
				if d, n := r.count(); d != 1 || n != 60 {
					t.Errorf("%d connections, %d arrivals; want 1 and 60", d, n)
				}
				r.end()
			})
		})
	}
}
