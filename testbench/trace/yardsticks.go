package trace

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"encoding/binary"
	"encoding/json"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"livebox-agent/uplink/wire"
)

// wall is where the yardsticks that carry wall time place the kernel's boot.
const wall = 1_790_000_000 * time.Second

// boxID is the name of the box, of a size that the certificates use.
const boxID = "lb-7Qh3XvT0mR8kZs2e"

// A message is the columns that a row format puts into one message a row.
type message struct {
	instance string
	times    []time.Duration
	names    []string
	columns  []wire.Column
}

// messages returns those of a window: one for each source, or for each
// instance of a source that is split.
func (t *Trace) messages(w Window) []message {
	var all []message
	for _, section := range w.Sections {
		i := 0
		for _, s := range t.Sources {
			if s.Purpose != section.Purpose {
				continue
			}
			table := section.Tables[i]
			i++
			for n, c := range table.Columns {
				name := s.Series[n].Name
				instance := ""
				if s.Split {
					instance = c.Instance
				} else if c.Instance != "" {
					name += "_" + c.Instance
				}
				if n == 0 || all[len(all)-1].instance != instance {
					all = append(all, message{instance: instance, times: table.Times})
				}
				m := &all[len(all)-1]
				m.names = append(m.names, name)
				m.columns = append(m.columns, c)
			}
		}
	}
	return all
}

// jsonLines codes the window as Telegraf's JSON serialiser does: an object for
// each measurement of each row.
func jsonLines(t *Trace, w Window) []byte {
	type metric struct {
		Fields    map[string]int64  `json:"fields"`
		Name      string            `json:"name"`
		Tags      map[string]string `json:"tags"`
		Timestamp int64             `json:"timestamp"`
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	for _, msg := range t.messages(w) {
		tags := map[string]string{"box": boxID}
		if msg.instance != "" {
			tags["instance"] = msg.instance
		}
		for row, at := range msg.times {
			m := metric{map[string]int64{}, "livebox", tags, int64((wall + at) / time.Second)}
			for i, c := range msg.columns {
				m.Fields[msg.names[i]] = c.Values[row]
			}
			if err := enc.Encode(m); err != nil {
				panic("BUG: numbers do not marshal: " + err.Error())
			}
		}
	}
	return out.Bytes()
}

// openSync codes the window as OpenSync's statistics reports are shaped: a
// protobuf message with, for each instance, a list of samples that have an
// offset in time and numbered fields; then zlib.
func openSync(t *Trace, w Window) []byte {
	var out []byte
	out = protowire.AppendTag(out, 1, protowire.BytesType)
	out = protowire.AppendString(out, boxID)
	for _, m := range t.messages(w) {
		var list []byte
		list = protowire.AppendTag(list, 1, protowire.BytesType)
		list = protowire.AppendString(list, m.instance)
		list = protowire.AppendTag(list, 2, protowire.VarintType)
		list = protowire.AppendVarint(list, uint64((wall+m.times[0])/time.Millisecond))
		for row, at := range m.times {
			var s []byte
			s = protowire.AppendTag(s, 1, protowire.VarintType)
			s = protowire.AppendVarint(s, uint64((at-m.times[0])/time.Millisecond))
			for i, c := range m.columns {
				s = protowire.AppendTag(s, protowire.Number(i+2), protowire.VarintType)
				s = protowire.AppendVarint(s, protowire.EncodeZigZag(c.Values[row]))
			}
			list = protowire.AppendTag(list, 3, protowire.BytesType)
			list = protowire.AppendBytes(list, s)
		}
		out = protowire.AppendTag(out, 2, protowire.BytesType)
		out = protowire.AppendBytes(out, list)
	}
	var z bytes.Buffer
	zw := zlib.NewWriter(&z)
	write(zw, out)
	return z.Bytes()
}

// tables returns the tables of a window in order.
func (w Window) tables() []wire.Table {
	var all []wire.Table
	for _, s := range w.Sections {
		all = append(all, s.Tables...)
	}
	return all
}

// columnar codes each column as variable-length deltas or deltas of deltas,
// whichever is shorter, with runs of zeros counted; then deflate at its best.
func columnar(_ *Trace, w Window) []byte {
	var out []byte
	for _, table := range w.tables() {
		times := make([]int64, len(table.Times))
		for i, at := range table.Times {
			times[i] = int64(at / time.Second)
		}
		out = append(out, deltas(times)...)
		for _, c := range table.Columns {
			out = binary.AppendUvarint(out, uint64(c.Metric))
			out = append(out, c.Instance...)
			out = append(out, 0)
			out = append(out, deltas(c.Values)...)
		}
	}
	var z bytes.Buffer
	zw, err := flate.NewWriter(&z, flate.BestCompression)
	if err != nil {
		panic("BUG: deflate level: " + err.Error())
	}
	write(zw, out)
	return z.Bytes()
}

// write compresses b into memory, which cannot fail.
func write(w interface {
	Write([]byte) (int, error)
	Close() error
}, b []byte,
) {
	if _, err := w.Write(b); err != nil {
		panic("BUG: compress: " + err.Error())
	}
	if err := w.Close(); err != nil {
		panic("BUG: compress: " + err.Error())
	}
}

// deltas returns the shorter of the first and the second differences of v.
func deltas(v []int64) []byte {
	var best []byte
	for order := range 2 {
		out := []byte{byte(order)}
		var last, slope int64
		zeros := uint64(0)
		for i, x := range v {
			d := x - last
			last = x
			e := d
			if order == 1 && i > 1 {
				e = d - slope
			}
			slope = d
			if e == 0 {
				zeros++
				continue
			}
			if zeros > 0 {
				out = binary.AppendUvarint(append(out, 0), zeros)
				zeros = 0
			}
			out = binary.AppendVarint(out, e)
		}
		if zeros > 0 {
			out = binary.AppendUvarint(append(out, 0), zeros)
		}
		if best == nil || len(out) < len(best) {
			best = out
		}
	}
	return best
}
