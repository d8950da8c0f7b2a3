package uplink

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"livebox-agent/uplink/wire"
)

// The connection becomes metered and back, on one connection and over several.
func TestMeteredConnectionCarriesOnlyEvents(t *testing.T) {
	for _, reconnects := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var metered atomic.Bool
			var box *peer
			r := newRig(t, labConfig(), func(int) script {
				return script{publish: func(p *peer, m *packets.PublishPacket) {
					box = p
					p.puback(m.MessageID)
					if k := parseKey(m.Payload); m.TopicName != "cem/v1/box1/status" {
						p.store(k)
						p.ack(k)
					}
				}}
			}, func(o *Options) { o.Metered = metered.Load })
			change := func(on bool) {
				metered.Store(on)
				if reconnects {
					box.Close()
				} else {
					r.u.StatusChanged()
				}
				after(5 * time.Minute)
			}
			r.q.add(windows(1, 40)...)
			r.run()
			after(10 * time.Second) // the backlog is under way
			change(true)
			before := sequences(r.arrivals(), 0, wire.Windows)
			for s := range uint64(30) {
				r.q.add(window(41+s), event(1+s))
				after(5 * time.Minute)
			}
			as := r.arrivals()
			if got := sequences(as, 0, wire.Windows); !slices.Equal(got, before) || len(before) < 5 || len(before) > 20 {
				t.Errorf("windows %v went while metered, after %v", got[len(before):], before)
			}
			if got := sequences(as, 0, wire.Events); len(got) != 30 {
				t.Errorf("events %v went while metered; want all 30 at once", got)
			}
			if r.sick(wire.HealthMetered) == "" || !r.u.Stats().Metered {
				t.Error("not said that the connection is metered")
			}

			change(false)
			as = r.arrivals()
			after := as[len(before)+30:]
			got := sequences(after, 0, wire.Windows)
			if len(got) == 0 || got[0] != 70 {
				t.Fatalf("windows after it: %v; want the newest, 70, first", got)
			}
			if rest := got[1:]; !slices.IsSorted(rest) || len(slices.Compact(slices.Clone(rest))) != len(rest) {
				t.Errorf("windows after it: %v; want the others in their order, once", got)
			}
			if took := after[len(after)-1].at.Sub(after[0].at); took < 40*time.Second || took > 80*time.Second {
				t.Errorf("%d windows took %v; want the rate of a backlog, about 1 a second", len(got), took)
			}
			if r.q.left() != 0 || r.sick(wire.HealthMetered) != "" {
				t.Errorf("%d reports left, health %q", r.q.left(), r.sick(wire.HealthMetered))
			}
			r.end()
		})
	}
}

func TestOwnerSaysWhetherTheConnectionIsMetered(t *testing.T) {
	for _, tt := range []struct {
		config string
		box    func() bool
		want   bool
	}{
		{MeteredAuto, nil, false},
		{MeteredAuto, func() bool { return true }, true},
		{MeteredAlways, func() bool { return false }, true},
		{MeteredNever, func() bool { return true }, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := labConfig()
			c.Metered = tt.config
			r := newRig(t, c, nil, func(o *Options) { o.Metered = tt.box })
			r.q.add(window(1), event(1))
			r.run()
			after(26 * time.Hour) // rounds of sending again included
			if left := r.q.left(); (left == 1) != tt.want {
				t.Errorf("%s: %d reports left; want metered: %v", tt.config, left, tt.want)
			}
			if n := len(sequences(r.arrivals(), 0, wire.Events)); n != 1 {
				t.Errorf("%s: the event went %d times", tt.config, n)
			}
			r.end()
		})
	}
}

// What the CEM has not acknowledged of a lane that is held is not sent again
// until it goes on, and once then.
func TestHeldLaneSendsNothingAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var metered atomic.Bool
		r := newRig(t, labConfig(), func(int) script { return script{broker: true} }, func(o *Options) { o.Metered = metered.Load })
		r.q.may = nil
		r.q.add(windows(1, 3)...)
		r.run()
		after(time.Minute)
		metered.Store(true)
		r.u.StatusChanged()
		after(20 * time.Hour)
		if got := sequences(r.arrivals(), 0, wire.Windows); !slices.Equal(got, []uint64{3, 1, 2}) {
			t.Errorf("windows %v; want each once", got)
		}
		metered.Store(false)
		r.u.StatusChanged()
		after(time.Minute)
		if got := sequences(r.arrivals(), 0, wire.Windows); !slices.Equal(got, []uint64{3, 1, 2, 1, 2, 3}) {
			t.Errorf("windows %v; want each once more", got)
		}
		r.end()
	})
}
