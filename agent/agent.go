package agent

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"livebox-agent/agent/allowance"
	"livebox-agent/agent/clock"
	"livebox-agent/agent/config"
	"livebox-agent/agent/consent"
	"livebox-agent/agent/detect"
	"livebox-agent/agent/episode"
	"livebox-agent/agent/kept"
	"livebox-agent/agent/rollcall"
	"livebox-agent/agent/window"
	"livebox-agent/buffer"
	"livebox-agent/buffer/durable"
	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
	"livebox-agent/collector/wan"
	"livebox-agent/uplink"
	"livebox-agent/uplink/wire"
)

// restartPatience bounds the wait for what the box says of its restart: its bus
// may come up after the agent, and the first report must not wait for ever.
const restartPatience = 10 * time.Second

// drain bounds the wait for the backend at a stop that could not store.
const drain = 5 * time.Second

// Options are what the program gives to the agent, beside the configuration.
type Options struct {
	Log     *slog.Logger
	Version string
	// Host is where time comes from; the zero value is this machine.
	Host clock.Host
	// Box says what is asked; nil: ThisBox.
	Box func(Env) Box
	// Dial opens the connection to the broker; nil: TCP.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// An Agent is one run of the daemon.
type Agent struct {
	cfg        config.Config
	log        *slog.Logger
	version    string
	clock      *clock.Clock
	granted    consent.Set
	keys       *consent.Keys
	root       *os.Root // the state directory; nil: it cannot be used
	usual      *kept.File[[]detect.Baseline]
	links      *kept.File[[]rollcall.Mark]
	store      *buffer.Store
	set        *collector.Set
	watchers   *collector.Watchers
	restart    func(context.Context) ([]sample.Sign, []string)
	dial       func(ctx context.Context, network, addr string) (net.Conn, error) // nil: TCP
	health     *health
	purposes   map[string]catalogue.Purpose // of the sources and watchers, by name
	paced      map[string]paced             // sources whose interval depends on the box, by name
	introduced chan struct{}                // closed: the first event of the run is in the store
	full       chan struct{}                // the open window should be sealed early
	conditions chan buffer.Condition        // of the store, to be told

	control net.Listener         // nil: no one can ask
	line    atomic.Pointer[line] // nil until the certificate could be read

	metered atomic.Bool // the connection runs over a mobile network

	heap         heap // of take alone, while it runs
	readings     atomic.Uint64
	windowsAcked atomic.Uint64

	signs     chan sample.Sign   // that wait to become events
	signsLost atomic.Uint64      // that found no room there
	missed    chan []sample.Sign // what is missed since a restart, to become an event

	mu     sync.Mutex // guards what follows; never held while the store is written
	window window.Recorder
	opened time.Duration
	// recordings bounds those that are asked for.
	recordings allowance.Allowance
	gatherer   *episode.Gatherer

	detectors *detect.Detectors // guarded by mu

	roll      *rollcall.Roll // guarded by mu
	restarted []sample.Sign  // what the box said of its restart; guarded by mu

	order     sync.Mutex             // makes reports enter the store in the order of their numbers
	sequences map[buffer.Lane]uint64 // last given; guarded by order

	cleanStop atomic.Bool
}

// New prepares a run: it opens the state directory, counts the run, and makes
// the sources. It fails only where the program itself is wrong; a state
// directory that cannot be used is a health state.
func New(cfg config.Config, o Options) (*Agent, error) {
	a := &Agent{
		cfg:        cfg,
		log:        o.Log,
		version:    o.Version,
		dial:       o.Dial,
		granted:    cfg.Consent.Set(),
		purposes:   map[string]catalogue.Purpose{},
		paced:      map[string]paced{},
		introduced: make(chan struct{}),
		full:       make(chan struct{}, 1),
		conditions: make(chan buffer.Condition, 8),
		sequences:  map[buffer.Lane]uint64{},
		signs:      make(chan sample.Sign, pendingSigns),
		missed:     make(chan []sample.Sign, 1),
		gatherer:   episode.New(),
		recordings: newRecordings(),
		detectors:  detect.New(cfg.Detect),
	}
	var err error
	if a.control, err = listen(filepath.Join(cfg.Box.RunDir, socketName)); errors.Is(err, errRunning) {
		return nil, err // before anything of its is touched
	} else if err != nil {
		a.log.Warn("no control socket: the status command will not work", "err", err)
	}
	if a.root, err = durable.OpenDir(cfg.Box.StateDir); err != nil {
		a.log.Warn("state directory unusable", "err", err)
	} else if err := durable.Sweep(a.root); err != nil {
		a.log.Warn("state directory not swept", "err", err)
	}
	a.usual, a.links = kept.Usual(a.root), kept.Links(a.root)
	if a.clock, err = clock.Open(a.root, o.Host); err != nil {
		a.log.Warn("record of runs not as it should be", "err", err)
	}
	a.health = newHealth(a.clock.Mono)
	if a.keys, err = consent.OpenKeys(a.root, a.granted); err != nil {
		a.log.Warn("pseudonym keys not as they should be", "err", err)
	}
	a.store = buffer.Open(cfg.Buffer, buffer.Options{
		Dir: cfg.Box.StateDir, Log: a.log, Now: a.clock.Mono,
		KernelBoot: a.clock.Start().Run.KernelBoot, OnCondition: a.onCondition,
	})

	a.countOn()
	a.recallUsual()
	box := o.Box
	if box == nil {
		box = ThisBox
	}
	e := environment(cfg)
	e.Log, e.Hasten = a.log, func(names ...string) { a.set.Hasten(names...) }
	e.Pseudonym, e.Since = a.pseudonym, a.heardSince()
	b := box(e)
	if b.Port == nil {
		b.Port = func(string) bool { return true }
	}
	a.roll = rollcall.New(b.Port)
	a.recallRoll()
	return a, a.ask(b)
}

// ask makes the set of sources and the watchers of a box.
func (a *Agent) ask(b Box) (err error) {
	for _, src := range b.Sources {
		d := src.Describe()
		a.purposes[d.Name] = d.Purpose
		if p, ok := src.(paced); ok {
			a.paced[d.Name] = p
		}
	}
	for _, w := range b.Watchers {
		a.purposes[w.Watch().Name] = w.Watch().Purpose
	}
	a.restart = b.Restart
	a.set, err = collector.NewSet(collector.Options{
		Log:      a.log,
		Now:      a.clock.Mono,
		Granted:  a.granted.Has,
		Interval: a.interval,
		Phase:    a.phase(time.Minute),
	}, b.Sources...)
	if err != nil {
		return err
	}
	a.watchers, err = collector.NewWatchers(collector.WatchOptions{Log: a.log, Now: a.clock.Mono, Granted: a.granted.Has}, b.Watchers...)
	return err
}

// interval is the time between two rounds of a source: the configured one, or
// what suits this box; 0 stands for the source's own.
func (a *Agent) interval(source string) time.Duration {
	if d := a.cfg.Interval(source); d > 0 {
		return d
	}
	if p, ok := a.paced[source]; ok {
		return p.Interval()
	}
	return 0
}

// pseudonym names a station for the sources of the purpose Personalised.
func (a *Agent) pseudonym(mac [6]byte) string {
	return a.keys.Pseudonym(catalogue.Personalised, mac)
}

// phase spreads boxes over a period, by what tells this box from others, so
// that a fleet does not sample and report in step.
func (a *Agent) phase(period time.Duration) time.Duration {
	h := fnv.New64a()
	fmt.Fprint(h, a.cfg.Box.ID, a.cfg.Uplink.CertFile, a.clock.Start().Run.KernelBoot)
	return time.Duration(h.Sum64() % uint64(period))
}

// Run measures, buffers and delivers until ctx is done, then stores what is
// left and says goodbye. The error says what could not be stored.
func (a *Agent) Run(ctx context.Context) error {
	a.heap.bound(a.cfg.Box.MemoryLimit)
	a.begin()

	var sampling, gathering, rest sync.WaitGroup
	talking, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	defer hangUp()
	rest.Go(func() { a.deliver(talking) })
	rest.Go(func() { a.serveControl(talking) })
	signs, noMoreSigns := context.WithCancel(context.WithoutCancel(ctx))
	defer noMoreSigns()
	gathering.Go(func() { a.introduce(ctx) })
	gathering.Go(func() { a.gather(signs) })
	sampling.Go(func() { a.set.Run(ctx, a.take) })
	sampling.Go(func() { a.watchers.Run(ctx, a.hear) })
	sampling.Go(func() { a.sealWindows(ctx) })
	sampling.Go(func() { a.duties(ctx) })

	<-ctx.Done()
	sampling.Wait()
	noMoreSigns() // those that came last are still told
	gathering.Wait()
	a.seal()
	a.keepUsual()
	err := a.store.Spill("stop")
	a.lastChance(err)
	if err == nil && a.kept() {
		if cerr := a.clock.End(); cerr != nil {
			a.log.Warn("end of run not recorded", "err", cerr)
		}
		a.cleanStop.Store(true)
	}
	hangUp()
	rest.Wait()
	if cerr := a.store.Close(); err == nil {
		err = cerr
	}
	a.log.Info("agent ended", "clean", a.cleanStop.Load())
	return err
}

// inMemory returns how many reports are on no flash.
func (a *Agent) inMemory() int {
	s := a.store.Stats()
	return s.Events.RAMReports + s.Windows.RAMReports
}

// kept tells whether nothing goes with the memory.
func (a *Agent) kept() bool { return a.inMemory() == 0 }

// lastChance gives reports that could not be stored a moment to be delivered,
// where there is a connection.
func (a *Agent) lastChance(spilled error) {
	l := a.line.Load()
	if spilled == nil && a.kept() || l == nil || l.uplink.Stats().State != uplink.StateOnline {
		return
	}
	end := time.NewTimer(drain)
	defer end.Stop()
	look := time.NewTicker(drain / 50)
	defer look.Stop()
	for !a.kept() {
		select {
		case <-end.C:
			return
		case <-look.C:
		}
	}
}

// begin says who runs and removes what the customer no longer allows.
func (a *Agent) begin() {
	start := a.clock.Start()
	a.log.Info("agent started", "version", a.version, "run", fmt.Sprintf("%016x", start.Run.ID),
		"counter", start.Run.Counter, "previous_end", start.PreviousEnd, "consent", a.granted.String())
	if u := a.cfg.Unknown(); len(u) > 0 {
		a.log.Warn("configuration has unknown keys, going on without them", "keys", u)
		a.health.set(wire.HealthConfiguration, true, "unknown keys: "+strings.Join(u, ", "))
	}
	for _, p := range catalogue.Purposes() {
		if a.granted.Has(p) {
			continue
		}
		if err := a.store.Withdraw(p); err != nil {
			a.log.Error("buffered data without consent not removed", "purpose", p.String(), "err", err)
		}
	}
	a.mu.Lock()
	a.opened = a.clock.Mono()
	a.mu.Unlock()
}

// introduce makes the first event of the run. Where the kernel booted anew it
// says why, as far as the box can tell within restartPatience; nothing is
// delivered before that. Evidence of a surge does not wait for it: it is on flash
// meanwhile, under a number before it.
func (a *Agent) introduce(ctx context.Context) {
	defer close(a.introduced)
	start := a.clock.Start()
	var evidence []sample.Sign
	e := wire.Event{Type: wire.AgentStarted, At: a.clock.Mono(), Attributes: []wire.Attribute{
		{Key: "previous_end", Value: start.PreviousEnd},
		{Key: "previous_run", Value: fmt.Sprintf("%016x", start.PreviousRun)},
		{Key: "version", Value: a.version},
	}}
	if !start.SameBoot && start.PreviousEnd != clock.EndFirst {
		if a.unasked() {
			evidence = append(evidence, sample.Sign{Kind: sample.Restarted})
		}
		if a.restart != nil {
			ctx, cancel := context.WithTimeout(ctx, restartPatience)
			defer cancel()
			var signs []sample.Sign
			signs, e.Unseen = a.restart(ctx)
			evidence = append(evidence, signs...)
		}
	}
	for _, s := range evidence {
		e.Evidence = append(e.Evidence, wire.Evidence{Sign: s})
	}
	a.mu.Lock()
	a.restarted = evidence
	a.mu.Unlock()
	a.event(e)
	if c := a.store.Condition(); c.State != buffer.OK {
		a.storeIs(c)
	}
}

// take puts the readings of one source into the open window.
func (a *Agent) take(name string, d collector.Description, b *sample.Batch) {
	a.readings.Add(uint64(len(b.Readings)))
	if name == wan.Name {
		a.lookAtConnection(b)
	}
	a.mu.Lock()
	a.window.Add(name, d.Purpose, b)
	a.gatherer.Observe(b)
	a.roll.Observe(b)
	a.detectors.Observe(b, a.notice)
	full := a.window.Full()
	a.mu.Unlock()
	if full {
		select {
		case a.full <- struct{}{}:
		default: // it is known already
		}
	}
	a.heap.took(len(b.Readings))
}

// sealWindows seals the window at each multiple of its length on the monotonic
// axis, shifted by the box's phase.
func (a *Agent) sealWindows(ctx context.Context) {
	length := a.cfg.Sampling.Window
	phase := a.phase(length)
	for {
		now := a.clock.Mono()
		next := (now-phase)/length*length + phase + length
		for next-length > now {
			next -= length // a box up for less than its phase
		}
		timer := time.NewTimer(next - now)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-a.full:
			timer.Stop()
		}
		a.seal()
	}
}
