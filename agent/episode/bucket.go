package episode

import "time"

// A bucket lets burst things happen at once and one more in every period after
// that.
type bucket struct {
	burst int
	every time.Duration
	// full is when the bucket has all its tokens again.
	full time.Duration
}

// take takes a token, if there is one at now.
func (b *bucket) take(now time.Duration) bool {
	full := max(b.full, now) + b.every
	if full-now > time.Duration(b.burst)*b.every {
		return false
	}
	b.full = full
	return true
}
