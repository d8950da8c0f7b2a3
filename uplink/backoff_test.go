package uplink

import (
	"math/rand/v2"
	"testing"
	"time"
)

// box is a Backoff with the one Standing that it is for.
type box struct {
	Backoff
	Standing
}

func newBackoff(seed uint64) *box {
	return &box{Backoff: Backoff{First: FirstWait, Ceiling: 15 * time.Minute, Rand: rand.New(rand.NewPCG(seed, 9))}}
}

func (b *box) next(up time.Duration, refused bool) time.Duration {
	return b.Next(&b.Standing, up, refused)
}

func TestBackoffBounds(t *testing.T) {
	for _, tt := range []struct {
		name    string
		refused bool
		bounds  []time.Duration // of successive waits
		least   float64         // share of the bound
	}{
		{"lost", false, []time.Duration{60e9, 120e9, 240e9, 480e9, 900e9, 900e9, 900e9}, 0},
		{"refused", true, []time.Duration{60e9, 120e9, 240e9, 480e9, 900e9, 900e9}, 0.5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			most := make([]time.Duration, len(tt.bounds))
			for seed := range uint64(300) {
				b := newBackoff(seed)
				for i, bound := range tt.bounds {
					d := b.next(0, tt.refused)
					if d < time.Duration(tt.least*float64(bound)) || d > bound {
						t.Fatalf("wait %d = %v; want %v to %v", i+1, d, time.Duration(tt.least*float64(bound)), bound)
					}
					most[i] = max(most[i], d)
				}
			}
			for i, bound := range tt.bounds {
				if most[i] < bound*9/10 {
					t.Errorf("longest wait %d of 300 boxes = %v; want close to %v", i+1, most[i], bound)
				}
			}
		})
	}
}

func TestBackoffStartsAgainAfterAGoodLinkOnly(t *testing.T) {
	for seed := range uint64(100) {
		b := newBackoff(seed)
		longest := time.Duration(0)
		for range 20 { // a link that never lasts
			longest = max(longest, b.next(4*time.Minute, false))
		}
		if longest < 5*time.Minute {
			t.Fatalf("longest of 20 waits after short links = %v; want more than 5m", longest)
		}
		if d := b.next(5*time.Minute, false); d > FirstWait {
			t.Fatalf("wait after a good link = %v; want at most %v", d, FirstWait)
		}
		if d := b.next(0, false); d > 2*FirstWait {
			t.Fatalf("second wait after a good link = %v; want at most %v", d, 2*FirstWait)
		}
	}
}

func TestBackoffHonoursRetryAfter(t *testing.T) {
	spread := map[time.Duration]bool{}
	for seed := range uint64(100) {
		b := newBackoff(seed)
		b.RetryAfter(10 * time.Minute)
		for range 3 {
			d := b.next(time.Hour, false)
			if d < 10*time.Minute || d > 15*time.Minute {
				t.Fatalf("wait = %v; want 10m to 15m", d)
			}
			spread[d.Truncate(time.Second)] = true
		}
		b.RetryAfter(0)
		if d := b.next(time.Hour, false); d > FirstWait {
			t.Fatalf("wait after the server took it back = %v; want at most %v", d, FirstWait)
		}
		b.RetryAfter(1 << 62)
		if d := b.next(0, false); d > 36*time.Hour {
			t.Fatalf("wait = %v; want at most a day and a half", d)
		}
	}
	if len(spread) < 150 {
		t.Errorf("%d different waits of 300; want them spread", len(spread))
	}
}

// A town whose power returns, and a broker that restarts under it: no second
// sees more than a small multiple of its share.
func TestFleetThatFailsTogetherComesBackSpreadOut(t *testing.T) {
	const boxes, w = 20000, 5 * time.Minute
	perSecond := make([]int, int(w/time.Second)+1)
	for seed := range uint64(boxes) {
		perSecond[newBackoff(seed).PowerReturn(w)/time.Second]++
	}
	for s, n := range perSecond {
		if n > 2*boxes/int(w/time.Second) {
			t.Errorf("second %d: %d connections; want about %d", s, n, boxes/int(w/time.Second))
		}
	}
	// The broker stays away for ten minutes: attempts in its last minute.
	tries := 0
	for seed := range uint64(boxes) {
		b := newBackoff(seed)
		for at := time.Duration(0); at < 10*time.Minute; at += b.next(0, false) {
			if at > 9*time.Minute {
				tries++
			}
		}
	}
	if most := boxes / 2; tries > most {
		t.Errorf("%d attempts of %d boxes in the tenth minute of an outage; want at most %d", tries, boxes, most)
	}
}
