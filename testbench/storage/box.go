package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"livebox-agent/agent/clock"
	"livebox-agent/agent/consent"
	"livebox-agent/agent/detect"
	"livebox-agent/agent/kept"
	"livebox-agent/agent/rollcall"
	"livebox-agent/buffer"
	"livebox-agent/buffer/durable"
	"livebox-agent/collector/catalogue"
)

// A box is what an agent has of a state directory, opened in the order in
// which the agent does, with a clock that only the workload moves. It notes
// what it was promised.
type box struct {
	dir string
	cfg buffer.Config
	// kernel tells the boot of the kernel, now is the time since then.
	kernel byte
	now    time.Duration
	log    *promises
	// stopping is called before a run ends, trouble when a workload has come to
	// where the disk is to fail; nil for nothing.
	stopping func() error
	trouble  func()

	root      *os.Root
	clock     *clock.Clock
	clockErr  error
	keys      *consent.Keys
	keysErr   error
	usual     *kept.File[[]detect.Baseline]
	links     *kept.File[[]rollcall.Mark]
	recalled  map[string]string // by file, what was learnt before this run
	store     *buffer.Store
	run       buffer.Run
	sequences map[buffer.Lane]uint64
	rnd       *rand.PCG
}

// allPurposes is what the customer granted at first, fewPurposes what is left
// after the withdrawal.
var (
	allPurposes = consent.Of(catalogue.Essential, catalogue.Support, catalogue.Personalised)
	fewPurposes = consent.Of(catalogue.Essential, catalogue.Support)
)

// smallConfig makes pressure come early.
func smallConfig() buffer.Config {
	cfg := buffer.DefaultConfig()
	cfg.RAMBytes, cfg.FlashBytes, cfg.FlashDailyBytes = 64<<10, 512<<10, 64<<20
	return cfg
}

func newBox(disk string, cfg buffer.Config, log *promises) *box {
	return &box{
		dir: filepath.Join(disk, "lib", "state"), cfg: cfg, kernel: 1, now: time.Minute, log: log,
		rnd: rand.NewPCG(7, 11),
	}
}

// host is a machine whose wall clock is right, and known to be from ten minutes
// after its start on.
func (b *box) host() clock.Host {
	kernel := b.kernel
	return clock.Host{
		Mono: func() time.Duration { return b.now },
		Wall: func() time.Time {
			return clock.Release.Add(time.Duration(kernel)*24*time.Hour + b.now)
		},
		Synchronised: func() bool { return b.now > 10*time.Minute },
		BootID:       func() ([]byte, error) { return []byte{'k', kernel}, nil },
	}
}

// start opens everything as a run of the agent does. A directory that cannot
// be used is no error.
func (b *box) start(granted consent.Set) error {
	var err error
	if b.root, err = durable.OpenDir(b.dir); err != nil {
		b.root = nil
	} else {
		err = durable.Sweep(b.root) // what cannot be removed now can be at the next start
	}
	swept := err == nil
	began := b.log.at()
	b.clock, b.clockErr = clock.Open(b.root, b.host())
	b.log.started(began, b.clock.Start(), b.clockErr)
	began = b.log.at()
	b.keys, b.keysErr = consent.OpenKeys(b.root, granted)
	b.log.opened(began, granted, b.pseudonyms(), b.keysErr)
	b.run = buffer.Run(b.clock.Start().Run)
	b.sequences = map[buffer.Lane]uint64{}
	b.store = buffer.Open(b.cfg, buffer.Options{
		Dir: b.dir, Now: func() time.Duration { return b.now }, KernelBoot: b.run.KernelBoot,
		OpenTimeout: 5 * time.Second,
	})
	b.recall(granted, swept)
	for _, p := range catalogue.Purposes() {
		if !granted.Has(p) {
			b.withdraw(p)
		}
	}
	return b.event(nil)
}

// pseudonyms are those of one station for each purpose.
func (b *box) pseudonyms() map[catalogue.Purpose]string {
	names := map[catalogue.Purpose]string{}
	for _, p := range catalogue.Purposes() {
		if name := b.keys.Pseudonym(p, [6]byte{2, 4, 6, 8, 10, 12}); name != "" {
			names[p] = name
		}
	}
	return names
}

// stop ends the run as one that was asked to end does.
func (b *box) stop() error {
	if b.stopping != nil {
		if err := b.stopping(); err != nil {
			return errors.Join(err, b.leave())
		}
	}
	err := b.spill()
	if err == nil {
		began := b.log.at()
		err = b.clock.End()
		b.log.ended(began, err)
	}
	return errors.Join(err, b.leave())
}

// leave closes everything without recording the end of the run.
func (b *box) leave() error {
	err := b.store.Close()
	if err == nil {
		b.log.spilled(b.run)
	}
	if b.root != nil {
		err = errors.Join(err, b.root.Close())
	}
	return err
}

// random returns n bytes that do not compress and come only once.
func (b *box) random(n int) []byte {
	p := make([]byte, 0, n+8)
	for len(p) < n {
		p = binary.BigEndian.AppendUint64(p, b.rnd.Uint64())
	}
	return p[:n]
}

func (b *box) report(lane buffer.Lane) buffer.Report {
	b.sequences[lane]++
	return buffer.Report{
		Key:    buffer.Key{Run: b.run, Lane: lane, Sequence: b.sequences[lane]},
		Opened: b.now, Sealed: b.now, Header: b.random(60),
	}
}

// event appends an event, which tells losses where there are any. An event that
// is not durable is no error.
func (b *box) event(losses []buffer.Loss) error {
	r := b.report(buffer.Events)
	r.Sections = []buffer.Section{{Purpose: catalogue.Essential, Fidelity: buffer.EventBody, Body: b.random(200)}}
	m := b.log.made(r, losses)
	var err error
	if losses == nil {
		err = b.store.Append(r)
	} else {
		err = b.store.SettleLosses(r, losses)
	}
	switch {
	case err == nil:
		m.durable = b.log.at()
	case !errors.Is(err, buffer.ErrNotDurable):
		return fmt.Errorf("append an event: %w", err)
	}
	return nil
}

// window appends a window of three purposes with so many bytes of columns.
func (b *box) window(columns int) error {
	r := b.report(buffer.Windows)
	for p := catalogue.Essential; p <= catalogue.Personalised; p++ {
		r.Sections = append(r.Sections,
			buffer.Section{Purpose: p, Fidelity: buffer.Columns, Body: b.random(columns / 3)},
			buffer.Section{Purpose: p, Fidelity: buffer.Summary, Body: b.random(100)})
	}
	b.log.made(r, nil)
	b.now += 5 * time.Minute
	return b.store.Append(r)
}

// spill makes what is in memory durable.
func (b *box) spill() error {
	err := b.store.Spill("test")
	if err == nil {
		b.log.spilled(b.run)
	}
	return err
}

// ack acknowledges a lane of this run up to a sequence.
func (b *box) ack(lane buffer.Lane, upTo uint64) {
	b.log.acked(b.run.ID, lane, upTo)
	b.store.Ack(b.run.ID, lane, upTo, nil)
}

func (b *box) withdraw(p catalogue.Purpose) {
	began := b.log.at()
	err := b.store.Withdraw(p)
	b.log.withdrawn(began, p, err)
}

// tellLosses makes an event of the ledger.
func (b *box) tellLosses() error {
	if losses := b.store.Losses(); len(losses) > 0 {
		return b.event(losses)
	}
	return nil
}
