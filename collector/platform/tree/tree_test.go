package tree_test

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"livebox-agent/collector/platform/tree"
)

func parse(t *testing.T, body string) tree.Node {
	t.Helper()
	n, err := tree.Parse([]byte(body))
	if err != nil {
		t.Fatalf("Parse(%q) = %v", body, err)
	}
	return n
}

func TestNumbersAreReadExactly(t *testing.T) {
	for _, tt := range []struct {
		in       string
		exp      int
		integer  string // of Int; "-" means none
		unsigned string
		scaled   string
	}{
		{in: `47`, integer: "47", unsigned: "47", scaled: "47"},
		{in: `"47"`, integer: "47", unsigned: "47", scaled: "47"},
		{in: `47.0`, integer: "47", unsigned: "47", scaled: "47"},
		{in: `"+47"`, integer: "47", unsigned: "47", scaled: "47"},
		{in: `-18794`, exp: -3, integer: "-18794", unsigned: "-", scaled: "-18794000"},
		{in: `"-75.0"`, exp: -1, integer: "-75", unsigned: "-", scaled: "-750"},
		{in: `-75.25`, exp: -1, integer: "-", unsigned: "-", scaled: "-753"},
		{in: `75.24`, exp: -1, integer: "-", unsigned: "-", scaled: "752"},
		{in: `-0.5`, integer: "-", unsigned: "-", scaled: "-1"},
		{in: `0.49999`, integer: "-", unsigned: "-", scaled: "0"},
		{in: `-0`, integer: "0", unsigned: "0", scaled: "0"},
		{in: `32888`, exp: 1, integer: "32888", unsigned: "32888", scaled: "3289"},
		{in: `1499`, exp: 3, integer: "1499", unsigned: "1499", scaled: "1"},
		{in: `6.5e3`, integer: "6500", unsigned: "6500", scaled: "6500"},
		{in: `65e-1`, exp: -1, integer: "-", unsigned: "-", scaled: "65"},
		{in: `9223372036854775807`, integer: "9223372036854775807", unsigned: "9223372036854775807", scaled: "9223372036854775807"},
		{in: `-9223372036854775808`, integer: "-9223372036854775808", unsigned: "-", scaled: "-9223372036854775808"},
		{in: `9223372036854775808`, integer: "-", unsigned: "9223372036854775808", scaled: "-"},
		{in: `18446744073709551615`, integer: "-", unsigned: "18446744073709551615", scaled: "-"},
		{in: `18446744073709551616`, integer: "-", unsigned: "-", scaled: "-"},
		{in: `1.84467440737095516160123`, integer: "-", unsigned: "-", scaled: "2"},
		{in: `1.844674407370955161605`, exp: -18, integer: "-", unsigned: "-", scaled: "1844674407370955161"},
		{in: `1.84467440737095516195`, exp: -18, integer: "-", unsigned: "-", scaled: "1844674407370955161"},
		{in: `9007199254740993`, exp: -1, integer: "9007199254740993", unsigned: "9007199254740993", scaled: "90071992547409930"},
		{in: `1e400`, integer: "-", unsigned: "-", scaled: "-"},
		{in: `1e-400`, integer: "-", unsigned: "-", scaled: "0"},
		{in: `0e400`, integer: "0", unsigned: "0", scaled: "0"},
		{in: `1e99999999999`, integer: "-", unsigned: "-", scaled: "-"},
		{in: `""`, integer: "-", unsigned: "-", scaled: "-"},
		{in: `"."`, integer: "-", unsigned: "-", scaled: "-"},
		{in: `"-"`, integer: "-", unsigned: "-", scaled: "-"},
		{in: `"e5"`, integer: "-", unsigned: "-", scaled: "-"},
		{in: `"1.2.3"`, integer: "-", unsigned: "-", scaled: "-"},
		{in: `"0x2f"`, integer: "-", unsigned: "-", scaled: "-"},
		{in: `"47 "`, integer: "-", unsigned: "-", scaled: "-"},
		{in: `"NaN"`, integer: "-", unsigned: "-", scaled: "-"},
		{in: `true`, integer: "-", unsigned: "-", scaled: "-"},
		{in: `null`, integer: "-", unsigned: "-", scaled: "-"},
		{in: `[47]`, integer: "-", unsigned: "-", scaled: "-"},
		{in: `{"47":47}`, integer: "-", unsigned: "-", scaled: "-"},
	} {
		t.Run(tt.in, func(t *testing.T) {
			n := parse(t, tt.in)
			i, iok := n.Int()
			u, uok := n.Uint()
			s, sok := n.Scaled(tt.exp)
			if got := show(i, iok); got != tt.integer {
				t.Errorf("Int of %s = %s; want %s", tt.in, got, tt.integer)
			}
			if got := show(u, uok); got != tt.unsigned {
				t.Errorf("Uint of %s = %s; want %s", tt.in, got, tt.unsigned)
			}
			if got := show(s, sok); got != tt.scaled {
				t.Errorf("Scaled(%d) of %s = %s; want %s", tt.exp, tt.in, got, tt.scaled)
			}
		})
	}
}

// show returns v as text, and "-" for none. A number that is none must be zero.
func show[T int64 | uint64](v T, ok bool) string {
	if !ok && v == 0 {
		return "-"
	}
	return fmt.Sprint(v)
}

func TestNumbersThatAreNoJSON(t *testing.T) {
	for _, tt := range []struct {
		in     any
		tenths string
	}{
		{int64(-7), "-70"},
		{int64(math.MinInt64), "-"},
		{uint64(math.MaxUint64), "-"},
		{uint64(8), "80"},
		{-103.25, "-1033"},
		{1e300, "-"},
		{math.NaN(), "-"},
		{math.Inf(-1), "-"},
	} {
		if got := show(tree.New(tt.in).Scaled(-1)); got != tt.tenths {
			t.Errorf("Scaled(-1) of %T %v = %s; want %s", tt.in, tt.in, got, tt.tenths)
		}
	}
	if v, ok := tree.New(int64(math.MinInt64)).Int(); !ok || v != math.MinInt64 {
		t.Errorf("Int of the smallest int64 = %d, %v", v, ok)
	}
	if v, ok := tree.New(uint64(math.MaxUint64)).Uint(); !ok || v != math.MaxUint64 {
		t.Errorf("Uint of the largest uint64 = %d, %v", v, ok)
	}
}

func TestAValueOfAWrongTypeIsAbsent(t *testing.T) {
	for _, body := range []string{`null`, `7`, `"x"`, `true`, `[]`, `{}`, `[[7]]`, `{"a":{}}`} {
		for _, n := range []tree.Node{parse(t, body), tree.New(struct{ A int }{7}), {}} {
			for _, below := range []tree.Node{n.Get("a", "b"), n.Get("0", "a"), n.Get("-1"), n.Get("9"), n.Get("")} {
				if below.Exists() {
					t.Errorf("something is below %s: %v", body, below)
				}
			}
			if _, ok := n.Get("a").Int(); ok {
				t.Errorf("Int of a in %s", body)
			}
			if s, ok := n.Get("a").Text(); ok {
				t.Errorf("Text of a in %s = %q", body, s)
			}
		}
	}
	if parse(t, `null`).Exists() {
		t.Error("null exists")
	}
}

func TestBool(t *testing.T) {
	for body, want := range map[string]string{
		`true`: "true", `false`: "false", `1`: "true", `0`: "false", `"1"`: "true", `"0"`: "false",
		`"true"`: "true", `"false"`: "false",
		`2`: "-", `-1`: "-", `0.5`: "-", `"up"`: "-", `"TRUE"`: "-", `""`: "-", `null`: "-", `{}`: "-", `[1]`: "-",
	} {
		v, ok := parse(t, body).Bool()
		got := fmt.Sprint(v)
		if !ok {
			got = "-"
		}
		if got != want {
			t.Errorf("Bool of %s = %s; want %s", body, got, want)
		}
	}
}

func TestEachGoesInOrder(t *testing.T) {
	for body, want := range map[string]string{
		`{"b":2,"a":1,"c":3}`:             "a=1 b=2 c=3 ",
		`[7,8]`:                           "0=7 1=8 ",
		`"text"`:                          "",
		`null`:                            "",
		`{"10":1,"9":2}`:                  "10=1 9=2 ",
		`[0,1,2,3,4,5,6,7,8,9,10]`:        "0=0 1=1 2=2 3=3 4=4 5=5 6=6 7=7 8=8 9=9 10=10 ",
		`{"dup":1,"dup":2}`:               "dup=2 ",
		"{\"\\u00e9\":1,\"\xff\xfe\":2} ": "é=1 \ufffd\ufffd=2 ",
	} {
		var got strings.Builder
		n := parse(t, body)
		n.Each(func(key string, n tree.Node) {
			i, _ := n.Int()
			fmt.Fprintf(&got, "%s=%d ", key, i)
		})
		if got.String() != want {
			t.Errorf("Each of %s gave %q; want %q", body, got.String(), want)
		}
		if n.Len() != strings.Count(want, "=") {
			t.Errorf("Len of %s = %d", body, n.Len())
		}
	}
}

func TestIsObjectAndIsList(t *testing.T) {
	for body, want := range map[string][2]bool{`{}`: {true, false}, `[]`: {false, true}, `null`: {}, `1`: {}, `"{}"`: {}} {
		n := parse(t, body)
		if got := [2]bool{n.IsObject(), n.IsList()}; got != want {
			t.Errorf("%s: object, list = %v; want %v", body, got, want)
		}
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		good       bool
	}{
		{"text after the end", `{"status":0}null`, true},
		{"garbage after the end", "{\"status\":0}\n}}}<html>", true},
		{"byte that is no UTF-8", "{\"status\":\"\xe9t\xe9\"}", true},
		{"brackets in a text", `{"a":"` + strings.Repeat("[", 2*tree.MaxDepth) + `\"{"}`, true},
		{"as deep as allowed", strings.Repeat("[", tree.MaxDepth) + strings.Repeat("]", tree.MaxDepth), true},
		{"deeper than allowed", strings.Repeat("[", tree.MaxDepth+1) + strings.Repeat("]", tree.MaxDepth+1), false},
		{"only opening brackets", strings.Repeat("[", tree.MaxBytes), false},
		{"larger than allowed", `"` + strings.Repeat("x", tree.MaxBytes) + `"`, false},
		{"nothing", ``, false},
		{"page of HTML", `<!DOCTYPE html><html></html>`, false},
		{"cut short", `{"status":{"a":1`, false},
		{"hole in a list", `[,]`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tree.Parse([]byte(tt.body))
			if good := err == nil; good != tt.good {
				t.Fatalf("Parse = %v; want good: %v", err, tt.good)
			}
			if err != nil && !errors.Is(err, tree.ErrMalformed) {
				t.Errorf("Parse = %v; want it to wrap ErrMalformed", err)
			}
			if err != nil && len(err.Error()) > 150 {
				t.Errorf("the error is %d bytes long: it must not hold the reply", len(err.Error()))
			}
		})
	}
}

func TestCheckCountsWhatMakesNoSense(t *testing.T) {
	n := parse(t, `{"a":{"i":7,"s":"-75.5","t":"up","b":true,"empty":"","null":null,"bad":{},"minus":-1}}`)
	var c tree.Check
	if v, ok := c.Int(n, "a", "i"); v != 7 || !ok {
		t.Errorf("Int = %d, %v", v, ok)
	}
	if v, ok := c.Uint(n, "a", "i"); v != 7 || !ok {
		t.Errorf("Uint = %d, %v", v, ok)
	}
	if v, ok := c.Scaled(n, -1, "a", "s"); v != -755 || !ok {
		t.Errorf("Scaled = %d, %v", v, ok)
	}
	if v, ok := c.Text(n, "a", "t"); v != "up" || !ok {
		t.Errorf("Text = %q, %v", v, ok)
	}
	if v, ok := c.Bool(n, "a", "b"); !v || !ok {
		t.Errorf("Bool = %v, %v", v, ok)
	}
	for _, key := range []string{"empty", "null", "absent"} {
		_, i := c.Int(n, "a", key)
		_, u := c.Uint(n, "a", key)
		_, s := c.Scaled(n, 0, "a", key)
		_, b := c.Bool(n, "a", key)
		if i || u || s || b {
			t.Errorf("%s gave a value", key)
		}
	}
	if err := c.Err(); err != nil {
		t.Errorf("Err = %v; want nil: all was good or absent", err)
	}
	c.Uint(n, "a", "minus")
	if err := c.Err(); err == nil || err.Error() != "read a.minus: value of a wrong type or out of range" {
		t.Errorf("Err after one bad value = %v", err)
	}
	c.Int(n, "a", "bad")
	c.Scaled(n, 0, "a", "t")
	c.Text(n, "a", "i")
	c.Bool(n, "a", "bad")
	err := c.Err()
	if e, ok := errors.AsType[*tree.ValueError](err); !ok || e.Count != 5 || e.First != "a.minus" {
		t.Errorf("Err after five bad values = %#v", err)
	}
	if !errors.Is(err, tree.ErrMalformed) || !strings.HasPrefix(err.Error(), "read a.minus and 4 more: ") {
		t.Errorf("Err = %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, body := range []string{
		`{"status":true,"data":{"LinkType":"gpon","WanState":"up"}}`,
		`{"result":{"status":{"gpon":{"veip0":{"SignalRxPower":-18794,"Temperature":"41","Bias":14.0}}}}}`,
		`{"errors":[{"error":13,"description":"Permission denied","info":"Gpon"}]}null`,
		`{"a":[1e5,-0.0,1.5e-3,18446744073709551616,"-75.0,-76.0"],"b":null}`,
		"{\"\xff\":\"\xfe\"}", `[[[[[[`, `[,]`, `<html>`, `"`, ``,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := tree.Parse(body)
		if err != nil {
			if n.Exists() {
				t.Fatal("a reply that does not parse gave a value")
			}
			return
		}
		walk(t, n, 0)
	})
}

// walk reads every value of n in every way and holds the ways against each
// other.
func walk(t *testing.T, n tree.Node, depth int) {
	t.Helper()
	if depth > tree.MaxDepth {
		t.Fatal("deeper than allowed")
	}
	i, iok := n.Int()
	u, uok := n.Uint()
	s, sok := n.Scaled(0)
	if iok && (!sok || s != i) {
		t.Errorf("Int = %d, but Scaled(0) = %d, %v", i, s, sok)
	}
	if iok && i >= 0 && (!uok || u != uint64(i)) {
		t.Errorf("Int = %d, but Uint = %d, %v", i, u, uok)
	}
	if v, ok := n.Scaled(-3); ok && sok {
		if diff := v/1000 - s; diff < -1 || diff > 1 {
			t.Errorf("Scaled(0) = %d, but Scaled(-3) = %d", s, v)
		}
	}
	n.Bool()
	n.Text()
	count := 0
	n.Each(func(key string, child tree.Node) {
		count++
		if !reflect.DeepEqual(n.Get(key), child) {
			t.Errorf("Get(%q) is not what Each gave", key)
		}
		walk(t, child, depth+1)
	})
	if count != n.Len() {
		t.Errorf("Each gave %d entries, Len is %d", count, n.Len())
	}
}
