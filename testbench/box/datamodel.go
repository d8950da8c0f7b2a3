package box

import (
	"fmt"

	"livebox-agent/collector/platform/ubus"
)

// dataModel answers for the objects of TR-181 that prplOS has on its bus.
func (b *Box) dataModel(function string, params map[string]any) ([]any, error) {
	w := b.world
	switch function {
	case "Reboot._get":
		warm := 0
		for _, e := range w.boots {
			if e.wasShutdown {
				warm++
			}
		}
		values := tab("Reboot.", tab(
			"BootCounter", w.bootCounter, "ColdBootCount", w.bootCounter-warm, "MaximumNumberOfReboots", 10,
			// The spelling of the real one.
			"NumberOfReboots", len(w.boots), "WarmBootcount", warm, "WatchdogRebootCounter", w.watchdogs,
			"X_PRPL-COM_CurrentBootCycle", "Cold",
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
		return []any{values}, nil
	case "WiFi.SSID._get":
		values := tab()
		for i := range b.p.radios {
			values = append(values, tab(fmt.Sprintf("WiFi.SSID.%d.", i+1), tab("Status", "Up", "SSID", b.ssid()))...)
		}
		return []any{values}, nil
	case "WiFi.AccessPoint.1._get":
		return []any{tab("WiFi.AccessPoint.1.", tab("Status", "Enabled", "Enable", true))}, nil
	case "WiFi.AccessPoint.1._set":
		// What was set, nothing, and the code of the result: three values.
		set, _ := params["parameters"].(map[string]any)
		return []any{tab("WiFi.AccessPoint.1.", set), tab(), tab("amxd-error-code", 0)}, nil
	}
	return nil, ubus.ErrMethodNotFound
}
