package wifi

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"livebox-agent/collector/platform/kernel/netlink"
)

const (
	bitrate   = unix.NL80211_RATE_INFO_BITRATE
	bitrate32 = unix.NL80211_RATE_INFO_BITRATE32
)

var unknownRate = rate{mcs: -1}

type rateTest struct {
	name string
	in   attributes
	want rate
}

func testRates(t *testing.T, tests []rateTest) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseRate(netlink.NewAttributes(tt.in.encode(nil)))
			if got != tt.want || err != nil {
				t.Errorf("parseRate = %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

func TestRatesUpTo80211ac(t *testing.T) {
	testRates(t, []rateTest{
		{"nothing told", nil, unknownRate},
		{"guard interval only", attributes{{unix.NL80211_RATE_INFO_SHORT_GI, nil}}, unknownRate},
		{"rate zero", attributes{{bitrate, uint16(0)}, {bitrate32, uint32(0)}}, unknownRate},

		{"802.11b, 5.5 Mbit/s", attributes{{bitrate, uint16(55)}}, rate{5500, -1, 0, 20}},
		{"802.11g, 54 Mbit/s", attributes{{bitrate, uint16(540)}, {bitrate32, uint32(540)}}, rate{54_000, -1, 0, 20}},
		{"802.11a, 5 MHz", attributes{{bitrate, uint16(30)}, {unix.NL80211_RATE_INFO_5_MHZ_WIDTH, nil}}, rate{3000, -1, 0, 5}},
		{"802.11a, 10 MHz", attributes{{bitrate, uint16(60)}, {unix.NL80211_RATE_INFO_10_MHZ_WIDTH, nil}}, rate{6000, -1, 0, 10}},

		{"802.11n, MCS 0", attributes{{bitrate, uint16(65)}, {unix.NL80211_RATE_INFO_MCS, uint8(0)}}, rate{6500, 0, 1, 20}},
		{"802.11n, MCS 7", attributes{{bitrate, uint16(722)}, {unix.NL80211_RATE_INFO_MCS, uint8(7)}, {unix.NL80211_RATE_INFO_SHORT_GI, nil}}, rate{72_200, 7, 1, 20}},
		{"802.11n, MCS 8, 40 MHz", attributes{{bitrate, uint16(270)}, {unix.NL80211_RATE_INFO_MCS, uint8(8)}, {unix.NL80211_RATE_INFO_40_MHZ_WIDTH, nil}}, rate{27_000, 8, 2, 40}},
		{"802.11n, MCS 31", attributes{{bitrate, uint16(6000)}, {unix.NL80211_RATE_INFO_MCS, uint8(31)}, {unix.NL80211_RATE_INFO_40_MHZ_WIDTH, nil}}, rate{600_000, 31, 4, 40}},
		{"802.11n, no such MCS", attributes{{bitrate, uint16(60)}, {unix.NL80211_RATE_INFO_MCS, uint8(32)}}, rate{6000, -1, 0, 20}},

		{"802.11ac, 80 MHz", attributes{
			{bitrate, uint16(8667)},
			{bitrate32, uint32(8667)},
			{unix.NL80211_RATE_INFO_80_MHZ_WIDTH, nil},
			{unix.NL80211_RATE_INFO_VHT_MCS, uint8(9)},
			{unix.NL80211_RATE_INFO_VHT_NSS, uint8(2)},
		}, rate{866_700, 9, 2, 80}},
		{"802.11ac, 80+80 MHz", attributes{
			{bitrate32, uint32(17_333)},
			{unix.NL80211_RATE_INFO_80P80_MHZ_WIDTH, nil},
			{unix.NL80211_RATE_INFO_VHT_MCS, uint8(9)},
			{unix.NL80211_RATE_INFO_VHT_NSS, uint8(2)},
		}, rate{1_733_300, 9, 2, 160}},
		{"802.11ac, 160 MHz, 8 streams: beyond 16 bits", attributes{
			{bitrate32, uint32(69_333)},
			{unix.NL80211_RATE_INFO_160_MHZ_WIDTH, nil},
			{unix.NL80211_RATE_INFO_VHT_MCS, uint8(9)},
			{unix.NL80211_RATE_INFO_VHT_NSS, uint8(8)},
		}, rate{6_933_300, 9, 8, 160}},
		{"802.11ac, MCS 11 of a driver", attributes{{unix.NL80211_RATE_INFO_VHT_MCS, uint8(11)}, {unix.NL80211_RATE_INFO_VHT_NSS, uint8(1)}}, rate{0, 11, 1, 20}},
		{"802.11ac, no such MCS", attributes{{unix.NL80211_RATE_INFO_VHT_MCS, uint8(12)}, {unix.NL80211_RATE_INFO_VHT_NSS, uint8(1)}}, rate{0, -1, 1, 0}},
		{"802.11ac, no streams", attributes{{unix.NL80211_RATE_INFO_VHT_MCS, uint8(5)}, {unix.NL80211_RATE_INFO_VHT_NSS, uint8(0)}}, rate{0, 5, 0, 20}},
		{"802.11ac, too many streams", attributes{{unix.NL80211_RATE_INFO_VHT_MCS, uint8(5)}, {unix.NL80211_RATE_INFO_VHT_NSS, uint8(9)}}, rate{0, 5, 0, 20}},
	})
}

func TestRatesFrom80211ax(t *testing.T) {
	testRates(t, []rateTest{
		{"802.11ax, 160 MHz", attributes{
			{bitrate, uint16(24_019)},
			{bitrate32, uint32(24_019)},
			{unix.NL80211_RATE_INFO_160_MHZ_WIDTH, nil},
			{unix.NL80211_RATE_INFO_HE_MCS, uint8(11)},
			{unix.NL80211_RATE_INFO_HE_NSS, uint8(2)},
			{unix.NL80211_RATE_INFO_HE_GI, uint8(0)},
			{unix.NL80211_RATE_INFO_HE_DCM, uint8(0)},
		}, rate{2_401_900, 11, 2, 160}},
		{"802.11ax, part of the channel", attributes{
			{bitrate32, uint32(89)},
			{unix.NL80211_RATE_INFO_HE_MCS, uint8(4)},
			{unix.NL80211_RATE_INFO_HE_NSS, uint8(1)},
			{unix.NL80211_RATE_INFO_HE_RU_ALLOC, uint8(unix.NL80211_RATE_INFO_HE_RU_ALLOC_52)},
		}, rate{8900, 4, 1, 0}},
		{"802.11ax, no such MCS", attributes{{bitrate32, uint32(89)}, {unix.NL80211_RATE_INFO_HE_MCS, uint8(12)}}, rate{8900, -1, 0, 20}},

		{"802.11be, 320 MHz", attributes{
			{bitrate32, uint32(57_647)},
			{unix.NL80211_RATE_INFO_320_MHZ_WIDTH, nil},
			{unix.NL80211_RATE_INFO_EHT_MCS, uint8(13)},
			{unix.NL80211_RATE_INFO_EHT_NSS, uint8(2)},
			{unix.NL80211_RATE_INFO_EHT_GI, uint8(0)},
		}, rate{5_764_700, 13, 2, 320}},
		{"802.11be, MCS 15", attributes{{bitrate32, uint32(43)}, {unix.NL80211_RATE_INFO_EHT_MCS, uint8(15)}, {unix.NL80211_RATE_INFO_EHT_NSS, uint8(1)}}, rate{4300, 15, 1, 20}},
		{"802.11be, part of the channel", attributes{
			{bitrate32, uint32(89)},
			{unix.NL80211_RATE_INFO_EHT_MCS, uint8(4)},
			{unix.NL80211_RATE_INFO_EHT_NSS, uint8(1)},
			{unix.NL80211_RATE_INFO_EHT_RU_ALLOC, uint8(2)},
		}, rate{8900, 4, 1, 0}},
		{"802.11be, no such MCS", attributes{{unix.NL80211_RATE_INFO_EHT_MCS, uint8(16)}}, unknownRate},

		{"802.11ah, 2 MHz", attributes{{bitrate32, uint32(78)}, {unix.NL80211_RATE_INFO_2_MHZ_WIDTH, nil}}, rate{7800, -1, 0, 2}},
		{"largest rate", attributes{{bitrate32, uint32(1<<32 - 1)}}, rate{429_496_729_500, -1, 0, 20}},
	})
}

func TestEveryWidthFlag(t *testing.T) {
	for typ, want := range map[uint16]int64{
		unix.NL80211_RATE_INFO_40_MHZ_WIDTH: 40, unix.NL80211_RATE_INFO_80_MHZ_WIDTH: 80,
		unix.NL80211_RATE_INFO_80P80_MHZ_WIDTH: 160, unix.NL80211_RATE_INFO_160_MHZ_WIDTH: 160,
		unix.NL80211_RATE_INFO_320_MHZ_WIDTH: 320, unix.NL80211_RATE_INFO_10_MHZ_WIDTH: 10,
		unix.NL80211_RATE_INFO_5_MHZ_WIDTH: 5, unix.NL80211_RATE_INFO_1_MHZ_WIDTH: 1,
		unix.NL80211_RATE_INFO_2_MHZ_WIDTH: 2, unix.NL80211_RATE_INFO_4_MHZ_WIDTH: 4,
		unix.NL80211_RATE_INFO_8_MHZ_WIDTH: 8, unix.NL80211_RATE_INFO_16_MHZ_WIDTH: 16,
	} {
		if got, err := parseRate(netlink.NewAttributes(netlink.AppendFlag(nil, typ))); got.width != want || err != nil {
			t.Errorf("width flag %d = %d, %v; want %d MHz", typ, got.width, err, want)
		}
	}
}

func TestRateOfAnotherLengthIsMalformed(t *testing.T) {
	for _, in := range []attributes{
		{{unix.NL80211_RATE_INFO_BITRATE, uint32(65)}},
		{{unix.NL80211_RATE_INFO_BITRATE32, uint16(65)}},
		{{unix.NL80211_RATE_INFO_HE_MCS, uint16(1)}},
		{{unix.NL80211_RATE_INFO_BITRATE, uint16(65)}, {unix.NL80211_RATE_INFO_VHT_NSS, nil}},
	} {
		if got, err := parseRate(netlink.NewAttributes(in.encode(nil))); !errors.Is(err, netlink.ErrMalformed) || got != unknownRate {
			t.Errorf("parseRate(%v) = %+v, %v; want ErrMalformed and nothing", in, got, err)
		}
	}
}

// Whatever is told, a rate is one that a radio can have.
func FuzzRate(f *testing.F) {
	for _, in := range []attributes{
		nil,
		{{unix.NL80211_RATE_INFO_BITRATE, uint16(65)}, {unix.NL80211_RATE_INFO_MCS, uint8(0)}},
		{{unix.NL80211_RATE_INFO_BITRATE32, uint32(57_647)}, {unix.NL80211_RATE_INFO_320_MHZ_WIDTH, nil}, {unix.NL80211_RATE_INFO_EHT_MCS, uint8(13)}, {unix.NL80211_RATE_INFO_EHT_NSS, uint8(2)}},
		{{unix.NL80211_RATE_INFO_HE_NSS, uint8(255)}, {unix.NL80211_RATE_INFO_HE_RU_ALLOC, uint8(9)}},
		{{unix.NL80211_RATE_INFO_MCS, uint8(255)}, {unix.NL80211_RATE_INFO_BITRATE, uint32(1)}},
	} {
		f.Add(in.encode(nil))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseRate(netlink.NewAttributes(data))
		if err != nil && r != unknownRate {
			t.Fatalf("%+v beside %v", r, err)
		}
		if r.kbits < 0 || r.kbits%100 != 0 || r.mcs < -1 || r.mcs > maxHT || r.streams < 0 || r.streams > maxStreams || r.width < 0 || r.width > 320 {
			t.Fatalf("impossible rate %+v", r)
		}
	})
}
