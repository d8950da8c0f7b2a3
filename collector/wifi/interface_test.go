package wifi

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/label"
)

func TestChannels(t *testing.T) {
	for _, tt := range []struct {
		mhz    uint32
		number int64
		band   int64
	}{
		{2412, 1, catalogue.Band2G4},
		{2437, 6, catalogue.Band2G4},
		{2472, 13, catalogue.Band2G4},
		{2484, 14, catalogue.Band2G4},
		{4920, 184, catalogue.Band5G},
		{5180, 36, catalogue.Band5G},
		{5500, 100, catalogue.Band5G},
		{5825, 165, catalogue.Band5G},
		{5885, 177, catalogue.Band5G},
		{5935, 2, catalogue.Band6G},
		{5955, 1, catalogue.Band6G},
		{6115, 33, catalogue.Band6G},
		{7115, 233, catalogue.Band6G},
		{58320, 1, catalogue.Band60G},
		{64800, 4, catalogue.Band60G},
		{69120, 6, catalogue.Band60G},

		{0, 0, catalogue.BandUnknown},
		{1, 0, catalogue.BandUnknown},
		{2407, 0, catalogue.BandUnknown},
		{2413, 0, catalogue.BandUnknown},
		{2477, 0, catalogue.BandUnknown},
		{5181, 0, catalogue.BandUnknown},
		{5925, 0, catalogue.BandUnknown},
		{7120, 0, catalogue.BandUnknown},
		{58321, 0, catalogue.BandUnknown},
		{math.MaxUint32, 0, catalogue.BandUnknown},
	} {
		if number, band := channel(tt.mhz); number != tt.number || band != tt.band {
			t.Errorf("channel(%d) = %d in band %d; want %d in %d", tt.mhz, number, band, tt.number, tt.band)
		}
	}
}

func TestWidths(t *testing.T) {
	for w, want := range []int64{20, 20, 40, 80, 160, 160, 5, 10, 1, 2, 4, 8, 16, 320, 0, 0} {
		if got := width(uint32(w)); got != want {
			t.Errorf("width(%d) = %d; want %d", w, got, want)
		}
	}
	if got := width(math.MaxUint32); got != 0 {
		t.Errorf("width of no known number = %d; want 0", got)
	}
}

func TestImpossiblePowerIsUnknown(t *testing.T) {
	for mbm, want := range map[int32]int32{
		2300: 2300, -1000: -1000, 5000: 5000, 1: 1,
		0: 0, 5001: 0, -3001: 0, math.MinInt32: 0, math.MaxInt32: 0,
	} {
		if got := power(mbm); got != want {
			t.Errorf("power(%d) = %d; want %d", mbm, got, want)
		}
	}
}

func TestImpossibleLevelIsUnknown(t *testing.T) {
	for v, want := range map[int8]bool{-1: true, -60: true, -127: true, -128: false, 0: false, 1: false, 127: false} {
		if level, ok := dbm(v); ok != want || ok && level != int64(v) {
			t.Errorf("dbm(%d) = %d, %t; want %t", v, level, ok, want)
		}
	}
}

func TestInterfaceThatTellsLess(t *testing.T) {
	whole := accessPoint(3, "phy0-ap0")
	want := netif{
		index: 3, radio: noRadio, kind: unix.NL80211_IFTYPE_AP,
		frequency: 5180, width: 80, power: 2300, name: "phy0-ap0", instance: "phy0-ap0",
	}
	for _, tt := range []struct {
		without uint16
		alter   func(*netif)
	}{
		{0, func(*netif) {}},
		{unix.NL80211_ATTR_WIPHY, func(*netif) {}},
		{unix.NL80211_ATTR_SSID, func(*netif) {}},
		{unix.NL80211_ATTR_IFINDEX, func(n *netif) { n.index = 0 }},
		{unix.NL80211_ATTR_IFNAME, func(n *netif) { n.name, n.instance = "", "#3" }},
		{unix.NL80211_ATTR_IFTYPE, func(n *netif) { n.kind = 0 }},
		{unix.NL80211_ATTR_WIPHY_FREQ, func(n *netif) { n.frequency = 0 }},
		{unix.NL80211_ATTR_CHANNEL_WIDTH, func(n *netif) { n.width = 0 }},
		{unix.NL80211_ATTR_WIPHY_TX_POWER_LEVEL, func(n *netif) { n.power = 0 }},
	} {
		// What was there before must not show through.
		got := netif{index: 9, phy: 9, radio: 9, kind: 9, frequency: 9, width: 9, power: 9, name: "old", phyName: "old", instance: "old"}
		want := want
		tt.alter(&want)
		if err := got.parse(whole.without(tt.without).encode(nil)); err != nil || got != want {
			t.Errorf("without %d: %+v, %v; want %+v", tt.without, got, err, want)
		}
	}
}

func TestRadioOfAnInterface(t *testing.T) {
	for _, tt := range []struct {
		name  string
		mask  any
		radio int
	}{
		{"kernel that does not tell", nil, noRadio},
		{"all", uint32(0), noRadio},
		{"several", uint32(7), noRadio},
		{"first", uint32(1), 0},
		{"third", uint32(4), 2},
	} {
		as := accessPoint(3, "phy0-ap0")
		if tt.mask != nil {
			as = as.with(attrRadioMask, tt.mask)
		}
		var n netif
		if err := n.parse(as.encode(nil)); err != nil || n.radio != tt.radio {
			t.Errorf("%s: radio %d, %v; want %d", tt.name, n.radio, err, tt.radio)
		}
	}
}

// Whatever is told, an interface has the name that was sent, and what it says
// of the channel is one that exists.
func FuzzInterface(f *testing.F) {
	f.Add(accessPoint(3, "phy0-ap0").encode(nil))
	f.Add(accessPoint(3, "wlan0").with(unix.NL80211_ATTR_WIPHY_NAME, "phy7").with(attrRadioMask, uint32(2)).encode(nil))
	f.Add(attributes{{unix.NL80211_ATTR_IFNAME, []byte{0, 0, 0}}, {unix.NL80211_ATTR_WIPHY_FREQ, uint32(math.MaxUint32)}}.encode(nil))
	f.Add(accessPoint(3, "wlx3c22fb5a0001").with(unix.NL80211_ATTR_WIPHY_NAME, "00.11.22.33.44").with(attrRadioMask, uint32(1<<12)).encode(nil))
	f.Add(attributes{{unix.NL80211_ATTR_IFINDEX, uint8(1)}}.encode(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		var n netif
		_ = n.parse(data)
		if n.name != "" && !bytes.Contains(data, []byte(strings.TrimRight(n.name, "\x00"))) {
			t.Fatalf("name %q was not sent", n.name)
		}
		if label.HasAddress(n.instance) || label.HasAddress(phyLabel(&n)) {
			t.Fatalf("%q and %q are reported", n.instance, phyLabel(&n))
		}
		number, band := channel(n.frequency)
		if number < 0 || number > 233 || (number == 0) != (band == catalogue.BandUnknown) {
			t.Fatalf("channel %d in band %d", number, band)
		}
		if n.width < 0 || n.width > 320 || n.power < -3000 || n.power > 5000 || n.radio < noRadio || n.radio > 31 {
			t.Fatalf("impossible interface %+v", n)
		}
	})
}
