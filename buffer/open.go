package buffer

import (
	"errors"
	"fmt"
	"time"

	"livebox-agent/buffer/durable"
)

// An attempt is what came of opening the directory.
type attempt struct {
	o   *opened
	err error
}

// attempt opens the directory in a goroutine, because a flash that hangs must
// not hold up the agent. The result waits until it is fetched or the store is
// closed.
func (s *Store) attempt() <-chan attempt {
	ch := make(chan attempt)
	go func() {
		var r attempt
		r.err = guard(func() error {
			root, err := durable.OpenDir(s.opt.Dir)
			if err != nil {
				return err
			}
			if r.o, err = s.opt.open(root, s.cfg); err != nil {
				return errors.Join(err, root.Close())
			}
			return nil
		})
		select {
		case ch <- r:
		case <-s.gone:
			r.discard()
		}
	}()
	return ch
}

// discard closes what nobody wants any more.
func (r attempt) discard() {
	if r.err == nil {
		_ = r.o.flash.close(false)
		_ = r.o.flash.root.Close()
	}
}

// wait waits for an attempt, but no longer than patience.
func (s *Store) wait(ch <-chan attempt, patience time.Duration) (r attempt, ok bool) {
	select {
	case r = <-ch:
		return r, true
	default:
	}
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case r = <-ch:
		return r, true
	case <-timeout.C:
	case <-s.gone:
	}
	return r, false
}

// reopen opens a directory that could not be opened so far, and reports
// whether that is done. No lock is held while it waits. There is one attempt at
// a time, and each is waited for only once: one that hangs is looked at again
// when the next would be due.
func (s *Store) reopen() bool {
	s.mu.Lock()
	if s.closed || !s.absent || s.opt.Now() < s.openAt {
		s.mu.Unlock()
		return false
	}
	s.openAt = s.opt.Now() + retryAfter
	patience := time.Duration(0)
	if s.opening == nil {
		s.opening, patience = s.attempt(), s.opt.OpenTimeout
	}
	ch := s.opening
	s.mu.Unlock()
	r, ok := s.wait(ch, patience)

	s.io.Lock()
	defer s.io.Unlock()
	s.view.Lock()
	defer s.view.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok {
		s.opening = nil
	}
	switch {
	case s.closed:
		if ok {
			r.discard()
		}
	case !ok:
		s.setCondition(Condition{State: Unavailable, Reason: fmt.Sprintf("not opened within %v", s.opt.OpenTimeout)})
	case r.err != nil:
		s.setCondition(Condition{State: Unavailable, Reason: describe(r.err)})
	default:
		s.adopt(r.o)
		return true
	}
	return false
}

// adopt takes over what openStore found. What is in memory, where the
// directory can be opened only now, stays there and goes to flash as usual.
func (s *Store) adopt(o *opened) {
	s.absent, s.attached = false, true
	s.setCondition(o.cond)
	s.flash = o.flash
	s.adoptIndex(o.index)
	young := s.ledger.losses
	s.ledger.losses = o.losses
	for _, l := range young {
		s.ledger.addLoss(l)
	}
	s.account.advance(s.opt.Now())
	s.account.decode(o.account)
	s.book(o.written)
	for _, k := range o.drops {
		s.drops = append(s.drops, doom{Key: k})
		s.ledger.add(k, Damaged)
		s.counts.damaged++
	}
	for _, k := range o.thins {
		s.thins = append(s.thins, doom{Key: k})
		s.ledger.add(k, Thinned)
		s.counts.thinned++
	}
	s.dropsSince = s.account.at
	s.withdrawn |= s.owed
	s.owed = 0
}

// adoptIndex puts what is in memory among what was found on flash.
func (s *Store) adoptIndex(found [lanes]laneIndex) {
	for i := range found {
		x := &found[i]
		if n := len(x.entries); n > 0 && s.last[i] == (Key{}) {
			s.last[i] = x.key(n - 1)
		}
		for j := range s.index[i].entries {
			// A key stands for one report for ever: one that is on flash
			// need not go there again.
			k := s.index[i].key(j)
			if _, there := x.search(k); !there {
				x.add(k, s.index[i].entries[j])
			}
		}
	}
	s.index = found
}
