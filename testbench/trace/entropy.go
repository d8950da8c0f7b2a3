package trace

import (
	"math"
	"math/bits"

	"livebox-agent/uplink/wire"
)

// Entropy estimates the bytes per reading below which no coder gets that
// predicts each column from its own past and codes the residuals without
// context: for each column the best of four predictors (previous, linear,
// autoregressive around the mean, running mean), and for its residuals the
// lesser of their order-0 entropy, with the Miller-Madow correction and where
// the alphabet is small, and that of their Elias-gamma buckets plus the bits
// within. It is an estimate for
// this trace, not a bound: what columns share is not in it.
func Entropy(t *Trace) float64 {
	total := 0.0
	for _, s := range t.Sources {
		for _, c := range s.Series {
			_, counter := wire.Steps(c.Metric)
			total += float64(len(c.Values)) * columnEntropy(c.Values, counter)
		}
	}
	return total / 8 / float64(t.Readings())
}

// columnEntropy returns bits per reading. A counter is taken as its
// increments.
func columnEntropy(v []int64, counter bool) float64 {
	x := make([]float64, 0, len(v))
	for i := range v {
		switch {
		case !counter:
			x = append(x, float64(v[i]))
		case i > 0:
			x = append(x, float64(v[i]-v[i-1]))
		}
	}
	mean, cov, variance := 0.0, 0.0, 0.0
	for _, y := range x {
		mean += y / float64(len(x))
	}
	for i := 1; i < len(x); i++ {
		cov += (x[i] - mean) * (x[i-1] - mean)
		variance += (x[i-1] - mean) * (x[i-1] - mean)
	}
	phi := 0.0
	if variance > 0 {
		phi = cov / variance
	}
	best, running := math.Inf(1), mean
	for p := range 4 {
		counts := map[int64]int{}
		for i := 2; i < len(x); i++ {
			running += (x[i-1] - running) / 8
			predicted := [4]float64{x[i-1], 2*x[i-1] - x[i-2], mean + phi*(x[i-1]-mean), running}[p]
			counts[int64(x[i])-int64(math.Round(predicted))]++
		}
		best = min(best, residualEntropy(counts))
	}
	return best
}

// residualEntropy returns bits per residual.
func residualEntropy(counts map[int64]int) float64 {
	n := 0
	for _, c := range counts {
		n += c
	}
	if n == 0 {
		return 0
	}
	buckets := map[int64]int{}
	within := 0.0
	for v, c := range counts {
		size := int64(bits.Len64(uint64(max(v, -v))))
		within += float64(max(size-1, 0)*int64(c)) / float64(n)
		if v < 0 {
			size = -size
		}
		buckets[size] += c
	}
	bucketed := order0(buckets, n) + within
	if len(counts) > n/16 {
		// Too few of each: order 0 would measure the length of the sample.
		return bucketed
	}
	return min(order0(counts, n), bucketed)
}

// order0 returns the entropy of counts, n in all, with the Miller-Madow
// correction for a finite sample.
func order0(counts map[int64]int, n int) float64 {
	h := 0.0
	for _, c := range counts {
		p := float64(c) / float64(n)
		h -= p * math.Log2(p)
	}
	return h + float64(len(counts)-1)/(2*float64(n)*math.Ln2)
}
