package uplink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"livebox-agent/uplink/wire"
)

// Options is what the program around the uplink sets.
type Options struct {
	Log *slog.Logger
	// Box is the pseudonymous name of the box: the client id, and part of each
	// topic.
	Box string
	// Queue has the reports.
	Queue Queue
	// Status builds the payload for the status topic: of a box that is online,
	// or of one that stops as it should.
	Status func(online bool) []byte
	// Will is the payload that the broker publishes there when the box is gone
	// without a farewell.
	Will []byte
	// ClockKnown tells whether the wall clock can be relied on; nil: always.
	ClockKnown func() bool
	// Metered tells whether the box's connection is paid for by what it carries,
	// for Config.Metered = MeteredAuto; nil: never. Where it changes,
	// StatusChanged says that it is worth a look.
	Metered func() bool
	// OnHealth is told when a health state turns bad, gets another detail, or
	// turns good. It is called from the goroutine of Run and must not wait.
	OnHealth func(code string, bad bool, detail string)
	// Warm says that the box has been running for a while: only the agent
	// started, and the wait after power return is left out.
	Warm bool

	// Now is the wall clock by which certificates are checked; nil: time.Now.
	Now func() time.Time
	// Rand jitters; nil: one with a seed of its own.
	Rand *rand.Rand
	// Dial opens the connection to the broker; nil: TCP.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// A State is what the uplink does at this moment.
type State string

// The states.
const (
	StateWaiting    State = "waiting" // for the next attempt
	StateConnecting State = "connecting"
	StateOnline     State = "online"
	StateStopped    State = "stopped" // Run is not running
)

// Stats counts since New. A report that is sent twice counts twice as
// Published and Pubacked.
type Stats struct {
	State State
	// LastFailure is the last reason for having no connection, for people.
	LastFailure string
	Attempts    uint64           // to connect
	Connects    uint64           // attempts that came to a connection
	Failures    map[Class]uint64 // of attempts and connections
	Waits       uint64           // before attempts
	Waited      time.Duration    // their sum, as drawn
	Published   uint64           // reports handed to the connection
	Pubacked    uint64           // reports that the broker accepted
	// Metered says that windows wait for another connection.
	Metered bool
	// Acknowledged is how many reports have left the queue.
	Acknowledged uint64
	Refused      uint64 // times that a report was passed over: too long, or not to be built
	Acks         uint64 // of the CEM, understood
	AcksIgnored  uint64 // garbage, wrong topic, or more than could be taken in
	// BytesUp and BytesDown are those of TCP's payload, TLS included.
	BytesUp, BytesDown uint64
}

// An Uplink delivers the reports of one box. Run may be called once.
type Uplink struct {
	cfg         Config
	o           Options
	log         *slog.Logger
	broker      *url.URL
	application bool
	pace        pacer
	line        pace // of everything, over connections

	backoff  Backoff
	standing Standing
	lanes    [2]lane           // events, windows
	states   map[string]string // details of the bad health states
	class    Class             // of the last failure, empty while connected

	statusChanged chan struct{} // capacity 1

	bytesUp, bytesDown atomic.Uint64
	mu                 sync.Mutex // guards stats
	stats              Stats
}

// New returns an Uplink. It reads no file and no network: bad certificates
// are found by Run, which reports them and tries again.
func New(cfg Config, o Options) (*Uplink, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	switch {
	case o.Log == nil || o.Queue == nil || o.Status == nil || len(o.Will) == 0:
		return nil, errors.New("uplink: Log, Queue, Status and Will must be set")
	case !ValidBox(o.Box):
		return nil, fmt.Errorf("uplink: box %q: only letters, digits, - and _, at most 64", o.Box)
	}
	if o.OnHealth == nil {
		o.OnHealth = func(string, bool, string) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	if o.Dial == nil {
		o.Dial = dialTCP
	}
	broker, err := parseBroker(cfg.Broker)
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	u := &Uplink{
		cfg: cfg, o: o, log: o.Log, broker: broker,
		application:   cfg.Acknowledgement == AckApplication,
		pace:          pacer{rate: cfg.BacklogRate, bytes: cfg.BacklogBytes, all: cfg.Bandwidth, resend: cfg.ResendAfter, rand: o.Rand},
		backoff:       Backoff{First: FirstWait, Ceiling: cfg.BackoffMax, Rand: o.Rand},
		states:        map[string]string{},
		statusChanged: make(chan struct{}, 1),
		stats:         Stats{State: StateStopped, Failures: map[Class]uint64{}},
	}
	u.line.ahead = u.pace.burst()
	for i, id := range []wire.Lane{wire.Events, wire.Windows} {
		u.lanes[i] = lane{id: id, queue: o.Queue}
	}
	return u, nil
}

// ValidBox tells whether s can be a client id, a level of an MQTT topic, and
// a token of a NATS subject.
func ValidBox(s string) bool {
	const set = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	return s != "" && len(s) <= 64 &&
		!strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune(set, r) })
}

// Run connects and delivers until ctx is done, whatever happens on the way,
// and then returns nil within a few seconds.
func (u *Uplink) Run(ctx context.Context) error {
	defer u.state(StateStopped)
	if u.broker.Scheme == "tls" {
		// Said now, not after the first wait.
		if _, err := u.cfg.readCredentials(); err != nil {
			u.down(u.failed("connect", err, ClassCertificate))
		}
	} else {
		u.health(wire.HealthNotEncrypted, true, "broker is "+u.cfg.Broker+": use tls:// outside of a laboratory")
		u.log.Warn("uplink is not encrypted", "broker", u.cfg.Broker)
	}
	wait := u.backoff.PowerReturn(u.cfg.PowerReturnWait)
	if u.o.Warm {
		wait = u.backoff.Restart(u.cfg.PowerReturnWait)
	}
	for u.pause(ctx, wait) {
		up, err := u.connection(ctx)
		if ctx.Err() != nil || err == nil {
			break
		}
		u.down(err)
		wait = u.backoff.Next(&u.standing, up, err.Class.refused())
	}
	return nil
}

// pause waits for d. It is false when ctx is done. Nothing shortens it: what a
// box could be told, that its WAN came up, a whole region is told at once.
func (u *Uplink) pause(ctx context.Context, d time.Duration) bool {
	u.state(StateWaiting)
	u.count(func(s *Stats) { s.Waits++; s.Waited += d })
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}

// connection makes one connection, and uses it for as long as it lasts.
func (u *Uplink) connection(ctx context.Context) (up time.Duration, err *Error) {
	u.state(StateConnecting)
	u.count(func(s *Stats) { s.Attempts++ })
	l, err := u.open(ctx)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	u.count(func(s *Stats) { s.Connects++; s.State = StateOnline })
	u.class = ""
	u.health(wire.HealthUplinkDown, false, "")
	u.log.Info("uplink connected", "broker", u.cfg.Broker)
	err = u.serve(ctx, l)
	return time.Since(start), err
}

// down takes in why there is no connection.
func (u *Uplink) down(err *Error) {
	u.count(func(s *Stats) { s.Failures[err.Class]++; s.LastFailure = err.Error() })
	u.health(wire.HealthUplinkDown, true, err.Error())
	if u.class != err.Class { // not every attempt
		u.class = err.Class
		u.log.Warn("uplink down", "class", string(err.Class), "err", err)
	}
}

// health notes a health state and says it where it is news.
func (u *Uplink) health(code string, bad bool, detail string) {
	old, was := u.states[code]
	if bad == was && (!bad || old == detail) {
		return
	}
	if bad {
		u.states[code] = detail
	} else {
		delete(u.states, code)
		detail = ""
	}
	u.o.OnHealth(code, bad, detail)
}

// StatusChanged has the status published again, soon.
func (u *Uplink) StatusChanged() { poke(u.statusChanged) }

func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Stats returns what has been counted.
func (u *Uplink) Stats() Stats {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := u.stats
	s.Failures = maps.Clone(s.Failures)
	s.Metered = u.metered()
	s.BytesUp, s.BytesDown = u.bytesUp.Load(), u.bytesDown.Load()
	return s
}

// metered tells whether only events are to be sent.
func (u *Uplink) metered() bool {
	switch u.cfg.Metered {
	case MeteredAlways:
		return true
	case MeteredNever:
		return false
	}
	return u.o.Metered != nil && u.o.Metered()
}

func (u *Uplink) count(f func(*Stats)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	f(&u.stats)
}

func (u *Uplink) state(s State) { u.count(func(st *Stats) { st.State = s }) }

// lane returns the lane of that number, nil where there is none.
func (u *Uplink) lane(id wire.Lane) *lane {
	for i := range u.lanes {
		if u.lanes[i].id == id {
			return &u.lanes[i]
		}
	}
	return nil
}

// topic returns the topic of the box with that last level.
func (u *Uplink) topic(last string) string { return "cem/v1/" + u.o.Box + "/" + last }
