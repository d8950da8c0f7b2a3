package cem

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"livebox-agent/uplink/wire"
)

func TestCoverage(t *testing.T) {
	for _, tt := range []struct {
		name       string
		add        []uint64
		want       []wire.Range
		contiguous uint64
		missing    []wire.Range
	}{
		{name: "nothing"},
		{name: "in order", add: []uint64{1, 2, 3}, want: []wire.Range{{First: 1, Last: 3}}, contiguous: 3},
		{
			name: "a gap is filled from the left", add: []uint64{1, 4, 2, 3},
			want: []wire.Range{{First: 1, Last: 4}}, contiguous: 4,
		},
		{
			name: "backwards", add: []uint64{4, 3, 2},
			want: []wire.Range{{First: 2, Last: 4}}, missing: []wire.Range{{First: 1, Last: 1}},
		},
		{
			name: "fresh data before the backlog", add: []uint64{1, 2, 9, 10, 3},
			want: []wire.Range{{First: 1, Last: 3}, {First: 9, Last: 10}}, contiguous: 3,
			missing: []wire.Range{{First: 4, Last: 8}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c coverage
			for _, seq := range tt.add {
				if added, room := c.add(seq); !added || !room {
					t.Fatalf("add(%d) = %v, %v; want it added", seq, added, room)
				}
			}
			for _, seq := range tt.add {
				if added, room := c.add(seq); added || !room {
					t.Fatalf("add(%d) again = %v, %v; want a duplicate", seq, added, room)
				}
			}
			if diff := cmp.Diff(tt.want, c.ranges); diff != "" {
				t.Errorf("ranges (-want +got):\n%s", diff)
			}
			if n, _ := contiguous(c.ranges); n != tt.contiguous {
				t.Errorf("contiguous %d; want %d", n, tt.contiguous)
			}
			if diff := cmp.Diff(tt.missing, missing(c.ranges)); diff != "" {
				t.Errorf("missing (-want +got):\n%s", diff)
			}
			if n := count(c.ranges); n != uint64(len(tt.add)) {
				t.Errorf("count %d; want %d", n, len(tt.add))
			}
		})
	}
}

// Random sequences against a plain set.
func TestCoverageIsASet(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var c coverage
		model := make(map[uint64]bool)
		for range 100 {
			seq := 1 + rng.Uint64N(60)
			added, room := c.add(seq)
			if added == model[seq] || !room {
				t.Fatalf("add(%d) = %v, %v with %v", seq, added, room, c.ranges)
			}
			model[seq] = true
		}
		var all []uint64
		for i, r := range c.ranges {
			if i > 0 && c.ranges[i-1].Last+1 >= r.First {
				t.Fatalf("ranges touch or are out of order: %v", c.ranges)
			}
			for seq := r.First; seq <= r.Last; seq++ {
				all = append(all, seq)
			}
		}
		if len(all) != len(model) || slices.ContainsFunc(all, func(seq uint64) bool { return !model[seq] }) {
			t.Fatalf("%v does not hold what was added", c.ranges)
		}
	}
}

func TestCoverageHasABound(t *testing.T) {
	var c coverage
	for i := range uint64(maxRanges) {
		if added, _ := c.add(1 + 2*i); !added {
			t.Fatalf("add %d refused below the bound", 1+2*i)
		}
	}
	if _, room := c.add(1 << 40); room {
		t.Error("room for one range more than the bound")
	}
	if added, room := c.add(2); !added || !room {
		t.Error("no room to fill a gap")
	}
}
