package box

import "fmt"

// newRadio returns a radio of Livebox 6 and later, whose names all follow
// from the band.
func newRadio(band string, vendor string, index int, vaps ...string) radioSpec {
	short := band[:1]
	r := radioSpec{
		name: "rad" + short + "g0", band: band, vendor: vendor, driver: "bcmrad", index: index, vaps: vaps,
		celsius: noCelsius, chains: 4,
		vapFlags: "wlanvap penable netdev statmon wlanvap-bound wlansta enabled netdev-bound netdev-up inbridge up",
	}
	switch band {
	case "2.4GHz":
		r.channel, r.width, r.inUse, r.possible, r.noise, r.load, r.interference = 11, 20, "11", channels24, -94, 14, 1
		r.chains = 3
	case "5GHz":
		r.channel, r.width, r.inUse, r.possible, r.noise, r.load, r.interference = 100, 160,
			"100,104,108,112,116,120,124,128", channels5, -90, 9, 4
	default:
		r.channel, r.width, r.inUse, r.possible, r.noise, r.load = 5, 160, "1,5,9,13,17,21,25,29",
			"1,5,9,13,17,21,25,29,33,37,41,45,49,53,57,61,65,69,73,77,81,85,89,93", -93, 3
	}
	if band != "2.4GHz" {
		for i := range 6 {
			r.bridges = append(r.bridges, fmt.Sprintf("wds%sg0priv%%s_%d", short, i))
		}
	}
	return r
}

func livebox7() *personality {
	p := livebox6()
	p.modelName, p.productClass, p.oui = "SagemcomFast5694_OFR", "Livebox 7", "581DD8"
	p.hardware, p.software, p.rescue = "SG_LB7_4.0.0", "SG70-fr-G07.R02.C02_18", "SG70-fr-G07.R01.C01_06"
	p.additional, p.reboots = "sbl-G7.R2.C2-fr", 11
	p.pon.rx, p.pon.tx, p.pon.voltage, p.pon.bias, p.pon.celsius = 206, 23004, 32920, 9504, 47
	p.pon.maxBitRate, p.pon.onuID = 10000, 22
	p.pon.equipment, p.pon.board = "SagemcomFast5694OFR", "SMBSXLB7400"
	p.pon.firmware = [2]string{"SAHEOFR070101", "SAHEOFR070202"}
	p.ports = []string{"ETH0", "ETH2", "ETH3", "ETH4"}
	p.lan = newLAN("0", lanSpec{"eth1_wan", "WAN_Ethernet", "ETH1", "WAN_Virtual"}, []lanSpec{
		{"ETH0", "LAN-10G", "ETH0", "Eth"},
		{"ETH1", "eth1", "ETH1", "Eth"},
		{"ETH2", "eth2", "ETH2", "Eth"},
		{"ETH3", "eth3", "ETH3", "Eth"},
		{"ETH4", "eth4", "ETH4", "Eth"},
	}, "2.4GHz", "5GHz", "6GHz")
	return p
}

func livebox6() *personality {
	r2 := newRadio("2.4GHz", "_bcm", 2, "vap2g0priv0", "vap2g0priv1")
	r5 := newRadio("5GHz", "_bcm", 1, "vap5g0priv0", "vap5g0priv1")
	r6 := newRadio("6GHz", "_bcm", 0, "vap6g0priv0")
	r2.maxBitRate, r2.celsius, r2.supported, r2.standard = 86, 53, "b,g,n,bg,gn,bgn,ax", "ax"
	r5.maxBitRate, r5.celsius, r5.supported, r5.standard = 3490, 56, "a,n,an,ac,ax", "ax"
	r6.maxBitRate, r6.celsius, r6.supported, r6.standard = 4803, 52, "ax", "ax"
	r2.flags, r5.flags = "wlan24", "wlan5g"
	r6.flags = "wlan6g"
	r2.guests, r5.guests = []string{"vap2g0guest0"}, []string{"vap5g0guest0"}
	return &personality{
		manufacturer: "Sagemcom", oui: "0C8E29", modelName: "SagemcomFast5670E_OFR", productClass: "Livebox 6",
		hardware: "SG_LB6_1.0.7", software: "SG60-fr-G01.R02.C02_20", rescue: "SG60-fr-G01.R01.C12_22",
		additional: "sbl-G1.R2.C2-fr", url: "http://www.sagemcom.com/", reboots: 6, standby: true,
		wan: wanPON, wanIntf: "veip0", modes: "Ethernet_PPP;Ethernet_DHCP;GPON_DHCP;GPON_PPP", mode: "GPON_DHCP",
		ipv6: true, address6: true, delegated: true, offer: true,
		pon: ponSpec{
			rx: 170, tx: 22000, voltage: 32840, bias: 9100, celsius: 45, maxBitRate: 2500, onuID: 31,
			down: 2488320, up: 1244160, thresholds: [4]int{-35000, 0, -1000, 7000},
			vendor: "SMBS", equipment: "SagemcomFast5670EOFR", board: "SMBSXLB6107",
			firmware: [2]string{"SAHEOFR060101", "SAHEOFR060202"}, vlans: "851,832,835,838,840",
		},
		family: "bcm", records: 8680, aliases: true, micro: true, widthEnum: true, wholeNoise: true,
		radios: []radioSpec{r2, r5, r6},
		ports:  []string{"ETH0", "ETH1", "ETH2", "ETH3"},
		lan: newLAN("0", lanSpec{"eth0_wan", "WAN_Ethernet", "ETH4", "WAN_Virtual"}, []lanSpec{
			{"ETH0", "eth1", "ETH0", "Eth"},
			{"ETH1", "eth2", "ETH1", "Eth"},
			{"ETH2", "eth3", "ETH2", "Eth"},
			{"ETH3", "eth4", "ETH3", "Eth"},
		}, "2.4GHz", "5GHz", "6GHz"),
	}
}

func liveboxW7() *personality {
	p := liveboxS()
	p.manufacturer, p.oui, p.modelName, p.productClass = "Sagemcom", "8CC5B4", "SagemcomFast5698_OFR", "Livebox W7"
	p.hardware, p.software, p.rescue = "SG_LBW7_27.1.0", "SGW7-fr-G27.R05.C01_02", "SGW7-fr-G27.R04.C02_01"
	p.additional, p.url, p.bom, p.wide = "sbl-G27.R5.C1-fr", "http://www.sagemcom.com/", false, false
	p.pon = livebox7().pon
	p.pon.rx, p.pon.tx, p.pon.voltage, p.pon.bias, p.pon.celsius = 113, 22311, 32760, 9392, 42
	p.pon.onuID, p.pon.equipment, p.pon.board = 11, "SagemcomFast5698OFR", "SMBSXLBW7271"
	// Which radio says 0 and which -274 differs from the S.
	p.radios[0].celsius, p.radios[1].celsius = 0, noCelsius
	p.radios[0].load, p.radios[1].load = 9, 4
	return p
}

func liveboxS() *personality {
	r2 := newRadio("2.4GHz", "_gen", 0, "vap2g0priv")
	r5 := newRadio("5GHz", "_gen", 1, "vap5g0priv")
	r2.load, r2.interference, r2.noise, r2.celsius = 26, 6, -95, noCelsius
	r5.load, r5.interference, r5.noise, r5.celsius = 3, 0, -91, 0
	r2.supported, r2.standard = "b,g,n,bg,gn,bgn,ax,be", "be"
	r5.supported, r5.standard = "a,n,an,ac,ax,be", "be"
	r2.guests, r5.guests = []string{"vap2g0guest"}, []string{"vap5g0guest"}
	return &personality{
		manufacturer: "Arcadyan", oui: "6045E8", modelName: "PRV33AX346B-H2-OG", productClass: "Livebox Nautilus",
		hardware: "AR_LBN_1.0.0", software: "ARNA-fr-G01.R06.C01_04", rescue: "ARNA-fr-G01.R05.C01_06",
		additional: "sbl-G1.R6.C1-fr", bootloader: "gen_2024.04_v1.0.16", url: "https://www.arcadyan.com",
		reboots: 1, standby: true, bom: true,
		wan: wanPON, wanIntf: "veip0", modes: "Ethernet_PPP;Ethernet_DHCP;GPON_DHCP;GPON_PPP", mode: "GPON_DHCP",
		ipv6: true, address6: true, delegated: true, offer: true,
		pon: ponSpec{
			wanMode: true, rx: 19, tx: 18172, voltage: 31902, bias: 6075, celsius: 52, maxBitRate: 2500, onuID: 76,
			down: 2488320, up: 1244160, thresholds: [4]int{-127500, -127500, -63500, -63500},
			vendor: "ARLT", equipment: "PRV33AX346BH2OG", board: "ARLTLBN100",
			firmware: [2]string{"SAHNOFR010501", "SAHNOFR010601"}, vlans: "851,832,835,2800,852",
		},
		family: "gen", records: 8680, aliases: true, wide: true, generic: true, byIndex: true,
		radios: []radioSpec{r2, r5},
		ports:  []string{"ETH0", "ETH1", "ETH2"},
		lan: newLAN("", lanSpec{"eth0_wan", "WAN_Ethernet", "ETH3", "WAN_Virtual"}, []lanSpec{
			{"ETH0", "eth1", "ETH0", "Eth"}, {"ETH1", "eth2", "ETH1", "Eth"}, {"ETH2", "eth3", "ETH2", "Eth"},
		}, "2.4GHz", "5GHz"),
	}
}

// openwrt is a router with a VDSL modem.
func openwrt() *personality {
	return &personality{
		openwrt: true, wide: true, wan: wanDSL, wanIntf: "dsl0", vdsl: true,
		radios: []radioSpec{
			{
				name: "phy0", band: "2.4GHz", vaps: []string{"phy0-ap0"}, channel: 6, width: 20,
				standard: "ax", noise: -95, load: 18, chains: 2, celsius: 51,
			},
			{
				name: "phy1", band: "5GHz", vaps: []string{"phy1-ap0"}, channel: 40, width: 80,
				standard: "ax", noise: -92, load: 7, chains: 2, celsius: 54,
			},
		},
		ports: []string{"lan1", "lan2", "lan3", "lan4"},
	}
}

// openwrtSFP is a router with an optical module in a cage.
func openwrtSFP() *personality {
	p := openwrt()
	p.wan, p.wanIntf, p.vdsl = wanEth, "eth1", false
	p.pon = ponSpec{rx: 145, tx: 19950, voltage: 33012, bias: 6200, celsius: 44}
	return p
}

// prplOS is OpenWrt with the data model of TR-181 on its bus.
func prplOS() *personality {
	p := openwrtSFP()
	p.prpl = true
	return p
}
