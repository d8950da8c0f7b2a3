package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"livebox-agent/testbench/storage"
)

func TestMain(m *testing.M) {
	storage.Main()
	os.Exit(m.Run())
}

// output runs the command line as a shell would, with no terminal.
func output(t *testing.T, environment map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), env{
		stdin: strings.NewReader(""), stdout: &out, stderr: &errs,
		getenv: func(key string) string { return environment[key] },
	}, args)
	return code, out.String(), errs.String()
}

func TestHelpNamesEveryCommand(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"--help"}, {"-h"}} {
		code, out, _ := output(t, nil, args...)
		if code != exitOK {
			t.Errorf("%v: exit status %d; want %d", args, code, exitOK)
		}
		for _, c := range commands() {
			if !strings.Contains(out, "  "+c.name+" ") || !strings.Contains(out, c.about) {
				t.Errorf("%v:\n%s\nwant %s in it", args, out, c.name)
			}
		}
	}
}

func TestEveryCommandTeaches(t *testing.T) {
	for _, c := range commands() {
		code, _, text := output(t, nil, c.name, "--help")
		if code != exitOK || !strings.Contains(text, "Usage: testbench "+c.name) || !strings.Contains(text, c.long) {
			t.Errorf("%s --help: exit status %d:\n%s\nwant usage and explanation", c.name, code, text)
		}
		for line := range strings.Lines(c.long) {
			if n := len([]rune(strings.TrimRight(line, "\n"))); n > 80 {
				t.Errorf("%s: a line of %d columns: %s", c.name, n, line)
			}
		}
	}
}

func TestWrongUseIsSaidWithStatus2(t *testing.T) {
	for _, tt := range []struct {
		name        string
		environment map[string]string
		args        []string
		want        string
	}{
		{name: "no command", want: "Usage: testbench COMMAND"},
		{name: "unknown command", args: []string{"dance"}, want: `unknown command "dance"`},
		{name: "unknown flag", args: []string{"up", "--dance"}, want: "flag provided but not defined"},
		{name: "argument too many", args: []string{"up", "now"}, want: `unexpected argument "now"`},
		{name: "RUN_SECONDS is no number", environment: map[string]string{"RUN_SECONDS": "1m"}, args: []string{"up"}, want: `RUN_SECONDS="1m"`},
		{name: "negative time", args: []string{"up", "--for", "-1s"}, want: "cannot be negative"},
		{name: "negative factor", args: []string{"storm", "--divide", "-1"}, want: "want 0 or more"},
		{name: "no rate", args: []string{"storm", "--real", "1", "--rate", "0"}, want: "want more than 0"},
		{name: "short soak", args: []string{"soak", "--for", "1s"}, want: "want 20s or more"},
		{name: "no such trial", args: []string{"faults", "--only", "dance"}, want: `unknown trial "dance"`},
		{name: "no days", args: []string{"flash", "--days", "0"}, want: "want 1 to 366"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, out, text := output(t, tt.environment, tt.args...)
			if code != exitUsage || out != "" || !strings.Contains(text, tt.want) {
				t.Errorf("exit status %d, output %q, message\n%s\nwant %d, none, %q", code, out, text, exitUsage, tt.want)
			}
		})
	}
}

func TestFailureIsSaidWithStatus1(t *testing.T) {
	dir := t.TempDir()
	code, _, text := output(t, map[string]string{"RUN_SECONDS": "5"}, "up", "--dir", dir, "--agent", dir+"/nothing")
	if code != exitFailure || !strings.HasPrefix(text, "testbench up: start agent") {
		t.Errorf("exit status %d, message %q; want %d and that the agent cannot start", code, text, exitFailure)
	}
}

func TestFlashPrintsItsFigures(t *testing.T) {
	code, out, text := output(t, nil, "flash", "--days", "2")
	if code != exitOK {
		t.Fatalf("exit status %d: %s", code, text)
	}
	for _, want := range []string{"answering", "down", "outage of 2 days", "576 made, 576 kept"} {
		if !strings.Contains(out, want) {
			t.Errorf("output\n%s\nwant %q in it", out, want)
		}
	}
}

func TestStormPrintsItsFiguresAndDrawsThem(t *testing.T) {
	dir := t.TempDir()
	code, out, text := output(t, nil, "storm", "--divide", "2000", "--out", dir)
	if code != exitOK || !strings.Contains(out, "### Power returns to the country") || !strings.Contains(out, "| paho |") {
		t.Fatalf("exit status %d, %s\n%s", code, text, out)
	}
	if names, err := filepath.Glob(filepath.Join(dir, "*.svg")); err != nil || len(names) == 0 {
		t.Errorf("pictures %v, %v", names, err)
	}
}

func TestStormSaysHowManyBoxesThereMayBe(t *testing.T) {
	code, _, text := output(t, nil, "storm", "--divide", "0", "--real", "5000000")
	if code != exitFailure || !strings.Contains(text, "no more than") {
		t.Errorf("exit status %d, message %q; want %d and how many", code, text, exitFailure)
	}
}

func TestInterruptEndsTheLab(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	code := run(ctx, env{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, getenv: func(string) string { return "" }},
		[]string{"up", "--dir", t.TempDir(), "--agent", "/bin/true"})
	if code != exitFailure || !strings.Contains(out.String(), "Summary after") {
		t.Errorf("exit status %d, output\n%s\nwant %d and a summary: nothing was decoded", code, out.String(), exitFailure)
	}
}

func TestWirePrintsItsFigures(t *testing.T) {
	code, out, text := output(t, nil, "wire", "--json")
	if code != exitOK {
		t.Fatalf("exit status %d: %s", code, text)
	}
	var figures []struct {
		Encoding        string  `json:"encoding"`
		BytesPerReading float64 `json:"bytes_per_reading"`
	}
	if err := json.Unmarshal([]byte(out), &figures); err != nil {
		t.Fatal(err)
	}
	cost := make(map[string]float64)
	for _, f := range figures {
		cost[f.Encoding] = f.BytesPerReading
	}
	if cost["codec"] <= 0 || cost["json"] <= cost["codec"] {
		t.Errorf("figures %v; want those of our codec and, above them, those of JSON", cost)
	}
}

func TestFaultsPrintsItsTable(t *testing.T) {
	code, out, text := output(t, nil, "faults", "--only", "limits,outage", "--seed", "1")
	if code != exitOK {
		t.Fatalf("exit status %d: %s", code, text)
	}
	for _, want := range []string{"FAULT", "flash limit reached", "72 h without the backend", "864 of 864 windows"} {
		if !strings.Contains(out, want) {
			t.Errorf("output\n%s\nwant %q in it", out, want)
		}
	}
}
