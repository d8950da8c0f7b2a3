package suite

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// module writes the files of a txtar archive as a module and returns its folder.
func module(t *testing.T, archive string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range txtar.Parse([]byte(archive)).Files {
		name := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// run runs the plain lane over all of dir and returns its output's lines.
func runPlain(t *testing.T, dir string, m Machine) ([]string, error) {
	t.Helper()
	var out bytes.Buffer
	err := Run(t.Context(), &out, Options{
		Root: dir, Lanes: []string{"plain"}, Packages: []string{"./..."}, Timeout: 2 * time.Second, Machine: m,
	})
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n"), err
}

const head = `
-- go.mod --
module example.test/m

go 1.26
`

func TestRunCountsTheTestsOfAModule(t *testing.T) {
	lines, err := runPlain(t, module(t, head+`
-- a/a_test.go --
package a

import "testing"

func TestOne(t *testing.T) {}

func TestParentCountsItsSubtestsOnly(t *testing.T) {
	t.Run("x", func(t *testing.T) {})
	t.Run("y", func(t *testing.T) { t.Skip("no radio here") })
}
-- b/b.go --
package b
`), Machine{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := lines[len(lines)-1], "2 passed, 0 failed, 1 skipped"; got != want {
		t.Errorf("last line %q, want %q", got, want)
	}
	if want := "  plain  a  TestParentCountsItsSubtestsOnly/y: no radio here"; !slices.Contains(lines, want) {
		t.Errorf("no line %q in\n%s", want, strings.Join(lines, "\n"))
	}
	if n := len(slices.DeleteFunc(lines, func(l string) bool { return !strings.Contains(l, "passed,") })); n != 2 {
		t.Errorf("%d lines with counts, want that of package a and the last one", n)
	}
}

func TestWhatDoesNotBuildNeverEndsOrCrashesIsAFailure(t *testing.T) {
	for name, tt := range map[string]struct{ file, says, last string }{
		"fails":          {`func TestIt(t *testing.T) { t.Error("seven is not eight") }`, "seven is not eight", "0 passed, 1 failed"},
		"does not build": {`func TestIt(t *testing.T) { nowhere() }`, "undefined: nowhere", "0 passed, 1 failed"},
		"never ends":     {`func TestIt(t *testing.T) { select {} }; func TestGood(t *testing.T) {}`, "test timed out", "0 passed, 1 failed"},
		"panics":         {`func TestGood(t *testing.T) {}; func TestIt(t *testing.T) { panic("boo") }`, "boo", "0 passed, 1 failed"},
		"exits": {
			`func TestMain(m *testing.M) { m.Run(); os.Exit(3) }; func TestGood(t *testing.T) {}`,
			"FAIL\texample.test/m", "1 passed, 1 failed",
		},
		"crashes in a subtest": {
			`func TestIt(t *testing.T) { t.Run("good", func(*testing.T) {}); t.Run("bad", func(*testing.T) { os.Exit(4) }) }`,
			"=== RUN   TestIt/bad", "1 passed, 1 failed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			lines, err := runPlain(t, module(t, head+`
-- a_test.go --
package a

import ("os"; "testing")

var _ = os.Exit

`+tt.file+"\n"), Machine{})
			if !errors.Is(err, ErrFailed) {
				t.Errorf("Run = %v, want ErrFailed", err)
			}
			all := strings.Join(lines, "\n")
			if !strings.Contains(all, tt.says) {
				t.Errorf("output does not say %q:\n%s", tt.says, all)
			}
			// The order is random: what ran before the crash may have passed.
			if last := lines[len(lines)-1]; last != tt.last && last != "1 passed, 1 failed" {
				t.Errorf("last line %q, want %q", last, tt.last)
			}
		})
	}
}

func TestGoCommandThatCannotStartIsAFailure(t *testing.T) {
	dir := module(t, head+"-- a_test.go --\npackage a\n")
	var out bytes.Buffer
	err := Run(t.Context(), &out, Options{
		Root: dir, Lanes: []string{"plain"}, Packages: []string{"./nowhere/..."}, Timeout: time.Second,
	})
	if !errors.Is(err, ErrFailed) || !strings.HasSuffix(out.String(), "\n0 passed, 1 failed\n") {
		t.Errorf("Run = %v, output\n%s", err, &out)
	}
}

// TestBoxLanesRunWithTheModulesOfARelease: the lanes test what is shipped, the
// race lane what "go build" gives. A library that is none of a release's is an
// error of the lane before a test of it runs.
func TestBoxLanesRunWithTheModulesOfARelease(t *testing.T) {
	const library = "github.com/eclipse/paho.mqtt.golang"
	dir := module(t, `
-- go.mod --
module example.test/m

go 1.26

require `+library+` v1.5.1

replace `+library+` => ./library
-- go.sum --
-- library/go.mod --
module `+library+`
-- library/client.go --
package mqtt
-- uplink/a_test.go --
package a

import (
	"testing"

	_ "`+library+`"
)

func TestIt(*testing.T) {}
`)
	for _, tt := range []struct{ lane, last, says string }{
		{"race", "1 passed, 0 failed", ""},
		{"plain", "0 passed, 1 failed", "is not what paho.patch was written for"},
		{"mips", "0 passed, 1 failed", "is not what paho.patch was written for"},
	} {
		lanes, err := choose(Lanes(), []string{tt.lane})
		if err != nil {
			t.Fatal(err)
		}
		lane := lanes[0]
		// Neither compiler nor emulator is needed to tell.
		lane.Env, lane.Args, lane.Needs = nil, nil, nil
		var out bytes.Buffer
		r := &run{w: &out, o: Options{Root: dir, Timeout: time.Minute, Packages: []string{"./uplink"}}, module: "example.test/m"}
		r.lane(t.Context(), lane)
		if got := r.total.String(); got != tt.last || !strings.Contains(out.String(), tt.says) {
			t.Errorf("%s: %s, want %s and %q\n%s", tt.lane, got, tt.last, tt.says, &out)
		}
	}
}

func TestUnknownLaneIsRefused(t *testing.T) {
	err := Run(t.Context(), t.Output(), Options{Root: ".", Lanes: []string{"riscv"}})
	if err == nil || errors.Is(err, ErrFailed) {
		t.Errorf("Run = %v, want an error of its own", err)
	}
}

// without returns the tools with a compiler that is never there.
func without(name string) []Tool {
	return []Tool{{name, []string{"some-package"}, "something", func(context.Context) error { return errors.New("absent") }}}
}

func TestLaneThatCannotRunIsASkipAndAFailureInCI(t *testing.T) {
	dir := module(t, head+"-- a_test.go --\npackage a\n\nimport \"testing\"\n\nfunc TestIt(*testing.T) {}\n")
	for _, tt := range []struct {
		ci   bool
		last string
		err  error
	}{
		{false, "0 passed, 0 failed, 1 skipped", nil},
		{true, "0 passed, 1 failed", ErrFailed},
	} {
		var out bytes.Buffer
		err := Run(t.Context(), &out, Options{
			Root: dir, Lanes: []string{"mips"}, Timeout: time.Minute,
			Machine: Machine{CI: tt.ci}, Tools: without("qemu-mips-static"),
		})
		if !errors.Is(err, tt.err) {
			t.Errorf("CI %v: Run = %v, want %v", tt.ci, err, tt.err)
		}
		if !strings.HasSuffix(out.String(), "\n"+tt.last+"\n") {
			t.Errorf("CI %v: want last line %q:\n%s", tt.ci, tt.last, &out)
		}
		if !strings.Contains(out.String(), "apt-get install some-package") {
			t.Errorf("CI %v: does not name the package:\n%s", tt.ci, &out)
		}
	}
}

func TestWithoutRaceDetectorThePlainLaneTakesEverything(t *testing.T) {
	plain := Lanes()[1]
	r := &run{o: Options{Root: t.TempDir()}}
	if got := r.packages(plain); got != nil {
		t.Errorf("packages of a module without agent: %v", got)
	}
	for _, name := range []string{"agent", "testbench/storage", "testbench/other"} {
		if err := os.MkdirAll(filepath.Join(r.o.Root, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"./agent/...", "./testbench/storage/..."}, r.packages(plain)); diff != "" {
		t.Errorf("packages of the plain lane: %s", diff)
	}
	r.missing = map[string]string{"cc": "absent"}
	if diff := cmp.Diff([]string{"./..."}, r.packages(plain)); diff != "" {
		t.Error(diff)
	}
}

func TestMissingToolsAreInstalledAsRootOnDebian(t *testing.T) {
	installed := map[string]bool{}
	var asked [][]string
	m := Machine{Root: true, Debian: true, Install: func(_ context.Context, packages []string) error {
		asked = append(asked, packages)
		for _, p := range packages {
			installed[p] = true
		}
		return nil
	}}
	tool := func(name, pkg string) Tool {
		return Tool{name, []string{pkg}, "it", func(context.Context) error {
			if installed[pkg] {
				return nil
			}
			return errors.New("absent")
		}}
	}
	var out bytes.Buffer
	missing := provide(t.Context(), &out, m, []Tool{tool("b", "two"), tool("a", "one"), tool("c", "two")})
	if len(missing) != 0 {
		t.Errorf("missing %v", missing)
	}
	if diff := cmp.Diff([][]string{{"one", "two"}}, asked); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(out.String(), "Installing Debian packages (running as root on Debian): one two\n") {
		t.Errorf("does not say what it does: %s", &out)
	}
	m.Root = false
	clear(installed)
	if missing := provide(t.Context(), &out, m, []Tool{tool("a", "one")}); len(missing) != 1 || len(asked) != 1 {
		t.Errorf("not root: missing %v, asked %v", missing, asked)
	}
}

func TestFailedInstallationIsToldAndTheToolStaysMissing(t *testing.T) {
	m := Machine{Root: true, Debian: true, Install: func(context.Context, []string) error { return errors.New("no network") }}
	var out bytes.Buffer
	missing := provide(t.Context(), &out, m, without("cc"))
	if _, ok := missing["cc"]; !ok || !strings.Contains(out.String(), "no network") {
		t.Errorf("missing %v, output %s", missing, &out)
	}
}

func TestToolsOfThisMachineCanBeProbed(t *testing.T) {
	for _, tool := range Tools() {
		err := tool.Probe(t.Context())
		t.Logf("%s: %v", tool.Name, err)
		if len(tool.Debian) == 0 || tool.For == "" {
			t.Errorf("%s does not say what brings it and what it is for", tool.Name)
		}
	}
	if err := starts("no-such-program-anywhere")(t.Context()); err == nil {
		t.Error("a program that is not there starts")
	}
	t.Setenv("CC", "no-such-compiler-anywhere")
	if err := compiles(t.Context()); err == nil {
		t.Error("a compiler that is not there compiles")
	}
}

func TestEveryNeededToolIsKnown(t *testing.T) {
	known := map[string]bool{}
	for _, tool := range Tools() {
		known[tool.Name] = true
	}
	for _, l := range Lanes() {
		for _, name := range l.Needs {
			if !known[name] {
				t.Errorf("lane %s needs %s, which nobody probes", l.Name, name)
			}
		}
	}
}
