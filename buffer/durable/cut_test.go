package durable

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// A step is one thing that Write did to the disk, in the order in which it
// was done. The name "." is the directory.
type step struct {
	what     string // open, write, sync, close, rename, remove
	name, to string
	data     []byte
}

func (s step) String() string { return strings.TrimSpace(s.what + " " + s.name + " " + s.to) }

var errStep = errors.New("this step fails")

// A recorder is a disk that notes every step, and lets the one with the
// number failAt fail; -1 lets none.
type recorder struct {
	under  disk
	steps  []step
	failAt int
}

func (r *recorder) note(s step) error {
	r.steps = append(r.steps, s)
	if len(r.steps)-1 == r.failAt {
		return errStep
	}
	return nil
}

func (r *recorder) open(name string, flag int) (file, error) {
	if err := r.note(step{what: "open", name: name}); err != nil {
		return nil, err
	}
	f, err := r.under.open(name, flag)
	return &recorded{f, name, r}, err
}

func (r *recorder) rename(from, to string) error {
	if err := r.note(step{what: "rename", name: from, to: to}); err != nil {
		return err
	}
	return r.under.rename(from, to)
}

func (r *recorder) remove(name string) error {
	if err := r.note(step{what: "remove", name: name}); err != nil {
		return err
	}
	return r.under.remove(name)
}

type recorded struct {
	file
	name string
	r    *recorder
}

func (f *recorded) Write(b []byte) (int, error) {
	if err := f.r.note(step{what: "write", name: f.name, data: bytes.Clone(b)}); err != nil {
		// As a full flash does: a part of it fitted.
		n, werr := f.file.Write(b[:len(b)/2])
		return n, errors.Join(err, werr)
	}
	return f.file.Write(b)
}

func (f *recorded) Sync() error {
	return errors.Join(f.r.note(step{what: "sync", name: f.name}), f.file.Sync())
}

func (f *recorded) Close() error {
	return errors.Join(f.r.note(step{what: "close", name: f.name}), f.file.Close())
}

// record gives the file f in root the content "new" and returns the steps that
// this took.
func record(t *testing.T, root *os.Root, failAt int) ([]step, error) {
	t.Helper()
	r := &recorder{under: rootDisk{root}, failAt: failAt}
	err := replace(r, "f", encoded(t, "new"))
	return r.steps, err
}

// encoded is the file that Write makes of content.
func encoded(t *testing.T, content string) []byte {
	t.Helper()
	root, _ := openRoot(t)
	if err := testFormat.Write(root, "x", []byte(content)); err != nil {
		t.Fatal(err)
	}
	b, err := root.ReadFile("x")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// An inode is a file of the modelled disk: what a read gives, and every
// content that it may have after a cut.
type inode struct {
	now    []byte
	stored [][]byte
}

// A cutDisk models what loss of power leaves, as badly as POSIX allows: data
// that was not synced may be there, in part, or not at all; names that were
// changed may have changed, each change in its order, up to the last sync of
// the directory at least.
type cutDisk struct {
	files map[string]*inode
	// dirs are the directories that a cut may leave, the oldest first.
	dirs []map[string]*inode
}

func newCutDisk(files map[string][]byte) *cutDisk {
	d := &cutDisk{files: make(map[string]*inode)}
	for name, b := range files {
		d.files[name] = &inode{now: b, stored: [][]byte{b}}
	}
	d.dirs = []map[string]*inode{maps.Clone(d.files)}
	return d
}

func (d *cutDisk) apply(s step) {
	switch s.what {
	case "open":
		if s.name == "." {
			return
		}
		if d.files[s.name] == nil {
			d.files[s.name] = &inode{stored: [][]byte{nil}}
		}
		f := d.files[s.name]
		f.now, f.stored = nil, append(f.stored, nil)
	case "write":
		f := d.files[s.name]
		start := f.now
		f.now = slices.Concat(start, s.data)
		for n := range len(s.data) + 1 { // torn: some of it, or its room full of zeros
			f.stored = append(f.stored, f.now[:len(start)+n],
				slices.Concat(f.now[:len(start)+n], make([]byte, len(s.data)-n)))
		}
	case "sync":
		if s.name == "." {
			d.dirs = d.dirs[len(d.dirs)-1:]
		} else {
			d.files[s.name].stored = [][]byte{d.files[s.name].now}
		}
		return
	case "rename":
		d.files[s.to] = d.files[s.name]
		delete(d.files, s.name)
	case "remove":
		delete(d.files, s.name)
	}
	d.dirs = append(d.dirs, maps.Clone(d.files))
}

// left returns every content that the file name may have after a cut now; nil
// stands for no file.
func (d *cutDisk) left(name string) (contents [][]byte) {
	for _, dir := range d.dirs {
		if f := dir[name]; f == nil {
			contents = append(contents, nil)
		} else {
			contents = append(contents, f.stored...)
		}
	}
	return contents
}

// after cuts the power after each number of steps and returns what Read gives
// then, without doubles: the content or "damaged" or "nothing".
func after(t *testing.T, old []byte, steps []step) (got [][]string) {
	t.Helper()
	d := newCutDisk(map[string][]byte{"f": old})
	root, _ := openRoot(t)
	for n := range len(steps) + 1 {
		if n > 0 {
			d.apply(steps[n-1])
		}
		var found []string
		for _, b := range d.left("f") {
			if b == nil {
				found = append(found, "nothing")
				continue
			}
			if err := root.WriteFile("f", b, 0o600); err != nil {
				t.Fatal(err)
			}
			content, _, err := testFormat.Read(root, "f")
			if err != nil {
				content = []byte("damaged")
			}
			found = append(found, string(content))
		}
		slices.Sort(found)
		got = append(got, slices.Compact(found))
	}
	return got
}

// The order is what the first two promises rest on.
func TestStepsOfAWrite(t *testing.T) {
	root, _ := openRoot(t)
	steps, err := record(t, root, -1)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range steps {
		got = append(got, s.String())
	}
	want := []string{
		"open f.tmp", "write f.tmp", "sync f.tmp", "close f.tmp",
		"rename f.tmp f",
		"open .", "sync .", "close .",
	}
	if !slices.Equal(got, want) {
		t.Errorf("steps %q; want %q", got, want)
	}
}

func TestEveryCutLeavesOldOrNewContent(t *testing.T) {
	root, _ := openRoot(t)
	if err := testFormat.Write(root, "f", []byte("old")); err != nil {
		t.Fatal(err)
	}
	steps, err := record(t, root, -1)
	if err != nil {
		t.Fatal(err)
	}
	both := false
	got := after(t, encoded(t, "old"), steps)
	for n, found := range got {
		for _, c := range found {
			if c != "old" && c != "new" {
				t.Errorf("a cut after %v: %q", steps[:n], found)
			}
		}
		both = both || len(found) == 2
	}
	if !both {
		t.Error("no cut was between the rename and the sync of the directory")
	}
	// And when Write has returned, the new content only.
	if last := got[len(got)-1]; !slices.Equal(last, []string{"new"}) {
		t.Errorf("a cut after Write returned leaves %q; want new", last)
	}
}

// The model itself: without one of the steps, a cut must be seen to do harm.
func TestEveryStepIsNeeded(t *testing.T) {
	root, _ := openRoot(t)
	steps, err := record(t, root, -1)
	if err != nil {
		t.Fatal(err)
	}
	harm := func(steps []step) bool {
		got := after(t, encoded(t, "old"), steps)
		for _, found := range got {
			if slices.Contains(found, "damaged") || slices.Contains(found, "nothing") {
				return true
			}
		}
		return !slices.Equal(got[len(got)-1], []string{"new"})
	}
	if harm(steps) {
		t.Fatal("harm with every step there")
	}
	for i, s := range steps {
		if s.what != "sync" && s.what != "write" && s.what != "rename" {
			continue
		}
		if !harm(slices.Delete(slices.Clone(steps), i, i+1)) {
			t.Errorf("no harm without %v", s)
		}
	}
	// Written in place: what the temporary file is there for.
	inPlace := []step{{what: "open", name: "f"}, {what: "write", name: "f", data: encoded(t, "new")}, {what: "sync", name: "f"}}
	if !harm(inPlace) {
		t.Error("no harm in writing over the old content")
	}
}

// A step that fails leaves old or new content, nothing beside it, and an error.
func TestEveryFailingStepIsReported(t *testing.T) {
	for failAt := range 8 {
		root, dir := openRoot(t)
		if err := testFormat.Write(root, "f", []byte("old")); err != nil {
			t.Fatal(err)
		}
		steps, err := record(t, root, failAt)
		if !errors.Is(err, errStep) {
			t.Errorf("%v failed: replace = %v", steps[failAt], err)
		}
		want := "old"
		if failAt > 4 { // after the rename: there, but it may not last
			want = "new"
		}
		if got, _, err := testFormat.Read(root, "f"); err != nil || string(got) != want {
			t.Errorf("%v failed: Read = %q, %v; want %s", steps[failAt], got, err, want)
		}
		if got := names(t, dir); !slices.Equal(got, []string{"f"}) {
			t.Errorf("%v failed: directory holds %v", steps[failAt], got)
		}
		for _, found := range after(t, encoded(t, "old"), steps) {
			if slices.Contains(found, "damaged") || slices.Contains(found, "nothing") {
				t.Errorf("%v failed, and a cut: %q", steps[failAt], found)
			}
		}
	}
}
