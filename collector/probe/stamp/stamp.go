// Package stamp encodes and decodes the test packets of the Simple Two-Way
// Active Measurement Protocol in its unauthenticated mode (RFC 8762, section
// 4), and the padding of its extensions (RFC 8972, section 4.1).
//
// # What is promised
//
//   - Whatever Append writes, Parse reads back.
//   - Any bytes are either a packet or an error; what follows the packet is
//     left alone.
package stamp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

const (
	// Size is the length of a packet without padding, in either direction.
	Size = 44
	// Port is where a reflector listens unless it is told otherwise.
	Port = 862
	// tlvHeader is the least that padding takes.
	tlvHeader = 4
)

// ErrShort says that a datagram is too short for a packet.
var ErrShort = errors.New("short STAMP packet")

// A Timestamp is a moment as on the wire: seconds in the upper 32 bits, and
// below them either 2^-32 s (NTP, RFC 5905, era by context) or nanoseconds
// (PTP, IEEE 1588v2 truncated). Which of the two, the error estimate says.
type Timestamp uint64

// ntpEpoch is the second of the Unix epoch in NTP's first era.
const ntpEpoch = 2208988800

// NTP returns t in NTP's format.
func NTP(t time.Time) Timestamp {
	seconds := uint32(t.Unix() + ntpEpoch)
	fraction := uint64(t.Nanosecond()) << 32 / uint64(time.Second)
	return Timestamp(uint64(seconds)<<32 | fraction)
}

// PTP returns t in PTP's format, without leap seconds.
func PTP(t time.Time) Timestamp {
	return Timestamp(uint64(uint32(t.Unix()))<<32 | uint64(t.Nanosecond()))
}

// An ErrorEstimate says how far a clock may be off (RFC 4656, section 4.1.2,
// with the flag Z of RFC 8186).
type ErrorEstimate uint16

const (
	// Synchronised says that the clock follows UTC.
	Synchronised ErrorEstimate = 0x8000
	// PTPFormat says that the timestamps beside it are in PTP's format.
	PTPFormat ErrorEstimate = 0x4000
	// Unknown is of a clock that follows nothing. The multiplier, the lower
	// eight bits, must not be zero.
	Unknown ErrorEstimate = 0x0001
)

// A Request is what a session's sender sends.
type Request struct {
	// Sequence counts the packets of a session from zero.
	Sequence      uint32
	Timestamp     Timestamp
	ErrorEstimate ErrorEstimate
}

// A Reply is what the reflector answers.
type Reply struct {
	// Sequence is the reflector's own count, or a copy of SenderSequence
	// where it keeps no state.
	Sequence uint32
	// Timestamp is when the reply left, and Received when the request came,
	// by the reflector's clock and in the format that ErrorEstimate says.
	Timestamp, Received Timestamp
	ErrorEstimate       ErrorEstimate
	// These are copies of the request's fields, and what was left of its
	// time to live.
	SenderSequence      uint32
	SenderTimestamp     Timestamp
	SenderErrorEstimate ErrorEstimate
	SenderTTL           uint8
}

// Append appends the packet to b, padded to size bytes as far as that is
// possible: 44, or 48 and more.
func (r Request) Append(b []byte, size int) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint32(b, r.Sequence)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Timestamp))
	b = binary.BigEndian.AppendUint16(b, uint16(r.ErrorEstimate))
	b = append(b, make([]byte, Size-(len(b)-start))...)
	return pad(b, size-Size)
}

// ParseRequest returns the packet at the start of b.
func ParseRequest(b []byte) (Request, error) {
	// Senders of TWAMP Light may send no more than the fields (RFC 8762,
	// section 4.6).
	if len(b) < 14 {
		return Request{}, fmt.Errorf("%w: request of %d bytes", ErrShort, len(b))
	}
	return Request{
		Sequence:      binary.BigEndian.Uint32(b),
		Timestamp:     Timestamp(binary.BigEndian.Uint64(b[4:])),
		ErrorEstimate: ErrorEstimate(binary.BigEndian.Uint16(b[12:])),
	}, nil
}

// Append appends the packet to b, padded to size bytes as that of a Request.
func (r Reply) Append(b []byte, size int) []byte {
	b = binary.BigEndian.AppendUint32(b, r.Sequence)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Timestamp))
	b = binary.BigEndian.AppendUint16(b, uint16(r.ErrorEstimate))
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Received))
	b = binary.BigEndian.AppendUint32(b, r.SenderSequence)
	b = binary.BigEndian.AppendUint64(b, uint64(r.SenderTimestamp))
	b = binary.BigEndian.AppendUint16(b, uint16(r.SenderErrorEstimate))
	b = append(b, 0, 0, r.SenderTTL, 0, 0, 0)
	return pad(b, size-Size)
}

// ParseReply returns the packet at the start of b.
func ParseReply(b []byte) (Reply, error) {
	// A reflector of TWAMP Light ends with the time to live.
	if len(b) < 41 {
		return Reply{}, fmt.Errorf("%w: reply of %d bytes", ErrShort, len(b))
	}
	return Reply{
		Sequence:            binary.BigEndian.Uint32(b),
		Timestamp:           Timestamp(binary.BigEndian.Uint64(b[4:])),
		ErrorEstimate:       ErrorEstimate(binary.BigEndian.Uint16(b[12:])),
		Received:            Timestamp(binary.BigEndian.Uint64(b[16:])),
		SenderSequence:      binary.BigEndian.Uint32(b[24:]),
		SenderTimestamp:     Timestamp(binary.BigEndian.Uint64(b[28:])),
		SenderErrorEstimate: ErrorEstimate(binary.BigEndian.Uint16(b[36:])),
		SenderTTL:           b[40],
	}, nil
}

// Turnaround returns how long the reflector had the packet. ok is false where
// its timestamps cannot be: they run backwards, are more than a minute apart,
// or are in no format.
func (r Reply) Turnaround() (d time.Duration, ok bool) {
	const most = time.Minute
	if r.ErrorEstimate&PTPFormat != 0 {
		out, in := uint32(r.Timestamp), uint32(r.Received)
		if out >= uint32(time.Second) || in >= uint32(time.Second) {
			return 0, false
		}
		// The seconds wrap in 2106.
		seconds := int32(uint32(r.Timestamp>>32) - uint32(r.Received>>32))
		d = time.Duration(seconds)*time.Second + time.Duration(out) - time.Duration(in)
		return d, d >= 0 && d <= most
	}
	// The era ends in 2036; the difference does not see it.
	units := uint64(r.Timestamp - r.Received)
	if units > uint64(most/time.Second)<<32 {
		return 0, false
	}
	seconds, fraction := time.Duration(units>>32), time.Duration(units&0xffffffff)
	return seconds*time.Second + fraction*time.Second>>32, true
}

// pad appends n bytes of padding: a TLV of type Extra Padding, whose sender
// marks it as not understood, which is for the reflector to clear.
func pad(b []byte, n int) []byte {
	if n < tlvHeader {
		return b
	}
	const unrecognised, extraPadding = 0x80, 1
	n -= tlvHeader
	b = append(b, unrecognised, extraPadding, byte(n>>8), byte(n))
	return append(b, make([]byte, n)...)
}
