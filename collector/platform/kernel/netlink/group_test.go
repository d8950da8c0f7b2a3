package netlink_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/collector/platform/kernel/netlink"
	"livebox-agent/collector/platform/kernel/netlink/netlinktest"
)

// familyReply is what the kernel tells of nl80211 with the groups that fill
// appends.
func familyReply(fill func([]byte) []byte) []netlink.Message {
	b := netlink.AppendGeneric(nil, unix.CTRL_CMD_NEWFAMILY, 2)
	b = netlink.AppendUint16(b, unix.CTRL_ATTR_FAMILY_ID, 28)
	return []netlink.Message{{Type: unix.GENL_ID_CTRL, Data: netlink.AppendNested(b, unix.CTRL_ATTR_MCAST_GROUPS, fill)}}
}

func appendGroup(b []byte, place uint16, name string, number uint32) []byte {
	return netlink.AppendNested(b, place, func(b []byte) []byte {
		b = netlink.AppendUint32(b, unix.CTRL_ATTR_MCAST_GRP_ID, number)
		return netlink.AppendText(b, unix.CTRL_ATTR_MCAST_GRP_NAME, name)
	})
}

func TestGroup(t *testing.T) {
	for _, tt := range []struct {
		name    string
		fill    func([]byte) []byte
		want    uint32
		wantErr error
	}{
		{"one of several", func(b []byte) []byte {
			return appendGroup(appendGroup(appendGroup(b, 1, "scan", 5), 2, "mlme", 700), 3, "vendor", 8)
		}, 700, nil},
		{"another", func(b []byte) []byte { return appendGroup(b, 1, "mlme2", 5) }, 0, unix.ENOENT},
		{"none", func(b []byte) []byte { return b }, 0, unix.ENOENT},
		{"of another length", func(b []byte) []byte {
			return netlink.AppendNested(b, 1, func(b []byte) []byte {
				return netlink.AppendUint16(netlink.AppendText(b, unix.CTRL_ATTR_MCAST_GRP_NAME, "mlme"), unix.CTRL_ATTR_MCAST_GRP_ID, 5)
			})
		}, 0, netlink.ErrMalformed},
		{"cut", func(b []byte) []byte { return append(b, 200, 0, 1, 0) }, 0, netlink.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := netlinktest.New(func(netlink.Message) ([]netlink.Message, error) { return familyReply(tt.fill), nil })
			got, err := netlink.Group(t.Context(), c, "nl80211", "mlme")
			if got != tt.want || !errors.Is(err, tt.wantErr) {
				t.Errorf("Group = %d, %v; want %d, %v", got, err, tt.want, tt.wantErr)
			}
		})
	}
}

func TestThisKernelLetsAGroupBeJoined(t *testing.T) {
	c := dial(t, unix.NETLINK_GENERIC)
	group, err := netlink.Group(t.Context(), c, "nlctrl", "notify")
	if err != nil {
		t.Fatal(err)
	}
	feed, err := netlink.SubscribeGroup(unix.NETLINK_GENERIC, group)
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := feed.Next(ctx, time.Time{}, func(netlink.Message) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("Next = %v; want the cancellation", err)
	}
	const none = 1 << 30
	if _, err := netlink.SubscribeGroup(unix.NETLINK_GENERIC, none); !errors.Is(err, unix.EINVAL) {
		t.Errorf("SubscribeGroup of a number that no group has = %v; want EINVAL", err)
	}
}
