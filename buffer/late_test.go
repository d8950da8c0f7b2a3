package buffer

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"livebox-agent/collector/catalogue"
)

// hide puts a file where the directory is; show undoes it.
func (l *lab) hide() {
	l.t.Helper()
	check(l.t, errors.Join(os.Rename(l.dir, l.dir+".away"), os.WriteFile(l.dir, nil, 0o600)))
}

func (l *lab) show() {
	l.t.Helper()
	check(l.t, errors.Join(os.Remove(l.dir), os.Rename(l.dir+".away", l.dir)))
}

// hidden is a lab whose directory cannot be opened: a run before this one left
// event 1 and windows 1 and 2 there.
func hidden(t *testing.T, change ...func(*Config)) *lab {
	t.Helper()
	l := newLab(t, change...)
	for _, r := range []Report{l.event(1), l.window(1), l.window(2)} {
		r.Key.Run = olderRun()
		l.append(r)
	}
	l.ledger.add(Key{Run: olderRun(), Lane: Windows, Sequence: 9}, Full)
	check(t, l.Close())
	l.hide()
	l.open()
	l.wantCondition(Unavailable)
	return l
}

func olderRun() Run { return Run{ID: 5, Counter: testRun.Counter - 1, KernelBoot: 41} }

func (l *lab) wantTold(want State) Condition {
	l.t.Helper()
	select {
	case c := <-l.told:
		if c.State != want {
			l.t.Fatalf("told %+v; want %v", c, want)
		}
		return c
	default:
		l.t.Fatalf("nothing told; want %v", want)
	}
	return Condition{}
}

// Promise 5, last sentence.
func TestDirectoryThatComesLateTakesOverWhatIsInMemory(t *testing.T) {
	l := hidden(t)
	for seq := uint64(1); seq <= 3; seq++ {
		wantErr(t, "Append", l.Append(l.event(seq)), ErrNotDurable)
		l.append(l.window(seq))
	}
	l.append(l.window(4))
	if n := l.Ack(testRun.ID, Windows, 0, []Range{{4, 4}}); n != 1 {
		t.Errorf("Ack removed %d", n)
	}
	l.ledger.add(l.window(5).Key, Full)
	if at, ok := l.NextSpill(); !ok || at != l.clock.now()+retryAfter {
		t.Errorf("NextSpill = %v, %v; want in %v", at, ok, retryAfter)
	}
	l.show()
	l.clock.advance(retryAfter - time.Second)
	l.tick()
	l.wantCondition(Unavailable)
	l.clock.advance(time.Second)
	l.tick()
	l.wantTold(OK)

	l.wantSequences(Events, 1, 1, 2, 3)
	l.wantSequences(Windows, 1, 2, 1, 2, 3)
	if st := l.Stats(); st.Events.RAMReports != 0 || st.Windows.RAMReports != 3 || st.Windows.FlashReports != 2 {
		t.Errorf("after the Tick: %+v and %+v; want every event on flash", st.Events, st.Windows)
	}
	if k, ok := l.Last(Events); !ok || k != l.event(3).Key {
		t.Errorf("Last = %v, %v", k, ok)
	}
	wantErr(t, "Append of a sequence that was there", l.Append(l.event(3)), ErrSequence)
	wantErr(t, "Append of a sequence that was acknowledged", l.Append(l.window(4)), ErrSequence)
	check(t, l.Append(l.event(4)))
	l.clock.advance(l.cfg.SpillAfter)
	l.tick()
	want := []Loss{{5, Windows, Full, 9, 9, 1}, {testRun.ID, Windows, Full, 5, 5, 1}}
	check(t, l.Spill("test"))
	if got := l.Losses(); !slices.Equal(got, want) {
		t.Errorf("ledger %v; want %v", got, want)
	}

	l.cut()
	l.wantCondition(OK)
	l.wantSequences(Events, 1, 1, 2, 3, 4)
	l.wantSequences(Windows, 1, 2, 1, 2, 3)
	if got := l.Losses(); !slices.Equal(got, want) {
		t.Errorf("ledger after a cut %v; want %v", got, want)
	}
}

func TestDamagedStoreThatComesLateIsReset(t *testing.T) {
	l := hidden(t)
	wantErr(t, "Append", l.Append(l.event(1)), ErrNotDurable)
	l.show()
	check(t, os.WriteFile(l.path(), body(100000, 1), 0o600))
	l.clock.advance(retryAfter)
	l.tick()
	if c := l.wantTold(Reset); c.SetAside != asideName {
		t.Errorf("set aside %q", c.SetAside)
	}
	l.cut()
	l.wantSequences(Events, 1)
}

func TestStoreOfAnotherProcessIsTakenWhenItIsLeft(t *testing.T) {
	l := newLab(t)
	l.append(l.event(1))
	other := *l
	other.open()
	t.Cleanup(func() { other.Close() })
	e := l.event(2)
	wantErr(t, "Append", other.Append(e), ErrNotDurable)
	for range 3 {
		other.clock.advance(retryAfter)
		other.tick()
		if c := other.wantCondition(Unavailable); c.Reason != "in use by another process" {
			t.Fatalf("reason %q", c.Reason)
		}
	}
	if len(l.told) > 0 {
		t.Errorf("told %+v, and nothing has changed", <-l.told)
	}
	check(t, l.Close())
	other.clock.advance(retryAfter)
	other.tick()
	other.wantTold(OK)
	other.wantSequences(Events, 1, 2)
}

// What was withdrawn meanwhile must not come back with the directory; what was
// collected after that, allowed again, stays.
func TestWithdrawWhileTheDirectoryIsAway(t *testing.T) {
	l := hidden(t)
	gone := l.window(1)
	if l.Withdraw(catalogue.Personalised) == nil {
		t.Error("Withdraw = nil; nothing was deleted from flash")
	}
	l.append(l.window(1))
	l.show()
	l.clock.advance(retryAfter)
	l.tick()
	l.wantTold(OK)
	for _, r := range l.all(Windows) {
		want := 4
		if r.Key.Run == testRun {
			want = 6
		}
		if len(r.Sections) != want {
			t.Errorf("window %v has %d sections; want %d", r.Key, len(r.Sections), want)
		}
	}
	for _, s := range gone.Sections {
		if there := l.contains(s.Body[100:200]); there != (s.Purpose != catalogue.Personalised) {
			t.Errorf("section of purpose %v in the directory: %v", s.Purpose, there)
		}
	}
}

// Memory was full, and now the index of what was found comes on top. Nothing
// is dropped for it but where the day's bytes are written.
func TestMemoryStaysWithinItsBytesWhenTheDirectoryComesLate(t *testing.T) {
	for _, tt := range []struct {
		name  string
		daily int64
		drops bool
	}{{"bytes left", 64 << 20, false}, {"no bytes left", 1 << 20, true}} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, func(c *Config) { c.RAMBytes, c.FlashDailyBytes = 64<<10, tt.daily })
			for seq := uint64(1); seq <= 300; seq++ {
				w := l.window(seq)
				w.Key.Run = olderRun()
				l.append(w)
				if seq%8 == 0 && l.Spill("test") != nil {
					break
				}
			}
			if l.Close() == nil && tt.drops {
				t.Fatal("bytes left")
			}
			l.hide()
			l.open()
			for seq := uint64(1); seq <= 20; seq++ {
				l.append(l.window(seq))
			}
			before := l.Stats()
			l.show()
			l.clock.advance(retryAfter)
			l.tick()
			l.wantTold(OK)
			st := l.Stats()
			if st.RAMUsed > l.cfg.RAMBytes {
				t.Errorf("memory takes %d; the limit is %d", st.RAMUsed, l.cfg.RAMBytes)
			}
			if drops := st.Dropped+st.Thinned > before.Dropped+before.Thinned; drops != tt.drops {
				t.Errorf("dropped %d, thinned %d", st.Dropped-before.Dropped, st.Thinned-before.Thinned)
			}
		})
	}
}

// hanging opens the lab's store with a flash that hangs until release is
// closed; calls counts the attempts, returned those that came back.
func hanging(l *lab) (release chan struct{}, calls, returned *atomic.Int32) {
	release, calls, returned = make(chan struct{}), new(atomic.Int32), new(atomic.Int32)
	l.Store = Open(l.cfg, Options{
		Dir: l.dir, Now: l.clock.now, OpenTimeout: time.Millisecond,
		OnCondition: func(c Condition) { l.told <- c },
		open: func(root *os.Root, cfg Config) (*opened, error) {
			calls.Add(1)
			defer returned.Add(1)
			<-release
			return openStore(root, cfg)
		},
	})
	return release, calls, returned
}

func TestFlashThatHangsIsOpenedOnceAndTakenWhenItComesBack(t *testing.T) {
	l := newLab(t)
	l.append(l.event(1))
	check(t, l.Close())
	release, calls, _ := hanging(l)
	if c := l.wantCondition(Unavailable); c.Reason != "not opened within 1ms" {
		t.Errorf("reason %q", c.Reason)
	}
	wantErr(t, "Append", l.Append(l.event(2)), ErrNotDurable)
	for range 5 {
		l.clock.advance(retryAfter)
		l.tick()
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("%d attempts; want the one that hangs", n)
	}
	if len(l.told) > 0 {
		t.Errorf("told %+v, and nothing has changed", <-l.told)
	}
	close(release)
	poll(t, "taken over", func() bool {
		l.clock.advance(retryAfter)
		l.tick()
		return l.Condition().State == OK
	})
	l.wantTold(OK)
	l.wantSequences(Events, 1, 2)
	if n := calls.Load(); n != 1 {
		t.Errorf("%d attempts; want 1", n)
	}
}

func TestFlashThatComesBackAfterCloseIsLetGo(t *testing.T) {
	l := newLab(t)
	l.append(l.event(1))
	check(t, l.Close())
	release, _, returned := hanging(l)
	check(t, l.Close())
	l.clock.advance(retryAfter)
	l.tick()
	close(release)
	poll(t, "back", func() bool { return returned.Load() == 1 })
	poll(t, "let go", func() bool {
		l.open()
		defer l.Close()
		return l.Condition().State == OK
	})
}

// poll waits until done.
func poll(t *testing.T, what string, done func() bool) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(20 * time.Second)
	for !done() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("not %s in 20 s", what)
		}
	}
}

// One who wants everything in memory gets a clean stop, and is told what went.
func TestWithoutFlashByConfigurationStopIsClean(t *testing.T) {
	l := newLab(t, func(c *Config) { c.FlashBytes = 0 })
	var log bytes.Buffer
	l.Store = Open(l.cfg, Options{
		Dir: l.dir, Now: l.clock.now,
		Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	l.wantCondition(Off)
	wantErr(t, "Append of an event", l.Append(l.event(1)), ErrNotDurable)
	l.append(l.window(1), l.window(2))
	l.clock.advance(time.Hour)
	l.tick()
	if at, ok := l.NextSpill(); ok {
		t.Errorf("NextSpill = %v; want nothing to do", at)
	}
	check(t, l.Spill("stop"))
	l.wantSequences(Windows, 1, 2)
	check(t, l.Withdraw(catalogue.Personalised))
	check(t, l.Close())
	if st := l.Stats(); st.Events.RAMReports != 1 || st.Windows.RAMReports != 2 || st.FlashWritten != 0 {
		t.Errorf("stats after Close %+v; want what was lost", st)
	}
	if got := log.String(); !strings.Contains(got, "reports ended with the memory") || !strings.Contains(got, "events=1 windows=2") {
		t.Errorf("log %q; want what was lost", got)
	}
	if _, err := os.Stat(l.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("directory: %v; want none", err)
	}
}

// bbolt must sync: nothing else makes Append's promise true.
func TestEveryDatabaseIsOpenedWithSync(t *testing.T) {
	wantSync := func(when string, f *flash) {
		t.Helper()
		if f == nil {
			t.Fatalf("%s: no database", when)
		}
		if f.db.NoSync || f.db.NoGrowSync {
			t.Errorf("%s: NoSync %v, NoGrowSync %v", when, f.db.NoSync, f.db.NoGrowSync)
		}
	}
	l := newLab(t)
	wantSync("fresh", l.flash)
	check(t, l.Close())
	l.open()
	wantSync("there already", l.flash)
	l.io.Lock()
	l.reset(errors.New("for the test"))
	l.io.Unlock()
	wantSync("replaced while running", l.flash)
	check(t, l.Close())
	check(t, os.WriteFile(l.path(), nil, 0o600))
	l.open()
	l.wantCondition(Reset)
	wantSync("replaced at start", l.flash)
	check(t, l.Close())
	l.hide()
	l.open()
	l.show()
	l.clock.advance(retryAfter)
	l.tick()
	wantSync("late", l.flash)
	check(t, l.Close())

	// What createStore and salvage use for themselves.
	root, err := os.OpenRoot(t.TempDir())
	check(t, err)
	defer root.Close()
	db, err := openBolt(root, freshName, minFlash)
	check(t, err)
	wantSync("openBolt", &flash{db: db})
	check(t, db.Close())
}

func TestReasonsForPeople(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&os.PathError{Op: "RemoveAll", Path: freshName, Err: syscall.EROFS}, "read-only"},
		{errors.Join(&os.PathError{Op: "openat", Path: storeName, Err: syscall.EROFS}, context.Canceled), "read-only"},
		{errLocked, "in use by another process"},
		{&os.PathError{Op: "mkdir", Path: "state", Err: syscall.ENOTDIR}, "mkdir state: not a directory"},
	} {
		if got := describe(tt.err); got != tt.want {
			t.Errorf("describe(%v) = %q; want %q", tt.err, got, tt.want)
		}
	}
}
