package line

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
)

var lantiqWant = readings{
	catalogue.LineStatus: statusUp, catalogue.LineLastChange: 152, catalogue.LinePowerState: 1,
	catalogue.LineDownRate: 81664, catalogue.LineUpRate: 31999, catalogue.LineDownMaxRate: 88232, catalogue.LineUpMaxRate: 37180,
	catalogue.LineDownMargin: 101, catalogue.LineUpMargin: 119, catalogue.LineDownAttenuation: 112, catalogue.LineUpAttenuation: 83,
	catalogue.LineDownPower: 134, catalogue.LineUpPower: -72, catalogue.LineProfile: 7, catalogue.LineStandard: 5,
	catalogue.LineDownES: 3, catalogue.LineDownSES: 1, catalogue.LineDownUAS: 58, catalogue.LineDownLOS: 2, catalogue.LineDownLOF: 4,
	catalogue.LineDownHEC: 0, catalogue.LineDownCRC: 12, catalogue.LineDownRetransmits: 4800, catalogue.LineDownUncorrected: 17,
	catalogue.LineUpES: 30, catalogue.LineUpSES: 10, catalogue.LineUpUAS: 580, catalogue.LineUpLOS: 20, catalogue.LineUpLOF: 40,
	catalogue.LineUpHEC: 5, catalogue.LineUpCRC: 120, catalogue.LineUpRetransmits: 61, catalogue.LineUpUncorrected: 170,
}

// A change is what one field is set to, and what the metric becomes: nil for
// absent.
type change struct {
	key, value string
	metric     catalogue.ID
	want       *int64
}

// in says what each change makes of the reply body, whose fields are below
// path.
func in(t *testing.T, f func(tree.Node, *sample.Batch) error, body string, changes []change, path ...string) {
	t.Helper()
	for _, c := range changes {
		got, err := decode(t, f, with(t, body, c.value, append(slices.Clone(path), strings.Split(c.key, ".")...)...))
		if err != nil {
			t.Errorf("%s %s: %v", c.key, c.value, err)
		}
		v, ok := got[c.metric]
		if ok != (c.want != nil) || ok && v != *c.want {
			m, _ := catalogue.Lookup(c.metric)
			t.Errorf("%s %s: %s = %d, %v; want %s", c.key, c.value, m.Name, v, ok, show(c.want))
		}
	}
}

func show(v *int64) string {
	if v == nil {
		return "none"
	}
	return fmt.Sprint(*v)
}

var livebox = []string{"status", "dsl", "dsl0"}

func TestMarginsAreTenthsOfDecibelsOnALivebox(t *testing.T) {
	in(t, decodeMIB, vdsl, []change{
		{"DownstreamNoiseMargin", `81`, catalogue.LineDownMargin, new(int64(81))},
		{"DownstreamNoiseMargin", `0`, catalogue.LineDownMargin, new(int64(0))},
		{"DownstreamNoiseMargin", `-4`, catalogue.LineDownMargin, new(int64(-4))},
		{"UpstreamNoiseMargin", `"94"`, catalogue.LineUpMargin, new(int64(94))},
		{"UpstreamPower", `-31`, catalogue.LineUpPower, new(int64(-31))},
		{"DownstreamPower", `0`, catalogue.LineDownPower, new(int64(0))},
	}, livebox...)
}

func TestMarginsAreDecibelsOnOpenWrt(t *testing.T) {
	in(t, decodeMetrics, lantiq, []change{
		{"downstream.snr", `10.1`, catalogue.LineDownMargin, new(int64(101))},
		{"downstream.snr", `6`, catalogue.LineDownMargin, new(int64(60))},
		{"downstream.snr", `-0.4`, catalogue.LineDownMargin, new(int64(-4))},
		{"downstream.snr", ``, catalogue.LineDownMargin, nil},
		{"upstream.actatp", `-7.2`, catalogue.LineUpPower, new(int64(-72))},
		{"upstream.latn", `8.3`, catalogue.LineUpAttenuation, new(int64(83))},
	})
}

func TestRatesAreKbitOnALiveboxAndBitOnOpenWrt(t *testing.T) {
	in(t, decodeMIB, vdsl, []change{
		{"DownstreamCurrRate", `65262`, catalogue.LineDownRate, new(int64(65262))},
		{"UpstreamMaxRate", `12776`, catalogue.LineUpMaxRate, new(int64(12776))},
		// bit/s, which no field of a Livebox has, would be 65 Gbit/s.
		{"DownstreamCurrRate", `65262000`, catalogue.LineDownRate, nil},
	}, livebox...)
	in(t, decodeMetrics, lantiq, []change{
		{"downstream.data_rate", `65262000`, catalogue.LineDownRate, new(int64(65262))},
		{"downstream.data_rate", `65262499`, catalogue.LineDownRate, new(int64(65262))},
		{"downstream.data_rate", `65262500`, catalogue.LineDownRate, new(int64(65263))},
		{"upstream.attndr", `4294967295`, catalogue.LineUpMaxRate, new(int64(4294967))},
	})
}

func TestAttenuationIsThatOfTheLineBeforeThatOfTheSignal(t *testing.T) {
	in(t, decodeMIB, vdsl, []change{
		{"DownstreamAttenuation", `999`, catalogue.LineDownAttenuation, new(int64(374))},
		{"DownstreamLineAttenuation", ``, catalogue.LineDownAttenuation, new(int64(371))},
		{"DownstreamLineAttenuation", `0`, catalogue.LineDownAttenuation, new(int64(371))},
		{"DownstreamLineAttenuation", `1271`, catalogue.LineDownAttenuation, new(int64(371))},
	}, livebox...)
	in(t, decodeMetrics, lantiq, []change{
		{"downstream.satn", `99`, catalogue.LineDownAttenuation, new(int64(112))},
		{"downstream.latn", ``, catalogue.LineDownAttenuation, new(int64(120))},
	})
}

func TestSpecialValuesOfModemsAreAbsent(t *testing.T) {
	in(t, decodeMIB, vdsl, []change{
		{"DownstreamNoiseMargin", `-641`, catalogue.LineDownMargin, nil},
		{"DownstreamNoiseMargin", `2147483646`, catalogue.LineDownMargin, nil},
		{"DownstreamNoiseMargin", `2147483647`, catalogue.LineDownMargin, nil},
		{"UpstreamLineAttenuation", `0`, catalogue.LineUpAttenuation, new(int64(386))},
		{"DownstreamPower", `-512`, catalogue.LineDownPower, nil},
		{"UPBOKLE", `0`, catalogue.LineElectricalLength, nil},
		{"UPBOKLE", `1281`, catalogue.LineElectricalLength, nil},
		{"DownstreamMaxRate", `0`, catalogue.LineDownMaxRate, nil},
		{"LastChange", `4294967295`, catalogue.LineLastChange, nil},
		{"LastChange", `-1`, catalogue.LineLastChange, nil},
		{"DownstreamNoiseMargin", `""`, catalogue.LineDownMargin, nil},
		{"DownstreamNoiseMargin", `null`, catalogue.LineDownMargin, nil},
	}, livebox...)
	in(t, decodeMetrics, lantiq, []change{
		{"downstream.snr", `-64.1`, catalogue.LineDownMargin, nil},
		{"downstream.latn", `127.1`, catalogue.LineDownAttenuation, new(int64(120))},
		{"downstream.actatp", `-51.2`, catalogue.LineDownPower, nil},
		{"downstream.data_rate", `0`, catalogue.LineDownRate, nil},
	})
}

func TestCounterOf4294967295IsNotAvailable(t *testing.T) {
	stats := func(n tree.Node, b *sample.Batch) error { return decodeStats(n, "dsl0", b) }
	in(t, stats, vdslStats, []change{
		{"FECErrors", `4294967295`, catalogue.LineDownFEC, nil},
		{"FECErrors", `-1`, catalogue.LineDownFEC, nil}, // the same, printed with a sign
		{"FECErrors", `-2`, catalogue.LineDownFEC, new(int64(4294967294))},
		{"FECErrors", `4294967294`, catalogue.LineDownFEC, new(int64(4294967294))},
		{"FECErrors", `4294967296`, catalogue.LineDownFEC, new(int64(4294967296))},
		{"FECErrors", `0`, catalogue.LineDownFEC, new(int64(0))},
	}, "status")
	in(t, decodeMetrics, lantiq, []change{{"errors.near.es", `4294967295`, catalogue.LineDownES, nil}})
	if _, err := decode(t, stats, with(t, vdslStats, `-2147483649`, "status", "FECErrors")); !errors.Is(err, tree.ErrMalformed) {
		t.Errorf("a count below all: %v; want it to be malformed", err)
	}
}

func TestCountersOfATUCAreThoseOfTheFarEnd(t *testing.T) {
	got, err := decode(t, func(n tree.Node, b *sample.Batch) error { return decodeStats(n, "dsl0", b) },
		`{"status":{"FECErrors":1,"ATUCFECErrors":2,"HECErrors":3,"ATUCHECErrors":4,"CRCErrors":5,"ATUCCRCErrors":6}}`)
	if err != nil {
		t.Error(err)
	}
	expect(t, "near and far", got, readings{
		catalogue.LineDownFEC: 1, catalogue.LineUpFEC: 2, catalogue.LineDownHEC: 3,
		catalogue.LineUpHEC: 4, catalogue.LineDownCRC: 5, catalogue.LineUpCRC: 6,
	})
}

func TestSecondsOfErrorCorrectionAreNoBlocks(t *testing.T) {
	got, err := decode(t, decodeMetrics, lantiq)
	if v, ok := got[catalogue.LineDownFEC]; ok || err != nil {
		t.Errorf("fecs became LineDownFEC = %d, %v", v, err)
	}
}

func TestTotalsAreNotThoseOfAPeriod(t *testing.T) {
	seconds := func(n tree.Node, b *sample.Batch) error { return decodeLineStats(n, "dsl0", b) }
	got, err := decode(t, seconds, lineStats)
	if err != nil {
		t.Error(err)
	}
	expect(t, "Total", got, merge(secondsWant, readings{catalogue.LineDownES: 175, catalogue.LineDownSES: 16, catalogue.LineDownLOF: 2}))
	if got, err := decode(t, seconds, with(t, lineStats, "", "status", "Total")); !errors.Is(err, collector.ErrNoData) || len(got) != 0 {
		t.Errorf("without Total: %v, %v; want nothing", got, err)
	}
	zero := `{"status":{"Total":{"ErroredSecs":0,"LOS":0}}}`
	if got, err := decode(t, seconds, zero); err != nil || len(got) != 2 {
		t.Errorf("a line without errors: %v, %v; want two zeros", got, err)
	}
}

func TestLastChangeIsSinceThenNotWhen(t *testing.T) {
	in(t, decodeMIB, vdsl, []change{
		{"LastChange", `55132`, catalogue.LineLastChange, new(int64(55132))},
		{"LastChangeTime", `1`, catalogue.LineLastChange, new(int64(55132))},
		{"LastChange", ``, catalogue.LineLastChange, nil},
	}, livebox...)
}

func TestLineThatIsNotUpHasNoValues(t *testing.T) {
	for status, want := range map[string]int64{
		`"Initializing"`:     statusInitializing, //nolint:misspell // TR-181 spells it so
		`"EstablishingLink"`: statusEstablishingLink, `"NoSignal"`: statusNoSignal,
		`"Disabled"`: statusDisabled, `"Error"`: statusError, `"Unknown"`: statusUnknown, `"Dormant"`: statusUnknown, `""`: statusUnknown,
		`"Down"`: statusNoSignal, `"LowerLayerDown"`: statusNoSignal, `"NotPresent"`: statusDisabled,
	} {
		got, err := decode(t, decodeMIB, dsl0(t, map[string]string{"LinkStatus": status}))
		if err != nil {
			t.Error(err)
		}
		expect(t, status, got, readings{catalogue.LineStatus: want, catalogue.LineLastChange: 55132})
	}
	// Up for the box already, and nothing measured yet.
	zeros := map[string]string{}
	for _, key := range []string{
		"UpstreamCurrRate", "DownstreamCurrRate", "UpstreamMaxRate", "DownstreamMaxRate", "UpstreamNoiseMargin", "DownstreamNoiseMargin",
		"UpstreamLineAttenuation", "DownstreamLineAttenuation", "UpstreamAttenuation", "DownstreamAttenuation", "UpstreamPower", "DownstreamPower",
	} {
		zeros[key] = "0"
	}
	got, err := decode(t, decodeMIB, dsl0(t, zeros))
	if err != nil {
		t.Error(err)
	}
	expect(t, "all zero", got, readings{catalogue.LineStatus: statusUp, catalogue.LineLastChange: 55132})

	down := with(t, with(t, lantiq, `2`, "state_num"), `false`, "up")
	got, err = decode(t, decodeMetrics, down)
	if err != nil {
		t.Error(err)
	}
	for m := range got {
		if row, _ := catalogue.Lookup(m); row.Kind != catalogue.Counter && m != catalogue.LineStatus && m != catalogue.LinePowerState {
			t.Errorf("an idle modem has %s = %d", row.Name, got[m])
		}
	}
	if len(got) != 2+len(nearFields())+len(farFields()) {
		t.Errorf("an idle modem gives %v; want its state and its counters", got.byName())
	}
}

func TestLineKnowsMoreThanTheLink(t *testing.T) {
	for _, tt := range []struct {
		link, line string
		want       int64
	}{
		{`"Down"`, `"EstablishingLink"`, statusEstablishingLink},
		{`"Down"`, `"Up"`, statusNoSignal}, // of two that contradict each other, the one that others go by
		{`"Up"`, `"NoSignal"`, statusUp},
		{`"Unknown"`, `"Disabled"`, statusDisabled},
		{``, `"Up"`, statusUp},
		{``, ``, statusUnknown},
	} {
		got, err := decode(t, decodeMIB, dsl0(t, map[string]string{"LinkStatus": tt.link, "LineStatus": tt.line}))
		if got[catalogue.LineStatus] != tt.want || err != nil {
			t.Errorf("LinkStatus %s, LineStatus %s: %d, %v; want %d", tt.link, tt.line, got[catalogue.LineStatus], err, tt.want)
		}
	}
}

func TestStatesOfTheModem(t *testing.T) {
	for _, tt := range []struct {
		num, up, text string
		want          int64
	}{
		{`0`, `false`, ``, statusDisabled},
		{`1`, `false`, `"Exception"`, statusError},
		{`2`, `false`, `"Idle"`, statusDisabled},
		{`3`, `false`, `"Silent"`, statusNoSignal},
		{`4`, `false`, `"Handshake"`, statusInitializing},
		{`5`, `false`, `"Full init"`, statusEstablishingLink},
		{`6`, `false`, `"Showtime without TC-Layer sync"`, statusEstablishingLink},
		{`7`, `true`, `"Showtime with TC-Layer sync"`, statusUp},
		{`8`, `false`, `"Resync"`, statusEstablishingLink},
		{`-1`, `false`, ``, statusUnknown},
		{`99`, `false`, ``, statusUnknown},
		{``, `true`, ``, statusUp},
		{``, `false`, `"Training"`, statusEstablishingLink},
		{``, `false`, `"Disabled"`, statusDisabled},
		{``, `false`, `"Test"`, statusUnknown},
	} {
		body := with(t, with(t, with(t, lantiq, tt.num, "state_num"), tt.up, "up"), tt.text, "state")
		got, err := decode(t, decodeMetrics, body)
		if got[catalogue.LineStatus] != tt.want || err != nil {
			t.Errorf("state %s %s up %s: %d, %v; want %d", tt.num, tt.text, tt.up, got[catalogue.LineStatus], err, tt.want)
		}
	}
}

func TestPowerStateOfMinusOneIsPrintedWithoutASign(t *testing.T) {
	in(t, decodeMetrics, lantiq, []change{
		{"power_state_num", `4294967295`, catalogue.LinePowerState, nil},
		{"power_state_num", `-1`, catalogue.LinePowerState, nil},
		{"power_state_num", `0`, catalogue.LinePowerState, new(int64(1))},
		{"power_state_num", `3`, catalogue.LinePowerState, new(int64(4))},
		{"power_state_num", `4`, catalogue.LinePowerState, nil},
	})
}

func TestProfilesAndStandards(t *testing.T) {
	state := func(m catalogue.ID, name string) *int64 {
		row, _ := catalogue.Lookup(m)
		i := int64(slices.Index(row.States, name))
		if i < 0 {
			t.Fatalf("the catalogue has no %s", name)
		}
		return &i
	}
	profile := func(value, want string) change {
		return change{"CurrentProfile", value, catalogue.LineProfile, state(catalogue.LineProfile, want)}
	}
	standard := func(value, want string) change {
		return change{"StandardUsed", value, catalogue.LineStandard, state(catalogue.LineStandard, want)}
	}
	in(t, decodeMIB, vdsl, []change{
		profile(`"8a"`, "8a"), profile(`"17A"`, "17a"), profile(`"35b"`, "35b"), profile(`"BrcmPriv1"`, "35b"),
		profile(`"212a"`, "212a"), profile(`"17b"`, "Unknown"),
		{"CurrentProfile", `""`, catalogue.LineProfile, nil},
		{"CurrentProfile", ``, catalogue.LineProfile, nil},
		standard(`"G.992.1_Annex_A"`, "G.992.1"), standard(`"G.992.5_Annex_M"`, "G.992.5"), standard(`"G.993.1"`, "G.993.1"),
		standard(`"G.9701"`, "G.9700"), standard(`"T1.413"`, "Unknown"), standard(`"ETSI_101_388"`, "Unknown"),
		{"StandardUsed", `""`, catalogue.LineStandard, nil},
	}, livebox...)
	in(t, decodeMetrics, lantiq, []change{
		{"profile", `"30a"`, catalogue.LineProfile, state(catalogue.LineProfile, "30a")},
		{"profile", ``, catalogue.LineProfile, nil},
		{"standard", `"G.992.3"`, catalogue.LineStandard, state(catalogue.LineStandard, "G.992.3")},
	})
}

func TestLoopLengthOfADSLIsAbsent(t *testing.T) {
	got, err := decode(t, decodeMIB, adsl)
	if err != nil {
		t.Error(err)
	}
	expect(t, "an ADSL2 line", got, readings{
		catalogue.LineStatus: statusUp, catalogue.LineLastChange: 192856, catalogue.LineDownRate: 6484, catalogue.LineUpRate: 1013,
		catalogue.LineDownMaxRate: 6653, catalogue.LineUpMaxRate: 1013, catalogue.LineDownMargin: 65, catalogue.LineUpMargin: 65,
		catalogue.LineDownAttenuation: 485, catalogue.LineUpAttenuation: 279, catalogue.LineDownPower: 191, catalogue.LineUpPower: 121,
		catalogue.LineStandard: 2,
	})
	in(t, decodeMIB, vdsl, []change{{"StandardUsed", ``, catalogue.LineElectricalLength, new(int64(140))}}, livebox...)
}

func TestModemThatSaysLittle(t *testing.T) {
	got, err := decode(t, decodeMetrics, `{"chipset":"Lantiq-VRX200","state":"Showtime with TC-Layer sync","state_num":7,"up":true,"uptime":152}`)
	if err != nil {
		t.Error(err)
	}
	expect(t, "only its state", got, readings{catalogue.LineStatus: statusUp, catalogue.LineLastChange: 152})
	for body, want := range map[string]error{
		`{}`: collector.ErrNoData, `{"erb":{"sent":1}}`: collector.ErrNoData, `[]`: tree.ErrMalformed, `null`: tree.ErrMalformed,
		`{"state_num":7,"downstream":[]}`: tree.ErrMalformed, `{"up":"maybe"}`: tree.ErrMalformed, `{"errors":{"near":7}}`: tree.ErrMalformed,
	} {
		if _, err := decode(t, decodeMetrics, body); !errors.Is(err, want) {
			t.Errorf("%s: %v; want %v", body, err, want)
		}
	}
}

func TestDecodersReadTheRepliesThatTheyName(t *testing.T) {
	replies := map[string]struct {
		object, method, variant, body string
		want                          int
	}{
		"line.mib":     {"NeMo.Intf.data", "getMIBs", "dsl", vdsl, len(vdslWant)},
		"line.stats":   {"NeMo.Intf.dsl0", "getDSLStats", "", vdslStats, len(statsWant)},
		"line.seconds": {"NeMo.Intf.dsl0", "getDSLLineStats", "", lineStats, 6},
		"line.metrics": {"dsl", "metrics", "", lantiq, len(lantiqWant)},
	}
	for _, d := range Decoders() {
		r, ok := replies[d.Name]
		if !ok || !d.Matches(r.object, r.method, r.variant) {
			t.Errorf("%s does not read %v", d.Name, r)
			continue
		}
		got, err := decode(t, func(n tree.Node, b *sample.Batch) error { return d.Decode(n, platform.Hint{}, b) }, r.body)
		if err != nil || len(got) != r.want {
			t.Errorf("%s: %d readings, %v; want %d", d.Name, len(got), err, r.want)
		}
		for m := range maps.Keys(got) {
			if !slices.Contains(d.Metrics, m) {
				t.Errorf("%s does not announce metric %d", d.Name, m)
			}
		}
	}
}

func FuzzDecoders(f *testing.F) {
	for _, body := range []string{
		vdsl, vdslStats, lineStats, adsl, lantiq, `{"status":{"dsl":{"dsl0":{"LinkStatus":"Up","DownstreamCurrRate":1e300}}}}`,
		`{"status":{"Total":{"ErroredSecs":-2147483648}}}`, `{"status":[]}`, `{"state_num":7,"downstream":{"snr":"8.1"}}`, `null`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := tree.Parse(body)
		if err != nil {
			return
		}
		for _, d := range Decoders() {
			var b sample.Batch
			if err := d.Decode(n, platform.Hint{}, &b); err == nil && len(b.Readings) == 0 {
				t.Errorf("%s gives neither readings nor an error", d.Name)
			}
			for _, r := range b.Readings {
				m, ok := catalogue.Lookup(r.Metric)
				if !ok || !slices.Contains(d.Metrics, r.Metric) || !plain(r.Instance) {
					t.Errorf("%s gives %v", d.Name, r)
				}
				if m.Kind == catalogue.State && (r.Value < 0 || r.Value >= int64(len(m.States))) || m.Kind == catalogue.Counter && r.Value < 0 {
					t.Errorf("%s: %s = %d", d.Name, m.Name, r.Value)
				}
			}
		}
	})
}
