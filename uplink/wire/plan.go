package wire

import "math/bits"

// How a column is best coded: what the encoder alone decides.

// largest is the largest step, and the largest magnitude that is rounded to
// one; beyond it a column is coded exactly, with arithmetic that wraps.
const (
	largestStep  = 1 << 40
	largestValue = 1 << 62
)

// plan says how the column's readings are coded, and sets series to them.
func (e *Encoder) plan(col Column, readings int, lossless bool) plan {
	x := e.codec.series[:0]
	for _, v := range col.Values {
		if v != Absent && len(x) < readings {
			x = append(x, v)
		}
	}
	e.codec.series = x
	var p plan
	p.step, p.counter = e.Steps(col.Metric)
	if lossless || p.step < 1 || p.step > largestStep {
		p.step = 1
	}
	p.step = e.codec.memo[byte(col.Metric)].bestStep(x, p)
	if p.counter {
		p.first = x[0]
		p.rest = increments(x, p.step)
	} else {
		if p.step > 1 {
			for i, v := range x {
				x[i] = floor(v+p.step/2, p.step)
			}
		}
		p.first = x[0]
	}
	p.mode = bestMode(x, p.counter)
	if p.mode != constant && !p.counter {
		palettes, id := e.codec.palettes, e.codec.memo[byte(col.Metric)].palette
		var known palette
		if id > 0 {
			known = palettes[id-1]
		}
		if known.suits(x) {
			p.mode = fromPalette
		}
	}
	return p
}

// bestStep returns the step for the values x: that of the plan, or a larger one
// that loses nothing.
func (m *memo) bestStep(x []int64, p plan) int64 {
	var base int64
	if p.counter {
		base = x[0]
	}
	alike := true
	divisor := uint64(0)
	enough := uint64(max(p.step, 2))
	for _, v := range x {
		if magnitude(v) > largestValue || magnitude(v-base) > largestValue {
			return 1
		}
		alike = alike && v == x[0]
		if divisor == 0 || divisor >= enough {
			divisor = gcd(divisor, magnitude(v-base))
		}
	}
	fits := func(step int64) bool { return step >= p.step && divisor%uint64(step) == 0 }
	switch {
	case m.known && m.counter == p.counter && fits(m.step):
		return m.step
	case alike || divisor < enough:
		return p.step
	}
	round := int64(1)
	for ; divisor%10 == 0; divisor /= 10 {
		round *= 10
	}
	for _, f := range [...]uint64{5, 4, 2} {
		if divisor%f == 0 {
			round *= int64(f)
			break
		}
	}
	return max(p.step, round)
}

// gcd returns the greatest common divisor; 0 is divided by all.
func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// floor returns the largest whole number not above a/b, b being positive.
func floor(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// increments replaces a counter's values by what each adds, in whole steps from
// the first on, and returns what the last is above its step.
func increments(x []int64, step int64) (rest int64) {
	first, before := x[0], int64(0)
	for i, v := range x {
		q := v - first
		if step > 1 {
			q = floor(q, step)
		}
		rest = v - first - q*step
		x[i], before = q-before, q
	}
	return rest
}

// bestMode returns the mode, but for palettes, under which the residuals of x
// are the smallest.
func bestMode(x []int64, counter bool) mode {
	alike := true
	for _, v := range x {
		alike = alike && v == x[0]
	}
	if alike {
		return constant
	}
	var cost [fromPalette]int
	var p past
	if !counter {
		p.add(x[0])
	}
	for _, v := range x[1:] {
		for m := fromLast; m < fromPalette; m++ {
			// Four times the bits of the magnitude, and the sign where there
			// is one to code.
			if u := magnitude(v - p.predict(m)); u != 0 {
				n := bits.Len64(u)
				cost[m] += 4*n + int(u<<3>>n&3)
				if m != fromZero {
					cost[m] += 4
				}
			}
		}
		p.add(v)
	}
	best := fromLast
	for m := fromLast; m < fromPalette; m++ {
		if cost[m] < cost[best] {
			best = m
		}
	}
	return best
}

// suits says whether x is better coded by the palette, which is a copy and
// grows as it would.
func (p *palette) suits(x []int64) bool {
	with, without := 0, 0
	at, known := p.find(x[0])
	if !known {
		p.insert(at, x[0])
	}
	for i := 1; i < len(x); i++ {
		if x[i] == x[i-1] {
			continue
		}
		n := bits.Len64(magnitude(x[i] - x[i-1]))
		without += n + 1
		next, known := p.find(x[i])
		if known {
			with += bits.Len64(magnitude(int64(next-at))) + 2
		} else {
			if p.n == paletteSize {
				return false
			}
			with += n + 6
			p.insert(next, x[i])
		}
		at = next
	}
	return with < without
}
