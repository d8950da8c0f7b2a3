package buffer

import (
	"slices"
	"sort"
)

// An entry stands for one report that is neither acknowledged nor dropped.
type entry struct {
	run  *Run // shared by the entries of a run
	seq  uint64
	ram  *Report // nil: on flash
	core uint32  // bytes that stay when thinned
	cols uint32  // bytes that thinning frees
}

func (e *entry) bytes() int64 { return int64(e.core) + int64(e.cols) }

// ramCost is what the entry counts for in memory.
func (e *entry) ramCost() int64 {
	if e.ram == nil {
		return entryOverhead
	}
	return entryOverhead + reportOverhead + int64(len(e.ram.Sections))*sectionOverhead + e.bytes()
}

// A laneIndex holds the entries of one lane in the order of their keys.
type laneIndex struct {
	lane    Lane
	entries []entry
	ramCost int64
	inRAM   int
	flash   int64 // bytes of the reports on flash
}

func (x *laneIndex) key(i int) Key {
	e := &x.entries[i]
	return Key{Run: *e.run, Lane: x.lane, Sequence: e.seq}
}

// search returns where k is or would be.
func (x *laneIndex) search(k Key) (int, bool) {
	i := sort.Search(len(x.entries), func(i int) bool { return x.key(i).Compare(k) >= 0 })
	return i, i < len(x.entries) && x.key(i).Compare(k) == 0
}

// add puts e in its place; the caller knows that there is none of that key.
func (x *laneIndex) add(k Key, e entry) {
	i, _ := x.search(k)
	switch {
	case i > 0 && *x.entries[i-1].run == k.Run:
		e.run = x.entries[i-1].run
	case i < len(x.entries) && *x.entries[i].run == k.Run:
		e.run = x.entries[i].run
	default:
		e.run = &Run{k.Run.ID, k.Run.Counter, k.Run.KernelBoot}
	}
	e.seq = k.Sequence
	x.entries = slices.Insert(x.entries, i, e)
	x.count(&e, 1)
}

// count adds or takes away what e stands for in the sums.
func (x *laneIndex) count(e *entry, sign int64) {
	x.ramCost += sign * e.ramCost()
	if e.ram != nil {
		x.inRAM += int(sign)
	} else {
		x.flash += sign * e.bytes()
	}
}

// change changes an entry through fn and keeps the sums right.
func (x *laneIndex) change(i int, fn func(e *entry)) {
	x.count(&x.entries[i], -1)
	fn(&x.entries[i])
	x.count(&x.entries[i], 1)
}

// remove takes the entry i out.
func (x *laneIndex) remove(i int) {
	x.count(&x.entries[i], -1)
	x.entries = slices.Delete(x.entries, i, i+1)
}

// removeFunc takes out the entries that fn wants gone.
func (x *laneIndex) removeFunc(fn func(i int) bool) int {
	kept := 0
	for i := range x.entries {
		if fn(i) {
			x.count(&x.entries[i], -1)
			continue
		}
		x.entries[kept] = x.entries[i]
		kept++
	}
	gone := len(x.entries) - kept
	clear(x.entries[kept:])
	x.entries = x.entries[:kept]
	return gone
}

// Under pressure
//
// The oldest protectOnset and the newest protectEnd entries of a lane are the
// onset and the end of the outage: with windows of five minutes the first hour
// and the last three. Short lanes protect a quarter and a half.
const (
	protectOnset = 12
	protectEnd   = 36
)

// middle returns the range of entries that are not protected; it is empty only
// where there are none at all.
func (x *laneIndex) middle() (lo, hi int) {
	n := len(x.entries)
	return min(protectOnset, n/4), n - min(protectEnd, n/2)
}

// nextThin returns the entry whose columns go next: from the middle on, the
// oldest first, so that the columns that go lie side by side on flash and whole
// pages become free; then from the end of the outage, and from its onset last.
// Only entries that ok accepts are looked at; -1 if none has columns left.
func (x *laneIndex) nextThin(ok func(*entry) bool) int {
	lo, _ := x.middle()
	for n := range x.entries {
		i := n + lo
		if i >= len(x.entries) {
			i = len(x.entries) - 1 - n // the onset, backwards
		}
		if e := &x.entries[i]; e.cols > 0 && ok(e) {
			return i
		}
	}
	return -1
}

// nextDrop returns the entry that goes next as a whole: the one of the middle
// whose neighbours are closest to each other, the oldest of these, so that what
// is left of the middle stays evenly spread. If the middle has none that ok
// accepts, the end goes before the onset. -1 if there is none.
func (x *laneIndex) nextDrop(ok func(*entry) bool) int {
	lo, hi := x.middle()
	best, bestGap := -1, uint64(0)
	for i := lo; i < hi; i++ {
		if !ok(&x.entries[i]) {
			continue
		}
		if gap := x.gap(i); best < 0 || gap < bestGap {
			best, bestGap = i, gap
		}
	}
	if best >= 0 {
		return best
	}
	for i := hi; i < len(x.entries); i++ {
		if ok(&x.entries[i]) {
			return i
		}
	}
	for i := lo - 1; i >= 0; i-- {
		if ok(&x.entries[i]) {
			return i
		}
	}
	return -1
}

// gap is the distance in sequences between the neighbours of entry i.
func (x *laneIndex) gap(i int) uint64 {
	var before, after uint64 = 1, 1
	if i > 0 {
		before = x.step(i - 1)
	}
	if i < len(x.entries)-1 {
		after = x.step(i)
	}
	return before + after
}

// step is the distance from entry i to the next; where a new run begins, as
// many as the new run had before it.
func (x *laneIndex) step(i int) uint64 {
	a, b := &x.entries[i], &x.entries[i+1]
	if a.run == b.run || *a.run == *b.run {
		return b.seq - a.seq
	}
	return b.seq
}
