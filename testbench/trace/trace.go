package trace

import (
	"math"
	"math/rand/v2"
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/uplink/wire"
)

// A Series is one column of the trace.
type Series struct {
	Metric   catalogue.ID
	Name     string
	Instance string
	Values   []int64
}

// A Source is what one source of the agent gives: a table of the trace.
type Source struct {
	Name    string
	Purpose catalogue.Purpose
	// Split says that a row format sends a message for each instance.
	Split  bool
	Times  []time.Duration
	Series []Series
}

// A Trace is some time of one box's readings.
type Trace struct {
	Rows     int
	Interval time.Duration
	Sources  []Source
}

// Readings returns the number of readings, 60 a row.
func (t *Trace) Readings() int {
	n := 0
	for _, s := range t.Sources {
		n += len(s.Series) * len(s.Times)
	}
	return n
}

// A Window is the part of a trace that one report carries.
type Window struct {
	Opened, Sealed time.Duration
	Sections       []WindowSection
}

// A WindowSection is the tables of one purpose.
type WindowSection struct {
	Purpose catalogue.Purpose
	Tables  []wire.Table
}

// Windows cuts the trace into windows of the given rows; a rest is left out.
// The values are shared with the trace.
func (t *Trace) Windows(rows int) []Window {
	var all []Window
	for from := 0; from+rows <= t.Rows; from += rows {
		w := Window{
			Opened: t.Sources[0].Times[from] - t.Interval/2,
			Sealed: t.Sources[0].Times[from+rows-1] + t.Interval/2,
		}
		for _, p := range catalogue.Purposes() {
			var tables []wire.Table
			for _, s := range t.Sources {
				if s.Purpose != p {
					continue
				}
				table := wire.Table{Times: s.Times[from : from+rows]}
				for _, c := range s.Series {
					table.Columns = append(table.Columns, wire.Column{
						Metric: c.Metric, Instance: c.Instance, Values: c.Values[from : from+rows],
					})
				}
				tables = append(tables, table)
			}
			if len(tables) > 0 {
				w.Sections = append(w.Sections, WindowSection{p, tables})
			}
		}
		all = append(all, w)
	}
	return all
}

// generator holds what the models of a trace share.
type generator struct {
	seed     uint64
	streams  uint64
	rows     int
	interval time.Duration
}

// rng returns the next independent stream of random numbers.
func (g *generator) rng() *rand.Rand {
	g.streams++
	return rand.New(rand.NewPCG(g.seed, g.streams))
}

// each returns a value for each row.
func (g *generator) each(f func(row int) float64) []int64 {
	v := make([]int64, g.rows)
	for i := range v {
		v[i] = int64(math.Round(f(i)))
	}
	return v
}

// Generate returns a trace of rows readings of each column, interval apart,
// from midnight on.
func Generate(seed uint64, rows int, interval time.Duration) *Trace {
	g := &generator{seed: seed, rows: rows, interval: interval}
	t := &Trace{Rows: rows, Interval: interval, Sources: []Source{
		{Name: "line", Purpose: catalogue.Essential, Series: g.line()},
		{Name: "optics", Purpose: catalogue.Essential, Series: g.optics()},
		{Name: "sensors", Purpose: catalogue.Essential, Series: g.sensors()},
		{Name: "load", Purpose: catalogue.Support, Series: g.load()},
		{Name: "traffic", Purpose: catalogue.Support, Split: true, Series: g.traffic()},
		{Name: "probe", Purpose: catalogue.Support, Series: g.probe()},
		{Name: "stations", Purpose: catalogue.Personalised, Split: true, Series: g.stations()},
	}}
	// A box that has been up for three days; each source is asked in its turn
	// and some milliseconds late.
	r := g.rng()
	start := 72*time.Hour + time.Duration(r.Int64N(int64(10*time.Second)))
	for i := range t.Sources {
		s := &t.Sources[i]
		for row := range rows {
			late := time.Duration(r.ExpFloat64() * 4 * float64(time.Millisecond))
			at := start + time.Duration(row)*interval + time.Duration(i)*3*time.Millisecond + late
			s.Times = append(s.Times, at.Truncate(time.Millisecond))
		}
	}
	return t
}

// day returns the share of the day, from 0 at four in the morning to 1 in the
// evening.
func (g *generator) day(row int) float64 {
	h := math.Mod((time.Duration(row) * g.interval).Hours(), 24)
	return 0.5 - 0.5*math.Cos((h-4)/24*2*math.Pi)
}
