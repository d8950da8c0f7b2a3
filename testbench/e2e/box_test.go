package e2e

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

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
			s := b.await(t, "clean stop", func(now cem.BoxState) bool { return now.Status.GetCleanStop() })
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
	home, err := emulated.New(emulated.Config{Model: model, Seed: 1, Stations: 5, Password: "secret12"})
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(model, "livebox") {
		srv := httptest.NewServer(home.Handler())
		t.Cleanup(srv.Close)
		password := filepath.Join(b.dir, "password")
		if err := os.WriteFile(password, []byte("secret12\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		b.agent.Set["sysbus.url"] = `"` + srv.URL + `"`
		b.agent.Set["sysbus.password_file"] = `"` + password + `"`
		return home
	}
	socket := filepath.Join(b.dir, "ubus.sock")
	bus, err := home.ServeUbus(socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bus.Close() })
	b.agent.Set["ubus.socket"] = `"` + socket + `"`
	return home
}

// A Livebox tells that its connection changed: it is asked then, not in an hour.
func TestBoxIsAskedWhenItTellsOfAChange(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	home := b.on(t, "livebox5")
	b.agent.Set["sampling.intervals.wan"] = `"1h"`
	b.operatorUp(t)
	b.agentUp(t)
	status := func(v int64) func(cem.BoxState) bool {
		return func(s cem.BoxState) bool {
			return slices.ContainsFunc(s.Values, func(have cem.Value) bool { return have.Metric == catalogue.WANStatus && have.Value == v })
		}
	}
	b.await(t, "connection that is up", status(1))
	calls := home.Calls()["events"]
	home.WAN(false)
	b.await(t, "connection that is down", func(s cem.BoxState) bool { return !status(1)(s) })
	if calls == 0 {
		t.Error("nobody had asked for events")
	}
}
