package box

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"

	"livebox-agent/collector/platform/ubus"
)

// busAnswer returns the values of an answer. The caller holds mu.
func (b *Box) busAnswer(object, method string, params map[string]any) ([]any, error) {
	one := func(t ubus.Table) ([]any, error) { return []any{t}, nil }
	if vap, ok := strings.CutPrefix(object, "hostapd."); ok {
		if method == "get_status" {
			return one(b.hostapdStatus(vap))
		}
		return one(b.clients(vap))
	}
	switch object + "." + method {
	case "system.board":
		return one(b.board())
	case "system.info":
		return one(b.info())
	case "system.watchdog":
		return one(tab("status", "running", "timeout", 30, "frequency", 5, "magicclose", false))
	case "network.interface.dump":
		var all []any
		names := []string{"loopback", "lan", "wan"}
		if b.world.modem {
			names = append(names, "wwan")
		}
		for _, name := range names {
			all = append(all, append(tab("interface", name), b.interfaceStatus(name)...))
		}
		return one(tab("interface", all))
	case "network.device.status":
		return b.deviceStatus(text(params["name"]))
	case "dsl.metrics":
		return one(b.dslMetrics())
	}
	if name, ok := strings.CutPrefix(object, "network.interface."); ok && method == "status" {
		return one(b.interfaceStatus(name))
	}
	if object == "iwinfo" {
		return b.iwinfo(method, text(params["device"]))
	}
	return b.dataModel(object, method, params)
}

func (b *Box) board() ubus.Table {
	return tab(
		"kernel", "6.6.73", "hostname", "OpenWrt", "system", "ARMv8 Processor rev 4",
		"model", "Emulated router", "board_name", "emulated,router", "rootfs_type", "squashfs",
		"release", tab(
			"distribution", "OpenWrt", "version", "24.10.0", "revision", "r28427-6df0e3d02a",
			"target", "mediatek/filogic", "description", "OpenWrt 24.10.0 r28427-6df0e3d02a",
		),
	)
}

// info has bytes of memory, KiB of file systems, and load in 1/65536.
func (b *Box) info() ubus.Table {
	w := b.world
	load := 0.2 + 0.1*w.chance.wander("load", w.tick(), time.Minute)
	const total = 512 << 20
	space := func(kib int) ubus.Table {
		return tab("total", kib, "free", kib/2, "used", kib/2, "avail", kib/2)
	}
	return tab(
		"localtime", int(b.date(w.now).Unix()), "uptime", b.uptime(),
		"load", list(int(load*65536), int(load*60000), int(load*55000)),
		"memory", tab(
			"total", int64(total), "free", int64(total*2/5), "shared", int64(1<<20), "buffered", int64(3<<20),
			"available", int64(total/2), "cached", int64(60<<20),
		),
		"root", space(65536), "tmp", space(262144), "swap", tab("total", int64(0), "free", int64(0)),
	)
}

// wanDevice is the kernel's interface that the connection uses.
func (b *Box) wanDevice() string {
	if b.p.wan == wanDSL {
		return "dsl0"
	}
	return b.p.wanIntf
}

func (b *Box) interfaceStatus(name string) ubus.Table {
	w := b.world
	up, device, l3, proto := true, "br-lan", "", "static"
	since := w.upAt
	var addresses, addresses6, routes, servers, prefixes, faults []any
	data := tab()
	switch name {
	case "loopback":
		device = "lo"
		addresses = list(tab("address", "127.0.0.1", "mask", 8))
	case "lan":
		addresses = list(tab("address", "192.168.1.1", "mask", 24))
	case "wan":
		up, device, proto, since = w.wanUp(), b.wanDevice(), "dhcp", w.wanSince
		if up {
			addresses = list(tab("address", b.ipv4(), "mask", 24))
			addresses6 = list(tab("address", b.ipv6(), "mask", 128))
			routes = list(tab(
				"target", "0.0.0.0", "mask", 0, "nexthop", gatewayV4, "source", b.ipv4()+"/32",
			))
			servers = list("192.0.2.2", "2001:db8::2")
			data = tab("leasetime", 604800)
		} else if w.linkUp() && w.serving() {
			faults = list(tab("subsystem", "interface", "code", "NO_DEVICE"))
		}
	}
	if name == "wwan" {
		// It stands by: traffic takes the route of the lower metric.
		device, l3, proto, since = "/dev/cdc-wdm0", "wwan0", "qmi", w.upAt
		routes = list(tab("target", "0.0.0.0", "mask", 0, "nexthop", gatewayV4, "metric", 20))
	}
	t := tab("up", up, "pending", !up, "available", true, "autostart", true, "dynamic", false)
	if up {
		t = append(t, tab("uptime", max(int((w.now-since).Seconds()), 0), "l3_device", cmp.Or(l3, device))...)
	}
	t = append(t, tab("proto", proto, "device", device)...)
	if up {
		t = append(t, tab("updated", list("addresses", "routes", "data"))...)
	}
	t = append(t, tab(
		"metric", 0, "dns_metric", 0, "delegation", true, "ipv4-address", list(addresses...),
		"ipv6-address", list(addresses6...), "ipv6-prefix", list(prefixes...), "ipv6-prefix-assignment", list(),
		"route", list(routes...), "dns-server", list(servers...), "dns-search", list(), "neighbors", list(), //nolint:misspell // as the box spells it
		"inactive", tab(
			"ipv4-address", list(), "ipv6-address", list(), "route", list(), "dns-server", list(),
			"dns-search", list(), "neighbors", list(), //nolint:misspell // as the box spells it
		),
		"data", data,
	)...)
	if len(faults) > 0 {
		t = append(t, tab("errors", faults)...)
	}
	return t
}

func (b *Box) deviceStatus(name string) ([]any, error) {
	if name == "" {
		return nil, ubus.ErrInvalidArgument
	}
	t := b.world.traffic[name]
	if t == nil {
		return nil, ubus.ErrNotFound
	}
	carrier, speed := b.carrier(name), "1000F"
	if !carrier {
		speed = "-1F"
	}
	return []any{tab(
		"external", false, "present", true, "type", "Network device", "up", true, "carrier", carrier,
		"auth_status", true, "mtu", 1500, "macaddr", strings.ToLower(b.mac(1)), "txqueuelen", 1000, "speed", speed,
		"statistics", b.statistics(t),
	)}, nil
}

// carrier says whether a port has a link.
func (b *Box) carrier(name string) bool {
	if s := b.world.power.ports[name]; s != nil && s.down {
		return false
	}
	return b.world.serving() && (name != b.p.wanIntf || b.world.linkUp())
}

func (b *Box) statistics(t *traffic) ubus.Table {
	var s ubus.Table
	for _, c := range kernelCounters(t) {
		s = append(s, ubus.Field{Name: c.name, Value: uint64(c.value)})
	}
	return s
}

// A kernelCounter is one file of an interface's statistics.
type kernelCounter struct {
	name  string
	value float64
}

func kernelCounters(t *traffic) []kernelCounter {
	return []kernelCounter{
		{"collisions", 0},
		{"rx_frame_errors", 0},
		{"tx_compressed", 0},
		{"multicast", t.multicast},
		{"rx_length_errors", 0},
		{"tx_dropped", t.txDropped},
		{"rx_bytes", t.rxBytes},
		{"rx_missed_errors", 0},
		{"tx_errors", 0},
		{"rx_compressed", 0},
		{"rx_over_errors", 0},
		{"tx_fifo_errors", 0},
		{"rx_crc_errors", 0},
		{"rx_packets", t.rxPackets},
		{"tx_heartbeat_errors", 0},
		{"rx_dropped", t.rxDropped},
		{"tx_aborted_errors", 0},
		{"tx_packets", t.txPackets},
		{"rx_errors", 0},
		{"tx_bytes", t.txBytes},
		{"tx_window_errors", 0},
		{"rx_fifo_errors", 0},
		{"tx_carrier_errors", 0},
	}
}

// megahertz returns the frequency of a radio's channel.
func megahertz(r *radioSpec) int {
	switch r.band {
	case "2.4GHz":
		return 2407 + 5*r.channel
	case "6GHz":
		return 5950 + 5*r.channel
	}
	return 5000 + 5*r.channel
}

// iwinfo answers for a device, which is a network of a radio.
func (b *Box) iwinfo(method, device string) ([]any, error) {
	if method == "devices" {
		var names []any
		for _, r := range b.p.radios {
			names = append(names, r.vaps[0])
		}
		return []any{tab("devices", names)}, nil
	}
	if device == "" {
		return nil, ubus.ErrInvalidArgument
	}
	r, _ := b.vapNamed(device)
	if r == nil {
		return nil, ubus.ErrNotFound
	}
	switch method {
	case "info":
		return []any{b.wirelessInfo(r)}, nil
	case "assoclist":
		return []any{b.assoclist(r)}, nil
	}
	return []any{b.survey(r)}, nil
}

func (b *Box) wirelessInfo(r *radioSpec) ubus.Table {
	w := b.world
	signal, bitrate, n := -100, 0, 0
	for _, s := range w.stations {
		if s.radio == r && s.active(w) {
			down, _ := s.rates(w)
			signal, bitrate, n = max(signal, s.signal(w)), bitrate+down.kbits, n+1
		}
	}
	if n > 0 {
		bitrate /= n
	}
	mode := fmt.Sprint("HE", r.width)
	return tab(
		"phy", r.name, "ssid", b.ssid(), "bssid", b.mac(10+r.index), "country", "FR", "mode", "Master",
		"channel", r.channel, "center_chan1", r.channel, "frequency", megahertz(r), "frequency_offset", 0, //nolint:misspell // as the box spells it
		"txpower", 20, "txpower_offset", 0, "quality", min(max(signal+110, 0), 70), "quality_max", 70,
		"signal", signal, "noise", w.noise(r), "bitrate", bitrate,
		"encryption", tab("enabled", true, "wpa", list(2), "authentication", list("psk"), "ciphers", list("ccmp")),
		"htmodes", list("HT20", "VHT80", mode), "hwmodes", list("ac", "ax", "n"), "hwmode", "ax", "htmode", mode,
		"hardware", tab("id", list(5315, 30997, 5315, 30997), "name", "MediaTek MT7986"),
	)
}

func (b *Box) assoclist(r *radioSpec) ubus.Table {
	w := b.world
	results := list()
	for _, s := range w.stations {
		if s.radio != r || !s.active(w) {
			continue
		}
		down, up := s.rates(w)
		direction := func(bytes, packets float64, rate rate, extra ...any) ubus.Table {
			return append(tab(extra...), tab(
				"packets", uint32(uint64(packets)), "bytes", int64(low32(bytes)),
				"ht", s.Standard == "n", "vht", s.Standard == "ac", "he", s.Standard == "ax", "eht", s.Standard == "be",
				"mhz", rate.width, "rate", rate.kbits, "mcs", rate.mcs, "nss", rate.streams,
				"40mhz", rate.width == 40, "short_gi", rate.shortGuard,
			)...)
		}
		results = append(results, tab(
			"mac", s.MAC, "signal", s.signal(w), "signal_avg", s.signal(w), "noise", w.noise(r),
			"inactive", 20+10*s.number, "connected_time", int((w.now-s.since).Seconds()), "thr", down.kbits*2/3,
			"authorized", true, "authenticated", true, "preamble", "long", "wme", true, "mfp", false, "tdls", false,
			"mesh llid", 0, "mesh plid", 0, "mesh plink", "LISTEN", "mesh local PS", "ACTIVE",
			"mesh peer PS", "ACTIVE", "mesh non-peer PS", "ACTIVE",
			"rx", direction(s.rxBytes, s.rxPackets, up, "drop_misc", 0),
			"tx", direction(s.txBytes, s.txPackets, down, "failed", int(s.txFailed), "retries", int(s.txRetries)),
		))
	}
	return tab("results", results)
}

// survey has the noise as a byte without its sign, and no word of which
// channel is in use.
func (b *Box) survey(r *radioSpec) ubus.Table {
	w := b.world
	results := list()
	ms := float64((w.now - w.upAt).Milliseconds())
	channels := []int{1, 6, 11}
	if r.band != "2.4GHz" {
		channels = []int{36, 40, 100}
	}
	for _, c := range channels {
		other := *r
		other.channel = c
		active := ms
		if c != r.channel {
			active = ms / 3000
		}
		busy := active * float64(r.load) / 100
		results = append(results, tab(
			"mhz", megahertz(&other), "noise", int(uint8(w.noise(r))), "active_time", int64(active),
			"busy_time", int64(busy), "busy_time_ext", int64(0), "rx_time", int64(busy/2), "tx_time", int64(busy/4),
		))
	}
	return tab("results", results)
}

// clients is what hostapd knows of the stations of a network.
func (b *Box) clients(vap string) ubus.Table {
	w := b.world
	r, _ := b.vapNamed(vap)
	clients := tab()
	for _, s := range w.stations {
		if s.radio != r || !s.active(w) {
			continue
		}
		down, up := s.rates(w)
		t := tab(
			"auth", true, "assoc", true, "authorized", true, "preauth", false, "wds", false, "wmm", true,
			"ht", true, "vht", r.band == "5GHz" && s.Standard != "n",
		)
		if !b.config.OldHostapd {
			t = append(t, tab("he", s.Standard == "ax")...)
		}
		t = append(t, tab(
			"wps", false, "mfp", false, "rrm", list(49, 8, 1, 0, 0), "aid", s.number,
		)...)
		if !b.config.OldHostapd {
			t = append(t, tab(
				"bytes", tab("rx", uint64(s.rxBytes), "tx", uint64(s.txBytes)),
				"airtime", tab("rx", uint64(s.airtimeR*1000), "tx", uint64(s.airtimeT*1000)),
				"packets", tab("rx", uint32(uint64(s.rxPackets)), "tx", uint32(uint64(s.txPackets))),
				"rate", tab("rx", up.kbits, "tx", down.kbits), "signal", s.signal(w), "capabilities", tab(),
			)...)
		}
		clients = append(clients, ubus.Field{Name: strings.ToLower(s.MAC), Value: t})
	}
	return tab("freq", megahertz(r), "clients", clients)
}

func (b *Box) hostapdStatus(vap string) ubus.Table {
	r, _ := b.vapNamed(vap)
	return tab(
		"status", "ENABLED", "bssid", strings.ToLower(b.mac(10+r.index)), "ssid", b.ssid(), "freq", megahertz(r),
		"channel", r.channel, "op_class", 81, "beacon_interval", 100, "phy", r.name,
		"airtime", tab(
			"time", uint64((b.world.now-b.world.upAt).Milliseconds()),
			"time_busy", uint64((b.world.now-b.world.upAt).Milliseconds())*uint64(r.load)/100,
			"utilization", b.world.load(r)*255/100, //nolint:misspell // as the box spells it
		),
	)
}

// tenth cuts a value as a modem measures it.
func tenth(v float64) float64 { return math.Round(v*10) / 10 }
