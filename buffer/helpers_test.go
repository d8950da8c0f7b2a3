package buffer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"livebox-agent/collector/catalogue"
)

var testRun = Run{ID: 0xabcdef0123456789, Counter: 7, KernelBoot: 42}

// A fakeClock is time since the kernel booted.
type fakeClock struct{ ns atomic.Int64 }

func (c *fakeClock) now() time.Duration      { return time.Duration(c.ns.Load()) }
func (c *fakeClock) advance(d time.Duration) { c.ns.Add(int64(d)) }

// A lab is a store under test with its clock and directory.
type lab struct {
	*Store
	t     testing.TB
	clock *fakeClock
	dir   string
	cfg   Config
	told  chan Condition
}

func newLab(tb testing.TB, change ...func(*Config)) *lab {
	tb.Helper()
	l := &lab{
		t: tb, clock: new(fakeClock), cfg: DefaultConfig(),
		dir: filepath.Join(tb.TempDir(), "buffer"), told: make(chan Condition, 16),
	}
	l.clock.advance(time.Minute)
	for _, fn := range change {
		fn(&l.cfg)
	}
	if err := l.cfg.Validate(); err != nil {
		tb.Fatal(err)
	}
	l.open()
	tb.Cleanup(func() { l.Close() })
	return l
}

func (l *lab) open() {
	l.Store = Open(l.cfg, Options{
		Dir: l.dir, Now: l.clock.now, KernelBoot: testRun.KernelBoot,
		OnCondition: func(c Condition) { l.told <- c },
	})
}

// cut opens a copy of what is on flash now, as a power cut would leave it, and
// goes on with that.
func (l *lab) cut() {
	l.t.Helper()
	dir := l.copyDir()
	old := l.Store
	l.t.Cleanup(func() { old.Close() })
	l.dir = dir
	l.open()
}

func (l *lab) copyDir() string {
	l.t.Helper()
	dir := filepath.Join(l.t.TempDir(), "copy")
	if err := os.CopyFS(dir, os.DirFS(l.dir)); err != nil {
		l.t.Fatal(err)
	}
	return dir
}

func (l *lab) wantCondition(want State) Condition {
	l.t.Helper()
	c := l.Condition()
	if c.State != want {
		l.t.Fatalf("condition %v (%s); want %v", c.State, c.Reason, want)
	}
	return c
}

// body returns n bytes that do not compress and depend on seed.
func body(n int, seed uint64) []byte {
	b := make([]byte, n)
	rnd := rand.NewPCG(seed, 1)
	for i := 0; i+8 <= n; i += 8 {
		binary.BigEndian.PutUint64(b[i:], rnd.Uint64())
	}
	return b
}

// window returns a window like the agent's: three purposes.
func (l *lab) window(seq uint64) Report {
	r := Report{
		Key:    Key{testRun, Windows, seq},
		Opened: l.clock.now() - 5*time.Minute, Sealed: l.clock.now(),
		Header: body(60, seq),
	}
	for p := catalogue.Essential; p <= catalogue.Personalised; p++ {
		r.Sections = append(r.Sections,
			Section{p, Columns, body(1100, seq<<8|uint64(p))},
			Section{p, Summary, body(400, seq<<16|uint64(p))})
	}
	return r
}

func (l *lab) event(seq uint64) Report {
	return Report{
		Key: Key{testRun, Events, seq}, Opened: l.clock.now(), Sealed: l.clock.now(),
		Header: body(60, seq), Sections: []Section{{catalogue.Essential, EventBody, body(200, seq)}},
	}
}

func (l *lab) append(rs ...Report) {
	l.t.Helper()
	for _, r := range rs {
		if err := l.Append(r); err != nil {
			l.t.Fatalf("Append(%v %d) = %v", r.Key.Lane, r.Key.Sequence, err)
		}
	}
}

// windows appends windows from first to last, five minutes apart, with a Tick
// each minute.
func (l *lab) windows(first, last uint64) {
	l.t.Helper()
	for seq := first; seq <= last; seq++ {
		for range 5 {
			l.clock.advance(time.Minute)
			l.tick()
		}
		l.append(l.window(seq))
	}
}

func (l *lab) tick() {
	l.t.Helper()
	if err := l.Tick(); err != nil {
		l.t.Fatalf("Tick = %v", err)
	}
}

func (l *lab) spill() {
	l.t.Helper()
	if err := l.Spill("test"); err != nil {
		l.t.Fatal(err)
	}
}

// all reads a lane from the start.
func (l *lab) all(lane Lane) (rs []Report) {
	var after Key
	for {
		r, ok := l.Next(lane, after)
		if !ok {
			return rs
		}
		rs = append(rs, r)
		after = r.Key
	}
}

func sequences(rs []Report) (ns []uint64) {
	for _, r := range rs {
		ns = append(ns, r.Key.Sequence)
	}
	return ns
}

func (l *lab) wantSequences(lane Lane, want ...uint64) {
	l.t.Helper()
	if diff := cmp.Diff(want, sequences(l.all(lane))); diff != "" {
		l.t.Fatalf("%v (-want +got):\n%s", lane, diff)
	}
}

// wantSame compares a report with what was appended.
func wantSame(tb testing.TB, want, got Report) {
	tb.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		tb.Fatalf("report %d (-want +got):\n%s", want.Key.Sequence, diff)
	}
}

func upTo(n uint64) (ns []uint64) {
	for i := range n {
		ns = append(ns, i+1)
	}
	return ns
}

// contains searches every file of the directory.
func (l *lab) contains(what []byte) bool {
	l.t.Helper()
	es, err := os.ReadDir(l.dir)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, e := range es {
		b, err := os.ReadFile(filepath.Join(l.dir, e.Name()))
		if err != nil {
			l.t.Fatal(err)
		}
		if bytes.Contains(b, what) {
			return true
		}
	}
	return false
}

// rot damages every page that holds what, those that are no longer in use too.
func (l *lab) rot(what []byte) {
	l.t.Helper()
	b, err := os.ReadFile(l.path())
	check(l.t, err)
	f, err := os.OpenFile(l.path(), os.O_RDWR, 0)
	check(l.t, err)
	defer f.Close()
	n := 0
	for at := 0; at < len(b); at += pageSize {
		if bytes.Contains(b[at:at+pageSize], what) {
			_, err := f.WriteAt([]byte("rotten"), int64(at))
			check(l.t, err)
			n++
		}
	}
	if n == 0 {
		l.t.Fatal("not in the file")
	}
}

// dirBytes is what the directory takes.
func (l *lab) dirBytes() (n int64) {
	es, _ := os.ReadDir(l.dir)
	for _, e := range es {
		if info, err := e.Info(); err == nil {
			n += info.Size()
		}
	}
	return n
}

func (l *lab) path() string { return filepath.Join(l.dir, storeName) }

func wantErr(tb testing.TB, what string, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Errorf("%s = %v; want %v", what, err, want)
	}
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
