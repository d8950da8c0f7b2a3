package netdev

import (
	"context"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/kernel/netlink"
	"livebox-agent/collector/sample"
)

const (
	interval = 10 * time.Second
	timeout  = 3 * time.Second
)

// A Config says where the interfaces are. The zero Config is the kernel that
// the program runs on.
type Config struct {
	// Sys is where sysfs is mounted; empty means /sys.
	Sys string
	// Ports are interfaces that count as ports for Links although software makes
	// them: some switches show theirs as VLANs.
	Ports []string
	// Dial opens a route netlink socket; nil opens one to the kernel. It is
	// called again after the connection broke.
	Dial func() (Conn, error)
	// Subscribe opens a route netlink socket on which the kernel tells of
	// links; nil opens one to the kernel.
	Subscribe func() (*netlink.Feed, error)
	// Now gives the time since the kernel booted; nil: the kernel's.
	Now func() time.Duration
}

// Ports is the source ports: the state of each interface, its speed, and its
// errors.
type Ports struct {
	sys   string
	table *table
}

// NewPorts returns the source ports.
func NewPorts(c Config) *Ports {
	if c.Sys == "" {
		c.Sys = "/sys"
	}
	return &Ports{sys: c.Sys, table: newTable(c.Dial)}
}

// Describe implements collector.Source.
func (s *Ports) Describe() collector.Description {
	return collector.Description{
		Name: "ports", Purpose: catalogue.Essential, Interval: interval, Timeout: timeout,
		Metrics: []catalogue.ID{
			catalogue.PortStatus, catalogue.PortCarrier, catalogue.PortCarrierUps, catalogue.PortCarrierDowns,
			catalogue.PortBitRate, catalogue.PortDuplex, catalogue.PortErrorsReceived, catalogue.PortErrorsSent,
			catalogue.PortDropsReceived, catalogue.PortDropsSent, catalogue.PortCRCErrors, catalogue.PortCounterResets,
		},
	}
}

// Collect implements collector.Source.
func (s *Ports) Collect(ctx context.Context, b *sample.Batch) error {
	err := s.table.read(ctx)
	for _, p := range s.table.present {
		s.add(b, p)
	}
	return err
}

func (s *Ports) add(b *sample.Batch, p *port) {
	l := &p.link
	b.Add(catalogue.PortStatus, p.instance, l.status())
	carrier := int64(0)
	if l.carrier() {
		carrier = 1
	}
	b.Add(catalogue.PortCarrier, p.instance, carrier)
	if l.hasUps {
		b.Add(catalogue.PortCarrierUps, p.instance, p.upTotal)
	}
	if l.hasDowns {
		b.Add(catalogue.PortCarrierDowns, p.instance, p.downTotal)
	}
	mbits, duplex := p.negotiated.read(s.sys, p)
	if mbits > 0 {
		b.Add(catalogue.PortBitRate, p.instance, mbits)
	}
	if duplex != catalogue.DuplexUnknown {
		b.Add(catalogue.PortDuplex, p.instance, duplex)
	}
	if !l.hasStats {
		return
	}
	b.Add(catalogue.PortErrorsReceived, p.instance, p.totals[rxErrors])
	b.Add(catalogue.PortErrorsSent, p.instance, p.totals[txErrors])
	b.Add(catalogue.PortDropsReceived, p.instance, p.totals[rxDropped])
	b.Add(catalogue.PortDropsSent, p.instance, p.totals[txDropped])
	b.Add(catalogue.PortCRCErrors, p.instance, p.totals[rxCRCErrors])
	b.Add(catalogue.PortCounterResets, p.instance, p.resets)
}

// Close gives up the socket and the files. It must not be called during
// Collect; a later Collect opens them again.
func (s *Ports) Close() error {
	for _, p := range s.table.ports {
		p.negotiated.close()
	}
	return s.table.close()
}

// Traffic is the source traffic: what each interface carried.
type Traffic struct{ table *table }

// NewTraffic returns the source traffic.
func NewTraffic(c Config) *Traffic { return &Traffic{table: newTable(c.Dial)} }

// Describe implements collector.Source.
func (s *Traffic) Describe() collector.Description {
	return collector.Description{
		Name: "traffic", Purpose: catalogue.Support, Interval: interval, Timeout: timeout,
		Metrics: []catalogue.ID{
			catalogue.PortBytesReceived, catalogue.PortBytesSent,
			catalogue.PortPacketsReceived, catalogue.PortPacketsSent,
		},
	}
}

// Collect implements collector.Source.
func (s *Traffic) Collect(ctx context.Context, b *sample.Batch) error {
	err := s.table.read(ctx)
	for _, p := range s.table.present {
		if !p.link.hasStats {
			continue
		}
		b.Add(catalogue.PortBytesReceived, p.instance, p.totals[rxBytes])
		b.Add(catalogue.PortBytesSent, p.instance, p.totals[txBytes])
		b.Add(catalogue.PortPacketsReceived, p.instance, p.totals[rxPackets])
		b.Add(catalogue.PortPacketsSent, p.instance, p.totals[txPackets])
	}
	return err
}

// Close gives up the socket. It must not be called during Collect; a later
// Collect opens it again.
func (s *Traffic) Close() error { return s.table.close() }
