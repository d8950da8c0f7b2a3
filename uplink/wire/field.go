package wire

import (
	"errors"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

var (
	errTime = errors.New("time out of range")
	errText = errors.New("text is not UTF-8")
)

// maxMillis is the longest time that a time.Duration holds, in milliseconds.
const maxMillis = math.MaxInt64 / int64(time.Millisecond)

// The append functions write one field of a message and, as proto3 does, leave
// out a value of zero.

func appendUint(dst []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, num, protowire.VarintType), v)
}

func appendBool(dst []byte, num protowire.Number, v bool) []byte {
	return appendUint(dst, num, protowire.EncodeBool(v))
}

func appendFixed32(dst []byte, num protowire.Number, v uint32) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendFixed32(protowire.AppendTag(dst, num, protowire.Fixed32Type), v)
}

func appendFixed64(dst []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendFixed64(protowire.AppendTag(dst, num, protowire.Fixed64Type), v)
}

func appendBytes(dst []byte, num protowire.Number, v []byte) []byte {
	if len(v) == 0 {
		return dst
	}
	return protowire.AppendBytes(protowire.AppendTag(dst, num, protowire.BytesType), v)
}

// appendString keeps s valid for proto3, whose parsers refuse a message with
// text that is not UTF-8.
func appendString(dst []byte, num protowire.Number, s string) []byte {
	if s == "" {
		return dst
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	return protowire.AppendString(protowire.AppendTag(dst, num, protowire.BytesType), s)
}

// appendMillis writes a time since boot; there is none before it.
func appendMillis(dst []byte, num protowire.Number, d time.Duration) []byte {
	return appendUint(dst, num, uint64(max(d, 0).Milliseconds()))
}

// openMessage starts an embedded message; closeMessage, given the position that
// openMessage returned, writes its length.
func openMessage(dst []byte, num protowire.Number) ([]byte, int) {
	dst = protowire.AppendTag(dst, num, protowire.BytesType)
	return append(dst, 0), len(dst)
}

func closeMessage(dst []byte, at int) []byte {
	n := uint64(len(dst) - at - 1)
	if n < 0x80 {
		dst[at] = byte(n)
		return dst
	}
	var room [10]byte
	end := len(dst)
	dst = append(dst, room[:protowire.SizeVarint(n)-1]...)
	copy(dst[len(dst)-int(n):], dst[at+1:end])
	protowire.AppendVarint(dst[:at], n)
	return dst
}

// A field is one field of a message as it was read.
type field struct {
	key   uint64
	value uint64 // of the varint and fixed types
	bytes []byte // of the bytes type
}

// key names a field by number and type: a known number under another type is
// an unknown field.
func key(num protowire.Number, t protowire.Type) uint64 { return protowire.EncodeTag(num, t) }

// eachField calls do for each field of the message b.
func eachField(b []byte, do func(field) error) error {
	for len(b) > 0 {
		num, t, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		f := field{key: key(num, t)}
		switch t {
		case protowire.VarintType:
			f.value, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			f.value = uint64(v)
		case protowire.Fixed64Type:
			f.value, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(num, t, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if err := do(f); err != nil {
			return err
		}
	}
	return nil
}

// enum returns the value as one of a small enumeration; 255, which none of
// them has, stands for all that is larger.
func (f field) enum() uint8 { return uint8(min(f.value, math.MaxUint8)) }

func (f field) text() (string, error) {
	if !utf8.Valid(f.bytes) {
		return "", errText
	}
	return string(f.bytes), nil
}

func (f field) millis() (time.Duration, error) {
	if f.value > uint64(maxMillis) {
		return 0, errTime
	}
	return time.Duration(f.value) * time.Millisecond, nil
}
