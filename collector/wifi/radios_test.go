package wifi

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
)

// radioReadings are the readings of a home with two stations.
func radioReadings() map[string]map[catalogue.ID]int64 {
	return map[string]map[catalogue.ID]int64{
		"phy0": {
			catalogue.RadioChannel:    36,
			catalogue.RadioBand:       catalogue.Band5G,
			catalogue.RadioBandwidth:  80,
			catalogue.RadioTxPower:    2300,
			catalogue.RadioNoise:      -95,
			catalogue.RadioActiveTime: 100_000,
			catalogue.RadioBusyTime:   30_000,
			catalogue.RadioRxTime:     20_000,
			catalogue.RadioTxTime:     5_000,
			catalogue.RadioBSSRxTime:  4_000,
		},
		"phy0-ap0": {
			catalogue.RadioStations:     2,
			catalogue.RadioWeakStations: 0,
		},
	}
}

func TestRadioThatTellsAll(t *testing.T) {
	if diff := cmp.Diff(radioReadings(), must(t, NewRadios(home(2).dial, nil))); diff != "" {
		t.Error(diff)
	}
}

func TestRadioGivesNothingThatItIsNotTold(t *testing.T) {
	for _, tt := range []struct {
		name  string
		alter func(*box)
		want  func(map[string]map[catalogue.ID]int64)
	}{
		{"no frequency", func(k *box) {
			k.interfaces[0] = k.interfaces[0].without(unix.NL80211_ATTR_WIPHY_FREQ)
		}, func(m map[string]map[catalogue.ID]int64) {
			// The survey's channel in use is still that of the radio.
			delete(m["phy0"], catalogue.RadioChannel)
			delete(m["phy0"], catalogue.RadioBand)
		}},
		{"no width", func(k *box) {
			k.interfaces[0] = k.interfaces[0].without(unix.NL80211_ATTR_CHANNEL_WIDTH)
		}, func(m map[string]map[catalogue.ID]int64) { delete(m["phy0"], catalogue.RadioBandwidth) }},
		{"no power", func(k *box) {
			k.interfaces[0] = k.interfaces[0].without(unix.NL80211_ATTR_WIPHY_TX_POWER_LEVEL)
		}, func(m map[string]map[catalogue.ID]int64) { delete(m["phy0"], catalogue.RadioTxPower) }},
		{"no noise", func(k *box) {
			k.surveys[3][1] = surveyEntry(channelSurvey(5180).without(unix.NL80211_SURVEY_INFO_NOISE))
		}, func(m map[string]map[catalogue.ID]int64) { delete(m["phy0"], catalogue.RadioNoise) }},
		{"noise zero", func(k *box) {
			k.surveys[3][1] = surveyEntry(channelSurvey(5180).with(unix.NL80211_SURVEY_INFO_NOISE, int8(0)))
		}, func(m map[string]map[catalogue.ID]int64) { delete(m["phy0"], catalogue.RadioNoise) }},
		{"no times", func(k *box) {
			k.surveys[3][1] = surveyEntry(attributes{{unix.NL80211_SURVEY_INFO_FREQUENCY, uint32(5180)}, {unix.NL80211_SURVEY_INFO_IN_USE, nil}, {unix.NL80211_SURVEY_INFO_NOISE, int8(-95)}})
		}, withoutTimes},
		{"no transmit time", func(k *box) {
			k.surveys[3][1] = surveyEntry(channelSurvey(5180).without(unix.NL80211_SURVEY_INFO_TIME_TX))
		}, func(m map[string]map[catalogue.ID]int64) { delete(m["phy0"], catalogue.RadioTxTime) }},
		{"empty survey", func(k *box) { k.surveys[3] = nil }, withoutSurvey},
		{"survey of nothing", func(k *box) { k.surveys[3] = []attributes{{}, {{unix.NL80211_ATTR_SURVEY_INFO, attributes{}}}} }, withoutSurvey},
		{"survey of other channels", func(k *box) { k.surveys[3] = k.surveys[3][:1] }, withoutSurvey},
		{"survey that has another channel in use", func(k *box) { k.surveys[3] = []attributes{surveyEntry(channelSurvey(5500))} }, withoutSurvey},
		{"driver without survey", func(k *box) { k.refuses(unix.NL80211_CMD_GET_SURVEY, 3, unix.EOPNOTSUPP) }, withoutSurvey},
		{"driver that marks no channel as in use", func(k *box) {
			k.surveys[3][1] = surveyEntry(channelSurvey(5180).without(unix.NL80211_SURVEY_INFO_IN_USE))
		}, func(map[string]map[catalogue.ID]int64) {}},
		{"driver that does not list its stations", func(k *box) { k.refuses(unix.NL80211_CMD_GET_STATION, 3, unix.EOPNOTSUPP) }, func(m map[string]map[catalogue.ID]int64) { delete(m, "phy0-ap0") }},
		{"no station", func(k *box) { k.stations[3] = nil }, func(m map[string]map[catalogue.ID]int64) { m["phy0-ap0"][catalogue.RadioStations] = 0 }},
		{"stations without signal", func(k *box) {
			for i := range k.stations[3] {
				k.stations[3][i] = stationEntry(i, stationInfo().without(unix.NL80211_STA_INFO_SIGNAL_AVG))
			}
		}, func(m map[string]map[catalogue.ID]int64) { delete(m["phy0-ap0"], catalogue.RadioWeakStations) }},
		{"stations of which nothing is told", func(k *box) {
			for i := range k.stations[3] {
				k.stations[3][i] = nil
			}
		}, func(m map[string]map[catalogue.ID]int64) { delete(m["phy0-ap0"], catalogue.RadioWeakStations) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := home(2)
			tt.alter(k)
			want := radioReadings()
			tt.want(want)
			if diff := cmp.Diff(want, must(t, NewRadios(k.dial, nil))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func withoutTimes(m map[string]map[catalogue.ID]int64) {
	for _, metric := range timeMetrics {
		delete(m["phy0"], metric)
	}
}

func withoutSurvey(m map[string]map[catalogue.ID]int64) {
	withoutTimes(m)
	delete(m["phy0"], catalogue.RadioNoise)
}

func TestWeakStationsAreCounted(t *testing.T) {
	k := home(0)
	for n, signal := range []int8{-40, -75, -76, -90, 0, -128} {
		k.stations[3] = append(k.stations[3], stationEntry(n, stationInfo().with(unix.NL80211_STA_INFO_SIGNAL_AVG, signal)))
	}
	// It has authenticated but not associated.
	k.stations[3] = append(k.stations[3], stationEntry(9, stationInfo().with(unix.NL80211_STA_INFO_STA_FLAGS, flags(0xfe, 0x20)).with(unix.NL80211_STA_INFO_SIGNAL_AVG, int8(-90))))
	got := must(t, NewRadios(k.dial, nil))["phy0-ap0"]
	want := map[catalogue.ID]int64{catalogue.RadioStations: 6, catalogue.RadioWeakStations: 2}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestInterfacesOfARadioSpeakForItOnce(t *testing.T) {
	k := home(1)
	client := accessPoint(5, "phy0-sta0").with(unix.NL80211_ATTR_IFTYPE, uint32(unix.NL80211_IFTYPE_STATION)).with(unix.NL80211_ATTR_WIPHY_TX_POWER_LEVEL, uint32(100))
	down := accessPoint(6, "phy0-ap9").without(unix.NL80211_ATTR_WIPHY_FREQ).with(unix.NL80211_ATTR_WIPHY_TX_POWER_LEVEL, uint32(200))
	guests := accessPoint(4, "phy0-ap1").with(unix.NL80211_ATTR_SSID, []byte("guests"))
	k.interfaces = []attributes{client, down, k.interfaces[0], guests}
	k.stations[5] = []attributes{stationEntry(50, stationInfo())}
	want := radioReadings()
	want["phy0-ap0"][catalogue.RadioStations] = 1
	want["phy0-ap1"] = map[catalogue.ID]int64{catalogue.RadioStations: 0, catalogue.RadioWeakStations: 0}
	want["phy0-ap9"] = want["phy0-ap1"]
	want["phy0-sta0"] = map[catalogue.ID]int64{catalogue.RadioStations: 1, catalogue.RadioWeakStations: 0}
	r := NewRadios(k.dial, nil)
	for range 2 {
		if diff := cmp.Diff(want, must(t, r)); diff != "" {
			t.Error(diff)
		}
	}
	// Without its peer, the client has no stations to count.
	k.stations[5] = nil
	if got, ok := must(t, r)["phy0-sta0"]; ok {
		t.Errorf("client without a peer: %v; want nothing", got)
	}
}

func TestInterfaceThatIsDownAndNoAccessPointIsNoData(t *testing.T) {
	k := newBox()
	k.interfaces = []attributes{{
		{unix.NL80211_ATTR_IFINDEX, uint32(3)},
		{unix.NL80211_ATTR_IFNAME, "wlan0"},
		{unix.NL80211_ATTR_WIPHY, uint32(0)},
		{unix.NL80211_ATTR_IFTYPE, uint32(unix.NL80211_IFTYPE_STATION)},
	}}
	if got, err := collect(t, NewRadios(k.dial, nil), 0); !errors.Is(err, collector.ErrNoData) || len(got) != 0 {
		t.Errorf("%v, %v; want ErrNoData", got, err)
	}
}

func TestRadiosOfOnePhyAreToldApart(t *testing.T) {
	k := newBox()
	for i, frequency := range []uint32{2437, 5180, 5955} {
		index := uint32(3 + i)
		k.interfaces = append(k.interfaces, accessPoint(index, fmt.Sprintf("phy0.%d-ap0", i)).
			with(unix.NL80211_ATTR_WIPHY_FREQ, frequency).with(attrRadioMask, uint32(1)<<i))
		// All channels of the phy, whichever interface is asked.
		for j, f := range []uint32{2437, 5180, 5955} {
			k.surveys[index] = append(k.surveys[index], surveyEntry(channelSurvey(f).with(unix.NL80211_SURVEY_INFO_TIME, uint64(1000*(j+1)))))
		}
	}
	got := must(t, NewRadios(k.dial, nil))
	for i, band := range []int64{catalogue.Band2G4, catalogue.Band5G, catalogue.Band6G} {
		name := fmt.Sprintf("phy0.%d", i)
		if got[name][catalogue.RadioBand] != band || got[name][catalogue.RadioActiveTime] != int64(1000*(i+1)) {
			t.Errorf("%s = %v; want band %d and %d ms", name, got[name], band, 1000*(i+1))
		}
	}
	if len(got) != 6 {
		t.Errorf("%d instances; want 3 radios and 3 interfaces", len(got))
	}
}

func TestRadioHasTheNameThatTheKernelGives(t *testing.T) {
	k := home(0)
	k.interfaces[0] = k.interfaces[0].with(unix.NL80211_ATTR_WIPHY_NAME, "wifi5g")
	if got := must(t, NewRadios(k.dial, nil)); got["wifi5g"] == nil || got["phy0"] != nil {
		t.Errorf("%v; want a radio called wifi5g", got)
	}
}

// active sets the survey of the channel that the access point is on.
func (k *box) active(frequency uint32, ms uint64) {
	k.interfaces[0] = k.interfaces[0].with(unix.NL80211_ATTR_WIPHY_FREQ, frequency)
	k.surveys[3] = []attributes{surveyEntry(channelSurvey(frequency).with(unix.NL80211_SURVEY_INFO_TIME, ms))}
}

func TestTimesOfARadioNeverDecrease(t *testing.T) {
	k := home(0)
	r := NewRadios(k.dial, nil)
	for _, tt := range []struct {
		name      string
		frequency uint32
		ms        uint64
		want      int64
	}{
		{"first", 5180, 1_000_000, 1_000_000},
		{"goes on", 5180, 1_010_000, 1_010_000},
		{"channel that it was on before", 5500, 9_000_000, 1_010_000},
		{"goes on there", 5500, 9_010_000, 1_020_000},
		{"channel that is new", 5260, 10, 1_020_000},
		{"goes on there, too", 5260, 10_010, 1_030_000},
		{"back on the first", 5180, 1_010_500, 1_030_000},
		{"driver starts again", 5180, 400, 1_030_400},
		{"goes on from zero", 5180, 10_400, 1_040_400},
		{"stops at the end", 5180, math.MaxUint64, math.MaxInt64},
		{"stays there", 5180, 3, math.MaxInt64},
	} {
		k.active(tt.frequency, tt.ms)
		if got := must(t, r)["phy0"][catalogue.RadioActiveTime]; got != tt.want {
			t.Errorf("%s: %d ms; want %d", tt.name, got, tt.want)
		}
	}
}

func TestRadiosAreBounded(t *testing.T) {
	k := home(0)
	r := NewRadios(k.dial, nil)
	// The driver starts again and again: each time the phy has a new number.
	for phy := range uint32(3 * maxRadios) {
		k.interfaces[0] = k.interfaces[0].with(unix.NL80211_ATTR_WIPHY, phy)
		if got := must(t, r); got[fmt.Sprintf("phy%d", phy)][catalogue.RadioActiveTime] != 100_000 {
			t.Fatalf("phy%d: %v", phy, got)
		}
	}
	if len(r.radios) != maxRadios {
		t.Errorf("%d radios are remembered; want %d", len(r.radios), maxRadios)
	}
	// More radios at once than there is room for: the first ones stay.
	k.interfaces = nil
	for phy := range uint32(maxRadios + 3) {
		k.interfaces = append(k.interfaces, accessPoint(100+phy, fmt.Sprintf("ap%d", phy)).with(unix.NL80211_ATTR_WIPHY, 1000+phy))
	}
	for range 2 {
		got := must(t, r)
		if got["phy1000"] == nil || got[fmt.Sprintf("phy%d", 1000+maxRadios-1)] == nil || got[fmt.Sprintf("phy%d", 1000+maxRadios)] != nil {
			t.Errorf("radios = %v; want the first %d", got, maxRadios)
		}
	}
}

// Whatever is told, a survey is refused or has the times that were sent.
func FuzzSurvey(f *testing.F) {
	f.Add(surveyEntry(channelSurvey(5180)).encode(nil))
	f.Add(surveyEntry(nil).encode(nil))
	f.Add(surveyEntry(channelSurvey(5180).with(unix.NL80211_SURVEY_INFO_TIME_RX, uint32(5))).encode(nil))
	f.Add(surveyEntry(channelSurvey(0).with(unix.NL80211_SURVEY_INFO_NOISE, int8(-128))).encode(nil)[:40])
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseSurvey(data)
		if err != nil {
			return
		}
		for i, v := range s.times {
			if s.given&(1<<i) == 0 && v != 0 {
				t.Fatalf("time %d is %d but was not told", i, v)
			}
		}
		if s.rank(s.frequency) > 2 || s.rank(s.frequency) < s.rank(s.frequency+1) {
			t.Fatalf("a survey of %d MHz describes %d MHz better", s.frequency, s.frequency+1)
		}
		var w stopwatch
		a := w.next(s.frequency, s.times[timeActive])
		if b := w.next(s.frequency, s.times[timeBusy]); a < 0 || b < a {
			t.Fatalf("total went from %d to %d", a, b)
		}
	})
}
