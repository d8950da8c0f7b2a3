package wire

import (
	"encoding/binary"

	"livebox-agent/collector/catalogue"
)

// A ColumnSummary stands for the readings of one column of a window.
type ColumnSummary struct {
	Metric   catalogue.ID
	Instance string
	// Count is the number of readings, at least 1.
	Count int
	// Values are in units of 10^Exponent of the metric; Mean is rounded to the
	// nearest.
	Min, Mean, Max, First, Last int64
}

// AppendSummary appends the body of a section of fidelity Summary: one entry
// for each column that has a reading.
func (e *Encoder) AppendSummary(dst []byte, tables []Table) []byte {
	for _, t := range tables {
		for _, c := range t.Columns {
			s, ok := summarise(c)
			if !ok {
				continue
			}
			dst = binary.AppendUvarint(dst, uint64(s.Metric))
			dst = binary.AppendUvarint(dst, uint64(len(s.Instance)))
			dst = append(dst, s.Instance...)
			dst = binary.AppendUvarint(dst, uint64(s.Count))
			for _, v := range [...]int64{s.Min, s.Mean, s.Max, s.First, s.Last} {
				dst = binary.AppendVarint(dst, v)
			}
		}
	}
	return dst
}

// summarise returns the summary of c; ok is false where it has no reading.
func summarise(c Column) (s ColumnSummary, ok bool) {
	s = ColumnSummary{Metric: c.Metric, Instance: c.Instance}
	mean := 0.0
	for _, v := range c.Values {
		if v == Absent {
			continue
		}
		if s.Count == 0 {
			s.Min, s.Max, s.First = v, v, v
		}
		s.Count++
		s.Min, s.Max, s.Last = min(s.Min, v), max(s.Max, v), v
		mean += (float64(v) - mean) / float64(s.Count)
	}
	s.Mean = int64(mean)
	return s, s.Count > 0
}

// DecodeSummary reads the body of a section of fidelity Summary.
func DecodeSummary(body []byte) ([]ColumnSummary, error) {
	var all []ColumnSummary
	for len(body) > 0 {
		var s ColumnSummary
		metric, n := binary.Uvarint(body)
		if n <= 0 {
			return nil, errBody
		}
		body = body[n:]
		length, n := binary.Uvarint(body)
		if n <= 0 || length > uint64(len(body)-n) {
			return nil, errBody
		}
		s.Metric, s.Instance = catalogue.ID(metric), string(body[n:n+int(length)])
		body = body[n+int(length):]
		count, n := binary.Uvarint(body)
		if n <= 0 {
			return nil, errBody
		}
		s.Count, body = int(count), body[n:]
		for _, p := range []*int64{&s.Min, &s.Mean, &s.Max, &s.First, &s.Last} {
			if *p, n = binary.Varint(body); n <= 0 {
				return nil, errBody
			}
			body = body[n:]
		}
		all = append(all, s)
	}
	return all, nil
}
