package buffer

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// This file reads bbolt's page format by itself, with bounds on everything.
// bbolt trusts its file: in version 1.5.0 one flipped bit in a page makes Open
// panic in a goroutine of its own, where nobody can recover, or fills memory
// with the pages of an "overflow" of four thousand million. So no file is
// given to bbolt before it has been walked here, and what a damaged file still
// holds is read here as well.
//
// The layout is bbolt's internal/common (page.go, meta.go, bucket.go): a page
// header of 16 bytes, elements of 16 bytes, all in the machine's byte order.

const (
	pageSize = 4096

	pageHeaderLen = 16
	elementLen    = 16
	bucketLen     = 16

	flagBranch = 1
	flagLeaf   = 2
	leafBucket = 1

	metaMagic   = 0xED0CDAED
	metaVersion = 2
	metaSumAt   = 56
	noFreelist  = ^uint64(0)

	// maxRun bounds a page with its overflow: four values of the largest size.
	maxRun   = (4*(MaxBody+1024) + pageSize) / pageSize
	maxDepth = 12
	maxKey   = 64
)

// A damageError says what is wrong with a file.
type damageError struct{ reason string }

func (e *damageError) Error() string { return e.reason }

func damagef(format string, args ...any) error {
	return &damageError{fmt.Sprintf(format, args...)}
}

// isDamage tells damage of the file from errors of the one who asked.
func isDamage(err error) bool {
	_, ok := errors.AsType[*damageError](err)
	return ok
}

// A bucketRef is where a bucket's pairs are.
type bucketRef struct {
	root   uint64
	inline []byte // where root is 0
}

// A commit is what one of the meta pages leads to.
type commit struct {
	root  uint64
	count uint64 // pages in use or free; the file may be longer
	txid  uint64
}

// pages walks the newest commit in a file, and then, where older is asked for,
// the one before it.
type pages struct {
	commit

	before commit // root is 0 where there is none
	r      io.ReaderAt
	size   int64

	// tolerant makes a walk skip what is damaged, and count it in bad. blind
	// says that this was at the top of a tree, so that all of it is missing.
	tolerant bool
	bad      int
	blind    bool

	seen    []uint64         // one bit a page
	bufs    [maxDepth][]byte // one page run a level of the tree
	buckets map[string]bucketRef
}

// openPages reads the meta pages and the list of buckets.
func openPages(r io.ReaderAt, size int64, tolerant bool) (*pages, error) {
	p := &pages{r: r, size: size, tolerant: tolerant}
	if size < 4*pageSize {
		return nil, damagef("%d bytes are no database", size)
	}
	var newest error
	for id := range int64(2) {
		c, err := p.readMeta(id)
		switch {
		case err != nil:
			newest = cmp.Or(newest, err)
		case p.root == 0:
			p.commit = c
		case c.txid > p.txid:
			p.commit, p.before = c, p.commit
		default:
			p.before = c
		}
	}
	if p.root == 0 {
		return nil, newest
	}
	return p, p.list()
}

// older goes on to the commit before the newest; false says that there is none.
// bbolt gives its pages away only in the commit after the newest: where that
// was cut short some may hold what it wrote, which the checksums of values and
// the number in the seal tell apart.
func (p *pages) older() bool {
	if p.before.root == 0 {
		return false
	}
	p.commit, p.before = p.before, commit{}
	p.blind = false
	return p.list() == nil
}

// list reads the list of buckets.
func (p *pages) list() error {
	if p.count > uint64(p.size/pageSize) {
		if err := p.skip(damagef("cut off: %d pages of %d", p.size/pageSize, p.count)); err != nil {
			return err
		}
	}
	p.seen, p.buckets = make([]uint64, p.count/64+1), make(map[string]bucketRef)
	return p.tree(subtree{id: p.root, top: true}, func(flags uint32, key, value []byte) error {
		if flags != leafBucket || len(value) < bucketLen {
			return damagef("bucket %q damaged", key)
		}
		p.buckets[string(key)] = bucketRef{
			root:   binary.NativeEndian.Uint64(value),
			inline: bytes.Clone(value[bucketLen:]),
		}
		return nil
	})
}

// readMeta returns the commit of meta page id.
func (p *pages) readMeta(id int64) (c commit, err error) {
	var b [pageHeaderLen + metaSumAt + 8]byte
	if _, err := p.r.ReadAt(b[:], id*pageSize); err != nil {
		return c, damagef("meta page %d: %v", id, err)
	}
	m, ne := b[pageHeaderLen:], binary.NativeEndian
	sum := fnv.New64a()
	sum.Write(m[:metaSumAt])
	c = commit{root: ne.Uint64(m[16:]), count: ne.Uint64(m[40:]), txid: ne.Uint64(m[48:])}
	switch magic := ne.Uint32(m); {
	case magic == 0xEDDA0CED:
		err = damagef("written by a box of the other byte order")
	case magic != metaMagic:
		err = damagef("meta page %d: not a database", id)
	case ne.Uint32(m[4:]) != metaVersion:
		err = damagef("meta page %d: database version %d", id, ne.Uint32(m[4:]))
	case ne.Uint64(m[metaSumAt:]) != sum.Sum64():
		err = damagef("meta page %d: checksum", id)
	case ne.Uint32(m[8:]) != pageSize:
		err = damagef("pages of %d bytes", ne.Uint32(m[8:]))
	case ne.Uint64(m[32:]) != noFreelist:
		err = damagef("free pages are listed: not this program's file")
	case c.root < 2 || c.root >= c.count:
		err = damagef("meta page %d: root page %d of %d", id, c.root, c.count)
	case c.count > maxFlash/pageSize:
		err = damagef("%d pages", c.count)
	}
	return c, err
}

// visit calls fn with each pair of a bucket in the order of keys. Key and
// value are good until fn returns. In a tolerant walk fn may see keys out of
// order.
func (p *pages) visit(bucket []byte, fn func(key, value []byte) error) error {
	ref, ok := p.buckets[string(bucket)]
	if !ok {
		return p.skipAll(damagef("bucket %q missing", bucket))
	}
	leaf := func(flags uint32, key, value []byte) error {
		if flags != 0 {
			return damagef("bucket %q: key %x has flags %d", bucket, key, flags)
		}
		return fn(key, value)
	}
	if ref.root != 0 {
		return p.tree(subtree{id: ref.root, top: true}, leaf)
	}
	if len(ref.inline) < pageHeaderLen || binary.NativeEndian.Uint16(ref.inline[8:]) != flagLeaf {
		return p.skipAll(damagef("bucket %q damaged", bucket))
	}
	return p.leaf(ref.inline, subtree{top: true}, leaf)
}

// skip lets a tolerant walk go on after damage.
func (p *pages) skip(err error) error {
	if p.tolerant && isDamage(err) {
		p.bad++
		return nil
	}
	return err
}

// skipAll is skip for the top of a tree.
func (p *pages) skipAll(err error) error {
	p.blind = true
	return p.skip(err)
}

// A subtree is a page, the bounds of its keys (nil for none) and its depth.
type subtree struct {
	id     uint64
	lo, hi []byte
	depth  int
	top    bool // the root of its tree, which may be empty
}

// within checks a key against the bounds and the key before it.
func (s subtree) within(key, before []byte) bool {
	return (before == nil || bytes.Compare(before, key) < 0) &&
		(s.lo == nil || bytes.Compare(key, s.lo) >= 0) &&
		(s.hi == nil || bytes.Compare(key, s.hi) < 0)
}

type leafFunc func(flags uint32, key, value []byte) error

func (p *pages) tree(s subtree, fn leafFunc) error {
	b, err := p.page(s)
	if err != nil {
		p.blind = p.blind || s.top
		return p.skip(err)
	}
	if binary.NativeEndian.Uint16(b[8:]) == flagLeaf {
		return p.leaf(b, s, fn)
	}
	n := int(binary.NativeEndian.Uint16(b[10:]))
	if n == 0 || pageHeaderLen+n*elementLen > len(b) {
		p.blind = p.blind || s.top
		return p.skip(damagef("page %d: %d children", s.id, n))
	}
	var before []byte
	for i := range n {
		key, err := p.branchKey(b, i)
		if err == nil && !s.within(key, before) {
			err = damagef("page %d: keys out of order", s.id)
		}
		var hi []byte
		if err == nil && i < n-1 {
			hi, err = p.branchKey(b, i+1)
		}
		if err != nil && !p.tolerant {
			return err
		}
		child := subtree{id: binary.NativeEndian.Uint64(b[pageHeaderLen+i*elementLen+8:]), depth: s.depth + 1}
		if err != nil {
			p.bad++ // the child may be good, only its bounds are lost
		} else {
			child.lo, child.hi = key, cmpOr(hi, s.hi)
			before = key
		}
		if err := p.tree(child, fn); err != nil {
			return err
		}
	}
	return nil
}

func cmpOr(a, b []byte) []byte {
	if a != nil {
		return a
	}
	return b
}

// page reads the page s.id with its overflow and marks it seen.
func (p *pages) page(s subtree) ([]byte, error) {
	if s.id < 2 || s.id >= p.count || s.depth >= maxDepth {
		return nil, damagef("page %d of %d at depth %d", s.id, p.count, s.depth)
	}
	buf := p.bufs[s.depth]
	if buf == nil {
		buf = make([]byte, pageSize)
	}
	buf = buf[:pageSize]
	if err := p.read(buf, s.id); err != nil {
		return nil, err
	}
	ne := binary.NativeEndian
	flags, overflow := ne.Uint16(buf[8:]), uint64(ne.Uint32(buf[12:]))
	if ne.Uint64(buf) != s.id || (flags != flagLeaf && flags != flagBranch) ||
		overflow >= maxRun || s.id+overflow >= p.count {
		return nil, damagef("page %d: header damaged", s.id)
	}
	for id := s.id; id <= s.id+overflow; id++ {
		if p.seen[id/64]&(1<<(id%64)) != 0 {
			return nil, damagef("page %d: referred to twice", id)
		}
		p.seen[id/64] |= 1 << (id % 64)
	}
	if overflow > 0 {
		if want := int(overflow+1) * pageSize; cap(buf) < want {
			buf = make([]byte, want)
		} else {
			buf = buf[:want]
		}
		if err := p.read(buf, s.id); err != nil {
			return nil, err
		}
	}
	p.bufs[s.depth] = buf
	return buf, nil
}

func (p *pages) read(buf []byte, id uint64) error {
	if _, err := p.r.ReadAt(buf, int64(id)*pageSize); err != nil {
		return damagef("page %d: %v", id, err)
	}
	return nil
}

// leaf calls fn with each element of a leaf page.
func (p *pages) leaf(b []byte, s subtree, fn leafFunc) error {
	ne := binary.NativeEndian
	n := int(ne.Uint16(b[10:]))
	if pageHeaderLen+n*elementLen > len(b) || (n == 0 && !s.top) {
		p.blind = p.blind || s.top
		return p.skip(damagef("page %d: %d elements", s.id, n))
	}
	var before []byte
	for i := range n {
		at := pageHeaderLen + i*elementLen
		pos, ksize, vsize := ne.Uint32(b[at+4:]), ne.Uint32(b[at+8:]), ne.Uint32(b[at+12:])
		key, value, ok := slice(b, at, pos, ksize, vsize)
		var err error
		switch {
		case !ok:
			err = damagef("page %d: element %d damaged", s.id, i)
		case !s.within(key, before):
			err = damagef("page %d: keys out of order", s.id)
		default:
			before = key
			err = fn(ne.Uint32(b[at:]), key, value)
		}
		if err := p.skip(err); err != nil {
			return err
		}
	}
	return nil
}

func (p *pages) branchKey(b []byte, i int) ([]byte, error) {
	at := pageHeaderLen + i*elementLen
	pos, ksize := binary.NativeEndian.Uint32(b[at:]), binary.NativeEndian.Uint32(b[at+4:])
	key, _, ok := slice(b, at, pos, ksize, 0)
	if !ok {
		return nil, damagef("page %d: element %d damaged", binary.NativeEndian.Uint64(b), i)
	}
	return key, nil
}

// slice returns an element's key and value, which lie pos bytes after the
// element itself.
func slice(b []byte, at int, pos, ksize, vsize uint32) (key, value []byte, ok bool) {
	start := uint64(at) + uint64(pos)
	mid := start + uint64(ksize)
	end := mid + uint64(vsize)
	if ksize == 0 || ksize > maxKey || pos < elementLen || end > uint64(len(b)) {
		return nil, nil, false
	}
	return b[start:mid:mid], b[mid:end:end], true
}

// free calls fn with each page that the newest commit does not use. It is
// right only after the buckets were visited.
func (p *pages) free(fn func(id uint64) error) error {
	for id := uint64(2); id < uint64(p.size/pageSize); id++ {
		if id < p.count && p.seen[id/64]&(1<<(id%64)) != 0 {
			continue
		}
		if err := fn(id); err != nil {
			return err
		}
	}
	return nil
}
