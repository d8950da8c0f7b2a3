package build

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestPatchFitsExactlyOnce(t *testing.T) {
	const a = "one\ntwo\nthree\ntwo\n"
	for _, tt := range []struct{ name, diff, want, wrong string }{
		{"a line goes", "--- a/a\n+++ b/a\n@@ -1,2 +1 @@\n one\n-two\n", "one\nthree\ntwo\n", ""},
		{"the last line", "--- a/a\n+++ b/a\n@@ -3,2 +3,2 @@ place\n three\n-two\n+2\n", "one\ntwo\nthree\n2\n", ""},
		{"two changes", "why\n--- a/a\n+++ b/a\n@@ -1 +0 @@\n-one\n@@ -3 +2,2 @@\n+x\n three\n", "two\nx\nthree\ntwo\n", ""},
		{"line numbers say nothing", "--- a/a\n+++ b/a\n@@ -90 +80 @@\n-one\n+1\n", "1\ntwo\nthree\ntwo\n", ""},
		{"twice there", "--- a/a\n+++ b/a\n@@ -2 +2 @@\n-two\n+2\n", "", "2 times in a"},
		{"not there", "--- a/a\n+++ b/a\n@@ -2 +2 @@\n-four\n", "", "0 times in a"},
		{"a part of a line", "--- a/a\n+++ b/a\n@@ -2 +2 @@\n-wo\n-three\n", "", "0 times in a"},
		{"no such file", "--- a/c\n+++ b/c\n@@ -1 +1 @@\n-one\n", "", "0 times in c"},
		{"the second does not fit", "--- a/a\n+++ b/a\n@@ -1 +0 @@\n-one\n--- a/b\n+++ b/b\n@@ -1 +0 @@\n-two\n", "", "0 times in b"},
		{"cut off", "--- a/a\n+++ b/a\n@@ -1,3 +1 @@\n one\ntwo\n", "", `"two`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{"a": a, "b": "one\n"}
			err := patch(files, tt.diff)
			if tt.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wrong) {
					t.Errorf("patch = %v, want %q", err, tt.wrong)
				}
				return
			}
			if err != nil || files["a"] != tt.want || files["b"] != "one\n" {
				t.Errorf("patch = %v, %q, want %q", err, files, tt.want)
			}
		})
	}
}

// user returns a module that requires the library as this one does.
func user(t *testing.T) string {
	t.Helper()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum"} {
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), string(b))
	}
	write(t, filepath.Join(dir, "main.go"), `package main

import mqtt "github.com/eclipse/paho.mqtt.golang"

func main() {
	token := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("ws://127.0.0.1:1")).Connect()
	token.Wait()
	print(token.Error().Error())
}
`)
	return dir
}

// TestReleaseHasTheChangedLibrary builds a program that asks for what is left
// out, with the library of go.mod and with that of a release.
func TestReleaseHasTheChangedLibrary(t *testing.T) {
	dir := user(t)
	modules, err := Modules(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		modules []string
		want    string
	}{
		{nil, "connection refused"},
		{modules, "unknown protocol"},
	} {
		cmd := exec.CommandContext(t.Context(), "go", append(append([]string{"run"}, tt.modules...), ".")...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOFLAGS=-mod=readonly", "GOPROXY=off")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), tt.want) {
			t.Errorf("with %v: %v, %s; want %q", tt.modules, err, out, tt.want)
		}
	}
}

func TestWhatWasWrittenIsFoundAgainAndMended(t *testing.T) {
	dir := user(t)
	first, err := Modules(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	was := tree(t, dir)
	for name := range was {
		if strings.HasSuffix(name, "netconn.go") {
			write(t, filepath.Join(dir, name), "half a f")
		}
	}
	again, err := Modules(t.Context(), dir)
	if err != nil || len(again) != 1 || again[0] != first[0] {
		t.Errorf("Modules = %v, %v; want %v", again, err, first)
	}
	if !maps.Equal(tree(t, dir), was) {
		t.Error("the second time left other files")
	}
}

// tree reads all files below a folder.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.Walk(dir, func(name string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		files[strings.TrimPrefix(name, dir)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestAnotherLibraryIsNoRelease(t *testing.T) {
	dir := user(t)
	b, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "go.mod"), string(b)+"\nreplace "+library+" => ./other\n")
	write(t, filepath.Join(dir, "other/go.mod"), "module "+library+"\n")
	write(t, filepath.Join(dir, "other/client.go"), "package mqtt\n")
	_, err = Modules(t.Context(), dir)
	if err == nil || !strings.Contains(err.Error(), "0 times in client.go") || !strings.Contains(err.Error(), "is not what paho.patch was written for") {
		t.Errorf("Modules = %v", err)
	}
}

func TestModuleWithoutTheLibraryIsBuiltAsItIs(t *testing.T) {
	if modules, err := Modules(t.Context(), program(t)); err != nil || modules != nil {
		t.Errorf("Modules = %v, %v", modules, err)
	}
}
