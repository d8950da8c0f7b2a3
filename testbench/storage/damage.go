package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/buffer"
)

const (
	pageSize  = 4096
	storeFile = "reports.db"
	asideFile = "reports.bad"
)

// A damage is a store with something wrong about it.
type damage struct {
	what string
	// store is the file; nil where spoil makes something else of it.
	store []byte
	spoil func(dir string) error
	// meta pages say which commit is the last.
	meta bool
	// lost stores have neither of the pages that everything else hangs from.
	lost bool
}

// lastCommit is how many reports the last commit of a good store brought.
const lastCommit = 2

// Damages is what came of opening damaged stores.
type Damages struct {
	Verdict

	Stores int
	// Whole stores lost nothing, Reset ones were replaced.
	Whole, Reset int
	// Reports that were in the stores together, Salvaged of them were there
	// afterwards, Told were reported as lost, by number.
	Reports, Salvaged, Told int
	// Unknown are those in stores that nobody can read, and so nobody can say how
	// many there were: this is what was reported.
	Unknown int
	// Recent came with the last commit, in stores of which only the commit before
	// can be read: this too was reported as a number that is not known.
	Recent int
	// Reduced are sections that were lost of reports that were salvaged without
	// them: of these the store does not know how many there were.
	Reduced int
	// Unnoticed were lost with the newest of the two pages that say which
	// commit is the last: what a power cut during a commit leaves looks the
	// same.
	Unnoticed int
	// Slowest is the longest that Open took.
	Slowest time.Duration
}

// goodStore returns a store with events, windows and a ledger, and what is in
// it.
func goodStore() (store []byte, log *promises, ledger []buffer.Loss, err error) {
	dir, err := os.MkdirTemp("", "damage")
	if err != nil {
		return nil, nil, nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	log = newPromises(func() int { return 0 })
	b := newBox(dir, smallConfig(), log)
	err = b.start(allPurposes)
	// More than memory holds, and the rest acknowledged: losses are left.
	for range 120 {
		err = errors.Join(err, b.window(30))
	}
	b.ack(buffer.Windows, 120)
	for range 6 {
		err = errors.Join(err, b.window(3000), b.window(900), b.event(nil), b.spill())
	}
	ledger = b.store.Losses()
	if len(ledger) < 2 {
		err = errors.Join(err, fmt.Errorf("the ledger is %v; want thinned and dropped windows", ledger))
	}
	if err := errors.Join(err, b.stop()); err != nil {
		return nil, nil, nil, err
	}
	store, err = os.ReadFile(filepath.Join(b.dir, storeFile))
	return store, log, ledger, err
}

// damages returns everything that is done to a good store.
func damages(good []byte) (all []damage) {
	rnd := rand.New(rand.NewPCG(3, 5))
	newest, end := tops(good)
	file := func(what string, change func(b []byte) []byte) {
		b := change(bytes.Clone(good))
		all = append(all, damage{
			what: what, store: b, lost: len(b) < end,
			meta: len(b) >= 2*pageSize && !bytes.Equal(b[:2*pageSize], good[:2*pageSize]),
		})
	}
	foreign := func(what string, b []byte) { all = append(all, damage{what: what, store: b, lost: true}) }
	pages := len(good) / pageSize
	for page := range pages {
		at := page * pageSize
		// The header, the first elements, and three places by lot.
		for _, off := range []int{0, 4, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 64, 80, rnd.IntN(pageSize), rnd.IntN(pageSize), rnd.IntN(pageSize)} {
			bit := byte(1) << rnd.IntN(8)
			file(fmt.Sprintf("page %d, a bit of byte %d flipped", page, off), func(b []byte) []byte { b[at+off] ^= bit; return b })
		}
		file(fmt.Sprintf("page %d zero", page), func(b []byte) []byte { clear(b[at : at+pageSize]); return b })
		file(fmt.Sprintf("page %d erased", page), func(b []byte) []byte {
			copy(b[at:at+pageSize], bytes.Repeat([]byte{0xff}, pageSize))
			return b
		})
		file(fmt.Sprintf("page %d random", page), func(b []byte) []byte {
			for i := range pageSize {
				b[at+i] = byte(rnd.Uint32())
			}
			return b
		})
		other := rnd.IntN(pages) * pageSize
		file(fmt.Sprintf("page %d instead of page %d", other/pageSize, page), func(b []byte) []byte {
			copy(b[at:at+pageSize], good[other:other+pageSize])
			return b
		})
		file(fmt.Sprintf("cut off before page %d", page), func(b []byte) []byte { return b[:at] })
		file(fmt.Sprintf("cut off within page %d", page), func(b []byte) []byte { return b[:at+1+rnd.IntN(pageSize-1)] })
	}
	// The page that everything hangs from, with the ledger and the account in it.
	at := newest * pageSize
	for off := range pageSize {
		if good[at+off] != 0 {
			bit := byte(1) << rnd.IntN(8)
			file(fmt.Sprintf("a bit of byte %d of the top flipped", off), func(b []byte) []byte { b[at+off] ^= bit; return b })
		}
	}
	foreign("the other byte order", swapped(bytes.Clone(good)))
	foreign("a foreign file", bytes.Repeat([]byte("\x7fELF"), 30000))
	foreign("text", []byte("hello\n"))
	return append(all, shapes(good)...)
}

// tops are the pages that everything else of the last two commits hangs from,
// newest first, and ends where both of such a page and that of its reports are.
func tops(good []byte) (newest, end int) {
	top := func(page int) (top int, commit uint64, end int) {
		m := good[page*pageSize:]
		top = int(binary.NativeEndian.Uint64(m[32:]))
		name := []byte("reports")
		all := good[top*pageSize:][:pageSize]
		reports := int(binary.NativeEndian.Uint64(all[bytes.Index(all, name)+len(name):]))
		return top, binary.NativeEndian.Uint64(m[64:]), (max(top, reports) + 1) * pageSize
	}
	a, na, enda := top(0)
	b, nb, endb := top(1)
	if na > nb {
		b = a
	}
	return b, min(enda, endb)
}

// swapped is what the store looks like to a machine of the other byte order.
func swapped(b []byte) []byte {
	for page := range 2 {
		m := b[page*pageSize:]
		slices.Reverse(m[:8])
		for _, at := range []int{8, 10} {
			slices.Reverse(m[at : at+2])
		}
		for _, at := range []int{12, 16, 20, 24, 28} {
			slices.Reverse(m[at : at+4])
		}
		for at := 32; at < 80; at += 8 {
			slices.Reverse(m[at : at+8])
		}
	}
	return b
}

// shapes are those where what has the name of the store is no file, or what has
// the name of the one set aside is in the way.
func shapes(good []byte) []damage {
	rotten := bytes.Clone(good)
	binary.NativeEndian.PutUint16(rotten[5*pageSize+8:], 0xeeee)
	write := func(dir string, b []byte) error { return os.WriteFile(filepath.Join(dir, storeFile), b, 0o600) }
	return []damage{
		{what: "a directory", lost: true, spoil: func(dir string) error {
			name := filepath.Join(dir, storeFile)
			return errors.Join(os.Mkdir(name, 0o700), os.WriteFile(filepath.Join(name, "x"), good, 0o600))
		}},
		{what: "a link to elsewhere", lost: true, spoil: func(dir string) error { return os.Symlink("/etc/passwd", filepath.Join(dir, storeFile)) }},
		{what: "a pipe", lost: true, spoil: func(dir string) error { return unix.Mkfifo(filepath.Join(dir, storeFile), 0o600) }},
		{what: "quarantine full, damaged", spoil: func(dir string) error {
			return errors.Join(write(dir, rotten), os.WriteFile(filepath.Join(dir, asideFile), make([]byte, 500<<10), 0o600))
		}},
		{what: "a directory in quarantine, damaged", spoil: func(dir string) error {
			name := filepath.Join(dir, asideFile)
			return errors.Join(write(dir, rotten), os.Mkdir(name, 0o700), os.WriteFile(filepath.Join(name, "x"), good, 0o600))
		}},
	}
}

// damageAll opens a good store with each damage in turn.
func damageAll() (all Damages, err error) {
	good, log, ledger, err := goodStore()
	if err != nil {
		return all, err
	}
	for _, d := range damages(good) {
		if err := all.one(log, ledger, d); err != nil {
			return all, fmt.Errorf("%s: %w", d.what, err)
		}
	}
	all.Reduced = log.reduced
	return all, nil
}

// one opens one damaged store and compares.
func (all *Damages) one(log *promises, ledger []buffer.Loss, d damage) (err error) {
	at := memory
	if _, serr := os.Stat(at); serr != nil {
		at = ""
	}
	dir, err := os.MkdirTemp(at, "damage")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if d.spoil == nil {
		d.spoil = func(dir string) error { return os.WriteFile(filepath.Join(dir, storeFile), d.store, 0o600) }
	}
	if err := d.spoil(dir); err != nil {
		return err
	}
	var v Verdict
	all.Stores++
	began := time.Now()
	s := buffer.Open(smallConfig(), buffer.Options{Dir: dir, Now: func() time.Duration { return time.Minute }, OpenTimeout: 20 * time.Second})
	all.Slowest = max(all.Slowest, time.Since(began))
	losses := s.Losses()
	log.rotten = true
	there := log.walk(&v, 0, s, losses, 0)
	for _, m := range log.reports {
		m.there, m.early = there[m.Key], covered(losses, m.Key, buffer.Damaged)
	}
	all.tally(&v, d, log, s)
	if !d.lost {
		keeps(&v, ledger, s.Losses())
	}

	// Sampling goes on, durably, within the limits.
	mine := newPromises(func() int { return 0 })
	b := newBox(dir, smallConfig(), mine)
	b.store, b.dir, b.sequences = s, dir, map[buffer.Lane]uint64{}
	b.run = buffer.Run{ID: 99, Counter: 99, KernelBoot: 9}
	if err := errors.Join(b.window(900), b.event(nil), b.spill(), s.Close()); err != nil {
		v.problem("go on: %w", err)
	}
	if _, err := buffer.Inspect(dir); err != nil {
		v.problem("afterwards: %w", err)
	}
	for i, p := range v.Problems {
		v.Problems[i] = fmt.Errorf("%s: %w", d.what, p)
	}
	all.add(v)
	return nil
}

// keeps checks that what a ledger told before the damage it still does: what was
// dropped exactly, of what was thinned at least as much.
func keeps(v *Verdict, before, now []buffer.Loss) {
	sum := func(losses []buffer.Loss, reason buffer.Reason) (n uint64) {
		for _, l := range losses {
			if l.Reason == reason {
				n += l.Count
			}
		}
		return n
	}
	if a, b := sum(before, buffer.Full), sum(now, buffer.Full); a != b {
		v.problem("%d reports are told as dropped, %d were", b, a)
	}
	if a, b := sum(before, buffer.Thinned), sum(now, buffer.Thinned); b < a || b > a+100 {
		v.problem("%d reports are told as thinned, %d were", b, a)
	}
}

// tally compares what is missing with what was told.
func (all *Damages) tally(v *Verdict, d damage, log *promises, s *buffer.Store) {
	c, losses := s.Condition(), s.Losses()
	missing, told, late := 0, 0, 0
	for _, m := range log.reports {
		if m.acked != never {
			continue
		}
		all.Reports++
		switch {
		case m.there:
			all.Salvaged++
		case covered(losses, m.Key, buffer.Damaged):
			missing++
			told++
			if !m.early {
				late++ // found out when it was read
			}
		default:
			missing++
		}
	}
	switch {
	case c.State == buffer.Unavailable:
		v.problem("the store is unavailable: %s", c.Reason)
	case c.State == buffer.Reset && c.Lost < 0 && d.lost:
		all.Reset++
		all.Unknown += missing
	case c.State == buffer.Reset && c.Lost < 0:
		all.Reset++
		all.Recent += missing
		if missing > lastCommit {
			v.problem("%d reports are missing, the last commit brought %d (%s)", missing, lastCommit, c.Reason)
		}
	case c.State == buffer.Reset:
		all.Reset++
		all.Told += missing
		if int(c.Lost)+late != missing {
			v.problem("%d reports are missing and %d were told (%s)", missing, int(c.Lost)+late, c.Reason)
		}
		if told += nameless(losses); told != missing {
			v.problem("%d reports are missing and %d are in the ledger (%s)", missing, told, c.Reason)
		}
	case missing > told:
		all.Unnoticed += missing - told
		if !d.meta {
			v.Lost += missing - told
			v.problem("%d reports are missing and %d were told", missing, told)
		}
	default:
		all.Told += told
		all.Whole++
	}
}
