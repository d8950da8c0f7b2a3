package faultdisk

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"iter"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
)

const (
	// sector is the unit in which disks promise to write, pageSize that in
	// which the page cache forgets.
	sector   = 512
	pageSize = 4096
	// many unsynced writes are not left out and kept one by one any more. Only
	// a lying disk has so many.
	many = 128
)

// A Cut is what one loss of power may leave.
type Cut struct {
	// After is how many operations had been made.
	After int
	// Key is the same for cuts that leave the same.
	Key uint64
	// What says what was kept of that which was not synced.
	What string

	state *state
	names int // how many of the pending changes of names were kept
	kept  []kept
}

// A kept write is one that reached the disk before the cut without having been
// synced.
type kept struct {
	unsynced
	how how
}

// A how says how much of a write reached the disk.
type how uint8

const (
	whole how = iota
	firstSector
	firstHalf // torn in the middle of a sector
	lastHalf
	garbage
)

func (h how) String() string {
	return [...]string{"whole", "its first sector", "its first half", "its last half", "as garbage"}[h]
}

// of returns what of op reached the disk.
func (h how) of(op Op) Op {
	half := len(op.Data)/2 + 7
	switch {
	case h == whole || op.Kind == Truncate:
	case h == firstSector:
		op.Data = op.Data[:min(sector, len(op.Data))]
	case h == firstHalf:
		op.Data = op.Data[:min(half, len(op.Data))]
	case h == lastHalf:
		half = min(half, len(op.Data))
		op.Off, op.Data = op.Off+int64(half), op.Data[half:]
	case h == garbage:
		rnd := rand.New(rand.NewPCG(uint64(op.Off), uint64(len(op.Data))))
		op.Data = slices.Clone(op.Data)
		for i := range op.Data {
			op.Data[i] = byte(rnd.Uint32())
		}
	}
	return op
}

// An unsynced write is one whose sync has not come.
type unsynced struct {
	n int // of the operation
	// page tells the parts of one operation apart.
	page int
	op   Op
	// left to chance: its sync came and failed.
	orphan bool
}

// state is what is on the disk for certain, and what may be.
type state struct {
	trace   Trace
	dirs    map[uint64]map[string]uint64 // names that were synced, by directory
	files   map[uint64][]byte            // content that was synced
	isDir   map[uint64]bool
	names   []unsynced // changes of names, in order
	writes  []unsynced // in order
	version uint64     // of what is there for certain
}

// Cuts returns, for each number of operations from none to all, everything
// that loss of power may then leave. Cuts with the same Key leave the same.
func (t Trace) Cuts() iter.Seq[Cut] {
	return func(yield func(Cut) bool) {
		s := &state{
			trace: t, dirs: map[uint64]map[string]uint64{rootNode: {}},
			files: map[uint64][]byte{}, isDir: map[uint64]bool{rootNode: true},
		}
		for n := range len(t) + 1 {
			if n > 0 {
				s.apply(n - 1)
			}
			for _, c := range s.cuts(n) {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// apply has operation n happen.
func (s *state) apply(n int) {
	op := s.trace[n]
	switch op.Kind {
	case Create, Mkdir:
		s.isDir[op.Node] = op.Kind == Mkdir
		s.names = append(s.names, unsynced{n: n, op: op})
	case Rename, Remove:
		s.names = append(s.names, unsynced{n: n, op: op})
	case Write, Truncate:
		s.writes = append(s.writes, unsynced{n: n, op: op})
	case Sync:
		s.sync(op)
	case SyncDir:
		s.syncDir(op)
	}
}

// sync makes what was written to a file certain, or leaves it to chance.
func (s *state) sync(op Op) {
	var left, synced []unsynced
	for _, w := range s.writes {
		switch {
		case w.op.Node != op.Node:
			left = append(left, w)
		case op.Failed:
			left = append(left, w.orphans()...)
		case w.orphan:
			left = append(left, w)
		default:
			synced = append(synced, w)
		}
	}
	s.writes = left
	if len(synced) == 0 {
		return
	}
	// A page that was written again goes to the disk with what it had: it is no
	// longer left to chance.
	again := func(o unsynced) bool {
		return o.orphan && slices.ContainsFunc(synced, func(w unsynced) bool { return w.op.touches(o.op) })
	}
	for _, o := range s.writes {
		if again(o) {
			synced = append(synced, o)
		}
	}
	s.writes = slices.DeleteFunc(s.writes, again)
	slices.SortStableFunc(synced, func(a, b unsynced) int { return cmp.Compare(a.n, b.n) })
	content := slices.Clone(s.files[op.Node])
	for _, w := range synced {
		content = w.op.on(content)
	}
	s.files[op.Node] = content
	s.version++
}

// orphans returns the pages of a write whose sync failed.
func (w unsynced) orphans() []unsynced {
	if w.orphan || w.op.Kind == Truncate {
		w.orphan = true
		return []unsynced{w}
	}
	var all []unsynced
	for at := 0; at < len(w.op.Data); {
		end := min(len(w.op.Data), at+pageSize-int((w.op.Off+int64(at))%pageSize))
		o := unsynced{n: w.n, page: len(all), op: w.op, orphan: true}
		o.op.Off, o.op.Data = w.op.Off+int64(at), w.op.Data[at:end]
		all, at = append(all, o), end
	}
	return all
}

// touches reports whether op changes a page that o did, or cuts it off.
func (op Op) touches(o Op) bool {
	switch {
	case op.Node != o.Node:
		return false
	case op.Kind == Truncate:
		return o.Kind == Truncate || op.Size <= o.Off
	case o.Kind == Truncate || len(op.Data) == 0:
		return false
	}
	first, last := op.Off/pageSize, (op.Off+int64(len(op.Data))-1)/pageSize
	return first <= o.Off/pageSize && o.Off/pageSize <= last
}

// syncDir makes the names in a directory certain.
func (s *state) syncDir(op Op) {
	if op.Failed {
		return
	}
	var left []unsynced
	for _, w := range s.names {
		if w.op.Parent != op.Node && (w.op.Kind != Rename || w.op.ToParent != op.Node) {
			left = append(left, w)
			continue
		}
		w.op.rename(s.dirs)
		s.version++
	}
	s.names = left
}

// rename changes the names in dirs as op does.
func (op Op) rename(dirs map[uint64]map[string]uint64) {
	set := func(parent uint64, name string, id uint64) {
		if dirs[parent] == nil {
			dirs[parent] = map[string]uint64{}
		}
		dirs[parent][name] = id
	}
	switch op.Kind {
	case Create, Mkdir:
		set(op.Parent, op.Name, op.Node)
	case Rename:
		delete(dirs[op.Parent], op.Name)
		set(op.ToParent, op.ToName, op.Node)
	case Remove:
		delete(dirs[op.Parent], op.Name)
	}
}

// cuts returns what a cut may leave now.
func (s *state) cuts(after int) (all []Cut) {
	for names := range len(s.names) + 1 {
		for _, c := range s.choices() {
			c.After, c.state, c.names = after, s, names
			if len(s.names) > 0 {
				c.What += fmt.Sprintf(", %d of %d changes of names", names, len(s.names))
			}
			c.Key = c.key()
			all = append(all, c)
		}
	}
	return all
}

// choices returns what of the unsynced writes may have been kept.
func (s *state) choices() []Cut {
	all := make([]kept, 0, len(s.writes))
	for _, w := range s.writes {
		all = append(all, kept{w, whole})
	}
	n := len(all)
	cuts := []Cut{{What: "nothing unsynced was kept"}}
	if n == 0 {
		return cuts
	}
	cuts = append(cuts, Cut{What: fmt.Sprintf("all %d unsynced writes were kept", n), kept: all})
	ones := all
	if n > many {
		ones = []kept{all[0], all[n-1]}
	}
	for _, w := range ones {
		if n == 1 {
			break
		}
		rest := slices.DeleteFunc(slices.Clone(all), func(k kept) bool { return k.n == w.n && k.page == w.page })
		cuts = append(cuts,
			Cut{What: fmt.Sprintf("all but [%v] of %d unsynced writes", w.op, n), kept: rest},
			Cut{What: fmt.Sprintf("only [%v] of %d unsynced writes", w.op, n), kept: []kept{w}})
	}
	newest := all[n-1]
	if newest.op.Kind == Truncate {
		return cuts
	}
	for h := firstSector; h <= garbage; h++ {
		torn := kept{newest.unsynced, h}
		cuts = append(cuts, Cut{What: fmt.Sprintf("all %d unsynced writes, of the newest %v", n, h), kept: append(slices.Clone(all[:n-1]), torn)})
		if n > 1 {
			cuts = append(cuts, Cut{What: fmt.Sprintf("of %d unsynced writes only the newest, %v", n, h), kept: []kept{torn}})
		}
	}
	return cuts
}

// key hashes what makes the cut what it is.
func (c *Cut) key() uint64 {
	h := fnv.New64a()
	b := binary.BigEndian.AppendUint64(nil, c.state.version)
	for _, w := range c.state.names[:c.names] {
		b = binary.BigEndian.AppendUint32(b, uint32(w.n))
	}
	for _, k := range c.kept {
		b = binary.BigEndian.AppendUint64(b, uint64(k.n)<<24|uint64(k.page)<<8|uint64(k.how))
	}
	_, _ = h.Write(b) // never fails
	return h.Sum64()
}

// Image returns what is on the disk after the cut. It must be asked for before
// the next cut is.
func (c Cut) Image() Image {
	dirs := make(map[uint64]map[string]uint64, len(c.state.dirs))
	for id, names := range c.state.dirs {
		dirs[id] = maps.Clone(names)
	}
	for _, w := range c.state.names[:c.names] {
		w.op.rename(dirs)
	}
	files := maps.Clone(c.state.files)
	own := map[uint64]bool{}
	for _, k := range c.kept {
		op := k.how.of(k.op)
		if !own[op.Node] {
			files[op.Node], own[op.Node] = slices.Clone(files[op.Node]), true
		}
		files[op.Node] = op.on(files[op.Node])
	}
	m := Image{Files: map[string][]byte{}}
	m.add(c.state, dirs, files, rootNode, "")
	return m
}

// add puts what is below a directory into the image, each directory before
// what is in it.
func (m *Image) add(s *state, dirs map[uint64]map[string]uint64, files map[uint64][]byte, dir uint64, at string) {
	for name, id := range dirs[dir] {
		p := path.Join(at, name)
		if !s.isDir[id] {
			m.Files[p] = files[id]
			continue
		}
		m.Dirs = append(m.Dirs, p)
		m.add(s, dirs, files, id, p)
	}
}
