package surge

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
)

// ofBox is the box's software as the instance of RestartReason, whatever it is
// asked by.
const ofBox = "box"

// Decoders lists what reads the replies of each platform.
func Decoders() []platform.Decoder {
	return []platform.Decoder{
		{
			Name: "restarts.counters", Platform: platform.Sysbus, Object: "NMC.Reboot", Method: "get",
			Metrics: []catalogue.ID{catalogue.Restarts, catalogue.WatchdogRestarts, catalogue.VersionRestarts},
			Decode:  func(n tree.Node, _ platform.Hint, b *sample.Batch) error { return decodeCounters(n, b) },
		},
		{
			Name: "restarts.log", Platform: platform.Sysbus, Object: "NMC.Reboot.Reboot", Method: "get",
			Metrics: []catalogue.ID{catalogue.RestartReason},
			Decode:  func(n tree.Node, _ platform.Hint, b *sample.Batch) error { return decodeLog(n, b) },
		},
		{
			Name: "restarts.model", Platform: platform.OpenWrt, Object: "Reboot", Method: "_get",
			Metrics: []catalogue.ID{
				catalogue.RestartReason, catalogue.Restarts, catalogue.WatchdogRestarts, catalogue.ColdRestarts, catalogue.WarmRestarts,
			},
			Decode: func(n tree.Node, _ platform.Hint, b *sample.Batch) error { return decodeModel(n, b) },
		},
	}
}

// askSysbus asks a Livebox for its counters and its log of restarts.
func askSysbus(ctx context.Context, bus Sysbus, b *sample.Batch) error {
	before := len(b.Readings)
	n, err := bus.Call(ctx, "NMC.Reboot", "get", map[string]any{})
	if err == nil {
		err = decodeCounters(n, b)
	}
	n, logErr := bus.Call(ctx, "NMC.Reboot.Reboot", "get", map[string]any{})
	if logErr == nil {
		logErr = decodeLog(n, b)
	}
	err = worse(err, logErr)
	if len(b.Readings) > before || err == nil || ctx.Err() != nil {
		return err
	}
	// What needs no login on any box.
	n, deviceErr := bus.Call(ctx, "DeviceInfo", "get", map[string]any{})
	if deviceErr == nil {
		_ = decodeDevice(n, b) // what it says beside is no matter here
	}
	return err
}

// decodeCounters reads the reply of NMC.Reboot.get.
func decodeCounters(n tree.Node, b *sample.Batch) error {
	return counters(n.Get("status"), "NMC.Reboot", b, []counted{
		{"BootCounter", catalogue.Restarts},
		{"WatchdogRebootCounter", catalogue.WatchdogRestarts},
		{"RebootSinceLastUpgrade", catalogue.VersionRestarts},
	})
}

// decodeDevice reads the number of restarts from the reply of DeviceInfo.get,
// which is otherwise asked for what the box is.
func decodeDevice(n tree.Node, b *sample.Batch) error {
	return counters(n.Get("status"), "DeviceInfo", b, []counted{{"NumberOfReboots", catalogue.Restarts}})
}

// counted is a counter of a reply.
type counted struct {
	key    string
	metric catalogue.ID
}

// counters adds those that n has.
func counters(n tree.Node, what string, b *sample.Batch, list []counted) error {
	if !n.IsObject() {
		return fmt.Errorf("%s: no object: %w", what, tree.ErrMalformed)
	}
	before := len(b.Readings)
	var check tree.Check
	for _, c := range list {
		v, ok := check.Uint(n, c.key)
		switch {
		case ok && v <= math.MaxInt32:
			b.Add(c.metric, "", int64(v))
		case ok:
			check.Bad(c.key)
		}
	}
	if err := check.Err(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if len(b.Readings) == before {
		return fmt.Errorf("%s: no counter: %w", what, collector.ErrNoData)
	}
	return nil
}

// decodeLog reads the reply of NMC.Reboot.Reboot.get: one entry for each boot,
// under a number that grows.
func decodeLog(n tree.Node, b *sample.Batch) error {
	log := n.Get("status")
	if !log.IsObject() {
		return fmt.Errorf("NMC.Reboot.Reboot: no object: %w", tree.ErrMalformed)
	}
	boot, before := latest(log, "")
	if !boot.Exists() {
		return fmt.Errorf("NMC.Reboot.Reboot: no boot in the log: %w", collector.ErrNoData)
	}
	var check tree.Check
	reason, ok := check.Text(boot, "BootReason")
	// What the run before said of its end; nothing where the power went.
	shutdown, _ := check.Text(before, "ShutdownReason")
	if ok && reason != "" {
		b.Add(catalogue.RestartReason, ofBox, bootReason(reason, shutdown))
	}
	if err := check.Err(); err != nil {
		return fmt.Errorf("NMC.Reboot.Reboot: %w", err)
	}
	if !ok || reason == "" {
		return fmt.Errorf("NMC.Reboot.Reboot: no reason: %w", collector.ErrNoData)
	}
	return nil
}

// latest returns the entries of n with the highest number and the one before
// it, of those whose key is prefix, a number and perhaps a dot.
func latest(n tree.Node, prefix string) (last, before tree.Node) {
	high, second := -1, -1
	n.Each(func(key string, entry tree.Node) {
		number, ok := strings.CutPrefix(strings.TrimSuffix(key, "."), prefix)
		i, err := strconv.Atoi(number)
		if !ok || err != nil || i < 0 || !entry.IsObject() {
			return
		}
		switch {
		case i > high:
			second, before = high, last
			high, last = i, entry
		case i > second:
			second, before = i, entry
		}
	})
	return last, before
}

// bootReason says what a Livebox's BootReason means, with what the run before
// said of its end.
func bootReason(reason, shutdown string) int64 {
	switch reason {
	case "POR":
		if shutdown == "" {
			return catalogue.RestartPowerOn
		}
		return planned(shutdown)
	case "NMC", "TimedReboot":
		return planned(shutdown)
	case "Watchdog":
		return catalogue.RestartWatchdog
	case "Oops":
		return catalogue.RestartCrash
	case "Ext.HW", "PCIE":
		return catalogue.RestartExternal
	case "WakeUp":
		return catalogue.RestartWakeUp
	}
	return catalogue.RestartUnknown
}

// planned says who asked for a restart, by the words in which it was noted.
func planned(words string) int64 {
	words = strings.ToLower(words)
	switch {
	case hasAny(words, "upgrade", "update", "firmware"):
		return catalogue.RestartUpgrade
	case hasAny(words, "gui", "user", "button", "local"):
		return catalogue.RestartUser
	}
	return catalogue.RestartPlanned
}

func hasAny(s string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

// askModel asks the data model of prplOS, which answers with three values: the
// result, what the method changed of its parameters, and how it went.
func askModel(ctx context.Context, m Model, b *sample.Batch) error {
	values, err := m.Values(ctx, "Reboot", "_get", nil)
	if err != nil {
		return err
	}
	if len(values) == 0 {
		return fmt.Errorf("Reboot._get: no value: %w", collector.ErrNoData) //nolint:staticcheck // the object's name
	}
	if code, ok := values[len(values)-1].Get("amxd-error-code").Int(); ok && code != 0 {
		return fmt.Errorf("Reboot._get: error %d of the data model", code) //nolint:staticcheck // the object's name
	}
	return decodeModel(values[0], b)
}

// decodeModel reads the result of Reboot._get.
func decodeModel(n tree.Node, b *sample.Batch) error {
	if !n.IsObject() {
		return fmt.Errorf("Reboot._get: no object: %w", tree.ErrMalformed) //nolint:staticcheck // the object's name
	}
	totals := n.Get("Reboot.")
	err := counters(totals, "Reboot.", b, []counted{
		{"BootCounter", catalogue.Restarts},
		{"WatchdogRebootCounter", catalogue.WatchdogRestarts},
		{"ColdBootCount", catalogue.ColdRestarts},
		{"WarmBootcount", catalogue.WarmRestarts}, // the spelling is prplOS's
	})
	boot, _ := latest(n, "Reboot.Reboot.")
	var check tree.Check
	words, _ := check.Text(boot, "BootReason")
	cycle, _ := check.Text(totals, "X_PRPL-COM_CurrentBootCycle")
	if reason, ok := modelReason(words, cycle); ok {
		b.Add(catalogue.RestartReason, ofBox, reason)
	}
	return worse(err, check.Err())
}

// modelReason says what the words of a BootReason mean. The boot cycle, Cold or
// Warm, says whether the power had been away.
func modelReason(words, cycle string) (reason int64, ok bool) {
	w := strings.ToLower(words)
	switch {
	case hasAny(w, "watchdog"):
		return catalogue.RestartWatchdog, true
	case hasAny(w, "panic", "oops", "crash", "exception"):
		return catalogue.RestartCrash, true
	case hasAny(w, "brown", "undervoltage", "under-voltage"):
		return catalogue.RestartBrownOut, true
	case hasAny(w, "overheat", "thermal", "temperature"):
		return catalogue.RestartOverheat, true
	case hasAny(w, "planned", "upgrade") && !hasAny(w, "unplanned"):
		return planned(w), true
	case w == "por", hasAny(w, "power"), cycle == "Cold":
		return catalogue.RestartPowerOn, true
	}
	return catalogue.RestartUnknown, words != ""
}
