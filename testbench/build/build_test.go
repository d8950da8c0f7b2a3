package build

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// program is the smallest tree that Agent builds.
func program(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	write(t, filepath.Join(root, "go.mod"), "module example.test/m\n\ngo 1.26\n")
	write(t, filepath.Join(root, "VERSION"), "1.2.3\n")
	write(t, filepath.Join(root, "agent/cmd/livebox-agent/main.go"), `package main

import "os"

var version = "none"

func main() { os.Stdout.WriteString(version) }
`)
	return root
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestReleaseBinaryCarriesTheVersion(t *testing.T) {
	root, out := program(t), filepath.Join(t.TempDir(), "dist", "agent")
	if err := Agent(t.Context(), root, Host(), out); err != nil {
		t.Fatal(err)
	}
	got, err := exec.CommandContext(t.Context(), out).Output()
	if err != nil || string(got) != "1.2.3" {
		t.Errorf("output %q, %v, want 1.2.3", got, err)
	}
}

// TestTwoBuildsGiveTheSameBytes builds the real agent for one processor; the
// command cross does it for every one with -verify.
func TestTwoBuildsGiveTheSameBytes(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	target, err := Lookup("armv7")
	if err != nil {
		t.Fatal(err)
	}
	scratch := t.TempDir()
	out := filepath.Join(scratch, target.File())
	if err := Agent(t.Context(), root, target, out); err != nil {
		t.Fatal(err)
	}
	if err := Reproduce(t.Context(), root, target, out, filepath.Join(scratch, "2")); err != nil {
		t.Error(err)
	}
	if err := CheckStatic(out); err != nil {
		t.Error(err)
	}
}

// TestReleaseLeavesOutWhatNobodyCalls: what is imported need not be linked, and
// one import or call brings all of it back.
func TestReleaseLeavesOutWhatNobodyCalls(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	target, err := Lookup("armv7")
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), target.File())
	if err := Agent(t.Context(), root, target, out); err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	// The table of functions stays in a stripped binary.
	linked := func(start string) bool { return bytes.Contains(program, []byte("\x00"+start)) }
	if !linked("crypto/tls.(*Conn).clientHandshake\x00") || !linked("github.com/eclipse/paho%2emqtt%2egolang.") {
		t.Fatal("the table of functions was not found")
	}
	for _, start := range []string{
		"net/http.", "net/textproto.", "compress/gzip.", "golang.org/x/net/", "github.com/gorilla/websocket.",
		"golang.org/x/sys/unix.anyToSockaddr", "regexp.", "text/template.",
		"reflect.Value.MethodByName\x00", // with it the linker keeps every method
	} {
		if linked(start) {
			t.Errorf("%s is linked", start)
		}
	}
}

func TestBuildThatDependsOnItsFolderIsFound(t *testing.T) {
	root, scratch := program(t), t.TempDir()
	out := filepath.Join(scratch, "first")
	// Without -trimpath the binary holds the folder that it was built in.
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", out, AgentPackage)
	cmd.Dir, cmd.Env = root, Host().Environ()
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, msg)
	}
	err := Reproduce(t.Context(), root, Host(), out, filepath.Join(scratch, "2"))
	if err == nil || !strings.Contains(err.Error(), "two builds differ") {
		t.Errorf("Reproduce = %v, want a difference", err)
	}
}

func TestSameBytesSaysWhereTheyDiffer(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	write(t, a, "same but")
	write(t, b, "same then")
	err := sameBytes(a, b)
	if err == nil || !strings.Contains(err.Error(), "from byte 5 on") {
		t.Errorf("sameBytes = %v", err)
	}
	if err := sameBytes(a, a); err != nil {
		t.Errorf("sameBytes of one file = %v", err)
	}
}

func TestDynamicBinaryIsFound(t *testing.T) {
	// The C library of the machine itself is the dynamic file that is there.
	for _, glob := range []string{"/lib/*/libc.so.6", "/lib*/libc.so.6", "/usr/lib/libc.so.6"} {
		names, err := filepath.Glob(glob)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if err := CheckStatic(name); err == nil || !strings.Contains(err.Error(), "not static") {
				t.Errorf("CheckStatic(%s) = %v, want not static", name, err)
			}
			return
		}
	}
	t.Skip("no dynamic file on this machine to try")
}

func TestCheckStaticOfWhatIsNoELFIsAnError(t *testing.T) {
	name := filepath.Join(t.TempDir(), "text")
	write(t, name, "not a program")
	if err := CheckStatic(name); err == nil {
		t.Error("no error")
	}
}

func TestVersion(t *testing.T) {
	for text, want := range map[string]string{
		"1.2.3\n": "1.2.3", "1.2.3-rc.1+b": "1.2.3-rc.1+b",
		"": "", "1.2 3\n": "", "1.2.3\n\n": "", "1.2.3' -X main.x=y": "",
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "VERSION"), text)
		got, err := Version(dir)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("VERSION %q: %q, %v, want %q", text, got, err, want)
		}
	}
	if _, err := Version(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without VERSION: %v", err)
	}
}

func TestRoot(t *testing.T) {
	root := program(t)
	t.Chdir(filepath.Join(root, "agent/cmd"))
	got, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	if a, b := stat(t, got), stat(t, root); !os.SameFile(a, b) {
		t.Errorf("Root = %s, want %s", got, root)
	}
	t.Chdir("/")
	if got, err := Root(); err == nil {
		t.Errorf("Root of / = %s", got)
	}
}

func stat(t *testing.T, name string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func TestTargetsAreThoseOfTheGateways(t *testing.T) {
	var names []string
	for _, target := range Targets() {
		names = append(names, target.Name)
	}
	if want := []string{"armv7", "arm64", "mips", "mipsle", "amd64"}; !slices.Equal(names, want) {
		t.Errorf("targets %v, want %v", names, want)
	}
	if _, err := Lookup("vax"); err == nil {
		t.Error("a target vax")
	}
}

func TestCompressed(t *testing.T) {
	name := filepath.Join(t.TempDir(), "zeros")
	write(t, name, strings.Repeat("0", 100_000))
	n, err := Compressed(t.Context(), name)
	if errors.Is(err, ErrNoXZ) {
		t.Skip(err)
	}
	if err != nil || n < 50 || n > 1000 {
		t.Errorf("Compressed = %d, %v", n, err)
	}
	if _, err := Compressed(t.Context(), name+".none"); err == nil {
		t.Error("no error for a file that is not there")
	}
}
