package sysfs

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func write(t *testing.T, root, name, content string) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// open opens a file with the given content.
func open(t *testing.T, content string) *File {
	t.Helper()
	root := t.TempDir()
	write(t, root, "value", content)
	f, err := Open(root, "value")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestAbsentFileDoesNotExist(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"value", "class/net/eth0/speed"} {
		_, err := Open(root, name)
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Open(%q) = %v; want fs.ErrNotExist", name, err)
		}
		if _, err := ReadText(root, name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("ReadText(%q) = %v; want fs.ErrNotExist", name, err)
		}
	}
	if _, err := Open(filepath.Join(root, "absent"), "value"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open below an absent root = %v; want fs.ErrNotExist", err)
	}
}

func TestDeviceThatWentAwayDoesNotExist(t *testing.T) {
	for _, errno := range []unix.Errno{unix.ENODEV, unix.ENXIO} {
		err := gone(&fs.PathError{Op: "read", Path: "/sys/x", Err: errno})
		if !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, errno) {
			t.Errorf("gone(%v) = %v; want both it and fs.ErrNotExist", errno, err)
		}
	}
	if err := gone(unix.EINVAL); errors.Is(err, fs.ErrNotExist) {
		t.Errorf("gone(EINVAL) = %v; want it unchanged", err)
	}
}

func TestKernelRefusalKeepsItsErrno(t *testing.T) {
	root := t.TempDir()
	write(t, root, "directory/file", "")
	f, err := Open(root, "directory")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Int(); !errors.Is(err, unix.EISDIR) {
		t.Errorf("Int of a directory = %v; want EISDIR", err)
	}
}

func TestNoNameLeadsOutOfTheRoot(t *testing.T) {
	root := t.TempDir()
	write(t, root, "secret", "1\n")
	write(t, root, "sys/value", "2\n")
	for _, name := range []string{"../secret", "a/../../secret", "/etc/hostname", ""} {
		f, err := Open(filepath.Join(root, "sys"), name)
		if !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("Open(%q) = %v, %v; want fs.ErrInvalid", name, f, err)
		}
	}
}

func TestLinksAreFollowed(t *testing.T) {
	root := t.TempDir()
	write(t, root, "devices/platform/hwmon0/name", "cpu\n")
	if err := os.MkdirAll(filepath.Join(root, "class/hwmon"), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../devices/platform/hwmon0", filepath.Join(root, "class/hwmon/hwmon0")); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadText(root, "class/hwmon/hwmon0/name"); got != "cpu" || err != nil {
		t.Errorf("ReadText = %q, %v; want cpu", got, err)
	}
}

func TestNumbers(t *testing.T) {
	for _, tt := range []struct {
		name, content string
		wantInt       int64
		wantIntErr    error // nil: success
		wantUint      uint64
		wantUintErr   error
	}{
		{name: "plain", content: "42\n", wantInt: 42, wantUint: 42},
		{name: "no newline", content: "42", wantInt: 42, wantUint: 42},
		{name: "white space around", content: " \t7 \n\n", wantInt: 7, wantUint: 7},
		{name: "zero", content: "0\n", wantInt: 0, wantUint: 0},
		{name: "negative", content: "-274000\n", wantInt: -274000, wantUintErr: strconv.ErrSyntax},
		{name: "beyond 32 bits", content: "4294967296\n", wantInt: 1 << 32, wantUint: 1 << 32},
		{name: "largest counter", content: "18446744073709551615\n", wantIntErr: strconv.ErrRange, wantUint: 1<<64 - 1},
		{name: "beyond 64 bits", content: "18446744073709551616\n", wantIntErr: strconv.ErrRange, wantUintErr: strconv.ErrRange},
		{name: "empty", content: "", wantIntErr: strconv.ErrSyntax, wantUintErr: strconv.ErrSyntax},
		{name: "only a newline", content: "\n", wantIntErr: strconv.ErrSyntax, wantUintErr: strconv.ErrSyntax},
		{name: "text", content: "full\n", wantIntErr: strconv.ErrSyntax, wantUintErr: strconv.ErrSyntax},
		{name: "two numbers", content: "1 2\n", wantIntErr: strconv.ErrSyntax, wantUintErr: strconv.ErrSyntax},
		{name: "hexadecimal", content: "0x10\n", wantIntErr: strconv.ErrSyntax, wantUintErr: strconv.ErrSyntax},
		{name: "fraction", content: "1.5\n", wantIntErr: strconv.ErrSyntax, wantUintErr: strconv.ErrSyntax},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := open(t, tt.content)
			i, err := f.Int()
			if i != tt.wantInt || !errors.Is(err, tt.wantIntErr) {
				t.Errorf("Int of %q = %d, %v; want %d, %v", tt.content, i, err, tt.wantInt, tt.wantIntErr)
			}
			u, err := f.Uint()
			if u != tt.wantUint || !errors.Is(err, tt.wantUintErr) {
				t.Errorf("Uint of %q = %d, %v; want %d, %v", tt.content, u, err, tt.wantUint, tt.wantUintErr)
			}
		})
	}
}

func TestErrorNamesTheFileAndWhatItHeld(t *testing.T) {
	f := open(t, "half\n")
	_, err := f.Int()
	want := "read " + f.f.Name() + `: "half": invalid syntax`
	if err == nil || err.Error() != want {
		t.Errorf("Int = %v; want %s", err, want)
	}
}

func TestValueBeyondMaxBytesIsRefused(t *testing.T) {
	longest := strings.Repeat("x", MaxBytes)
	if got, err := open(t, longest).Text(); string(got) != longest || err != nil {
		t.Errorf("Text of %d bytes = %d bytes, %v; want them all", MaxBytes, len(got), err)
	}
	if got, err := open(t, longest+"x").Text(); err == nil {
		t.Errorf("Text of %d bytes = %q; want an error", MaxBytes+1, got)
	}
}

func TestValueIsReadAnew(t *testing.T) {
	root := t.TempDir()
	write(t, root, "value", "1000\n")
	f, err := Open(root, "value")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, want := range []int64{1000, 7, -3} {
		write(t, root, "value", strconv.FormatInt(want, 10)+"\n")
		if got, err := f.Int(); got != want || err != nil {
			t.Errorf("Int = %d, %v; want %d", got, err, want)
		}
	}
}

func TestClosedFileIsAnError(t *testing.T) {
	f := open(t, "1\n")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Int(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Int after Close = %v; want fs.ErrClosed", err)
	}
}

func TestReadingAllocatesNothing(t *testing.T) {
	f := open(t, "-18446744073\n")
	if n := testing.AllocsPerRun(100, func() {
		if _, err := f.Int(); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("Int allocates %v times; want 0", n)
	}
	u := open(t, "18446744073709551615\n")
	if n := testing.AllocsPerRun(100, func() {
		if _, err := u.Uint(); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("Uint allocates %v times; want 0", n)
	}
}

func TestThisKernelsFiles(t *testing.T) {
	f, err := Open("/proc/sys/kernel", "pid_max")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no procfs here")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for range 2 {
		if v, err := f.Uint(); v < 300 || err != nil {
			t.Errorf("pid_max = %d, %v; want at least 300", v, err)
		}
	}
}

// Whatever a file holds, its text is what is in it and a number is one that
// prints as it stood there.
func FuzzFile(f *testing.F) {
	for _, seed := range []string{"", "\n", "0\n", "-1\n", "+5", "18446744073709551615", "1_000", "a b", strings.Repeat("9", 200), "\x00\xff"} {
		f.Add([]byte(seed))
	}
	path := filepath.Join(f.TempDir(), "value")
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := Open(filepath.Dir(path), "value")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		text, err := file.Text()
		if len(content) > MaxBytes {
			if err == nil {
				t.Fatalf("%d bytes were taken for a value", len(content))
			}
			return
		}
		if err != nil || !bytes.Equal(text, bytes.TrimSpace(content)) {
			t.Fatalf("Text of %q = %q, %v", content, text, err)
		}
		if v, err := file.Int(); err == nil {
			digits := strings.TrimLeft(strings.TrimLeft(string(text), "+-"), "0")
			if want := strings.TrimLeft(strconv.FormatInt(v, 10), "-0"); digits != want {
				t.Fatalf("Int of %q = %d", text, v)
			}
		}
	})
}
