package wan

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/sysbus"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
)

const (
	// trafficInterval is short enough for one wrap of 2^32 bytes at most at
	// 2.5 Gbit/s.
	trafficInterval = 10 * time.Second
	// linkTypeFor is how long it is believed what the connection runs over.
	linkTypeFor = 10 * time.Minute
	// maxFrame is the most bytes that one packet counts for: Ethernet's 1500
	// with what PON and VLANs put around it, and room.
	maxFrame = 1600
	// maxPacketRate is the most packets a second that are believed: 64-byte
	// frames at 10 Gbit/s.
	maxPacketRate = 15_000_000
)

func trafficMetrics() []catalogue.ID {
	return []catalogue.ID{
		catalogue.PortBytesReceived, catalogue.PortBytesSent,
		catalogue.PortPacketsReceived, catalogue.PortPacketsSent,
	}
}

// counts are the counters of one reply of getNetDevStats.
type counts struct {
	value   [numCounts]uint64
	present [numCounts]bool
}

// Indices of counts, in the order of trafficMetrics.
const (
	rxBytes = iota
	txBytes
	rxPackets
	txPackets
	numCounts
)

// readCounts reads the reply of getNetDevStats.
func readCounts(n tree.Node) (counts, error) {
	var got counts
	status := n.Get("status")
	if !status.IsObject() {
		if status.Exists() {
			return got, fmt.Errorf("getNetDevStats: status: %w", tree.ErrMalformed)
		}
		return got, fmt.Errorf("getNetDevStats without status: %w", collector.ErrNoData)
	}
	var c tree.Check
	for i, key := range [numCounts]string{"RxBytes", "TxBytes", "RxPackets", "TxPackets"} {
		got.value[i], got.present[i] = c.Uint(status, key)
		if got.value[i] > math.MaxInt64 {
			c.Bad(key)
			got.present[i] = false
		}
	}
	if err := c.Err(); err != nil {
		return got, fmt.Errorf("getNetDevStats: %w", err)
	}
	if got.present == [numCounts]bool{} {
		return got, fmt.Errorf("getNetDevStats without counters: %w", collector.ErrNoData)
	}
	return got, nil
}

// decodeStats adds the counters of one reply of getNetDevStats, as they are,
// to b.
func decodeStats(n tree.Node, b *sample.Batch) error {
	got, err := readCounts(n)
	for i, m := range trafficMetrics() {
		if got.present[i] {
			b.Add(m, instance, int64(got.value[i]))
		}
	}
	return err
}

// Traffic is the source traffic for a box whose kernel cannot be asked: what
// the interface towards the network carried.
type Traffic struct {
	sysbus Sysbus

	// linkType is what the connection runs over, believed until the time
	// believed.
	linkType int64
	believed time.Duration
	// totals are kept for each interface, so that they go on when the
	// connection moves from one to another and back.
	totals map[string]*totals
}

// maxTotals bounds the interfaces remembered.
const maxTotals = 16

// NewTraffic returns the source traffic. It has the name of the one in package
// netdev, which is the better one where the agent runs on the box itself.
func NewTraffic(c Config) *Traffic { return &Traffic{sysbus: c.Sysbus, totals: map[string]*totals{}} }

// Describe implements collector.Source.
func (s *Traffic) Describe() collector.Description {
	return collector.Description{
		Name: "traffic", Purpose: catalogue.Support, Interval: trafficInterval, Timeout: timeout,
		Metrics: trafficMetrics(),
	}
}

// Collect implements collector.Source.
func (s *Traffic) Collect(ctx context.Context, b *sample.Batch) error {
	if s.sysbus == nil {
		return fmt.Errorf("no way to ask for traffic: %w", collector.ErrNoData)
	}
	box, err := s.sysbus.Box(ctx)
	if err != nil {
		return err
	}
	if err := s.learnLinkType(ctx, b.At); err != nil {
		return err
	}
	err = fmt.Errorf("no interface towards the network: %w", collector.ErrNoData)
	for _, name := range candidates(box, s.linkType) {
		var n tree.Node
		if n, err = s.sysbus.Call(ctx, "NeMo.Intf."+name, "getNetDevStats", nil); absent(err) {
			continue
		}
		if err != nil {
			return err
		}
		got, err := readCounts(n)
		return errors.Join(err, s.of(name).add(got, name, b))
	}
	// Perhaps it runs over something else by now.
	s.believed = 0
	return err
}

// learnLinkType asks what the connection runs over, now and then.
func (s *Traffic) learnLinkType(ctx context.Context, now time.Duration) error {
	if s.believed != 0 && now < s.believed {
		return nil
	}
	n, err := s.sysbus.Call(ctx, "NMC", "getWANStatus", nil)
	if err != nil && !absent(err) {
		return err
	}
	var c tree.Check
	word, _ := word(&c, n, "data", "LinkType")
	s.linkType, s.believed = linkType(word), now+linkTypeFor
	return nil
}

// candidates returns the interfaces that the connection may run over. Those of
// another kind are not among them: the port for Ethernet may be one of the
// home network meanwhile.
func candidates(box sysbus.Box, link int64) []string {
	switch link {
	case linkPON:
		return named(box.PON)
	case linkDSL:
		return named(box.DSL)
	case linkUnknown:
		return box.WAN[:min(1, len(box.WAN))]
	}
	return slices.DeleteFunc(slices.Clone(box.WAN), func(name string) bool { return name == box.PON || name == box.DSL })
}

func named(name string) []string {
	if name == "" {
		return nil
	}
	return []string{name}
}

// of returns the totals of the interface called name.
func (s *Traffic) of(name string) *totals {
	t := s.totals[name]
	if t == nil {
		if len(s.totals) == maxTotals {
			clear(s.totals)
		}
		t = &totals{}
		s.totals[name] = t
	}
	return t
}
