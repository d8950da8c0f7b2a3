package cem

import (
	"slices"

	"livebox-agent/uplink/wire"
)

// ack returns what the box must be told: the lanes of which something came
// since it was told last. It holds at most maxRuns times two lanes, and as many
// ranges as a box reads.
func (b *box) ack() wire.Ack {
	var a wire.Ack
	room := wire.MaxAckRanges / 2 // of at most 22 bytes each: within MaxAckBytes
	for _, r := range b.runs {
		for i := range r.lanes {
			if !r.touched[i] {
				continue
			}
			r.touched[i] = false
			n, beyond := contiguous(r.lanes[i].ranges)
			beyond = beyond[:min(len(beyond), room)]
			room -= len(beyond)
			a.Lanes = append(a.Lanes, wire.LaneAck{
				RunID: r.id, Lane: wire.Lane(i + 1), Contiguous: n, Ranges: slices.Clone(beyond),
			})
		}
	}
	return a
}
