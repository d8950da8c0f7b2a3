package collector

import (
	"context"
	"slices"
	"sort"
	"strconv"
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

// A State says whether a source gives readings on this box. The numbers
// travel on the wire.
type State uint8

// The states of a source. The zero State is a source that has not answered
// yet.
const (
	// Working is a source that gives what it can.
	Working State = iota + 1
	// Absent is a source of something that this box does not have.
	Absent
	// Refused is a source that the box does not let the agent read.
	Refused
	// Failing is a source whose last rounds all failed, or which hangs.
	Failing
	// NotGranted is a source whose purpose the customer has not granted. It
	// is not asked.
	NotGranted
)

// String returns the state in lower case.
func (s State) String() string {
	switch s {
	case 0:
		return "unknown"
	case Working:
		return "working"
	case Absent:
		return "absent"
	case Refused:
		return "refused"
	case Failing:
		return "failing"
	case NotGranted:
		return "not_granted"
	}
	return "state(" + strconv.Itoa(int(s)) + ")"
}

// A Capability says what one source can do on this box.
type Capability struct {
	Source string
	State  State
	// Reason says why the state is not Working, or what a working source
	// could not read, in at most some two hundred bytes; it may be empty.
	Reason string
	// Metrics are those that the source has given in this run.
	Metrics []catalogue.ID
}

// Stats counts what one source did. Rounds is the sum of OK to Cancelled.
type Stats struct {
	Source string
	// Rounds are the times that the source was due.
	Rounds uint64
	// OK are rounds that ended without an error, or with a part of the
	// readings because the box has no more.
	OK uint64
	// NoData and Refused are rounds that ended with ErrNoData and ErrRefused.
	NoData, Refused uint64
	// Failed are rounds that ended with another error.
	Failed uint64
	// TimedOut are rounds that did not end before the source's timeout.
	TimedOut uint64
	// Panicked are rounds that ended in a panic; their readings are dropped.
	Panicked uint64
	// NotGranted are rounds in which the source was not asked, or whose
	// readings were dropped, because the purpose was not granted.
	NotGranted uint64
	// Skipped are rounds in which the source was still busy with an earlier
	// one.
	Skipped uint64
	// Cancelled are rounds that the end of the run cut short.
	Cancelled uint64

	// Readings are those delivered, Foreign those dropped because the source
	// had not announced their metric.
	Readings, Foreign uint64
	// Took is how long the last round took that returned in time, TookMax
	// how long the longest did.
	Took, TookMax time.Duration
	// Hanging says that the source has not returned from a round given up.
	Hanging bool
}

// An Outcome is what one source answered when it was asked once.
type Outcome struct {
	Description Description
	State       State
	// Reason says why the state is not Working; it may be empty.
	Reason string
	Took   time.Duration
	// Readings may be there in any state but NotGranted.
	Readings []sample.Reading
}

// report is what the outside may ask of an entry at any time.
type report struct {
	state  State
	reason string
	stats  Stats
	given  []bool // by place in Description.Metrics
}

// Capabilities returns what each source can do on this box, in the order of
// the sources. It may be called at any time.
func (s *Set) Capabilities() []Capability {
	s.mu.Lock()
	defer s.mu.Unlock()
	caps := make([]Capability, 0, len(s.entries))
	for _, e := range s.entries {
		c := Capability{Source: e.desc.Name, State: e.report.state, Reason: e.report.reason}
		for i, id := range e.desc.Metrics {
			if e.report.given[i] {
				c.Metrics = append(c.Metrics, id)
			}
		}
		// slices.Sort would be linked for this type alone.
		ascending := func(i, j int) bool { return c.Metrics[i] < c.Metrics[j] }
		sort.Slice(c.Metrics, ascending)
		caps = append(caps, c)
	}
	return caps
}

// Stats returns what each source did since the Set was made, in the order of
// the sources. It may be called at any time.
func (s *Set) Stats() []Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := make([]Stats, 0, len(s.entries))
	for _, e := range s.entries {
		st := e.report.stats
		st.Source = e.desc.Name
		stats = append(stats, st)
	}
	return stats
}

// Once asks every granted source once, all at the same time, and returns what
// they answered in the order of the sources. One that does not return within a
// second of its timeout, or of the end of ctx, is left behind.
func (s *Set) Once(ctx context.Context) []Outcome {
	if !s.turn.TryLock() {
		panic("BUG: the set of sources is already running")
	}
	defer s.turn.Unlock()
	outcomes := make([]Outcome, len(s.entries))
	now := s.opt.Now()
	for i, e := range s.entries {
		outcomes[i] = Outcome{Description: e.desc, State: Failing, Reason: reasonHanging}
		switch {
		case e.busy:
			s.count(e, verdictSkipped)
		case !s.opt.Granted(e.desc.Purpose):
			s.conclude(e, verdictNotGranted, "")
			outcomes[i].State, outcomes[i].Reason = NotGranted, ""
		default:
			s.start(ctx, e, now)
		}
	}
	s.wait(ctx, func(e *entry) {
		o := &outcomes[slices.Index(s.entries, e)]
		v, reason := s.finish(e, func(_ string, _ Description, b *sample.Batch) {
			o.Readings = slices.Clone(b.Readings)
		})
		if v == 0 {
			return
		}
		o.State, o.Reason, o.Took = v.state(), reason, e.round.took
	})
	return outcomes
}
