package samples

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"livebox-agent/collector/platform"
	"livebox-agent/collector/platform/tree"
)

var update = flag.Bool("update", false, "write collector/PLATFORMS.md anew")

// folder reads a folder and returns its files by name.
func folder(t *testing.T, dir string) map[string]File {
	t.Helper()
	files, err := Folder(dir)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]File{}
	for _, f := range files {
		byName[f.Name] = f
	}
	return byName
}

func TestUnknownFolderIsRead(t *testing.T) {
	got := folder(t, "testdata/good")
	for _, tt := range []struct {
		name, box, decoder string
		result             Result
		metrics            int
		remark             string
	}{
		{"sysbus-lb8-NMC.getWANStatus-ws1.json", "lb8", "wan.status", Read, 6, ""},
		{"sysbus-box-9-NeMo.Intf.veip-1.getNetDevStats.json", "box-9", "wan.stats", Read, 4, ""},
		{"sysbus-lb6-NeMo.Intf.data.getMIBs-dsl-vdsl.json", "lb6", "line.mib", Read, 5, ""},
		{"sysbus-w7-NeMo.Intf.veip0.getMIBs.json", "w7", "optics.gpon", Read, 3, ""},
		{"sysbus-lb7-NeMo.Intf.dsl0.getDSLLineStats.json", "lb7", "", Refusal, 0, "196618: not found, no data (Object or parameter not found)"},
		{"sysbus-lb7-NeMo.Intf.data.getMIBs-dsl.json", "lb7", "line.mib", Empty, 0, "nothing in it"},
		{"sysbus-error-denied.json", "", "", Refusal, 0, "13: permission denied, refused (Permission denied)"},
		{"shape-reply.json", "", "", Shape, 0, ""},
		{"sysbus-funbox6-DeviceInfo.get.json", "funbox6", "", Other, 0, "discovery: which box it is, Funbox 6"},
		{"sysbus-lb5-Time.getStatus.json", "lb5", "", NoDecoder, 0, "the agent does not read Time.getStatus"},
		{"sysbus-lb4-NeMo.Intf.lan.getMIBs-dhcp.json", "lb4", "", NoDecoder, 0, "the agent does not read NeMo.Intf.lan.getMIBs"},
		{"openwrt-hostapd.get_clients-11ax.json", "openwrt", "radios.clients", Read, 5, ""},
		{"openwrt-network.interface.wan.status.json", "openwrt", "wan.interface", Read, 5, ""},
		{"openwrt-dsl.metrics-erb.json", "openwrt", "line.metrics", Empty, 0, "nothing in it"},
		{"capture.json", "", "", NoDecoder, 0, "the name is not of the pattern platform-box-Object.method"},
	} {
		f, ok := got[tt.name]
		if !ok {
			t.Errorf("%s was not read", tt.name)
			continue
		}
		var decoder string
		if len(f.Decoders) > 0 {
			decoder = f.Decoders[0].Decoder
		}
		if f.Box != tt.box || f.Result != tt.result || f.Metrics() != tt.metrics || decoder != tt.decoder || f.Result != Empty && f.Remark != tt.remark {
			t.Errorf("%s: box %q, %s, %d metrics, decoder %q, remark %q; want %q, %s, %d, %q, %q", tt.name,
				f.Box, f.Result, f.Metrics(), decoder, f.Remark, tt.box, tt.result, tt.metrics, tt.decoder, tt.remark)
		}
		delete(got, tt.name)
	}
	for name, f := range got {
		t.Errorf("%s: %s, not expected", name, f.Result)
	}
	files, _ := Folder("testdata/good")
	if err := Print(&bytes.Buffer{}, files, false); err != nil {
		t.Errorf("Print: %v; want no failure", err)
	}
}

func TestKnownReplyThatGivesNothingFails(t *testing.T) {
	got := folder(t, "testdata/nothing")
	for name, f := range got {
		if f.Result != Nothing || f.Remark == "" {
			t.Errorf("%s: %s, remark %q; want %s and why", name, f.Result, f.Remark, Nothing)
		}
	}
	files, _ := Folder("testdata/nothing")
	var out bytes.Buffer
	if err := Print(&out, files, false); err == nil || !strings.Contains(out.String(), "3 NOTHING") {
		t.Errorf("Print: %v, \n%s\nwant an error, and 3 counted", err, &out)
	}
}

func TestBadFileStopsNoOther(t *testing.T) {
	dir := t.TempDir()
	const stem = "sysbus-lb5-NMC.getWANStatus-"
	for name, body := range map[string]string{
		"cut": `{"status": {`, "empty": " \n", "page": "<html>", "list": "[1]", "null": "null",
		"deep": strings.Repeat(`{"a":`, 99), "huge": `{"a":"` + strings.Repeat("x", tree.MaxBytes) + `"}`, "control\x1b[2J": "{",
	} {
		if err := os.WriteFile(filepath.Join(dir, stem+name+".json"), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, stem+"folder.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	good := "\uFEFF" + `{"status": true, "data": {"WanState": "up"}}`
	if err := os.WriteFile(filepath.Join(dir, stem+"zgood.JSON"), []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	files, err := Folder(dir)
	if err != nil || len(files) != 10 {
		t.Fatalf("%d files, %v; want 10", len(files), err)
	}
	for _, f := range files {
		want := Unreadable
		if strings.Contains(f.Name, "zgood") {
			want = Read
		}
		if f.Result != want || f.Box != "lb5" || (f.Remark == "") != (want == Read) {
			t.Errorf("%q: box %q, %s, %q; want lb5, %s", f.Name, f.Box, f.Result, f.Remark, want)
		}
	}
	var out bytes.Buffer
	if err := Print(&out, files, true); err == nil || !strings.HasPrefix(err.Error(), "9 of 10 files") {
		t.Errorf("Print: %v; want 9 failures", err)
	}
	if strings.Contains(out.String(), "\x1b") || !strings.Contains(out.String(), "9 UNREADABLE") {
		t.Errorf("want 9 unreadable files counted and no control character:\n%q", &out)
	}
}

func TestFolderWithoutCapturesIsAnError(t *testing.T) {
	if _, err := Folder(t.TempDir()); err == nil {
		t.Error("an empty folder is no error")
	}
	if _, err := Folder("testdata/missing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing folder: %v", err)
	}
}

func TestNamesOfBoxes(t *testing.T) {
	for box, want := range map[string]string{
		"lb3": "livebox3", "LB7": "livebox7", "livebox5": "livebox5", "lbs": "liveboxS", "s": "liveboxS",
		"w7": "liveboxW7", "funbox6": "funbox6", "lb9": "", "": "",
	} {
		if got := generation(box); got != want {
			t.Errorf("generation(%q) = %q; want %q", box, got, want)
		}
	}
}

// TestEveryDecoderIsFoundByTheNameOfItsCall asks as a file would be named.
func TestEveryDecoderIsFoundByTheNameOfItsCall(t *testing.T) {
	for _, d := range decoders() {
		prefix := "sysbus-unseen-"
		if d.Platform == platform.OpenWrt {
			prefix = "openwrt-"
		}
		name := prefix + strings.ReplaceAll(d.Object, "*", "x1") + "." + d.Method
		if d.Variant != "" {
			name += "-" + d.Variant
		}
		calls := callsOf(name + "-other")
		if len(calls) == 0 {
			t.Errorf("%s names no call", name)
			continue
		}
		list, sure := find(calls[0])
		found := false
		for _, x := range list {
			found = found || x.Name == d.Name
		}
		if !found || !sure {
			t.Errorf("%s: %d decoders, sure %v; want %s among them", name, len(list), sure, d.Name)
		}
	}
}

func TestTableOfPlatformsIsThatOfTheCode(t *testing.T) {
	rows, err := Platforms()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if !r.Given() {
			t.Errorf("no platform gives %s", r.Metric.Name)
		}
	}
	var b, text bytes.Buffer
	if err := WritePlatformsMarkdown(&b, rows); err != nil {
		t.Fatal(err)
	}
	if err := WritePlatforms(&text, rows); err != nil || strings.Count(text.String(), "\n") != len(rows)+2 {
		t.Errorf("the table for a terminal has %d lines, %v; want %d", strings.Count(text.String(), "\n"), err, len(rows)+2)
	}
	const file = "../../collector/PLATFORMS.md"
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("%s is not what the code says; run go test ./testbench/samples -update", file)
	}
}
