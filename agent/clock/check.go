package clock

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// slept is how long the check sleeps.
	slept = 50 * time.Millisecond
	// longest is what no sleep takes, however busy the machine is.
	longest = 24 * time.Hour
)

// A machine is what Check asks: two clocks, and a sleep that needs neither.
type machine struct {
	runtime func() time.Duration // the monotonic clock as Go's runtime reads it
	boot    func() (time.Duration, error)
	sleep   func(time.Duration) error
}

// Check says whether monotonic time moves as slept. Kernels for 32-bit
// processors built without COMPAT_32BIT_TIME refuse the calls that Go's runtime
// reads the time by; the runtime does not notice, and takes for the time
// whatever was in memory. Nothing that is measured or waited for is right then.
//
// It uses no timer of the runtime, which might never fire.
func Check() error {
	start := time.Now()
	return machine{
		runtime: func() time.Duration { return time.Since(start) },
		boot:    readBoot,
		sleep:   sleep,
	}.check()
}

func (m machine) check() error {
	boot, err := m.boot()
	if err != nil {
		return broken("CLOCK_BOOTTIME cannot be read: " + err.Error())
	}
	runtime := m.runtime()
	if err := m.sleep(slept); err != nil {
		return fmt.Errorf("check of monotonic time: sleep: %w", err)
	}
	ran := m.runtime() - runtime
	after, err := m.boot()
	if err != nil {
		return broken("CLOCK_BOOTTIME cannot be read: " + err.Error())
	}
	for _, c := range []struct {
		name  string
		moved time.Duration
	}{{"the monotonic clock", ran}, {"CLOCK_BOOTTIME", after - boot}} {
		if c.moved < slept/2 || c.moved > longest {
			return broken(fmt.Sprintf("%s moved by %v while the program slept for %v", c.name, c.moved, slept))
		}
	}
	return nil
}

func broken(how string) error {
	return errors.New("monotonic time does not move as it should: " + how +
		"; a kernel for a 32-bit processor must be built with CONFIG_COMPAT_32BIT_TIME=y")
}

func readBoot() (time.Duration, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0, err
	}
	return time.Duration(ts.Nano()), nil
}

// sleep uses poll(2), the only sleep whose argument has no 32-bit time in it.
func sleep(d time.Duration) error {
	for range 100 {
		_, err := unix.Poll(nil, int(d.Milliseconds()))
		if !errors.Is(err, unix.EINTR) {
			return err
		}
		// How much of it was slept only a clock could tell: all of it again.
	}
	return unix.EINTR
}
