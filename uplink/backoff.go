package uplink

import (
	"math/rand/v2"
	"time"
)

const (
	// firstWait caps the wait after the first failure.
	firstWait = 2 * time.Second
	// goodLink is how long a connection must have lasted for the failures before
	// it to be forgotten.
	goodLink = 5 * time.Minute
	// kickSpread caps the wait that is left when the WAN comes up: a whole
	// street comes up at once.
	kickSpread = time.Minute
	// maxRetryAfter bounds what a server may ask for.
	maxRetryAfter = 24 * time.Hour
	// refusedSteps is how many doublings a refusal is ahead of a lost connection.
	refusedSteps = 5
)

// A Backoff draws the waits between the connections of one box. All waits are
// fully jittered: boxes that fail together come back spread evenly. It is not
// safe for concurrent use.
type Backoff struct {
	max      time.Duration
	rand     *rand.Rand
	failures int
	floor    time.Duration
}

// NewBackoff returns a Backoff whose waits are at most ceiling, apart from
// what a server asks for.
func NewBackoff(ceiling time.Duration, r *rand.Rand) *Backoff {
	return &Backoff{max: ceiling, rand: r}
}

// PowerReturn draws the wait before the first connection after the box
// started: uniform between 0 and w.
func (b *Backoff) PowerReturn(w time.Duration) time.Duration { return b.uniform(w) }

// Next draws the wait after a connection that lasted up, 0 where there was
// none: uniform between 0 and 2, 4, 8, … seconds, or the ceiling. A connection
// of five minutes starts the row again. Where the broker refused this box, the
// row starts at a minute and no wait is shorter than half of its bound: asking
// again cannot help, a person must act.
func (b *Backoff) Next(up time.Duration, refused bool) time.Duration {
	if up >= goodLink {
		b.failures = 0
	}
	b.failures = min(b.failures+1, 40)
	n := b.failures - 1
	if refused {
		n += refusedSteps
	}
	bound := b.max
	if n < 30 {
		bound = min(bound, firstWait<<n)
	}
	switch {
	case b.floor > 0:
		// All boxes of a broker are told the same: they spread beyond it.
		return b.floor + b.uniform(max(bound, b.floor/2))
	case refused:
		return bound/2 + b.uniform(bound/2)
	}
	return b.uniform(bound)
}

// RetryAfter sets the least wait that a server asks for, until it asks for
// another; 0 is none. It is bounded by a day.
func (b *Backoff) RetryAfter(d time.Duration) { b.floor = min(max(d, 0), maxRetryAfter) }

// Kick returns what is left of a wait when the WAN came up: never more than
// left, never nothing by rule, and all of it where a server asked for a wait.
func (b *Backoff) Kick(left time.Duration) time.Duration {
	if b.floor > 0 {
		return left
	}
	return min(left, b.uniform(kickSpread))
}

func (b *Backoff) uniform(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(b.rand.Int64N(int64(d)))
}
