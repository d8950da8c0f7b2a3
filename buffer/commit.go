package buffer

import (
	"errors"
	"slices"
)

var (
	errBudget = errors.New("the day's bytes are written")
	errRest   = errors.New("the flash failed a moment ago")
	errNoRoom = errors.New("no room on flash")
)

// A commitPlan says what a commit is for.
type commitPlan struct {
	event   *Report // not in the index yet
	settled []Loss  // to be taken out of the ledger
	windows pick
	reason  string
	// deletionsOnly frees room before anything else is written.
	deletionsOnly bool
}

// commit writes one batch; io is held. What the batch should hold is in the
// index, so that nothing is lost when it fails.
func (s *Store) commit(p commitPlan) error {
	if s.shortWithDeletions() {
		// What was acknowledged makes room before anything goes short.
		if err := s.commitOnce(commitPlan{deletionsOnly: true, reason: p.reason}); err != nil {
			return err
		}
	}
	err := s.commitOnce(p)
	if isDamage(err) && s.flash != nil {
		return s.commitOnce(p) // on the store that took its place
	}
	if !isFull(err) && !errors.Is(err, errNoRoom) {
		return err
	}
	// Free more than seemed needed, and only then write.
	s.mu.Lock()
	for free := int64(2 * slack); free > 0; {
		n := s.thinOrDrop(onFlash, onFlash)
		if n == 0 {
			break
		}
		free -= n
	}
	s.mu.Unlock()
	if err := s.commitOnce(commitPlan{deletionsOnly: true, reason: p.reason}); err != nil {
		return err
	}
	return s.commitOnce(p)
}

// shortWithDeletions reports whether room is short while reports wait for their
// deletion.
func (s *Store) shortWithDeletions() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flash != nil && len(s.drops) > 0 && s.flash.used+s.bound(nil, true) > s.flash.windowRoom()
}

func (s *Store) commitOnce(p commitPlan) error {
	f := s.flash
	if f == nil {
		return errors.New(s.Condition().Reason)
	}
	s.dropAside(f)
	b, bound, err := s.prepare(f, p)
	if err != nil {
		return err
	}
	written, err := f.commit(b)

	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		s.book(written)
		s.committed(&b, p)
		return nil
	case b.ledger != nil:
		s.ledger.dirty = true
	}
	switch {
	case isFull(err):
		// Nothing was written: bbolt asks for pages first.
	case isDamage(err):
		s.mu.Unlock()
		s.reset(err)
		s.mu.Lock()
	default:
		// How far it came is not known: count all of it.
		s.book(bound)
		s.retryAt = s.opt.Now() + retryAfter
		s.setCondition(Condition{State: Unavailable, Reason: describe(err)})
	}
	return err
}

// dropAside gives the room of a file that was set aside to reports before
// these go short.
func (s *Store) dropAside(f *flash) {
	if f.max >= s.cfg.FlashBytes {
		return
	}
	s.mu.Lock()
	short := f.used+s.bound(nil, true) > f.windowRoom()
	s.mu.Unlock()
	if !short || removeAll(f.root, asideName) != nil {
		return
	}
	f.max = s.cfg.FlashBytes
	f.db.MaxSize = int(f.max)
}

// bound is the most that a commit of one chunk may write.
func (s *Store) bound(event *Report, windows bool) int64 {
	n := commitCost + doomCost(min(maxDoomed, len(s.drops))+min(maxDoomed, len(s.thins)))
	if event != nil {
		n += reportCost(event)
	}
	for _, r := range s.waiting(windows, chunkBytes) {
		n += reportCost(r)
	}
	return n
}

// waiting returns what is in memory only, events first, up to about limit
// bytes but at least one report.
func (s *Store) waiting(windows bool, limit int64) (rs []*Report) {
	room := limit
	for i := range s.index {
		x := &s.index[i]
		if x.inRAM == 0 || (x.lane == Windows && !windows) {
			continue
		}
		for j := range x.entries {
			r := x.entries[j].ram
			if r == nil {
				continue
			}
			if room -= reportCost(r); room < 0 && len(rs) > 0 {
				return rs
			}
			rs = append(rs, r)
		}
	}
	return rs
}

// prepare decides what the commit holds.
func (s *Store) prepare(f *flash, p commitPlan) (b batch, bound int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.opt.Now()
	s.account.advance(now)
	if p.event != nil && now < s.retryAt {
		return b, 0, errRest
	}
	if !p.deletionsOnly {
		windows := p.windows == allWindows || (p.windows == dueWindows && s.windowsDue(now))
		windows = windows && s.account.allowsWindows(s.bound(p.event, windows))
		s.relieveFlash(f, s.bound(p.event, windows), windows)
		room := f.hardRoom() - f.used - commitCost
		if p.event != nil {
			b.puts = append(b.puts, p.event)
			room -= reportCost(p.event)
		}
		if room > 0 {
			b.puts = append(b.puts, s.waiting(windows, min(room, chunkBytes))...)
		}
		if room < 0 {
			return b, 0, errNoRoom
		}
	}
	b.drops = slices.Clone(s.drops[:min(maxDoomed, len(s.drops))])
	b.thins = slices.Clone(s.thins[:min(maxDoomed, len(s.thins))])

	bound = commitCost + doomCost(len(b.drops)+len(b.thins))
	for _, r := range b.puts {
		bound += reportCost(r)
	}
	waits := len(b.puts)+len(b.drops)+len(b.thins) > 0 || s.ledger.dirty
	if !waits || !s.allows(&b, bound) {
		return b, 0, errBudget
	}
	if s.ledger.dirty || len(p.settled) > 0 {
		g := ledger{losses: slices.Clone(s.ledger.losses)}
		g.settle(p.settled)
		b.ledger = g.encode()
		s.ledger.dirty = false
	}
	b.account = s.account.encode(bound)
	b.count = s.flashCount() + uint32(len(b.puts))
	return b, bound, nil
}

// flashCount is how many reports are on flash.
func (s *Store) flashCount() (n uint32) {
	for i := range s.index {
		n += uint32(len(s.index[i].entries) - s.index[i].inRAM)
	}
	return n
}

// allows asks the account: an event may use what is kept for events.
func (s *Store) allows(b *batch, bound int64) bool {
	if len(b.puts) > 0 && b.puts[0].Key.Lane == Events && b.puts[len(b.puts)-1].Key.Lane == Events {
		return s.account.allowsEvent(bound)
	}
	return s.account.allowsWindows(bound)
}

// committed brings the index up to date with what is on flash now.
func (s *Store) committed(b *batch, p commitPlan) {
	s.counts.commits++
	for _, r := range b.puts {
		if r == p.event {
			continue
		}
		if r.Key.Lane == Windows {
			s.counts.lastSpill, s.counts.lastSpillReason = s.opt.Now(), p.reason
		}
		x := &s.index[r.Key.Lane-1]
		i, found := x.search(r.Key)
		if !found { // acknowledged or dropped during the commit
			s.later(&s.drops, r.Key)
			continue
		}
		if x.entries[i].ram != r { // thinned during the commit
			s.later(&s.thins, r.Key)
		}
		x.change(i, func(e *entry) { e.ram = nil })
	}
	s.drops = slices.Delete(s.drops, 0, len(b.drops))
	s.thins = slices.Delete(s.thins, 0, len(b.thins))
	s.dropsSince = s.opt.Now()
	s.retryAt = 0
	if s.cond.State == Unavailable {
		s.setCondition(Condition{State: OK})
	}
}

// reset replaces a store in which damage was found while running; io is held.
// What cannot be taken over is counted report by report.
func (s *Store) reset(why error) {
	s.view.Lock()
	defer s.view.Unlock()
	old := s.flash
	s.flash = nil
	_ = old.close(true)
	var o *opened
	err := error(damagef("damaged %d times", maxResets))
	if s.resets++; s.resets < maxResets {
		err = guard(func() (err error) {
			o, err = replaceStore(old.root, s.cfg, why)
			return err
		})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attached = err == nil
	if err != nil {
		o = &opened{index: newIndex(), cond: Condition{State: Unavailable, Reason: describe(err)}}
		s.drops, s.thins = nil, nil
	}
	s.flash = o.flash
	s.book(o.written)
	s.drops = append(s.drops, o.drops...)
	lost := s.reconcile(&o.index)
	if o.cond.State == Reset {
		o.cond.Lost = lost
	}
	s.ledger.dirty = true
	s.setCondition(o.cond)
}

// reconcile takes out what is no longer on flash.
func (s *Store) reconcile(found *[lanes]laneIndex) (lost int64) {
	for i := range s.index {
		x := &s.index[i]
		lost += int64(x.removeFunc(func(j int) bool {
			if x.entries[j].ram != nil {
				return false
			}
			k := x.key(j)
			at, ok := found[i].search(k)
			if !ok {
				s.ledger.add(k, Damaged)
				s.counts.damaged++
				return true
			}
			if x.entries[j].cols > 0 && found[i].entries[at].cols == 0 {
				s.ledger.add(k, Thinned)
				s.counts.thinned++
				x.flash -= int64(x.entries[j].cols)
				x.entries[j].cols = 0
			}
			return false
		}))
	}
	return lost
}
