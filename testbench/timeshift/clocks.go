package timeshift

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bootIDFile is where a kernel tells one of its boots from others.
const bootIDFile = "/proc/sys/kernel/random/boot_id"

// uptime is how old a boot is when it begins: no program runs at once, and the
// runtime of Go takes a monotonic time of zero for a fault.
const uptime = 2 * time.Second

// Clocks are those of one boot of a kernel. They go as fast as the machine's.
// They are safe for concurrent use.
type Clocks struct {
	bootID string

	mu           sync.Mutex // guards what follows
	boot         time.Duration
	mono         time.Duration // the machine's clocks when the boot began
	booted       time.Time
	wall         time.Duration // ahead of the machine's
	synchronised bool
	garbage      bool
	asked        int
}

// Boot returns the clocks of a kernel that has just booted under this identity.
// The wall clock begins at wall and is not synchronised.
func Boot(id string, wall time.Time) *Clocks {
	c := &Clocks{
		bootID: id,
		boot:   machine(unix.CLOCK_BOOTTIME) - uptime,
		mono:   machine(unix.CLOCK_MONOTONIC) - uptime,
		booted: time.Now().Round(0).Add(-uptime),
	}
	c.Set(wall)
	return c
}

// Booted returns when the boot was, by the machine's clock: the truth.
func (c *Clocks) Booted() time.Time { return c.booted }

// Set sets the wall clock as settimeofday(2) does: it is not synchronised then.
func (c *Clocks) Set(wall time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall, c.synchronised = time.Until(wall), false
}

// Synchronise does what a time daemon does: it sets the wall clock to the
// machine's, and says that it is synchronised.
func (c *Clocks) Synchronise() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall, c.synchronised = 0, true
}

// Break gives anything for the monotonic clocks from now on.
func (c *Clocks) Break() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.garbage = true
}

// Asked returns how often the program asked for the time.
func (c *Clocks) Asked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked
}

// gettime answers clock_gettime(2); ok is false for clocks that are the
// program's own business.
func (c *Clocks) gettime(id uint64) (d time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	switch int32(id) {
	case unix.CLOCK_REALTIME, unix.CLOCK_REALTIME_COARSE, unix.CLOCK_REALTIME_ALARM:
		return machine(unix.CLOCK_REALTIME) + c.wall, true
	case unix.CLOCK_MONOTONIC, unix.CLOCK_MONOTONIC_COARSE, unix.CLOCK_MONOTONIC_RAW:
		d = machine(unix.CLOCK_MONOTONIC) - c.mono
	case unix.CLOCK_BOOTTIME, unix.CLOCK_BOOTTIME_ALARM:
		d = machine(unix.CLOCK_BOOTTIME) - c.boot
	default:
		return 0, false
	}
	if c.garbage {
		d = time.Duration(1 + rand.Int64N(int64(100*365*24*time.Hour)))
	}
	return d, true
}

// adjtimex answers adjtimex(2), which is never asked to change anything.
func (c *Clocks) adjtimex() (tx unix.Timex, state int64) {
	wall, _ := c.gettime(unix.CLOCK_REALTIME)
	c.mu.Lock()
	defer c.mu.Unlock()
	tx.Time = unix.NsecToTimeval(int64(wall))
	if c.synchronised {
		tx.Maxerror = 20_000
		return tx, unix.TIME_OK
	}
	tx.Status, tx.Maxerror = unix.STA_UNSYNC, 16_000_000
	return tx, unix.TIME_ERROR
}

// answer returns what a system call writes where its argument of that number
// says, and returns itself; ok is false if the kernel is to answer.
func (c *Clocks) answer(call int32, args [6]uint64) (out []byte, argument int, result int64, ok bool) {
	switch call {
	case unix.SYS_CLOCK_GETTIME:
		d, ok := c.gettime(args[0])
		return pair(int64(d/time.Second), int64(d%time.Second)), 1, 0, ok
	case unix.SYS_GETTIMEOFDAY:
		d, ok := c.gettime(unix.CLOCK_REALTIME)
		return pair(int64(d/time.Second), int64(d%time.Second/time.Microsecond)), 0, 0, ok
	case unix.SYS_ADJTIMEX, unix.SYS_CLOCK_ADJTIME:
		tx, state := c.adjtimex()
		argument = 0
		if call == unix.SYS_CLOCK_ADJTIME {
			argument = 1
		}
		return (*[unsafe.Sizeof(tx)]byte)(unsafe.Pointer(&tx))[:], argument, state, true
	}
	return nil, 0, 0, false
}

func pair(a, b int64) []byte {
	return binary.NativeEndian.AppendUint64(binary.NativeEndian.AppendUint64(nil, uint64(a)), uint64(b))
}

// machine reads a clock of the machine.
func machine(id int32) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		panic("BUG: " + err.Error())
	}
	return time.Duration(ts.Nano())
}
