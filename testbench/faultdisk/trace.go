package faultdisk

import (
	"fmt"
	"os"
	"path/filepath"
)

// A Kind is what an operation does.
type Kind uint8

// The kinds.
const (
	// Create makes a file, Mkdir a directory: Name in Parent.
	Create Kind = iota + 1
	Mkdir
	// Write puts Data at Off, Truncate makes the file Size long.
	Write
	Truncate
	// Sync is of a file, SyncDir of the names in a directory.
	Sync
	SyncDir
	// Rename gives Name in Parent the name ToName in ToParent.
	Rename
	// Remove is of a file or of an empty directory.
	Remove
)

// String returns the kind in lower case.
func (k Kind) String() string {
	names := [...]string{
		Create: "create", Mkdir: "mkdir", Write: "write", Truncate: "truncate",
		Sync: "sync", SyncDir: "sync directory", Rename: "rename", Remove: "remove",
	}
	if k == 0 || int(k) >= len(names) {
		return fmt.Sprintf("kind(%d)", uint8(k))
	}
	return names[k]
}

// rootNode is the number of the directory where the disk is mounted.
const rootNode = 1

// An Op is one change that was made to the disk. Nodes, which are files and
// directories, have numbers that are never used again.
type Op struct {
	Kind             Kind
	Node             uint64
	Parent, ToParent uint64
	Name, ToName     string
	Off, Size        int64
	Data             []byte
	// Failed marks a sync that told its caller that it failed.
	Failed bool
}

// String says what op does, for people.
func (op Op) String() string {
	s := fmt.Sprintf("%v of %d", op.Kind, op.Node)
	switch op.Kind {
	case Create, Mkdir, Remove:
		s += " " + op.Name
	case Rename:
		s += " " + op.Name + " to " + op.ToName
	case Write:
		s += fmt.Sprintf(", %d bytes at %d", len(op.Data), op.Off)
	case Truncate:
		s += fmt.Sprintf(" to %d", op.Size)
	}
	if op.Failed {
		s += " (failed)"
	}
	return s
}

// on returns what op makes of the content of its file, which it may reuse.
func (op Op) on(content []byte) []byte {
	switch op.Kind {
	case Truncate:
		if op.Size <= int64(len(content)) {
			return content[:op.Size]
		}
		return append(content, make([]byte, op.Size-int64(len(content)))...)
	case Write:
		if end := op.Off + int64(len(op.Data)); end > int64(len(content)) {
			content = append(content, make([]byte, end-int64(len(content)))...)
		}
		copy(content[op.Off:], op.Data)
	}
	return content
}

// A Trace is what was done to a disk, in order.
type Trace []Op

// Written returns the bytes of all writes.
func (t Trace) Written() (n int64) {
	for _, op := range t {
		n += int64(len(op.Data))
	}
	return n
}

// Lying returns the trace as a disk would have had it that answers syncs from
// the operation with the number from on, and does nothing for them: those of
// files, of directories, or both.
func (t Trace) Lying(from int, files, dirs bool) Trace {
	lie := make(Trace, 0, len(t))
	for n, op := range t {
		if n >= from && (files && op.Kind == Sync || dirs && op.Kind == SyncDir) {
			op.Failed = true // for the disk; the program was told otherwise
		}
		lie = append(lie, op)
	}
	return lie
}

// An Image is what is on a disk: the content of each file by its path, and the
// paths of the directories.
type Image struct {
	Files map[string][]byte
	Dirs  []string
}

// Write writes the image into dir, which must be there and empty.
func (m Image) Write(dir string) error {
	for _, name := range m.Dirs {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			return err
		}
	}
	for name, content := range m.Files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}
