// Package counter continues the box's own counters, which wrap and start
// again, as totals that never decrease.
//
// # What is promised
//
//   - The total never decreases, whatever the box reports.
//   - A wrap adds what was counted and nothing else.
//   - A reset is told from a wrap, and adds what was counted since.
//   - A small step back is neither, and adds nothing.
//
// # The rule
//
// A reading that is not below the one before it is an increase. One that is
// below it is a wrap if the counter is narrower than 64 bits and the distance
// forward through zero is at most MaxStep. If it is no wrap but within a
// sixteenth of the one before, it is a step back: drivers that add up several
// registers without a lock do that, and a reset would not have counted so far
// again. Otherwise it is a reset.
//
// # The limits
//
// A counter alone cannot show everything. A reset from the upper half of a
// 32-bit range to a small value looks like a wrap: give a MaxStep where the
// rate is bounded, or call Restart where something else (a new interface
// index, another counter of the same device) shows the reset. A counter that
// wraps more than once between two readings, or passes its old value after a
// reset, looks like an increase: 2^32 bytes take 3.4 s at 10 Gbit/s and 34 s
// at 1 Gbit/s, so a fast link needs 64-bit counters.
package counter

import "math"

// An Unwrapper continues one counter. The zero value is ready.
type Unwrapper struct {
	// MaxStep is the largest increase between two readings that is believed
	// when the counter appears to have wrapped. Zero means just under half of
	// the counter's range. It may be set anew before each reading.
	MaxStep uint64

	prev    uint64
	total   int64
	seen    bool
	wide    bool
	restart bool
}

// Next takes the counter's next reading and returns the total, and whether the
// counter was reset since the reading before. The first reading is the first
// total.
//
// bits is the width in which the counter is known to count, 1 to 64; any other
// number counts as 64. Where it is only the least that the counter may have (a
// kernel of 32 bits widens a driver's 32-bit counters when it reports them),
// the counter counts as 64 bits wide from the first reading that needs more
// than bits.
//
// The total stops at the largest int64.
func (u *Unwrapper) Next(raw uint64, bits int) (total int64, reset bool) {
	if bits >= 1 && bits < 64 && raw>>bits != 0 {
		u.wide = true
	}
	step := raw - u.prev
	switch {
	case !u.seen:
		step = raw
	case u.restart:
		step, reset = raw, true
	case raw < u.prev:
		if forward, ok := u.wrapped(raw, bits); ok {
			step = forward
			break
		}
		if u.steppedBack(raw) {
			return u.total, false
		}
		step, reset = raw, true
	}
	u.prev, u.seen, u.restart = raw, true, false
	u.total += int64(min(step, uint64(math.MaxInt64-u.total)))
	return u.total, reset
}

// Wraps says whether Next(raw, bits) would take raw for a wrap, and Resets
// whether it would take it for a reset. They are for a caller that has several
// counters of one device and lets them decide together.
func (u *Unwrapper) Wraps(raw uint64, bits int) bool {
	if !u.seen || u.restart || raw >= u.prev {
		return false
	}
	_, ok := u.wrapped(raw, bits)
	return ok
}

// Resets says whether Next(raw, bits) would report a reset.
func (u *Unwrapper) Resets(raw uint64, bits int) bool {
	if !u.seen {
		return false
	}
	return u.restart || raw < u.prev && !u.Wraps(raw, bits) && !u.steppedBack(raw)
}

// Restart says that the counter has started again from zero since the last
// reading, as something other than the counter shows. The next reading is a
// reset whatever its value; without a reading so far it changes nothing.
func (u *Unwrapper) Restart() { u.restart = u.seen }

// steppedBack says whether raw, which is below the last reading and no wrap,
// is too close to it to be a reset.
func (u *Unwrapper) steppedBack(raw uint64) bool { return u.prev-raw <= u.prev/16 }

// wrapped returns the distance from the last reading forward through zero to
// raw, and whether a wrap is believed.
func (u *Unwrapper) wrapped(raw uint64, bits int) (forward uint64, ok bool) {
	if u.wide || bits >= 64 || bits < 1 {
		return 0, false
	}
	forward = (raw - u.prev) & (1<<bits - 1)
	limit := u.MaxStep
	if limit == 0 {
		limit = 1<<(bits-1) - 1
	}
	return forward, forward <= limit
}
