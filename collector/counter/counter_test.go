package counter_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"livebox-agent/collector/counter"
)

const max32 = math.MaxUint32

// A step is one reading and what is expected of it.
type step struct {
	raw   uint64
	want  int64
	reset bool
}

func TestNext(t *testing.T) {
	for _, tt := range []struct {
		name    string
		bits    int
		maxStep uint64
		steps   []step
	}{
		{name: "the first reading is the first total", bits: 32, steps: []step{{7, 7, false}}},
		{name: "a first reading of zero", bits: 32, steps: []step{{0, 0, false}, {0, 0, false}, {1, 1, false}}},
		{name: "a wrap adds what was counted and nothing else", bits: 32, steps: []step{
			{max32 - 9, max32 - 9, false}, {5, max32 + 6, false}, {6, max32 + 7, false},
		}},
		{name: "a wrap to zero exactly", bits: 32, steps: []step{{max32, max32, false}, {0, max32 + 1, false}}},
		{name: "a reset is told from a wrap", bits: 32, steps: []step{{1000, 1000, false}, {3, 1003, true}, {4, 1004, false}}},
		{name: "a reset to zero", bits: 32, steps: []step{{1000, 1000, false}, {0, 1000, true}, {2, 1002, false}}},
		{name: "a wrap of just under half the range", bits: 32, steps: []step{{max32, max32, false}, {1<<31 - 2, max32 + 1<<31 - 1, false}}},
		{name: "a step of half the range is a reset", bits: 32, steps: []step{{max32, max32, false}, {1<<31 - 1, max32 + 1<<31 - 1, true}}},
		{name: "a reset from the upper half looks like a wrap without a bound", bits: 32, steps: []step{
			{3 << 30, 3 << 30, false}, {10, 1<<32 + 10, false},
		}},
		{name: "a bound on the rate shows the reset from the upper half", bits: 32, maxStep: 1 << 20, steps: []step{
			{3 << 30, 3 << 30, false}, {10, 3<<30 + 10, true},
		}},
		{name: "a bound on the rate lets the wrap through", bits: 32, maxStep: 1 << 20, steps: []step{
			{max32 - 100, max32 - 100, false}, {10, max32 + 11, false},
		}},
		{name: "a bound is not held against an increase", bits: 32, maxStep: 1, steps: []step{{0, 0, false}, {500, 500, false}}},
		{name: "a decrease of a 64-bit counter is a reset", bits: 64, steps: []step{{max32, max32, false}, {5, max32 + 5, true}}},
		{name: "a reading wider than said makes the counter wide", bits: 32, steps: []step{
			{max32 - 1, max32 - 1, false}, {1 << 33, 1 << 33, false}, {max32, 1<<33 + max32, true}, {1, 1<<33 + max32 + 1, true},
		}},
		{name: "a width of 16 bits", bits: 16, steps: []step{{65530, 65530, false}, {4, 65540, false}, {3, 65543, true}}},
		{name: "a small step back is neither and adds nothing", bits: 64, steps: []step{
			{1600, 1600, false}, {1500, 1600, false}, {1599, 1600, false}, {1601, 1601, false},
		}},
		{name: "a step back by more than a sixteenth is a reset", bits: 64, steps: []step{{1600, 1600, false}, {1499, 3099, true}}},
		{name: "the total stops at the largest int64", bits: 64, steps: []step{
			{math.MaxUint64 - 1, math.MaxInt64, false}, {math.MaxUint64, math.MaxInt64, false}, {9, math.MaxInt64, true},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := counter.Unwrapper{MaxStep: tt.maxStep}
			for i, s := range tt.steps {
				resets := u.Resets(s.raw, tt.bits)
				total, reset := u.Next(s.raw, tt.bits)
				if total != s.want || reset != s.reset {
					t.Errorf("reading %d: Next(%d, %d) = %d, %v; want %d, %v", i, s.raw, tt.bits, total, reset, s.want, s.reset)
				}
				if resets != s.reset {
					t.Errorf("reading %d: Resets(%d, %d) = %v; want %v", i, s.raw, tt.bits, resets, s.reset)
				}
			}
		})
	}
}

func TestRestart(t *testing.T) {
	var u counter.Unwrapper
	u.Restart()
	if total, reset := u.Next(5, 32); total != 5 || reset {
		t.Errorf("first reading after Restart = %d, %v; want 5, false: nothing was counted before", total, reset)
	}
	u.Restart()
	if !u.Resets(9, 32) || !u.Resets(5, 32) || u.Wraps(1, 32) {
		t.Error("after Restart any reading is a reset, none a wrap")
	}
	if total, reset := u.Next(9, 32); total != 14 || !reset {
		t.Errorf("higher reading after Restart = %d, %v; want 14, true", total, reset)
	}
	if total, reset := u.Next(10, 32); total != 15 || reset {
		t.Errorf("reading after the restart was taken = %d, %v; want 15, false", total, reset)
	}
}

func TestWraps(t *testing.T) {
	var u counter.Unwrapper
	if u.Wraps(0, 32) {
		t.Error("nothing wraps before the first reading")
	}
	u.Next(max32, 32)
	for raw, want := range map[uint64]bool{0: true, 1<<31 - 1: false, max32: false} {
		if got := u.Wraps(raw, 32); got != want {
			t.Errorf("Wraps(%d) after %d = %v; want %v", raw, uint64(max32), got, want)
		}
	}
	if u.Wraps(0, 64) {
		t.Error("a 64-bit counter does not wrap")
	}
}

func TestTotalNeverDecreases(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		u := counter.Unwrapper{MaxStep: rng.Uint64() >> rng.IntN(65)}
		last := int64(0)
		for range 50 {
			raw := rng.Uint64() >> rng.IntN(65)
			if rng.IntN(10) == 0 {
				u.Restart()
			}
			bits := 1 + rng.IntN(64)
			total, _ := u.Next(raw, bits)
			if total < last {
				t.Fatalf("Next(%d, %d) = %d after %d", raw, bits, total, last)
			}
			last = total
		}
	}
}

// A counter of any width that only ever counts up, however often it wraps,
// gives the number of events exactly as long as no step exceeds half of the
// range.
func TestWrapsAddWhatWasCounted(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, bits := range []int{8, 16, 24, 32, 48, 63} {
		var u counter.Unwrapper
		truth := rng.Uint64N(1 << bits)
		start := truth
		for range 1000 {
			total, reset := u.Next(truth&(1<<bits-1), bits)
			if truth > math.MaxInt64 {
				break
			}
			if uint64(total) != truth || reset {
				t.Fatalf("%d bits from %d: total %d, reset %v; want %d, false", bits, start, total, reset, truth)
			}
			truth += rng.Uint64N(1 << (bits - 1))
		}
	}
}

func FuzzNext(f *testing.F) {
	f.Add(uint64(0), uint64(0), uint64(0), 32)
	f.Add(uint64(max32), uint64(3), uint64(max32+1), 32)
	f.Add(uint64(math.MaxUint64), uint64(0), uint64(math.MaxUint64), 64)
	f.Add(uint64(1), uint64(0), uint64(1), 0)
	f.Add(uint64(1), uint64(0), uint64(1), 1000)
	f.Add(uint64(1), uint64(0), uint64(1), -1)
	f.Fuzz(func(t *testing.T, a, b, c uint64, bits int) {
		var u counter.Unwrapper
		last := int64(0)
		for _, raw := range []uint64{a, b, c} {
			total, _ := u.Next(raw, bits)
			if total < last {
				t.Fatalf("Next(%d, %d) = %d after %d", raw, bits, total, last)
			}
			last = total
		}
	})
}

func BenchmarkNext(b *testing.B) {
	b.ReportAllocs()
	var u counter.Unwrapper
	raw := uint64(0)
	for b.Loop() {
		raw += 1500
		u.Next(raw&max32, 32)
	}
}
