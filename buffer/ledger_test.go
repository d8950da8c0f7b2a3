package buffer

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func lossesOf(seqs ...uint64) []Loss {
	var g ledger
	for _, s := range seqs {
		g.add(Key{Run{ID: 9}, Windows, s}, Full)
	}
	return g.losses
}

func TestLedgerJoinsRanges(t *testing.T) {
	l := func(first, last, count uint64) Loss { return Loss{9, Windows, Full, first, last, count} }
	for _, tt := range []struct {
		name string
		seqs []uint64
		want []Loss
	}{
		{"one", []uint64{5}, []Loss{l(5, 5, 1)}},
		{"upwards", []uint64{5, 6, 7}, []Loss{l(5, 7, 3)}},
		{"downwards", []uint64{7, 6, 5}, []Loss{l(5, 7, 3)}},
		{"apart", []uint64{5, 7}, []Loss{l(5, 5, 1), l(7, 7, 1)}},
		{"the hole is closed", []uint64{5, 7, 6}, []Loss{l(5, 7, 3)}},
		{"the hole is closed from above", []uint64{7, 5, 6}, []Loss{l(5, 7, 3)}},
		{"the last number", []uint64{math.MaxUint64 - 1, math.MaxUint64}, []Loss{l(math.MaxUint64-1, math.MaxUint64, 2)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := lossesOf(tt.seqs...); !slices.Equal(got, tt.want) {
				t.Errorf("losses %v; want %v", got, tt.want)
			}
		})
	}
}

// However reports are lost, the ledger stays bounded and its count exact, each
// sequence lies in a range of its kind, and the bytes fit beside the account.
func TestLedgerIsBoundedAndItsCountExact(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, runs := range []uint64{1, 3, 200} {
		var g ledger
		type kind struct {
			run    uint64
			lane   Lane
			reason Reason
		}
		seen := make(map[kind][]uint64)
		total := uint64(0)
		for range 3000 {
			k := Key{Run{ID: 1 + rnd.Uint64N(runs)}, Lane(1 + rnd.IntN(2)), 1 + rnd.Uint64N(1e6)}
			why := Reason(1 + rnd.IntN(4))
			g.add(k, why)
			seen[kind{k.Run.ID, k.Lane, why}] = append(seen[kind{k.Run.ID, k.Lane, why}], k.Sequence)
			total++
			if len(g.losses) > maxLosses {
				t.Fatalf("%d losses; the bound is %d", len(g.losses), maxLosses)
			}
		}
		sum := uint64(0)
		for _, l := range g.losses {
			sum += l.Count
		}
		if sum != total {
			t.Errorf("%d runs: counts add up to %d; %d were lost", runs, sum, total)
		}
		for k, seqs := range seen {
			for _, seq := range seqs {
				if !slices.ContainsFunc(g.losses, func(l Loss) bool {
					return (l.Run == k.run && l.Lane == k.lane && l.Reason == k.reason && l.First <= seq && seq <= l.Last) ||
						(l.Run == 0 && l.Lane == k.lane && l.Reason == k.reason)
				}) {
					t.Fatalf("%d runs: %v %d is in no range", runs, k, seq)
				}
			}
		}
		if n := len(g.encode()); n > 1500 {
			t.Errorf("%d runs: ledger takes %d bytes", runs, n)
		}
		if got := decodeLosses(g.encode()); !slices.Equal(got, g.losses) {
			t.Errorf("%d runs: decoded %v; want %v", runs, got, g.losses)
		}
	}
}

func TestLedgerSettlesWhatWasDelivered(t *testing.T) {
	l := func(first, last, count uint64) Loss { return Loss{9, Windows, Full, first, last, count} }
	for _, tt := range []struct {
		name            string
		have, delivered []Loss
		want            []Loss
	}{
		{"all", []Loss{l(1, 5, 5)}, []Loss{l(1, 5, 5)}, []Loss{}},
		{"none", []Loss{l(1, 5, 5)}, nil, []Loss{l(1, 5, 5)}},
		{"grown at its end", []Loss{l(1, 7, 7)}, []Loss{l(1, 5, 5)}, []Loss{l(6, 7, 2)}},
		{"grown inside", []Loss{l(1, 9, 6)}, []Loss{l(1, 9, 5)}, []Loss{l(1, 9, 1)}},
		{"another beside it", []Loss{l(1, 5, 5), l(9, 9, 1)}, []Loss{l(1, 5, 5)}, []Loss{l(9, 9, 1)}},
		{"settled twice", []Loss{l(9, 9, 1)}, []Loss{l(1, 5, 5)}, []Loss{l(9, 9, 1)}},
		{"another reason", []Loss{{9, Windows, Thinned, 1, 5, 5}}, []Loss{l(1, 5, 5)}, []Loss{{9, Windows, Thinned, 1, 5, 5}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := ledger{losses: slices.Clone(tt.have)}
			g.settle(tt.delivered)
			if !slices.Equal(g.losses, tt.want) {
				t.Errorf("left %v; want %v", g.losses, tt.want)
			}
		})
	}
}

func FuzzDecodeLosses(f *testing.F) {
	g := ledger{losses: lossesOf(1, 2, 3, 9, 1e18)}
	f.Add(g.encode())
	f.Add([]byte{})
	f.Add(append(g.encode(), 1, 2, 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		ls := decodeLosses(b)
		if len(ls) > maxLosses {
			t.Fatalf("%d losses", len(ls))
		}
		again := decodeLosses((&ledger{losses: ls}).encode())
		if !slices.Equal(again, ls) {
			t.Errorf("%v read back as %v", ls, again)
		}
		var sum ledger
		for _, l := range ls {
			sum.addLoss(l)
		}
	})
}
