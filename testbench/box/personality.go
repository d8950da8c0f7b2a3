package box

import (
	"maps"
	"slices"
	"strings"
)

// Kinds of a box's line to the network.
const (
	wanDSL = "dsl"  // a modem of its own
	wanSFP = "SFP"  // an optical module with a bus of its own (Livebox 4)
	wanPON = "gpon" // optics on the board
	wanEth = "eth"  // a port
)

// A personality is what tells one kind of box from another and does not
// change while it runs.
type personality struct {
	// openwrt says that this is no Livebox: it has ubus and no web service.
	openwrt bool
	// prpl says that it has the objects of TR-181 on ubus, too.
	prpl bool
	// device is what DeviceInfo says and what does not follow from the rest.
	manufacturer, oui, modelName, productClass string
	hardware, software, rescue, additional     string
	bootloader, url                            string
	reboots                                    int
	// standby says that DeviceInfo knows StandbyOccurred, bom that it has
	// BOMIdentifier.
	standby, bom bool

	// wan is the kind of line, wanIntf the interface of it.
	wan, wanIntf string
	vdsl         bool
	// idleDSL is the interface of a modem that has no line.
	idleDSL string
	pon     ponSpec
	modes   string
	mode    string
	// ipv6 says that NMC.getWANStatus has the fields of IPv6, delegated that
	// it has the prefix, address6 that it has the address.
	ipv6, delegated, address6 bool
	offer, runMode            bool

	// family is the skeleton of what Wi-Fi tells.
	family string
	radios []radioSpec
	lan    []lanSpec
	ports  []string
	// aliases says that HomeLan tells an Alias, records how many measures it
	// keeps.
	aliases bool
	records int

	// wide says that interface counters have 64 bits.
	wide bool
	// generic says that the radio's own counters stay at zero.
	generic bool
	// byIndex says that stations are listed by number, not by address.
	byIndex bool
	// micro says that the stations' times have microseconds.
	micro bool
	// widthEnum says that the stations' widths are numbers of a list.
	widthEnum bool
	// wholeNoise says that NoiseByChain has no decimals.
	wholeNoise bool
	// oneError says that an error is told as one object, not as a list.
	oneError bool
}

// A ponSpec is what a box with optics on the board says of them.
type ponSpec struct {
	// milliamps says that Bias is in mA, not in µA.
	milliamps bool
	// old is the list of fields of Livebox 5: no mode, no thresholds, and
	// ONUState for OnuState.
	old bool
	// wanMode says that the list ends with WanMode.
	wanMode bool
	// rx and tx are registers of 0.1 µW, voltage one of 0.1 mV, bias one of
	// 2 µA.
	rx, tx, voltage, bias int
	celsius               int
	maxBitRate            int
	onuID                 int
	down, up              int // kbit/s
	// thresholds in 0.001 dBm: receive low and high, transmit low and high.
	thresholds               [4]int
	vendor, equipment, board string
	firmware                 [2]string
	vlans                    string
	product                  int
}

// A radioSpec is one radio and its networks.
type radioSpec struct {
	name, band, vendor, driver string
	index                      int
	// vaps are the names of the private networks, the first one in use.
	vaps []string
	// guests are names of networks that only base tells.
	guests         []string
	channel, width int
	inUse          string
	possible       string
	supported      string
	standard       string
	noise, load    int
	interference   int
	maxBitRate     int
	celsius        int
	chains         int
	flags          string
	vapFlags       string
	bridges        []string
}

// A lanSpec is one entry of HomeLan.
type lanSpec struct{ key, friendly, name, alias string }

// Models returns the names that Config.Model takes, in order.
func Models() []string { return slices.Sorted(maps.Keys(models())) }

func models() map[string]*personality {
	m := map[string]*personality{
		"livebox3":     livebox3(),
		"livebox4":     livebox4(),
		"livebox4-sfp": livebox4SFP(),
		"livebox5":     livebox5(),
		"livebox6":     livebox6(),
		"livebox7":     livebox7(),
		"liveboxW7":    liveboxW7(),
		"liveboxS":     liveboxS(),
		"openwrt":      openwrt(),
		"openwrt-sfp":  openwrtSFP(),
		"prplos":       prplOS(),
	}
	return m
}

// The names of Wi-Fi on the older boxes.
const (
	channels24 = "1,2,3,4,5,6,7,8,9,10,11,12,13"
	channels5  = "36,40,44,48,52,56,60,64,100,104,108,112,116,120,124,128,132,136,140"
	oldVap     = "wlanvap penable netdev statmon enabled netdev-bound netdev-up inbridge wlanvap-bound wlansta up"
)

func livebox3() *personality {
	return &personality{
		manufacturer: "Sagemcom", oui: "A43E51", modelName: "SagemcomFast3965_LB2.8", productClass: "Livebox 3",
		hardware: "SG_LB3_1.2.4", software: "SG30_sip-fr-7.52.10.1", rescue: "SG30_sip-fr-7.51.0.1",
		additional: "g6-f-sip-fr", url: "http://www.sagemcom.com/", reboots: 1,
		wan: wanDSL, wanIntf: "dsl0",
		modes: "DSL_PPP;DSL_DHCP;VDSL_PPP;VDSL_DHCP;Ethernet_PPP;Ethernet_DHCP", mode: "DSL_DHCP",
		address6: true, runMode: true, oneError: true,
		family: "ath", records: 2880,
		radios: []radioSpec{
			{
				name: "wifi0_ath", band: "2.4GHz", vaps: []string{"wl0"}, guests: []string{"wl2", "wl3"},
				channel: 6, width: 20, possible: channels24, supported: "b,g,n,bg,bgn", standard: "bgn",
				noise: -92, load: 22, chains: 2, vapFlags: "wlanvap penable netdev enabled wlanvap-bound wlansta netdev-bound netdev-up inbridge up",
			},
			{
				name: "wifi1_ath", band: "5GHz", vaps: []string{"wl1"}, channel: 36, width: 40,
				possible: channels5, supported: "a,an", standard: "an", noise: -95, load: 5, chains: 3,
				vapFlags: "wlanvap penable netdev enabled wlanvap-bound wlansta netdev-bound netdev-up inbridge up",
			},
		},
		ports: []string{"swport1", "swport2", "swport3", "swport4"},
		lan: []lanSpec{
			{"wl0", "802.11-2.4GHz", "wl0", ""},
			{"wl1", "802.11-5GHz", "wl1", ""},
			{"wl2", "Orange", "wl2", ""},
			{"wl3", "Orange_autoconnect", "wl3", ""},
			{"swport1", "Ethernet1", "swport1", ""},
			{"swport2", "Ethernet2", "swport2", ""},
			{"swport3", "Ethernet3", "swport3", ""},
			{"swport4", "Ethernet4", "swport4", ""},
			{"wan", "xDSL", "dsl0", ""},
		},
	}
}

func livebox4() *personality {
	lan := []lanSpec{
		{"wl0", "2.4GHz-Private_SSID", "wl0", "WiFi"},
		{"eth6", "5GHz-Private_SSID", "eth6", "WiFi"},
		{"wlguest2", "2.4GHz-Guest_SSID", "wlguest2", "WiFi"},
		{"wlguest5", "5GHz-Guest_SSID", "wlguest5", "WiFi"},
		{"eth1", "eth1", "eth1", "Eth"},
		{"eth2", "eth2", "eth2", "Eth"},
		{"eth3", "eth3", "eth3", "Eth"},
		{"eth4", "eth4", "eth4", "Eth"},
		{"dsl0", "xDSL", "dsl0", ""},
		{"dsl0_sync", "xDSL-Sync", "dsl0", ""},
		{"atm_data", "ADSL-Internet", "atm_data", "xDSL_Virtual"},
		{"vvlan_data", "VDSL-Internet", "vvlan_data", "xDSL_Virtual"},
		{"vvlan_multi", "VDSL-MultiServices", "vvlan_multi", "xDSL_Virtual"},
		{"eth0", "WAN_Ethernet", "eth0", ""},
		{"vlan_data", "WAN_Ethernet-Internet", "vlan_data", "WAN_Virtual"},
		{"vlan_multi", "WAN_Ethernet-MultiServices", "vlan_multi", "WAN_Virtual"},
	}
	return &personality{
		manufacturer: "Sercomm", oui: "788102", modelName: "SercommVD836_Livebox4", productClass: "Livebox 4",
		hardware: "SR_LB4_A.0.5", software: "SR40-fr-G06.R01.C06_02", rescue: "SR40-fr-G06.R01.C05_02",
		additional: "G06.R01.C06-fr", bootloader: "7.21.3.1", url: "http://www.sercomm.com/", reboots: 3, standby: true,
		wan: wanDSL, wanIntf: "dsl0", vdsl: true,
		modes: "DSL_PPP;DSL_DHCP;VDSL_PPP;VDSL_DHCP;Ethernet_PPP;Ethernet_DHCP", mode: "VDSL_DHCP",
		offer: true, oneError: true,
		family: "quan", records: 8680, aliases: true,
		radios: []radioSpec{
			radioBCM("wl0", "wlguest2"), radioQuan("eth6", "wlguest5"),
		},
		ports: []string{"eth1", "eth2", "eth3", "eth4"},
		lan:   lan,
	}
}

func radioBCM(vap, guest string) radioSpec {
	return radioSpec{
		name: "wifi0_bcm", band: "2.4GHz", vendor: "bcm", driver: "bcmrad", vaps: []string{vap}, guests: []string{guest},
		channel: 1, width: 20, inUse: "1", possible: channels24, supported: "b,g,n,bg,gn,bgn", standard: "bgn",
		noise: -85, load: 10, interference: 6, maxBitRate: 144, celsius: noCelsius, chains: 2, vapFlags: oldVap,
	}
}

func radioQuan(vap, guest string) radioSpec {
	return radioSpec{
		name: "wifi0_quan", band: "5GHz", vendor: "quan", driver: "quanrad", vaps: []string{vap}, guests: []string{guest},
		channel: 100, width: 80, inUse: "100,104,108,112,", possible: channels5, supported: "a,n,an,ac", standard: "ac",
		noise: -88, load: 12, interference: 4, maxBitRate: 1734, celsius: 61, chains: 4,
		vapFlags: "enabled quanvap netdev eth bcmeth physical netdev-monitor wlanvap penable statmon netdev-bound netdev-up wlanvap-bound wlansta up",
	}
}

// noCelsius is how a box writes that it does not know a temperature.
const noCelsius = -274

func livebox4SFP() *personality {
	p := livebox4()
	p.wan, p.wanIntf, p.vdsl, p.mode = wanSFP, "eth0", false, "Ethernet_DHCP"
	p.idleDSL = "dsl0"
	// Registers of 0.1 µW, as the module's powers: -20.8 and 2.3 dBm.
	p.pon = ponSpec{rx: 83, tx: 17000, celsius: 56}
	return p
}

func livebox5() *personality {
	return &personality{
		manufacturer: "Arcadyan", oui: "ACCF7B", modelName: "ArcadyanLBFIBRE_OFR", productClass: "Livebox Fibre",
		hardware: "AR_LBF_1.2.1", software: "ARFI-fr-4.66.0.1_10.5.0", rescue: "ARFI-fr-4.46.0.1_10.5.0",
		additional: "g0-f-fr", bootloader: "10.5.0", url: "http://www.arcadyan.com", reboots: 1, standby: true,
		wan: wanPON, wanIntf: "veip0", modes: "Ethernet_PPP;Ethernet_DHCP;GPON_DHCP;GPON_PPP", mode: "GPON_DHCP",
		address6: true, delegated: true, offer: true,
		pon: ponSpec{
			milliamps: true, old: true, rx: 132, tx: 14609, voltage: 32888, bias: 7000, celsius: 41, maxBitRate: 1000,
			down: 2488000, up: 1244000, vendor: "ARLT", equipment: "ArcadyanLBFIBREOFR", board: "ARLTARLBF121",
			firmware: [2]string{"SAHEOFR046600", "SAHEOFR044600"}, product: 1,
		},
		family: "quan", records: 8680, aliases: true,
		radios: []radioSpec{radioBCM("wl0", "wlguest2"), radioQuan("eth4", "wlguest5")},
		ports:  []string{"eth1", "eth2", "eth3"},
		lan: []lanSpec{
			{"wl0", "2.4GHz-Private_SSID", "wl0", "WiFi"},
			{"eth4", "5GHz-Private_SSID", "eth4", "WiFi"},
			{"eth1", "eth1", "eth1", "Eth"},
			{"eth2", "eth2", "eth2", "Eth"},
			{"eth3", "eth3", "eth3", "Eth"},
			{"eth0", "WAN_Ethernet", "eth0", "WAN_Virtual"},
			{"veip0", "WAN_GPON", "veip0", "WAN_Virtual"},
			{"gvlan_data", "WAN_GPON-Internet", "gvlan_data", "WAN_Virtual"},
			{"gvlan_multi", "WAN_GPON-MultiServices", "gvlan_multi", "WAN_Virtual"},
		},
	}
}

// newLAN returns what HomeLan of the newer boxes lists.
func newLAN(suffix string, wan lanSpec, ports []lanSpec, bands ...string) []lanSpec {
	var lan []lanSpec
	vap := func(band, kind, friendly string) {
		name := "vap" + strings.TrimSuffix(band, "GHz") + "g0" + kind + suffix
		name = strings.Replace(name, "vap2.4g0", "vap2g0", 1)
		lan = append(lan, lanSpec{name, band + "-" + friendly + "_SSID", name, "WiFi"})
	}
	for _, b := range bands {
		vap(b, "priv", "Private")
	}
	lan = append(append(lan, ports...), wan)
	for _, v := range []struct{ name, friendly string }{
		{"vlan_data", "WAN_Ethernet-Internet"},
		{"vlan_multi", "WAN_Ethernet-MultiServices"},
		{"vlan_voip", "WAN_Ethernet-VoIP"},
		{"veip0", "WAN_GPON"},
		{"gvlan_data", "WAN_GPON-Internet"},
		{"gvlan_multi", "WAN_GPON-MultiServices"},
		{"gvlan_voip", "WAN_GPON-VoIP"},
		{"gvlan_iptv1", "WAN_GPON-IPTV_VOD"},
		{"gvlan_iptv2", "WAN_GPON-IPTV_Live"},
	} {
		lan = append(lan, lanSpec{v.name, v.friendly, v.name, "WAN_Virtual"})
	}
	vap("2.4GHz", "guest", "Guest")
	vap("5GHz", "guest", "Guest")
	return lan
}
