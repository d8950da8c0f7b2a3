package netlink

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrOverrun says that the kernel had more to tell than the socket could hold,
// and that some of it is lost. The feed goes on; who follows it asks for the
// present state anew.
var ErrOverrun = errors.New("notifications lost")

// notificationSize is room for a notification: that of a link takes some 1.5 kB.
// What fills it was cut, and is malformed.
const notificationSize = 8 << 10

// A Feed is a socket on which the kernel tells what changes. It is not safe for
// concurrent use, but for Close.
type Feed struct {
	t  Transport
	in []byte
}

// Subscribe opens a socket of the netlink family on which the kernel tells what
// the groups are for: a mask, such as unix.RTMGRP_LINK.
func Subscribe(family int, groups uint32) (*Feed, error) {
	return subscribe(family, groups, 0)
}

// SubscribeGroup is Subscribe for one group by its number, which a mask does
// not reach: those of generic netlink, as Group tells them.
func SubscribeGroup(family int, group uint32) (*Feed, error) {
	return subscribe(family, 0, group)
}

func subscribe(family int, groups, group uint32) (*Feed, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, family)
	if err != nil {
		return nil, subscribeError(family, err)
	}
	err = join(fd, groups)
	if err == nil && group != 0 {
		if err = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, int(group)); err != nil {
			err = fmt.Errorf("join group %d: %w", group, err)
		}
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, subscribeError(family, err)
	}
	return NewFeed(os.NewFile(uintptr(fd), "netlink")), nil
}

// join binds the socket to the groups, and ties it to the kernel as bind does.
func join(fd int, groups uint32) error {
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if err := unix.Connect(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}

func subscribeError(family int, err error) error {
	return &OpError{Op: "subscribe " + familyName(family), Err: err}
}

// NewFeed returns a feed over t. Subscribe is what programs use; NewFeed is for
// fake kernels.
func NewFeed(t Transport) *Feed { return &Feed{t: t, in: make([]byte, notificationSize)} }

// Close closes the socket; a Next under way ends with an error.
func (f *Feed) Close() error { return f.t.Close() }

// Next waits for a datagram, until ctx is done or the time until, if that is
// not zero, and calls each for every message in it. A message and its data are
// valid only during the call.
//
// The error is an *OpError. With ErrOverrun, and with ErrMalformed where a
// datagram does not hold together, something is lost and the feed goes on;
// os.ErrDeadlineExceeded says that the time is over, the context's error that
// ctx is done. Any other is the end of the feed.
func (f *Feed) Next(ctx context.Context, until time.Time, each func(Message)) error {
	if err := f.t.SetReadDeadline(until); err != nil {
		return &OpError{Op: "receive", Err: err}
	}
	stop := context.AfterFunc(ctx, func() { _ = f.t.SetReadDeadline(time.Unix(1, 0)) })
	n, err := f.t.Read(f.in)
	stop()
	switch {
	case ctx.Err() != nil:
		return &OpError{Op: "receive", Err: ctx.Err()}
	case errors.Is(err, unix.ENOBUFS):
		return &OpError{Op: "receive", Err: fmt.Errorf("%w: %w", ErrOverrun, err)}
	case err != nil:
		return &OpError{Op: "receive", Err: err}
	case n == len(f.in):
		return &OpError{Op: "receive", Err: fmt.Errorf("datagram beyond %d bytes: %w", n, ErrMalformed)}
	}
	if err := tell(f.in[:n], each); err != nil {
		return &OpError{Op: "receive", Err: err}
	}
	return nil
}

// tell goes through the messages of one datagram, whatever their numbers: one
// that was caused by a request has the request's.
func tell(datagram []byte, each func(Message)) error {
	for len(datagram) > 0 {
		f, rest, err := CutFrame(datagram)
		if err != nil {
			return err
		}
		datagram = rest
		switch f.Type {
		case unix.NLMSG_NOOP, unix.NLMSG_DONE:
		case unix.NLMSG_OVERRUN, unix.NLMSG_ERROR:
			return ErrOverrun
		default:
			each(f.Message)
		}
	}
	return nil
}
