package buffer

import (
	"slices"
	"testing"
)

// lineOf returns a lane of n windows on flash, each with columns.
func lineOf(n int) *laneIndex {
	x := &laneIndex{lane: Windows}
	for i := range n {
		x.add(Key{testRun, Windows, uint64(i + 1)}, entry{core: 400, cols: 1100})
	}
	return x
}

func any1(*entry) bool { return true }

func TestThinningOrder(t *testing.T) {
	x := lineOf(60)
	var order []uint64
	for {
		i := x.nextThin(any1)
		if i < 0 {
			break
		}
		order = append(order, x.entries[i].seq)
		x.change(i, func(e *entry) { e.cols = 0 })
	}
	var want []uint64
	for seq := uint64(protectOnset + 1); seq <= 60; seq++ { // the middle, then the end
		want = append(want, seq)
	}
	for seq := uint64(protectOnset); seq >= 1; seq-- { // the onset last
		want = append(want, seq)
	}
	if !slices.Equal(order, want) {
		t.Errorf("order %v; want %v", order, want)
	}
	if x.flash != 60*400 {
		t.Errorf("%d bytes left; want %d", x.flash, 60*400)
	}
}

func TestDroppingSpreadsEvenly(t *testing.T) {
	const middle = 152
	x := lineOf(protectOnset + middle + protectEnd)
	drop := func(n int) (widest uint64) {
		for range n {
			x.remove(x.nextDrop(any1))
		}
		for i := range x.entries[:len(x.entries)-1] {
			if i < protectOnset-1 || i >= len(x.entries)-protectEnd {
				if x.step(i) != 1 {
					t.Fatalf("window %d is gone from the onset or the end", x.entries[i].seq+1)
				}
			}
			widest = max(widest, x.step(i))
		}
		return widest
	}
	if got := x.nextDrop(any1); got != protectOnset {
		t.Errorf("the first to go is entry %d; want the oldest of the middle, %d", got, protectOnset)
	}
	// Every other first, then every other of the rest.
	for _, tt := range []struct {
		n      int
		widest uint64
	}{{middle / 2, 2}, {middle / 4, 4}} {
		if got := drop(tt.n); got != tt.widest {
			t.Errorf("after %d more the widest step is %d; want %d", tt.n, got, tt.widest)
		}
	}
}

func TestEveryEntryCanGo(t *testing.T) {
	for n := range 60 {
		x := lineOf(n)
		for range n {
			i := x.nextDrop(any1)
			if i < 0 {
				t.Fatalf("of %d, %d left and none may go", n, len(x.entries))
			}
			x.remove(i)
		}
		if x.nextDrop(any1) != -1 || x.nextThin(any1) != -1 || x.flash != 0 || x.ramCost != 0 {
			t.Errorf("of %d: flash %d, memory %d left", n, x.flash, x.ramCost)
		}
	}
}

// A gap between runs is as wide as what the later run had before.
func TestGapOverRuns(t *testing.T) {
	x := lineOf(3)
	r := testRun
	r.ID++
	r.Counter++
	x.add(Key{r, Windows, 1}, entry{})
	x.add(Key{r, Windows, 9}, entry{})
	for i, want := range []uint64{2, 2, 2, 9, 9} {
		if got := x.gap(i); got != want {
			t.Errorf("gap of entry %d is %d; want %d", i, got, want)
		}
	}
}
