package cem

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// What becomes of the readings of a boot.
const (
	all  = "all"
	none = "none"
	some = "some"
)

func (p placing) String() string {
	switch {
	case p.placed+p.unplaceable == 0:
		return "nothing"
	case p.unplaceable == 0:
		return all
	case p.placed == 0:
		return none
	}
	return some
}

// away is a home whose network is gone.
func (h *home) away() { h.ntp, h.wan = false, false }

// back brings it back, for long enough to deliver.
func (h *home) back() {
	h.ntp, h.wan = true, true
	h.run(20 * time.Minute)
}

// stories are lives of boxes, and what becomes of the readings of each boot.
var stories = []struct {
	name string
	live func(h *home)
	want []string
}{
	{"from 1970 to synchronised", func(h *home) {
		h.ntp = false // published with the clock unknown
		h.power(in1970)
		h.run(time.Hour)
		h.back()
	}, []string{all}},
	{"forward by decades, and only then synchronised", func(h *home) {
		h.ntp = false
		h.power(in1970)
		h.run(time.Hour)
		h.set(h.truth().Add(-3 * time.Hour)) // by the time of a file
		h.run(time.Hour)
		h.back()
	}, []string{all}},
	{"forward by decades, never synchronised", func(h *home) {
		h.ntp = false
		h.power(in1970)
		h.run(time.Hour)
		h.set(h.truth().Add(-3 * time.Hour))
		h.run(time.Hour)
		h.set(h.truth().Add(10 * year))
		h.run(time.Hour)
	}, []string{none}},
	{"back while synchronised", func(h *home) {
		h.power(in1970)
		h.run(time.Hour)
		h.ntp = false
		h.set(h.wall().Add(-2 * time.Hour))
		h.run(30 * time.Minute)
		h.set(in1970)
		h.run(20 * time.Minute)
		h.ntp = true
		h.run(time.Hour)
	}, []string{all}},
	{"rebooted before synchronised", func(h *home) {
		h.away()
		h.power(in1970)
		h.run(time.Hour)
		h.stop()
		h.power(in1970)
		h.run(time.Hour)
		h.back()
	}, []string{none, all}},
	{"power cut after synchronised, delivered by the next boot", func(h *home) {
		h.power(in1970)
		h.run(20 * time.Minute)
		h.wan = false
		h.run(5 * 24 * time.Hour)
		h.kill()
		h.ntp = false
		h.power(in1970)
		h.wan = true
		h.run(time.Hour)
	}, []string{all, none}},
	{"power cut before synchronised", func(h *home) {
		h.away()
		h.power(h.truth().Add(-time.Minute)) // floor, and nearly right
		h.run(time.Hour)
		h.kill()
		h.power(in1970)
		h.back()
	}, []string{none, all}},
	{"synchronised after half a day", func(h *home) {
		h.away()
		h.power(in1970)
		h.run(12 * time.Hour)
		h.back()
	}, []string{some}},
	{"weeks, synchronised", func(h *home) {
		h.power(in1970)
		h.run(21 * 24 * time.Hour)
	}, []string{all}},
	{"days without, between", func(h *home) {
		h.steady = 1e-6
		h.power(in1970)
		h.run(24 * time.Hour)
		h.away()
		h.run(24 * time.Hour)
		h.back()
	}, []string{all}},
	{"weeks without, between", func(h *home) {
		h.steady = 2e-6
		h.power(in1970)
		h.run(24 * time.Hour)
		h.away()
		h.run(14 * 24 * time.Hour)
		h.back()
	}, []string{some}},
	{"the agent is killed and started again", func(h *home) {
		h.power(in1970)
		h.run(time.Hour)
		h.kill()
		h.ntp = false
		h.start()
		h.run(30 * time.Minute)
		h.kill()
		h.start()
		h.back()
	}, []string{all}},
	{"the time server was hours ahead, and is put right", func(h *home) {
		h.lie = 6 * time.Hour
		h.power(in1970)
		h.run(6 * time.Hour)
		h.hold(h.taken)
		h.lie = 0
		h.run(time.Hour)
	}, []string{some}},
	{"the time server was hours behind, and is put right", func(h *home) {
		h.wan = false
		h.lie = -6 * time.Hour
		h.power(in1970)
		h.run(6 * time.Hour)
		h.lie = 0
		h.run(time.Hour)
		h.wan = true
		h.run(time.Hour)
	}, []string{some}},
	{"the time server is decades ahead", func(h *home) {
		h.lie = 20 * year
		h.power(in1970)
		h.run(6 * time.Hour)
	}, []string{none}},
	{"the time server is in 1970, and the clock synchronised", func(h *home) {
		h.lie = in1970.Sub(h.truth())
		h.power(in1970)
		h.run(6 * time.Hour)
	}, []string{none}},
}

func TestReadingsArePlacedWithinASecondOrNotAtAll(t *testing.T) {
	for _, tt := range stories {
		t.Run(tt.name, func(t *testing.T) {
			for seed := range uint64(3) {
				synctest.Test(t, func(t *testing.T) {
					h := newHome(t, seed)
					tt.live(h)
					for i, want := range tt.want {
						if p := h.hold(h.of(i + 1)); fmt.Sprint(p) != want {
							t.Errorf("seed %d, boot %d: %d placed, %d not; want %s", seed, i+1, p.placed, p.unplaceable, want)
						}
					}
				})
			}
		})
	}
}

// live is a life of random boots, networks, steps and deaths.
func (h *home) live() {
	between := func(least, most time.Duration) time.Duration {
		return least + time.Duration(h.rng.Int64N(int64(most-least)))
	}
	chance := func(one int) bool { return h.rng.IntN(one) == 0 }
	for range 3 + h.rng.IntN(5) {
		h.power([]time.Time{
			in1970, in1970, h.truth().Add(-between(0, 48*time.Hour)), h.truth().Add(between(0, 48*time.Hour)), h.truth().Add(10 * year),
		}[h.rng.IntN(5)])
		for left := between(5*time.Minute, 60*time.Hour); left > 0; {
			part := between(2*time.Minute, 10*time.Hour)
			left -= part
			h.wan = !chance(3)
			h.ntp = h.wan && !chance(4)
			h.run(part)
			switch h.rng.IntN(10) {
			case 0:
				h.set(h.truth().Add(between(-40*year, 40*year)))
			case 1:
				h.set(h.wall().Add(-between(0, 48*time.Hour)))
			case 2:
				h.kill()
				h.start()
			}
		}
		if chance(2) {
			h.stop()
		} else {
			h.kill()
		}
		<-time.After(between(20*time.Second, 3*time.Hour))
	}
	h.power(in1970)
	h.back()
}

// TestRandomLivesOfBoxes prints how many readings were placed, and how badly.
func TestRandomLivesOfBoxes(t *testing.T) {
	const lives = 20
	var sum placing
	lost := 0
	for seed := range uint64(lives) {
		synctest.Test(t, func(t *testing.T) {
			h := newHome(t, seed)
			h.live()
			p := h.hold(h.taken)
			sum.placed, sum.unplaceable, sum.worst = sum.placed+p.placed, sum.unplaceable+p.unplaceable, max(sum.worst, p.worst)
			lost += len(h.taken) - p.placed - p.unplaceable
		})
	}
	total := sum.placed + sum.unplaceable
	t.Logf("%d readings delivered (%d died in memory): %.1f %% placed, at worst %v off; %.1f %% unplaceable",
		total, lost, 100*float64(sum.placed)/float64(total), sum.worst.Round(time.Millisecond), 100*float64(sum.unplaceable)/float64(total))
	if sum.placed < total/2 {
		t.Errorf("%d of %d placed; want most: an answer that is always \"unplaceable\" is no answer", sum.placed, total)
	}
}
