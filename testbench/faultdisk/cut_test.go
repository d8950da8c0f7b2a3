package faultdisk

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A little trace: the file 2 called f in the root.
func create() Op { return Op{Kind: Create, Node: 2, Parent: rootNode, Name: "f"} }

func write(off int64, data string) Op {
	return Op{Kind: Write, Node: 2, Off: off, Data: []byte(data)}
}
func fsync() Op    { return Op{Kind: Sync, Node: 2} }
func fsyncDir() Op { return Op{Kind: SyncDir, Node: rootNode} }

// left is everything that a cut after n operations may leave of f, in order and
// once; "-" stands for no file.
func left(trace Trace, n int) (all []string) {
	for c := range trace.Cuts() {
		if c.After != n {
			continue
		}
		content, there := c.Image().Files["f"]
		if !there {
			content = []byte("-")
		}
		all = append(all, strings.ReplaceAll(string(content), "\x00", "0"))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func want(t *testing.T, trace Trace, n int, contents ...string) {
	t.Helper()
	slices.Sort(contents)
	if got := left(trace, n); !slices.Equal(got, contents) {
		t.Errorf("after %d of %v: %q; want %q", n, trace, got, contents)
	}
}

func has(t *testing.T, trace Trace, n int, content string, yes bool) {
	t.Helper()
	if got := left(trace, n); slices.Contains(got, content) != yes {
		t.Errorf("after %d of %v: %q; has %q: want %v", n, trace, got, content, yes)
	}
}

func TestWhatWasSyncedIsThereAfterEveryCut(t *testing.T) {
	trace := Trace{create(), fsyncDir(), write(0, "ab"), write(2, "cd"), fsync(), write(4, "ef")}
	want(t, trace, 0, "-")
	want(t, trace, 1, "-", "")
	want(t, trace, 2, "")
	want(t, trace, 5, "abcd")
	for _, content := range left(trace, 6) {
		if !strings.HasPrefix(content, "abcd") {
			t.Errorf("%q lost what was synced", content)
		}
	}
}

func TestEveryUnsyncedWriteIsForgottenAloneAndKeptAlone(t *testing.T) {
	trace := Trace{create(), fsyncDir(), write(0, "ab"), write(2, "cd"), write(4, "ef")}
	for _, content := range []string{"", "abcdef", "00cdef", "ab00ef", "abcd", "ab", "00cd", "0000ef"} {
		has(t, trace, 5, content, true)
	}
	long := strings.Repeat("x", 3000)
	torn := Trace{create(), fsyncDir(), write(0, long)}
	has(t, torn, 3, long[:sector], true)
	has(t, torn, 3, long[:1507], true)
	has(t, torn, 3, strings.Repeat("0", 1507)+long[1507:], true)
	garbage := slices.ContainsFunc(left(torn, 3), func(s string) bool {
		return len(s) >= 2900 && !strings.Contains(s, "xxxx") && !strings.Contains(s, "0000")
	})
	if !garbage {
		t.Error("no cut left garbage")
	}
}

func TestNamesChangeInOrderAndWithoutTheirData(t *testing.T) {
	trace := Trace{
		{Kind: Create, Node: 3, Parent: rootNode, Name: "f"},
		{Kind: Write, Node: 3, Data: []byte("old")},
		{Kind: Sync, Node: 3},
		fsyncDir(),
		{Kind: Create, Node: 2, Parent: rootNode, Name: "f.tmp"},
		write(0, "new"),
		{Kind: Rename, Node: 2, Parent: rootNode, Name: "f.tmp", ToParent: rootNode, ToName: "f"},
	}
	has(t, trace, 7, "old", true)
	has(t, trace, 7, "new", true)
	has(t, trace, 7, "", true) // renamed, and the data forgotten
	has(t, trace, 7, "-", false)
	synced := slices.Insert(slices.Clone(trace), 6, fsync())
	want(t, synced, 8, "old", "new")
	want(t, append(synced, fsyncDir()), 9, "new")
	// A directory's sync is not that of its own name.
	deep := Trace{
		{Kind: Mkdir, Node: 4, Parent: rootNode, Name: "d"}, {Kind: Create, Node: 5, Parent: 4, Name: "g"}, {Kind: SyncDir, Node: 4},
	}
	var images []string
	for c := range deep.Cuts() {
		if c.After == len(deep) {
			m := c.Image()
			images = append(images, fmt.Sprint(m.Dirs, len(m.Files)))
		}
	}
	if !slices.Equal(images, []string{"[] 0", "[d] 1"}) {
		t.Errorf("a cut leaves %v; want the directory with its file, or nothing", images)
	}
}

func TestSyncAfterOneThatFailedBringsNothingBack(t *testing.T) {
	page := func(c string) string { return strings.Repeat(c, pageSize) }
	failed := fsync()
	failed.Failed = true
	trace := Trace{create(), fsyncDir(), write(0, page("a")), failed, write(pageSize, page("b")), fsync()}
	has(t, trace, 6, page("0")+page("b"), true)
	has(t, trace, 6, page("a")+page("b"), true)
	again := append(slices.Clone(trace), write(10, "A"), fsync())
	want(t, again, 8, page("a")[:10]+"A"+page("a")[11:]+page("b"))
}

func TestLyingDiskForgets(t *testing.T) {
	trace := Trace{create(), fsyncDir(), write(0, "ab"), fsync()}
	want(t, trace, 4, "ab")
	if n := trace.Written(); n != 2 {
		t.Errorf("%d bytes written; want 2", n)
	}
	has(t, trace.Lying(0, true, false), 4, "", true)
	has(t, trace.Lying(0, true, false), 4, "-", false)
	has(t, trace.Lying(0, false, true), 4, "-", true)
	want(t, trace.Lying(4, true, true), 4, "ab")
}

// Cuts that leave the same have the same key, others have another.
func TestKeysTellWhatIsLeft(t *testing.T) {
	trace := Trace{create(), fsyncDir(), write(0, "abcdefgh"), write(8, "12345678"), fsync(), write(3, "x"), write(4, "y")}
	byKey := map[uint64][]byte{}
	for c := range trace.Cuts() {
		m := c.Image()
		content, there := m.Files["f"]
		if there {
			content = append([]byte("f:"), content...)
		}
		if before, seen := byKey[c.Key]; seen && !bytes.Equal(before, content) {
			t.Errorf("key %x is of %q and of %q", c.Key, before, content)
		}
		byKey[c.Key] = content
	}
}
