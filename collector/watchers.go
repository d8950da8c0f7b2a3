package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

const (
	// room is how many signs of one watcher may wait to be taken.
	room = 64
	// settled is how long a watcher runs before it counts as working: what the
	// box does not have, it says at once.
	settled = time.Second
	// steady is how long a watcher runs before its earlier faults are
	// forgotten.
	steady = time.Minute
	// firstWait and longestWait bound the wait after a fault, which doubles
	// from one to the next.
	firstWait   = time.Second
	longestWait = 5 * time.Minute
	// consentEvery is how often a watcher is asked about whose purpose may be
	// granted or withdrawn while the agent runs.
	consentEvery = 10 * time.Second
)

// WatchOptions are what Watchers need from the program around them.
type WatchOptions struct {
	// Log takes changes of state; nil discards them.
	Log *slog.Logger
	// Now gives the time since the kernel booted. It is needed.
	Now func() time.Duration
	// Granted says whether the customer has granted a purpose. It must be
	// quick, and may be called from several goroutines; nil grants
	// catalogue.Essential alone.
	Granted func(catalogue.Purpose) bool
	// RetryAbsent is the time until a watcher is started again that had no data
	// or was refused; zero means ten minutes. It is a minute at most while the
	// box is still starting.
	RetryAbsent time.Duration
}

// Watchers run watchers, each in a goroutine of its own.
type Watchers struct {
	opt     WatchOptions
	entries []*watched
	// queue has room for what all watchers may have waiting, so that none ever
	// waits for it.
	queue chan told
	turn  sync.Mutex // held by Run
	mu    sync.Mutex // guards the report of every entry
}

// told is a sign on its way.
type told struct {
	from *watched
	sign sample.Sign
}

// watched is one watcher with all that is known of it.
type watched struct {
	w     Watcher
	watch Watch
	// waiting are its signs in the queue, lost those that found no room and
	// have not been told of.
	waiting, lost atomic.Int32

	// failures in a row belong to the goroutine that keeps the watcher.
	failures int

	report watchReport // guarded by Watchers.mu
}

type watchReport struct {
	state  State
	reason string
	stats  WatchStats
}

// WatchStats counts what one watcher did.
type WatchStats struct {
	Watcher string
	// Starts are the times that it was started. It is running, or each ended
	// in one of the outcomes that follow.
	Starts uint64
	// NoData and Refused are runs that ended with ErrNoData and ErrRefused,
	// Failed those that ended with another error, or without one.
	NoData, Refused, Failed uint64
	// Panicked are runs that ended in a panic.
	Panicked uint64
	// Withdrawn are runs that ended because the purpose was withdrawn,
	// Cancelled those that the end of the agent's run ended.
	Withdrawn, Cancelled uint64
	// Running says that the watcher runs, Hanging that it was told to end and
	// has not.
	Running, Hanging bool

	// Signs are those that were taken, Ungranted those dropped because their
	// purpose, or the watcher's, was not granted, Lost those for which there
	// was no room.
	Signs, Ungranted, Lost uint64
}

// NewWatchers returns the watchers, which do nothing before Run. An error says
// what is wrong with the program.
func NewWatchers(o WatchOptions, watchers ...Watcher) (*Watchers, error) {
	if o.Now == nil {
		return nil, errors.New("BUG: watchers need a clock")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Granted == nil {
		o.Granted = func(p catalogue.Purpose) bool { return p == catalogue.Essential }
	}
	if o.RetryAbsent <= 0 {
		o.RetryAbsent = retryAbsent
	}
	s := &Watchers{opt: o, queue: make(chan told, room*len(watchers))}
	var errs []error
	names := map[string]bool{}
	for _, w := range watchers {
		d := w.Watch()
		switch {
		case d.Name == "" || d.Purpose == 0:
			errs = append(errs, fmt.Errorf("BUG: watcher %q for purpose %d: it needs both", d.Name, d.Purpose))
		case names[d.Name]:
			errs = append(errs, fmt.Errorf("BUG: watcher %q is there twice", d.Name))
		}
		names[d.Name] = true
		s.entries = append(s.entries, &watched{w: w, watch: d})
	}
	return s, errors.Join(errs...)
}

// Run starts every granted watcher, starts it again after a fault, and hands
// every sign to take until ctx is done. take is called by Run itself, never
// twice at once. A watcher never waits for it: signs that find no room are
// counted, and told as one sign SignsLost when there is room again.
//
// Run returns when all watchers have ended and their last signs were taken. A
// watcher that does not end within a second is left behind, and its Stats say
// so.
func (s *Watchers) Run(ctx context.Context, take func(sample.Sign)) {
	if !s.turn.TryLock() {
		panic("BUG: the watchers are already running")
	}
	defer s.turn.Unlock()
	var keepers sync.WaitGroup
	for _, e := range s.entries {
		keepers.Go(func() { s.keep(ctx, e) })
	}
	ended := make(chan struct{})
	go func() { keepers.Wait(); close(ended) }()
	for {
		select {
		case t := <-s.queue:
			s.deliver(t, take)
			continue
		case <-ended:
		}
		for len(s.queue) > 0 {
			s.deliver(<-s.queue, take)
		}
		return
	}
}

// deliver hands a sign to take, and then tells of those that its watcher lost.
func (s *Watchers) deliver(t told, take func(sample.Sign)) {
	e := t.from
	e.waiting.Add(-1)
	granted := s.opt.Granted(e.watch.Purpose) && s.opt.Granted(t.sign.Purpose())
	s.mu.Lock()
	if granted {
		e.report.stats.Signs++
	} else {
		e.report.stats.Ungranted++
	}
	s.mu.Unlock()
	if granted {
		take(t.sign)
	}
	if lost := e.lost.Swap(0); lost > 0 {
		take(sample.Sign{At: s.opt.Now(), Kind: sample.SignsLost, Instance: e.watch.Name, After: int64(lost)})
	}
}

// notice puts a sign of e into the queue if e has room there.
func (s *Watchers) notice(e *watched, sign sample.Sign) {
	if e.waiting.Add(1) <= room {
		s.queue <- told{e, sign} // never waits: there is room for what all may have waiting
		return
	}
	e.waiting.Add(-1)
	e.lost.Add(1)
	s.mu.Lock()
	e.report.stats.Lost++
	s.mu.Unlock()
}

// keep runs e whenever its purpose is granted, until ctx is done.
func (s *Watchers) keep(ctx context.Context, e *watched) {
	for ctx.Err() == nil {
		if !s.opt.Granted(e.watch.Purpose) {
			s.enter(e, NotGranted, "")
			pause(ctx, consentEvery)
			continue
		}
		began := time.Now()
		r := s.once(ctx, e)
		if r.hanging {
			return
		}
		if time.Since(began) >= steady {
			e.failures = 0
		}
		pause(ctx, s.conclude(ctx, e, r))
	}
}

// result is how one run of a watcher ended.
type result struct {
	err       error
	panicked  any
	stack     []byte
	withdrawn bool
	hanging   bool
}

// once runs e until it ends by itself or has to.
func (s *Watchers) once(ctx context.Context, e *watched) (r result) {
	run, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan result, 1)
	s.started(e, true)
	go func() {
		var r result
		defer func() {
			if r.panicked = recover(); r.panicked != nil {
				r.stack = debug.Stack()
			}
			s.started(e, false)
			ended <- r
		}()
		r.err = e.w.Run(run, func(sign sample.Sign) {
			if run.Err() == nil {
				s.notice(e, sign)
			}
		})
	}()
	next := time.NewTimer(s.untilWorking(e))
	defer next.Stop()
	for {
		select {
		case r := <-ended:
			return r
		case <-run.Done():
			return s.wait(e, ended)
		case <-next.C:
			s.enter(e, Working, "")
			if e.watch.Purpose == catalogue.Essential {
				continue // it is always granted
			}
			if !s.opt.Granted(e.watch.Purpose) {
				stop()
				r := s.wait(e, ended)
				r.withdrawn = true
				return r
			}
			next.Reset(consentEvery)
		}
	}
}

// untilWorking is how long e has to run before it counts as working.
func (s *Watchers) untilWorking(e *watched) time.Duration {
	if e.failures >= failingAfter {
		return steady
	}
	return settled
}

// wait waits for a watcher that was told to end.
func (s *Watchers) wait(e *watched, ended <-chan result) result {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case r := <-ended:
		return r
	case <-timer.C:
	}
	s.mu.Lock()
	e.report.stats.Hanging = true
	s.mu.Unlock()
	s.enter(e, Failing, reasonHanging)
	return result{hanging: true}
}

// conclude counts how a run ended, says what it means for the state of e, and
// returns the time to wait before the next.
func (s *Watchers) conclude(ctx context.Context, e *watched, r result) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &e.report.stats
	reason := "ended without a reason"
	if r.err != nil {
		reason = printable(r.err.Error())
	}
	switch {
	case r.panicked != nil:
		reason = printable(fmt.Sprintf("panic: %v", r.panicked))
		st.Panicked++
		s.opt.Log.Error("watcher panicked", "watcher", e.watch.Name, "reason", reason, "stack", string(r.stack))
	case ctx.Err() != nil:
		st.Cancelled++
		return 0
	case r.withdrawn:
		st.Withdrawn++
		s.enterLocked(e, NotGranted, "")
		return 0
	case errors.Is(r.err, ErrNoData):
		e.failures = 0
		st.NoData++
		s.enterLocked(e, Absent, reason)
		return again(s.opt.Now(), s.opt.RetryAbsent)
	case errors.Is(r.err, ErrRefused):
		e.failures = 0
		st.Refused++
		s.enterLocked(e, Refused, reason)
		return again(s.opt.Now(), s.opt.RetryAbsent)
	default:
		st.Failed++
	}
	e.failures++
	if e.failures >= failingAfter {
		s.enterLocked(e, Failing, reason)
	}
	d := min(firstWait<<min(e.failures-1, 20), longestWait)
	return d/2 + rand.N(d/2)
}

// pause waits for d, or until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// started notes that e runs, or no longer does.
func (s *Watchers) started(e *watched, running bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.report.stats.Running = running
	if running {
		e.report.stats.Starts++
	} else {
		e.report.stats.Hanging = false
	}
}

// enter puts e into a state, and logs it if it is another than before.
func (s *Watchers) enter(e *watched, to State, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enterLocked(e, to, reason)
}

func (s *Watchers) enterLocked(e *watched, to State, reason string) {
	from := e.report.state
	e.report.state, e.report.reason = to, reason
	if from == to {
		return
	}
	level := slog.LevelInfo
	if to == Failing || to == Refused {
		level = slog.LevelWarn
	}
	s.opt.Log.Log(context.Background(), level, "watcher changed state",
		"watcher", e.watch.Name, "from", from.String(), "to", to.String(), "reason", reason)
}

// Capabilities returns what each watcher can do on this box, in their order, in
// the form of those of a Set. It may be called at any time.
func (s *Watchers) Capabilities() []Capability {
	s.mu.Lock()
	defer s.mu.Unlock()
	caps := make([]Capability, 0, len(s.entries))
	for _, e := range s.entries {
		caps = append(caps, Capability{Source: e.watch.Name, State: e.report.state, Reason: e.report.reason})
	}
	return caps
}

// Stats returns what each watcher did, in their order. It may be called at any
// time.
func (s *Watchers) Stats() []WatchStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := make([]WatchStats, 0, len(s.entries))
	for _, e := range s.entries {
		st := e.report.stats
		st.Watcher = e.watch.Name
		stats = append(stats, st)
	}
	return stats
}
