package wan_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform"
	"livebox-agent/collector/platform/sysbus"
	"livebox-agent/collector/platform/sysbus/sysbustest"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
	"livebox-agent/collector/wan"
)

// A fake is a Livebox without a network between.
type fake struct {
	sysbustest.Func
	box    sysbus.Box
	boxErr error
}

func (f *fake) Box(context.Context) (sysbus.Box, error) { return f.box, f.boxErr }

// values returns the readings as "metric instance = value", states by name.
func values(t *testing.T, b *sample.Batch) []string {
	t.Helper()
	var list []string
	for _, r := range b.Readings {
		m, ok := catalogue.Lookup(r.Metric)
		if !ok {
			t.Fatalf("metric %d is not in the catalogue", r.Metric)
		}
		name := m.Name[strings.LastIndex(m.Name, ".")+1:]
		value := fmt.Sprint(r.Value)
		if m.Kind == catalogue.State {
			value = m.States[r.Value]
		}
		list = append(list, strings.TrimPrefix(name, catalogue.VendorPrefix)+" "+r.Instance+" = "+value)
	}
	return list
}

const (
	// As a Livebox 7 and an S on fibre, a Livebox 3 behind an ONT, and a
	// Livebox 4 with an SFP answer.
	status7 = `{"status":true,"data":{"WanState":"up","LinkType":"gpon","LinkState":"up","GponState":"O5_Operation",
		"MACAddress":"02:00:00:00:00:0B","Protocol":"dhcp","ConnectionState":"Bound","LastConnectionError":"None",
		"IPAddress":"192.0.2.10","RemoteGateway":"192.0.2.1","DNSServers":"192.0.2.53,2001:db8::53",
		"IPv6Address":"2001:db8::1","IPv6DelegatedPrefix":"2001:db8::/56","ConnectionStateIPv6":"Bound",
		"LastConnectionErrorIPv6":"","RemoteGatewayIPv6":"fe80::1"}}`
	statusS = `{"status":true,"data":{"WanState":"up","LinkType":"gpon","LinkState":"up","Protocol":"dhcp","ConnectionState":"Bound",
		"LastConnectionError":"None","IPAddress":"192.0.2.10","IPv6Address":"","IPv6DelegatedPrefix":"2001:db8::/56",
		"ConnectionStateIPv6":"Bound","LastConnectionErrorIPv6":"RenewTimeout"}}`
	status3 = `{"status":true,"data":{"WanState":"up","LinkType":"ethernet","LinkState":"up","Protocol":"dhcp","ConnectionState":"Bound",
		"LastConnectionError":"None","IPAddress":"192.0.2.10","IPv6Address":""}}`
	status4 = `{"status":true,"data":{"WanState":"up","LinkType":"SFP","LinkState":"up","Protocol":"dhcp","ConnectionState":"Bound",
		"LastConnectionError":"None","IPAddress":"192.0.2.10","DNSServers":"192.0.2.53"}}`
)

func TestStatusOfEachBox(t *testing.T) {
	for _, tt := range []struct {
		name, reply string
		want        []string
		err         error
	}{
		{name: "Livebox 7", reply: status7, want: []string{
			"Status wan = Up", "LinkType wan = PON", "Protocol wan = DHCP", "IPv4Up wan = yes", "IPv6Up wan = yes", "LastConnectionError wan = None",
		}},
		{name: "Livebox S, whose last error is history", reply: statusS, want: []string{
			"Status wan = Up", "LinkType wan = PON", "Protocol wan = DHCP", "IPv4Up wan = yes", "IPv6Up wan = yes",
			"LastConnectionError wan = None", "LastConnectionError wan6 = Timeout",
		}},
		{name: "Livebox 3 without IPv6", reply: status3, want: []string{
			"Status wan = Up", "LinkType wan = Ethernet", "Protocol wan = DHCP", "IPv4Up wan = yes", "IPv6Up wan = no", "LastConnectionError wan = None",
		}},
		{name: "Livebox 4 that says nothing of IPv6", reply: status4, want: []string{
			"Status wan = Up", "LinkType wan = SFP", "Protocol wan = DHCP", "IPv4Up wan = yes", "LastConnectionError wan = None",
		}},
		{
			name:  "DSL line down",
			reply: `{"status":true,"data":{"WanState":"down","LinkType":"vdsl","LinkState":"down","Protocol":"ppp","LastConnectionError":"ERROR_NO_CARRIER","IPAddress":"0.0.0.0"}}`,
			want: []string{
				"Status wan = LowerLayerDown", "LinkType wan = DSL", "Protocol wan = PPP", "IPv4Up wan = no", "LastConnectionError wan = NoCarrier",
			},
		},
		{
			name:  "line up and session down",
			reply: `{"data":{"WanState":"down","LinkType":"dsl","LinkState":"up","Protocol":"ppp","LastConnectionError":"ERROR_AUTHENTICATION_FAILURE","IPAddress":""}}`,
			want: []string{
				"Status wan = Down", "LinkType wan = DSL", "Protocol wan = PPP", "IPv4Up wan = no", "LastConnectionError wan = AuthenticationFailure",
			},
		},
		{
			name:  "words of a firmware to come",
			reply: `{"data":{"WanState":"Testing","LinkType":"docsis","Protocol":"sstp","LastConnectionError":"Eclipse"}}`,
			want: []string{
				"Status wan = Unknown", "LinkType wan = Unknown", "Protocol wan = Unknown", "LastConnectionError wan = Other",
			},
		},
		{
			name: "an address of IPv6 without a prefix", reply: `{"data":{"WanState":"up","LinkType":"gpon","Protocol":"dhcp","IPv6Address":"2001:db8::1","IPv6DelegatedPrefix":""}}`,
			want: []string{"Status wan = Up", "LinkType wan = PON", "Protocol wan = DHCP", "IPv6Up wan = yes"},
		},
		{name: "no data", reply: `{"status":false}`, err: collector.ErrNoData},
		{name: "empty data", reply: `{"status":true,"data":{}}`, err: collector.ErrNoData},
		{name: "empty texts", reply: `{"data":{"WanState":"","LinkType":"","Protocol":"","LastConnectionError":""}}`, err: collector.ErrNoData},
		{name: "data of a wrong type", reply: `{"data":[1]}`, err: tree.ErrMalformed},
		{
			name: "values of wrong types", reply: `{"data":{"WanState":true,"LinkType":7,"Protocol":{},"IPAddress":[],"LinkState":"up","LastConnectionError":"None"}}`,
			want: []string{"LastConnectionError wan = None"}, err: tree.ErrMalformed,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &fake{Func: sysbustest.Replies(map[string]string{"NMC.getWANStatus": tt.reply})}
			var b sample.Batch
			err := wan.New(wan.Config{Sysbus: f}).Collect(t.Context(), &b)
			if !errors.Is(err, tt.err) {
				t.Errorf("Collect = %v; want %v", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, values(t, &b)); diff != "" {
				t.Errorf("readings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoAddressLeavesThePackage(t *testing.T) {
	f := &fake{Func: sysbustest.Replies(map[string]string{"NMC.getWANStatus": status7})}
	var b sample.Batch
	if err := wan.New(wan.Config{Sysbus: f}).Collect(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	bad := `{"data":{"IPAddress":["192.0.2.10"],"MACAddress":7,"WanState":{"02:00":1}}}`
	f.Func = sysbustest.Replies(map[string]string{"NMC.getWANStatus": bad})
	err := wan.New(wan.Config{Sysbus: f}).Collect(t.Context(), &b)
	out := fmt.Sprint(b.Readings, err)
	for _, hidden := range []string{"192.0.2", "2001:db8", "fe80", "02:00"} {
		if strings.Contains(out, hidden) {
			t.Errorf("%q is in %s", hidden, out)
		}
	}
}

func TestLastErrors(t *testing.T) {
	for word, want := range map[string]string{
		"None": "None", "ERROR_NONE": "None", "RenewTimeout": "Timeout", "ERROR_ISP_TIME_OUT": "Timeout",
		"ERROR_AUTHENTICATION_FAILURE": "AuthenticationFailure", "ERROR_NO_CARRIER": "NoCarrier", "ERROR_NO_ANSWER": "NoAnswer",
		"ERROR_ISP_DISCONNECT": "ServerRefused", "NakReceived": "ServerRefused", "ERROR_UNKNOWN": "Other",
	} {
		f := &fake{Func: sysbustest.Replies(map[string]string{
			"NMC.getWANStatus": fmt.Sprintf(`{"data":{"LastConnectionError":%q,"LinkType":"dsl","Protocol":"ppp"}}`, word),
		})}
		var b sample.Batch
		if err := wan.New(wan.Config{Sysbus: f}).Collect(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		if got := values(t, &b); !strings.HasSuffix(got[len(got)-1], " = "+want) {
			t.Errorf("%q is %q; want %q", word, got[len(got)-1], want)
		}
	}
}

func TestTheModeSaysWhatTheStateDoesNot(t *testing.T) {
	for _, tt := range []struct {
		name, status, mode string
		want               []string
		err                error
	}{
		{"no link type", `{"data":{"WanState":"up","Protocol":"ppp"}}`, `{"status":{"WanMode":"GPON_DHCP"}}`, []string{"Status wan = Up", "Protocol wan = PPP", "LinkType wan = PON"}, nil},
		{"no state at all", ``, `{"status":{"WanMode":"VDSL_PPP"}}`, []string{"LinkType wan = DSL", "Protocol wan = PPP"}, collector.ErrNoData},
		{"neither", ``, ``, nil, collector.ErrNoData},
		{"mode refused", `{"data":{"WanState":"up"}}`, `{"errors":[{"error":13}]}`, []string{"Status wan = Up"}, nil},
		{"mode of a wrong type", `{"data":{"WanState":"up"}}`, `{"status":{"WanMode":7}}`, []string{"Status wan = Up"}, tree.ErrMalformed},
		{"mode without a protocol", `{"data":{"WanState":"up"}}`, `{"status":{"WanMode":"Ethernet"}}`, []string{"Status wan = Up", "LinkType wan = Ethernet"}, nil},
		{"mode empty", `{"data":{"WanState":"up"}}`, `{"status":{"WanMode":""}}`, []string{"Status wan = Up"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			replies := map[string]string{}
			if tt.status != "" {
				replies["NMC.getWANStatus"] = tt.status
			}
			if tt.mode != "" {
				replies["NMC.get"] = tt.mode
			}
			var b sample.Batch
			err := wan.New(wan.Config{Sysbus: &fake{Func: sysbustest.Replies(replies)}}).Collect(t.Context(), &b)
			if !errors.Is(err, tt.err) {
				t.Errorf("Collect = %v; want %v", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, values(t, &b)); diff != "" {
				t.Errorf("readings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheModeIsNotAskedWithoutNeed(t *testing.T) {
	f := &fake{Func: func(object, method string, _ tree.Node) any {
		if method == "get" {
			t.Errorf("asked %s.%s", object, method)
		}
		return sysbustest.Replies(map[string]string{"NMC.getWANStatus": status7})(object, method, tree.Node{})
	}}
	var b sample.Batch
	if err := wan.New(wan.Config{Sysbus: f}).Collect(t.Context(), &b); err != nil {
		t.Error(err)
	}
}

func TestABoxThatFails(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var b sample.Batch
	f := &fake{Func: sysbustest.Replies(nil)}
	if err := wan.New(wan.Config{Sysbus: f}).Collect(ctx, &b); !errors.Is(err, context.Canceled) {
		t.Errorf("Collect = %v; want context canceled", err)
	}
	if err := wan.New(wan.Config{}).Collect(t.Context(), &b); !errors.Is(err, collector.ErrNoData) {
		t.Errorf("Collect without a way to ask = %v; want ErrNoData", err)
	}
	if err := wan.NewTraffic(wan.Config{}).Collect(t.Context(), &b); !errors.Is(err, collector.ErrNoData) {
		t.Errorf("Collect without a way to ask = %v; want ErrNoData", err)
	}
}

func TestSourcesFitTheCatalogue(t *testing.T) {
	var now sample.Batch
	for _, src := range []collector.Source{wan.New(wan.Config{}), wan.New(wan.Config{Ubus: netifd{}}), wan.NewTraffic(wan.Config{})} {
		_, err := collector.NewSet(collector.Options{Now: timeOf(&now)}, src)
		if err != nil {
			t.Error(err)
		}
	}
	given := map[catalogue.ID]bool{}
	for _, d := range wan.Decoders() {
		for _, id := range d.Metrics {
			given[id] = true
		}
		if d.Platform != platform.Sysbus && d.Platform != platform.OpenWrt || d.Name == "" || d.Decode == nil {
			t.Errorf("decoder %+v is not whole", d)
		}
	}
	for _, src := range []collector.Source{wan.New(wan.Config{}), wan.NewTraffic(wan.Config{})} {
		for _, id := range src.Describe().Metrics {
			if !given[id] {
				t.Errorf("no decoder gives metric %d", id)
			}
		}
	}
}

// FuzzDecoders gives any reply to every decoder.
func FuzzDecoders(f *testing.F) {
	for _, reply := range []string{
		status3, status4, status7, statusS, `{"status":{"WanMode":"GPON_DHCP"}}`,
		`{"status":{"RxPackets":4399974759,"TxPackets":4553877786,"RxBytes":99660670161,"TxBytes":405666067226,"RxErrors":0}}`,
		`{"status":{"RxBytes":-1,"TxBytes":"7","RxPackets":1e3,"TxPackets":18446744073709551615}}`,
		`{"status":null,"data":[]}`, `{"data":{"WanState":{}}}`, `{}`,
	} {
		f.Add([]byte(reply))
	}
	f.Fuzz(func(t *testing.T, reply []byte) {
		n, err := tree.Parse(reply)
		if err != nil {
			return
		}
		for _, d := range wan.Decoders() {
			var b sample.Batch
			err := d.Decode(n, platform.Hint{}, &b)
			if err == nil && len(b.Readings) == 0 {
				t.Errorf("%s gave neither readings nor an error", d.Name)
			}
			for _, r := range b.Readings {
				m, ok := catalogue.Lookup(r.Metric)
				if !ok || r.Value < 0 || m.Kind == catalogue.State && r.Value >= int64(len(m.States)) {
					t.Errorf("%s gave %+v", d.Name, r)
				}
				if r.Instance != "wan" && r.Instance != "wan6" {
					t.Errorf("%s gave the instance %q", d.Name, r.Instance)
				}
			}
		}
	})
}
