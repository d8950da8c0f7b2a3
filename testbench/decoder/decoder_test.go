package decoder_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"livebox-agent/testbench/trace"
	"livebox-agent/uplink/wire"
)

// decode runs decode.py over lines of input and returns a value for each.
func decode(t *testing.T, input []byte) []any {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("python3 is not installed (Debian package python3)")
		}
		t.Skip("python3 is not installed (Debian package python3)")
	}
	cmd := exec.CommandContext(t.Context(), python, "decode.py")
	cmd.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("decode.py: %v\n%s", err, stderr.Bytes())
	}
	var all []any
	d := json.NewDecoder(bytes.NewReader(out))
	d.UseNumber() // no float64 holds every int64
	for d.More() {
		var v any
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

func TestPythonReadsEveryGoldenVector(t *testing.T) {
	files, err := filepath.Glob("../../uplink/wire/testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("golden vectors: %d, %v", len(files), err)
	}
	var input []byte
	var want []any
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var v struct {
			Kind, Body string
			Want       any
		}
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		input = append(input, v.Kind+" "+v.Body+"\n"...)
		want = append(want, v.Want)
	}
	got := decode(t, input)
	if len(got) != len(want) {
		t.Fatalf("%d answers to %d vectors", len(got), len(want))
	}
	for i, file := range files {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("%s:\n%v\nwant\n%v", file, got[i], want[i])
		}
	}
}

// TestPythonReadsTheTrace compares the decoders on more than the vectors hold:
// some windows of the reference trace, of several lengths.
func TestPythonReadsTheTrace(t *testing.T) {
	var e wire.Encoder
	var input []byte
	var bodies [][]byte
	for i, rows := range []int{6, 30, 90, 250} {
		for _, s := range trace.Generate(uint64(20+i), rows, 10*time.Second).Windows(rows)[0].Sections {
			body := e.AppendColumns(nil, s.Tables, i%2 == 1)
			bodies = append(bodies, body)
			input = append(input, "columns "+hex.EncodeToString(body)+"\n"...)
		}
	}
	for i, v := range decode(t, input) {
		tables, err := wire.DecodeColumns(bodies[i])
		if err != nil {
			t.Fatal(err)
		}
		for j, table := range tables {
			py := v.([]any)[j].(map[string]any)
			for row, at := range table.Times {
				if n, err := py["times_ms"].([]any)[row].(json.Number).Int64(); err != nil || n != at.Milliseconds() {
					t.Fatalf("body %d table %d row %d: at %v, %v; want %v", i, j, row, n, err, at)
				}
			}
			for k, c := range table.Columns {
				column := py["columns"].([]any)[k].(map[string]any)
				for row, want := range c.Values {
					if n, err := column["values"].([]any)[row].(json.Number).Int64(); err != nil || n != want {
						t.Fatalf("body %d table %d column %d row %d: %v, %v; want %v", i, j, k, row, n, err, want)
					}
				}
			}
		}
	}
}
