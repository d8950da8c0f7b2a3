package buffer

import (
	"errors"
	"os"
)

// After a sync that failed nobody knows what is on flash. Linux then takes the
// pages for written and does not write them again: a later sync goes well
// without them. bbolt would build on them, and write over what they replaced;
// the next loss of power would take reports that were durable long before. So
// nothing is written to such a file any more. What it holds, as far as the
// page cache has it, goes to a fresh one, and until that is complete the old
// one stays as it was.

// suspicious reports whether a commit that failed with err leaves that doubt. A
// write that failed does not: bbolt writes its pages again.
func suspicious(err error) bool {
	p, ok := errors.AsType[*os.PathError](err)
	return !ok || p.Op != "write"
}

// renew replaces a store of which a sync failed; io is held.
func (s *Store) renew() error {
	old := s.flash
	if !s.suspect || old == nil {
		return nil
	}
	if err := copyFits(old.root, storeName); err != nil {
		return err
	}
	if err := createFresh(old.root, s.cfg.FlashBytes); err != nil {
		return err
	}
	// What is missing is found by the index, report by report.
	written, _, err := salvage(old.root, storeName, s.cfg.FlashBytes, false)
	s.mu.Lock()
	s.book(createCost + written)
	s.mu.Unlock()
	if err == nil {
		err = takeFresh(old.root)
	}
	if err != nil {
		return errors.Join(err, removeAll(old.root, freshName))
	}
	o, err := openSound(old.root, s.cfg)
	if err != nil {
		return err // the copy is copied the next time
	}
	s.suspect = false
	s.view.Lock()
	defer s.view.Unlock()
	_ = old.close(false)
	s.flash = o.flash
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reconcile(o)
	return nil
}
