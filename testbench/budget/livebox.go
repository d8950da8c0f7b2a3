package budget

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"livebox-agent/testbench/box"
)

// home is the emulated box that the agent is measured on beside this machine.
const (
	homeModel    = "livebox7"
	homeStations = 20
	homePassword = "budget12"
)

// livebox watches the agent on an emulated Livebox with stations. The emulator
// is in this process: its work is not the agent's.
func livebox(ctx context.Context, b *bench, program string, span time.Duration) ([]Row, error) {
	home, err := box.New(box.Config{Model: homeModel, Seed: 1, Stations: homeStations, Password: homePassword})
	if err != nil {
		return nil, err
	}
	srv := httptest.NewServer(home.Handler())
	defer srv.Close()
	cfg, err := b.box(homeModel, program)
	if err != nil {
		return nil, err
	}
	password := filepath.Join(b.dir, "password")
	if err := os.WriteFile(password, []byte(homePassword+"\n"), 0o600); err != nil {
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
