package cem

import (
	"cmp"
	"slices"

	"livebox-agent/uplink/wire"
)

// maxRanges bounds the gaps of one run and lane. An agent that works leaves
// few: it fills them or tells what it lost.
const maxRanges = 1024

// A coverage is a set of sequences.
type coverage struct {
	ranges []wire.Range // ascending, never touching
}

// add puts one sequence into the set. It reports whether it is new, and whether
// the set has room for it at all.
func (c *coverage) add(seq uint64) (added, room bool) {
	// The range to the right of which seq belongs; nearly always the last.
	i, found := slices.BinarySearchFunc(c.ranges, seq, func(r wire.Range, seq uint64) int {
		return cmp.Compare(r.First, seq)
	})
	if found || i > 0 && seq <= c.ranges[i-1].Last {
		return false, true
	}
	left := i > 0 && c.ranges[i-1].Last+1 == seq
	right := i < len(c.ranges) && seq+1 == c.ranges[i].First
	switch {
	case left && right:
		c.ranges[i-1].Last = c.ranges[i].Last
		c.ranges = slices.Delete(c.ranges, i, i+1)
	case left:
		c.ranges[i-1].Last = seq
	case right:
		c.ranges[i].First = seq
	case len(c.ranges) == maxRanges:
		return false, false
	default:
		c.ranges = slices.Insert(c.ranges, i, wire.Range{First: seq, Last: seq})
	}
	return true, true
}

// contiguous returns the highest sequence up to which none is missing from 1,
// and the ranges beyond it.
func contiguous(ranges []wire.Range) (uint64, []wire.Range) {
	if len(ranges) == 0 || ranges[0].First != 1 {
		return 0, ranges
	}
	return ranges[0].Last, ranges[1:]
}

// missing returns what ranges leave out from 1 to their end.
func missing(ranges []wire.Range) []wire.Range {
	var gaps []wire.Range
	next := uint64(1)
	for _, r := range ranges {
		if r.First > next {
			gaps = append(gaps, wire.Range{First: next, Last: r.First - 1})
		}
		next = r.Last + 1
	}
	return gaps
}

// count returns how many sequences ranges hold.
func count(ranges []wire.Range) (n uint64) {
	for _, r := range ranges {
		n += r.Last - r.First + 1
	}
	return n
}
