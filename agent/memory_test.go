package agent

import (
	"runtime"
	"runtime/debug"
	"testing"
)

// keep is where a test leaves what shall not be garbage.
var keep [][]byte

// litter allocates n bytes, and keeps them if it is told to.
func litter(n int, live bool) {
	const piece = 16 << 10
	for range n / piece {
		b := make([]byte, piece)
		if keep = append(keep, b); !live {
			keep = keep[:len(keep)-1]
		}
	}
}

// TestGarbageIsCollectedBeforeTheRuntimeWould has the runtime collect nothing by
// itself.
func TestGarbageIsCollectedBeforeTheRuntimeWould(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	defer func() { keep = nil }()
	h := heap{bounded: true}
	collections := func(readings int) uint32 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		h.took(readings)
		runtime.ReadMemStats(&after)
		return after.NumGC - before.NumGC
	}
	runtime.GC()
	collections(glance) // the first look
	quarter := int(h.least / 4)
	for _, step := range []struct {
		name     string
		garbage  int
		live     int
		readings int
		want     uint32
	}{
		{"nothing happened", 0, 0, glance, 0},
		{"some garbage", garbage / 2, 0, glance, 0},
		{"much, seen too early", 2*garbage + 2*quarter, 0, glance - 1, 0},
		{"one reading more", 0, 0, 1, 1},
		{"it is gone", 0, 0, glance, 0},
		{"much is live", 0, 4*garbage + 4*quarter, glance, 1},
		{"it is still live", 0, 0, glance, 0},
	} {
		litter(step.garbage, false)
		litter(step.live, true)
		if got := collections(step.readings); got != step.want {
			t.Errorf("%s: collected %d times; want %d", step.name, got, step.want)
		}
	}
	h.bounded = false
	litter(2*garbage+2*quarter, false)
	if got := collections(glance); got != 0 {
		t.Errorf("collected %d times where GOGC is the operator's", got)
	}
}
