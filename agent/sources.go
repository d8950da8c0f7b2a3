package agent

import (
	"context"
	"log/slog"
	"time"

	"livebox-agent/agent/clock"
	"livebox-agent/agent/config"
	"livebox-agent/agent/consent"
	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	dsl "livebox-agent/collector/line"
	"livebox-agent/collector/netdev"
	"livebox-agent/collector/optics"
	"livebox-agent/collector/platform/sysbus"
	"livebox-agent/collector/platform/ubus"
	"livebox-agent/collector/probe"
	"livebox-agent/collector/sample"
	"livebox-agent/collector/sensors"
	"livebox-agent/collector/surge"
	"livebox-agent/collector/vitals"
	"livebox-agent/collector/wan"
	"livebox-agent/collector/wifi"
)

// A Box is all that is asked of one box.
type Box struct {
	Sources  []collector.Source
	Watchers []collector.Watcher
	// Restart returns what the box says of its last restart, until ctx is done,
	// and who could not say anything, with the reason; nil: no one is asked.
	Restart func(ctx context.Context) (signs []sample.Sign, unseen []string)
	// Port tells whether an interface is a port, into which someone plugs a
	// cable; nil: each is.
	Port func(instance string) bool
}

// Env is what sources and watchers need of the agent.
type Env struct {
	Log *slog.Logger
	// Hasten has sources asked now, by name.
	Hasten func(names ...string)
	// StateDir is the directory whose free space is reported.
	StateDir string
	// Pseudonym names a station under the key of the purpose Personalised;
	// empty where that is not granted.
	Pseudonym func(mac [6]byte) string
	// Sysbus says how a Livebox's own software is asked; without a URL it is
	// not.
	Sysbus sysbus.Config
	// Ubus is the socket of OpenWrt's bus; empty: where OpenWrt has it.
	Ubus string
	// Ports are interfaces that count as ports although software makes them.
	Ports []string
	// Protection are the contacts of surge protection devices (surge.Config).
	Protection []string
	// Probe says to whom probes are sent; without a reflector none are.
	Probe probe.Config
	// Since is the time since boot before which messages of the kernel are
	// counted and not told.
	Since time.Duration
	// Sys and Dev are where sysfs is and where the devices are, for boxes that
	// are emulated; empty means /sys and /dev.
	Sys, Dev string
}

// environment is what a configuration says of the box.
func environment(c config.Config) Env {
	return Env{
		StateDir: c.Box.StateDir, Sysbus: c.Sysbus, Ubus: c.Ubus.Socket,
		Ports: c.Surge.Ports, Protection: c.Surge.Protection, Probe: c.Probe,
	}
}

// Sources returns every source that the agent knows.
func Sources(e Env) []collector.Source { return ThisBox(e).Sources }

// ThisBox returns all that the agent knows to ask a box, and to hear from it.
// Each finds out by itself what this box has: the kernel's own interfaces first
// where they tell more, then the bus of the box's software. Those that the box
// does not have say so when they are asked.
func ThisBox(e Env) Box {
	// Each source has a connection of its own: one that hangs holds up no other.
	bus := func() *ubus.Conn { return ubus.Dial(e.Ubus) }
	l := dsl.Config{Ubus: bus()}
	o := optics.Config{Sys: e.Sys}
	ports := netdev.Config{Sys: e.Sys, Ports: e.Ports}
	power := surge.Config{Sys: e.Sys, Dev: e.Dev, Model: bus(), Since: e.Since, Protection: e.Protection}
	w := wan.Config{Ubus: bus()}
	joins := wifi.NewJoins(wifi.JoinsConfig{Ubus: e.Ubus})
	radios := []collector.Source{wifi.NewRadios(wifi.Dial, joins)}
	stations := []collector.Source{wifi.NewStations(wifi.Dial, e.Pseudonym)}
	var more []collector.Source
	links := netdev.NewLinks(ports)
	watchers := []collector.Watcher{links}
	if e.Sysbus.URL != "" {
		box, err := sysbus.New(e.Sysbus, sysbus.Options{Log: e.Log})
		if err != nil {
			panic("BUG: a configuration of sysbus that was not checked: " + err.Error())
		}
		l.Sysbus, o.Sysbus, w.Sysbus, power.Sysbus = box, box, box, box
		o.Box = func(ctx context.Context) optics.Box {
			b, err := box.Box(ctx)
			if err != nil {
				return optics.Box{} // the units are then told by the reply itself
			}
			return optics.Box{Generation: b.Generation, PON: b.PON}
		}
		air := wifi.NewSysbus(box)
		radios = append(radios, air.NewRadios())
		stations = append(stations, air.NewStations(e.Pseudonym))
		more = append(more, air.NewTemperatures())
		watchers = append(watchers, changes{box, e.Hasten})
	}
	radios = append(radios, wifi.NewPrplRadios(bus()), wifi.NewIwinfoRadios(bus(), joins))
	stations = append(stations, wifi.NewPrplStations(bus(), e.Pseudonym), wifi.NewIwinfoStations(bus(), e.Pseudonym))
	alarms := sensors.NewAlarms(e.Sys, nil, optics.Owns)
	b := Box{
		Sources: append([]collector.Source{
			vitals.NewSystem(e.StateDir),
			vitals.NewLoad(""),
			sensors.New(e.Sys, optics.Owns),
			alarms,
			netdev.NewPorts(ports),
			netdev.NewTraffic(ports),
			dsl.New(l),
			optics.New(o),
			wan.New(w),
			prober(e.Probe, netdev.NewLoad("")),
			collector.NewFirst(radios...),
			collector.NewFirst(stations...),
		}, append(more, surge.Sources(power)...)...),
		Watchers: append(watchers, joins),
		Port:     links.Has,
		Restart:  func(ctx context.Context) ([]sample.Sign, []string) { return surge.Restart(ctx, power) },
	}
	for _, s := range b.Sources {
		if w, ok := s.(collector.Watcher); ok {
			b.Watchers = append(b.Watchers, w)
		}
	}
	return b
}

// prober returns the source that sends probes, while the line carries little.
func prober(c probe.Config, line *netdev.Load) *probe.Source {
	if c.Reflector == "" {
		c = probe.DefaultConfig()
	}
	s, err := probe.New(c, probe.Options{Load: line.Rates})
	if err != nil {
		panic("BUG: a configuration of probes that was not checked: " + err.Error())
	}
	return s
}

// heardSince is the time since boot before which the kernel's messages are
// history: all of them, but for those after a restart that nobody had asked
// for.
func (a *Agent) heardSince() time.Duration {
	if a.unasked() {
		return 0
	}
	return a.clock.Mono()
}

// SourceNames returns the names of all sources that any box may have.
func SourceNames() []string {
	var names []string
	for _, s := range Sources(Env{Sysbus: sysbus.DefaultConfig()}) {
		names = append(names, s.Describe().Name)
	}
	return names
}

// paced is a source whose default interval depends on the box.
type paced interface{ Interval() time.Duration }

// SampleOnce asks every source of this machine whose purpose is granted, and
// says of the others why not. Stations have pseudonyms that no one can repeat.
func SampleOnce(ctx context.Context, granted consent.Set, cfg config.Config) ([]collector.Outcome, error) {
	keys := consent.NewKeys(granted)
	e := environment(cfg)
	e.Pseudonym = func(mac [6]byte) string { return keys.Pseudonym(catalogue.Personalised, mac) }
	set, err := collector.NewSet(collector.Options{Now: clock.Mono, Granted: granted.Has}, Sources(e)...)
	if err != nil {
		return nil, err
	}
	return set.Once(ctx), nil
}
