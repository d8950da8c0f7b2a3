package wifi

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/platform/ubus"
	"livebox-agent/collector/platform/ubus/ubustest"
	"livebox-agent/collector/sample"
)

// Replies of rpcd and hostapd, as the command line tool prints them: 32-bit
// numbers are signed.
const (
	infoReply = `{"phy":"phy0","ssid":"Livebox-1A2B","bssid":"02:00:00:AA:BB:CC","country":"FR","mode":"Master",
		"channel":36,"frequency":5180,"frequency_offset":0,"txpower":20,"txpower_offset":3,
		"quality":34,"quality_max":70,"signal":-76,"noise":-92,"bitrate":866700,"encryption":{"enabled":true},
		"htmodes":["HT20","VHT80"],"hwmodes":["ac","n"],"hwmode":"ac","htmode":"VHT80","hardware":{"name":"MT7615E"}}`
	surveyReply = `{"results":[
		{"mhz":5200,"noise":160,"active_time":50,"busy_time":7,"busy_time_ext":0,"rx_time":1,"tx_time":0},
		{"mhz":5180,"noise":161,"active_time":100000,"busy_time":30000,"busy_time_ext":0,"rx_time":20000,"tx_time":5000}]}`
	assocReply = `{"results":[{"mac":"3C:22:FB:5A:00:01","signal":-67,"signal_avg":-65,"noise":-92,"inactive":6996,
		"connected_time":314507,"thr":450000,"authorized":true,"authenticated":true,"preamble":"long","mesh llid":0,
		"rx":{"drop_misc":585666,"packets":40000000,"bytes":280218466,"ht":false,"vht":true,"he":false,"mhz":80,
			"rate":585100,"mcs":7,"nss":2,"short_gi":true},
		"tx":{"failed":3,"retries":500,"packets":-294967296,"bytes":5000000000,"ht":false,"vht":true,"he":false,"mhz":80,
			"rate":866700,"mcs":9,"nss":2,"short_gi":true}}]}`
	clientsReply = `{"freq":5180,"clients":{"3c:22:fb:5a:00:01":{"auth":true,"assoc":true,"authorized":true,
		"rrm":[49,8,1,0,0],"aid":4,"bytes":{"rx":280218466,"tx":5000000000},"airtime":{"rx":2566080,"tx":4618747},
		"packets":{"rx":40000000,"tx":4000000000},"rate":{"rx":585100,"tx":866700},"signal":-67,"capabilities":{}}}}`
)

// openWrt is a router that answers with JSON.
type openWrt struct {
	// replies by "object method", "object method device" before it; an error
	// is the status.
	replies map[string]any
	path    string
	server  *ubustest.Server
}

func newOpenWrt(t *testing.T) *openWrt {
	t.Helper()
	dir, err := os.MkdirTemp("", "wrt") //nolint:usetesting // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	w := &openWrt{path: filepath.Join(dir, "s"), replies: map[string]any{
		"iwinfo devices":                `{"devices":["phy0-ap0"]}`,
		"iwinfo info phy0-ap0":          infoReply,
		"iwinfo survey phy0-ap0":        surveyReply,
		"iwinfo assoclist phy0-ap0":     assocReply,
		"hostapd.phy0-ap0 get_clients ": clientsReply,
	}}
	w.server, err = ubustest.Listen(w.path, w.objects, w.answer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = w.server.Close()
		_ = os.RemoveAll(dir)
	})
	return w
}

// objects are those that a reply is there for.
func (w *openWrt) objects() []ubustest.Object {
	methods := map[string][]string{}
	for key := range w.replies {
		object, rest, _ := strings.Cut(key, " ")
		method, _, _ := strings.Cut(rest, " ")
		methods[object] = append(methods[object], method)
	}
	var objects []ubustest.Object
	for path, m := range methods {
		objects = append(objects, ubustest.Object{Path: path, Methods: m})
	}
	return objects
}

func (w *openWrt) answer(object, method string, params map[string]any) ([]any, error) {
	device, _ := params["device"].(string)
	reply, ok := w.replies[object+" "+method+" "+device]
	if !ok {
		reply, ok = w.replies[object+" "+method]
	}
	if !ok {
		return nil, ubus.ErrNotFound
	}
	switch v := reply.(type) {
	case error:
		return nil, v
	case string:
		return []any{decoded(v)}, nil
	}
	return []any{reply}, nil
}

// decoded returns JSON as the bus sends it.
func decoded(s string) any {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		panic("BUG: " + err.Error())
	}
	return v
}

func (w *openWrt) bus(t *testing.T) *ubus.Conn {
	t.Helper()
	c := ubus.Dial(w.path)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func (w *openWrt) radios(t *testing.T) *IwinfoRadios {
	t.Helper()
	return NewIwinfoRadios(w.bus(t), nil)
}

func (w *openWrt) stations(t *testing.T) *IwinfoStations {
	t.Helper()
	return NewIwinfoStations(w.bus(t), pseudonym)
}

func (w *openWrt) both(t *testing.T) []collector.Source {
	t.Helper()
	return []collector.Source{w.radios(t), w.stations(t)}
}

func iwinfoRadioReadings() map[string]map[catalogue.ID]int64 {
	return map[string]map[catalogue.ID]int64{
		"phy0": {
			catalogue.RadioChannel: 36, catalogue.RadioBand: catalogue.Band5G, catalogue.RadioBandwidth: 80,
			catalogue.RadioTxPower: 2300, catalogue.RadioNoise: -95,
			catalogue.RadioActiveTime: 100_000, catalogue.RadioBusyTime: 30_000,
			catalogue.RadioRxTime: 20_000, catalogue.RadioTxTime: 5000,
		},
		"phy0-ap0": {catalogue.RadioStations: 1, catalogue.RadioWeakStations: 0},
	}
}

func iwinfoStationReadings() map[catalogue.ID]int64 {
	return map[catalogue.ID]int64{
		catalogue.StationSignal: -65, catalogue.StationSignalLast: -67, catalogue.StationNoise: -92, catalogue.StationSNR: 27,
		catalogue.StationInactive: 6996, catalogue.StationConnectedTime: 314507, catalogue.StationExpectedThroughput: 450_000,
		catalogue.StationDownlinkRate: 866_700, catalogue.StationDownlinkMCS: 9, catalogue.StationDownlinkNSS: 2, catalogue.StationDownlinkWidth: 80,
		catalogue.StationUplinkRate: 585_100, catalogue.StationUplinkMCS: 7, catalogue.StationUplinkNSS: 2, catalogue.StationUplinkWidth: 80,
		catalogue.StationBytesReceived: 280_218_466, catalogue.StationPacketsReceived: 40_000_000, catalogue.StationRxDrops: 585_666,
		catalogue.StationBytesSent: 5_000_000_000, catalogue.StationPacketsSent: 4_000_000_000,
		catalogue.StationRetries: 500, catalogue.StationFailures: 3,
		catalogue.StationRxAirtime: 2_566_080, catalogue.StationTxAirtime: 4_618_747,
	}
}

func TestIwinfoTellsAll(t *testing.T) {
	w := newOpenWrt(t)
	if diff := cmp.Diff(iwinfoRadioReadings(), must(t, w.radios(t))); diff != "" {
		t.Errorf("radios: %s", diff)
	}
	want := map[string]map[catalogue.ID]int64{"device-1": iwinfoStationReadings()}
	if diff := cmp.Diff(want, must(t, w.stations(t))); diff != "" {
		t.Errorf("stations: %s", diff)
	}
}

func TestOpenWrtWithoutWiFiHasNoData(t *testing.T) {
	for name, alter := range map[string]func(*openWrt){
		"no service": func(w *openWrt) { clear(w.replies) },
		"no device":  func(w *openWrt) { w.replies = map[string]any{"iwinfo devices": `{"devices":[]}`} },
		"names that are none": func(w *openWrt) {
			w.replies = map[string]any{"iwinfo devices": `{"devices":["3c:22:fb:5a:00:01","my phone","",7,null]}`}
		},
		"device that vanished": func(w *openWrt) { w.replies = map[string]any{"iwinfo devices": `{"devices":["wlan0"]}`} },
		"monitor": func(w *openWrt) {
			w.replies = map[string]any{"iwinfo devices": `{"devices":["mon0"]}`, "iwinfo info mon0": `{"mode":"Monitor"}`}
		},
	} {
		w := newOpenWrt(t)
		alter(w)
		for _, s := range w.both(t) {
			got, err := collect(t, s, 0)
			if len(got) != 0 || !errors.Is(err, collector.ErrNoData) || errors.Is(err, collector.ErrRefused) {
				t.Errorf("%s: %s gave %v, %v; want ErrNoData", name, s.Describe().Name, got, err)
			}
		}
	}
	for _, s := range []collector.Source{NewIwinfoRadios(ubus.Dial(t.TempDir()+"/none"), nil), NewIwinfoStations(ubus.Dial(t.TempDir()+"/none"), pseudonym)} {
		if _, err := collect(t, s, 0); !errors.Is(err, collector.ErrNoData) {
			t.Errorf("no bus: %s gave %v; want ErrNoData", s.Describe().Name, err)
		}
	}
}

func TestOpenWrtThatRefusesIsRefused(t *testing.T) {
	w := newOpenWrt(t)
	w.replies = map[string]any{"iwinfo devices": ubus.ErrPermissionDenied}
	for _, s := range w.both(t) {
		if _, err := collect(t, s, 0); !errors.Is(err, collector.ErrRefused) {
			t.Errorf("%s: %v; want ErrRefused", s.Describe().Name, err)
		}
	}
	// One that refuses a part gives the rest, and says what it refuses.
	w = newOpenWrt(t)
	w.replies["iwinfo assoclist phy0-ap0"] = ubus.ErrPermissionDenied
	got, err := collect(t, w.radios(t), 0)
	if got["phy0"][catalogue.RadioNoise] != -95 || got["phy0-ap0"] != nil || !errors.Is(err, collector.ErrRefused) {
		t.Errorf("radios = %v, %v; want all but the count", got, err)
	}
}

func TestHostapdAloneTellsWhatItKnows(t *testing.T) {
	w := newOpenWrt(t)
	w.replies = map[string]any{"hostapd.wl0-ap0 get_clients": clientsReply, "hostapd get_clients": `{}`}
	want := map[string]map[catalogue.ID]int64{
		"wl0":     {catalogue.RadioChannel: 36, catalogue.RadioBand: catalogue.Band5G},
		"wl0-ap0": {catalogue.RadioStations: 1, catalogue.RadioWeakStations: 0},
	}
	if diff := cmp.Diff(want, must(t, w.radios(t))); diff != "" {
		t.Errorf("radios: %s", diff)
	}
	want = map[string]map[catalogue.ID]int64{"device-1": {
		catalogue.StationSignalLast: -67, catalogue.StationDownlinkRate: 866_700, catalogue.StationUplinkRate: 585_100,
		catalogue.StationBytesReceived: 280_218_466, catalogue.StationBytesSent: 5_000_000_000,
		catalogue.StationPacketsReceived: 40_000_000, catalogue.StationPacketsSent: 4_000_000_000,
		catalogue.StationRxAirtime: 2_566_080, catalogue.StationTxAirtime: 4_618_747,
	}}
	if diff := cmp.Diff(want, must(t, w.stations(t))); diff != "" {
		t.Errorf("stations: %s", diff)
	}
}

// Builds of 2020 tell the flags alone: stations count, and give nothing.
func TestHostapdOf2020(t *testing.T) {
	w := newOpenWrt(t)
	w.replies = map[string]any{"hostapd.wlan0 get_clients": `{"freq":2437,"clients":{
		"3c:22:fb:5a:00:01":{"auth":true,"assoc":true,"aid":1},"3c:22:fb:5a:00:02":{"auth":true,"assoc":false,"aid":0}}}`}
	want := map[string]map[catalogue.ID]int64{"wlan0": {catalogue.RadioChannel: 6, catalogue.RadioBand: catalogue.Band2G4, catalogue.RadioStations: 1}}
	if diff := cmp.Diff(want, must(t, w.radios(t))); diff != "" {
		t.Errorf("radios: %s", diff)
	}
	if got := must(t, w.stations(t)); len(got) != 0 {
		t.Errorf("stations = %v; want none", got)
	}
}

func TestSurveyNoiseIsAByteWithoutSign(t *testing.T) {
	for told, want := range map[string]int64{"161": -95, "-95": -95, "4294967201": -95, "129": -127} {
		w := newOpenWrt(t)
		w.replies["iwinfo survey phy0-ap0"] = strings.ReplaceAll(surveyReply, `"noise":161`, `"noise":`+told)
		if got := must(t, w.radios(t))["phy0"][catalogue.RadioNoise]; got != want {
			t.Errorf("%s: noise %d; want %d", told, got, want)
		}
	}
}

func TestNoiseZeroIsUnknown(t *testing.T) {
	w := newOpenWrt(t)
	w.replies["iwinfo survey phy0-ap0"] = strings.ReplaceAll(surveyReply, `"noise":161`, `"noise":0`)
	if got := must(t, w.radios(t))["phy0"][catalogue.RadioNoise]; got != -92 {
		t.Errorf("noise = %d; want that of info", got)
	}
	w.replies["iwinfo info phy0-ap0"] = strings.ReplaceAll(infoReply, `"noise":-92`, `"noise":0`)
	if v, ok := must(t, w.radios(t))["phy0"][catalogue.RadioNoise]; ok {
		t.Errorf("noise = %d; want none", v)
	}
	w.replies["iwinfo assoclist phy0-ap0"] = strings.ReplaceAll(assocReply, `"noise":-92`, `"noise":0`)
	got := must(t, w.stations(t))["device-1"]
	for _, id := range []catalogue.ID{catalogue.StationNoise, catalogue.StationSNR} {
		if v, ok := got[id]; ok {
			t.Errorf("metric %d = %d; want none", id, v)
		}
	}
}

func TestSurveyTimesOfZeroAreNotMeasured(t *testing.T) {
	w := newOpenWrt(t)
	w.replies["iwinfo survey phy0-ap0"] = strings.ReplaceAll(surveyReply, `"rx_time":20000,"tx_time":5000`, `"rx_time":0,"tx_time":0`)
	want := iwinfoRadioReadings()
	delete(want["phy0"], catalogue.RadioRxTime)
	delete(want["phy0"], catalogue.RadioTxTime)
	if diff := cmp.Diff(want, must(t, w.radios(t))); diff != "" {
		t.Error(diff)
	}
	w.replies["iwinfo survey phy0-ap0"] = strings.ReplaceAll(surveyReply, `"active_time":100000`, `"active_time":0`)
	delete(want["phy0"], catalogue.RadioActiveTime)
	delete(want["phy0"], catalogue.RadioBusyTime)
	if diff := cmp.Diff(want, must(t, w.radios(t))); diff != "" {
		t.Error(diff)
	}
	// A driver without a survey is one whose answer has no value.
	delete(w.replies, "iwinfo survey phy0-ap0")
	w.replies["iwinfo survey"] = ubus.StatusError(0)
	want["phy0"][catalogue.RadioNoise] = -92
	if diff := cmp.Diff(want, must(t, w.radios(t))); diff != "" {
		t.Error(diff)
	}
}

func TestChannelWidthOfTheMode(t *testing.T) {
	for mode, want := range map[string]int64{
		"HT20": 20, "HT40": 40, "HT40+": 40, "HT40-": 40, "VHT80": 80, "VHT80+80": 160, "VHT160": 160, "HE80": 80,
		"HE160": 160, "EHT320": 320, "NOHT": 20, "unknown": 0, "": 0, "HT": 0, "HT64": 0, "20": 0, "XHT20": 0,
	} {
		if got := modeWidth(mode); got != want {
			t.Errorf("%q: %d MHz; want %d", mode, got, want)
		}
	}
}

func TestRateOfAFrame(t *testing.T) {
	for _, tt := range []struct {
		name, tx                  string
		rate, mcs, streams, width int64 // -1: absent
	}{
		{"802.11n", `{"rate":6500,"ht":true,"vht":false,"mcs":0,"mhz":20,"40mhz":false}`, 6500, 0, 1, 20},
		{"802.11n, three streams", `{"rate":450000,"ht":true,"mcs":23,"40mhz":true}`, 450_000, 23, 3, 40},
		{"802.11n without a width", `{"rate":65000,"ht":true,"mcs":7,"40mhz":false}`, 65_000, 7, 1, 20},
		{"802.11ax", `{"rate":1201000,"he":true,"mcs":11,"nss":2,"mhz":80,"he_gi":0}`, 1_201_000, 11, 2, 80},
		{"802.11be", `{"rate":5764700,"eht":true,"mcs":13,"nss":2,"mhz":320}`, 5_764_700, 13, 2, 320},
		{"802.11g", `{"rate":54000,"ht":false,"vht":false,"mhz":20}`, 54_000, -1, -1, 20},
		{"no frame", `{"rate":0,"ht":true,"vht":false,"mcs":0,"mhz":20,"40mhz":false}`, -1, -1, -1, -1},
		{"impossible index", `{"rate":866700,"vht":true,"mcs":12,"nss":9,"mhz":64}`, 866_700, -1, -1, -1},
		{"index of nobody", `{"rate":866700,"mcs":9,"nss":2}`, 866_700, -1, 2, -1},
		{"impossible rate", `{"rate":99000000,"eht":true,"mcs":13}`, -1, -1, -1, -1},
	} {
		var c tree.Check
		var r reply
		n := tree.New(decoded(tt.tx))
		r.decodeFrame(n, &c, frame{fieldDownlinkRate, fieldDownlinkMCS, fieldDownlinkNSS, fieldDownlinkWidth})
		for f, want := range map[field]int64{fieldDownlinkRate: tt.rate, fieldDownlinkMCS: tt.mcs, fieldDownlinkNSS: tt.streams, fieldDownlinkWidth: tt.width} {
			got := int64(-1)
			if r.has(f) {
				got = r.values[f]
			}
			if got != want {
				t.Errorf("%s: field %d = %d; want %d", tt.name, f, got, want)
			}
		}
		if err := c.Err(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// The counters go on over a wrap at 2^32, over the sign of INT32, and over a
// new association.
func TestAssoclistCountersWrap(t *testing.T) {
	w := newOpenWrt(t)
	s := w.stations(t)
	told := func(bytes, packets, connected string) map[catalogue.ID]int64 {
		t.Helper()
		w.replies["iwinfo assoclist"] = `{"results":[{"mac":"3C:22:FB:5A:00:01","connected_time":` + connected +
			`,"rx":{"bytes":` + bytes + `,"packets":` + packets + `},"tx":{}}]}`
		delete(w.replies, "iwinfo assoclist phy0-ap0")
		delete(w.replies, "hostapd.phy0-ap0 get_clients ")
		return must(t, s)["device-1"]
	}
	for i, step := range []struct {
		bytes, packets, connected string
		wantBytes, wantPackets    int64
	}{
		{"4294967290", "2147483647", "100", 4_294_967_290, 2_147_483_647},
		{"10", "-2147483648", "110", 4_294_967_306, 2_147_483_648},
		{"20", "-1", "120", 4_294_967_316, 4_294_967_295},
		{"30", "4", "130", 4_294_967_326, 4_294_967_300},
		{"7", "3", "5", 4_294_967_333, 4_294_967_303}, // associated anew
		{"5000", "9", "15", 4_294_972_326, 4_294_967_309},
	} {
		got := told(step.bytes, step.packets, step.connected)
		if got[catalogue.StationBytesReceived] != step.wantBytes || got[catalogue.StationPacketsReceived] != step.wantPackets {
			t.Errorf("step %d: %d bytes, %d packets; want %d, %d", i, got[catalogue.StationBytesReceived], got[catalogue.StationPacketsReceived], step.wantBytes, step.wantPackets)
		}
	}
}

func TestRadioOfSeveralInterfacesIsToldOnce(t *testing.T) {
	w := newOpenWrt(t)
	w.replies["iwinfo devices"] = `{"devices":["phy0-sta0","phy0-ap0","phy0-ap1","phy1.0-ap0","phy1.1-ap0","wlan7"]}`
	w.replies["iwinfo info phy0-sta0"] = `{"phy":"phy0","mode":"Client","channel":36}`
	w.replies["iwinfo info phy0-ap1"] = infoReply
	w.replies["iwinfo info phy1.0-ap0"] = `{"phy":"phy1","mode":"Master","frequency":2437,"htmode":"HE20"}`
	w.replies["iwinfo info phy1.1-ap0"] = `{"phy":"phy1","mode":"Master","frequency":6135,"htmode":"EHT160","txpower":0}`
	w.replies["iwinfo info wlan7"] = `{"mode":"Mesh Point","channel":11}`
	w.replies["iwinfo assoclist"] = `{"results":[]}`
	want := iwinfoRadioReadings()
	none := map[catalogue.ID]int64{catalogue.RadioStations: 0, catalogue.RadioWeakStations: 0}
	want["phy0-ap1"], want["phy1.0-ap0"], want["phy1.1-ap0"] = none, none, none
	want["phy1.0"] = map[catalogue.ID]int64{catalogue.RadioChannel: 6, catalogue.RadioBand: catalogue.Band2G4, catalogue.RadioBandwidth: 20}
	want["phy1.1"] = map[catalogue.ID]int64{catalogue.RadioChannel: 37, catalogue.RadioBand: catalogue.Band6G, catalogue.RadioBandwidth: 160}
	want["wlan7"] = map[catalogue.ID]int64{catalogue.RadioChannel: 11}
	if diff := cmp.Diff(want, must(t, w.radios(t))); diff != "" {
		t.Error(diff)
	}
}

func TestFaultOfOneInterfaceLeavesTheOtherOnTheBus(t *testing.T) {
	w := newOpenWrt(t)
	w.replies["iwinfo devices"] = `{"devices":["phy0-ap0","phy1-ap0","phy2-ap0"]}`
	w.replies["iwinfo info phy1-ap0"] = ubus.ErrTimeout
	w.replies["iwinfo assoclist phy1-ap0"] = ubus.ErrTimeout
	got, err := collect(t, w.radios(t), 0)
	if diff := cmp.Diff(iwinfoRadioReadings(), got); diff != "" || !errors.Is(err, ubus.ErrTimeout) || !strings.Contains(err.Error(), "phy1-ap0") {
		t.Errorf("radios: %v, %s; want the fault of phy1-ap0 and those of phy0", err, diff)
	}
	got, err = collect(t, w.stations(t), 0)
	if len(got) != 1 || got["device-1"] == nil || !errors.Is(err, ubus.ErrTimeout) {
		t.Errorf("stations = %v, %v; want device-1 and the fault", got, err)
	}
}

func TestMalformedRepliesOfTheBusAreErrors(t *testing.T) {
	for key, replies := range map[string][]string{
		"iwinfo devices":                {`{}`, `{"devices":"phy0-ap0"}`, `{"devices":{}}`},
		"iwinfo survey phy0-ap0":        {`{"results":7}`, `{"results":[{"mhz":"x"}]}`, `{"results":[{"mhz":5180,"active_time":-1}]}`},
		"iwinfo assoclist phy0-ap0":     {`{}`, `{"results":{}}`, `{"results":[7]}`, `{"results":[{"mac":5}]}`, `{"results":[{"mac":"3C:22:FB:5A:00:01","signal":"strong"}]}`},
		"iwinfo info phy0-ap0":          {`{"phy":7}`, `{"frequency":"5 GHz"}`, `{"mode":[]}`},
		"hostapd.phy0-ap0 get_clients ": {`{"clients":[7]}`, `{"clients":"none"}`, `{"clients":{"phone":{}}}`},
	} {
		for _, reply := range replies {
			w := newOpenWrt(t)
			w.replies[key] = reply
			failed := 0
			for _, s := range w.both(t) {
				_, err := collect(t, s, 0)
				if errors.Is(err, tree.ErrMalformed) {
					failed++
				} else if err != nil {
					t.Errorf("%s %s: %v", key, reply, err)
				}
				if err != nil && strings.Contains(strings.ToLower(err.Error()), "3c:22") {
					t.Errorf("%s %s: %v names the station", key, reply, err)
				}
			}
			if failed == 0 {
				t.Errorf("%s %s: no error", key, reply)
			}
		}
	}
}

// A value that goes malformed is not reported as it was before.
func TestWhatIsNotToldIsNotRepeated(t *testing.T) {
	w := newOpenWrt(t)
	r, s := w.radios(t), w.stations(t)
	must(t, r)
	must(t, s)
	w.replies["iwinfo info phy0-ap0"] = ubus.ErrUnknown
	w.replies["iwinfo assoclist phy0-ap0"] = ubus.ErrUnknown
	delete(w.replies, "hostapd.phy0-ap0 get_clients ")
	for _, s := range []collector.Source{r, s} {
		if got, err := collect(t, s, time.Minute); len(got) != 0 || err == nil {
			t.Errorf("%s gave %v, %v; want an error alone", s.Describe().Name, got, err)
		}
	}
}

func TestIwinfoDescriptionsAgreeWithTheCatalogue(t *testing.T) {
	w := newOpenWrt(t)
	for _, s := range w.both(t) {
		d := s.Describe()
		for _, id := range d.Metrics {
			if m, ok := catalogue.Lookup(id); !ok || m.Purpose != d.Purpose || m.Interval != d.Interval {
				t.Errorf("%s: metric %d is %+v", d.Name, id, m)
			}
		}
	}
}

func TestIwinfoDecoders(t *testing.T) {
	for name, want := range map[string]struct {
		object, method, reply string
		readings              int
	}{
		"radios.info":        {"iwinfo", "info", infoReply, 5},
		"radios.survey":      {"iwinfo", "survey", surveyReply, 5},
		"radios.assoclist":   {"iwinfo", "assoclist", assocReply, 2},
		"stations.assoclist": {"iwinfo", "assoclist", assocReply, 22},
		"radios.clients":     {"hostapd.phy0-ap0", "get_clients", clientsReply, 2},
		"stations.clients":   {"hostapd.phy0-ap0", "get_clients", clientsReply, 9},
	} {
		found := 0
		for _, d := range Decoders() {
			if d.Name != name {
				continue
			}
			found++
			if d.Platform != "openwrt" || !d.Matches(want.object, want.method, "") {
				t.Errorf("%s: %+v", name, d)
			}
			var b sample.Batch
			if err := d.Decode(tree.New(decoded(want.reply)), platform.Hint{}, &b); err != nil || len(b.Readings) != want.readings {
				t.Errorf("%s gave %v, %v; want %d readings", name, b.Readings, err, want.readings)
			}
			given := map[catalogue.ID]bool{}
			for _, id := range d.Metrics {
				given[id] = true
			}
			for _, r := range b.Readings {
				if !given[r.Metric] || strings.Contains(r.Instance, ":") {
					t.Errorf("%s gave %+v", name, r)
				}
			}
			if err := d.Decode(tree.Node{}, platform.Hint{}, &b); !errors.Is(err, tree.ErrMalformed) {
				t.Errorf("%s of nothing: %v; want ErrMalformed", name, err)
			}
		}
		if found != 1 {
			t.Errorf("%d decoders called %s; want 1", found, name)
		}
	}
}

func FuzzIwinfo(f *testing.F) {
	for _, s := range []string{infoReply, surveyReply, assocReply, clientsReply, `{"results":[{"mac":"3C:22:FB:5A:00:01","rx":7}]}`, `{"clients":[]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := tree.Parse(body)
		if err != nil {
			return
		}
		for _, d := range iwinfoDecoders() {
			var b sample.Batch
			err := d.Decode(n, platform.Hint{}, &b)
			if err != nil && !errors.Is(err, tree.ErrMalformed) && !errors.Is(err, collector.ErrNoData) {
				t.Errorf("%s: %v", d.Name, err)
			}
			for _, r := range b.Readings {
				m, _ := catalogue.Lookup(r.Metric)
				if m.Kind == catalogue.Counter && r.Value < 0 || m.Unit == "dB[mW]" && m.Exponent == 0 && (r.Value >= 0 || r.Value < -127) {
					t.Errorf("%s: %s = %d", d.Name, m.Name, r.Value)
				}
				if strings.Contains(r.Instance, ":") {
					t.Errorf("%s: instance %q", d.Name, r.Instance)
				}
			}
		}
	})
}

// One round of a home with twenty stations.
func BenchmarkIwinfoRound(b *testing.B) {
	var results []any
	for i := range 20 {
		e := maps.Clone(decoded(assocReply).(map[string]any)["results"].([]any)[0].(map[string]any))
		e["mac"] = "3C:22:FB:5A:00:" + string("0123456789ABCDEF"[i/16]) + string("0123456789ABCDEF"[i%16])
		results = append(results, e)
	}
	n := tree.New(map[string]any{"results": results})
	s := newRoster(pseudonym)
	var batch sample.Batch
	b.ReportAllocs()
	for b.Loop() {
		batch.Reset(0)
		s.beginRound(0)
		var c tree.Check
		if err := eachAssociated(n, &c, func(r *reply) { s.scratch = *r; s.note() }); err != nil {
			b.Fatal(err)
		}
		if err := s.endRound(&batch); err != nil {
			b.Fatal(err)
		}
	}
}
