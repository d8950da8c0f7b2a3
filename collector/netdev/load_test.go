package netdev

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/collector"
	"livebox-agent/collector/platform/kernel/netlink"
)

const (
	head4   = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
	headDev = "Inter-|   Receive                                                |  Transmit\n" +
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n"
	none6 = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n"
)

// default4 and default6 are default routes as the kernel writes them.
func default4(name string, metric int) string {
	return fmt.Sprintf("%s\t00000000\t010200C0\t0003\t0\t0\t%d\t00000000\t0\t0\t0\n", name, metric)
}

func default6(name string, metric int) string {
	zero := strings.Repeat("0", 32)
	return fmt.Sprintf("%s 00 %s 00 fd000000000000000000000000000001 %08x 00000002 00000000 00000003 %8s\n", zero, zero, metric, name)
}

func net4(name string) string {
	return name + "\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
}

func dev(name string, received, sent uint64) string {
	return fmt.Sprintf("%6s: %d 7 0 0 0 0 0 0 %d 9 0 0 0 0 0 0\n", name, received, sent)
}

// A proc is a proc file system of a test.
type proc string

func (p proc) write(tb testing.TB, name, text string) {
	tb.Helper()
	name = filepath.Join(string(p), "net", name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		tb.Fatal(err)
	}
}

func TestLoadIsWhatTheInterfacesOfTheDefaultRoutesCarried(t *testing.T) {
	lan := dev("br-lan", 1<<40, 1<<40)
	for _, tt := range []struct {
		name             string
		route, route6    string
		before, after    string
		down, up         int64
		absent4, absent6 bool
	}{
		{
			name: "one interface", route: net4("br-lan") + default4("eth4", 0), before: dev("eth4", 1000, 500), after: dev("eth4", 251_000, 1500),
			down: 1_000_000, up: 4000,
		},
		{
			name: "one for both families", route: default4("eth4", 0), route6: default6("eth4", 1024), before: dev("eth4", 0, 0), after: dev("eth4", 2000, 4000),
			down: 8000, up: 16_000,
		},
		{
			name: "one for each family", route: default4("ppp0", 0), route6: default6("eth4", 1024),
			before: dev("eth4", 0, 0) + dev("ppp0", 0, 0), after: dev("eth4", 2000, 4000) + dev("ppp0", 1000, 0),
			down: 12_000, up: 16_000,
		},
		{name: "IPv6 alone", absent4: true, route6: default6("eth4", 1), before: dev("eth4", 0, 0), after: dev("eth4", 250, 0), down: 1000},
		{name: "no IPv6", absent6: true, route: default4("eth4", 1), before: dev("eth4", 0, 0), after: dev("eth4", 250, 0), down: 1000},
		{
			name: "least metric", route: default4("wwan0", 200) + default4("eth4", 10) + default4("eth5", 10),
			before: dev("eth4", 0, 0) + dev("eth5", 0, 0) + dev("wwan0", 0, 0), after: dev("eth4", 250, 0) + dev("eth5", 1<<30, 0) + dev("wwan0", 1<<30, 0), down: 1000,
		},
		{name: "idle", route: default4("eth4", 0), before: dev("eth4", 5, 5), after: dev("eth4", 5, 5)},
		{name: "wrap of 32 bits", route: default4("eth4", 0), before: dev("eth4", 1<<32-250, 0), after: dev("eth4", 0, 0), down: 1000},
		{name: "more than fits", route: default4("eth4", 0), before: dev("eth4", 0, 0), after: dev("eth4", 1<<64-1, 0), down: maxRate},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := proc(t.TempDir())
			if !tt.absent4 {
				p.write(t, "route", head4+tt.route)
			}
			if !tt.absent6 {
				p.write(t, "ipv6_route", none6+tt.route6+none6)
			}
			p.write(t, "dev", headDev+lan+tt.before)
			synctest.Test(t, func(t *testing.T) {
				const over = 2 * time.Second
				time.AfterFunc(over/2, func() { p.write(t, "dev", headDev+dev("br-lan", 1<<41, 1<<41)+tt.after) })
				start := time.Now()
				down, up, err := NewLoad(string(p)).Rates(t.Context(), over)
				if down != tt.down || up != tt.up || err != nil || time.Since(start) != over {
					t.Errorf("%d, %d, %v after %v; want %d, %d", down, up, err, time.Since(start), tt.down, tt.up)
				}
			})
		})
	}
}

func TestLoadThatCannotBeReadIsAnError(t *testing.T) {
	for _, tt := range []struct {
		name, route, dev string
		noData           bool
	}{
		{name: "no default route", route: net4("eth4"), dev: dev("eth4", 0, 0), noData: true},
		{name: "route that is down", route: strings.Replace(default4("eth4", 0), "\t0003\t", "\t0002\t", 1), dev: dev("eth4", 0, 0), noData: true},
		{name: "route that refuses", route: strings.Replace(default4("eth4", 0), "\t0003\t", "\t0201\t", 1), dev: dev("eth4", 0, 0), noData: true},
		{name: "half a line", route: default4("eth4", 0)[:20], dev: dev("eth4", 0, 0), noData: true},
		{name: "interface gone", route: default4("eth4", 0), dev: dev("eth5", 0, 0)},
		{name: "half a line of counters", route: default4("eth4", 0), dev: dev("eth4", 0, 0)[:20]},
		{name: "received no number", route: default4("eth4", 0), dev: strings.Replace(dev("eth4", 11, 0), "11", "1x", 1)},
		{name: "sent no number", route: default4("eth4", 0), dev: strings.Replace(dev("eth4", 0, 11), "11", "-1", 1)},
		{name: "nothing of counters", route: default4("eth4", 0)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := proc(t.TempDir())
			p.write(t, "route", head4+tt.route)
			if tt.dev != "" {
				p.write(t, "dev", headDev+tt.dev)
			}
			synctest.Test(t, func(t *testing.T) {
				down, up, err := NewLoad(string(p)).Rates(t.Context(), time.Second)
				if down != 0 || up != 0 || err == nil || errors.Is(err, collector.ErrNoData) != tt.noData {
					t.Errorf("%d, %d, %v", down, up, err)
				}
			})
		})
	}
	p := proc(t.TempDir())
	p.write(t, "route", head4+default4("eth4", 0))
	p.write(t, "dev", headDev+dev("eth4", 0, 0))
	synctest.Test(t, func(t *testing.T) {
		time.AfterFunc(time.Second, func() { os.Remove(filepath.Join(string(p), "net/dev")) })
		if _, _, err := NewLoad(string(p)).Rates(t.Context(), time.Minute); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("counters that go away meanwhile: %v", err)
		}
	})
}

// A frame of each end of a cable is counted on the other.
func TestThisKernelTellsTheLoad(t *testing.T) {
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
		load := NewLoad("/proc/thread-self")
		if _, _, err := load.Rates(t.Context(), time.Millisecond); !errors.Is(err, collector.ErrNoData) {
			t.Errorf("without a default route: %v", err)
		}
		if err := leadOut(t, c, "port0"); err != nil {
			return err
		}
		const frames, down, up = 50, 1500, 200
		far, err := raw(t, "far0", down)
		if err != nil {
			return err
		}
		near, err := raw(t, "port0", up)
		if err != nil {
			return err
		}
		line, err := load.line()
		if err != nil {
			return err
		}
		read := func() carriage {
			c, err := load.carried(line)
			if err != nil || len(c) != 1 {
				t.Errorf("%d interfaces, %v; want one", len(c), err)
				return carriage{}
			}
			return c[0]
		}
		// It sends nothing until the kernel has seen that its cable is in.
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for end := time.Now().Add(20 * time.Second); read().sent == 0; <-tick.C {
			if near(); time.Now().After(end) {
				t.Error("port0 sends nothing")
				return nil
			}
		}
		before := read()
		for range frames {
			far()
			near()
		}
		after := read()
		if n := after.received - before.received; n < frames*down {
			t.Errorf("down %d bytes; want %d and more", n, frames*down)
		}
		if n := after.sent - before.sent; n < frames*up {
			t.Errorf("up %d bytes; want %d and more", n, frames*up)
		}
		return nil
	})
}

// leadOut makes the default route lead to the interface.
func leadOut(t *testing.T, c *netlink.Conn, name string) error {
	t.Helper()
	i, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	// struct rtmsg of include/uapi/linux/rtnetlink.h.
	b := []byte{unix.AF_INET, 0, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_BOOT, unix.RT_SCOPE_LINK, unix.RTN_UNICAST, 0, 0, 0, 0}
	b = netlink.AppendUint32(b, unix.RTA_OIF, uint32(i.Index))
	return c.Execute(t.Context(), netlink.Message{Type: unix.RTM_NEWROUTE, Flags: unix.NLM_F_CREATE | unix.NLM_F_EXCL, Data: b}, func(netlink.Message) error { return nil })
}

// raw returns what sends a frame of that size from the interface.
func raw(t *testing.T, name string, size int) (send func(), err error) {
	t.Helper()
	i, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { unix.Close(fd) })
	frame := make([]byte, size)
	for n := range 6 {
		frame[n] = 0xff
	}
	binary.BigEndian.PutUint16(frame[12:], 0x88b5) // for local experiments (IEEE 802)
	return func() {
		if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: i.Index}); err != nil {
			t.Errorf("send from %s: %v", name, err)
		}
	}, nil
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(head4+default4("eth4", 0)), []byte(none6+default6("eth4", 1024)), []byte(headDev+dev("eth4", 1, 2)))
	f.Add([]byte(net4("eth4")), []byte(default6("a/b", 0)), []byte(headDev))
	f.Add([]byte("eth4 0 0 3 0 0 4294967296 0"), []byte("0 0 0 0 0 0 0 0 1 :"), []byte(":::"))
	f.Add([]byte{}, []byte("lo"), []byte("eth4: 18446744073709551616 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0"))
	f.Fuzz(func(t *testing.T, route, route6, counters []byte) {
		p := proc(t.TempDir())
		p.write(t, "route", string(route))
		p.write(t, "ipv6_route", string(route6))
		p.write(t, "dev", string(counters))
		l := NewLoad(string(p))
		line, err := l.line()
		if (err == nil) != (len(line) > 0) || len(line) > maxRoutes {
			t.Fatalf("%q, %v", line, err)
		}
		if got, err := l.carried(line); err == nil && len(got) != len(line) {
			t.Errorf("%d of %d interfaces", len(got), len(line))
		}
	})
}
