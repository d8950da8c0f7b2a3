package probe

import "time"

// hours is how many hours touch any 24: one at each end is cut.
const hours = 25

// A budget counts packets by the hour, so that no 24 hours see more than its
// limit, wherever they begin.
type budget struct {
	limit int
	spent [hours]struct {
		hour int64
		n    int
	}
}

// take says whether n packets may be sent at the time at since the kernel
// booted, and counts them if so.
func (b *budget) take(at time.Duration, n int) bool {
	now := int64(at / time.Hour)
	sum := n
	for _, s := range b.spent {
		if s.hour > now-hours {
			sum += s.n
		}
	}
	if sum > b.limit {
		return false
	}
	s := &b.spent[now%hours]
	if s.hour != now {
		s.hour, s.n = now, 0
	}
	s.n += n
	return true
}
