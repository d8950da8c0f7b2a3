package wire

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"livebox-agent/collector/catalogue"
)

// Absent stands for a row in which a column has no reading.
const Absent = math.MinInt64

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
	// Times are those of the rows, since the kernel booted.
	Times   []time.Duration
	Columns []Column
}

var errBody = errors.New("body is damaged")

// An Encoder codes the bodies of sections. It keeps its scratch memory from
// one body to the next. The zero value is ready; one goroutine at a time may
// use it.
type Encoder struct{}

// AppendColumns appends the body of a section of fidelity Columns: every
// reading of the tables.
func (e *Encoder) AppendColumns(dst []byte, tables []Table, _ bool) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(tables)))
	for _, t := range tables {
		dst = binary.AppendUvarint(dst, uint64(len(t.Times)))
		dst = binary.AppendUvarint(dst, uint64(len(t.Columns)))
		for _, at := range t.Times {
			dst = binary.AppendVarint(dst, int64(at))
		}
		for _, c := range t.Columns {
			dst = binary.AppendUvarint(dst, uint64(c.Metric))
			dst = binary.AppendUvarint(dst, uint64(len(c.Instance)))
			dst = append(dst, c.Instance...)
			for _, v := range c.Values {
				dst = binary.AppendVarint(dst, v)
			}
		}
	}
	return dst
}

// DecodeColumns reads the body of a section of fidelity Columns.
func DecodeColumns(body []byte) ([]Table, error) {
	next := func() (uint64, bool) {
		v, n := binary.Uvarint(body)
		if n <= 0 {
			return 0, false
		}
		body = body[n:]
		return v, true
	}
	signed := func() int64 {
		v, n := binary.Varint(body)
		body = body[max(n, 0):]
		return v
	}
	n, ok := next()
	if !ok || n > 256 {
		return nil, errBody
	}
	tables := make([]Table, n)
	for i := range tables {
		rows, _ := next()
		cols, ok := next()
		if !ok || rows > uint64(len(body)) || cols > uint64(len(body)) {
			return nil, errBody
		}
		t := &tables[i]
		for range rows {
			t.Times = append(t.Times, time.Duration(signed()))
		}
		for range cols {
			metric, _ := next()
			length, ok := next()
			if !ok || length > uint64(len(body)) {
				return nil, errBody
			}
			c := Column{Metric: catalogue.ID(metric), Instance: string(body[:length])}
			body = body[length:]
			for range rows {
				c.Values = append(c.Values, signed())
			}
			t.Columns = append(t.Columns, c)
		}
	}
	return tables, nil
}
