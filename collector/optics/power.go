package optics

import "math"

// milliDBm returns the power of n × 0.1 µW in 0.001 dBm: 10000·log10(n/10000),
// cut toward zero, which is how a Livebox turns the register of its module
// into the number that it gives. None, or less, has no decibels.
func milliDBm(n float64) (v int64, ok bool) {
	if !(n > 0) || math.IsInf(n, 1) {
		return 0, false
	}
	x := 10000 * math.Log10(n/10000)
	// A power of ten is a whole number of decibels; the logarithm may end just
	// short of it. No other register comes as near to one (see the tests).
	if whole := math.Round(x); math.Abs(x-whole) < 1e-9 {
		x = whole
	}
	return int64(x), true
}
