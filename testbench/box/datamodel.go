package box

import (
	"fmt"

	"livebox-agent/collector/platform/ubus"
)

// dataModel answers for the objects of TR-181 that prplOS has on its bus: with
// the result, nothing, and the code of how it went.
func (b *Box) dataModel(object, method string, params map[string]any) ([]any, error) {
	t := b.modelValues(object, method, params)
	if t == nil {
		return nil, ubus.ErrMethodNotFound
	}
	return []any{t, tab(), tab("amxd-error-code", 0)}, nil
}

func (b *Box) modelValues(object, method string, params map[string]any) ubus.Table {
	switch object + "." + method {
	case "Reboot._get":
		return b.modelReboots()
	case "WiFi.SSID._get":
		return b.eachModelRadio("WiFi.SSID", func(*radioSpec) ubus.Table {
			return tab("Status", "Up", "SSID", b.ssid(), "MACAddress", b.mac(10))
		})
	case "WiFi.Radio._get":
		return b.eachModelRadio("WiFi.Radio", func(r *radioSpec) ubus.Table {
			return tab(
				"Status", "Up", "Name", r.name, "OperatingFrequencyBand", r.band, "Channel", r.channel,
				"CurrentOperatingChannelBandwidth", fmt.Sprint(r.width, "MHz"), "Noise", b.world.noise(r),
				"ChannelLoad", b.world.load(r), "Interference", r.interference,
			)
		})
	case "WiFi.AccessPoint._get":
		return b.eachModelRadio("WiFi.AccessPoint", func(r *radioSpec) ubus.Table {
			devices := b.modelStations(r)
			return tab(
				"Status", "Enabled", "Enable", true, "ActiveAssociatedDeviceNumberOfEntries", len(devices),
				"AssociatedDeviceNumberOfEntries", len(devices),
			)
		})
	}
	for i := range b.p.radios {
		if object != fmt.Sprint("WiFi.AccessPoint.", i+1) {
			continue
		}
		switch method {
		case "_get":
			if params["rel_path"] == "AssociationCount." {
				return b.modelJoins(object, &b.p.radios[i])
			}
			return tab(object+".", tab("Status", "Enabled", "Enable", true))
		case "_set":
			set, _ := params["parameters"].(map[string]any)
			return tab(object+".", set)
		case "getStationStats":
			return tab("retval", b.modelStations(&b.p.radios[i]))
		}
	}
	return nil
}

// modelJoins returns who joined and who did not.
func (b *Box) modelJoins(object string, r *radioSpec) ubus.Table {
	return tab(object+".AssociationCount.", tab(
		"Success", len(b.modelStations(r)), "Fail", 0, "FailSecurity", b.world.refused[r.vaps[0]], "Disconnect", 0,
		"FastReconnects", 0, "ResetCounters", false,
	))
}

// eachModelRadio returns the instances of a table that has one for each radio.
func (b *Box) eachModelRadio(table string, f func(r *radioSpec) ubus.Table) ubus.Table {
	values := tab(table+".", tab())
	for i := range b.p.radios {
		values = append(values, tab(fmt.Sprintf("%s.%d.", table, i+1), f(&b.p.radios[i]))...)
	}
	return values
}

// modelStations returns the stations of a radio that are in reach.
func (b *Box) modelStations(r *radioSpec) []any {
	w := b.world
	stations := list()
	for _, s := range w.stations {
		if s.radio != r || !s.active(w) {
			continue
		}
		down, up := s.rates(w)
		stations = append(stations, tab(
			"MACAddress", s.MAC, "Active", true, "AuthenticationState", true, "SignalStrength", s.signal(w),
			"Noise", w.noise(r), "SignalNoiseRatio", s.signal(w)-w.noise(r), "LastDataDownlinkRate", down.kbits,
			"LastDataUplinkRate", up.kbits, "DownlinkMCS", down.mcs, "UplinkMCS", up.mcs,
			"DownlinkBandwidth", down.width, "UplinkBandwidth", up.width, "OperatingStandard", s.Standard, "Inactive", 0,
			"TxBytes", uint64(s.txBytes), "RxBytes", uint64(s.rxBytes), "TxPacketCount", uint32(uint64(s.txPackets)),
			"RxPacketCount", uint32(uint64(s.rxPackets)), "AssociationTime", b.isoDate(s.since),
		))
	}
	return stations
}

func (b *Box) modelReboots() ubus.Table {
	w := b.world
	warm := 0
	for _, e := range w.boots {
		if e.wasShutdown {
			warm++
		}
	}
	cycle := "Warm"
	if w.boots[len(w.boots)-1].reason == "POR" {
		cycle = "Cold"
	}
	values := tab("Reboot.", tab(
		"BootCounter", w.bootCounter, "ColdBootCount", w.bootCounter-warm, "MaximumNumberOfReboots", 10,
		// The spelling of the real one.
		"NumberOfReboots", len(w.boots), "WarmBootcount", warm, "WatchdogRebootCounter", w.watchdogs,
		"X_PRPL-COM_CurrentBootCycle", cycle,
	))
	for i, e := range w.boots {
		reason := "Unknown"
		if e.reason == "NMC" {
			reason = `Planned reboot - initiated by "LocalReboot"`
		}
		values = append(values, tab(fmt.Sprintf("Reboot.Reboot.%d.", i+1), tab(
			"Alias", fmt.Sprint("cpe-Reboot-", i+1), "BootDate", b.isoDate(e.booted), "BootReason", reason,
		))...)
	}
	return values
}
