package buffer

import "time"

// LaneStats is what one lane holds. Bytes are those of headers and bodies.
type LaneStats struct {
	RAMReports, FlashReports int
	RAMBytes, FlashBytes     int64
}

// Stats is what the store holds and what it has done in this run.
type Stats struct {
	Events, Windows LaneStats
	// RAMUsed is what counts against Config.RAMBytes; FileBytes and AsideBytes
	// count against Config.FlashBytes.
	RAMUsed, FileBytes, AsideBytes int64
	// Appended to Withdrawn count reports. Thinned ones are not dropped.
	Appended, Acked, Dropped, Thinned, Damaged, Withdrawn uint64
	// Commits is how often the flash was written.
	Commits uint64
	// FlashWritten is the bytes that bbolt wrote in this run, FlashToday in
	// the day of Config.FlashDailyBytes, FlashTotal since the store was made.
	FlashWritten, FlashToday, FlashTotal int64
	// LastSpill is when windows last went to flash, as time since the kernel
	// booted, and LastSpillReason why; 0 and empty if never in this run.
	LastSpill       time.Duration
	LastSpillReason string
}

// Stats returns what the store holds and what it has done in this run.
func (s *Store) Stats() Stats {
	s.view.RLock()
	var file, aside int64
	if s.flash != nil {
		file, aside = s.flash.fileBytes(), asideBytes(s.flash.root)
	}
	s.view.RUnlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.account.advance(s.opt.Now())
	c := &s.counts
	return Stats{
		Events: s.index[Events-1].stats(), Windows: s.index[Windows-1].stats(),
		RAMUsed: s.ramCost(), FileBytes: file, AsideBytes: aside,
		Appended: c.appended, Acked: c.acked, Dropped: c.dropped, Thinned: c.thinned,
		Damaged: c.damaged, Withdrawn: c.withdrawn, Commits: c.commits,
		FlashWritten: c.flashWritten, FlashToday: s.account.spent, FlashTotal: s.account.total,
		LastSpill: c.lastSpill, LastSpillReason: c.lastSpillReason,
	}
}

func (x *laneIndex) stats() LaneStats {
	st := LaneStats{RAMReports: x.inRAM, FlashReports: len(x.entries) - x.inRAM, FlashBytes: x.flash}
	for i := range x.entries {
		if e := &x.entries[i]; e.ram != nil {
			st.RAMBytes += e.bytes()
		}
	}
	return st
}
