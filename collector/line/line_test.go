package line

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/sysbus"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
)

var vdslWant = readings{
	catalogue.LineStatus: statusUp, catalogue.LineLastChange: 55132,
	catalogue.LineDownRate: 65262, catalogue.LineUpRate: 9191, catalogue.LineDownMaxRate: 66156, catalogue.LineUpMaxRate: 12776,
	catalogue.LineDownMargin: 81, catalogue.LineUpMargin: 94, catalogue.LineDownAttenuation: 374, catalogue.LineUpAttenuation: 396,
	catalogue.LineDownPower: 145, catalogue.LineUpPower: 20, catalogue.LineElectricalLength: 140,
	catalogue.LineProfile: 7, catalogue.LineStandard: 5,
}

var statsWant = readings{
	catalogue.LineRetrains: 1, catalogue.LineInitErrors: 0, catalogue.LineInitTimeouts: 0,
	catalogue.LineDownES: 170, catalogue.LineDownSES: 15, catalogue.LineDownLOF: 0,
	catalogue.LineDownFEC: 4910041, catalogue.LineUpFEC: 75314, catalogue.LineDownCRC: 1174, catalogue.LineUpCRC: 38,
	catalogue.LineDownHEC: 0, catalogue.LineUpHEC: 0,
}

var secondsWant = readings{catalogue.LineDownUAS: 41, catalogue.LineDownLOS: 3, catalogue.LineDownLOM: 1}

func merge(all ...readings) readings {
	sum := readings{}
	for _, r := range all {
		maps.Copy(sum, r)
	}
	return sum
}

func expect(t *testing.T, what string, got, want readings) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("%s:\n got %v\nwant %v", what, got.byName(), want.byName())
	}
}

func TestLivebox4(t *testing.T) {
	x := livebox4()
	got, err := collect(t, New(Config{Sysbus: x}))
	if err != nil {
		t.Error(err)
	}
	expect(t, "a VDSL2 line", got, merge(vdslWant, statsWant, secondsWant))
	if p := x.params["NeMo.Intf.data getMIBs"]; p != `{"mibs":"dsl"}` {
		t.Errorf("getMIBs asked with %s", p)
	}
	if p := x.params["NeMo.Intf.dsl0 getDSLStats"]; p != `{}` {
		t.Errorf("getDSLStats asked with %s", p)
	}
}

func TestOpenWrt(t *testing.T) {
	x := newBox(map[string]string{"dsl metrics": lantiq})
	got, err := collect(t, New(Config{Ubus: router{x}}))
	if err != nil {
		t.Error(err)
	}
	expect(t, "a Lantiq modem", got, lantiqWant)
}

func TestBoxThatCannotBeAsked(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config Config
		want   error
	}{
		{"neither bus", Config{}, collector.ErrNoData},
		{"a Livebox on fibre", Config{Sysbus: newBox(nil)}, collector.ErrNoData},
		{"OpenWrt without a modem", Config{Ubus: router{newBox(nil)}}, collector.ErrNoData},
		{"both, neither with a line", Config{Sysbus: newBox(nil), Ubus: router{newBox(nil)}}, collector.ErrNoData},
		{"refused, and no other way", Config{Sysbus: refusing(), Ubus: router{newBox(nil)}}, collector.ErrRefused},
		{"a fault", Config{Sysbus: failing()}, errFault},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := collect(t, New(tt.config)); !errors.Is(err, tt.want) || len(got) != 0 {
				t.Errorf("%v, %v; want %v", got, err, tt.want)
			}
		})
	}
}

func refusing() *box {
	x := newBox(nil)
	x.errs["NeMo.Intf.data getMIBs"] = fmt.Errorf("sysbus: %w", collector.ErrRefused)
	return x
}

func failing() *box {
	x := newBox(nil)
	x.errs["NeMo.Intf.data getMIBs"] = errFault
	return x
}

func TestOtherBusIsAskedWhereTheFirstHasNoLine(t *testing.T) {
	x := newBox(map[string]string{"dsl metrics": lantiq})
	for _, first := range []*box{newBox(nil), refusing(), newBox(map[string]string{"NeMo.Intf.data getMIBs": `{"status":{"dsl":{}}}`})} {
		if got, err := collect(t, New(Config{Sysbus: first, Ubus: router{x}})); len(got) != len(lantiqWant) || err != nil {
			t.Errorf("%v, %v; want what ubus says", got, err)
		}
	}
	if got, err := collect(t, New(Config{Sysbus: failing(), Ubus: router{x}})); len(got) != 0 || !errors.Is(err, errFault) {
		t.Errorf("%v, %v; want the fault: the line is there", got, err)
	}
}

func TestTotalNeverDecreases(t *testing.T) {
	x := livebox4()
	s := New(Config{Sysbus: x})
	const none = -1
	for _, step := range []struct {
		name            string
		es, fec         string
		wantES, wantFEC int64
	}{
		{"at first", `170`, `4294967000`, 170, 4294967000},
		{"a minute later", `171`, `4294967290`, 171, 4294967290},
		{"code words wrap", `171`, `4`, 171, 4294967300},
		{"errored seconds start again", `2`, `1000`, 173, 4294968296},
		{"a number as text, another with a fraction of zero", `"3"`, `1000.0`, 174, 4294968296},
		{"not available now", `4294967295`, `4294967295`, none, none},
		{"code words start again", `5`, `900`, 176, 4294969196},
		{"beyond 2^31, printed with a sign", `6`, `-2147483648`, 177, 4294969196 + 2147483648 - 900},
	} {
		t.Run(step.name, func(t *testing.T) {
			x.replies["NeMo.Intf.dsl0 getDSLStats"] = with(t, with(t, vdslStats, step.es, "status", "ErroredSecs"), step.fec, "status", "FECErrors")
			got, err := collect(t, s)
			if err != nil {
				t.Error(err)
			}
			for m, want := range (readings{catalogue.LineDownES: step.wantES, catalogue.LineDownFEC: step.wantFEC}) {
				v, ok := got[m]
				if ok != (want != none) || ok && v != want {
					t.Errorf("metric %d = %d, %v; want %d", m, v, ok, want)
				}
			}
		})
	}
}

func TestTotalNeverMixesTwoCounters(t *testing.T) {
	x := livebox4()
	s := New(Config{Sysbus: x})
	got, err := collect(t, s)
	if err != nil || got[catalogue.LineDownES] != 170 {
		t.Fatalf("errored seconds %d, %v; want the 170 of getDSLStats, not the 175 of getDSLLineStats", got[catalogue.LineDownES], err)
	}
	x.errs["NeMo.Intf.dsl0 getDSLStats"] = errFault
	got, err = collect(t, s)
	if v, ok := got[catalogue.LineDownES]; ok || !errors.Is(err, errFault) {
		t.Errorf("errored seconds %d, %v, %v; want none while getDSLStats fails, and its fault", v, ok, err)
	}
	if got[catalogue.LineDownUAS] != 41 {
		t.Errorf("unavailable seconds %d; want the 41 of getDSLLineStats all the same", got[catalogue.LineDownUAS])
	}
}

func TestCallThatTheBoxDoesNotHaveIsLeftOutForAWhile(t *testing.T) {
	for _, missing := range []error{collector.ErrNoData, collector.ErrRefused} {
		x := livebox4()
		x.errs["NeMo.Intf.dsl0 getDSLStats"] = missing
		s := New(Config{Sysbus: x})
		for round := range retryRounds + 2 {
			got, err := collect(t, s)
			if asked := round == 0 || round == retryRounds+1; asked != (err != nil) || err != nil && !errors.Is(err, missing) {
				t.Errorf("round %d: %v", round, err)
			}
			if got[catalogue.LineDownES] != 175 || got[catalogue.LineDownRate] != 65262 {
				t.Errorf("round %d: %v; want the other calls", round, got.byName())
			}
		}
		if n := x.asked["NeMo.Intf.dsl0 getDSLStats"]; n != 2 {
			t.Errorf("asked %d times in %d rounds; want 2", n, retryRounds+2)
		}
	}
}

// The modem of a Livebox on fibre has no line and fails to count its errors.
func TestFaultOfALineThatIsDownIsNoFailure(t *testing.T) {
	x := livebox4()
	fault := &sysbus.FaultError{Code: 196639, Description: "Function execution failed"}
	x.errs["NeMo.Intf.dsl0 getDSLStats"], x.errs["NeMo.Intf.dsl0 getDSLLineStats"] = fault, fault
	s := New(Config{Sysbus: x})
	if _, err := collect(t, s); !errors.Is(err, fault) || errors.Is(err, collector.ErrNoData) {
		t.Errorf("of a line that is up: %v; want the fault", err)
	}
	up := x.replies["NeMo.Intf.data getMIBs"]
	x.replies["NeMo.Intf.data getMIBs"] = dsl0(t, map[string]string{"LinkStatus": `"NoSignal"`})
	for range 2 {
		got, err := collect(t, s)
		if !errors.Is(err, collector.ErrNoData) || !errors.Is(err, fault) || got[catalogue.LineStatus] != statusNoSignal {
			t.Errorf("of a line that is down: %v, %v; want its status, and no data with the reason", got, err)
		}
	}
	x.errs["NeMo.Intf.dsl0 getDSLStats"] = errFault
	if _, err := collect(t, s); errors.Is(err, collector.ErrNoData) || !errors.Is(err, errFault) {
		t.Errorf("box that cannot be asked: %v; want that", err)
	}
	x.replies["NeMo.Intf.data getMIBs"] = up
	delete(x.errs, "NeMo.Intf.dsl0 getDSLStats")
	if got, _ := collect(t, s); got[catalogue.LineDownFEC] == 0 {
		t.Errorf("line that came: %v; want its counters at once", got)
	}
}

func TestWrongValueCostsItsOwnMetric(t *testing.T) {
	for _, value := range []string{`"much"`, `{}`, `[81]`, `true`, `81.5`, `1e999`, `18446744073709551616`} {
		x := livebox4()
		x.replies["NeMo.Intf.data getMIBs"] = dsl0(t, map[string]string{"DownstreamNoiseMargin": value})
		x.replies["NeMo.Intf.dsl0 getDSLStats"] = with(t, vdslStats, value, "status", "CRCErrors")
		got, err := collect(t, New(Config{Sysbus: x}))
		want := merge(vdslWant, statsWant, secondsWant)
		delete(want, catalogue.LineDownMargin)
		delete(want, catalogue.LineDownCRC)
		expect(t, "with "+value, got, want)
		if !errors.Is(err, tree.ErrMalformed) || strings.Count(err.Error(), "wrong type") != 2 {
			t.Errorf("with %s: %v; want both replies to be called malformed", value, err)
		}
	}
}

func TestNothingThatIdentifiesIsRead(t *testing.T) {
	const secret = 777
	livebox := livebox4()
	livebox.replies["NeMo.Intf.data getMIBs"] = dsl0(t, map[string]string{"FirmwareVersion": `777`, "Line_VCE_MAC": `"02:00:00:00:00:01"`, "Name": `777`})
	openwrt := newBox(map[string]string{"dsl metrics": with(t, with(t, lantiq, `777`, "atu_c", "serial"), `[777]`, "atu_c", "vendor_id")})
	for _, s := range []*Source{New(Config{Sysbus: livebox}), New(Config{Ubus: router{openwrt}})} {
		var b sample.Batch
		if err := s.Collect(t.Context(), &b); err != nil || len(b.Readings) == 0 {
			t.Errorf("%d readings, %v", len(b.Readings), err)
		}
		for _, r := range b.Readings {
			if r.Instance != "dsl0" || r.Value == secret {
				t.Errorf("%v leaves the package", r)
			}
		}
	}
}

func TestReplyThatIsNone(t *testing.T) {
	for body, want := range map[string]error{
		`{"status":{}}`:                                 collector.ErrNoData,
		`{"status":[]}`:                                 collector.ErrNoData,
		`{"status":null}`:                               collector.ErrNoData,
		`{"status":false}`:                              collector.ErrNoData,
		`{}`:                                            collector.ErrNoData,
		`{"status":{"dsl":{}}}`:                         collector.ErrNoData,
		`{"status":{"dsl":{"dsl0":{}}}}`:                collector.ErrNoData,
		`{"status":{"gpon":{"veip0":{}}}}`:              collector.ErrNoData,
		`{"status":true}`:                               tree.ErrMalformed,
		`{"status":"up"}`:                               tree.ErrMalformed,
		`{"status":{"dsl":"dsl0"}}`:                     tree.ErrMalformed,
		`{"status":{"dsl":[{"LinkStatus":"Up"}]}}`:      tree.ErrMalformed,
		`{"status":{"dsl":{"dsl0":"Up"}}}`:              tree.ErrMalformed,
		`{"status":{"dsl":{"02:00:00:00:00:01":{}}}}`:   tree.ErrMalformed,
		`{"status":{"dsl":{"aabbccddeeff":{"a":1}}}}`:   tree.ErrMalformed,
		`{"status":{"dsl":{"":{"LinkStatus":"Down"}}}}`: tree.ErrMalformed,
		`[]`:     tree.ErrMalformed,
		`"text"`: tree.ErrMalformed,
		`17`:     tree.ErrMalformed,
		`null`:   tree.ErrMalformed,
	} {
		if got, err := decode(t, decodeMIB, body); !errors.Is(err, want) || len(got) != 0 {
			t.Errorf("%s: %v, %v; want %v", body, got, err, want)
		}
	}
}

func TestLinesOfABondedBox(t *testing.T) {
	line := vdsl[strings.Index(vdsl, `{"dsl0":`)+len(`{"dsl0":`) : len(vdsl)-len(`}}}`)]
	var body strings.Builder
	body.WriteString(`{"status":{"dsl":{"dsl0":` + line)
	for i := range 2 * maxLines {
		fmt.Fprintf(&body, `,"dsl%d":%s`, i+1, line)
	}
	x := newBox(map[string]string{"NeMo.Intf.data getMIBs": body.String() + "}}}"})
	s := New(Config{Sysbus: x})
	var b sample.Batch
	if err := s.Collect(t.Context(), &b); !errors.Is(err, collector.ErrNoData) {
		t.Errorf("Collect = %v; want that there are no counters", err)
	}
	if lines := linesOf(&b); !slices.Equal(lines, []string{"dsl0", "dsl1", "dsl2", "dsl3"}) {
		t.Errorf("lines %v; want the first %d", lines, maxLines)
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	x := livebox4()
	s := New(Config{Sysbus: x})
	for i := range 100 {
		name := fmt.Sprintf("dsl%d", i)
		x.replies["NeMo.Intf.data getMIBs"] = strings.ReplaceAll(vdsl, "dsl0", name)
		x.replies["NeMo.Intf."+name+" getDSLStats"] = vdslStats
		var b sample.Batch
		if err := s.Collect(t.Context(), &b); err != nil && !errors.Is(err, collector.ErrNoData) {
			t.Fatal(err)
		}
	}
	if len(s.totals) > maxTotals || len(s.wait) > maxTotals {
		t.Errorf("%d totals and %d calls are remembered; want at most %d", len(s.totals), len(s.wait), maxTotals)
	}
}

func TestCollectEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var b sample.Batch
	if err := New(Config{Sysbus: livebox4()}).Collect(ctx, &b); !errors.Is(err, context.Canceled) || len(b.Readings) != 0 {
		t.Errorf("Collect = %v, %v; want no readings, cancelled", b.Readings, err)
	}
}

func TestDescriptionHoldsAgainstTheCatalogue(t *testing.T) {
	s := New(Config{})
	if _, err := collector.NewSet(collector.Options{Now: func() time.Duration { return 0 }}, s); err != nil {
		t.Error(err)
	}
	announced := s.Describe().Metrics
	for _, d := range Decoders() {
		for _, id := range d.Metrics {
			if !slices.Contains(announced, id) {
				t.Errorf("%s gives metric %d, which the source does not announce", d.Name, id)
			}
		}
	}
}
