package kernel

import (
	"time"

	"golang.org/x/sys/unix"
)

// SinceBoot returns the time since the kernel booted (CLOCK_BOOTTIME).
func SinceBoot() time.Duration { return clock(unix.CLOCK_BOOTTIME) }

// Asleep returns for how long the box has been suspended since it booted: by
// so much is CLOCK_MONOTONIC behind.
func Asleep() time.Duration { return max(0, clock(unix.CLOCK_BOOTTIME)-clock(unix.CLOCK_MONOTONIC)) }

func clock(id int32) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		panic("BUG: no monotonic clocks: " + err.Error()) // every Linux since 2.6.39 has them
	}
	return time.Duration(ts.Nano())
}
