package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"livebox-agent/testbench/build"
)

// A Lane is one way to run tests.
type Lane struct {
	Name string
	// About says what the lane is for.
	About string
	// Env is added to the environment of the go command.
	Env []string
	// Args come before the packages.
	Args []string
	// Agent limits the lane to the packages that the box runs, with the modules
	// of a release.
	Agent bool
	// Also are folders that the lane tests beside those of the agent: what
	// tries so much that the race lane tries a part of it.
	Also []string
	// Needs names the tools without which the lane cannot run.
	Needs []string
}

// Lanes lists every lane in the order in which they run.
func Lanes() []Lane {
	emulated := func(name, about, qemu string, env ...string) Lane {
		return Lane{
			Name: name, About: about, Agent: true, Needs: []string{qemu},
			Env: append([]string{"GOOS=linux", "CGO_ENABLED=0"}, env...), Args: []string{"-exec", qemu},
		}
	}
	return []Lane{
		{Name: "race", About: "everything, race detector", Env: []string{"CGO_ENABLED=1"}, Args: []string{"-race"}, Needs: []string{"cc"}},
		{Name: "plain", About: "the agent's packages as shipped, and every fault of its storage", Env: []string{"CGO_ENABLED=0"}, Agent: true, Also: []string{"testbench/storage"}},
		emulated("armv7", "the agent's packages on ARM v7", "qemu-arm-static", "GOARCH=arm", "GOARM=7"),
		emulated("mips", "the agent's packages on MIPS, big endian", "qemu-mips-static", "GOARCH=mips", "GOMIPS=softfloat"),
		emulated("mipsle", "the agent's packages on MIPS, little endian", "qemu-mipsel-static", "GOARCH=mipsle", "GOMIPS=softfloat"),
	}
}

// AgentFolders are the top-level folders whose packages the box runs.
func AgentFolders() []string {
	return []string{"agent", "buffer", "collector", "firmware", "uplink"}
}

// Options select what a run does.
type Options struct {
	// Root is the module's folder.
	Root string
	// Lanes names the lanes to run; empty means all.
	Lanes []string
	// Packages limits the lanes to package patterns; empty means all.
	Packages []string
	// Timeout is how long the tests of one package may take.
	Timeout time.Duration
	Machine Machine
	Tools   []Tool
}

// ErrFailed says that at least one test failed; the output has said which.
var ErrFailed = errors.New("tests failed")

// Run runs the lanes and writes what happens to w, for a person. The last line
// is the count. The error is ErrFailed where a test failed, and another one
// where the run itself could not be made.
func Run(ctx context.Context, w io.Writer, o Options) error {
	lanes, err := choose(Lanes(), o.Lanes)
	if err != nil {
		return err
	}
	module, err := modulePath(ctx, o.Root)
	if err != nil {
		return err
	}
	start := time.Now()
	missing := provide(ctx, w, o.Machine, o.Tools)
	r := &run{w: w, o: o, module: module, missing: missing}
	r.stage("tools", start)
	for _, lane := range lanes {
		start := time.Now()
		r.lane(ctx, lane)
		r.stage(lane.Name, start)
		if ctx.Err() != nil {
			r.total.Failed++
			fmt.Fprintf(w, "\ninterrupted: %v\n", context.Cause(ctx))
			break
		}
	}
	r.summary()
	if r.total.Failed > 0 {
		return ErrFailed
	}
	return nil
}

// choose returns the lanes with the given names, all where there are none.
func choose(lanes []Lane, names []string) ([]Lane, error) {
	if len(names) == 0 {
		return lanes, nil
	}
	var chosen []Lane
	for _, name := range names {
		i := slices.IndexFunc(lanes, func(l Lane) bool { return l.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("unknown lane %q", name)
		}
		chosen = append(chosen, lanes[i])
	}
	return chosen, nil
}

func modulePath(ctx context.Context, root string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go list -m in %s: %w", root, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// run is one run of the suite.
type run struct {
	w       io.Writer
	o       Options
	module  string
	missing map[string]string // why a tool is missing
	total   Counts
	skips   []Skip
	stages  []string
}

func (r *run) stage(name string, start time.Time) {
	r.stages = append(r.stages, fmt.Sprintf("%s %v", name, time.Since(start).Round(time.Second)))
}

// lane runs one lane, or counts it as skipped.
func (r *run) lane(ctx context.Context, l Lane) {
	fmt.Fprintf(r.w, "%s: %s\n", l.Name, l.About)
	defer fmt.Fprintln(r.w)
	for _, tool := range l.Needs {
		why, ok := r.missing[tool]
		switch {
		case !ok:
		case r.o.Machine.CI:
			r.total.Failed++
			fmt.Fprintf(r.w, "  FAIL  %s\n", why)
			return
		default:
			r.total.Skipped++
			r.skips = append(r.skips, Skip{l.Name, "(the whole lane)", "", why})
			fmt.Fprintf(r.w, "  skip  %s\n", why)
			return
		}
	}
	packages := r.packages(l)
	if len(packages) == 0 {
		fmt.Fprintln(r.w, "  none  no packages")
		return
	}
	t := newTally(r.w, l.Name, r.module+"/")
	cause := r.goTest(ctx, l, packages, t)
	t.end(cause)
	r.total.add(t.counts)
	r.skips = append(r.skips, t.skips...)
}

// packages returns the patterns of a lane. Where the race lane cannot run, the
// plain lane takes everything.
func (r *run) packages(l Lane) []string {
	_, noRace := r.missing["cc"]
	switch {
	case len(r.o.Packages) > 0:
		return r.o.Packages
	case !l.Agent, l.Name == "plain" && noRace:
		return []string{"./..."}
	}
	var patterns []string
	for _, folder := range slices.Concat(AgentFolders(), l.Also) {
		if _, err := os.Stat(filepath.Join(r.o.Root, folder)); err == nil {
			patterns = append(patterns, "./"+folder+"/...")
		}
	}
	return patterns
}

// goTest runs the go command of a lane and returns how it ended, nil for well.
func (r *run) goTest(ctx context.Context, l Lane, packages []string, t *tally) error {
	var modules []string
	if l.Agent {
		var err error
		if modules, err = build.Modules(ctx, r.o.Root); err != nil {
			return err
		}
	}
	args := slices.Concat([]string{"test", "-json", "-shuffle=on", "-timeout", r.o.Timeout.String()}, modules, l.Args, packages)
	cmd := exec.CommandContext(ctx, "go", args...)
	// Interrupted, the go command ends its tests; killed, it leaves them.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Dir, cmd.Env = r.o.Root, append(os.Environ(), l.Env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = t.follow(out)
	if waited := cmd.Wait(); err == nil {
		err = waited
	}
	if stderr.Len() > 0 {
		fmt.Fprint(r.w, indent(stderr.String()))
	}
	return err
}

// summary prints what was skipped, how long the stages took and the count.
func (r *run) summary() {
	for i, s := range r.skips {
		if i == 0 {
			fmt.Fprintln(r.w, "Skipped:")
		}
		fmt.Fprintf(r.w, "  %s  %s  %s: %s\n", s.Lane, s.Package, s.Test, s.Reason)
	}
	fmt.Fprintf(r.w, "Time: %s\n\n%v\n", strings.Join(r.stages, ", "), r.total)
}
