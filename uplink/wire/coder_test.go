package wire

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestCoder codes a long mixture of everything and reads it back.
func TestCoder(t *testing.T) {
	for seed := range uint64(20) {
		run := func(c *coder) (out []uint64) {
			r := rand.New(rand.NewPCG(seed, 2))
			var tree [8]prob
			var m number
			m.expect(int(seed))
			skew := prob{1 << 15, confidence}
			for i := range tree {
				tree[i] = prob{1 << 15, confidence}
			}
			for range 2000 {
				n := r.IntN(65)
				v := r.Uint64() >> (64 - n)
				often := r.IntN(1000) > 0
				if got := c.bit(&skew, often); got {
					out = append(out, 1)
				}
				out = append(out,
					c.raw(v, n), c.unsigned(&m, v), uint64(c.signed(&m, int64(v))), uint64(c.tree(tree[:], int(v&7), 3)))
			}
			return out
		}
		var w, r coder
		w.encode([]byte("before"))
		want := run(&w)
		b := w.finish()
		r.decode(b[len("before"):])
		got := run(&r)
		if !r.complete() {
			t.Fatalf("seed %d: %d bytes, %d read", seed, len(r.buf), r.pos)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("seed %d: symbol %d came back as %d; want %d", seed, i, got[i], want[i])
			}
		}
	}
}

func TestCoderApproachesEntropy(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var c coder
	c.encode(nil)
	m := prob{1 << 15, confidence}
	const n, p = 100_000, 0.03
	for range n {
		c.bit(&m, r.Float64() < p)
	}
	bits := 8 * float64(len(c.finish())) / n
	entropy := -p*math.Log2(p) - (1-p)*math.Log2(1-p)
	if bits > 1.1*entropy {
		t.Errorf("%.4f bits a decision; want within a tenth of %.4f", bits, entropy)
	}
}

func TestSignedEnds(t *testing.T) {
	for _, v := range []int64{0, 1, -1, math.MaxInt64, math.MinInt64, math.MinInt64 + 1} {
		var w, r coder
		var m, n number
		m.expect(3)
		n.expect(3)
		w.encode(nil)
		w.signed(&m, v)
		r.decode(w.finish())
		if got := r.signed(&n, 0); got != v {
			t.Errorf("%d came back as %d", v, got)
		}
	}
}

// TestLevels: levels never fall as means grow, and there are two to an octave.
func TestLevels(t *testing.T) {
	before := 0
	for mean := range uint64(256) {
		if l := level(mean); l < before || l > before+1 || l >= levels {
			t.Fatalf("level(%d) = %d after %d", mean, l, before)
		}
		before = level(mean)
	}
	for n := 8; n < 61; n++ {
		if l := level(1 << n); l != 2*n-2 || level(3<<n/2) != l+1 {
			t.Errorf("level(1<<%d) = %d", n, l)
		}
	}
}
