package wifi

import (
	"golang.org/x/sys/unix"

	"livebox-agent/collector/platform/kernel/netlink"
)

// A rate is how one frame was sent (struct rate_info of the kernel).
type rate struct {
	kbits   int64 // kbit/s, 0 if unknown
	mcs     int64 // -1 if unknown, or sent without MCS (802.11a, b, g)
	streams int64 // spatial streams, 0 if unknown
	width   int64 // MHz, 0 if unknown or a part of the channel (OFDMA)
}

// The highest MCS of each generation. The standard ends VHT at 9; drivers go
// on to 11 (1024-QAM), and the kernel computes rates for these.
const (
	maxHT  = 31
	maxVHT = 11
	maxHE  = 11
	maxEHT = 15
	// maxStreams is the most that any generation has.
	maxStreams = 8
)

// parseRate returns the rate that the attributes of enum nl80211_rate_info
// describe. What they do not say, or cannot mean, is unknown.
func parseRate(a netlink.Attributes) (rate, error) {
	r := rate{mcs: -1}
	var rate16, rate32 uint32
	wide, partial := int64(0), false
	for a.Next() {
		switch a.Type() {
		case unix.NL80211_RATE_INFO_BITRATE:
			rate16 = uint32(a.Uint16())
		case unix.NL80211_RATE_INFO_BITRATE32:
			rate32 = a.Uint32()
		case unix.NL80211_RATE_INFO_MCS:
			// 802.11n counts the streams in the index.
			if r.index(a.Uint8(), maxHT); r.mcs >= 0 {
				r.streams = r.mcs/8 + 1
			}
		case unix.NL80211_RATE_INFO_VHT_MCS:
			r.index(a.Uint8(), maxVHT)
		case unix.NL80211_RATE_INFO_HE_MCS:
			r.index(a.Uint8(), maxHE)
		case unix.NL80211_RATE_INFO_EHT_MCS:
			r.index(a.Uint8(), maxEHT)
		case unix.NL80211_RATE_INFO_VHT_NSS, unix.NL80211_RATE_INFO_HE_NSS, unix.NL80211_RATE_INFO_EHT_NSS:
			if n := int64(a.Uint8()); n <= maxStreams {
				r.streams = n
			}
		case unix.NL80211_RATE_INFO_HE_RU_ALLOC, unix.NL80211_RATE_INFO_EHT_RU_ALLOC:
			partial = true
		default:
			if w := rateWidth(a.Type()); w > 0 {
				wide = w
			}
		}
	}
	if err := a.Err(); err != nil {
		return rate{mcs: -1}, err
	}
	// Above 6.5535 Gbit/s there is no 16-bit value; before Linux 3.8 no
	// 32-bit one.
	r.kbits = 100 * int64(max(rate16, rate32))
	switch {
	case wide > 0:
		r.width = wide
	case !partial && (r.kbits > 0 || r.mcs >= 0):
		// 20 MHz is the width that has no flag.
		r.width = 20
	}
	return r, nil
}

// index sets the MCS where it is one.
func (r *rate) index(mcs uint8, highest int64) {
	if v := int64(mcs); v <= highest {
		r.mcs = v
	}
}

// rateWidth returns the MHz that the flag attribute typ stands for, 0 for
// other attributes.
func rateWidth(typ uint16) int64 {
	switch typ {
	case unix.NL80211_RATE_INFO_40_MHZ_WIDTH:
		return 40
	case unix.NL80211_RATE_INFO_80_MHZ_WIDTH:
		return 80
	case unix.NL80211_RATE_INFO_80P80_MHZ_WIDTH, unix.NL80211_RATE_INFO_160_MHZ_WIDTH:
		return 160
	case unix.NL80211_RATE_INFO_320_MHZ_WIDTH:
		return 320
	case unix.NL80211_RATE_INFO_10_MHZ_WIDTH:
		return 10
	case unix.NL80211_RATE_INFO_5_MHZ_WIDTH:
		return 5
	case unix.NL80211_RATE_INFO_1_MHZ_WIDTH:
		return 1
	case unix.NL80211_RATE_INFO_2_MHZ_WIDTH:
		return 2
	case unix.NL80211_RATE_INFO_4_MHZ_WIDTH:
		return 4
	case unix.NL80211_RATE_INFO_8_MHZ_WIDTH:
		return 8
	case unix.NL80211_RATE_INFO_16_MHZ_WIDTH:
		return 16
	}
	return 0
}
