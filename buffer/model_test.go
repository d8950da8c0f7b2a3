package buffer

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A model is what the store should hold.
type model struct {
	*lab
	rnd   *rand.Rand
	lanes map[Lane]*modelLane
}

type modelLane struct {
	next    uint64
	want    map[uint64]bool // not acknowledged
	durable map[uint64]bool
}

// Random operations, cuts and clean restarts, against a model.
func TestModel(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			m := &model{
				lab:   newLab(t, func(c *Config) { c.FlashDailyBytes = 64 << 20 }),
				rnd:   rand.New(rand.NewPCG(seed, 3)),
				lanes: make(map[Lane]*modelLane),
			}
			for _, lane := range []Lane{Events, Windows} {
				m.lanes[lane] = &modelLane{next: 1, want: map[uint64]bool{}, durable: map[uint64]bool{}}
			}
			for range 300 {
				m.step()
				for lane, x := range m.lanes {
					m.wantSequences(lane, slices.Sorted(maps.Keys(x.want))...)
				}
			}
			m.reopen()
			for _, r := range m.all(Windows) {
				w := m.window(r.Key.Sequence)
				r.Opened, r.Sealed = w.Opened, w.Sealed
				wantSame(t, w, r)
			}
		})
	}
}

// step does one random thing to store and model.
func (m *model) step() {
	m.t.Helper()
	switch n := m.rnd.IntN(100); {
	case n < 50:
		x := m.lanes[Windows]
		m.append(m.window(x.next))
		x.want[x.next] = true
		x.next++
	case n < 60:
		x := m.lanes[Events]
		m.append(m.event(x.next))
		x.want[x.next], x.durable[x.next] = true, true
		x.next++
	case n < 75:
		m.ack(Lane(1 + m.rnd.IntN(2)))
	case n < 85:
		m.clock.advance(time.Duration(m.rnd.IntN(10)) * time.Minute)
		m.tick()
	case n < 92:
		m.spill()
		m.allDurable()
	case n < 96:
		m.reopen()
		m.allDurable()
	default:
		m.cutPower()
	}
}

func (m *model) ack(lane Lane) {
	x := m.lanes[lane]
	a := 1 + m.rnd.Uint64N(x.next)
	r := Range{a, a + m.rnd.Uint64N(5)}
	low := m.rnd.Uint64N(x.next) / 2
	m.Ack(testRun.ID, lane, low, []Range{r})
	maps.DeleteFunc(x.want, func(seq uint64, _ bool) bool {
		return seq <= low || (r.First <= seq && seq <= r.Last)
	})
}

func (m *model) reopen() {
	m.t.Helper()
	check(m.t, m.Close())
	m.open()
	m.wantCondition(OK)
}

func (m *model) allDurable() {
	for _, x := range m.lanes {
		x.durable = maps.Clone(x.want)
	}
}

// cutPower goes on with what is on flash. Windows that were in memory only are
// gone, what was acknowledged may be back once more.
func (m *model) cutPower() {
	m.t.Helper()
	m.cut()
	m.wantCondition(OK)
	for lane, x := range m.lanes {
		got := make(map[uint64]bool)
		for _, seq := range sequences(m.all(lane)) {
			got[seq] = true
			if seq >= x.next {
				m.t.Fatalf("%v %d was never appended", lane, seq)
			}
		}
		for seq := range x.durable {
			if x.want[seq] && !got[seq] {
				m.t.Fatalf("%v %d was durable and is gone", lane, seq)
			}
		}
		x.want, x.durable = got, maps.Clone(got)
	}
}
