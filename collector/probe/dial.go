package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// errNoEcho says that this box does not let the agent send echo requests: its
// group is outside net.ipv4.ping_group_range, and it lacks CAP_NET_RAW.
var errNoEcho = errors.New("icmp echo not permitted")

// dial connects to the reflector, and returns how to talk to it.
func dial(ctx context.Context, k kind, c Config, id uint16) (Conn, method, error) {
	d := net.Dialer{ControlContext: func(_ context.Context, network, _ string, raw syscall.RawConn) error {
		var err error
		if e := raw.Control(func(fd uintptr) { err = mark(int(fd), strings.HasSuffix(network, "6"), c.DSCP) }); e != nil {
			return e
		}
		return err
	}}
	conn, err := d.DialContext(ctx, "udp", c.Reflector)
	if err != nil {
		return nil, nil, err
	}
	udp, ok := conn.(*net.UDPConn)
	if !ok {
		_ = conn.Close()
		return nil, nil, fmt.Errorf("dial %T", conn)
	}
	if k == kindSTAMP {
		return udp, stampMethod{}, nil
	}
	// The kernel has chosen the address: one that it has a route to.
	peer := addrPort(udp.RemoteAddr()).Addr()
	zone := udp.RemoteAddr().(*net.UDPAddr).Zone
	_ = udp.Close()
	m := echoMethod{ipv6: peer.Is6(), id: id}
	ping, err := dialPing(peer, zone, c.DSCP)
	if err == nil {
		return ping, m, nil
	}
	if !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, nil, err
	}
	network := "ip4:icmp"
	if m.ipv6 {
		network = "ip6:ipv6-icmp"
	}
	raw, err := d.DialContext(ctx, network, peer.WithZone(zone).String())
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		return nil, nil, errNoEcho
	}
	if err != nil {
		return nil, nil, err
	}
	ip, ok := raw.(*net.IPConn)
	if !ok {
		_ = raw.Close()
		return nil, nil, fmt.Errorf("dial %T", raw)
	}
	m.checkID = true
	return ip, m, nil
}

// mark sets the class of service of a socket.
func mark(fd int, ipv6 bool, dscp int) error {
	if dscp == 0 {
		return nil
	}
	var err error
	if ipv6 {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, dscp<<2)
	} else {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TOS, dscp<<2)
	}
	return os.NewSyscallError("setsockopt", err)
}

// A pingConn is a ping socket (net/ipv4/ping.c, since Linux 3.0; IPv6 since
// 3.11): echo requests without privileges. The kernel sorts the answers by the
// identifier that it gave the socket.
type pingConn struct {
	net.PacketConn
	to *net.UDPAddr
}

func (c pingConn) Write(b []byte) (int, error) { return c.WriteTo(b, c.to) }

func (c pingConn) RemoteAddr() net.Addr { return c.to }

func dialPing(peer netip.Addr, zone string, dscp int) (Conn, error) {
	family, protocol := unix.AF_INET, unix.IPPROTO_ICMP
	if peer.Is6() {
		family, protocol = unix.AF_INET6, unix.IPPROTO_ICMPV6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return nil, os.NewSyscallError("ping socket", err)
	}
	// FilePacketConn works on a copy.
	f := os.NewFile(uintptr(fd), "ping")
	defer f.Close()
	if err := mark(fd, peer.Is6(), dscp); err != nil {
		return nil, err
	}
	pc, err := net.FilePacketConn(f)
	if err != nil {
		return nil, err
	}
	return pingConn{pc, &net.UDPAddr{IP: peer.AsSlice(), Zone: zone}}, nil
}
