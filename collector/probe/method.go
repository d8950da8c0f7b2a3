package probe

import (
	"encoding/binary"
	"time"

	"livebox-agent/collector/probe/stamp"
)

// A kind is a way to probe.
type kind uint8

const (
	kindSTAMP kind = iota
	kindEcho
	kinds
)

// String returns the instance of the kind's readings.
func (k kind) String() string {
	if k == kindEcho {
		return "icmp"
	}
	return "stamp"
}

// A method writes probes and reads answers. nonce is what nobody off the path
// can guess: it comes back in the answer.
type method interface {
	// nonce returns the nonce of a packet that is sent now.
	nonce(random uint64) uint64
	// request appends a packet of size bytes to b.
	request(b []byte, sequence uint16, nonce uint64, size int) []byte
	// answer reads what came; ok is false where it is no answer.
	answer(b []byte) (a answer, ok bool)
}

// An answer is what an answer to a probe says.
type answer struct {
	sequence uint16
	nonce    uint64
	// turnaround is how long the reflector had the packet.
	turnaround time.Duration
}

// stampMethod is STAMP. The nonce is the timestamp, whose lowest bits, below
// what a box's clock resolves, are random as in RFC 5905, section 7.3.
type stampMethod struct{}

func (stampMethod) nonce(random uint64) uint64 {
	const fuzz = 1<<12 - 1 // just below 1 µs
	return uint64(stamp.NTP(time.Now()))&^fuzz | random&fuzz
}

func (stampMethod) request(b []byte, sequence uint16, nonce uint64, size int) []byte {
	// The clock of a gateway may follow nothing yet.
	return stamp.Request{Sequence: uint32(sequence), Timestamp: stamp.Timestamp(nonce), ErrorEstimate: stamp.Unknown}.Append(b, size)
}

func (stampMethod) answer(b []byte) (answer, bool) {
	r, err := stamp.ParseReply(b)
	if err != nil || r.SenderSequence > 0xffff {
		return answer{}, false
	}
	a := answer{sequence: uint16(r.SenderSequence), nonce: uint64(r.SenderTimestamp)}
	if d, ok := r.Turnaround(); ok {
		a.turnaround = d
	}
	return a, true
}

// Types of ICMP messages (RFC 792, RFC 4443).
const (
	echoRequest4 = 8
	echoReply4   = 0
	echoRequest6 = 128
	echoReply6   = 129
	echoHeader   = 8
)

// echoMethod is ICMP echo. The kernel replaces id on a ping socket.
type echoMethod struct {
	ipv6 bool
	id   uint16
	// checkID says that the socket gives answers to others too.
	checkID bool
}

func (echoMethod) nonce(random uint64) uint64 { return random }

func (m echoMethod) request(b []byte, sequence uint16, nonce uint64, size int) []byte {
	start := len(b)
	typ := byte(echoRequest4)
	if m.ipv6 {
		typ = echoRequest6
	}
	b = append(b, typ, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, m.id)
	b = binary.BigEndian.AppendUint16(b, sequence)
	b = binary.BigEndian.AppendUint64(b, nonce)
	b = append(b, make([]byte, max(0, size-(len(b)-start)))...)
	if !m.ipv6 {
		// The kernel does it for ICMPv6, whose sum covers addresses.
		binary.BigEndian.PutUint16(b[start+2:], checksum(b[start:]))
	}
	return b
}

func (m echoMethod) answer(b []byte) (answer, bool) {
	typ := byte(echoReply4)
	if m.ipv6 {
		typ = echoReply6
	}
	if len(b) < echoHeader+8 || b[0] != typ || b[1] != 0 || m.checkID && binary.BigEndian.Uint16(b[4:]) != m.id {
		return answer{}, false
	}
	return answer{sequence: binary.BigEndian.Uint16(b[6:]), nonce: binary.BigEndian.Uint64(b[echoHeader:])}, true
}

// checksum is that of RFC 1071.
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
