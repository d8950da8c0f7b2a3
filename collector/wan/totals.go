package wan

import (
	"errors"
	"fmt"
	"math"
	"time"

	"livebox-agent/collector/counter"
	"livebox-agent/collector/sample"
)

// errWrapped says that bytes were counted that cannot be known any more.
var errWrapped = errors.New("byte counter may have wrapped more than once")

// totals continues the counters of one interface.
type totals struct {
	// at is when the counters were read last; they were if seen.
	at   time.Duration
	seen bool
	u    [numCounts]counter.Unwrapper
	// total is what u gave last.
	total [numCounts]int64
	// wide says which counters have shown more than 32 bits.
	wide [numCounts]bool
}

// add takes the counters at b.At and adds their totals to b.
func (t *totals) add(got counts, name string, b *sample.Batch) error {
	elapsed := uint64(max(b.At-t.at, 0)/time.Second) + 1
	for _, i := range [...]int{rxPackets, txPackets} {
		t.u[i].MaxStep = maxPacketRate * elapsed
	}
	if got.present[rxPackets] && t.u[rxPackets].Resets(got.value[rxPackets], 32) ||
		got.present[txPackets] && t.u[txPackets].Resets(got.value[txPackets], 32) {
		// Counters of one device start again together.
		for i := range t.u {
			t.u[i].Restart()
		}
	}
	var lost error
	metrics := trafficMetrics()
	for _, pair := range [...]struct{ bytes, packets int }{{rxBytes, rxPackets}, {txBytes, txPackets}} {
		before, known := t.total[pair.packets], t.seen && got.present[pair.packets]
		if got.present[pair.packets] {
			t.next(pair.packets, got)
			b.Add(metrics[pair.packets], name, t.total[pair.packets])
		}
		if !got.present[pair.bytes] {
			continue
		}
		certain := true
		if known {
			most := uint64(t.total[pair.packets]-before) * maxFrame
			t.u[pair.bytes].MaxStep = max(most, 1)
			certain = most <= math.MaxUint32
		}
		t.next(pair.bytes, got)
		if !certain && !t.wide[pair.bytes] {
			lost = fmt.Errorf("%s: %w", name, errWrapped)
			continue
		}
		b.Add(metrics[pair.bytes], name, t.total[pair.bytes])
	}
	t.at, t.seen = b.At, true
	return lost
}

// next takes the counter i.
func (t *totals) next(i int, got counts) {
	t.wide[i] = t.wide[i] || got.value[i] > math.MaxUint32
	t.total[i], _ = t.u[i].Next(got.value[i], 32)
}
