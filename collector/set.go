package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

const (
	// grace is how long after its deadline a source may still return before
	// it counts as hanging, and how long Run waits for the sources when it
	// ends.
	grace = time.Second
	// retryAbsent is the default of Options.RetryAbsent.
	retryAbsent = 10 * time.Minute
	// unhurried is the shortest time between two rounds of a source that is
	// hastened: a box that tells of every frame must not be asked for each.
	unhurried = 2 * time.Second
	// youth is the time after a boot in which parts of the box are still
	// starting: what is absent then is asked for again after retryYoung.
	youth      = 10 * time.Minute
	retryYoung = time.Minute
	// failingAfter is how many failures in a row make a source Failing: a
	// single read that the kernel refuses says nothing about the box.
	failingAfter = 3
)

// Options are what a Set needs from the program around it.
type Options struct {
	// Log takes changes of state; nil discards them.
	Log *slog.Logger
	// Now gives the time since the kernel booted. It is needed.
	Now func() time.Duration
	// Phase shifts all rounds of this box against the multiples of their
	// interval, so that the boxes of a street do not sample in step.
	Phase time.Duration
	// Granted says whether the customer has granted a purpose. It is asked
	// before and after every round and must be quick; nil grants
	// catalogue.Essential alone.
	Granted func(catalogue.Purpose) bool
	// Interval gives the time between two rounds of the source called name;
	// zero means the source's own default, and nil does so for all. It is
	// asked when a round starts, so a change takes effect after that round.
	Interval func(name string) time.Duration
	// RetryAbsent is the time until a source is asked again that had no data
	// or was refused; zero means ten minutes. It is a minute at most while the
	// box is still starting.
	RetryAbsent time.Duration
}

// A Set runs sources. There is no global registry: whoever makes the Set says
// which sources there are.
type Set struct {
	opt     Options
	entries []*entry
	// finished takes each source whose round has ended. It has room for all
	// of them, so that a source which returns long after the Set gave up
	// waiting still ends its goroutine.
	finished chan *entry
	// hasten takes the names of sources that should be asked now.
	hasten chan string
	// turn is held by Run and by Once: a source is never asked twice at once.
	turn sync.Mutex
	// mu guards the report of every entry.
	mu sync.Mutex
}

// entry is one source with all that the Set knows of it.
type entry struct {
	src  Source
	desc Description
	// index maps a metric's number to its place in desc.Metrics plus one.
	index []uint8

	// round is the round in flight. Its goroutine owns it between start and
	// finished.
	round struct {
		batch sample.Batch
		err   error
		took  time.Duration
		// ended is why the round's context was done before the source
		// returned, if it was.
		ended error
		// panicked is what the source panicked with, and where.
		panicked any
		stack    []byte
	}

	// The rest belongs to the goroutine that holds Set.turn.
	due      time.Duration // on the axis of Options.Now
	asked    time.Duration // when the last round started; long ago at first
	deadline time.Duration // after which the round in flight hangs
	busy     bool
	hanging  bool
	failures int
	last     verdict

	report report // guarded by Set.mu
}

// NewSet returns a Set of the sources. An error says what is wrong with the
// program: a name used twice, or a source whose description contradicts the
// catalogue.
func NewSet(o Options, sources ...Source) (*Set, error) {
	if o.Now == nil {
		return nil, errors.New("BUG: a set of sources needs a clock")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Granted == nil {
		o.Granted = func(p catalogue.Purpose) bool { return p == catalogue.Essential }
	}
	if o.Interval == nil {
		o.Interval = func(string) time.Duration { return 0 }
	}
	if o.RetryAbsent <= 0 {
		o.RetryAbsent = retryAbsent
	}
	s := &Set{opt: o, finished: make(chan *entry, len(sources)), hasten: make(chan string, len(sources))}
	var errs []error
	names := map[string]bool{}
	for _, src := range sources {
		d := src.Describe()
		d.Metrics = slices.Clone(d.Metrics)
		if names[d.Name] {
			errs = append(errs, fmt.Errorf("BUG: source %q is there twice", d.Name))
		}
		names[d.Name] = true
		index, err := check(d)
		if err != nil {
			errs = append(errs, fmt.Errorf("BUG: source %q: %w", d.Name, err))
			continue
		}
		e := &entry{src: src, desc: d, index: index, asked: -unhurried}
		e.report.given = make([]bool, len(d.Metrics))
		s.entries = append(s.entries, e)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

// check holds a description against the catalogue and returns the index of
// its metrics.
func check(d Description) (index []uint8, err error) {
	var errs []error
	if d.Name == "" {
		errs = append(errs, errors.New("no name"))
	}
	if d.Interval <= 0 || d.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("interval %v and timeout %v must be above zero", d.Interval, d.Timeout))
	}
	if n := len(d.Metrics); n == 0 || n > 255 {
		errs = append(errs, fmt.Errorf("%d metrics; want 1 to 255", n))
		return nil, errors.Join(errs...)
	}
	index = make([]uint8, int(slices.Max(d.Metrics))+1)
	for i, id := range d.Metrics {
		m, ok := catalogue.Lookup(id)
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("metric %d is not in the catalogue", id))
		case m.Purpose != d.Purpose:
			errs = append(errs, fmt.Errorf("purpose %v, but metric %s is for %v", d.Purpose, m.Name, m.Purpose))
		case index[id] != 0:
			errs = append(errs, fmt.Errorf("metric %s is there twice", m.Name))
		}
		index[id] = uint8(i + 1)
	}
	return index, errors.Join(errs...)
}

// Run asks each source at its interval until ctx is done, and hands every
// batch that has readings to deliver. The first round of every source is at
// once, the others at multiples of the interval plus Options.Phase on the axis
// of Options.Now.
//
// deliver is called by Run itself, never twice at once; while it works no
// round starts, so it must be quick. The batch is the Set's again when deliver
// returns. The purposes are asked just before deliver is called: whoever keeps
// the batch beyond a withdrawal of consent must ask again.
//
// Run waits for all sources before it returns, except for one that does not
// return although its context is done: that one is given up after a second,
// and its Stats say so.
func (s *Set) Run(ctx context.Context, deliver func(name string, d Description, b *sample.Batch)) {
	if !s.turn.TryLock() {
		panic("BUG: the set of sources is already running")
	}
	defer s.turn.Unlock()
	now := s.opt.Now()
	for _, e := range s.entries {
		e.due = now
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		now = s.opt.Now()
		timer.Reset(s.tick(ctx, now) - now)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case e := <-s.finished:
			s.finish(e, deliver)
		case name := <-s.hasten:
			s.bringForward(name, s.opt.Now())
		}
	}
	s.wait(ctx, func(e *entry) { s.finish(e, deliver) })
}

// Hasten has Run ask the sources of these names now, since the box told that
// something changed; one that was asked within the last two seconds, when that
// is over. It may be called at any time and does not wait.
func (s *Set) Hasten(names ...string) {
	for _, n := range names {
		select {
		case s.hasten <- n:
		default: // as many are on their way as there are sources
		}
	}
}

// again returns how long after now what is absent is left alone.
func again(now, retry time.Duration) time.Duration {
	if now < youth {
		return min(retry, retryYoung)
	}
	return retry
}

// bringForward makes a source due, unless it is soon anyhow.
func (s *Set) bringForward(name string, now time.Duration) {
	for _, e := range s.entries {
		if e.desc.Name == name {
			e.due = min(e.due, max(now, e.asked+unhurried))
		}
	}
}

// tick starts what is due at now and gives up what is overdue. It returns the
// time of the next tick.
func (s *Set) tick(ctx context.Context, now time.Duration) (next time.Duration) {
	next = now + time.Hour
	for _, e := range s.entries {
		if now < e.due {
			next = min(next, e.due)
			continue
		}
		e.due = s.after(e, now)
		next = min(next, e.due)
		switch {
		case e.busy:
			s.count(e, verdictSkipped)
		case !s.opt.Granted(e.desc.Purpose):
			s.conclude(e, verdictNotGranted, "")
		default:
			s.start(ctx, e, now)
		}
	}
	if overdue, waiting := s.overdue(now); waiting {
		next = min(next, overdue)
	}
	return next
}

// overdue gives up the rounds whose deadline has passed. It returns whether
// there are others in flight, and the first of their deadlines.
func (s *Set) overdue(now time.Duration) (next time.Duration, waiting bool) {
	for _, e := range s.entries {
		if !e.busy || e.hanging {
			continue
		}
		if now >= e.deadline {
			s.giveUp(e)
			continue
		}
		if !waiting || e.deadline < next {
			next, waiting = e.deadline, true
		}
	}
	return next, waiting
}

// after returns the first round of e that is later than t.
func (s *Set) after(e *entry, t time.Duration) time.Duration {
	interval := s.opt.Interval(e.desc.Name)
	if interval <= 0 {
		interval = e.desc.Interval
	}
	phase := s.opt.Phase % interval
	since := (t - phase) % interval
	if since < 0 {
		since += interval
	}
	return t - since + interval
}

// wait hands every round in flight to finish when it ends, and returns when
// all have ended or are given up: at their deadlines, or when ctx has been
// done for the grace.
func (s *Set) wait(ctx context.Context, finish func(*entry)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	done := ctx.Done()
	for {
		now := s.opt.Now()
		next, waiting := s.overdue(now)
		if !waiting {
			return
		}
		timer.Reset(next - now)
		select {
		case <-done:
			done = nil
			for _, e := range s.entries {
				e.deadline = min(e.deadline, s.opt.Now()+grace)
			}
		case <-timer.C:
		case e := <-s.finished:
			finish(e)
		}
	}
}
