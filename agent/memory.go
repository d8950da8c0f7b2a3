package agent

import (
	"os"
	"runtime"
	"runtime/debug"
)

const (
	// garbage is how much may pile up where little is live. The runtime by
	// itself never collects before a megabyte has come, whatever GOGC says.
	garbage = 192 << 10
	// glance is how many readings are taken between two looks at the heap.
	// What is asked of a home with 20 stations has three hundred, and leaves
	// nearly as much garbage as may pile up.
	glance = 256
)

// A heap is collected when a quarter of what is live has come on top of it, or
// what garbage says if that is more. What was freed goes back to the kernel: the
// next reply finds room elsewhere in the heap, and pages touched once would stay.
type heap struct {
	bounded  bool
	readings int    // since it was looked at
	least    uint64 // bytes seen since it was collected
	stats    runtime.MemStats
}

// bound keeps garbage from piling up: what is live is less than a megabyte, for
// which the runtime's default would let four pile up. The limit is a guard for
// what no one foresaw; near it, collection never stops.
func (h *heap) bound(limit int64) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(25)
		h.bounded = true
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit)
	}
}

// took says that so many readings were taken, which may be the time to collect.
func (h *heap) took(readings int) {
	if h.readings += readings; !h.bounded || h.readings < glance {
		return
	}
	h.readings = 0
	h.look()
	if h.stats.HeapAlloc >= h.least+max(garbage, h.least/4) {
		debug.FreeOSMemory()
		h.least = 0
		h.look()
	}
}

// look notes how much there is.
func (h *heap) look() {
	runtime.ReadMemStats(&h.stats)
	if h.least == 0 || h.stats.HeapAlloc < h.least {
		h.least = h.stats.HeapAlloc
	}
}
