package buffer

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"livebox-agent/collector/catalogue"
)

// A modelled report is what the model knows of one report.
type modelled struct {
	Report
	durable bool // Append or Spill said so
	acked   bool
	lost    bool // dropped, and counted
}

// gone says that it must not come back, but after a cut.
func (r *modelled) gone() bool { return r.acked || r.lost }

// A model is a store beside a plain slice of what it should hold.
type model struct {
	*lab
	rnd   *rand.Rand
	run   Run
	next  [lanes]uint64
	lanes [lanes][]*modelled // by key
	// roomy stores are never under pressure: what they hold is known exactly.
	roomy bool
	// told are the losses that events have told since the last cut.
	told      []Loss
	withdrawn map[catalogue.Purpose]bool // and what is made of it meanwhile stays
	before    Stats
	// closing is how many the store dropped as it was closed.
	closing uint64
	ops     map[string]int
	history []string
}

// modelSize is how many operations the test makes, and how many a store lives
// through.
func modelSize(tb testing.TB) (total, each int) {
	tb.Helper()
	total, each = 1_000_000, 5000
	switch {
	case raceDetector:
		total = 40_000
	case slices.Contains([]string{"arm", "mips", "mipsle"}, runtime.GOARCH): // emulated, as a rule
		total = 20_000
	}
	if s := os.Getenv("MODEL_OPERATIONS"); s != "" {
		n, err := strconv.Atoi(s)
		check(tb, err)
		total = n
	}
	return total, min(total, each)
}

// Random operations, cuts and restarts against a slice. MODEL_SEED repeats a
// run, MODEL_OPERATIONS makes it longer or shorter.
func TestRandomOperationsAgreeWithASlice(t *testing.T) {
	total, each := modelSize(t)
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("MODEL_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		check(t, err)
		seed = n
	}
	t.Logf("MODEL_SEED=%d MODEL_OPERATIONS=%d", seed, total)
	var workers sync.WaitGroup
	todo := make(chan uint64)
	var mu sync.Mutex
	ops := map[string]int{}
	for range 2 {
		workers.Go(func() {
			for life := range todo {
				t.Run(fmt.Sprintf("MODEL_SEED=%d,life=%d", seed, life), func(t *testing.T) {
					m := newModel(t, seed, life)
					for range each {
						m.step()
					}
					m.look()
					check(t, closeQuietly(m.Store))
					mu.Lock()
					defer mu.Unlock()
					for name, n := range m.ops {
						ops[name] += n
					}
				})
			}
		})
	}
	for life := range total / each {
		if t.Failed() {
			break
		}
		todo <- uint64(life)
	}
	close(todo)
	workers.Wait()
	sum := 0
	for _, n := range ops {
		sum += n
	}
	t.Logf("%d operations: %v", sum, ops)
	for _, name := range []string{"append a window", "append an event", "next", "ack", "tick", "spill", "settle losses", "withdraw", "restart", "cut", "look"} {
		if ops[name] == 0 {
			t.Errorf("no %s among %d operations", name, sum)
		}
	}
}

// newModel makes a store with limits of its own, where syncs cost nothing if
// the machine has such a place.
func newModel(t *testing.T, seed, life uint64) *model {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "buffer") //nolint:usetesting // not where the machine has it
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { check(t, os.RemoveAll(dir)) })
	m := &model{
		lab:   &lab{t: t, clock: new(fakeClock), cfg: DefaultConfig(), dir: filepath.Join(dir, "a"), told: make(chan Condition, 1<<16)},
		rnd:   rand.New(rand.NewPCG(seed, life)),
		run:   Run{ID: 1, Counter: 1, KernelBoot: 42},
		roomy: life%3 == 0,
		ops:   map[string]int{}, withdrawn: map[catalogue.Purpose]bool{},
	}
	switch life % 3 {
	case 0:
		m.cfg.RAMBytes, m.cfg.FlashBytes, m.cfg.FlashDailyBytes = 16<<20, 64<<20, 1<<40
	case 1: // flash is short
		m.cfg.RAMBytes, m.cfg.FlashBytes, m.cfg.FlashDailyBytes = 128<<10, minFlash, 1<<40
	case 2: // memory and the day's bytes are
		m.cfg.RAMBytes, m.cfg.FlashBytes, m.cfg.FlashDailyBytes = minRAM, 1<<20, minDaily
	}
	check(t, m.cfg.Validate())
	m.clock.advance(time.Minute)
	m.open()
	t.Cleanup(func() {
		m.Close()
		if t.Failed() {
			t.Logf("the last operations:\n%s", strings.Join(m.history, "\n"))
		}
	})
	return m
}

func (m *model) did(name string, detail ...any) {
	m.ops[name]++
	if len(m.history) == 40 {
		m.history = m.history[1:]
	}
	m.history = append(m.history, strings.TrimSpace(name+" "+fmt.Sprint(detail...)))
}

// step does one random thing to store and model.
func (m *model) step() {
	m.t.Helper()
	switch n := m.rnd.IntN(1000); {
	case n < 400:
		m.appendWindow()
	case n < 420:
		m.appendEvent()
	case n < 720:
		m.probe()
	case n < 820:
		m.acknowledge()
	case n < 940:
		m.did("tick")
		m.clock.advance(time.Duration(m.rnd.IntN(600)) * time.Second)
		check(m.t, m.Tick())
	case n < 970:
		m.did("spill")
		m.spilled(m.Spill("test"))
	case n < 980:
		m.settle()
	case n < 981:
		m.withdraw()
	case n < 982:
		m.restart()
	case n < 984:
		m.cutPower()
	case n < 987:
		m.look()
	default:
		m.probe()
	}
}

// report makes a report of two purposes, small enough for many.
func (m *model) report(lane Lane) Report {
	x := &m.next[lane-1]
	*x++
	r := Report{
		Key:    Key{m.run, lane, *x},
		Opened: m.clock.now(), Sealed: m.clock.now(), Header: body(16, m.rnd.Uint64()),
	}
	if lane == Events {
		r.Sections = []Section{{catalogue.Essential, EventBody, body(8+m.rnd.IntN(200), m.rnd.Uint64())}}
		return r
	}
	for _, p := range []catalogue.Purpose{catalogue.Essential, catalogue.Personalised} {
		r.Sections = append(r.Sections,
			Section{p, Columns, body(8+m.rnd.IntN(900), m.rnd.Uint64())},
			Section{p, Summary, body(8+m.rnd.IntN(90), m.rnd.Uint64())})
	}
	return r
}

func (m *model) add(r Report, durable bool) {
	x := &m.lanes[r.Key.Lane-1]
	*x = append(*x, &modelled{Report: r, durable: durable})
}

func (m *model) appendWindow() {
	r := m.report(Windows)
	m.did("append a window", r.Key.Sequence)
	check(m.t, m.Append(r))
	m.add(r, false)
	m.clock.advance(time.Duration(m.rnd.IntN(300)) * time.Second)
}

func (m *model) appendEvent() {
	r := m.report(Events)
	err := m.Append(r)
	m.did("append an event", r.Key.Sequence, err)
	m.mayFail(err)
	m.add(r, err == nil)
}

// mayFail takes an error for want of flash bytes where these are short.
func (m *model) mayFail(err error) {
	m.t.Helper()
	if err != nil && (m.roomy || !errors.Is(err, ErrNotDurable)) {
		m.t.Fatal(err)
	}
}

// spilled notes that everything is durable, if err is nil.
func (m *model) spilled(err error) {
	m.t.Helper()
	m.mayFail(err)
	for _, x := range m.lanes {
		for _, r := range x {
			r.durable = r.durable || err == nil
		}
	}
}

// probe asks for what follows a random key.
func (m *model) probe() {
	lane := Lane(1 + m.rnd.IntN(2))
	x := m.lanes[lane-1]
	var after Key
	i := 0
	if len(x) > 0 && m.rnd.IntN(10) > 0 {
		i = m.rnd.IntN(len(x))
		after = x[i].Key
		i++
	}
	m.did("next", lane, after.Sequence)
	got, ok := m.Next(lane, after)
	for ; i < len(x); i++ {
		if x[i].gone() {
			continue
		}
		if ok && x[i].Key == got.Key {
			m.same(x[i], got)
			return
		}
		if m.roomy {
			m.t.Fatalf("Next(%v, %d) = %d, %v; want %d", lane, after.Sequence, got.Key.Sequence, ok, x[i].Key.Sequence)
		}
	}
	if ok {
		m.t.Fatalf("Next(%v, %d) = %d of run %d, which is not there", lane, after.Sequence, got.Key.Sequence, got.Key.Run.ID)
	}
}

// same checks that a report is what was made, less what may be missing.
func (m *model) same(want *modelled, got Report) {
	m.t.Helper()
	if !bytes.Equal(got.Header, want.Header) || got.Opened != want.Opened || got.Sealed != want.Sealed {
		m.t.Fatalf("%v %d: another header", got.Key.Lane, got.Key.Sequence)
	}
	left := got.Sections
	for _, s := range want.Sections {
		if len(left) > 0 && left[0].Purpose == s.Purpose && left[0].Fidelity == s.Fidelity && bytes.Equal(left[0].Body, s.Body) {
			left = left[1:]
			continue
		}
		if s.Fidelity != Columns || m.roomy || !m.isTold(got.Key, Thinned) {
			m.t.Fatalf("%v %d: a section of %v, fidelity %d, is missing", got.Key.Lane, got.Key.Sequence, s.Purpose, s.Fidelity)
		}
	}
	if len(left) > 0 {
		m.t.Fatalf("%v %d: %d sections that it was not given", got.Key.Lane, got.Key.Sequence, len(left))
	}
}

// isTold reports whether the loss of k for one of the reasons is in the ledger
// or in an event.
func (m *model) isTold(k Key, reasons ...Reason) bool {
	return slices.ContainsFunc(append(m.Losses(), m.told...), func(l Loss) bool {
		return slices.Contains(reasons, l.Reason) && l.Lane == k.Lane &&
			(l.Run == k.Run.ID && l.First <= k.Sequence && k.Sequence <= l.Last || l.Run == 0)
	})
}

func (m *model) acknowledge() {
	lane := Lane(1 + m.rnd.IntN(2))
	x := m.lanes[lane-1]
	run, top := m.run, m.next[lane-1]
	if len(x) > 0 && m.rnd.IntN(4) == 0 { // of an older run
		r := x[m.rnd.IntN(len(x))]
		run, top = r.Key.Run, r.Key.Sequence
	}
	a := 1 + m.rnd.Uint64N(top+1)
	ranges := []Range{{a, a + m.rnd.Uint64N(5)}}
	upTo := uint64(0)
	if m.rnd.IntN(3) == 0 {
		upTo = m.rnd.Uint64N(top + 1)
	}
	m.did("ack", lane, run.ID, upTo, ranges)
	n, most := m.Ack(run.ID, lane, upTo, ranges), 0
	for _, r := range x {
		if r.Key.Run.ID == run.ID && !r.gone() && covered(r.Key.Sequence, upTo, ranges) {
			most++
			r.acked = true
		}
	}
	if n > most || m.roomy && n != most {
		m.t.Fatalf("Ack removed %d; want %d", n, most)
	}
}

// settle tells the ledger by an event.
func (m *model) settle() {
	losses := m.Losses()
	if len(losses) == 0 && m.rnd.IntN(10) > 0 {
		return
	}
	r := m.report(Events)
	err := m.SettleLosses(r, losses)
	m.did("settle losses", len(losses), err)
	m.mayFail(err)
	m.add(r, err == nil)
	m.told = append(m.told, losses...)
	if left := m.Losses(); err == nil && len(left) > 0 && m.roomy {
		m.t.Fatalf("%d losses left", len(left))
	}
}

// withdraw deletes a purpose. What is made of it later stays.
func (m *model) withdraw() {
	m.did("withdraw")
	m.look() // what went before has its reason
	check(m.t, m.Withdraw(catalogue.Personalised))
	for i, x := range m.lanes {
		m.lanes[i] = slices.DeleteFunc(x, func(r *modelled) bool {
			r.Report = *r.without(func(s Section) bool { return s.Purpose != catalogue.Personalised })
			return len(r.Sections) == 0
		})
	}
	if m.contains([]byte("never written")) {
		m.t.Fatal("found what was never written")
	}
	m.before = m.Stats()
}

func (m *model) restart() {
	m.did("restart")
	m.look()
	err := m.Close()
	m.spilled(err)
	m.closing = m.Stats().Dropped - m.before.Dropped
	m.open()
	m.begin()
	// What was in memory when the bytes were short is not there, and deletions
	// are done where they were not.
	for i, x := range m.lanes {
		m.lanes[i] = slices.DeleteFunc(x, func(r *modelled) bool {
			return !r.durable && !m.there(r.Key) || err == nil && r.gone()
		})
	}
	m.comeBack()
	m.look()
}

// begin is a new run, as a rule.
func (m *model) begin() {
	m.t.Helper()
	m.wantCondition(OK)
	m.before = m.Stats()
	if m.rnd.IntN(3) > 0 {
		m.run = Run{ID: m.rnd.Uint64() | 1, Counter: m.run.Counter + 1, KernelBoot: m.run.KernelBoot}
		m.next = [lanes]uint64{}
	}
}

func (m *model) there(k Key) bool {
	before := k
	before.Sequence--
	r, ok := m.Next(k.Lane, before)
	return ok && r.Key == k
}

// comeBack takes reports back that were acknowledged or dropped, but whose
// deletion had not reached the flash: once more.
func (m *model) comeBack() {
	for _, x := range m.lanes {
		for _, r := range x {
			if r.gone() && m.there(r.Key) {
				r.acked, r.lost = false, false
			}
		}
	}
}

// cutPower goes on with what is on flash, and nothing of what is in memory.
func (m *model) cutPower() {
	m.t.Helper()
	m.did("cut")
	m.look()
	dir := filepath.Join(filepath.Dir(m.dir), strconv.Itoa(m.ops["cut"]))
	check(m.t, os.CopyFS(dir, os.DirFS(m.dir)))
	old, losses := m.Store, m.Losses()
	m.open2(dir)
	check(m.t, cmp.Or(closeQuietly(old), os.RemoveAll(m.dir)))
	m.dir = dir
	m.begin()
	for i, x := range m.lanes {
		m.lanes[i] = slices.DeleteFunc(x, func(r *modelled) bool {
			there := m.there(r.Key)
			if r.durable && !r.gone() && !there {
				m.t.Fatalf("%v %d of run %d was durable and is gone", r.Key.Lane, r.Key.Sequence, r.Key.Run.ID)
			}
			r.durable = r.durable || there
			return !there && !r.gone()
		})
	}
	m.comeBack()
	// What the ledger had in memory only is as if it had not been.
	m.told = append(m.told, losses...)
	m.look()
}

func (m *model) open2(dir string) {
	l := *m.lab
	l.dir = dir
	l.open()
	m.Store = l.Store
}

// closeQuietly closes a store whose directory is no longer wanted.
func closeQuietly(s *Store) error {
	if err := s.Close(); err != nil && !errors.Is(err, ErrNotDurable) {
		return err
	}
	return nil
}

// look compares everything: what is there, in order, once; what is not there is
// counted.
func (m *model) look() {
	m.t.Helper()
	m.did("look")
	missing := uint64(0)
	for lane := Events; lane <= Windows; lane++ {
		got := m.all(lane)
		for _, r := range m.lanes[lane-1] {
			for len(got) > 0 && got[0].Key.Compare(r.Key) < 0 {
				m.t.Fatalf("%v %d of run %d is there and should not be, or twice", lane, got[0].Key.Sequence, got[0].Key.Run.ID)
			}
			found := len(got) > 0 && got[0].Key == r.Key
			switch {
			case found && r.gone():
				m.t.Fatalf("%v %d came back: %+v", lane, r.Key.Sequence, r)
			case found:
				m.same(r, got[0])
				got = got[1:]
			case r.gone(): // may come back once, after a cut
			case m.roomy || !m.isTold(r.Key, Full):
				m.t.Fatalf("%v %d of run %d is missing and not in the ledger", lane, r.Key.Sequence, r.Key.Run.ID)
			default:
				missing++
				r.lost = true
			}
		}
		if len(got) > 0 {
			m.t.Fatalf("%v %d of run %d is there and should not be", lane, got[0].Key.Sequence, got[0].Key.Run.ID)
		}
	}
	st := m.Stats()
	// Some of those that were dropped may have been acknowledged since.
	if dropped := st.Dropped - m.before.Dropped + m.closing; missing > dropped {
		m.t.Fatalf("%d are missing and %d were counted", missing, dropped)
	}
	if st.RAMUsed > m.cfg.RAMBytes || st.FileBytes+st.AsideBytes > m.cfg.FlashBytes {
		m.t.Fatalf("above the limits: %+v", st)
	}
	if st.FlashToday > m.cfg.FlashDailyBytes && m.ops["withdraw"] == 0 {
		m.t.Fatalf("%d bytes written in a day", st.FlashToday)
	}
	m.before, m.closing = st, 0
}
