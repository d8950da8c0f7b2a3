package ubus_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"livebox-agent/collector/platform/ubus"
)

// What libubus and ubusd put on the wire for an object "iwinfo": the greeting,
// the answer to a LOOKUP, and those of three methods.
const (
	wireHello  = "0000000001e3676900000004"
	wireLookup = "0002000100000000" + "00000064" +
		"0200000b6977696e666f0000" + "0300000861eae566" + "0500000868d87964" +
		"06000044" + "8200000c0004696e666f0000" + "8200000c00045f7365740000" +
		"8200000c00046563686f0000" + "8200000c00046e6f6e650000" + "8200001000086e6f74666f756e640000"
	wireInfo = "0002000261eae566" + "00000100" + "0300000861eae566" + "070000f4" +
		"8300001100037068790000007068793000000000" + // string, padded twice
		"8500001400077061636b657473000000ee6b2800" + // 4 000 000 000 in 32 bits
		"8500001400067369676e616c00000000ffffffbd" +
		"840000140005627974657300000000012a05f200" +
		"8600001200096d657368206c6c69640000070000" +
		"8700000d000275700000000001000000" + "8700000d000268740000000000000000" +
		"880000140003736e7200000040210000" + "00000000" +
		"81000024000372726d000000" + "8500000c0000000000000031" + "8300000c0000000061626300" +
		"82000028000274780000" + "0000" + "850000100004726174650000" + "00001964" + "8100000c0005656d70747900" +
		"8000000c00046e756c6c0000"
	wireSet = "0002000361eae566" + "00000040" + "0300000861eae566" + "07000034" +
		"820000300013576946692e416363657373506f696e742e312e000000870000110006456e61626c650000000001000000"
	wireNotFound = "0001000461eae56600000014" + "0100000800000004" + "0300000861eae566"
)

func read(t *testing.T, wire string) (ubus.Message, ubus.Body) {
	t.Helper()
	b, err := hex.DecodeString(wire)
	if err != nil {
		t.Fatal(err)
	}
	m, err := ubus.ReadMessage(bytes.NewReader(b), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := ubus.ParseBody(m.Attributes)
	if err != nil {
		t.Fatal(err)
	}
	return m, body
}

func table(t *testing.T, data []byte) map[string]any {
	t.Helper()
	v, err := ubus.ParseTable(data)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestMessagesOfTheRealDaemon(t *testing.T) {
	m, body := read(t, wireHello)
	if m.Type != ubus.TypeHello || m.Peer != 0x01e36769 || len(m.Attributes) != 0 || body.Has(ubus.AttrStatus) {
		t.Errorf("hello = %+v", m)
	}
	m, body = read(t, wireLookup)
	if m.Type != ubus.TypeData || m.Sequence != 1 || m.Peer != 0 || body.Path != "iwinfo" || body.Object != 0x61eae566 || body.Type != 0x68d87964 {
		t.Errorf("lookup = %+v, %+v", m, body)
	}
	empty := map[string]any{}
	want := map[string]any{"info": empty, "_set": empty, "echo": empty, "none": empty, "notfound": empty}
	if diff := cmp.Diff(want, table(t, body.Signature)); diff != "" {
		t.Errorf("signature: %s", diff)
	}
	m, body = read(t, wireInfo)
	want = map[string]any{
		"phy": "phy0", "packets": int64(-294967296), "signal": int64(-67), "bytes": int64(5_000_000_000),
		"mesh llid": int64(7), "up": true, "ht": false, "snr": 8.5, "rrm": []any{int64(49), "abc"},
		"tx": map[string]any{"rate": int64(6500), "empty": []any{}}, "null": nil,
	}
	if diff := cmp.Diff(want, table(t, body.Data)); diff != "" || m.Peer != body.Object || m.Sequence != 2 {
		t.Errorf("info = %+v: %s", m, diff)
	}
	_, body = read(t, wireSet)
	want = map[string]any{"WiFi.AccessPoint.1.": map[string]any{"Enable": true}}
	if diff := cmp.Diff(want, table(t, body.Data)); diff != "" {
		t.Errorf("set: %s", diff)
	}
	m, body = read(t, wireNotFound)
	if m.Type != ubus.TypeStatus || !body.Has(ubus.AttrStatus) || body.Status != ubus.ErrNotFound || body.Has(ubus.AttrData) {
		t.Errorf("status = %+v, %+v", m, body)
	}
}

// The same values, encoded here, are the bytes of libubox.
func TestValuesAreEncodedAsByLibubox(t *testing.T) {
	_, body := read(t, wireInfo)
	got, err := ubus.AppendTable(nil, ubus.Table{
		{"phy", "phy0"},
		{"packets", uint32(4_000_000_000)},
		{"signal", int32(-67)},
		{"bytes", uint64(5_000_000_000)},
		{"mesh llid", uint16(7)},
		{"up", true},
		{"ht", uint8(0)},
		{"snr", 8.5},
		{"rrm", []any{json.Number("49"), "abc"}},
		{"tx", ubus.Table{{"rate", json.Number("6500")}, {"empty", []any{}}}},
		{"null", nil},
	})
	if err != nil || !bytes.Equal(got, body.Data) {
		t.Errorf("AppendTable = %x, %v; want %x", got, err, body.Data)
	}
	want, _ := hex.DecodeString(wireLookup)
	b, _ := ubus.AppendText(nil, ubus.AttrObjPath, "iwinfo")
	b = ubus.AppendUint32(b, ubus.AttrObjID, 0x61eae566)
	b = ubus.AppendUint32(b, ubus.AttrObjType, 0x68d87964)
	none := ubus.Table{}
	b, err = ubus.AppendValues(b, ubus.AttrSignature, ubus.Table{{"info", none}, {"_set", none}, {"echo", none}, {"none", none}, {"notfound", none}})
	if err != nil {
		t.Fatal(err)
	}
	if got, err = ubus.AppendMessage(nil, ubus.Message{Type: ubus.TypeData, Sequence: 1, Attributes: b}); err != nil || !bytes.Equal(got, want) {
		t.Errorf("AppendMessage = %x, %v; want %x", got, err, want)
	}
}

func TestNumbersAreEncodedInTheWidthOfTheirType(t *testing.T) {
	for _, tt := range []struct {
		in   any
		want any
	}{
		{int16(-7), int64(-7)},
		{uint16(65535), int64(-1)},
		{uint32(math.MaxUint32), int64(-1)}, // the trap of signed INT32
		{int(math.MinInt32), int64(math.MinInt32)},
		{int64(math.MinInt64), int64(math.MinInt64)},
		{uint64(math.MaxUint64), int64(-1)},
		{json.Number("2147483647"), int64(math.MaxInt32)},
		{json.Number("2147483648"), int64(math.MaxInt32 + 1)},
		{json.Number("-2.5e3"), -2500.0},
		{uint8(2), true},
		{[]any{nil, map[string]any{"b": "x", "a": []any{}}}, []any{nil, map[string]any{"a": []any{}, "b": "x"}}},
	} {
		b, err := ubus.AppendTable(nil, map[string]any{"v": tt.in})
		if err != nil {
			t.Errorf("%v: %v", tt.in, err)
			continue
		}
		if diff := cmp.Diff(map[string]any{"v": tt.want}, table(t, b)); diff != "" {
			t.Errorf("%T %v: %s", tt.in, tt.in, diff)
		}
	}
}

func TestWhatCannotBeEncodedIsAnError(t *testing.T) {
	long := strings.Repeat("x", 1<<24)
	for name, v := range map[string]any{
		"no table":            "x",
		"type":                ubus.Table{{"a", struct{}{}}},
		"type in a list":      ubus.Table{{"a", []any{1i}}},
		"number that is none": ubus.Table{{"a", json.Number("x")}},
		"long text":           ubus.Table{{"a", long}},
		"long name":           ubus.Table{{long[:1<<16], 1}},
		"long table":          map[string]any{"t": ubus.Table{{"a", long[:1<<23]}, {"b", long[:1<<23]}}},
	} {
		if b, err := ubus.AppendTable(nil, v); err == nil {
			t.Errorf("%s: %d bytes; want an error", name, len(b))
		}
	}
	if _, err := ubus.AppendText(nil, ubus.AttrMethod, long); err == nil {
		t.Error("long attribute: no error")
	}
	if _, err := ubus.AppendMessage(nil, ubus.Message{Attributes: make([]byte, 1<<24)}); err == nil {
		t.Error("long message: no error")
	}
}

func TestUnknownTypesAndAttributesAreSkipped(t *testing.T) {
	for name, b := range map[string]string{
		"type to come":          "8500000c000161000000002a" + "8900000c0001620012345678" + "8500000c000163000000002b",
		"value without padding": "8500000c000161000000002a" + "8500000c000163000000002b" + "890000090001620012",
	} {
		data, _ := hex.DecodeString(b)
		want := map[string]any{"a": int64(42), "c": int64(43)}
		if diff := cmp.Diff(want, table(t, data)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	attributes, _ := hex.DecodeString("0c00000875736572" + "7f000005ff000000" + "0100000800000004" + "0900000501")
	body, err := ubus.ParseBody(attributes)
	if err != nil || body.Status != ubus.ErrNotFound || body.Has(12) || body.Has(127) {
		t.Errorf("body = %+v, %v", body, err)
	}
}

func TestValueThatIsNotExtendedHasNoName(t *testing.T) {
	data, _ := hex.DecodeString("8100001800016c00" + "0500000800000007" + "0300000678000000")
	want := map[string]any{"l": []any{int64(7), "x"}}
	if diff := cmp.Diff(want, table(t, data)); diff != "" {
		t.Error(diff)
	}
}

func TestTextIsValidUTF8AndEndsAtTheFirstZero(t *testing.T) {
	b, err := ubus.AppendTable(nil, ubus.Table{{"a\xff", "caf\xe9\x00rest"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"a\ufffd": "caf\ufffd"}, table(t, b)); diff != "" {
		t.Error(diff)
	}
}

func TestATruncatedOrMalformedMessageIsRefused(t *testing.T) {
	for _, wire := range []string{wireHello, wireLookup, wireInfo, wireSet, wireNotFound} {
		whole, _ := hex.DecodeString(wire)
		for n := range whole {
			_, err := ubus.ReadMessage(bytes.NewReader(whole[:n]), nil)
			want := io.ErrUnexpectedEOF
			if n == 0 {
				want = io.EOF
			}
			if !errors.Is(err, want) {
				t.Errorf("%d of %d bytes: %v; want %v", n, len(whole), err, want)
			}
		}
	}
	// Every value cut at each length is refused, or what was whole is left.
	_, body := read(t, wireInfo)
	whole := table(t, body.Data)
	for n := range body.Data {
		v, err := ubus.ParseTable(body.Data[:n])
		if err != nil {
			if !errors.Is(err, ubus.ErrMalformed) || v != nil {
				t.Errorf("cut to %d: %v, %v", n, v, err)
			}
			continue
		}
		for key, got := range v {
			if diff := cmp.Diff(whole[key], got); diff != "" {
				t.Errorf("cut to %d: %s: %s", n, key, diff)
			}
		}
	}
	for name, wire := range map[string]string{
		"version":               "0102000100000000" + "00000004",
		"no blob":               "0002000100000000" + "00000003",
		"beyond MaxMessage":     "0002000100000000" + "00ffffff",
		"attribute too long":    "0002000100000000" + "0000000c" + "0300000961eae566",
		"attribute too short":   "0002000100000000" + "0000000c" + "0300000361eae566",
		"half an attribute":     "0002000100000000" + "00000006" + "0300",
		"number of three bytes": "0002000100000000" + "0000000c" + "0300000761eae500",
		"path without an end":   "0002000100000000" + "0000000c" + "0200000861626364",
		"empty path":            "0002000100000000" + "00000008" + "02000004",
	} {
		b, _ := hex.DecodeString(wire)
		m, err := ubus.ReadMessage(bytes.NewReader(b), nil)
		if err == nil {
			_, err = ubus.ParseBody(m.Attributes)
		}
		if !errors.Is(err, ubus.ErrMalformed) {
			t.Errorf("%s: %v; want ErrMalformed", name, err)
		}
	}
	for name, value := range map[string]string{
		"no room for a name":     "85000005" + "00000000",
		"name beyond the value":  "8500000c" + "0009610000000001",
		"name without an end":    "8500000c" + "0001616200000001",
		"INT32 of two bytes":     "8500000a" + "000161000001",
		"INT8 of none":           "87000008" + "00016100",
		"text without an end":    "8300000c" + "0001610061626364",
		"text of nothing":        "83000008" + "00016100",
		"list with half a value": "8100000a" + "000161000300",
	} {
		b, _ := hex.DecodeString(value)
		if v, err := ubus.ParseTable(b); !errors.Is(err, ubus.ErrMalformed) {
			t.Errorf("%s: %v, %v; want ErrMalformed", name, v, err)
		}
	}
}

func TestDepthIsLimited(t *testing.T) {
	nested := func(depth int) []byte {
		var v any = []any{}
		for range depth - 1 {
			v = []any{v}
		}
		b, err := ubus.AppendTable(nil, ubus.Table{{"v", v}})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if _, err := ubus.ParseTable(nested(ubus.MaxDepth - 1)); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	for _, depth := range []int{ubus.MaxDepth, 1000} {
		if _, err := ubus.ParseTable(nested(depth)); !errors.Is(err, ubus.ErrMalformed) {
			t.Errorf("%d deep: %v; want ErrMalformed", depth, err)
		}
	}
}

func FuzzMessage(f *testing.F) {
	for _, wire := range []string{wireHello, wireLookup, wireInfo, wireSet, wireNotFound} {
		b, _ := hex.DecodeString(wire)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		m, err := ubus.ReadMessage(bytes.NewReader(wire), nil)
		if err != nil {
			return
		}
		again, err := ubus.AppendMessage(nil, m)
		if err != nil || !bytes.Equal(again[4:8], wire[4:8]) || !bytes.Equal(again[12:], wire[12:12+len(m.Attributes)]) {
			t.Fatalf("%x became %x, %v", wire, again, err)
		}
		body, err := ubus.ParseBody(m.Attributes)
		if err != nil {
			return
		}
		for _, data := range [][]byte{body.Data, body.Signature} {
			v, err := ubus.ParseTable(data)
			if err != nil {
				continue
			}
			b, err := ubus.AppendTable(nil, v)
			if err != nil {
				t.Fatalf("encode %v: %v", v, err)
			}
			w, err := ubus.ParseTable(b)
			if err != nil {
				t.Fatalf("parse %x, made of %v: %v", b, v, err)
			}
			if !cmp.Equal(v, w, cmp.Comparer(sameFloat)) {
				t.Fatalf("%v became %v", v, w)
			}
		}
	})
}

func sameFloat(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }
