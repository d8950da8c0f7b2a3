package label_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"livebox-agent/collector/label"
)

func TestNoLabelHoldsAHardwareAddress(t *testing.T) {
	for name, want := range map[string]bool{
		"enx001122334455":               true,
		"wlx3c22fb5a0001":               true,
		"wlX3C22FB5A0001":               true,
		"001122334455":                  true,
		"br001122334455a":               true,
		"0011223344556677":              true, // an EUI-64
		"0011.2233.4455":                true,
		"0011-2233-4455":                true,
		"001122-334455":                 true,
		"001122_334455":                 true,
		"00:11:22:33:44:55":             true,
		"00-11:22_33.44-55":             true,
		"hid-0c:fc:18:e1:30:05-battery": true,
		"hidpp_0c_fc_18_e1_30_05":       true,
		"wacom 0C-FC-18-E1-30-05":       true,

		"":                    false,
		"eth0":                false,
		"phy0-ap0":            false,
		"br-lan":              false,
		"enp0s31f6":           false,
		"vap5g0priv":          false,
		"enx00112233445":      false,
		"0c:fc:18:e1:30":      false,
		"00:11:22::33:44:55":  false,
		"001122/334455":       false,
		"00112233445g":        false,
		"pch_cannonlake":      false,
		"lm75@1-0048":         false,
		"f1072004.mdio-mii":   false,
		"0003:046D:C52B.0001": false,
		"/devices/pci0000:00/0000:00:1f.6/0000:02:00.0":       false,
		"/devices/platform/axi/1000120000.pcie/1f00110000.i2": false,
	} {
		if got := label.HasAddress(name); got != want {
			t.Errorf("HasAddress(%q) = %t; want %t", name, got, want)
		}
		if got := label.HasAddress(label.Interface(name, 1<<32-1)); got {
			t.Errorf("the label of %q has an address", name)
		}
	}
}

func TestInterface(t *testing.T) {
	for name, want := range map[string]string{
		"eth0":            "eth0",
		"réseau":          "réseau",
		"eth0.100":        "eth0.100",
		"enx001122334455": "#7",
		"wlx3c22fb5a0001": "#7",
		"":                "#7",
		"#3":              "#7",
		"a\x01b":          "#7",
		"\xff\xfe":        "#7",
		"a\u202eb":        "#7",
	} {
		if got := label.Interface(name, 7); got != want {
			t.Errorf("Interface(%q, 7) = %q; want %q", name, got, want)
		}
	}
	if got := label.Interface("enx001122334455", 1<<32-1); got != "#4294967295" {
		t.Errorf("the largest index gives %q", got)
	}
}

func TestTwoInterfacesHaveTwoLabels(t *testing.T) {
	seen := map[string]bool{}
	for index, name := range []string{"eth0", "eth1", "enx001122334455", "enx001122334456", "#2", "#3", "\x01", "\x02"} {
		got := label.Interface(name, uint32(index))
		if seen[got] {
			t.Errorf("%q is the label of %q and of another", got, name)
		}
		seen[got] = true
	}
}

func TestNameThatStandsAllocatesNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { label.Interface("vap5g0priv", 7) }); n != 0 {
		t.Errorf("%v allocations; want 0", n)
	}
}

// The same forms, told another way.
var address = regexp.MustCompile(`(?i)[0-9a-f]{12}|([0-9a-f]{2}[-:_.]){5}[0-9a-f]{2}|([0-9a-f]{4}[-_.]){2}[0-9a-f]{4}|[0-9a-f]{6}[-:_.][0-9a-f]{6}`)

// Whatever an interface is called, its label holds no address and prints, and
// a name that may stand does.
func FuzzInterface(f *testing.F) {
	for _, name := range []string{
		"eth0", "enx001122334455", "wlx3C22FB5A0001", "0011.2233.4455", "001122-334455",
		"00:11:22:33:44:55", "enx00112233445", "#5", "\xff", "a\n", "é001122334455",
	} {
		f.Add(name, uint32(5), uint32(6))
	}
	f.Fuzz(func(t *testing.T, name string, index, other uint32) {
		has := address.MatchString(name)
		if got := label.HasAddress(name); got != has {
			t.Fatalf("HasAddress(%q) = %t; want %t", name, got, has)
		}
		got := label.Interface(name, index)
		if address.MatchString(got) || label.HasAddress(got) {
			t.Fatalf("Interface(%q) = %q holds an address", name, got)
		}
		if got == "" || !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("Interface(%q) = %q does not print", name, got)
		}
		if got != name && (got[0] != '#' || other != index && label.Interface(name, other) == got) {
			t.Fatalf("Interface(%q, %d) = %q", name, index, got)
		}
	})
}
