package buffer

import (
	"encoding/binary"
	"time"
)

// The account of bytes written to flash.
//
// A day is 24 hours of running time, told by the monotonic clock: wall time
// may jump and is not known at first. While the box is off, its day stands
// still, so that a box that restarts again and again never writes more than a
// day's bytes in a day. Commits of windows are paced: a quarter of the day's
// bytes may be spent at once, the rest as the day goes by; when they cost more
// than that, they come less often and hold more windows each. An eighth of the
// day is kept for events.

const day = 24 * time.Hour

type account struct {
	limit int64 // bytes a day

	elapsed time.Duration // of the day, at the time at
	at      time.Duration // since the kernel booted
	spent   int64         // in this day
	total   int64         // ever
	boot    uint32        // the kernel boot that at belongs to
}

// advance brings the day up to now.
func (a *account) advance(now time.Duration) {
	if now <= a.at {
		return
	}
	a.elapsed += now - a.at
	a.at = now
	for a.elapsed >= day {
		a.elapsed -= day
		// What a commit cost more than was left is taken from the next day.
		a.spent = max(0, a.spent-a.limit)
	}
}

// spend books n bytes.
func (a *account) spend(n int64) {
	a.spent += n
	a.total += n
}

func (a *account) windowLimit() int64 { return a.limit - a.limit/8 }

// allowsEvent reports whether n bytes may be written for an event.
func (a *account) allowsEvent(n int64) bool { return a.spent+n <= a.limit }

// allowsWindows reports whether n bytes may be written for windows, however
// little of the day is over.
func (a *account) allowsWindows(n int64) bool { return a.spent+n <= a.windowLimit() }

// pacedFrom returns how long from a.at the pace allows n bytes for windows.
func (a *account) pacedFrom(n int64) time.Duration {
	limit := a.windowLimit()
	need := a.spent + n - limit/4
	if need <= 0 {
		return 0
	}
	if a.spent+n > limit {
		return day - a.elapsed
	}
	from := time.Duration(float64(day) * float64(need) / float64(limit-limit/4))
	return max(0, from-a.elapsed)
}

const accountLen = 36

// encode writes the account as it will be after n more bytes.
func (a *account) encode(n int64) []byte {
	b := make([]byte, 0, accountLen)
	b = binary.BigEndian.AppendUint32(b, a.boot)
	b = binary.BigEndian.AppendUint64(b, uint64(a.elapsed))
	b = binary.BigEndian.AppendUint64(b, uint64(a.at))
	b = binary.BigEndian.AppendUint64(b, uint64(a.spent+n))
	return binary.BigEndian.AppendUint64(b, uint64(a.total+n))
}

// decode continues the account of an earlier run. Within one boot of the
// kernel the time between the runs counts; after a reboot, the time since it.
func (a *account) decode(b []byte) {
	if len(b) != accountLen {
		return
	}
	elapsed := time.Duration(binary.BigEndian.Uint64(b[4:]))
	at := time.Duration(binary.BigEndian.Uint64(b[12:]))
	spent, total := int64(binary.BigEndian.Uint64(b[20:])), int64(binary.BigEndian.Uint64(b[28:]))
	if elapsed < 0 || elapsed >= day || at < 0 || spent < 0 || total < spent {
		return
	}
	// One commit may go above the limit, no more.
	spent = min(spent, 2*a.limit)
	now := a.at
	a.elapsed, a.spent, a.total, a.at = elapsed, spent, total, 0
	if binary.BigEndian.Uint32(b) == a.boot {
		a.at = at
	}
	a.advance(now)
}
