package sensors

import (
	"strings"
	"testing"
	"unicode/utf8"

	"livebox-agent/collector/catalogue"
)

func TestParseAttribute(t *testing.T) {
	for _, tt := range []struct {
		file string
		want attribute
		ok   bool
	}{
		{"temp1_input", attribute{0, 1}, true},
		{"in0_input", attribute{1, 0}, true},
		{"curr1_input", attribute{2, 1}, true},
		{"power2_input", attribute{3, 2}, true},
		{"fan12_input", attribute{4, 12}, true},
		{"temp1_label", attribute{}, false},
		{"temp1_max", attribute{}, false},
		{"temp_input", attribute{}, false},
		{"temp01_input", attribute{}, false},
		{"temp-1_input", attribute{}, false},
		{"temp+1_input", attribute{}, false},
		{"temp99999_input", attribute{}, false},
		{"humidity1_input", attribute{}, false},
		{"intrusion0_input", attribute{}, false},
		{"in0_input_highest", attribute{}, false},
		{"name", attribute{}, false},
		{"", attribute{}, false},
	} {
		if got, ok := parseAttribute(tt.file); got != tt.want || ok != tt.ok {
			t.Errorf("parseAttribute(%q) = %v, %v; want %v, %v", tt.file, got, ok, tt.want, tt.ok)
		}
	}
}

func TestBelievable(t *testing.T) {
	for _, tt := range []struct {
		name   string
		metric catalogue.ID
		value  int64
		radio  bool
		want   bool
	}{
		{"a warm board", catalogue.SensorTemperature, 48000, false, true},
		{"a frosty shed", catalogue.SensorTemperature, -21000, false, true},
		{"freezing point", catalogue.SensorTemperature, 0, false, true},
		{"a radio that is off", catalogue.SensorTemperature, 0, true, false},
		{"a radio that is on", catalogue.SensorTemperature, 61000, true, true},
		{"-274 of a radio", catalogue.SensorTemperature, -274000, true, false},
		{"-274 of anything", catalogue.SensorTemperature, -274000, false, false},
		{"a negative rail", catalogue.SensorVoltage, -12000, false, true},
		{"a rail that is off", catalogue.SensorVoltage, 0, false, true},
		{"no light", catalogue.SensorPower, 0, false, true},
		{"less than no light", catalogue.SensorPower, -1, false, false},
		{"a fan that stands", catalogue.SensorFan, 0, false, true},
		{"a fan that runs backwards", catalogue.SensorFan, -1, false, false},
		{"a current the other way", catalogue.SensorCurrent, -3, false, true},
	} {
		if got := believable(tt.metric, tt.value, tt.radio); got != tt.want {
			t.Errorf("%s: believable(%d) = %v; want %v", tt.name, tt.value, got, tt.want)
		}
	}
}

func TestNoNameHoldsAHardwareAddress(t *testing.T) {
	for name, want := range map[string]bool{
		"hid-0c:fc:18:e1:30:05-battery": true,
		"hidpp_0c_fc_18_e1_30_05":       true,
		"wacom 0C-FC-18-E1-30-05":       true,
		"0c:fc:18:e1:30:05":             true,
		"0c:fc:18:e1:30":                false,
		"sfp":                           false,
		"pch_cannonlake":                false,
		"/sys/devices/pci0000:00/0000:00:1f.6/0000:02:00.0": false,
		"lm75@1-0048":                      false,
		"hid-0cfc18e13005-battery":         true,
		"0c\x00fc\x0018\x00e1\x0030\x0005": true, // once it prints
		"0c\xfffc\xff18\xffe1\xff30\xff05": true,
		"":                                 false,
	} {
		if got := hasAddress(name); got != want {
			t.Errorf("hasAddress(%q) = %v; want %v", name, got, want)
		}
	}
}

func TestClean(t *testing.T) {
	for _, tt := range []struct {
		in   string
		max  int
		want string
	}{
		{"sfp", 48, "sfp"},
		{"TX power", 48, "TX power"},
		{"line\nbreak\x00", 48, "line_break_"},
		{"\xffbad", 48, "_bad"},
		{"température", 5, "temp"},
		{"température", 6, "tempé"},
		{"", 3, ""},
	} {
		if got := clean(tt.in, tt.max); got != tt.want {
			t.Errorf("clean(%q, %d) = %q; want %q", tt.in, tt.max, got, tt.want)
		}
	}
}

func TestNamesAreUnique(t *testing.T) {
	n := names{sensors: map[sensorName]bool{}}
	const m = catalogue.SensorTemperature
	for i, want := range []string{"a", "b", "b#2", "b#3"} {
		if got := n.sensor(m, "a", "b"); got != want {
			t.Errorf("sensor %d = %q; want %q", i, got, want)
		}
	}
	if got := n.sensor(catalogue.SensorVoltage, "a"); got != "a" {
		t.Errorf("sensor of another metric = %q; want a", got)
	}
	long := strings.Repeat("x", 100)
	for _, want := range []string{long[:maxName], long[:maxName-2] + "#2", long[:maxName-2] + "#3"} {
		if got := n.sensor(m, long); got != want {
			t.Errorf("long name = %q; want %q", got, want)
		}
	}
}

func TestChipKeepsItsName(t *testing.T) {
	var n names
	for _, tt := range []struct{ name, path, want string }{
		{"lm75", "/sys/i2c/1-0048", "lm75"},
		{"lm75", "/sys/i2c/1-0049", "lm75@1-0049"},
		{"lm75", "/sys/other/1-0049", "lm75@1-0049#2"},
		{"lm75", "/sys/third/1-0049", "lm75@1-0049#3"},
		{"lm75", "/sys/i2c/1-0049", "lm75@1-0049"},
		{"lm75", "/sys/i2c/1-0048", "lm75"},
		{"sfp", "/sys/sfp", "sfp"},
	} {
		if got := n.chip(tt.name, tt.path); got != tt.want {
			t.Errorf("chip(%q, %q) = %q; want %q", tt.name, tt.path, got, tt.want)
		}
	}
	for i := range 3 * maxChips {
		n.chip("usb", strings.Repeat("/x", i))
	}
	if len(n.chips) > maxChips {
		t.Errorf("%d names remembered; want at most %d", len(n.chips), maxChips)
	}
}

// Whatever the kernel's files are called and hold, a name is short, printable
// and holds no address, and no impossible value is believed.
func FuzzNames(f *testing.F) {
	f.Add("temp1_input", "VCC", int64(3300))
	f.Add("in0_input", "\xff\x00", int64(-274000))
	f.Add("fan12_input", "0c:fc:18:e1:30:05", int64(-1))
	f.Add("temp_input", strings.Repeat("é", 60), int64(0))
	f.Fuzz(func(t *testing.T, file, label string, value int64) {
		a, ok := parseAttribute(file)
		if !ok {
			return
		}
		if file != a.stem()+"_input" {
			t.Fatalf("parseAttribute(%q) = %q", file, a.stem())
		}
		m := kinds[a.kind].metric
		n := names{sensors: map[sensorName]bool{}}
		first, second := n.sensor(m, label), n.sensor(m, label)
		for _, name := range []string{first, second} {
			if len(name) > maxName || !utf8.ValidString(name) || strings.ContainsAny(name, "\n\x00") {
				t.Fatalf("sensor(%q) = %q", label, name)
			}
		}
		if first == second {
			t.Fatalf("sensor(%q) gave %q twice", label, first)
		}
		if believable(m, value, false) && m == catalogue.SensorTemperature && value < absoluteZero {
			t.Fatalf("believed %d m°C", value)
		}
	})
}
