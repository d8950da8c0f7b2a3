package netdev

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/label"
	"livebox-agent/collector/platform/kernel/netlink"
)

const (
	up      = unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOWER_UP
	noLink  = unix.IFF_UP
	ether   = unix.ARPHRD_ETHER
	counted = 24 // counters in struct rtnl_link_stats64 of Linux 4.6
)

// header returns a struct ifinfomsg.
func header(typ uint16, index int, flags uint32) []byte {
	b := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint16(b[2:], typ)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	binary.NativeEndian.PutUint32(b[8:], flags)
	return b
}

// stats64 and stats32 return the structures of counters, each with the value
// of its place plus base.
func stats64(base uint64) []byte {
	var b []byte
	for i := range counted {
		b = binary.NativeEndian.AppendUint64(b, base+uint64(i))
	}
	return b
}

func stats32(base uint32) []byte {
	var b []byte
	for i := range counted {
		b = binary.NativeEndian.AppendUint32(b, base+uint32(i))
	}
	return b
}

func kind(b []byte, kind string) []byte {
	return netlink.AppendNested(b, unix.IFLA_LINKINFO, func(b []byte) []byte {
		return netlink.AppendText(b, unix.IFLA_INFO_KIND, kind)
	})
}

func TestParse(t *testing.T) {
	named := func(b []byte) []byte { return netlink.AppendText(b, unix.IFLA_IFNAME, "eth0") }
	for _, tt := range []struct {
		name string
		data []byte
		want func(l *link) bool
		err  bool
	}{
		{name: "empty", data: nil, err: true},
		{name: "shorter than its header", data: header(ether, 2, up)[:15], err: true},
		{name: "no name", data: header(ether, 2, up), err: true},
		{name: "empty name", data: netlink.AppendText(header(ether, 2, up), unix.IFLA_IFNAME, ""), err: true},
		{name: "name too long", data: netlink.AppendText(header(ether, 2, up), unix.IFLA_IFNAME, strings.Repeat("x", 16)), err: true},
		{
			name: "kernel that says nothing but the name",
			data: named(header(ether, 7, noLink)),
			want: func(l *link) bool {
				return string(l.name) == "eth0" && l.index == 7 && !l.carrier() && l.status() == catalogue.PortStatusUnknown &&
					!l.hasStats && !l.hasUps && !l.hasDowns && len(l.kind) == 0 && !l.loopback
			},
		},
		{
			name: "longest name",
			data: netlink.AppendText(header(ether, 7, up), unix.IFLA_IFNAME, strings.Repeat("x", 15)),
			want: func(l *link) bool { return len(l.name) == 15 },
		},
		{
			name: "64-bit counters",
			data: netlink.AppendBytes(named(header(ether, 7, up)), unix.IFLA_STATS64, stats64(1<<40)),
			want: func(l *link) bool {
				return l.hasStats && l.stats[rxPackets] == 1<<40 && l.stats[txBytes] == 1<<40+3 &&
					l.stats[txDropped] == 1<<40+7 && l.stats[rxCRCErrors] == 1<<40+12
			},
		},
		{
			name: "32-bit counters of a kernel without the others",
			data: netlink.AppendBytes(named(header(ether, 7, up)), unix.IFLA_STATS, stats32(1<<31)),
			want: func(l *link) bool {
				return l.hasStats && l.stats[rxPackets] == 1<<31 && l.stats[rxCRCErrors] == 1<<31+12
			},
		},
		{
			name: "both: the 64-bit ones count",
			data: netlink.AppendBytes(netlink.AppendBytes(named(header(ether, 7, up)), unix.IFLA_STATS64, stats64(1<<40)), unix.IFLA_STATS, stats32(5)),
			want: func(l *link) bool { return l.stats[rxPackets] == 1<<40 },
		},
		{
			name: "both in the other order",
			data: netlink.AppendBytes(netlink.AppendBytes(named(header(ether, 7, up)), unix.IFLA_STATS, stats32(5)), unix.IFLA_STATS64, stats64(1<<40)),
			want: func(l *link) bool { return l.stats[rxPackets] == 1<<40 },
		},
		{
			name: "counters of the first kernel that had them",
			data: netlink.AppendBytes(named(header(ether, 7, up)), unix.IFLA_STATS64, stats64(1)[:21*8]),
			want: func(l *link) bool { return l.stats[rxCRCErrors] == 13 },
		},
		{name: "counters cut short", data: netlink.AppendBytes(named(header(ether, 7, up)), unix.IFLA_STATS64, stats64(1)[:12*8]), err: true},
		{name: "carrier count of a wrong size", data: netlink.AppendUint16(named(header(ether, 7, up)), unix.IFLA_CARRIER_UP_COUNT, 1), err: true},
		{
			name: "carrier counts",
			data: netlink.AppendUint32(netlink.AppendUint32(named(header(ether, 7, up)), unix.IFLA_CARRIER_UP_COUNT, 3), unix.IFLA_CARRIER_DOWN_COUNT, 2),
			want: func(l *link) bool { return l.hasUps && l.ups == 3 && l.hasDowns && l.downs == 2 },
		},
		{
			name: "kind",
			data: kind(named(header(ether, 7, up)), "vlan"),
			want: func(l *link) bool { return string(l.kind) == "vlan" },
		},
		{name: "kind that does not hold together", data: netlink.AppendBytes(named(header(ether, 7, up)), unix.IFLA_LINKINFO, []byte{9, 0, 1, 0}), err: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var l link
			err := l.parse(tt.data)
			if (err != nil) != tt.err || err != nil && !errors.Is(err, netlink.ErrMalformed) {
				t.Fatalf("parse: %v; want an error: %v", err, tt.err)
			}
			if err == nil && !tt.want(&l) {
				t.Errorf("parse = %+v", l)
			}
		})
	}
}

func TestStatus(t *testing.T) {
	for state, want := range map[uint8]int64{
		0: catalogue.PortStatusUnknown, 1: catalogue.PortStatusNotPresent, 2: catalogue.PortStatusDown,
		3: catalogue.PortStatusLowerLayerDown, 4: catalogue.PortStatusUnknown, 5: catalogue.PortStatusDormant,
		6: catalogue.PortStatusUp, 7: catalogue.PortStatusUnknown, 255: catalogue.PortStatusUnknown,
	} {
		if got := (&link{operState: state}).status(); got != want {
			t.Errorf("operational state %d = %d; want %d", state, got, want)
		}
	}
}

func TestInterfacesThatComeInCrowdsAreLeftOut(t *testing.T) {
	for _, tt := range []struct {
		name string
		link link
		want bool
	}{
		{"a port", link{flags: up}, true},
		{"a port that is down", link{}, true},
		{"the loopback by type", link{loopback: true}, false},
		{"the loopback by flag", link{flags: unix.IFF_LOOPBACK}, false},
		{"a bridge", link{kind: []byte("bridge")}, true},
		{"a WAN VLAN", link{kind: []byte("vlan")}, true},
		{"a PPP session", link{kind: []byte("ppp")}, true},
		{"a VPN", link{kind: []byte("wireguard")}, true},
		{"a container's end", link{kind: []byte("veth"), flags: up}, false},
		{"a container's end, newer", link{kind: []byte("netkit"), flags: up}, false},
		{"a dummy", link{kind: []byte("dummy"), flags: up}, false},
		{"a shaper's ifb", link{kind: []byte("ifb"), flags: up}, false},
		{"a tunnel's placeholder", link{kind: []byte("sit")}, false},
		{"a tunnel in use", link{kind: []byte("sit"), flags: unix.IFF_UP}, true},
		{"DS-Lite in use", link{kind: []byte("ip6tnl"), flags: unix.IFF_UP}, true},
	} {
		if got := tt.link.wanted(); got != tt.want {
			t.Errorf("%s: wanted = %v; want %v", tt.name, got, tt.want)
		}
	}
}

// Whatever the message is, parsing ends, and what it gives lies within the
// message.
func FuzzParse(f *testing.F) {
	f.Add([]byte{})
	f.Add(header(ether, 1, up))
	b := netlink.AppendText(header(ether, 2, up), unix.IFLA_IFNAME, "eth0")
	b = netlink.AppendUint8(b, unix.IFLA_OPERSTATE, 6)
	b = netlink.AppendUint32(b, unix.IFLA_CARRIER_UP_COUNT, 1)
	b = netlink.AppendUint32(b, unix.IFLA_CARRIER_DOWN_COUNT, 1)
	b = kind(b, "veth")
	f.Add(netlink.AppendBytes(b, unix.IFLA_STATS64, stats64(1)))
	f.Add(netlink.AppendBytes(b, unix.IFLA_STATS, stats32(1)))
	f.Add(netlink.AppendBytes(b, unix.IFLA_STATS, stats32(1))[:80])
	f.Fuzz(func(t *testing.T, data []byte) {
		var l link
		if err := l.parse(data); err != nil {
			if !errors.Is(err, netlink.ErrMalformed) {
				t.Fatalf("parse: %v; want a malformed message", err)
			}
			return
		}
		if len(l.name) == 0 || len(l.name) > 15 || len(l.kind) > len(data) {
			t.Fatalf("name %q, kind %q", l.name, l.kind)
		}
		l.wanted()
		if s := l.status(); s < 0 || s > catalogue.PortStatusLowerLayerDown {
			t.Fatalf("status %d", s)
		}
		if name := newTable(nil).add(string(l.name), l.index).instance; name == "" || label.HasAddress(name) {
			t.Fatalf("instance %q", name)
		}
	})
}

// sysfsOf writes speed and duplex of an interface below root.
func sysfsOf(tb testing.TB, root, name, speed, duplex string) {
	tb.Helper()
	folder := filepath.Join(root, "class", "net", name)
	if err := os.MkdirAll(folder, 0o750); err != nil {
		tb.Fatal(err)
	}
	for file, content := range map[string]string{"speed": speed, "duplex": duplex} {
		if content == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(folder, file), []byte(content+"\n"), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
}

func TestNegotiated(t *testing.T) {
	linked := &port{name: "eth0", link: link{flags: up}}
	for _, tt := range []struct {
		name          string
		port          *port
		speed, duplex string
		mbits, mode   int64
	}{
		{"no files", linked, "", "", 0, 0},
		{"speed alone", linked, "1000", "", 0, 0},
		{"a gigabit", linked, "1000", "full", 1000, catalogue.DuplexFull},
		{"half duplex", linked, "10", "half", 10, catalogue.DuplexHalf},
		{"10 Gbit/s", linked, "10000", "full", 10000, catalogue.DuplexFull},
		{"unknown duplex", linked, "1000", "unknown", 1000, 0},
		{"unknown speed", linked, "-1", "full", 0, 0},
		{"unknown speed of an old kernel", linked, "4294967295", "full", 0, 0},
		{"zero", linked, "0", "full", 0, 0},
		{"not a number", linked, "fast", "full", 0, 0},
		{"no link", &port{name: "eth0", link: link{flags: noLink}}, "1000", "full", 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			sysfsOf(t, root, "eth0", tt.speed, tt.duplex)
			var n negotiated
			defer n.close()
			for range 2 {
				if mbits, mode := n.read(root, tt.port); mbits != tt.mbits || mode != tt.mode {
					t.Errorf("read = %d, %d; want %d, %d", mbits, mode, tt.mbits, tt.mode)
				}
			}
		})
	}
}

// A file that cannot be read is not tried in every round, but at once when
// the link comes up again.
func TestNegotiatedIsTriedAgain(t *testing.T) {
	root := t.TempDir()
	p := &port{name: "eth0", link: link{flags: up, ups: 1}}
	var n negotiated
	defer n.close()
	n.read(root, p)
	sysfsOf(t, root, "eth0", "1000", "full")
	rounds := 0
	for mbits := int64(0); mbits == 0 && rounds < 100; rounds++ {
		mbits, _ = n.read(root, p)
	}
	if rounds != retryRounds+1 {
		t.Errorf("read after %d rounds; want %d", rounds, retryRounds+1)
	}
	n.giveUp()
	p.link.ups++
	if mbits, _ := n.read(root, p); mbits != 1000 {
		t.Errorf("read after the link came up = %d; want 1000 at once", mbits)
	}
}
