package netdev

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/collector/platform/kernel"
	"livebox-agent/collector/platform/kernel/netlink"
	"livebox-agent/collector/sample"
)

// inNamespace calls f on a thread of its own in a network namespace of its own,
// and skips the test where f cannot have what it needs.
func inNamespace(t *testing.T, f func() error) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	done := make(chan error)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and the namespace
		// with the thread.
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	if err := <-done; err != nil {
		t.Skipf("no network namespaces, or no veth: %v", err)
	}
}

// vethInfoPeer is VETH_INFO_PEER of include/uapi/linux/veth.h.
const vethInfoPeer = 1

// cable makes two interfaces that are each other's link, and returns how one
// of them is switched on and off.
func cable(t *testing.T, c *netlink.Conn, a, b string) (plug func(name string, in bool), err error) {
	t.Helper()
	do := func(m netlink.Message) error {
		return c.Execute(t.Context(), m, func(netlink.Message) error { return nil })
	}
	data := netlink.AppendText(make([]byte, unix.SizeofIfInfomsg), unix.IFLA_IFNAME, a)
	data = netlink.AppendNested(data, unix.IFLA_LINKINFO, func(d []byte) []byte {
		d = netlink.AppendText(d, unix.IFLA_INFO_KIND, "veth")
		return netlink.AppendNested(d, unix.IFLA_INFO_DATA, func(d []byte) []byte {
			return netlink.AppendNested(d, vethInfoPeer, func(d []byte) []byte {
				return netlink.AppendText(append(d, make([]byte, unix.SizeofIfInfomsg)...), unix.IFLA_IFNAME, b)
			})
		})
	})
	err = do(netlink.Message{Type: unix.RTM_NEWLINK, Flags: unix.NLM_F_CREATE | unix.NLM_F_EXCL, Data: data})
	return func(name string, in bool) {
		t.Helper()
		flags := uint32(0)
		if in {
			flags = unix.IFF_UP
		}
		h := header(0, 0, flags)
		binary.NativeEndian.PutUint32(h[12:], unix.IFF_UP) // what changes
		if err := do(netlink.Message{Type: unix.RTM_SETLINK, Data: netlink.AppendText(h, unix.IFLA_IFNAME, name)}); err != nil {
			t.Error(err)
		}
	}, err
}

// A hungUp connection says when it is closed.
type hungUp struct {
	Conn
	closed func()
}

func (c hungUp) Close() error {
	defer c.closed()
	return c.Conn.Close()
}

func TestThisKernelTellsOfAFlapOfTenMilliseconds(t *testing.T) {
	inNamespace(t, func() error {
		c, err := netlink.Dial(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer c.Close()
		plug, err := cable(t, c, "port0", "far0")
		if err != nil {
			return err
		}
		plug("port0", true)
		plug("far0", true)

		signs := make(chan sample.Sign, 64)
		ready := make(chan struct{})
		w := NewLinks(Config{Sys: t.TempDir()})
		w.wanted = func(l *link) bool { return string(l.name) == "port0" }
		w.dial = func() (Conn, error) {
			conn, err := dialKernel()
			return hungUp{conn, func() { close(ready) }}, err
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer cancel()
			<-ready
			flaps(t, plug, signs)
		}()
		if err := w.Run(ctx, func(s sample.Sign) { signs <- s }); !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v", err)
		}
		return nil
	})
}

// flaps takes the cable out and in, and compares what is told.
func flaps(t *testing.T, plug func(string, bool), signs <-chan sample.Sign) {
	t.Helper()
	for _, out := range []time.Duration{10 * time.Millisecond, 0, 1500 * time.Millisecond} {
		at := kernel.SinceBoot()
		plug("far0", false)
		<-time.After(out)
		plug("far0", true)
		for _, want := range []sample.SignKind{sample.PortDown, sample.PortUp} {
			select {
			case s := <-signs:
				if s.Kind != want || s.Instance != "port0" || s.After != s.Before+1 {
					t.Errorf("link out for %v: %v %s %d>%d; want %v by one", out, s.Kind, s.Instance, s.Before, s.After, want)
				}
				t.Logf("link out for %v: %v told %v after it went", out, s.Kind, s.At-at)
			case <-time.After(10 * time.Second):
				t.Errorf("link out for %v: no %v", out, want)
				return
			}
		}
	}
	select {
	case s := <-signs:
		t.Errorf("one sign more: %+v", s)
	default:
	}
}
