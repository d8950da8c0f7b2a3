package cem

import (
	"math"
	"testing"
	"time"

	"livebox-agent/uplink/wire"
)

// synced is a clock that was synchronised over a time, off by so much from a
// boot an hour before the broker receives.
func synced(from, to, off time.Duration) wire.Clock {
	return wire.Clock{WallAtBoot: received.Add(off - time.Hour), Quality: wire.ClockSynchronised, From: from, To: to}
}

func TestWhatIsLearntLaterPlacesWhatCameBefore(t *testing.T) {
	first := window(run1, 1)
	first.Sections = []wire.Section{upTime(30*time.Second, 1)}
	event := eventReport(run1, 1, wire.Event{Type: wire.StoreReset, At: 30 * time.Second})
	better := synced(2*time.Minute, 3*time.Minute, 0)
	again, later, ofNext := first, window(run1, 2), window(wire.Run{ID: 0xa2, Counter: 2, KernelBoot: run1.KernelBoot}, 1)
	again.Clock, later.Clock, ofNext.Clock = better, better, better
	tell := func(r wire.Report) func(*box) { return func(b *box) { send(b, r) } }
	for name, learn := range map[string]func(*box){
		"by the same report, sent again":    tell(again),
		"by a later report":                 tell(later),
		"by a later run of the same kernel": tell(ofNext),
		"by the status": func(b *box) {
			b.foldStatus(message{subject: "cem.v1.box1.status", stored: received, payload: wire.AppendStatus(nil, wire.Status{
				Box: "box1", Online: true, Run: run1, Clock: better,
			})})
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox("box1")
			send(b, first, event)
			if v, e := value(t, b), b.snapshot().Events[0]; !v.Wall.IsZero() || !e.Wall.IsZero() {
				t.Fatalf("placed at %v, %v before anything is known", v.Wall, e.Wall)
			}
			learn(b)
			want := received.Add(30*time.Second - time.Hour)
			if v, e := value(t, b), b.snapshot().Events[0]; !v.Wall.Equal(want) || !e.Wall.Equal(want) {
				t.Errorf("reading at %v, event at %v; want %v", v.Wall, e.Wall, want)
			}
			if wall, ok := b.snapshot().Place(run1.KernelBoot+1, 0); ok {
				t.Errorf("a boot of which nothing is known is placed at %v", wall)
			}
		})
	}
}

func TestSpansPlaceInWhateverOrderTheyCome(t *testing.T) {
	const unplaceable = math.MinInt64
	for _, tt := range []struct {
		name  string
		spans []wire.Clock
		at    time.Duration
		want  time.Duration // off; or unplaceable
	}{
		{"grown", []wire.Clock{synced(5*time.Hour, 6*time.Hour, 0), synced(5*time.Hour, 9*time.Hour, 0)}, 10 * time.Hour, 0},
		{"the nearest", []wire.Clock{synced(0, 0, 0), synced(3*time.Hour, 3*time.Hour, 200*time.Millisecond)}, time.Hour, 0},
		{"the nearest, later", []wire.Clock{synced(0, 0, 0), synced(3*time.Hour, 3*time.Hour, 200*time.Millisecond)}, 2 * time.Hour, 200 * time.Millisecond},
		{"inside one", []wire.Clock{synced(0, 4*time.Hour, 0), synced(4*time.Hour+1, 5*time.Hour, 300*time.Millisecond)}, 4 * time.Hour, 0},
		{"drift while it ran free", []wire.Clock{synced(0, 0, 0), synced(100*time.Hour, 100*time.Hour, -18*time.Second)}, time.Hour, 0},
		{"more than drift", []wire.Clock{synced(0, 0, 0), synced(100*time.Hour, 100*time.Hour, -19*time.Second)}, time.Hour, unplaceable},
		{"put right at once", []wire.Clock{synced(0, time.Hour, -2*time.Second), synced(time.Hour+1, 2*time.Hour, 0)}, 0, 0},
		{"wrong between", []wire.Clock{synced(0, 0, 0), synced(time.Hour, 2*time.Hour, -time.Hour), synced(8*time.Hour, 8*time.Hour, 0)}, 0, 0},
		{"wrong, not reached", []wire.Clock{synced(0, 0, 0), synced(time.Hour, 2*time.Hour, -time.Hour), synced(8*time.Hour, 8*time.Hour, 0)}, 2 * time.Hour, unplaceable},
		{"ahead of the broker", []wire.Clock{synced(0, time.Minute, time.Hour)}, 0, unplaceable},
		{"ahead, and no judge", []wire.Clock{synced(0, 0, 0), synced(time.Minute, 2*time.Minute, 2*time.Hour)}, 0, 0},
		{"ends before it begins", []wire.Clock{synced(time.Hour, 0, 0)}, 0, unplaceable},
		{"floor", []wire.Clock{{WallAtBoot: received.Add(-time.Hour), Quality: wire.ClockFloor}}, 0, unplaceable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for turn := range 2 * len(tt.spans) {
				b := newBox("box1")
				for i := range tt.spans {
					if i = (i + turn) % len(tt.spans); turn >= len(tt.spans) {
						i = len(tt.spans) - 1 - i
					}
					c := tt.spans[i]
					stored := received
					if c.To > time.Hour { // a message is stored after it was made
						stored = received.Add(c.To)
					}
					b.learn(1, c, stored)
				}
				wall, ok := BoxState{Boots: b.bootStates()}.Place(1, tt.at)
				off := wall.Sub(received.Add(tt.at - time.Hour))
				if !ok {
					off = unplaceable
				}
				if off != tt.want {
					t.Errorf("order %d: off by %v; want %v", turn, off, tt.want)
				}
			}
		})
	}
}

// A word that was ahead when it came is not believed when it comes again later.
func TestSpanThatWasAheadStaysRefuted(t *testing.T) {
	b := newBox("box1")
	ahead := synced(0, time.Minute, 2*time.Hour)
	b.learn(1, ahead, received)
	b.learn(1, ahead, received.Add(24*time.Hour))
	ahead.To++
	b.learn(1, ahead, received.Add(24*time.Hour))
	if s := b.bootStates()[0].Spans; len(s) != 1 || !s[0].Refuted {
		t.Errorf("spans %+v; want one, refuted", s)
	}
}

func TestClocksOfABoxAreBounded(t *testing.T) {
	b := newBox("box1")
	for boot := range uint32(2 * maxBoots) {
		b.clock++
		for span := range 2 * maxSpans {
			at := time.Duration(span) * time.Second
			b.learn(boot, synced(at, at, 0), received)
		}
	}
	states := b.bootStates()
	if len(states) != maxBoots || states[0].KernelBoot != maxBoots {
		t.Fatalf("%d boots, from %d; want the last %d", len(states), states[0].KernelBoot, maxBoots)
	}
	if s := states[0].Spans; len(s) != maxSpans || s[0].From != maxSpans*time.Second {
		t.Errorf("spans %+v; want the last %d", s, maxSpans)
	}
}
