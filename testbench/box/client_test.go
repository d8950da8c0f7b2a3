package box

import (
	"context"
	"errors"
	"math"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/line"
	"livebox-agent/collector/optics"
	"livebox-agent/collector/platform"
	"livebox-agent/collector/platform/sysbus"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
	"livebox-agent/collector/surge"
	"livebox-agent/collector/wan"
	"livebox-agent/collector/wifi"
)

// agentsClient returns the agent's own client, logged in to nothing yet.
func agentsClient(t *testing.T, b *Box, contentType string) *sysbus.Client {
	t.Helper()
	server := httptest.NewServer(b.Handler())
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(DefaultPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := sysbus.DefaultConfig()
	c.URL, c.PasswordFile, c.ContentType = server.URL, file, contentType
	client, err := sysbus.New(c, sysbus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		server.Close()
	})
	return client
}

// readings are values by metric, of whatever instance comes first.
type readings map[catalogue.ID]int64

// take decodes a reply by all decoders that read it.
func (r readings) take(t *testing.T, n tree.Node, c captured, variant, box string) {
	t.Helper()
	read := false
	for _, d := range slices.Concat(line.Decoders(), optics.Decoders(), surge.Decoders(), wan.Decoders(), wifi.Decoders()) {
		if !d.Matches(c.object, c.method, variant) {
			continue
		}
		read = true
		var b sample.Batch
		if err := d.Decode(n, platform.Hint{Box: box}, &b); err != nil && !errors.Is(err, collector.ErrNoData) {
			t.Errorf("%s: %s of %s: %v", box, d.Name, c.object, err)
		}
		for _, v := range b.Readings {
			if _, there := r[v.Metric]; !there {
				r[v.Metric] = v.Value
			}
		}
	}
	if !read {
		t.Errorf("%s: no decoder reads %s.%s", box, c.object, c.method)
	}
}

func TestAgentsClientAndDecodersReadEveryBox(t *testing.T) {
	for _, model := range Models() {
		p := models()[model]
		if p.openwrt {
			continue
		}
		t.Run(model, func(t *testing.T) {
			b, clock := newTestBox(t, Config{Model: model, Stations: 8})
			clock.pass(time.Hour)
			client := agentsClient(t, b.Box, map[bool]string{true: sysbus.Wrapped, false: sysbus.Bare}[p.micro])
			box, err := client.Box(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if want := strings.TrimSuffix(model, "-sfp"); box.Generation != want || !slices.Contains(box.WAN, p.wanIntf) ||
				len(box.Radios) != len(p.radios) {
				t.Errorf("found %+v", box)
			}
			r := readings{}
			ask := func(object, method, mibs, variant string) {
				n, err := client.Call(t.Context(), object, method, map[string]string{"mibs": mibs})
				if err != nil {
					t.Fatalf("%s: %v", object, err)
				}
				r.take(t, n, captured{object: object, method: method}, variant, box.Generation)
			}
			ask("NMC", "getWANStatus", "", "")
			ask("NeMo.Intf."+p.wanIntf, "getNetDevStats", "", "")
			ask("NeMo.Intf.lan", "getMIBs", "base wlanradio wlanvap", "wlan")
			truth := b.Truth()
			switch p.wan {
			case wanDSL:
				ask("NeMo.Intf.data", "getMIBs", "dsl", "dsl")
				ask("NeMo.Intf.dsl0", "getDSLStats", "", "")
				ask("NeMo.Intf.dsl0", "getDSLLineStats", "", "")
				r.near(t, catalogue.LineDownMargin, truth.MarginDown*10, 1)
				r.near(t, catalogue.LineUpRate, truth.RateUp, 1)
			case wanPON:
				ask("NeMo.Intf.veip0", "getMIBs", "gpon", "gpon")
				r.near(t, catalogue.OpticBias, truth.BiasMilliamps*1000, 500)
				r.near(t, catalogue.OpticRxPower, truth.RxDBm*1000, 2)
			case wanSFP:
				ask("SFP", "get", "", "")
				r.near(t, catalogue.OpticTxPower, truth.TxDBm*1000, 2)
				// The modem beside it has no line, and measures nothing.
				ask("NeMo.Intf.data", "getMIBs", "dsl", "dsl")
				if v, there := r[catalogue.LineDownMargin]; there {
					t.Errorf("margin %d of a line that is not there", v)
				}
			}
			for _, id := range []catalogue.ID{catalogue.WANStatus, catalogue.RadioChannel, catalogue.StationSignal} {
				if _, ok := r[id]; !ok {
					t.Errorf("nothing gives metric %d", id)
				}
			}
			if _, err := client.Call(t.Context(), "Gpon", "get", nil); !errors.Is(err, collector.ErrRefused) {
				t.Errorf("Gpon: %v", err)
			}
			if _, err := client.Call(t.Context(), "NeMo.Intf.nothing", "getMIBs", nil); !errors.Is(err, collector.ErrNoData) {
				t.Errorf("an absent interface: %v", err)
			}
			// A restart costs one login.
			b.Reboot("")
			if _, err := client.Call(t.Context(), "NMC", "get", nil); err != nil {
				t.Errorf("after a restart: %v", err)
			}
		})
	}
}

// near says what is wrong where the metric is not within d of want.
func (r readings) near(t *testing.T, id catalogue.ID, want, d float64) {
	t.Helper()
	if v, ok := r[id]; !ok || math.Abs(float64(v)-want) > d {
		t.Errorf("metric %d is %d (%v), want %v", id, v, ok, want)
	}
}

func TestAgentsDecodersReadEveryRouter(t *testing.T) {
	for _, model := range []string{"openwrt", "openwrt-sfp", "prplos"} {
		b, clock, conn := onBus(t, Config{Model: model, Stations: 8})
		clock.pass(time.Hour)
		r := readings{}
		ask := func(object, method string, params map[string]any) {
			n, err := conn.Call(t.Context(), object, method, params)
			if err != nil {
				t.Fatalf("%s: %s: %v", model, object, err)
			}
			r.take(t, n, captured{object: object, method: method}, "", model)
		}
		ask("network.interface", "dump", nil)
		if model == "prplos" {
			ask("WiFi.Radio", "_get", nil)
			ask("WiFi.AccessPoint", "_get", nil)
			ask("WiFi.AccessPoint.2", "getStationStats", nil)
		} else {
			device := map[string]any{"device": "phy1-ap0"}
			ask("iwinfo", "info", device)
			ask("iwinfo", "survey", device)
			ask("iwinfo", "assoclist", device)
			ask("hostapd.phy1-ap0", "get_clients", nil)
		}
		if model == "openwrt" {
			ask("dsl", "metrics", nil)
			truth := b.Truth()
			r.near(t, catalogue.LineDownMargin, truth.MarginDown*10, 1)
			r.near(t, catalogue.LineDownRate, truth.RateDown, 1)
		}
		for _, id := range []catalogue.ID{catalogue.WANStatus, catalogue.RadioChannel, catalogue.StationSignal} {
			if _, ok := r[id]; !ok {
				t.Errorf("%s: nothing gives metric %d", model, id)
			}
		}
		if n := r[catalogue.RadioNoise]; n < -110 || n > -80 {
			t.Errorf("%s: noise %d dBm", model, n)
		}
	}
}

func TestAgentsClientSurvivesEveryMisbehaviour(t *testing.T) {
	b, _ := newTestBox(t, Config{Model: "livebox7"})
	client := agentsClient(t, b.Box, sysbus.Bare)
	for name, kind := range Misbehaviours() {
		b.Misbehave(kind)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		n, err := client.Call(ctx, "NMC", "get", nil)
		cancel()
		mode, _ := n.Get("status", "WanMode").Text()
		if good := err == nil && mode == "GPON_DHCP"; good != (kind == Behave || kind == HugeNumbers) && kind != NotUTF8 {
			t.Errorf("%q: %q, %v", name, mode, err)
		}
	}
	b.Misbehave(Behave)
	if _, err := client.Call(t.Context(), "NMC", "get", nil); err != nil {
		t.Errorf("well again: %v", err)
	}
}
