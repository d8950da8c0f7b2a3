package build

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// AgentPackage is the program that is shipped, relative to the module's root.
const AgentPackage = "./agent/cmd/livebox-agent"

// A Target is one processor that the agent is shipped for.
type Target struct {
	// Name ends the name of the binary: livebox-agent-linux-<Name>.
	Name string
	// Env selects the processor for the go command. Every variable that
	// changes the bytes is in it, so that a setting of the builder's does not.
	Env []string
}

// Targets lists what is shipped, in the order in which it is shown.
func Targets() []Target {
	return []Target{
		{"armv7", []string{"GOARCH=arm", "GOARM=7"}},
		{"arm64", []string{"GOARCH=arm64", "GOARM64=v8.0"}},
		{"mips", []string{"GOARCH=mips", "GOMIPS=softfloat"}},
		{"mipsle", []string{"GOARCH=mipsle", "GOMIPS=softfloat"}},
		{"amd64", []string{"GOARCH=amd64", "GOAMD64=v1"}},
	}
}

// Lookup returns the target called name.
func Lookup(name string) (Target, error) {
	for _, t := range Targets() {
		if t.Name == name {
			return t, nil
		}
	}
	return Target{}, fmt.Errorf("unknown target %q", name)
}

// Host returns the target of the processor that the tests run on.
func Host() Target {
	for _, t := range Targets() {
		if t.Env[0] == "GOARCH="+runtime.GOARCH {
			return t
		}
	}
	return Target{runtime.GOARCH, []string{"GOARCH=" + runtime.GOARCH}}
}

// File returns the name of the target's binary.
func (t Target) File() string { return "livebox-agent-linux-" + t.Name }

// Environ returns the process environment with the target's settings. Of the
// builder's own, only what does not change the bytes is left (proxy, caches).
func (t Target) Environ() []string {
	return append(os.Environ(), append([]string{
		"GOOS=linux", "CGO_ENABLED=0",
		"GOFLAGS=-mod=readonly", "GOEXPERIMENT=", "GOFIPS140=off", "GOWORK=off",
	}, t.Env...)...)
}

// Agent builds the agent of the module at root for t into the file out.
func Agent(ctx context.Context, root string, t Target, out string) error {
	version, err := Version(root)
	if err != nil {
		return err
	}
	return agent(ctx, root, t.Environ(), version, out)
}

func agent(ctx context.Context, root string, env []string, version, out string) error {
	out, err := filepath.Abs(out)
	if err != nil {
		return fmt.Errorf("build agent: %w", err)
	}
	modules, err := Modules(ctx, root)
	if err != nil {
		return err
	}
	args := slices.Concat([]string{
		"build", "-trimpath", "-buildvcs=false",
		"-ldflags=-s -w -buildid= -X main.version=" + version, "-o", out,
	}, modules, lean(), []string{AgentPackage})
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = root, env
	if msg, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", filepath.Base(out), err, bytes.TrimSpace(msg))
	}
	return nil
}

// lean returns the flags that trade speed for size: without inlining, arm's
// binary is 0.5 MB smaller (0.2 MB as xz). The arithmetic of handshakes, which
// would be four times slower, the codec, the parser of replies and the runtime
// keep it.
func lean() []string {
	flags := []string{"-gcflags=all=-l"}
	for _, hot := range []string{
		"livebox-agent/uplink/wire",
		"livebox-agent/collector/platform/tree",
		"crypto/internal/fips140/nistec/...",
		"crypto/internal/fips140/edwards25519/field",
		"runtime",
	} {
		flags = append(flags, "-gcflags="+hot+"=")
	}
	return flags
}

// Version returns the version that the file VERSION in root states: one line
// such as 1.2.3 or 1.2.3-rc.1.
func Version(root string) (string, error) {
	b, err := os.ReadFile(filepath.Join(root, "VERSION"))
	if err != nil {
		return "", fmt.Errorf("version: %w", err)
	}
	v := strings.TrimSuffix(string(b), "\n")
	if v == "" || strings.ContainsFunc(v, func(r rune) bool {
		return !strings.ContainsRune("0123456789abcdefghijklmnopqrstuvwxyz.-+~", r)
	}) {
		return "", fmt.Errorf("version: VERSION holds %q, want one line such as 1.2.3", v)
	}
	return v, nil
}

// Root returns the folder of the module that the working directory is in.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find module: %w", err)
	}
	for {
		_, err := os.Stat(filepath.Join(dir, "go.mod"))
		if err == nil {
			return dir, nil
		}
		if !errors.Is(err, fs.ErrNotExist) || filepath.Dir(dir) == dir {
			return "", fmt.Errorf("find module: no go.mod here or above: %w", err)
		}
		dir = filepath.Dir(dir)
	}
}

// CheckStatic returns an error that says what the ELF file at path asks of the
// box's C library, or nil where it asks nothing.
func CheckStatic(path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("read ELF: %w", err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		switch p.Type {
		case elf.PT_INTERP:
			return fmt.Errorf("%s is not static: it asks for a loader", filepath.Base(path))
		case elf.PT_DYNAMIC:
			return fmt.Errorf("%s is not static: it has a dynamic section", filepath.Base(path))
		}
	}
	return nil
}

// ErrNoXZ says that the xz program is not installed.
var ErrNoXZ = errors.New("xz is not installed (Debian: xz-utils)")

// Compressed returns how many bytes the file at path takes after xz -9, which
// is about what it takes in a firmware image.
func Compressed(ctx context.Context, path string) (int64, error) {
	if _, err := exec.LookPath("xz"); err != nil {
		return 0, ErrNoXZ
	}
	var n countingWriter
	cmd := exec.CommandContext(ctx, "xz", "-9", "--threads=1", "--stdout", "--", path)
	cmd.Stdout = &n
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("xz %s: %w", path, err)
	}
	return int64(n), nil
}

// countingWriter counts what is written to it.
type countingWriter int64

func (n *countingWriter) Write(p []byte) (int, error) {
	*n += countingWriter(len(p))
	return len(p), nil
}
