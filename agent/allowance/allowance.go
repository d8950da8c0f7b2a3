package allowance

import "time"

// An Allowance lets something happen Burst times at once, and once more for every
// period that passes after that. It is not safe for concurrent use.
type Allowance struct {
	Burst int
	Every time.Duration
	// full is when all of the burst is there again.
	full time.Duration
}

// Take tells whether it may be done once more at now, and counts it if so.
func (a *Allowance) Take(now time.Duration) bool {
	if a.Wait(now) > 0 {
		return false
	}
	a.full = max(a.full, now) + a.Every
	return true
}

// Wait returns for how long after now Take will refuse; 0 where it would not.
func (a *Allowance) Wait(now time.Duration) time.Duration {
	return max(0, a.full-now-time.Duration(a.Burst-1)*a.Every)
}
