package wifi_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/sysbus"
	"livebox-agent/collector/platform/sysbus/sysbustest"
	"livebox-agent/collector/sample"
	"livebox-agent/collector/wifi"
	"livebox-agent/testbench/box"
)

// A gateway is an emulated Livebox, and the agent's sources on it.
type gateway struct {
	*box.Box
	now     time.Duration
	sources map[string]collector.Source
}

func newGateway(t *testing.T, model string) *gateway {
	t.Helper()
	g := &gateway{}
	b, err := box.New(box.Config{Model: model, Stations: 20, Clock: func() time.Duration { return g.now }})
	if err != nil {
		t.Fatal(err)
	}
	g.Box = b
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(box.DefaultPassword), 0o600); err != nil {
		t.Fatal(err)
	}
	config := sysbus.DefaultConfig()
	config.URL, config.PasswordFile = "http://box.test", file
	c, err := sysbus.New(config, sysbus.Options{
		Dial: sysbustest.Serve(t, b.Handler()), Now: func() time.Duration { return g.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	bus := wifi.NewSysbus(c)
	g.sources = map[string]collector.Source{}
	for _, s := range []collector.Source{bus.NewRadios(), bus.NewStations(disguise), bus.NewTemperatures()} {
		g.sources[s.Describe().Name] = s
	}
	return g
}

// disguise is a pseudonym that the test can tell from an address.
func disguise(mac [6]byte) string { return fmt.Sprintf("device %d", mac[5]) }

func (g *gateway) collect(t *testing.T, name string) (map[string]map[catalogue.ID]int64, error) {
	t.Helper()
	var b sample.Batch
	b.Reset(g.now)
	err := g.sources[name].Collect(t.Context(), &b)
	got := map[string]map[catalogue.ID]int64{}
	for _, r := range b.Readings {
		for _, secret := range g.Secrets() {
			if secret != "" && strings.Contains(r.Instance, secret) {
				t.Errorf("%q is in the instance %q", secret, r.Instance)
			}
		}
		if got[r.Instance] == nil {
			got[r.Instance] = map[catalogue.ID]int64{}
		}
		got[r.Instance][r.Metric] = r.Value
	}
	return got, err
}

func TestEveryEmulatedLivebox(t *testing.T) {
	for model, hot := range map[string]bool{
		"livebox3": false, "livebox4": true, "livebox5": true, "livebox6": true, "livebox7": true,
		"liveboxW7": false, "liveboxS": false,
	} {
		t.Run(model, func(t *testing.T) {
			g := newGateway(t, model)
			stations, err := g.collect(t, "stations")
			if err != nil {
				t.Fatal(err)
			}
			truth, weak := g.Truth().Signal, int64(0)
			if len(stations) != len(truth) || len(truth) == 0 {
				t.Errorf("%d stations; want %d", len(stations), len(truth))
			}
			for mac, signal := range truth {
				var n int
				if _, err := fmt.Sscanf(mac[len(mac)-2:], "%X", &n); err != nil {
					t.Fatal(err)
				}
				s := stations[fmt.Sprintf("device %d", n)]
				if s[catalogue.StationSignal] != int64(signal) {
					t.Errorf("station %d: %d dBm; want %d", n, s[catalogue.StationSignal], signal)
				}
				// A Livebox 3 does not tell the width.
				w, told := s[catalogue.StationDownlinkWidth]
				if told == (model == "livebox3") || told && (w < 20 || w > 160) || s[catalogue.StationDownlinkRate] == 0 {
					t.Errorf("station %d: %d MHz, %d kbit/s", n, w, s[catalogue.StationDownlinkRate])
				}
				if signal < catalogue.WeakSignal {
					weak++
				}
			}

			radios, err := g.collect(t, "radios")
			if err != nil {
				t.Fatal(err)
			}
			counted, countedWeak, measured := int64(0), int64(0), 0
			for _, r := range radios {
				counted += r[catalogue.RadioStations]
				countedWeak += r[catalogue.RadioWeakStations]
				if r[catalogue.RadioBand] != 0 && r[catalogue.RadioChannel] != 0 {
					measured++
				}
			}
			if counted != int64(len(truth)) || countedWeak != weak || measured < 2 {
				t.Errorf("%d stations, %d weak, on %d radios; want %d, %d, on two or more", counted, countedWeak, measured, len(truth), weak)
			}

			temperatures, err := g.collect(t, "radiotemp")
			if (len(temperatures) > 0) != hot || errors.Is(err, collector.ErrNoData) == hot {
				t.Errorf("temperatures %v, %v", temperatures, err)
			}
		})
	}
}

// The counters of a station go on through wraps, restarts of the box and the
// station's absence, and never back.
func TestCountersOnAnEmulatedLiveboxNeverGoBack(t *testing.T) {
	for _, model := range []string{"livebox5", "livebox7", "liveboxS"} {
		t.Run(model, func(t *testing.T) {
			g := newGateway(t, model)
			counters := []catalogue.ID{
				catalogue.StationBytesSent, catalogue.StationBytesReceived, catalogue.StationRetries, catalogue.StationFailures,
			}
			before := map[string]map[catalogue.ID]int64{}
			for minute := range 100 {
				switch minute {
				case 30:
					g.Reboot("")
				case 50:
					macs := g.Stations()
					for _, mac := range macs[:len(macs)/2] {
						if err := g.RemoveStation(mac); err != nil {
							t.Fatal(err)
						}
					}
				case 70:
					g.Crash()
				}
				g.now += time.Minute
				got, err := g.collect(t, "stations")
				if err != nil && minute < 30 {
					t.Fatal(err)
				}
				for name, s := range got {
					for _, id := range counters {
						if v, ok := s[id]; ok && v < before[name][id] {
							t.Fatalf("minute %d: metric %d of %s went from %d to %d", minute, id, name, before[name][id], v)
						}
					}
					if before[name] == nil {
						before[name] = map[catalogue.ID]int64{}
					}
					maps.Copy(before[name], s)
				}
			}
		})
	}
}

func TestMisbehavingLiveboxGivesErrorsAndNothingOld(t *testing.T) {
	g := newGateway(t, "livebox7")
	for name := range g.sources {
		if got, err := g.collect(t, name); err != nil || len(got) == 0 {
			t.Fatalf("%s: %d readings, %v", name, len(got), err)
		}
	}
	kinds := box.Misbehaviours()
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		kind := kinds[name]
		if kind == box.Behave || kind == box.NotUTF8 {
			continue
		}
		g.Misbehave(kind)
		g.now += time.Minute
		for _, source := range slices.Sorted(maps.Keys(g.sources)) {
			got, err := g.collect(t, source)
			if err == nil {
				t.Errorf("%s, %s: %d instances and no error", name, source, len(got))
			}
			if kind != box.WrongTypes && kind != box.HugeNumbers && len(got) > 0 {
				t.Errorf("%s, %s: %v, %v; want no readings", name, source, got, err)
			}
		}
	}
}
