package buffer

import (
	"testing"
	"time"
)

// A report that is being read keeps the pages that were freed since. A commit
// that needs them waits for the reader: no other report goes for it.
func TestCommitThatNeedsThePagesOfAReaderWaitsForIt(t *testing.T) {
	alone, _ := fillFlash(t, func(_ *lab, spill func()) bool { spill(); return false })
	beside, waited := fillFlash(t, func(l *lab, spill func()) (waited bool) {
		l.view.RLock()
		tx, err := l.flash.db.Begin(false)
		check(t, err)
		spilt := make(chan struct{})
		go func() {
			defer close(spilt)
			spill()
		}()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for over := false; !over && !waited; {
			select {
			case <-spilt:
				over = true
			case <-tick.C:
				if waited = !l.view.TryRLock(); !waited {
					l.view.RUnlock()
				}
			}
		}
		check(t, tx.Rollback())
		l.view.RUnlock()
		<-spilt
		return waited
	})
	if waited == 0 {
		t.Error("no commit needed what the reader kept: nothing was tried")
	}
	// Which pages bbolt takes differs a little from run to run.
	if beside > alone+20 {
		t.Errorf("%d reports dropped beside a reader, %d without; want about the same", beside, alone)
	}
}

// fillFlash has each spill of more windows than the flash can hold made by
// spillBy, and returns how many windows were dropped and how often that says
// true.
func fillFlash(t *testing.T, spillBy func(l *lab, spill func()) bool) (dropped uint64, times int) {
	t.Helper()
	l := newLab(t, func(c *Config) { c.FlashBytes, c.FlashDailyBytes = 512<<10, 256<<20 })
	for seq := uint64(1); seq <= 280; seq++ {
		l.append(l.window(seq))
		if seq%40 != 0 {
			continue
		}
		spill := func() {
			if err := l.Spill("test"); err != nil {
				t.Errorf("Spill after window %d = %v", seq, err)
			}
		}
		if spillBy(l, spill) {
			times++
		}
	}
	return l.Stats().Dropped, times
}
