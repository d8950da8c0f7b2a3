package window

import (
	"slices"
	"time"

	"livebox-agent/buffer"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
	"livebox-agent/uplink/wire"
)

const (
	// recorded is how far back a Recorder goes: ten minutes before an episode that
	// lasts ten. A slice is coded at once: a minute costs three times the bytes per
	// reading of a window of five, and is what a recording may have too much of at
	// its ends.
	recorded = 20 * time.Minute
	slice    = time.Minute
	// RecorderBytes is what a Recorder holds at most, beside its Window. A home
	// of 60 stations has 20 minutes in it; one of 8 takes a tenth (make bench
	// PKG=./agent/window).
	RecorderBytes = 96 << 10
)

// A Recorder is a Window and the flight recorder beside it, which holds every
// reading of the last twenty minutes, coded as a section of columns for each
// minute and purpose. What is not coded yet is in the Window, once for both. It
// is not safe for concurrent use.
type Recorder struct {
	Window
	opened time.Duration // of the minute that is not coded yet
	held   []recording   // oldest first
	bytes  int
}

// A recording is what one purpose has of one minute.
type recording struct {
	purpose  catalogue.Purpose
	from, to time.Duration
	body     []byte
}

// Add appends the readings of one source at one instant, as Window.Add does.
func (r *Recorder) Add(source string, purpose catalogue.Purpose, b *sample.Batch) {
	if b.At-r.opened >= slice {
		r.code(b.At)
	}
	r.Window.Add(source, purpose, b)
}

// Seal seals the window, as Window.Seal does, and the open minute with it.
func (r *Recorder) Seal(opened, sealed time.Duration) []Part {
	r.code(sealed)
	return r.Window.Seal(opened, sealed)
}

// code ends the open minute at now.
func (r *Recorder) code(now time.Duration) {
	for _, s := range r.fresh() {
		r.held = append(r.held, recording{s.Purpose, r.opened, now, s.Body})
		r.bytes += len(s.Body)
	}
	r.opened = now
	gone := 0
	for gone < len(r.held) && (r.bytes > RecorderBytes || now-r.held[gone].to > recorded) {
		r.bytes -= len(r.held[gone].body)
		gone++
	}
	n := copy(r.held, r.held[gone:])
	clear(r.held[n:])
	r.held = r.held[:n]
}

// A Cut is what a Recorder held at one moment, to be coded while it goes on.
type Cut struct {
	held []recording // wanted, oldest first
	open []purposed  // of the minute that is not coded yet
}

// Cut returns the minutes that have a part in from to to, of the purposes that
// wanted says. It codes nothing: what is not coded yet is copied.
func (r *Recorder) Cut(from, to time.Duration, wanted func(catalogue.Purpose) bool) Cut {
	var c Cut
	for _, h := range r.held {
		if h.to > from && h.from < to && wanted(h.purpose) {
			c.held = append(c.held, h)
		}
	}
	if r.opened >= to {
		return c
	}
	for _, t := range r.tables {
		if own := t.fresh(); len(own.Columns) > 0 && wanted(t.purpose) {
			own.detach()
			c.open = append(c.open, own)
		}
	}
	return c
}

// detach gives the rows of a window memory of their own.
func (t *purposed) detach() {
	n := len(t.Times)
	t.Times = slices.Clone(t.Times)
	values := make([]int64, 0, n*len(t.Columns))
	for i := range t.Columns {
		values = append(values, t.Columns[i].Values...)
		t.Columns[i].Values = values[i*n : (i+1)*n : (i+1)*n]
	}
}

// Sections returns the columns of each minute, in order of time. Where they are
// more than limit bytes the oldest are left out: what followed cannot be had again.
func (c Cut) Sections(limit int) []buffer.Section {
	var encoder wire.Encoder
	all := make([]buffer.Section, 0, len(c.held)+1)
	for _, h := range c.held {
		all = append(all, buffer.Section{Purpose: h.purpose, Fidelity: buffer.Columns, Body: h.body})
	}
	all = append(all, columns(&encoder, c.open)...)
	first := len(all)
	for first > 0 && limit >= len(all[first-1].Body) {
		first--
		limit -= len(all[first].Body)
	}
	return all[first:]
}
