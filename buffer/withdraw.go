package buffer

import (
	"bytes"
	"errors"
	"slices"
	"sort"
	"time"

	"livebox-agent/collector/catalogue"
)

// Withdraw deletes what was collected for p, in memory and on flash, now, and
// overwrites the pages where it was. A report that is left without a section
// goes as a whole. If the flash fails, Next hides the sections, Tick tries
// again, and the error says so; so it does while the flash cannot be opened. The daily budget does not hold this up.
func (s *Store) Withdraw(p catalogue.Purpose) error {
	defer s.tell()
	s.io.Lock()
	defer s.io.Unlock()
	s.mu.Lock()
	for i := range s.index {
		s.withdrawRAM(&s.index[i], p)
	}
	var later error
	switch {
	case s.attached:
		s.withdrawn |= 1 << p
	case s.ruin != nil:
		s.withdrawn |= 1 << p
		later = errors.New("withdraw: not deleted from flash yet: " + s.cond.Reason)
	case s.absent:
		// Not hidden: what comes to memory after this was allowed again.
		s.owed |= 1 << p
		later = errors.New("withdraw: not deleted from flash yet: " + s.cond.Reason)
	}
	s.mu.Unlock()
	return errors.Join(s.retryWithdrawals(), later)
}

func (s *Store) withdrawRAM(x *laneIndex, p catalogue.Purpose) {
	keep := func(sec Section) bool { return sec.Purpose != p }
	x.removeFunc(func(i int) bool {
		old := x.entries[i].ram
		if old == nil || !slices.ContainsFunc(old.Sections, func(sec Section) bool { return !keep(sec) }) {
			return false
		}
		s.ledger.add(old.Key, Withdrawn)
		s.counts.withdrawn++
		r := old.without(keep)
		if len(r.Sections) == 0 {
			return true
		}
		core, cols := r.sizes()
		x.change(i, func(e *entry) { e.ram, e.core, e.cols = r, uint32(core), uint32(cols) })
		return false
	})
}

// retryWithdrawals deletes withdrawn purposes from flash.
func (s *Store) retryWithdrawals() error {
	s.mu.Lock()
	todo := s.withdrawn
	s.mu.Unlock()
	if todo != 0 && s.suspect {
		if err := s.retryRenewal(commitPlan{}); err != nil {
			return errors.Join(errors.New("withdraw: not deleted from flash yet"), err)
		}
	}
	for _, p := range catalogue.Purposes() {
		if todo&(1<<p) == 0 || s.flash == nil {
			continue
		}
		if err := s.purge(s.flash, p); err != nil {
			if isDamage(err) {
				s.reset(err)
			} else {
				s.suspect = s.suspect || suspicious(err)
			}
			s.mu.Lock()
			s.tickAfter = s.opt.Now() + time.Minute
			s.mu.Unlock()
			return errors.Join(errors.New("withdraw: not deleted from flash yet"), err)
		}
		s.mu.Lock()
		s.withdrawn &^= 1 << p
		s.mu.Unlock()
	}
	return nil
}

// purge deletes the sections of p from flash and overwrites free pages.
func (s *Store) purge(f *flash, p catalogue.Purpose) error {
	found, err := f.sectionsOf(p)
	if err != nil {
		return err
	}
	var doomed [][]byte
	var whole [lanes]uint32
	for k, r := range found {
		if len(r.keys) == 0 {
			continue
		}
		doomed = append(doomed, r.keys...)
		if r.other == 0 {
			doomed = append(doomed, appendKey(nil, byte(k.Lane), k, 0))
			whole[k.Lane-1]++
		}
	}
	// Neighbours together: a commit writes anew each page that it takes a key
	// from, and in a store at its limit there is room for few.
	sort.Slice(doomed, func(i, j int) bool { return bytes.Compare(doomed[i], doomed[j]) < 0 })
	for size := maxDoomed; len(doomed) > 0; {
		keys := doomed[:min(size, len(doomed))]
		err := s.deleteKeys(f, keys, whole)
		if isFull(err) && len(keys) > 1 {
			size = len(keys) / 2
			continue
		}
		if err != nil {
			return err
		}
		doomed = doomed[len(keys):]
	}
	s.mu.Lock()
	for k, r := range found {
		if len(r.keys) > 0 {
			s.withdrawFlash(k, r)
		}
	}
	s.mu.Unlock()
	// No reader may still be in a tree that the scrub overwrites.
	s.view.Lock()
	written, err := f.scrub()
	s.view.Unlock()
	s.mu.Lock()
	s.book(written)
	s.mu.Unlock()
	return err
}

// deleteKeys deletes keys from flash. whole is how many reports of each lane go with
// them and those after them.
func (s *Store) deleteKeys(f *flash, keys [][]byte, whole [lanes]uint32) error {
	s.mu.Lock()
	b := batch{keys: keys, account: s.account.encode(int64(len(keys)) * pageSize / 4), count: s.flashCount()}
	for i := range whole {
		b.count[i] -= min(whole[i], b.count[i])
	}
	s.mu.Unlock()
	written, err := f.commit(b)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.counts.commits++
	s.book(written)
	s.mu.Unlock()
	return nil
}

// withdrawFlash brings the index up to date with what purge deleted.
func (s *Store) withdrawFlash(k Key, r *parts) {
	x := &s.index[k.Lane-1]
	i, found := x.search(k)
	if !found || x.entries[i].ram != nil {
		return
	}
	s.ledger.add(x.key(i), Withdrawn)
	s.counts.withdrawn++
	if r.other == 0 {
		x.remove(i)
		return
	}
	x.change(i, func(e *entry) {
		e.core -= min(e.core, uint32(r.core))
		e.cols -= min(e.cols, uint32(r.cols))
	})
}
