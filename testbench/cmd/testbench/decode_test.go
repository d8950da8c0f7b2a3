package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/testbench/lab"
	"livebox-agent/uplink/wire"
)

// report holds one reading of the uptime: 4711 s.
func report() []byte {
	var e wire.Encoder
	b := wire.AppendHeader(nil, wire.Header{
		Box: "box1", Run: wire.Run{ID: 0xa1, Counter: 1, KernelBoot: 7}, Lane: wire.Windows, Sequence: 1,
		Consent: wire.Consent{PolicyVersion: 1, Purposes: 1 << catalogue.Essential}, Catalogue: catalogue.Hash(),
		Opened: time.Minute, Sealed: 2 * time.Minute,
	})
	return wire.AppendSection(b, catalogue.Essential, wire.Columns, e.AppendColumns(nil, []wire.Table{{
		Times:   []time.Duration{time.Minute},
		Columns: []wire.Column{{Metric: catalogue.UpTime, Values: []int64{4711}}},
	}}, true))
}

// decoded runs the command with this standard input.
func decoded(t *testing.T, stdin []byte, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), env{bytes.NewReader(stdin), &out, &errs, func(string) string { return "" }},
		append([]string{"decode"}, args...))
	return code, out.String(), errs.String()
}

func TestDecodeTakesEveryForm(t *testing.T) {
	raw := report()
	file := filepath.Join(t.TempDir(), "report")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	digits := hex.EncodeToString(raw)
	spaced := []byte(digits[:10] + "\n  " + strings.ToUpper(digits[10:]) + "\n")
	for _, tt := range []struct {
		name  string
		stdin []byte
		args  []string
	}{
		{name: "file", args: []string{file}},
		{name: "standard input", stdin: raw},
		{name: "dash", stdin: raw, args: []string{"-"}},
		{name: "hexadecimal", stdin: []byte(digits)},
		{name: "hexadecimal with spaces", stdin: spaced},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, out, text := decoded(t, tt.stdin, tt.args...)
			up, _ := catalogue.Lookup(catalogue.UpTime)
			if code != exitOK || !strings.Contains(out, up.Name) || !strings.Contains(out, "4711") {
				t.Errorf("exit status %d, message %q, output\n%s\nwant the reading", code, text, out)
			}
		})
	}
	code, out, _ := decoded(t, raw, "--json")
	if code != exitOK || !json.Valid([]byte(out)) || !strings.Contains(out, "4711") {
		t.Errorf("exit status %d, output\n%s\nwant JSON with the reading", code, out)
	}
}

func TestDecodeOfAStatus(t *testing.T) {
	s := wire.AppendStatus(nil, wire.Status{Box: "box1", Online: true, Version: "1.2.3"})
	for _, args := range [][]string{{"--status"}, {"--status", "--json"}} {
		code, out, text := decoded(t, s, args...)
		if code != exitOK || !strings.Contains(out, "1.2.3") {
			t.Errorf("%v: exit status %d, message %q, output\n%s\nwant the version", args, code, text, out)
		}
	}
}

func TestDecodeSaysWhatIsWrong(t *testing.T) {
	for _, tt := range []struct {
		name  string
		stdin []byte
		args  []string
		code  int
		want  string
	}{
		{name: "no protobuf", stdin: []byte("\xff\xff\xff"), code: exitFailure, want: "testbench decode: "},
		{name: "no file", args: []string{"nowhere"}, code: exitFailure, want: "nowhere"},
		{name: "too large", stdin: make([]byte, maxMessage+1), code: exitFailure, want: "larger than"},
		{name: "no lab", args: []string{"--dir", "nowhere"}, code: exitFailure, want: "no lab has run"},
		{name: "last without a lab", args: []string{"--last", "1"}, code: exitUsage, want: "only with --dir"},
		{name: "last of statuses", args: []string{"--dir", "x", "--status", "--last", "2"}, code: exitUsage, want: "last of each box"},
		{name: "lab and file", args: []string{"--dir", "x", "file"}, code: exitUsage, want: "takes the place"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if code, _, text := decoded(t, tt.stdin, tt.args...); code != tt.code || !strings.Contains(text, tt.want) {
				t.Errorf("exit status %d, message %q; want %d, %q", code, text, tt.code, tt.want)
			}
		})
	}
}

func TestDecodeReadsALab(t *testing.T) {
	dir := t.TempDir()
	l, err := lab.Start(lab.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Stop(); err != nil {
			t.Error(err)
		}
	})
	conn, err := l.Broker.InProcess()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, payload := range [][]byte{report(), []byte("\xff no report"), report()} {
		changed := l.CEM.Changed()
		if err := conn.Publish("cem.v1.box1.telemetry", payload); err != nil {
			t.Fatal(err)
		}
		<-changed
	}
	code, out, text := decoded(t, nil, "--dir", dir)
	if code != exitFailure || strings.Count(out, "== cem/v1/box1/telemetry") != 3 || strings.Count(out, "4711") != 2 ||
		!strings.Contains(text, "message 2: ") {
		t.Errorf("exit status %d, message %q, output\n%s\nwant two of three, and which is damaged", code, text, out)
	}
	for _, version := range []string{"1.2.3", "4.5.6"} {
		changed := l.CEM.Changed()
		if err := conn.Publish("cem.v1.box1.status", wire.AppendStatus(nil, wire.Status{Box: "box1", Version: version})); err != nil {
			t.Fatal(err)
		}
		<-changed
	}
	code, out, text = decoded(t, nil, "--dir", dir, "--status")
	if code != exitOK || !strings.Contains(out, "== cem/v1/box1/status") || !strings.Contains(out, "version 4.5.6") || strings.Contains(out, "1.2.3") {
		t.Errorf("exit status %d, message %q, output\n%s\nwant the last status", code, text, out)
	}
	code, out, text = decoded(t, nil, "--dir", dir, "--last", "1", "--json")
	if code != exitOK || !json.Valid([]byte(out)) {
		t.Errorf("exit status %d, message %q, output\n%s\nwant the last report as JSON", code, text, out)
	}
}
