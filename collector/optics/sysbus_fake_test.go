package optics

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"testing"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
)

// What boxes say of their fibre.
const (
	livebox5 = `{"status":{"base":{"veip0":{"Flags":"enabled netdev gpon"}},"gpon":{"veip0":{
		"RegistrationID":"00112233","MaxBitRateSupported":1000,"SignalRxPower":-18794,"SignalTxPower":1646,"Temperature":41,
		"Voltage":32888,"Bias":14,"SerialNumber":"ARLT00000001","VendorId":"ARLT","ONUState":"O5_Operation",
		"DownstreamMaxRate":2488000,"UpstreamMaxRate":1244000,"DownstreamCurrRate":2488000,"UpstreamCurrRate":1244000}}}}`
	livebox7 = `{"status":{"gpon":{"veip0":{
		"RegistrationID":"00112233","MaxBitRateSupported":10000,"SignalRxPower":-16861,"SignalTxPower":3618,"Temperature":47,
		"Voltage":32920,"Bias":19008,"PonMode":"GPON","SerialNumber":"SMBS00000001","LowerOpticalThreshold":-35000,
		"UpperOpticalThreshold":0,"LowerTransmitPowerThreshold":-1000,"UpperTransmitPowerThreshold":7000,"RogueOnu":false,
		"RogueOnuCount":0,"RogueOnuLastOccurence":"0001-01-01T00:00:00Z","OnuState":"O5_Operation","OnuId":22,
		"DownstreamCurrRate":2488320,"UpstreamCurrRate":1244160}}}}`
	liveboxS = `{"status":{"gpon":{"veip0":{
		"SignalRxPower":-27212,"SignalTxPower":2594,"Temperature":52,"Voltage":31902,"Bias":12150,"PonMode":"GPON",
		"LowerOpticalThreshold":-127500,"UpperOpticalThreshold":-127500,"LowerTransmitPowerThreshold":-63500,
		"UpperTransmitPowerThreshold":-63500,"RogueOnuCount":3,"OnuState":"O5_Operation",
		"DownstreamCurrRate":2488320,"UpstreamCurrRate":1244160}}}}`
	livebox4 = `{"status":{"Status":"ONT_Ready","ModelName":"FGS202              ","SerialNumber":"S0000000001","ONTReady":true,
		"OperatingState":5,"RegistrationID":"00112233","OpticalSignalLevel":-20808,"TransmitOpticalLevel":2306,"ChipsetTemperature":56}}`
	sagemcom = `{"status":{"PowerRx":-18.5,"PowerTx":"2.31","Temperature":44.5,"Vcc":3.29,"BiasCurrent":12.4}}`
)

var (
	want5 = readings{
		catalogue.OpticRxPower: -18794, catalogue.OpticTxPower: 1646, catalogue.OpticBias: 14000, catalogue.OpticVoltage: 32888,
		catalogue.OpticTemperature: 41000, catalogue.OpticState: 5, catalogue.OpticDownRate: 2488000, catalogue.OpticUpRate: 1244000,
	}
	want7 = readings{
		catalogue.OpticRxPower: -16861, catalogue.OpticTxPower: 3618, catalogue.OpticBias: 19008, catalogue.OpticVoltage: 32920,
		catalogue.OpticTemperature: 47000, catalogue.OpticState: 5, catalogue.OpticMode: 1,
		catalogue.OpticRxPowerLow: -35000, catalogue.OpticRxPowerHigh: 0, catalogue.OpticTxPowerLow: -1000, catalogue.OpticTxPowerHigh: 7000,
		catalogue.OpticDownRate: 2488320, catalogue.OpticUpRate: 1244160, catalogue.OpticRogueEvents: 0,
	}
	wantS = readings{
		catalogue.OpticRxPower: -27212, catalogue.OpticTxPower: 2594, catalogue.OpticBias: 12150, catalogue.OpticVoltage: 31902,
		catalogue.OpticTemperature: 52000, catalogue.OpticState: 5, catalogue.OpticMode: 1,
		catalogue.OpticDownRate: 2488320, catalogue.OpticUpRate: 1244160, catalogue.OpticRogueEvents: 3,
	}
	want4 = readings{
		catalogue.OpticRxPower: -20808, catalogue.OpticTxPower: 2306, catalogue.OpticTemperature: 56000, catalogue.OpticState: 5,
	}
	wantSagemcom = readings{
		catalogue.OpticRxPower: -18500, catalogue.OpticTxPower: 2310, catalogue.OpticTemperature: 44500,
		catalogue.OpticVoltage: 32900, catalogue.OpticBias: 12400,
	}
)

// readings are those of one port.
type readings map[catalogue.ID]int64

func (x readings) byName() map[string]int64 {
	named := map[string]int64{}
	for id, v := range x {
		m, _ := catalogue.Lookup(id)
		named[m.Name] = v
	}
	return named
}

func readingsOf(t *testing.T, b *sample.Batch, port string) readings {
	t.Helper()
	got := readings{}
	for _, r := range b.Readings {
		if r.Instance != port {
			continue
		}
		if _, twice := got[r.Metric]; twice {
			t.Errorf("metric %d of %s twice in a round", r.Metric, port)
		}
		got[r.Metric] = r.Value
	}
	return got
}

func expect(t *testing.T, what string, got, want readings) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("%s:\n got %v\nwant %v", what, got.byName(), want.byName())
	}
}

type decoder = func(tree.Node, platform.Hint, *sample.Batch) error

// decode reads the reply body of a box.
func decode(t *testing.T, f decoder, body, box, port string) (readings, error) {
	t.Helper()
	n, err := tree.Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	var b sample.Batch
	err = f(n, platform.Hint{Box: box}, &b)
	return readingsOf(t, &b, port), err
}

// with returns body with the field of its innermost object set to the JSON
// value, or taken away where that is empty.
func with(t *testing.T, body, key, value string) string {
	t.Helper()
	var top map[string]any
	if err := json.Unmarshal([]byte(body), &top); err != nil {
		t.Fatal(err)
	}
	at := top["status"].(map[string]any)
	if gpon, ok := at["gpon"].(map[string]any); ok {
		at = gpon["veip0"].(map[string]any)
	}
	if value == "" {
		delete(at, key)
	} else {
		at[key] = json.RawMessage(value)
	}
	text, err := json.Marshal(top)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A change is what one field is set to, and what the metric becomes: nil for
// absent.
type change struct {
	key, value string
	metric     catalogue.ID
	want       *int64
}

// in says what each change makes of the reply body.
func in(t *testing.T, f decoder, body, port string, changes []change) {
	t.Helper()
	for _, c := range changes {
		got, err := decode(t, f, with(t, body, c.key, c.value), "", port)
		if err != nil {
			t.Errorf("%s %s: %v", c.key, c.value, err)
		}
		if v, ok := got[c.metric]; ok != (c.want != nil) || ok && v != *c.want {
			m, _ := catalogue.Lookup(c.metric)
			t.Errorf("%s %s: %s = %d, %v; want %v", c.key, c.value, m.Name, v, ok, c.want)
		}
	}
}

// A box answers with the reply or the error that is under the object.
type box struct {
	replies map[string]string
	errs    map[string]error
	asked   []string
}

const gponObject = "NeMo.Intf.veip0"

func (x *box) Call(ctx context.Context, object, method string, params any) (tree.Node, error) {
	if err := ctx.Err(); err != nil {
		return tree.Node{}, err
	}
	text, err := json.Marshal(params)
	if err != nil {
		return tree.Node{}, err
	}
	x.asked = append(x.asked, object+" "+method+" "+string(text))
	if err := x.errs[object]; err != nil {
		return tree.Node{}, err
	}
	body, ok := x.replies[object]
	if !ok {
		return tree.Node{}, fmt.Errorf("sysbus %s: %w", object, collector.ErrNoData)
	}
	return tree.Parse([]byte(body))
}

// source returns a source that has x and a kernel without modules.
func (x *box) source(t *testing.T, b Box) *Source {
	t.Helper()
	s := New(Config{Sysbus: x, Box: func(context.Context) Box { return b }, Sys: t.TempDir()})
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func collect(t *testing.T, s *Source, at time.Duration, port string) (readings, error) {
	t.Helper()
	var b sample.Batch
	b.Reset(at)
	err := s.Collect(t.Context(), &b)
	return readingsOf(t, &b, port), err
}

// check holds readings to what a module can have.
func check(t *testing.T, b *sample.Batch) {
	t.Helper()
	for _, r := range b.Readings {
		m, ok := catalogue.Lookup(r.Metric)
		least, most := int64(math.MinInt64), int64(math.MaxInt64)
		switch {
		case m.Kind == catalogue.State:
			least, most = 0, int64(len(m.States)-1)
		case m.Kind == catalogue.Counter:
			least = 0
		case m.Unit == "dB[mW]":
			least, most = minPower, maxPower
		case m.Unit == "Cel":
			least, most = minTemperature, maxTemperature
		case m.Unit == "V":
			least, most = minVoltage, maxVoltage
		case m.Unit == "A":
			least, most = 0, maxBias
		}
		if !ok || r.Value < least || r.Value > most {
			t.Errorf("%s of %q = %d; want %d to %d", m.Name, r.Instance, r.Value, least, most)
		}
	}
}
