package wire

import (
	"errors"
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// What an Ack may hold: a box reads it from the network.
const (
	// MaxAckBytes is the longest Ack that ParseAck reads.
	MaxAckBytes = 64 << 10
	// MaxAckLanes is the most lanes that it may name.
	MaxAckLanes = 1024
	// MaxAckRanges is the most ranges that it may hold, over all lanes.
	MaxAckRanges = 4096
)

var (
	errAckSize   = errors.New("larger than 64 KiB")
	errAckLanes  = errors.New("too many lanes")
	errAckRanges = errors.New("too many ranges")
	errAckOrder  = errors.New("ranges are not in ascending order beyond the contiguous sequences")
	errRetry     = errors.New("retry_after_s out of range")
)

// An Ack is what the CEM tells a box: the reports that it has stored.
type Ack struct {
	Lanes []LaneAck
	// RetryAfter is the least time, in whole seconds, that the box must wait
	// before its next connection. The box bounds it.
	RetryAfter time.Duration
}

// A LaneAck says what the CEM has stored of one run and lane.
type LaneAck struct {
	RunID uint64
	Lane  Lane
	// Contiguous: every sequence from 1 to this one is stored.
	Contiguous uint64
	// Ranges are stored beyond Contiguous, ascending and apart.
	Ranges []Range
}

// A Range is the sequences First to Last, both included.
type Range struct{ First, Last uint64 }

// AppendAck appends an Ack message.
func AppendAck(dst []byte, a Ack) []byte {
	for _, l := range a.Lanes {
		var at int
		dst, at = openMessage(dst, 1)
		dst = appendFixed64(dst, 1, l.RunID)
		dst = appendUint(dst, 2, uint64(l.Lane))
		dst = appendUint(dst, 3, l.Contiguous)
		for _, r := range l.Ranges {
			var in int
			dst, in = openMessage(dst, 4)
			dst = appendUint(dst, 1, r.First)
			dst = appendUint(dst, 2, r.Last)
			dst = closeMessage(dst, in)
		}
		dst = closeMessage(dst, at)
	}
	seconds := min(max(a.RetryAfter, 0)/time.Second, math.MaxUint32)
	return appendUint(dst, 2, uint64(seconds))
}

// ParseAck reads an Ack, within the limits above. It leaves out lanes whose
// number it does not know and refuses ranges that are empty or out of order.
func ParseAck(b []byte) (Ack, error) {
	var a Ack
	if len(b) > MaxAckBytes {
		return a, fmt.Errorf("parse ack: %w", errAckSize)
	}
	ranges := 0
	err := eachField(b, func(f field) error {
		switch f.key {
		case key(1, protowire.BytesType):
			l, err := parseLaneAck(f.bytes, &ranges)
			if err != nil {
				return err
			}
			if l.Lane != Events && l.Lane != Windows {
				return nil
			}
			if len(a.Lanes) == MaxAckLanes {
				return errAckLanes
			}
			a.Lanes = append(a.Lanes, l)
		case key(2, protowire.VarintType):
			if f.value > math.MaxUint32 {
				return errRetry
			}
			a.RetryAfter = time.Duration(f.value) * time.Second
		}
		return nil
	})
	if err != nil {
		return Ack{}, fmt.Errorf("parse ack: %w", err)
	}
	return a, nil
}

// parseLaneAck reads one LaneAck and adds its ranges to those counted in n.
func parseLaneAck(b []byte, n *int) (LaneAck, error) {
	var l LaneAck
	err := eachField(b, func(f field) error {
		switch f.key {
		case key(1, protowire.Fixed64Type):
			l.RunID = f.value
		case key(2, protowire.VarintType):
			l.Lane = Lane(f.enum())
		case key(3, protowire.VarintType):
			l.Contiguous = f.value
		case key(4, protowire.BytesType):
			if *n++; *n > MaxAckRanges {
				return errAckRanges
			}
			r, err := parseRange(f.bytes)
			if err != nil {
				return err
			}
			l.Ranges = append(l.Ranges, r)
		}
		return nil
	})
	if err != nil {
		return l, err
	}
	// Fields come in any order, so the ranges are checked at the end.
	last := l.Contiguous
	for _, r := range l.Ranges {
		if r.First <= last || r.Last < r.First {
			return l, errAckOrder
		}
		last = r.Last
	}
	return l, nil
}

func parseRange(b []byte) (Range, error) {
	var r Range
	err := eachField(b, func(f field) error {
		switch f.key {
		case key(1, protowire.VarintType):
			r.First = f.value
		case key(2, protowire.VarintType):
			r.Last = f.value
		}
		return nil
	})
	return r, err
}
