package box

import (
	"slices"
	"strings"
)

// refused are the objects that the user admin may not ask.
func refused() []string {
	return []string{
		"Gpon", "CPUStats", "WatchDog", "OopsTracker", "ProcessMonitor", "FaultMonitor", "NetDev", "NeMo",
		"WiFiBCM", "WiFiQUAN", "BCMPlugin", "Launcher", "LXCManager", "MQTTBroker", "ObjectMonitor", "PPP",
		"ManagementServer", "ConMon",
	}
}

// answer returns the reply to a call that the caller may make. The caller
// holds mu.
func (b *Box) answer(q request) *object {
	if slices.Contains(refused(), q.service) {
		return b.failure(q.service, denied(q.service))
	}
	if name, ok := strings.CutPrefix(q.service, "NeMo.Intf."); ok {
		return b.interfaceCall(name, q)
	}
	reply := b.general(q.service + "." + q.method)
	if reply == nil {
		reply = b.homeLan(q)
	}
	if reply == nil {
		reply = b.failure(q.service, notFound(q.service))
	}
	return reply
}

// general returns the reply of a function without parameters, or nil.
func (b *Box) general(function string) *object {
	switch function {
	case "DeviceInfo.get":
		return obj("status", b.deviceInfo())
	case "DeviceInfo.MemoryStatus.get":
		return obj("status", b.memory())
	case "NMC.get":
		return obj("status", b.nmc())
	case "NMC.getWANStatus":
		return obj("status", true, "data", b.wanStatus())
	case "NMC.Wifi.get":
		return obj("status", b.wifi())
	case "NMC.Wifi.getStats":
		return b.wifiStats()
	case "NMC.Reboot.get":
		return obj("status", b.reboots())
	case "NMC.Reboot.Reboot.get":
		return obj("status", b.rebootLog())
	case "SFP.get":
		return obj("status", b.sfp())
	case "Time.getTime":
		return obj("status", true, "data", obj("time", b.date(b.world.now).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")))
	case "Time.getStatus":
		return obj("status", nil, "data", obj("status", "Synchronized")) //nolint:misspell // as the box spells it
	case "IoTService.getStatus":
		return obj("status", "Enabled")
	case "SpeedTest.getWANResults":
		return obj("status", speedTest())
	case "TopologyDiagnostics.buildTopology":
		return obj("status", []any{b.topology()})
	}
	return nil
}

func (b *Box) uptime() int { return int((b.world.now - b.world.booted).Seconds()) }

func (b *Box) deviceInfo() *object {
	p := b.p
	versions := ""
	if p.bootloader != "" {
		versions = "Bootloader=" + p.bootloader + ",RescueBootloader=" + p.bootloader
	}
	status := "Up"
	if !b.world.wanUp() {
		status = "Initializing" //nolint:misspell // as the box spells it
	}
	o := obj(
		"Manufacturer", p.manufacturer, "ManufacturerOUI", p.oui, "ModelName", p.modelName,
		"Description", p.modelName+" "+p.manufacturer+" fr", "ProductClass", p.productClass,
		"SerialNumber", b.serial(),
	)
	if p.bom {
		o.add("BOMIdentifier", strings.Repeat("0", 66)+"1"+strings.Repeat("0", 61))
	}
	for _, f := range obj(
		"HardwareVersion", p.hardware, "SoftwareVersion", p.software, "RescueVersion", p.rescue,
		"ModemFirmwareVersion", "", "EnabledOptions", "", "AdditionalHardwareVersion", "",
		"AdditionalSoftwareVersion", p.additional, "SpecVersion", "1.1", "ProvisioningCode", "HASH.0.0",
		"UpTime", b.uptime(), "FirstUseDate", zeroDate, "DeviceLog", "", "VendorConfigFileNumberOfEntries", 1,
		"ManufacturerURL", p.url, "Country", "fr", "ExternalIPAddress", b.ipv4(), "DeviceStatus", status,
		"NumberOfReboots", p.reboots+b.world.restarts(), "UpgradeOccurred", false, "ResetOccurred", false,
		"RestoreOccurred", false,
	).fields {
		o.add(f.key, f.value)
	}
	if p.standby {
		o.add("StandbyOccurred", false)
	}
	o.add("X_SOFTATHOME-COM_AdditionalSoftwareVersions", versions)
	o.add("BaseMAC", b.mac(0))
	return o
}

// restarts returns how often the box was restarted since it was made.
func (w *world) restarts() int { return w.bootCounter - w.firstBoots }

// memory is in kB.
func (b *Box) memory() *object {
	total := 512 * 1024
	used := 0.55 + 0.03*b.world.chance.wander("memory", b.world.tick(), recordEvery*20)
	return obj(
		"Total", total, "Free", int(float64(total)*(1-used)), "Buffered", 10876, "Cached", 61240,
	)
}

func (b *Box) nmc() *object {
	p := b.p
	o := obj(
		"WanModeList", p.modes, "WanMode", p.mode, "Username", b.account(), "FactoryResetScheduled", false,
		"ConnectionError", !b.world.wanUp(),
	)
	if p.runMode {
		o.add("RunMode", "")
	}
	o.add("DefaultsLoaded", true)
	o.add("ProvisioningState", "done")
	o.add("OfferType", "Res")
	if p.offer {
		o.add("OfferName", "MonoLigne")
	}
	o.add("IPTVMode", "Internet")
	return o
}

func (b *Box) wanStatus() *object {
	p, w := b.p, b.world
	up := w.wanUp()
	link := p.wan
	if p.wan == wanEth {
		link = "ethernet"
	}
	if w.onBackup() {
		up, link = true, "cellular"
	}
	o := obj("WanState", upDown(up), "LinkType", link, "LinkState", upDown(w.linkUp()))
	if p.wan == wanPON {
		o.add("GponState", w.fibre.state())
	}
	connection, lastError := "Bound", "None"
	address, gateway, address6, prefix := b.ipv4(), gatewayV4, b.ipv6(), b.prefix()
	if !up {
		connection, lastError, address, gateway, address6, prefix = "Init", "RenewTimeout", "", "", "", ""
	}
	o.add("MACAddress", b.mac(1))
	o.add("Protocol", "dhcp")
	o.add("ConnectionState", connection)
	o.add("LastConnectionError", lastError)
	o.add("IPAddress", address)
	o.add("RemoteGateway", gateway)
	o.add("DNSServers", "192.0.2.2,192.0.2.3,2001:db8::2,2001:db8::3")
	if p.address6 {
		o.add("IPv6Address", address6)
	}
	if p.delegated {
		o.add("IPv6DelegatedPrefix", prefix)
	}
	if p.ipv6 {
		o.add("ConnectionStateIPv6", connection)
		// What went wrong once stays, also while all is well.
		o.add("LastConnectionErrorIPv6", "RenewTimeout")
		o.add("RemoteGatewayIPv6", "fe80::1")
	}
	return o
}

func (b *Box) wifi() *object {
	return obj(
		"RegulatoryAuthorization6GHz", true, "EnableTarget", "Radio", "Enable", true, "DisableLocalWiFi", false,
		"TempEnable", true, "Status", true, "TargetStatus", true, "ReadOnlyStatus", true, "PairingStatus", "Idle",
		"Scheduler", false, "SchedulingOverride", false, "SchedulingEnabled", false,
		"SchedulingActivationTimeSlots", "", "ConfigurationMode", true, "EnableRadioWhenCombined", false,
		"WPSEnable", false, "TriggerAutoChannelSelection", false, "WPSMode", "Enrollee",
		"CurrentState", "NoBackhaul", "VAPsEnabled", false, "CurrentBackhaul", "None",
		"AddOnModeState", "Disabled", "PINCode", "", "AllowButtonDisable", false,
	)
}

// wifiStats has a status of null where all is well, and 32 bits on every box.
func (b *Box) wifiStats() *object {
	var rx, tx float64
	for _, r := range b.p.radios {
		for _, v := range r.vaps {
			rx += b.world.traffic[v].rxBytes
			tx += b.world.traffic[v].txBytes
		}
	}
	return obj("status", nil, "data", obj("RxBytes", low32(rx), "TxBytes", low32(tx)))
}

func (b *Box) reboots() *object {
	return obj(
		"BootCounter", b.world.bootCounter, "WatchdogRebootCounter", b.world.watchdogs, "ForceRebootDuration", 85,
	)
}

func (b *Box) rebootLog() *object {
	o := &object{}
	first := b.world.bootCounter - len(b.world.boots) + 1
	for i, e := range b.world.boots {
		shutdown := zeroDate
		if e.wasShutdown {
			shutdown = b.isoDate(e.shutdown)
		}
		o.add(decimal(first+i), obj(
			"BootDate", b.isoDate(e.booted), "BootReason", e.reason,
			"ShutdownDate", shutdown, "ShutdownReason", e.shutdownReason,
		))
	}
	return o
}

func speedTest() *object {
	direction := func() *object {
		return obj("rate", 0, "latency", 0, "start", zeroDate, "end", zeroDate)
	}
	return obj("status", "None", "Downstream", direction(), "Upstream", direction())
}

// topology is the gateway in the map of the home network. Its rates are in
// Mbit/s, unlike those of the same names elsewhere.
func (b *Box) topology() *object {
	w, p := b.world, b.p
	down, up := 0, 0
	if p.wan == wanPON {
		down, up = p.pon.down/1000, p.pon.up/1000
	}
	link := p.wan
	wan := b.wanStatus()
	value := func(key string) any { return wan.fields[wan.find(key)].value }
	return obj(
		"LastUpdate", b.isoDate(w.now), "DiagnosticMode", "LocalRequestFromGUI", "APIVersion", "1.0.2", "Key", "HGW",
		"DiscoverySource", "selfhgw", "Name", "LIVEBOX", "DeviceType", "SAH HGW", "Active", true,
		"Tags", "self physical hgw wan events sswLocal "+link+" ipv4 ipv6", "FirstSeen", b.isoDate(w.booted),
		"LastConnection", b.isoDate(w.booted), "LastChanged", b.isoDate(w.wanSince), "Master", b.mac(0),
		"Location", "", "Owner", "", "Manufacturer", p.manufacturer, "ModelName", p.modelName,
		"Description", p.modelName+" "+p.manufacturer+" fr", "SerialNumber", b.serial(),
		"ProductClass", p.productClass, "HardwareVersion", p.hardware, "SoftwareVersion", p.software,
		"BootLoaderVersion", p.bootloader, "FirewallLevel", "Medium", "LinkType", link,
		"LinkState", value("LinkState"), "ConnectionProtocol", "dhcp", "ConnectionState", value("ConnectionState"),
		"LastConnectionError", value("LastConnectionError"), "ConnectionIPv4Address", value("IPAddress"),
		"ConnectionIPv6Address", b.ipv6(), "RemoteGateway", value("RemoteGateway"),
		"DNSServers", value("DNSServers"), "Internet", w.wanUp(), "IPTV", w.wanUp(), "Telephony", w.wanUp(),
		"DownstreamCurrRate", down, "UpstreamCurrRate", up, "DownstreamMaxBitRate", down, "UpstreamMaxBitRate", up,
		"IPAddress", "fe80::1", "IPAddressSource", "Static", "Index", "32",
	)
}
