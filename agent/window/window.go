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
package window

import (
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
	maxBody     = 48 << 10
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

// Empty tells that the window has no reading.
func (w *Window) Empty() bool { return w.readings == 0 }

// Dropped returns how many readings no report has, since the Window was made.
func (w *Window) Dropped() uint64 { return w.dropped }

// Discard forgets what the open window holds for a purpose, as when consent is
// withdrawn.
func (w *Window) Discard(p catalogue.Purpose) {
	for i, t := range w.tables {
		if t.purpose == p {
			w.readings -= t.readings()
			w.tables[i] = &table{source: t.source, purpose: p, index: map[column]int{}}
		}
	}
}

func (t *table) readings() int {
	n := 0
	for _, c := range t.columns {
		for _, v := range c.Values {
			if v != wire.Absent {
				n++
			}
		}
	}
	return n
}

// Seal returns the sections of the window, two for each purpose that has
// readings (columns and summary), and opens the next window.
func (w *Window) Seal() []buffer.Section {
	var sections []buffer.Section
	for _, p := range catalogue.Purposes() {
		tables, n := w.of(p)
		if len(tables) == 0 {
			continue
		}
		columns := w.encoder.AppendColumns(nil, tables, false)
		if len(columns) <= maxBody {
			sections = append(sections, buffer.Section{Purpose: p, Fidelity: buffer.Columns, Body: columns})
		}
		summary := w.encoder.AppendSummary(nil, tables)
		if len(summary) <= maxBody {
			sections = append(sections, buffer.Section{Purpose: p, Fidelity: buffer.Summary, Body: summary})
		}
		if len(columns) > maxBody && len(summary) > maxBody {
			w.dropped += uint64(n)
		}
	}
	for _, t := range w.tables {
		t.reset()
	}
	w.readings = 0
	return sections
}

// of returns the tables of a purpose, every column padded to the table's rows,
// and how many readings they have.
func (w *Window) of(p catalogue.Purpose) (tables []wire.Table, readings int) {
	for _, t := range w.tables {
		if t.purpose != p || len(t.times) == 0 {
			continue
		}
		readings += t.readings()
		for i := range t.columns {
			t.columns[i].Values = pad(t.columns[i].Values, len(t.times))
		}
		tables = append(tables, wire.Table{Times: t.times, Columns: t.columns})
	}
	return tables, readings
}

// reset empties the table for the next window. Columns that had no reading in
// this one (a station that left) go, so that a box that meets many stations
// does not remember them all.
func (t *table) reset() {
	t.times = t.times[:0]
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
