// Package sample holds the readings that one source gave at one instant.
//
// The package is a leaf: every other package may import it, and it imports
// the catalogue and the standard library only.
package sample

import (
	"time"

	"livebox-agent/collector/catalogue"
)

// A Reading is one value of one metric.
type Reading struct {
	Metric catalogue.ID
	// Instance tells apart what a box has several of (an interface name, a
	// radio, a station's pseudonym); empty otherwise. It never holds the
	// address of a customer's device. Sources keep the strings: making one
	// for each sample would be garbage on the hot path.
	Instance string
	// Value is in units of 10^Exponent of the metric.
	Value int64
}

// A Batch collects the readings of one source at one instant. It is reused
// from one instant to the next, so a receiver copies what it keeps.
type Batch struct {
	// At is when the source was asked, as time since the kernel booted
	// (CLOCK_BOOTTIME).
	At       time.Duration
	Readings []Reading
}

// Add appends one reading.
func (b *Batch) Add(m catalogue.ID, instance string, value int64) {
	b.Readings = append(b.Readings, Reading{m, instance, value})
}

// Reset empties the batch for the instant at, keeping its memory.
func (b *Batch) Reset(at time.Duration) {
	b.At = at
	b.Readings = b.Readings[:0]
}
