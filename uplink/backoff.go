package uplink

import (
	"math/rand/v2"
	"time"
)

const (
	// FirstWait caps the wait after the first failure. A broker that restarts
	// is missed by all of its boxes in the same second: with 2 s in place of a
	// minute they came back at 26 times the rate, and after a return of power
	// at twice the rate, without being back any sooner (testbench storm).
	FirstWait = time.Minute
	// goodLink is how long a connection must have lasted for the failures before
	// it to be forgotten.
	goodLink = 5 * time.Minute
	// maxRetryAfter bounds what a server may ask for.
	maxRetryAfter = 24 * time.Hour
	// maxDoublings bounds the count of failures; any ceiling is reached before.
	maxDoublings = 40
)

// A Backoff draws the waits between connections. All waits are fully jittered:
// boxes that fail together come back spread evenly. It knows no box: what is
// of one box is its Standing, so that a simulated fleet of millions shares one
// Backoff. It is not safe for concurrent use.
type Backoff struct {
	// First caps the first wait, Ceiling all of them, apart from what a server
	// asks for.
	First, Ceiling time.Duration
	Rand           *rand.Rand
}

// A Standing is where one box stands in its row of waits. The zero value is
// the beginning.
type Standing struct {
	floor    int32 // seconds that a server asked for
	failures uint8
}

// PowerReturn draws the wait before the first connection after the box
// started: uniform between 0 and w.
func (b *Backoff) PowerReturn(w time.Duration) time.Duration { return b.uniform(w) }

// Restart draws the wait before the first connection of an agent that started
// on a running box, as a whole fleet does after an update. w is that after a
// return of power.
func (b *Backoff) Restart(w time.Duration) time.Duration {
	return b.uniform(min(w, b.First, b.Ceiling))
}

// Next draws the wait after a connection that lasted up, 0 where there was
// none: uniform between 0 and a bound, which is First, then twice as much each
// time, up to the ceiling. A connection of five minutes starts the row again.
// Where the broker refused this box, no wait is shorter than half of its bound:
// asking again cannot help, a person must act.
func (b *Backoff) Next(s *Standing, up time.Duration, refused bool) time.Duration {
	if up >= goodLink {
		s.failures = 0
	}
	s.failures = min(s.failures+1, maxDoublings)
	bound := double(b.First, int(s.failures-1), b.Ceiling)
	floor := s.retryAfter()
	switch {
	case floor > 0:
		// All boxes of a broker are told the same: they spread beyond it.
		return floor + b.uniform(max(bound, floor/2))
	case refused:
		return bound/2 + b.uniform(bound/2)
	}
	return b.uniform(bound)
}

// double doubles d n times, up to the ceiling.
func double(d time.Duration, n int, ceiling time.Duration) time.Duration {
	for range n {
		if d >= ceiling {
			break
		}
		d *= 2
	}
	return min(d, ceiling)
}

func (b *Backoff) uniform(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(b.Rand.Int64N(int64(d)))
}

// RetryAfter sets the least wait that a server asks for, in whole seconds,
// until it asks for another; 0 is none. It is bounded by a day.
func (s *Standing) RetryAfter(d time.Duration) {
	s.floor = int32(min(max(d, 0), maxRetryAfter) / time.Second)
}

func (s *Standing) retryAfter() time.Duration { return time.Duration(s.floor) * time.Second }
