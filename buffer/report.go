package buffer

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"time"

	"livebox-agent/collector/catalogue"
)

// A Run is one start of the agent.
type Run struct {
	// ID is random, new at each start.
	ID uint64
	// Counter counts the starts on this box and orders the runs; 0 where the
	// box could not keep it.
	Counter uint32
	// KernelBoot is the same for all runs within one boot of the kernel: their
	// monotonic times are on one axis.
	KernelBoot uint32
}

// A Lane keeps its own order and its own sequence numbers.
type Lane uint8

// The lanes; the numbers travel on the wire.
const (
	// Events are on flash before they are published.
	Events Lane = iota + 1
	// Windows are kept in memory first.
	Windows
)

// lanes is how many there are.
const lanes = 2

// String returns the lane in lower case.
func (l Lane) String() string {
	switch l {
	case Events:
		return "events"
	case Windows:
		return "windows"
	}
	return "lane(" + strconv.Itoa(int(l)) + ")"
}

// A Fidelity says how a section's body is coded.
type Fidelity uint8

// The fidelities; the numbers travel on the wire.
const (
	// Summary is count, minimum, mean, maximum and last of each column.
	Summary Fidelity = iota + 1
	// Columns is every reading.
	Columns
	// EventBody is one event.
	EventBody
)

// A Key identifies a report on this box for ever.
type Key struct {
	Run  Run
	Lane Lane
	// Sequence is 1, 2, 3, … within run and lane.
	Sequence uint64
}

// Compare orders keys by lane, run counter, run id and sequence.
func (k Key) Compare(o Key) int {
	return cmp.Or(
		cmp.Compare(k.Lane, o.Lane),
		cmp.Compare(k.Run.Counter, o.Run.Counter),
		cmp.Compare(k.Run.ID, o.Run.ID),
		cmp.Compare(k.Sequence, o.Sequence),
	)
}

// A Section is one part of a report; its body is never looked into.
type Section struct {
	Purpose  catalogue.Purpose
	Fidelity Fidelity
	Body     []byte
}

// A Report is one window of readings or one event.
type Report struct {
	Key Key
	// Opened and Sealed are times since the kernel booted.
	Opened, Sealed time.Duration
	// Header is the encoded rest of the report.
	Header   []byte
	Sections []Section
}

// The largest report that Append takes.
const (
	MaxHeader   = 4 << 10
	MaxBody     = 64 << 10
	MaxSections = 64
	MaxReport   = 128 << 10
)

// What a report costs in memory beside its bytes; measured by
// TestMemoryIsAccountedFor to be on the safe side.
const (
	reportOverhead  = 160
	sectionOverhead = 48
	entryOverhead   = 64
)

// ErrTooLarge says that a report is above MaxHeader, MaxBody, MaxSections or
// MaxReport.
var ErrTooLarge = errors.New("report too large")

// ErrSequence says that a report does not come after the one before it.
var ErrSequence = errors.New("sequence not ascending")

// check refuses what could not be stored or told apart.
func (r *Report) check() error {
	if r.Key.Lane != Events && r.Key.Lane != Windows {
		return fmt.Errorf("append: %v is no lane", r.Key.Lane)
	}
	if r.Key.Sequence == 0 {
		return fmt.Errorf("append: %w: sequences start at 1", ErrSequence)
	}
	if len(r.Sections) == 0 {
		return errors.New("append: report without sections")
	}
	total := len(r.Header)
	large := len(r.Header) > MaxHeader || len(r.Sections) > MaxSections
	for _, s := range r.Sections {
		total += len(s.Body)
		large = large || len(s.Body) > MaxBody
	}
	if large || total > MaxReport {
		return fmt.Errorf("append: %w: %d sections, %d bytes", ErrTooLarge, len(r.Sections), total)
	}
	return nil
}

// sizes returns the bytes that stay and those that thinning would free.
func (r *Report) sizes() (core, columns int) {
	core = len(r.Header)
	for _, s := range r.Sections {
		if r.thinnable(s) {
			columns += len(s.Body)
		} else {
			core += len(s.Body)
		}
	}
	return core, columns
}

// thinnable reports whether s may go under pressure: columns of windows.
func (r *Report) thinnable(s Section) bool {
	return r.Key.Lane == Windows && s.Fidelity == Columns
}

// without returns r with only the sections that keep wants. The sections of r
// itself are shared with readers and stay as they are.
func (r *Report) without(keep func(Section) bool) *Report {
	n := *r
	n.Sections = make([]Section, 0, len(r.Sections))
	for _, s := range r.Sections {
		if keep(s) {
			n.Sections = append(n.Sections, s)
		}
	}
	return &n
}
