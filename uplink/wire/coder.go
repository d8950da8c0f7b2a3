package wire

import "math/bits"

// A prob is what is known of one binary decision: the probability, in 65536ths,
// that it is 1, and how many of them that rests on.
type prob struct {
	p uint16
	n uint8
}

const (
	// confidence is what a probability that no decision has touched counts for.
	confidence = 4
	// memory bounds how many decisions count, so that a model follows change.
	memory = 30
)

// rate holds how far a decision moves a probability that rests on n others, in
// 65536ths: 1/(n+1.5).
var rate = func() (r [memory + 1]uint32) {
	for n := range r {
		r[n] = uint32(2 << 16 / (2*n + 3))
	}
	return r
}()

// A coder is a binary arithmetic coder, in either direction: told which bit
// comes next it writes that, and returns it; decoding it returns the bit that
// was written and ignores what it is told. So every model is written down once.
type coder struct {
	decoding  bool
	low, high uint32 // the interval, both ends included
	code      uint32 // decoding: the bytes at the interval's place
	buf       []byte // the code, as far as it is written or to be read
	pos       int    // decoding: bytes taken, those of the implied zeros included
}

// encode starts a code at the end of dst.
func (c *coder) encode(dst []byte) { *c = coder{high: 1<<32 - 1, buf: dst} }

// decode starts to read the code b.
func (c *coder) decode(b []byte) {
	*c = coder{high: 1<<32 - 1, buf: b, decoding: true}
	for range 4 {
		c.take()
	}
}

// take moves the next byte into code; zeros follow the last.
func (c *coder) take() {
	c.code <<= 8
	if c.pos < len(c.buf) {
		c.code |= uint32(c.buf[c.pos])
	}
	c.pos++
}

// split codes b where the interval up to mid stands for 1.
func (c *coder) split(mid uint32, b bool) bool {
	if c.decoding {
		b = c.code <= mid
	}
	if b {
		c.high = mid
	} else {
		c.low = mid + 1
	}
	for (c.low^c.high)>>24 == 0 {
		if c.decoding {
			c.take()
		} else {
			c.buf = append(c.buf, byte(c.high>>24))
		}
		c.low <<= 8
		c.high = c.high<<8 | 0xff
	}
	return b
}

// learn takes into account that the decision was b.
func (m *prob) learn(b bool) {
	if b {
		m.p += uint16((65535 - uint32(m.p)) * rate[m.n] >> 16)
	} else {
		m.p -= uint16(uint32(m.p) * rate[m.n] >> 16)
	}
	if m.n < memory {
		m.n++
	}
}

// bit codes b under the probability m, which learns from it.
func (c *coder) bit(m *prob, b bool) bool {
	b = c.split(c.low+uint32(uint64(c.high-c.low)*uint64(m.p)>>16), b)
	m.learn(b)
	return b
}

// either codes b under the mean of two probabilities, which both learn from it.
func (c *coder) either(m, n *prob, b bool) bool {
	p := (uint32(m.p) + uint32(n.p)) >> 1
	b = c.split(c.low+uint32(uint64(c.high-c.low)*uint64(p)>>16), b)
	m.learn(b)
	n.learn(b)
	return b
}

// raw codes the low n bits of v, most significant first, without a model.
func (c *coder) raw(v uint64, n int) uint64 {
	var out uint64
	for n--; n >= 0; n-- {
		out <<= 1
		if c.split(c.low+(c.high-c.low)>>1, v>>n&1 != 0) {
			out |= 1
		}
	}
	return out
}

// finish ends the code with the fewest bytes that, with zeros after them, lie
// in the interval, and returns it.
func (c *coder) finish() []byte {
	for n := 0; n <= 32 && c.low > 0; n += 8 {
		v := uint32(uint64(c.high) >> (32 - n) << (32 - n))
		if v < c.low {
			continue
		}
		for i := 24; i >= 32-n; i -= 8 {
			c.buf = append(c.buf, byte(v>>i))
		}
		break
	}
	return c.buf
}

// overrun says that decoding has gone past the end of the code.
func (c *coder) overrun() bool { return c.pos > len(c.buf)+4 }

// complete says that decoding has ended where the code ends.
func (c *coder) complete() bool { return !c.overrun() && len(c.buf) <= c.pos }

// tree codes n bits of v, each under the bits before it; m has 2^n elements.
func (c *coder) tree(m []prob, v, n int) int {
	node := 1
	for n--; n >= 0; n-- {
		b := c.bit(&m[node], v>>n&1 != 0)
		node <<= 1
		if b {
			node |= 1
		}
	}
	return node - len(m)
}

// A number is the model of whole numbers of any size: how many bits they have,
// the bits themselves being taken as even.
type number struct {
	size [65]prob
	sign prob
}

// expect sets the model to numbers of about n bits.
func (m *number) expect(n int) {
	for i := range m.size {
		m.size[i] = prob{uint16(65536 / (n + 1)), confidence}
	}
	m.sign = prob{1 << 15, confidence}
}

// unsigned codes v.
func (c *coder) unsigned(m *number, v uint64) uint64 {
	size := bits.Len64(v)
	n := 0
	for n < 64 && !c.bit(&m.size[n], n == size) {
		n++
	}
	if n <= 1 {
		return uint64(n)
	}
	return 1<<(n-1) | c.raw(v, n-1)
}

// signed codes v: its magnitude, then its sign.
func (c *coder) signed(m *number, v int64) int64 {
	u := c.unsigned(m, magnitude(v))
	if u != 0 && c.bit(&m.sign, v < 0) {
		return -int64(u)
	}
	return int64(u)
}

// magnitude returns |v|, that of the least int64 included.
func magnitude(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}
