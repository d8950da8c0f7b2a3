package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"livebox-agent/buffer"
	"livebox-agent/testbench/faultdisk"
)

// A failing is how a disk fails.
type failing struct {
	name  string
	errno syscall.Errno
	kinds []faultdisk.Kind
	// lasting failures end when the workload is over, others after one
	// operation.
	lasting bool
	// everyCut has the power cut after each operation of each run, not after
	// the last only.
	everyCut bool
	workload workload
}

// failings are those that every operation is made to fail by in turn.
func failings() []failing {
	grow := []faultdisk.Kind{faultdisk.Create, faultdisk.Mkdir, faultdisk.Write, faultdisk.Rename}
	syncs := []faultdisk.Kind{faultdisk.Sync, faultdisk.SyncDir}
	// Who makes a file system read-only writes first what is not written: syncs
	// go well.
	change := slices.Concat(grow, []faultdisk.Kind{faultdisk.Truncate, faultdisk.Remove})
	long, short := workload{"two runs of an agent", life, 2, false}, workload{"a run of an agent", brief, 1, false}
	return []failing{
		{"flash full, each write in turn", syscall.ENOSPC, grow, true, false, long},
		{"flash full for one write, each in turn", syscall.ENOSPC, grow, false, false, long},
		{"read-only from each operation on", syscall.EROFS, change, true, false, long},
		{"I/O error at each write", syscall.EIO, []faultdisk.Kind{faultdisk.Write, faultdisk.Truncate}, false, false, long},
		{"I/O error at each sync", syscall.EIO, syncs, false, false, long},
		{"flash full at each sync", syscall.ENOSPC, syncs, false, false, long},
		{"I/O errors at all syncs from each on", syscall.EIO, syncs, true, false, short},
		{"I/O error at each sync and power cut after each operation", syscall.EIO, syncs, false, true, short},
	}
}

// longFailings are those that take an hour.
func longFailings() []failing {
	return []failing{{
		"I/O error at each sync and power cut after each operation, two runs", syscall.EIO,
		[]faultdisk.Kind{faultdisk.Sync, faultdisk.SyncDir},
		false, true,
		workload{"two runs of an agent", life, 2, false},
	}}
}

// Failures is what came of failing operations.
type Failures struct {
	Verdict

	// Runs of the workload, each with another operation that failed first.
	Runs int
	// Left are the states judged that a power cut after each may leave.
	Left int
	// Short is how often there was no room for what was to be written.
	Short int
	// Recovered is the longest time that the agent ran, after the disk was well
	// again, until everything was durable.
	Recovered time.Duration
	// Written is the most that a run wrote to the disk, in bytes.
	Written int64
}

// errNotHit says that the workload was over before the operation came.
var errNotHit = errors.New("no such operation")

// failEach makes each operation of the kinds fail in turn.
func failEach(d *faultdisk.Disk, f failing) (all Failures, err error) {
	for n := 0; ; n++ {
		one, err := failOne(d, f, n)
		if errors.Is(err, errNotHit) {
			return all, nil
		}
		if err != nil {
			return all, fmt.Errorf("%s, the first is operation %d: %w", f.name, n, err)
		}
		if one.Runs == 0 {
			continue
		}
		for i, p := range one.Problems {
			one.Problems[i] = fmt.Errorf("%s, the first is operation %d: %w", f.name, n, p)
		}
		all.add(one.Verdict)
		all.Runs += one.Runs
		all.Left += one.Left
		all.Written = max(all.Written, one.Written)
		all.Recovered = max(all.Recovered, one.Recovered)
		if len(all.Problems) > 20 {
			return all, nil
		}
	}
}

// failOne runs the workload on an empty disk that fails from operation n on.
func failOne(d *faultdisk.Disk, f failing, n int) (one Failures, err error) {
	fault := faultdisk.Fault{Errno: f.errno, Kinds: f.kinds, From: n}
	if !f.lasting {
		fault.Times = 1
	}
	one, log, err := runOn(d, f.workload, func() { d.Fail(fault) })
	if err != nil {
		return one, err
	}
	trace := d.Trace()
	if len(trace) <= n {
		return one, errNotHit
	}
	if !slices.Contains(f.kinds, trace[n].Kind) && !f.lasting {
		return Failures{}, nil // the one after it fails, in the next turn
	}
	one.Runs = 1
	from := len(trace)
	if f.everyCut {
		from = n // before that it is as without the failure
	}
	cuts, err := log.cutFrom(from, trace, 20)
	one.add(cuts.Verdict)
	one.Left, one.Written = cuts.Left, trace.Written()
	return one, err
}

// runOn runs a workload on an empty disk. trouble makes the disk fail, before
// the first operation unless the workload says when; it is well again before
// the last run ends.
func runOn(d *faultdisk.Disk, w workload, trouble func()) (one Failures, log *promises, err error) {
	if err := os.RemoveAll(filepath.Join(d.Dir, "lib")); err != nil {
		return one, nil, err
	}
	d.Forget()
	log = newPromises(d.Len)
	b := newBox(d.Dir, smallConfig(), log)
	if w.late {
		b.trouble = trouble
	} else {
		trouble()
	}
	runs := 0
	b.stopping = func() error {
		runs++
		one.missing(log, b)
		if runs == w.runs {
			one.Short = d.Short()
			d.Fail(faultdisk.Fault{})
			one.recover(b)
		}
		return nil
	}
	// Its errors are that what cannot be kept was not kept.
	_ = w.do(b)
	d.Fail(faultdisk.Fault{})
	return one, log, nil
}

// missing looks whether everything that this run made is there.
func (f *Failures) missing(log *promises, b *box) {
	there, losses := b.held(), b.store.Losses()
	for _, m := range log.reports {
		if m.Key.Run == b.run && m.acked == never && !there[m.Key] && !isLost(losses, m.Key) {
			f.Lost++
			f.problem("%v %d was appended and is neither there nor in the ledger", m.Key.Lane, m.Key.Sequence)
		}
	}
	f.undamaged(log, losses)
}

// undamaged checks that nothing is told as damaged by a disk that keeps what it
// has.
func (f *Failures) undamaged(log *promises, losses []buffer.Loss) {
	for _, l := range losses {
		if l.Reason == buffer.Damaged && log.damaged == never {
			f.Lost += int(l.Count)
			f.problem("%d %v are told as damaged, and nothing is", l.Count, l.Lane)
		}
	}
}

// recover runs until everything is durable.
func (f *Failures) recover(b *box) {
	began := b.now
	for b.now < began+time.Hour {
		st := b.store.Stats()
		if st.Events.RAMReports+st.Windows.RAMReports == 0 && b.store.Condition().State != buffer.Unavailable {
			f.Recovered = b.now - began
			b.log.spilled(b.run)
			f.undamaged(b.log, b.store.Losses())
			if b.log.damaged != never && b.log.repaired == never {
				b.log.salvaged(b.held())
			}
			return
		}
		b.now += time.Minute
		if err := b.store.Tick(); err != nil {
			f.problem("an hour after: %w", err)
		}
	}
	f.problem("not durable an hour after the disk was well again: %+v", b.store.Condition())
}
