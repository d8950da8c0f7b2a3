package netlink_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/collector/platform/kernel/netlink"
	"livebox-agent/collector/platform/kernel/netlink/netlinktest"
)

func message(typ uint16) netlink.Message {
	return netlink.Message{Type: typ, Data: []byte{1, 2, 3, 4}}
}

func TestFeedTellsEveryMessageWhateverItsNumber(t *testing.T) {
	feed, kernel := netlinktest.NewFeed()
	kernel.Tell(message(16), message(17), message(16))
	kernel.Tell(message(unix.NLMSG_NOOP), message(16))
	var got []uint16
	for range 2 {
		if err := feed.Next(t.Context(), time.Time{}, func(m netlink.Message) { got = append(got, m.Type) }); err != nil {
			t.Fatal(err)
		}
	}
	if want := []uint16{16, 17, 16, 16}; !slices.Equal(got, want) {
		t.Errorf("got %v; want %v", got, want)
	}
}

func TestWhatTheKernelCouldNotTellIsSaid(t *testing.T) {
	cut := netlink.AppendFrame(nil, netlink.Frame{Message: message(16)})
	for _, tt := range []struct {
		name string
		do   func(*netlinktest.Teller)
		want error
	}{
		{"no room in the socket", func(k *netlinktest.Teller) { k.Fail(unix.ENOBUFS) }, netlink.ErrOverrun},
		{"the kernel's own word", func(k *netlinktest.Teller) { k.Tell(message(unix.NLMSG_OVERRUN)) }, netlink.ErrOverrun},
		{"cut", func(k *netlinktest.Teller) { k.Send(cut[:len(cut)-2]) }, netlink.ErrMalformed},
		{"as long as the room for it", func(k *netlinktest.Teller) { k.Send(make([]byte, 8<<10)) }, netlink.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			feed, kernel := netlinktest.NewFeed()
			tt.do(kernel)
			kernel.Tell(message(16))
			none := func(netlink.Message) { t.Error("a message of what was lost") }
			if err := feed.Next(t.Context(), time.Time{}, none); !errors.Is(err, tt.want) {
				t.Errorf("Next = %v; want %v", err, tt.want)
			}
			got := 0
			if err := feed.Next(t.Context(), time.Time{}, func(netlink.Message) { got++ }); err != nil || got != 1 {
				t.Errorf("after that: %d messages, %v; want the feed to go on", got, err)
			}
		})
	}
}

func TestWaitForNotificationsEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed, _ := netlinktest.NewFeed()
		none := func(netlink.Message) {}
		began := time.Now()
		err := feed.Next(t.Context(), began.Add(time.Minute), none)
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Minute {
			t.Errorf("Next = %v after %v; want the deadline", err, time.Since(began))
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		err = feed.Next(ctx, time.Time{}, none)
		if !errors.Is(err, context.Canceled) || time.Since(began) != time.Minute+time.Second {
			t.Errorf("Next = %v after %v; want the cancellation at once", err, time.Since(began))
		}
		time.AfterFunc(time.Second, func() { _ = feed.Close() })
		if err = feed.Next(t.Context(), time.Time{}, none); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("Next after Close = %v", err)
		}
	})
}

func TestUnknownFamilyHasNoFeed(t *testing.T) {
	_, err := netlink.Subscribe(4095, 1)
	if _, ok := errors.AsType[*netlink.OpError](err); !ok || !errors.Is(err, unix.EPROTONOSUPPORT) {
		t.Errorf("Subscribe(4095) = %v; want an OpError with EPROTONOSUPPORT", err)
	}
}

func TestThisKernelsFeedIsSilentUntilSomethingHappens(t *testing.T) {
	dial(t, unix.NETLINK_ROUTE) // skips where there is none
	feed, err := netlink.Subscribe(unix.NETLINK_ROUTE, unix.RTMGRP_LINK)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := feed.Next(ctx, time.Time{}, func(netlink.Message) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("Next = %v; want the cancellation", err)
	}
	if err := feed.Close(); err != nil {
		t.Error(err)
	}
}
