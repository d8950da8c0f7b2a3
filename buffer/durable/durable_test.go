package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

var testFormat = Format{Magic: [4]byte{'t', 'e', 's', 't'}, Version: 2, Oldest: 1, Limit: 64}

func openRoot(t *testing.T) (*os.Root, string) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root, dir
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	es, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var ns []string
	for _, e := range es {
		ns = append(ns, e.Name())
	}
	return ns
}

func TestWrittenContentIsReadBack(t *testing.T) {
	root, dir := openRoot(t)
	for _, content := range [][]byte{{}, []byte("one"), bytes.Repeat([]byte{7}, 64), []byte("two")} {
		if err := testFormat.Write(root, "f", content); err != nil {
			t.Fatal(err)
		}
		got, version, err := testFormat.Read(root, "f")
		if err != nil || version != 2 || !bytes.Equal(got, content) {
			t.Fatalf("Read = %q, %d, %v; want %q, 2", got, version, err, content)
		}
	}
	if got, want := names(t, dir), []string{"f"}; !slices.Equal(got, want) {
		t.Errorf("directory holds %v; want %v", got, want)
	}
}

func TestTooLongIsRefusedAndOldContentStays(t *testing.T) {
	root, _ := openRoot(t)
	if err := testFormat.Write(root, "f", []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := testFormat.Write(root, "f", make([]byte, 65)); err == nil {
		t.Fatal("Write of 65 bytes = nil; the limit is 64")
	}
	if got, _, err := testFormat.Read(root, "f"); err != nil || string(got) != "old" {
		t.Fatalf("Read = %q, %v; want old", got, err)
	}
}

// A cut may leave a temporary file of any content; a failing rename must not.
// The cuts themselves are in cut_test.go.
func TestTemporaryFileLeftBehindIsInNobodysWay(t *testing.T) {
	root, dir := openRoot(t)
	if err := testFormat.Write(root, "f", []byte("old")); err != nil {
		t.Fatal(err)
	}
	for _, left := range []string{"", "x", "half a header and a bit of content"} {
		if err := os.WriteFile(filepath.Join(dir, "f.tmp"), []byte(left), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, _, err := testFormat.Read(root, "f"); err != nil || string(got) != "old" {
			t.Fatalf("with %q left behind: Read = %q, %v; want old", left, got, err)
		}
	}
	if err := testFormat.Write(root, "f", []byte("new")); err != nil {
		t.Fatal(err)
	}
	if got, _, err := testFormat.Read(root, "f"); err != nil || string(got) != "new" {
		t.Fatalf("Read = %q, %v; want new", got, err)
	}
	if err := root.Mkdir("d", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := testFormat.Write(root, "d", []byte("x")); err == nil {
		t.Fatal("Write over a directory = nil")
	}
	if got, want := names(t, dir), []string{"d", "f"}; !slices.Equal(got, want) {
		t.Errorf("directory holds %v; want %v", got, want)
	}
}

func TestEveryFlippedBitIsDamage(t *testing.T) {
	root, dir := openRoot(t)
	if err := testFormat.Write(root, "f", []byte("content")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "f")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(good) * 8 {
		b := slices.Clone(good)
		b[i/8] ^= 1 << (i % 8)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := testFormat.Read(root, "f"); !errors.Is(err, ErrDamaged) || !MayReplace(err) {
			t.Errorf("bit %d flipped: Read = %v, may be replaced: %v; want damaged, and yes", i, err, MayReplace(err))
		}
	}
	for n := range len(good) {
		if _, _, err := testFormat.decode(good[:n]); !errors.Is(err, ErrDamaged) {
			t.Errorf("%d of %d bytes: decode = %v; want damaged", n, len(good), err)
		}
	}
}

func TestOtherFiles(t *testing.T) {
	root, _ := openRoot(t)
	if _, _, err := testFormat.Read(root, "absent"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Read of an absent file = %v; want not exist", err)
	}
	older, newer, oldest, other := testFormat, testFormat, testFormat, testFormat
	older.Version, newer.Version, oldest.Version = 1, 3, 0
	other.Magic[0] = 'T'
	other.Limit, newer.Limit = 1000, 1000
	for _, tt := range []struct {
		name        string
		by          Format
		content     []byte
		wantVersion uint8
		wantErr     error
	}{
		{name: "version before", by: older, content: []byte("x"), wantVersion: 1},
		{name: "version too old", by: oldest, content: []byte("x"), wantErr: ErrDamaged},
		{name: "another kind", by: other, content: []byte("x"), wantErr: ErrDamaged},
		{name: "longer than the limit", by: Format{testFormat.Magic, 2, 1, 1000}, content: make([]byte, 500), wantErr: ErrDamaged},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.by.Write(root, "f", tt.content); err != nil {
				t.Fatal(err)
			}
			_, version, err := testFormat.Read(root, "f")
			if !errors.Is(err, tt.wantErr) || version != tt.wantVersion {
				t.Errorf("Read = version %d, %v; want %d, %v", version, err, tt.wantVersion, tt.wantErr)
			}
		})
	}
	for _, n := range []int{0, 64, 500} {
		t.Run(fmt.Sprintf("%d bytes of a newer version", n), func(t *testing.T) {
			if err := newer.Write(root, "f", make([]byte, n)); err != nil {
				t.Fatal(err)
			}
			_, _, err := testFormat.Read(root, "f")
			if e, ok := errors.AsType[*NewerError](err); !ok || e.Found != 3 || e.Known != 2 || MayReplace(err) {
				t.Errorf("Read = %v, may be replaced: %v; want newer, 3 and 2, and no", err, MayReplace(err))
			}
			if got, _, err := newer.Read(root, "f"); err != nil || len(got) != n {
				t.Errorf("the newer program reads %d bytes, %v; want its %d", len(got), err, n)
			}
		})
	}
}

func TestOnlyWhatNobodyCanUseMayBeReplaced(t *testing.T) {
	root, _ := openRoot(t)
	if err := root.Mkdir("d", 0o700); err != nil {
		t.Fatal(err)
	}
	_, _, unread := testFormat.Read(root, "d")
	_, _, absent := testFormat.Read(root, "absent")
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{nil, true},
		{absent, true},
		{fmt.Errorf("read f: %w: checksum", ErrDamaged), true},
		{fmt.Errorf("read f: %w", &NewerError{3, 2}), false},
		{unread, false},
		{&fs.PathError{Op: "read", Path: "f", Err: syscall.EIO}, false},
	} {
		if got := MayReplace(tt.err); got != tt.want {
			t.Errorf("MayReplace(%v) = %v; want %v", tt.err, got, tt.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	root, err := os.OpenRoot(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	defer root.Close()
	if err := testFormat.Write(root, "f", []byte("content")); err != nil {
		f.Fatal(err)
	}
	good, err := root.ReadFile("f")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:headerLen])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		content, version, err := testFormat.decode(b)
		if err != nil {
			return
		}
		if version < 1 || version > 2 || len(content) > testFormat.Limit || len(content) != len(b)-headerLen {
			t.Errorf("decode of %d bytes = %d bytes of version %d", len(b), len(content), version)
		}
	})
}

func TestSweepLeavesWhatIsWhole(t *testing.T) {
	dir := t.TempDir()
	root, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := Sweep(root); err != nil {
		t.Errorf("an empty directory: %v", err)
	}
	for _, name := range []string{"runs", "keys.tmp", "reports.db", "usual.tmp"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "full.tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "full.tmp", "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Sweep(root); err == nil {
		t.Error("what cannot be removed is not told")
	}
	entries, err := os.ReadDir(dir)
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if want := []string{"full.tmp", "reports.db", "runs"}; err != nil || !slices.Equal(left, want) {
		t.Errorf("left: %q, %v; want %q", left, err, want)
	}
}
