// Package sysfs reads the kernel's attribute files, one short value each, as
// sysfs and procfs have them.
//
// # What is promised
//
//   - A file stays open and is read anew each time, which allocates nothing.
//   - A file that is absent, or whose device went away, is fs.ErrNotExist.
//   - What is not one whole value of the kind asked for is an error that
//     names the file, never a guess.
//   - A wait for a change ends when its time is over and when its context is
//     done.
//   - No name leads out of the root directory that the caller gave.
package sysfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// MaxBytes is the longest value that is read. Numbers, names and states are
// far shorter; what is longer is not one value.
const MaxBytes = 128

// A File is one attribute file, kept open. It is not safe for concurrent use.
type File struct {
	f *os.File
	// One byte more than a value may have, to see that it is longer.
	buf [MaxBytes + 1]byte
}

// Open opens the file name below the directory root ("/sys"). Symbolic links
// are followed, as sysfs is made of them. The error is an *fs.PathError, and
// fs.ErrNotExist where there is no such file.
func Open(root, name string) (*File, error) {
	if !filepath.IsLocal(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	f, err := os.Open(filepath.Join(root, name))
	if err != nil {
		return nil, gone(err)
	}
	return &File{f: f}, nil
}

// ReadText opens the file, returns its value and closes it: for what does not
// change, such as a name.
func ReadText(root, name string) (string, error) {
	f, err := Open(root, name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := f.Text()
	return string(text), err
}

// Close closes the file.
func (f *File) Close() error { return f.f.Close() }

// Text returns the value as it is now, without white space around it, valid
// until the next call. The kernel's refusal is an *fs.PathError: EINVAL where
// a value means nothing at present (the speed of a port without link),
// fs.ErrNotExist where the device went away.
func (f *File) Text() ([]byte, error) {
	// The kernel makes the value anew for each read from the start
	// (Documentation/filesystems/sysfs.rst).
	n, err := f.f.ReadAt(f.buf[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, gone(err)
	}
	if n > MaxBytes {
		return nil, fmt.Errorf("read %s: longer than %d bytes", f.f.Name(), MaxBytes)
	}
	return bytes.TrimSpace(f.buf[:n]), nil
}

// Int returns the decimal number that the file holds now.
func (f *File) Int() (int64, error) {
	text, err := f.Text()
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return 0, f.notNumber(text, err)
	}
	return v, nil
}

// Uint returns the decimal number, not negative, that the file holds now.
func (f *File) Uint() (uint64, error) {
	text, err := f.Text()
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseUint(string(text), 10, 64)
	if err != nil {
		return 0, f.notNumber(text, err)
	}
	return v, nil
}

// notNumber says in which file what was found, and why it is no number
// (strconv.ErrSyntax or strconv.ErrRange).
func (f *File) notNumber(text []byte, err error) error {
	return fmt.Errorf("read %s: %q: %w", f.f.Name(), text, errors.Unwrap(err))
}

// gone makes the errors with which the kernel says that a device went away
// (ENODEV from a file still open, ENXIO from some drivers) fs.ErrNotExist.
func gone(err error) error {
	if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) {
		return fmt.Errorf("%w: %w", err, fs.ErrNotExist)
	}
	return err
}
