package storm

import (
	"slices"
	"time"
)

// Figures sum up a Result. Times count from when the broker is there.
type Figures struct {
	Boxes int
	// Never is how many boxes were not back at the end.
	Never int
	// Peak is the most attempts in one second while the broker was there,
	// PeakDown while it was not.
	Peak, PeakDown int
	// Busy is in how many seconds the broker refused.
	Busy int
	// Half, Most and All are when 50 %, 99 % and all of the boxes were back;
	// 0: never.
	Half, Most, All time.Duration
	// Attempts are those of all boxes, Refused and Wasted of them those that
	// the broker refused and those that it served after the box had given up,
	// Shed those that it told to come back later.
	Attempts, Refused, Wasted, Shed int64
	// TriesHalf, TriesMost and TriesAll are the attempts of the box in the
	// middle, of the one that stands at 99 %, and of the one with the most.
	TriesHalf, TriesMost, TriesAll int
	// Gini tells how unevenly the waits for a connection are spread over the
	// boxes: 0 is all the same; 1/3 is what boxes give that are spread evenly
	// over a time, first to last.
	Gini float64
}

// Figures sums up. It may be called once.
func (r *Result) Figures() Figures {
	f := Figures{Boxes: r.Scenario.Boxes, Refused: r.refused, Wasted: r.wasted, Shed: r.shed}
	down := int(r.Scenario.Broker.Down / time.Second)
	for s, n := range r.offered {
		if s < down {
			f.PeakDown = max(f.PeakDown, int(n))
		} else {
			f.Peak = max(f.Peak, int(n))
		}
		f.Attempts += int64(n)
		if r.busy[s] {
			f.Busy++
		}
	}
	f.TriesHalf, f.TriesMost, f.TriesAll = rank(r.tries, 0.5), rank(r.tries, 0.99), rank(r.tries, 1)
	f.Never, f.Half, f.Most, f.All, f.Gini = r.waits(int32(r.Scenario.Broker.Down / tick))
	return f
}

// waits sums up when boxes were back, in ticks from the broker's return.
func (r *Result) waits(from int32) (never int, half, most, all time.Duration, gini float64) {
	longest := max(0, slices.Max(r.late)-from)
	histogram := make([]int64, longest+1)
	for _, t := range r.late {
		if t < 0 {
			never++
			continue
		}
		histogram[max(0, t-from)]++
	}
	n := int64(len(r.late))
	var seen int64
	var sum, area float64
	reach := func(share float64, t int) time.Duration {
		if float64(seen) >= share*float64(n) {
			return time.Duration(t+1) * tick
		}
		return 0
	}
	for t, c := range histogram {
		if c == 0 {
			continue
		}
		// The boxes of one tick stand at its end.
		part := float64(c) * float64(t+1)
		area += float64(c) * (sum + part/2)
		sum += part
		seen += c
		if half == 0 {
			half = reach(0.5, t)
		}
		if most == 0 {
			most = reach(0.99, t)
		}
		if all == 0 {
			all = reach(1, t)
		}
	}
	if seen > 0 && sum > 0 {
		gini = 1 - 2*area/(float64(seen)*sum)
	}
	return never, half, most, all, gini
}

// rank returns the value at which that share of the boxes stands, in a
// histogram.
func rank(histogram []int64, share float64) int {
	var total, seen int64
	for _, n := range histogram {
		total += n
	}
	for value, n := range histogram {
		if seen += n; float64(seen) >= share*float64(total) {
			return value
		}
	}
	return len(histogram) - 1
}
