package wan_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/sysbus"
	"livebox-agent/collector/platform/sysbus/sysbustest"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
	"livebox-agent/collector/wan"
)

func timeOf(b *sample.Batch) func() time.Duration { return func() time.Duration { return b.At } }

// A line is a Livebox whose counters the test sets.
type line struct {
	*fake
	linkType string
	asked    []string
	// stats are the counters by interface; an absent one is not bound.
	stats map[string]stats
}

type stats struct{ rxBytes, txBytes, rxPackets, txPackets uint64 }

func newLine(linkType string, box sysbus.Box) *line {
	l := &line{linkType: linkType, stats: map[string]stats{}}
	l.fake = &fake{box: box, Func: func(object, method string, _ tree.Node) any {
		l.asked = append(l.asked, object+"."+method)
		if method == "getWANStatus" {
			return map[string]any{"status": true, "data": map[string]any{"LinkType": l.linkType}}
		}
		s, ok := l.stats[strings.TrimPrefix(object, "NeMo.Intf.")]
		if !ok {
			return sysbustest.Error(196618, "Intf not bound to any NetDev.Link", "veip0")
		}
		return map[string]any{"status": map[string]any{
			"RxBytes": s.rxBytes, "TxBytes": s.txBytes, "RxPackets": s.rxPackets, "TxPackets": s.txPackets,
		}}
	}}
	return l
}

// totals returns the readings of one round by short name.
func (l *line) totals(t *testing.T, src *wan.Traffic, at time.Duration) (map[string]int64, error) {
	t.Helper()
	var b sample.Batch
	b.Reset(at)
	err := src.Collect(t.Context(), &b)
	got := map[string]int64{}
	names := map[catalogue.ID]string{
		catalogue.PortBytesReceived: "rx", catalogue.PortBytesSent: "tx",
		catalogue.PortPacketsReceived: "rxp", catalogue.PortPacketsSent: "txp",
	}
	for _, r := range b.Readings {
		got[names[r.Metric]+" "+r.Instance] = r.Value
	}
	return got, err
}

var fibre = sysbus.Box{WAN: []string{"veip0", "ETH1"}, PON: "veip0"}

func TestTrafficOfTheInterfaceInUse(t *testing.T) {
	for _, tt := range []struct {
		name, linkType string
		box            sysbus.Box
		bound          []string
		want           string // empty: no data
	}{
		{"fibre", "gpon", fibre, []string{"veip0", "ETH1"}, "veip0"},
		{"fibre whose port for Ethernet is one of the home network", "gpon", fibre, []string{"ETH1"}, ""},
		{"external ONT, veip0 not bound", "ethernet", fibre, []string{"ETH1"}, "ETH1"},
		{"SFP of a Livebox 4", "SFP", sysbus.Box{WAN: []string{"dsl0", "eth0"}, DSL: "dsl0"}, []string{"dsl0", "eth0"}, "eth0"},
		{"DSL", "vdsl", sysbus.Box{WAN: []string{"eth0", "dsl0"}, DSL: "dsl0"}, []string{"dsl0", "eth0"}, "dsl0"},
		{"box that does not say", "", fibre, []string{"veip0", "ETH1"}, "veip0"},
		{"box without interfaces", "gpon", sysbus.Box{}, []string{"veip0"}, ""},
		{"box without interfaces that does not say", "", sysbus.Box{}, []string{"veip0"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLine(tt.linkType, tt.box)
			for _, name := range tt.bound {
				l.stats[name] = stats{1, 2, 3, 4}
			}
			got, err := l.totals(t, wan.NewTraffic(wan.Config{Sysbus: l}), time.Second)
			if tt.want == "" {
				if !errors.Is(err, collector.ErrNoData) || len(got) != 0 {
					t.Errorf("Collect = %v with %v; want ErrNoData", err, got)
				}
				return
			}
			want := map[string]int64{"rx " + tt.want: 1, "tx " + tt.want: 2, "rxp " + tt.want: 3, "txp " + tt.want: 4}
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("Collect = %v; readings (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestCountersOf32BitsWrap(t *testing.T) {
	// As on a Livebox 5: 3,368,338,309 packets in all, bytes near the edge.
	l := newLine("gpon", fibre)
	src := wan.NewTraffic(wan.Config{Sysbus: l})
	l.stats["veip0"] = stats{math.MaxUint32 - 99, 2801499761, math.MaxUint32, 978940060}
	if _, err := l.totals(t, src, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	l.stats["veip0"] = stats{2_000_000_000 - 100, 2801500061, 1_399_999, 978940061}
	got, err := l.totals(t, src, 20*time.Second)
	want := map[string]int64{
		"rx veip0": math.MaxUint32 + 1 + 2_000_000_000 - 100, "tx veip0": 2801500061,
		"rxp veip0": math.MaxUint32 + 1 + 1_399_999, "txp veip0": 978940061,
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("Collect = %v; totals after the wrap (-want +got):\n%s", err, diff)
	}
}

func TestAWrapIn4SecondsGivesNoReading(t *testing.T) {
	// 8 Gbit/s for ten seconds: 10^10 bytes in 6.7 million packets.
	l := newLine("gpon", fibre)
	src := wan.NewTraffic(wan.Config{Sysbus: l})
	l.stats["veip0"] = stats{1000, 1000, 1000, 1000}
	if _, err := l.totals(t, src, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	l.stats["veip0"] = stats{10_000_001_000 & math.MaxUint32, 5000, 6_701_000, 2000}
	got, err := l.totals(t, src, 20*time.Second)
	want := map[string]int64{"tx veip0": 5000, "rxp veip0": 6_701_000, "txp veip0": 2000}
	if diff := cmp.Diff(want, got); diff != "" || err == nil || !strings.Contains(err.Error(), "wrapped more than once") {
		t.Errorf("Collect = %v; readings (-want +got):\n%s", err, diff)
	}
	l.stats["veip0"] = stats{10_000_001_000&math.MaxUint32 + 500, 5000, 6_701_001, 2000}
	got, err = l.totals(t, src, 30*time.Second)
	if total := got["rx veip0"]; err != nil || total != 10_000_001_000&math.MaxUint32+500 {
		t.Errorf("the round after: %v, %d bytes", err, total)
	}
}

func TestCountersOf64Bits(t *testing.T) {
	// As on a Livebox S, at a rate at which 32 bits would not do.
	l := newLine("gpon", fibre)
	src := wan.NewTraffic(wan.Config{Sysbus: l})
	l.stats["veip0"] = stats{99660670161, 405666067226, 4399974759, 4553877786}
	if _, err := l.totals(t, src, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	l.stats["veip0"] = stats{99660670161 + 10_000_000_000, 405666067226, 4399974759 + 6_700_000, 4553877786}
	got, err := l.totals(t, src, 20*time.Second)
	want := map[string]int64{
		"rx veip0": 109660670161, "tx veip0": 405666067226, "rxp veip0": 4406674759, "txp veip0": 4553877786,
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("Collect = %v; totals (-want +got):\n%s", err, diff)
	}
}

func TestAResetIsToldFromAWrap(t *testing.T) {
	l := newLine("gpon", fibre)
	src := wan.NewTraffic(wan.Config{Sysbus: l})
	// Three quarters of the range, where bytes alone would look wrapped.
	l.stats["veip0"] = stats{3 << 30, 3 << 30, 3 << 30, 100}
	if _, err := l.totals(t, src, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	l.stats["veip0"] = stats{5000, 7000, 50, 70}
	got, err := l.totals(t, src, 20*time.Second)
	want := map[string]int64{"rx veip0": 3<<30 + 5000, "tx veip0": 3<<30 + 7000, "rxp veip0": 3<<30 + 50, "txp veip0": 170}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("Collect = %v; totals after the reset (-want +got):\n%s", err, diff)
	}
}

func TestCountersStartAgainTogether(t *testing.T) {
	l := newLine("gpon", fibre)
	src := wan.NewTraffic(wan.Config{Sysbus: l})
	l.stats["veip0"] = stats{3_900_000_000, 1000, 50_000_000, 1000}
	if _, err := l.totals(t, src, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	// Since the reset a million packets: as bytes go, it might be a wrap.
	l.stats["veip0"] = stats{1_000_000_000, 5000, 1_000_000, 2000}
	got, err := l.totals(t, src, 20*time.Second)
	if err != nil || got["rx veip0"] != 4_900_000_000 || got["tx veip0"] != 6000 {
		t.Errorf("Collect = %v, %v; want all counted from zero", got, err)
	}
}

func TestBytesThatStepBackAddNothing(t *testing.T) {
	l := newLine("gpon", fibre)
	src := wan.NewTraffic(wan.Config{Sysbus: l})
	l.stats["veip0"] = stats{1_000_000, 1000, 1000, 10}
	if _, err := l.totals(t, src, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	l.stats["veip0"] = stats{999_000, 1000, 1000, 10}
	if got, err := l.totals(t, src, 20*time.Second); err != nil || got["rx veip0"] != 1_000_000 {
		t.Errorf("after a step back: %v, %d bytes; want 1000000", err, got["rx veip0"])
	}
}

func TestThePacketsTellWhetherBytesWrapped(t *testing.T) {
	l := newLine("gpon", fibre)
	src := wan.NewTraffic(wan.Config{Sysbus: l})
	l.stats["veip0"] = stats{3 << 30, 3 << 30, 1000, 1000}
	if _, err := l.totals(t, src, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	// Ten packets cannot carry the quarter of the range that a wrap would be;
	// a million can.
	l.stats["veip0"] = stats{100, 100, 1010, 1_001_000}
	got, err := l.totals(t, src, 20*time.Second)
	if err != nil || got["rx veip0"] != 3<<30+100 || got["tx veip0"] != 4<<30+100 {
		t.Errorf("Collect = %v, %v; want a reset received and a wrap sent", got, err)
	}
}

func TestStatsThatAreNone(t *testing.T) {
	for _, tt := range []struct {
		name, reply string
		err         error
		readings    int
	}{
		{"no status", `{}`, collector.ErrNoData, 0},
		{"null", `{"status":null}`, collector.ErrNoData, 0},
		{"no counters", `{"status":{"Multicast":1}}`, collector.ErrNoData, 0},
		{"list", `{"status":[1,2]}`, tree.ErrMalformed, 0},
		{"negative", `{"status":{"RxBytes":-1,"TxBytes":5,"RxPackets":5,"TxPackets":5}}`, tree.ErrMalformed, 3},
		{"fraction", `{"status":{"RxBytes":1.5,"TxBytes":5}}`, tree.ErrMalformed, 1},
		{"as text", `{"status":{"RxBytes":"4","TxBytes":"5","RxPackets":"6","TxPackets":"7"}}`, nil, 4},
		{"only bytes", `{"status":{"RxBytes":4,"TxBytes":5}}`, nil, 2},
		{"beyond 64 bits", `{"status":{"RxBytes":99999999999999999999,"TxPackets":5}}`, tree.ErrMalformed, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &fake{box: fibre, Func: sysbustest.Replies(map[string]string{
				"NMC.getWANStatus": `{"data":{"LinkType":"gpon"}}`, "NeMo.Intf.veip0.getNetDevStats": tt.reply,
			})}
			src := wan.NewTraffic(wan.Config{Sysbus: f})
			for round := range 3 {
				var b sample.Batch
				b.Reset(time.Duration(round) * 10 * time.Second)
				if err := src.Collect(t.Context(), &b); !errors.Is(err, tt.err) || len(b.Readings) != tt.readings {
					t.Errorf("round %d: Collect = %v with %d readings; want %v with %d", round, err, len(b.Readings), tt.err, tt.readings)
				}
			}
		})
	}
}

func TestTheLinkTypeIsAskedRarely(t *testing.T) {
	l := newLine("gpon", fibre)
	l.stats["veip0"] = stats{1, 1, 1, 1}
	src := wan.NewTraffic(wan.Config{Sysbus: l})
	asked := func() (n int) {
		for _, call := range l.asked {
			if call == "NMC.getWANStatus" {
				n++
			}
		}
		return n
	}
	at := time.Duration(0)
	for range 59 {
		at += 10 * time.Second
		if _, err := l.totals(t, src, at); err != nil {
			t.Fatal(err)
		}
	}
	if asked() != 1 {
		t.Errorf("the link type was asked %d times in 10 minutes; want once", asked())
	}
	// The fibre goes, Ethernet takes over.
	delete(l.stats, "veip0")
	l.linkType, l.stats["ETH1"] = "ethernet", stats{9, 9, 9, 9}
	if _, err := l.totals(t, src, at+10*time.Second); !errors.Is(err, collector.ErrNoData) {
		t.Errorf("without the interface: %v; want ErrNoData", err)
	}
	if got, err := l.totals(t, src, at+20*time.Second); err != nil || got["rx ETH1"] != 9 {
		t.Errorf("after the change: %v, %v; want what ETH1 carried", got, err)
	}
}

func TestTrafficOfABoxThatFails(t *testing.T) {
	away := errors.New("connection refused")
	f := &fake{boxErr: away}
	var b sample.Batch
	if err := wan.NewTraffic(wan.Config{Sysbus: f}).Collect(t.Context(), &b); !errors.Is(err, away) {
		t.Errorf("Collect = %v; want the error of Box", err)
	}
	for _, broken := range []string{"NMC.getWANStatus", "NeMo.Intf.veip0.getNetDevStats"} {
		f = &fake{box: fibre, Func: func(object, method string, _ tree.Node) any {
			if object+"."+method == broken {
				return sysbustest.Error(196639, "Function execution failed", method)
			}
			return map[string]any{"data": map[string]any{"LinkType": "gpon"}}
		}}
		err := wan.NewTraffic(wan.Config{Sysbus: f}).Collect(t.Context(), &b)
		if err == nil || errors.Is(err, collector.ErrNoData) || len(b.Readings) != 0 {
			t.Errorf("%s broken: %v with %d readings; want a failure", broken, err, len(b.Readings))
		}
	}
}

// TestInterfacesAreForgotten holds the bound on what is remembered.
func TestInterfacesAreForgotten(t *testing.T) {
	l := newLine("gpon", fibre)
	src := wan.NewTraffic(wan.Config{Sysbus: l})
	for i := range 100 {
		name := fmt.Sprintf("veip%d", i)
		l.box.PON = name
		l.stats[name] = stats{1, 1, 1, 1}
		if got, err := l.totals(t, src, time.Duration(i)*time.Second); err != nil || got["rx "+name] != 1 {
			t.Fatalf("interface %s: %v, %v", name, got, err)
		}
	}
}
