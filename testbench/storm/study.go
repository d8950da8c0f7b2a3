package storm

import (
	"runtime"
	"sync"
	"time"

	"livebox-agent/uplink"
)

// A Case is one scenario and the policies that are compared in it.
type Case struct {
	// Name is that of its pictures, Title tells what happens.
	Name, Title string
	Scenario    Scenario
	Policies    []func(sc Scenario) Policy
	// Pictures has curves drawn.
	Pictures bool
}

// The fleet and its brokers.
const (
	street  = 64
	town    = 10_000
	region  = 1_000_000
	country = 12_000_000

	// listener is what one broker takes, in connects per second, and cluster
	// what the country has: everyone within a quarter of an hour.
	listener = 1000
	cluster  = 13_600

	// queued is how much work waits before a broker refuses, in seconds:
	// Linux' 4096 connections for one listener.
	queued = 4
	// patience is how long a box waits for a connection.
	patience = 20 * time.Second
	// reset and afterTLS are what a refusal costs: a reset by a load balancer,
	// and an answer after the handshake.
	reset, afterTLS = 0.02, 0.3
)

// model is a broker that connects so many boxes a second.
func model(rate float64) Broker {
	return Broker{Rate: rate, Queue: queued * rate, RefusalCost: reset, Patience: patience}
}

func agentPolicy(sc Scenario) Policy { return NewAgent(uplink.DefaultConfig(), sc.Boxes, sc.Seed) }

// agentBefore is the agent with the waits that were first thought right.
func agentBefore(sc Scenario) Policy {
	return NewAgent(uplink.DefaultConfig(), sc.Boxes, sc.Seed).With("agent, 2 s and 5 min", 2*time.Second, 5*time.Minute)
}

// agentEager is the agent with a ceiling of five minutes.
func agentEager(sc Scenario) Policy {
	cfg := uplink.DefaultConfig()
	cfg.BackoffMax = 5 * time.Minute
	return NewAgent(cfg, sc.Boxes, sc.Seed).With("agent, at most 5 min", uplink.FirstWait, cfg.PowerReturnWait)
}

func pahoPolicy(sc Scenario) Policy    { return NewPaho(sc.Boxes, sc.Seed) }
func quarterPolicy(sc Scenario) Policy { return NewQuarter(sc.Boxes, sc.Seed) }

// Cases lists what is studied. divide makes fleets and brokers smaller by that
// factor, for tests.
func Cases(seed uint64, divide int) []Case {
	all := []func(Scenario) Policy{agentPolicy, agentBefore, pahoPolicy, quarterPolicy}
	agentOnly := all[:1]
	cases := []Case{
		{"street", "Power returns to a street", Scenario{Boxes: street, Broker: model(listener), Horizon: time.Hour}, all, false},
		{"town", "Power returns to a town", Scenario{Boxes: town, Broker: model(listener), Horizon: time.Hour}, all, false},
		{"region", "Power returns to a region", Scenario{Boxes: region, Broker: model(listener), Horizon: time.Hour}, all, false},
		{"country", "Power returns to the country", Scenario{Boxes: country, Broker: model(cluster), Horizon: time.Hour}, all, true},
		{"restart", "A broker of a region restarts in a minute", Scenario{Boxes: region, Broker: model(listener), Fall: Reset, Horizon: time.Hour}, all, true},
		{"silent", "The same, and its end is not heard", Scenario{Boxes: region, Broker: model(listener), Fall: Silent, Horizon: time.Hour}, all, false},
		{"announced", "The same, and it told each box before, by retry_after, when to come back", Scenario{
			Boxes: region, Broker: model(listener), Fall: Announced, Spread: 20 * time.Minute, Horizon: time.Hour,
		}, agentOnly, false},
		{"outage", "A broker of a region is dead for four hours", Scenario{Boxes: region, Broker: model(listener), Fall: Reset, Horizon: 6 * time.Hour}, all, true},
		{"refusals", "Power returns to a region whose broker refuses after TLS", Scenario{
			Boxes: region, Broker: model(listener), Horizon: 2 * time.Hour,
		}, []func(Scenario) Policy{agentPolicy, agentBefore, agentEager, pahoPolicy, quarterPolicy}, false},
		{"shed", "The same, and it says retry_after in place of refusing", Scenario{
			Boxes: region, Broker: model(listener), Horizon: 2 * time.Hour,
		}, agentOnly, false},
	}
	for i := range cases {
		sc := &cases[i].Scenario
		sc.Seed = seed
		switch cases[i].Name {
		case "restart", "silent", "announced":
			sc.Broker.Down = time.Minute
		case "outage":
			sc.Broker.Down = 4 * time.Hour
		case "refusals":
			sc.Broker.RefusalCost = afterTLS
		case "shed":
			sc.Broker.RefusalCost = afterTLS
			sc.Broker.Shed, sc.Broker.ShedCost = queued*time.Second/4, afterTLS
		}
		sc.Boxes = max(1, sc.Boxes/divide)
		sc.Broker.Rate /= float64(divide)
		sc.Broker.Queue /= float64(divide)
	}
	return cases
}

// Run simulates the policies of a case, as many at once as there are
// processors.
func (c Case) Run() []*Result {
	results := make([]*Result, len(c.Policies))
	free := make(chan struct{}, runtime.GOMAXPROCS(0))
	var running sync.WaitGroup
	for i, make := range c.Policies {
		free <- struct{}{}
		running.Go(func() {
			results[i] = Simulate(c.Scenario, make(c.Scenario))
			<-free
		})
	}
	running.Wait()
	return results
}
