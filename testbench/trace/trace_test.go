package trace

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/uplink/wire"
)

func TestSameSeedSameTrace(t *testing.T) {
	print := func(seed uint64) string { return fmt.Sprintf("%+v", Generate(seed, 300, 10*time.Second)) }
	if first, again := print(5), print(5); first != again {
		t.Error("the same seed gives two traces")
	}
	if print(5) == print(6) {
		t.Error("two seeds give the same trace")
	}
}

func TestTraceHasTheShapeItSays(t *testing.T) {
	tr := Generate(2, 8640, 10*time.Second)
	if got, want := tr.Readings(), 518_400; got != want {
		t.Errorf("%d readings; want %d", got, want)
	}
	retrains := 0
	for _, s := range tr.Sources {
		if !slices.IsSorted(s.Times) {
			t.Errorf("%s: times are not in order", s.Name)
		}
		for _, c := range s.Series {
			_, counter := wire.Steps(c.Metric)
			if counter && !slices.IsSorted(c.Values) {
				t.Errorf("%s %s: a counter falls", c.Name, c.Instance)
			}
			for i := 1; c.Metric == catalogue.LineLastChange && i < len(c.Values); i++ {
				if c.Values[i] < c.Values[i-1] {
					retrains++
				}
			}
		}
	}
	if retrains != 1 {
		t.Errorf("%d retrains; want 1", retrains)
	}
}

// TestEntropyIsOfTheStudy: the yardsticks mean something only while the trace
// is about as hard as that of the study that set the goals (0.47 bytes per
// reading, JSON 46.5).
func TestEntropyIsOfTheStudy(t *testing.T) {
	if h := Entropy(Generate(Seed, 8640, 10*time.Second)); h < 0.44 || h > 0.50 {
		t.Errorf("entropy %.3f bytes per reading; want 0.44 to 0.50", h)
	}
}

func TestEntropyOfKnownColumns(t *testing.T) {
	constant, line, dice := make([]int64, 1<<16), make([]int64, 1<<16), make([]int64, 1<<16)
	state := uint32(1)
	for i := range line {
		line[i] = int64(7 * i)
		state = state*1664525 + 1013904223
		dice[i] = int64(state >> 28)
	}
	for _, tt := range []struct {
		name      string
		v         []int64
		counter   bool
		low, high float64
	}{
		{"constant", constant, false, 0, 0.01},
		{"counter of a steady rate", line, true, 0, 0.01},
		{"line", line, false, 0, 0.01},
		{"one of sixteen", dice, false, 3.9, 4.4},
	} {
		if h := columnEntropy(tt.v, tt.counter); h < tt.low || h > tt.high {
			t.Errorf("%s: %.3f bits; want %v to %v", tt.name, h, tt.low, tt.high)
		}
	}
}

// undeltas is the inverse of deltas: a yardstick that could not be read would
// measure nothing.
func undeltas(b []byte, n int) []int64 {
	order, b := b[0], b[1:]
	var v []int64
	var last, slope int64
	next := func(e int64) {
		d := e
		if order == 1 && len(v) > 1 {
			d += slope
		}
		slope = d
		last += d
		v = append(v, last)
	}
	for len(v) < n {
		if b[0] == 0 {
			zeros, k := binary.Uvarint(b[1:])
			b = b[1+k:]
			for range zeros {
				next(0)
			}
			continue
		}
		e, k := binary.Varint(b)
		b = b[k:]
		next(e)
	}
	return v
}

func TestDeltasAreReversible(t *testing.T) {
	for _, s := range Generate(4, 90, 10*time.Second).Sources {
		for _, c := range s.Series {
			if got := undeltas(deltas(c.Values), len(c.Values)); !slices.Equal(got, c.Values) {
				t.Errorf("%s %s: %v came back as %v", c.Name, c.Instance, c.Values, got)
			}
		}
	}
}

// TestWireGoals are the goals of the design, in bytes per reading: at the
// catalogue's resolution with the whole Report counted, lossless with what
// carries readings, as the study counts its figures.
func TestWireGoals(t *testing.T) {
	figures := Figures()
	var b strings.Builder
	if err := PrintFigures(&b, figures); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + b.String())
	page, err := os.ReadFile("../../uplink/wire/SPEC.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		// The trace is made of floating point, which other processors round
		// otherwise.
		if runtime.GOARCH == "amd64" && !strings.Contains(string(page), "\n    "+line) {
			t.Errorf("SPEC.md does not have the figures %q", line)
		}
	}
	of := func(encoding string, window time.Duration) float64 {
		for _, f := range figures {
			if f.Encoding == encoding && f.Window == window {
				return f.BytesPerReading
			}
		}
		t.Fatalf("no figure for %s at %v", encoding, window)
		return 0
	}
	for _, goal := range []struct {
		encoding string
		most     float64
	}{{"codec", 0.60}, {"lossless bodies", 0.71}} {
		got := of(goal.encoding, 5*time.Minute)
		if got > goal.most {
			t.Errorf("%s: %.3f bytes per reading at 5 min; want at most %.2f", goal.encoding, got, goal.most)
		}
		for _, other := range []string{"json", "opensync+zlib", "columnar+deflate"} {
			if o := of(other, 5*time.Minute); got >= o {
				t.Errorf("%s: %.3f bytes per reading; %s has %.3f", goal.encoding, got, other, o)
			}
		}
	}
}

// TestReportsOfTheTraceDecode: what is measured can be read.
func TestReportsOfTheTraceDecode(t *testing.T) {
	tr := Generate(3, 180, 10*time.Second)
	for _, w := range tr.Windows(30) {
		r, err := wire.ParseReport(Encodings()[1].Encode(tr, w))
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range r.Sections {
			tables, err := wire.DecodeColumns(s.Body)
			if err != nil {
				t.Fatal(err)
			}
			for j, table := range tables {
				for k, c := range table.Columns {
					if want := w.Sections[i].Tables[j].Columns[k]; !slices.Equal(c.Values, want.Values) || c.Instance != want.Instance {
						t.Fatalf("section %d table %d column %d: %v; want %v", i, j, k, c, want)
					}
				}
			}
		}
	}
}

func BenchmarkWire(b *testing.B) {
	t := Generate(Seed, 8640, 10*time.Second)
	for _, rows := range []int{30, 6, 90} {
		windows := t.Windows(rows)
		for _, e := range Encodings() {
			b.Run(fmt.Sprintf("%dmin/%s", rows/6, e.Name), func(b *testing.B) {
				b.ReportAllocs()
				size, n := 0, 0
				for b.Loop() {
					size += len(e.Encode(t, windows[n%len(windows)]))
					n++
				}
				readings := float64(n * rows * t.Readings() / t.Rows)
				b.ReportMetric(float64(size)/readings, "B/reading")
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/readings, "ns/reading")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
