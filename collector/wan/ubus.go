package wan

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
)

// Ubus asks OpenWrt, as *ubus.Conn does.
type Ubus interface {
	Call(ctx context.Context, object, method string, params map[string]any) (tree.Node, error)
}

// maxInterfaces bounds the interfaces of one reply that are looked at.
const maxInterfaces = 128

// ubusMetrics are what netifd tells: beside what a Livebox does, since when
// the connection is up.
func ubusMetrics() []catalogue.ID { return append(statusMetrics(), catalogue.WANUpTime) }

// askUbus asks netifd for all its interfaces, of which only it knows which one
// leads to the network, or for the one called wan where it does not list them.
func (s *Source) askUbus(ctx context.Context, b *sample.Batch) error {
	n, err := s.ubus.Call(ctx, "network.interface", "dump", nil)
	if err == nil {
		return decodeDump(n, b)
	}
	if !absent(err) {
		return err
	}
	n, wanErr := s.ubus.Call(ctx, "network.interface."+instance, "status", nil)
	if wanErr == nil {
		return decodeInterface(n, b)
	}
	if errors.Is(err, collector.ErrRefused) && errors.Is(wanErr, collector.ErrNoData) {
		return err
	}
	return wanErr
}

func ubusDecoders() []platform.Decoder {
	decoder := func(name, object, method string, decode func(tree.Node, *sample.Batch) error) platform.Decoder {
		return platform.Decoder{
			Name: name, Platform: platform.OpenWrt, Object: object, Method: method, Metrics: ubusMetrics(),
			Decode: func(n tree.Node, _ platform.Hint, b *sample.Batch) error { return decode(n, b) },
		}
	}
	return []platform.Decoder{
		decoder("wan.dump", "network.interface", "dump", decodeDump),
		decoder("wan.interface", "network.interface.*", "status", decodeInterface),
	}
}

// decodeDump reads the reply of network.interface dump (netifd_dump_status of
// netifd's ubus.c).
func decodeDump(n tree.Node, b *sample.Batch) error {
	list := n.Get("interface")
	if !list.IsList() {
		return fmt.Errorf("network.interface.dump: %w: no list", tree.ErrMalformed)
	}
	var c tree.Check
	w, ok := chooseWAN(list, &c)
	if ok {
		w.add(b, &c)
	}
	switch err := c.Err(); {
	case err != nil:
		return fmt.Errorf("network.interface.dump: %w", err)
	case !ok:
		return fmt.Errorf("network.interface.dump: no interface leads to the network: %w", collector.ErrNoData)
	}
	return nil
}

// decodeInterface reads the reply of network.interface.wan status, which is
// one element of the dump without its name.
func decodeInterface(n tree.Node, b *sample.Batch) error {
	if !n.Get("up").Exists() {
		return fmt.Errorf("network.interface.status: %w: no state", tree.ErrMalformed)
	}
	var c tree.Check
	connection{main: n}.add(b, &c)
	if err := c.Err(); err != nil {
		return fmt.Errorf("network.interface.status: %w", err)
	}
	return nil
}

// A connection is the interface that leads to the network, and those that
// carry IPv6 over the same device: OpenWrt has wan6 beside wan.
type connection struct {
	main   tree.Node
	more   []tree.Node
	six    tree.Node // called wan6
	backup tree.Node // a modem that stands by for main
}

// chooseWAN returns the connection: the interface called wan, or else the one
// whose default route goes before the others. Names that people give are not
// reported.
func chooseWAN(list tree.Node, c *tree.Check) (w connection, ok bool) {
	best, modem := int64(math.MaxInt64), int64(math.MaxInt64)
	named := false
	mainLeft, modemLeft := 0, 0 // which they are
	left := maxInterfaces
	list.Each(func(_ string, n tree.Node) {
		left--
		if metric, leads := overModem(n); left >= 0 && leads && metric < modem {
			w.backup, modem, modemLeft = n, metric, left
		}
		name, isText := c.Text(n, "interface")
		switch {
		case left < 0, !isText:
			c.Bad("interface")
		case name == instance:
			w.main, ok, named, mainLeft = n, true, true, left
		case name == instance6:
			w.six = n
		case !named:
			if metric, leads := defaultRoute(n, c); leads && metric < best {
				w.main, ok, best, mainLeft = n, true, metric, left
			}
		}
	})
	if !ok {
		return connection{}, false
	}
	if mainLeft == modemLeft {
		w.backup = tree.Node{}
	}
	if w.six.Exists() {
		w.more = append(w.more, w.six)
	}
	device, _ := w.main.Get("l3_device").Text()
	list.Each(func(_ string, n tree.Node) {
		if d, _ := n.Get("l3_device").Text(); d != "" && d == device && len(w.more) < maxInterfaces {
			w.more = append(w.more, n)
		}
	})
	return w, true
}

// defaultRoute returns the metric of the interface's default route for IPv4.
// That of a tunnel goes over another interface.
func defaultRoute(n tree.Node, c *tree.Check) (metric int64, leads bool) {
	proto, _ := word(c, n, "proto")
	if protocol(proto) == protocolUnknown && !isCellular(proto) {
		return 0, false
	}
	n.Get("route").Each(func(_ string, r tree.Node) {
		target, _ := c.Text(r, "target")
		mask, ok := c.Int(r, "mask")
		if target != "0.0.0.0" || !ok || mask != 0 {
			return
		}
		m, _ := c.Int(r, "metric")
		if !leads || m < metric {
			metric, leads = m, true
		}
	})
	return metric, leads
}

// overModem is defaultRoute of an interface that runs over a modem. What is wrong
// with it says nothing about the others.
func overModem(n tree.Node) (metric int64, leads bool) {
	var c tree.Check
	proto, _ := word(&c, n, "proto")
	if linkOf(n, proto, &c) != linkCellular {
		return 0, false
	}
	metric, leads = defaultRoute(n, &c)
	return metric, leads && c.Err() == nil
}

// isCellular says whether netifd's protocol drives a modem.
func isCellular(proto string) bool {
	switch proto {
	case "qmi", "mbim", "ncm", "3g", "wwan", "modemmanager", "directip":
		return true
	}
	return false
}

// add adds the readings of the connection.
func (w connection) add(b *sample.Batch, c *tree.Check) {
	if v, ok := state(w.main, c); ok {
		b.Add(catalogue.WANStatus, instance, v)
	}
	proto, ok := word(c, w.main, "proto")
	if link := linkOf(w.main, proto, c); link != linkUnknown {
		b.Add(catalogue.WANLinkType, instance, link)
	}
	if ok {
		b.Add(catalogue.WANProtocol, instance, protocol(proto))
	}
	if w.backup.Exists() {
		if v, ok := state(w.backup, &tree.Check{}); ok {
			b.Add(catalogue.WANStatus, instanceBackup, v)
			b.Add(catalogue.WANLinkType, instanceBackup, linkCellular)
		}
	}
	if v, ok := filled(w.main, c, "ipv4-address"); ok {
		b.Add(catalogue.WANIPv4, instance, v)
	}
	six, told := int64(0), false
	for _, n := range append(w.more, w.main) {
		for _, key := range []string{"ipv6-address", "ipv6-prefix"} {
			if v, ok := filled(n, c, key); ok {
				six, told = max(six, v), true
			}
		}
	}
	if told {
		b.Add(catalogue.WANIPv6, instance, six)
	}
	if v, ok := c.Int(w.main, "uptime"); ok && v >= 0 && v <= math.MaxUint32 {
		b.Add(catalogue.WANUpTime, instance, v)
	}
	b.Add(catalogue.WANLastError, instance, failure(w.main, c))
	if w.six.Exists() {
		b.Add(catalogue.WANLastError, instance6, failure(w.six, c))
	}
}

// state returns the value of WANStatus. netifd says pending while a protocol
// is negotiated, and not available where the device or its link is missing.
func state(n tree.Node, c *tree.Check) (int64, bool) {
	up, ok := c.Bool(n, "up")
	if !ok {
		return 0, false
	}
	pending, _ := c.Bool(n, "pending")
	available, told := c.Bool(n, "available")
	switch {
	case up:
		return catalogue.PortStatusUp, true
	case pending:
		return catalogue.PortStatusDormant, true
	case told && !available:
		return catalogue.PortStatusLowerLayerDown, true
	}
	return catalogue.PortStatusDown, true
}

// linkOf returns what the connection runs over, as far as its protocol or the
// kernel's name of its device says. OpenWrt calls the line of a DSL modem dsl0
// (ptm0 and nas0 before), and a port wan or ethN.
func linkOf(n tree.Node, proto string, c *tree.Check) int64 {
	if isCellular(proto) {
		return linkCellular
	}
	device, _ := c.Text(n, "device")
	for _, d := range []struct {
		prefix string
		link   int64
	}{{"dsl", linkDSL}, {"ptm", linkDSL}, {"nas", linkDSL}, {"atm", linkDSL}, {"eth", linkEthernet}, {"wan", linkEthernet}, {"wwan", linkCellular}} {
		if strings.HasPrefix(device, d.prefix) {
			return d.link
		}
	}
	return linkUnknown
}

// filled says whether the list at key has entries, and whether there is such a
// list. What is in it is looked at only to leave out addresses of the link
// itself, which need no network.
func filled(n tree.Node, c *tree.Check, key string) (v int64, ok bool) {
	list := n.Get(key)
	if !list.Exists() {
		return 0, false
	}
	if !list.IsList() {
		c.Bad(key)
		return 0, false
	}
	list.Each(func(_ string, e tree.Node) {
		address, isText := c.Text(e, "address")
		if isText && address != "" && !strings.HasPrefix(strings.ToLower(address), "fe80:") {
			v = 1
		}
	})
	return v, true
}

// failure returns the value of WANLastError: that of the newest of the errors
// that netifd keeps until the connection is up again. None are kept where
// there were none.
func failure(n tree.Node, c *tree.Check) int64 {
	v := int64(errorNone)
	errs := n.Get("errors")
	if errs.Exists() && !errs.IsList() {
		c.Bad("errors")
	}
	errs.Each(func(_ string, e tree.Node) {
		if code, ok := word(c, e, "code"); ok {
			v = failureNamed(code)
		}
	})
	return v
}

// failureNamed returns the value for a code of netifd or of one of its
// protocols' scripts.
func failureNamed(code string) int64 {
	switch code {
	case "no_device", "no_carrier":
		return errorNoCarrier
	case "connect_failed", "call_failed", "no_port_answer":
		return errorNoAnswer
	}
	return lastError(code)
}
