package wifi

import (
	"fmt"
	"strings"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
)

// wlanInfo is what iwinfo info tells of one interface (rpc_iwinfo_info of
// rpcd's iwinfo.c). The network's name and address are not read.
type wlanInfo struct {
	phy       string
	mode      string
	channel   int64  // number, 0 if unknown
	frequency uint32 // of the primary channel in MHz, 0 if unknown
	width     int64  // in MHz, 0 if unknown
	power     int32  // in mBm, 0 if unknown
	noise     int64  // in dBm, 0 if unknown
}

func decodeInfo(n tree.Node, c *tree.Check) (wlanInfo, error) {
	if !n.IsObject() {
		return wlanInfo{}, fmt.Errorf("iwinfo.info: %w: no object", tree.ErrMalformed)
	}
	var w wlanInfo
	if s, ok := c.Text(n, "phy"); ok && isName(s) {
		w.phy = s
	}
	w.mode, _ = c.Text(n, "mode")
	if v, ok := c.Int(n, "channel"); ok && v >= 1 && v <= 233 {
		w.channel = v
	}
	if v, ok := c.Int(n, "frequency"); ok && v > 0 && v < 1<<20 {
		w.frequency = uint32(v)
	}
	if s, ok := c.Text(n, "htmode"); ok {
		w.width = modeWidth(s)
	}
	w.power = transmitPower(n, c)
	if v, ok := level(n, c, "noise"); ok {
		w.noise = v
	}
	return w, nil
}

// transmitPower returns the power in mBm. Some drivers tell less or more than
// they send; iwinfo knows by how much.
func transmitPower(n tree.Node, c *tree.Check) int32 {
	dbm, ok := c.Int(n, "txpower")
	if !ok || dbm == 0 || dbm < -30 || dbm > 50 {
		return 0
	}
	if offset, ok := c.Int(n, "txpower_offset"); ok && offset >= -30 && offset <= 30 {
		dbm += offset
	}
	return power(int32(dbm) * 100)
}

// modeWidth returns the MHz of an htmode (IWINFO_HTMODE_NAMES), 0 for one that
// is not known. The configuration adds + or - for the side of the second
// channel.
func modeWidth(mode string) int64 {
	if mode == "NOHT" {
		return 20
	}
	i := strings.IndexAny(mode, "0123456789")
	if i < 0 {
		return 0
	}
	switch mode[:i] {
	case "HT", "VHT", "HE", "EHT":
	default:
		return 0
	}
	switch strings.TrimRight(mode[i:], "+-") {
	case "20":
		return 20
	case "40":
		return 40
	case "80":
		return 80
	case "80+80", "160":
		return 160
	case "320":
		return 320
	}
	return 0
}

// hasPeers says whether an interface in that mode may have stations or be one
// (IWINFO_OPMODE_NAMES).
func hasPeers(mode string) bool { return mode != "Monitor" }

// isMaster says whether stations associate with an interface in that mode.
func isMaster(mode string) bool { return strings.HasPrefix(mode, "Master") || mode == "P2P Go" }

// level returns a level in dBm. iwinfo has them in one byte, and rpcd sends
// them signed, as a byte without sign (the noise of a survey: 161 is -95), or
// as 32 bits without one. 0 is what was not measured.
func level(n tree.Node, c *tree.Check, key string) (dbm int64, ok bool) {
	v, ok := c.Int(n, key)
	if !ok {
		return 0, false
	}
	switch {
	case v > 127 && v < 256:
		v -= 1 << 8
	case v >= 1<<31 && v < 1<<32:
		v -= 1 << 32
	}
	return v, isLevel(v)
}

// decodeSurvey returns the survey of the channel with that frequency, which is
// 0 where it is not known: then that on which the radio spent most of its
// time. iwinfo leaves out which channel is in use, and says 0 for what the
// driver does not measure.
func decodeSurvey(n tree.Node, frequency uint32, c *tree.Check) (best survey, found bool, err error) {
	results := n.Get("results")
	if !n.IsObject() || results.Exists() && !results.IsList() {
		return survey{}, false, fmt.Errorf("iwinfo.survey: %w: no results", tree.ErrMalformed)
	}
	results.Each(func(_ string, n tree.Node) {
		mhz, ok := c.Int(n, "mhz")
		if !ok || mhz <= 0 || mhz >= 1<<20 || frequency != 0 && uint32(mhz) != frequency {
			return
		}
		s := survey{frequency: uint32(mhz)}
		if v, ok := level(n, c, "noise"); ok {
			s.noise = int8(v)
		}
		for time, key := range [surveyTimes]string{timeActive: "active_time", timeBusy: "busy_time", timeRx: "rx_time", timeTx: "tx_time"} {
			if key == "" {
				continue
			}
			if v, ok := c.Uint(n, key); ok && v > 0 {
				s.set(time, v)
			}
		}
		if s.given&(1<<timeActive) == 0 {
			s.given = 0
		}
		if !found || s.times[timeActive] > best.times[timeActive] {
			best, found = s, true
		}
	})
	return best, found, nil
}

// eachAssociated calls f for every station in the reply of iwinfo assoclist. r
// is used again for the next one.
func eachAssociated(n tree.Node, c *tree.Check, f func(r *reply)) error {
	results := n.Get("results")
	if !results.IsList() {
		return fmt.Errorf("iwinfo.assoclist: %w: no results", tree.ErrMalformed)
	}
	var r reply
	left := maxEntries
	results.Each(func(_ string, e tree.Node) {
		if left--; left < 0 || !e.IsObject() {
			c.Bad("results")
			return
		}
		r.decodeAssociated(e, c)
		f(&r)
	})
	return nil
}

// decodeAssociated sets r to what an entry of assoclist says. rx is what the
// box receives: the station's uplink.
func (r *reply) decodeAssociated(e tree.Node, c *tree.Check) {
	*r = reply{}
	if s, ok := c.Text(e, "mac"); ok {
		r.setMAC(s)
	}
	authorized, told := c.Bool(e, "authorized")
	authenticated, _ := c.Bool(e, "authenticated")
	r.pending = told && !authorized && !authenticated
	signal, measured := level(e, c, "signal_avg")
	if measured {
		r.set(fieldSignal, signal)
	}
	if v, ok := level(e, c, "signal"); ok {
		r.set(fieldSignalLast, v)
		if !measured {
			// The mean came later than the tool.
			signal, measured = v, true
		}
	}
	if noise, ok := level(e, c, "noise"); ok {
		r.set(fieldNoise, noise)
		if measured && signal >= noise {
			r.set(fieldSNR, signal-noise)
		}
	}
	if v, ok := unsigned(e, c, "inactive"); ok {
		r.set(fieldInactive, v)
	}
	if v, ok := unsigned(e, c, "connected_time"); ok {
		r.set(fieldConnectedTime, v)
	}
	if v, ok := unsigned(e, c, "thr"); ok && v > 0 && v <= maxRate {
		r.set(fieldExpectedThroughput, v)
	}
	rx, tx := e.Get("rx"), e.Get("tx")
	r.decodeFrame(tx, c, frame{fieldDownlinkRate, fieldDownlinkMCS, fieldDownlinkNSS, fieldDownlinkWidth})
	r.decodeFrame(rx, c, frame{fieldUplinkRate, fieldUplinkMCS, fieldUplinkNSS, fieldUplinkWidth})
	r.setCounter(fieldBytesReceived, rx, c, "bytes")
	r.setCounter(fieldPacketsReceived, rx, c, "packets")
	r.setCounter(fieldRxDrops, rx, c, "drop_misc")
	r.setCounter(fieldBytesSent, tx, c, "bytes")
	r.setCounter(fieldPacketsSent, tx, c, "packets")
	r.setCounter(fieldRetries, tx, c, "retries")
	r.setCounter(fieldFailures, tx, c, "failed")
}

// unsigned returns a number of 32 bits without sign, which the bus sends as if
// it had one.
func unsigned(n tree.Node, c *tree.Check, key string) (int64, bool) {
	v, ok := c.Int(n, key)
	if ok && v < 0 && v >= -1<<31 {
		v += 1 << 32
	}
	return v, ok && v >= 0 && v < 1<<32
}

// A frame is where the last frame of one direction is described.
type frame struct{ rate, mcs, streams, width field }

// decodeFrame takes how the last frame of one direction was sent
// (rpc_iwinfo_add_rateinfo). A rate of 0 is none, and what is beside it too.
func (r *reply) decodeFrame(n tree.Node, c *tree.Check, f frame) {
	v := rate{mcs: -1}
	var ok bool
	if v.kbits, ok = unsigned(n, c, "rate"); !ok || v.kbits == 0 || v.kbits > maxRate {
		return
	}
	highest := int64(-1)
	for _, generation := range []struct {
		key     string
		highest int64
	}{{"ht", maxHT}, {"vht", maxVHT}, {"he", maxHE}, {"eht", maxEHT}} {
		if is, _ := c.Bool(n, generation.key); is {
			highest = generation.highest
		}
	}
	if index, ok := c.Int(n, "mcs"); ok && index >= 0 && index <= highest {
		v.mcs = index
	}
	if count, ok := c.Int(n, "nss"); ok && count <= maxStreams {
		v.streams = count
	}
	if highest == maxHT && v.mcs >= 0 {
		// 802.11n counts the streams in the index.
		v.streams = v.mcs/8 + 1
	}
	mhz, told := c.Int(n, "mhz")
	wide, is40 := c.Bool(n, "40mhz")
	switch {
	case told && mhz >= 20:
		v.width = widthOf(mhz)
	case wide:
		v.width = 40
	case is40:
		v.width = 20
	}
	r.setRate(v, f.rate, f.mcs, f.streams, f.width)
}

// eachClient calls f for every station in the reply of get_clients
// (hostapd_bss_get_clients of OpenWrt's ubus.c for hostapd). r is used again
// for the next one. Builds of 2020 tell no more than the address and the
// flags.
func eachClient(n tree.Node, c *tree.Check, f func(r *reply)) error {
	clients := n.Get("clients")
	if !isMap(clients) || !n.IsObject() {
		return fmt.Errorf("hostapd.get_clients: %w: no clients", tree.ErrMalformed)
	}
	var r reply
	left := maxEntries
	clients.Each(func(key string, e tree.Node) {
		if left--; left < 0 || !e.IsObject() {
			c.Bad("clients")
			return
		}
		r = reply{}
		r.setMAC(key)
		associated, told := c.Bool(e, "assoc")
		r.pending = told && !associated
		if v, ok := level(e, c, "signal"); ok {
			r.set(fieldSignalLast, v)
		}
		r.decodeClient(e, c)
		f(&r)
	})
	return nil
}

// decodeClient takes what an entry of get_clients says of the traffic.
func (r *reply) decodeClient(e tree.Node, c *tree.Check) {
	for _, x := range []struct {
		key    string
		rx, tx field
	}{
		{"bytes", fieldBytesReceived, fieldBytesSent},
		{"packets", fieldPacketsReceived, fieldPacketsSent},
		{"airtime", fieldRxAirtime, fieldTxAirtime},
	} {
		r.setCounter(x.rx, e.Get(x.key), c, "rx")
		r.setCounter(x.tx, e.Get(x.key), c, "tx")
	}
	// The kernel has these in 64 bits; the others may be of 32.
	r.wide |= 1<<fieldRxAirtime | 1<<fieldTxAirtime
	rates := e.Get("rate")
	if v, ok := unsigned(rates, c, "rx"); ok && v > 0 && v <= maxRate {
		r.set(fieldUplinkRate, v)
	}
	if v, ok := unsigned(rates, c, "tx"); ok && v > 0 && v <= maxRate {
		r.set(fieldDownlinkRate, v)
	}
}

// complete adds to r what other tells of the same station and r does not.
func (r *reply) complete(other *reply) {
	for f := range fields {
		if !r.has(f) && other.has(f) {
			r.set(f, other.values[f])
			r.wide |= other.wide & (1 << f)
		}
	}
	r.pending = r.pending || other.pending
}

// count counts a station.
func (n *stationCount) count(r *reply) {
	if r.pending || !r.hasMAC {
		return
	}
	n.all++
	f := fieldSignal
	if !r.has(f) {
		f = fieldSignalLast
	}
	if r.has(f) {
		n.measured++
		if r.values[f] < catalogue.WeakSignal {
			n.weak++
		}
	}
}

// add adds the readings of the stations that were counted.
func (n *stationCount) add(b *sample.Batch, instance string) {
	b.Add(catalogue.RadioStations, instance, n.all)
	if n.measured > 0 || n.all == 0 {
		b.Add(catalogue.RadioWeakStations, instance, n.weak)
	}
}
