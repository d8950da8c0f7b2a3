package buffer

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strconv"
)

// A Reason says why a report, or a part of it, will not be delivered.
type Reason uint8

// The reasons; the numbers travel on the wire.
const (
	// Full: dropped, the store is at its limit.
	Full Reason = iota + 1
	// Damaged: dropped, it could not be read back.
	Damaged
	// Thinned: the columns are gone, the summaries are kept.
	Thinned
	// Withdrawn: sections dropped, the customer withdrew consent.
	Withdrawn
)

// String returns the reason in lower case.
func (r Reason) String() string {
	switch r {
	case Full:
		return "full"
	case Damaged:
		return "damaged"
	case Thinned:
		return "thinned"
	case Withdrawn:
		return "withdrawn"
	}
	return "reason(" + strconv.Itoa(int(r)) + ")"
}

// A Loss is a range of reports of one run and lane that were dropped or
// thinned for one reason. A report that was first thinned and then dropped is
// in two losses.
type Loss struct {
	// Run is the run's ID. Run 0 stands for old runs that the bounded ledger
	// no longer tells apart, and for reports of which a repair knows no more
	// than how many are gone; First and Last are then 0.
	Run    uint64
	Lane   Lane
	Reason Reason
	// First and Last are the sequences of the range's ends.
	First, Last uint64
	// Count is how many of the range are lost.
	Count uint64
}

// maxLosses bounds the ledger; with it the state bucket stays below a page.
const maxLosses = 48

// A ledger holds losses in the order in which their ranges began. The zero
// value is ready.
type ledger struct {
	losses []Loss
	dirty  bool // differs from what is on flash
}

func (l Loss) sameKind(o Loss) bool {
	return l.Run == o.Run && l.Lane == o.Lane && l.Reason == o.Reason
}

// add counts one report.
func (g *ledger) add(k Key, why Reason) {
	g.addLoss(Loss{k.Run.ID, k.Lane, why, k.Sequence, k.Sequence, 1})
}

// addLoss counts a range, joining it to one that it touches.
func (g *ledger) addLoss(n Loss) {
	g.dirty = true
	for i := range g.losses {
		l := &g.losses[i]
		if !l.sameKind(n) || n.First > inc(l.Last) || l.First > inc(n.Last) {
			continue
		}
		*l = join(*l, n)
		g.close(i)
		return
	}
	g.losses = append(g.losses, n)
	for len(g.losses) > maxLosses {
		g.shrink()
	}
}

func inc(n uint64) uint64 {
	if n == math.MaxUint64 {
		return n
	}
	return n + 1
}

func join(a, b Loss) Loss {
	a.First, a.Last = min(a.First, b.First), max(a.Last, b.Last)
	a.Count += b.Count
	return a
}

// close joins other ranges that losses[i] has grown up to.
func (g *ledger) close(i int) {
	grown := g.losses[i]
	for j, l := range g.losses {
		if j == i || !l.sameKind(grown) || l.First > inc(grown.Last) || grown.First > inc(l.Last) {
			continue
		}
		g.losses[i] = join(g.losses[i], l)
		g.losses = slices.Delete(g.losses, j, j+1)
		return
	}
}

// shrink makes one loss of two: the two of one kind that lie closest, else the
// two oldest of one lane and reason, whose runs are then no longer told apart.
// The count stays exact.
func (g *ledger) shrink() {
	besti, bestj, best := -1, -1, uint64(math.MaxUint64)
	for i, a := range g.losses {
		for j := i + 1; j < len(g.losses); j++ {
			b := g.losses[j]
			if !a.sameKind(b) {
				continue
			}
			if gap := max(a.First, b.First) - min(a.Last, b.Last); gap < best {
				besti, bestj, best = i, j, gap
			}
		}
	}
	if besti < 0 {
		for i, a := range g.losses {
			j := slices.IndexFunc(g.losses[i+1:], func(b Loss) bool {
				return a.Lane == b.Lane && a.Reason == b.Reason
			})
			if j >= 0 {
				g.losses[i] = Loss{0, a.Lane, a.Reason, 0, 0, a.Count + g.losses[i+1+j].Count}
				g.losses = slices.Delete(g.losses, i+1+j, i+2+j)
				return
			}
		}
		panic("BUG: more losses than lanes and reasons, and no two alike")
	}
	g.losses[besti] = join(g.losses[besti], g.losses[bestj])
	g.losses = slices.Delete(g.losses, bestj, bestj+1)
}

// settle takes away what was delivered. What was lost since it was asked for
// stays.
func (g *ledger) settle(delivered []Loss) {
	for _, d := range delivered {
		i := slices.IndexFunc(g.losses, func(l Loss) bool {
			return l.sameKind(d) && l.First <= d.First && l.Last >= d.Last
		})
		if i < 0 {
			continue
		}
		g.dirty = true
		l := &g.losses[i]
		if l.Count <= d.Count {
			g.losses = slices.Delete(g.losses, i, i+1)
			continue
		}
		l.Count -= d.Count
		if l.First == d.First && d.Last < l.Last {
			l.First = d.Last + 1
		}
	}
}

// encode writes the ledger for the state bucket.
func (g *ledger) encode() []byte {
	b := make([]byte, 0, len(g.losses)*24)
	for _, l := range g.losses {
		b = binary.BigEndian.AppendUint64(b, l.Run)
		b = append(b, byte(l.Lane), byte(l.Reason))
		b = binary.AppendUvarint(b, l.First)
		b = binary.AppendUvarint(b, l.Last-l.First)
		b = binary.AppendUvarint(b, l.Count)
	}
	return b
}

// decodeLosses reads what encode wrote; from damaged bytes it takes what comes
// before the damage.
func decodeLosses(b []byte) []Loss {
	var ls []Loss
	for len(b) >= 10 && len(ls) < maxLosses {
		l := Loss{Run: binary.BigEndian.Uint64(b), Lane: Lane(b[8]), Reason: Reason(b[9])}
		b = b[10:]
		for _, field := range []*uint64{&l.First, &l.Last, &l.Count} {
			v, n := binary.Uvarint(b)
			if n <= 0 {
				return ls
			}
			*field, b = v, b[n:]
		}
		l.Last += l.First
		if l.Last < l.First || l.Count == 0 || l.Lane < Events || l.Lane > Windows ||
			l.Reason < Full || l.Reason > Withdrawn {
			return ls
		}
		ls = append(ls, l)
	}
	return ls
}

// compareLoss orders losses for people: run, lane, reason, first.
func compareLoss(a, b Loss) int {
	return cmp.Or(cmp.Compare(a.Run, b.Run), cmp.Compare(a.Lane, b.Lane),
		cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.First, b.First))
}
