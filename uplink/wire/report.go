package wire

import (
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"livebox-agent/collector/catalogue"
)

// A Run is one start of the agent on one box.
type Run struct {
	// ID is random, new at each start of the agent.
	ID uint64
	// Counter counts the starts on this box and gives runs their order; 0
	// where the box could not keep it.
	Counter uint32
	// KernelBoot is the same for all runs within one boot of the kernel.
	KernelBoot uint32
}

// A Lane is one of the ordered streams of reports of a run.
type Lane uint8

// The lanes. The numbers travel on the wire.
const (
	Events Lane = iota + 1
	Windows
)

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

// A Fidelity says how the body of a section is coded.
type Fidelity uint8

// The fidelities. The numbers travel on the wire.
const (
	// Summary is count, minimum, mean, maximum and last value of each column.
	Summary Fidelity = iota + 1
	// Columns is every reading.
	Columns
	// EventBody is one Event message.
	EventBody
)

// String returns the fidelity in lower case.
func (f Fidelity) String() string {
	switch f {
	case Summary:
		return "summary"
	case Columns:
		return "columns"
	case EventBody:
		return "event"
	}
	return "fidelity(" + strconv.Itoa(int(f)) + ")"
}

// A ClockQuality says how far a box's wall time is to be trusted.
type ClockQuality uint8

// The qualities of the clock. The numbers travel on the wire.
const (
	// ClockUnknown: nothing is known; there is no wall time.
	ClockUnknown ClockQuality = iota
	// ClockFloor: not before a time that is known to have passed. Nothing may
	// be placed by it.
	ClockFloor
	// ClockSynchronised: the kernel says that the clock is synchronised.
	ClockSynchronised
)

// String returns the quality in lower case.
func (q ClockQuality) String() string {
	switch q {
	case ClockUnknown:
		return "unknown"
	case ClockFloor:
		return "floor"
	case ClockSynchronised:
		return "synchronised"
	}
	return "clock(" + strconv.Itoa(int(q)) + ")"
}

// A Clock places the monotonic time of a kernel's boot on the wall clock: wall
// time = WallAtBoot + time since boot.
type Clock struct {
	// WallAtBoot is kept to the millisecond.
	WallAtBoot time.Time
	Quality    ClockQuality
	// From and To are the first and the last time since boot at which the
	// clock was seen synchronised and WallAtBoot held.
	From, To time.Duration
}

// How far from where its clock was seen synchronised a time since boot may be
// placed. Before, an oscillator that is 50 ppm off is 0.54 s wrong; after, it
// had run free for up to 2.2 h when the kernel's word still counted, and makes
// 0.58 s. SPEC.md has the whole account.
const (
	ReachBefore = 3 * time.Hour
	ReachAfter  = time.Hour
)

// Place returns the wall time of a time since boot. It is within a second of
// the truth, or ok is false.
func (c Clock) Place(at time.Duration) (wall time.Time, ok bool) {
	if c.Quality != ClockSynchronised || at < c.From-ReachBefore || at > c.To+ReachAfter {
		return time.Time{}, false
	}
	return c.WallAtBoot.Add(at), true
}

// Consent is what the customer had granted when the data were collected.
type Consent struct {
	PolicyVersion uint32
	// Purposes has bit p set where the purpose numbered p is granted.
	Purposes uint32
}

// Granted says whether p is among the purposes.
func (c Consent) Granted(p catalogue.Purpose) bool { return c.Purposes>>p&1 != 0 }

// A Header is a Report without its sections and clock: all that is fixed when
// a window is sealed or an event happens.
type Header struct {
	Box  string
	Run  Run
	Lane Lane
	// Sequence is 1, 2, 3, … within (Run, Lane).
	Sequence uint64
	Consent  Consent
	// Catalogue is the catalogue's hash.
	Catalogue uint32
	// Opened and Sealed are times since the kernel booted; for an event both
	// are when it happened.
	Opened, Sealed time.Duration
}

// A Section is one part of a report, under one purpose of consent.
type Section struct {
	Purpose  catalogue.Purpose
	Fidelity Fidelity
	Body     []byte
}

// A Report is one window of readings or one event, as it travels.
type Report struct {
	Header
	Sections []Section
	Clock    Clock
}

// AppendHeader appends the fields of a Report but its sections and clock. A
// whole Report is a header followed by sections and clock in any order.
func AppendHeader(dst []byte, h Header) []byte {
	dst = appendString(dst, 1, h.Box)
	dst = appendRun(dst, 2, h.Run)
	dst = appendUint(dst, 3, uint64(h.Lane))
	dst = appendUint(dst, 4, h.Sequence)
	dst = appendConsent(dst, 5, h.Consent)
	dst = appendFixed32(dst, 6, h.Catalogue)
	dst = appendMillis(dst, 7, h.Opened)
	return appendMillis(dst, 8, h.Sealed)
}

// AppendBox appends the box of a Report whose header was written without it.
func AppendBox(dst []byte, box string) []byte { return appendString(dst, 1, box) }

// AppendSection appends one section of a Report, tag included.
func AppendSection(dst []byte, p catalogue.Purpose, f Fidelity, body []byte) []byte {
	n := 0
	if p != 0 {
		n += 1 + protowire.SizeVarint(uint64(p))
	}
	if f != 0 {
		n += 1 + protowire.SizeVarint(uint64(f))
	}
	if len(body) > 0 {
		n += 1 + protowire.SizeBytes(len(body))
	}
	dst = protowire.AppendTag(dst, 9, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(n))
	dst = appendUint(dst, 1, uint64(p))
	dst = appendUint(dst, 2, uint64(f))
	return appendBytes(dst, 3, body)
}

// AppendClock appends the clock of a Report; nothing where it is unknown.
func AppendClock(dst []byte, c Clock) []byte { return appendClock(dst, 10, 12, c) }

// appendClock appends wall_at_boot_ms under the number num and the quality
// under the next, clock_from_ms under the number span and clock_to_ms under
// the next.
func appendClock(dst []byte, num, span protowire.Number, c Clock) []byte {
	if c.Quality == ClockUnknown {
		return dst
	}
	dst = appendUint(dst, num, uint64(c.WallAtBoot.UnixMilli()))
	dst = appendUint(dst, num+1, uint64(c.Quality))
	dst = appendMillis(dst, span, c.From)
	return appendMillis(dst, span+1, c.To)
}

func appendRun(dst []byte, num protowire.Number, r Run) []byte {
	dst, at := openMessage(dst, num)
	dst = appendFixed64(dst, 1, r.ID)
	dst = appendUint(dst, 2, uint64(r.Counter))
	dst = appendFixed32(dst, 3, r.KernelBoot)
	return closeMessage(dst, at)
}

func appendConsent(dst []byte, num protowire.Number, c Consent) []byte {
	dst, at := openMessage(dst, num)
	dst = appendUint(dst, 1, uint64(c.PolicyVersion))
	dst = appendUint(dst, 2, uint64(c.Purposes))
	return closeMessage(dst, at)
}

// ParseReport reads a Report. Bodies alias b.
func ParseReport(b []byte) (Report, error) {
	var r Report
	var wall int64
	err := eachField(b, func(f field) error {
		var err error
		switch f.key {
		case key(1, protowire.BytesType):
			r.Box, err = f.text()
		case key(2, protowire.BytesType):
			err = parseRun(&r.Run, f.bytes)
		case key(3, protowire.VarintType):
			r.Lane = Lane(f.enum())
		case key(4, protowire.VarintType):
			r.Sequence = f.value
		case key(5, protowire.BytesType):
			err = parseConsent(&r.Consent, f.bytes)
		case key(6, protowire.Fixed32Type):
			r.Catalogue = uint32(f.value)
		case key(7, protowire.VarintType):
			r.Opened, err = f.millis()
		case key(8, protowire.VarintType):
			r.Sealed, err = f.millis()
		case key(9, protowire.BytesType):
			var s Section
			s, err = parseSection(f.bytes)
			r.Sections = append(r.Sections, s)
		case key(10, protowire.VarintType):
			wall = int64(f.value)
		case key(11, protowire.VarintType):
			r.Clock.Quality = ClockQuality(f.enum())
		case key(12, protowire.VarintType):
			r.Clock.From, err = f.millis()
		case key(13, protowire.VarintType):
			r.Clock.To, err = f.millis()
		}
		return err
	})
	if err != nil {
		return Report{}, fmt.Errorf("parse report: %w", err)
	}
	r.Clock.setWall(wall)
	return r, nil
}

// setWall sets the wall time at boot from its milliseconds on the wire, where
// the quality says that there is one.
func (c *Clock) setWall(ms int64) {
	if c.Quality != ClockUnknown {
		c.WallAtBoot = time.UnixMilli(ms).UTC()
	}
}

func parseRun(r *Run, b []byte) error {
	return eachField(b, func(f field) error {
		switch f.key {
		case key(1, protowire.Fixed64Type):
			r.ID = f.value
		case key(2, protowire.VarintType):
			r.Counter = uint32(f.value)
		case key(3, protowire.Fixed32Type):
			r.KernelBoot = uint32(f.value)
		}
		return nil
	})
}

func parseConsent(c *Consent, b []byte) error {
	return eachField(b, func(f field) error {
		switch f.key {
		case key(1, protowire.VarintType):
			c.PolicyVersion = uint32(f.value)
		case key(2, protowire.VarintType):
			c.Purposes = uint32(f.value)
		}
		return nil
	})
}

func parseSection(b []byte) (Section, error) {
	var s Section
	err := eachField(b, func(f field) error {
		switch f.key {
		case key(1, protowire.VarintType):
			s.Purpose = catalogue.Purpose(f.enum())
		case key(2, protowire.VarintType):
			s.Fidelity = Fidelity(f.enum())
		case key(3, protowire.BytesType):
			s.Body = f.bytes
		}
		return nil
	})
	return s, err
}
