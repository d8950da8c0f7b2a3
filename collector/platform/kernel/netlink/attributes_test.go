package netlink

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// raw is an attribute as it stands in memory, with a length that may lie.
func raw(size, typ uint16, value ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, size)
	b = binary.NativeEndian.AppendUint16(b, typ)
	return append(b, value...)
}

func TestAttributesOfEveryLength(t *testing.T) {
	var b []byte
	b = AppendUint8(b, 1, 0xfe)
	b = AppendUint16(b, 2, 0x1234)
	b = AppendUint32(b, 3, 0xfffffffe)
	b = AppendUint64(b, 4, 0x123456789abcdef0)
	b = AppendText(b, 5, "lo")
	b = AppendFlag(b, 6)
	b = AppendBytes(b, 7, []byte{1, 2, 3, 4, 5})
	b = AppendNested(b, 8, func(b []byte) []byte { return AppendUint8(b, 9, 42) })
	if len(b)%4 != 0 {
		t.Fatalf("%d bytes; want a multiple of 4", len(b))
	}
	a := NewAttributes(b)
	next := func(typ uint16) {
		t.Helper()
		if !a.Next() || a.Type() != typ {
			t.Fatalf("attribute %d (%v); want %d", a.Type(), a.Err(), typ)
		}
	}
	next(1)
	if a.Uint8() != 0xfe || a.Int8() != -2 {
		t.Errorf("Uint8, Int8 = %d, %d; want 254, -2", a.Uint8(), a.Int8())
	}
	next(2)
	if a.Uint16() != 0x1234 {
		t.Errorf("Uint16 = %#x; want 0x1234", a.Uint16())
	}
	next(3)
	if a.Uint32() != 0xfffffffe || a.Int32() != -2 {
		t.Errorf("Uint32, Int32 = %d, %d; want 4294967294, -2", a.Uint32(), a.Int32())
	}
	next(4)
	if a.Uint64() != 0x123456789abcdef0 {
		t.Errorf("Uint64 = %#x; want 0x123456789abcdef0", a.Uint64())
	}
	next(5)
	if string(a.Text()) != "lo" || string(a.Bytes()) != "lo\x00" {
		t.Errorf("Text, Bytes = %q, %q; want lo with and without its end", a.Text(), a.Bytes())
	}
	next(6)
	if len(a.Bytes()) != 0 || len(a.Text()) != 0 {
		t.Errorf("flag has the value %v", a.Bytes())
	}
	next(7)
	if !bytes.Equal(a.Bytes(), []byte{1, 2, 3, 4, 5}) {
		t.Errorf("Bytes = %v; want 1 to 5", a.Bytes())
	}
	next(8)
	n := a.Nested()
	if !n.Next() || n.Type() != 9 || n.Uint8() != 42 || n.Next() || n.Err() != nil {
		t.Errorf("nested attribute %d = %d, %v; want 9 = 42 alone", n.Type(), n.Uint8(), n.Err())
	}
	if a.Next() || a.Err() != nil {
		t.Errorf("attribute %d, %v after the last", a.Type(), a.Err())
	}
}

func TestMalformedAttributesAreRefused(t *testing.T) {
	good := AppendUint32(nil, 1, 7)
	for _, tt := range []struct {
		name    string
		tail    []byte
		wantErr string
	}{
		{"cut header", []byte{8, 0, 1}, "3 bytes where a header must be"},
		{"length below the header", raw(3, 2), "length 3 with 4 bytes left"},
		{"length zero", raw(0, 2), "length 0 with 4 bytes left"},
		{"length beyond the end", raw(9, 2, 1, 2, 3, 4), "length 9 with 8 bytes left"},
		{"largest length", raw(0xffff, 2, 1, 2, 3, 4), "length 65535 with 8 bytes left"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := NewAttributes(append(bytes.Clone(good), tt.tail...))
			if !a.Next() || a.Uint32() != 7 {
				t.Fatalf("first attribute = %d, %v; want 7", a.Uint32(), a.Err())
			}
			if a.Next() {
				t.Errorf("attribute %d = %v; want none", a.Type(), a.Bytes())
			}
			if err := a.Err(); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("Err = %v; want %q", err, tt.wantErr)
			}
		})
	}
}

func TestAttributeOfAnotherLengthEndsTheSequence(t *testing.T) {
	for _, tt := range []struct {
		name string
		read func(*Attributes) uint64
		size int
	}{
		{"one byte", func(a *Attributes) uint64 { return uint64(a.Uint8()) }, 1},
		{"signed byte", func(a *Attributes) uint64 { return uint64(a.Int8()) }, 1},
		{"two bytes", func(a *Attributes) uint64 { return uint64(a.Uint16()) }, 2},
		{"four bytes", func(a *Attributes) uint64 { return uint64(a.Uint32()) }, 4},
		{"signed four bytes", func(a *Attributes) uint64 { return uint64(a.Int32()) }, 4},
		{"eight bytes", (*Attributes).Uint64, 8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range []int{0, 1, 2, 3, 4, 5, 7, 8, 9} {
				b := AppendBytes(nil, 1, bytes.Repeat([]byte{0xff}, size))
				a := NewAttributes(AppendFlag(b, 2))
				a.Next()
				v := tt.read(&a)
				if size == tt.size {
					if v == 0 || a.Err() != nil {
						t.Errorf("%d bytes = %d, %v", size, v, a.Err())
					}
					continue
				}
				if v != 0 || !errors.Is(a.Err(), ErrMalformed) || a.Next() {
					t.Errorf("%d bytes = %d, %v; want ErrMalformed and the end", size, v, a.Err())
				}
			}
		})
	}
}

func TestFlagsAreNoPartOfTheType(t *testing.T) {
	a := NewAttributes(raw(4, 5|unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER))
	if !a.Next() || a.Type() != 5 {
		t.Errorf("Type = %d; want 5", a.Type())
	}
}

func TestLastAttributeNeedsNoPadding(t *testing.T) {
	a := NewAttributes(raw(5, 1, 42))
	if !a.Next() || a.Uint8() != 42 || a.Next() || a.Err() != nil {
		t.Errorf("attribute = %d, %v; want 42 alone", a.Uint8(), a.Err())
	}
}

func TestTooLongAttributeIsABug(t *testing.T) {
	if got := len(AppendBytes(nil, 1, make([]byte, 65531))); got != 65536 {
		t.Errorf("longest attribute takes %d bytes; want 65536", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("an attribute of 65532 bytes was appended")
		}
	}()
	AppendBytes(nil, 1, make([]byte, 65532))
}

// Whatever the bytes are, the attributes lie one after the other within them,
// and end with an error or at the end.
func FuzzAttributes(f *testing.F) {
	b := AppendUint8(nil, 1, 1)
	b = AppendText(b, 2, "wlan0")
	b = AppendNested(b, 3, func(b []byte) []byte { return AppendUint64(b, 1, 1) })
	f.Add(b)
	f.Add(b[:len(b)-3])
	f.Add(raw(0, 1))
	f.Add(raw(0xffff, 0xffff))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		a := NewAttributes(data)
		total := 0
		for a.Next() {
			total += unix.SizeofNlAttr + len(a.Bytes())
			if total > len(data) || cap(a.Bytes()) != len(a.Bytes()) {
				t.Fatalf("attributes reach beyond the %d bytes", len(data))
			}
			n := a.Nested()
			for n.Next() {
				_ = n.Text()
			}
			_ = a.Uint32()
		}
		if a.Next() {
			t.Fatal("an attribute after the end")
		}
	})
}
