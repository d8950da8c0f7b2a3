package faultproxy_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"livebox-agent/testbench/faultproxy"
	"livebox-agent/testbench/pki"
)

const patience = 30 * time.Second

// echo is a server that sends back what it reads.
func echo(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return ln.Addr().String()
}

func start(t *testing.T, cfg faultproxy.Config) *faultproxy.Proxy {
	t.Helper()
	p, err := faultproxy.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func dial(t *testing.T, p *faultproxy.Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// said sends text and returns what comes back, as far as it comes.
func said(t *testing.T, c net.Conn, text string) (string, error) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		return "", err
	}
	b := make([]byte, len(text))
	n, err := io.ReadFull(c, b)
	return string(b[:n]), err
}

func TestWithoutAFaultEveryBytePasses(t *testing.T) {
	p := start(t, faultproxy.Config{Target: echo(t)})
	c := dial(t, p)
	sent := bytes.Repeat([]byte("every byte of this, in order. "), 100_000)
	go func() {
		_, _ = c.Write(sent)
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, sent) {
		t.Error("what came back is not what was sent")
	}
	if n := p.Counts(); n.Up != uint64(len(sent)) || n.Connections != 1 || n.Struck != 0 {
		t.Errorf("Counts() = %+v; want %d bytes up over one connection, unharmed", n, len(sent))
	}
}

func TestResetIsAReset(t *testing.T) {
	for _, at := range []faultproxy.Phase{faultproxy.Accepted, faultproxy.Hello, faultproxy.Handshake} {
		t.Run(at.String(), func(t *testing.T) {
			p := start(t, faultproxy.Config{Target: echo(t)})
			p.Set(faultproxy.Fault{At: at, Times: 1})
			got := ""
			c, err := net.Dial("tcp", p.Addr())
			if err == nil { // the reset may come as early as that
				defer c.Close()
				got, err = said(t, c, "0123456789")
			}
			if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
				t.Errorf("%v; want a reset", err)
			}
			if at != faultproxy.Handshake && got != "" || len(got) > 5 {
				t.Errorf("%q came back; want at most half, and nothing before the handshake", got)
			}
			if again, err := said(t, dial(t, p), "0123456789"); err != nil || again != "0123456789" {
				t.Errorf("second connection: %q, %v; want it unharmed", again, err)
			}
			if n := p.Counts(); n.Struck != 1 || n.Connections != 2 {
				t.Errorf("Counts() = %+v; want one of two connections struck", n)
			}
		})
	}
}

// silent says that nothing comes back although the connection stands.
func silent(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	n, err := c.Read(make([]byte, 1))
	if ne, ok := errors.AsType[net.Error](err); n != 0 || !ok || !ne.Timeout() {
		t.Errorf("read %d bytes, %v; want silence on an open connection", n, err)
	}
}

func TestSwallowedConnectionStaysOpenAndSilent(t *testing.T) {
	for _, do := range []faultproxy.Action{faultproxy.Swallow, faultproxy.SwallowUp, faultproxy.SwallowDown, faultproxy.Stall} {
		p := start(t, faultproxy.Config{Target: echo(t)})
		p.Set(faultproxy.Fault{At: faultproxy.Hello, Do: do})
		c := dial(t, p)
		if _, err := io.WriteString(c, "x"); err != nil {
			t.Fatal(err)
		}
		silent(t, c)
		p.ResetAll()
	}
}

func TestRefusedAndListeningAgain(t *testing.T) {
	p := start(t, faultproxy.Config{Target: echo(t)})
	c := dial(t, p)
	if _, err := said(t, c, "x"); err != nil {
		t.Fatal(err)
	}
	if err := p.Refuse(); err != nil {
		t.Fatal(err)
	}
	if _, err := said(t, c, "x"); err == nil {
		t.Error("the connection from before works on")
	}
	if _, err := net.Dial("tcp", p.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial: %v; want it refused", err)
	}
	if err := p.Listen(); err != nil {
		t.Fatal(err)
	}
	if got, err := said(t, dial(t, p), "x"); err != nil || got != "x" {
		t.Errorf("after Listen: %q, %v", got, err)
	}
}

func TestDelayHoldsBackAndRateBounds(t *testing.T) {
	p := start(t, faultproxy.Config{Target: echo(t)})
	p.Set(faultproxy.Fault{Delay: 150 * time.Millisecond})
	c := dial(t, p)
	begin := time.Now()
	if _, err := said(t, c, "x"); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(begin); d < 300*time.Millisecond {
		t.Errorf("there and back took %v; want at least 2 x 150ms", d)
	}
	p.Set(faultproxy.Fault{BitsPerSecond: 16_000})
	begin = time.Now()
	if _, err := said(t, dial(t, p), string(make([]byte, 1000))); err != nil {
		t.Fatal(err)
	}
	// 1000 bytes are 8000 bits: half a second up; the way down overlaps.
	if d := time.Since(begin); d < 500*time.Millisecond {
		t.Errorf("1000 bytes at 16 kbit/s took %v; want at least 500ms", d)
	}
}

// A peer speaks bytes of MQTT through TLS.
type peer struct {
	t    *testing.T
	conn net.Conn
}

func (p peer) send(b ...byte) {
	p.t.Helper()
	if _, err := p.conn.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

func (p peer) receive(want ...byte) {
	p.t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(p.conn, got); err != nil || !bytes.Equal(got, want) {
		p.t.Fatalf("received % x, %v; want % x", got[:n], err, want)
	}
}

// packets of MQTT 3.1.1, as short as they can be.
var (
	connect   = []byte{0x10, 0x0d, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 1, 'b'}
	connack   = []byte{0x20, 2, 0, 0}
	subscribe = []byte{0x82, 6, 0, 1, 0, 1, 'a', 1}
	suback    = []byte{0x90, 3, 0, 1, 1}
	publish   = []byte{0x32, 11, 0, 1, 'a', 0, 7, '1', '2', '3', '4', '5', '6'}
	puback    = []byte{0x40, 2, 0, 7}
	message   = []byte{0x30, 4, 0, 1, 'b', 'x'}
	pingreq   = []byte{0xc0, 0}
	pingresp  = []byte{0xd0, 0}
)

// both starts a proxy that ends TLS and returns the box's end and the
// broker's.
func both(t *testing.T, f faultproxy.Fault) (box, broker peer, p *faultproxy.Proxy) {
	t.Helper()
	ca, err := pki.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	load := func(pair pki.Pair, err error) tls.Certificate {
		if err != nil {
			t.Fatal(err)
		}
		c, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	server := &tls.Config{Certificates: []tls.Certificate{load(ca.Server("127.0.0.1"))}, MinVersion: tls.VersionTLS13}
	client := &tls.Config{RootCAs: ca.Pool(), Certificates: []tls.Certificate{load(ca.Box("b"))}, MinVersion: tls.VersionTLS13}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		if h, ok := c.(*tls.Conn); ok && h.Handshake() == nil {
			accepted <- c
		}
	}()
	p = start(t, faultproxy.Config{Target: ln.Addr().String(), Server: server, Client: client})
	p.Set(f)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := (&tls.Dialer{Config: &tls.Config{RootCAs: ca.Pool(), MinVersion: tls.VersionTLS13}}).DialContext(ctx, "tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	box = peer{t, c}
	select {
	case c := <-accepted:
		t.Cleanup(func() { c.Close() })
		broker = peer{t, c}
	case <-ctx.Done():
		t.Fatal("the proxy does not connect to the broker")
	}
	for _, c := range []net.Conn{box.conn, broker.conn} {
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
	}
	return box, broker, p
}

// TestStrikesAtThePhaseItNames plays a session up to each phase: all before it
// passes, the packet of the phase does not.
func TestStrikesAtThePhaseItNames(t *testing.T) {
	steps := []struct {
		at     faultproxy.Phase // never: not to be struck
		up     bool
		packet []byte
	}{
		{faultproxy.Connect, true, connect},
		{faultproxy.Connack, false, connack},
		{faultproxy.Subscribe, true, subscribe},
		{faultproxy.Suback, false, suback},
		{faultproxy.Publish, true, publish},
		{faultproxy.Puback, false, puback},
		{faultproxy.Message, false, message},
		{faultproxy.Pingreq, true, pingreq},
		{faultproxy.Never, false, pingresp},
	}
	for _, tt := range steps {
		t.Run(tt.at.String(), func(t *testing.T) {
			box, broker, p := both(t, faultproxy.Fault{At: tt.at})
			for _, s := range steps {
				from, to := broker, box
				if s.up {
					from, to = box, broker
				}
				from.send(s.packet...)
				if s.at != tt.at || tt.at == faultproxy.Never {
					to.receive(s.packet...)
					continue
				}
				got, err := io.ReadAll(to.conn)
				if err == nil || len(got) > len(s.packet)/2 {
					t.Errorf("% x, %v came after %v; want a reset within it", got, err, tt.at)
				}
				break
			}
			want := uint64(1)
			if tt.at == faultproxy.Never {
				want = 0
			}
			if n := p.Counts().Struck; n != want {
				t.Errorf("struck %d times; want %d", n, want)
			}
		})
	}
}

func TestPretendsToBeABrokerThatStores(t *testing.T) {
	box, broker, p := both(t, faultproxy.Fault{At: faultproxy.Publish, Do: faultproxy.Pretend, Times: 1, Topic: "a"})
	box.send(publish...)
	box.receive(puback...)
	box.send(publish...)
	broker.receive(publish...) // the second: the first was dropped
	if n := p.Counts().Struck; n != 1 {
		t.Errorf("struck %d times; want once", n)
	}
}

func TestCertificatesOfOneSideOnly(t *testing.T) {
	if p, err := faultproxy.Start(faultproxy.Config{Target: "127.0.0.1:1", Server: &tls.Config{}}); err == nil {
		p.Close()
		t.Error("Start took certificates of one side only")
	}
}
