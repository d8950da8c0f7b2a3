package wifi

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

func TestStationThatTellsAll(t *testing.T) {
	want := map[string]map[catalogue.ID]int64{"device-0": stationReadings(), "device-1": stationReadings()}
	if diff := cmp.Diff(want, must(t, NewStations(home(2).dial, pseudonym))); diff != "" {
		t.Error(diff)
	}
}

func TestStationGivesNothingThatItIsNotTold(t *testing.T) {
	for typ, missing := range map[uint16][]catalogue.ID{
		unix.NL80211_STA_INFO_CONNECTED_TIME:      {catalogue.StationConnectedTime},
		unix.NL80211_STA_INFO_INACTIVE_TIME:       {catalogue.StationInactive},
		unix.NL80211_STA_INFO_ASSOC_AT_BOOTTIME:   nil,
		unix.NL80211_STA_INFO_RX_DURATION:         {catalogue.StationRxAirtime},
		unix.NL80211_STA_INFO_TX_DURATION:         {catalogue.StationTxAirtime},
		unix.NL80211_STA_INFO_SIGNAL:              {catalogue.StationSignalLast},
		unix.NL80211_STA_INFO_SIGNAL_AVG:          {catalogue.StationSignal},
		unix.NL80211_STA_INFO_TX_BITRATE:          {catalogue.StationDownlinkRate, catalogue.StationDownlinkMCS, catalogue.StationDownlinkNSS, catalogue.StationDownlinkWidth},
		unix.NL80211_STA_INFO_RX_BITRATE:          {catalogue.StationUplinkRate, catalogue.StationUplinkWidth},
		unix.NL80211_STA_INFO_RX_PACKETS:          {catalogue.StationPacketsReceived},
		unix.NL80211_STA_INFO_TX_PACKETS:          {catalogue.StationPacketsSent},
		unix.NL80211_STA_INFO_TX_RETRIES:          {catalogue.StationRetries},
		unix.NL80211_STA_INFO_TX_FAILED:           {catalogue.StationFailures},
		unix.NL80211_STA_INFO_EXPECTED_THROUGHPUT: {catalogue.StationExpectedThroughput},
		unix.NL80211_STA_INFO_BEACON_LOSS:         {catalogue.StationBeaconLoss},
		unix.NL80211_STA_INFO_RX_DROP_MISC:        {catalogue.StationRxDrops},
		unix.NL80211_STA_INFO_ACK_SIGNAL_AVG:      {catalogue.StationAckSignal},
		unix.NL80211_STA_INFO_STA_FLAGS:           nil,
		// The other width is still told.
		unix.NL80211_STA_INFO_RX_BYTES:   nil,
		unix.NL80211_STA_INFO_RX_BYTES64: nil,
	} {
		k := home(0)
		k.stations[3] = []attributes{stationEntry(0, stationInfo().without(typ))}
		want := stationReadings()
		for _, metric := range missing {
			delete(want, metric)
		}
		if diff := cmp.Diff(map[string]map[catalogue.ID]int64{"device-0": want}, must(t, NewStations(k.dial, pseudonym))); diff != "" {
			t.Errorf("without %d: %s", typ, diff)
		}
	}
}

func TestValuesThatCannotBeAreAbsent(t *testing.T) {
	for _, tt := range []struct {
		typ    uint16
		value  any
		absent catalogue.ID
	}{
		{unix.NL80211_STA_INFO_SIGNAL, int8(0), catalogue.StationSignalLast},
		{unix.NL80211_STA_INFO_SIGNAL, int8(20), catalogue.StationSignalLast},
		{unix.NL80211_STA_INFO_SIGNAL_AVG, int8(0), catalogue.StationSignal},
		{unix.NL80211_STA_INFO_SIGNAL_AVG, int8(-128), catalogue.StationSignal},
		{unix.NL80211_STA_INFO_ACK_SIGNAL_AVG, int8(0), catalogue.StationAckSignal},
		{unix.NL80211_STA_INFO_EXPECTED_THROUGHPUT, uint32(0), catalogue.StationExpectedThroughput},
		{unix.NL80211_STA_INFO_TX_BITRATE, attributes{{unix.NL80211_RATE_INFO_BITRATE, uint16(0)}}, catalogue.StationDownlinkRate},
	} {
		k := home(0)
		k.stations[3] = []attributes{stationEntry(0, stationInfo().with(tt.typ, tt.value))}
		got := must(t, NewStations(k.dial, pseudonym))["device-0"]
		if v, ok := got[tt.absent]; ok {
			t.Errorf("%d = %v gives %d; want nothing", tt.typ, tt.value, v)
		}
	}
}

func TestStationOfWhichNothingIsToldGivesNothing(t *testing.T) {
	for name, entry := range map[string]attributes{
		"empty entry":            {},
		"no address":             {{unix.NL80211_ATTR_STA_INFO, stationInfo()}},
		"address of another len": {{unix.NL80211_ATTR_MAC, []byte{1, 2, 3, 4, 5, 6, 7, 8}}, {unix.NL80211_ATTR_STA_INFO, stationInfo()}},
		"no info":                stationEntry(0, nil).without(unix.NL80211_ATTR_STA_INFO),
		"empty info":             stationEntry(0, nil),
		"not associated yet":     stationEntry(0, stationInfo().with(unix.NL80211_STA_INFO_STA_FLAGS, flags(0xfe, 0x20))),
	} {
		k := home(0)
		k.stations[3] = []attributes{entry}
		if got := must(t, NewStations(k.dial, pseudonym)); len(got) != 0 {
			t.Errorf("%s: %v; want nothing", name, got)
		}
	}
}

func TestFlagsThatDoNotTellLeaveTheStation(t *testing.T) {
	for name, value := range map[string][]byte{
		"not in the mask": flags(0, 0), "short": {1, 2, 3}, "associated": flags(0x80, 0x80),
	} {
		k := home(0)
		k.stations[3] = []attributes{stationEntry(0, stationInfo().with(unix.NL80211_STA_INFO_STA_FLAGS, value))}
		if got := must(t, NewStations(k.dial, pseudonym)); len(got) != 1 {
			t.Errorf("%s: %v; want one station", name, got)
		}
	}
}

func TestNoDriverThatListsItsStationsIsNoData(t *testing.T) {
	k := home(2)
	k.interfaces = append(k.interfaces, accessPoint(4, "phy1-ap0"))
	k.refuses(unix.NL80211_CMD_GET_STATION, 0, unix.EOPNOTSUPP)
	if _, err := collect(t, NewStations(k.dial, pseudonym), 0); !errors.Is(err, collector.ErrNoData) {
		t.Errorf("%v; want ErrNoData", err)
	}
	k.refuses(unix.NL80211_CMD_GET_STATION, 4, unix.EOPNOTSUPP)
	if got, err := collect(t, NewStations(k.dial, pseudonym), 0); err != nil || len(got) != 2 {
		t.Errorf("%v, %v; want the stations of the other interface", got, err)
	}
}

func TestNoStationsIsAQuietRound(t *testing.T) {
	if got := must(t, NewStations(home(0).dial, pseudonym)); len(got) != 0 {
		t.Errorf("%v; want nothing and no error", got)
	}
}

// old is a station of a kernel that has neither 64-bit counters nor the time
// of association.
func old(bytes uint32) attributes {
	return attributes{{unix.NL80211_STA_INFO_TX_BYTES, bytes}, {unix.NL80211_STA_INFO_TX_RETRIES, bytes}}
}

// sent asks s for the bytes sent to station 0, of which info is told.
func sent(t *testing.T, k *box, s *Stations, info attributes) int64 {
	t.Helper()
	k.stations[3] = []attributes{stationEntry(0, info)}
	return must(t, s)["device-0"][catalogue.StationBytesSent]
}

func TestThirtyTwoBitCountersAreUnwrapped(t *testing.T) {
	k := home(0)
	s := NewStations(k.dial, pseudonym)
	for _, tt := range []struct {
		raw  uint32
		want int64
	}{
		{4_294_967_000, 4_294_967_000},
		{704, 4_294_968_000},
		{2_000_000_000, 6_294_967_296},
		{4_000_000_000, 8_294_967_296},
		{100, 8_589_934_692},
	} {
		if got := sent(t, k, s, old(tt.raw)); got != tt.want {
			t.Errorf("%d bytes after %d; want %d", got, tt.raw, tt.want)
		}
	}
}

func TestSixtyFourBitCountersArePreferred(t *testing.T) {
	k := home(0)
	s := NewStations(k.dial, pseudonym)
	for _, raw := range []uint64{4_294_967_000, 4_294_968_000, 1 << 40} {
		for _, info := range []attributes{
			{{unix.NL80211_STA_INFO_TX_BYTES, uint32(raw)}, {unix.NL80211_STA_INFO_TX_BYTES64, raw}},
			{{unix.NL80211_STA_INFO_TX_BYTES64, raw}, {unix.NL80211_STA_INFO_TX_BYTES, uint32(raw)}},
		} {
			if got := sent(t, k, s, info); got != int64(raw) {
				t.Errorf("%d bytes; want %d", got, raw)
			}
		}
	}
}

// A station's counters start again from zero with each association, however
// large they are by the next round.
func TestNewAssociationIsNoStepBack(t *testing.T) {
	at := func(associated uint64, connected, bytes uint32) attributes {
		info := attributes{{unix.NL80211_STA_INFO_CONNECTED_TIME, connected}, {unix.NL80211_STA_INFO_TX_BYTES64, uint64(bytes)}}
		if associated != 0 {
			info = info.with(unix.NL80211_STA_INFO_ASSOC_AT_BOOTTIME, associated)
		}
		return info
	}
	for _, tt := range []struct {
		name string
		infos
	}{
		{"by the time of association", infos{at(50, 100, 7000), at(60, 200, 9000), at(60, 210, 9100)}},
		{"by the time since", infos{at(0, 100, 7000), at(0, 5, 9000), at(0, 15, 9100)}},
		{"by the counter alone", infos{at(0, 100, 9100), at(0, 110, 7000), at(0, 120, 7000)}},
	} {
		k := home(0)
		s := NewStations(k.dial, pseudonym)
		var got int64
		for _, info := range tt.infos {
			got = sent(t, k, s, info)
		}
		if got != 16_100 {
			t.Errorf("%s: %d bytes; want 16100", tt.name, got)
		}
	}
}

type infos []attributes

func TestStationThatMovesIsReportedOnce(t *testing.T) {
	k := home(0)
	k.interfaces = append(k.interfaces, accessPoint(4, "phy1-ap0").with(unix.NL80211_ATTR_WIPHY, uint32(1)))
	s := NewStations(k.dial, pseudonym)
	info := func(inactive uint32, bytes uint64) attributes {
		return attributes{{unix.NL80211_STA_INFO_INACTIVE_TIME, inactive}, {unix.NL80211_STA_INFO_TX_BYTES64, bytes}}
	}
	for _, tt := range []struct {
		name          string
		first, second attributes // of the two interfaces
		want          int64
	}{
		{"on the first", info(10, 1000), nil, 1000},
		{"on both, heard on the second", info(9000, 1000), info(10, 5000), 6000},
		{"goes on there", info(19000, 1000), info(20, 5500), 6500},
		{"on the second alone", nil, info(0, 6000), 7000},
		{"back on the first", info(5, 50), info(9000, 6000), 7050},
	} {
		k.stations = map[uint32][]attributes{}
		if tt.first != nil {
			k.stations[3] = []attributes{stationEntry(0, tt.first)}
		}
		if tt.second != nil {
			k.stations[4] = []attributes{stationEntry(0, tt.second)}
		}
		if got := must(t, s)["device-0"][catalogue.StationBytesSent]; got != tt.want {
			t.Errorf("%s: %d bytes; want %d", tt.name, got, tt.want)
		}
	}
}

func TestStationThatComesBackGoesOn(t *testing.T) {
	k := home(0)
	s := NewStations(k.dial, pseudonym)
	round := func(at time.Duration, info attributes) (int64, bool) {
		k.stations[3] = nil
		if info != nil {
			k.stations[3] = []attributes{stationEntry(0, info)}
		}
		got, err := collect(t, s, at)
		if err != nil {
			t.Fatal(err)
		}
		v, ok := got["device-0"][catalogue.StationBytesSent]
		return v, ok
	}
	if v, _ := round(time.Hour, old(5000)); v != 5000 {
		t.Errorf("%d bytes; want 5000", v)
	}
	if v, ok := round(2*time.Hour, nil); ok {
		t.Errorf("%d bytes of a station that left", v)
	}
	if v, _ := round(24*time.Hour, old(300)); v != 5300 {
		t.Errorf("%d bytes after the return; want 5300", v)
	}
	if v, _ := round(48*time.Hour, old(300)); v != 300 {
		t.Errorf("%d bytes after a day away; want 300, forgotten", v)
	}
}

func TestNewPseudonymIsInForceAtOnce(t *testing.T) {
	k := home(1)
	names := map[bool]string{false: "before", true: "after"}
	rotated := false
	s := NewStations(k.dial, func([6]byte) string { return names[rotated] })
	for _, rotated = range []bool{false, true} {
		got, err := collect(t, s, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 || got[names[rotated]] == nil {
			t.Errorf("readings of %v; want those of %q alone", got, names[rotated])
		}
	}
}

func TestWhoWasAwayForADayIsForgotten(t *testing.T) {
	k := home(5)
	s := NewStations(k.dial, pseudonym)
	at := time.Duration(0)
	step := func(d time.Duration) {
		t.Helper()
		at += d
		if _, err := collect(t, s, at); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		step(time.Minute)
	}
	if len(s.known) != 5 || len(s.ordered) != 5 {
		t.Errorf("%d stations are known; want 5", len(s.known))
	}
	k.stations[3] = k.stations[3][:2]
	step(time.Minute)
	step(23 * time.Hour)
	if len(s.known) != 5 {
		t.Errorf("%d stations are known within the day; want 5", len(s.known))
	}
	step(time.Hour)
	if len(s.known) != 2 || len(s.ordered) != 2 {
		t.Errorf("%d stations are known after a day; want 2", len(s.known))
	}
}

func TestStationsAreBounded(t *testing.T) {
	k := home(0)
	s := NewStations(k.dial, func(mac [6]byte) string { return fmt.Sprint(mac) })
	list := func(from, to int) {
		k.stations[3] = nil
		for n := from; n < to; n++ {
			e := stationEntry(n, stationInfo())
			mac := [6]byte{2, 0, 0, 0, byte(n >> 8), byte(n)}
			k.stations[3] = append(k.stations[3], e.with(unix.NL80211_ATTR_MAC, mac[:]))
		}
	}
	list(0, maxStations+10)
	got, err := collect(t, s, 0)
	if err == nil || !strings.Contains(err.Error(), "10 stations beyond 128") || len(got) != maxStations || len(s.known) != maxStations {
		t.Errorf("%d stations, %v; want %d and an error for 10", len(got), err, maxStations)
	}
	// One more that is listed first takes nobody's place.
	list(0, maxStations)
	newcomer := [6]byte{4, 0, 0, 0, 0, 0}
	k.stations[3] = append([]attributes{stationEntry(0, stationInfo()).with(unix.NL80211_ATTR_MAC, newcomer[:])}, k.stations[3]...)
	if got, err := collect(t, s, 0); err == nil || len(got) != maxStations || got[fmt.Sprint(newcomer)] != nil {
		t.Errorf("%d stations, %v; want the %d that were there", len(got), err, maxStations)
	}
	// They leave and others come, a street of passers-by: there is room.
	for i := range 20 {
		list(1000*i, 1000*i+maxStations/2)
		got, err := collect(t, s, 0)
		if err != nil || len(got) != maxStations/2 {
			t.Errorf("round %d: %d stations, %v; want %d", i, len(got), err, maxStations/2)
		}
		if len(s.known) > maxStations || len(s.known) != len(s.ordered) {
			t.Fatalf("%d stations are known, %d in order; want at most %d", len(s.known), len(s.ordered), maxStations)
		}
	}
}

// readings returns what the station adds to a batch, by field.
func readings(x *station) (values [fields]int64) {
	var b sample.Batch
	x.add(&b)
	for _, r := range b.Readings {
		values[fieldOf(r.Metric)] = r.Value
	}
	return values
}

// Whatever is told of a station, its readings are in the ranges of their
// metrics, and its counters go one way.
func FuzzStation(f *testing.F) {
	f.Add(stationEntry(0, stationInfo()).encode(nil))
	f.Add(stationEntry(0, old(7)).encode(nil))
	f.Add(stationEntry(0, nil).encode(nil))
	f.Add(stationEntry(0, attributes{{unix.NL80211_STA_INFO_TX_BITRATE, []byte{5, 0, 1}}}).encode(nil))
	f.Add(stationEntry(0, attributes{{unix.NL80211_STA_INFO_RX_DURATION, uint64(math.MaxUint64)}, {unix.NL80211_STA_INFO_SIGNAL, int8(1)}}).encode(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r reply
		err := r.parse(data)
		level, ok, _, levelErr := parseLevel(data)
		if err == nil && levelErr != nil {
			t.Fatalf("%v only without the rest", levelErr)
		}
		if ok && (level >= 0 || level < -127) {
			t.Fatalf("signal %d", level)
		}
		x := &station{name: "device", index: 1, reply: r}
		for f := range fields {
			if v := r.values[f]; !r.has(f) && v != 0 {
				t.Fatalf("field %d is %d but was not told", f, v)
			}
		}
		first, second := readings(x), readings(x)
		for f := range counterFields {
			if first[f] < 0 || second[f] != first[f] {
				t.Fatalf("counter %d went from %d to %d without counting", f, first[f], second[f])
			}
		}
		for _, f := range []field{fieldSignal, fieldSignalLast, fieldAckSignal} {
			if v := first[f]; r.has(f) && (v >= 0 || v < -127) {
				t.Fatalf("signal %d", v)
			}
		}
	})
}
