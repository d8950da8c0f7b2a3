package wan

import (
	"context"
	"fmt"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform"
	"livebox-agent/collector/platform/sysbus"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
)

const (
	interval = time.Minute
	// timeout leaves room for one slow reply of a Livebox (25 s) and what
	// waits before it, and ends before the next round.
	timeout = 55 * time.Second
)

// instance names the connection. What a box knows of IPv6 apart from it is
// said under instance6, as OpenWrt calls it, and of a modem that stands by for
// it under instanceBackup.
const (
	instance       = "wan"
	instance6      = "wan6"
	instanceBackup = "backup"
)

// Name is that of the source that reads the state of the connection.
const Name = "wan"

// Metered tells from readings of that source whether the connection runs over a
// mobile network, and whether they tell.
func Metered(b *sample.Batch) (metered, known bool) {
	var up, cellular, backup bool
	for _, r := range b.Readings {
		switch {
		case r.Metric == catalogue.WANStatus && r.Instance == instance:
			up, known = r.Value == catalogue.PortStatusUp, true
		case r.Metric == catalogue.WANStatus && r.Instance == instanceBackup:
			backup = r.Value == catalogue.PortStatusUp
		case r.Metric == catalogue.WANLinkType && r.Instance == instance:
			cellular = r.Value == linkCellular
		}
	}
	if up {
		return cellular, true
	}
	return backup, known
}

// Sysbus asks a Livebox, as *sysbus.Client does.
type Sysbus interface {
	Call(ctx context.Context, object, method string, params any) (tree.Node, error)
	Box(ctx context.Context) (sysbus.Box, error)
}

// A Config says how the box can be asked. What is nil is not there.
type Config struct {
	Sysbus Sysbus
	// Ubus is asked where there is no Sysbus, or none that answers.
	Ubus Ubus
}

// Source is the source wan.
type Source struct {
	sysbus Sysbus
	ubus   Ubus
}

// New returns the source wan.
func New(c Config) *Source { return &Source{sysbus: c.Sysbus, ubus: c.Ubus} }

// Describe implements collector.Source.
func (s *Source) Describe() collector.Description {
	metrics := statusMetrics()
	if s.ubus != nil {
		metrics = ubusMetrics()
	}
	return collector.Description{
		Name: Name, Purpose: catalogue.Essential, Interval: interval, Timeout: timeout, Metrics: metrics,
	}
}

// Collect implements collector.Source.
func (s *Source) Collect(ctx context.Context, b *sample.Batch) error {
	err := fmt.Errorf("no way to ask for the connection: %w", collector.ErrNoData)
	if s.sysbus != nil {
		if err = s.askSysbus(ctx, b); !absent(err) {
			return err
		}
	}
	if s.ubus != nil {
		if next := s.askUbus(ctx, b); !absent(next) || s.sysbus == nil {
			return next
		}
	}
	return err
}

// Decoders lists what reads the replies of each platform.
func Decoders() []platform.Decoder {
	return append(ubusDecoders(), []platform.Decoder{
		{
			Name: "wan.status", Platform: platform.Sysbus, Object: "NMC", Method: "getWANStatus",
			Metrics: statusMetrics(),
			Decode:  func(n tree.Node, _ platform.Hint, b *sample.Batch) error { return decodeStatus(n, b) },
		},
		{
			Name: "wan.mode", Platform: platform.Sysbus, Object: "NMC", Method: "get",
			Metrics: []catalogue.ID{catalogue.WANLinkType, catalogue.WANProtocol},
			Decode:  func(n tree.Node, _ platform.Hint, b *sample.Batch) error { return decodeMode(n, b) },
		},
		{
			Name: "wan.stats", Platform: platform.Sysbus, Object: "NeMo.Intf.*", Method: "getNetDevStats",
			Metrics: trafficMetrics(),
			Decode:  func(n tree.Node, _ platform.Hint, b *sample.Batch) error { return decodeStats(n, b) },
		},
	}...)
}
