package wire

import "math/bits"

// A models is all that a body learns about how its parts are distributed.
type models struct {
	residuals residuals
	first     number // magnitude of a column's first residual

	// The sizes of tables and their times.
	tables, rows, columns, quantum, start, interval number
	// Which column comes next.
	sameInstance, newInstance prob
	away, prefix, suffix      number
	plain                     prob
	successor                 [2]prob
	metric                    number
	// Which rows have a reading.
	full    prob
	present [4]prob // by the row above and the column to the left
	// How a column is coded.
	sameKind, isCounter prob
	step, otherStep     number
	total, level        number
	change              number
	sameMode            prob
	modes               [2][8]prob // of gauges, of counters
	inPalette           prob
	newcomer            number
	exact               prob
	// Summaries.
	count, extent, within number
}

// newModels returns models that have learnt nothing.
func newModels() *models {
	m := new(models)
	m.residuals.reset()
	for _, n := range [...]struct {
		number *number
		bits   int
	}{
		{&m.first, 4},
		{&m.tables, 2},
		{&m.rows, 4},
		{&m.columns, 4},
		{&m.quantum, 1},
		{&m.start, 10},
		{&m.interval, 4},
		{&m.away, 1},
		{&m.prefix, 1},
		{&m.suffix, 3},
		{&m.metric, 2},
		{&m.step, 3},
		{&m.otherStep, 8},
		{&m.total, 25},
		{&m.level, 6},
		{&m.change, 4},
		{&m.newcomer, 8},
		{&m.count, 2},
		{&m.extent, 6},
		{&m.within, 4},
	} {
		n.number.expect(n.bits)
	}
	const even, rarely, mostly = 1 << 15, 1 << 12, 15 << 12
	for _, p := range [...]struct {
		prob *prob
		p    uint16
	}{
		{&m.sameInstance, even},
		{&m.newInstance, even},
		{&m.plain, mostly},
		{&m.successor[0], even},
		{&m.successor[1], even},
		{&m.full, mostly},
		{&m.present[0], rarely},
		{&m.present[1], even},
		{&m.present[2], even},
		{&m.present[3], mostly},
		{&m.sameKind, mostly},
		{&m.isCounter, even},
		{&m.sameMode, 40960},
		{&m.inPalette, mostly},
		{&m.exact, even},
	} {
		*p.prob = prob{p.p, confidence}
	}
	// Most gauges stand still or move a little from the last; most counters
	// stand still or add at random.
	for i, tree := range [...][8]uint16{
		{0, 13107, 9830, 22938, 29491, even, even, rarely},
		{0, 29491, 9830, 1966, 6554, even, 58982, rarely},
	} {
		for j, p := range tree {
			m.modes[i][j] = prob{p, confidence}
		}
	}
	return m
}

const (
	levels  = 14
	buckets = 16
)

// A residuals is the model of what readings differ from what was predicted. How
// large a residual is likely to be is told by two running means of those before
// it in its column, a fast one and a slow one; columns of a body share what they
// learn about each level of either.
type residuals struct {
	// fast[l][i] and slow[l][i]: the mean being at level l, the magnitude has i
	// bits, given that it has at least i.
	fast, slow [levels][buckets]prob
	// sign[m][s]: it is negative, under mode m after the sign s.
	sign [modes][3]prob
}

// reset forgets what was learnt. The mean being m, the magnitude is taken to be
// x or more with the probability (1 + x/1.6m)^-2: a mean of few residuals is
// not sure, so the tail is heavy.
func (r *residuals) reset() {
	for l := range r.fast {
		// Twice the mean in the middle of the level, in 16ths; so 1.6m is m2/20.
		m2 := uint64(5+2*(l&1)) << (l / 2)
		if l < 2 {
			m2 = uint64(1 + 4*l)
		}
		for i := range r.fast[l] {
			from, to := m2+10<<i, m2+20<<i
			if i == 0 {
				from = m2
			}
			q := from << 16 / to
			p := min(65536-q*q>>16, 62259) // 0.95
			if i == 0 {
				p = max(p, 16384) // a value is often the same again, then far off
			}
			r.fast[l][i] = prob{uint16(p), confidence}
			r.slow[l][i] = prob{uint16(p), confidence}
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
	fast, slow uint64 // means of the magnitudes, in 16ths
	count      int
	sign       int // 0 none yet, 1 the last but zeros was positive, 2 negative
}

// level returns the level of a mean: two to an octave, the first for means below
// 2/16, then 2/16 and 3/16 together.
func level(mean uint64) int {
	n := bits.Len64(mean)
	if n < 3 {
		return max(n-1, 0)
	}
	return 2*n - 4 + int(mean>>(n-2)&1)
}

// add takes a residual of magnitude u into account.
func (s *spread) add(u uint64, negative bool) {
	if u != 0 {
		s.sign = 1
		if negative {
			s.sign = 2
		}
	}
	u = min(u, 1<<56) << 4
	s.fast = towards(s.fast, u, min(s.count, 1))
	s.slow = towards(s.slow, u, min(s.count, 4))
	s.count++
}

// towards moves mean by a 2^k-th of the way to u.
func towards(mean, u uint64, k int) uint64 {
	if u > mean {
		return mean + (u-mean)>>k
	}
	return mean - (mean-u)>>k
}

// residual codes v, the next residual of the column that s is of.
func (c *codec) residual(s *spread, mode mode, v int64) int64 {
	u := magnitude(v)
	if s.count == 0 {
		u = c.unsigned(&c.first, u)
	} else {
		// Where the fast mean is 16 or more, low bits are coded as they are, so
		// many that the rest has a mean between 8 and 16.
		l := level(s.fast)
		shift := max(l-levels+2, 0) / 2
		fast := &c.residuals.fast[l-2*shift]
		slow := &c.residuals.slow[min(max(level(s.slow)-2*shift, 0), levels-1)]
		u = c.scaled(fast, slow, u>>shift)<<shift | c.raw(u, shift)
	}
	negative := u != 0 && c.bit(&c.residuals.sign[mode][s.sign], v < 0)
	s.add(u, negative)
	if negative {
		return -int64(u)
	}
	return int64(u)
}

// scaled codes a magnitude by how many bits it has, under two models of that.
func (c *codec) scaled(fast, slow *[buckets]prob, u uint64) uint64 {
	size := bits.Len64(u)
	n := 0
	for n < 64 && !c.either(&fast[min(n, buckets-1)], &slow[min(n, buckets-1)], n == size) {
		n++
	}
	if n <= 1 {
		return uint64(n)
	}
	return 1<<(n-1) | c.raw(u, n-1)
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
