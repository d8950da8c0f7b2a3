package box

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const gponMIB = `{"mibs":"gpon"}`

func TestOpticalValuesAreThoseOfWholeRegisters(t *testing.T) {
	for model, want := range map[string]map[string]int64{
		"livebox5":  {"SignalRxPower": -18794, "SignalTxPower": 1646, "Temperature": 41, "Voltage": 32888, "Bias": 14},
		"livebox7":  {"SignalRxPower": -16861, "SignalTxPower": 3618, "Temperature": 47, "Voltage": 32920, "Bias": 19008},
		"liveboxW7": {"SignalRxPower": -19469, "SignalTxPower": 3485, "Temperature": 42, "Voltage": 32760, "Bias": 18784},
		"liveboxS":  {"SignalRxPower": -27212, "SignalTxPower": 2594, "Temperature": 52, "Voltage": 31902, "Bias": 12150},
	} {
		b, _ := newTestBox(t, Config{Model: model})
		for key, v := range want {
			if got := b.number(t, "NeMo.Intf.veip0", "getMIBs", gponMIB, "status/gpon/veip0/"+key); got != v {
				t.Errorf("%s: %s %d, want %d", model, key, got, v)
			}
		}
		// At this level the next value below is a whole step away.
		b.BendFibre(0.01)
		b.BendFibre(0.3)
		rx := b.number(t, "NeMo.Intf.veip0", "getMIBs", gponMIB, "status/gpon/veip0/SignalRxPower")
		n := math.Pow(10, float64(rx)/10000) * 10000
		if math.Abs(n-math.Round(n)) > 0.02*n/10 || rx >= want["SignalRxPower"] {
			t.Errorf("%s: %d is no register: %v", model, rx, n)
		}
	}
}

func TestSFPHasStepsOfTwoThousandths(t *testing.T) {
	b, _ := newTestBox(t, Config{Model: "livebox4-sfp"})
	rx := b.number(t, "SFP", "get", "", "status/OpticalSignalLevel")
	if rx%2 != 0 || rx > -20700 || rx < -20900 {
		t.Errorf("OpticalSignalLevel %d", rx)
	}
	if name := b.value(t, "SFP", "get", "", "status/ModelName"); name != "FGS202              " {
		t.Errorf("ModelName %q", name)
	}
	other, _ := newTestBox(t, Config{Model: "livebox7"})
	if v := other.value(t, "SFP", "get", "", "status"); len(v.(map[string]any)) != 0 {
		t.Errorf("a box without a module says %v", v)
	}
}

func TestSpellingDiffersBetweenBoxes(t *testing.T) {
	for model, key := range map[string]string{"livebox5": "ONUState", "livebox7": "OnuState"} {
		b, _ := newTestBox(t, Config{Model: model})
		if v := b.value(t, "NeMo.Intf.veip0", "getMIBs", gponMIB, "status/gpon/veip0/"+key); v != "O5_Operation" {
			t.Errorf("%s: %s %v", model, key, v)
		}
		b.BendFibre(30)
		if v := b.value(t, "NeMo.Intf.veip0", "getMIBs", gponMIB, "status/gpon/veip0/"+key); v == "O5_Operation" {
			t.Errorf("%s: in operation without light", model)
		}
		if v := b.value(t, "NMC", "getWANStatus", "", "data/WanState"); v != "down" {
			t.Errorf("%s: WAN %v without light", model, v)
		}
		b.BendFibre(0)
		if v := b.value(t, "NMC", "getWANStatus", "", "data/WanState"); v != "up" {
			t.Errorf("%s: WAN %v with light again", model, v)
		}
	}
}

func TestCountersWrapAt32BitsExceptOnS(t *testing.T) {
	for _, tt := range []struct {
		model, intf string
		wide        bool
	}{
		{"livebox3", "dsl0", false},
		{"livebox5", "veip0", false},
		{"livebox7", "veip0", false},
		{"liveboxW7", "veip0", false},
		{"liveboxS", "veip0", true},
	} {
		b, clock := newTestBox(t, Config{Model: tt.model, Uptime: time.Hour})
		b.Traffic(8e9, 1e6) // 2^32 bytes in 4.3 s
		clock.pass(time.Hour)
		got := b.number(t, "NeMo.Intf."+tt.intf, "getNetDevStats", "", "status/RxBytes")
		truth := int64(b.Truth().WANReceived)
		if truth < 1<<36 {
			t.Fatalf("%s: only %d bytes", tt.model, truth)
		}
		if want := map[bool]int64{true: truth, false: truth & math.MaxUint32}[tt.wide]; got != want {
			t.Errorf("%s: RxBytes %d of %d", tt.model, got, truth)
		}
	}
}

func TestWifiStatsHaveAStatusOfNullAnd32Bits(t *testing.T) {
	b, clock := newTestBox(t, Config{Model: "liveboxS", Uptime: 30 * 24 * time.Hour})
	clock.days(1)
	w := b.ask(t, "NMC.Wifi", "getStats", "")
	if !bytes.HasPrefix(w.Body.Bytes(), []byte(`{"status":null,"data":{"RxBytes":`)) {
		t.Errorf("%s", w.Body)
	}
	if v := b.number(t, "NMC.Wifi", "getStats", "", "data/TxBytes"); v > math.MaxUint32 {
		t.Errorf("TxBytes %d", v)
	}
}

func TestRadioCountersAreDeadWhereTheDriverIsGeneric(t *testing.T) {
	for model, alive := range map[string]bool{"livebox5": true, "livebox7": true, "liveboxW7": false, "liveboxS": false} {
		b, clock := newTestBox(t, Config{Model: model, Stations: 4})
		clock.pass(time.Hour)
		radio := map[bool]string{true: "rad5g0", false: "wifi0_quan"}[strings.HasPrefix(model, "livebox") && model != "livebox5"]
		path := "status/wlanradio/" + radio + "/"
		sent := b.number(t, "NeMo.Intf.lan", "getMIBs", `{"mibs":"wlanradio"}`, path+"Stats/BytesSent")
		rate := b.number(t, "NeMo.Intf.lan", "getMIBs", `{"mibs":"wlanradio"}`, path+"MaxBitRate")
		celsius := b.number(t, "NeMo.Intf.lan", "getMIBs", `{"mibs":"wlanradio"}`, path+"Stats/Temperature")
		if (sent > 0) != alive || (rate > 0) != alive || (celsius != 0 && celsius != -274) != alive {
			t.Errorf("%s: BytesSent %d, MaxBitRate %d, Temperature %d", model, sent, rate, celsius)
		}
	}
}

func TestStationsComeGoAndMove(t *testing.T) {
	for _, model := range []string{"livebox4", "livebox7", "liveboxS"} {
		b, clock := newTestBox(t, Config{Model: model, Stations: -1})
		mac, err := b.AddStation(Station{Band: "5GHz", Distance: 2, Down: 8e6, Up: 1e6})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.AddStation(Station{MAC: mac}); err == nil {
			t.Error("the same station twice")
		}
		if _, err := b.AddStation(Station{Band: "60GHz"}); err == nil {
			t.Error("a station on a radio that is not there")
		}
		vap := map[string]string{"livebox4": "eth6", "livebox7": "vap5g0priv0", "liveboxS": "vap5g0priv"}[model]
		// stats returns the one station's values.
		stats := func() map[string]any {
			list := b.mustAsk(t, "NeMo.Intf."+vap, "getStationStats", "")["status"].([]any)
			if len(list) != 1 {
				t.Fatalf("%s: %d stations", model, len(list))
			}
			return list[0].(map[string]any)
		}
		n := func(key string) int64 {
			v, err := stats()[key].(json.Number).Int64()
			if err != nil {
				t.Fatalf("%s: %s: %v", model, key, err)
			}
			return v
		}
		near, fast := n("SignalStrength"), n("LastDataDownlinkRate")
		clock.pass(time.Minute)
		moved := n("TxBytes")
		if near < -65 || near > -20 || moved < 1e6 {
			t.Errorf("%s at 2 m: %d dBm, %d bytes", model, near, moved)
		}
		if got := n("SignalStrength") - n("Noise"); got != n("SignalNoiseRatio") {
			t.Errorf("%s: ratio %d of %d", model, n("SignalNoiseRatio"), got)
		}
		if err := b.MoveStation(mac, 20); err != nil {
			t.Fatal(err)
		}
		if far, slow := n("SignalStrength"), n("LastDataDownlinkRate"); far > near-25 || slow >= fast {
			t.Errorf("%s at 20 m: %d dBm after %d, %d kbit/s after %d", model, far, near, slow, fast)
		}
		if err := b.MoveStation(mac, 2000); err != nil {
			t.Fatal(err)
		}
		before := n("TxBytes")
		clock.pass(time.Minute)
		if stats()["Active"] != false || n("TxBytes") != before {
			t.Errorf("%s out of reach: active %v, %d bytes more", model, stats()["Active"], n("TxBytes")-before)
		}
		key := map[bool]string{true: "1", false: mac}[model == "liveboxS"]
		b.value(t, "NeMo.Intf.lan", "getMIBs", `{"mibs":"wlanvap"}`, "status/wlanvap/"+vap+"/AssociatedDevice/"+key)
		if err := b.RemoveStation(mac); err != nil {
			t.Fatal(err)
		}
		if left := b.Stations(); len(left) != 0 {
			t.Errorf("%s: %v are left", model, left)
		}
		if b.MoveStation(mac, 3) == nil || b.RemoveStation(mac) == nil {
			t.Errorf("%s: who is gone moves", model)
		}
	}
}

func TestLineWithoutMarginTrainsAnew(t *testing.T) {
	b, clock := newTestBox(t, Config{Model: "livebox4"})
	line := func(key string) int64 {
		return b.number(t, "NeMo.Intf.data", "getMIBs", `{"mibs":"dsl"}`, "status/dsl/dsl0/"+key)
	}
	stats := func(key string) int64 { return b.number(t, "NeMo.Intf.dsl0", "getDSLStats", "", "status/"+key) }
	if m := line("DownstreamNoiseMargin"); m < 75 || m > 95 {
		t.Errorf("margin at rest %d tenths of dB", m)
	}
	rate, errors := line("DownstreamCurrRate"), stats("CRCErrors")
	b.DegradeLine(7)
	clock.pass(10 * time.Minute)
	if m := line("DownstreamNoiseMargin"); m < 0 || m > 30 || stats("CRCErrors") <= errors+10 {
		t.Errorf("with noise: margin %d, %d errors", m, stats("CRCErrors"))
	}
	b.DegradeLine(5)
	clock.pass(20 * time.Second)
	if v := b.value(t, "NeMo.Intf.dsl0", "getMIBs", `{"mibs":"dsl"}`, "status/dsl/dsl0/LinkStatus"); v != "Initializing" { //nolint:misspell // as the box spells it
		t.Errorf("LinkStatus %v", v)
	}
	if v := b.value(t, "NMC", "getWANStatus", "", "data/WanState"); v != "down" {
		t.Errorf("WanState %v", v)
	}
	clock.pass(2 * time.Minute)
	if v := b.value(t, "NeMo.Intf.dsl0", "getMIBs", `{"mibs":"dsl"}`, "status/dsl/dsl0/LinkStatus"); v != "Up" {
		t.Errorf("LinkStatus %v", v)
	}
	if m := line("DownstreamNoiseMargin"); m < 50 || m > 70 || line("DownstreamCurrRate") >= rate*9/10 ||
		line("LastChange") > 120 || stats("LinkRetrain") != 1 {
		t.Errorf("after training: margin %d, rate %d of %d, %d s, %d times", m, line("DownstreamCurrRate"), rate,
			line("LastChange"), stats("LinkRetrain"))
	}
	if uas := b.number(t, "NeMo.Intf.dsl0", "getDSLLineStats", "", "status/Total/UAS"); uas < 40 || uas > 60 {
		t.Errorf("unavailable for %d s", uas)
	}
	if truth := b.Truth(); truth.Retrains != 1 || !truth.LinkUp {
		t.Errorf("truth %+v", truth)
	}
}

func TestRestartLosesSessionsAndCounters(t *testing.T) {
	b, clock := newTestBox(t, Config{Model: "livebox7", BootTime: 90 * time.Second})
	clock.pass(time.Hour)
	b.mustAsk(t, "NMC", "get", "")
	before := b.Truth().WANReceived
	entries := func() map[string]any { return b.value(t, "NMC.Reboot.Reboot", "get", "", "status").(map[string]any) }
	counter := b.number(t, "NMC.Reboot", "get", "", "status/BootCounter")
	known := len(entries())
	b.PowerDip(HoldUp)
	if b.number(t, "DeviceInfo", "get", "", "status/UpTime") < 3600 {
		t.Error("a dip that the box bridges restarted it")
	}
	b.PowerDip(300 * time.Millisecond)
	func() {
		defer func() {
			if r := recover(); r != http.ErrAbortHandler { //nolint:errorlint // recovered, not returned
				t.Errorf("a box that boots answers: %v", r)
			}
		}()
		b.ask(t, "NMC", "get", "")
	}()
	clock.pass(95 * time.Second)
	if code, _, _ := faultOf(t, b.mustAsk(t, "NMC", "get", "")); code != "13" {
		t.Error("the session survived")
	}
	b.login(t)
	if up := b.number(t, "DeviceInfo", "get", "", "status/UpTime"); up != 95 {
		t.Errorf("uptime %d s", up)
	}
	if b.Truth().WANReceived >= before {
		t.Error("the counters survived")
	}
	all := entries()
	last := strconv.FormatInt(counter+1, 10)
	entry, _ := all[last].(map[string]any)
	earlier, _ := all[strconv.FormatInt(counter, 10)].(map[string]any)
	if len(all) != known+1 || entry["BootReason"] != "POR" || entry["ShutdownDate"] != zeroDate || earlier["ShutdownReason"] != "" {
		t.Errorf("after the loss of power: %v", all)
	}
	b.Reboot("TR069 reboot")
	clock.pass(95 * time.Second)
	b.login(t)
	if e, _ := entries()[last].(map[string]any); e["ShutdownReason"] != "TR069 reboot" {
		t.Errorf("after an orderly restart: %v", e)
	}
	watchdogs := b.number(t, "NMC.Reboot", "get", "", "status/WatchdogRebootCounter")
	b.Crash()
	clock.pass(95 * time.Second)
	b.login(t)
	if got := b.number(t, "NMC.Reboot", "get", "", "status/WatchdogRebootCounter"); got != watchdogs+1 {
		t.Errorf("%d restarts by the watchdog, want %d", got, watchdogs+1)
	}
}

func TestHomeLanKeepsBitsPer30Seconds(t *testing.T) {
	b, clock := newTestBox(t, Config{Model: "livebox7", Stations: -1})
	b.Traffic(100e6, 10e6)
	clock.days(4)
	list := b.value(t, "HomeLan", "getResults", `{"InterfaceName":["WAN_GPON"]}`, "status/WAN_GPON/Traffic").([]any)
	if len(list) != 8680 {
		t.Fatalf("%d measures", len(list))
	}
	var sum, last int64 = 0, math.MaxInt64
	for _, e := range list {
		m := e.(map[string]any)
		at, _ := m["Timestamp"].(json.Number).Int64()
		rx, _ := m["Rx_Counter"].(json.Number).Int64()
		if at >= last || rx%8 != 0 {
			t.Fatalf("measure %v before one of %d", m, last)
		}
		last = at
		sum += rx
	}
	if mean := sum / int64(len(list)); mean < 2500e6 || mean > 3500e6 {
		t.Errorf("%d bits in 30 s at 100 Mbit/s", mean)
	}
	few := b.value(t, "HomeLan", "getResults", `{"Seconds":60,"InterfaceName":["WAN_GPON"]}`, "status/WAN_GPON/Traffic").([]any)
	if len(few) < 2 || len(few) > 3 {
		t.Errorf("%d measures of the last minute", len(few))
	}
	few = b.value(t, "HomeLan", "getResults", `{"NumberOfReadings":"1","InterfaceName":["WAN_GPON"]}`, "status/WAN_GPON/Traffic").([]any)
	if len(few) != 1 {
		t.Errorf("%d measures, want the last", len(few))
	}
}

func TestSameSeedAndTimeGiveTheSameValues(t *testing.T) {
	ask := func(b *testBox) string {
		var all strings.Builder
		for _, c := range []string{"NeMo.Intf.lan getMIBs", "NeMo.Intf.data getMIBs", "NMC getWANStatus", "DeviceInfo get"} {
			object, method, _ := strings.Cut(c, " ")
			all.Write(b.ask(t, object, method, "").Body.Bytes())
		}
		return all.String()
	}
	for _, model := range Models() {
		if models()[model].openwrt {
			continue
		}
		often, clock := newTestBox(t, Config{Model: model, Seed: 5})
		once, other := newTestBox(t, Config{Model: model, Seed: 5})
		for range 40 {
			clock.pass(3 * time.Second)
			ask(often)
		}
		other.pass(2 * time.Minute)
		a, b := ask(often), ask(once)
		if a != b {
			t.Errorf("%s: being asked changed what it says", model)
		}
		third, _ := newTestBox(t, Config{Model: model, Seed: 6})
		if ask(third) == a {
			t.Errorf("%s: another seed says the same", model)
		}
	}
}

func TestBoxIsAskedAndDrivenAtOnce(t *testing.T) {
	b, clock := newTestBox(t, Config{Model: "livebox7", LongPoll: time.Millisecond})
	b.login(t)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for range 30 {
				b.ask(t, "NeMo.Intf.lan", "getMIBs", `{"mibs":"base wlanradio wlanvap"}`)
				b.post(t, "/ws", typeEvent, `{"events":["Devices.Device"]}`, nil)
				clock.pass(time.Second)
			}
		})
		all.Go(func() {
			for n := range 30 {
				mac, err := b.AddStation(Station{MAC: fmt.Sprintf("02:00:00:00:%02X:%02X", i, n)})
				if err == nil {
					err = b.MoveStation(mac, float64(n+1))
				}
				if err != nil {
					t.Error(err)
				}
				b.BendFibre(float64(n) / 10)
				b.Truth()
				b.Secrets()
				_ = b.RemoveStation(mac)
			}
		})
	}
	all.Wait()
	if calls := b.Calls()["NeMo.Intf.lan.getMIBs"]; calls != 120 {
		t.Errorf("%d calls counted", calls)
	}
}

func TestSecretsAreWhatTheBoxTells(t *testing.T) {
	b, _ := newTestBox(t, Config{Model: "livebox7", Stations: 6})
	var all strings.Builder
	for _, c := range []string{
		"NeMo.Intf.lan getMIBs", "NeMo.Intf.veip0 getMIBs", "NMC getWANStatus", "NMC get", "DeviceInfo get",
		"TopologyDiagnostics buildTopology",
	} {
		object, method, _ := strings.Cut(c, " ")
		all.Write(b.ask(t, object, method, "").Body.Bytes())
	}
	told := 0
	for _, s := range b.Secrets() {
		if s == "" {
			t.Error("an empty secret is everywhere")
		}
		if strings.Contains(all.String(), s) {
			told++
		} else if s != DefaultPassword && strings.ToLower(s) != s {
			t.Errorf("nothing tells %q", s)
		}
	}
	if told < 15 {
		t.Errorf("only %d secrets are told", told)
	}
}

func TestUnknownModelIsRefusedWithTheChoice(t *testing.T) {
	_, err := New(Config{Model: "livebox8"})
	if err == nil || !strings.Contains(err.Error(), "liveboxW7") {
		t.Errorf("error %v", err)
	}
	for _, m := range Models() {
		if b, err := New(Config{Model: m}); err != nil || b.Model() != m {
			t.Errorf("%s: %v", m, err)
		}
	}
}

func TestSkeletonThatMakesNoSenseIsRefused(t *testing.T) {
	for _, s := range []string{"a", "a=", "a=[", "a=1.5", "=1", "a { b", "a b#", "} x"} {
		if o, err := parseSkeleton(s); err == nil && s != "a { b" {
			t.Errorf("%q is %s", s, appendJSON(nil, o))
		}
	}
	o, err := parseSkeleton(`a# b$ c? d@ e="x\" y" f=-3 g=true h {} i { j { k# } l# }`)
	want := `{"a":0,"b":"","c":false,"d":"0001-01-01T00:00:00Z","e":"x\" y","f":-3,"g":true,"h":{},"i":{"j":{"k":0},"l":0}}`
	if err != nil || string(appendJSON(nil, o)) != want {
		t.Errorf("%s, %v", appendJSON(nil, o), err)
	}
}
