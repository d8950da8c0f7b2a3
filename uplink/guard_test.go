package uplink

import (
	"bytes"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

func TestFramesLetThroughWhatABrokerMaySend(t *testing.T) {
	long := append([]byte{0x30, 0x80, 0x80, 0x04}, make([]byte, 64<<10)...)
	for _, tt := range []struct {
		name string
		in   []byte
		ok   bool
	}{
		{"nothing", nil, true},
		{"CONNACK", []byte{0x20, 2, 0, 0}, true},
		{"CONNACK, refused", []byte{0x20, 2, 0, 5}, true},
		{"CONNACK with an unknown code", []byte{0x20, 2, 0, 6}, false},
		{"CONNACK of 3 bytes", []byte{0x20, 3, 0, 0, 0}, false},
		{"CONNACK twice", []byte{0x20, 2, 0, 0, 0x20, 2, 0, 0}, false},
		{"CONNACK with flags", []byte{0x21, 2, 0, 0}, false},
		{"PUBACK before CONNACK", []byte{0x40, 2, 0, 1}, false},
		{"PUBACK", []byte{0x20, 2, 0, 0, 0x40, 2, 0, 1}, true},
		{"PUBACK of MQTT 5", []byte{0x20, 2, 0, 0, 0x40, 3, 0, 1, 0}, false},
		{"SUBACK", []byte{0x20, 2, 0, 0, 0x90, 3, 0, 1, 1}, true},
		{"SUBACK, denied", []byte{0x20, 2, 0, 0, 0x90, 3, 0, 1, 0x80}, true},
		{"SUBACK with an unknown code", []byte{0x20, 2, 0, 0, 0x90, 3, 0, 1, 3}, false},
		{"SUBACK of two codes", []byte{0x20, 2, 0, 0, 0x90, 4, 0, 1, 1, 1}, false},
		{"PINGRESP", []byte{0x20, 2, 0, 0, 0xd0, 0, 0xd0, 0}, true},
		{"PINGRESP with a body", []byte{0x20, 2, 0, 0, 0xd0, 1, 0}, false},
		{"PUBLISH", []byte{0x20, 2, 0, 0, 0x30, 4, 0, 1, 'a', 'b'}, true},
		{"PUBLISH, retained", []byte{0x20, 2, 0, 0, 0x31, 4, 0, 1, 'a', 'b'}, true},
		{"PUBLISH with QoS 1", []byte{0x20, 2, 0, 0, 0x32, 6, 0, 1, 'a', 0, 9, 'b'}, false},
		{"PUBLISH with QoS 2", []byte{0x20, 2, 0, 0, 0x34, 4, 0, 1, 'a', 'b'}, false},
		{"PUBLISH with QoS 3", []byte{0x20, 2, 0, 0, 0x36, 4, 0, 1, 'a', 'b'}, false},
		{"PUBLISH without a topic", []byte{0x20, 2, 0, 0, 0x30, 1, 0}, false},
		{"PUBLISH of 64 KiB", append([]byte{0x20, 2, 0, 0}, long...), true},
		{"PUBLISH of 256 MiB", []byte{0x20, 2, 0, 0, 0x30, 0xff, 0xff, 0xff, 0x7f}, false},
		{"length of five bytes", []byte{0x20, 2, 0, 0, 0x30, 0x80, 0x80, 0x80, 0x80, 1}, false},
		{"PUBREC", []byte{0x20, 2, 0, 0, 0x50, 2, 0, 1}, false},
		{"CONNECT", []byte{0x10, 2, 0, 1}, false},
		{"reserved", []byte{0x20, 2, 0, 0, 0xf0, 0}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var f frames
			if err := f.feed(tt.in); (err == nil) != tt.ok || err != nil && !errors.Is(err, errProtocol) {
				t.Errorf("feed(%x) = %v; want ok = %v", tt.in, err, tt.ok)
			}
		})
	}
}

// The library closes a connection on which a ping was not answered: what its
// own reader then says must not hide that.
func TestOwnCloseIsNoCause(t *testing.T) {
	near, away := net.Pipe()
	defer away.Close()
	deaths := 0
	g := &guard{Conn: near, timeout: time.Second, died: func() { deaths++ }}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Read(make([]byte, 1)); err == nil {
		t.Error("Read of a closed connection succeeds")
	}
	if err := g.why(); err != nil || deaths != 1 {
		t.Errorf("cause %v, %d deaths; want none, and 1", err, deaths)
	}
	near, away = net.Pipe()
	g = &guard{Conn: near, timeout: time.Second, died: func() { deaths++ }}
	away.Close()
	if _, err := g.Read(make([]byte, 1)); err == nil {
		t.Error("Read of a connection that the peer closed succeeds")
	}
	_ = g.Close()
	if err := g.why(); !errors.Is(err, io.EOF) {
		t.Errorf("cause %v; want the peer's end", err)
	}
}

// bytesConn is a connection that gives some bytes and then ends.
type bytesConn struct {
	net.Conn
	r io.Reader
}

func (c *bytesConn) Read(p []byte) (int, error) { return c.r.Read(p) }

// brokenConn fails every write, and has an alert to read.
type brokenConn struct{ bytesConn }

func (*brokenConn) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func (*brokenConn) Read([]byte) (int, error) {
	return 0, &net.OpError{Op: "remote error", Err: errors.New("tls: expired certificate")}
}

func (*brokenConn) SetReadDeadline(time.Time) error  { return nil }
func (*brokenConn) SetWriteDeadline(time.Time) error { return nil }

func TestAlertExplainsAFailedConnect(t *testing.T) {
	died := 0
	g := &guard{Conn: &brokenConn{}, died: func() { died++ }}
	if _, err := g.Write([]byte{0x10}); err == nil || classify(g.why(), ClassLost) != ClassRejected {
		t.Errorf("Write() = %v because of %v; want the broker's verdict on the certificate", err, g.why())
	}
	if _, err := g.Write([]byte{0xc0}); err == nil || died != 1 {
		t.Errorf("second Write() = %v, died %d times; want an error and one death", err, died)
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte{0x20, 2, 0, 0, 0x90, 3, 0, 1, 1, 0x40, 2, 0, 1, 0xd0, 0, 0x32, 6, 0, 1, 'a', 0, 9, 'b'}, 1)
	f.Add([]byte{0x20, 2, 0, 0, 0x30, 0xff, 0xff, 0xff, 0x7f}, 3)
	f.Add([]byte{0x20, 2, 0, 0, 0x30, 4, 0, 1, 'a', 'b', 0x31, 3, 0, 1, 'a'}, 4)
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), 5)
	f.Add([]byte{0x20, 2, 0, 0, 0x30, 2, 0xff, 0xff}, 2)
	f.Fuzz(func(t *testing.T, b []byte, chunk int) {
		var whole, parts frames
		want := whole.feed(b)
		var got error
		chunk = max(1, chunk%17)
		for rest := b; len(rest) > 0 && got == nil; {
			n := min(chunk, len(rest))
			got = parts.feed(rest[:n])
			rest = rest[n:]
		}
		if (got == nil) != (want == nil) {
			t.Fatalf("feed in parts of %d = %v; at once = %v", chunk, got, want)
		}
		if want == nil && whole != parts {
			t.Fatalf("feed in parts ends as %+v; at once as %+v", parts, whole)
		}
		// What is let through must not make the library panic or hold much.
		g := &guard{Conn: &bytesConn{r: bytes.NewReader(b)}, died: func() {}}
		for {
			cp, err := packets.ReadPacket(g)
			if err != nil {
				break
			}
			switch m := cp.(type) {
			case *packets.PublishPacket:
				if len(m.Payload) > maxInbound || m.Qos > 0 {
					t.Fatalf("let through %v of %d bytes", m, len(m.Payload))
				}
			case *packets.SubackPacket:
				if len(m.ReturnCodes) > 1 {
					t.Fatalf("let through %v", m)
				}
			case *packets.ConnackPacket, *packets.PubackPacket, *packets.PingrespPacket:
			default:
				t.Fatalf("let through %v", cp)
			}
		}
	})
}

// FuzzBroker lets a broker say anything in answer to CONNECT, SUBSCRIBE and
// PUBLISH. The bubble fails where a goroutine is left behind.
func FuzzBroker(f *testing.F) {
	f.Add([]byte{0x20, 2, 0, 0}, []byte{0x90, 3, 0, 1, 1}, []byte{0x40, 2, 0, 2})
	f.Add([]byte{0x20, 2, 0, 0}, []byte{0x90, 3, 0, 1, 1, 0x90, 3, 0, 1, 1}, []byte{0x40, 2, 0, 2, 0x40, 2, 0, 2, 0x40, 2, 0, 3})
	f.Add([]byte{0x20, 2, 0, 0}, []byte{0x40, 2, 0, 1}, []byte{0x32, 6, 0, 1, 'a', 0, 9, 'b'})
	f.Add([]byte{0x20, 2, 0, 0}, []byte{0x90, 3, 0, 1, 0x80}, []byte{0x30, 2, 0, 0, 0x30, 2, 9, 9})
	f.Add([]byte{0x20, 2, 0, 77}, []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, connack, suback, puback []byte) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, labConfig(), func(int) script {
				return script{
					connect:   func(p *peer) { p.raw(connack...) },
					subscribe: func(p *peer, _ uint16) { p.raw(suback...) },
					publish:   func(p *peer, _ *packets.PublishPacket) { p.raw(puback...) },
				}
			}, nil)
			r.q.add(windows(1, 5)...)
			r.run()
			after(10 * time.Minute)
			if dials, _ := r.count(); dials > 20 {
				t.Errorf("%d connections in 10m; want backoff", dials)
			}
			if n := r.q.left(); n != 5 {
				t.Errorf("%d reports left; want 5: the CEM has stored none", n)
			}
			r.end()
		})
	})
}
