package wan

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
)

// Values of the metrics, in the order of their States.
const (
	linkUnknown  = 0
	linkDSL      = 1
	linkEthernet = 2
	linkSFP      = 3
	linkPON      = 4
	linkCellular = 5

	protocolUnknown = 0
	protocolDHCP    = 1
	protocolPPP     = 2
	protocolStatic  = 3

	errorNone           = 1
	errorOther          = 2
	errorTimeout        = 3
	errorAuthentication = 4
	errorNoCarrier      = 5
	errorNoAnswer       = 6
	errorServerRefused  = 7
)

func statusMetrics() []catalogue.ID {
	return []catalogue.ID{
		catalogue.WANStatus, catalogue.WANLinkType, catalogue.WANProtocol,
		catalogue.WANIPv4, catalogue.WANIPv6, catalogue.WANLastError,
	}
}

// askSysbus asks for the state, which every box tells everybody, and for the
// mode it is set to where the state does not say what it runs over.
func (s *Source) askSysbus(ctx context.Context, b *sample.Batch) error {
	n, err := s.sysbus.Call(ctx, "NMC", "getWANStatus", nil)
	if err == nil {
		err = decodeStatus(n, b)
	}
	if err != nil && !absent(err) {
		return err
	}
	if holds(b, catalogue.WANLinkType) && holds(b, catalogue.WANProtocol) {
		return err
	}
	n, modeErr := s.sysbus.Call(ctx, "NMC", "get", nil)
	if modeErr == nil {
		var mode sample.Batch
		modeErr = decodeMode(n, &mode)
		for _, r := range mode.Readings {
			if !holds(b, r.Metric) {
				b.Readings = append(b.Readings, r)
			}
		}
	}
	if absent(modeErr) {
		// It was a second choice: what counts is what the first one said.
		return err
	}
	return errors.Join(err, modeErr)
}

// absent says that err means that the box does not have, or does not give,
// what was asked for.
func absent(err error) bool {
	return errors.Is(err, collector.ErrNoData) || errors.Is(err, collector.ErrRefused)
}

// holds says whether b has a reading of m.
func holds(b *sample.Batch, m catalogue.ID) bool {
	for _, r := range b.Readings {
		if r.Metric == m {
			return true
		}
	}
	return false
}

// decodeStatus reads the reply of NMC.getWANStatus.
func decodeStatus(n tree.Node, b *sample.Batch) error {
	data := n.Get("data")
	if !data.IsObject() {
		if data.Exists() {
			return fmt.Errorf("NMC.getWANStatus: data: %w", tree.ErrMalformed)
		}
		return fmt.Errorf("NMC.getWANStatus without data: %w", collector.ErrNoData)
	}
	before := len(b.Readings)
	var c tree.Check
	if v, ok := status(&c, data); ok {
		b.Add(catalogue.WANStatus, instance, v)
	}
	if s, ok := word(&c, data, "LinkType"); ok {
		b.Add(catalogue.WANLinkType, instance, linkType(s))
	}
	if s, ok := word(&c, data, "Protocol"); ok {
		b.Add(catalogue.WANProtocol, instance, protocol(s))
	}
	if up, ok := address(&c, data, "IPAddress"); ok {
		b.Add(catalogue.WANIPv4, instance, up)
	}
	// A delegated prefix is enough: the box then has addresses out of it.
	up, ok := address(&c, data, "IPv6Address")
	if prefix, has := address(&c, data, "IPv6DelegatedPrefix"); has {
		up, ok = max(up, prefix), true
	}
	if ok {
		b.Add(catalogue.WANIPv6, instance, up)
	}
	if s, ok := word(&c, data, "LastConnectionError"); ok {
		b.Add(catalogue.WANLastError, instance, lastError(s))
	}
	if s, ok := word(&c, data, "LastConnectionErrorIPv6"); ok {
		b.Add(catalogue.WANLastError, instance6, lastError(s))
	}
	if err := c.Err(); err != nil {
		return fmt.Errorf("NMC.getWANStatus: %w", err)
	}
	if len(b.Readings) == before {
		return fmt.Errorf("NMC.getWANStatus says nothing: %w", collector.ErrNoData)
	}
	return nil
}

// decodeMode reads the reply of NMC.get: what the connection is set to, as
// "GPON_DHCP".
func decodeMode(n tree.Node, b *sample.Batch) error {
	var c tree.Check
	mode, ok := word(&c, n, "status", "WanMode")
	if err := c.Err(); err != nil {
		return fmt.Errorf("NMC.get: %w", err)
	}
	if !ok {
		return fmt.Errorf("NMC.get without WanMode: %w", collector.ErrNoData)
	}
	link, how, _ := strings.Cut(mode, "_")
	b.Add(catalogue.WANLinkType, instance, linkType(link))
	if how != "" {
		b.Add(catalogue.WANProtocol, instance, protocol(how))
	}
	return nil
}

// word returns a text in lower case. An empty one is none.
func word(c *tree.Check, n tree.Node, path ...string) (string, bool) {
	s, ok := c.Text(n, path...)
	return strings.ToLower(s), ok && s != ""
}

// status returns the value of WANStatus.
func status(c *tree.Check, data tree.Node) (int64, bool) {
	wan, ok := word(c, data, "WanState")
	link, hasLink := word(c, data, "LinkState")
	switch {
	case ok && wan == "up":
		return catalogue.PortStatusUp, true
	case hasLink && link == "down":
		return catalogue.PortStatusLowerLayerDown, true
	case ok && wan == "down":
		return catalogue.PortStatusDown, true
	}
	return catalogue.PortStatusUnknown, ok
}

func linkType(s string) int64 {
	switch s {
	case "dsl", "adsl", "vdsl":
		return linkDSL
	case "ethernet":
		return linkEthernet
	case "sfp":
		return linkSFP
	case "gpon", "xgspon", "xgs-pon":
		return linkPON
	case "cellular", "mobile", "wwan", "lte", "3g", "4g", "5g":
		// No reply of a box on its backup is known. prplOS calls the mode Cellular.
		return linkCellular
	}
	return linkUnknown
}

func protocol(s string) int64 {
	switch s {
	case "dhcp", "dhcpv6":
		return protocolDHCP
	case "ppp", "pppoe", "pppoa":
		return protocolPPP
	case "static":
		return protocolStatic
	}
	return protocolUnknown
}

// address says whether there is an address, and whether the box speaks of it
// at all. The address itself is looked at for nothing else.
func address(c *tree.Check, data tree.Node, key string) (up int64, ok bool) {
	s, ok := c.Text(data, key)
	if !ok {
		return 0, false
	}
	switch s {
	case "", "0.0.0.0", "::", "::/0":
		return 0, true
	}
	return 1, true
}

// lastError returns the value of WANLastError for the box's own word ("None",
// "RenewTimeout") or for that of TR-181, PPP.Interface.{i}.LastConnectionError
// ("ERROR_AUTHENTICATION_FAILURE").
func lastError(s string) int64 {
	for _, e := range []struct {
		part  string
		value int64
	}{
		{"timeout", errorTimeout},
		{"time_out", errorTimeout},
		{"auth", errorAuthentication},
		{"carrier", errorNoCarrier},
		{"no_answer", errorNoAnswer},
		{"noanswer", errorNoAnswer},
		{"isp_disconnect", errorServerRefused},
		{"refused", errorServerRefused},
		{"nak", errorServerRefused},
	} {
		if strings.Contains(s, e.part) {
			return e.value
		}
	}
	if s == "none" || s == "error_none" {
		return errorNone
	}
	return errorOther
}
