// Package window holds the readings of the open reporting interval, column by
// column, and seals them into the sections of a report.
//
// # What is promised
//
//   - Every reading that Add took is in the sections that Seal gives, unless
//     Dropped counts it.
//   - Sections of different purposes share nothing: taking one away leaves the
//     others whole.
//   - Adding a batch whose columns are known allocates nothing but the room
//     for its values.
//   - A Recorder has every reading of the last twenty minutes, as far as its
//     bytes go, and gives those of the purposes that were asked for.
package window

import (
	"sort"
	"time"

	"livebox-agent/buffer"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
	"livebox-agent/uplink/wire"
)

// Limits of one window. A home of 60 stations sampled each 10 s for 5 min has
// about 40 000 readings.
const (
	// maxReadings is where Full asks for an early seal, so that a report stays
	// far below the largest message that the uplink sends.
	maxReadings = 48 << 10
	maxColumns  = 4096 // of one source
	// maxReport bounds the bodies of one report, with room for its header
	// below the largest message of the uplink.
	maxReport = 60 << 10
)

// A Window is the open reporting interval. It is not safe for concurrent use.
type Window struct {
	tables   []*table
	encoder  wire.Encoder
	readings int
	dropped  uint64
}

// A table has the rows of one source.
type table struct {
	source  string
	purpose catalogue.Purpose
	times   []time.Duration
	noted   int // rows that fresh has returned
	columns []wire.Column
	index   map[column]int
}

type column struct {
	metric   catalogue.ID
	instance string
}

// Add appends the readings of one source at one instant. Batches of a source
// come in order of time.
func (w *Window) Add(source string, purpose catalogue.Purpose, b *sample.Batch) {
	if len(b.Readings) == 0 {
		return
	}
	t := w.table(source, purpose)
	if n := len(t.times); n > 0 && b.At < t.times[n-1] {
		w.dropped += uint64(len(b.Readings))
		return
	}
	row := len(t.times)
	t.times = append(t.times, b.At)
	for i, r := range b.Readings {
		c := t.column(i, r)
		if c == nil || len(c.Values) > row {
			w.dropped++ // too many columns, or the same column twice at one instant
			continue
		}
		c.Values = pad(c.Values, row)
		c.Values = append(c.Values, r.Value)
		w.readings++
	}
}

func (w *Window) table(source string, purpose catalogue.Purpose) *table {
	for _, t := range w.tables {
		if t.source == source {
			return t
		}
	}
	t := &table{source: source, purpose: purpose, index: map[column]int{}}
	w.tables = append(w.tables, t)
	return t
}

// column returns the column of the i-th reading of a batch. Sources give
// their readings in the same order nearly always, so the i-th column is looked
// at before the index.
func (t *table) column(i int, r sample.Reading) *wire.Column {
	if i < len(t.columns) && t.columns[i].Metric == r.Metric && t.columns[i].Instance == r.Instance {
		return &t.columns[i]
	}
	k := column{r.Metric, r.Instance}
	at, ok := t.index[k]
	if !ok {
		if len(t.columns) >= maxColumns {
			return nil
		}
		at = len(t.columns)
		t.columns = append(t.columns, wire.Column{Metric: r.Metric, Instance: r.Instance})
		t.index[k] = at
	}
	return &t.columns[at]
}

func pad(v []int64, n int) []int64 {
	for len(v) < n {
		v = append(v, wire.Absent)
	}
	return v
}

// Full tells that the window holds so much that it should be sealed early.
func (w *Window) Full() bool { return w.readings >= maxReadings }

// Dropped returns how many readings no report has, since the Window was made.
func (w *Window) Dropped() uint64 { return w.dropped }

// A Part is what one report has of a window: nearly always all of it.
type Part struct {
	// Opened and Sealed are the ends of its time.
	Opened, Sealed time.Duration
	Sections       []buffer.Section
}

// Seal returns the window, which lasted from opened to sealed, as sections: two
// for each purpose that has readings (columns and summary). It opens the next
// window. What would be too much for one report is parted by time.
func (w *Window) Seal(opened, sealed time.Duration) []Part {
	tables := w.padded()
	parts := w.encode(nil, opened, sealed, tables)
	for _, t := range w.tables {
		t.reset()
	}
	w.readings = 0
	return parts
}

// padded returns the tables that have rows.
func (w *Window) padded() []purposed {
	tables := make([]purposed, 0, len(w.tables))
	for _, t := range w.tables {
		if len(t.times) == 0 {
			continue
		}
		tables = append(tables, t.padded())
	}
	return tables
}

// padded returns the table, every column as long as it has rows.
func (t *table) padded() purposed {
	for i := range t.columns {
		t.columns[i].Values = pad(t.columns[i].Values, len(t.times))
	}
	return purposed{t.purpose, wire.Table{Times: t.times, Columns: t.columns}}
}

// fresh returns what was added since it was called last, as one section of
// columns for each purpose that has readings there.
func (w *Window) fresh() []buffer.Section {
	var tables []purposed
	for _, t := range w.tables {
		own := t.fresh()
		if t.noted = len(t.times); len(own.Columns) > 0 {
			tables = append(tables, own)
		}
	}
	return columns(&w.encoder, tables)
}

// fresh returns the rows that Window.fresh has not returned.
func (t *table) fresh() purposed { return rows(t.padded(), t.noted, len(t.times)) }

// columns returns the tables as one section of columns for each purpose that has
// readings.
func columns(encoder *wire.Encoder, tables []purposed) []buffer.Section {
	var all []buffer.Section
	for _, p := range catalogue.Purposes() {
		if own := of(tables, p); len(own) > 0 {
			all = append(all, buffer.Section{Purpose: p, Fidelity: buffer.Columns, Body: encoder.AppendColumns(nil, own, false)})
		}
	}
	return all
}

// of returns the tables of one purpose.
func of(tables []purposed, p catalogue.Purpose) []wire.Table {
	var own []wire.Table
	for _, t := range tables {
		if t.purpose == p {
			own = append(own, t.Table)
		}
	}
	return own
}

// purposed is a table of one source with its purpose.
type purposed struct {
	purpose catalogue.Purpose
	wire.Table
}

// encode appends the tables as parts of at most maxReport bytes.
func (w *Window) encode(parts []Part, opened, sealed time.Duration, tables []purposed) []Part {
	p := Part{Opened: opened, Sealed: sealed}
	size := 0
	for _, purpose := range catalogue.Purposes() {
		own := of(tables, purpose)
		if len(own) == 0 {
			continue
		}
		columns, summary := w.encoder.AppendColumns(nil, own, false), w.encoder.AppendSummary(nil, own)
		size += len(columns) + len(summary)
		p.Sections = append(p.Sections,
			buffer.Section{Purpose: purpose, Fidelity: buffer.Columns, Body: columns},
			buffer.Section{Purpose: purpose, Fidelity: buffer.Summary, Body: summary})
	}
	if len(p.Sections) == 0 {
		return parts
	}
	if size <= maxReport {
		return append(parts, p)
	}
	middle := opened + (sealed-opened)/2
	before, after := cut(tables, middle)
	if middle == opened || len(before) == 0 && len(after) == 0 {
		w.dropped += readings(tables) // one instant that no report can hold
		return parts
	}
	return w.encode(w.encode(parts, opened, middle, before), middle, sealed, after)
}

// cut parts the rows of tables at the time at.
func cut(tables []purposed, at time.Duration) (before, after []purposed) {
	for _, t := range tables {
		n := sort.Search(len(t.Times), func(i int) bool { return t.Times[i] >= at })
		if b := rows(t, 0, n); len(b.Columns) > 0 {
			before = append(before, b)
		}
		if a := rows(t, n, len(t.Times)); len(a.Columns) > 0 {
			after = append(after, a)
		}
	}
	return before, after
}

// rows returns the rows from i to j of t, with the columns that have something
// there.
func rows(t purposed, i, j int) purposed {
	r := purposed{t.purpose, wire.Table{Times: t.Times[i:j]}}
	for _, c := range t.Columns {
		if v := c.Values[i:j]; alive(v) {
			c.Values = v
			r.Columns = append(r.Columns, c)
		}
	}
	return r
}

func readings(tables []purposed) (n uint64) {
	for _, t := range tables {
		for _, c := range t.Columns {
			for _, v := range c.Values {
				if v != wire.Absent {
					n++
				}
			}
		}
	}
	return n
}

// reset empties the table for the next window. Columns that had no reading in
// this one (a station that left) go, so that a box that meets many stations
// does not remember them all.
func (t *table) reset() {
	t.times, t.noted = t.times[:0], 0
	kept := t.columns[:0]
	for _, c := range t.columns {
		if alive(c.Values) {
			c.Values = c.Values[:0]
			kept = append(kept, c)
		}
	}
	clear(t.columns[len(kept):])
	if len(kept) < len(t.columns) {
		clear(t.index)
		for i, c := range kept {
			t.index[column{c.Metric, c.Instance}] = i
		}
	}
	t.columns = kept
}

func alive(values []int64) bool {
	for _, v := range values {
		if v != wire.Absent {
			return true
		}
	}
	return false
}
