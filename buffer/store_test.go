package buffer

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"livebox-agent/collector/catalogue"
)

func TestConfigValidateNamesEveryProblem(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Errorf("the default configuration: %v", err)
	}
	off := DefaultConfig()
	off.FlashBytes, off.FlashDailyBytes = 0, 0
	if err := off.Validate(); err != nil {
		t.Errorf("without flash: %v", err)
	}
	bad := Config{RAMBytes: 1, FlashBytes: 2, FlashDailyBytes: 3, SpillAfter: time.Millisecond}
	err := bad.Validate()
	for _, key := range []string{"ram_bytes", "flash_bytes", "flash_daily_bytes", "spill_after"} {
		if err == nil || !strings.Contains(err.Error(), key+": ") {
			t.Errorf("Validate = %v; want %s in it", err, key)
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	l := newLab(t)
	l.append(l.window(5), l.event(5))
	change := func(fn func(r *Report)) Report {
		r := l.window(6)
		fn(&r)
		return r
	}
	for _, tt := range []struct {
		name string
		r    Report
		want error
	}{
		{"the same sequence", l.window(5), ErrSequence},
		{"the same sequence of an event", l.event(5), ErrSequence},
		{"an earlier sequence", l.window(4), ErrSequence},
		{"sequence 0", l.window(0), ErrSequence},
		{"no lane", change(func(r *Report) { r.Key.Lane = 3 }), nil},
		{"no section", change(func(r *Report) { r.Sections = nil }), nil},
		{"a body too large", change(func(r *Report) { r.Sections[0].Body = make([]byte, MaxBody+1) }), ErrTooLarge},
		{"a header too large", change(func(r *Report) { r.Header = make([]byte, MaxHeader+1) }), ErrTooLarge},
		{"too large in all", change(func(r *Report) {
			for i := range r.Sections {
				r.Sections[i].Body = make([]byte, MaxReport/5)
			}
		}), ErrTooLarge},
		{"too many sections", change(func(r *Report) { r.Sections = make([]Section, MaxSections+1) }), ErrTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := l.Append(tt.r); err == nil || (tt.want != nil && !errors.Is(err, tt.want)) {
				t.Errorf("Append = %v; want %v", err, tt.want)
			}
		})
	}
	l.wantSequences(Windows, 5)
	check(t, l.Close())
	check(t, l.Close())
	wantErr(t, "Append of a window after Close", l.Append(l.window(6)), ErrClosed)
	wantErr(t, "Append of an event after Close", l.Append(l.event(6)), ErrClosed)
	if _, ok := l.Next(Windows, Key{}); ok {
		t.Error("Next gave a report after Close")
	}
}

// The largest reports go the whole way.
func TestLargestReports(t *testing.T) {
	l := newLab(t, func(c *Config) { c.FlashDailyBytes = 64 << 20 })
	var want []Report
	for seq := uint64(1); seq <= 12; seq++ {
		r := l.window(seq)
		r.Header = body(MaxHeader, seq)
		r.Sections = []Section{
			{catalogue.Essential, Columns, body(MaxBody, seq)},
			{catalogue.Support, Summary, body(MaxReport-MaxBody-MaxHeader, seq)},
		}
		want = append(want, r)
		l.append(r)
		if seq%2 == 0 {
			l.spill()
		}
	}
	l.cut()
	for i, r := range l.all(Windows) {
		wantSame(t, want[i], r)
	}
	if k, _ := l.Last(Windows); k.Sequence != 12 {
		t.Errorf("last is %d", k.Sequence)
	}
}

func TestUnknownLane(t *testing.T) {
	l := newLab(t)
	if _, ok := l.Next(7, Key{}); ok {
		t.Error("Next gave a report")
	}
	if _, ok := l.Last(0); ok {
		t.Error("Last gave a key")
	}
}

func TestInspectShowsWhatIsThere(t *testing.T) {
	l := newLab(t)
	for seq := uint64(1); seq <= 6; seq++ {
		l.append(l.window(seq))
	}
	l.append(l.event(3))
	l.thin(2)
	l.spill()
	l.Ack(testRun.ID, Windows, 1, nil)
	if _, err := Inspect(l.dir); !errors.Is(err, ErrLocked) {
		t.Errorf("Inspect of an open store = %v; want locked", err)
	}
	check(t, l.Close())
	got, err := Inspect(l.dir)
	check(t, err)
	want := []RunSummary{
		{testRun, Events, 1, 0, 3, 3, 60 + 200 + bootHeaderLen},
		{testRun, Windows, 5, 1, 2, 6, 5*(60+3*1500+bootHeaderLen) - 3*1100},
	}
	if diff := cmp.Diff(want, got.Runs); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
	if len(got.Losses) != 1 || got.Losses[0].Reason != Thinned || got.FlashTotal == 0 || got.UsedBytes == 0 {
		t.Errorf("contents %+v", got)
	}
	again, err := Inspect(l.dir)
	if err != nil || !cmp.Equal(got, again) {
		t.Errorf("the second Inspect = %+v, %v", again, err)
	}
	check(t, os.WriteFile(l.path(), []byte("no database"), 0o600))
	if _, err := Inspect(l.dir); err == nil || !strings.Contains(err.Error(), "reports.db") {
		t.Errorf("Inspect of a damaged store = %v; want its name", err)
	}
	if _, err := Inspect(l.dir + "/absent"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Inspect of nothing = %v", err)
	}
}

func TestStatsAddUp(t *testing.T) {
	l := newLab(t)
	l.append(l.window(1), l.window(2), l.event(1))
	l.spill()
	l.append(l.window(3))
	l.Ack(testRun.ID, Windows, 1, nil)
	st := l.Stats()
	if st.Windows.FlashReports != 1 || st.Windows.RAMReports != 1 || st.Events.FlashReports != 1 {
		t.Errorf("reports %+v", st)
	}
	if want := int64(60 + 3*1500); st.Windows.RAMBytes != want || st.Windows.FlashBytes != want {
		t.Errorf("bytes %d and %d; want %d each", st.Windows.RAMBytes, st.Windows.FlashBytes, want)
	}
	if st.Appended != 4 || st.Acked != 1 || st.LastSpillReason != "test" || st.FlashToday == 0 || st.FileBytes == 0 {
		t.Errorf("stats %+v", st)
	}
}

// Acknowledgements of what is on flash cost few commits.
func TestAcknowledgementsAreDeletedManyAtATime(t *testing.T) {
	l := newLab(t, func(c *Config) { c.FlashDailyBytes = 64 << 20 })
	for seq := uint64(1); seq <= 600; seq++ {
		l.append(l.window(seq))
		if seq%50 == 0 {
			l.spill()
		}
	}
	before := l.Stats()
	for seq := uint64(1); seq <= 600; seq += 5 {
		l.Ack(testRun.ID, Windows, seq+4, nil)
		l.clock.advance(time.Minute)
		l.tick()
	}
	l.clock.advance(ackDelay)
	l.tick()
	after := l.Stats()
	if n := after.Commits - before.Commits; n > 6 {
		t.Errorf("600 acknowledged reports took %d commits; want at most 6", n)
	}
	if n := after.FlashWritten - before.FlashWritten; n > 512<<10 {
		t.Errorf("600 acknowledged reports wrote %d bytes", n)
	}
	if l.flash.used > 10*pageSize {
		t.Errorf("%d bytes in use of an empty store", l.flash.used)
	}
}

// Everything at once, for the race detector; the sums must hold in the end.
func TestConcurrentUse(t *testing.T) {
	l := newLab(t, func(c *Config) { c.FlashBytes, c.FlashDailyBytes = 512<<10, 256<<20 })
	const n = 400
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		for seq := uint64(1); seq <= n; seq++ {
			if err := l.Append(l.window(seq)); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		for seq := uint64(1); seq <= n/10; seq++ {
			if err := l.Append(l.event(seq)); err != nil && !errors.Is(err, ErrNotDurable) {
				t.Error(err)
			}
		}
	})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				last := uint64(0)
				for after := (Key{}); ; {
					r, ok := l.Next(Windows, after)
					if !ok {
						break
					}
					if r.Key.Sequence <= last {
						t.Errorf("%d after %d", r.Key.Sequence, last)
					}
					last, after = r.Key.Sequence, r.Key
					if last%3 == 0 {
						l.Ack(testRun.ID, Windows, 0, []Range{{last, last}})
					}
				}
				l.Stats()
				l.Losses()
				l.NextSpill()
			}
		})
	}
	readers.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-l.Due():
			default:
			}
			l.clock.advance(time.Minute)
			if err := l.Tick(); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	close(done)
	readers.Wait()
	if err := l.Withdraw(catalogue.Mobile); err != nil {
		t.Error(err)
	}
	st := l.Stats()
	have := uint64(len(l.all(Windows)) + len(l.all(Events)))
	if got := have + st.Acked + st.Dropped + st.Damaged; got != st.Appended || st.Damaged > 0 {
		t.Errorf("%d there, %d acknowledged, %d dropped, %d damaged; want %d in all", have, st.Acked, st.Dropped, st.Damaged, st.Appended)
	}
	l.wantCondition(OK)
}

// A slow flash holds up neither Append of windows nor Next of what is in
// memory.
func TestSlowFlashStopsNothing(t *testing.T) {
	l := newLab(t)
	l.io.Lock() // as a commit that does not come back
	done := make(chan struct{})
	go func() {
		defer close(done)
		for seq := uint64(1); seq <= 200; seq++ {
			l.append(l.window(seq))
		}
		if got := len(l.all(Windows)); got < 100 {
			t.Errorf("%d windows in memory", got)
		}
		l.Ack(testRun.ID, Windows, 1, nil)
		l.Stats()
		l.NextSpill()
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("held up")
	}
	select {
	case <-l.Due():
	default:
		t.Error("memory is full and Due was not signalled")
	}
	l.io.Unlock()
}

// The memory that is counted is the memory that is used.
func TestMemoryIsAccountedFor(t *testing.T) {
	l := newLab(t, func(c *Config) { c.RAMBytes, c.FlashBytes = 4<<20, 0 })
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	for seq := uint64(1); seq <= 800; seq++ {
		l.append(l.window(seq))
	}
	used, counted := heap()-before, l.Stats().RAMUsed
	if st := l.Stats(); st.Thinned > 0 {
		t.Fatalf("thinned %d", st.Thinned)
	}
	// Size classes of the allocator: 1100 bytes take 1152.
	if used > counted*11/10 {
		t.Errorf("%d bytes used, %d counted", used, counted)
	}
	runtime.KeepAlive(l)
}

// What is acknowledged and not yet deleted can wait for another day's bytes: a
// stop is clean without that.
// The index of what goes to flash counts too.
func TestMemoryStaysWithinItsBytesWhenAnEventIsAppended(t *testing.T) {
	l := newLab(t, func(c *Config) { c.RAMBytes, c.FlashDailyBytes = minRAM, 64<<20 })
	l.account.spend(l.account.windowLimit()) // windows stay in memory
	for seq := uint64(1); seq <= 120; seq++ {
		w := l.window(seq)
		w.Sections = w.Sections[:2]
		w.Sections[1].Body = body(300+int(seq), seq)
		l.append(w)
	}
	for seq := uint64(1); seq <= 60; seq++ {
		l.append(l.event(seq))
		if st := l.Stats(); st.RAMUsed > minRAM {
			t.Fatalf("%d bytes used after event %d; the limit is %d", st.RAMUsed, seq, minRAM)
		}
	}
}

func TestStopIsCleanWhenOnlyDeletionsAreLeft(t *testing.T) {
	l := newLab(t, func(c *Config) { c.FlashDailyBytes = minDaily })
	for seq := uint64(1); ; seq++ {
		l.append(l.window(seq))
		if l.Spill("test") != nil {
			l.Ack(testRun.ID, Windows, seq, nil)
			break
		}
	}
	if st := l.Stats(); st.Windows.RAMReports != 0 || len(l.drops) == 0 {
		t.Fatalf("%+v, %d deletions: not the state to be tried", st, len(l.drops))
	}
	check(t, l.Spill("stop"))
	check(t, l.Close())
}
