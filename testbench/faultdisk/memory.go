package faultdisk

import (
	"context"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// A memory is the file system itself.
type memory struct {
	mu    sync.Mutex // guards what follows, and the data of every node
	trace Trace
	fault Fault
	nodes uint64
	// used is how many bytes of pages files with a name have, shorts how often
	// there was no room for more.
	used   int64
	shorts int
}

// mount mounts an empty file system in dir.
func mount(dir string) (*memory, *fuse.Server, error) {
	m := &memory{nodes: rootNode}
	// Nobody changes anything behind the kernel's back.
	long := time.Hour
	server, err := fs.Mount(dir, &node{disk: m, id: rootNode, pages: map[int64]bool{}}, &fs.Options{
		EntryTimeout: &long, AttrTimeout: &long,
		MountOptions: fuse.MountOptions{FsName: "faultdisk", Name: "faultdisk", DirectMountStrict: true, DisableXAttrs: true},
	})
	return m, server, err
}

// do decides about op on n, records it, and has it happen.
func (d *memory) do(n *node, op Op, happen func(Op)) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	errno := d.fault.of(len(d.trace), op)
	if errno == 0 {
		errno = d.room(n, op)
	}
	switch {
	case errno == 0:
	case op.Kind == Write:
		op.Data = op.Data[:len(op.Data)/2]
	case op.Kind == Sync, op.Kind == SyncDir:
		op.Failed = true
	default:
		return errno
	}
	d.trace = append(d.trace, op)
	if happen != nil {
		happen(op)
	}
	return errno
}

// room takes the pages that op needs, and gives back those that it frees.
func (d *memory) room(n *node, op Op) syscall.Errno {
	switch op.Kind {
	case Write:
		for at := op.Off / pageSize; at*pageSize < op.Off+int64(len(op.Data)); at++ {
			if n.pages[at] {
				continue
			}
			has := d.take()
			if !has && !d.fault.Late {
				return d.short()
			}
			n.pages[at] = has
		}
	case Sync:
		short := false
		for at, has := range n.pages {
			if !has && !d.take() {
				delete(n.pages, at)
				short = true
			} else {
				n.pages[at] = true
			}
		}
		if short {
			return d.short()
		}
	case Truncate:
		for at := range n.pages {
			if at*pageSize >= op.Size {
				d.free(n, at)
			}
		}
	case Remove:
		d.empty(n)
	}
	return 0
}

// take takes a page where there is one.
func (d *memory) take() bool {
	if d.fault.Capacity > 0 && d.used+pageSize > d.fault.Capacity {
		return false
	}
	d.used += pageSize
	return true
}

func (d *memory) short() syscall.Errno {
	d.shorts++
	return syscall.ENOSPC
}

// free gives a page back, empty all of a file that has lost its name.
func (d *memory) free(n *node, at int64) {
	if n.pages[at] {
		d.used -= pageSize
	}
	delete(n.pages, at)
}

func (d *memory) empty(n *node) {
	for at := range n.pages {
		d.free(n, at)
	}
}

// newNode returns a node that has no name yet.
func (d *memory) newNode() *node {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.nodes++
	return &node{disk: d, id: d.nodes, pages: map[int64]bool{}}
}

// A node is a file or a directory.
type node struct {
	fs.Inode

	disk *memory
	id   uint64
	data []byte // of a file; guarded by disk.mu
	// pages of the data that have a place on the disk, and those that want one.
	pages map[int64]bool
}

var (
	_ fs.NodeGetattrer = (*node)(nil)
	_ fs.NodeSetattrer = (*node)(nil)
	_ fs.NodeOpener    = (*node)(nil)
	_ fs.NodeReader    = (*node)(nil)
	_ fs.NodeWriter    = (*node)(nil)
	_ fs.NodeFsyncer   = (*node)(nil)
	_ fs.NodeCreater   = (*node)(nil)
	_ fs.NodeMkdirer   = (*node)(nil)
	_ fs.NodeRenamer   = (*node)(nil)
	_ fs.NodeUnlinker  = (*node)(nil)
	_ fs.NodeRmdirer   = (*node)(nil)
)

// Getattr implements fs.NodeGetattrer.
func (n *node) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.attr(&out.Attr)
	return 0
}

func (n *node) attr(out *fuse.Attr) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	out.Mode = 0o600
	if n.IsDir() {
		out.Mode = 0o700
	}
	out.Size = uint64(len(n.data))
}

// Setattr implements fs.NodeSetattrer.
func (n *node) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if size, ok := in.GetSize(); ok {
		if errno := n.truncate(int64(size)); errno != 0 {
			return errno
		}
	}
	n.attr(&out.Attr)
	return 0
}

func (n *node) truncate(size int64) syscall.Errno {
	return n.disk.do(n, Op{Kind: Truncate, Node: n.id, Size: size}, func(op Op) { n.data = op.on(n.data) })
}

// Open implements fs.NodeOpener.
func (n *node) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if flags&syscall.O_TRUNC != 0 {
		if errno := n.truncate(0); errno != 0 {
			return nil, 0, errno
		}
	}
	return nil, fuse.FOPEN_KEEP_CACHE, 0
}

// Read implements fs.NodeReader.
func (n *node) Read(_ context.Context, _ fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	off = min(off, int64(len(n.data)))
	return fuse.ReadResultData(dest[:copy(dest, n.data[off:])]), 0
}

// Write implements fs.NodeWriter.
func (n *node) Write(_ context.Context, _ fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	errno := n.disk.do(n, Op{Kind: Write, Node: n.id, Off: off, Data: slices.Clone(data)}, func(op Op) { n.data = op.on(n.data) })
	if errno != 0 {
		return 0, errno
	}
	return uint32(len(data)), 0
}

// Fsync implements fs.NodeFsyncer, for directories too.
func (n *node) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	kind := Sync
	if n.IsDir() {
		kind = SyncDir
	}
	return n.disk.do(n, Op{Kind: kind, Node: n.id}, nil)
}

// Create implements fs.NodeCreater.
func (n *node) Create(ctx context.Context, name string, _, _ uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	child, errno := n.add(ctx, Create, name, fuse.S_IFREG, out)
	return child, nil, fuse.FOPEN_KEEP_CACHE, errno
}

// Mkdir implements fs.NodeMkdirer.
func (n *node) Mkdir(ctx context.Context, name string, _ uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return n.add(ctx, Mkdir, name, fuse.S_IFDIR, out)
}

func (n *node) add(ctx context.Context, kind Kind, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	c := n.disk.newNode()
	if errno := n.disk.do(c, Op{Kind: kind, Node: c.id, Parent: n.id, Name: name}, nil); errno != 0 {
		return nil, errno
	}
	child := n.NewPersistentInode(ctx, c, fs.StableAttr{Mode: mode, Ino: c.id})
	c.attr(&out.Attr)
	return child, 0
}

// Rename implements fs.NodeRenamer.
func (n *node) Rename(_ context.Context, name string, to fs.InodeEmbedder, toName string, flags uint32) syscall.Errno {
	from, at := n.child(name), to.EmbeddedInode().Operations().(*node)
	if from == nil {
		return syscall.ENOENT
	}
	if flags != 0 {
		return syscall.EINVAL
	}
	over := at.child(toName)
	return n.disk.do(from, Op{Kind: Rename, Node: from.id, Parent: n.id, Name: name, ToParent: at.id, ToName: toName}, func(Op) {
		if over != nil {
			n.disk.empty(over)
		}
	})
}

func (n *node) child(name string) *node {
	c := n.GetChild(name)
	if c == nil {
		return nil
	}
	return c.Operations().(*node)
}

// Unlink implements fs.NodeUnlinker.
func (n *node) Unlink(_ context.Context, name string) syscall.Errno { return n.remove(name) }

// Rmdir implements fs.NodeRmdirer.
func (n *node) Rmdir(_ context.Context, name string) syscall.Errno {
	if c := n.child(name); c != nil && len(c.Children()) > 0 {
		return syscall.ENOTEMPTY
	}
	return n.remove(name)
}

func (n *node) remove(name string) syscall.Errno {
	c := n.child(name)
	if c == nil {
		return syscall.ENOENT
	}
	return n.disk.do(c, Op{Kind: Remove, Node: c.id, Parent: n.id, Name: name}, nil)
}
