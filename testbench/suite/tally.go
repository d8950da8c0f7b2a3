package suite

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Counts says how many tests ended how.
type Counts struct {
	Passed, Failed, Skipped int
}

// String returns the line that a run of the tests ends with.
func (c Counts) String() string {
	s := fmt.Sprintf("%d passed, %d failed", c.Passed, c.Failed)
	if c.Skipped > 0 {
		s += fmt.Sprintf(", %d skipped", c.Skipped)
	}
	return s
}

func (c *Counts) add(o Counts) {
	c.Passed += o.Passed
	c.Failed += o.Failed
	c.Skipped += o.Skipped
}

// A Skip is a test that was not run, and why.
type Skip struct {
	Lane, Package, Test, Reason string
}

// An event is one line of "go test -json" (go doc test2json).
type event struct {
	Action, Package, ImportPath, Test, Output, FailedBuild string

	Elapsed float64 // seconds
}

// A tally follows the stream of one lane. Each test without subtests counts
// once; a test with subtests counts only where it failed by itself.
type tally struct {
	w        io.Writer
	lane     string
	trim     string // prefix of import paths that nobody needs to read
	counts   Counts
	skips    []Skip
	packages map[string]*packageState
	builds   map[string][]string // output of the compiler by import path
}

type packageState struct {
	tests  map[string]*testState
	output []string // what belongs to no test
}

type testState struct {
	outcome string // pass, fail, skip; empty while running
	parent  bool
	ran     bool // false for "T/a" where the only test is "T/a/b": a slash in a name
	output  []string
}

func newTally(w io.Writer, lane, trim string) *tally {
	return &tally{
		w: w, lane: lane, trim: trim,
		packages: map[string]*packageState{}, builds: map[string][]string{},
	}
}

// maxLine is the longest line of the stream that is understood.
const maxLine = 16 << 20

// follow reads the stream to its end. Lines that are not events are passed on.
func (t *tally) follow(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintf(t.w, "%s\n", lines.Bytes())
			continue
		}
		t.take(e)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read test events: %w", err)
	}
	return nil
}

func (t *tally) take(e event) {
	switch e.Action {
	case "build-output":
		t.builds[e.ImportPath] = append(t.builds[e.ImportPath], e.Output)
		return
	case "build-fail":
		return
	}
	if e.Package == "" {
		return
	}
	p := t.packages[e.Package]
	if p == nil {
		p = &packageState{tests: map[string]*testState{}}
		t.packages[e.Package] = p
	}
	if e.Test == "" {
		switch e.Action {
		case "output":
			p.output = append(p.output, e.Output)
		case "pass", "fail", "skip":
			t.endPackage(e, p)
		}
		return
	}
	s := p.test(e.Test)
	s.ran = true
	switch e.Action {
	case "output":
		s.output = append(s.output, e.Output)
	case "pass":
		s.outcome, s.output = e.Action, nil
	case "fail", "skip":
		s.outcome = e.Action
	}
}

// test returns the state of the test called name and marks its parents.
func (p *packageState) test(name string) *testState {
	s := p.tests[name]
	if s != nil {
		return s
	}
	s = &testState{}
	p.tests[name] = s
	if i := strings.LastIndexByte(name, '/'); i > 0 {
		p.test(name[:i]).parent = true
	}
	return s
}

// endPackage counts the tests of a package and prints its line.
func (t *tally) endPackage(e event, p *packageState) {
	delete(t.packages, e.Package)
	name := strings.TrimPrefix(e.Package, t.trim)
	var c Counts
	var failures []string
	for _, test := range slices.Sorted(maps.Keys(p.tests)) {
		s := p.tests[test]
		switch {
		case !s.ran:
		case s.outcome == "skip":
			c.Skipped++
			t.skips = append(t.skips, Skip{t.lane, name, test, reason(s.output)})
		case s.outcome == "pass" && !s.parent:
			c.Passed++
		case s.outcome != "pass":
			failures = append(failures, strings.Join(s.output, ""))
			if !s.parent || !p.failedBelow(test) {
				c.Failed++
			}
		}
	}
	if e.Action == "fail" && c.Failed == 0 {
		c.Failed++
	}
	t.counts.add(c)
	t.printPackage(e, name, c, len(p.tests))
	if e.Action == "fail" {
		failures = append(failures, strings.Join(p.output, ""), strings.Join(t.builds[e.FailedBuild], ""))
		for _, f := range failures {
			fmt.Fprint(t.w, indent(f))
		}
	}
}

func (t *tally) printPackage(e event, name string, c Counts, tests int) {
	word := map[string]string{"pass": "ok", "fail": "FAIL", "skip": "none"}[e.Action]
	took := time.Duration(e.Elapsed * float64(time.Second)).Round(10 * time.Millisecond)
	if tests == 0 && e.Action != "fail" {
		fmt.Fprintf(t.w, "  none  %-42s no tests\n", name)
		return
	}
	fmt.Fprintf(t.w, "  %-5s %-42s %8v  %v\n", word, name, took, c)
}

// failedBelow says whether a subtest of the test called name failed.
func (p *packageState) failedBelow(name string) bool {
	for sub, s := range p.tests {
		if s.ran && s.outcome != "pass" && s.outcome != "skip" && strings.HasPrefix(sub, name+"/") {
			return true
		}
	}
	return false
}

// end counts what never ended because the go command itself stopped. cause is
// how it ended; a cause without any counted failure is one.
func (t *tally) end(cause error) {
	for _, name := range slices.Sorted(maps.Keys(t.packages)) {
		p := t.packages[name]
		p.output = append(p.output, "did not end\n")
		t.endPackage(event{Action: "fail", Package: name}, p)
	}
	if cause != nil && t.counts.Failed == 0 {
		t.counts.Failed++
		fmt.Fprintf(t.w, "  FAIL  %s: %v\n", t.lane, cause)
	}
}

// reason returns why a test was skipped: the text of its t.Skip.
func reason(output []string) string {
	var text []string
	for _, line := range output {
		s := strings.TrimSpace(line)
		if s == "" || strings.HasPrefix(s, "=== ") || strings.HasPrefix(s, "--- ") {
			continue
		}
		if _, after, ok := strings.Cut(s, ".go:"); ok {
			if _, msg, ok := strings.Cut(after, ": "); ok {
				s = msg
			}
		}
		text = append(text, s)
	}
	if len(text) == 0 {
		return "no reason given"
	}
	return strings.Join(text, "; ")
}

func indent(s string) string {
	if s == "" {
		return ""
	}
	return "        " + strings.ReplaceAll(strings.TrimSuffix(s, "\n"), "\n", "\n        ") + "\n"
}
