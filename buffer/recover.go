package buffer

import (
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"os"
	"syscall"

	"go.etcd.io/bbolt"

	"livebox-agent/buffer/durable"
)

// opened is what opening or repairing the store gave.
type opened struct {
	flash   *flash
	index   [lanes]laneIndex
	losses  []Loss
	account []byte
	drops   []Key // reports that cannot be read
	thins   []Key // columns that cannot be read
	cond    Condition
	used    int64
	written int64
}

// newerError says that a later version wrote the file.
type newerError struct{ version byte }

func (e newerError) Error() string {
	return fmt.Sprintf("written in format %d; this version reads up to %d", e.version, formatVersion)
}

// openStore opens the store in root, makes one where there is none, and sets
// aside what cannot be used. It fails only where the directory is of no use.
func openStore(root *os.Root, cfg Config) (*opened, error) {
	// What a power cut during a repair or a creation left behind.
	_ = removeAll(root, freshName)
	info, err := root.Lstat(storeName)
	if errors.Is(err, fs.ErrNotExist) && root.Rename(asideName, storeName) == nil {
		// The power was cut before the fresh store had everything: once more.
		info, err = root.Lstat(storeName)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := createStore(root, cfg.FlashBytes); err != nil {
			return nil, err
		}
		o, err := openSound(root, cfg)
		if err == nil {
			o.written = createCost
		}
		return o, err
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return replaceStore(root, cfg, damagef("not a file"))
	}
	o, err := openSound(root, cfg)
	_, newer := errors.AsType[newerError](err)
	if newer || isDamage(err) {
		return replaceStore(root, cfg, err)
	}
	return o, err
}

// openSound opens a store in which nothing is wrong but single values.
func openSound(root *os.Root, cfg Config) (*opened, error) {
	o, size, err := loadLocked(root)
	if err != nil {
		return nil, err
	}
	if size > cfg.FlashBytes {
		return nil, damagef("%d bytes are above the limit of %d", size, cfg.FlashBytes)
	}
	// What was set aside counts, and goes where it leaves too little.
	aside := asideBytes(root)
	if aside+max(minFlash, size) > cfg.FlashBytes {
		if err := removeAll(root, asideName); err != nil {
			return nil, err
		}
		aside = 0
	}
	// Whoever put the file there may not have come so far.
	if err := durable.SyncDir(root); err != nil {
		return nil, err
	}
	db, err := openBolt(root, storeName, cfg.FlashBytes-aside)
	if err != nil {
		return nil, err
	}
	o.flash = &flash{root: root, db: db, max: cfg.FlashBytes - aside, used: o.used, pages: txPages(db)}
	return o, nil
}

// loadLocked loads the store unless another process has it.
func loadLocked(root *os.Root) (*opened, int64, error) {
	f, err := root.Open(storeName)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, 0, errLocked
	case err != nil:
		return nil, 0, err
	}
	return load(f)
}

// asideBytes is the size of what was set aside.
func asideBytes(root *os.Root) int64 {
	info, err := root.Lstat(asideName)
	if err != nil {
		return 0
	}
	return info.Size()
}

// load walks the store, checks every value, and lists the reports. f is locked.
func load(f *os.File) (o *opened, size int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	p, err := openPages(f, info.Size(), false)
	if err != nil {
		return nil, 0, err
	}
	o = &opened{index: newIndex()}
	st, err := p.state()
	if err == nil {
		err = st.check()
	}
	if err != nil {
		return nil, 0, err
	}
	o.losses, o.account = st.losses, st.account
	l := loader{o: o}
	if err := p.visit(reportsBucket(), l.pair); err != nil {
		return nil, 0, err
	}
	// Those that were acknowledged may be there too. A page that says that it
	// has fewer than it had looks like any other.
	if have := int64(len(o.index[0].entries) + len(o.index[1].entries)); have < st.reports {
		return nil, 0, damagef("%d of %d reports are there", have, st.reports)
	}
	l.finish()
	o.used = 2 * pageSize // the meta pages
	for _, set := range p.seen {
		o.used += int64(bits.OnesCount64(set)) * pageSize
	}
	return o, info.Size(), nil
}

func newIndex() (x [lanes]laneIndex) {
	x[0].lane, x[1].lane = Events, Windows
	return x
}

// A loader builds the index from the pairs of the reports bucket.
type loader struct {
	o *opened
	// doomed are reports of which a part that thinning keeps is damaged.
	doomed map[Key]bool
}

// id is k without what the key on flash does not have.
func id(k Key) Key {
	k.Run.KernelBoot = 0
	return k
}

func (l *loader) doom(k Key) {
	if l.doomed == nil {
		l.doomed = make(map[Key]bool)
	}
	l.doomed[id(k)] = true
}

func (l *loader) pair(key, value []byte) error {
	class, k, part, ok := parseKey(key)
	if !ok {
		return damagef("key %x is not this program's", key)
	}
	s, err := decodeValue(key, value)
	x := &l.o.index[k.Lane-1]
	if part == 0 {
		var r Report
		r.Key = k
		if err == nil {
			err = decodeHeader(&r, s.Body)
		}
		if err != nil {
			l.doom(k)
		}
		x.add(r.Key, entry{core: uint32(len(s.Body))})
		return nil
	}
	i, found := x.search(k)
	switch {
	case !found:
		l.doom(k)
	case class == classColumns && err != nil:
		l.o.thins = append(l.o.thins, k)
	case class == classColumns:
		x.change(i, func(e *entry) { e.cols += uint32(len(s.Body)) })
	case err != nil:
		l.doom(k)
	default:
		x.change(i, func(e *entry) { e.core += uint32(len(s.Body)) })
	}
	return nil
}

// finish takes out what cannot be read.
func (l *loader) finish() {
	for k := range l.doomed {
		l.o.drops = append(l.o.drops, k)
		x := &l.o.index[k.Lane-1]
		if i, found := x.search(k); found {
			x.remove(i)
		}
	}
	for _, k := range l.o.thins {
		x := &l.o.index[Windows-1]
		if i, found := x.search(k); found {
			x.change(i, func(e *entry) { e.cols = 0 })
		}
	}
}

// replaceStore sets the store aside because of why and puts a fresh one in its
// place, with what can still be read of the old one. Until that one has
// everything there is none, so that a power cut, or lack of room, has it done
// again.
func replaceStore(root *os.Root, cfg Config, why error) (*opened, error) {
	if err := removeAll(root, asideName); err != nil {
		return nil, err
	}
	if err := root.Rename(storeName, asideName); err != nil {
		return nil, err
	}
	if err := copyFits(root, asideName); err != nil {
		return nil, err
	}
	if err := createFresh(root, cfg.FlashBytes); err != nil {
		return nil, err
	}
	written, lost := int64(createCost), int64(-1)
	if _, newer := errors.AsType[newerError](why); !newer {
		w, reports, err := salvage(root, asideName, cfg.FlashBytes, true)
		if err != nil {
			return nil, errors.Join(err, removeAll(root, freshName))
		}
		written, lost = written+w, reports
	}
	if err := takeFresh(root); err != nil {
		return nil, err
	}
	o, err := openSound(root, cfg)
	if err != nil {
		return nil, err
	}
	if lost >= 0 {
		have := int64(len(o.index[0].entries) + len(o.index[1].entries))
		lost = max(0, lost-have)
	}
	kept := ""
	if asideBytes(root) > 0 {
		kept = asideName
	}
	o.written = written
	o.cond = Condition{State: Reset, Reason: why.Error(), SetAside: kept, Lost: lost}
	return o, nil
}

// salvageChunk is how many bytes of values one commit takes over.
const salvageChunk = 64 << 10

// salvage copies every sound value of the file name into the fresh store.
// reports is how many reports the old one had, -1 if unknown. What cannot be
// read is left behind, and what does not fit below maxBytes: in the order of
// keys that is columns first, events last. The error says that the copy is not
// whole because it could not be written, as on a flash that others have filled:
// it must not take the place of what it was made from.
//
// With tell, what is missing goes into the ledger of the copy: how many reports,
// since nobody knows which. So it lasts from the moment on in which the copy
// takes the place of the old one.
func salvage(root *os.Root, name string, maxBytes int64, tell bool) (written, reports int64, err error) {
	info, err := root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return 0, -1, nil // opening a pipe would wait for ever
	}
	f, err := root.Open(name)
	if err != nil {
		return 0, -1, nil
	}
	defer f.Close()
	p, err := openPages(f, info.Size(), true)
	if err != nil {
		return 0, -1, nil
	}
	db, err := openBolt(root, freshName, maxBytes)
	if err != nil {
		return 0, -1, err
	}
	defer func() { err = errors.Join(err, guard(db.Close)) }()

	st, _ := p.state()
	w := salvager{db: db}
	_ = p.visit(reportsBucket(), w.pair) // a tolerant walk ends with w.err only
	// What the newest commit no longer leads to, the one before it may: all but
	// what came last. What was deleted last comes once more.
	missing := p.blind || p.bad == 0 && w.reports < st.reports
	if (missing || !st.whole()) && p.older() {
		if before, _ := p.state(); !st.whole() {
			st.fill(before)
		}
		if missing {
			_ = p.visit(reportsBucket(), w.pair)
		}
	}
	w.commit(nil)
	if w.err == nil {
		w.err = w.finish(root, st, tell)
	}
	return w.written, st.reports, w.err
}

// finish writes the state of the copy.
func (w *salvager) finish(root *os.Root, st state, tell bool) error {
	f, err := root.Open(freshName)
	if err != nil {
		return err
	}
	defer f.Close()
	there, _, err := load(f)
	if err != nil {
		return err
	}
	g := ledger{losses: st.losses}
	b := batch{account: st.account}
	for i := range there.index {
		b.count[i] = uint32(len(there.index[i].entries))
		lost := st.lanes[i] - int64(b.count[i])
		for _, k := range there.drops { // told by their keys when they are dropped
			if k.Lane == Lane(i+1) {
				lost--
			}
		}
		if tell && lost > 0 {
			g.addLoss(Loss{Lane: Lane(i + 1), Reason: Damaged, Count: uint64(lost)})
		}
	}
	b.ledger = g.encode()
	w.commit(func(tx *bbolt.Tx) error { return b.applyState(tx, tx.Bucket(stateBucket())) })
	return w.err
}

// A salvager writes pairs in chunks.
type salvager struct {
	db      *bbolt.DB
	chunk   []pair
	bytes   int
	reports int64 // headers that were found
	written int64
	err     error // of the commit that failed; nothing is written after it
}

func (w *salvager) pair(key, value []byte) error {
	_, _, part, ok := parseKey(key)
	if !ok {
		return damagef("key %x is not this program's", key)
	}
	if _, err := decodeValue(key, value); err != nil {
		return damagef("value of %x", key)
	}
	if part == 0 {
		w.reports++
	}
	w.chunk = append(w.chunk, pair{append([]byte(nil), key...), append([]byte(nil), value...)})
	if w.bytes += len(value); w.bytes < salvageChunk {
		return nil
	}
	w.commit(nil)
	return w.err
}

func (w *salvager) commit(more func(tx *bbolt.Tx) error) {
	if w.err != nil {
		return
	}
	err := guard(func() error {
		tx, err := w.db.Begin(true)
		if err != nil {
			return err
		}
		b := tx.Bucket(reportsBucket())
		b.FillPercent = 1
		for _, p := range w.chunk {
			if b.Get(p.key) == nil {
				err = errors.Join(err, b.Put(p.key, p.value))
			}
		}
		if more != nil {
			err = errors.Join(err, more(tx))
		}
		if err != nil {
			return errors.Join(err, tx.Rollback())
		}
		if err := tx.Commit(); err != nil {
			return err
		}
		st := tx.Stats()
		w.written += st.GetPageAlloc() + pageSize
		return nil
	})
	w.chunk, w.bytes = w.chunk[:0], 0
	if !isFull(err) {
		w.err = err
	}
}
