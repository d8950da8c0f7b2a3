package e2e

import (
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"livebox-agent/agent"
	"livebox-agent/collector/catalogue"
	emulated "livebox-agent/testbench/box"
	"livebox-agent/testbench/cem"
)

// The agent as it is shipped, against boxes of several makes: it finds out by
// itself what there is, the CEM has it, and nothing that tells who lives there
// has left the box.
func TestEachBoxIsMeasuredByItsOwnInterfaces(t *testing.T) {
	t.Parallel()
	air := []catalogue.ID{catalogue.RadioChannel, catalogue.RadioStations, catalogue.StationSignal, catalogue.StationBytesSent}
	dsl := []catalogue.ID{catalogue.LineDownRate, catalogue.LineDownMargin, catalogue.LineRetrains, catalogue.WANStatus}
	pon := []catalogue.ID{catalogue.OpticRxPower, catalogue.OpticBias, catalogue.OpticState, catalogue.WANStatus}
	for _, tt := range []struct {
		model string
		want  []catalogue.ID
	}{
		{"livebox3", append(slices.Clone(dsl), catalogue.RadioChannel, catalogue.RadioStations, catalogue.StationSignal)},
		{"livebox4", append(slices.Clone(dsl), air...)},
		{"livebox4-sfp", append([]catalogue.ID{catalogue.OpticRxPower, catalogue.WANStatus}, air...)},
		{"livebox5", append(slices.Clone(pon), air...)},
		{"livebox6", append(slices.Clone(pon), air...)},
		{"livebox7", append(slices.Clone(pon), air...)},
		{"liveboxW7", append(slices.Clone(pon), air...)},
		{"liveboxS", append(slices.Clone(pon), air...)},
		{"openwrt", append([]catalogue.ID{catalogue.LineDownRate, catalogue.LineDownMargin, catalogue.WANStatus}, air...)},
		{"openwrt-sfp", append([]catalogue.ID{catalogue.WANStatus}, air...)},
		{"prplos", air},
	} {
		t.Run(tt.model, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			home := b.on(t, tt.model)
			b.operatorUp(t)
			p := b.agentUp(t)
			b.await(t, "what the box has", func(s cem.BoxState) bool {
				return !slices.ContainsFunc(tt.want, func(m catalogue.ID) bool {
					return !slices.ContainsFunc(s.Values, func(v cem.Value) bool { return v.Metric == m })
				})
			})
			if err := p.Terminate(patience); err != nil {
				t.Fatal(err)
			}
			s := b.await(t, "clean stop", func(now cem.BoxState) bool { return now.Status.GetCleanStop() && now.Missing() == 0 })
			once(t, s)
			var text strings.Builder
			fmt.Fprintf(&text, "%s %s %+v", protojson.Format(s.Status), b.log, s.Events)
			for _, v := range s.Values {
				text.WriteString(" " + v.Instance)
			}
			for _, secret := range home.Secrets() {
				if secret != "" && strings.Contains(strings.ToLower(text.String()), strings.ToLower(secret)) {
					t.Errorf("%q has left the box", secret)
				}
			}
		})
	}
}

// on puts the agent on an emulated box with stations around it.
func (b *bench) on(t *testing.T, model string) *emulated.Box {
	t.Helper()
	home, where := emulate(t, b.dir, model)
	for key, value := range where {
		b.agent.Set[key] = `"` + value + `"`
	}
	return home
}

// emulate runs an emulated box, and returns it and where it is as keys of the
// configuration.
func emulate(t *testing.T, dir, model string) (*emulated.Box, map[string]string) {
	t.Helper()
	home, err := emulated.New(emulated.Config{Model: model, Seed: 1, Stations: 5, Password: "secret12"})
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(model, "livebox") {
		srv := httptest.NewServer(home.Handler())
		t.Cleanup(srv.Close)
		password := filepath.Join(dir, "password")
		if err := os.WriteFile(password, []byte("secret12\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return home, map[string]string{"sysbus.url": srv.URL, "sysbus.password_file": password}
	}
	socket := filepath.Join(dir, "ubus.sock")
	bus, err := home.ServeUbus(socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bus.Close() })
	return home, map[string]string{"ubus.socket": socket}
}

// A person asks an emulated box by the command line, without a configuration.
func TestSampleAsksTheBoxThatItIsTold(t *testing.T) {
	t.Parallel()
	name, err := program()
	if err != nil {
		t.Fatal(err)
	}
	for model, want := range map[string]string{"livebox5": "Optical.Interface", "openwrt": "DSL.Line"} {
		_, where := emulate(t, t.TempDir(), model)
		args := []string{"sample", "--grant", "all"}
		for key, flag := range map[string]string{"sysbus.url": "--sysbus", "sysbus.password_file": "--sysbus-password", "ubus.socket": "--ubus"} {
			if where[key] != "" {
				args = append(args, flag, where[key])
			}
		}
		out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("livebox-agent %q: %v; want readings of %s in\n%s", args, err, want, out)
		}
	}
	out, err := exec.CommandContext(t.Context(), name, "sample", "--sysbus", "ftp://box").CombinedOutput()
	if err == nil || !strings.Contains(string(out), `--sysbus: url: scheme "ftp" is not http`) {
		t.Errorf("a box that cannot be asked: %v, %s", err, out)
	}
}

// A Livebox tells that its connection changed: it is asked then, not in an hour.
func TestBoxIsAskedWhenItTellsOfAChange(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	home := b.on(t, "livebox5")
	b.agent.Set["sampling.intervals.wan"] = `"1h"`
	b.operatorUp(t)
	p := b.agentUp(t)
	status := func(v int64) func(cem.BoxState) bool {
		return func(s cem.BoxState) bool {
			return slices.ContainsFunc(s.Values, func(have cem.Value) bool { return have.Metric == catalogue.WANStatus && have.Value == v })
		}
	}
	b.await(t, "connection that is up", status(1))
	b.ask(t, p, "question for events", func(agent.Snapshot) bool { return home.Calls()["events"] > 0 })
	home.WAN(false)
	b.await(t, "connection that is down", func(s cem.BoxState) bool { return !status(1)(s) })
}
