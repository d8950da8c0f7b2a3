package storm

import (
	"math/rand/v2"
	"time"

	"livebox-agent/uplink"
)

// A Policy says when each box of a fleet tries to connect.
type Policy interface {
	// Name is how the policy is called in tables and pictures.
	Name() string
	// Start is the wait of a box whose power returned before its first attempt.
	Start(box int32) time.Duration
	// Next is the wait after an attempt that failed, or, where up is not 0,
	// after a connection that lasted so long.
	Next(box int32, up time.Duration) time.Duration
	// Notice is how long a box takes to notice that the other side is gone
	// without a word.
	Notice(box int32) time.Duration
	// RetryAfter tells a box what the server asks for. A policy that knows of
	// no such thing does nothing.
	RetryAfter(box int32, d time.Duration)
}

// random returns the generator of a policy.
func random(seed, stream uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, stream)) }

// An Agent is the policy of the agent: the uplink's own code.
type Agent struct {
	name      string
	backoff   uplink.Backoff
	cfg       uplink.Config
	standings []uplink.Standing
}

// NewAgent is the agent as its configuration has it, for so many boxes.
func NewAgent(cfg uplink.Config, boxes int, seed uint64) *Agent {
	return &Agent{
		name:      "agent",
		backoff:   uplink.Backoff{First: uplink.FirstWait, Ceiling: cfg.BackoffMax, Rand: random(seed, 1)},
		cfg:       cfg,
		standings: make([]uplink.Standing, boxes),
	}
}

// With is the agent with another first wait and another wait after the return
// of power, under a name that says so.
func (a *Agent) With(name string, first, start time.Duration) *Agent {
	a.name, a.backoff.First, a.cfg.PowerReturnWait = name, first, start
	return a
}

// Name returns the name.
func (a *Agent) Name() string { return a.name }

// Start draws the wait after power returned.
func (a *Agent) Start(int32) time.Duration { return a.backoff.PowerReturn(a.cfg.PowerReturnWait) }

// Next draws the next wait.
func (a *Agent) Next(box int32, up time.Duration) time.Duration {
	return a.backoff.Next(&a.standings[box], up, false)
}

// Notice is at the PUBACK that does not come for the next report; reports of
// different boxes are spread over the keepalive, which is the default window.
func (a *Agent) Notice(int32) time.Duration {
	return time.Duration(a.backoff.Rand.Int64N(int64(a.cfg.KeepAlive))) + a.cfg.PubackTimeout
}

// RetryAfter notes what the server asks for.
func (a *Agent) RetryAfter(box int32, d time.Duration) { a.standings[box].RetryAfter(d) }

// steady is how long a connection must have lasted for a Doubling to begin
// again.
const steady = time.Minute

// A Doubling is a policy whose waits double, from First to Most, each moved by
// a random share of at most Jitter up or down. After the return of power its
// boxes try at once.
type Doubling struct {
	// Called is its name.
	Called      string
	First, Most time.Duration
	Jitter      float64
	// AtOnce has the first attempt after a lost connection made without a wait.
	AtOnce bool

	// KeepAlive and PingTimeout bound how long a dead connection goes unnoticed.
	KeepAlive, PingTimeout time.Duration

	rand     *rand.Rand
	failures []uint8
}

// NewPaho is what the MQTT library does by itself (eclipse paho.mqtt.golang
// 1.5.1, AutoReconnect): at once, then after 1 s, 2 s, 4 s, … 10 min, every box
// the same. Its first connection is not tried again by default; here it is, by
// the same row.
func NewPaho(boxes int, seed uint64) *Doubling {
	return &Doubling{
		Called: "paho", First: time.Second, Most: 10 * time.Minute, AtOnce: true,
		KeepAlive: 30 * time.Second, PingTimeout: 10 * time.Second,
		rand: random(seed, 4), failures: make([]uint8, boxes),
	}
}

// NewQuarter is what SDKs of the AWS kind do: 1 s, 2 s, … 128 s, each a quarter
// longer or shorter.
func NewQuarter(boxes int, seed uint64) *Doubling {
	return &Doubling{
		Called: "25 % jitter", First: time.Second, Most: 128 * time.Second, Jitter: 0.25,
		KeepAlive: 30 * time.Second, PingTimeout: 10 * time.Second,
		rand: random(seed, 2), failures: make([]uint8, boxes),
	}
}

// Name returns the name.
func (d *Doubling) Name() string { return d.Called }

// Start is at once.
func (d *Doubling) Start(int32) time.Duration { return 0 }

// Next is the next wait of the row.
func (d *Doubling) Next(box int32, up time.Duration) time.Duration {
	if up >= steady {
		d.failures[box] = 0
		if d.AtOnce {
			return 0
		}
	}
	n := d.failures[box]
	d.failures[box] = min(n+1, 30)
	wait := min(d.First<<n, d.Most)
	if d.Jitter > 0 {
		wait += time.Duration(d.Jitter * (2*d.rand.Float64() - 1) * float64(wait))
	}
	return wait
}

// Notice is at a ping that is not answered. Pings of different boxes are
// spread over the keepalive.
func (d *Doubling) Notice(int32) time.Duration {
	return time.Duration(d.rand.Int64N(int64(d.KeepAlive))) + d.PingTimeout
}

// RetryAfter does nothing: MQTT 3.1.1 has no such thing.
func (d *Doubling) RetryAfter(int32, time.Duration) {}
