package optics

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"livebox-agent/collector/platform/kernel/netlink"
)

// Attributes of ETHTOOL_MSG_MODULE_EEPROM_GET and of its reply
// (include/uapi/linux/ethtool_netlink.h).
const (
	attrHeader  = 1
	attrOffset  = 2
	attrLength  = 3
	attrPage    = 4
	attrBank    = 5
	attrAddress = 6
	attrData    = 7
)

// A Conn is a socket to the kernel's generic netlink; *netlink.Conn is one.
type Conn interface {
	Execute(ctx context.Context, request netlink.Message, each func(netlink.Message) error) error
	Close() error
}

// dialKernel opens a socket to the kernel.
func dialKernel() (Conn, error) { return netlink.Dial(unix.NETLINK_GENERIC) }

// ethtool reads the memory of modules through the generic netlink family of
// that name. It connects when it is first asked and again after the connection
// broke, so that a family whose module was loaded again is found.
type ethtool struct {
	dial   func() (Conn, error)
	conn   Conn
	family uint16
	// absent says that the kernel has no such family: before Linux 5.6.
	absent bool

	// into is where the reply under way goes, got how much of it came.
	into []byte
	got  int
	take func(netlink.Message) error
}

func newEthtool(dial func() (Conn, error)) ethtool {
	if dial == nil {
		dial = dialKernel
	}
	return ethtool{dial: dial}
}

// open connects where there is no connection.
func (t *ethtool) open(ctx context.Context) error {
	if t.conn != nil {
		return nil
	}
	t.absent = false
	conn, err := t.dial()
	if err == nil {
		t.family, err = netlink.Family(ctx, conn, unix.ETHTOOL_GENL_NAME)
		if err != nil {
			_ = conn.Close()
		}
	}
	if err != nil {
		t.absent = nothingThere(err)
		return err
	}
	t.conn, t.take = conn, t.cut
	return nil
}

// nothingThere says that err means that the kernel, the driver or the cage has
// nothing to read: no netlink, no family, no such command, no module.
func nothingThere(err error) bool {
	for _, e := range []error{
		unix.EAFNOSUPPORT, unix.EPROTONOSUPPORT, unix.ENOENT, unix.EOPNOTSUPP, unix.ENODEV, unix.ENXIO, unix.EINVAL,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// request returns the message that asks the interface name for s.
func request(name string, s span) []byte {
	b := netlink.AppendGeneric(nil, unix.ETHTOOL_MSG_MODULE_EEPROM_GET, unix.ETHTOOL_GENL_VERSION)
	b = netlink.AppendNested(b, attrHeader, func(b []byte) []byte {
		return netlink.AppendText(b, unix.ETHTOOL_A_HEADER_DEV_NAME, name)
	})
	b = netlink.AppendUint32(b, attrOffset, uint32(s.offset))
	b = netlink.AppendUint32(b, attrLength, uint32(s.length))
	b = netlink.AppendUint8(b, attrPage, s.number)
	b = netlink.AppendUint8(b, attrBank, 0)
	return netlink.AppendUint8(b, attrAddress, s.address)
}

// read carries out a request and fills into with what it asks for.
func (t *ethtool) read(ctx context.Context, request, into []byte) error {
	if err := t.open(ctx); err != nil {
		return err
	}
	t.into, t.got = into, 0
	err := t.conn.Execute(ctx, netlink.Message{Type: t.family, Data: request}, t.take)
	t.into = nil
	if err == nil && t.got != len(into) {
		err = fmt.Errorf("read memory: %d bytes of %d: %w", t.got, len(into), netlink.ErrMalformed)
	}
	if e, ok := errors.AsType[*netlink.OpError](err); ok && !strings.HasPrefix(e.Op, "request") {
		_ = t.close()
	}
	return err
}

// cut takes the data of a reply.
func (t *ethtool) cut(m netlink.Message) error {
	command, attributes, err := netlink.CutGeneric(m.Data)
	if err != nil {
		return err
	}
	if m.Type != t.family || command != unix.ETHTOOL_MSG_MODULE_EEPROM_GET_REPLY {
		return nil
	}
	a := netlink.NewAttributes(attributes)
	for a.Next() {
		if a.Type() == attrData {
			t.got = len(a.Bytes())
			copy(t.into, a.Bytes())
		}
	}
	return a.Err()
}

// close gives up the socket; the next read opens another.
func (t *ethtool) close() error {
	if t.conn == nil {
		return nil
	}
	conn := t.conn
	t.conn = nil
	return conn.Close()
}

// A reader is the memory of the module of one interface.
type reader struct {
	tool *ethtool
	name string
	buf  [128]byte
}

func (r *reader) read(ctx context.Context, s span) ([]byte, error) {
	into := r.buf[:s.length]
	return into, r.tool.read(ctx, request(r.name, s), into)
}
