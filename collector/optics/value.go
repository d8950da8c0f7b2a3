package optics

import (
	"fmt"
	"strings"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
)

// What a module can have, in the unit of the metric. Anything else is one of
// the values with which a box says that there is none: -274 °C, 0 V, the least
// number that fits its type for a logarithm of nothing.
const (
	minPower       = -40_000 // one step of the register, 0.1 µW
	maxPower       = 20_000  // 0.1 W, which no module sends
	minTemperature = -50_000
	maxTemperature = 150_000
	minVoltage     = 20_000 // modules run on 3.3 V
	maxVoltage     = 50_000
	maxBias        = 1_000_000 // µA
	minRate        = 100_000   // kbit/s; the slowest PON has 155 Mbit/s
	maxRate        = 1_000_000_000
)

// A module is where readings of one module go.
type module struct {
	port string
	b    *sample.Batch
}

// gauge adds v if it is known and in the range of least to most.
func (m module) gauge(id catalogue.ID, v int64, known bool, least, most int64) {
	if known && v >= least && v <= most {
		m.b.Add(id, m.port, v)
	}
}

// power adds a power of 0.001 dBm.
func (m module) power(id catalogue.ID, v int64, known bool) {
	m.gauge(id, v, known, minPower, maxPower)
}

// flag adds a state of no or yes.
func (m module) flag(id catalogue.ID, set bool) {
	v := int64(0)
	if set {
		v = 1
	}
	m.b.Add(id, m.port, v)
}

// object returns the object below key. That it is missing, or that there is
// nothing in it, is collector.ErrNoData; anything else than an object is
// tree.ErrMalformed.
func object(n tree.Node, key string) (tree.Node, error) {
	below := n.Get(key)
	set, isBool := below.Bool()
	switch {
	case below.IsObject() && below.Len() > 0:
		return below, nil
	case n.IsObject() && (below.Len() == 0 && (below.IsObject() || below.IsList()) || !below.Exists() || isBool && !set):
		return tree.Node{}, fmt.Errorf("nothing at %s: %w", key, collector.ErrNoData)
	}
	return tree.Node{}, fmt.Errorf("read %s: no object: %w", key, tree.ErrMalformed)
}

// plain says whether name may go into an instance: the name of an interface,
// which is too short for a hardware address.
func plain(name string) bool {
	return name != "" && len(name) <= 11 && strings.IndexFunc(name, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("_.@-", c)
	}) < 0
}
