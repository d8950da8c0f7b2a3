package netlink_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"livebox-agent/collector/platform/kernel/netlink"
)

var isLittleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// dial opens a socket to the kernel of this machine. Emulators of programs
// lack most families.
func dial(t *testing.T, family int) *netlink.Conn {
	t.Helper()
	c, err := netlink.Dial(family)
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EPERM) {
		t.Skipf("this kernel has no such socket: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func linkNames(t *testing.T, c *netlink.Conn) [][]byte {
	t.Helper()
	var names [][]byte
	request := netlink.Message{Type: unix.RTM_GETLINK, Data: make([]byte, unix.SizeofIfInfomsg)}
	err := netlink.Dump(t.Context(), c, request, func() { names = nil }, func(m netlink.Message) error {
		if m.Type != unix.RTM_NEWLINK || len(m.Data) < unix.SizeofIfInfomsg {
			t.Errorf("reply of type %d with %d bytes", m.Type, len(m.Data))
			return nil
		}
		a := netlink.NewAttributes(m.Data[unix.SizeofIfInfomsg:])
		for a.Next() {
			if a.Type() == unix.IFLA_IFNAME {
				names = append(names, bytes.Clone(a.Text()))
			}
		}
		// An emulator of programs leaves an empty attribute at the end in the
		// byte order of its host.
		if err := a.Err(); err != nil && isLittleEndian {
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestThisKernelListsItsLinks(t *testing.T) {
	c := dial(t, unix.NETLINK_ROUTE)
	for range 3 {
		names := linkNames(t, c)
		found := false
		for _, name := range names {
			found = found || string(name) == "lo"
		}
		if !found {
			t.Errorf("links = %q; want lo among them", names)
		}
	}
}

func TestThisKernelRefusesWithItsErrno(t *testing.T) {
	c := dial(t, unix.NETLINK_ROUTE)
	data := make([]byte, unix.SizeofIfInfomsg)
	data = netlink.AppendText(data, unix.IFLA_IFNAME, "absent0")
	err := c.Execute(t.Context(), netlink.Message{Type: unix.RTM_GETLINK, Data: data}, func(netlink.Message) error {
		t.Error("a reply to a request for an absent interface")
		return nil
	})
	if !errors.Is(err, unix.ENODEV) {
		t.Errorf("Execute = %v; want ENODEV", err)
	}
	// A refusal is the end of an exchange, not of the connection.
	linkNames(t, c)
}

func TestThisKernelKnowsItsFamilies(t *testing.T) {
	c := dial(t, unix.NETLINK_GENERIC)
	id, err := netlink.Family(t.Context(), c, "nlctrl")
	if err != nil || id != unix.GENL_ID_CTRL {
		t.Errorf("Family(nlctrl) = %d, %v; want %d", id, err, unix.GENL_ID_CTRL)
	}
	if _, err := netlink.Family(t.Context(), c, "no_such_family"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Family(no_such_family) = %v; want ENOENT", err)
	}
}

func TestClosedConnectionEndsWithAnError(t *testing.T) {
	c := dial(t, unix.NETLINK_ROUTE)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	err := c.Execute(context.Background(), netlink.Message{Type: unix.RTM_GETLINK, Data: make([]byte, unix.SizeofIfInfomsg)}, func(netlink.Message) error { return nil })
	if !errors.Is(err, os.ErrClosed) {
		t.Errorf("Execute after Close = %v; want os.ErrClosed", err)
	}
}

func TestUnknownFamilyIsNotDialled(t *testing.T) {
	_, err := netlink.Dial(4095)
	if _, ok := errors.AsType[*netlink.OpError](err); !ok || !errors.Is(err, unix.EPROTONOSUPPORT) {
		t.Errorf("Dial(4095) = %v; want an OpError with EPROTONOSUPPORT", err)
	}
}

func TestSteadyExchangeWithThisKernelAllocatesNothing(t *testing.T) {
	c := dial(t, unix.NETLINK_ROUTE)
	request := netlink.Message{Type: unix.RTM_GETLINK, Flags: unix.NLM_F_DUMP, Data: make([]byte, unix.SizeofIfInfomsg)}
	each := func(netlink.Message) error { return nil }
	if n := testing.AllocsPerRun(50, func() {
		if err := c.Execute(t.Context(), request, each); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("an exchange allocates %v times; want 0", n)
	}
}
