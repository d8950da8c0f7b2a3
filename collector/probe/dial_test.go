package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/probe/stamptest"
)

// loopbacks are where the tests over real sockets go.
var loopbacks = [...]string{"127.0.0.1", "::1"}

// serve runs a reflector on a loopback address until the test ends.
func serve(t *testing.T, host string, path stamptest.Path) (r *stamptest.Reflector, address string) {
	t.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Skipf("no %s here: %v", host, err)
	}
	r = stamptest.New(path)
	address = conn.LocalAddr().String()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Serve(ctx, conn) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return r, address
}

// quick is a round that ends with its last answer, however slow the machine.
func quick(address string) Config {
	c := DefaultConfig()
	c.Reflector, c.Spacing, c.Wait = address, 10*time.Millisecond, 10*time.Second
	return c
}

func TestReflectorOnTheLoopback(t *testing.T) {
	for _, host := range loopbacks {
		for _, size := range []int{44, 200, maxPacket} {
			t.Run(fmt.Sprintf("%s/%d", host, size), func(t *testing.T) {
				r, address := serve(t, host, stamptest.Direct)
				c := quick(address)
				c.PacketBytes, c.DSCP = size, 46
				s, err := New(c, Options{})
				if err != nil {
					t.Fatal(err)
				}
				got, err := collect(t, s, 0)
				v := got["stamp"]
				if err != nil || v[catalogue.ProbeSent] != 10 || v[catalogue.ProbeReceived] != 10 || r.Received() != 10 {
					t.Errorf("%v, %v; want 10 of 10", v, err)
				}
				if rtt, least := v[catalogue.ProbeRTT], v[catalogue.ProbeRTTMin]; least < 0 || rtt < least {
					t.Errorf("round trip of %d µs, at least %d µs", rtt, least)
				}
			})
		}
	}
}

func TestLossOnTheLoopback(t *testing.T) {
	_, address := serve(t, "127.0.0.1", func(n uint32) []time.Duration {
		return make([]time.Duration, n%3) // lost, once, twice
	})
	c := quick(address)
	c.Wait = 3 * time.Second // it does wait, for those that are lost
	s, err := New(c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := collect(t, s, 0); err != nil || got["stamp"][catalogue.ProbeReceived] != 6 {
		t.Errorf("%v, %v; want 6 answers", got, err)
	}
}

// The kernel keeps away what others send to the socket of a round.
func TestOtherHostsDoNotReachTheSocket(t *testing.T) {
	_, address := serve(t, "127.0.0.1", stamptest.Direct)
	conn, _, err := dial(t.Context(), kindSTAMP, quick(address), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	forger, err := (&net.Dialer{}).DialContext(t.Context(), "udp", conn.(*net.UDPConn).LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer forger.Close()
	if _, err := forger.Write([]byte("forged")); err != nil {
		t.Fatal(err)
	}
	// What comes first is the reflector's answer, though it was asked later.
	if _, err := conn.Write(stampMethod{}.request(nil, 0, 1, 44)); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	n, from, err := conn.ReadFrom(b)
	if err != nil || !same(from, conn.RemoteAddr()) || n != 44 {
		t.Errorf("%d bytes from %v, %v; want the answer", n, from, err)
	}
}

// A host that has nobody at the port says so, and is asked by echo at once.
func TestRefusedOnTheLoopback(t *testing.T) {
	for _, host := range loopbacks {
		t.Run(host, func(t *testing.T) {
			conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", net.JoinHostPort(host, "0"))
			if err != nil {
				t.Skipf("no %s here: %v", host, err)
			}
			address := conn.LocalAddr().String()
			if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
			c := quick(address)
			c.Wait = time.Second // nothing will come
			s, err := New(c, Options{})
			if err != nil {
				t.Fatal(err)
			}
			got, err := collect(t, s, 0)
			if v := got["stamp"]; err != nil || v[catalogue.ProbeSent] == 0 || v[catalogue.ProbeReceived] != 0 || s.use != kindEcho {
				t.Errorf("%v, %v, then %v; want no answers, then echo", v, err, s.use)
			}
		})
	}
}

// echoOnTheLoopback skips the test where echo requests are not permitted.
func echoOnTheLoopback(t *testing.T, host string) (Conn, method) {
	t.Helper()
	c := quick(net.JoinHostPort(host, "862"))
	c.DSCP = 46
	conn, m, err := dial(t.Context(), kindEcho, c, 0xbeef)
	if errors.Is(err, errNoEcho) || errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.ENETUNREACH) {
		t.Skipf("no echo from %s here: %v", host, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn, m
}

func TestEchoOnTheLoopback(t *testing.T) {
	for _, host := range loopbacks {
		t.Run(host, func(t *testing.T) {
			conn, m := echoOnTheLoopback(t, host)
			r := round{config: quick(""), method: m, conn: conn}
			if err := r.run(t.Context()); err != nil {
				t.Fatal(err)
			}
			res := r.result()
			if res.sent != 10 || res.received != 10 || res.mean <= 0 {
				t.Errorf("%+v; want 10 of 10", res)
			}
		})
	}
}

// pingPermitted makes a network of its own for this thread, in which everybody
// may open ping sockets.
func pingPermitted() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return err
	}
	return os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte("0 2147483647"), 0)
}

func TestPingSocket(t *testing.T) {
	type outcome struct {
		host      string
		skip, err error
		res       result
		conn      Conn
	}
	outcomes := make(chan outcome, len(loopbacks))
	go func() {
		defer close(outcomes)
		// The thread ends with the goroutine, and the network with it.
		runtime.LockOSThread()
		if err := pingPermitted(); err != nil {
			outcomes <- outcome{skip: err}
			return
		}
		for _, host := range loopbacks {
			peer := netip.MustParseAddr(host)
			o := outcome{host: host}
			if o.conn, o.err = dialPing(peer, "", 46); o.err == nil {
				r := round{config: quick(""), method: echoMethod{ipv6: peer.Is6(), id: 7}, conn: o.conn}
				o.err = r.run(t.Context())
				o.res = r.result()
			}
			if errors.Is(o.err, unix.EADDRNOTAVAIL) || errors.Is(o.err, unix.ENETUNREACH) {
				o.skip = o.err
			}
			outcomes <- o
		}
	}()
	for o := range outcomes {
		if o.skip != nil {
			t.Skipf("no network of its own for the test: %v", o.skip)
		}
		if o.err != nil || o.res.sent != 10 || o.res.received != 10 {
			t.Errorf("%s: %+v, %v; want 10 of 10", o.host, o.res, o.err)
			continue
		}
		_ = o.conn.Close()
	}
}

func TestPacketsAreMarked(t *testing.T) {
	for _, host := range loopbacks {
		t.Run(host, func(t *testing.T) {
			c := quick(net.JoinHostPort(host, "862"))
			c.DSCP = 46
			conn, _, err := dial(t.Context(), kindSTAMP, c, 0)
			if errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.ENETUNREACH) {
				t.Skipf("no %s here: %v", host, err)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			checkMark(t, conn, host)
			echo, _ := echoOnTheLoopback(t, host)
			checkMark(t, echo, host)
		})
	}
}

func checkMark(t *testing.T, conn Conn, host string) {
	t.Helper()
	level, option := unix.IPPROTO_IP, unix.IP_TOS
	if host == "::1" {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_TCLASS
	}
	if p, ok := conn.(pingConn); ok {
		conn = p.PacketConn.(*net.UDPConn)
	}
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	v := 0
	if e := raw.Control(func(fd uintptr) { v, err = unix.GetsockoptInt(int(fd), level, option) }); e != nil || err != nil {
		t.Fatal(e, err)
	}
	if v != 46<<2 {
		t.Errorf("%T to %s: class of service %d; want %d", conn, host, v, 46<<2)
	}
}

func TestNameThatDoesNotExistIsAnError(t *testing.T) {
	s, err := New(quick("nowhere.invalid:862"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, _, err := dial(ctx, kindSTAMP, s.config, 0); err == nil {
		t.Error("connected to nowhere")
	}
}
