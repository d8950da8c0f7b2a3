package wire

import "math/bits"

// The models of residuals: what a reading differs from what was predicted.
// How large it is likely to be is told by the running mean of those before it
// in its column; columns of a body share what they learn about each level of
// that mean.

const (
	levels  = 32
	buckets = 24
)

// A residuals is the model of all residuals of a body.
type residuals struct {
	// stop[l][i]: at level l, the magnitude has i bits, given that it has at
	// least i.
	stop [levels][buckets]prob
	// top[l][i]: the bit after the leading one of a magnitude of i bits.
	top [levels][buckets]prob
	// sign[m][s]: it is negative, under mode m after the sign s.
	sign [modes][3]prob
}

// reset forgets what was learnt. The mean being m, the magnitude is taken to be
// x or more with the probability (1 + x/1.6m)^-2: a mean of few residuals is
// not sure, so the tail is heavy.
func (r *residuals) reset() {
	for l := range r.stop {
		m := uint64(2*l + 1) // twice the level's mean, which is in 16ths
		if l >= 4 {
			k := min(l-4, 23)
			m = uint64(2*(4+l&3)+1) << (k >> 2)
		}
		for i := range r.stop[l] {
			from, to := m+10<<i, m+20<<i
			if i == 0 {
				from = m
			}
			q := from << 16 / to
			p := 65536 - q*q>>16
			p = min(p, 62259) // 0.95
			if i == 0 {
				p = max(p, 16384)
			}
			r.stop[l][i] = prob{uint16(p), confidence}
			r.top[l][i] = prob{27525, confidence} // 0.42
		}
	}
	for m := range r.sign {
		for s := range r.sign[m] {
			r.sign[m][s] = prob{1 << 15, confidence}
		}
	}
	for s := range r.sign[fromZero] {
		r.sign[fromZero][s] = prob{1024, confidence}
	}
}

// A spread is what a column's residuals so far tell of the next one.
type spread struct {
	mean  uint64 // of the magnitudes, in 16ths
	count int
	sign  int // 0 none yet, 1 the last but zeros was positive, 2 negative
}

// level returns the level of a mean, and the low bits of a magnitude that are
// coded as they are. A level spans a quarter of an octave; from 16 on the
// magnitudes are scaled down to between 8 and 16.
func level(mean uint64) (l, shift int) {
	if mean < 4 {
		return int(mean), 0
	}
	n := bits.Len64(mean)
	shift = max(n-8, 0)
	return 4*(min(n, 9)-2) + int(mean>>(n-3)&3), shift
}

// add takes the residual v into account.
func (s *spread) add(u uint64, negative bool) {
	if u != 0 {
		s.sign = 1
		if negative {
			s.sign = 2
		}
	}
	u = min(u, 1<<56) << 4
	k := min(s.count, 2)
	if u > s.mean {
		s.mean += (u - s.mean) >> k
	} else {
		s.mean -= (s.mean - u) >> k
	}
	s.count++
}

// residual codes v, the next residual of the column that s is of.
func (c *codec) residual(s *spread, mode mode, v int64) int64 {
	u := magnitude(v)
	if s.count == 0 {
		u = c.unsigned(&c.first, u)
	} else {
		l, shift := level(s.mean)
		u = c.scaled(l, u>>shift)<<shift | c.raw(u, shift)
	}
	negative := u != 0 && c.bit(&c.residuals.sign[mode][s.sign], v < 0)
	s.add(u, negative)
	if negative {
		return -int64(u)
	}
	return int64(u)
}

// scaled codes a magnitude at level l.
func (c *codec) scaled(l int, u uint64) uint64 {
	size := bits.Len64(u)
	n := 0
	for n < 64 && !c.bit(&c.residuals.stop[l][min(n, buckets-1)], n == size) {
		n++
	}
	if n <= 1 {
		return uint64(n)
	}
	out := uint64(2)
	if c.bit(&c.residuals.top[l][min(n, buckets-1)], u>>(n-2)&1 != 0) {
		out = 3
	}
	return out<<(n-2) | c.raw(u, n-2)
}

// A mode says how the readings of a column are predicted.
type mode uint8

const (
	// constant: all are alike.
	constant mode = iota
	// fromLast: as the one before.
	fromLast
	// fromLine: as far from the one before as that is from its own.
	fromLine
	// fromMean: the running mean.
	fromMean
	// fromBoth: half way between the one before and the running mean.
	fromBoth
	// fromZero: 0.
	fromZero
	// fromPalette: one of the few values that the metric has had in this body,
	// in order.
	fromPalette
	// overTime is of the time column, and no column's mode.
	overTime
	modes
)

// A past is what the predictors know of a column.
type past struct {
	last, before int64
	mean         int64 // in 16ths
	count        int
}

// predict returns the value that is expected next. All arithmetic wraps.
func (p *past) predict(m mode) int64 {
	switch m {
	case fromLast:
		return p.last
	case fromLine:
		return 2*p.last - p.before
	case fromMean:
		return (p.mean + 8) >> 4
	case fromBoth:
		return (p.last + (p.mean+8)>>4) >> 1
	}
	return 0
}

// add takes x into account.
func (p *past) add(x int64) {
	if p.count == 0 {
		*p = past{x, x, x << 4, 1}
		return
	}
	k := 3
	switch {
	case p.count < 2:
		k = 1
	case p.count < 5:
		k = 2
	}
	p.mean += (x<<4 - p.mean) >> k
	p.before, p.last = p.last, x
	p.count++
}

// paletteSize bounds a palette; a value that finds it full is not kept.
const paletteSize = 32

// A palette is the distinct values of a metric so far, in ascending order.
type palette struct {
	n      int
	values [paletteSize]int64
}

// find returns the place of x, or the place where it belongs.
func (p *palette) find(x int64) (int, bool) {
	for i, v := range p.values[:p.n] {
		if v >= x {
			return i, v == x
		}
	}
	return p.n, false
}

// insert adds x at i, where find has said that it belongs.
func (p *palette) insert(i int, x int64) {
	if p.n == paletteSize {
		return
	}
	copy(p.values[i+1:p.n+1], p.values[i:p.n])
	p.values[i] = x
	p.n++
}
