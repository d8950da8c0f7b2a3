package tree_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"livebox-agent/collector/platform/tree"
)

// decode returns the first JSON value in body as encoding/json reads it.
func decode(body []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if height(v) > tree.MaxDepth {
		return nil, errors.New("too deep")
	}
	return v, nil
}

// height returns how deep v is nested.
func height(v any) (deepest int) {
	switch v := v.(type) {
	case map[string]any:
		for _, e := range v {
			deepest = max(deepest, height(e))
		}
	case []any:
		for _, e := range v {
			deepest = max(deepest, height(e))
		}
	default:
		return 0
	}
	return deepest + 1
}

// compare reads got and want in every way. want is built of what encoding/json
// makes of the same text.
func compare(t *testing.T, path string, got, want tree.Node) {
	t.Helper()
	if g, w := facts(got), facts(want); g != w {
		t.Fatalf("%s reads as %s; want %s", path, g, w)
	}
	type entry struct {
		key  string
		node tree.Node
	}
	list := func(n tree.Node) (all []entry) {
		n.Each(func(key string, n tree.Node) { all = append(all, entry{key, n}) })
		return all
	}
	g, w := list(got), list(want)
	if !slices.EqualFunc(g, w, func(a, b entry) bool { return a.key == b.key }) {
		t.Fatalf("%s has the entries %v; want %v", path, g, w)
	}
	for i, e := range g {
		below := fmt.Sprintf("%s.%q", path, e.key)
		compare(t, below, e.node, w[i].node)
		if a, b := facts(got.Get(e.key)), facts(e.node); a != b {
			t.Fatalf("Get of %s reads as %s; Each gave %s", below, a, b)
		}
	}
	for _, key := range []string{"", "-1", "00", "+0", fmt.Sprint(len(g)), "status", `"`, `\`, "\xff", "\ufffd"} {
		if a, b := facts(got.Get(key)), facts(want.Get(key)); a != b {
			t.Fatalf("Get(%q) of %s reads as %s; want %s", key, path, a, b)
		}
	}
}

// facts returns everything that the methods of n say, apart from what is below.
func facts(n tree.Node) string {
	var b strings.Builder
	fmt.Fprint(&b, n.Exists(), n.IsObject(), n.IsList(), n.Len())
	text, ok := n.Text()
	fmt.Fprintf(&b, " text %q %v", text, ok)
	truth, ok := n.Bool()
	fmt.Fprint(&b, " bool ", truth, ok)
	u, ok := n.Uint()
	fmt.Fprint(&b, " uint ", u, ok)
	i, ok := n.Int()
	fmt.Fprint(&b, " int ", i, ok)
	for _, exp := range []int{-18, -3, 0, 3} {
		v, ok := n.Scaled(exp)
		fmt.Fprint(&b, " scaled ", v, ok)
	}
	return b.String()
}

// seeds are replies of every shape that boxes give, and texts at the edges of
// JSON.
var seeds = []string{
	`{"status":true,"data":{"LinkType":"gpon","WanState":"up","IPv6Address":""}}`,
	`{"result":{"status":{"gpon":{"veip0":{"SignalRxPower":-18794,"Temperature":"41","Bias":14.0}}}}}`,
	`{"result":{"status":null,"errors":[{"error":13,"description":"Permission denied","info":"Gpon"}]}}null`,
	`{"status":{"base":{"wl0":{"Flags":"enabled up","LLIntf":{}}},"wlanvap":{"wl0":{"AssociatedDevice":{"1":{"SignalStrength":-69,"SignalStrengthByChain":"-75.0,-66.5","Active":false}}}}}}`,
	`{"status":0,"data":{"contextID":"a\/b+c==","groups":["http","admin"]}}`,
	`{"results":[{"mac":"02:00:00:00:00:01","signal":-50,"rx":{"rate":866700,"ht":false}}],"route":[]}`,
	"\t{\r\n  \"up\" : true ,\n  \"metric\" : [ 0 , -0.0 , 1e5 , 1.5E-3 , 2e+2 , 18446744073709551616 ]\n}\n",
	`{"dup":{"a":1},"b":2,"dup":[3],"\u0064up":4,"du":5,"dupe":6}`,
	`{"":1,"\u0000":2,"\"":3,"\\":4,"a\\":5,"\ud83d\ude00":6}`,
	`["\"\\\/\b\f\n\r\t","\u00e9\u20AC","\ud83d\ude00","\ud83d","\ud83d\u0041","\ude00\ud83d\ude00","\ud83dx","\ud83d\n"]`,
	"[\"\xe9t\xe9\",\"\xed\xa0\x80\",\"\xf0\x9f\x98\",\"\xc0\xaf\",\"é\"]", "{\"\xff\":1,\"\xfe\":2,\"\ufffd\":3}",
	`"x"y`, `nullnull`, `truest`, `01`, `-0x`, `0.5.5`, `1e5e5`, `12 34`, `{}{}`, `[]]`,
	`-`, `+1`, `.5`, `1.`, `1.x`, `1e`, `1e+`, `--1`, `[01]`, `[1.]`, `tru`, `nul`, `[truex]`, `True`, `NaN`,
	`[,]`, `[1,]`, `{,}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a" 1}`, `{a:1}`, `{"a":1 "b":2}`, `[1 2]`, `[}`, `{]`, `{"a":1]`, `{1:2}`,
	`"`, `"\`, `"\x"`, `"\u12"`, `"\u12g4"`, `"\U0041"`, "\"\x00\"", "\"\n\"", "\"\x1f\"", "\"\x7f\"", `"a\"`,
	"\ufeff{}", "\x00", "\x0b1", "\u00a01", ` `, ``, `<html>`, `{"status":{"a":1`, `//`,
	strings.Repeat("[", tree.MaxDepth) + strings.Repeat("]", tree.MaxDepth),
	strings.Repeat(`{"":`, tree.MaxDepth) + "[]" + strings.Repeat("}", tree.MaxDepth),
}

func FuzzParseIsThatOfEncodingJSON(f *testing.F) {
	for _, body := range seeds {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		v, wrong := decode(body)
		got, err := tree.Parse(body)
		if (err == nil) != (wrong == nil) {
			t.Fatalf("Parse(%q) = %v; encoding/json says %v", body, err, wrong)
		}
		compare(t, "reply", got, tree.New(v))
	})
}

// station is one device of a reply as the emulated boxes give it.
const station = `"%d":{"MACAddress":"02:00:00:00:00:%02X","AuthenticationState":true,"LastDataDownlinkRate":1200950,"LastDataUplinkRate":864700,` +
	`"SignalStrength":-5%[3]d,"SignalStrengthByChain":"-5%[3]d.0,-61.0","Retransmissions":0,"Rx_Retransmissions":7,"Tx_Retransmissions":1%[3]d,"Active":true,` +
	`"SignalNoiseRatio":34,"Noise":-103,"Inactive":0,"RxPacketCount":7%[3]d1,"TxPacketCount":34680%[3]d2,"TxBytes":10472717%[3]d6,"RxBytes":33%[3]d8,` +
	`"UplinkMCS":8,"UplinkBandwidth":80,"DownlinkMCS":11,"DownlinkBandwidth":80,"MaxDownlinkRateSupported":1200950,"MaxBandwidthSupported":"80MHz",` +
	`"OperatingStandard":"ax","AssociationTime":"2024-12-14T16:18:03Z","SupportedHtMCS":"0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15","VendorOUI":"",` +
	`"SecurityModeEnabled":"WPA2-Personal","HtCapabilities":"SGI20,40MHz-INTOL","MaxRxSpatialStreamsSupported":2,"EncryptionMode":"AES",` +
	`"ProbeReqCaps":{"HtCapabilities":"","FrequencyCapabilities":"2.4GHz,5GHz","RSSI":0,"SupportedMCS":[]}}`

// stations returns a reply with count stations.
func stations(count int) []byte {
	b := []byte(`{"status":{"wlanvap":{"vap5g0priv0":{"SSID":"home","AssociatedDevice":{`)
	for i := range count {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, station, i+1, i, i%10)
	}
	return append(b, `}}}}}`...)
}

func TestParsingTakesMemoryForTheReplyAsAWhole(t *testing.T) {
	few, many := stations(2), stations(200)
	count := func(body []byte) float64 {
		return testing.AllocsPerRun(10, func() {
			if n, err := tree.Parse(body); err != nil || !n.IsObject() {
				t.Errorf("Parse = %v", err)
			}
		})
	}
	if a, b := count(few), count(many); a != b || a > 2 {
		t.Errorf("Parse allocates %v times for 2 stations and %v times for 200; want the same, and 2 at most", a, b)
	}
}

func TestTextsAndKeysDoNotHoldTheReply(t *testing.T) {
	body := []byte(`{"name":"vap","vap":1}`)
	n, err := tree.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := n.Get("name").Text()
	var keys []string
	n.Each(func(key string, _ tree.Node) { keys = append(keys, key) })
	clear(body)
	if text != "vap" || !slices.Equal(keys, []string{"name", "vap"}) {
		t.Errorf("after the reply is gone its text is %q and its keys are %q", text, keys)
	}
}

func TestErrorsShowOneCharacterOfTheReply(t *testing.T) {
	for body, want := range map[string]string{
		"":                                   "empty",
		`{"key":secret}`:                     `'s' at byte 7 where a value should be`,
		`{"key":"secret`:                     `the end at byte 14 where the end of a text should be`,
		`{"key":truesecret}`:                 `'s' at byte 11 where a comma or the end of the object or list should be`,
		`{"key":tsecret}`:                    `'s' at byte 8 where true should be`,
		`{"key":-secret}`:                    `'s' at byte 8 where a digit should be`,
		`{"key":"\secret"}`:                  `'s' at byte 9 where an escape should be`,
		`{"key":"\u00secret"`:                `'s' at byte 12 where a hexadecimal digit should be`,
		`{secret:1}`:                         `'s' at byte 1 where a text should be`,
		`{"key"secret}`:                      `'s' at byte 6 where a colon should be`,
		"[\xe9]":                             `'�' at byte 1 where a value should be`,
		"[€]":                                `'€' at byte 1 where a value should be`,
		"[\"a\nsecret\"]":                    `'\n' at byte 3 where a character of a text should be`,
		strings.Repeat(`[`, tree.MaxDepth+1): fmt.Sprintf("nested deeper than %d", tree.MaxDepth),
	} {
		if _, err := tree.Parse([]byte(body)); err == nil || err.Error() != "parse reply: malformed reply: "+want {
			t.Errorf("Parse(%q) = %v; want %s", body, err, want)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	body := stations(20)
	for name, f := range map[string]func() error{
		"tree":          func() error { _, err := tree.Parse(body); return err },
		"encoding/json": func() error { _, err := decode(body); return err },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
