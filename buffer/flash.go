package buffer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sort"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"livebox-agent/collector/catalogue"
)

// Names in the buffer's directory.
const (
	storeName = "reports.db"
	freshName = "reports.new"
	asideName = "reports.bad"
)

const (
	// allocBytes is how much the file grows at a time: bbolt's own 16 MiB
	// would leave a small limit half unused.
	allocBytes = 64 << 10
	// lockWait is how long another process may hold the file.
	lockWait = time.Second
	// createCost is what a fresh file costs: four pages by bbolt, two commits.
	createCost = 12 * pageSize
)

// growCost is what a journalling file system writes for itself when a commit
// makes the database longer: measured on ext4 (testbench/flash), where commits
// into a file that has its size cost nothing on top.
const growCost = 6 * pageSize

// flash is the open database. Its methods are called with Store.io held, but
// for read, which may run beside one of them.
type flash struct {
	root *os.Root
	db   *bbolt.DB
	max  int64 // bytes the file may have
	used int64 // bytes of pages in use after the last commit
	// pages is how many the database spans, free ones included.
	pages int64
}

// openBolt opens a file that was checked by openPages, or creates it.
func openBolt(root *os.Root, name string, maxBytes int64) (db *bbolt.DB, err error) {
	err = guard(func() error {
		db, err = bbolt.Open(name, 0o600, &bbolt.Options{
			Timeout:        lockWait,
			NoFreelistSync: true,
			FreelistType:   bbolt.FreelistMapType,
			PageSize:       pageSize,
			// The whole limit is mapped at once: no commit has to wait for
			// readers to remap.
			InitialMmapSize: int(maxBytes),
			MaxSize:         int(maxBytes),
			OpenFile:        root.OpenFile,
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	db.AllocSize = allocBytes
	return db, nil
}

// guard runs fn and makes an error of a panic, also of one that comes from a
// page of the mapping that cannot be read.
func guard(fn func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if p := recover(); p != nil {
			err = damagef("%v", p)
		}
	}()
	return fn()
}

// createStore makes an empty store under its name in one step, so that a power
// cut during bbolt's first writes leaves no half-made file there.
func createStore(root *os.Root, maxBytes int64) error {
	if err := createFresh(root, maxBytes); err != nil {
		return err
	}
	return takeFresh(root)
}

// createFresh makes an empty store beside the place of the store.
func createFresh(root *os.Root, maxBytes int64) error {
	if err := removeAll(root, freshName); err != nil {
		return err
	}
	db, err := openBolt(root, freshName, maxBytes)
	if err != nil {
		return errors.Join(err, removeAll(root, freshName))
	}
	// The second commit brings the other meta page up to date.
	for range 2 {
		err = errors.Join(err, guard(func() error {
			return db.Update(initialise)
		}))
	}
	if err = errors.Join(err, guard(db.Close)); err != nil {
		return errors.Join(err, removeAll(root, freshName))
	}
	return nil
}

// takeFresh puts the fresh store in its place. openSound makes that last.
func takeFresh(root *os.Root) error { return root.Rename(freshName, storeName) }

// initialise makes the buckets of an empty store.
func initialise(tx *bbolt.Tx) error {
	if _, err := tx.CreateBucketIfNotExists(reportsBucket()); err != nil {
		return err
	}
	b, err := tx.CreateBucketIfNotExists(stateBucket())
	if err != nil {
		return err
	}
	if err := b.Put(formatKey(), []byte{formatVersion}); err != nil {
		return err
	}
	return seal(tx, [lanes]uint32{})
}

// removeAll removes what may not be there.
func removeAll(root *os.Root, name string) error {
	if err := root.RemoveAll(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// A batch is what one commit changes.
type batch struct {
	puts  []*Report
	drops []doom // whole reports
	thins []doom // their columns
	keys  [][]byte
	// Where the ledger has changed.
	ledger  []byte
	account []byte
	// How many reports of each lane are on flash afterwards.
	count [lanes]uint32
}

// commitCost is what a commit costs beside its values: root, meta, and in each
// of up to three regions of keys a tail and a branch, and room to grow.
const commitCost = 10*pageSize + growCost

// What a deletion costs: bbolt writes anew the pages at both ends of what goes,
// in each region of keys, and a little in their branches for what is between.
const (
	doomRunCost = 4 * pageSize
	doomKeyCost = 64
)

// reportCost bounds what one report takes of the pages that are written. bbolt
// puts at least two values on a page and lets it overflow where they do not
// fit, so that large values leave up to half of it empty.
func reportCost(r *Report) (bound int64) {
	add := func(n int) {
		v := int64(n + valueHeaderLen + keyLen + elementLen)
		bound += v + min(v, pageSize)/2
	}
	add(bootHeaderLen + len(r.Header))
	for _, s := range r.Sections {
		add(len(s.Body))
	}
	return bound
}

// commit makes b durable and returns the bytes written.
func (f *flash) commit(b batch) (written int64, err error) {
	err = guard(func() error {
		tx, err := f.db.Begin(true)
		if err != nil {
			return err
		}
		// Not db.Update: its clean-up after a panic walks the damaged tree in
		// a goroutine of its own, where nobody can recover.
		defer func() {
			if p := recover(); p != nil {
				_ = tx.Rollback()
				panic(p)
			}
		}()
		if err := b.apply(tx); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		if err := tx.Commit(); err != nil {
			return err
		}
		st := tx.Stats()
		written = st.GetPageAlloc() + pageSize // and the meta page
		stats, pages := f.db.Stats(), txPages(f.db)
		f.used = (pages - int64(stats.FreePageN+stats.PendingPageN)) * pageSize
		if pages > f.pages {
			written += growCost
		}
		f.pages = pages
		return nil
	})
	return written, err
}

// txPages returns how many pages the database spans, free ones included.
func txPages(db *bbolt.DB) (n int64) {
	_ = db.View(func(tx *bbolt.Tx) error {
		n = tx.Size() / pageSize
		return nil
	})
	return n
}

// apply makes the changes in tx.
func (b *batch) apply(tx *bbolt.Tx) error {
	reports, state := tx.Bucket(reportsBucket()), tx.Bucket(stateBucket())
	if reports == nil || state == nil {
		return damagef("bucket missing")
	}
	// Keys only ever grow, but in front of the columns: pages are filled.
	reports.FillPercent = 1
	doomed := b.keys
	c := reports.Cursor()
	collect := func(class byte, k Key) {
		prefix := appendKey(nil, class, k, 0)
		for key, _ := c.Seek(prefix); key != nil && bytes.HasPrefix(key, prefix[:keyLen-1]); key, _ = c.Next() {
			doomed = append(doomed, bytes.Clone(key))
		}
	}
	for _, d := range b.drops {
		collect(byte(d.Lane), d.Key)
		if d.Lane == Windows {
			collect(classColumns, d.Key)
		}
	}
	for _, d := range b.thins {
		collect(classColumns, d.Key)
	}
	// After the cursor's walk: deleting under a cursor makes it skip keys.
	for _, key := range doomed {
		if err := reports.Delete(key); err != nil {
			return err
		}
	}
	var puts []pair
	for _, r := range b.puts {
		puts = append(puts, r.pairs()...)
	}
	sort.Slice(puts, func(i, j int) bool { return bytes.Compare(puts[i].key, puts[j].key) < 0 })
	for _, p := range puts {
		if err := reports.Put(p.key, p.value); err != nil {
			return err
		}
	}
	return b.applyState(tx, state)
}

// applyState puts what the batch has for the state bucket.
func (b *batch) applyState(tx *bbolt.Tx, state *bbolt.Bucket) error {
	if b.ledger != nil {
		if err := state.Put(ledgerKey(), b.ledger); err != nil {
			return err
		}
	}
	all := b.count[0] + b.count[1]
	return errors.Join(
		state.Put(countKey(), binary.BigEndian.AppendUint32(nil, all)),
		state.Put(accountKey(), b.account),
		seal(tx, b.count))
}

// errGone says that a report is not on flash.
var errGone = errors.New("report is not on flash")

// read reads one report. thinned leaves its columns away; so does lessColumns,
// which says that some of them could not be read.
func (f *flash) read(k Key, thinned bool) (r Report, lessColumns bool, err error) {
	r.Key = k
	type numbered struct {
		part int
		Section
	}
	var found []numbered
	err = guard(func() error {
		return f.db.View(func(tx *bbolt.Tx) error {
			b := tx.Bucket(reportsBucket())
			if b == nil {
				return damagef("bucket missing")
			}
			c := b.Cursor()
			each := func(class byte, fn func(part int, s Section, err error) error) error {
				prefix := appendKey(nil, class, k, 0)
				for key, v := c.Seek(prefix); key != nil && bytes.HasPrefix(key, prefix[:keyLen-1]); key, v = c.Next() {
					s, err := decodeValue(key, v)
					s.Body = bytes.Clone(s.Body)
					if err := fn(int(key[keyLen-1]), s, err); err != nil {
						return err
					}
				}
				return nil
			}
			header := false
			err := each(byte(k.Lane), func(part int, s Section, err error) error {
				if err != nil {
					return err
				}
				if part == 0 {
					header = true
					return decodeHeader(&r, s.Body)
				}
				found = append(found, numbered{part, s})
				return nil
			})
			if err != nil {
				return err
			}
			if !header {
				return errGone
			}
			if k.Lane != Windows || thinned {
				return nil
			}
			return each(classColumns, func(part int, s Section, err error) error {
				if err != nil {
					lessColumns = true
					return nil
				}
				found = append(found, numbered{part, s})
				return nil
			})
		})
	})
	sort.Slice(found, func(i, j int) bool { return found[i].part < found[j].part })
	for _, n := range found {
		if !lessColumns || !r.thinnable(n.Section) {
			r.Sections = append(r.Sections, n.Section)
		}
	}
	if err == nil && len(r.Sections) == 0 {
		err = errValue
	}
	return r, lessColumns, err
}

// parts is what a report has on flash.
type parts struct {
	keys  [][]byte // of the sections that were asked for
	other int      // how many other sections there are
	core  int      // bytes of the bodies of keys that thinning keeps
	cols  int      // and of those that it frees
}

// sectionsOf finds every section of a purpose.
func (f *flash) sectionsOf(p catalogue.Purpose) (found map[Key]*parts, err error) {
	found = make(map[Key]*parts)
	err = guard(func() error {
		return f.db.View(func(tx *bbolt.Tx) error {
			b := tx.Bucket(reportsBucket())
			if b == nil {
				return damagef("bucket missing")
			}
			return b.ForEach(func(key, v []byte) error {
				class, k, part, ok := parseKey(key)
				if !ok || part == 0 {
					return nil
				}
				r := found[k]
				if r == nil {
					r = new(parts)
					found[k] = r
				}
				// The label is read even where the checksum is wrong: better
				// to delete too much than to keep what was withdrawn.
				switch size := len(v) - valueHeaderLen; {
				case size < 0 || v[2] != byte(p):
					r.other++
					return nil
				case class == classColumns:
					r.cols += size
				default:
					r.core += size
				}
				r.keys = append(r.keys, bytes.Clone(key))
				return nil
			})
		})
	})
	return found, err
}

// scrub overwrites every page that the newest commit does not use: what was
// deleted is still readable there.
func (f *flash) scrub() (written int64, err error) {
	w, err := f.root.OpenFile(storeName, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	info, err := w.Stat()
	if err != nil {
		return 0, err
	}
	p, err := openPages(w, info.Size(), false)
	if err != nil {
		return 0, err
	}
	for _, name := range [][]byte{reportsBucket(), stateBucket()} {
		if err := p.visit(name, func(_, _ []byte) error { return nil }); err != nil {
			return 0, err
		}
	}
	zero, have := make([]byte, pageSize), make([]byte, pageSize)
	err = p.free(func(id uint64) error {
		if _, err := w.ReadAt(have, int64(id)*pageSize); err == nil && bytes.Equal(have, zero) {
			return nil
		}
		written += pageSize
		_, err := w.WriteAt(zero, int64(id)*pageSize)
		return err
	})
	return written, errors.Join(err, w.Sync())
}

// fileBytes returns the file's length.
func (f *flash) fileBytes() int64 {
	info, err := f.root.Stat(storeName)
	if err != nil {
		return 0
	}
	return info.Size()
}

// close closes the database. A damaged one may hang in bbolt's locks after a
// panic: it is left to a goroutine, its file is renamed by the caller.
func (f *flash) close(damaged bool) error {
	if damaged {
		go func() { _ = guard(f.db.Close) }()
		return nil
	}
	return guard(f.db.Close)
}

// isFull reports whether the file is at its limit.
func isFull(err error) bool { return errors.Is(err, berrors.ErrMaxSizeReached) }

// describe makes a reason for people out of an error of the file system.
func describe(err error) string {
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return errLocked.Error()
	case errors.Is(err, syscall.EROFS):
		return "read-only"
	}
	return fmt.Sprint(err)
}
