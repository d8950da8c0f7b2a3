package netlink

import (
	"encoding/binary"
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// A Message is a request or one of its replies, without what ties the two
// together.
type Message struct {
	// Type is what is asked (RTM_GETLINK; the family's number in generic
	// netlink).
	Type uint16
	// Flags are NLM_F_…; of a request, only NLM_F_DUMP matters to Execute,
	// which adds what the protocol needs.
	Flags uint16
	// Data follows the header: the family's own header, then attributes.
	Data []byte
}

// A Frame is a message as it stands in a datagram (struct nlmsghdr).
type Frame struct {
	Message
	// Sequence is the number of the request that this answers.
	Sequence uint32
	// Port is whom it is for.
	Port uint32
}

// AppendFrame appends f to b as it stands in a datagram, padded to the next
// boundary of four bytes.
func AppendFrame(b []byte, f Frame) []byte {
	if len(f.Data) > math.MaxInt32-unix.SizeofNlMsghdr {
		panic("BUG: netlink message beyond 2 GiB")
	}
	b = binary.NativeEndian.AppendUint32(b, uint32(unix.SizeofNlMsghdr+len(f.Data)))
	b = binary.NativeEndian.AppendUint16(b, f.Type)
	b = binary.NativeEndian.AppendUint16(b, f.Flags)
	b = binary.NativeEndian.AppendUint32(b, f.Sequence)
	b = binary.NativeEndian.AppendUint32(b, f.Port)
	return pad(append(b, f.Data...), len(f.Data))
}

// CutFrame returns the first message of datagram, which it shares memory
// with, and what follows it. A message that is shorter than its header or
// reaches beyond the datagram is ErrMalformed.
func CutFrame(datagram []byte) (f Frame, rest []byte, err error) {
	if len(datagram) < unix.SizeofNlMsghdr {
		return Frame{}, nil, fmt.Errorf("message: %d bytes where a header must be: %w", len(datagram), ErrMalformed)
	}
	// Compared before it becomes an int, which has 32 bits on most targets.
	size := binary.NativeEndian.Uint32(datagram)
	if size < unix.SizeofNlMsghdr || uint64(size) > uint64(len(datagram)) {
		return Frame{}, nil, fmt.Errorf("message: length %d in a datagram of %d bytes: %w", size, len(datagram), ErrMalformed)
	}
	f.Type = binary.NativeEndian.Uint16(datagram[4:])
	f.Flags = binary.NativeEndian.Uint16(datagram[6:])
	f.Sequence = binary.NativeEndian.Uint32(datagram[8:])
	f.Port = binary.NativeEndian.Uint32(datagram[12:])
	f.Data = datagram[unix.SizeofNlMsghdr:size:size]
	return f, datagram[min(align(int(size)), len(datagram)):], nil
}

// status is the errno that starts the payload of NLMSG_ERROR and, in dumps,
// of NLMSG_DONE: zero or a negative errno. Kernels before 4.16 may leave it
// out of the latter.
func status(m Message) (unix.Errno, error) {
	if len(m.Data) < 4 {
		if m.Type == unix.NLMSG_DONE {
			return 0, nil
		}
		return 0, fmt.Errorf("error message: %d bytes: %w", len(m.Data), ErrMalformed)
	}
	v := int32(binary.NativeEndian.Uint32(m.Data))
	// MAX_ERRNO of include/linux/err.h.
	if v < -4095 {
		return 0, fmt.Errorf("error message: errno %d: %w", v, ErrMalformed)
	}
	// A dump callback may end on the positive number of bytes it wrote.
	return unix.Errno(-min(v, 0)), nil
}

// align rounds n up to the boundary that messages and attributes keep.
func align(n int) int { return (n + unix.NLMSG_ALIGNTO - 1) &^ (unix.NLMSG_ALIGNTO - 1) }

// pad appends the zero bytes that n bytes lack to a boundary.
func pad(b []byte, n int) []byte {
	for range align(n) - n {
		b = append(b, 0)
	}
	return b
}
