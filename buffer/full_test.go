//go:build linux

package buffer

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"livebox-agent/collector/catalogue"
)

// nearlyFull returns a store with 60 large events, each durable, on a
// file system that has no room for a second one.
func nearlyFull(t *testing.T) *lab {
	t.Helper()
	l := newLab(t, func(c *Config) { c.FlashDailyBytes = 64 << 20 })
	check(t, l.Close())
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=640k"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("no tmpfs:", err)
	}
	t.Cleanup(func() {
		check(t, closeQuietly(l.Store))
		check(t, unix.Unmount(dir, unix.MNT_DETACH))
	})
	l.dir = filepath.Join(dir, "buffer")
	l.open()
	for seq := uint64(1); seq <= 60; seq++ {
		l.append(l.largeEvent(seq))
	}
	l.wantCondition(OK)
	return l
}

func (l *lab) largeEvent(seq uint64) Report {
	e := l.event(seq)
	e.Sections[0].Body = body(6000, seq)
	return e
}

// room makes the file system large enough, and lets the flash rest.
func (l *lab) room() {
	l.t.Helper()
	check(l.t, unix.Mount("none", filepath.Dir(l.dir), "tmpfs", unix.MS_REMOUNT, "size=8m"))
	l.clock.advance(retryAfter)
	if err := l.Tick(); err != nil {
		l.t.Errorf("Tick with room = %v", err)
	}
}

// A copy that has not everything does not take the place of a whole store.
func TestFailedSyncOnAFullFlashCostsNothing(t *testing.T) {
	l := nearlyFull(t)
	l.suspect = true // a sync failed
	before := l.Stats().FlashWritten
	wantErr(t, "Append", l.Append(l.largeEvent(61)), ErrNotDurable)
	for range 20 {
		l.clock.advance(retryAfter)
		if err := l.Tick(); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Tick = %v; want no space", err)
		}
	}
	if c := l.wantCondition(Unavailable); c.Reason != "no space left on device" {
		t.Errorf("reason %q", c.Reason)
	}
	if got := l.Stats().FlashWritten; got != before {
		t.Errorf("%d bytes written for copies that do not fit", got-before)
	}
	l.wantSequences(Events, upTo(61)...)
	if b, err := os.ReadDir(l.dir); err != nil || len(b) != 1 {
		t.Errorf("the directory holds %v, %v; want the store", b, err)
	}
	l.cut()
	l.wantSequences(Events, upTo(60)...) // the last was not durable
	check(t, l.Close())
}

func TestRenewalIsDoneWhenThereIsRoom(t *testing.T) {
	l := nearlyFull(t)
	l.suspect = true
	wantErr(t, "Append", l.Append(l.largeEvent(61)), ErrNotDurable)
	l.room()
	l.wantCondition(OK)
	l.wantSequences(Events, upTo(61)...)
	if losses := l.Losses(); len(losses) > 0 || l.suspect {
		t.Errorf("losses %v, suspect %v", losses, l.suspect)
	}
}

func TestRepairOnAFullFlashWaitsForRoom(t *testing.T) {
	l := nearlyFull(t)
	check(t, l.Close())
	l.rot(l.largeEvent(30).Header)
	for range 2 {
		l.open()
		l.wantCondition(Unavailable)
		check(t, l.Close())
	}
	l.open()
	wantErr(t, "Append", l.Append(l.largeEvent(61)), ErrNotDurable)
	l.room()
	l.wantCondition(Reset)
	if got := sequences(l.all(Events)); len(got) < 58 || got[0] != 1 || got[len(got)-1] != 61 {
		t.Errorf("%d of 61 events left: %v", len(got), got)
	}
	l.wantLedgerExact(Events, 61)
}

func TestRepairWhileRunningWaitsForRoom(t *testing.T) {
	l := nearlyFull(t)
	l.Ack(testRun.ID, Events, 2, nil)
	l.rot(l.largeEvent(30).Header)
	l.all(Events)
	l.wantCondition(Unavailable)
	if losses := l.Losses(); len(losses) > 0 {
		t.Errorf("losses %v; want none, nothing is known to be lost", losses)
	}
	wantErr(t, "Append", l.Append(l.largeEvent(61)), ErrNotDurable)
	if err := l.Withdraw(catalogue.Mobile); err == nil {
		t.Error("Withdraw = nil; nothing was deleted from flash")
	}
	if at, ok := l.NextSpill(); !ok || at > l.clock.now()+retryAfter {
		t.Errorf("NextSpill = %v, %v; want a try in %v", at, ok, retryAfter)
	}
	l.room()
	if got := sequences(l.all(Events)); len(got) < 56 || got[0] != 3 || got[len(got)-1] != 61 {
		t.Errorf("%d of 59 events left: %v", len(got), got)
	}
	lost := uint64(0)
	for _, loss := range l.Losses() {
		lost += loss.Count
	}
	if got := len(l.all(Events)); uint64(got)+lost != 59 {
		t.Errorf("%d events left, %d told as lost; want 59 together", got, lost)
	}
	check(t, l.Withdraw(catalogue.Mobile))
}

// The copy of a store at its own limit holds all of it.
func TestRenewalAtTheLimitTakesEverything(t *testing.T) {
	l := newLab(t, func(c *Config) { c.FlashBytes, c.FlashDailyBytes = minFlash, 64<<20 })
	for seq := uint64(1); seq <= 80; seq++ {
		l.append(l.window(seq), l.largeEvent(seq))
		l.spill()
	}
	for _, loss := range l.Losses() {
		if loss.Reason == Damaged {
			t.Fatalf("before a renewal: %v", loss)
		}
	}
	l.suspect = true
	l.append(l.event(81))
	l.wantCondition(OK)
	for _, loss := range l.Losses() {
		if loss.Reason == Damaged {
			t.Errorf("the copy lacks %v", loss)
		}
	}
	l.wantLedgerExact(Events, 81)
	l.wantLedgerExact(Windows, 80)
}
