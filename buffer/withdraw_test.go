package buffer

import (
	"os"
	"slices"
	"testing"

	"livebox-agent/collector/catalogue"
)

// only returns w with the sections of one purpose.
func only(w Report, p catalogue.Purpose) Report {
	return *w.without(func(s Section) bool { return s.Purpose == p })
}

func TestWithdrawDeletesOnePurposeEverywhere(t *testing.T) {
	l := newLab(t)
	var gone [][]byte
	for seq := uint64(1); seq <= 40; seq++ {
		w := l.window(seq)
		if seq%4 == 0 {
			w = only(w, catalogue.Personalised)
		}
		l.append(w)
		for _, s := range w.Sections {
			if s.Purpose == catalogue.Personalised {
				gone = append(gone, s.Body)
			}
		}
		if seq%5 == 0 && seq < 40 {
			l.spill()
		}
	}
	l.Ack(testRun.ID, Windows, 3, nil) // still on flash, about to go
	if !l.contains(gone[20]) {
		t.Fatal("not on flash before")
	}
	if err := l.Withdraw(catalogue.Personalised); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		got := l.all(Windows)
		for _, r := range got {
			if r.Key.Sequence%4 == 0 || len(r.Sections) != 4 {
				t.Errorf("window %d came back with %d sections", r.Key.Sequence, len(r.Sections))
			}
			wantSame(t, *l.window(r.Key.Sequence).withoutPersonalised(), reportWithTimes(r, l))
		}
		if len(got) != 27 {
			t.Errorf("%d windows left; want 27: %v", len(got), sequences(got))
		}
		for i, b := range gone {
			if l.contains(b[100:200]) {
				t.Fatalf("section %d of %d can still be found in the directory", i, len(gone))
			}
		}
	}
	check()
	var n uint64
	for _, loss := range l.Losses() {
		if loss.Reason != Withdrawn {
			t.Errorf("loss %v", loss)
		}
		n += loss.Count
	}
	if n != 37 {
		t.Errorf("%d reports counted as withdrawn; want the 37 that were not acknowledged", n)
	}
	l.cut()
	l.wantCondition(OK)
	check()
	// Granted again, it is kept again.
	l.append(only(l.window(41), catalogue.Personalised))
	l.spill()
	if k, _ := l.Last(Windows); k.Sequence != 41 {
		t.Errorf("last is %d; want 41", k.Sequence)
	}
}

func (r Report) withoutPersonalised() *Report {
	return r.without(func(s Section) bool { return s.Purpose != catalogue.Personalised })
}

// reportWithTimes gives r the times that the lab's clock has now.
func reportWithTimes(r Report, l *lab) Report {
	w := l.window(r.Key.Sequence)
	r.Opened, r.Sealed = w.Opened, w.Sealed
	return r
}

func TestWithdrawWorksWhenTheDaysBytesAreGone(t *testing.T) {
	l := newLab(t, func(c *Config) { c.FlashDailyBytes = 1 << 20 })
	for seq := uint64(1); l.Spill("test") == nil; seq++ {
		l.append(l.window(seq))
	}
	what := l.window(2).Sections[4]
	if what.Purpose != catalogue.Personalised || !l.contains(what.Body) {
		t.Fatal("not on flash")
	}
	if err := l.Withdraw(catalogue.Personalised); err != nil {
		t.Fatal(err)
	}
	if l.contains(what.Body[100:200]) {
		t.Error("still in the directory")
	}
}

// The flash fails in the middle: nothing withdrawn is given out, and Tick tries
// again.
func TestWithdrawIsTriedAgain(t *testing.T) {
	l := newLab(t)
	l.append(l.window(1), only(l.window(2), catalogue.Support))
	l.spill()
	if err := os.Rename(l.path(), l.path()+".hidden"); err != nil { // scrub cannot open it
		t.Fatal(err)
	}
	if err := l.Withdraw(catalogue.Support); err == nil {
		t.Fatal("Withdraw = nil without a file")
	}
	if slices.ContainsFunc(l.all(Windows), func(r Report) bool {
		return slices.ContainsFunc(r.Sections, func(s Section) bool { return s.Purpose == catalogue.Support })
	}) {
		t.Error("a withdrawn section came back")
	}
	if err := os.Rename(l.path()+".hidden", l.path()); err != nil {
		t.Fatal(err)
	}
	at, ok := l.NextSpill()
	if !ok || at <= l.clock.now() {
		t.Fatalf("NextSpill = %v, %v at %v; want a little later", at, ok, l.clock.now())
	}
	l.clock.advance(at - l.clock.now())
	l.tick()
	if l.contains(l.window(1).Sections[2].Body[100:200]) {
		t.Error("still in the directory")
	}
	if at, ok := l.NextSpill(); ok {
		t.Errorf("NextSpill = %v; want nothing to do", at)
	}
}

func TestWithdrawInMemoryOnly(t *testing.T) {
	l := newLab(t, func(c *Config) { c.FlashBytes = 0 })
	l.wantCondition(Off)
	l.append(l.window(1), only(l.window(2), catalogue.Support))
	if err := l.Withdraw(catalogue.Support); err != nil {
		t.Fatal(err)
	}
	l.wantSequences(Windows, 1)
	if r, _ := l.Next(Windows, Key{}); len(r.Sections) != 4 {
		t.Errorf("%d sections left; want 4", len(r.Sections))
	}
}
