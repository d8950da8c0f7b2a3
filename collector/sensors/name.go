package sensors

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/label"
)

// maxName bounds a sensor's name in bytes.
const maxName = 48

// kinds are what the files of hwmon begin with, in the order of their
// metrics.
var kinds = [...]struct {
	prefix string
	metric catalogue.ID
}{
	{"temp", catalogue.SensorTemperature},
	{"in", catalogue.SensorVoltage},
	{"curr", catalogue.SensorCurrent},
	{"power", catalogue.SensorPower},
	{"fan", catalogue.SensorFan},
}

// An attribute is a file of hwmon that holds a reading: "temp1_input".
type attribute struct {
	kind   int // place in kinds
	number int
}

// parseAttribute reads the name of a file; ok is false where it is no reading.
func parseAttribute(file string) (a attribute, ok bool) {
	stem, ok := strings.CutSuffix(file, "_input")
	if !ok {
		return attribute{}, false
	}
	for i, k := range kinds {
		digits, ok := strings.CutPrefix(stem, k.prefix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 16)
		if err != nil || strconv.FormatUint(n, 10) != digits {
			return attribute{}, false
		}
		return attribute{i, int(n)}, true
	}
	return attribute{}, false
}

// stem returns what the files of the attribute begin with: "temp1".
func (a attribute) stem() string { return kinds[a.kind].prefix + strconv.Itoa(a.number) }

// compare orders attributes by kind and number.
func (a attribute) compare(b attribute) int {
	if a.kind != b.kind {
		return a.kind - b.kind
	}
	return a.number - b.number
}

// absoluteZero is the lowest temperature there is, in millidegrees Celsius.
const absoluteZero = -273150

// believable says whether a sensor of the metric can have the value v. A
// radio's driver says 0 where the radio is off.
func believable(m catalogue.ID, v int64, radio bool) bool {
	switch m {
	case catalogue.SensorTemperature:
		return v >= absoluteZero && (v != 0 || !radio)
	case catalogue.SensorPower, catalogue.SensorFan:
		return v >= 0
	}
	return true
}

// clean returns s as a name may carry it: printable, of one line, no longer
// than max bytes.
func clean(s string, max int) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '_'
		}
		return r
	}, s)
	for len(s) > max {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}

// hasAddress says whether s holds a hardware address when it is a name: the
// battery of a Bluetooth device is a sensor of the box that has one in its.
func hasAddress(s string) bool { return label.HasAddress(clean(s, len(s))) }

// names gives every sensor a name of its own.
type names struct {
	// chips maps the name given to a chip to the device that has it. It lasts
	// for the run, so that a chip that is found again keeps its name.
	chips map[string]string
	// sensors are the names of this discovery.
	sensors map[sensorName]bool
}

type sensorName struct {
	metric catalogue.ID
	name   string
}

// maxChips bounds the names remembered: a device that comes back under another
// path each time would fill the memory otherwise.
const maxChips = 256

// chip returns the name of the chip called name that is the device at path.
func (n *names) chip(name, path string) string {
	if n.chips == nil || len(n.chips) >= maxChips {
		n.chips = map[string]string{}
	}
	device := path[strings.LastIndexByte(path, '/')+1:]
	try := name
	for i := 2; ; i++ {
		owner, taken := n.chips[try]
		if !taken || owner == path {
			n.chips[try] = path
			return try
		}
		try = name + "@" + device
		if i > 2 {
			try += "#" + strconv.Itoa(i-1)
		}
	}
}

// sensor returns the first of the choices that no sensor of the metric has,
// or the last one with a number.
func (n *names) sensor(m catalogue.ID, choices ...string) string {
	for i := 1; ; i++ {
		suffix := ""
		if i > len(choices) {
			suffix = "#" + strconv.Itoa(i-len(choices)+1)
		}
		name := clean(choices[min(i, len(choices))-1], maxName-len(suffix)) + suffix
		if !n.sensors[sensorName{m, name}] {
			n.sensors[sensorName{m, name}] = true
			return name
		}
	}
}
