package buffer

import (
	"errors"
	"fmt"
	"time"
)

// chunkBytes bounds what one commit puts: bbolt holds the pages of a commit in
// memory.
const chunkBytes = 256 << 10

// maxDoomed bounds what one commit deletes, for the same reason.
const maxDoomed = 512

// A pick says which windows a commit takes.
type pick int

const (
	noWindows pick = iota
	dueWindows
	allWindows
)

// appendEvent makes r durable, with everything that waits for a commit, and
// takes the settled losses out of the ledger.
func (s *Store) appendEvent(r Report, settled []Loss) error {
	defer s.tell()
	s.io.Lock()
	defer s.io.Unlock()

	s.mu.Lock()
	if err := s.accept(r.Key); err != nil {
		s.mu.Unlock()
		return err
	}
	s.mu.Unlock()

	err := s.commit(commitPlan{event: &r, settled: settled, windows: dueWindows, reason: "event"})

	s.mu.Lock()
	defer s.mu.Unlock()
	s.ledger.settle(settled)
	if err != nil {
		s.insert(&r)
		return fmt.Errorf("append event: %w: %s", ErrNotDurable, err.Error())
	}
	core, _ := r.sizes()
	s.index[Events-1].add(r.Key, entry{core: uint32(core)})
	s.relieveRAM() // for what the index has grown by
	signal(s.appended)
	return nil
}

// Tick writes what is due: windows older than Config.SpillAfter, events that
// could not be written before, deletions. It returns nil when nothing was due,
// and the cause when the flash could not be written. A directory that could
// not be opened is tried again every five minutes; Tick may then take
// Options.OpenTimeout, and Condition says what came of it.
func (s *Store) Tick() error {
	defer s.tell()
	late := s.reopen()
	s.io.Lock()
	defer s.io.Unlock()
	s.retryReplacement()
	if s.flash == nil {
		return nil
	}
	if late {
		// The index of what was found counts too, but what is due may go to
		// flash before anything is dropped for it.
		defer func() {
			s.mu.Lock()
			s.relieveRAM()
			s.mu.Unlock()
		}()
	}
	at, ok := s.NextSpill()
	if !ok || at > s.opt.Now() {
		return nil
	}
	s.mu.Lock()
	windows := dueWindows
	if s.windowsDue(s.opt.Now()) {
		windows = allWindows
	}
	s.mu.Unlock()
	err := s.drain(windows, "age")
	if err != nil {
		// NextSpill must not say "now" again at once.
		s.mu.Lock()
		s.tickAfter = s.opt.Now() + time.Minute
		s.mu.Unlock()
	}
	if errors.Is(err, errBudget) {
		return nil
	}
	return err
}

// Spill writes everything that is in memory: before a stop, an update, or when
// power may go. ErrNotDurable says that something stayed in memory. Where the
// configuration wants everything in memory, Spill does nothing.
func (s *Store) Spill(reason string) error {
	defer s.tell()
	s.io.Lock()
	defer s.io.Unlock()
	if s.off() {
		return nil
	}
	if err := s.drain(allWindows, reason); err != nil {
		return fmt.Errorf("spill: %w: %s", ErrNotDurable, err.Error())
	}
	return nil
}

// off reports whether the configuration wants everything in memory.
func (s *Store) off() bool { return s.Condition().State == Off }

// Close writes what is in memory and closes the store. ErrNotDurable says that
// something was lost with the memory. Where the configuration wants everything
// in memory that is no error: the log says how much it was, and Stats goes on
// to. The second call does nothing.
func (s *Store) Close() error {
	defer s.tell()
	s.io.Lock()
	defer s.io.Unlock()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.mu.Unlock()

	off := s.off()
	var err error
	if !off {
		err = s.drain(allWindows, "close")
	}
	s.mu.Lock()
	s.closed = true
	events, windows := s.index[Events-1].inRAM, s.index[Windows-1].inRAM
	s.mu.Unlock()
	close(s.gone)
	switch left := events + windows; {
	case left > 0 && off:
		s.opt.Log.Info("reports ended with the memory", "events", events, "windows", windows)
	case err != nil:
		err = fmt.Errorf("close: %w: %d reports: %s", ErrNotDurable, left, err.Error())
	}

	s.view.Lock()
	defer s.view.Unlock()
	if s.flash != nil {
		if cerr := s.flash.close(false); err == nil {
			err = cerr
		}
		_ = s.flash.root.Close()
		s.flash = nil
	}
	return err
}

// NextSpill returns when Tick has something to do; ok is false while there is
// nothing.
func (s *Store) NextSpill() (at time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, false
	}
	if !s.attached {
		return s.openAt, s.absent || s.ruin != nil
	}
	now := s.opt.Now()
	s.account.advance(now)
	at = 1<<63 - 1
	if n := len(s.drops) + len(s.thins); n >= ackBatch {
		at = now
	} else if n > 0 {
		at = s.dropsSince + ackDelay
	}
	if s.index[Events-1].inRAM > 0 || s.withdrawn != 0 {
		// They wait only because the flash failed: see retryAt.
		at = now
	}
	if s.index[Windows-1].inRAM > 0 {
		at = min(at, s.nextWindows(now))
	}
	if at == 1<<63-1 {
		return 0, false
	}
	return max(at, s.retryAt, s.tickAfter), true
}

// nextWindows is when windows go to flash: when the oldest is due, or memory
// fills up, and the account allows it.
func (s *Store) nextWindows(now time.Duration) time.Duration {
	bound := s.bound(nil, true)
	if s.ramCost() > s.urgentRAM() && s.account.allowsWindows(bound) {
		return now
	}
	return max(s.oldestWindow()+s.cfg.SpillAfter, now+s.account.pacedFrom(bound))
}

// oldestWindow is when the oldest window in memory was sealed.
func (s *Store) oldestWindow() time.Duration {
	oldest := time.Duration(1<<63 - 1)
	for i := range s.index[Windows-1].entries {
		if e := &s.index[Windows-1].entries[i]; e.ram != nil {
			oldest = min(oldest, e.ram.Sealed)
		}
	}
	return oldest
}

// windowsDue reports whether windows should go to flash now. When one is due,
// all go: the commit costs nearly the same.
func (s *Store) windowsDue(now time.Duration) bool {
	return s.index[Windows-1].inRAM > 0 && s.nextWindows(now) <= now
}

// drain commits until what is picked is on flash.
func (s *Store) drain(windows pick, reason string) error {
	if err := s.retryWithdrawals(); err != nil {
		return err
	}
	for {
		s.mu.Lock()
		left := s.index[Events-1].inRAM
		if windows == allWindows {
			left += s.index[Windows-1].inRAM
		}
		if reason == "close" && s.ledger.dirty {
			left++
		}
		work := left + len(s.drops) + len(s.thins)
		s.mu.Unlock()
		if work == 0 {
			return nil
		}
		err := s.commit(commitPlan{windows: windows, reason: reason})
		if errors.Is(err, errBudget) && left == 0 {
			return nil // deletions can wait
		}
		if err != nil {
			return err
		}
	}
}
