package wifi

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/kernel/netlink"
	"livebox-agent/collector/platform/kernel/netlink/netlinktest"
	"livebox-agent/collector/sample"
)

// attributes are what one entry of a dump says, in the order in which the
// kernel says it.
type attributes []attribute

type attribute struct {
	typ   uint16
	value any // uint8, int8, uint16, uint32, uint64, string, []byte, attributes, nil for a flag
}

func (as attributes) encode(b []byte) []byte {
	for _, a := range as {
		switch v := a.value.(type) {
		case uint8:
			b = netlink.AppendUint8(b, a.typ, v)
		case int8:
			b = netlink.AppendUint8(b, a.typ, uint8(v))
		case uint16:
			b = netlink.AppendUint16(b, a.typ, v)
		case uint32:
			b = netlink.AppendUint32(b, a.typ, v)
		case uint64:
			b = netlink.AppendUint64(b, a.typ, v)
		case string:
			b = netlink.AppendText(b, a.typ, v)
		case []byte:
			b = netlink.AppendBytes(b, a.typ, v)
		case attributes:
			b = netlink.AppendNested(b, a.typ, v.encode)
		case nil:
			b = netlink.AppendFlag(b, a.typ)
		default:
			panic(fmt.Sprintf("attribute of %T", v))
		}
	}
	return b
}

// with returns as with the attribute typ set to value.
func (as attributes) with(typ uint16, value any) attributes {
	as = as.without(typ)
	return append(as, attribute{typ, value})
}

// without returns as without the attribute typ.
func (as attributes) without(typ uint16) attributes {
	return slices.DeleteFunc(slices.Clone(as), func(a attribute) bool { return a.typ == typ })
}

// family is the number of nl80211 in the fake kernel.
const family = 28

// A box is a kernel with wireless interfaces.
type box struct {
	mu         sync.Mutex // held by who answers, and who changes what follows meanwhile
	interfaces []attributes
	surveys    map[uint32][]attributes // by interface index
	stations   map[uint32][]attributes

	// refuse is the answer to a command, for the interface or, under 0, for
	// all.
	refuse map[uint8]map[uint32]error
	// family is the number of nl80211, 0 for a kernel without it.
	family uint16
	// interrupt marks that many dumps of stations as inconsistent.
	interrupt int
	dials     int
	dialErr   error
	// refuseOne is the answer to who asks for one station.
	refuseOne error
	// noGroups is for a kernel that has no multicast groups.
	noGroups bool
}

func newBox() *box {
	return &box{
		surveys:  map[uint32][]attributes{},
		stations: map[uint32][]attributes{},
		refuse:   map[uint8]map[uint32]error{},
		family:   family,
	}
}

func (k *box) dial() (Conn, error) {
	k.dials++
	if k.dialErr != nil {
		return nil, &netlink.OpError{Op: "dial generic", Err: k.dialErr}
	}
	return netlinktest.New(k.answer), nil
}

func (k *box) refuses(command uint8, index uint32, err error) {
	k.refuse[command] = map[uint32]error{index: err}
}

func (k *box) answer(m netlink.Message) ([]netlink.Message, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	command, body, err := netlink.CutGeneric(m.Data)
	if err != nil {
		return nil, err
	}
	if m.Type == unix.GENL_ID_CTRL {
		if k.family == 0 {
			return nil, unix.ENOENT
		}
		return []netlink.Message{message(unix.GENL_ID_CTRL, unix.CTRL_CMD_NEWFAMILY, attributes{
			{unix.CTRL_ATTR_FAMILY_NAME, "nl80211"}, {unix.CTRL_ATTR_FAMILY_ID, k.family}, {unix.CTRL_ATTR_MCAST_GROUPS, k.groups()},
		})}, nil
	}
	if m.Type != k.family {
		return nil, unix.EOPNOTSUPP
	}
	var index uint32
	var mac []byte
	for a := netlink.NewAttributes(body); a.Next(); {
		switch a.Type() {
		case unix.NL80211_ATTR_IFINDEX:
			index = a.Uint32()
		case unix.NL80211_ATTR_MAC:
			mac = a.Bytes()
		}
	}
	switch dump := m.Flags&unix.NLM_F_DUMP == unix.NLM_F_DUMP; {
	case !dump && command == unix.NL80211_CMD_GET_STATION:
		return k.station(index, mac)
	case !dump:
		return nil, errors.New("BUG: not a dump")
	}
	for _, i := range []uint32{index, 0} {
		if err := k.refuse[command][i]; err != nil {
			return nil, err
		}
	}
	switch command {
	case unix.NL80211_CMD_GET_INTERFACE:
		return k.messages(unix.NL80211_CMD_NEW_INTERFACE, k.interfaces), nil
	case unix.NL80211_CMD_GET_SURVEY:
		return k.messages(unix.NL80211_CMD_NEW_SURVEY_RESULTS, k.surveys[index]), nil
	case unix.NL80211_CMD_GET_STATION:
		ms := k.messages(unix.NL80211_CMD_NEW_STATION, k.stations[index])
		if k.interrupt > 0 && len(ms) > 0 {
			k.interrupt--
			ms[len(ms)-1].Flags |= unix.NLM_F_DUMP_INTR
		}
		return ms, nil
	}
	return nil, unix.EOPNOTSUPP
}

// groups are the multicast groups of nl80211.
func (k *box) groups() attributes {
	if k.noGroups {
		return nil
	}
	var as attributes
	for i, name := range []string{"config", "scan", "mlme"} {
		as = append(as, attribute{uint16(i + 1), attributes{
			{unix.CTRL_ATTR_MCAST_GRP_NAME, name}, {unix.CTRL_ATTR_MCAST_GRP_ID, mlmeGroup - 2 + uint32(i)},
		}})
	}
	return as
}

// station answers who asks for one station.
func (k *box) station(index uint32, mac []byte) ([]netlink.Message, error) {
	if k.refuseOne != nil {
		return nil, k.refuseOne
	}
	for _, s := range slices.Backward(k.stations[index]) {
		for _, a := range s {
			if m, ok := a.value.([]byte); ok && a.typ == unix.NL80211_ATTR_MAC && bytes.Equal(m, mac) {
				return k.messages(unix.NL80211_CMD_NEW_STATION, []attributes{s}), nil
			}
		}
	}
	return nil, unix.ENOENT
}

func (k *box) messages(command uint8, entries []attributes) []netlink.Message {
	var ms []netlink.Message
	for _, e := range entries {
		ms = append(ms, message(k.family, command, e))
	}
	return ms
}

func message(typ uint16, command uint8, as attributes) netlink.Message {
	return netlink.Message{Type: typ, Data: as.encode(netlink.AppendGeneric(nil, command, 1))}
}

// Addresses and the name of the network that must never leave the source.
const ssid = "Livebox-1A2B"

var ownMAC = [6]byte{0x02, 0x00, 0x00, 0xaa, 0xbb, 0xcc}

func stationMAC(n int) [6]byte { return [6]byte{0x3c, 0x22, 0xfb, 0x5a, 0x00, byte(n)} }

func pseudonym(mac [6]byte) string { return pseudonyms[mac[5]] }

// pseudonyms are made beforehand, as the agent's are: a round must not
// allocate.
var pseudonyms = func() (names [256]string) {
	for i := range names {
		names[i] = fmt.Sprintf("device-%d", i)
	}
	return names
}()

// accessPoint is the interface with that index on phy 0, at 5 GHz.
func accessPoint(index uint32, name string) attributes {
	return attributes{
		{unix.NL80211_ATTR_IFINDEX, index},
		{unix.NL80211_ATTR_IFNAME, name},
		{unix.NL80211_ATTR_WIPHY, uint32(0)},
		{unix.NL80211_ATTR_IFTYPE, uint32(unix.NL80211_IFTYPE_AP)},
		{unix.NL80211_ATTR_WDEV, uint64(index)},
		{unix.NL80211_ATTR_MAC, ownMAC[:]},
		{unix.NL80211_ATTR_GENERATION, uint32(5)},
		{unix.NL80211_ATTR_4ADDR, uint8(0)},
		{unix.NL80211_ATTR_WIPHY_FREQ, uint32(5180)},
		{unix.NL80211_ATTR_WIPHY_FREQ_OFFSET, uint32(0)},
		{unix.NL80211_ATTR_CHANNEL_WIDTH, uint32(unix.NL80211_CHAN_WIDTH_80)},
		{unix.NL80211_ATTR_WIPHY_TX_POWER_LEVEL, uint32(2300)},
		{unix.NL80211_ATTR_SSID, []byte(ssid)},
	}
}

// channelSurvey is the survey of a channel in use.
func channelSurvey(frequency uint32) attributes {
	return attributes{
		{unix.NL80211_SURVEY_INFO_FREQUENCY, frequency},
		{unix.NL80211_SURVEY_INFO_NOISE, int8(-95)},
		{unix.NL80211_SURVEY_INFO_IN_USE, nil},
		{unix.NL80211_SURVEY_INFO_TIME, uint64(100_000)},
		{unix.NL80211_SURVEY_INFO_TIME_BUSY, uint64(30_000)},
		{unix.NL80211_SURVEY_INFO_TIME_EXT_BUSY, uint64(1)},
		{unix.NL80211_SURVEY_INFO_TIME_RX, uint64(20_000)},
		{unix.NL80211_SURVEY_INFO_TIME_TX, uint64(5_000)},
		{unix.NL80211_SURVEY_INFO_TIME_SCAN, uint64(2)},
		{unix.NL80211_SURVEY_INFO_TIME_BSS_RX, uint64(4_000)},
		{unix.NL80211_SURVEY_INFO_FREQUENCY_OFFSET, uint32(0)},
	}
}

// surveyEntry wraps a survey as the entry of a dump.
func surveyEntry(s attributes) attributes {
	return attributes{{unix.NL80211_ATTR_IFINDEX, uint32(3)}, {unix.NL80211_ATTR_SURVEY_INFO, s}}
}

// flags is a struct nl80211_sta_flag_update.
func flags(mask, set uint32) []byte {
	return binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(nil, mask), set)
}

// stationInfo is what a recent kernel says of a station of 802.11ax.
func stationInfo() attributes {
	return attributes{
		{unix.NL80211_STA_INFO_CONNECTED_TIME, uint32(3600)},
		{unix.NL80211_STA_INFO_INACTIVE_TIME, uint32(40)},
		{unix.NL80211_STA_INFO_ASSOC_AT_BOOTTIME, uint64(86_400_000_000_000)},
		{unix.NL80211_STA_INFO_RX_BYTES, uint32(1_000_000)},
		{unix.NL80211_STA_INFO_TX_BYTES, uint32(705_032_704)},
		{unix.NL80211_STA_INFO_RX_BYTES64, uint64(1_000_000)},
		{unix.NL80211_STA_INFO_TX_BYTES64, uint64(5_000_000_000)},
		{unix.NL80211_STA_INFO_RX_DURATION, uint64(12_000_000)},
		{unix.NL80211_STA_INFO_TX_DURATION, uint64(34_000_000)},
		{unix.NL80211_STA_INFO_AIRTIME_WEIGHT, uint16(256)},
		{unix.NL80211_STA_INFO_SIGNAL, int8(-58)},
		{unix.NL80211_STA_INFO_SIGNAL_AVG, int8(-60)},
		{unix.NL80211_STA_INFO_CHAIN_SIGNAL, attributes{{0, int8(-59)}, {1, int8(-61)}}},
		{unix.NL80211_STA_INFO_TX_BITRATE, attributes{
			{unix.NL80211_RATE_INFO_BITRATE, uint16(12010)},
			{unix.NL80211_RATE_INFO_BITRATE32, uint32(12010)},
			{unix.NL80211_RATE_INFO_80_MHZ_WIDTH, nil},
			{unix.NL80211_RATE_INFO_HE_MCS, uint8(11)},
			{unix.NL80211_RATE_INFO_HE_NSS, uint8(2)},
			{unix.NL80211_RATE_INFO_HE_GI, uint8(0)},
		}},
		{unix.NL80211_STA_INFO_RX_BITRATE, attributes{
			{unix.NL80211_RATE_INFO_BITRATE, uint16(60)},
			{unix.NL80211_RATE_INFO_BITRATE32, uint32(60)},
		}},
		{unix.NL80211_STA_INFO_RX_PACKETS, uint32(4000)},
		{unix.NL80211_STA_INFO_TX_PACKETS, uint32(5000)},
		{unix.NL80211_STA_INFO_TX_RETRIES, uint32(60)},
		{unix.NL80211_STA_INFO_TX_FAILED, uint32(7)},
		{unix.NL80211_STA_INFO_EXPECTED_THROUGHPUT, uint32(480_000)},
		{unix.NL80211_STA_INFO_BEACON_LOSS, uint32(3)},
		{unix.NL80211_STA_INFO_RX_DROP_MISC, uint64(9)},
		{unix.NL80211_STA_INFO_STA_FLAGS, flags(0xfe, 0xae)},
		{unix.NL80211_STA_INFO_ACK_SIGNAL_AVG, int8(-62)},
		{unix.NL80211_STA_INFO_TID_STATS, attributes{{1, attributes{{1, uint64(1)}}}}},
	}
}

// stationReadings are the readings of stationInfo.
func stationReadings() map[catalogue.ID]int64 {
	return map[catalogue.ID]int64{
		catalogue.StationConnectedTime:      3600,
		catalogue.StationInactive:           40,
		catalogue.StationBytesReceived:      1_000_000,
		catalogue.StationBytesSent:          5_000_000_000,
		catalogue.StationRxAirtime:          12_000_000,
		catalogue.StationTxAirtime:          34_000_000,
		catalogue.StationSignalLast:         -58,
		catalogue.StationSignal:             -60,
		catalogue.StationDownlinkRate:       1_201_000,
		catalogue.StationDownlinkMCS:        11,
		catalogue.StationDownlinkNSS:        2,
		catalogue.StationDownlinkWidth:      80,
		catalogue.StationUplinkRate:         6000,
		catalogue.StationUplinkWidth:        20,
		catalogue.StationPacketsReceived:    4000,
		catalogue.StationPacketsSent:        5000,
		catalogue.StationRetries:            60,
		catalogue.StationFailures:           7,
		catalogue.StationExpectedThroughput: 480_000,
		catalogue.StationBeaconLoss:         3,
		catalogue.StationRxDrops:            9,
		catalogue.StationAckSignal:          -62,
	}
}

// stationEntry wraps what is said of a station as the entry of a dump.
func stationEntry(n int, info attributes) attributes {
	mac := stationMAC(n)
	return attributes{
		{unix.NL80211_ATTR_IFINDEX, uint32(3)},
		{unix.NL80211_ATTR_MAC, mac[:]},
		{unix.NL80211_ATTR_GENERATION, uint32(7)},
		{unix.NL80211_ATTR_STA_INFO, info},
	}
}

// home is a box with one access point and so many stations.
func home(stations int) *box {
	k := newBox()
	k.interfaces = []attributes{accessPoint(3, "phy0-ap0")}
	k.surveys[3] = []attributes{
		surveyEntry(channelSurvey(5200).without(unix.NL80211_SURVEY_INFO_IN_USE)),
		surveyEntry(channelSurvey(5180)),
	}
	for n := range stations {
		k.stations[3] = append(k.stations[3], stationEntry(n, stationInfo()))
	}
	return k
}

// collect asks the source once, at the time at.
func collect(t *testing.T, s collector.Source, at time.Duration) (map[string]map[catalogue.ID]int64, error) {
	t.Helper()
	var b sample.Batch
	b.Reset(at)
	err := s.Collect(t.Context(), &b)
	got := map[string]map[catalogue.ID]int64{}
	for _, r := range b.Readings {
		if got[r.Instance] == nil {
			got[r.Instance] = map[catalogue.ID]int64{}
		}
		if _, twice := got[r.Instance][r.Metric]; twice {
			t.Errorf("metric %d of %s twice in one round", r.Metric, r.Instance)
		}
		got[r.Instance][r.Metric] = r.Value
		if !slices.Contains(s.Describe().Metrics, r.Metric) {
			t.Errorf("metric %d is not in the description", r.Metric)
		}
	}
	return got, err
}

// must is collect where it has to succeed.
func must(t *testing.T, s collector.Source) map[string]map[catalogue.ID]int64 {
	t.Helper()
	got, err := collect(t, s, 0)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// Both sources, for what they have in common.
func sources(k *box) []collector.Source {
	return []collector.Source{NewRadios(k.dial, nil), NewStations(k.dial, pseudonym)}
}
