package box

import (
	"livebox-agent/collector/platform/ubus"
)

// dslMetrics is what the daemon of an Intel modem says: numbers in 64 bits,
// decibels as fractions, and rates in bit/s (dsl_cpe_ubus.c of OpenWrt).
func (b *Box) dslMetrics() ubus.Table {
	w, l := b.world, &b.world.line
	up := l.showtime(w.now)
	state, number := "Showtime with TC-Layer sync", int64(7)
	if !up {
		state, number = "Full init", 5
	}
	bytes := func(values ...int) []any {
		list := make([]any, len(values))
		for i, v := range values {
			list[i] = uint16(v)
		}
		return list
	}
	t := tab(
		"api_version", "4.17.18.7", "firmware_version", "5.7.4.12.0.2", "chipset", "Lantiq-VRX200",
		"driver_version", "1.5.17.7", "state", state, "state_num", number, "up", up,
		"uptime", int64(max(w.now-l.showtimeAt, 0).Seconds()),
		"atu_c", tab(
			"vendor_id", bytes(181, 0, 66, 68, 67, 77, 164, 96), "vendor", "Broadcom 164.96",
			"system_vendor_id", bytes(181, 0, 66, 68, 67, 77, 0, 0), "system_vendor", "Broadcom",
			"version", bytes(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
			"serial", bytes(0, 0, 0, 0, 0, 0, 0, 0),
		),
	)
	if !up {
		// Nothing of a line that is not there.
		return append(t, b.dslErrors()...)
	}
	t = append(t, tab(
		"power_state", "L0 - Synchronized", "power_state_num", int64(0), "xtse", bytes(0, 0, 0, 0, 0, 0, 0, 2), //nolint:misspell // as the box spells it
		"annex", "B", "standard", "G.993.2", "profile", "17a", "mode", "G.993.2 (VDSL2, Profile 17a)",
		"upstream", b.dslDirection(&l.up, "up"), "downstream", b.dslDirection(&l.down, "down"),
	)...)
	return append(t, b.dslErrors()...)
}

func (b *Box) dslDirection(d *direction, name string) ubus.Table {
	l := &b.world.line
	return tab(
		"vector", false, "trellis", true, "bitswap", true, "retx", false, "virtual_noise", false,
		"interleave_delay", int64(160), "data_rate", int64(d.currentRate())*1000, "latn", d.attenuation,
		"satn", d.attenuation, "snr", tenth(l.margin(b.world, d, name)), "actps", -90.1, "actatp", d.power,
		"attndr", int64(d.attainableRate(l.noise))*1000,
	)
}

// dslErrors has the counters of the modem, near, and of the exchange, far.
func (b *Box) dslErrors() ubus.Table {
	l := &b.world.line
	end := func(s seconds, d *direction) ubus.Table {
		n := func(v float64) int64 { return int64(low32(v)) }
		return tab(
			"es", n(s.es), "ses", n(s.ses), "loss", n(s.los), "uas", n(s.uas), "lofs", n(s.lof),
			"fecs", n(s.es*2), "hec", int64(0), "ibe", int64(0), "crc_p", int64(0), "crcp_p", int64(0),
			"cv_p", int64(0), "cvp_p", int64(0), "rx_corrupted", n(d.crc), "rx_uncorrected_protected", int64(0),
			"rx_retransmitted", int64(0), "rx_corrected", n(d.fec), "tx_retransmitted", int64(0),
		)
	}
	return tab(
		"errors", tab("near", end(l.total, &l.down), "far", end(seconds{es: l.total.es / 10}, &l.up)),
		"erb", tab("sent", n64(l.blocksRx/100), "discarded", int64(0)),
	)
}

func n64(v float64) int64 { return int64(low32(v)) }
