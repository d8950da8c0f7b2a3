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
	data := AppendGeneric(nil, unix.CTRL_CMD_GETFAMILY, 1)
	data = AppendText(data, unix.CTRL_ATTR_FAMILY_NAME, name)
	var id uint16
	err := x.Execute(ctx, Message{Type: unix.GENL_ID_CTRL, Data: data}, func(m Message) error {
		var err error
		id, err = familyID(m.Data)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("netlink family %s: %w", name, err)
	}
	if id < unix.NLMSG_MIN_TYPE {
		return 0, fmt.Errorf("netlink family %s: number %d: %w", name, id, ErrMalformed)
	}
	return id, nil
}

// familyID returns CTRL_ATTR_FAMILY_ID of the reply data, 0 where it is
// absent.
func familyID(data []byte) (id uint16, err error) {
	_, attributes, err := CutGeneric(data)
	if err != nil {
		return 0, err
	}
	a := NewAttributes(attributes)
	for a.Next() {
		if a.Type() == unix.CTRL_ATTR_FAMILY_ID {
			id = a.Uint16()
		}
	}
	return id, a.Err()
}
