package netlink

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFramesComeBackAsTheyWent(t *testing.T) {
	frames := []Frame{
		{Message: Message{Type: 16, Flags: 0x301, Data: []byte{1, 2, 3}}, Sequence: math.MaxUint32, Port: 1},
		{Message: Message{Type: 0xffff}, Sequence: 2, Port: math.MaxUint32},
		{Message: Message{Type: 20, Data: []byte("abcd")}},
	}
	var b []byte
	for _, f := range frames {
		b = AppendFrame(b, f)
	}
	for i, want := range frames {
		var got Frame
		var err error
		got, b, err = CutFrame(b)
		if err != nil {
			t.Fatal(err)
		}
		if got.Type != want.Type || got.Flags != want.Flags || got.Sequence != want.Sequence ||
			got.Port != want.Port || !bytes.Equal(got.Data, want.Data) {
			t.Errorf("frame %d = %+v; want %+v", i, got, want)
		}
	}
	if len(b) != 0 {
		t.Errorf("%d bytes after the last frame", len(b))
	}
}

func TestMalformedFramesAreRefused(t *testing.T) {
	good := AppendFrame(nil, Frame{Message: Message{Type: 16, Data: make([]byte, 8)}})
	size := func(v uint32) []byte {
		b := bytes.Clone(good)
		binary.NativeEndian.PutUint32(b, v)
		return b
	}
	for _, tt := range []struct {
		name string
		in   []byte
	}{
		{"nothing", nil},
		{"cut header", good[:15]},
		{"cut data", good[:len(good)-1]},
		{"length zero", size(0)},
		{"length below the header", size(15)},
		{"length beyond the datagram", size(25)},
		{"length that is negative in 32 bits", size(1 << 31)},
		{"largest length", size(math.MaxUint32)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if f, _, err := CutFrame(tt.in); !errors.Is(err, ErrMalformed) {
				t.Errorf("CutFrame = %+v, %v; want ErrMalformed", f, err)
			}
		})
	}
}

func TestLastFrameNeedsNoPadding(t *testing.T) {
	b := AppendFrame(nil, Frame{Message: Message{Type: 16, Data: []byte{1}}})
	f, rest, err := CutFrame(b[:unix.SizeofNlMsghdr+1])
	if err != nil || len(f.Data) != 1 || len(rest) != 0 {
		t.Errorf("CutFrame = %+v, %d bytes, %v; want one byte of data", f, len(rest), err)
	}
}

func TestStatus(t *testing.T) {
	word := func(v int32) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(v)) }
	for _, tt := range []struct {
		name    string
		typ     uint16
		data    []byte
		want    unix.Errno
		wantErr bool
	}{
		{name: "acknowledgement", typ: unix.NLMSG_ERROR, data: word(0)},
		{name: "refusal", typ: unix.NLMSG_ERROR, data: append(word(-int32(unix.EPERM)), make([]byte, 16)...), want: unix.EPERM},
		{name: "refusal without its number", typ: unix.NLMSG_ERROR, data: []byte{1, 2, 3}, wantErr: true},
		{name: "not an errno", typ: unix.NLMSG_ERROR, data: word(-4096), wantErr: true},
		{name: "least number", typ: unix.NLMSG_ERROR, data: word(math.MinInt32), wantErr: true},
		{name: "done, old kernel", typ: unix.NLMSG_DONE},
		{name: "done", typ: unix.NLMSG_DONE, data: word(0)},
		{name: "done with a length", typ: unix.NLMSG_DONE, data: word(1384)},
		{name: "done half way", typ: unix.NLMSG_DONE, data: word(-int32(unix.ENODEV)), want: unix.ENODEV},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := status(Message{Type: tt.typ, Data: tt.data})
			if got != tt.want || (err != nil) != tt.wantErr {
				t.Errorf("status = %v, %v; want %v", got, err, tt.want)
			}
		})
	}
}

func TestGenericHeader(t *testing.T) {
	b := AppendFlag(AppendGeneric(nil, 7, 1), 3)
	command, attributes, err := CutGeneric(b)
	if command != 7 || len(attributes) != 4 || err != nil {
		t.Errorf("CutGeneric = %d, %v, %v; want command 7 and one attribute", command, attributes, err)
	}
	if _, _, err := CutGeneric(b[:3]); !errors.Is(err, ErrMalformed) {
		t.Errorf("CutGeneric of 3 bytes = %v; want ErrMalformed", err)
	}
}

// Whatever a datagram is made of, its messages lie one after the other within
// it, and taking it ends.
func FuzzDatagram(f *testing.F) {
	one := AppendFrame(nil, Frame{Message: Message{Type: 16, Data: []byte{1, 2, 3}}, Sequence: 1, Port: 1})
	done := AppendFrame(nil, Frame{Message: Message{Type: unix.NLMSG_DONE, Data: make([]byte, 4)}, Sequence: 1, Port: 1})
	f.Add(append(bytes.Clone(one), done...))
	f.Add(one[:17])
	f.Add(AppendFrame(nil, Frame{Message: Message{Type: unix.NLMSG_ERROR}, Sequence: 1, Port: 1}))
	f.Add(bytes.Repeat([]byte{0xff}, 40))
	f.Fuzz(func(t *testing.T, data []byte) {
		total := 0
		x := exchange{sequence: 1, port: 1, each: func(m Message) error {
			total += unix.SizeofNlMsghdr + len(m.Data)
			return nil
		}}
		err := x.take(data)
		if total > len(data) {
			t.Fatalf("messages of %d bytes in a datagram of %d", total, len(data))
		}
		if err != nil && x.refusal != 0 {
			t.Fatalf("both malformed (%v) and refused (%v)", err, x.refusal)
		}
	})
}
