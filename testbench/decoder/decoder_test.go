package decoder_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"livebox-agent/testbench/trace"
	"livebox-agent/uplink/wire"
)

// mustDecode runs decode.py over lines of input, which are all to be right, and
// returns a value for each.
func mustDecode(t *testing.T, input []byte) []any {
	t.Helper()
	all, err := decode(t, input)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// decode runs decode.py over lines of input and returns what it answers to
// each; the error is of one that ended in failure.
func decode(t *testing.T, input []byte) ([]any, error) {
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
	out, failure := cmd.Output()
	if failure != nil {
		failure = fmt.Errorf("decode.py: %w\n%s%s", failure, out, stderr.Bytes())
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
	return all, failure
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
	got := mustDecode(t, input)
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
	for i, v := range mustDecode(t, input) {
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

// refused is the error in an answer of decode.py, or empty.
func refused(answer any) string {
	if m, ok := answer.(map[string]any); ok {
		text, _ := m["error"].(string)
		return text
	}
	return ""
}

// claims are bodies of 61 bytes whose first table is larger than any may be,
// with noise behind it.
var claims = []string{
	// 1025 tables
	"01fe065ce06ac3beb04c8d739e3edb1fe178071ac0fe7a4c6d729fb26424605d131276a140563b3527ee823d4806fd5beb8dd785053f6cb1b5850d1bbc",
	// 2^40 rows
	"018e3734901fffffe6a7a1dd964cc7cd5088feb46e06c463277163920d75949f4c8877b5752ca8eae568fa623a4457f84ebd005d10066880013dc04e5f",
	// 16385 columns
	"017e5f3083a8246615f3b069c68e1c6ec1ff5b1938c3f109ef5de940297f7fabeb6749b1f6eaa16f49fa0dc896b66b4d1307ee9ae51afae419fbfe60d8",
	// 5242 rows of 100 columns
	"018b8b18c9a5ab00a824a33c4e0c1cfd35485d1d5e104cefe785ffbe16d0c57fcddc3a35721f557aad84835fb0113fc48b7061322fd15efded59493b8b",
	// -1 rows
	"0162a3ee9a46f900798d4f79d6519c8491a18fefbdd3b220f3184c6e52847c746a7d2449cc4a5b5aa5e061eedb05d929cb86ce956c73c41507f51f4d9b",
}

func TestPythonSaysWhatIsWrong(t *testing.T) {
	ones := strings.Repeat("ff", 60)
	claimsTooMuch := "body is beyond the limits"
	tests := []struct{ line, want string }{
		{"columns ", "body is empty"},
		{"summary", "body is empty"},
		{"columns 02ff", "body has the unknown format 2"},
		{"columns 01" + ones, claimsTooMuch},
		{"summary 01" + ones, claimsTooMuch},
		{"columns 01768490d020f4b5dc92bc", "body ends too early"},
		{"columns 01" + strings.Repeat("00", 60), "body goes on behind its end"},
		{"report 0a7f", "message is cut or damaged"},
		{"report ffff", "message is cut or damaged"},
		{"status 2202c328", "can't decode byte"},
		{"ack 0b", "message has a field of unknown type"},
		{"dance 00", "unknown kind: dance"},
	}
	// Tables, rows and columns that are too many, in bodies that go on.
	for _, c := range claims {
		tests = append(tests, struct{ line, want string }{"columns " + c, claimsTooMuch})
	}
	var input []byte
	for _, tt := range tests {
		input = append(input, tt.line+"\n"...)
	}
	began := time.Now()
	got, err := decode(t, input)
	if err == nil {
		t.Error("decode.py ends in success; want exit status 1")
	}
	if len(got) != len(tests) {
		t.Fatalf("%d answers to %d lines: %v", len(got), len(tests), err)
	}
	for i, tt := range tests {
		if text := refused(got[i]); !strings.Contains(text, tt.want) {
			t.Errorf("%s: %v; want the error %q", tt.line, got[i], tt.want)
		}
	}
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("hostile input took %v", d)
	}
}

// TestPythonRefusesWhatGoRefuses changes one byte of a golden body at a time.
func TestPythonRefusesWhatGoRefuses(t *testing.T) {
	files, err := filepath.Glob("../../uplink/wire/testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(5, 6))
	var input []byte
	var want []error
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var v struct{ Kind, Body string }
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatal(err)
		}
		body, err := hex.DecodeString(v.Body)
		if err != nil {
			t.Fatal(err)
		}
		for range 40 {
			changed := bytes.Clone(body)
			changed[r.IntN(len(changed))] = byte(r.Uint32())
			var refusal error
			switch v.Kind {
			case "columns":
				_, refusal = wire.DecodeColumns(changed)
			case "summary":
				_, refusal = wire.DecodeSummary(changed)
			default:
				continue
			}
			want = append(want, refusal)
			input = append(input, v.Kind+" "+hex.EncodeToString(changed)+"\n"...)
		}
	}
	got, _ := decode(t, input) // the error is that some are refused
	if len(got) != len(want) {
		t.Fatalf("%d answers to %d bodies", len(got), len(want))
	}
	taken := 0
	for i, line := range strings.Split(strings.TrimSpace(string(input)), "\n") {
		text := refused(got[i])
		if (text != "") != (want[i] != nil) {
			t.Errorf("%s: %q; Go says %v", line, text, want[i])
		}
		if text == "" {
			taken++
		}
	}
	if taken == 0 || taken == len(got) {
		t.Errorf("%d of %d are taken; want some, not all", taken, len(got))
	}
}
