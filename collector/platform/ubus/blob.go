package ubus

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// MaxDepth is how deep the tables and lists of a value may be nested.
const MaxDepth = 16

const (
	wordLen  = 4 // of the word that begins a blob
	align    = 4
	extended = 1 << 31
	idShift  = 24
	idMask   = 0x7f
	lenMask  = 1<<24 - 1
)

// The types of a value (enum blobmsg_type of blobmsg.h).
const (
	typeUnspec = 0
	typeArray  = 1
	typeTable  = 2
	typeString = 3
	typeInt64  = 4
	typeInt32  = 5
	typeInt16  = 6
	typeInt8   = 7 // also the type of truth values
	typeDouble = 8
)

// A blob is one attribute or value of a message.
type blob struct {
	id       uint8
	extended bool
	data     []byte
}

// cutBlob returns the first blob of b and what follows it. The last one may
// lack its padding.
func cutBlob(b []byte) (first blob, rest []byte, err error) {
	if len(b) < wordLen {
		return blob{}, nil, fmt.Errorf("%w: %d bytes where a blob begins", ErrMalformed, len(b))
	}
	word := binary.BigEndian.Uint32(b)
	n := int(word & lenMask)
	if n < wordLen || n > len(b) {
		return blob{}, nil, fmt.Errorf("%w: blob of %d bytes in %d", ErrMalformed, n, len(b))
	}
	first = blob{id: uint8(word >> idShift & idMask), extended: word&extended != 0, data: b[wordLen:n:n]}
	return first, b[min(padded(n), len(b)):], nil
}

// cutName takes the name off an extended blob. One that is not extended has
// none.
func (v *blob) cutName() (name []byte, err error) {
	if !v.extended {
		return nil, nil
	}
	if len(v.data) < 2 {
		return nil, fmt.Errorf("%w: value of %d bytes has no name", ErrMalformed, len(v.data))
	}
	n := int(binary.BigEndian.Uint16(v.data))
	header := padded(2 + n + 1)
	if header > len(v.data) || v.data[2+n] != 0 {
		return nil, fmt.Errorf("%w: name of %d bytes in a value of %d", ErrMalformed, n, len(v.data))
	}
	name = v.data[2 : 2+n]
	v.data = v.data[header:]
	return name, nil
}

func padded(n int) int { return (n + align - 1) &^ (align - 1) }

// ParseTable returns the named values in data, which is what an attribute
// Data holds. The result is built of map[string]any, []any, string, int64,
// float64, bool and nil, as tree.New takes it.
//
// Integers are signed, as everywhere in ubus: a 32-bit counter above 2^31-1
// comes out negative, and only who knows that it is a counter can mend it.
// Bytes are truth values, as libubox has them. Values of an unknown type are
// left out. Text is made valid UTF-8.
func ParseTable(data []byte) (map[string]any, error) { return parseTable(data, 1) }

func parseTable(data []byte, depth int) (map[string]any, error) {
	if depth > MaxDepth {
		return nil, fmt.Errorf("%w: nested deeper than %d", ErrMalformed, MaxDepth)
	}
	table := make(map[string]any)
	for len(data) > 0 {
		b, rest, err := cutBlob(data)
		if err != nil {
			return nil, err
		}
		data = rest
		name, err := b.cutName()
		if err != nil {
			return nil, err
		}
		v, known, err := b.value(depth)
		if err != nil {
			return nil, err
		}
		if known {
			table[text(name)] = v
		}
	}
	return table, nil
}

func parseArray(data []byte, depth int) ([]any, error) {
	if depth > MaxDepth {
		return nil, fmt.Errorf("%w: nested deeper than %d", ErrMalformed, MaxDepth)
	}
	list := []any{}
	for len(data) > 0 {
		b, rest, err := cutBlob(data)
		if err != nil {
			return nil, err
		}
		data = rest
		if _, err := b.cutName(); err != nil {
			return nil, err
		}
		v, known, err := b.value(depth)
		if err != nil {
			return nil, err
		}
		if known {
			list = append(list, v)
		}
	}
	return list, nil
}

// value returns what the blob holds, whose name is off. known is false for a
// type that this package does not know.
func (v *blob) value(depth int) (value any, known bool, err error) {
	if size := sizeOf(v.id); size != 0 && len(v.data) != size {
		return nil, false, fmt.Errorf("%w: %d bytes for a value of type %d", ErrMalformed, len(v.data), v.id)
	}
	switch v.id {
	case typeUnspec:
		return nil, true, nil
	case typeArray:
		value, err = parseArray(v.data, depth+1)
	case typeTable:
		value, err = parseTable(v.data, depth+1)
	case typeString:
		value, err = v.text()
	case typeInt64:
		value = int64(binary.BigEndian.Uint64(v.data))
	case typeInt32:
		value = int64(int32(binary.BigEndian.Uint32(v.data)))
	case typeInt16:
		value = int64(int16(binary.BigEndian.Uint16(v.data)))
	case typeInt8:
		value = v.data[0] != 0
	case typeDouble:
		value = math.Float64frombits(binary.BigEndian.Uint64(v.data))
	default:
		return nil, false, nil
	}
	return value, err == nil, err
}

// sizeOf returns the size of a value of that type, 0 where it varies.
func sizeOf(typ uint8) int {
	switch typ {
	case typeInt64, typeDouble:
		return 8
	case typeInt32:
		return 4
	case typeInt16:
		return 2
	case typeInt8:
		return 1
	}
	return 0
}

// text returns the text of a blob, which ends with a zero byte.
func (v *blob) text() (string, error) {
	if len(v.data) == 0 || v.data[len(v.data)-1] != 0 {
		return "", fmt.Errorf("%w: text without an end", ErrMalformed)
	}
	return text(v.data[:len(v.data)-1]), nil
}

// text returns what is before the first zero byte of b, as valid UTF-8.
func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\ufffd")
	}
	return s
}
