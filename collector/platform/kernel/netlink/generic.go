package netlink

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

// An Executor carries out one exchange, as Conn.Execute does.
type Executor interface {
	Execute(ctx context.Context, request Message, each func(Message) error) error
}

// AppendGeneric appends the header that starts every generic netlink message
// (struct genlmsghdr).
func AppendGeneric(b []byte, command, version uint8) []byte {
	return append(b, command, version, 0, 0)
}

// CutGeneric splits the data of a generic netlink message into its command
// and its attributes.
func CutGeneric(data []byte) (command uint8, attributes []byte, err error) {
	if len(data) < unix.GENL_HDRLEN {
		return 0, nil, fmt.Errorf("generic message: %d bytes: %w", len(data), ErrMalformed)
	}
	return data[0], data[unix.GENL_HDRLEN:], nil
}

// Family returns the message type that the kernel gave to the generic netlink
// family name. Where the kernel has no such family, the error wraps ENOENT.
// The number changes when the family's module is loaded again.
func Family(ctx context.Context, x Executor, name string) (uint16, error) {
	f, err := lookup(ctx, x, name, "")
	return f.id, err
}

// Group returns the number of a multicast group of the generic netlink family
// name, for SubscribeGroup. Where the kernel has no such family, or the family
// no such group, the error wraps ENOENT.
func Group(ctx context.Context, x Executor, name, group string) (uint32, error) {
	f, err := lookup(ctx, x, name, group)
	if err == nil && f.group == 0 {
		err = fmt.Errorf("netlink family %s: group %s: %w", name, group, unix.ENOENT)
	}
	return f.group, err
}

// A family is what the kernel tells of one.
type family struct {
	id    uint16
	group uint32 // the number of the one asked for, 0 if it has none
}

func lookup(ctx context.Context, x Executor, name, group string) (family, error) {
	data := AppendGeneric(nil, unix.CTRL_CMD_GETFAMILY, 1)
	data = AppendText(data, unix.CTRL_ATTR_FAMILY_NAME, name)
	var f family
	err := x.Execute(ctx, Message{Type: unix.GENL_ID_CTRL, Data: data}, func(m Message) error {
		var err error
		f, err = parseFamily(m.Data, group)
		return err
	})
	if err != nil {
		return family{}, fmt.Errorf("netlink family %s: %w", name, err)
	}
	if f.id < unix.NLMSG_MIN_TYPE {
		return family{}, fmt.Errorf("netlink family %s: number %d: %w", name, f.id, ErrMalformed)
	}
	return f, nil
}

// parseFamily returns CTRL_ATTR_FAMILY_ID of the reply data, 0 where it is
// absent, and the number of the group with that name.
func parseFamily(data []byte, group string) (family, error) {
	_, attributes, err := CutGeneric(data)
	if err != nil {
		return family{}, err
	}
	var f family
	a := NewAttributes(attributes)
	for a.Next() {
		switch a.Type() {
		case unix.CTRL_ATTR_FAMILY_ID:
			f.id = a.Uint16()
		case unix.CTRL_ATTR_MCAST_GROUPS:
			groups := a.Nested()
			for groups.Next() {
				number, ok, err := parseGroup(groups.Nested(), group)
				if err != nil {
					return family{}, err
				}
				if ok {
					f.group = number
				}
			}
			if err := groups.Err(); err != nil {
				return family{}, err
			}
		}
	}
	return f, a.Err()
}

// parseGroup returns the number of a group, and whether it has that name.
func parseGroup(a Attributes, name string) (number uint32, ok bool, err error) {
	for a.Next() {
		switch a.Type() {
		case unix.CTRL_ATTR_MCAST_GRP_NAME:
			ok = name != "" && string(a.Text()) == name
		case unix.CTRL_ATTR_MCAST_GRP_ID:
			number = a.Uint32()
		}
	}
	return number, ok, a.Err()
}
