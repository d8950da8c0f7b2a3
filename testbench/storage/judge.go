package storage

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"livebox-agent/agent/clock"
	"livebox-agent/agent/consent"
	"livebox-agent/buffer"
	"livebox-agent/testbench/faultdisk"
)

// A Verdict counts what was found after faults.
type Verdict struct {
	// Lost are reports that were accepted as durable and are neither there nor
	// in the ledger; Duplicated came more than once, or again after a restart
	// that had nothing to send again.
	Lost, Duplicated int
	// Problems are broken promises, in words.
	Problems []error
}

func (v *Verdict) problem(format string, a ...any) {
	v.Problems = append(v.Problems, fmt.Errorf(format, a...))
}

func (v *Verdict) add(o Verdict) {
	v.Lost += o.Lost
	v.Duplicated += o.Duplicated
	v.Problems = append(v.Problems, o.Problems...)
}

// err is everything that was wrong, nil for nothing.
func (v *Verdict) err() error {
	err := errors.Join(v.Problems...)
	if err == nil && v.Lost+v.Duplicated > 0 {
		err = fmt.Errorf("%d lost, %d duplicated", v.Lost, v.Duplicated)
	}
	return err
}

// judge starts an agent's state on what a disk holds in dir, below which left
// was written, and compares that with what was promised before the operation
// with the number n.
func (l *promises) judge(n int, dir string, left faultdisk.Image) (v Verdict) {
	for _, w := range l.withdrawals {
		if w.done <= n {
			l.judgeErasure(&v, w, left)
		}
	}
	l.judgeClearance(&v, n, left)
	after := newPromises(func() int { return 0 })
	b := newBox(dir, smallConfig(), after)
	b.kernel, b.now = 9, time20
	granted := l.granted(n)
	b.rnd.Seed(9, uint64(n))
	if err := b.start(granted); err != nil {
		v.problem("start: %w", err)
	}
	if b.clockErr != nil || b.keysErr != nil {
		v.problem("clock: %v, keys: %v", b.clockErr, b.keysErr)
	}
	if c := b.store.Condition(); c.State != buffer.OK && (c.State != buffer.Reset || n < l.damaged || n >= l.repaired) {
		v.problem("the store is %v (%s)", c.State, c.Reason)
	}
	l.judgeStart(&v, n, b.clock.Start())
	l.judgeKeys(&v, n, b)
	l.judgeLearnt(&v, n, b, granted)
	l.judgeReports(&v, n, b.store, b.run.ID)

	// And life goes on.
	if err := errors.Join(b.window(600), b.stop()); err != nil {
		v.problem("go on: %w", err)
	}
	if c, err := buffer.Inspect(b.dir); err != nil || len(c.Damaged) > 0 {
		v.problem("in the store afterwards: %v, damaged %v", err, c.Damaged)
	}
	again := newBox(dir, smallConfig(), newPromises(after.at))
	again.kernel, again.now = 9, b.now+time20
	if err := again.start(granted); err != nil {
		v.problem("start again: %w", err)
	}
	if end := again.clock.Start().PreviousEnd; end != clock.EndClean {
		v.problem("the end as asked is remembered as %s", end)
	}
	after.judgeReports(&v, 0, again.store, 0)
	if err := again.leave(); err != nil {
		v.problem("leave: %w", err)
	}
	if len(l.learnt) > 0 {
		l.judgeWithdrawal(&v, n, dir)
	}
	return v
}

// granted is what the customer grants after n operations: what the last start
// was told.
func (l *promises) granted(n int) consent.Set {
	granted := allPurposes
	for _, k := range l.keys {
		if k.began <= n {
			granted = k.granted
		}
	}
	return granted
}

// judgeErasure looks for what was withdrawn in every byte that is left.
func (l *promises) judgeErasure(v *Verdict, w withdrawal, left faultdisk.Image) {
	for _, m := range l.reports[:w.reports] {
		for _, s := range m.Sections {
			if s.Purpose != w.purpose {
				continue
			}
			for name, content := range left.Files {
				if bytes.Contains(content, s.Body[:min(16, len(s.Body))]) {
					v.problem("a section of %v that was withdrawn is in %s", w.purpose, name)
				}
			}
		}
	}
}

// judgeStart checks that the run is counted and knows how the one before ended.
func (l *promises) judgeStart(v *Verdict, n int, s clock.Start) {
	var before, began uint32
	ends := []string{clock.EndFirst}
	unsure := false // a write that failed may have come to something later
	for i, p := range l.starts {
		if p.began > n {
			break
		}
		began++
		unsure = unsure || !p.kept && p.done <= n
		if p.done > n { // under way
			ends = append(ends, clock.EndUnclean)
			break
		}
		if p.kept {
			before = p.start.Run.Counter
		}
		ends = []string{clock.EndUnclean}
		for _, e := range l.ends {
			switch {
			case e.start != i || e.began > n:
			case e.done <= n:
				ends = []string{clock.EndClean}
			default:
				ends = append(ends, clock.EndClean)
			}
		}
	}
	if unsure {
		ends = []string{clock.EndFirst, clock.EndUnclean, clock.EndClean}
	}
	if s.Run.Counter <= before || s.Run.Counter > began+1 {
		v.problem("run %d after %d were counted and %d began", s.Run.Counter, before, began)
	}
	if !slices.Contains(ends, s.PreviousEnd) {
		v.problem("the run before ended %q; want one of %q", s.PreviousEnd, ends)
	}
}

// judgeKeys checks that pseudonyms last, and end with the consent.
func (l *promises) judgeKeys(v *Verdict, n int, b *box) {
	names := b.pseudonyms()
	last := -1
	for i, k := range l.keys {
		if k.done <= n && k.kept {
			last = i
		}
	}
	if last < 0 {
		return
	}
	for p, name := range l.keys[last].names {
		if now, granted := names[p]; granted && now != name {
			v.problem("the pseudonym for %v was %s and is %s", p, name, now)
		}
	}
	for p := range names {
		if _, granted := l.keys[last].names[p]; granted {
			continue
		}
		for _, k := range l.keys[:last] {
			if k.names[p] == names[p] {
				v.problem("the key for %v survived its withdrawal", p)
			}
		}
	}
}

// judgeReports compares what the store gives with what was promised. Only the
// reports of the run own may be there beside those; 0 stands for any.
func (l *promises) judgeReports(v *Verdict, n int, store *buffer.Store, own uint64) {
	losses := store.Losses()
	there := l.walk(v, n, store, losses, own)
	told := losses
	gone := 0
	for _, m := range l.reports {
		switch {
		case there[m.Key]:
			told = append(told, m.losses...)
		case m.durable > n || m.acked <= n || isLost(losses, m.Key) || l.toldLater(n, m.Key):
		case m.gone && l.damaged <= n:
			gone++
		default:
			v.Lost++
			v.problem("%v %d was durable and is neither there nor in the ledger", m.Key.Lane, m.Key.Sequence)
		}
	}
	if own == 0 {
		return
	}
	l.judgeSums(v, told)
	if count := nameless(told); count != gone {
		v.Lost += max(0, gone-count)
		v.problem("%d reports went with the damage, and %d are told", gone, count)
	}
}

// nameless is how many reports losses tell of which a repair knew no more than
// how many they were.
func nameless(losses []buffer.Loss) (n int) {
	for _, l := range losses {
		if l.Run == 0 && l.Reason == buffer.Damaged {
			n += int(l.Count)
		}
	}
	return n
}

// walk reads everything that a store has, and checks that it comes in order, once
// and as it was made.
func (l *promises) walk(v *Verdict, n int, store *buffer.Store, losses []buffer.Loss, own uint64) map[buffer.Key]bool {
	there := map[buffer.Key]bool{}
	for _, lane := range []buffer.Lane{buffer.Events, buffer.Windows} {
		var after buffer.Key
		for {
			r, ok := store.Next(lane, after)
			if !ok {
				break
			}
			if after != (buffer.Key{}) && r.Key.Compare(after) <= 0 {
				v.Duplicated++
				v.problem("%v %d comes after %d", lane, r.Key.Sequence, after.Sequence)
				return there
			}
			after = r.Key
			there[r.Key] = true
			l.judgeReport(v, n, r, losses, own)
		}
	}
	return there
}

// judgeReport checks that a report is as it was made.
func (l *promises) judgeReport(v *Verdict, n int, r buffer.Report, losses []buffer.Loss, own uint64) {
	m := l.byKey[r.Key]
	if m == nil || m.made > n {
		if own != 0 && r.Key.Run.ID != own {
			v.problem("%v %d was never made", r.Key.Lane, r.Key.Sequence)
		}
		return
	}
	if !bytes.Equal(r.Header, m.Header) || r.Opened != m.Opened || r.Sealed != m.Sealed {
		v.problem("%v %d has another header", r.Key.Lane, r.Key.Sequence)
	}
	for _, s := range r.Sections {
		if !slices.ContainsFunc(m.Sections, func(o buffer.Section) bool {
			return o.Purpose == s.Purpose && o.Fidelity == s.Fidelity && bytes.Equal(o.Body, s.Body)
		}) {
			v.problem("%v %d has a section that it was not given", r.Key.Lane, r.Key.Sequence)
		}
	}
	if m.durable > n {
		return
	}
	for _, s := range m.Sections {
		if !slices.ContainsFunc(r.Sections, func(o buffer.Section) bool {
			return o.Purpose == s.Purpose && o.Fidelity == s.Fidelity
		}) && !l.mayLack(n, m, s, losses) {
			if l.rotten {
				l.reduced++
				continue
			}
			v.problem("%v %d lacks a section of %v, fidelity %d", r.Key.Lane, r.Key.Sequence, s.Purpose, s.Fidelity)
		}
	}
}

// mayLack reports whether a durable report may be without a section.
func (l *promises) mayLack(n int, m *promise, s buffer.Section, losses []buffer.Loss) bool {
	if !l.granted(n).Has(s.Purpose) {
		return true
	}
	return s.Fidelity == buffer.Columns && (covered(losses, m.Key, buffer.Thinned) || l.toldLater(n, m.Key))
}

// toldLater reports whether an event that may be there tells the loss of k.
func (l *promises) toldLater(n int, k buffer.Key) bool {
	for _, m := range l.reports {
		if m.made <= n && (isLost(m.losses, k) || covered(m.losses, k, buffer.Thinned)) {
			return true
		}
	}
	return false
}

// covered reports whether losses tell of k for one of the reasons.
func covered(losses []buffer.Loss, k buffer.Key, reasons ...buffer.Reason) bool {
	return slices.ContainsFunc(losses, func(l buffer.Loss) bool {
		return l.Run == k.Run.ID && l.Lane == k.Lane && l.First <= k.Sequence && k.Sequence <= l.Last &&
			slices.Contains(reasons, l.Reason)
	})
}

func isLost(losses []buffer.Loss, k buffer.Key) bool {
	return covered(losses, k, buffer.Full, buffer.Damaged, buffer.Withdrawn)
}

// judgeSums checks that no loss is told twice, in the ledger and in the events
// that are there: for each reason there are as many reports.
func (l *promises) judgeSums(v *Verdict, told []buffer.Loss) {
	for _, reason := range []buffer.Reason{buffer.Full, buffer.Damaged, buffer.Thinned} {
		var sum, most uint64
		for _, loss := range told {
			if loss.Reason == reason && loss.Run != 0 {
				sum += loss.Count
			}
		}
		for _, m := range l.reports {
			if covered(told, m.Key, reason) {
				most++
			}
		}
		if sum > most {
			v.problem("%d reports told as %v, of %d at most", sum, reason, most)
		}
	}
}
