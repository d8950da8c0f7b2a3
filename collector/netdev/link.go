package netdev

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/kernel/netlink"
)

// A stat is the place of a counter in struct rtnl_link_stats64 and in struct
// rtnl_link_stats, which have the same order (include/uapi/linux/if_link.h).
type stat int

// Of the 21 counters of the first kernels that had the structure, these are
// used.
const (
	rxPackets stat = iota
	txPackets
	rxBytes
	txBytes
	rxErrors
	txErrors
	rxDropped
	txDropped
	_ // multicast
	_ // collisions
	_ // rx_length_errors
	_ // rx_over_errors
	rxCRCErrors
	numStats
)

// The operational states of an interface (RFC 2863; include/uapi/linux/if.h).
const (
	operNotPresent     = 1
	operDown           = 2
	operLowerLayerDown = 3
	operDormant        = 5
	operUp             = 6
)

// A link is what the kernel says of one interface.
type link struct {
	index     int32
	flags     uint32
	operState uint8 // IF_OPER_…
	loopback  bool
	ethernet  bool // ARPHRD_ETHER

	// ups and downs are the carrier counts (Linux 4.16).
	ups, downs       uint32
	hasUps, hasDowns bool
	// changes are ups and downs together (Linux 3.15).
	changes    uint32
	hasChanges bool
	stats      [numStats]uint64
	hasStats   bool

	// name and kind share memory with the message.
	name, kind []byte
}

// parse reads an RTM_NEWLINK message into l.
func (l *link) parse(data []byte) error {
	*l = link{}
	if len(data) < unix.SizeofIfInfomsg {
		return fmt.Errorf("link: %d bytes: %w", len(data), netlink.ErrMalformed)
	}
	// struct ifinfomsg: family, pad, type (2 bytes), index, flags, change.
	typ := binary.NativeEndian.Uint16(data[2:])
	l.loopback, l.ethernet = typ == unix.ARPHRD_LOOPBACK, typ == unix.ARPHRD_ETHER
	l.index = int32(binary.NativeEndian.Uint32(data[4:]))
	l.flags = binary.NativeEndian.Uint32(data[8:])
	wide := false
	a := netlink.NewAttributes(data[unix.SizeofIfInfomsg:])
	for a.Next() {
		var err error
		switch a.Type() {
		case unix.IFLA_IFNAME:
			l.name = a.Text()
		case unix.IFLA_OPERSTATE:
			l.operState = a.Uint8()
		case unix.IFLA_CARRIER_UP_COUNT:
			l.ups, l.hasUps = a.Uint32(), true
		case unix.IFLA_CARRIER_DOWN_COUNT:
			l.downs, l.hasDowns = a.Uint32(), true
		case unix.IFLA_CARRIER_CHANGES:
			l.changes, l.hasChanges = a.Uint32(), true
		case unix.IFLA_STATS64:
			wide, err = true, l.parseStats(a.Bytes(), 8)
		case unix.IFLA_STATS:
			if !wide {
				err = l.parseStats(a.Bytes(), 4)
			}
		case unix.IFLA_LINKINFO:
			err = l.parseInfo(a.Nested())
		}
		if err != nil {
			return err
		}
	}
	if err := a.Err(); err != nil {
		return fmt.Errorf("link %d: %w", l.index, err)
	}
	if len(l.name) == 0 || len(l.name) >= unix.IFNAMSIZ {
		return fmt.Errorf("link %d: name of %d bytes: %w", l.index, len(l.name), netlink.ErrMalformed)
	}
	return nil
}

// parseStats reads counters of size bytes each.
func (l *link) parseStats(b []byte, size int) error {
	if len(b) < int(numStats)*size {
		return fmt.Errorf("link %d: counters of %d bytes: %w", l.index, len(b), netlink.ErrMalformed)
	}
	for i := range l.stats {
		if size == 8 {
			l.stats[i] = binary.NativeEndian.Uint64(b[i*8:])
		} else {
			l.stats[i] = uint64(binary.NativeEndian.Uint32(b[i*4:]))
		}
	}
	l.hasStats = true
	return nil
}

func (l *link) parseInfo(a netlink.Attributes) error {
	for a.Next() {
		if a.Type() == unix.IFLA_INFO_KIND {
			l.kind = a.Text()
		}
	}
	return a.Err()
}

// wanted says whether the interface is one to report: see the package
// comment.
func (l *link) wanted() bool {
	if l.loopback || l.flags&unix.IFF_LOOPBACK != 0 {
		return false
	}
	switch string(l.kind) {
	case "veth", "netkit", "dummy", "ifb", "nlmon", "vcan", "vxcan":
		return false
	case "sit", "ipip", "ip6tnl", "gre", "gretap", "ip6gre", "ip6gretap", "erspan", "ip6erspan", "vti", "vti6":
		return l.flags&unix.IFF_UP != 0
	}
	return true
}

// plugged says whether the interface is a port that a cable is plugged into:
// Ethernet that no software makes (IFLA_INFO_KIND), or a port of a switch (the
// kind dsa). The kernel does not say here which of them are of Wi-Fi.
func (l *link) plugged() bool {
	return l.ethernet && (len(l.kind) == 0 || string(l.kind) == "dsa")
}

// carrier says whether the interface has a link. The flag is set only while
// the interface is up (dev_get_flags, net/core/dev.c): some drivers claim a
// carrier for an interface that is not.
func (l *link) carrier() bool { return l.flags&unix.IFF_LOWER_UP != 0 }

// status returns the operational state as the catalogue numbers it.
func (l *link) status() int64 {
	switch l.operState {
	case operUp:
		return catalogue.PortStatusUp
	case operDown:
		return catalogue.PortStatusDown
	case operDormant:
		return catalogue.PortStatusDormant
	case operNotPresent:
		return catalogue.PortStatusNotPresent
	case operLowerLayerDown:
		return catalogue.PortStatusLowerLayerDown
	}
	// TR-181 has no word for the state testing (4).
	return catalogue.PortStatusUnknown
}
