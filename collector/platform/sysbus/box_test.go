package sysbus_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"livebox-agent/collector"
	"livebox-agent/collector/platform/sysbus"
	"livebox-agent/collector/platform/sysbus/sysbustest"
	"livebox-agent/collector/platform/tree"
)

// base builds a reply of getMIBs from pairs of name and flags.
func base(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, `%s%q:{"Name":%q,"Enable":true,"Flags":%q}`, strings.Repeat(",", min(i, 1)), pairs[i], pairs[i], pairs[i+1])
	}
	return `{"status":{"base":{` + b.String() + `}}}`
}

func info(class string) string {
	return fmt.Sprintf(`{"status":{"Manufacturer":"Sagemcom","ProductClass":%q,"SoftwareVersion":"SG70-fr-G07.R02.C02_18","UpTime":1210370}}`, class)
}

const (
	homeLan3 = `{"status":{"wl0":{"FriendlyName":"802.11-2.4GHz","Name":"wl0","NumberOfStoredMeasures":0},
		"wl1":{"FriendlyName":"802.11-5GHz","Name":"wl1","NumberOfStoredMeasures":0},
		"swport4":{"FriendlyName":"Ethernet4","Name":"swport4","NumberOfStoredMeasures":2880},
		"wan":{"FriendlyName":"Optical ONT","Name":"eth1","NumberOfStoredMeasures":2880}}}`
	homeLan4 = `{"status":{"wl0":{"FriendlyName":"2.4GHz-Private_SSID","Name":"wl0","Alias":"WiFi"},
		"eth6":{"FriendlyName":"5GHz-Private_SSID","Name":"eth6","Alias":"WiFi"},
		"eth1":{"FriendlyName":"eth1","Name":"eth1","Alias":"Eth"},
		"dsl0":{"FriendlyName":"xDSL","Name":"dsl0","Alias":""},
		"dsl0_sync":{"FriendlyName":"xDSL-Sync","Name":"dsl0","Alias":""},
		"atm_data":{"FriendlyName":"ADSL-Internet","Name":"atm_data","Alias":"xDSL_Virtual"},
		"eth0":{"FriendlyName":"WAN_Ethernet","Name":"eth0","Alias":""},
		"vlan_data":{"FriendlyName":"WAN_Ethernet-Internet","Name":"vlan_data","Alias":"WAN_Virtual"}}}`
	homeLan7 = `{"status":{"vap2g0priv0":{"FriendlyName":"2.4GHz-Private_SSID","Name":"vap2g0priv0","Alias":"WiFi"},
		"ETH1":{"FriendlyName":"eth1","Name":"ETH1","Alias":"Eth"},
		"eth1_wan":{"FriendlyName":"WAN_Ethernet","Name":"ETH1","Alias":"WAN_Virtual"},
		"veip0":{"FriendlyName":"WAN_GPON","Name":"veip0","Alias":"WAN_Virtual"},
		"gvlan_data":{"FriendlyName":"WAN_GPON-Internet","Name":"gvlan_data","Alias":"WAN_Virtual"}}}`
	flagsVeip = "netdev gpon physical netdev-monitor wan statmon enabled netdev-bound netdev-up up ipv6-remote-routes"
	flagsVap  = "wlanvap penable netdev statmon wlan24 primary wlanvap-bound wlansta enabled netdev-bound inbridge netdev-up up"
	flagsRad  = "wlanradio penable physical bcmrad wlanradio-bound enabled up"
)

func TestBox(t *testing.T) {
	for _, tt := range []struct {
		name    string
		replies map[string]string
		want    sysbus.Box
	}{
		{
			name: "Livebox 3",
			replies: map[string]string{
				"DeviceInfo.get": info("Livebox 3"), "HomeLan.Interface.get": homeLan3,
				"NeMo.Intf.lan.getMIBs": base("wl0", "wlanvap penable netdev enabled wlanvap-bound", "wifi0_ath", "wlanradio penable physical wlanradio-bound",
					"wl1", "wlanvap penable netdev", "wifi1_ath", "wlanradio penable physical"),
			},
			want: sysbus.Box{Generation: "livebox3", WAN: []string{"eth1"}, Radios: []string{"wifi0_ath", "wifi1_ath"}, VAPs: []string{"wl0", "wl1"}},
		},
		{
			name: "Livebox 4 with DSL",
			replies: map[string]string{
				"DeviceInfo.get": info("Livebox 4"), "HomeLan.Interface.get": homeLan4,
				"NeMo.Intf.data.getMIBs": base("dsl0", "dsl physical enabled up", "atm_data", "vlan netdev wan up", "eth0", "netdev eth physical wan enabled"),
				"NeMo.Intf.lan.getMIBs":  base("wl0", flagsVap, "wifi0_bcm", flagsRad),
			},
			want: sysbus.Box{Generation: "livebox4", WAN: []string{"dsl0", "eth0"}, DSL: "dsl0", Radios: []string{"wifi0_bcm"}, VAPs: []string{"wl0", "eth6"}},
		},
		{
			name: "Livebox 5 behind an external ONT",
			replies: map[string]string{
				"DeviceInfo.get":         info("Livebox Fibre"),
				"NeMo.Intf.data.getMIBs": base("veip0", "enabled netdev gpon physical wan", "eth0", "netdev eth physical wan up"),
				"NeMo.Intf.lan.getMIBs":  base("eth4", "enabled quanvap netdev eth bcmeth physical netdev-monitor wlanvap penable", "wifi0_quan", "wlanradio quanrad penable physical"),
			},
			want: sysbus.Box{Generation: "livebox5", WAN: []string{"eth0", "veip0"}, PON: "veip0", Radios: []string{"wifi0_quan"}, VAPs: []string{"eth4"}},
		},
		{
			name: "Livebox 7, radios found from the WAN side",
			replies: map[string]string{
				"DeviceInfo.get": info("Livebox 7"), "HomeLan.Interface.get": homeLan7,
				"NeMo.Intf.data.getMIBs": base("veip0", flagsVeip, "gvlan_data", "vlan gpon wan up", "rad2g0", flagsRad, "rad6g0", "wlanradio", "vap2g0priv0", flagsVap),
			},
			want: sysbus.Box{Generation: "livebox7", WAN: []string{"veip0", "ETH1"}, PON: "veip0", Radios: []string{"rad2g0", "rad6g0"}, VAPs: []string{"vap2g0priv0"}},
		},
		{
			name:    "interfaces kept to itself",
			replies: map[string]string{"DeviceInfo.get": info("Livebox Nautilus"), "NeMo.Intf.data.getMIBs": `{"errors":[{"error":13}]}`, "NeMo.Intf.lan.getMIBs": `{"errors":[{"error":196639}]}`},
			want:    sysbus.Box{Generation: "liveboxS"},
		},
		{
			name: "names that are none",
			replies: map[string]string{
				"DeviceInfo.get":         `{"status":{"ProductClass":["Livebox 7"],"SoftwareVersion":7}}`,
				"NeMo.Intf.data.getMIBs": base("../x", "wan physical", "a.b", "wlanradio", "", "wlanvap", strings.Repeat("x", 33), "gpon", "é", "wan physical", "data", "wan up", "ok", "wan physical"),
				"NeMo.Intf.lan.getMIBs":  `{"status":{"base":[1,{"Flags":"wlanradio"},{"Flags":7}]}}`,
				"HomeLan.Interface.get":  `{"status":"up"}`,
			},
			want: sysbus.Box{Generation: sysbus.Unknown, WAN: []string{"ok"}, Radios: []string{"1"}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := connect(t, &sysbustest.Box{Reply: sysbustest.Replies(tt.replies)}, nil)
			got, err := c.Box(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if tt.want.Generation != sysbus.Unknown && (got.SoftwareVersion != "SG70-fr-G07.R02.C02_18" || !strings.HasPrefix(got.ProductClass, "Livebox ")) {
				t.Errorf("Box = %+v", got)
			}
			got.ProductClass, got.SoftwareVersion = "", ""
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Box (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGenerations(t *testing.T) {
	for class, want := range map[string]string{
		"Livebox 3": "livebox3", "Livebox 4": "livebox4", "Livebox Fibre": "livebox5", "Livebox 6": "livebox6",
		"Livebox 7": "livebox7", "Livebox W7": "liveboxW7", "Livebox Nautilus": "liveboxS", "Livebox S": "liveboxS",
		"FunBox 6": "funbox6", "Livebox": sysbus.Unknown, "F@st 5656": sysbus.Unknown, "": sysbus.Unknown,
	} {
		c := connect(t, &sysbustest.Box{Reply: sysbustest.Replies(map[string]string{"DeviceInfo.get": info(class)})}, nil)
		if b, err := c.Box(t.Context()); err != nil || b.Generation != want {
			t.Errorf("ProductClass %q: generation %q, %v; want %q", class, b.Generation, err, want)
		}
	}
}

func TestBoxIsAskedUntilItIsWhole(t *testing.T) {
	var now clock
	table := map[string]string{}
	box := &sysbustest.Box{Reply: func(object, method string, params tree.Node) any {
		return sysbustest.Replies(table)(object, method, params)
	}}
	c := connect(t, box, func(_ *sysbus.Config, o *sysbus.Options) { o.Now = now.Now })
	if b, err := c.Box(t.Context()); !errors.Is(err, collector.ErrNoData) {
		t.Errorf("Box without DeviceInfo = %+v, %v; want ErrNoData", b, err)
	}
	table["DeviceInfo.get"] = info("Livebox 7")
	table["NeMo.Intf.data.getMIBs"] = base("veip0", flagsVeip)
	if b, err := c.Box(t.Context()); err != nil || b.PON != "veip0" || len(b.Radios) != 0 {
		t.Errorf("Box before the radios are there = %+v, %v", b, err)
	}
	table["NeMo.Intf.lan.getMIBs"] = base("rad5g0", flagsRad)
	if b, err := c.Box(t.Context()); err != nil || len(b.Radios) != 0 {
		t.Errorf("Box just after = %+v, %v; want what is remembered", b, err)
	}
	now.Advance(sysbus.RediscoverAfter)
	if b, err := c.Box(t.Context()); err != nil || !slices.Equal(b.Radios, []string{"rad5g0"}) {
		t.Errorf("Box after RediscoverAfter = %+v, %v; want the radio", b, err)
	}
	asked := len(box.Calls())
	now.Advance(1000 * time.Hour)
	if _, err := c.Box(t.Context()); err != nil || len(box.Calls()) != asked {
		t.Errorf("a box that is whole was asked again: %v", err)
	}
}

func TestDiscoveryDoesNotAskForTheCustomersDevices(t *testing.T) {
	box := &sysbustest.Box{Reply: func(object, method string, params tree.Node) any {
		if object == "DeviceInfo" {
			return map[string]any{"status": map[string]any{"ProductClass": "Livebox 7"}}
		}
		if mibs, _ := params.Get("mibs").Text(); method == "getMIBs" && mibs != "base" {
			t.Errorf("asked %s.%s for %q", object, method, mibs)
		}
		return nil
	}}
	if _, err := connect(t, box, nil).Box(t.Context()); err != nil {
		t.Error(err)
	}
	want := []string{"DeviceInfo.get", "NeMo.Intf.data.getMIBs", "NeMo.Intf.lan.getMIBs", "HomeLan.Interface.get"}
	if diff := cmp.Diff(want, box.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}
