package box

import (
	"hash/fnv"
	"math"
	"time"
)

// A chance gives numbers that look random and depend on nothing but the seed,
// a name and the time, so that a run can be repeated and a value does not
// depend on how often it was looked at.
type chance uint64

// bits returns 64 bits for the n-th step of what name stands for.
func (c chance) bits(name string, n int64) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	x := uint64(c) ^ h.Sum64() ^ uint64(n)*0x9e3779b97f4a7c15
	// The finaliser of SplitMix64.
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// unit returns a number from 0 up to 1.
func (c chance) unit(name string, n int64) float64 {
	return float64(c.bits(name, n)>>11) / (1 << 53)
}

// wander returns a number from -1 to 1 that moves smoothly, with a new
// direction every period.
func (c chance) wander(name string, at, period time.Duration) float64 {
	n := int64(math.Floor(float64(at) / float64(period)))
	f := float64(at)/float64(period) - float64(n)
	a, b := c.unit(name, n), c.unit(name, n+1)
	return 2*(a+(b-a)*(3-2*f)*f*f) - 1
}

// below returns a number from 0 up to n.
func (c chance) below(name string, n int) int { return int(c.unit(name, 0) * float64(n)) }
