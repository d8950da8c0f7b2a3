package box

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// shaped returns a copy of a shape without what the radio or network called
// name does not have.
func (b *Box) shaped(shape *object, name string) *object {
	o := shape.clone()
	if b.lacks == nil {
		return o
	}
	if i := b.lacks.find(name); i >= 0 {
		for path := range strings.FieldsSeq(text(b.lacks.fields[i].value)) {
			o.remove(path)
		}
	}
	return o
}

func (b *Box) radioNamed(name string) *radioSpec {
	for i := range b.p.radios {
		if b.p.radios[i].name == name {
			return &b.p.radios[i]
		}
	}
	return nil
}

// vapNamed returns the radio of a network, and the network's place in it.
func (b *Box) vapNamed(name string) (r *radioSpec, n int) {
	for i := range b.p.radios {
		for n, v := range b.p.radios[i].vaps {
			if v == name {
				return &b.p.radios[i], n
			}
		}
	}
	return nil, 0
}

// radioMIB is what the box says of a radio, nil if it is none.
func (b *Box) radioMIB(name string) *object {
	r := b.radioNamed(name)
	if r == nil {
		return nil
	}
	w := b.world
	o := b.shaped(b.radioShape, name)
	started := w.upAt + 60*time.Second
	width := fmt.Sprint(r.width, "MHz")
	active := 0
	for _, s := range w.stations {
		if s.radio == r && s.active(w) {
			active++
		}
	}
	for path, v := range map[string]any{
		"RadioStatus": "Up", "LastStatusChangeTimeStamp": b.isoDate(started),
		"LastChangeTime": int((started - w.booted).Seconds()), "LastChange": max(int((w.now - started).Seconds()), 0),
		"VendorName": r.vendor, "VendorRadioName": fmt.Sprint("wifi", r.index), "MaxBitRate": r.maxBitRate,
		"OperatingFrequencyBand": r.band, "CurrentOperatingChannelBandwidth": width,
		"SupportedStandards": r.supported, "OperatingStandards": r.standard, "PossibleChannels": r.possible,
		"ChannelsInUse": r.inUse, "Channel": r.channel, "ActiveAssociatedDevices": active,
		"ChannelLoad": w.load(r), "Interference": r.interference, "Noise": w.noise(r),
		"ChannelMgt/RadioStatus": "Up", "ChannelMgt/Status": true,
		"DriverStatus/NrTxAntenna": r.chains, "DriverStatus/NrRxAntenna": r.chains,
		"DriverStatus/NrActiveTxAntenna": r.chains, "DriverStatus/NrActiveRxAntenna": r.chains,
		"Stats/Temperature":                                     r.celsius,
		"ScanResults/SurroundingChannels/1/Channel":             r.channel,
		"ScanResults/SurroundingChannels/1/Accesspoint/1/SSID":  b.neighbour(),
		"ScanResults/SurroundingChannels/1/Accesspoint/1/BSSID": b.neighbourMAC(),
		"ScanResults/SurroundingChannels/1/Accesspoint/1/RSSI":  -83,
		"ChannelMgt/Band/1/Channel":                             r.channel,
		"ChannelMgt/Band/1/Bandwidth":                           width,
		"ChannelMgt/Band/1/IsCurrent":                           true,
		"DFS/Event/1/TimeStamp":                                 b.isoDate(w.booted + time.Hour),
		"MaxAssociatedDevices":                                  64,
	} {
		o.put(path, v)
	}
	if r.band != "6GHz" {
		o.put("SupportedFrequencyBands", map[bool]string{true: "2.4GHz,5GHz,AUTO", false: r.band}[b.p.family == "ath"])
	} else {
		o.put("SupportedFrequencyBands", r.band)
	}
	for _, spec := range []string{"ChannelMgt/TargetChanspec/", "ChannelMgt/CurrentChanspec/"} {
		o.put(spec+"Channel", r.channel)
		o.put(spec+"Bandwidth", width)
		o.put(spec+"Frequency", r.band)
		o.put(spec+"LastChangeTime", b.isoDate(started))
	}
	if !b.p.generic {
		b.putRadioStats(o, r)
	}
	o.rename("ScanResults/SurroundingChannels/1", strconv.Itoa(r.channel))
	o.rename("ChannelMgt/Band/1", fmt.Sprint(r.channel, "_", r.width))
	return o
}

// putRadioStats sets the radio's counters, which have 32 bits.
func (b *Box) putRadioStats(o *object, r *radioSpec) {
	var t traffic
	var retries, failures float64
	for _, v := range r.vaps {
		vap := b.world.traffic[v]
		t.move(vap.rxBytes, vap.txBytes)
		t.multicast += vap.multicast
	}
	for _, s := range b.world.stations {
		if s.radio == r {
			retries += s.txRetries
			failures += s.txFailed
		}
	}
	for key, v := range map[string]float64{
		"BytesSent": t.txBytes, "BytesReceived": t.rxBytes, "PacketsSent": t.txPackets, "PacketsReceived": t.rxPackets,
		"ErrorsSent": failures, "RetransCount": retries, "FailedRetransCount": failures, "RetryCount": retries,
		"MultipleRetryCount": retries / 4, "DiscardPacketsSent": failures / 2, "MulticastPacketsSent": t.multicast,
		"WmmPacketsSent/AC_BE": t.txPackets, "WmmPacketsReceived/AC_BE": t.rxPackets,
		"WmmBytesSent/AC_BE": t.txBytes, "WmmBytesReceived/AC_BE": t.rxBytes,
	} {
		o.put("Stats/"+key, low32(v))
	}
}

// vapMIB is what the box says of a network, nil if it is none.
func (b *Box) vapMIB(name string) *object {
	r, n := b.vapNamed(name)
	if r == nil {
		return nil
	}
	w := b.world
	o := b.shaped(b.vapShape, name)
	started := w.upAt + 62*time.Second
	devices, active := b.associated(r, n)
	status := "Up"
	if n > 0 {
		status = "Down"
	}
	group := "FronthaulBSS,BackhaulBSS"
	switch {
	case b.p.family != "gen" && r.band == "2.4GHz":
		group = "Off"
	case b.p.family != "gen":
		group = "BackhaulBSS"
	case r.band == "2.4GHz":
		group = ""
	}
	for path, v := range map[string]any{
		"VAPStatus": status, "LastStatusChangeTimeStamp": b.isoDate(started),
		"LastChangeTime": int((started - w.booted).Seconds()), "LastChange": max(int((w.now - started).Seconds()), 0),
		"MACAddress": b.mac(10 + r.index), "BSSID": b.mac(10 + r.index), "SSID": b.ssid(), "MultiAPType": group,
		"RadioReference": "", "AssociatedDeviceNumberOfEntries": len(devices.fields),
		"ActiveAssociatedDeviceNumberOfEntries": active, "AssociatedDevice": devices,
		"AssociationCount/Success": len(devices.fields), "AssociationCount/FailSecurity": w.refused[name],
		"MaxAssociatedDevices": 32,
	} {
		o.put(path, v)
	}
	return o
}

// associated returns the stations of a network, keyed as the box keys them,
// and how many of them are in reach.
func (b *Box) associated(r *radioSpec, n int) (devices *object, active int) {
	devices = &object{}
	if n > 0 {
		return devices, 0
	}
	for _, s := range b.world.stations {
		if s.radio != r {
			continue
		}
		key := s.MAC
		if b.p.byIndex {
			key = strconv.Itoa(s.number)
		}
		devices.add(key, b.station(s))
		if s.active(b.world) {
			active++
		}
	}
	return devices, active
}

// station is what the box says of a station.
func (b *Box) station(s *station) *object {
	w := b.world
	o := b.stationShape.clone()
	down, up := s.rates(w)
	signal, noise := s.signal(w), w.noise(s.radio)
	active := s.active(w)
	idle := 0
	if !active {
		idle = 600
	}
	width := fmt.Sprint(s.Width, "MHz")
	most := s.rateAt(100).kbits
	date := b.isoDate(s.since)
	if b.p.micro {
		date = b.date(s.since).UTC().Format("2006-01-02T15:04:05.000000Z")
	}
	mode := s.Standard
	if b.p.generic {
		mode = ""
	}
	for path, v := range map[string]any{
		"MACAddress": s.MAC, "AuthenticationState": active, "Active": active, "Inactive": idle,
		"SignalStrength": signal, "AvgSignalStrengthByChain": signal, "Noise": noise, "SignalNoiseRatio": signal - noise,
		"SignalStrengthByChain": b.byChain(s.radio, signal, false), "NoiseByChain": b.byChain(s.radio, noise, b.p.wholeNoise),
		"SignalStrengthHistory": fmt.Sprintf("%d,%d,%d,%d", signal-1, signal, signal+1, signal),
		"LastDataDownlinkRate":  down.kbits, "LastDataUplinkRate": up.kbits,
		"RxErrors": 0, "TxErrors": int(s.txFailed), "Retransmissions": 0,
		"Rx_Retransmissions": int(s.rxRetries), "Tx_Retransmissions": int(s.txRetries),
		"Tx_RetransmissionsFailed": int(s.txFailed), "RxPacketCount": int(s.rxPackets),
		"TxPacketCount": int(s.txPackets + s.multicast), "RxUnicastPacketCount": int(s.rxPackets),
		"TxUnicastPacketCount": int(s.txPackets), "TxMulticastPacketCount": int(s.multicast),
		"TxBytes": uint64(s.txBytes), "RxBytes": uint64(s.rxBytes),
		"UplinkMCS": up.mcs, "DownlinkMCS": down.mcs, "UplinkBandwidth": b.width(up.width),
		"DownlinkBandwidth": b.width(down.width), "UplinkShortGuard": up.shortGuard, "DownlinkShortGuard": down.shortGuard,
		"MaxDownlinkRateSupported": most, "MaxDownlinkRateReached": down.kbits,
		"MaxUplinkRateSupported": most, "MaxUplinkRateReached": up.kbits, "MaxBandwidthSupported": width,
		"LinkBandwidth": width, "Mode": mode, "OperatingStandard": s.Standard, "AssociationTime": date,
		"DeviceType": "Data", "DevicePriority": 1,
		"MaxRxSpatialStreamsSupported": s.Streams, "MaxTxSpatialStreamsSupported": s.Streams,
		"FrequencyCapabilities": s.Band,
	} {
		o.put(path, v)
	}
	return o
}

// width returns a channel width as the stations' list has it.
func (b *Box) width(mhz int) int {
	if b.p.widthEnum {
		return map[int]int{20: 1, 40: 2, 80: 3, 160: 4}[mhz]
	}
	return mhz
}

// byChain writes a value for each antenna.
func (b *Box) byChain(r *radioSpec, dbm int, whole bool) string {
	list := make([]string, r.chains)
	for i := range list {
		v := float64(dbm) + math.Round(2*b.world.chance.wander(fmt.Sprint(r.name, " chain ", i), b.world.tick(), time.Minute))
		list[i] = strconv.FormatFloat(v, 'f', map[bool]int{true: 0, false: 1}[whole], 64)
	}
	return strings.Join(list, ",")
}

// wifiCall answers a function of a radio's or a network's interface, nil if
// it is none.
func (b *Box) wifiCall(name, method string) *object {
	if r, n := b.vapNamed(name); r != nil {
		switch method {
		case "getStationStats":
			devices, _ := b.associated(r, n)
			list := []any{}
			for _, d := range devices.fields {
				list = append(list, d.value)
			}
			return obj("status", list)
		case "getSSIDStats":
			t, c := b.world.traffic[name], low32
			return obj("status", obj(
				"BytesSent", c(t.txBytes), "BytesReceived", c(t.rxBytes), "PacketsSent", c(t.txPackets),
				"PacketsReceived", c(t.rxPackets), "ErrorsSent", 0, "ErrorsReceived", 0,
				"DiscardPacketsSent", c(t.txDropped), "DiscardPacketsReceived", c(t.rxDropped),
			))
		}
	}
	if radio := b.radioMIB(name); radio != nil && method == "getRadioStats" {
		if stats := radio.get("Stats"); stats != nil {
			return obj("status", stats)
		}
	}
	return nil
}
