package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"livebox-agent/collector/sample"
)

// verdict is how one round of one source ended. Every round ends in one.
type verdict uint8

const (
	verdictOK verdict = iota + 1
	verdictNoData
	verdictRefused
	verdictFailed
	verdictTimedOut
	verdictPanicked
	verdictNotGranted
	verdictSkipped
	verdictCancelled
)

// errTimeout tells the end of a round's time from the end of the run.
var errTimeout = errors.New("timeout of the round")

// start asks e in a goroutine of its own, which ends by sending e to finished.
func (s *Set) start(ctx context.Context, e *entry, now time.Duration) {
	e.busy = true
	e.asked = now
	e.deadline = now + e.desc.Timeout + grace
	r := &e.round
	r.batch.Reset(now)
	r.err, r.ended, r.panicked, r.stack = nil, nil, nil, nil
	go func() {
		began := time.Now()
		ctx, cancel := context.WithTimeoutCause(ctx, e.desc.Timeout, errTimeout)
		defer func() {
			if p := recover(); p != nil {
				r.panicked, r.stack = p, debug.Stack()
			}
			r.ended = context.Cause(ctx)
			cancel()
			r.took = time.Since(began)
			s.finished <- e
		}()
		r.err = e.src.Collect(ctx, &r.batch)
	}()
}

// finish takes the round that e has just ended and delivers its readings. A
// round that had been given up has no verdict any more: it is counted
// already, and its readings are of an instant long past.
func (s *Set) finish(e *entry, deliver func(string, Description, *sample.Batch)) (v verdict, reason string) {
	late := e.hanging
	e.busy = false
	s.setHanging(e, false)
	if late {
		return 0, ""
	}
	v, reason = e.judge()
	if !s.opt.Granted(e.desc.Purpose) {
		v, reason = verdictNotGranted, ""
	}
	s.took(e)
	s.conclude(e, v, reason)
	switch v {
	case verdictNoData, verdictRefused:
		now := s.opt.Now()
		e.due = s.after(e, now+again(now, s.opt.RetryAbsent))
		return v, reason
	case verdictPanicked, verdictNotGranted:
		return v, reason
	}
	if s.filter(e); len(e.round.batch.Readings) > 0 {
		deliver(e.desc.Name, e.desc, &e.round.batch)
	}
	return v, reason
}

// reasonHanging is the reason of a source that has been given up.
const reasonHanging = "does not return"

// giveUp says that e did not return in time. Its goroutine goes on, and keeps
// the batch, until the source returns.
func (s *Set) giveUp(e *entry) {
	s.setHanging(e, true)
	s.conclude(e, verdictTimedOut, reasonHanging)
}

// judge says how the round of e ended, and why.
func (e *entry) judge() (v verdict, reason string) {
	r := &e.round
	switch {
	case r.panicked != nil:
		return verdictPanicked, printable(fmt.Sprintf("panic: %v", r.panicked))
	case r.err == nil:
		return verdictOK, ""
	}
	reason = printable(r.err.Error())
	absent, refused := errors.Is(r.err, ErrNoData), errors.Is(r.err, ErrRefused)
	switch {
	case (absent || refused) && len(r.batch.Readings) > 0:
		// It gave what this box has.
		return verdictOK, reason
	case absent:
		return verdictNoData, reason
	case refused:
		return verdictRefused, reason
	case errors.Is(r.ended, errTimeout):
		return verdictTimedOut, reason
	case r.ended != nil:
		return verdictCancelled, reason
	}
	return verdictFailed, reason
}

// maxReason bounds what is kept, and sent, of an error.
const maxReason = 200

// printable returns s on one line and of bounded length.
func printable(s string) string {
	s = strings.ToValidUTF8(strings.Join(strings.Fields(s), " "), "?")
	if len(s) > maxReason {
		s = strings.ToValidUTF8(s[:maxReason], "") + "…"
	}
	return s
}

// filter takes away the readings of metrics that e did not announce: consent
// is given for what is announced.
func (s *Set) filter(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	readings := e.round.batch.Readings
	kept := readings[:0]
	for _, r := range readings {
		if int(r.Metric) >= len(e.index) || e.index[r.Metric] == 0 {
			e.report.stats.Foreign++
			continue
		}
		e.report.given[e.index[r.Metric]-1] = true
		kept = append(kept, r)
	}
	e.round.batch.Readings = kept
	e.report.stats.Readings += uint64(len(kept))
}

// conclude counts v and says what it means for the state of e.
func (s *Set) conclude(e *entry, v verdict, reason string) {
	s.count(e, v)
	if v == verdictPanicked && e.last != verdictPanicked {
		s.opt.Log.Error("source panicked", "source", e.desc.Name, "reason", reason, "stack", string(e.round.stack))
	}
	e.last = v
	switch v {
	case verdictFailed, verdictTimedOut, verdictPanicked:
		e.failures++
		if e.failures < failingAfter && !e.hanging {
			return
		}
	case verdictCancelled:
		return
	default:
		e.failures = 0
	}
	s.enter(e, v.state(), reason)
}

// state returns the state that v is a sign of; zero if it is none.
func (v verdict) state() State {
	switch v {
	case verdictOK:
		return Working
	case verdictNoData:
		return Absent
	case verdictRefused:
		return Refused
	case verdictFailed, verdictTimedOut, verdictPanicked:
		return Failing
	case verdictNotGranted:
		return NotGranted
	}
	return 0
}

// enter puts e into a state, and logs it if it is another than before.
func (s *Set) enter(e *entry, to State, reason string) {
	s.mu.Lock()
	from := e.report.state
	e.report.state, e.report.reason = to, reason
	s.mu.Unlock()
	if from == to {
		return
	}
	level := slog.LevelInfo
	if to == Failing || to == Refused {
		level = slog.LevelWarn
	}
	s.opt.Log.Log(context.Background(), level, "source changed state",
		"source", e.desc.Name, "from", from.String(), "to", to.String(), "reason", reason)
}

// count adds a round that ended with v.
func (s *Set) count(e *entry, v verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &e.report.stats
	st.Rounds++
	switch v {
	case verdictOK:
		st.OK++
	case verdictNoData:
		st.NoData++
	case verdictRefused:
		st.Refused++
	case verdictFailed:
		st.Failed++
	case verdictTimedOut:
		st.TimedOut++
	case verdictPanicked:
		st.Panicked++
	case verdictNotGranted:
		st.NotGranted++
	case verdictSkipped:
		st.Skipped++
	case verdictCancelled:
		st.Cancelled++
	}
}

// took notes how long the round of e took.
func (s *Set) took(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &e.report.stats
	st.Took = e.round.took
	st.TookMax = max(st.TookMax, st.Took)
}

// setHanging notes whether e is in a round that was given up.
func (s *Set) setHanging(e *entry, hanging bool) {
	e.hanging = hanging
	s.mu.Lock()
	defer s.mu.Unlock()
	e.report.stats.Hanging = hanging
}
