package buffer

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"
)

// Promise 1.
func TestAppendedEventAndSpilledWindowSurviveLossOfPower(t *testing.T) {
	l := newLab(t)
	var events, windows []Report
	for seq := uint64(1); seq <= 20; seq++ {
		e := l.event(seq)
		l.append(e)
		events = append(events, e)
		// Cut at every commit boundary.
		at := *l
		at.cut()
		got := at.all(Events)
		if len(got) != len(events) {
			t.Fatalf("after event %d and a cut: %d events", seq, len(got))
		}
		for i := range got {
			wantSame(t, events[i], got[i])
		}
		w := l.window(seq)
		l.append(w)
		if seq%3 == 0 {
			l.spill()
			windows = append(windows, l.all(Windows)[len(windows):]...)
			at := *l
			at.cut()
			got := at.all(Windows)
			if len(got) != len(windows) {
				t.Fatalf("after the spill of %d and a cut: %d windows", seq, len(got))
			}
			wantSame(t, w, got[len(got)-1])
		}
	}
}

// Promise 1, second sentence.
func TestEventsAreDurableBeforeNextReturnsThem(t *testing.T) {
	l := newLab(t)
	seen := make(chan error, 1)
	go func() {
		for seq := uint64(1); seq <= 10; {
			<-l.Appended()
			for {
				r, ok := l.Next(Events, Key{Run: testRun, Sequence: seq - 1})
				if !ok {
					break
				}
				seq = r.Key.Sequence + 1
				if !l.contains(r.Sections[0].Body) {
					seen <- fmt.Errorf("event %d came from Next before it was in the file", r.Key.Sequence)
					return
				}
			}
		}
		seen <- nil
	}()
	for seq := uint64(1); seq <= 10; seq++ {
		l.append(l.event(seq))
	}
	if err := <-seen; err != nil {
		t.Error(err)
	}
}

// Promise 2.
func TestWindowIsDurableAtTheLatestSpillAfterSealing(t *testing.T) {
	l := newLab(t)
	l.append(l.window(1))
	at, ok := l.NextSpill()
	if want := l.clock.now() + l.cfg.SpillAfter; !ok || at != want {
		t.Fatalf("NextSpill = %v, %v; want %v", at, ok, want)
	}
	l.clock.advance(l.cfg.SpillAfter - time.Second)
	l.tick()
	if l.contains(l.window(1).Sections[0].Body) {
		t.Error("on flash before its time")
	}
	l.clock.advance(time.Second)
	l.tick()
	if at, ok := l.NextSpill(); ok {
		t.Errorf("NextSpill = %v after the spill; want nothing to do", at)
	}
	l.cut()
	l.wantSequences(Windows, 1)
}

// Promise 2, second sentence.
func TestWhileTheCEMAnswersWindowsCostTheFlashNothing(t *testing.T) {
	l := newLab(t)
	before, err := os.Stat(l.path())
	if err != nil {
		t.Fatal(err)
	}
	start := l.Stats()
	for seq := uint64(1); seq <= 288; seq++ {
		l.append(l.window(seq))
		for range 5 {
			l.clock.advance(time.Minute)
			l.tick()
		}
		// One acknowledgement behind.
		if n := l.Ack(testRun.ID, Windows, seq-1, nil); seq > 1 && n != 1 {
			t.Fatalf("Ack of %d removed %d", seq-1, n)
		}
	}
	after, err := os.Stat(l.path())
	if err != nil {
		t.Fatal(err)
	}
	st := l.Stats()
	if st.FlashWritten != start.FlashWritten || st.Commits != start.Commits || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("a day wrote %d bytes in %d commits", st.FlashWritten-start.FlashWritten, st.Commits-start.Commits)
	}
}

// Promise 2, third sentence.
func TestSpillMakesEverythingDurableAtOnce(t *testing.T) {
	l := newLab(t)
	for seq := uint64(1); seq <= 30; seq++ {
		l.append(l.window(seq))
	}
	before := l.Stats().Commits
	l.spill()
	if n := l.Stats().Commits - before; n != 1 {
		t.Errorf("30 windows took %d commits; want 1", n)
	}
	l.cut()
	l.wantSequences(Windows, upTo(30)...)
}

// Promise 3.
func TestReportsComeBackInOrderUntilAcknowledgedAndNeverAfter(t *testing.T) {
	l := newLab(t)
	for seq := uint64(1); seq <= 12; seq++ {
		l.append(l.window(seq))
		if seq%4 == 0 && seq < 12 {
			l.spill()
		}
	}
	l.wantSequences(Windows, upTo(12)...) // 8 on flash, 4 in memory
	l.wantSequences(Windows, upTo(12)...) // and again
	if n := l.Ack(testRun.ID, Windows, 2, []Range{{5, 6}, {11, 11}}); n != 5 {
		t.Errorf("Ack removed %d; want 5", n)
	}
	if n := l.Ack(testRun.ID, Windows, 2, []Range{{5, 6}, {11, 11}}); n != 0 {
		t.Errorf("the same Ack removed %d more", n)
	}
	l.wantSequences(Windows, 3, 4, 7, 8, 9, 10, 12)
	if n := l.Ack(testRun.ID+1, Windows, 100, nil) + l.Ack(testRun.ID, Events, 100, nil) + l.Ack(testRun.ID, 9, 100, nil); n != 0 {
		t.Errorf("Ack of an unknown run or lane removed %d", n)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l.open()
	l.wantSequences(Windows, 3, 4, 7, 8, 9, 10, 12)
}

// Promise 3: the lane goes on through runs, oldest first.
func TestOlderRunsComeFirst(t *testing.T) {
	l := newLab(t)
	r2 := Run{ID: 1, Counter: testRun.Counter + 1, KernelBoot: 43}
	l.append(l.window(1), l.window(2))
	w := l.window(1)
	w.Key.Run = r2
	l.append(w)
	l.spill()
	w.Key.Sequence = 2
	l.append(w)
	var got []string
	for _, r := range l.all(Windows) {
		got = append(got, fmt.Sprint(r.Key.Run.Counter, "/", r.Key.Sequence))
	}
	if want := []string{"7/1", "7/2", "8/1", "8/2"}; !slices.Equal(got, want) {
		t.Errorf("order %v; want %v", got, want)
	}
	if k, ok := l.Last(Windows); !ok || k.Run != r2 || k.Sequence != 2 {
		t.Errorf("Last = %v, %v", k, ok)
	}
}

// Promise 4, flash: weeks of outage, never above the limit, at any moment.
func TestStoreNeverExceedsItsBytes(t *testing.T) {
	l := newLab(t, func(c *Config) { c.FlashBytes, c.RAMBytes = 1<<20, 128<<10 })
	check := func() {
		t.Helper()
		if n := l.dirBytes(); n > l.cfg.FlashBytes {
			t.Fatalf("directory takes %d; the limit is %d", n, l.cfg.FlashBytes)
		}
		if st := l.Stats(); st.RAMUsed > l.cfg.RAMBytes {
			t.Fatalf("memory takes %d; the limit is %d", st.RAMUsed, l.cfg.RAMBytes)
		}
	}
	for seq := uint64(1); seq <= 2500; seq++ {
		l.windows(seq, seq)
		check()
	}
	st := l.Stats()
	if st.Thinned == 0 || st.Dropped == 0 || st.Windows.FlashReports < 250 {
		t.Errorf("thinned %d, dropped %d, kept %d", st.Thinned, st.Dropped, st.Windows.FlashReports)
	}
	l.wantLedgerExact(Windows, 2500)
}

// wantLedgerExact checks that what is there and the ledger make up last.
func (l *lab) wantLedgerExact(lane Lane, last uint64) {
	l.t.Helper()
	var lost uint64
	for _, loss := range l.Losses() {
		if loss.Lane == lane && loss.Reason != Thinned {
			lost += loss.Count
		}
	}
	if have := uint64(len(l.all(lane))); have+lost != last {
		l.t.Errorf("%v: %d there and %d in the ledger; want %d in all", lane, have, lost, last)
	}
}

// Promise 4, order.
func TestPressureThinsBeforeDroppingWindowsBeforeEventsTheMiddleFirst(t *testing.T) {
	l := newLab(t, func(c *Config) { c.FlashBytes = 1 << 20 })
	const events = 40
	firstDrop := uint64(0)
	seq := uint64(0)
	for e := uint64(1); e <= events; e++ {
		l.append(l.event(e))
		for range 30 {
			seq++
			l.windows(seq, seq)
			if firstDrop == 0 && l.Stats().Dropped > 0 {
				firstDrop = seq
				for i := range l.index[Windows-1].entries {
					if en := &l.index[Windows-1].entries[i]; en.cols > 0 && en.ram == nil {
						t.Fatalf("window %d was dropped while %d on flash still has its columns", seq, en.seq)
					}
				}
			}
		}
	}
	if firstDrop == 0 {
		t.Fatal("nothing was dropped")
	}
	l.wantSequences(Events, upTo(events)...)
	got := sequences(l.all(Windows))
	if !slices.Equal(got[:protectOnset], upTo(protectOnset)) {
		t.Errorf("the onset is %v", got[:protectOnset])
	}
	for i, want := range upTo(seq)[seq-protectEnd:] {
		if got := got[len(got)-protectEnd+i]; got != want {
			t.Errorf("of the newest %d: %d; want %d", protectEnd, got, want)
		}
	}
	// What is left of the middle is evenly spread: no hole is more than four
	// times the smallest but those that were still whole.
	widest := uint64(0)
	for i := protectOnset; i < len(got)-protectEnd; i++ {
		widest = max(widest, got[i]-got[i-1])
	}
	if n := uint64(len(got)); widest > 4*(seq/n+1) {
		t.Errorf("%d of %d windows left, and a hole of %d", n, seq, widest)
	}
	for _, r := range l.all(Windows) {
		if len(r.Sections) < 3 {
			t.Errorf("window %d has %d sections; its summaries must stay", r.Key.Sequence, len(r.Sections))
		}
	}
	l.wantLedgerExact(Windows, seq)
}

// Promise 4, last sentence but one: the ledger is kept like a report.
func TestLedgerSurvivesRestart(t *testing.T) {
	l := newLab(t, func(c *Config) { c.FlashBytes, c.RAMBytes = 0, 64<<10 })
	for seq := uint64(1); seq <= 100; seq++ {
		l.append(l.window(seq))
	}
	want := l.Losses()
	if len(want) == 0 {
		t.Fatal("no losses in 64 KiB")
	}
	l = newLab(t)
	l.ledger.losses, l.ledger.dirty = want, true
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l.open()
	if got := l.Losses(); !slices.Equal(got, want) {
		t.Errorf("ledger after restart %v; want %v", got, want)
	}
}

// Promise 4: the ledger moves into an event in one commit.
func TestSettledLossesAreInTheEventOrInTheLedger(t *testing.T) {
	l := newLab(t)
	k := l.window(5).Key
	l.ledger.add(k, Full)
	losses := l.Losses()
	k.Sequence = 6
	l.ledger.add(k, Full) // lost while the event was made
	if err := l.SettleLosses(l.event(1), losses); err != nil {
		t.Fatal(err)
	}
	want := []Loss{{testRun.ID, Windows, Full, 6, 6, 1}}
	if got := l.Losses(); !slices.Equal(got, want) {
		t.Errorf("ledger %v; want %v", got, want)
	}
	l.cut()
	l.wantSequences(Events, 1)
	if got := l.Losses(); !slices.Equal(got, want) {
		t.Errorf("ledger after a cut %v; want %v", got, want)
	}
	if err := l.SettleLosses(l.window(1), nil); err == nil {
		t.Error("SettleLosses took a window")
	}
}

// Promise 5.
func TestBadDirectoryStopsNothing(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(l *lab) error
		want    State
	}{
		{"absent", func(l *lab) error { return os.RemoveAll(l.dir) }, OK},
		{"empty file", func(l *lab) error { return os.WriteFile(l.path(), nil, 0o600) }, Reset},
		{"foreign", func(l *lab) error { return os.WriteFile(l.path(), body(100000, 1), 0o600) }, Reset},
		{"text", func(l *lab) error { return os.WriteFile(l.path(), []byte("hello\n"), 0o600) }, Reset},
		{"cut off", func(l *lab) error { return os.Truncate(l.path(), 20000) }, Reset},
		{"a directory", func(l *lab) error {
			return errors.Join(os.Remove(l.path()), os.Mkdir(l.path(), 0o700), os.WriteFile(l.path()+"/x", nil, 0o600))
		}, Reset},
		{"a link to elsewhere", func(l *lab) error {
			return errors.Join(os.Remove(l.path()), os.Symlink("/etc/passwd", l.path()))
		}, Reset},
		{"the directory is a file", func(l *lab) error {
			return errors.Join(os.RemoveAll(l.dir), os.WriteFile(l.dir, nil, 0o600))
		}, Unavailable},
		{"the parent is a file", func(l *lab) error { l.dir = l.path() + "/deeper"; return nil }, Unavailable},
		{"above the limit", func(l *lab) error {
			l.cfg.FlashDailyBytes = 64 << 20
			l.open()
			for seq := uint64(2); seq <= 400; seq++ {
				l.append(l.window(seq))
				if seq%50 == 0 {
					l.spill()
				}
			}
			l.cfg.FlashBytes = 1 << 20
			return l.Close()
		}, Reset},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t)
			l.append(l.event(1), l.window(1))
			check(t, l.Close())
			check(t, tt.prepare(l))
			l.open()
			c := l.wantCondition(tt.want)
			if tt.name == "above the limit" {
				l.wantLedgerExact(Windows, 400)
				l.wantLedgerExact(Events, 1)
			}
			if tt.want != OK && c.Reason == "" {
				t.Error("no reason given")
			}
			run := testRun
			run.ID++
			run.Counter++
			for seq := uint64(1); seq <= 4; seq++ {
				e, w := l.event(seq), l.window(seq)
				e.Key.Run, w.Key.Run = run, run
				if err := l.Append(e); (err != nil) != (tt.want == Unavailable) ||
					(err != nil && !errors.Is(err, ErrNotDurable)) {
					t.Errorf("Append of an event = %v while %v", err, tt.want)
				}
				l.append(w)
				l.clock.advance(20 * time.Minute)
				l.tick()
			}
			for _, lane := range []Lane{Events, Windows} {
				if k, ok := l.Last(lane); !ok || k.Sequence != 4 {
					t.Errorf("Last(%v) = %v, %v; want 4", lane, k, ok)
				}
				if r, ok := l.Next(lane, Key{Run: run, Sequence: 3}); !ok || len(r.Sections) == 0 {
					t.Errorf("Next(%v) = %v, %v; want 4", lane, r.Key, ok)
				}
			}
			if n := l.dirBytes(); n > l.cfg.FlashBytes {
				t.Errorf("directory takes %d", n)
			}
		})
	}
}

// Promise 5: a second agent, or a person with a tool, holds the store.
func TestLockedStoreIsLeftAlone(t *testing.T) {
	l := newLab(t)
	l.append(l.event(1))
	other := *l
	other.open()
	c := other.wantCondition(Unavailable)
	if c.Reason != "in use by another process" {
		t.Errorf("reason %q", c.Reason)
	}
	wantErr(t, "Append", other.Append(l.event(2)), ErrNotDurable)
	wantErr(t, "Close", other.Close(), ErrNotDurable)
	if _, err := Inspect(l.dir); !errors.Is(err, ErrLocked) {
		t.Errorf("Inspect = %v; want locked", err)
	}
	l.wantCondition(OK)
	l.wantSequences(Events, 1)
}

// Promise 6.
func TestDailyBytesAreAHardLimit(t *testing.T) {
	l := newLab(t, func(c *Config) { c.FlashDailyBytes = 1 << 20 })
	longest, last := time.Duration(0), l.Stats().LastSpill
	written, elapsed, days := int64(0), time.Duration(0), 0
	for seq := uint64(1); seq <= 4*288; seq++ {
		before := l.Stats().FlashWritten
		l.windows(seq, seq)
		st := l.Stats()
		if l.account.elapsed < elapsed { // a new day
			written, before = 0, st.FlashWritten-st.FlashToday
			days++
		}
		elapsed = l.account.elapsed
		if written += st.FlashWritten - before; written > l.cfg.FlashDailyBytes {
			t.Fatalf("day %d: %d bytes; the limit is %d", days, written, l.cfg.FlashDailyBytes)
		}
		if st.LastSpill != last {
			longest, last = max(longest, st.LastSpill-last), st.LastSpill
		}
	}
	if days < 3 {
		t.Fatalf("%d days", days)
	}
	if longest <= l.cfg.SpillAfter+5*time.Minute {
		t.Errorf("the longest time between spills is %v: they did not stretch", longest)
	}
	// A day's windows are worth 1.3 MB: the limit must have been used all the
	// same.
	if st := l.Stats(); st.FlashTotal < 2<<20 {
		t.Errorf("four days used %d bytes of 4 MiB", st.FlashTotal)
	}
}

// Promise 6, second sentence.
func TestEventsHaveBytesOfTheirOwn(t *testing.T) {
	l := newLab(t, func(c *Config) { c.FlashDailyBytes = 1 << 20 })
	seq := uint64(0)
	for l.Spill("test") == nil { // windows take all they may
		for range 10 {
			seq++
			l.append(l.window(seq))
		}
	}
	durable := uint64(0)
	for ; l.Append(l.event(durable+1)) == nil; durable++ {
		if durable == 100 {
			t.Fatal("events do not count")
		}
	}
	if durable < 3 {
		t.Errorf("%d events were durable after the windows' bytes were gone", durable)
	}
	if st := l.Stats(); st.FlashToday > l.cfg.FlashDailyBytes {
		t.Errorf("%d bytes in a day of %d", st.FlashToday, l.cfg.FlashDailyBytes)
	}
	l.cut() // and a restart gives no new day
	e := l.event(200)
	wantErr(t, "Append after a restart", l.Append(e), ErrNotDurable)
	l.clock.advance(25 * time.Hour)
	l.append(l.event(201))
}

// Promise 6, third sentence: what is counted is what is in the file.
func TestEveryByteIsCounted(t *testing.T) {
	l := newLab(t, func(c *Config) { c.FlashDailyBytes = 64 << 20 })
	before, err := os.ReadFile(l.path())
	check(t, err)
	for seq := uint64(1); seq <= 200; seq++ {
		l.append(l.window(seq))
		if seq%4 != 0 {
			continue
		}
		counted := l.Stats().FlashWritten
		l.spill()
		counted = l.Stats().FlashWritten - counted
		after, err := os.ReadFile(l.path())
		check(t, err)
		var changed int64
		for at := 0; at < len(after); at += pageSize {
			if at >= len(before) || string(before[at:at+pageSize]) != string(after[at:at+pageSize]) {
				if string(after[at:at+pageSize]) != string(make([]byte, pageSize)) {
					changed += pageSize
				}
			}
		}
		if changed > counted {
			t.Fatalf("%d bytes of pages changed, %d counted", changed, counted)
		}
		before = after
	}
}
