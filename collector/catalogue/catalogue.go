package catalogue

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// VendorPrefix starts every name that TR-181 does not have (TR-106, vendor
// extensions).
const VendorPrefix = "X_LIVEBOX-AGENT_"

// An ID is the stable number of a metric, 1 to 65535, never reused.
type ID uint16

// A Kind says how the values of a metric behave over time.
type Kind uint8

// The kinds of metric.
const (
	// Gauge is a level that goes up and down.
	Gauge Kind = iota + 1
	// Counter is a total that never decreases during one run of the agent:
	// wraps of the box's own counter are unwrapped, its resets are continued.
	Counter
	// State is one of the few values that Metric.States names.
	State
)

// String returns the kind in lower case.
func (k Kind) String() string {
	switch k {
	case Gauge:
		return "gauge"
	case Counter:
		return "counter"
	case State:
		return "state"
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

// A Purpose is what the customer allows data to be used for. Each is granted
// by itself; none includes another.
type Purpose uint8

// The purposes of consent. The numbers travel on the wire.
const (
	// Essential is the operation and security of the subscribed service. It
	// is always granted.
	Essential Purpose = iota + 1
	// Support is help with the home's own network, in aggregate.
	Support
	// Personalised is advice for single devices, under pseudonyms.
	Personalised
	// Mobile is indoor coverage of mobile networks.
	Mobile
	// Research is richer data for a limited time.
	Research
)

// Purposes lists every purpose in the order of their numbers.
func Purposes() []Purpose {
	return []Purpose{Essential, Support, Personalised, Mobile, Research}
}

// String returns the purpose as the configuration spells it.
func (p Purpose) String() string {
	switch p {
	case Essential:
		return "essential"
	case Support:
		return "support"
	case Personalised:
		return "personalised"
	case Mobile:
		return "mobile"
	case Research:
		return "research"
	}
	return "purpose(" + strconv.Itoa(int(p)) + ")"
}

// ParsePurpose returns the purpose that the configuration spells s.
func ParsePurpose(s string) (Purpose, error) {
	for _, p := range Purposes() {
		if p.String() == s {
			return p, nil
		}
	}
	return 0, fmt.Errorf("unknown purpose %q", s)
}

// A Metric is one row of the catalogue.
//
// A reading is an integer v; it stands for v × 10^Exponent Unit.
type Metric struct {
	ID   ID
	Name string
	// Instance says what the instance label of a reading names ("interface",
	// "radio", …); empty where a box has the metric once.
	Instance string
	// Unit is the unit in UCUM's case-sensitive spelling ("By", "dB[mW]",
	// "Cel", "s"), "1" for a plain number.
	Unit     string
	Exponent int
	Kind     Kind
	// Resolution is the step of the value, in units of 10^Exponent, below
	// which a change is not worth a bit on the wire. It is at least 1.
	Resolution int64
	Purpose    Purpose
	// Interval is the default time between two readings.
	Interval time.Duration
	// States names the values of a State metric: value i is States[i].
	States      []string
	Description string
}

// Format returns the value v with its unit, as a person reads it.
func (m Metric) Format(v int64) string {
	if m.Kind == State && v >= 0 && v < int64(len(m.States)) {
		return m.States[v]
	}
	s := decimal(v, m.Exponent)
	if m.Unit == "1" {
		return s
	}
	return s + " " + m.Unit
}

// decimal writes v × 10^exp without rounding.
func decimal(v int64, exp int) string {
	s := strconv.FormatInt(v, 10)
	if exp >= 0 {
		if v == 0 {
			return s
		}
		return s + strings.Repeat("0", exp)
	}
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	if n := -exp; len(s) <= n {
		s = strings.Repeat("0", n-len(s)+1) + s
	}
	return sign + s[:len(s)+exp] + "." + s[len(s)+exp:]
}

// jsonMetric is a row as the backend loads it.
type jsonMetric struct {
	ID          ID       `json:"id"`
	Name        string   `json:"name"`
	Instance    string   `json:"instance,omitempty"`
	Unit        string   `json:"unit"`
	Exponent    int      `json:"exponent"`
	Kind        string   `json:"kind"`
	Resolution  int64    `json:"resolution"`
	Purpose     string   `json:"purpose"`
	IntervalMS  int64    `json:"interval_ms"`
	States      []string `json:"states,omitempty"`
	Description string   `json:"description"`
}

// MarshalJSON writes the row as the backend loads it: durations in
// milliseconds, kind and purpose by name.
func (m Metric) MarshalJSON() ([]byte, error) {
	return json.Marshal(jsonMetric{
		ID: m.ID, Name: m.Name, Instance: m.Instance, Unit: m.Unit,
		Exponent: m.Exponent, Kind: m.Kind.String(), Resolution: m.Resolution,
		Purpose: m.Purpose.String(), IntervalMS: m.Interval.Milliseconds(),
		States: m.States, Description: m.Description,
	})
}

// All returns every metric in ascending order of ID. The slice is shared: it
// must not be changed.
func All() []Metric { return metrics }

// byID maps each ID to its row's index in metrics plus one.
var byID = sync.OnceValue(func() []uint16 {
	ix := make([]uint16, metrics[len(metrics)-1].ID+1)
	for i, m := range metrics {
		ix[m.ID] = uint16(i + 1)
	}
	return ix
})

// Lookup returns the row of id; ok is false for a number this catalogue does
// not have.
func Lookup(id ID) (m Metric, ok bool) {
	ix := byID()
	if int(id) >= len(ix) || ix[id] == 0 {
		return Metric{}, false
	}
	return metrics[ix[id]-1], true
}

// Hash identifies this catalogue in every report: the first four bytes, big
// endian, of the SHA-256 of its JSON.
var Hash = sync.OnceValue(func() uint32 {
	b, err := json.Marshal(metrics)
	if err != nil {
		panic("BUG: catalogue does not marshal: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return binary.BigEndian.Uint32(sum[:4])
})
