package box

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/optics"
	"livebox-agent/collector/sample"
	"livebox-agent/collector/sensors"
	"livebox-agent/collector/surge"
)

// A house is an emulated box, driven by text, and what the agent reads of it.
type house struct {
	t     *testing.T
	box   *testBox
	clock *clock
	dir   string
}

func newHouse(t *testing.T, model string) *house {
	t.Helper()
	b, clock := newTestBox(t, Config{Model: model})
	h := &house{t, b, clock, t.TempDir()}
	h.write()
	return h
}

func (h *house) write() {
	h.t.Helper()
	if err := h.box.WriteTree(h.dir); err != nil {
		h.t.Fatal(err)
	}
}

// do drives the box and writes its tree.
func (h *house) do(command string) {
	h.t.Helper()
	if _, err := h.box.Do(command); err != nil {
		h.t.Fatal(err)
	}
	h.write()
}

func (h *house) config() surge.Config {
	return surge.Config{Sys: filepath.Join(h.dir, "sys"), Dev: filepath.Join(h.dir, "dev"), Protection: []string{"surge-protect"}}
}

// restart returns what the agent learns of the restart, as "instance reason".
func (h *house) restart(c surge.Config) (got []string) {
	signs, _ := surge.Restart(h.t.Context(), c)
	for _, s := range signs {
		m, _ := catalogue.Lookup(s.Metric)
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %v", s.Instance, m.Format(s.After))))
	}
	slices.Sort(got)
	return got
}

func TestAgentLearnsWhyTheBoxRestarted(t *testing.T) {
	for _, tt := range []struct {
		command string
		want    []string
	}{
		{"dip 300ms", []string{"box PowerOn", "watchdog0 BrownOut"}},
		{"dip 30s", []string{"box PowerOn"}},
		{"watchdog", []string{"box Watchdog", "watchdog0 Watchdog"}},
		{"panic", []string{"1", "box Crash", "watchdog0 Watchdog"}},
		{"reboot TR069 reboot", []string{"box Planned"}},
		{"reboot", []string{"box User"}},
	} {
		h := newHouse(t, "livebox5")
		c := h.config()
		c.Sysbus = agentsClient(t, h.box.Box, "ws-4")
		h.do(tt.command)
		if got := h.restart(c); !slices.Equal(got, tt.want) {
			t.Errorf("%s: learnt %q; want %q", tt.command, got, tt.want)
		}
	}
}

func TestCrashRecordsLastUntilThePowerGoes(t *testing.T) {
	h := newHouse(t, "openwrt")
	for _, tt := range []struct {
		command string
		want    string
	}{{"panic", "1"}, {"reboot", "1"}, {"dip 300ms", "1"}, {"panic", "2"}, {"dip 5s", ""}} {
		h.do(tt.command)
		got := h.restart(h.config())
		if found := slices.Contains(got, tt.want); tt.want != "" && !found || tt.want == "" && len(got) > 0 {
			t.Errorf("%s: learnt %q; want %q", tt.command, got, tt.want)
		}
	}
}

func TestPrplOSSaysWhetherThePowerHadGone(t *testing.T) {
	for command, want := range map[string]string{"dip 5s": "box PowerOn", "reboot": "box User", "watchdog": "box Unknown"} {
		b, _, conn := onBus(t, Config{Model: "prplos"})
		if _, err := b.Do(command); err != nil {
			t.Fatal(err)
		}
		h := &house{t: t, dir: t.TempDir()}
		c := h.config()
		c.Model = conn
		if got := h.restart(c); !slices.Contains(got, want) {
			t.Errorf("%s: learnt %q; want %q", command, got, want)
		}
	}
}

func TestAgentSeesTheSupplySag(t *testing.T) {
	h := newHouse(t, "openwrt")
	alarms := sensors.NewAlarms(filepath.Join(h.dir, "sys"), nil, optics.Owns)
	defer alarms.Close()
	look := func() map[catalogue.ID]int64 {
		var b sample.Batch
		if err := alarms.Collect(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		got := map[catalogue.ID]int64{}
		for _, r := range b.Readings {
			if r.Instance == "ina219 12V" {
				got[r.Metric] = r.Value
			}
		}
		return got
	}
	if got := look(); got[catalogue.SensorVoltageAlarm] != catalogue.AlarmNone || got[catalogue.SensorVoltageLowest] != 12050 {
		t.Errorf("at rest: %v", got)
	}
	h.do("dip 15ms")
	if got := look(); got[catalogue.SensorVoltageAlarm] != catalogue.AlarmLow || got[catalogue.SensorVoltageLowest] > 10000 {
		t.Errorf("after a dip of the mains that the box bridged: %v", got)
	}
	h.clock.pass(time.Minute)
	h.write()
	if got := look(); got[catalogue.SensorVoltageAlarm] != catalogue.AlarmNone || got[catalogue.SensorVoltageLowest] > 10000 {
		t.Errorf("a minute later: %v; want the lowest kept", got)
	}
	h.do("rail 14")
	if got := look(); got[catalogue.SensorVoltageAlarm] != catalogue.AlarmHigh || got[catalogue.SensorVoltageHighest] != 14000 {
		t.Errorf("too high: %v", got)
	}
}

func TestAgentHearsTheStormTheKernelAndTheProtection(t *testing.T) {
	h := newHouse(t, "openwrt")
	stop, err := h.box.ServeDevices(filepath.Join(h.dir, "dev"))
	if err != nil {
		t.Fatal(err)
	}
	c := h.config()
	signs := make(chan sample.Sign, 100)
	var watchers []collector.Watcher
	for _, s := range surge.Sources(c) {
		if w, ok := s.(collector.Watcher); ok {
			watchers = append(watchers, w)
		}
	}
	all, err := collector.NewWatchers(collector.WatchOptions{Now: h.clock.read}, watchers...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); all.Run(ctx, func(s sample.Sign) { signs <- s }) }()
	// The sensor listens when it is set up; before, it could be too early.
	enable := filepath.Join(h.dir, "sys/bus/iio/devices/iio:device0/buffer/enable")
	for deadline := time.Now().Add(20 * time.Second); ; <-time.After(time.Millisecond) {
		if text, err := os.ReadFile(enable); err == nil && string(text) == "1\n" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the sensor is not set up: %+v", all.Capabilities())
		}
	}
	for _, tt := range []struct{ command, want string }{
		{"strike 5km", "strike as3935 5000"},
		{"strike 0", "strike as3935 1000"},
		{"strike 100", ""},
		{"kmsg nothing of interest", ""},
		{"kmsg usb 1-1: device descriptor read/64, error -71", "kernel_message usb 1"},
		{"dip 15ms", "kernel_message power 1"},
		{"trip", "protection_tripped surge-protect 2"},
	} {
		h.do(tt.command)
		if tt.want == "" {
			continue
		}
		select {
		case s := <-signs:
			if got := fmt.Sprintf("%v %s %d", s.Kind, s.Instance, s.After); got != tt.want {
				t.Errorf("%s: %s; want %s", tt.command, got, tt.want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: no sign", tt.command)
		}
	}
	cancel()
	<-ended
	if err := stop(); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(h.dir, "dev", "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	h.do("strike") // no one hears it any more
}

func TestFullLogLosesMessagesAsTheKernelDoes(t *testing.T) {
	h := newHouse(t, "openwrt")
	dir := filepath.Join(h.dir, "dev")
	stop, err := h.box.ServeDevices(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	for range 3000 {
		h.box.KernelSays("Kernel panic\n4,1,1,-;" + strings.Repeat("x", 200))
	}
	k := surge.NewKernel(h.config())
	ctx, cancel := context.WithCancel(t.Context())
	signs, ended := make(chan sample.Sign, 100), make(chan error, 1)
	go func() { ended <- k.Run(ctx, func(s sample.Sign) { signs <- s }) }()
	first := <-signs
	h.box.KernelSays("all is well")
	lost := <-signs
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v", err)
	}
	if first.Kind != sample.KernelMessage || lost.Kind != sample.KernelMessagesLost || first.After+lost.After != 3000 {
		t.Errorf("%+v, then %+v; want 3000 in all", first, lost)
	}
	if _, err := h.box.ServeDevices(dir); err == nil {
		t.Error("devices are served twice")
	}
}

func TestPortsComeAndGo(t *testing.T) {
	h := newHouse(t, "openwrt")
	port := h.box.p.ports[0]
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(h.dir, "sys/class/net", port, name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(text))
	}
	for _, tt := range []struct{ command, carrier, speed, ups, downs string }{
		{"truth", "1", "1000", "1", "0"},
		{"port " + port + " down", "0", "-1", "1", "1"},
		{"port " + port + " down", "0", "-1", "1", "1"},
		{"port " + port + " up 100", "1", "100", "2", "1"},
		{"port " + port + " up", "1", "1000", "3", "2"},
	} {
		h.do(tt.command)
		got := []string{read("carrier"), read("speed"), read("carrier_up_count"), read("carrier_down_count")}
		if want := []string{tt.carrier, tt.speed, tt.ups, tt.downs}; !slices.Equal(got, want) {
			t.Errorf("%s: carrier, speed, ups, downs %q; want %q", tt.command, got, want)
		}
	}
	for _, command := range []string{"port eth99 down", "port " + port, "port " + port + " sideways", "strike -1", "strike x"} {
		if _, err := h.box.Do(command); err == nil {
			t.Errorf("%s: no error", command)
		}
	}
}
