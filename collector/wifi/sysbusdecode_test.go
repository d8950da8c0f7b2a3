package wifi

import (
	"errors"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
)

type instances = map[string]map[catalogue.ID]int64

// fixture returns the reply of a box: the values of one that is in use
// somewhere, cut down to what is read and some of what must not be.
func fixture(tb testing.TB, name string) string {
	tb.Helper()
	b, err := os.ReadFile("testdata/sysbus/" + name + ".json")
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// decode returns what the decoder called name finds in text.
func decode(tb testing.TB, name, text string) (instances, error) {
	tb.Helper()
	n, err := tree.Parse([]byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	for _, d := range Decoders() {
		if d.Name != name {
			continue
		}
		if !d.Matches("NeMo.Intf.lan", "getMIBs", "wlan") {
			tb.Errorf("%s does not match its own reply", name)
		}
		var b sample.Batch
		err := d.Decode(n, platform.Hint{}, &b)
		return byInstance(&b), err
	}
	tb.Fatalf("no decoder %s", name)
	return nil, nil
}

func byInstance(b *sample.Batch) instances {
	got := instances{}
	for _, r := range b.Readings {
		if got[r.Instance] == nil {
			got[r.Instance] = map[catalogue.ID]int64{}
		}
		got[r.Instance][r.Metric] = r.Value
	}
	return got
}

func TestRadiosOfEachGeneration(t *testing.T) {
	for name, want := range map[string]instances{
		// Both are off: what was measured before is not reported as fresh.
		"livebox3": {"wifi0_ath": {catalogue.RadioBand: catalogue.Band2G4}, "wifi1_ath": {catalogue.RadioBand: catalogue.Band5G}},
		"livebox5": {"wifi0_bcm": {catalogue.RadioBand: catalogue.Band2G4}, "wifi0_quan": {catalogue.RadioBand: catalogue.Band5G}},
		"livebox7": {
			"rad2g0": {
				catalogue.RadioBand: catalogue.Band2G4, catalogue.RadioChannel: 11, catalogue.RadioBandwidth: 20,
				catalogue.RadioNoise: -94, catalogue.RadioUtilisation: 14, catalogue.RadioInterference: 0,
			},
			"rad5g0": {
				catalogue.RadioBand: catalogue.Band5G, catalogue.RadioChannel: 100, catalogue.RadioBandwidth: 160,
				catalogue.RadioNoise: -85, catalogue.RadioUtilisation: 17, catalogue.RadioInterference: 4,
			},
			"rad6g0": {
				catalogue.RadioBand: catalogue.Band6G, catalogue.RadioChannel: 5, catalogue.RadioBandwidth: 160,
				catalogue.RadioNoise: -88, catalogue.RadioUtilisation: 3, catalogue.RadioInterference: 0,
			},
			// Of the two that the box counts, the fixture lists one, and as
			// gone.
			"vap2g0priv0": {catalogue.RadioStations: 2, catalogue.RadioAssociationFailures: 928},
			"vap5g0priv0": {catalogue.RadioStations: 2, catalogue.RadioWeakStations: 0, catalogue.RadioAssociationFailures: 614},
			"vap6g0priv0": {catalogue.RadioStations: 0, catalogue.RadioWeakStations: 0, catalogue.RadioAssociationFailures: 0},
		},
		"liveboxS": {
			"rad2g0": {
				catalogue.RadioBand: catalogue.Band2G4, catalogue.RadioChannel: 11, catalogue.RadioBandwidth: 20,
				catalogue.RadioNoise: -95, catalogue.RadioUtilisation: 26, catalogue.RadioInterference: 6,
			},
			"rad5g0": {
				catalogue.RadioBand: catalogue.Band5G, catalogue.RadioChannel: 100, catalogue.RadioBandwidth: 160,
				catalogue.RadioNoise: -91, catalogue.RadioUtilisation: 3, catalogue.RadioInterference: 0,
			},
			"vap2g0priv": {catalogue.RadioStations: 3, catalogue.RadioWeakStations: 0, catalogue.RadioAssociationFailures: 12},
			"vap5g0priv": {catalogue.RadioStations: 7, catalogue.RadioWeakStations: 1, catalogue.RadioAssociationFailures: 16},
		},
	} {
		got, err := decode(t, "radios.wlan", fixture(t, name))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

func TestStationsOfEachGeneration(t *testing.T) {
	for name, want := range map[string]instances{
		"livebox3": {},
		"livebox5": {},
		"livebox7": {
			"station1": {
				catalogue.StationSignal: -65, catalogue.StationNoise: -85, catalogue.StationSNR: 20,
				catalogue.StationDownlinkRate: 2305880, catalogue.StationDownlinkMCS: 5, catalogue.StationDownlinkWidth: 160,
				catalogue.StationUplinkRate: 816660, catalogue.StationUplinkMCS: 2, catalogue.StationUplinkWidth: 160,
				catalogue.StationRetries: 11444578, catalogue.StationFailures: 140054, catalogue.StationInactive: 0,
				catalogue.StationBytesSent: 164497965261, catalogue.StationBytesReceived: 22399205848,
				catalogue.StationPacketsSent: 51625416, catalogue.StationPacketsReceived: 28255206,
			},
			"station2": {
				catalogue.StationSignal: -46, catalogue.StationNoise: -86, catalogue.StationSNR: 40,
				catalogue.StationDownlinkRate: 1200950, catalogue.StationDownlinkMCS: 11, catalogue.StationDownlinkWidth: 80,
				// A frame of 802.11a: the MCS beside it is another's.
				catalogue.StationUplinkRate: 24000, catalogue.StationUplinkWidth: 20,
				catalogue.StationRetries: 4227, catalogue.StationFailures: 14, catalogue.StationInactive: 7000,
				// The bytes sent have the multicast of the access point.
				catalogue.StationBytesReceived: 334807583,
				catalogue.StationPacketsSent:   43622, catalogue.StationPacketsReceived: 250378,
			},
		},
		"liveboxS": {
			"station1": {
				catalogue.StationSignal: -75, catalogue.StationNoise: -95, catalogue.StationSNR: 20,
				catalogue.StationDownlinkRate: 65000, catalogue.StationDownlinkMCS: 7, catalogue.StationDownlinkWidth: 20,
				catalogue.StationUplinkRate: 72222, catalogue.StationUplinkMCS: 7, catalogue.StationUplinkWidth: 20,
				catalogue.StationRetries: 7075, catalogue.StationFailures: 8, catalogue.StationInactive: 1000,
				catalogue.StationBytesSent: 27462653, catalogue.StationBytesReceived: 8141517,
				catalogue.StationPacketsSent: 22695, catalogue.StationPacketsReceived: 25367,
			},
			"station2": {
				catalogue.StationSignal: -73, catalogue.StationNoise: -95, catalogue.StationSNR: 22,
				catalogue.StationDownlinkRate: 72222, catalogue.StationDownlinkMCS: 7, catalogue.StationDownlinkWidth: 20,
				catalogue.StationUplinkRate: 72222, catalogue.StationUplinkMCS: 7, catalogue.StationUplinkWidth: 20,
				catalogue.StationRetries: 11626, catalogue.StationFailures: 1731, catalogue.StationInactive: 0,
				catalogue.StationBytesSent: 57015212, catalogue.StationBytesReceived: 33402033,
				catalogue.StationPacketsSent: 110775, catalogue.StationPacketsReceived: 226507,
			},
			"station3": {
				catalogue.StationSignal: -79, catalogue.StationNoise: -91, catalogue.StationSNR: 12,
				catalogue.StationDownlinkRate: 650000, catalogue.StationDownlinkMCS: 7, catalogue.StationDownlinkWidth: 80,
				catalogue.StationUplinkRate: 585000, catalogue.StationUplinkMCS: 6, catalogue.StationUplinkWidth: 80,
				catalogue.StationRetries: 52290, catalogue.StationFailures: 17, catalogue.StationInactive: 1000,
				catalogue.StationBytesSent: 1153083611, catalogue.StationBytesReceived: 44301000,
				catalogue.StationPacketsSent: 911071, catalogue.StationPacketsReceived: 243821,
			},
			"station4": {
				catalogue.StationSignal: -59, catalogue.StationNoise: -91, catalogue.StationSNR: 32,
				catalogue.StationDownlinkRate: 1200950, catalogue.StationDownlinkMCS: 11, catalogue.StationDownlinkWidth: 80,
				catalogue.StationUplinkRate: 1080880, catalogue.StationUplinkMCS: 10, catalogue.StationUplinkWidth: 80,
				catalogue.StationRetries: 7454, catalogue.StationFailures: 9, catalogue.StationInactive: 1000,
				catalogue.StationBytesSent: 500758385, catalogue.StationBytesReceived: 61580242,
				catalogue.StationPacketsSent: 270603, catalogue.StationPacketsReceived: 322921,
			},
		},
	} {
		got, err := decode(t, "stations.wlan", fixture(t, name))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

func TestTemperatureZeroAndMinus274AreAbsent(t *testing.T) {
	for name, want := range map[string]instances{
		"livebox7": {
			"rad2g0": {catalogue.SensorTemperature: 53_000},
			"rad5g0": {catalogue.SensorTemperature: 56_000},
			"rad6g0": {catalogue.SensorTemperature: 52_000},
		},
		// Both radios of the Livebox 5 are off, the one at 61 °C too.
		"livebox3": {}, "livebox5": {}, "liveboxS": {},
	} {
		got, err := decode(t, "radiotemp.wlan", fixture(t, name))
		if diff := cmp.Diff(want, got); diff != "" || errors.Is(err, collector.ErrNoData) != (len(want) == 0) {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

// radioWith and stationWith are replies with one radio or station of which
// only the fields are told.
func radioWith(fields string) string {
	return `{"status":{"wlanradio":{"rad5g0":{"OperatingFrequencyBand":"5GHz","RadioStatus":"Up"` + fields + `}},"wlanvap":{}}}`
}

func stationWith(fields string) string {
	return `{"status":{"wlanradio":{},"wlanvap":{"vap5g0priv":{"AssociatedDevice":{"1":{"Active":true` + fields + `}}}}}}`
}

func TestRadioValuesThatWereNotMeasured(t *testing.T) {
	for _, tt := range []struct {
		name, fields string
		want         map[catalogue.ID]int64 // but for the band
	}{
		{"nothing told", ``, nil},
		{"zeroed", `,"Noise":0,"ChannelLoad":0,"Interference":0,"Channel":0,"MaxBitRate":0`, nil},
		{"load zero with noise", `,"Noise":-90,"ChannelLoad":0`, map[catalogue.ID]int64{catalogue.RadioNoise: -90, catalogue.RadioUtilisation: 0}},
		{"load without noise", `,"ChannelLoad":9`, map[catalogue.ID]int64{catalogue.RadioUtilisation: 9}},
		{"beyond range", `,"Noise":-128,"ChannelLoad":65535,"Interference":101,"Channel":255`, nil},
		{"noise above zero", `,"Noise":161`, nil},
		{"power in percent", `,"TransmitPower":100`, nil},
		{"power automatic", `,"TransmitPower":-1`, nil},
		{"width automatic", `,"CurrentOperatingChannelBandwidth":"Auto"`, nil},
		{"width of a side", `,"CurrentOperatingChannelBandwidth":"320MHz-2"`, map[catalogue.ID]int64{catalogue.RadioBandwidth: 320}},
		{"width of the enumeration", `,"CurrentOperatingChannelBandwidth":"3MHz"`, nil},
		{"numbers as text", `,"Noise":"-90.0","Channel":"36"`, map[catalogue.ID]int64{catalogue.RadioNoise: -90, catalogue.RadioChannel: 36}},
	} {
		want := map[catalogue.ID]int64{catalogue.RadioBand: catalogue.Band5G}
		maps.Copy(want, tt.want)
		got, err := decode(t, "radios.wlan", radioWith(tt.fields))
		if diff := cmp.Diff(instances{"rad5g0": want}, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", tt.name, err, diff)
		}
	}
}

func TestStationValuesThatWereNotMeasured(t *testing.T) {
	type values = map[catalogue.ID]int64
	for _, tt := range []struct {
		name, fields string
		want         values
	}{
		{"nothing told", ``, nil},
		{"zeroed", `,"SignalStrength":0,"Noise":0,"SignalNoiseRatio":0,"LastDataDownlinkRate":0,"DownlinkMCS":0,"DownlinkBandwidth":0,"TxBytes":0,"RxBytes":0,"TxUnicastPacketCount":0,"RxUnicastPacketCount":0`, nil},
		{"signal by antenna", `,"SignalStrength":0,"AvgSignalStrengthByChain":"-75.6"`, values{catalogue.StationSignal: -76}},
		{"signal beyond range", `,"SignalStrength":-200`, nil},
		{"distance from noise without noise", `,"SignalNoiseRatio":34`, values{catalogue.StationSNR: 34}},
		{"distance from no noise", `,"Noise":0,"SignalNoiseRatio":-75`, nil},
		{"no distance from noise", `,"Noise":-89,"SignalNoiseRatio":0`, values{catalogue.StationNoise: -89, catalogue.StationSNR: 0}},
		{"share of the last packets", `,"Retransmissions":37`, nil},
		{"MCS before the first frame", `,"LastDataDownlinkRate":0,"DownlinkMCS":9,"LinkBandwidth":"80MHz"`, nil},
		{"no MCS", `,"LastDataUplinkRate":86700,"UplinkMCS":-1`, values{catalogue.StationUplinkRate: 86700}},
		{"no such MCS", `,"LastDataUplinkRate":86700,"UplinkMCS":255`, values{catalogue.StationUplinkRate: 86700}},
		{"no such rate", `,"LastDataUplinkRate":4294967295,"UplinkMCS":1`, nil},
		{"MCS of 802.11g", `,"OperatingStandard":"g","LastDataUplinkRate":54000,"UplinkMCS":3`, values{catalogue.StationUplinkRate: 54000, catalogue.StationUplinkWidth: 20}},
		{"MCS of 802.11n at 54 Mbit/s", `,"OperatingStandard":"n","LastDataUplinkRate":54000,"UplinkMCS":3,"UplinkBandwidth":2`, values{catalogue.StationUplinkRate: 54000, catalogue.StationUplinkMCS: 3, catalogue.StationUplinkWidth: 40}},
		{"packets with multicast", `,"TxPacketCount":900,"TxUnicastPacketCount":3`, values{catalogue.StationPacketsSent: 3}},
		{"packets alone", `,"TxPacketCount":900,"RxPacketCount":7`, values{catalogue.StationPacketsSent: 900, catalogue.StationPacketsReceived: 7}},
		{"bytes of multicast", `,"TxBytes":1047271726,"TxUnicastPacketCount":3`, values{catalogue.StationPacketsSent: 3}},
		{"bytes of long frames", `,"TxBytes":34362,"TxUnicastPacketCount":3`, values{catalogue.StationPacketsSent: 3, catalogue.StationBytesSent: 34362}},
	} {
		want := instances{}
		if tt.want != nil {
			want["station1"] = tt.want
		}
		got, err := decode(t, "stations.wlan", stationWith(tt.fields))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", tt.name, err, diff)
		}
	}
}

func TestBandwidthIsEnumOrMegahertzOrText(t *testing.T) {
	for fields, want := range map[string]int64{
		`,"DownlinkBandwidth":1`:   20,
		`,"DownlinkBandwidth":2`:   40,
		`,"DownlinkBandwidth":3`:   80,
		`,"DownlinkBandwidth":4`:   160,
		`,"DownlinkBandwidth":5`:   320,
		`,"DownlinkBandwidth":20`:  20,
		`,"DownlinkBandwidth":80`:  80,
		`,"DownlinkBandwidth":320`: 320,
		// The width of the frame, not the widest of the link.
		`,"DownlinkBandwidth":2,"LinkBandwidth":"160MHz"`: 40,
		`,"DownlinkBandwidth":0,"LinkBandwidth":"160MHz"`: 160,
		`,"LinkBandwidth":"80MHz"`:                        80,
		`,"DownlinkBandwidth":7,"LinkBandwidth":"None"`:   0,
		`,"LinkBandwidth":"Unknown"`:                      0,
	} {
		got, err := decode(t, "stations.wlan", stationWith(`,"LastDataDownlinkRate":650000`+fields))
		if v := got["station1"][catalogue.StationDownlinkWidth]; v != want || err != nil {
			t.Errorf("%s: %d MHz, %v; want %d", fields, v, err, want)
		}
	}
}

func TestStationsThatAreNotThereAreLeftOut(t *testing.T) {
	for name, tt := range map[string]struct {
		fields string
		there  bool
	}{
		"active":              {`"Active":true,"AuthenticationState":true`, true},
		"left":                {`"Active":false,"AuthenticationState":true`, false},
		"not authenticated":   {`"Active":true,"AuthenticationState":false`, false},
		"of old firmware":     {`"AuthenticationState":true`, true},
		"of older firmware":   {``, true},
		"active, in a number": {`"Active":1`, true},
	} {
		text := `{"status":{"wlanradio":{},"wlanvap":{"wl0":{"AssociatedDevice":{"1":{` + strings.TrimPrefix(`"SignalStrength":-80,`+tt.fields, ",") + `}}}}}}`
		text = strings.ReplaceAll(text, ",}", "}")
		stations, err := decode(t, "stations.wlan", text)
		if (len(stations) == 1) != tt.there || err != nil {
			t.Errorf("%s: %d stations, %v", name, len(stations), err)
		}
		radios, err := decode(t, "radios.wlan", text)
		if v := radios["wl0"][catalogue.RadioStations]; (v == 1) != tt.there || radios["wl0"][catalogue.RadioWeakStations] != v || err != nil {
			t.Errorf("%s: %d counted, %v", name, v, err)
		}
	}
}

func TestInterfaceThatIsOffTellsNothing(t *testing.T) {
	const radio = `"Channel":36,"Noise":-90,"Stats":{"Temperature":50}`
	for name, tt := range map[string]struct {
		base, status string
		up           bool
	}{
		"off":                  {``, `"RadioStatus":"Down",`, false},
		"on":                   {``, `"RadioStatus":"Up",`, true},
		"off by the base":      {`"Status":false`, ``, false},
		"on by the base":       {`"Status":true`, ``, true},
		"on against the base":  {`"Status":false`, `"RadioStatus":"Up",`, true},
		"not told":             {``, ``, true},
		"dormant, not present": {``, `"RadioStatus":"Dormant",`, false},
	} {
		text := `{"status":{"base":{"rad5g0":{` + tt.base + `},"vap5g0":{` + tt.base + `}},"wlanradio":{"rad5g0":{` + tt.status + radio + `}},
			"wlanvap":{"vap5g0":{` + strings.Replace(tt.status, "Radio", "VAP", 1) + `"AssociatedDevice":[]}}}}`
		got, err := decode(t, "radios.wlan", text)
		_, on := got["rad5g0"][catalogue.RadioNoise]
		_, counted := got["vap5g0"][catalogue.RadioStations]
		if on != tt.up || counted != tt.up || errors.Is(err, collector.ErrNoData) == tt.up {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		if _, err := decode(t, "radiotemp.wlan", text); errors.Is(err, collector.ErrNoData) == tt.up {
			t.Errorf("%s: temperature: %v", name, err)
		}
	}
}

func TestMalformedSysbusRepliesAreErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want error
		bad  int
	}{
		"no status":          {`{}`, tree.ErrMalformed, 0},
		"null":               {`null`, tree.ErrMalformed, 0},
		"list":               {`[{"status":{}}]`, tree.ErrMalformed, 0},
		"status of text":     {`{"status":"<html>"}`, tree.ErrMalformed, 0},
		"radios of text":     {`{"status":{"wlanradio":"x","wlanvap":{}}}`, tree.ErrMalformed, 0},
		"access points list": {`{"status":{"wlanradio":{},"wlanvap":[1]}}`, tree.ErrMalformed, 0},
		"base of a number":   {`{"status":{"base":7,"wlanradio":{"a":{}}}}`, tree.ErrMalformed, 0},
		"no Wi-Fi":           {`{"status":{}}`, collector.ErrNoData, 0},
		"empty MIBs":         {`{"status":{"base":{"lan":{}},"wlanradio":{},"wlanvap":[]}}`, collector.ErrNoData, 0},
		"radio of a number":  {`{"status":{"wlanradio":{"rad5g0":7,"rad2g0":{"OperatingFrequencyBand":"5GHz"}}}}`, tree.ErrMalformed, 1},
		"name of an address": {`{"status":{"wlanradio":{"02:00:00:00:00:01":{},"a b":{},"":{}}}}`, tree.ErrMalformed, 3},
		"wrong types":        {radioWith(`,"Noise":{},"Channel":"x","ChannelLoad":1.5,"Interference":1e99,"CurrentOperatingChannelBandwidth":160`), tree.ErrMalformed, 5},
		"table of text":      {`{"status":{"wlanvap":{"vap":{"VAPStatus":"Up","AssociatedDevice":"x"}}}}`, tree.ErrMalformed, 1},
		"entry of text":      {`{"status":{"wlanvap":{"vap":{"AssociatedDevice":{"02:00:00:00:00:01":"x"}}}}}`, tree.ErrMalformed, 1},
	} {
		got, err := decode(t, "radios.wlan", tt.text)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v; want %v", name, err, tt.want)
		}
		if v, ok := errors.AsType[*tree.ValueError](err); ok && v.Count != tt.bad || !ok && tt.bad > 0 {
			t.Errorf("%s: %v; want %d values counted", name, err, tt.bad)
		}
		if err != nil && strings.Contains(err.Error(), "02:00") {
			t.Errorf("%s: %v", name, err)
		}
		if errors.Is(err, collector.ErrNoData) && len(got) > 0 {
			t.Errorf("%s: %v and no data", name, got)
		}
	}
	// What is well told of a station is taken.
	got, err := decode(t, "stations.wlan", stationWith(`,"SignalStrength":-60,"Noise":"loud","TxBytes":-9223372036854775808,"RxBytes":[],"Tx_Retransmissions":-3000000000,"Inactive":-3`))
	v, ok := errors.AsType[*tree.ValueError](err)
	if diff := cmp.Diff(instances{"station1": {catalogue.StationSignal: -60}}, got); diff != "" || !ok || v.Count != 4 {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestRepliesOfALiveboxAreBounded(t *testing.T) {
	var radios, entries []string
	for n := range 300 {
		radios = append(radios, `"rad`+strings.Repeat("x", n/200)+string(rune('a'+n%26))+strings.Repeat("y", n%7)+`":{"OperatingFrequencyBand":"5GHz"}`)
		entries = append(entries, `"`+strings.Repeat("1", n+1)+`":{"Active":true}`)
	}
	got, err := decode(t, "radios.wlan", `{"status":{"wlanradio":{`+strings.Join(radios, ",")+`}}}`)
	if len(got) != maxRadios || !errors.Is(err, tree.ErrMalformed) {
		t.Errorf("%d radios, %v; want %d", len(got), err, maxRadios)
	}
	got, err = decode(t, "radios.wlan", `{"status":{"wlanvap":{"vap":{"AssociatedDevice":{`+strings.Join(entries, ",")+`}}}}}`)
	if got["vap"][catalogue.RadioStations] != maxEntries || !errors.Is(err, tree.ErrMalformed) {
		t.Errorf("%v, %v; want %d stations", got, err, maxEntries)
	}
}

// Whatever a box replies, readings are in the ranges of their metrics and
// under names that are nobody's address.
func FuzzSysbus(f *testing.F) {
	for _, name := range []string{"livebox3", "livebox5", "livebox7", "liveboxS"} {
		f.Add([]byte(fixture(f, name)))
	}
	f.Add([]byte(stationWith(`,"SignalStrength":"-75.0","TxBytes":18446744073709551615,"Tx_Retransmissions":-1`)))
	f.Add([]byte(radioWith(`,"Noise":-1e400,"Stats":{"Temperature":-274}`)))
	f.Add([]byte(`{"status":{"wlanradio":[],"wlanvap":{"a":{"AssociatedDevice":[{"MACAddress":"02:00:00:00:00:01"}]}}}}null`))
	f.Add([]byte("<html>"))
	type bounds struct{ low, high int64 }
	limits := map[catalogue.ID]bounds{
		catalogue.RadioChannel: {1, 233}, catalogue.RadioBand: {1, 3}, catalogue.RadioBandwidth: {20, 320},
		catalogue.RadioNoise: {-127, -1}, catalogue.RadioUtilisation: {0, 100}, catalogue.RadioInterference: {0, 100},
		catalogue.RadioStations: {0, maxEntries}, catalogue.RadioWeakStations: {0, maxEntries},
		catalogue.RadioAssociationFailures: {0, 1<<33 - 2},
		catalogue.StationSignal:            {-127, -1}, catalogue.StationNoise: {-127, -1}, catalogue.StationSNR: {0, 127},
		catalogue.StationDownlinkMCS: {0, 31}, catalogue.StationUplinkMCS: {0, 31},
		catalogue.StationDownlinkRate: {1, maxRate}, catalogue.StationUplinkRate: {1, maxRate},
		catalogue.SensorTemperature: {-40_000, 150_000},
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := tree.Parse(data)
		if err != nil {
			return
		}
		for _, d := range Decoders() {
			if d.Platform != platform.Sysbus {
				continue
			}
			var b sample.Batch
			err := d.Decode(n, platform.Hint{}, &b)
			if errors.Is(err, collector.ErrNoData) && len(b.Readings) > 0 {
				t.Fatalf("%d readings and %v", len(b.Readings), err)
			}
			for _, r := range b.Readings {
				if l, ok := limits[r.Metric]; ok && (r.Value < l.low || r.Value > l.high) || r.Value < 0 && !ok {
					t.Fatalf("metric %d is %d", r.Metric, r.Value)
				}
				if !isName(r.Instance) || strings.Contains(r.Instance, ":") {
					t.Fatalf("instance %q", r.Instance)
				}
			}
		}
	})
}
