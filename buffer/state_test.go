package buffer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
)

// stateStore returns a store with a ledger, and the page of its state.
func stateStore(t *testing.T, l *lab) (good []byte, page int) {
	t.Helper()
	for seq := uint64(1); seq <= 6; seq++ {
		l.append(l.event(seq), l.window(seq))
	}
	l.spill()
	for seq := uint64(100); seq < 110; seq++ {
		l.ledger.add(Key{testRun, Windows, seq}, Full)
	}
	// In both of the last commits.
	l.append(l.event(7), l.event(8))
	check(t, l.Close())
	good, err := os.ReadFile(l.path())
	check(t, err)
	p, err := openPages(bytes.NewReader(good), int64(len(good)), false)
	check(t, err)
	if p.buckets[string(stateBucket())].root != 0 {
		t.Fatal("the state has a page of its own")
	}
	return good, int(p.root)
}

// stateOf reads the state of a file as load does.
func stateOf(b []byte) (s state, err error) {
	p, err := openPages(bytes.NewReader(b), int64(len(b)), false)
	if err != nil {
		return s, err
	}
	if s, err = p.state(); err != nil {
		return s, err
	}
	return s, s.check()
}

// believed is what is made of a state.
func (s state) believed() []any {
	return []any{s.version, s.losses, s.account, s.reports}
}

// No bit of the page of the state makes another state of it.
func TestEveryBitOfTheStateIsChecked(t *testing.T) {
	l := newLab(t)
	good, page := stateStore(t, l)
	want, err := stateOf(good)
	check(t, err)
	if len(want.losses) == 0 || !want.sealed {
		t.Fatalf("state %+v; want a ledger and a seal", want)
	}
	b := bytes.Clone(good)
	found := 0
	for at := page * pageSize; at < page*pageSize+pageSize/2; at++ { // the rest is empty
		for bit := range 8 {
			b[at] ^= 1 << bit
			got, err := stateOf(b)
			_, newer := errors.AsType[newerError](err)
			switch {
			case newer || err != nil && !isDamage(err):
				t.Fatalf("bit %d of byte %d: %v; want damage", bit, at%pageSize, err)
			case err != nil:
				found++
			default:
				if diff := cmp.Diff(want.believed(), got.believed()); diff != "" {
					t.Fatalf("bit %d of byte %d (-want +got):\n%s", bit, at%pageSize, diff)
				}
			}
			b[at] ^= 1 << bit
		}
	}
	t.Logf("%d bits of damage were found", found)
	if found < 1000 {
		t.Errorf("%d bits of damage were found; want most of the state's", found)
	}
}

// What the last commit has lost of the state, the one before it has.
func TestDamagedStateIsTakenFromTheCommitBefore(t *testing.T) {
	l := newLab(t)
	good, page := stateStore(t, l)
	l.open()
	want, total := l.Losses(), l.Stats().FlashTotal
	check(t, l.Close())
	for _, key := range append(sealedKeys(), sealKey()) {
		for _, mask := range []byte{1, 0x80} {
			b := bytes.Clone(good)
			at := page*pageSize + bytes.Index(b[page*pageSize:][:pageSize], key)
			b[at+len(key)] ^= mask // its value
			check(t, os.RemoveAll(l.dir))
			check(t, os.MkdirAll(l.dir, 0o700))
			check(t, os.WriteFile(l.path(), b, 0o600))
			l.open()
			c := l.Condition()
			if want := bytes.Equal(key, sealKey()); (c.State == OK) != want || (c.State == Reset) == want || c.Lost != 0 {
				t.Errorf("%s: %+v", key, c)
			}
			l.wantSequences(Events, upTo(8)...)
			l.wantSequences(Windows, upTo(6)...)
			if diff := cmp.Diff(want, l.Losses()); diff != "" {
				t.Errorf("%s: ledger (-want +got):\n%s", key, diff)
			}
			if got := l.Stats().FlashTotal; got < total/2 {
				t.Errorf("%s: %d bytes written ever, %d were", key, got, total)
			}
			check(t, l.Close())
		}
	}
}

// The version before reads and writes the same values and knows of no seal.
func TestStateOfTheVersionBeforeIsRead(t *testing.T) {
	l := newLab(t)
	l.append(l.event(1), l.event(2))
	check(t, l.Close())
	want := []Loss{{testRun.ID, Windows, Full, 5, 6, 2}}
	db, err := bbolt.Open(l.path(), 0o600, &bbolt.Options{NoFreelistSync: true})
	check(t, err)
	check(t, db.Update(func(tx *bbolt.Tx) error {
		state := tx.Bucket(stateBucket())
		for key, n := range map[string]int{string(formatKey()): 1, string(accountKey()): accountLen, string(countKey()): 4} {
			if got := len(state.Get([]byte(key))); got != n {
				t.Errorf("%s has %d bytes; the version before reads %d", key, got, n)
			}
		}
		if n := binary.BigEndian.Uint32(state.Get(countKey())); n != 2 {
			t.Errorf("count is %d; want 2", n)
		}
		a := account{spent: 1000, total: 5000}
		return errors.Join(
			state.Put(ledgerKey(), (&ledger{losses: want}).encode()),
			state.Put(accountKey(), a.encode(0)))
	}))
	check(t, db.Close())
	l.open()
	l.wantCondition(OK)
	l.wantSequences(Events, 1, 2)
	if diff := cmp.Diff(want, l.Losses()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	if st := l.Stats(); st.FlashToday != 1000 || st.FlashTotal != 5000 {
		t.Errorf("%d bytes today, %d ever; want 1000 and 5000", st.FlashToday, st.FlashTotal)
	}
}

// A format that no checksum vouches for is damage, and the reports are kept.
func TestNewerFormatWithoutSealIsDamage(t *testing.T) {
	l := newLab(t)
	l.append(l.event(1), l.event(2))
	check(t, l.Close())
	db, err := bbolt.Open(l.path(), 0o600, &bbolt.Options{NoFreelistSync: true})
	check(t, err)
	check(t, db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(stateBucket()).Put(formatKey(), []byte{formatVersion | 0x80})
	}))
	check(t, db.Close())
	l.open()
	l.wantCondition(Reset)
	l.wantSequences(Events, 1, 2)
}

// A day's bytes that rot cannot cost more than the day after.
func TestAccountOfTooMuchIsCutShort(t *testing.T) {
	a := account{limit: 1000, total: 1 << 40, spent: 1 << 38}
	b := account{limit: 1000}
	b.decode(a.encode(0))
	if b.spent != 2000 || b.total != 1<<40 {
		t.Errorf("decoded %+v", b)
	}
	if b.advance(25 * time.Hour); !b.allowsEvent(0) {
		t.Errorf("a day later %+v; want room for events", b)
	}
}

// Whatever the values are, a state that is believed is one that was sealed.
func FuzzState(f *testing.F) {
	values := func(ledger, account, count []byte) map[string][]byte {
		return map[string][]byte{
			string(formatKey()): {formatVersion}, string(ledgerKey()): ledger,
			string(accountKey()): account, string(countKey()): count,
		}
	}
	seal := binary.BigEndian.AppendUint64(nil, 7)
	seal = binary.BigEndian.AppendUint64(seal, 3<<32|4)
	good := values([]byte("ledger"), []byte("account"), []byte{0, 0, 0, 7})
	for _, key := range sealedKeys() {
		seal = binary.BigEndian.AppendUint32(seal, sumOf(key, good[string(key)]))
	}
	seal = binary.BigEndian.AppendUint32(seal, sumOf(sealKey(), seal))
	f.Add(seal, []byte("ledger"), []byte("account"), []byte{0, 0, 0, 7})
	f.Add(seal, []byte("ledgeR"), []byte("account"), []byte{0, 0, 0, 7})
	f.Add(seal[:20], []byte{}, []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, b, ledger, account, count []byte) {
		found := values(ledger, account, count)
		found[string(sealKey())] = b
		s := state{reports: -1}
		s.unseal(found, 7)
		for _, key := range sealedKeys() {
			v, there := found[string(key)]
			if s.sealed && there && s.damage == nil && bytes.Equal(b, seal) && !bytes.Equal(v, good[string(key)]) {
				t.Errorf("%s is %x under the seal of another", key, v)
			}
		}
		if !s.sealed && s.reports != -1 {
			t.Errorf("%d reports without a seal", s.reports)
		}
	})
}
