package trace

import (
	"fmt"
	"io"
	"strings"
	"time"

	"livebox-agent/uplink/wire"
)

// Seed is that of the trace that Figures measures.
const Seed = 1

// lengths are the windows that Figures measures, in rows of 10 s: one, five and
// fifteen minutes.
var lengths = [...]int{6, 30, 90}

// An Encoding is one way to put a window on the wire.
type Encoding struct {
	Name string
	// Counted says what is in the bytes.
	Counted string
	// Encode returns the payload of the window.
	Encode func(*Trace, Window) []byte
}

// Encodings returns our own, first, and those that it is measured against.
func Encodings() []Encoding {
	return []Encoding{
		{"codec", "whole Report: header, clock, three sections, at catalogue resolution", reporter(false)},
		{"lossless", "the same, every reading exact", reporter(true)},
		{"codec bodies", "bodies of the sections alone, names and times in them", bodies(false)},
		{"lossless bodies", "the same, every reading exact", bodies(true)},
		{"json", "objects of Telegraf's JSON serialiser, a message each, topic not counted", jsonLines},
		{"opensync+zlib", "one protobuf report as OpenSync shapes them, zlib", openSync},
		{"columnar+deflate", "delta columns with counted runs of zeros, deflate 9, no header", columnar},
	}
}

// reporter returns an encoder of whole Reports.
func reporter(lossless bool) func(*Trace, Window) []byte {
	e := new(wire.Encoder)
	var body []byte
	return func(_ *Trace, w Window) []byte {
		b := wire.AppendHeader(nil, wire.Header{
			Box: boxID, Run: wire.Run{ID: 0x9e3779b97f4a7c15, Counter: 12, KernelBoot: 0x51ed270b},
			Lane: wire.Windows, Sequence: 1000, Consent: wire.Consent{PolicyVersion: 1, Purposes: 0b1110},
			Catalogue: 0xdeadbeef, Opened: w.Opened, Sealed: w.Sealed,
		})
		for _, s := range w.Sections {
			body = e.AppendColumns(body[:0], s.Tables, lossless)
			b = wire.AppendSection(b, s.Purpose, wire.Columns, body)
		}
		return wire.AppendClock(b, wire.Clock{
			WallAtBoot: time.Unix(0, 0).Add(wall), Quality: wire.ClockSynchronised, From: time.Minute, To: w.Sealed,
		})
	}
}

// bodies returns an encoder of the bodies of sections.
func bodies(lossless bool) func(*Trace, Window) []byte {
	e := new(wire.Encoder)
	return func(_ *Trace, w Window) (all []byte) {
		for _, s := range w.Sections {
			all = e.AppendColumns(all, s.Tables, lossless)
		}
		return all
	}
}

// A Figure is what an encoding costs.
type Figure struct {
	Encoding string `json:"encoding"`
	// Window is the time that one payload carries.
	Window time.Duration `json:"window_ns"`
	// BytesPerReading is the mean over a day of the trace.
	BytesPerReading float64 `json:"bytes_per_reading"`
	Counted         string  `json:"counted"`
}

// Figures measures every encoding on a day of the reference trace, in windows
// of one, five and fifteen minutes; the last figure is the estimated entropy,
// which has no window.
func Figures() []Figure {
	t := Generate(Seed, 8640, 10*time.Second)
	var all []Figure
	for _, e := range Encodings() {
		for _, rows := range lengths {
			size, readings := 0, 0
			for _, w := range t.Windows(rows) {
				size += len(e.Encode(t, w))
				readings += rows * t.Readings() / t.Rows
			}
			all = append(all, Figure{e.Name, time.Duration(rows) * t.Interval, float64(size) / float64(readings), e.Counted})
		}
	}
	return append(all, Figure{"entropy", 0, Entropy(t), "residuals alone, lossless: an estimate, see trace.Entropy"})
}

// PrintFigures writes the figures as a table: a line for each encoding, a
// column for each window.
func PrintFigures(w io.Writer, figures []Figure) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%-18s", "bytes per reading")
	for _, n := range lengths {
		fmt.Fprintf(&b, "%8v min", (time.Duration(n) * 10 * time.Second).Minutes())
	}
	last := ""
	for _, f := range figures {
		if f.Encoding != last {
			fmt.Fprintf(&b, "\n%-18s", f.Encoding)
			last = f.Encoding
		}
		fmt.Fprintf(&b, "%12.3f", f.BytesPerReading)
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}
