package buffer

import (
	"slices"
	"sort"
)

// ramCost is what Config.RAMBytes bounds.
func (s *Store) ramCost() (n int64) {
	for i := range s.index {
		n += s.index[i].ramCost
	}
	return n + int64(len(s.drops)+len(s.thins))*keySize
}

// keySize is what a key in a list costs.
const keySize = 48

// urgentRAM is the use of memory from which windows go to flash whatever
// their age.
func (s *Store) urgentRAM() int64 { return s.cfg.RAMBytes / 4 * 3 }

func inRAM(e *entry) bool   { return e.ram != nil }
func onFlash(e *entry) bool { return e.ram == nil }

// thin takes the columns of window i.
func (s *Store) thin(i int) {
	x := &s.index[Windows-1]
	k := x.key(i)
	x.change(i, func(e *entry) {
		if e.ram == nil {
			s.later(&s.thins, doom{k, e.cols})
		} else {
			r := e.ram
			e.ram = r.without(func(sec Section) bool { return !r.thinnable(sec) })
		}
		e.cols = 0
	})
	s.ledger.add(k, Thinned)
	s.counts.thinned++
}

// remove takes report i of a lane for good, and counts it.
func (s *Store) remove(lane Lane, i int, why Reason) {
	x := &s.index[lane-1]
	k := x.key(i)
	if e := &x.entries[i]; e.ram == nil {
		s.later(&s.drops, doom{k, uint32(e.bytes())})
	}
	x.remove(i)
	s.ledger.add(k, why)
	switch why {
	case Damaged:
		s.counts.damaged++
	case Withdrawn:
		s.counts.withdrawn++
	default:
		s.counts.dropped++
	}
}

// A victim says what thinOrDrop may take.
type victim struct {
	thin, drop func(*entry) bool
	events     bool // where no window is left
}

// thinOrDrop takes the columns of a window, or a whole window where no columns
// are left, or an event where no window is left. A window that has nothing but
// columns goes as a whole. freed is what that frees on flash; ok is false when
// there is nothing left to take.
func (s *Store) thinOrDrop(v victim) (freed int64, ok bool) {
	w := &s.index[Windows-1]
	if i := w.nextThin(v.thin); i >= 0 {
		e := &w.entries[i]
		whole := !s.summaryLeft(e)
		if e.ram == nil {
			freed = int64(e.cols)
		}
		if whole {
			s.remove(Windows, i, Full)
		} else {
			s.thin(i)
		}
		return freed, true
	}
	for _, x := range []*laneIndex{w, &s.index[Events-1]} {
		if x.lane == Events && !v.events {
			break
		}
		if i := x.nextDrop(v.drop); i >= 0 {
			if e := &x.entries[i]; e.ram == nil {
				freed = e.bytes()
			}
			s.remove(x.lane, i, Full)
			return freed, true
		}
	}
	return 0, false
}

// summaryLeft reports whether thinning leaves a section. On flash the header
// alone is no more than bootHeaderLen and a few dozen bytes, and every window
// that the agent seals has summaries: it is not worth a read.
func (s *Store) summaryLeft(e *entry) bool {
	if e.ram == nil {
		return e.core > bootHeaderLen
	}
	for _, sec := range e.ram.Sections {
		if !e.ram.thinnable(sec) {
			return true
		}
	}
	return false
}

// relieveRAM brings the use of memory below its limit.
func (s *Store) relieveRAM() {
	v := victim{thin: inRAM, drop: inRAM, events: true}
	for s.ramCost() > s.cfg.RAMBytes {
		if _, ok := s.thinOrDrop(v); !ok {
			break
		}
	}
	// Only the index of what is on flash is left, and of that the keys that
	// wait for their deletion.
	for s.ramCost() > s.cfg.RAMBytes && s.shedIndex() {
	}
}

// shedIndex gives up one report on flash for the memory of its entry.
func (s *Store) shedIndex() bool {
	for _, lane := range []Lane{Windows, Events} {
		if i := s.index[lane-1].nextDrop(onFlash); i >= 0 {
			s.remove(lane, i, Full)
			return true
		}
	}
	return false
}

// Room on flash, in bytes of pages.
const (
	// slack is freed beyond what is needed, so that pages are freed many at a
	// time and not with each commit.
	slack = 64 << 10
	// maxSlack is the most that a commit which did not fit frees before it is
	// given up.
	maxSlack = 4 * slack
	// minReserve stays free of windows: copies of pages that change, events.
	minReserve = 128 << 10
)

// windowRoom is what pages may use in all before windows are thinned.
func (f *flash) windowRoom() int64 {
	return f.hardRoom() - max(minReserve, f.max/16)
}

// hardRoom is what bbolt gives out below f.max: it wants room to grow.
func (f *flash) hardRoom() int64 { return f.max - allocBytes - 2*pageSize }

// relieveFlash marks what must go so that a commit fits in room. With windows,
// those in memory are about to be written and may lose their columns first;
// an event alone may push out other events.
func (s *Store) relieveFlash(f *flash, event *Report, room int64, windows bool) {
	v := victim{
		thin:   func(e *entry) bool { return windows || e.ram == nil },
		drop:   onFlash,
		events: !windows,
	}
	used := f.used - doomedBytes(s.drops) - doomedBytes(s.thins)
	short := used + s.putsBound(event, windows) - room
	if short <= 0 {
		return
	}
	// Columns go side by side and many at a time; whole reports only as far
	// as they must.
	for used -= s.thinMore(short+slack, v); used+s.putsBound(event, windows) > room; {
		freed, ok := s.thinOrDrop(v)
		if !ok {
			return
		}
		used -= freed
	}
}

// thinMore takes columns of about n bytes from windows on flash.
func (s *Store) thinMore(n int64, v victim) (freed int64) {
	for freed < n && s.index[Windows-1].nextThin(onFlash) >= 0 {
		got, _ := s.thinOrDrop(victim{thin: onFlash, drop: v.drop})
		freed += got
	}
	return freed
}

// A doom is a report, or the columns of one, that is to be deleted from flash.
type doom struct {
	Key
	bytes uint32
}

func doomedBytes(ds []doom) (n int64) {
	for _, d := range ds {
		n += int64(d.bytes)
	}
	return n
}

// doomed takes from the front of a list as many keys as may be deleted in one
// commit with so much room, in the order of keys, and returns a bound on what
// that writes. Keys with nothing alive between them are a run: their pages go
// as a whole.
func (s *Store) doomed(list *[]doom, room int64) (taken []doom, cost int64) {
	sort.Slice(*list, func(i, j int) bool { return (*list)[i].Compare((*list)[j].Key) < 0 })
	n, at := 0, -1
	for n < min(maxDoomed, len(*list)) {
		k := (*list)[n].Key
		c := int64(doomKeyCost)
		if i, _ := s.index[k.Lane-1].search(k); n == 0 || (*list)[n-1].Lane != k.Lane || s.aliveBetween(k.Lane, at, i) {
			c, at = doomRunCost, i
		}
		if cost+c > room && n > 0 {
			break
		}
		cost += c
		n++
	}
	taken = slices.Clone((*list)[:n])
	*list = slices.Delete(*list, 0, n)
	return taken, cost
}

// aliveBetween reports whether one of the entries from i to j is on flash.
func (s *Store) aliveBetween(lane Lane, i, j int) bool {
	return slices.ContainsFunc(s.index[lane-1].entries[i:j], func(e entry) bool { return e.ram == nil })
}

// doomCost is the bound of doomed without taking anything.
func (s *Store) doomCost() int64 {
	var n int64
	for _, list := range [][]doom{s.drops, s.thins} {
		list = slices.Clone(list)
		_, cost := s.doomed(&list, 1<<62)
		n += cost
	}
	return n
}
