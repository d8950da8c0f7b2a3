package agent

import (
	"context"

	"livebox-agent/agent/clock"
	"livebox-agent/agent/consent"
	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/netdev"
	"livebox-agent/collector/sensors"
	"livebox-agent/collector/vitals"
	"livebox-agent/collector/wifi"
)

// Env is what sources need of the agent.
type Env struct {
	// StateDir is the directory whose free space is reported.
	StateDir string
	// Pseudonym names a station under the key of the purpose Personalised;
	// empty where that is not granted.
	Pseudonym func(mac [6]byte) string
}

// Sources returns every source that the agent knows, for the kernel of this
// machine. Those that the box does not have say so when they are asked.
func Sources(e Env) []collector.Source {
	return []collector.Source{
		vitals.NewSystem(e.StateDir),
		vitals.NewLoad(""),
		sensors.New(""),
		netdev.NewPorts(netdev.Config{}),
		netdev.NewTraffic(netdev.Config{}),
		wifi.NewRadios(wifi.Dial),
		wifi.NewStations(wifi.Dial, e.Pseudonym),
	}
}

// SampleOnce asks every source of this machine whose purpose is granted, and
// says of the others why not. Stations have pseudonyms that no one can repeat.
func SampleOnce(ctx context.Context, granted consent.Set, stateDir string) ([]collector.Outcome, error) {
	keys := consent.NewKeys(granted)
	set, err := collector.NewSet(collector.Options{Now: clock.Mono, Granted: granted.Has}, Sources(Env{
		StateDir:  stateDir,
		Pseudonym: func(mac [6]byte) string { return keys.Pseudonym(catalogue.Personalised, mac) },
	})...)
	if err != nil {
		return nil, err
	}
	return set.Once(ctx), nil
}
