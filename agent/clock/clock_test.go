package clock

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"livebox-agent/uplink/wire"
)

// box is a machine whose clocks the test moves.
type box struct {
	mono   time.Duration
	wall   time.Time
	synced bool
	boot   string
}

func (b *box) host() Host {
	return Host{
		Mono:         func() time.Duration { return b.mono },
		Wall:         func() time.Time { return b.wall },
		Synchronised: func() bool { return b.synced },
		BootID:       func() ([]byte, error) { return []byte(b.boot + "\n"), nil },
	}
}

func root(t *testing.T, dir string) *os.Root {
	t.Helper()
	r, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func (b *box) open(t *testing.T, dir string) *Clock {
	t.Helper()
	c, err := Open(root(t, dir), b.host())
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return c
}

var noon = time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)

func TestEveryStartHasAnIdentityAndIsCounted(t *testing.T) {
	dir := t.TempDir()
	b := &box{mono: time.Minute, wall: noon, boot: "a"}
	seen := map[uint64]bool{}
	var last Start
	var current *Clock
	for i, tt := range []struct {
		name     string
		boot     string
		end      bool // before this start, the run before ended as asked
		wantEnd  string
		sameBoot bool
	}{
		{"first", "a", false, EndFirst, false},
		{"killed, same boot", "a", false, EndUnclean, true},
		{"ended, same boot", "a", true, EndClean, true},
		{"power cut", "b", false, EndUnclean, false},
		{"reboot", "c", true, EndClean, false},
	} {
		if tt.end {
			// The run before is the one that the last iteration opened.
			if err := current.End(); err != nil {
				t.Fatal(err)
			}
		}
		b.boot = tt.boot
		current = b.open(t, dir)
		s := current.Start()
		if s.PreviousEnd != tt.wantEnd || s.SameBoot != tt.sameBoot || s.Run.Counter != uint32(i+1) {
			t.Errorf("%s: start = %+v; want end %s, same boot %v, counter %d", tt.name, s, tt.wantEnd, tt.sameBoot, i+1)
		}
		if s.PreviousRun != last.Run.ID {
			t.Errorf("%s: previous run %x; want %x", tt.name, s.PreviousRun, last.Run.ID)
		}
		if seen[s.Run.ID] || s.Run.ID == 0 {
			t.Errorf("%s: run %x came before", tt.name, s.Run.ID)
		}
		if (s.Run.KernelBoot == last.Run.KernelBoot) != tt.sameBoot {
			t.Errorf("%s: kernel boot %x after %x", tt.name, s.Run.KernelBoot, last.Run.KernelBoot)
		}
		seen[s.Run.ID] = true
		last = s
	}
}

func TestClockThatStepsMovesOneNumber(t *testing.T) {
	b := &box{mono: time.Hour, wall: time.Unix(3600, 0), boot: "a"}
	c := b.open(t, t.TempDir())
	if got := c.Now(); got.Quality != wire.ClockUnknown || !got.WallAtBoot.IsZero() {
		t.Errorf("in 1970: %+v; want unknown", got)
	}
	b.mono, b.wall = 2*time.Hour, noon
	if got, want := c.Now(), (wire.Clock{WallAtBoot: noon.Add(-2 * time.Hour), Quality: wire.ClockFloor}); !same(got, want) {
		t.Errorf("after a step by decades: %+v; want %+v", got, want)
	}
	b.synced, b.wall = true, noon.Add(-time.Minute)
	if got, want := c.Now(), synced(noon.Add(-2*time.Hour-time.Minute), 2*time.Hour, 2*time.Hour); !same(got, want) {
		t.Errorf("after synchronisation: %+v; want %+v", got, want)
	}
	b.wall = noon.Add(10 * 365 * 24 * time.Hour) // a time server that is wrong
	c.Now()
	b.wall = noon.Add(time.Minute)
	if got, want := c.Now(), synced(noon.Add(-2*time.Hour+time.Minute), 2*time.Hour, 2*time.Hour); !same(got, want) {
		t.Errorf("after the time server was put right: %+v; want %+v", got, want)
	}
	good := c.Now()
	b.synced, b.wall = false, time.Unix(0, 0)
	if got := c.Now(); !same(got, good) {
		t.Errorf("after the clock went bad: %+v; want %+v as learnt", got, good)
	}
	if c.Mono() != 2*time.Hour {
		t.Errorf("monotonic time %v moved with the wall clock", c.Mono())
	}
}

func TestClockBeforeAKnownTimeIsUnknown(t *testing.T) {
	dir := t.TempDir()
	b := &box{mono: time.Minute, wall: noon, synced: true, boot: "a"}
	if err := b.open(t, dir).Keep(); err != nil {
		t.Fatal(err)
	}
	b.boot, b.synced, b.wall = "b", false, noon.Add(-time.Hour)
	if got := b.open(t, dir).Now(); got.Quality != wire.ClockUnknown {
		t.Errorf("an hour before a time that has passed: %v; want unknown", got.Quality)
	}
}

func TestWrongTimeServerHarmsNoLaterBoot(t *testing.T) {
	dir := t.TempDir()
	b := &box{mono: time.Minute, wall: noon.Add(10 * 365 * 24 * time.Hour), synced: true, boot: "a"}
	if err := b.open(t, dir).End(); err != nil {
		t.Fatal(err)
	}
	b.boot, b.wall = "b", noon
	if got := b.open(t, dir).Now(); got.Quality != wire.ClockSynchronised || !got.WallAtBoot.Equal(noon.Add(-time.Minute)) {
		t.Errorf("after a boot in the wrong year: %+v; want the synchronised clock's word", got)
	}
}

func TestEarlierBootsAreKept(t *testing.T) {
	dir := t.TempDir()
	b := &box{mono: time.Minute, wall: noon, boot: "first"}
	c := b.open(t, dir)
	first := c.Start().Run.KernelBoot
	b.mono, b.synced = time.Hour, true
	b.wall = noon.Add(time.Hour)
	if err := c.Keep(); err != nil {
		t.Fatal(err)
	}
	b.boot, b.mono, b.wall = "second", time.Second, noon.Add(24*time.Hour)
	c = b.open(t, dir)
	if got, want := c.At(first), synced(noon, time.Hour, time.Hour); !same(got, want) {
		t.Errorf("At(earlier boot) = %+v; want %+v", got, want)
	}
	if got := c.At(first + 1); got.Quality != wire.ClockUnknown {
		t.Errorf("At(boot never seen) = %+v; want unknown", got)
	}
	for i := range 2 * keptBoots {
		b.boot = string(rune('a' + i))
		c = b.open(t, dir)
	}
	if n := len(c.state.Boots); n > keptBoots {
		t.Errorf("%d boots are remembered; want at most %d", n, keptBoots)
	}
}

func TestKeepWritesOnlyWhatIsWorthIt(t *testing.T) {
	dir := t.TempDir()
	b := &box{mono: time.Minute, wall: noon, synced: true, boot: "a"}
	c := b.open(t, dir)
	mtime := func() time.Time {
		fi, err := os.Stat(filepath.Join(dir, fileName))
		if err != nil {
			t.Fatal(err)
		}
		return fi.ModTime()
	}
	old := time.Unix(1e9, 0)
	for _, tt := range []struct {
		name       string
		pass, step time.Duration
		want       bool
	}{
		{"nothing new", 0, 0, false},
		{"minutes passed", aged / 2, 0, false},
		{"an hour passed", aged / 2, 0, true},
		{"nothing new again", 0, 0, false},
		{"small step", 0, steady / 2, false},
		{"step", 0, steady * 2, true},
	} {
		if err := os.Chtimes(filepath.Join(dir, fileName), old, old); err != nil {
			t.Fatal(err)
		}
		b.mono, b.wall = b.mono+tt.pass, b.wall.Add(tt.pass+tt.step)
		if err := c.Keep(); err != nil {
			t.Fatal(err)
		}
		if wrote := !mtime().Equal(old); wrote != tt.want {
			t.Errorf("%s: written %v; want %v", tt.name, wrote, tt.want)
		}
	}
}

func TestSpanIsWhereTheClockWasSynchronisedAndSteady(t *testing.T) {
	dir := t.TempDir()
	b := &box{mono: time.Hour, wall: noon.Add(time.Hour), boot: "a"}
	c := b.open(t, dir)
	for _, tt := range []struct {
		name       string
		pass, step time.Duration // since the step before
		synced     bool
		restart    bool // of the agent
		moved      time.Duration
		from, to   time.Duration
	}{
		{"first synchronised", time.Hour, 0, true, false, 0, 2 * time.Hour, 2 * time.Hour},
		{"an hour later", time.Hour, 0, true, false, 0, 2 * time.Hour, 3 * time.Hour},
		{"stepped a little", time.Hour, steady, true, false, steady, 2 * time.Hour, 4 * time.Hour},
		{"stepped a little more", time.Hour, steady, true, false, 2 * steady, 5 * time.Hour, 5 * time.Hour},
		{"not synchronised", time.Hour, 0, false, false, 2 * steady, 5 * time.Hour, 5 * time.Hour},
		{"synchronised again", time.Hour, 0, true, false, 2 * steady, 5 * time.Hour, 7 * time.Hour},
		{"the agent started again", time.Hour, 0, false, true, 2 * steady, 5 * time.Hour, 7 * time.Hour},
		{"and is synchronised", time.Hour, 0, true, false, 2 * steady, 5 * time.Hour, 9 * time.Hour},
	} {
		b.mono, b.wall, b.synced = b.mono+tt.pass, b.wall.Add(tt.pass+tt.step), tt.synced
		if tt.restart {
			if err := c.Keep(); err != nil {
				t.Fatal(err)
			}
			c = b.open(t, dir)
		}
		if got, want := c.Now(), synced(noon.Add(tt.moved), tt.from, tt.to); !same(got, want) {
			t.Errorf("%s: %+v; want %+v", tt.name, got, want)
		}
	}
}

// A program may lose the processor between the two clocks that it reads.
func TestClocksAreReadAsOfOneInstant(t *testing.T) {
	b := &box{mono: time.Hour, wall: noon, synced: true, boot: "a"}
	h := b.host()
	delays := []time.Duration{3 * time.Second, 40 * time.Millisecond, time.Millisecond, time.Minute}
	h.Wall = func() time.Time {
		now := b.wall
		b.mono, b.wall = b.mono+delays[0], b.wall.Add(delays[0])
		delays = delays[1:]
		return now
	}
	wall, mono, synced := h.both()
	if off := wall.Add(-mono).Sub(noon.Add(-time.Hour)).Abs(); off > together || !synced {
		t.Errorf("off by %v, synchronised %v; want the closest pair", off, synced)
	}
	for range 5 {
		delays = append(delays, time.Second)
	}
	if _, _, synced := h.both(); synced {
		t.Error("a pair that is a second apart is believed")
	}
}

// A clock that becomes synchronised while it is read may have been read before
// it was stepped.
func TestClockThatIsSteppedWhileReadIsNotSynchronised(t *testing.T) {
	b := &box{mono: time.Hour, wall: noon, boot: "a"}
	h := b.host()
	h.Wall = func() time.Time { b.synced = true; return noon.Add(time.Hour) }
	if _, _, synced := h.both(); synced {
		t.Error("believed")
	}
}

func TestUnusableStateDirectoryCostsTheCountOnly(t *testing.T) {
	b := &box{mono: time.Minute, wall: noon, boot: "a"}
	c, err := Open(nil, b.host())
	if err == nil {
		t.Error("no error without a state directory")
	}
	if s := c.Start(); s.Run.ID == 0 || s.Run.Counter != 0 {
		t.Errorf("start = %+v; want an identity without a count", s)
	}
	if got := c.Now(); got.Quality != wire.ClockFloor {
		t.Errorf("clock = %+v; want floor", got)
	}
}

func TestDamagedRecordIsReplaced(t *testing.T) {
	dir := t.TempDir()
	b := &box{mono: time.Minute, wall: noon, boot: "a"}
	b.open(t, dir)
	if err := os.WriteFile(filepath.Join(dir, fileName), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Open(root(t, dir), b.host())
	if err == nil || c.Start().PreviousEnd != EndUnknown {
		t.Errorf("Open = %+v, %v; want an error and an unknown end", c.Start(), err)
	}
	if c := b.open(t, dir); c.Start().Run.Counter != 2 {
		t.Errorf("counter %d after the record was replaced; want 2", c.Start().Run.Counter)
	}
}

func TestNoBootIdentity(t *testing.T) {
	b := &box{mono: time.Minute, wall: noon}
	h := b.host()
	h.BootID = func() ([]byte, error) { return nil, errors.New("no such file") }
	c, err := Open(root(t, t.TempDir()), h)
	if err != nil || c.Start().Run.KernelBoot == 0 {
		t.Errorf("Open = %+v, %v; want a random kernel boot", c.Start(), err)
	}
}

func TestMonoMovesForward(t *testing.T) {
	before := Mono()
	if before <= 0 || Mono() < before {
		t.Errorf("Mono() = %v, then less", before)
	}
}

func same(a, b wire.Clock) bool {
	return a.Quality == b.Quality && a.WallAtBoot.Equal(b.WallAtBoot) && a.From == b.From && a.To == b.To
}

func synced(boot time.Time, from, to time.Duration) wire.Clock {
	return wire.Clock{WallAtBoot: boot, Quality: wire.ClockSynchronised, From: from, To: to}
}
