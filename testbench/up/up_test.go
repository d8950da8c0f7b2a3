package up

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"livebox-agent/agent"
	"livebox-agent/testbench/cem"
	"livebox-agent/testbench/lab"
	"livebox-agent/testbench/telemetrypb"
)

// good is an outcome that shows everything.
func good() outcome {
	return outcome{
		ran: 30 * time.Second,
		state: cem.BoxState{
			Totals: cem.Totals{Readings: 100, Reports: 5, Bytes: 75},
			Status: &telemetrypb.Status{CleanStop: true, Counters: &telemetrypb.Counters{Readings: 100, Acknowledged: 5}},
		},
		last: &agent.Snapshot{
			Counters: agent.SnapshotCounters{Acknowledged: 4, AcknowledgedWindows: 3},
			Sources: []agent.SnapshotSource{
				{Name: "system", State: "working"}, {Name: "radios", State: "absent", Reason: "no radio"},
			},
		},
		dir: "build/run",
	}
}

func TestSuccessMeansDecodedAndAcknowledged(t *testing.T) {
	for _, tt := range []struct {
		name string
		harm func(*outcome)
		want string // in the error; empty means success
	}{
		{name: "all is well", harm: func(*outcome) {}},
		{name: "nothing decoded", want: "no readings were decoded", harm: func(o *outcome) { o.state.Readings = 0 }},
		{name: "too short", want: "3s is too short for a window of 5s", harm: func(o *outcome) {
			o.state.Readings, o.ran = 0, 3*time.Second
		}},
		{name: "nothing acknowledged", want: "no readings were acknowledged", harm: func(o *outcome) {
			o.state.Status.Counters.Acknowledged = 0
			o.last.Counters = agent.SnapshotCounters{}
		}},
		{name: "only events acknowledged", want: "no readings were acknowledged", harm: func(o *outcome) {
			o.state.Status.Counters.Acknowledged = 1
			o.last.Counters = agent.SnapshotCounters{Acknowledged: 1}
		}},
		{name: "no final status", want: "did not report a clean stop", harm: func(o *outcome) { o.state.Status = nil }},
		{name: "no status and no answer", want: "no readings were acknowledged", harm: func(o *outcome) {
			o.state.Status, o.last = nil, nil
		}},
		{name: "ended by itself", want: "ended by itself after 30s (exit status 2)", harm: func(o *outcome) {
			o.died, o.ended = true, errors.New("exit status 2")
		}},
		{name: "ended by itself without a word", want: "(without an error)", harm: func(o *outcome) { o.died = true }},
		{name: "did not stop", want: "agent did not end within", harm: func(o *outcome) {
			o.ended = errors.New("agent did not end within 20s of SIGTERM")
		}},
		{name: "undecodable", want: "2 reports were undecodable", harm: func(o *outcome) { o.state.UndecodableReports = 2 }},
		{name: "without consent", want: "1 sections came without consent", harm: func(o *outcome) { o.state.Violations = 1 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := good()
			tt.harm(&o)
			err := o.judge()
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("judge() = %v; want success", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("judge() = %v; want %q in it", err, tt.want)
			}
			text := o.summary(err)
			if ok := strings.Contains(text, "OK: readings of the real agent"); ok != (err == nil) {
				t.Errorf("summary says OK: %v with %v:\n%s", ok, err, text)
			}
		})
	}
}

func TestSummaryIsOneScreen(t *testing.T) {
	o := good()
	for range 20 {
		if _, err := (&tail{}).Write([]byte("x\n")); err != nil {
			t.Fatal(err)
		}
	}
	text := o.summary(nil)
	for _, want := range []string{"Summary after 30s", "0.75 bytes per reading", "stopped cleanly", "system", "radios absent (no radio)", "build/run"} {
		if !strings.Contains(text, want) {
			t.Errorf("summary\n%s\nwant %q in it", text, want)
		}
	}
	if n := strings.Count(text, "\n"); n > 24 {
		t.Errorf("%d lines; want at most 24", n)
	}
	o.log = []string{"level=ERROR msg=first", "level=ERROR msg=last"}
	if text := o.summary(errors.New("x")); !strings.Contains(text, "msg=last") {
		t.Errorf("summary of a failure\n%s\nwant the agent's last lines", text)
	}
}

func TestOnlyALabsOwnDirectoryIsRemoved(t *testing.T) {
	foreign := t.TempDir()
	precious := filepath.Join(foreign, "precious")
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := prepare(Options{Dir: foreign}); err == nil || !strings.Contains(err.Error(), "not a lab's own") {
		t.Errorf("prepare(foreign) = %v; want it refused", err)
	}
	if err := prepare(Options{Dir: precious}); err == nil {
		t.Error("prepare(file) = nil")
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}

	own := filepath.Join(t.TempDir(), "a", "b")
	left := filepath.Join(own, "left")
	for _, keep := range []bool{true, false} {
		if err := prepare(Options{Dir: own}); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(left, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := prepare(Options{Dir: own, Keep: keep}); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(left); (err == nil) != keep {
			t.Errorf("keep %v: %v", keep, err)
		}
	}
}

func TestDirectoryOfARunningLabIsNotRemoved(t *testing.T) {
	dir := t.TempDir()
	if err := prepare(Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	l, err := lab.Start(lab.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := prepare(Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "another lab runs") {
		t.Errorf("prepare = %v; want it refused", err)
	}
}

func TestAgentThatCannotStartIsTheReason(t *testing.T) {
	var out bytes.Buffer
	err := Run(t.Context(), Options{
		For: time.Minute, Dir: filepath.Join(t.TempDir(), "run"), Out: &out,
		Agent: filepath.Join(t.TempDir(), "nothing"),
	})
	if err == nil || !strings.Contains(err.Error(), "start agent") {
		t.Errorf("Run = %v; want that the agent did not start", err)
	}
}

// A program that ends at once is not an agent.
func TestAgentThatEndsIsTheReason(t *testing.T) {
	program := filepath.Join(t.TempDir(), "agent")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho this is no agent >&2\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err := Run(t.Context(), Options{For: time.Minute, Dir: filepath.Join(t.TempDir(), "run"), Out: &out, Agent: program})
	if err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("Run = %v; want how the agent ended", err)
	}
	for _, want := range []string{"consent    all purposes granted", "shortened to 5s", "this is no agent"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output\n%s\nwant %q in it", out.String(), want)
		}
	}
}

func TestTailKeepsTheLastLines(t *testing.T) {
	var got tail
	for _, s := range []string{"a\nb", "c\n\nd\n", strings.Repeat("x", 1000), "y\ne\nunfinished"} {
		if n, err := got.Write([]byte(s)); n != len(s) || err != nil {
			t.Fatalf("Write(%q) = %d, %v", s, n, err)
		}
	}
	want := []string{"a", "bc", "", "d", strings.Repeat("x", tailBytes), "e"}
	if diff := cmp.Diff(want, got.lines()); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	for range 3 * tailLines {
		if _, err := got.Write([]byte("z\n")); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(got.lines()); n != tailLines {
		t.Errorf("%d lines; want %d", n, tailLines)
	}
}
