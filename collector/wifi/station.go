package wifi

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/kernel/netlink"
)

// A field is one value of a station. The counters come first.
type field uint8

const (
	fieldBytesSent field = iota
	fieldBytesReceived
	fieldPacketsSent
	fieldPacketsReceived
	fieldRetries
	fieldFailures
	fieldRxAirtime
	fieldTxAirtime
	fieldBeaconLoss
	fieldRxDrops
	counterFields

	fieldSignal field = iota - 1
	fieldSignalLast
	fieldDownlinkRate
	fieldUplinkRate
	fieldDownlinkMCS
	fieldUplinkMCS
	fieldDownlinkNSS
	fieldUplinkNSS
	fieldDownlinkWidth
	fieldUplinkWidth
	fieldInactive
	fieldConnectedTime
	fieldAckSignal
	fieldExpectedThroughput
	fieldNoise // not of nl80211
	fieldSNR   // not of nl80211
	fields
)

// fieldMetrics are the metrics of the fields.
var fieldMetrics = [fields]catalogue.ID{
	fieldBytesSent:          catalogue.StationBytesSent,
	fieldBytesReceived:      catalogue.StationBytesReceived,
	fieldPacketsSent:        catalogue.StationPacketsSent,
	fieldPacketsReceived:    catalogue.StationPacketsReceived,
	fieldRetries:            catalogue.StationRetries,
	fieldFailures:           catalogue.StationFailures,
	fieldRxAirtime:          catalogue.StationRxAirtime,
	fieldTxAirtime:          catalogue.StationTxAirtime,
	fieldBeaconLoss:         catalogue.StationBeaconLoss,
	fieldRxDrops:            catalogue.StationRxDrops,
	fieldSignal:             catalogue.StationSignal,
	fieldSignalLast:         catalogue.StationSignalLast,
	fieldDownlinkRate:       catalogue.StationDownlinkRate,
	fieldUplinkRate:         catalogue.StationUplinkRate,
	fieldDownlinkMCS:        catalogue.StationDownlinkMCS,
	fieldUplinkMCS:          catalogue.StationUplinkMCS,
	fieldDownlinkNSS:        catalogue.StationDownlinkNSS,
	fieldUplinkNSS:          catalogue.StationUplinkNSS,
	fieldDownlinkWidth:      catalogue.StationDownlinkWidth,
	fieldUplinkWidth:        catalogue.StationUplinkWidth,
	fieldInactive:           catalogue.StationInactive,
	fieldConnectedTime:      catalogue.StationConnectedTime,
	fieldAckSignal:          catalogue.StationAckSignal,
	fieldExpectedThroughput: catalogue.StationExpectedThroughput,
	fieldNoise:              catalogue.StationNoise,
	fieldSNR:                catalogue.StationSNR,
}

// A reply is what GET_STATION tells of one station.
type reply struct {
	mac    [6]byte
	hasMAC bool
	// pending says that the station is not associated (yet): drivers list it
	// from its authentication on.
	pending bool
	// associated is when the station associated, in ns since the kernel
	// booted; 0 if not told.
	associated uint64
	// values of the fields whose bit in given is set; those of counters are
	// unsigned.
	values [fields]int64
	given  uint32
	// wide has the bit of each counter that has 64 bits.
	wide uint32
}

func (r *reply) set(f field, v int64) {
	r.values[f] = v
	r.given |= 1 << f
}

// set64 and set32 set counters. The kernel gives the bytes in both widths.
func (r *reply) set64(f field, v uint64) {
	r.set(f, int64(v))
	r.wide |= 1 << f
}

func (r *reply) set32(f field, v uint32) {
	if r.wide&(1<<f) == 0 {
		r.set(f, int64(v))
	}
}

func (r *reply) has(f field) bool { return r.given&(1<<f) != 0 }

// bits returns the width of the counter f.
func (r *reply) bits(f field) int {
	if r.wide&(1<<f) != 0 {
		return 64
	}
	return 32
}

// parse sets r to what the attributes of an NL80211_CMD_NEW_STATION say.
func (r *reply) parse(attributes []byte) error {
	*r = reply{}
	a := netlink.NewAttributes(attributes)
	for a.Next() {
		switch a.Type() {
		case unix.NL80211_ATTR_MAC:
			r.hasMAC = copy(r.mac[:], a.Bytes()) == len(r.mac) && len(a.Bytes()) == len(r.mac)
		case unix.NL80211_ATTR_STA_INFO:
			if err := r.parseInfo(a.Nested()); err != nil {
				return err
			}
		}
	}
	return a.Err()
}

// parseInfo takes the attributes of enum nl80211_sta_info. What an access
// point transmits is the station's downlink.
func (r *reply) parseInfo(a netlink.Attributes) error {
	for a.Next() {
		switch a.Type() {
		case unix.NL80211_STA_INFO_SIGNAL_AVG:
			r.setLevel(fieldSignal, a.Int8())
		case unix.NL80211_STA_INFO_SIGNAL:
			r.setLevel(fieldSignalLast, a.Int8())
		case unix.NL80211_STA_INFO_ACK_SIGNAL_AVG:
			r.setLevel(fieldAckSignal, a.Int8())
		case unix.NL80211_STA_INFO_INACTIVE_TIME:
			r.set(fieldInactive, int64(a.Uint32()))
		case unix.NL80211_STA_INFO_CONNECTED_TIME:
			r.set(fieldConnectedTime, int64(a.Uint32()))
		case unix.NL80211_STA_INFO_ASSOC_AT_BOOTTIME:
			r.associated = a.Uint64()
		case unix.NL80211_STA_INFO_STA_FLAGS:
			r.pending = pending(a.Bytes())
		case unix.NL80211_STA_INFO_EXPECTED_THROUGHPUT:
			if v := a.Uint32(); v > 0 {
				r.set(fieldExpectedThroughput, int64(v))
			}
		case unix.NL80211_STA_INFO_TX_BITRATE:
			v, err := parseRate(a.Nested())
			if err != nil {
				return err
			}
			r.setRate(v, fieldDownlinkRate, fieldDownlinkMCS, fieldDownlinkNSS, fieldDownlinkWidth)
		case unix.NL80211_STA_INFO_RX_BITRATE:
			v, err := parseRate(a.Nested())
			if err != nil {
				return err
			}
			r.setRate(v, fieldUplinkRate, fieldUplinkMCS, fieldUplinkNSS, fieldUplinkWidth)
		default:
			r.parseCounter(&a)
		}
	}
	return a.Err()
}

func (r *reply) parseCounter(a *netlink.Attributes) {
	switch a.Type() {
	case unix.NL80211_STA_INFO_TX_BYTES:
		r.set32(fieldBytesSent, a.Uint32())
	case unix.NL80211_STA_INFO_TX_BYTES64:
		r.set64(fieldBytesSent, a.Uint64())
	case unix.NL80211_STA_INFO_RX_BYTES:
		r.set32(fieldBytesReceived, a.Uint32())
	case unix.NL80211_STA_INFO_RX_BYTES64:
		r.set64(fieldBytesReceived, a.Uint64())
	case unix.NL80211_STA_INFO_TX_PACKETS:
		r.set32(fieldPacketsSent, a.Uint32())
	case unix.NL80211_STA_INFO_RX_PACKETS:
		r.set32(fieldPacketsReceived, a.Uint32())
	case unix.NL80211_STA_INFO_TX_RETRIES:
		r.set32(fieldRetries, a.Uint32())
	case unix.NL80211_STA_INFO_TX_FAILED:
		r.set32(fieldFailures, a.Uint32())
	case unix.NL80211_STA_INFO_BEACON_LOSS:
		r.set32(fieldBeaconLoss, a.Uint32())
	case unix.NL80211_STA_INFO_RX_DURATION:
		r.set64(fieldRxAirtime, a.Uint64())
	case unix.NL80211_STA_INFO_TX_DURATION:
		r.set64(fieldTxAirtime, a.Uint64())
	case unix.NL80211_STA_INFO_RX_DROP_MISC:
		r.set64(fieldRxDrops, a.Uint64())
	}
}

func (r *reply) setLevel(f field, v int8) {
	if level, ok := dbm(v); ok {
		r.set(f, level)
	}
}

func (r *reply) setRate(v rate, kbits, mcs, streams, width field) {
	if v.kbits > 0 {
		r.set(kbits, v.kbits)
	}
	if v.mcs >= 0 {
		r.set(mcs, v.mcs)
	}
	if v.streams > 0 {
		r.set(streams, v.streams)
	}
	if v.width > 0 {
		r.set(width, v.width)
	}
}

// pending says whether a struct nl80211_sta_flag_update knows that the
// station is not associated.
func pending(update []byte) bool {
	const associated = 1 << unix.NL80211_STA_FLAG_ASSOCIATED
	if len(update) < 8 {
		return false
	}
	mask, set := binary.NativeEndian.Uint32(update), binary.NativeEndian.Uint32(update[4:])
	return mask&associated != 0 && set&associated == 0
}

// parseLevel returns the mean signal of a station, and whether it is
// associated, and nothing else of what the attributes of an
// NL80211_CMD_NEW_STATION say. ok is false where the signal is not told.
func parseLevel(attributes []byte) (level int64, ok, associated bool, err error) {
	associated = true
	a := netlink.NewAttributes(attributes)
	for a.Next() {
		if a.Type() != unix.NL80211_ATTR_STA_INFO {
			continue
		}
		info := a.Nested()
		for info.Next() {
			switch info.Type() {
			case unix.NL80211_STA_INFO_SIGNAL_AVG:
				level, ok = dbm(info.Int8())
			case unix.NL80211_STA_INFO_STA_FLAGS:
				associated = !pending(info.Bytes())
			}
		}
		if err := info.Err(); err != nil {
			return 0, false, false, err
		}
	}
	return level, ok, associated, a.Err()
}
