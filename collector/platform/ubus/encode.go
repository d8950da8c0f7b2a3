package ubus

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

// errTooLong says that a blob does not fit the 24 bits of its length.
var errTooLong = errors.New("longer than a blob may be")

// A Field is one named value of a Table.
type Field struct {
	Name  string
	Value any
}

// A Table is a table of values in a certain order.
type Table []Field

// AppendTable appends the values of a table as ParseTable takes them. The
// table is a Table, or a map[string]any whose values go in the order of their
// names. Its values may be
//
//   - Table, map[string]any, []any, string and nil;
//   - bool and uint8, which are sent as bytes;
//   - int16 and uint16, int32 and uint32, int, int64 and uint64, which are
//     sent in 16, 32 and 64 bits (that is how a uint32 counter of a service
//     comes to be negative at its reader);
//   - float64, which is sent as such;
//   - json.Number, which is sent as libubox does: in 32 bits if these hold
//     it, else in 64, a fraction as float64.
//
// Anything else is an error.
func AppendTable(b []byte, table any) ([]byte, error) {
	switch t := table.(type) {
	case nil:
		return b, nil
	case Table:
		for _, f := range t {
			var err error
			if b, err = appendValue(b, f.Name, f.Value); err != nil {
				return nil, err
			}
		}
		return b, nil
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(t)) {
			var err error
			if b, err = appendValue(b, name, t[name]); err != nil {
				return nil, err
			}
		}
		return b, nil
	}
	return nil, fmt.Errorf("encode %T: no table", table)
}

func appendValue(b []byte, name string, value any) ([]byte, error) {
	if len(name) > math.MaxUint16 {
		return nil, fmt.Errorf("encode name of %d bytes: %w", len(name), errTooLong)
	}
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(name)))
	b = append(append(b, name...), 0)
	b = pad(b, start)
	b, typ, err := appendContent(b, value)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", name, err)
	}
	return finish(b, start, extended|uint32(typ)<<idShift)
}

// appendContent appends a value without its header, and returns its type.
func appendContent(b []byte, value any) (content []byte, typ uint8, err error) {
	be := binary.BigEndian
	switch v := value.(type) {
	case nil:
		return b, typeUnspec, nil
	case []any:
		for _, e := range v {
			if b, err = appendValue(b, "", e); err != nil {
				return nil, 0, err
			}
		}
		return b, typeArray, nil
	case Table, map[string]any:
		b, err = AppendTable(b, v)
		return b, typeTable, err
	case string:
		return append(append(b, v...), 0), typeString, nil
	case bool:
		if v {
			return append(b, 1), typeInt8, nil
		}
		return append(b, 0), typeInt8, nil
	case uint8:
		return append(b, v), typeInt8, nil
	case int16:
		return be.AppendUint16(b, uint16(v)), typeInt16, nil
	case uint16:
		return be.AppendUint16(b, v), typeInt16, nil
	case int32:
		return be.AppendUint32(b, uint32(v)), typeInt32, nil
	case uint32:
		return be.AppendUint32(b, v), typeInt32, nil
	case int:
		return be.AppendUint64(b, uint64(v)), typeInt64, nil
	case int64:
		return be.AppendUint64(b, uint64(v)), typeInt64, nil
	case uint64:
		return be.AppendUint64(b, v), typeInt64, nil
	case float64:
		return be.AppendUint64(b, math.Float64bits(v)), typeDouble, nil
	case json.Number:
		return appendNumber(b, v)
	}
	return nil, 0, fmt.Errorf("value of %T", value)
}

func appendNumber(b []byte, n json.Number) (content []byte, typ uint8, err error) {
	i, err := n.Int64()
	switch {
	case err != nil:
		f, err := n.Float64()
		if err != nil {
			return nil, 0, err
		}
		return appendContent(b, f)
	case i == int64(int32(i)):
		return appendContent(b, int32(i))
	}
	return appendContent(b, i)
}

// finish writes the word of the blob that begins at start, and pads it.
func finish(b []byte, start int, word uint32) ([]byte, error) {
	n := len(b) - start
	if n > lenMask {
		return nil, fmt.Errorf("blob of %d bytes: %w", n, errTooLong)
	}
	binary.BigEndian.PutUint32(b[start:], word|uint32(n))
	return pad(b, start), nil
}

// pad appends zeros until the blob that begins at start is whole words.
func pad(b []byte, start int) []byte {
	for (len(b)-start)%align != 0 {
		b = append(b, 0)
	}
	return b
}
