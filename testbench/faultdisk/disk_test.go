package faultdisk

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	Main()
	os.Exit(m.Run())
}

// newDisk mounts a disk for a test.
func newDisk(t *testing.T) *Disk {
	t.Helper()
	d, err := New()
	if errors.Is(err, ErrNoFUSE) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func (d *Disk) path(name string) string { return filepath.Join(d.Dir, name) }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// kinds says what was done, without the numbers.
func kinds(trace Trace) string {
	var all []string
	for _, op := range trace {
		all = append(all, op.Kind.String())
	}
	return strings.Join(all, ", ")
}

func TestEveryChangeIsRecordedInOrder(t *testing.T) {
	d := newDisk(t)
	check(t, os.Mkdir(d.path("dir"), 0o700))
	root, err := os.OpenRoot(d.path("dir"))
	check(t, err)
	defer root.Close()
	f, err := root.Create("f.tmp")
	check(t, err)
	_, err = f.WriteString("hello")
	check(t, errors.Join(err, f.Truncate(9000), f.Sync(), f.Close()))
	check(t, root.Rename("f.tmp", "f"))
	dir, err := root.Open(".")
	check(t, err)
	check(t, errors.Join(dir.Sync(), dir.Close()))
	check(t, root.WriteFile("f", nil, 0o600)) // truncates
	check(t, root.Remove("f"))
	check(t, os.Remove(d.path("dir")))
	want := "mkdir, create, write, truncate, sync, rename, sync directory, truncate, remove, remove"
	if got := kinds(d.Trace()); got != want {
		t.Errorf("recorded %s; want %s", got, want)
	}
}

func TestMountedDiskReadsWhatWasWritten(t *testing.T) {
	d := newDisk(t)
	f, err := os.Create(d.path("f"))
	check(t, err)
	defer f.Close()
	check(t, f.Truncate(3*pageSize))
	mapped, err := unix.Mmap(int(f.Fd()), 0, 3*pageSize, unix.PROT_READ, unix.MAP_SHARED)
	check(t, err)
	defer func() { check(t, unix.Munmap(mapped)) }()
	want := make([]byte, 3*pageSize)
	for n := range 40 {
		b := bytes.Repeat([]byte{byte(n + 1)}, 100+n)
		off := n * 271 % (len(want) - len(b))
		_, err := f.WriteAt(b, int64(off))
		check(t, err)
		copy(want[off:], b)
		if !bytes.Equal(mapped, want) {
			t.Fatalf("after write %d the mapping differs", n)
		}
	}
	if got, err := os.ReadFile(d.path("f")); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read back: %d bytes, %v; want what was written", len(got), err)
	}
}

func TestOperationsFailAsTheyAreTold(t *testing.T) {
	d := newDisk(t)
	check(t, os.WriteFile(d.path("f"), []byte("12345678"), 0o600))
	failing := func(kind Kind, errno syscall.Errno) {
		d.Fail(Fault{Errno: errno, Kinds: []Kind{kind}})
	}
	failing(Write, syscall.ENOSPC)
	err := os.WriteFile(d.path("g"), []byte("abcdefgh"), 0o600)
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("write = %v; want no space", err)
	}
	if b, err := os.ReadFile(d.path("g")); err != nil || string(b) != "abcd" {
		t.Errorf("the file has %q, %v; want the half that fitted", b, err)
	}
	failing(Sync, syscall.EIO)
	f, err := os.Open(d.path("f"))
	check(t, err)
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("sync = %v; want an I/O error", err)
	}
	if op := d.Trace()[d.Len()-1]; !op.Failed {
		t.Errorf("recorded %v; want it failed", op)
	}
	failing(Rename, syscall.EROFS)
	if err := os.Rename(d.path("f"), d.path("h")); !errors.Is(err, syscall.EROFS) {
		t.Errorf("rename = %v; want read-only", err)
	}
	d.Fail(Fault{})
	check(t, errors.Join(f.Sync(), f.Close(), os.Rename(d.path("f"), d.path("h"))))
	if _, err := os.Stat(d.path("f")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("stat = %v; want it gone", err)
	}
}

func TestSmallDiskIsFullAtTheWriteOrAtTheSync(t *testing.T) {
	d := newDisk(t)
	f, err := os.Create(d.path("f"))
	check(t, err)
	defer f.Close()
	page := make([]byte, pageSize)
	write := func(n int64) error {
		_, err := f.WriteAt(page, n*pageSize)
		return err
	}
	used := func(pages int64) {
		t.Helper()
		if got := d.Used(); got != pages*pageSize {
			t.Errorf("%d bytes used; want %d pages", got, pages)
		}
	}
	d.Fail(Fault{Capacity: 2 * pageSize})
	check(t, errors.Join(f.Truncate(9*pageSize), write(0), write(7), write(0), f.Sync()))
	used(2)
	if err := write(1); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a third page = %v; want no space", err)
	}
	check(t, errors.Join(f.Truncate(pageSize), write(3)))
	used(2)

	d.Fail(Fault{Capacity: 3 * pageSize, Late: true})
	check(t, errors.Join(write(4), write(5)))
	if err := f.Sync(); !errors.Is(err, syscall.ENOSPC) || d.Short() != 1 {
		t.Errorf("sync of a page too many = %v, %d times short; want no space once", err, d.Short())
	}
	check(t, f.Sync()) // Linux tells it once
	check(t, write(5))
	d.Fail(Fault{})
	check(t, f.Sync())
	used(4)

	check(t, os.WriteFile(d.path("g"), page, 0o600))
	used(5)
	check(t, os.Rename(d.path("g"), d.path("f")))
	used(1)
	check(t, os.Remove(d.path("f")))
	used(0)
}
