package build

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// library is the module that a release has with changes. Through types of its
// options it links net/http, WebSocket and proxies, which the agent never uses.
const library = "github.com/eclipse/paho.mqtt.golang"

//go:embed paho.patch
var changes string

// released is the folder, relative to the module's root, of what Modules
// writes. The binary names it where it tells what it is made of.
const released = "build/release"

// Modules returns the flags by which the go command, run in the module at root,
// takes the modules of a release: those of go.mod, and the library with the
// changes in paho.patch, which Modules writes below the folder build. A module
// that does not require the library is built as it is.
func Modules(ctx context.Context, root string) ([]string, error) {
	var mod struct{ Require []struct{ Path string } }
	if err := goJSON(ctx, root, &mod, "mod", "edit", "-json"); err != nil {
		return nil, fmt.Errorf("modules of a release: %w", err)
	}
	if !slices.ContainsFunc(mod.Require, func(r struct{ Path string }) bool { return r.Path == library }) {
		return nil, nil
	}
	var found struct {
		Module struct{ Dir, Version string }
	}
	if err := goJSON(ctx, root, &found, "list", "-find", "-json=Module", library); err != nil {
		return nil, fmt.Errorf("modules of a release: %w", err)
	}
	files, err := libraryFiles(os.DirFS(found.Module.Dir))
	if err != nil {
		return nil, fmt.Errorf("modules of a release: read %s: %w", library, err)
	}
	if err := patch(files, changes); err != nil {
		return nil, fmt.Errorf("modules of a release: %s %s is not what paho.patch was written for; read its changes and renew the patch: %w",
			library, found.Module.Version, err)
	}
	// What differs has another name, so that nobody's build disturbs another's.
	folder := released + "/paho.mqtt.golang-" + digest(files)
	for name, text := range files {
		if err := keep(filepath.Join(root, folder, name), text); err != nil {
			return nil, err
		}
	}
	return modFile(root, folder)
}

// modFile writes root's go.mod with the library replaced by the one in folder.
func modFile(root, folder string) ([]string, error) {
	mods := make(map[string]string)
	for _, name := range []string{"go.mod", "go.sum"} {
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return nil, fmt.Errorf("modules of a release: %w", err)
		}
		mods[name] = string(b)
	}
	mods["go.mod"] += fmt.Sprintf("\nreplace %s => ./%s\n", library, folder)
	base := filepath.Join(root, released, digest(mods))
	if err := errors.Join(keep(base+".mod", mods["go.mod"]), keep(base+".sum", mods["go.sum"])); err != nil {
		return nil, err
	}
	return []string{"-modfile=" + base + ".mod"}, nil
}

// goJSON runs the go command in root and decodes what it prints.
func goJSON(ctx context.Context, root string, v any, args ...string) error {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env, cmd.Stderr = root, append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off"), &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	if err := json.Unmarshal(out, v); err != nil {
		return fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// libraryFiles reads what a build may need of a module.
func libraryFiles(module fs.FS) (map[string]string, error) {
	files := make(map[string]string)
	err := fs.WalkDir(module, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == "cmd": // programs that show how it is used
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		if name != "go.mod" && (!strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go")) {
			return nil
		}
		b, err := fs.ReadFile(module, name)
		files[name] = string(b)
		return err
	})
	return files, err
}

// patch applies a unified diff to files. Of line numbers it makes no use: what a
// hunk shows of the old file must be there as it is, and only once.
func patch(files map[string]string, diff string) error {
	var name string
	for chunk := range strings.SplitSeq("\n"+diff, "\n@@ ") {
		before, next, _ := strings.Cut(chunk, "\n--- a/")
		if name != "" {
			if err := hunk(files, name, before); err != nil {
				return err
			}
		}
		if next != "" {
			name, _, _ = strings.Cut(next, "\n")
		}
	}
	return nil
}

// hunk applies the lines of one hunk, its first being the rest of its header.
func hunk(files map[string]string, name, text string) error {
	var was, is strings.Builder
	place, lines, _ := strings.Cut(text, "\n")
	for line := range strings.Lines(strings.TrimSuffix(lines, "\n") + "\n") {
		switch line[0] {
		case '-':
			was.WriteString(line[1:])
		case '+':
			is.WriteString(line[1:])
		case ' ':
			was.WriteString(line[1:])
			is.WriteString(line[1:])
		default:
			return fmt.Errorf("hunk %s of %s: line %q", place, name, line)
		}
	}
	// The newline before makes it whole lines.
	file := "\n" + files[name]
	if n := strings.Count(file, "\n"+was.String()); n != 1 {
		return fmt.Errorf("hunk %s: its lines are %d times in %s", place, n, name)
	}
	files[name] = strings.Replace(file, "\n"+was.String(), "\n"+is.String(), 1)[1:]
	return nil
}

// digest names files by their content.
func digest(files map[string]string) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(h, "%s %d\n%s", name, len(files[name]), files[name])
	}
	return fmt.Sprintf("%.6x", h.Sum(nil))
}

// keep makes the file hold text. Builds that run side by side see it whole.
func keep(name, text string) error {
	if b, err := os.ReadFile(name); err == nil && string(b) == text {
		return nil
	}
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("modules of a release: %w", err)
	}
	f, err := os.CreateTemp(dir, "new-*")
	if err != nil {
		return fmt.Errorf("modules of a release: %w", err)
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("modules of a release: %w", err), os.Remove(f.Name()))
	}
	return nil
}
