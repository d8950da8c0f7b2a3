package buffer

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Errors that callers are meant to test for with errors.Is.
var (
	// ErrNotDurable says that a report is kept in memory only.
	ErrNotDurable = errors.New("not durable")
	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("buffer closed")

	errLocked = errors.New("in use by another process")
)

// A State says how the store stands with its directory.
type State uint8

// The states.
const (
	// OK: reports reach the flash.
	OK State = iota
	// Off: the configuration wants everything in memory. What is there ends
	// with it: Spill and Close have nothing to do.
	Off
	// Reset: what was found was damaged, foreign or of a newer version; a
	// fresh store took its place, with what could be read of the old one.
	Reset
	// Unavailable: reports are kept in memory only, for now.
	Unavailable
)

// String returns the state in lower case.
func (s State) String() string {
	switch s {
	case OK:
		return "ok"
	case Off:
		return "off"
	case Reset:
		return "reset"
	case Unavailable:
		return "unavailable"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// A Condition is a State with what a person needs to know.
type Condition struct {
	State State
	// Reason says why, in words.
	Reason string
	// SetAside names the file in the directory that a Reset left for study;
	// empty where there was no room for it.
	SetAside string
	// Lost is how many reports a Reset is believed to have cost; -1 unknown.
	Lost int64
}

// Options are what the program decides about the buffer.
type Options struct {
	// Dir is made if it is absent; empty keeps everything in memory.
	Dir string
	// Log gets changes of the condition; nil drops them.
	Log *slog.Logger
	// Now is the time since the kernel booted; it never goes back.
	Now func() time.Duration
	// KernelBoot is the boot that Now belongs to, as in Run.
	KernelBoot uint32
	// OnCondition, if set, is told of each change of the condition after Open,
	// with no lock held.
	OnCondition func(Condition)
	// OpenTimeout is how long Open waits for the flash; 0 stands for 30 s.
	OpenTimeout time.Duration

	// open is openStore, but for tests of a flash that hangs.
	open func(*os.Root, Config) (*opened, error)
}

const (
	// retryAfter is how long the flash is left alone after an error, and a
	// directory that could not be opened.
	retryAfter = 5 * time.Minute
	// ackDelay is how long reports that were acknowledged may stay on flash;
	// ackBatch is how many make a commit worth while.
	ackDelay = time.Hour
	ackBatch = 256
	// maxResets is how often a run replaces a damaged store before it takes
	// the flash for broken.
	maxResets = 3
)

// A Store keeps reports until they are acknowledged. Its methods may be called
// from any goroutine.
//
// Locks, in the order in which they are taken: io, view, mu. A commit holds io
// alone, so that a slow flash holds up neither Append of windows nor Next; one
// that does not fit beside a reader holds view too.
type Store struct {
	cfg Config
	opt Options

	appended, due chan struct{}
	gone          chan struct{} // closed by Close

	// io is held by whoever writes to flash or replaces the database.
	io     sync.Mutex
	resets int
	// suspect: a sync of the database failed. See renew.
	suspect bool

	// view guards the pointer flash against readers: written with io and view
	// held, read with either.
	view  sync.RWMutex
	flash *flash // nil: memory only

	// mu guards what follows and is never held while flash is used.
	mu      sync.Mutex
	index   [lanes]laneIndex
	ledger  ledger
	account account
	// What is still on flash but must go with the next commit.
	drops, thins []doom
	dropsSince   time.Duration
	// withdrawn purposes, bit p, that could not be deleted from flash yet.
	withdrawn uint32
	// attached mirrors flash != nil.
	attached bool
	// absent: the directory could not be opened in this run. Tick tries again
	// from openAt on; opening is an attempt that has not come back yet, and
	// owed are the purposes, bit p, to be deleted from flash once it is there.
	absent  bool
	openAt  time.Duration
	opening <-chan attempt
	owed    uint32
	// ruin is a damaged store that waits for room to be replaced; Tick tries
	// again from openAt on.
	ruin *ruin
	last [lanes]Key
	cond Condition
	news []Condition // not yet told to OnCondition
	// The flash failed: nothing is tried before retryAt. Tick had nothing it
	// could do: it is not called for before tickAfter.
	retryAt, tickAfter time.Duration
	counts             counts
	closed             bool
}

// counts is the part of Stats that only grows.
type counts struct {
	appended, acked, dropped, thinned, damaged, withdrawn, commits uint64
	flashWritten                                                   int64
	lastSpill                                                      time.Duration
	lastSpillReason                                                string
}

// Open opens the store in o.Dir. It never fails: what is wrong with the
// directory is in Condition, and the store then works in memory; Tick tries
// again every five minutes.
func Open(cfg Config, o Options) *Store {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.OpenTimeout == 0 {
		o.OpenTimeout = 30 * time.Second
	}
	if o.open == nil {
		o.open = openStore
	}
	s := &Store{
		cfg: cfg, opt: o,
		appended: make(chan struct{}, 1),
		due:      make(chan struct{}, 1),
		gone:     make(chan struct{}),
		index:    newIndex(),
		account:  account{limit: cfg.FlashDailyBytes, boot: o.KernelBoot},
	}
	s.account.at = o.Now()
	if o.Dir == "" || cfg.FlashBytes == 0 {
		s.cond = Condition{State: Off, Reason: "kept in memory by configuration"}
		return s
	}
	s.absent = true
	s.reopen()
	s.news = nil // for Open, it is the first condition and not a change
	if s.cond.State != OK {
		o.Log.Warn("buffer not as it was left", "state", s.cond.State.String(),
			"reason", s.cond.Reason, "set_aside", s.cond.SetAside, "lost", s.cond.Lost)
	}
	return s
}

// book counts bytes written to flash.
func (s *Store) book(n int64) {
	s.account.spend(n)
	s.counts.flashWritten += n
}

// Condition returns how the store stands with its directory.
func (s *Store) Condition() Condition {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cond
}

// setCondition changes the condition; tell must follow once mu is free.
func (s *Store) setCondition(c Condition) {
	if c == s.cond {
		return
	}
	s.cond = c
	s.news = append(s.news, c)
}

// tell passes on changes of the condition, with no lock held.
func (s *Store) tell() {
	s.mu.Lock()
	news := s.news
	s.news = nil
	s.mu.Unlock()
	for _, c := range news {
		s.opt.Log.Warn("buffer condition changed", "state", c.State.String(),
			"reason", c.Reason, "set_aside", c.SetAside, "lost", c.Lost)
		if s.opt.OnCondition != nil {
			s.opt.OnCondition(c)
		}
	}
}

// Append keeps r, and r's slices: they must not change any more. An event is
// on flash when Append returns nil; ErrNotDurable says that it is in memory
// only, from where it goes to flash as soon as that can be written. A window
// is kept in memory; Append of a window never waits for flash.
func (s *Store) Append(r Report) error {
	if err := r.check(); err != nil {
		return err
	}
	if r.Key.Lane == Events {
		return s.appendEvent(r, nil)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.accept(r.Key); err != nil {
		return err
	}
	s.insert(&r)
	return nil
}

// accept checks that k may be appended and counts it.
func (s *Store) accept(k Key) error {
	if s.closed {
		return ErrClosed
	}
	last := &s.last[k.Lane-1]
	if last.Run == k.Run && k.Sequence <= last.Sequence {
		return fmt.Errorf("append: %w: %d after %d", ErrSequence, k.Sequence, last.Sequence)
	}
	if _, found := s.index[k.Lane-1].search(k); found {
		return fmt.Errorf("append: %w: %d is there", ErrSequence, k.Sequence)
	}
	*last = k
	s.counts.appended++
	return nil
}

// insert keeps r in memory.
func (s *Store) insert(r *Report) {
	core, cols := r.sizes()
	s.index[r.Key.Lane-1].add(r.Key, entry{ram: r, core: uint32(core), cols: uint32(cols)})
	s.relieveRAM()
	if s.attached && s.ramCost() > s.urgentRAM() {
		signal(s.due)
	}
	signal(s.appended)
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// Appended is signalled after each Append; one signal may stand for many.
func (s *Store) Appended() <-chan struct{} { return s.appended }

// Due is signalled when Tick should be called before its time because memory
// fills up.
func (s *Store) Due() <-chan struct{} { return s.due }

// Next returns the first report of the lane after the key; the zero Key is
// before all. Its slices must not be changed. What cannot be read back is
// counted as lost and skipped.
func (s *Store) Next(lane Lane, after Key) (Report, bool) {
	if lane != Events && lane != Windows {
		return Report{}, false
	}
	defer s.tell()
	after.Lane = lane
	x := &s.index[lane-1]
	for {
		s.mu.Lock()
		i, found := x.search(after)
		if found {
			i++
		}
		if s.closed || i >= len(x.entries) {
			s.mu.Unlock()
			return Report{}, false
		}
		k, e := x.key(i), x.entries[i]
		hidden := s.withdrawn
		s.mu.Unlock()

		r, ok, again := s.fetch(k, e)
		if again {
			continue
		}
		if ok && hidden != 0 {
			r = *r.without(func(sec Section) bool { return hidden&(1<<sec.Purpose) == 0 })
			ok = len(r.Sections) > 0
		}
		if ok {
			return r, true
		}
		after = k
	}
}

// fetch returns the report of entry e, from memory or flash; again says that
// the store was replaced and the index is to be asked anew.
func (s *Store) fetch(k Key, e entry) (r Report, ok, again bool) {
	if e.ram != nil {
		return *e.ram, true, false
	}
	s.view.RLock()
	f := s.flash
	if f == nil {
		s.view.RUnlock()
		return Report{}, false, false
	}
	r, lessColumns, err := f.read(k, e.cols == 0)
	s.view.RUnlock()
	if isDamage(err) {
		s.io.Lock()
		if s.flash == f {
			s.reset(err)
		}
		s.io.Unlock()
		return Report{}, false, true
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	i, found := s.index[k.Lane-1].search(k)
	switch {
	case !found: // acknowledged or dropped meanwhile
		return Report{}, false, false
	case err != nil:
		s.remove(k.Lane, i, Damaged)
		return Report{}, false, false
	case lessColumns:
		s.thin(i)
	}
	return r, true, false
}

// Last returns the newest key of the lane.
func (s *Store) Last(lane Lane) (Key, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if lane != Events && lane != Windows {
		return Key{}, false
	}
	x := &s.index[lane-1]
	n := len(x.entries)
	if n == 0 {
		return Key{}, false
	}
	return x.key(n - 1), true
}

// A Range is the sequences from First to Last, both included.
type Range struct{ First, Last uint64 }

// Ack removes the reports of a run and lane up to the sequence upTo and in
// the ranges, and returns how many that were. They never come back in this
// run. Those on flash are deleted there later, many at a time; after a
// power cut before that, they come back once more.
func (s *Store) Ack(runID uint64, lane Lane, upTo uint64, ranges []Range) int {
	if lane != Events && lane != Windows {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x := &s.index[lane-1]
	n := x.removeFunc(func(i int) bool {
		e := &x.entries[i]
		if e.run.ID != runID || !covered(e.seq, upTo, ranges) {
			return false
		}
		if e.ram == nil {
			s.later(&s.drops, doom{x.key(i), uint32(e.bytes())})
		}
		return true
	})
	s.counts.acked += uint64(n)
	return n
}

func covered(seq, upTo uint64, ranges []Range) bool {
	if seq <= upTo {
		return true
	}
	for _, r := range ranges {
		if r.First <= seq && seq <= r.Last {
			return true
		}
	}
	return false
}

// later notes what the next commit must delete.
func (s *Store) later(list *[]doom, d doom) {
	if len(s.drops)+len(s.thins) == 0 {
		s.dropsSince = s.opt.Now()
	}
	*list = append(*list, d)
}

// Losses returns the ledger: what was dropped or thinned and not yet settled.
func (s *Store) Losses() []Loss {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Loss(nil), s.ledger.losses...)
}

// SettleLosses appends the event, which carries the losses that Losses
// returned, and takes these out of the ledger in the same commit. What was
// lost in between stays. With ErrNotDurable the event is in memory only; after
// a power cut the ledger is then as it was.
func (s *Store) SettleLosses(event Report, losses []Loss) error {
	if err := event.check(); err != nil {
		return err
	}
	if event.Key.Lane != Events {
		return errors.New("settle losses: not an event")
	}
	return s.appendEvent(event, losses)
}
