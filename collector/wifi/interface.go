package wifi

import (
	"math/bits"

	"golang.org/x/sys/unix"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/label"
	"livebox-agent/collector/platform/kernel/netlink"
)

// attrRadioMask is NL80211_ATTR_VIF_RADIO_MASK (since Linux 6.13): the radios
// of its phy that an interface may use, 0 for all. It follows
// NL80211_ATTR_WIPHY_INTERFACE_COMBINATIONS in enum nl80211_attrs.
const attrRadioMask = unix.NL80211_ATTR_WIPHY_INTERFACE_COMBINATIONS + 1

// noRadio is the radio of an interface whose phy is one radio, or that is not
// bound to one.
const noRadio = -1

// A netif is what GET_INTERFACE tells of an interface. Its network's name is
// not read.
type netif struct {
	index uint32 // of the network device, 0 if it has none
	phy   uint32
	// radio is the number of the radio on a phy that has several.
	radio     int
	kind      uint32 // enum nl80211_iftype
	frequency uint32 // of the primary channel in MHz, 0 if unknown
	width     int64  // in MHz, 0 if unknown
	power     int32  // in mBm (0.01 dBm), 0 if unknown
	// name and phyName are as the kernel has them, empty if not told: they
	// must not be reported. instance is what the interface is reported as.
	name, phyName, instance string
}

// parse sets n to what the attributes of an NL80211_CMD_NEW_INTERFACE say.
func (n *netif) parse(attributes []byte) error {
	old := *n
	*n = netif{radio: noRadio}
	a := netlink.NewAttributes(attributes)
	for a.Next() {
		switch a.Type() {
		case unix.NL80211_ATTR_IFINDEX:
			n.index = a.Uint32()
		case unix.NL80211_ATTR_IFNAME:
			n.name = keep(old.name, a.Text())
		case unix.NL80211_ATTR_WIPHY:
			n.phy = a.Uint32()
		case unix.NL80211_ATTR_WIPHY_NAME:
			n.phyName = keep(old.phyName, a.Text())
		case attrRadioMask:
			if mask := a.Uint32(); bits.OnesCount32(mask) == 1 {
				n.radio = bits.TrailingZeros32(mask)
			}
		case unix.NL80211_ATTR_IFTYPE:
			n.kind = a.Uint32()
		case unix.NL80211_ATTR_WIPHY_FREQ:
			n.frequency = a.Uint32()
		case unix.NL80211_ATTR_CHANNEL_WIDTH:
			n.width = width(a.Uint32())
		case unix.NL80211_ATTR_WIPHY_TX_POWER_LEVEL:
			n.power = power(a.Int32())
		}
	}
	if n.name == old.name && n.index == old.index && old.instance != "" {
		n.instance = old.instance
	} else {
		n.instance = label.Interface(n.name, n.index)
	}
	return a.Err()
}

// keep returns old if it is what text says, so that the same name is not made
// again and again.
func keep(old string, text []byte) string {
	if string(text) == old {
		return old
	}
	return string(text)
}

// mayHaveStations says that the interface is a network device of a kind that
// has peers: not a monitor, and not the management end of P2P or NAN.
func (n *netif) mayHaveStations() bool {
	if n.index == 0 || n.name == "" {
		return false
	}
	switch n.kind {
	case unix.NL80211_IFTYPE_ADHOC, unix.NL80211_IFTYPE_STATION, unix.NL80211_IFTYPE_AP,
		unix.NL80211_IFTYPE_AP_VLAN, unix.NL80211_IFTYPE_WDS, unix.NL80211_IFTYPE_MESH_POINT,
		unix.NL80211_IFTYPE_P2P_CLIENT, unix.NL80211_IFTYPE_P2P_GO:
		return true
	}
	return false
}

// isAccessPoint says that stations associate with the interface.
func (n *netif) isAccessPoint() bool {
	return n.kind == unix.NL80211_IFTYPE_AP || n.kind == unix.NL80211_IFTYPE_P2P_GO
}

// channel returns the number and the band of the channel whose primary 20 MHz
// (2.16 GHz in the 60 GHz band) have their centre at mhz; 0 and BandUnknown
// for what is no channel (IEEE 802.11-2020, annex E, and 802.11ax for the
// 6 GHz band; ieee80211_freq_khz_to_channel of net/wireless/util.c).
func channel(mhz uint32) (number, band int64) {
	f := int64(mhz)
	switch {
	case f == 2484:
		return 14, catalogue.Band2G4
	case f >= 2412 && f <= 2472 && f%5 == 2:
		return (f - 2407) / 5, catalogue.Band2G4
	case f >= 4910 && f <= 4980 && f%5 == 0:
		return (f - 4000) / 5, catalogue.Band5G
	case f >= 5035 && f <= 5895 && f%5 == 0:
		return (f - 5000) / 5, catalogue.Band5G
	case f == 5935:
		return 2, catalogue.Band6G
	case f >= 5955 && f <= 7115 && f%5 == 0:
		return (f - 5950) / 5, catalogue.Band6G
	case f >= 58320 && f <= 69120 && (f-56160)%2160 == 0:
		return (f - 56160) / 2160, catalogue.Band60G
	}
	return 0, catalogue.BandUnknown
}

// width returns the MHz of an enum nl80211_chan_width, 0 for one that is not
// known.
func width(w uint32) int64 {
	switch w {
	case unix.NL80211_CHAN_WIDTH_20_NOHT, unix.NL80211_CHAN_WIDTH_20:
		return 20
	case unix.NL80211_CHAN_WIDTH_40:
		return 40
	case unix.NL80211_CHAN_WIDTH_80:
		return 80
	case unix.NL80211_CHAN_WIDTH_80P80, unix.NL80211_CHAN_WIDTH_160:
		return 160
	case unix.NL80211_CHAN_WIDTH_320:
		return 320
	case unix.NL80211_CHAN_WIDTH_5:
		return 5
	case unix.NL80211_CHAN_WIDTH_10:
		return 10
	case unix.NL80211_CHAN_WIDTH_1:
		return 1
	case unix.NL80211_CHAN_WIDTH_2:
		return 2
	case unix.NL80211_CHAN_WIDTH_4:
		return 4
	case unix.NL80211_CHAN_WIDTH_8:
		return 8
	case unix.NL80211_CHAN_WIDTH_16:
		return 16
	}
	return 0
}

// power returns a transmit power in mBm, 0 for one that no radio has. Zero
// itself is what mac80211 makes of a power that was never set (INT_MIN dBm
// times 100 in 32 bits), so a true 0 dBm, which access points do not use, is
// given up for it.
func power(mbm int32) int32 {
	if mbm < -3000 || mbm > 5000 {
		return 0
	}
	return mbm
}

// dbm returns a level in dBm as nl80211 has it in one byte. Drivers say 0 or
// -128 for what they did not measure, and no receiver measures above 0.
func dbm(v int8) (level int64, ok bool) { return int64(v), v < 0 && v > -128 }
