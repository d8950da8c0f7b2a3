package budget

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"livebox-agent/agent"
	"livebox-agent/agent/clock"
	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/sysbus"
	"livebox-agent/testbench/box"
)

// home is the emulated box that the agent is measured on beside this machine.
const (
	homeModel    = "livebox7"
	homeStations = 20
	homePassword = "budget12"
)

// sourcesAt returns the sources of a Livebox that have been asked once: how it is
// asked, and how often by default, is known then.
func sourcesAt(ctx context.Context, url, password string) ([]collector.Source, error) {
	bus := sysbus.DefaultConfig()
	bus.URL, bus.PasswordFile = url, password
	sources := agent.Sources(agent.Env{Sysbus: bus, Pseudonym: func([6]byte) string { return "station" }})
	set, err := collector.NewSet(collector.Options{
		Now: clock.Mono, Granted: func(catalogue.Purpose) bool { return true },
	}, sources...)
	if err != nil {
		return nil, err
	}
	set.Once(ctx)
	return sources, nil
}

// livebox watches the agent on an emulated Livebox with stations. The emulator
// is in this process: its work is not the agent's.
func livebox(ctx context.Context, b *bench, program string, span time.Duration) ([]Row, error) {
	home, err := box.New(box.Config{Model: homeModel, Seed: 1, Stations: homeStations, Password: homePassword})
	if err != nil {
		return nil, err
	}
	srv := httptest.NewServer(home.Handler())
	defer srv.Close()
	password := filepath.Join(b.dir, "password")
	if err := os.WriteFile(password, []byte(homePassword+"\n"), 0o600); err != nil {
		return nil, err
	}
	sources, err := sourcesAt(ctx, srv.URL, password)
	if err != nil {
		return nil, err
	}
	cfg, err := b.box(homeModel, program, sources)
	if err != nil {
		return nil, err
	}
	cfg.Set["sysbus.url"] = fmt.Sprintf("%q", srv.URL)
	cfg.Set["sysbus.password_file"] = fmt.Sprintf("%q", password)
	u, err := watch(ctx, b, cfg, span)
	if err != nil {
		return nil, err
	}
	on := fmt.Sprintf(", emulated %s, %d stations", homeModel, homeStations)
	how := u.how()
	// A busy machine makes a tenth of a megabyte of difference: more than what is
	// left of the budget for anonymous memory, and less than of that for all.
	return []Row{
		measured("resident memory"+on, "MB", float64(u.memory.resident)/mega, maxResident, "most of each second; "+how),
		goal("anonymous memory"+on, "MB", float64(u.memory.anonymous)/mega, maxAnonymous, "most of each second; "+how),
		informative("processor time per round"+on, "ms", float64(u.processor.Microseconds())/1000/u.rounds(), how),
	}, nil
}
