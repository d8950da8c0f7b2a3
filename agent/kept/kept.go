// Package kept is what the agent has learnt of its box and keeps over restarts,
// each thing in a small file of the state directory.
//
// # What is promised
//
//   - What Write took is there after loss of power, or what was there before.
//   - What a newer version wrote, and what cannot be read at this moment, is left
//     alone.
//   - What is usual is given, and stays, for purposes that are granted alone.
package kept

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"livebox-agent/agent/detect"
	"livebox-agent/agent/rollcall"
	"livebox-agent/buffer/durable"
	"livebox-agent/collector/catalogue"
)

// A File keeps one thing.
type File[T any] struct {
	root   *os.Root
	name   string
	format durable.Format
	// alone is why the file is not written; nil: it may be.
	alone error
}

// Usual is the file of what is usual on this box. Without a directory, root is
// nil, there is nothing to read and nothing can be written.
func Usual(root *os.Root) *File[[]detect.Baseline] {
	return &File[[]detect.Baseline]{
		root: root, name: "usual",
		format: durable.Format{Magic: [4]byte{'L', 'B', 'U', 'S'}, Version: 1, Oldest: 1, Limit: 32 << 10},
	}
}

// RecallUsual returns what f has of the purposes that are granted, and takes the
// rest from the flash at once. What is damaged goes too: nobody can tell whose it
// was.
func RecallUsual(f *File[[]detect.Baseline], granted func(catalogue.Purpose) bool) ([]detect.Baseline, error) {
	all, err := f.Read()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	found := len(all)
	all = slices.DeleteFunc(all, func(b detect.Baseline) bool {
		m, ok := catalogue.Lookup(b.Metric)
		return !ok || !granted(m.Purpose)
	})
	if err == nil && len(all) == found {
		return all, nil
	}
	if f.alone == nil {
		err = errors.Join(err, f.Write(all))
	}
	return all, err
}

// Links is the file of which ports and lines have a link.
func Links(root *os.Root) *File[[]rollcall.Mark] {
	return &File[[]rollcall.Mark]{
		root: root, name: "links",
		format: durable.Format{Magic: [4]byte{'L', 'B', 'R', 'C'}, Version: 1, Oldest: 1, Limit: 16 << 10},
	}
}

// Read returns what was written last. The error is fs.ErrNotExist where nothing
// was, or that of durable.Format.Read.
func (f *File[T]) Read() (v T, err error) {
	if f.root == nil {
		return v, fs.ErrNotExist
	}
	b, _, err := f.format.Read(f.root, f.name)
	if !durable.MayReplace(err) {
		f.alone = err
	}
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(b, &v); err != nil {
		var none T
		return none, fmt.Errorf("read %s: %w: %w", f.name, durable.ErrDamaged, err)
	}
	return v, nil
}

// Write keeps v.
func (f *File[T]) Write(v T) error {
	switch {
	case f.root == nil:
		return fmt.Errorf("%s: no directory to keep it in", f.name)
	case f.alone != nil:
		return fmt.Errorf("%s is left alone: %w", f.name, f.alone)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return f.format.Write(f.root, f.name, b)
}
