package wan_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform"
	"livebox-agent/collector/platform/sysbus"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/platform/ubus"
	"livebox-agent/collector/platform/ubus/ubustest"
	"livebox-agent/collector/sample"
	"livebox-agent/collector/wan"
)

// netifd answers with JSON, or with a status.
type netifd map[string]any

func (f netifd) Call(_ context.Context, object, method string, _ map[string]any) (tree.Node, error) {
	switch v := f[object+" "+method].(type) {
	case string:
		return tree.Parse([]byte(v))
	case error:
		return tree.Node{}, v
	}
	return tree.Node{}, &ubus.CallError{Op: "call " + object + " " + method, Err: ubus.ErrNotFound}
}

const (
	wanUp = `{"interface":"wan","up":true,"pending":false,"available":true,"autostart":true,"dynamic":false,"uptime":132,
		"l3_device":"eth1","proto":"dhcp","device":"eth1","updated":["addresses","routes","data"],"metric":0,
		"ipv4-address":[{"address":"192.0.2.4","mask":24}],"ipv6-address":[],"ipv6-prefix":[],
		"route":[{"target":"0.0.0.0","mask":0,"nexthop":"192.0.2.1","source":"192.0.2.4/32"}],
		"dns-server":["192.0.2.53"],"inactive":{"ipv4-address":[]},"data":{"leasetime":600}}`
	wan6Up = `{"interface":"wan6","up":true,"pending":false,"available":true,"uptime":130,"l3_device":"eth1","proto":"dhcpv6",
		"device":"eth1","ipv4-address":[],"ipv6-address":[{"address":"fe80::1","mask":64}],
		"ipv6-prefix":[{"address":"2001:db8:1200::","mask":56}],"route":[{"target":"::","mask":0}]}`
	tunnel = `{"interface":"wg0","up":true,"uptime":81437,"l3_device":"wg0","proto":"wireguard","device":"wg0",
		"ipv4-address":[{"address":"192.0.2.99","mask":32}],"route":[{"target":"0.0.0.0","mask":0}]}`
	lan = `{"interface":"lan","up":true,"available":true,"uptime":90000,"l3_device":"br-lan","proto":"static","device":"br-lan",
		"ipv4-address":[{"address":"192.0.2.129","mask":25}],"route":[{"target":"192.0.2.128","mask":25}]}`
)

func dump(interfaces ...string) string {
	return `{"interface":[` + strings.Join(interfaces, ",") + `]}`
}

func TestConnectionOfOpenWrt(t *testing.T) {
	up := []string{"Status wan = Up", "LinkType wan = Ethernet", "Protocol wan = DHCP", "IPv4Up wan = yes", "IPv6Up wan = no", "UpTime wan = 132", "LastConnectionError wan = None"}
	const lte = `{"interface":"lte","up":true,"uptime":9,"proto":"qmi","device":"/dev/cdc-wdm0","route":[{"target":"0.0.0.0","mask":0,"metric":20}]}`
	const wanDown = `{"interface":"wan","up":false,"pending":true,"available":true,"proto":"dhcp","device":"eth1"}`
	standing := slices.Insert(slices.Clone(up), 3, "Status backup = Up", "LinkType backup = Cellular")
	cellular := []string{"Status wan = Up", "LinkType wan = Cellular", "Protocol wan = Unknown", "UpTime wan = 9", "LastConnectionError wan = None"}
	down := []string{"Status wan = Dormant", "LinkType wan = Ethernet", "Protocol wan = DHCP", "LastConnectionError wan = None"}
	onBackup := slices.Insert(slices.Clone(down), 3, "Status backup = Up", "LinkType backup = Cellular")
	for _, tt := range []struct {
		name, reply string
		want        []string
		metered     bool
	}{
		{"up", dump(lan, tunnel, wanUp), up, false},
		{"IPv6 beside it", dump(wanUp, wan6Up), []string{
			"Status wan = Up", "LinkType wan = Ethernet", "Protocol wan = DHCP", "IPv4Up wan = yes", "IPv6Up wan = yes", "UpTime wan = 132",
			"LastConnectionError wan = None", "LastConnectionError wan6 = None",
		}, false},
		{"IPv6 over the same device by another name", dump(strings.Replace(wan6Up, `"wan6"`, `"six"`, 1), wanUp), []string{
			"Status wan = Up", "LinkType wan = Ethernet", "Protocol wan = DHCP", "IPv4Up wan = yes", "IPv6Up wan = yes", "UpTime wan = 132", "LastConnectionError wan = None",
		}, false},
		{"PPP over DSL", dump(`{"interface":"wan","up":true,"uptime":7,"l3_device":"pppoe-wan","proto":"pppoe","device":"dsl0.835",
			"ipv4-address":[{"address":"192.0.2.4","mask":32}]}`), []string{
			"Status wan = Up", "LinkType wan = DSL", "Protocol wan = PPP", "IPv4Up wan = yes", "UpTime wan = 7", "LastConnectionError wan = None",
		}, false},
		{"down, refused by the server", dump(`{"interface":"wan","up":false,"pending":true,"available":true,"proto":"pppoe","device":"ptm0",
			"errors":[{"subsystem":"interface","code":"NO_DEVICE"},{"subsystem":"pppoe","code":"AUTH_FAILED","data":["user@example.net"]}]}`), []string{
			"Status wan = Dormant", "LinkType wan = DSL", "Protocol wan = PPP", "LastConnectionError wan = AuthenticationFailure",
		}, false},
		{"no cable", dump(`{"interface":"wan","up":false,"pending":false,"available":false,"proto":"dhcp","device":"wan","errors":[{"code":"NO_DEVICE"}]}`), []string{
			"Status wan = LowerLayerDown", "LinkType wan = Ethernet", "Protocol wan = DHCP", "LastConnectionError wan = NoCarrier",
		}, false},
		{"address of the link alone", dump(`{"interface":"wan","up":true,"ipv6-address":[{"address":"FE80::1","mask":64}],"ipv6-prefix":[]}`), []string{
			"Status wan = Up", "IPv6Up wan = no", "LastConnectionError wan = None",
		}, false},
		{"stopped by hand", dump(`{"interface":"wan","up":false,"pending":false,"available":true,"proto":"none"}`), []string{
			"Status wan = Down", "Protocol wan = Unknown", "LastConnectionError wan = None",
		}, false},
		{"by another name", dump(lan, tunnel, strings.Replace(wanUp, `"wan"`, `"familie-durand"`, 1)), up, false},
		{"two ways, by their metric", dump(
			lte, strings.Replace(wanUp, `"wan"`, `"fibre"`, 1)), standing, false},
		{"modem that stands by", dump(wanUp, lte), standing, false},
		{"modem alone", dump(lan, lte), cellular, true},
		{"modem called wan", dump(strings.Replace(lte, `"lte"`, `"wan"`, 1)), cellular, true},
		{"modem that stands in", dump(lte, wanDown), onBackup, true},
		{"modem with an Ethernet of its own", dump(wanDown, `{"interface":"b","up":true,"proto":"dhcp","device":"wwan0","route":[{"target":"0.0.0.0","mask":0}]}`), onBackup, true},
		{"modem without a route", dump(wanDown, `{"interface":"lte","up":true,"proto":"qmi","device":"/dev/cdc-wdm0"}`), down, false},
		{"modem of which little is right", dump(wanDown, `{"interface":"lte","up":true,"proto":"dhcp","device":7,"route":[{"target":"0.0.0.0","mask":0}]}`), down, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := wan.New(wan.Config{Ubus: netifd{"network.interface dump": tt.reply}})
			var b sample.Batch
			err := s.Collect(t.Context(), &b)
			if diff := cmp.Diff(tt.want, values(t, &b)); diff != "" || err != nil {
				t.Errorf("%v, %s", err, diff)
			}
			if metered, known := wan.Metered(&b); metered != tt.metered || !known {
				t.Errorf("Metered() = %v, %v; want %v", metered, known, tt.metered)
			}
			announced := map[catalogue.ID]bool{}
			for _, id := range s.Describe().Metrics {
				announced[id] = true
			}
			for _, r := range b.Readings {
				if !announced[r.Metric] || r.Instance != "wan" && r.Instance != "wan6" && r.Instance != "backup" {
					t.Errorf("gave %+v", r)
				}
			}
		})
	}
}

func TestInterfaceAloneWhereNetifdDoesNotListThem(t *testing.T) {
	f := netifd{"network.interface.wan status": strings.Replace(wanUp, `"interface":"wan",`, "", 1)}
	var b sample.Batch
	if err := wan.New(wan.Config{Ubus: f}).Collect(t.Context(), &b); err != nil || len(b.Readings) != 7 {
		t.Errorf("%v, %v; want 7 readings", values(t, &b), err)
	}
}

func TestWhatNetifdDoesNotTell(t *testing.T) {
	for _, tt := range []struct {
		name string
		f    netifd
		want error
	}{
		{"no netifd", netifd{}, collector.ErrNoData},
		{"refused", netifd{"network.interface dump": ubus.ErrPermissionDenied}, collector.ErrRefused},
		{"refused twice", netifd{"network.interface dump": ubus.ErrPermissionDenied, "network.interface.wan status": ubus.ErrPermissionDenied}, collector.ErrRefused},
		{"no connection", netifd{"network.interface dump": dump(lan, tunnel)}, collector.ErrNoData},
		{"no interface", netifd{"network.interface dump": dump()}, collector.ErrNoData},
		{"timeout", netifd{"network.interface dump": ubus.ErrTimeout}, ubus.ErrTimeout},
		{"no list", netifd{"network.interface dump": `{"interface":"wan"}`}, tree.ErrMalformed},
		{"list of nothing", netifd{"network.interface dump": `{"interface":[7]}`}, tree.ErrMalformed},
		{"up that is none", netifd{"network.interface dump": dump(`{"interface":"wan","up":"perhaps"}`)}, tree.ErrMalformed},
		{"addresses that are none", netifd{"network.interface dump": dump(`{"interface":"wan","up":true,"ipv4-address":"192.0.2.4"}`)}, tree.ErrMalformed},
		{"errors that are none", netifd{"network.interface dump": dump(`{"interface":"wan","up":true,"errors":"AUTH_FAILED"}`)}, tree.ErrMalformed},
		{"HTML", netifd{"network.interface.wan status": `"<html>"`}, tree.ErrMalformed},
	} {
		var b sample.Batch
		err := wan.New(wan.Config{Ubus: tt.f}).Collect(t.Context(), &b)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v; want %v", tt.name, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "192.0.2") {
			t.Errorf("%s: %v has an address in it", tt.name, err)
		}
	}
}

// The whole way, over a real socket.
func TestConnectionOverTheBus(t *testing.T) {
	dir, err := os.MkdirTemp("", "wan") //nolint:usetesting // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	server, err := ubustest.Listen(path, ubustest.Fixed(ubustest.Object{Path: "network.interface", Methods: []string{"dump"}}),
		func(string, string, map[string]any) ([]any, error) {
			address := map[string]any{"address": "192.0.2.4", "mask": uint32(24)}
			element := map[string]any{"interface": "wan", "up": true, "uptime": uint32(132), "ipv4-address": []any{address}}
			return []any{map[string]any{"interface": []any{element}}}, nil
		})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	c := ubus.Dial(path)
	defer c.Close()
	var b sample.Batch
	err = wan.New(wan.Config{Ubus: c}).Collect(t.Context(), &b)
	want := []string{"Status wan = Up", "IPv4Up wan = yes", "UpTime wan = 132", "LastConnectionError wan = None"}
	if diff := cmp.Diff(want, values(t, &b)); diff != "" || err != nil {
		t.Errorf("%v, %s", err, diff)
	}
}

func FuzzDump(f *testing.F) {
	f.Add([]byte(dump(lan, tunnel, wanUp, wan6Up)))
	f.Add([]byte(wanUp))
	f.Add([]byte(dump(`{"interface":"x","proto":"qmi","route":[{"target":"0.0.0.0","mask":"0","metric":-1}],"errors":[{"code":"X"}]}`)))
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := tree.Parse(body)
		if err != nil {
			return
		}
		for _, d := range wan.Decoders() {
			if d.Platform != platform.OpenWrt {
				continue
			}
			var b sample.Batch
			err := d.Decode(n, platform.Hint{}, &b)
			if err != nil && !errors.Is(err, tree.ErrMalformed) && !errors.Is(err, collector.ErrNoData) {
				t.Errorf("%s: %v", d.Name, err)
			}
			for _, r := range b.Readings {
				m, ok := catalogue.Lookup(r.Metric)
				if !ok || r.Value < 0 || m.Kind == catalogue.State && r.Value >= int64(len(m.States)) || r.Instance != "wan" && r.Instance != "wan6" && r.Instance != "backup" {
					t.Errorf("%s gave %+v", d.Name, r)
				}
			}
		}
	})
}

// nowhere is a Livebox's bus on a box that is no Livebox.
type nowhere struct{}

func (nowhere) Call(context.Context, string, string, any) (tree.Node, error) {
	return tree.Node{}, fmt.Errorf("no Livebox at http://127.0.0.1: %w", collector.ErrNoData)
}

func (nowhere) Box(context.Context) (sysbus.Box, error) {
	return sysbus.Box{}, fmt.Errorf("no Livebox at http://127.0.0.1: %w", collector.ErrNoData)
}

func TestRouterIsAskedWhereThereIsNoLivebox(t *testing.T) {
	alone, both := &sample.Batch{}, &sample.Batch{}
	f := netifd{"network.interface dump": `{"interface":[{"interface":"wan","up":true,"uptime":60,"proto":"dhcp","route":[{"target":"0.0.0.0","mask":0}],"ipv4-address":[{"address":"192.0.2.7"}]}]}`}
	if err := wan.New(wan.Config{Ubus: f}).Collect(t.Context(), alone); err != nil {
		t.Fatal(err)
	}
	if err := wan.New(wan.Config{Sysbus: nowhere{}, Ubus: f}).Collect(t.Context(), both); err != nil {
		t.Fatal(err)
	}
	if len(alone.Readings) == 0 || !slices.Equal(alone.Readings, both.Readings) {
		t.Errorf("readings %v; want %v", both.Readings, alone.Readings)
	}
	err := wan.New(wan.Config{Sysbus: nowhere{}, Ubus: netifd{}}).Collect(t.Context(), &sample.Batch{})
	if !errors.Is(err, collector.ErrNoData) {
		t.Errorf("neither: %v; want no data", err)
	}
}
