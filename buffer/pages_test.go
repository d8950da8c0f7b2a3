package buffer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.etcd.io/bbolt"
)

// smallStore returns the bytes of a store with events 1…3 and windows 1…6, the
// last of them thinned.
func smallStore(tb testing.TB) []byte {
	tb.Helper()
	l := newLab(tb)
	for seq := uint64(1); seq <= 3; seq++ {
		check(tb, l.Append(l.event(seq)))
	}
	for seq := uint64(1); seq <= 6; seq++ {
		check(tb, l.Append(l.window(seq)))
		check(tb, l.Spill("test"))
	}
	k := l.window(1).Key
	l.ledger.add(k, Full)
	check(tb, l.Close())
	b, err := os.ReadFile(l.path())
	check(tb, err)
	return b
}

// Whatever a page holds, Open comes back, what it gives is what was written,
// and the store works.
func TestEveryDamagedPageIsSurvived(t *testing.T) {
	good := smallStore(t)
	l := newLab(t)
	check(t, l.Close())
	want := make(map[string]Report)
	for seq := uint64(1); seq <= 6; seq++ {
		for _, r := range []Report{l.event(seq), l.window(seq)} {
			want[fmt.Sprint(r.Key.Lane, seq)] = r
		}
	}
	offsets := []int{0, 8, 10, 12, 16, 20, 24, 40, 56, 2000}
	harmless, reset := 0, 0
	for page := range len(good) / pageSize {
		for _, off := range offsets {
			for _, mask := range []byte{1 << (page % 8)} {
				b := bytes.Clone(good)
				b[page*pageSize+off] ^= mask
				check(t, os.WriteFile(l.path(), b, 0o600))
				l.open()
				switch c := l.Condition(); c.State {
				case OK:
					harmless++
				case Reset:
					reset++
				default:
					t.Fatalf("page %d, offset %d: %v (%s)", page, off, c.State, c.Reason)
				}
				for _, lane := range []Lane{Events, Windows} {
					for _, r := range l.all(lane) {
						w, ok := want[fmt.Sprint(lane, r.Key.Sequence)]
						if !ok || !bytes.Equal(r.Header, w.Header) {
							t.Fatalf("page %d, offset %d: %v %d was never written", page, off, lane, r.Key.Sequence)
						}
						for _, s := range r.Sections {
							if !slices.ContainsFunc(w.Sections, func(o Section) bool { return bytes.Equal(o.Body, s.Body) }) {
								t.Fatalf("page %d, offset %d: a section of %v %d was never written", page, off, lane, r.Key.Sequence)
							}
						}
					}
				}
				if err := l.Append(l.event(10)); err != nil {
					t.Fatalf("page %d, offset %d: Append = %v", page, off, err)
				}
				if err := l.Close(); err != nil {
					t.Fatalf("page %d, offset %d: Close = %v", page, off, err)
				}
				if n := l.dirBytes(); n > l.cfg.FlashBytes {
					t.Fatalf("directory takes %d", n)
				}
			}
		}
	}
	if harmless == 0 || reset == 0 {
		t.Errorf("%d harmless, %d reset", harmless, reset)
	}
}

func TestCutOffStoreIsSurvived(t *testing.T) {
	good := smallStore(t)
	l := newLab(t)
	check(t, l.Close())
	for n := 0; n < len(good); n += 1111 {
		check(t, os.WriteFile(l.path(), good[:n], 0o600))
		l.open()
		if c := l.Condition(); c.State != OK && c.State != Reset {
			t.Fatalf("%d of %d bytes: %v (%s)", n, len(good), c.State, c.Reason)
		}
		check(t, l.Append(l.event(10)))
		check(t, l.Close())
	}
}

// One bad page of many must cost only what is on it.
func TestWhatCanBeReadIsTakenOver(t *testing.T) {
	l := newLab(t)
	for seq := uint64(1); seq <= 100; seq++ {
		l.append(l.window(seq))
		if seq%10 == 0 {
			l.append(l.event(seq))
			l.spill()
		}
	}
	l.ledger.add(Key{testRun, Windows, 1000}, Full)
	check(t, l.Close())
	b, err := os.ReadFile(l.path())
	check(t, err)
	at := bytes.Index(b, l.window(50).Header) // the page of its summaries
	b[at/pageSize*pageSize] ^= 1
	check(t, os.WriteFile(l.path(), b, 0o600))
	l.open()
	c := l.wantCondition(Reset)
	got := sequences(l.all(Windows))
	if len(got) < 94 || slices.Contains(got, 50) {
		t.Errorf("%d of 100 windows left: %v", len(got), got)
	}
	if c.Lost != int64(100-len(got)) {
		t.Errorf("said to have lost %d; %d windows are missing", c.Lost, 100-len(got))
	}
	l.wantSequences(Events, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
	if got, want := l.Losses(), (Loss{testRun.ID, Windows, Full, 1000, 1000, 1}); !slices.Contains(got, want) {
		t.Errorf("ledger %v; want %v in it", got, want)
	}
	if c.SetAside != asideName {
		t.Errorf("set aside %q", c.SetAside)
	}
	// A second time: still one file beside the store.
	check(t, l.Close())
	check(t, os.WriteFile(l.path(), b, 0o600))
	l.open()
	l.wantCondition(Reset)
	if es, _ := os.ReadDir(l.dir); len(es) != 2 {
		t.Errorf("directory holds %v", es)
	}
}

// The commit before the newest has nearly everything, wherever the page lies
// that the newest begins with.
func TestTopOfTheNewestCommitIsNotNeeded(t *testing.T) {
	l := newLab(t)
	for seq := uint64(1); seq <= 20; seq++ {
		l.append(l.event(seq), l.window(seq))
	}
	l.spill()
	l.ledger.add(Key{testRun, Windows, 1000}, Full)
	l.append(l.event(21), l.event(22))
	check(t, l.Close())
	good, err := os.ReadFile(l.path())
	check(t, err)
	p, err := openPages(bytes.NewReader(good), int64(len(good)), false)
	check(t, err)
	tops := map[string]uint64{"of all": p.root, "of the reports": p.buckets[string(reportsBucket())].root}
	for name, id := range tops {
		for what, spoil := range map[string]func(page []byte){
			"number":       func(page []byte) { page[0] ^= 1 },
			"kind":         func(page []byte) { page[8] ^= 64 },
			"no elements":  func(page []byte) { page[10], page[11] = 0, 0 },
			"one element":  func(page []byte) { binary.NativeEndian.PutUint16(page[10:], 1) },
			"all elements": func(page []byte) { page[10], page[11] = 255, 255 },
			"everything":   func(page []byte) { clear(page) },
		} {
			t.Run(name+", "+what, func(t *testing.T) {
				b := bytes.Clone(good)
				spoil(b[id*pageSize:][:pageSize])
				check(t, os.RemoveAll(l.dir))
				check(t, os.MkdirAll(l.dir, 0o700))
				check(t, os.WriteFile(l.path(), b, 0o600))
				l.open()
				defer func() { check(t, l.Close()) }()
				c := l.wantCondition(Reset)
				events, windows := len(l.all(Events)), len(l.all(Windows))
				if events < 21 || windows != 20 {
					t.Errorf("%d of 22 events and %d of 20 windows left", events, windows)
				}
				if c.Lost >= 0 && c.Lost != int64(22-events) {
					t.Errorf("%d told as lost, %d are", c.Lost, 22-events)
				}
				if want := (Loss{testRun.ID, Windows, Full, 1000, 1000, 1}); !slices.Contains(l.Losses(), want) {
					t.Errorf("ledger %v; want %v in it", l.Losses(), want)
				}
			})
		}
	}
}

// Nobody may live to tell what a repair says it cost: it is in the ledger from
// the repair on.
func TestWhatARepairCostIsToldAfterAPowerCutToo(t *testing.T) {
	l := newLab(t)
	for seq := uint64(1); seq <= 40; seq++ {
		l.append(l.window(seq), l.event(seq))
	}
	l.spill()
	l.Ack(testRun.ID, Events, 3, nil)
	l.append(l.event(41))
	l.ledger.add(Key{testRun, Windows, 1000}, Thinned)
	check(t, l.Close())
	l.rot(l.event(20).Header)
	l.rot(l.window(20).Header)
	l.open()
	if c := l.wantCondition(Reset); c.Lost < 4 {
		t.Errorf("%d lost; want those of two pages", c.Lost)
	}
	for range 3 {
		events, windows := len(l.all(Events)), len(l.all(Windows))
		if events > 37 || windows > 39 || events+windows < 50 {
			t.Fatalf("%d events, %d windows", events, windows)
		}
		var told [lanes + 1]int
		for _, loss := range l.Losses() {
			if loss.Reason == Damaged {
				told[loss.Lane] += int(loss.Count)
			}
		}
		if told[Events] != 38-events || told[Windows] != 40-windows {
			t.Errorf("told as lost: %d events and %d windows; %d and %d are", told[Events], told[Windows], 38-events, 40-windows)
		}
		if want := (Loss{testRun.ID, Windows, Thinned, 1000, 1000, 1}); !slices.Contains(l.Losses(), want) {
			t.Errorf("ledger %v; want %v in it", l.Losses(), want)
		}
		l.cut()
		l.wantCondition(OK)
	}
}

// A single value that rots is a report lost, not a store.
func TestDamagedValueCostsOneReport(t *testing.T) {
	l := newLab(t)
	for seq := uint64(1); seq <= 5; seq++ {
		l.append(l.window(seq))
	}
	l.spill()
	spoil := func(what []byte) {
		t.Helper()
		f, err := os.OpenFile(l.path(), os.O_RDWR, 0)
		check(t, err)
		defer f.Close()
		b, err := os.ReadFile(l.path())
		check(t, err)
		at := bytes.Index(b, what)
		if at < 0 {
			t.Fatal("not in the file")
		}
		_, err = f.WriteAt([]byte{^what[0]}, int64(at))
		check(t, err)
	}
	spoil(l.window(2).Sections[1].Body) // a summary, while open
	spoil(l.window(3).Sections[0].Body) // columns
	l.wantSequences(Windows, 1, 3, 4, 5)
	if r, _ := l.Next(Windows, l.window(2).Key); len(r.Sections) != 3 || r.Sections[0].Fidelity != Summary {
		t.Errorf("window 3 has %d sections; want its summaries", len(r.Sections))
	}
	want := []Loss{{testRun.ID, Windows, Damaged, 2, 2, 1}, {testRun.ID, Windows, Thinned, 3, 3, 1}}
	if got := l.Losses(); !slices.Equal(got, want) {
		t.Errorf("losses %v; want %v", got, want)
	}
	check(t, l.Close())
	l.open()
	spoil(l.window(4).Header)
	check(t, l.Close())
	l.open() // and found by Open
	l.wantCondition(OK)
	l.wantSequences(Windows, 1, 3, 5)
	if got, want := l.Losses()[2], (Loss{testRun.ID, Windows, Damaged, 4, 4, 1}); got != want && l.Losses()[0].Count != 2 {
		t.Errorf("losses %v", l.Losses())
	}
}

// Damage in a page that is found while running: what is lost is known exactly.
func TestDamageWhileRunningReplacesTheStore(t *testing.T) {
	l := newLab(t)
	for seq := uint64(1); seq <= 60; seq++ {
		l.append(l.window(seq))
		if seq%10 == 0 {
			l.spill()
		}
	}
	l.append(l.window(61)) // in memory
	b, err := os.ReadFile(l.path())
	check(t, err)
	f, err := os.OpenFile(l.path(), os.O_RDWR, 0)
	check(t, err)
	at := int64(bytes.Index(b, l.window(30).Header) / pageSize * pageSize)
	_, err = f.WriteAt([]byte{0xff, 0xff, 0xff}, at+8)
	check(t, errors.Join(err, f.Close()))

	got := sequences(l.all(Windows))
	c := <-l.told
	if c.State != Reset || c.Lost <= 0 || c.Lost > 8 {
		t.Fatalf("told %+v", c)
	}
	if int64(len(got))+c.Lost != 61 || got[len(got)-1] != 61 {
		t.Errorf("%d windows, %d lost: %v", len(got), c.Lost, got)
	}
	l.wantLedgerExact(Windows, 61)
	l.append(l.event(1))
	l.spill()
	l.cut()
	l.wantCondition(OK)
	if again := sequences(l.all(Windows)); !slices.Equal(again, got) {
		t.Errorf("after a cut %v; want %v", again, got)
	}
}

func TestOtherByteOrderIsSetAside(t *testing.T) {
	b := smallStore(t)
	for id := range 2 { // what the magic number looks like from the other side
		m := b[id*pageSize+pageHeaderLen:]
		m[0], m[1], m[2], m[3] = m[3], m[2], m[1], m[0]
	}
	l := newLab(t)
	check(t, l.Close())
	check(t, os.WriteFile(l.path(), b, 0o600))
	l.open()
	if c := l.wantCondition(Reset); c.Reason != "written by a box of the other byte order" {
		t.Errorf("reason %q", c.Reason)
	}
	if got, err := os.ReadFile(filepath.Join(l.dir, asideName)); err != nil || !bytes.Equal(got, b) {
		t.Errorf("set aside: %d bytes, %v; want the file as it was", len(got), err)
	}
}

func TestNewerFormatIsSetAsideUntouched(t *testing.T) {
	l := newLab(t)
	l.append(l.event(1))
	check(t, l.Close())
	db, err := bbolt.Open(l.path(), 0o600, &bbolt.Options{NoFreelistSync: true})
	check(t, err)
	check(t, db.Update(func(tx *bbolt.Tx) error {
		err := tx.Bucket(stateBucket()).Put(formatKey(), []byte{formatVersion + 1})
		return errors.Join(err, seal(tx, [lanes]uint32{1, 0}))
	}))
	check(t, db.Close())
	b, err := os.ReadFile(l.path())
	check(t, err)
	l.open()
	c := l.wantCondition(Reset)
	if want := "written in format 2; this version reads up to 1"; c.Reason != want {
		t.Errorf("reason %q; want %q", c.Reason, want)
	}
	if got, err := os.ReadFile(filepath.Join(l.dir, asideName)); err != nil || !bytes.Equal(got, b) {
		t.Errorf("set aside: %d bytes, %v; want the file as it was", len(got), err)
	}
	if got := l.all(Events); len(got) != 0 {
		t.Errorf("read %d reports of a format that is not known", len(got))
	}
}

// What was set aside counts, and goes before any report does.
func TestSetAsideFileMakesRoom(t *testing.T) {
	l := newLab(t, func(c *Config) { c.FlashBytes, c.FlashDailyBytes = 1<<20, 64<<20 })
	check(t, l.Close())
	check(t, os.WriteFile(l.path(), body(400<<10, 1), 0o600))
	l.open()
	if c := l.wantCondition(Reset); c.SetAside == "" {
		t.Fatal("nothing was set aside")
	}
	for seq := uint64(1); l.Stats().AsideBytes > 0; seq++ {
		if st := l.Stats(); st.Thinned+st.Dropped > 0 {
			t.Fatalf("window %d: thinned %d, dropped %d beside a useless file", seq, st.Thinned, st.Dropped)
		}
		l.append(l.window(seq))
		l.spill()
		if n := l.dirBytes(); n > l.cfg.FlashBytes {
			t.Fatalf("directory takes %d", n)
		}
	}
	if l.flash.max != l.cfg.FlashBytes {
		t.Errorf("limit is %d after the file went; want %d", l.flash.max, l.cfg.FlashBytes)
	}
}

// The walk agrees with bbolt about a store that has seen everything.
func TestWalkAgreesWithBbolt(t *testing.T) {
	l := newLab(t, func(c *Config) { c.FlashBytes, c.FlashDailyBytes = 1<<20, 64<<20 })
	for seq := uint64(1); seq <= 1500; seq++ {
		l.append(l.window(seq))
		switch {
		case seq%40 == 0:
			l.append(l.event(seq))
		case seq%7 == 0:
			l.Ack(testRun.ID, Windows, 0, []Range{{seq - 3, seq - 1}})
		case seq%3 == 0:
			l.spill()
		}
		if seq%50 != 0 {
			continue
		}
		fromCommit := l.flash.used
		f, err := os.Open(l.path())
		check(t, err)
		o, _, err := load(f)
		check(t, errors.Join(err, f.Close()))
		if o.used != fromCommit {
			t.Fatalf("after %d: the walk sees %d bytes in use, bbolt %d", seq, o.used, fromCommit)
		}
		check(t, l.flash.db.View(func(tx *bbolt.Tx) error {
			for err := range tx.Check() {
				t.Errorf("after %d: %v", seq, err)
			}
			return nil
		}))
	}
	if l.Stats().Dropped == 0 {
		t.Error("nothing was dropped: not under pressure")
	}
}

// The input is a list of patches to a good store: page, offset, value.
func FuzzPages(f *testing.F) {
	good := smallStore(f)
	f.Add([]byte{})
	for _, off := range []byte{0, 8, 10, 12, 16, 20, 24, 32, 56} {
		for page := range len(good) / pageSize {
			f.Add([]byte{byte(page), 0, off, 0x41, 0, 0, 48, 0xff})
		}
	}
	f.Fuzz(func(t *testing.T, patches []byte) {
		b := bytes.Clone(good)
		for ; len(patches) >= 4; patches = patches[4:] {
			at := int(patches[0])*pageSize + int(patches[1])<<8%pageSize + int(patches[2])
			b[at%len(b)] = patches[3]
		}
		for _, tolerant := range []bool{false, true} {
			p, err := openPages(bytes.NewReader(b), int64(len(b)), tolerant)
			if err != nil {
				continue
			}
			n := 0
			for _, name := range [][]byte{reportsBucket(), stateBucket()} {
				err = errors.Join(err, p.visit(name, func(key, value []byte) error {
					n += len(key) + len(value)
					return nil
				}))
			}
			if p.older() {
				for _, name := range [][]byte{reportsBucket(), stateBucket()} {
					err = errors.Join(err, p.visit(name, func(key, value []byte) error {
						n += len(key) + len(value)
						return nil
					}))
				}
			}
			if err != nil && tolerant {
				t.Errorf("a tolerant walk stopped: %v", err)
			}
			// Elements may overlap, pages may not but for those of two commits.
			if limit := 2 * len(b) * (pageSize / elementLen); n > limit {
				t.Errorf("%d bytes gave %d", len(b), n)
			}
		}
	})
}
