package ubus

import (
	"bufio"
	"bytes"
	"net"
	"testing"
	"time"
)

// stream is a socket on which certain bytes arrive and then no more.
type stream struct {
	net.Conn
	in bytes.Reader
}

func (s *stream) Read(p []byte) (int, error)  { return s.in.Read(p) }
func (s *stream) Write(p []byte) (int, error) { return len(p), nil }
func (s *stream) SetDeadline(time.Time) error { return nil }

func FuzzSubscriber(f *testing.F) {
	invoke := AppendUint32(nil, AttrObjID, 5)
	invoke, _ = AppendText(invoke, AttrMethod, "key-mismatch")
	invoke, _ = AppendValues(invoke, AttrData, Table{{"address", "02:00:00:00:00:01"}})
	gone := AppendUint32(AppendUint32(nil, AttrObjID, 5), AttrTarget, 9)
	var wire []byte
	for _, m := range []Message{{Type: TypeInvoke, Attributes: invoke}, {Type: TypeUnsubscribe, Attributes: gone}, {Type: TypePing}} {
		wire, _ = AppendMessage(wire, m)
		f.Add(wire)
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		socket := &stream{}
		socket.in.Reset(wire)
		reader := bufio.NewReader(socket)
		s := &Subscriber{
			conn: &Conn{socket: buffered{socket, reader}}, reader: reader,
			own: map[uint32]subscription{5: {"o", 9}},
		}
		for range len(wire) + 1 {
			n, err := s.Next(t.Context(), time.Time{})
			if err != nil {
				return
			}
			if n.Object != "o" {
				t.Fatalf("a notification of %q", n.Object)
			}
			_, _ = n.Values()
		}
		t.Fatal("more notifications than bytes")
	})
}
