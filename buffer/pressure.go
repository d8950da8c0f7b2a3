package buffer

// ramCost is what Config.RAMBytes bounds.
func (s *Store) ramCost() (n int64) {
	for i := range s.index {
		n += s.index[i].ramCost
	}
	return n + int64(len(s.drops)+len(s.thins))*keySize
}

// keySize is what a key in a list costs.
const keySize = 40

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
			s.later(&s.thins, k)
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
	if x.entries[i].ram == nil {
		s.later(&s.drops, k)
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

// thinOrDrop takes columns, or a whole window where no columns are left, or an
// event where no window is left: columns of entries that mayThin accepts, whole
// reports that mayDrop accepts. A window that has nothing but columns goes as a
// whole. It returns the bytes that are free then, 0 when there is nothing left
// to take.
func (s *Store) thinOrDrop(mayThin, mayDrop func(*entry) bool) int64 {
	w := &s.index[Windows-1]
	if i := w.nextThin(mayThin); i >= 0 && s.summaryLeft(&w.entries[i]) {
		freed := int64(w.entries[i].cols)
		s.thin(i)
		return freed
	} else if i >= 0 {
		freed := w.entries[i].bytes()
		s.remove(Windows, i, Full)
		return freed + 1
	}
	for _, lane := range []Lane{Windows, Events} {
		x := &s.index[lane-1]
		if i := x.nextDrop(mayDrop); i >= 0 {
			freed := x.entries[i].bytes()
			s.remove(lane, i, Full)
			return freed + 1
		}
	}
	return 0
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
	for s.ramCost() > s.cfg.RAMBytes && s.thinOrDrop(inRAM, inRAM) > 0 {
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
	// minReserve stays free of windows: copies of pages that change, events.
	minReserve = 128 << 10
)

// windowRoom is what pages may use in all before windows are thinned.
func (f *flash) windowRoom() int64 {
	return f.hardRoom() - max(minReserve, f.max/16)
}

// hardRoom is what bbolt gives out below f.max: it wants room to grow.
func (f *flash) hardRoom() int64 { return f.max - allocBytes - 2*pageSize }

// relieveFlash frees room so that bound more bytes fit. With windows, those in
// memory are about to be written, and may lose their columns first.
func (s *Store) relieveFlash(f *flash, bound int64, windows bool) {
	free := f.used + bound - f.windowRoom()
	if free <= 0 {
		return
	}
	for free += slack; free > 0; {
		n := s.thinOrDrop(func(e *entry) bool { return windows || e.ram == nil }, onFlash)
		if n == 0 {
			return
		}
		free -= n
	}
}
