package wifi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/platform/ubus"
)

// hostapdObjects are the access points of hostapd on OpenWrt's bus.
const (
	hostapdObjects = "hostapd.*"
	hostapdPrefix  = "hostapd."
)

// refreshEvery is how soon an access point that was switched on is watched.
const refreshEvery = 30 * time.Second

// hostapdLooks are when hostapd is asked whether a station is in. It tells so by
// itself; what it does not tell is that an attempt is over where nobody ended it,
// and before 2022 it did not tell of those that are in.
func hostapdLooks() []time.Duration { return []time.Duration{2 * time.Second, 10 * time.Second} }

// hostapdJoins watches by what hostapd notifies of: "auth" and "assoc" when a
// device asks, "sta-authorized" when it is in, "key-mismatch" when it has the
// wrong key, and "deauth", "disassoc", "local-deauth" and "inactive-deauth" when
// it is out.
type hostapdJoins struct {
	*attempts
	path  string
	bus   *ubus.Conn
	looks []time.Duration
}

func (h *hostapdJoins) run(ctx context.Context) error {
	h.looks = hostapdLooks()
	s, err := ubus.Subscribe(ctx, h.path)
	if err != nil {
		return err
	}
	defer s.Close()
	h.bus = ubus.Dial(h.path)
	defer h.bus.Close()
	ask := func(key attemptKey, _ *attempt) (verdict, error) { return h.ask(ctx, key) }
	var refresh time.Time
	for {
		if !time.Now().Before(refresh) {
			refresh = time.Now().Add(refreshEvery)
			if err := h.refresh(ctx, s); err != nil {
				return err
			}
		}
		until := refresh
		if next := h.next(h.looks); !next.IsZero() && next.Before(until) {
			until = next
		}
		n, err := s.Next(ctx, until)
		switch {
		case err == nil:
			h.take(n)
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		}
		if err := h.look(h.looks, ask); err != nil {
			return err
		}
	}
}

// refresh subscribes to the access points that there are.
func (h *hostapdJoins) refresh(ctx context.Context, s *ubus.Subscriber) error {
	names, err := s.Refresh(ctx, hostapdObjects)
	if err != nil {
		return err
	}
	instances := make([]string, 0, len(names))
	for _, name := range names {
		if instance := strings.TrimPrefix(name, hostapdPrefix); isName(instance) {
			instances = append(instances, instance)
		}
	}
	if len(instances) == 0 {
		return fmt.Errorf("%w: no access point of hostapd", collector.ErrNoData)
	}
	h.joins.watch(instances)
	return nil
}

// take takes one notification. Of those that only look around ("probe"), no
// more than that is read. One that does not hold together is of a device that is
// not known.
func (h *hostapdJoins) take(n ubus.Notification) {
	key := attemptKey{instance: strings.TrimPrefix(n.Object, hostapdPrefix)}
	switch n.Type {
	case "auth", "assoc", "sta-authorized", "key-mismatch", "deauth", "disassoc", "local-deauth", "inactive-deauth":
	default:
		return
	}
	values, err := n.Values()
	if err != nil || !isName(key.instance) {
		return
	}
	var r reply
	address, _ := values.Get("address").Text()
	if r.setMAC(address); !r.hasMAC {
		return
	}
	key.mac = r.mac
	x := h.open[key]
	switch n.Type {
	case "auth":
		// More than one frame may be authentication; after the wrong key, or
		// after an association, it is another attempt.
		if x != nil && (x.refused || x.associated) {
			h.fail(key)
		}
		h.begin(key)
	case "assoc":
		if x != nil && x.associated {
			h.fail(key)
		}
		if x = h.begin(key); x != nil {
			x.associated = true
		}
	case "key-mismatch":
		if x = h.begin(key); x != nil {
			x.refused = true
		}
	case "sta-authorized":
		h.letIn(key.mac)
	default:
		h.fail(key)
	}
}

// ask asks whether a station was let in.
func (h *hostapdJoins) ask(ctx context.Context, key attemptKey) (verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, iwinfoTimeout)
	defer cancel()
	n, err := h.bus.Call(ctx, hostapdPrefix+key.instance, "get_clients", nil)
	if isOutcome(err) {
		return unknown, nil // the access point is gone
	}
	if err != nil {
		return unknown, fmt.Errorf("ask for a station of %s: %w", key.instance, err)
	}
	if in, err := isClient(n, key.mac); err != nil || in {
		return isIn, err
	}
	return notYet, nil
}

// isClient says whether the reply of get_clients lists the station as let in.
func isClient(n tree.Node, mac [6]byte) (in bool, err error) {
	var c tree.Check
	clients := n.Get("clients")
	if !isMap(clients) || !n.IsObject() {
		return false, fmt.Errorf("hostapd.get_clients: %w: no clients", tree.ErrMalformed)
	}
	clients.Each(func(key string, e tree.Node) {
		var r reply
		if r.setMAC(key); r.hasMAC && r.mac == mac {
			in, _ = c.Bool(e, "authorized")
		}
	})
	return in, c.Err()
}
