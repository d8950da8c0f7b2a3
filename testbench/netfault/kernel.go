package netfault

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"livebox-agent/agent"
	"livebox-agent/buffer"
	"livebox-agent/testbench/cem"
	"livebox-agent/testbench/faultproxy"
	"livebox-agent/testbench/lab"
	"livebox-agent/testbench/netns"
	"livebox-agent/testbench/process"
	"livebox-agent/uplink/wire"
)

// ErrNoKernel says that this process may not make network namespaces.
var ErrNoKernel = netns.ErrNone

// brokerPort is the broker's at the far end of a line.
const brokerPort = "8883"

// A lineFault is something that the kernel does to packets.
type lineFault struct {
	name string
	do   func(*netns.Line) error
	mend func(*netns.Line) error
	// rule says that it is a rule that counts what it hits.
	rule bool
	// blocked says that no report gets through meanwhile.
	blocked bool
}

func lineFaults() []lineFault {
	mend := (*netns.Line).Mend
	return []lineFault{
		{"kernel: 10 % of packets lost each way", func(l *netns.Line) error { return l.Lose(10) }, mend, true, false},
		{"kernel: 30 % of packets lost each way", func(l *netns.Line) error { return l.Lose(30) }, mend, true, false},
		{"kernel: all packets lost", func(l *netns.Line) error { return l.Lose(100) }, mend, true, true},
		{"kernel: every packet answered with RST", (*netns.Line).Refuse, mend, true, true},
		{
			"kernel: line pulled",
			func(l *netns.Line) error { return l.Down(true) },
			func(l *netns.Line) error { return l.Down(false) }, false, true,
		},
		{
			"kernel: 16 kbit/s each way", func(l *netns.Line) error { return l.Slow(16) },
			func(*netns.Line) error { return nil }, false, false,
		},
		{
			"kernel: 400 ms give or take 200 ms each way", func(l *netns.Line) error { return l.Delay(400*time.Millisecond, 200*time.Millisecond) },
			func(*netns.Line) error { return nil }, false, false,
		},
	}
}

// RunKernel has the kernel lose, refuse and slow packets under the shipped
// agent, on a line between two network namespaces, and returns a row for each
// fault. It takes root.
func RunKernel(ctx context.Context, o Options) ([]Row, error) {
	faults := slices.DeleteFunc(lineFaults(), func(f lineFault) bool {
		return len(o.Only) > 0 && !slices.Contains(o.Only, f.name)
	})
	rows := make([]Row, len(faults))
	errs := make([]error, len(faults))
	var wg sync.WaitGroup
	for i, f := range faults {
		wg.Go(func() {
			rows[i], errs[i] = tryLine(ctx, o, f, i)
			if o.Tell != nil {
				o.Tell(rows[i])
			}
		})
	}
	wg.Wait()
	return rows, errors.Join(errs...)
}

// tryLine has the trials of one fault.
func tryLine(ctx context.Context, o Options, f lineFault, number int) (Row, error) {
	row := Row{Fault: f.name}
	var took []time.Duration
	var errs []error
	for n := range o.Trials {
		name := fmt.Sprintf("l%d-%d", number, n)
		t := &lineTrial{name: name, dir: filepath.Join(o.Dir, name), agent: o.Agent}
		err := t.run(ctx, f)
		if errors.Is(err, netns.ErrNoNetem) {
			return Row{Fault: f.name, Untried: netns.ErrNoNetem.Error()}, nil
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s, trial %d: %w", f.name, n+1, err))
		}
		row.Trials++
		row.Made += t.made
		row.Lost += t.lost
		row.Duplicated += t.twice
		row.Again += t.again
		row.FlashBytes += t.flash / int64(o.Trials)
		took = append(took, t.took)
	}
	slices.Sort(took)
	row.Median, row.Longest = took[len(took)/2], took[len(took)-1]
	if row.Lost+row.Duplicated > 0 {
		errs = append(errs, fmt.Errorf("%s: %d of %d reports lost, %d counted twice", f.name, row.Lost, row.Made, row.Duplicated))
	}
	return row, errors.Join(errs...)
}

// A lineTrial is the shipped agent at one end of a line and an operator at the
// other.
type lineTrial struct {
	name, dir string
	agent     string
	line      *netns.Line
	lab       *lab.Lab
	p         *process.Process

	made, lost, twice, again uint64
	took                     time.Duration
	flash                    int64
	reports                  uint64 // that the agent said it had made
}

// lineBox is the box of these trials.
const lineBox = "line"

func (t *lineTrial) run(ctx context.Context, f lineFault) (err error) {
	if t.line, err = netns.New(t.name); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.line.Close()) }()
	if t.lab, err = lab.Start(lab.Config{Dir: filepath.Join(t.dir, "lab"), AckEvery: ackEvery}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.lab.Stop()) }()
	ln, err := t.line.Listen(brokerPort)
	if err != nil {
		return err
	}
	proxy, err := faultproxy.Start(faultproxy.Config{Target: t.lab.Broker.Addr(), Listener: ln})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, proxy.Close()) }()
	if err := t.start(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.p.Kill()) }()
	if err := t.wait(ctx, "first reports", func(s agent.Snapshot) bool { return s.Counters.Acknowledged >= 2 }); err != nil {
		return err
	}
	return t.measure(ctx, f)
}

// start starts the agent in the box's namespace.
func (t *lineTrial) start() error {
	pair, err := t.lab.CA.Box(lineBox)
	if err != nil {
		return err
	}
	cfg := process.Config{
		Binary: t.agent, Dir: filepath.Join(t.dir, "agent"), Broker: "tls://" + netns.FarAddress + ":" + brokerPort,
		CAFile: t.lab.CA.CAFile(), Box: pair, Window: time.Second, SpillAfter: time.Second, Every: 500 * time.Millisecond,
		Set: map[string]string{
			"uplink.server_name": `"localhost"`, "uplink.backoff_max": `"1s"`, "uplink.connect_timeout": `"5s"`,
			"uplink.puback_timeout": `"5s"`, "uplink.backlog_rate": "100.0", "uplink.backlog_bytes": "1000000", "uplink.bandwidth": "1000000",
		},
	}
	return t.line.Box(func() (err error) {
		t.p, err = process.Start(cfg)
		return err
	})
}

// measure strikes, mends, and counts.
func (t *lineTrial) measure(ctx context.Context, f lineFault) error {
	if err := f.do(t.line); err != nil {
		return err
	}
	var before agent.Snapshot
	if err := t.wait(ctx, "answer", func(s agent.Snapshot) bool { before = s; return true }); err != nil {
		return err
	}
	err := t.wait(ctx, "effect of the fault", func(s agent.Snapshot) bool {
		return s.Counters.Reports >= before.Counters.Reports+5 && (!f.blocked || s.Counters.BufferedReports >= 3)
	})
	if err != nil {
		return err
	}
	if f.rule {
		// The first packets may all have got through: more reports are made.
		err := until(ctx, func() bool {
			hit, _, err := t.line.Passed()
			return err == nil && hit > 0
		})
		if err != nil {
			return fmt.Errorf("the rule hit no packet: %w", err)
		}
	}
	begin := time.Now()
	if err := f.mend(t.line); err != nil {
		return err
	}
	err = t.wait(ctx, "delivery", func(s agent.Snapshot) bool {
		return s.Counters.Acknowledged >= before.Counters.Reports+5 && s.Counters.BufferedReports <= 1
	})
	t.took = time.Since(begin)
	if err != nil {
		return err
	}
	if err := t.p.Terminate(patience); err != nil {
		return err
	}
	held, err := buffer.Inspect(filepath.Join(t.dir, "agent", "state"))
	if err != nil {
		return err
	}
	s, _ := t.lab.CEM.Box(lineBox)
	t.made, t.lost = account(s, held)
	if told := t.reports; t.made < told {
		t.made, t.lost = told, t.lost+told-t.made
	}
	t.lost += s.Lost
	t.twice, t.again = s.Reports-min(s.Reports, stored(s)), s.Duplicates
	return nil
}

// account returns how many sequences there must have been, up to the last that
// CEM or store have of each lane, and how many of them neither has.
func account(s cem.BoxState, held buffer.Contents) (made, lost uint64) {
	for _, r := range s.Runs {
		for lane, stored := range map[buffer.Lane]cem.LaneState{buffer.Events: r.Events, buffer.Windows: r.Windows} {
			have := stored.Ranges
			for _, h := range held.Runs {
				if h.Run.ID == r.ID && h.Lane == lane {
					have = append(have, wire.Range{First: h.First, Last: h.Last})
				}
			}
			last := uint64(0)
			for _, x := range have {
				last = max(last, x.Last)
			}
			made += last
			for seq := uint64(1); seq <= last; seq++ {
				if !slices.ContainsFunc(have, func(x wire.Range) bool { return x.First <= seq && seq <= x.Last }) {
					lost++
				}
			}
		}
	}
	return made, lost
}

// wait asks the agent until it answers as it should.
func (t *lineTrial) wait(ctx context.Context, what string, ok func(agent.Snapshot) bool) error {
	var last agent.Snapshot
	err := until(ctx, func() bool {
		s, err := t.p.Ask(ctx)
		if err == nil {
			last = s
			t.flash, t.reports = int64(s.Counters.FlashBytes), s.Counters.Reports
		}
		return err == nil && ok(s)
	})
	if err != nil {
		return fmt.Errorf("no %s: %w: %+v", what, err, last)
	}
	return nil
}
