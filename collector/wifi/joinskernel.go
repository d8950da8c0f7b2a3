package wifi

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/collector/platform/kernel/netlink"
)

// mlme is the group in which nl80211 tells of stations.
const mlme = "mlme"

// listEvery bounds how often the interfaces are listed because of stations
// that come.
const listEvery = time.Second

// kernelLooks are when the kernel is asked whether a station that came was let
// in. A handshake takes some 50 ms, a failed one 1 s to 5 s until hostapd takes
// the station away; one that does not go on stays for half a minute.
func kernelLooks() []time.Duration {
	return []time.Duration{
		300 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second,
		16 * time.Second, 30 * time.Second,
	}
}

// kernelJoins watches by nl80211: stations come (NEW_STATION, as soon as they
// are authenticated) and go (DEL_STATION). Whether one was let in is told by
// neither: the kernel is asked in between.
type kernelJoins struct {
	*attempts
	client *client
	follow func(group uint32) (*netlink.Feed, error)
	looks  []time.Duration
	listed time.Time
	fault  error // of a request made while a notification is taken
}

func (k *kernelJoins) run(ctx context.Context) error { return k.client.finish(k.watch(ctx)) }

func (k *kernelJoins) watch(ctx context.Context) error {
	k.looks = kernelLooks()
	if err := k.client.open(ctx); err != nil {
		return err
	}
	group, err := netlink.Group(ctx, k.client.conn, unix.NL80211_GENL_NAME, mlme)
	if err != nil {
		return absent(err)
	}
	feed, err := k.follow(group)
	if err != nil {
		return err
	}
	defer feed.Close()
	if err := k.client.list(ctx); err != nil {
		return err
	}
	k.listed = time.Now()
	k.joins.watchAll()
	take := func(m netlink.Message) { k.take(ctx, m) }
	ask := func(key attemptKey, x *attempt) (verdict, error) { return k.ask(ctx, key, x) }
	for {
		err := feed.Next(ctx, k.next(k.looks), take)
		switch {
		case err == nil, errors.Is(err, os.ErrDeadlineExceeded):
		case errors.Is(err, netlink.ErrOverrun), errors.Is(err, netlink.ErrMalformed):
			// Some of them may have ended.
			k.forget()
		default:
			return err
		}
		if k.fault != nil {
			return k.fault
		}
		if err := k.look(k.looks, ask); err != nil {
			return err
		}
	}
}

// A stationEvent is what nl80211 tells of a station that came, went or was
// refused.
type stationEvent struct {
	index uint32 // of the interface
	mac   [6]byte
}

// parseStationEvent returns what the attributes say; ok is false where it is not
// of a station.
func parseStationEvent(attributes []byte) (e stationEvent, ok bool, err error) {
	a := netlink.NewAttributes(attributes)
	for a.Next() {
		switch a.Type() {
		case unix.NL80211_ATTR_IFINDEX:
			e.index = a.Uint32()
		case unix.NL80211_ATTR_MAC:
			ok = len(a.Bytes()) == len(e.mac)
			copy(e.mac[:], a.Bytes())
		}
	}
	return e, ok && e.index != 0, a.Err()
}

// take takes one notification. One that does not hold together is of a station
// that is not known.
func (k *kernelJoins) take(ctx context.Context, m netlink.Message) {
	command, attributes, err := netlink.CutGeneric(m.Data)
	if err != nil || m.Type != k.client.family {
		return
	}
	switch command {
	case unix.NL80211_CMD_NEW_STATION, unix.NL80211_CMD_DEL_STATION, unix.NL80211_CMD_CONN_FAILED:
	default:
		return
	}
	e, ok, err := parseStationEvent(attributes)
	if err != nil || !ok {
		return
	}
	if command != unix.NL80211_CMD_DEL_STATION && time.Since(k.listed) >= listEvery && k.fault == nil {
		// The interface may be new, or of another kind than it was.
		k.listed = time.Now()
		k.fault = k.client.list(ctx)
	}
	key := attemptKey{instance: k.accessPoint(e.index), mac: e.mac}
	if key.instance == "" {
		return
	}
	switch command {
	case unix.NL80211_CMD_NEW_STATION:
		// Of one that is followed, the end was lost.
		delete(k.open, key)
		if x := k.begin(key); x != nil {
			x.index = e.index
		}
	case unix.NL80211_CMD_DEL_STATION:
		k.fail(key)
	case unix.NL80211_CMD_CONN_FAILED:
		// The driver refused it: it is full, or the station is not welcome.
		delete(k.open, key)
		k.joins.count(key.instance)
	}
}

// accessPoint returns the instance of an access point, empty for another
// interface.
func (k *kernelJoins) accessPoint(index uint32) string {
	for i := range k.client.interfaces {
		if it := &k.client.interfaces[i]; it.index == index && it.isAccessPoint() {
			return it.instance
		}
	}
	return ""
}

// ask asks whether a station was let in.
func (k *kernelJoins) ask(ctx context.Context, key attemptKey, x *attempt) (verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	data := netlink.AppendUint32(netlink.AppendGeneric(nil, unix.NL80211_CMD_GET_STATION, 0), unix.NL80211_ATTR_IFINDEX, x.index)
	data = netlink.AppendBytes(data, unix.NL80211_ATTR_MAC, key.mac[:])
	told, in := false, false
	err := k.client.conn.Execute(ctx, netlink.Message{Type: k.client.family, Data: data}, func(m netlink.Message) error {
		_, attributes, err := netlink.CutGeneric(m.Data)
		if err == nil {
			told, in, err = parseAuthorised(attributes)
		}
		return err
	})
	switch {
	case errors.Is(err, unix.ENOENT):
		return isGone, nil
	case gone(err):
		return unknown, nil // the interface is
	case unsupported(err), err == nil && !told:
		// The driver keeps it to itself, here and for all others.
		k.joins.change(key.instance, func(c *joinCount) { c.silent = true })
		return unknown, nil
	case err != nil:
		return unknown, fmt.Errorf("ask for a station of %s: %w", key.instance, err)
	case in:
		return isIn, nil
	}
	return notYet, nil
}

// parseAuthorised returns whether the attributes of an NL80211_CMD_NEW_STATION
// tell that the station was let in, and whether it was.
func parseAuthorised(attributes []byte) (told, in bool, err error) {
	const authorised = 1 << unix.NL80211_STA_FLAG_AUTHORIZED
	a := netlink.NewAttributes(attributes)
	for a.Next() {
		if a.Type() != unix.NL80211_ATTR_STA_INFO {
			continue
		}
		info := a.Nested()
		for info.Next() {
			if update := info.Bytes(); info.Type() == unix.NL80211_STA_INFO_STA_FLAGS && len(update) >= 8 {
				// struct nl80211_sta_flag_update: mask and set.
				told = binary.NativeEndian.Uint32(update)&authorised != 0
				in = told && binary.NativeEndian.Uint32(update[4:])&authorised != 0
			}
		}
		if err := info.Err(); err != nil {
			return false, false, err
		}
	}
	return told, in, a.Err()
}
