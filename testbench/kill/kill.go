package kill

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"livebox-agent/buffer"
	"livebox-agent/testbench/cem"
	"livebox-agent/testbench/freeport"
	"livebox-agent/testbench/lab"
	"livebox-agent/testbench/pki"
	"livebox-agent/testbench/process"
	"livebox-agent/uplink/wire"
)

const (
	// box is the one whose agent is killed.
	box = "box1"
	// perBox is how many kills one box suffers: the CEM remembers 64 runs.
	perBox = 50
	// shortest and longest that an agent lives. Windows take a second, the
	// shortest that the agent allows.
	shortest, longest = 50 * time.Millisecond, 1600 * time.Millisecond
	// lasting is how much longer one in eight lives, so that it has windows on
	// flash too.
	lasting = 2500 * time.Millisecond
	// patience bounds the wait for everything to arrive, where Config does not.
	patience = 2 * time.Minute
)

// Config says how much is killed.
type Config struct {
	// Binary is the agent's program.
	Binary string
	// Dir is for the boxes and their operators.
	Dir string
	// Kills of the agent in all, Together how many boxes at the same time.
	Kills, Together int
	Seed            uint64
	// Meanwhile is called with the directory of a box's state while its agent
	// is dead; nil for nothing.
	Meanwhile func(state string) error
	// Patience bounds the wait for everything to arrive in the end; 0: 2 min.
	Patience time.Duration
	// Log gets a line for each box; nil for none.
	Log func(format string, a ...any)
}

// Result is what came of it.
type Result struct {
	Kills, OperatorKills int
	// Durable reports were on flash at a kill. Lost of them the CEM does not
	// have in the end, Duplicated it counts more than once. SentAgain is how
	// often it was sent what it had and dropped that.
	Durable, Lost, Duplicated, SentAgain int
	// Uncovered is the time that no window covers, of all interruptions that
	// the CEM could measure; Longest the longest of them.
	Uncovered, Longest time.Duration
	Measured           int
	// Recovered is the longest time from the last start until everything had
	// arrived.
	Recovered time.Duration
	// FlashBytes were written by all agents.
	FlashBytes int64
}

func (r *Result) add(o Result) {
	r.Kills += o.Kills
	r.OperatorKills += o.OperatorKills
	r.Durable += o.Durable
	r.Lost += o.Lost
	r.Duplicated += o.Duplicated
	r.SentAgain += o.SentAgain
	r.Uncovered += o.Uncovered
	r.Measured += o.Measured
	r.FlashBytes += o.FlashBytes
	r.Longest = max(r.Longest, o.Longest)
	r.Recovered = max(r.Recovered, o.Recovered)
}

// Run kills, and returns what is missing then.
func Run(ctx context.Context, cfg Config) (all Result, err error) {
	if cfg.Log == nil {
		cfg.Log = func(string, ...any) {}
	}
	if cfg.Patience == 0 {
		cfg.Patience = patience
	}
	var mu sync.Mutex // guards all and err
	var boxes sync.WaitGroup
	room := make(chan struct{}, max(cfg.Together, 1))
	for n, left := 0, cfg.Kills; left > 0; n, left = n+1, left-perBox {
		boxes.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			r, rerr := oneBox(ctx, cfg, n, min(perBox, left))
			mu.Lock()
			defer mu.Unlock()
			if rerr != nil {
				err = errors.Join(err, fmt.Errorf("box %d of seed %d: %w", n, cfg.Seed, rerr))
				return
			}
			cfg.Log("box %d: %+v", n, r)
			all.add(r)
		})
	}
	boxes.Wait()
	return all, err
}

// A victim is a box with its operator.
type victim struct {
	dir, listen string
	agent       process.Config
	rnd         *rand.Rand
	operator    *operator // nil while it is down
	durable     map[buffer.Key]bool
	Result
}

// oneBox kills one box's agent so many times.
func oneBox(ctx context.Context, cfg Config, n, kills int) (Result, error) {
	v := &victim{
		dir: filepath.Join(cfg.Dir, fmt.Sprint("box", n)), durable: map[buffer.Key]bool{},
		rnd: rand.New(rand.NewPCG(cfg.Seed, uint64(n))),
	}
	if err := v.prepare(cfg.Binary); err != nil {
		return Result{}, err
	}
	for range kills {
		err := v.killOnce(ctx)
		if err == nil && cfg.Meanwhile != nil {
			err = cfg.Meanwhile(v.state())
		}
		if err != nil {
			return Result{}, errors.Join(err, v.killOperator())
		}
	}
	if err := v.killOperator(); err != nil {
		return Result{}, err
	}
	err := v.settle(ctx, cfg.Patience)
	return v.Result, err
}

func (v *victim) state() string       { return filepath.Join(v.agent.Dir, "state") }
func (v *victim) operatorDir() string { return filepath.Join(v.dir, "operator") }

// prepare makes certificates and configuration.
func (v *victim) prepare(binary string) error {
	ca, err := pki.Open(filepath.Join(v.operatorDir(), "pki"))
	if err != nil {
		return err
	}
	pair, err := ca.Box(box)
	if err != nil {
		return err
	}
	if v.listen, err = freeport.Address(); err != nil {
		return err
	}
	v.agent = process.Config{
		Binary: binary, Dir: filepath.Join(v.dir, "agent"), Broker: "tls://" + v.listen, CAFile: ca.CAFile(), Box: pair,
		Window: time.Second, SpillAfter: time.Second, Every: 200 * time.Millisecond,
		Set: map[string]string{
			"uplink.backoff_max": `"1s"`, "uplink.backlog_rate": "1000.0", "uplink.backlog_bytes": "10000000", "uplink.bandwidth": "10000000",
			"buffer.flash_daily_bytes": "1000000000",
		},
	}
	return nil
}

// killOnce lets the agent live for a moment. Every few lives the operator dies
// or comes back, in the middle of one.
func (v *victim) killOnce(ctx context.Context) error {
	life := shortest + time.Duration(v.rnd.Int64N(int64(longest-shortest)))
	if v.rnd.IntN(8) == 0 {
		life += lasting
	}
	p, err := process.Start(v.agent)
	if err != nil {
		return err
	}
	first := time.Duration(v.rnd.Int64N(int64(life)))
	err = wait(ctx, p, first)
	if err == nil {
		switch {
		case v.operator == nil && v.rnd.IntN(2) == 0:
			v.operator, err = startOperator(ctx, v.operatorDir(), v.listen)
		case v.operator != nil && v.rnd.IntN(4) == 0:
			err = v.killOperator()
		}
	}
	if err == nil {
		err = wait(ctx, p, life-first)
	}
	if err = errors.Join(err, p.Kill()); err != nil {
		return err
	}
	v.Kills++
	return v.note()
}

// wait waits; an agent that ends by itself meanwhile is an error.
func wait(ctx context.Context, p *process.Process, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-p.Done():
		return fmt.Errorf("the agent ended by itself: %w", p.Err())
	case <-timer.C:
		return nil
	}
}

func (v *victim) killOperator() error {
	if v.operator == nil {
		return nil
	}
	err := v.operator.kill()
	v.operator = nil
	v.OperatorKills++
	return err
}

// note remembers what is on flash. A copy is read: the store stays as the kill
// left it.
func (v *victim) note() error {
	if _, err := os.Stat(v.state()); errors.Is(err, os.ErrNotExist) {
		return nil // killed before it had made that
	}
	dir := filepath.Join(v.dir, "copy")
	if err := errors.Join(os.RemoveAll(dir), os.CopyFS(dir, os.DirFS(v.state()))); err != nil {
		return err
	}
	s := buffer.Open(buffer.DefaultConfig(), buffer.Options{Dir: dir, Now: func() time.Duration { return 0 }})
	if c := s.Condition(); c.State != buffer.OK {
		return errors.Join(fmt.Errorf("after a kill the store is %v (%s)", c.State, c.Reason), s.Close())
	}
	for _, lane := range []buffer.Lane{buffer.Events, buffer.Windows} {
		var after buffer.Key
		for {
			r, ok := s.Next(lane, after)
			if !ok {
				break
			}
			after = r.Key
			after.Run.KernelBoot = 0
			v.durable[after] = true
			after = r.Key
		}
	}
	return s.Close()
}

// settle lets everything arrive and asks the CEM.
func (v *victim) settle(ctx context.Context, within time.Duration) (err error) {
	l, err := lab.Start(config(v.operatorDir(), v.listen))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Stop()) }()
	p, err := process.Start(v.agent)
	if err != nil {
		return err
	}
	start, deadline := time.Now(), time.After(within)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	v.Durable = len(v.durable)
	for late := false; !late; {
		s, _ := l.CEM.Box(box)
		if v.Lost = v.lost(s); v.Lost == 0 {
			if a, err := p.Ask(ctx); err == nil && a.Connected {
				break
			}
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), p.Kill())
		case <-p.Done():
			return fmt.Errorf("the last agent ended by itself: %w", p.Err())
		case <-deadline:
			late = true
		case <-tick.C:
		}
	}
	v.Recovered = time.Since(start)
	if err := p.Terminate(patience); err != nil {
		return err
	}
	s, _ := l.CEM.Box(box)
	v.count(s)
	held, err := buffer.Inspect(v.state())
	v.FlashBytes = held.FlashTotal
	return err
}

// lost returns how many of the durable reports the CEM does not have.
func (v *victim) lost(s cem.BoxState) (n int) {
	has := map[uint64]cem.RunState{}
	for _, r := range s.Runs {
		has[r.ID] = r
	}
	for k := range v.durable {
		lane := has[k.Run.ID].Windows
		if k.Lane == buffer.Events {
			lane = has[k.Run.ID].Events
		}
		if !within(lane.Ranges, k.Sequence) {
			n++
		}
	}
	return n
}

func within(ranges []wire.Range, sequence uint64) bool {
	for _, r := range ranges {
		if r.First <= sequence && sequence <= r.Last {
			return true
		}
	}
	return false
}

// count takes in what the CEM counts.
func (v *victim) count(s cem.BoxState) {
	var stored uint64
	for _, r := range s.Runs {
		stored += r.Events.Stored() + r.Windows.Stored()
	}
	v.Duplicated = int(s.Reports) - int(stored)
	v.SentAgain = int(s.Duplicates)
	for _, i := range s.Interruptions() {
		if !i.Clean {
			v.Measured++
			v.Uncovered += i.Uncovered()
			v.Longest = max(v.Longest, i.Uncovered())
		}
	}
}
