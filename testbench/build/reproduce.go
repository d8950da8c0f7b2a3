package build

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// sources lists what the agent is made of, relative to the module's root.
// testbench is not in it: the copy also shows that the agent does without.
var sources = [...]string{"go.mod", "go.sum", "VERSION", "agent", "collector", "buffer", "uplink", "firmware"}

// Reproduce builds t once more from a copy of the tree at root under the empty
// folder scratch, with an empty build cache, and returns an error if the bytes
// are not those of the file built.
func Reproduce(ctx context.Context, root string, t Target, built, scratch string) error {
	tree := filepath.Join(scratch, "elsewhere", "tree")
	if err := copySources(tree, root); err != nil {
		return err
	}
	version, err := Version(tree)
	if err != nil {
		return err
	}
	again := filepath.Join(scratch, "again-"+t.Name)
	env := append(t.Environ(), "GOCACHE="+filepath.Join(scratch, "cache"))
	if err := agent(ctx, tree, env, version, again); err != nil {
		return err
	}
	return sameBytes(built, again)
}

func copySources(to, root string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return fmt.Errorf("copy tree: %w", err)
	}
	for _, name := range sources {
		from := filepath.Join(root, name)
		info, err := os.Stat(from)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return fmt.Errorf("copy tree: %w", err)
		case info.IsDir():
			err = os.CopyFS(filepath.Join(to, name), os.DirFS(from))
		default:
			var b []byte
			if b, err = os.ReadFile(from); err == nil {
				err = os.WriteFile(filepath.Join(to, name), b, 0o644)
			}
		}
		if err != nil {
			return fmt.Errorf("copy tree: %w", err)
		}
	}
	return nil
}

func sameBytes(a, b string) error {
	x, err := os.ReadFile(a)
	if err != nil {
		return fmt.Errorf("compare builds: %w", err)
	}
	y, err := os.ReadFile(b)
	if err != nil {
		return fmt.Errorf("compare builds: %w", err)
	}
	if bytes.Equal(x, y) {
		return nil
	}
	at := 0
	for at < min(len(x), len(y)) && x[at] == y[at] {
		at++
	}
	return fmt.Errorf("two builds differ from byte %d on: %s is %x, %s is %x",
		at, filepath.Base(a), sha256.Sum256(x), filepath.Base(b), sha256.Sum256(y))
}
