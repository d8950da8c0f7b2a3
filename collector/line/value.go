package line

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
)

// Values of LineStatus, in the order of its States (TR-181
// DSL.Line.{i}.LinkStatus).
const (
	statusUnknown = iota
	statusUp
	statusInitializing
	statusEstablishingLink
	statusNoSignal
	statusDisabled
	statusError
)

// What a line can have, in the unit of the metric; anything else is one of the
// values with which modems say that they do not know. The ranges are those of
// ITU-T G.997.1, whose special values lie just beyond them: -64.1 dB of margin,
// 127.1 dB of attenuation, -51.2 dBm of power.
const (
	maxRate        = 10_000_000 // kbit/s: ten times the fastest that copper has
	minMargin      = -640
	maxMargin      = 630
	maxAttenuation = 1270
	maxPower       = 310 // either sign
	maxLength      = 1280
	maxTime        = 100 * 365 * 24 * 3600
)

// notAvailable is TR-181's word for a counter that the modem does not have.
const notAvailable = math.MaxUint32

// A reply is one reply being read for one line.
type reply struct {
	check *tree.Check
	line  string
	b     *sample.Batch
}

// gauge adds v if it is known and in the range of least to most.
func (r reply) gauge(m catalogue.ID, v int64, known bool, least, most int64) {
	if known && v >= least && v <= most {
		r.b.Add(m, r.line, v)
	}
}

// A field is a value of a reply and the metric that it gives.
type field struct {
	key    string
	metric catalogue.ID
}

func metricsOf(fields []field) []catalogue.ID {
	ids := make([]catalogue.ID, len(fields))
	for i, f := range fields {
		ids[i] = f.metric
	}
	return ids
}

// below returns what is below key, and counts what is there but no object.
func (r reply) below(n tree.Node, key string) tree.Node {
	n = n.Get(key)
	if n.Exists() && !n.IsObject() {
		r.check.Bad(key)
	}
	return n
}

// counters adds the counters that n has.
func (r reply) counters(n tree.Node, fields []field) {
	for _, f := range fields {
		v, known := r.check.Int(n, f.key)
		if v < 0 && v >= math.MinInt32 {
			// 32 bits without a sign that were printed with one.
			v += 1 << 32
		}
		if !known || v == notAvailable {
			continue
		}
		if v < 0 {
			r.check.Bad(f.key)
			continue
		}
		r.b.Add(f.metric, r.line, v)
	}
}

// profile adds the profile that the box calls text. One that the catalogue
// does not have is Unknown; none at all, as on ADSL, is absent.
func (r reply) profile(text string, known bool) {
	if !known || text == "" {
		return
	}
	if strings.HasSuffix(text, "BrcmPriv1") {
		text = "35b" // the modem maker's name from before the standard's
	}
	r.b.Add(catalogue.LineProfile, r.line, max(index(catalogue.LineProfile, text), 0))
}

// standard adds the standard that the box calls text, such as
// "G.993.2_Annex_B" or "G.992.5".
func (r reply) standard(text string, known bool) {
	if !known || text == "" {
		return
	}
	name, _, _ := strings.Cut(text, "_")
	if name == "G.9701" {
		name = "G.9700" // G.fast is both: its spectrum and its line
	}
	r.b.Add(catalogue.LineStandard, r.line, max(index(catalogue.LineStandard, name), 0))
}

// index returns the value of the state that the catalogue calls name, -1 where
// there is none.
func index(m catalogue.ID, name string) int64 {
	row, _ := catalogue.Lookup(m)
	return int64(slices.IndexFunc(row.States, func(s string) bool { return strings.EqualFold(s, name) }))
}

// object returns the object below key. That it is missing, or that there is
// nothing in it, is collector.ErrNoData; anything else than an object is
// tree.ErrMalformed.
func object(n tree.Node, key string) (tree.Node, error) {
	below := n.Get(key)
	off, isBool := below.Bool()
	switch {
	case below.IsObject() && below.Len() > 0:
		return below, nil
	case n.IsObject() && (below.Len() == 0 && (below.IsObject() || below.IsList()) || !below.Exists() || isBool && !off):
		return tree.Node{}, fmt.Errorf("nothing at %s: %w", key, collector.ErrNoData)
	}
	return tree.Node{}, fmt.Errorf("read %s: no object: %w", key, tree.ErrMalformed)
}

// plain says whether name may go into an instance: the name of an interface,
// which is too short for a hardware address.
func plain(name string) bool {
	return name != "" && len(name) <= 11 && strings.IndexFunc(name, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_'
	}) < 0
}
