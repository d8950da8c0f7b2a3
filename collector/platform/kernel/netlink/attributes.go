package netlink

import (
	"encoding/binary"
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// Attributes goes through a sequence of attributes (struct nlattr) in place.
//
//	for a.Next() {
//		switch a.Type() {
//		case unix.IFLA_MTU:
//			mtu = a.Uint32()
//		}
//	}
//	return a.Err()
//
// The first attribute that does not hold together, or is not as long as the
// method that reads it says, ends the sequence.
type Attributes struct {
	rest  []byte
	typ   uint16
	value []byte
	err   error
}

// NewAttributes returns the attributes of b, before the first one. b is
// neither copied nor changed.
func NewAttributes(b []byte) Attributes { return Attributes{rest: b} }

// Next goes to the next attribute; false at the end and after an error.
func (a *Attributes) Next() bool {
	if a.err != nil || len(a.rest) == 0 {
		return false
	}
	if len(a.rest) < unix.SizeofNlAttr {
		a.err = fmt.Errorf("attribute: %d bytes where a header must be: %w", len(a.rest), ErrMalformed)
		return false
	}
	size := int(binary.NativeEndian.Uint16(a.rest))
	typ := binary.NativeEndian.Uint16(a.rest[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
	if size < unix.SizeofNlAttr || size > len(a.rest) {
		a.err = fmt.Errorf("attribute %d: length %d with %d bytes left: %w", typ, size, len(a.rest), ErrMalformed)
		return false
	}
	a.typ = typ
	a.value = a.rest[unix.SizeofNlAttr:size:size]
	a.rest = a.rest[min(align(size), len(a.rest)):]
	return true
}

// Err returns what ended the sequence early; nil at its regular end.
func (a *Attributes) Err() error { return a.err }

// Type returns the number of the attribute, without its flags.
func (a *Attributes) Type() uint16 { return a.typ }

// Bytes returns the value; it shares memory with the message.
func (a *Attributes) Bytes() []byte { return a.value }

// Text returns the value without the zero byte that ends a string.
func (a *Attributes) Text() []byte {
	if n := len(a.value); n > 0 && a.value[n-1] == 0 {
		return a.value[:n-1]
	}
	return a.value
}

// Nested returns the attributes that the value is made of.
func (a *Attributes) Nested() Attributes { return NewAttributes(a.value) }

// Uint8 returns the value of one byte.
func (a *Attributes) Uint8() uint8 {
	if !a.is(1) {
		return 0
	}
	return a.value[0]
}

// Int8 returns the value of one signed byte.
func (a *Attributes) Int8() int8 { return int8(a.Uint8()) }

// Uint16 returns the value of two bytes.
func (a *Attributes) Uint16() uint16 {
	if !a.is(2) {
		return 0
	}
	return binary.NativeEndian.Uint16(a.value)
}

// Uint32 returns the value of four bytes.
func (a *Attributes) Uint32() uint32 {
	if !a.is(4) {
		return 0
	}
	return binary.NativeEndian.Uint32(a.value)
}

// Int32 returns the value of four signed bytes.
func (a *Attributes) Int32() int32 { return int32(a.Uint32()) }

// Uint64 returns the value of eight bytes.
func (a *Attributes) Uint64() uint64 {
	if !a.is(8) {
		return 0
	}
	return binary.NativeEndian.Uint64(a.value)
}

func (a *Attributes) is(size int) bool {
	if len(a.value) == size {
		return true
	}
	if a.err == nil {
		a.err = fmt.Errorf("attribute %d: %d bytes, want %d: %w", a.typ, len(a.value), size, ErrMalformed)
	}
	return false
}

// AppendBytes appends an attribute of the type typ with the value v. It
// panics where v is longer than an attribute can be (65531 bytes).
func AppendBytes(b []byte, typ uint16, v []byte) []byte {
	return pad(append(appendHeader(b, typ, len(v)), v...), len(v))
}

// AppendFlag appends an attribute whose presence is its meaning.
func AppendFlag(b []byte, typ uint16) []byte { return appendHeader(b, typ, 0) }

// AppendText appends a string and the zero byte that ends it.
func AppendText(b []byte, typ uint16, v string) []byte {
	b = append(append(appendHeader(b, typ, len(v)+1), v...), 0)
	return pad(b, len(v)+1)
}

// AppendUint8 appends an attribute of one byte.
func AppendUint8(b []byte, typ uint16, v uint8) []byte {
	return pad(append(appendHeader(b, typ, 1), v), 1)
}

// AppendUint16 appends an attribute of two bytes.
func AppendUint16(b []byte, typ, v uint16) []byte {
	return pad(binary.NativeEndian.AppendUint16(appendHeader(b, typ, 2), v), 2)
}

// AppendUint32 appends an attribute of four bytes.
func AppendUint32(b []byte, typ uint16, v uint32) []byte {
	return binary.NativeEndian.AppendUint32(appendHeader(b, typ, 4), v)
}

// AppendUint64 appends an attribute of eight bytes.
func AppendUint64(b []byte, typ uint16, v uint64) []byte {
	return binary.NativeEndian.AppendUint64(appendHeader(b, typ, 8), v)
}

// AppendNested appends an attribute whose value is the attributes that fill
// appends.
func AppendNested(b []byte, typ uint16, fill func([]byte) []byte) []byte {
	start := len(b)
	b = fill(appendHeader(b, typ|unix.NLA_F_NESTED, 0))
	putSize(b[start:], len(b)-start)
	return b
}

func appendHeader(b []byte, typ uint16, size int) []byte {
	start := len(b)
	b = append(b, 0, 0)
	b = binary.NativeEndian.AppendUint16(b, typ)
	putSize(b[start:], unix.SizeofNlAttr+size)
	return b
}

func putSize(attribute []byte, size int) {
	if size > math.MaxUint16 {
		panic(fmt.Sprintf("BUG: netlink attribute of %d bytes", size))
	}
	binary.NativeEndian.PutUint16(attribute, uint16(size))
}
