package wire

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"livebox-agent/collector/catalogue"
)

// addGolden adds the bodies of the golden vectors to the seeds.
func addGolden(f *testing.F) {
	f.Helper()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("golden vectors: %d, %v", len(files), err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var v struct{ Body string }
		if err := json.Unmarshal(b, &v); err != nil {
			f.Fatal(err)
		}
		body, err := hex.DecodeString(v.Body)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
}

// FuzzDecodeColumns: what decodes can be coded again, without loss.
func FuzzDecodeColumns(f *testing.F) {
	addGolden(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		tables, err := DecodeColumns(body)
		if err != nil {
			return
		}
		var e Encoder
		again, err := DecodeColumns(e.AppendColumns(nil, tables, true))
		if err != nil {
			t.Fatal(err)
		}
		for i, table := range tables {
			for j, c := range table.Columns {
				for row, v := range c.Values {
					if again[i].Columns[j].Values[row] != v {
						t.Fatalf("table %d column %d row %d: %d came back as %d", i, j, row, v, again[i].Columns[j].Values[row])
					}
				}
			}
		}
	})
}

func FuzzDecodeSummary(f *testing.F) {
	addGolden(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		all, err := DecodeSummary(body)
		if err != nil {
			return
		}
		for _, s := range all {
			if s.Count < 1 {
				t.Fatalf("a summary of %d readings", s.Count)
			}
		}
	})
}

// FuzzColumns makes tables of any bytes and holds what comes back to them.
func FuzzColumns(f *testing.F) {
	f.Add([]byte("three rows, any values, some absent and some far away \x00\xff\x80\x01\x02"), uint8(3), uint16(1000), true)
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, uint8(1), uint16(1), false)
	f.Fuzz(func(t *testing.T, data []byte, rows uint8, step uint16, lossless bool) {
		table := Table{}
		for i := range int(rows) {
			table.Times = append(table.Times, time.Duration(i*int(rows))*time.Second)
		}
		for len(data) > 2 && len(table.Columns) < 100 {
			c := Column{Metric: catalogue.ID(data[0]), Instance: string(data[1:min(int(data[1]%8)+1, len(data))])}
			shape := data[0] % 4
			data = data[2:]
			var last int64
			for range rows {
				v := int64(0)
				switch {
				case shape == 3 && len(data) >= 8:
					v, data = int64(binary.NativeEndian.Uint64(data)), data[8:]
				case len(data) > 0:
					v, data = last+int64(data[0])<<(8*shape)-int64(shape), data[1:]
				default:
					v = Absent
				}
				last = v
				c.Values = append(c.Values, v)
			}
			table.Columns = append(table.Columns, c)
		}
		e := Encoder{Steps: func(id catalogue.ID) (int64, bool) { return int64(step), id%2 == 0 }}
		got, err := DecodeColumns(e.AppendColumns(nil, []Table{table}, lossless))
		if err != nil {
			t.Fatal(err)
		}
		for j, c := range table.Columns {
			for row, v := range c.Values {
				w := got[0].Columns[j].Values[row]
				if v == w {
					continue
				}
				off := max(v-w, w-v)
				if lossless || v == Absent || w == Absent || off < 0 || off > int64(step) {
					t.Fatalf("metric %d row %d: %d came back as %d; step %d", c.Metric, row, v, w, step)
				}
			}
		}
		if _, err := DecodeSummary(e.AppendSummary(nil, []Table{table})); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzParse: the parsers of messages take any bytes; an Ack that parses is
// within its limits and in order.
func FuzzParse(f *testing.F) {
	addGolden(f)
	f.Add(AppendAck(nil, fullAck))
	f.Add(AppendStatus(nil, fullStatus))
	f.Add(AppendEvent(nil, fullEvent))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := ParseReport(b); err == nil {
			for _, s := range r.Sections {
				_, _ = ParseEvent(s.Body)
			}
		}
		_, _ = ParseStatus(b)
		_, _ = ParseEvent(b)
		a, err := ParseAck(b)
		if err != nil {
			return
		}
		if len(b) > MaxAckBytes || len(a.Lanes) > MaxAckLanes || a.RetryAfter < 0 {
			t.Fatalf("ack beyond its limits: %d bytes, %d lanes, retry after %v", len(b), len(a.Lanes), a.RetryAfter)
		}
		for _, l := range a.Lanes {
			last := l.Contiguous
			for _, r := range l.Ranges {
				if r.First <= last || r.Last < r.First {
					t.Fatalf("ranges out of order: %+v", l)
				}
				last = r.Last
			}
		}
	})
}
