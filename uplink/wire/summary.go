package wire

import (
	"math"

	"livebox-agent/collector/catalogue"
)

// A ColumnSummary stands for the readings of one column of a window.
type ColumnSummary struct {
	Metric   catalogue.ID
	Instance string
	// Count is the number of readings, at least 1.
	Count int
	// Counter says that Min is the first reading, Max and Last are the last,
	// all three exact, and that there is no Mean.
	Counter bool
	// Values are in units of 10^Exponent of the metric, rounded to its
	// resolution unless it is a counter.
	Min, Mean, Max, Last int64
}

// AppendSummary appends the body of a section of fidelity Summary: what remains
// of a window when its columns are dropped. Columns without a reading are left
// out.
func (e *Encoder) AppendSummary(dst []byte, tables []Table) []byte {
	e.begin(dst)
	c := &e.codec
	n := 0
	for _, t := range tables {
		for _, col := range t.Columns {
			if _, ok := summarise(col, len(t.Times)); ok {
				n++
			}
		}
	}
	left := c.unsigned(&c.columns, uint64(min(n, MaxColumns)))
	count := 0
	for _, t := range tables {
		for _, col := range t.Columns {
			s, ok := summarise(col, len(t.Times))
			if !ok || left == 0 {
				continue
			}
			left--
			e.identify(s.Metric, s.Instance)
			var p plan
			p.step, p.counter = e.Steps(s.Metric)
			p.counter = p.counter && s.Counter
			if p.counter || p.step < 1 || p.step > largestStep || max(magnitude(s.Min), magnitude(s.Max)) > largestValue {
				p.step = 1
			}
			for _, v := range []*int64{&s.Min, &s.Mean, &s.Max, &s.Last} {
				if p.step > 1 {
					*v = floor(*v+p.step/2, p.step)
				}
			}
			p.first = s.Min
			count = c.summary(&s, &p, count)
		}
	}
	return e.end()
}

// summarise returns the summary of the first rows of c, as a Counter where its
// readings never fall; ok is false where it has none.
func summarise(c Column, rows int) (s ColumnSummary, ok bool) {
	s = ColumnSummary{Metric: c.Metric, Instance: c.Instance, Counter: true}
	mean := 0.0
	for _, v := range c.Values[:min(rows, len(c.Values))] {
		if v == Absent {
			continue
		}
		if s.Count == 0 {
			s.Min, s.Max, s.Last = v, v, v
		}
		s.Count++
		s.Counter = s.Counter && v >= s.Last
		s.Min, s.Max, s.Last = min(s.Min, v), max(s.Max, v), v
		mean += (float64(v) - mean) / float64(s.Count)
	}
	switch mean = math.Round(mean); {
	case mean <= float64(s.Min):
		s.Mean = s.Min
	case mean >= float64(s.Max):
		s.Mean = s.Max
	default:
		s.Mean = int64(mean)
	}
	return s, s.Count > 0
}

// summary codes one entry, in steps; before is the count of the entry before.
// It returns the count.
func (c *codec) summary(s *ColumnSummary, p *plan, before int) int {
	n := int64(before) + c.signed(&c.count, int64(s.Count)-int64(before))
	if n < 1 || n > MaxCells {
		c.broken = true
		return 1
	}
	m := &c.memo[byte(s.Metric)]
	c.kind(m, p)
	c.opening(m, p)
	extent := c.unsigned(&c.extent, uint64(s.Max)-uint64(s.Min))
	var mean, last uint64
	if extent > 0 && !p.counter {
		mean = c.unsigned(&c.within, uint64(s.Mean)-uint64(s.Min))
		last = c.unsigned(&c.within, uint64(s.Last)-uint64(s.Min))
	}
	if c.decoding {
		s.Count, s.Counter = int(n), p.counter
		s.Min, s.Max = p.first*p.step, (p.first+int64(extent))*p.step
		s.Mean, s.Last = (p.first+int64(mean))*p.step, (p.first+int64(last))*p.step
		if p.counter {
			s.Mean, s.Last = 0, s.Max
		}
	}
	return int(n)
}

// DecodeSummary reads the body of a section of fidelity Summary.
func DecodeSummary(body []byte) ([]ColumnSummary, error) {
	c, err := newDecoder(body)
	if err != nil {
		return nil, err
	}
	n := c.unsigned(&c.columns, 0)
	if n > MaxColumns {
		return nil, errBody
	}
	var all []ColumnSummary
	count := 0
	for range n {
		var s ColumnSummary
		s.Metric, s.Instance = c.identity()
		if !c.broken {
			count = c.summary(&s, &plan{}, count)
		}
		if c.broken || c.overrun() {
			return nil, errBody
		}
		all = append(all, s)
	}
	if !c.complete() {
		return nil, errBody
	}
	return all, nil
}
