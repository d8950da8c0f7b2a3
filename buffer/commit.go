package buffer

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"
)

var (
	errBudget  = errors.New("the day's bytes are written")
	errNothing = errors.New("nothing to write")
	errRest    = errors.New("the flash failed a moment ago")
	errNoRoom  = errors.New("no room on flash")
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
	if p.windows == allWindows {
		if err := s.makeRoom(p.reason); err != nil {
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
	// Free more than seemed needed, and only then write. Pages that lie apart
	// may need more than one try.
	for room := int64(slack); room <= maxSlack && (isFull(err) || errors.Is(err, errNoRoom)); room *= 2 {
		s.mu.Lock()
		v := victim{thin: onFlash, drop: onFlash, events: p.windows != allWindows}
		for free := room; free > 0; {
			n, ok := s.thinOrDrop(v)
			if !ok {
				break
			}
			free -= n
		}
		s.mu.Unlock()
		if err = s.makeRoom(p.reason); err == nil {
			err = s.commitOnce(p)
		}
	}
	return err
}

// makeRoom deletes what waits for it when room is short, before anything else
// goes. A deletion needs free pages too: many that lie apart take several
// commits.
func (s *Store) makeRoom(reason string) error {
	for range maxDeletions {
		s.mu.Lock()
		short := s.flash != nil && len(s.drops)+len(s.thins) > 0 &&
			s.flash.used+s.bound(nil, true) > s.flash.windowRoom()
		s.mu.Unlock()
		if !short {
			return nil
		}
		if err := s.commitOnce(commitPlan{deletionsOnly: true, reason: reason}); err != nil {
			return err
		}
	}
	return nil
}

// maxDeletions bounds the commits that makeRoom makes.
const maxDeletions = 16

func (s *Store) commitOnce(p commitPlan) error {
	f := s.flash
	if f == nil {
		return errors.New(s.Condition().Reason)
	}
	if s.suspect {
		if err := s.retryRenewal(p); err != nil {
			return err
		}
		f = s.flash
	}
	s.dropAside(f)
	b, bound, err := s.prepare(f, p)
	if errors.Is(err, errNothing) {
		return nil
	}
	if err != nil {
		return err
	}
	written, err := f.commit(b)
	if isFull(err) {
		// Pages that were freed while a report is read can be had when nobody
		// reads; nothing was written, for bbolt asks for pages first.
		s.view.Lock()
		written, err = f.commit(b)
		s.view.Unlock()
	}

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
	s.putBack(&b)
	switch {
	case isFull(err):
		// Nothing was written.
	case isDamage(err):
		s.mu.Unlock()
		s.reset(err)
		s.mu.Lock()
	default:
		// How far it came is not known: count all of it.
		s.book(bound)
		s.suspect = s.suspect || suspicious(err)
		s.rest(err)
	}
	return err
}

// rest leaves the flash alone for a while.
func (s *Store) rest(why error) {
	s.retryAt = s.opt.Now() + retryAfter
	s.setCondition(Condition{State: Unavailable, Reason: describe(why)})
}

// retryRenewal replaces a store of which a sync failed, before p.
func (s *Store) retryRenewal(p commitPlan) error {
	s.mu.Lock()
	resting := p.event != nil && s.opt.Now() < s.retryAt
	s.mu.Unlock()
	if resting {
		return errRest
	}
	err := s.renew()
	if err != nil {
		s.mu.Lock()
		s.rest(err)
		s.mu.Unlock()
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
	return s.putsBound(event, windows) + s.doomCost()
}

// putsBound is bound without the deletions.
func (s *Store) putsBound(event *Report, windows bool) int64 {
	n := int64(commitCost)
	if event != nil {
		n += reportCost(event)
	}
	for _, r := range s.waiting(windows, s.chunk()) {
		n += reportCost(r)
	}
	return n
}

// chunk is the bound of what one commit puts.
func (s *Store) chunk() int64 { return min(chunkBytes, s.cfg.FlashBytes/8) }

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
		if b.puts, err = s.choose(f, p, now); err != nil {
			return b, 0, err
		}
	}
	bound = commitCost
	for _, r := range b.puts {
		bound += reportCost(r)
	}
	// Deletions ride along where there is room and they are not in the way of
	// an event.
	alone := bound
	if room := f.hardRoom() - f.used - bound; room > doomRunCost || len(b.puts) == 0 {
		var drops, thins int64
		b.drops, drops = s.doomed(&s.drops, room/2)
		b.thins, thins = s.doomed(&s.thins, room/2)
		if bound += drops + thins; !s.account.allowsWindows(bound) {
			s.putBack(&b)
			bound = alone
		}
	}
	switch {
	case len(b.puts)+len(b.drops)+len(b.thins) > 0 && s.allows(&b, bound):
	case len(b.puts) == 0 && len(s.drops)+len(s.thins) == 0 && !s.ledger.dirty && !s.anyWaiting(p):
		return b, 0, errNothing
	case len(b.puts) == 0 && s.ledger.dirty && s.allows(&b, bound) && !s.anyWaiting(p):
	default:
		s.putBack(&b)
		return b, 0, errBudget
	}
	if s.ledger.dirty || len(p.settled) > 0 {
		g := ledger{losses: slices.Clone(s.ledger.losses)}
		g.settle(p.settled)
		b.ledger = g.encode()
		s.ledger.dirty = false
	}
	b.account = s.account.encode(bound)
	b.count = s.flashCount()
	for _, r := range b.puts {
		b.count[r.Key.Lane-1]++
	}
	return b, bound, nil
}

// choose picks what goes to flash and makes room for it in the index.
func (s *Store) choose(f *flash, p commitPlan, now time.Duration) (puts []*Report, err error) {
	windows := p.windows == allWindows || (p.windows == dueWindows && s.windowsDue(now))
	windows = windows && s.account.allowsWindows(s.bound(p.event, windows))
	if windows {
		s.relieveFlash(f, p.event, f.windowRoom(), true)
	} else {
		// Events may use the reserve; they must not pay for tidying up.
		s.relieveFlash(f, p.event, f.hardRoom(), false)
	}
	room := f.hardRoom() - f.used - commitCost
	if p.event != nil {
		puts = append(puts, p.event)
		room -= reportCost(p.event)
	}
	if room < 0 {
		return nil, errNoRoom
	}
	return append(puts, s.waiting(windows, min(room, s.chunk()))...), nil
}

// anyWaiting reports whether p wants something written that is in memory.
func (s *Store) anyWaiting(p commitPlan) bool {
	return !p.deletionsOnly && (s.index[Events-1].inRAM > 0 ||
		(p.windows == allWindows && s.index[Windows-1].inRAM > 0))
}

// putBack takes the deletions out of a batch.
func (s *Store) putBack(b *batch) {
	s.drops = append(s.drops, b.drops...)
	s.thins = append(s.thins, b.thins...)
	b.drops, b.thins = nil, nil
}

// flashCount is how many reports of each lane are on flash.
func (s *Store) flashCount() (n [lanes]uint32) {
	for i := range s.index {
		n[i] = uint32(len(s.index[i].entries) - s.index[i].inRAM)
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
			core, cols := r.sizes()
			s.later(&s.drops, doom{r.Key, uint32(core + cols)})
			continue
		}
		if x.entries[i].ram != r { // thinned during the commit
			_, cols := r.sizes()
			s.later(&s.thins, doom{r.Key, uint32(cols)})
		}
		x.change(i, func(e *entry) { e.ram = nil })
	}
	s.dropsSince = s.opt.Now()
	s.retryAt = 0
	if s.cond.State == Unavailable {
		s.setCondition(Condition{State: OK})
	}
}

// reset replaces a store in which damage was found while running; io is held.
func (s *Store) reset(why error) {
	s.view.Lock()
	defer s.view.Unlock()
	old := s.flash
	s.flash = nil
	_ = old.close(true)
	if s.resets++; s.resets >= maxResets {
		s.replaced(nil, damagef("damaged %d times", maxResets))
		return
	}
	s.replace(&ruin{old.root, why})
}

// A ruin is a damaged store that could not be replaced yet: its directory, and
// what is wrong with it.
type ruin struct {
	root *os.Root
	why  error
}

// replace puts a fresh store in the place of a damaged one. Where there is no
// room for that, the damaged one is kept, with all that can be read of it, and
// Tick tries again. io and view are held.
func (s *Store) replace(r *ruin) {
	var o *opened
	err := guard(func() (err error) {
		// What an earlier attempt set aside.
		if _, err := r.root.Lstat(storeName); errors.Is(err, fs.ErrNotExist) {
			if err := r.root.Rename(asideName, storeName); err != nil {
				return err
			}
		}
		o, err = replaceStore(r.root, s.cfg, r.why)
		return err
	})
	if err == nil || isDamage(err) {
		s.replaced(o, err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attached, s.ruin = false, r
	s.openAt = s.opt.Now() + retryAfter
	s.setCondition(Condition{State: Unavailable, Reason: describe(err)})
}

// retryReplacement is replace once more when it is time; io is held.
func (s *Store) retryReplacement() {
	s.mu.Lock()
	r := s.ruin
	due := r != nil && s.opt.Now() >= s.openAt
	s.mu.Unlock()
	if due {
		s.view.Lock()
		defer s.view.Unlock()
		s.replace(r)
	}
}

// replaced brings the index up to date with the store that took the place of a
// damaged one, or with none. What could not be taken over is counted report by
// report.
func (s *Store) replaced(o *opened, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attached, s.ruin = err == nil, nil
	if err != nil {
		o = &opened{index: newIndex(), cond: Condition{State: Unavailable, Reason: describe(err)}}
		s.drops, s.thins = nil, nil
	}
	s.flash = o.flash
	s.book(o.written)
	lost := s.reconcile(o)
	if o.cond.State == Reset {
		o.cond.Lost = lost
	}
	s.ledger.dirty = true
	s.setCondition(o.cond)
}

// reconcile takes out what is no longer on flash, and has deleted there what
// should not be: what cannot be read, and what came back from an older commit.
func (s *Store) reconcile(o *opened) (lost int64) {
	for _, k := range o.drops {
		s.drops = append(s.drops, doom{Key: k})
	}
	doomed := make(map[Key]bool, len(s.drops))
	for _, d := range s.drops {
		doomed[id(d.Key)] = true
	}
	found := &o.index
	for i := range s.index {
		x := &s.index[i]
		for j := range found[i].entries {
			k := found[i].key(j)
			// The last may be on its way to flash once more.
			if _, there := x.search(k); !there && !doomed[id(k)] && id(k) != id(s.last[i]) {
				s.drops = append(s.drops, doom{k, uint32(found[i].entries[j].bytes())})
			}
		}
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
