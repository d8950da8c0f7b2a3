package storage

import (
	"math"

	"livebox-agent/agent/clock"
	"livebox-agent/agent/consent"
	"livebox-agent/buffer"
	"livebox-agent/collector/catalogue"
)

// never is a number of operations that is not reached.
const never = math.MaxInt

// promises is what a workload was promised, and when: at is the number of
// operations that the disk had seen. What a call promises holds from its
// return on, what it takes back is void from its beginning on.
type promises struct {
	at func() int

	reports     []*promise
	byKey       map[buffer.Key]*promise
	starts      []startPromise
	ends        []endPromise
	keys        []keysPromise
	withdrawals []withdrawal
	learnt      []learntPromise
	cleared     []clearance
	// damaged is when the store was damaged, repaired when a start had
	// repaired it; never.
	damaged, repaired int
	// Sections that went with damage are in no ledger, since nobody knows of
	// them any more: reduced counts them.
	rotten  bool
	reduced int
}

// A promise is about one report.
type promise struct {
	buffer.Report
	// losses are what the event tells of the ledger.
	losses []buffer.Loss
	// From made on the report may be there, from durable on it must be, until
	// acked.
	made, durable, acked int
	// gone: the repair of the damaged store could not keep it.
	gone bool
	// Of a damaged store: whether it was there, and told as lost by Open.
	there, early bool
}

type startPromise struct {
	began, done int
	start       clock.Start
	kept        bool
}

// An endPromise is that the run of the start with that number ended as asked;
// done is never where that could not be recorded.
type endPromise struct{ began, done, start int }

type keysPromise struct {
	began, done int
	granted     consent.Set
	names       map[catalogue.Purpose]string
	kept        bool
}

type withdrawal struct {
	began, done int // never where it failed
	purpose     catalogue.Purpose
	// of the reports that were made before: their number.
	reports int
}

func newPromises(at func() int) *promises {
	return &promises{at: at, byKey: map[buffer.Key]*promise{}, damaged: never, repaired: never}
}

func (l *promises) made(r buffer.Report, losses []buffer.Loss) *promise {
	m := &promise{Report: r, losses: losses, made: l.at(), durable: never, acked: never}
	l.reports = append(l.reports, m)
	l.byKey[r.Key] = m
	return m
}

// spilled notes that everything that a run made is durable.
func (l *promises) spilled(run buffer.Run) {
	for _, m := range l.reports {
		if m.Key.Run != run {
			continue
		}
		m.durable = min(m.durable, l.at())
	}
}

func (l *promises) acked(run uint64, lane buffer.Lane, upTo uint64) {
	for _, m := range l.reports {
		if m.Key.Run.ID == run && m.Key.Lane == lane && m.Key.Sequence <= upTo {
			m.acked = min(m.acked, l.at())
		}
	}
}

func (l *promises) withdrawn(began int, p catalogue.Purpose, err error) {
	w := withdrawal{began: began, done: l.at(), purpose: p, reports: len(l.reports)}
	if err != nil {
		w.done = never
	}
	l.withdrawals = append(l.withdrawals, w)
}

func (l *promises) started(began int, s clock.Start, err error) {
	l.starts = append(l.starts, startPromise{began, l.at(), s, err == nil})
}

func (l *promises) ended(began int, err error) {
	e := endPromise{began, l.at(), len(l.starts) - 1}
	if err != nil {
		e.done = never
	}
	l.ends = append(l.ends, e)
}

func (l *promises) opened(began int, granted consent.Set, names map[catalogue.Purpose]string, err error) {
	l.keys = append(l.keys, keysPromise{began, l.at(), granted, names, err == nil})
}

// salvaged notes what a repair left of the reports: what is not there went with
// the damage, and has to be told.
func (l *promises) salvaged(there map[buffer.Key]bool) (gone int) {
	l.repaired = l.at()
	for _, m := range l.reports {
		if m.made < l.damaged && m.acked == never && !there[m.Key] {
			m.gone = true
			gone++
		}
	}
	return gone
}

// version changes with what is promised after n operations.
func (l *promises) version(n int) (v int) {
	count := func(from int) {
		if from <= n {
			v++
		}
	}
	for _, m := range l.reports {
		count(m.made)
		count(m.durable)
		count(m.acked)
	}
	count(l.damaged)
	count(l.repaired)
	for _, s := range l.starts {
		count(s.began)
		count(s.done)
	}
	for _, e := range l.ends {
		count(e.began)
		count(e.done)
	}
	for _, k := range l.keys {
		count(k.began)
		count(k.done)
	}
	for _, w := range l.withdrawals {
		count(w.began)
		count(w.done)
	}
	for _, p := range l.learnt {
		count(p.began)
		count(p.done)
	}
	for _, c := range l.cleared {
		count(c.done)
	}
	return v
}
