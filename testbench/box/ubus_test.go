package box

import (
	"context"
	"errors"
	"io"
	"math"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/platform/ubus"
)

// onBus returns a router in virtual time and a client of its bus.
func onBus(t *testing.T, c Config) (*Box, *clock, *ubus.Conn) {
	t.Helper()
	time := &clock{}
	c.Clock = time.read
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ubus.sock")
	server, err := b.ServeUbus(path)
	if err != nil {
		t.Fatal(err)
	}
	conn := ubus.Dial(path)
	t.Cleanup(func() {
		if err := errors.Join(conn.Close(), server.Close()); err != nil {
			t.Error(err)
		}
	})
	return b, time, conn
}

// plain returns a node as maps and lists.
func plain(n tree.Node) any {
	if v, ok := n.Text(); ok {
		return v
	}
	if v, ok := n.Bool(); ok && !isNumber(n) {
		return v
	}
	if v, ok := n.Int(); ok {
		return v
	}
	if v, ok := n.Scaled(-6); ok {
		return float64(v) / 1e6
	}
	if n.IsList() {
		list := []any{}
		n.Each(func(_ string, e tree.Node) { list = append(list, plain(e)) })
		return list
	}
	o := map[string]any{}
	n.Each(func(key string, e tree.Node) { o[key] = plain(e) })
	return o
}

func isNumber(n tree.Node) bool {
	_, ok := n.Int()
	return ok
}

func TestRouterRepliesHaveTheKeysOfTheCaptures(t *testing.T) {
	_, _, conn := onBus(t, Config{Model: "openwrt", Stations: 6})
	_, _, prpl := onBus(t, Config{Model: "prplos"})
	for _, tt := range []struct {
		name, object, method string
		params               map[string]any
		conn                 *ubus.Conn
	}{
		{"openwrt-dsl.metrics-erb", "dsl", "metrics", nil, conn},
		{"openwrt-dsl.metrics-partial", "dsl", "metrics", nil, conn},
		{"openwrt-hostapd.get_clients-11ac", "hostapd.phy1-ap0", "get_clients", nil, conn},
		{"openwrt-iwinfo.assoclist-11n", "iwinfo", "assoclist", map[string]any{"device": "phy0-ap0"}, conn},
		{"openwrt-iwinfo.info-11ac", "iwinfo", "info", map[string]any{"device": "phy1-ap0"}, conn},
		{"openwrt-network.interface.dump", "network.interface", "dump", nil, conn},
		{"shape-prplos-Reboot-get", "Reboot", "_get", nil, prpl},
	} {
		n, err := tt.conn.Call(t.Context(), tt.object, tt.method, tt.params)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		reply, _ := plain(n).(map[string]any)
		if tt.name == "openwrt-dsl.metrics-erb" {
			reply = map[string]any{"erb": reply["erb"]}
		}
		got := shape{}
		got.add(t, "", reply)
		// These captures are parts, or of older builds.
		for _, wrong := range got.compare(readShape(t, tt.name), true) {
			t.Errorf("%s: %s", tt.name, wrong)
		}
	}
}

func TestBusTellsTheModel(t *testing.T) {
	b, clock, conn := onBus(t, Config{Model: "openwrt", Stations: -1})
	mac, err := b.AddStation(Station{Band: "5GHz", Distance: 4, Down: 5e6, Up: 1e6})
	if err != nil {
		t.Fatal(err)
	}
	clock.pass(time.Hour)
	call := func(object, method string, params map[string]any) tree.Node {
		n, err := conn.Call(t.Context(), object, method, params)
		if err != nil {
			t.Fatalf("%s %s: %v", object, method, err)
		}
		return n
	}
	number := func(n tree.Node, path ...string) int64 {
		v, ok := n.Get(path...).Int()
		if !ok {
			t.Fatalf("no number at %v", path)
		}
		return v
	}
	truth := b.Truth()
	if got := number(call("system", "info", nil), "uptime"); got != int64(truth.Uptime.Seconds()) {
		t.Errorf("uptime %d s of %v", got, truth.Uptime)
	}
	wan := call("network.interface.wan", "status", nil)
	if up, _ := wan.Get("up").Bool(); !up || number(wan, "uptime") < 3600 {
		t.Error("WAN is down")
	}
	device := call("network.device", "status", map[string]any{"name": "dsl0"})
	if got := uint64(number(device, "statistics", "rx_bytes")); got != truth.WANReceived {
		t.Errorf("rx_bytes %d of %d", got, truth.WANReceived)
	}
	metrics := call("dsl", "metrics", nil)
	if got, _ := metrics.Get("downstream", "snr").Scaled(-1); got != int64(math.Round(truth.MarginDown*10)) {
		t.Errorf("snr %d tenths of %v", got, truth.MarginDown)
	}
	if got := number(metrics, "downstream", "data_rate"); got != 65262000 {
		t.Errorf("data rate %d bit/s", got)
	}
	station := call("iwinfo", "assoclist", map[string]any{"device": "phy1-ap0"}).Get("results", "0")
	if got := number(station, "signal"); got != int64(truth.Signal[mac]) {
		t.Errorf("signal %d of %v", got, truth.Signal)
	}
	// The noise has no sign.
	entry := call("iwinfo", "survey", map[string]any{"device": "phy1-ap0"}).Get("results", "1")
	if noise := number(entry, "noise"); noise < 150 || noise > 255 {
		t.Errorf("noise %d", noise)
	}
	if got, _ := call("system", "board", nil).Get("release", "distribution").Text(); got != "OpenWrt" {
		t.Errorf("distribution %q", got)
	}
	if got := number(call("hostapd.phy1-ap0", "get_status", nil), "freq"); got != 5200 {
		t.Errorf("frequency %d", got)
	}
	b.Retrain()
	if up, _ := call("dsl", "metrics", nil).Get("up").Bool(); up {
		t.Error("the line is up while it trains")
	}
	if up, _ := call("network.interface.wan", "status", nil).Get("up").Bool(); up {
		t.Error("WAN is up without a line")
	}
}

func TestCountersOfServicesHave32BitsAndASign(t *testing.T) {
	b, clock, conn := onBus(t, Config{Model: "openwrt", Stations: -1})
	mac, err := b.AddStation(Station{Distance: 1, Down: 4e8, Streams: 2})
	if err != nil {
		t.Fatal(err)
	}
	negative := false
	for range 200 {
		clock.pass(time.Hour)
		n, err := conn.Call(t.Context(), "hostapd.phy1-ap0", "get_clients", nil)
		if err != nil {
			t.Fatal(err)
		}
		n.Get("clients").Each(func(_ string, c tree.Node) {
			packets, _ := c.Get("packets", "tx").Int()
			negative = negative || packets < 0
		})
		bytes, _ := iwinfoBytes(t, conn)
		if bytes < 0 || bytes > math.MaxUint32 {
			t.Fatalf("iwinfo tells %d bytes", bytes)
		}
	}
	if !negative {
		t.Error("no packet counter of", mac, "came out negative beyond 2^31")
	}
}

func iwinfoBytes(t *testing.T, conn *ubus.Conn) (int64, bool) {
	t.Helper()
	n, err := conn.Call(t.Context(), "iwinfo", "assoclist", map[string]any{"device": "phy1-ap0"})
	if err != nil {
		t.Fatal(err)
	}
	return n.Get("results", "0", "tx", "bytes").Int()
}

func TestOldHostapdLacksKeys(t *testing.T) {
	for old, want := range map[bool]bool{true: false, false: true} {
		_, _, conn := onBus(t, Config{Model: "openwrt", OldHostapd: old, Stations: 4})
		n, err := conn.Call(t.Context(), "hostapd.phy1-ap0", "get_clients", nil)
		if err != nil || n.Get("clients").Len() == 0 {
			t.Fatalf("%d clients, %v", n.Get("clients").Len(), err)
		}
		n.Get("clients").Each(func(_ string, c tree.Node) {
			if c.Get("signal").Exists() != want || c.Get("bytes").Exists() != want || !c.Get("aid").Exists() {
				t.Errorf("old %v: signal %v", old, c.Get("signal").Exists())
			}
		})
	}
}

func TestBusRefusesAndHangsUp(t *testing.T) {
	b, clock, conn := onBus(t, Config{Model: "openwrt-sfp", BootTime: time.Minute})
	for _, tt := range []struct {
		object, method string
		params         map[string]any
		want           error
	}{
		{"dsl", "metrics", nil, collector.ErrNoData},
		{"uci", "get", nil, collector.ErrRefused},
		{"network.device", "status", map[string]any{"name": "nothing"}, collector.ErrNoData},
		{"iwinfo", "info", nil, ubus.ErrInvalidArgument},
		{"system", "nonsense", nil, ubus.ErrMethodNotFound},
	} {
		if _, err := conn.Call(t.Context(), tt.object, tt.method, tt.params); !errors.Is(err, tt.want) {
			t.Errorf("%s %s: %v, want %v", tt.object, tt.method, err, tt.want)
		}
	}
	b.Crash()
	if _, err := conn.Call(t.Context(), "system", "info", nil); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("while it boots: %v", err)
	}
	clock.pass(time.Minute)
	if _, err := conn.Call(t.Context(), "system", "info", nil); err != nil {
		t.Errorf("after it booted: %v", err)
	}
	if names, err := conn.List(t.Context(), "hostapd.*"); err != nil || !slices.Equal(names, []string{"hostapd.phy0-ap0", "hostapd.phy1-ap0"}) {
		t.Errorf("list %v, %v", names, err)
	}
	livebox, err := New(Config{Model: "livebox5"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := livebox.ServeUbus(filepath.Join(t.TempDir(), "ubus.sock")); err == nil {
		t.Error("a Livebox has a bus")
	}
}

func TestBusMisbehaves(t *testing.T) {
	b, _, conn := onBus(t, Config{Model: "openwrt"})
	for name, kind := range Misbehaviours() {
		b.Misbehave(kind)
		good := kind == Behave || kind == NotUTF8
		within := 20 * time.Second
		if !good {
			within = 200 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(t.Context(), within)
		n, err := conn.Call(ctx, "system", "info", nil)
		cancel()
		uptime, ok := n.Get("uptime").Int()
		switch {
		case good:
			if err != nil || !ok || uptime == 0 {
				t.Errorf("%q: %v", name, err)
			}
		case err == nil && ok:
			t.Errorf("%q: uptime %d all the same", name, uptime)
		}
	}
}

func TestDataModelAnswersSetWithThreeValues(t *testing.T) {
	_, _, conn := onBus(t, Config{Model: "prplos"})
	values, err := conn.Values(t.Context(), "WiFi.AccessPoint.1", "_set", map[string]any{"parameters": map[string]any{"Enable": true}})
	if err != nil || len(values) != 3 {
		t.Fatalf("%d values, %v", len(values), err)
	}
	if v, _ := values[0].Get("WiFi.AccessPoint.1.", "Enable").Bool(); !v {
		t.Error("the first value is not what was set")
	}
	if code, ok := values[2].Get("amxd-error-code").Int(); !ok || code != 0 {
		t.Errorf("code %d", code)
	}
}
