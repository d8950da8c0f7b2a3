package wifi

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"livebox-agent/collector"
	"livebox-agent/collector/platform/kernel/netlink"
)

// A Conn is a socket to the kernel's generic netlink; *netlink.Conn is one.
type Conn interface {
	Execute(ctx context.Context, request netlink.Message, each func(netlink.Message) error) error
	Close() error
}

// Dial connects to the kernel of this box. It is what NewRadios and
// NewStations are given outside tests.
func Dial() (Conn, error) {
	c, err := netlink.Dial(unix.NETLINK_GENERIC)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// A client asks nl80211. It connects when it is first asked and again after
// an error, so that a family whose module was loaded again is found.
type client struct {
	dial   func() (Conn, error)
	conn   Conn
	family uint16

	// The memory of the last list is kept for the next one.
	interfaces []netif
	request    []byte

	// What the dump under way expects, and who takes it. The functions are
	// bound once: each binding is garbage.
	command   uint8
	take      func(attributes []byte) error
	cut       func(netlink.Message) error
	beginList func()
	takeNetif func(attributes []byte) error
}

func newClient(dial func() (Conn, error)) *client {
	c := &client{dial: dial}
	c.cut = c.cutGeneric
	c.beginList = func() { c.interfaces = c.interfaces[:0] }
	c.takeNetif = c.addNetif
	return c
}

// open connects where there is no connection.
func (c *client) open(ctx context.Context) error {
	if c.conn != nil {
		return nil
	}
	conn, err := c.dial()
	if err != nil {
		return absent(err)
	}
	family, err := netlink.Family(ctx, conn, unix.NL80211_GENL_NAME)
	if err != nil {
		_ = conn.Close()
		return absent(err)
	}
	c.conn, c.family = conn, family
	return nil
}

// absent makes the errors of a kernel that has no netlink, no generic netlink
// or no nl80211 collector.ErrNoData.
func absent(err error) error {
	if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("%w: %w", collector.ErrNoData, err)
	}
	return err
}

// finish ends a round: after an error it gives the connection up, and says
// what the error means for the source.
func (c *client) finish(err error) error {
	if err == nil {
		return nil
	}
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return fmt.Errorf("%w: %w", collector.ErrRefused, err)
	}
	return err
}

// list brings c.interfaces up to date: those that can have stations.
func (c *client) list(ctx context.Context) error {
	if err := c.open(ctx); err != nil {
		return err
	}
	if err := c.dump(ctx, unix.NL80211_CMD_GET_INTERFACE, 0, c.beginList, c.takeNetif); err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	if len(c.interfaces) == 0 {
		return fmt.Errorf("%w: no wireless interface", collector.ErrNoData)
	}
	return nil
}

func (c *client) addNetif(attributes []byte) error {
	n := len(c.interfaces)
	if n < cap(c.interfaces) {
		// Its memory of the last round saves making the same names again.
		c.interfaces = c.interfaces[:n+1]
	} else {
		c.interfaces = append(c.interfaces, netif{})
	}
	it := &c.interfaces[n]
	err := it.parse(attributes)
	if err != nil || !it.mayHaveStations() || c.known(it.index) {
		c.interfaces = c.interfaces[:n]
	}
	return err
}

// known says whether the list has the interface more than once, as a dump
// that a change interrupts may.
func (c *client) known(index uint32) bool {
	n := len(c.interfaces) - 1
	for i := range n {
		if c.interfaces[i].index == index {
			return true
		}
	}
	return false
}

// dump asks for all entries of one kind, of the interface with that index or,
// where it is zero, of the box, and calls take with the attributes of each.
// begin is called before each attempt. That a second attempt was interrupted
// too is no error: the entries it gave are right, one that came or went is
// missing as it would be a moment earlier or later.
func (c *client) dump(ctx context.Context, command uint8, index uint32, begin func(), take func([]byte) error) error {
	c.command, c.take = command, take
	c.request = netlink.AppendGeneric(c.request[:0], command, 0)
	if index != 0 {
		c.request = netlink.AppendUint32(c.request, unix.NL80211_ATTR_IFINDEX, index)
	}
	err := netlink.Dump(ctx, c.conn, netlink.Message{Type: c.family, Data: c.request}, begin, c.cut)
	if err != nil && !errors.Is(err, netlink.ErrInterrupted) {
		return err
	}
	return nil
}

// cutGeneric hands the attributes of a reply to c.take, where it is an entry
// of what was asked for.
func (c *client) cutGeneric(m netlink.Message) error {
	command, attributes, err := netlink.CutGeneric(m.Data)
	if err != nil {
		return err
	}
	if m.Type != c.family || command != answer(c.command) {
		return nil
	}
	return c.take(attributes)
}

// answer returns the command of the entries that answer the command get.
func answer(get uint8) uint8 {
	switch get {
	case unix.NL80211_CMD_GET_INTERFACE:
		return unix.NL80211_CMD_NEW_INTERFACE
	case unix.NL80211_CMD_GET_SURVEY:
		return unix.NL80211_CMD_NEW_SURVEY_RESULTS
	case unix.NL80211_CMD_GET_STATION:
		return unix.NL80211_CMD_NEW_STATION
	}
	panic("BUG: no answer to nl80211 command " + strconv.Itoa(int(get)))
}

// gone says that err means that the interface is not there (any more) or is
// down.
func gone(err error) bool {
	return errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENETDOWN)
}

// unsupported says that err means that the driver does not measure this.
func unsupported(err error) bool { return errors.Is(err, unix.EOPNOTSUPP) }
