package wire

import (
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"livebox-agent/collector/catalogue"
)

// clock returns n times, 10 s apart.
func clock(n int) []time.Duration {
	var t []time.Duration
	for i := range n {
		t = append(t, time.Hour+time.Duration(i)*10*time.Second)
	}
	return t
}

// values returns n values from f.
func values(n int, f func(i int) int64) []int64 {
	var v []int64
	for i := range n {
		v = append(v, f(i))
	}
	return v
}

// code returns what a decoder makes of tables.
func code(t *testing.T, tables []Table, lossless bool) []Table {
	t.Helper()
	var e Encoder
	got, err := DecodeColumns(e.AppendColumns(nil, tables, lossless))
	if err != nil {
		t.Fatalf("DecodeColumns(AppendColumns(tables, lossless %v)): %v", lossless, err)
	}
	return got
}

// mixed returns tables of every sort of column that the catalogue has.
func mixed(seed uint64, rows int) []Table {
	r := rand.New(rand.NewPCG(seed, 1))
	var tables []Table
	metrics := catalogue.All()
	for len(metrics) > 0 {
		n := min(len(metrics), 9)
		t := Table{Times: clock(rows)}
		for _, instance := range []string{"eth0", "wlan0-1", "q83vEjRWeJA", "caf\xe9 4", ""} {
			gone := r.IntN(3 * rows)
			for _, m := range metrics[:n] {
				level, jump := r.Int64N(1<<r.IntN(40)), 1+r.Int64N(1<<r.IntN(12))
				v := values(rows, func(i int) int64 {
					if i >= gone && i < gone+rows/2 {
						return Absent
					}
					switch m.Kind {
					case catalogue.Counter:
						level += r.Int64N(jump * m.Resolution)
					case catalogue.Gauge:
						level += r.Int64N(2*jump) - jump
					case catalogue.State:
						level = r.Int64N(int64(len(m.States)))
					}
					return level
				})
				t.Columns = append(t.Columns, Column{m.ID, instance, v})
			}
		}
		tables = append(tables, t)
		metrics = metrics[n:]
	}
	return tables
}

func TestLosslessTablesComeBackExactly(t *testing.T) {
	for seed := range uint64(8) {
		want := mixed(seed, 37)
		if diff := cmp.Diff(want, code(t, want, true)); diff != "" {
			t.Fatalf("seed %d (-coded +decoded):\n%s", seed, diff)
		}
	}
}

func TestEveryReadingComesBackWithinItsStep(t *testing.T) {
	for seed := range uint64(8) {
		tables := mixed(seed, 37)
		got := code(t, tables, false)
		for i, table := range tables {
			for j, c := range table.Columns {
				m, _ := catalogue.Lookup(c.Metric)
				for row, v := range c.Values {
					w := got[i].Columns[j].Values[row]
					below, above := v-w, w-v
					ok := v == w
					switch {
					case v == Absent || w == Absent || ok:
					case m.Kind == catalogue.Gauge:
						ok = 2*max(below, above) <= m.Resolution
					case m.Kind == catalogue.Counter:
						ok = below >= 0 && below < m.Resolution
					}
					if !ok {
						t.Fatalf("seed %d %s %q row %d: %d came back as %d; resolution %d", seed, m.Name, c.Instance, row, v, w, m.Resolution)
					}
				}
			}
		}
	}
}

func TestTotalsOverWindowsAreExact(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	total := int64(1 << 33)
	all := values(300, func(int) int64 { total += r.Int64N(1 << 20); return total })
	first, last := int64(0), int64(0)
	for from := 0; from < len(all); from += 30 {
		c := code(t, []Table{{clock(30), []Column{{catalogue.PortBytesReceived, "eth0", all[from : from+30]}}}}, false)[0].Columns[0].Values
		if !slices.IsSorted(c) {
			t.Fatalf("a counter fell: %d", c)
		}
		if c[0] != all[from] || c[29] != all[from+29] {
			t.Fatalf("window of %d…%d came back as %d…%d", all[from], all[from+29], c[0], c[29])
		}
		if from == 0 {
			first = c[0]
		}
		last = c[29]
	}
	if got, want := last-first, all[299]-all[0]; got != want {
		t.Errorf("total %d; want %d", got, want)
	}
}

func TestErrorOfCounterIsNotAccumulated(t *testing.T) {
	v := values(10_000, func(i int) int64 { return int64(i) * 999 })
	got := code(t, []Table{{clock(len(v)), []Column{{catalogue.PortBytesSent, "", v}}}}, false)[0].Columns[0].Values
	for i := range v {
		if d := v[i] - got[i]; d < 0 || d >= 1000 {
			t.Fatalf("reading %d is %d too low", i, d)
		}
	}
}

func TestBodyNeedsNothingButItself(t *testing.T) {
	// Another box's idea of steps and kinds, and a decoder that is asked for
	// neither.
	e := Encoder{Steps: func(id catalogue.ID) (int64, bool) { return int64(id) * 7, id == 9 }}
	in := []Table{{clock(4), []Column{{8, "x", []int64{1, 100, 200, 300}}, {9, "x", []int64{5, 10, 100, 201}}}}}
	got, err := DecodeColumns(e.AppendColumns(nil, in, false))
	want := []Column{{8, "x", []int64{0, 112, 224, 280}}, {9, "x", []int64{5, 5, 68, 201}}}
	if err != nil || !cmp.Equal(got[0].Columns, want) {
		t.Errorf("decoded %v, %v; want %v", got, err, want)
	}
}

func TestShapes(t *testing.T) {
	long := strings.Repeat("i", 300)
	for name, tt := range map[string]struct{ in, want []Table }{
		"no table":     {nil, []Table{}},
		"empty table":  {[]Table{{}}, []Table{{}}},
		"times only":   {[]Table{{Times: clock(3)}}, []Table{{Times: clock(3)}}},
		"columns only": {[]Table{{Columns: []Column{{Metric: 1}, {Metric: 1}}}}, []Table{{Columns: []Column{{Metric: 1}, {Metric: 1}}}}},
		"one row": {
			[]Table{{clock(1), []Column{{catalogue.UpTime, "", []int64{7}}, {catalogue.PortBytesSent, "a", []int64{1234}}}}},
			[]Table{{clock(1), []Column{{catalogue.UpTime, "", []int64{7}}, {catalogue.PortBytesSent, "a", []int64{1234}}}}},
		},
		"all absent": {
			[]Table{{clock(2), []Column{{5, "a", []int64{Absent, Absent}}, {5, "b", []int64{4, Absent}}}}},
			[]Table{{clock(2), []Column{{5, "a", []int64{Absent, Absent}}, {5, "b", []int64{4, Absent}}}}},
		},
		"too few and too many values": {
			[]Table{{clock(2), []Column{{5, "a", []int64{3}}, {5, "b", []int64{4, 5, 6}}, {6, "b", nil}}}},
			[]Table{{clock(2), []Column{{5, "a", []int64{3, Absent}}, {5, "b", []int64{4, 5}}, {6, "b", []int64{Absent, Absent}}}}},
		},
		"name that is too long": {
			[]Table{{clock(1), []Column{{5, long, []int64{3}}, {5, long + "x", []int64{4}}}}},
			[]Table{{clock(1), []Column{{5, long[:MaxInstance], []int64{3}}, {5, long[:MaxInstance], []int64{4}}}}},
		},
		"columns in no order": {
			[]Table{{clock(1), []Column{{65535, "z", []int64{3}}, {0, "", []int64{4}}, {300, "z", []int64{5}}, {44, "a", []int64{6}}, {65535, "z", []int64{3}}}}},
			[]Table{{clock(1), []Column{{65535, "z", []int64{3}}, {0, "", []int64{4}}, {300, "z", []int64{5}}, {44, "a", []int64{6}}, {65535, "z", []int64{3}}}}},
		},
		"ends of the numbers": {
			[]Table{{clock(4), []Column{
				{catalogue.SensorTemperature, "", []int64{math.MaxInt64, math.MinInt64 + 1, 0, math.MaxInt64}},
				{catalogue.PortBytesSent, "", []int64{math.MinInt64 + 1, math.MaxInt64, -1, 1}},
				{catalogue.PortBytesSent, "", []int64{1 << 62, -1 << 62, 1 << 61, math.MaxInt64}},
				{catalogue.PortBytesSent, "", []int64{math.MinInt64 + 1, math.MaxInt64, math.MinInt64 + 1, math.MaxInt64 - 5}},
			}}},
			[]Table{{clock(4), []Column{
				{catalogue.SensorTemperature, "", []int64{math.MaxInt64, math.MinInt64 + 1, 0, math.MaxInt64}},
				{catalogue.PortBytesSent, "", []int64{math.MinInt64 + 1, math.MaxInt64, -1, 1}},
				{catalogue.PortBytesSent, "", []int64{1 << 62, -1 << 62, 1 << 61, math.MaxInt64}},
				{catalogue.PortBytesSent, "", []int64{math.MinInt64 + 1, math.MaxInt64, math.MinInt64 + 1, math.MaxInt64 - 5}},
			}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, code(t, tt.in, false)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTimesStayNear(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for name, tt := range map[string]struct {
		apart, jitter, within time.Duration
	}{
		"each 10 s":     {10 * time.Second, 40 * time.Millisecond, 100 * time.Millisecond},
		"each 10.037 s": {10037 * time.Millisecond, 5 * time.Millisecond, 100 * time.Millisecond},
		"each 300 ms":   {300 * time.Millisecond, 4 * time.Millisecond, 10 * time.Millisecond},
		"each 20 ms":    {20 * time.Millisecond, 3 * time.Millisecond, time.Millisecond},
		"in no order":   {0, time.Minute, 100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			var in Table
			for i := range 200 {
				at := 50*time.Hour + time.Duration(i)*tt.apart + time.Duration(r.Int64N(int64(tt.jitter)))
				in.Times = append(in.Times, at.Truncate(time.Millisecond))
			}
			for i, at := range code(t, []Table{in}, false)[0].Times {
				if d := (at - in.Times[i]).Abs(); d > tt.within {
					t.Fatalf("row %d moved by %v; want at most %v", i, d, tt.within)
				}
			}
		})
	}
}

func TestRegularTimesAndConstantColumnsCostNothing(t *testing.T) {
	var e Encoder
	size := func(rows int) int {
		in := Table{Times: clock(rows)}
		for i := range 20 {
			in.Columns = append(in.Columns, Column{catalogue.PortCarrier, string(rune('a' + i)), values(rows, func(int) int64 { return 1 })})
		}
		return len(e.AppendColumns(nil, []Table{in}, false))
	}
	few, many := size(30), size(90)
	if many-few > 2 {
		t.Errorf("60 more rows of 20 constants cost %d bytes; want at most 2", many-few)
	}
	if few > 50 {
		t.Errorf("20 constants cost %d bytes; want at most 50, names included", few)
	}
}

func TestEncoderDoesNotAllocate(t *testing.T) {
	tables := mixed(1, 30)
	var e Encoder
	buf := make([]byte, 0, 1<<16)
	if n := testing.AllocsPerRun(20, func() { buf = e.AppendColumns(buf[:0], tables, false) }); n != 0 {
		t.Errorf("AppendColumns allocates %v times", n)
	}
	if n := testing.AllocsPerRun(20, func() { buf = e.AppendSummary(buf[:0], tables) }); n != 0 {
		t.Errorf("AppendSummary allocates %v times", n)
	}
}

func TestEncoderKeepsNothingFromBodyToBody(t *testing.T) {
	var used Encoder
	used.AppendColumns(nil, mixed(2, 50), true)
	used.AppendSummary(nil, mixed(3, 50))
	in := mixed(4, 20)
	var fresh Encoder
	if !slices.Equal(used.AppendColumns(nil, in, false), fresh.AppendColumns(nil, in, false)) {
		t.Error("a used Encoder codes otherwise than a new one")
	}
}

func TestBodyBeyondItsLimitsIsCut(t *testing.T) {
	var e Encoder
	many := make([]Table, MaxTables+1)
	wide := []Table{{Columns: make([]Column, MaxColumns+1)}, {Columns: make([]Column, 5)}}
	tall := []Table{
		{Times: make([]time.Duration, 70_000), Columns: []Column{{1, "", make([]int64, 70_000)}}},
		{Times: make([]time.Duration, MaxCells), Columns: []Column{{1, "", nil}, {2, "", nil}}},
		{Times: make([]time.Duration, 3), Columns: []Column{{1, "", nil}}},
	}
	for name, in := range map[string][]Table{"tables": many, "columns": wide, "cells": tall} {
		got, err := DecodeColumns(e.AppendColumns(nil, in, false))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		switch {
		case name == "tables" && len(got) != MaxTables,
			name == "columns" && (len(got[0].Columns) != MaxColumns || len(got[1].Columns) != 0),
			name == "cells" && (len(got[0].Times) != 70_000 || len(got[1].Times) != MaxCells-140_000 || len(got[1].Columns) != 0):
			t.Errorf("%s: not cut at the limit", name)
		}
	}
	if got, err := DecodeSummary(e.AppendSummary(nil, []Table{{clock(1), slices.Repeat([]Column{{1, "", []int64{3}}}, MaxColumns+1)}})); err != nil || len(got) != MaxColumns {
		t.Errorf("summary: %d entries, %v; want %d", len(got), err, MaxColumns)
	}
}

func TestHostileBodyCannotFillMemory(t *testing.T) {
	var e Encoder
	bodies := map[string][]byte{
		"ones": slices.Repeat([]byte{0xff}, 64<<10), "zeros": make([]byte, 64<<10),
		"cells": e.AppendColumns(nil, []Table{{Times: make([]time.Duration, MaxCells/32), Columns: make([]Column, 31)}}, false),
	}
	r := rand.New(rand.NewPCG(1, 1))
	noise := make([]byte, 64<<10)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	bodies["noise"] = noise
	for name, body := range bodies {
		body[0] = format
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, errColumns := DecodeColumns(body)
		_, errSummary := DecodeSummary(body)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 16<<20 {
			t.Errorf("%s: decoding allocated %d bytes (%v, %v)", name, n, errColumns, errSummary)
		}
	}
}

// TestBodyThatClaimsTooMuchIsRefused: before anything is made for it.
func TestBodyThatClaimsTooMuchIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		tables, columns uint64
		rows            int64
	}{
		"tables":               {MaxTables + 1, 0, 0},
		"columns":              {1, MaxColumns + 1, 0},
		"rows":                 {1, 0, MaxCells + 1},
		"cells":                {1, 100, MaxCells / 100},
		"none":                 {1, 0, -1},
		"too many for 32 bits": {1, MaxColumns, 1 << 18},
	} {
		var e Encoder
		e.begin(nil)
		c := &e.codec
		c.unsigned(&c.tables, tt.tables)
		c.signed(&c.rows, tt.rows)
		c.unsigned(&c.columns, tt.columns)
		body := e.end()
		if n := testing.AllocsPerRun(1, func() {
			if _, err := DecodeColumns(body); !errors.Is(err, errBody) {
				t.Errorf("%s: %v", name, err)
			}
		}); n > 10 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestDamagedBodyIsRefused(t *testing.T) {
	var e Encoder
	body := e.AppendColumns(nil, mixed(1, 30), false)
	for name, tt := range map[string]struct {
		body []byte
		want error
	}{
		"nothing":        {nil, errBody},
		"later format":   {append([]byte{format + 1}, body[1:]...), errFormat},
		"cut short":      {body[:len(body)/2], errBody},
		"bytes after it": {append(slices.Clone(body), make([]byte, 9)...), errBody},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := DecodeColumns(tt.body); !errors.Is(err, tt.want) {
				t.Errorf("DecodeColumns: %v; want %v", err, tt.want)
			}
			if _, err := DecodeSummary(tt.body); err == nil {
				t.Error("DecodeSummary: no error")
			}
		})
	}
}

func TestSummary(t *testing.T) {
	var e Encoder
	in := []Table{
		{clock(4), []Column{
			{catalogue.SensorTemperature, "soc", []int64{61230, 61480, Absent, 62020}},
			{catalogue.PortBytesReceived, "eth0", []int64{5_000_000_123, Absent, 5_000_004_000, 5_000_123_456}},
			{catalogue.PortBytesReceived, "eth1", []int64{Absent, Absent, Absent, Absent}},
			{catalogue.PortBytesReceived, "eth2", []int64{3000, 2000, 1000, 1500}},
			{catalogue.PortBytesReceived, "eth3", []int64{7, 7, 7, 7, 8}},
			{catalogue.StationSignal, "x", []int64{-61, -62, -70, -61}},
		}},
		{clock(1), []Column{
			{catalogue.SensorTemperature, "soc", []int64{math.MinInt64 + 1}},
			{catalogue.PortBytesReceived, "eth0", []int64{math.MaxInt64}},
		}},
		{clock(2), []Column{{catalogue.SensorTemperature, "soc", []int64{math.MinInt64 + 1, math.MaxInt64}}}},
	}
	got, err := DecodeSummary(e.AppendSummary(nil, in))
	if err != nil {
		t.Fatal(err)
	}
	want := []ColumnSummary{
		{Metric: catalogue.SensorTemperature, Instance: "soc", Count: 3, Min: 61000, Mean: 61500, Max: 62000, Last: 62000},
		{Metric: catalogue.PortBytesReceived, Instance: "eth0", Count: 3, Counter: true, Min: 5_000_000_123, Max: 5_000_123_456, Last: 5_000_123_456},
		{Metric: catalogue.PortBytesReceived, Instance: "eth2", Count: 4, Min: 1000, Mean: 2000, Max: 3000, Last: 2000},
		{Metric: catalogue.PortBytesReceived, Instance: "eth3", Count: 4, Counter: true, Min: 7, Max: 7, Last: 7},
		{Metric: catalogue.StationSignal, Instance: "x", Count: 4, Min: -70, Mean: -64, Max: -61, Last: -61},
		{Metric: catalogue.SensorTemperature, Instance: "soc", Count: 1, Min: math.MinInt64 + 1, Mean: math.MinInt64 + 1, Max: math.MinInt64 + 1, Last: math.MinInt64 + 1},
		{Metric: catalogue.PortBytesReceived, Instance: "eth0", Count: 1, Counter: true, Min: math.MaxInt64, Max: math.MaxInt64, Last: math.MaxInt64},
		{Metric: catalogue.SensorTemperature, Instance: "soc", Count: 2, Min: math.MinInt64 + 1, Mean: 0, Max: math.MaxInt64, Last: math.MaxInt64},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
