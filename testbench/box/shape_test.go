package box

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A shape is the keys of a reply with the types of their values, by the path
// of the object that has them. A star stands for keys that are names or
// numbers of things.
type shape map[string]map[string]string

// named says whether the keys of the object at path name things.
func named(path string, o map[string]any) bool {
	last := path[strings.LastIndexByte(path, '/')+1:]
	switch last {
	case "SurroundingChannels", "Accesspoint", "Band", "ChannelChanges", "Event", "AssociatedDevice",
		"NonAssociatedDevice", "MonitorDevice", "ULIntf", "LLIntf", "clients":
		return true
	case "status": // of HomeLan
		for _, v := range o {
			e, ok := v.(map[string]any)
			return ok && e["FriendlyName"] != nil
		}
	}
	return false
}

// typeOf names types as the files in testdata do.
func typeOf(v any) string {
	switch v.(type) {
	case bool:
		return "b"
	case float64, int64, json.Number:
		return "n"
	case string:
		return "s"
	case map[string]any:
		return "{}"
	case []any:
		return "[]"
	}
	return "0"
}

func (s shape) add(t *testing.T, path string, v any) {
	t.Helper()
	at := path
	if at == "" {
		at = "/"
	}
	set := func(key, typ string) {
		if s[at] == nil {
			s[at] = map[string]string{}
		}
		if old := s[at][key]; old != "" && old != typ {
			t.Errorf("%s/%s is %s here and %s there", path, key, old, typ)
		}
		if key != "" {
			s[at][key] = typ
		}
	}
	switch v := v.(type) {
	case map[string]any:
		set("", "")
		things := named(path, v)
		for k, e := range v {
			if things {
				k = "*"
			}
			set(k, typeOf(e))
			s.add(t, path+"/"+k, e)
		}
	case []any:
		set("", "")
		for _, e := range v {
			set("*", typeOf(e))
			s.add(t, path+"/*", e)
		}
	}
}

// readShape reads a file of testdata/keys: a line has a path, a colon and the
// keys with their types, separated by commas. Names in a path that are joined by commas share the
// line.
func readShape(t *testing.T, name string) shape {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "keys", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	s := shape{}
	for line := range strings.Lines(string(text)) {
		path, keys, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		if !ok {
			t.Fatalf("%s: line without a path: %q", name, line)
		}
		types := map[string]string{}
		for word := range strings.SplitSeq(strings.TrimPrefix(keys, " "), ", ") {
			if word == "" {
				continue // an empty object
			}
			i := strings.LastIndexByte(word, ':')
			types[word[:i]] = word[i+1:]
		}
		for _, p := range spread(path) {
			s[p] = types
		}
	}
	return s
}

// spread returns the paths that a path with commas stands for.
func spread(path string) []string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if !strings.Contains(p, ",") {
			continue
		}
		var all []string
		for name := range strings.SplitSeq(p, ",") {
			one := slices.Clone(parts)
			one[i] = name
			all = append(all, strings.Join(one, "/"))
		}
		return all
	}
	return []string{path}
}

// compare returns what want has and s has not, and unless partial the other
// way round.
func (s shape) compare(want shape, partial bool) []string {
	var wrong []string
	for _, path := range slices.Sorted(maps.Keys(want)) {
		if s[path] == nil {
			wrong = append(wrong, "nothing at "+path)
			continue
		}
		for key, typ := range want[path] {
			if got := s[path][key]; got != typ {
				wrong = append(wrong, fmt.Sprintf("%s/%s is %q, want %q", path, key, got, typ))
			}
		}
		for key := range s[path] {
			if want[path][key] == "" && !partial {
				wrong = append(wrong, fmt.Sprintf("%s/%s is too much", path, key))
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(s)) {
		if want[path] == nil && !partial {
			wrong = append(wrong, "too much: "+path)
		}
	}
	return wrong
}

// A captured is a call whose reply was captured from a real box. The name is
// that of the file in testdata/keys.
type captured struct {
	name, model, object, method, parameters string
}

func capturedCalls() []captured {
	const none = "{}"
	calls := []captured{
		{"sysbus-lb3-NeMo.Intf.dsl0.getDSLLineStats", "livebox3", "NeMo.Intf.dsl0", "getDSLLineStats", none},
		{"sysbus-lb4-DeviceInfo.get-sercomm", "livebox4", "DeviceInfo", "get", none},
		{"sysbus-lb4-HomeLan.Interface.get", "livebox4", "HomeLan.Interface", "get", none},
		{"sysbus-lb4-NMC.getWANStatus-sfp", "livebox4-sfp", "NMC", "getWANStatus", none},
		{"sysbus-lb4-NeMo.Intf.data.getDSLStats-vdsl", "livebox4", "NeMo.Intf.data", "getDSLStats", none},
		{"sysbus-lb4-NeMo.Intf.data.getMIBs-dsl-vdsl", "livebox4", "NeMo.Intf.data", "getMIBs", `{"mibs":"dsl"}`},
		{"sysbus-lb6-DeviceInfo.get", "livebox6", "DeviceInfo", "get", none},
		{"sysbus-lb7-HomeLan.Interface.get", "livebox7", "HomeLan.Interface", "get", none},
		{"sysbus-lb3-HomeLan.Interface.get", "livebox3", "HomeLan.Interface", "get", none},
		{"sysbus-s-HomeLan.Interface.get", "liveboxS", "HomeLan.Interface", "get", none},
		{"sysbus-s-HomeLan.getMaxNumberRecords", "liveboxS", "HomeLan", "getMaxNumberRecords", none},
		{"sysbus-s-HomeLan.getReadingInterval", "liveboxS", "HomeLan", "getReadingInterval", none},
		{"sysbus-s-NMC.Wifi.get", "liveboxS", "NMC.Wifi", "get", none},
		{"sysbus-s-NeMo.Intf.vap5g0priv.getNetDevStats", "liveboxS", "NeMo.Intf.vap5g0priv", "getNetDevStats", none},
		{"sysbus-s-SpeedTest.getWANResults", "liveboxS", "SpeedTest", "getWANResults", none},
		{"sysbus-s-Time.getStatus", "liveboxS", "Time", "getStatus", none},
		{"sysbus-s-TopologyDiagnostics.buildTopology-HGW", "liveboxS", "TopologyDiagnostics", "buildTopology", none},
		{"sysbus-error-object-not-found", "livebox7", "NeMo.Intf.dsl0", "getDSLLineStats", none},
		{"sysbus-error-permission-denied", "livebox5", "Gpon", "get", none},
	}
	for short, model := range map[string]string{"lb3": "livebox3", "lb5": "livebox5", "lb7": "livebox7", "s": "liveboxS"} {
		for _, c := range []captured{
			{"DeviceInfo.get", "", "DeviceInfo", "get", none},
			{"NMC.Wifi.getStats", "", "NMC.Wifi", "getStats", none},
			{"NMC.get", "", "NMC", "get", none},
			{"NMC.getWANStatus", "", "NMC", "getWANStatus", none},
			{"NeMo.Intf.lan.getMIBs-wlan", "", "NeMo.Intf.lan", "getMIBs", `{"mibs":"base wlanradio wlanvap"}`},
			{"NeMo.Intf.veip0.getMIBs-gpon", "", "NeMo.Intf.veip0", "getMIBs", `{"mibs":"base gpon statmon wan"}`},
			{"NeMo.Intf.veip0.getNetDevStats", "", "NeMo.Intf.veip0", "getNetDevStats", none},
		} {
			if short == "lb3" && strings.Contains(c.object, "veip0") {
				continue // no optics
			}
			c.name, c.model = "sysbus-"+short+"-"+c.name, model
			calls = append(calls, c)
		}
	}
	return calls
}

func TestRepliesHaveTheKeysTypesAndQuirksOfTheCaptures(t *testing.T) {
	covered := map[string]bool{"shape-sysbus-createContext-reply": true, "sysbus-error-intf-not-bound": true}
	for _, c := range capturedCalls() {
		covered[c.name] = true
		t.Run(c.name, func(t *testing.T) {
			config := Config{Model: c.model, Stations: 6}
			if c.model == "livebox3" || c.model == "livebox5" {
				config.Stations = -1 // as when the captures were made
			}
			b, _ := newTestBox(t, config)
			got := shape{}
			got.add(t, "", b.mustAsk(t, c.object, c.method, c.parameters))
			for _, wrong := range got.compare(readShape(t, c.name), false) {
				t.Error(wrong)
			}
		})
	}
	files, err := filepath.Glob("testdata/keys/sysbus-*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no shapes:", err)
	}
	for _, f := range files {
		if name := strings.TrimSuffix(filepath.Base(f), ".txt"); !covered[name] {
			t.Error("nothing asks for", name)
		}
	}
}

func TestLoginReplyHasTheKeysOfTheProtocol(t *testing.T) {
	b, _ := newTestBox(t, Config{Model: "livebox6"})
	reply := b.login(t)
	got := shape{}
	got.add(t, "", reply)
	for _, wrong := range got.compare(readShape(t, "shape-sysbus-createContext-reply"), false) {
		t.Error(wrong)
	}
}
