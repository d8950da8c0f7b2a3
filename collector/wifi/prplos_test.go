package wifi

import (
	"errors"
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

const (
	prplRadios = `{"WiFi.Radio.":{"RadioNumberOfEntries":2},
		"WiFi.Radio.1.":{"Status":"Up","Name":"wifi0","Alias":"Sam's","OperatingFrequencyBand":"5GHz","Channel":36,
			"CurrentOperatingChannelBandwidth":"80MHz","Noise":-92,"ChannelLoad":14,"Interference":3},
		"WiFi.Radio.1.Stats.":{"Noise":-50},
		"WiFi.Radio.2.":{"Status":"Down","OperatingFrequencyBand":"2.4GHz","Channel":6,"Noise":0,"ChannelLoad":0}}`
	prplAPs = `{"WiFi.AccessPoint.1.":{"Status":"Enabled","Enable":1,"Alias":"wl0","ActiveAssociatedDeviceNumberOfEntries":1,"AssociatedDeviceNumberOfEntries":2},
		"WiFi.AccessPoint.1.Security.":{"KeyPassPhrase":"12345678"},
		"WiFi.AccessPoint.2.":{"Status":"Disabled","Enable":0,"ActiveAssociatedDeviceNumberOfEntries":0}}`
	prplCounts = `{"WiFi.AccessPoint.1.AssociationCount.":{"Success":53,"Fail":13,"FailSecurity":3,"Disconnect":243},
		"WiFi.AccessPoint.1.AssociationCount.FastReconnectTypes.1.":{"Type":"Default","Count":20}}`
	prplStations = `{"retval":[
		{"MACAddress":"3C:22:FB:5A:00:01","Active":1,"AuthenticationState":1,"SignalStrength":-56,"Noise":-92,"SignalNoiseRatio":36,
			"LastDataDownlinkRate":1200900,"LastDataUplinkRate":1080600,"DownlinkMCS":11,"UplinkMCS":10,"DownlinkBandwidth":80,"UplinkBandwidth":80,
			"OperatingStandard":"ax","Inactive":2,"TxBytes":134656,"RxBytes":23224,"TxPacketCount":111,"RxPacketCount":213,
			"TxUnicastPacketCount":100,"RxUnicastPacketCount":200,"Tx_Retransmissions":-5,"Tx_RetransmissionsFailed":2,
			"AssociationTime":"2025-07-14T10:21:17Z"},
		{"MACAddress":"3C:22:FB:5A:00:02","Active":0,"AuthenticationState":0,"SignalStrength":-52}]}`
)

// model answers as prplOS does: three values in a row.
type model struct {
	replies map[string]any
	code    int32
}

func newModel(t *testing.T) (*model, *ubus.Conn) {
	t.Helper()
	w := newOpenWrt(t)
	_ = w.server.Close()
	m := &model{replies: map[string]any{
		"WiFi.Radio _get":                    prplRadios,
		"WiFi.AccessPoint _get":              prplAPs,
		"WiFi.AccessPoint.1 getStationStats": prplStations,
		"WiFi.AccessPoint.1 _get":            prplCounts,
		"WiFi.AccessPoint.2 getStationStats": ubus.ErrUnknown,
	}}
	objects := func() []ubustest.Object { return (&openWrt{replies: m.replies}).objects() }
	s, err := ubustest.Listen(w.path, objects, m.answer)
	if err != nil {
		t.Fatal(err)
	}
	c := w.bus(t)
	t.Cleanup(func() { _ = s.Close() })
	return m, c
}

func (m *model) answer(object, method string, _ map[string]any) ([]any, error) {
	switch v := m.replies[object+" "+method].(type) {
	case error:
		return nil, v
	case string:
		return []any{decoded(v), ubus.Table{}, ubus.Table{{Name: "amxd-error-code", Value: m.code}}}, nil
	}
	return nil, ubus.ErrNotFound
}

func TestDataModelOfPrplOS(t *testing.T) {
	_, c := newModel(t)
	want := map[string]map[catalogue.ID]int64{
		"radio1": {
			catalogue.RadioBand: catalogue.Band5G, catalogue.RadioChannel: 36, catalogue.RadioBandwidth: 80,
			catalogue.RadioNoise: -92, catalogue.RadioUtilisation: 14, catalogue.RadioInterference: 3,
		},
		"radio2": {catalogue.RadioBand: catalogue.Band2G4},
		"ap1":    {catalogue.RadioStations: 1, catalogue.RadioAssociationFailures: 16},
	}
	if diff := cmp.Diff(want, must(t, NewPrplRadios(c))); diff != "" {
		t.Errorf("radios: %s", diff)
	}
	want = map[string]map[catalogue.ID]int64{"device-1": {
		catalogue.StationSignal: -56, catalogue.StationNoise: -92, catalogue.StationSNR: 36, catalogue.StationInactive: 2000,
		catalogue.StationDownlinkRate: 1_200_900, catalogue.StationDownlinkMCS: 11, catalogue.StationDownlinkWidth: 80,
		catalogue.StationUplinkRate: 1_080_600, catalogue.StationUplinkMCS: 10, catalogue.StationUplinkWidth: 80,
		catalogue.StationBytesSent: 134_656, catalogue.StationBytesReceived: 23_224,
		catalogue.StationPacketsSent: 100, catalogue.StationPacketsReceived: 200,
		catalogue.StationRetries: 4_294_967_291, catalogue.StationFailures: 2,
	}}
	if diff := cmp.Diff(want, must(t, NewPrplStations(c, pseudonym))); diff != "" {
		t.Errorf("stations: %s", diff)
	}
}

func TestDataModelThatDoesNotAnswer(t *testing.T) {
	for _, tt := range []struct {
		name  string
		alter func(*model)
		want  error
		text  string
	}{
		{"not there", func(m *model) { clear(m.replies) }, collector.ErrNoData, ""},
		{"refused", func(m *model) {
			m.replies["WiFi.Radio _get"], m.replies["WiFi.AccessPoint _get"] = ubus.ErrPermissionDenied, ubus.ErrPermissionDenied
		}, collector.ErrRefused, ""},
		{"error of the data model", func(m *model) { m.code = 3 }, nil, "error 3 of the data model"},
		{"not in the data model", func(m *model) { m.code = 2 }, collector.ErrNoData, ""},
		{"instance that is none", func(m *model) {
			m.replies["WiFi.Radio _get"], m.replies["WiFi.AccessPoint _get"] = `{"WiFi.Radio.1.":7}`, `{"WiFi.AccessPoint.1.":"x"}`
		}, tree.ErrMalformed, ""},
	} {
		m, c := newModel(t)
		tt.alter(m)
		for _, s := range []collector.Source{NewPrplRadios(c), NewPrplStations(c, pseudonym)} {
			got, err := collect(t, s, 0)
			if len(got) != 0 || err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%s: %s gave %v, %v; want %v", tt.name, s.Describe().Name, got, err, tt.want)
			}
		}
	}
}

func TestAccessPointThatFailsLeavesTheOthers(t *testing.T) {
	m, c := newModel(t)
	m.replies["WiFi.AccessPoint _get"] = strings.ReplaceAll(prplAPs, "Disabled", "Enabled")
	got, err := collect(t, NewPrplStations(c, pseudonym), time.Second)
	if got["device-1"] == nil || !errors.Is(err, ubus.ErrUnknown) {
		t.Errorf("stations = %v, %v; want device-1 and the fault of access point 2", got, err)
	}
	m.replies["WiFi.AccessPoint.1 getStationStats"] = `{"retval":"none"}`
	if got, err = collect(t, NewPrplStations(c, pseudonym), time.Second); len(got) != 0 || err == nil {
		t.Errorf("stations = %v, %v; want an error", got, err)
	}
}

// The box's clock is put right between two replies: the station is still
// associated, and its counters go on.
func TestTimeOfAssociationThatDriftsIsTheSame(t *testing.T) {
	m, c := newModel(t)
	s := NewPrplStations(c, pseudonym)
	for _, step := range []struct {
		told, bytes string
		want        int64
	}{
		{"10:21:17", "134656", 134_656},
		{"10:21:16", "134700", 134_700},
		{"11:00:00", "134800", 269_500}, // associated anew, and counted more since
	} {
		r := strings.NewReplacer("10:21:17", step.told, `"TxBytes":134656`, `"TxBytes":`+step.bytes)
		m.replies["WiFi.AccessPoint.1 getStationStats"] = r.Replace(prplStations)
		if got := must(t, s)["device-1"][catalogue.StationBytesSent]; got != step.want {
			t.Errorf("at %s: %d bytes; want %d", step.told, got, step.want)
		}
	}
}

func FuzzDataModel(f *testing.F) {
	for _, s := range []string{prplRadios, prplAPs, prplCounts, prplStations, `{"retval":{"3C:22:FB:5A:00:01":{"Active":true}}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := tree.Parse(body)
		if err != nil {
			return
		}
		for _, d := range prplDecoders() {
			var b sample.Batch
			if err := d.Decode(n, platform.Hint{}, &b); err != nil && !errors.Is(err, tree.ErrMalformed) {
				t.Errorf("%s: %v", d.Name, err)
			}
			for _, r := range b.Readings {
				if m, _ := catalogue.Lookup(r.Metric); m.Kind == catalogue.Counter && r.Value < 0 || strings.Contains(r.Instance, ":") {
					t.Errorf("%s gave %+v", d.Name, r)
				}
			}
		}
	})
}
