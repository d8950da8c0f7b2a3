package e2e

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"livebox-agent/agent"
	"livebox-agent/testbench/cem"
	"livebox-agent/testbench/freeport"
	"livebox-agent/testbench/lab"
	"livebox-agent/testbench/pki"
	"livebox-agent/testbench/process"
)

const (
	// box is the one whose agent is tested.
	box = "box1"
	// patience bounds every wait: machines that build at the same time are slow.
	patience = 60 * time.Second
	// window is the shortest that the agent takes.
	window = time.Second
)

// program builds the agent once for all tests.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "livebox-agent-e2e")
	if err != nil {
		return "", err
	}
	programDir = dir
	return process.Build(context.Background(), dir)
})

// programDir is where program built, empty where it did not.
var programDir string

// removeProgram removes what program built.
func removeProgram() {
	if programDir != "" {
		_ = os.RemoveAll(programDir) // it lies in the temporary directory
	}
}

// A bench is an operator's side and a box, both in directories of the test.
type bench struct {
	dir    string
	listen string
	lab    *lab.Lab // nil while the operator is down
	agent  process.Config
	log    *logBuffer
}

// newBench prepares both; nothing runs yet.
func newBench(t *testing.T) *bench {
	t.Helper()
	name, err := program()
	if err != nil {
		t.Fatal(err)
	}
	listen, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{dir: t.TempDir(), listen: listen, log: &logBuffer{}}
	ca, err := pki.Open(filepath.Join(b.dir, "pki"))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Box(box)
	if err != nil {
		t.Fatal(err)
	}
	b.agent = process.Config{
		Binary: name, Dir: filepath.Join(b.dir, "agent"), Broker: "tls://" + b.listen, CAFile: ca.CAFile(), Box: pair,
		Window: window, SpillAfter: time.Second, Every: 500 * time.Millisecond, Log: b.log,
		Set: map[string]string{"uplink.backoff_max": `"1s"`, "uplink.backlog_rate": "100.0", "uplink.backlog_bytes": "1000000", "uplink.bandwidth": "1000000"},
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the agent's log:\n%s", b.log)
		}
	})
	return b
}

// operatorUp starts broker and CEM, or starts them again.
func (b *bench) operatorUp(t *testing.T) {
	t.Helper()
	l, err := lab.Start(lab.Config{
		Dir: b.dir, Listen: b.listen, AckEvery: 200 * time.Millisecond,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	b.lab = l
	t.Cleanup(func() {
		if err := l.Stop(); err != nil {
			t.Error(err)
		}
	})
}

// operatorDown ends them.
func (b *bench) operatorDown(t *testing.T) {
	t.Helper()
	if err := b.lab.Stop(); err != nil {
		t.Fatal(err)
	}
}

// agentUp starts the agent and waits until it answers.
func (b *bench) agentUp(t *testing.T) *process.Process {
	t.Helper()
	p, err := process.Start(b.agent)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
	})
	b.ask(t, p, "answer", func(agent.Snapshot) bool { return true })
	return p
}

// ask waits until the agent's answer is as it should be, and returns it.
func (b *bench) ask(t *testing.T, p *process.Process, what string, ok func(agent.Snapshot) bool) agent.Snapshot {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var last agent.Snapshot
	err := error(nil)
	for {
		if last, err = p.Ask(t.Context()); err == nil && ok(last) {
			return last
		}
		select {
		case <-p.Done():
			t.Fatalf("agent: no %s: it ended: %v", what, p.Err())
		case <-deadline:
			t.Fatalf("agent: no %s: %v, %+v", what, err, last)
		case <-tick.C:
		}
	}
}

// await waits until the CEM's state of the box is as it should be.
func (b *bench) await(t *testing.T, what string, ok func(cem.BoxState) bool) cem.BoxState {
	t.Helper()
	deadline := time.After(patience)
	for {
		changed := b.lab.CEM.Changed()
		s, _ := b.lab.CEM.Box(box)
		if ok(s) {
			return s
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("CEM: no %s: %s", what, describe(s))
		}
	}
}

// describe is a state without its values.
func describe(s cem.BoxState) string {
	s.Values = nil
	return fmt.Sprintf("%+v", s)
}

// windows returns a condition: so many windows of the box's only run.
func windows(n uint64) func(cem.BoxState) bool {
	return func(s cem.BoxState) bool { return len(s.Runs) > 0 && s.Runs[0].Windows.Contiguous() >= n }
}

// once checks that the CEM has every sequence of every run once, with nothing
// missing, undecodable or without consent.
func once(t *testing.T, s cem.BoxState) {
	t.Helper()
	var stored uint64
	for _, r := range s.Runs {
		stored += r.Events.Stored() + r.Windows.Stored()
	}
	if s.Reports != stored {
		t.Errorf("%d reports counted, %d sequences stored; want each once", s.Reports, stored)
	}
	if s.Missing() != 0 || s.Lost != 0 {
		t.Errorf("%d missing, %d lost: %s", s.Missing(), s.Lost, describe(s))
	}
	if s.UndecodableReports+s.Rejected+s.Violations+s.UnknownMetrics != 0 {
		t.Errorf("totals %+v; want everything decoded and within consent", s.Totals)
	}
}

// hasEvent says whether such an event came.
func hasEvent(s cem.BoxState, ok func(cem.Event) bool) bool {
	return slices.ContainsFunc(s.Events, ok)
}

// unwell returns the detail of a health state, if the agent has it.
func unwell(s agent.Snapshot, code string) (detail string, found bool) {
	for _, h := range s.Health {
		if h.Code == code {
			return h.Detail, true
		}
	}
	return "", false
}

// A logBuffer takes the agent's log.
type logBuffer struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String returns all that was logged.
func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// says waits until the agent's log has a line with all of these: what a running
// agent has written may still be on its way.
func (l *logBuffer) says(t *testing.T, texts ...string) {
	t.Helper()
	has := func(line string) bool {
		return !slices.ContainsFunc(texts, func(s string) bool { return !strings.Contains(line, s) })
	}
	deadline := time.After(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		for line := range strings.Lines(l.String()) {
			if has(line) {
				return
			}
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Errorf("no line of the agent's log has all of %q", texts)
			return
		}
	}
}
