// Package durable keeps small files, a run counter or a key, so that they
// survive loss of power.
//
// # What is promised
//
//   - After Write returned nil the new content survives loss of power.
//   - At every moment the file holds either the old content or the new one,
//     never a mixture and never nothing.
//   - Read returns what was written, or says that it is damaged.
//   - A file of a newer version than the program knows is told from a damaged
//     one, and MayReplace says that it is to be left alone.
//   - A directory that OpenDir made survives loss of power.
//   - After Sweep nothing is left of a Write that loss of power cut short.
//
// The package imports the standard library only, and needs no more of the
// file system than an atomic rename (POSIX rename) and fsync of a directory.
package durable

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrDamaged says that a file is not what was written: too short, too long,
// of another kind, or with a wrong checksum.
var ErrDamaged = errors.New("damaged")

// A NewerError says that a later version of the program wrote the file.
type NewerError struct {
	// Found is the version in the file, Known the latest that can be read.
	Found, Known uint8
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("version %d is newer than %d", e.Found, e.Known)
}

// headerLen is magic 4, version 1, zero 3, length 4, CRC-32C 4; big endian.
const headerLen = 16

// A Format says how one kind of file is recognised.
type Format struct {
	// Magic tells this kind of file from all others.
	Magic [4]byte
	// Version is written; Oldest to Version can be read.
	Version, Oldest uint8
	// Limit is the largest content in bytes.
	Limit int
}

// sum covers the header's fields before it and the content.
func sum(header, content []byte) uint32 {
	t := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(header[:12], t), t, content)
}

// Write replaces the file name below root by content. When it fails the file
// has its old content, or there is still none; but where only the last step
// failed, which makes the new name last, it has the new content, and after loss
// of power either.
func (f Format) Write(root *os.Root, name string, content []byte) error {
	if len(content) > f.Limit {
		return fmt.Errorf("write %s: %d bytes, limit %d", name, len(content), f.Limit)
	}
	b := make([]byte, headerLen, headerLen+len(content))
	copy(b, f.Magic[:])
	b[4] = f.Version
	binary.BigEndian.PutUint32(b[8:], uint32(len(content)))
	binary.BigEndian.PutUint32(b[12:], sum(b, content))
	b = append(b, content...)

	return replace(rootDisk{root}, name, b)
}

// unfinished ends the name of a file that is being written.
const unfinished = ".tmp"

// A disk is what Write asks of a directory. It is an interface so that the
// test can cut the power between any two of its steps.
type disk interface {
	open(name string, flag int) (file, error)
	rename(from, to string) error
	remove(name string) error
}

// A file is an open file, or the directory itself, opened as ".".
type file interface {
	io.WriteCloser
	// Sync returns when what was written, or the names in the directory,
	// survive loss of power.
	Sync() error
}

// rootDisk is the directory root.
type rootDisk struct{ root *os.Root }

func (d rootDisk) open(name string, flag int) (file, error) {
	return d.root.OpenFile(name, flag, 0o600)
}
func (d rootDisk) rename(from, to string) error { return d.root.Rename(from, to) }
func (d rootDisk) remove(name string) error     { return d.root.Remove(name) }

// replace gives the file name the bytes b, whole or not at all.
func replace(d disk, name string, b []byte) error {
	// One writer at a time is the rule of every file here, so that the name
	// can be fixed: what a power cut left behind is overwritten, not heaped up.
	tmp := name + unfinished
	if err := writeSynced(d, tmp, b); err != nil {
		return errors.Join(err, remove(d, tmp))
	}
	if err := d.rename(tmp, name); err != nil {
		return errors.Join(err, remove(d, tmp))
	}
	return syncDir(d)
}

func writeSynced(d disk, name string, b []byte) error {
	w, err := d.open(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	if err == nil {
		err = w.Sync()
	}
	return errors.Join(err, w.Close())
}

// remove removes a file that may not be there.
func remove(d disk, name string) error {
	if err := d.remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// Read returns the content of the file name below root and the version that
// wrote it. The error is fs.ErrNotExist, ErrDamaged, a *NewerError, or the
// file system's own.
func (f Format) Read(root *os.Root, name string) (content []byte, version uint8, err error) {
	r, err := root.Open(name)
	if err != nil {
		return nil, 0, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, int64(headerLen+f.Limit)+1))
	if err != nil {
		return nil, 0, err
	}
	content, version, err = f.decode(b)
	if err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", name, err)
	}
	return content, version, nil
}

// decode checks the bytes of a file and returns its content.
func (f Format) decode(b []byte) (content []byte, version uint8, err error) {
	switch {
	case len(b) < headerLen:
		return nil, 0, fmt.Errorf("%w: %d bytes", ErrDamaged, len(b))
	case [4]byte(b) != f.Magic:
		return nil, 0, fmt.Errorf("%w: of another kind", ErrDamaged)
	case b[4] > f.Version && (len(b) > headerLen+f.Limit || whole(b)):
		// The header is the same in every version, the limit is not. A version
		// with a flipped bit is damage.
		return nil, 0, &NewerError{Found: b[4], Known: f.Version}
	case b[4] > f.Version:
		return nil, 0, fmt.Errorf("%w: checksum", ErrDamaged)
	case b[4] < f.Oldest:
		return nil, 0, fmt.Errorf("%w: version %d is no longer read", ErrDamaged, b[4])
	case len(b) > headerLen+f.Limit:
		return nil, 0, fmt.Errorf("%w: %d bytes", ErrDamaged, len(b))
	case !whole(b):
		return nil, 0, fmt.Errorf("%w: checksum", ErrDamaged)
	}
	return b[headerLen:], b[4], nil
}

// whole tells whether the bytes of a file, at least a header, have the length and
// the checksum that the header says.
func whole(b []byte) bool {
	return uint64(len(b)-headerLen) == uint64(binary.BigEndian.Uint32(b[8:])) &&
		binary.BigEndian.Uint32(b[12:]) == sum(b[:headerLen], b[headerLen:])
}

// OpenDir opens a directory. Where it is missing it is made, with what is above
// it: without that, a file in it could be durable and have no name.
func OpenDir(dir string) (*os.Root, error) {
	root, err := os.OpenRoot(dir)
	parent := filepath.Dir(dir)
	if !errors.Is(err, fs.ErrNotExist) || parent == dir {
		return root, err
	}
	above, err := OpenDir(parent)
	if err != nil {
		return nil, err
	}
	defer above.Close()
	name := filepath.Base(dir)
	if err := above.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := SyncDir(above); err != nil {
		// The next attempt must not find it there and believe that it lasts.
		return nil, errors.Join(err, remove(rootDisk{above}, name))
	}
	return os.OpenRoot(dir)
}

// SyncDir makes created, renamed and removed names below root survive loss of
// power.
func SyncDir(root *os.Root) error { return syncDir(rootDisk{root}) }

func syncDir(d disk) error {
	f, err := d.open(".", os.O_RDONLY)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Sweep removes what loss of power left of files that were being written below
// root. It is for the owner of the directory, before it writes: until then such
// a leftover may hold what was to be forgotten.
func Sweep(root *os.Root) error {
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	swept := false
	for _, name := range names {
		if strings.HasSuffix(name, unfinished) {
			err = errors.Join(err, root.Remove(name))
			swept = true
		}
	}
	if swept {
		err = errors.Join(err, dir.Sync())
	}
	return err
}
