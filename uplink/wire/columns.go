package wire

import (
	"errors"
	"math"
	"time"

	"livebox-agent/collector/catalogue"
)

// Absent stands for a row in which a column has no reading.
const Absent = math.MinInt64

// What a body may hold. An encoder leaves out what is beyond; a decoder
// refuses it.
const (
	// MaxTables is the most tables.
	MaxTables = 1 << 10
	// MaxColumns is the most columns, over all tables.
	MaxColumns = 1 << 14
	// MaxCells is the most rows × (columns + 1), over all tables.
	MaxCells = 1 << 19
	// MaxInstance is the longest name of an instance, in bytes; the rest of a
	// longer one is cut off.
	MaxInstance = 255
)

// format is the first byte of every body.
const format = 1

var (
	errFormat = errors.New("unknown format of body")
	errBody   = errors.New("body is damaged")
)

// A Column holds the readings of one metric of one instance.
type Column struct {
	Metric   catalogue.ID
	Instance string
	// Values are in units of 10^Exponent of the metric, one for each of the
	// table's times; Absent where there is none.
	Values []int64
}

// A Table holds the readings that one source gave over a window.
type Table struct {
	// Times are those of the rows, since the kernel booted. A body keeps them
	// within 0.1 s; within 10 ms where rows are less than 1 s apart, within
	// 1 ms where they are less than 0.1 s apart.
	Times   []time.Duration
	Columns []Column
}

// An Encoder codes the bodies of sections. It keeps its scratch memory from
// one body to the next. The zero value is ready; one goroutine at a time may
// use it.
type Encoder struct {
	// Steps returns the step to which a metric is coded, at least 1, and
	// whether it is a counter; nil stands for the catalogue's.
	Steps func(catalogue.ID) (step int64, counter bool)

	codec codec
	fresh *models
	index map[string]int // place of each of codec.instances
}

// Steps returns what the catalogue says of a metric: the step to which it is
// coded and whether it is a counter. A state, and a metric that the catalogue
// does not have, keep every value.
func Steps(id catalogue.ID) (step int64, counter bool) {
	m, ok := catalogue.Lookup(id)
	if !ok || m.Kind == catalogue.State {
		return 1, false
	}
	return max(m.Resolution, 1), m.Kind == catalogue.Counter
}

// A codec codes bodies in either direction: what is said of coder holds for
// every method below that takes a value and returns one.
type codec struct {
	coder
	models

	memo      [256]memo // by the low byte of the metric's number
	follows   [2][256]catalogue.ID
	palettes  []palette
	instances []string
	last      struct { // the column before
		metric   catalogue.ID
		instance int
		name     string // of the newest instance
	}
	series []int64 // of the column in hand, in steps
	left   []bool  // rows in which the column before has a reading
	cells  int     // so far
	width  int     // columns so far
	broken bool    // decoding: the body cannot be right
}

// A memo is what is remembered of the last column of a metric.
type memo struct {
	known   bool // counter and step are
	counter bool
	step    int64
	opened  bool // level is known
	level   int64
	moded   bool // what follows is known
	mode    mode
	fast    uint64 // running means of the residuals
	slow    uint64
	palette int // number in palettes, from 1 on
}

// reset forgets the body before; the models are set apart.
func (c *codec) reset() {
	clear(c.memo[:])
	clear(c.follows[0][:])
	clear(c.follows[1][:])
	c.palettes = c.palettes[:0]
	clear(c.instances)
	c.instances = append(c.instances[:0], "")
	c.last.metric, c.last.instance, c.last.name = 0, 0, ""
	c.cells, c.width, c.broken = 0, 0, false
}

// AppendColumns appends the body of a section of fidelity Columns: every
// reading of the tables, at the catalogue's resolution or, where lossless,
// as it is. Values beyond a table's times are left out, missing ones absent.
func (e *Encoder) AppendColumns(dst []byte, tables []Table, lossless bool) []byte {
	e.begin(dst)
	c := &e.codec
	tables = tables[:min(len(tables), MaxTables)]
	c.unsigned(&c.tables, uint64(len(tables)))
	at := timeline{}
	for i := range tables {
		times := tables[i].Times
		times = times[:min(len(times), MaxCells-c.cells)]
		columns := tables[i].Columns
		if len(times) > 0 {
			columns = columns[:min(len(columns), (MaxCells-c.cells)/len(times)-1)]
		}
		columns = columns[:min(len(columns), MaxColumns-c.width)]
		c.table(&at, len(times), len(columns))
		e.times(&at, times)
		c.startRows(len(times))
		for _, column := range columns {
			e.column(column, len(times), lossless)
		}
	}
	return e.end()
}

// begin starts a body at the end of dst.
func (e *Encoder) begin(dst []byte) {
	if e.fresh == nil {
		e.fresh = newModels()
		e.index = make(map[string]int)
	}
	if e.Steps == nil {
		e.Steps = Steps
	}
	e.codec.models = *e.fresh
	e.codec.reset()
	e.codec.encode(append(dst, format))
	clear(e.index)
	e.index[""] = 0
}

// end returns dst with the body. The codec lets go of what is the caller's.
func (e *Encoder) end() []byte {
	b := e.codec.finish()
	e.codec.buf = nil
	return b
}

// DecodeColumns reads the body of a section of fidelity Columns.
func DecodeColumns(body []byte) ([]Table, error) {
	c, err := newDecoder(body)
	if err != nil {
		return nil, err
	}
	n := c.unsigned(&c.tables, 0)
	if n > MaxTables {
		return nil, errBody
	}
	tables := make([]Table, n)
	at := timeline{}
	for i := range tables {
		t := &tables[i]
		rows, columns := c.table(&at, 0, 0)
		if c.broken {
			return nil, errBody
		}
		t.Times = c.times(&at, rows)
		c.startRows(rows)
		for range columns {
			t.Columns = append(t.Columns, c.column(rows))
			if c.broken || c.overrun() {
				return nil, errBody
			}
		}
	}
	if c.broken || !c.complete() {
		return nil, errBody
	}
	return tables, nil
}

// newDecoder returns a codec that reads body.
func newDecoder(body []byte) (*codec, error) {
	if len(body) == 0 {
		return nil, errBody
	}
	if body[0] != format {
		return nil, errFormat
	}
	c := &codec{models: *newModels()}
	c.reset()
	c.decode(body[1:])
	return c, nil
}

// A timeline is what the times of a table are predicted from.
type timeline struct {
	rows     int
	start    int64 // of the table, in ms
	quantum  int64 // ms
	interval int64 // between rows, in quanta
}

// quanta are the units of times, in ms.
var quanta = [...]int64{100, 10, 1}

// table codes the size of a table.
func (c *codec) table(at *timeline, rows, columns int) (int, int) {
	n := int64(at.rows) + c.signed(&c.rows, int64(rows)-int64(at.rows))
	k := c.unsigned(&c.columns, uint64(columns))
	if n < 0 || n > MaxCells || k > MaxColumns || n*int64(k+1) > int64(MaxCells-c.cells) || int(k) > MaxColumns-c.width {
		c.broken = true
		return 0, 0
	}
	at.rows = int(n)
	c.cells += int(n) * (int(k) + 1)
	c.width += int(k)
	return int(n), int(k)
}

// timesHeader codes what a table's times have in common: their quantum, the
// first, in quanta from the first of the table before, and their interval.
func (c *codec) timesHeader(at *timeline, quantum int, start, interval int64) {
	q := c.unsigned(&c.quantum, uint64(quantum))
	if q >= uint64(len(quanta)) {
		c.broken = true
		return
	}
	at.quantum = quanta[q]
	at.start += c.signed(&c.start, off(start-at.start, at.quantum)) * at.quantum
	at.interval += c.signed(&c.interval, interval-at.interval)
}

// off returns in quanta how far a time is off, in ms, from where it is
// expected. A time that is one quantum or less off is left where it is
// expected; what it differs is carried to the next.
func off(ms, quantum int64) int64 {
	if ms >= -quantum && ms <= quantum {
		return 0
	}
	return ms / quantum
}

// times codes the times of a table.
func (e *Encoder) times(at *timeline, times []time.Duration) {
	if len(times) == 0 {
		return
	}
	start := times[0].Milliseconds()
	apart := (times[len(times)-1].Milliseconds() - start) / int64(max(len(times)-1, 1))
	quantum := 0
	for quantum < len(quanta)-1 && apart < 10*quanta[quantum] {
		quantum++
	}
	e.codec.timesHeader(at, quantum, start, interval(times, quanta[quantum]))
	s := spread{count: 1}
	t := at.start
	for _, next := range times[1:] {
		t += at.interval * at.quantum
		t += e.codec.residual(&s, overTime, off(next.Milliseconds()-t, at.quantum)) * at.quantum
	}
}

// interval returns the interval between most rows, in quanta.
func interval(times []time.Duration, quantum int64) int64 {
	var candidate int64
	votes := 0
	for i := 1; i < len(times); i++ {
		d := (times[i].Milliseconds() - times[i-1].Milliseconds() + quantum/2) / quantum
		switch {
		case votes == 0:
			candidate, votes = d, 1
		case d == candidate:
			votes++
		default:
			votes--
		}
	}
	return candidate
}

// times decodes the times of a table.
func (c *codec) times(at *timeline, rows int) []time.Duration {
	if rows == 0 {
		return nil
	}
	c.timesHeader(at, 0, 0, 0)
	times := make([]time.Duration, rows)
	s := spread{count: 1}
	t := at.start
	for i := range times {
		if i > 0 {
			t += at.interval*at.quantum + c.residual(&s, overTime, 0)*at.quantum
		}
		if t < -maxMillis || t > maxMillis || c.overrun() {
			c.broken = true
			return nil
		}
		times[i] = time.Duration(t) * time.Millisecond
	}
	return times
}

// startRows starts a table of that many rows: to the left of its first column
// every row has a reading, its time.
func (c *codec) startRows(rows int) {
	c.left = c.left[:0]
	for range rows {
		c.left = append(c.left, true)
	}
}
