package agent

import (
	"fmt"
	"time"

	"livebox-agent/agent/allowance"
	"livebox-agent/buffer"
	"livebox-agent/collector/catalogue"
	"livebox-agent/uplink/wire"
)

const (
	// recordingBytes bounds what a recording that was asked for has of the flight
	// recorder, and recordedBefore the time.
	recordingBytes = 48 << 10
	recordedBefore = 10 * time.Minute

	// recordings at once, and one more each recordingEvery after that: 0.2 MB a day
	// of the line where recordings of a home of 60 stations are asked for without end.
	recordings     = 4
	recordingEvery = 6 * time.Hour
)

func newRecordings() allowance.Allowance {
	return allowance.Allowance{Burst: recordings, Every: recordingEvery}
}

// A Recorded says what became of a recording that was asked for.
type Recorded struct {
	// Sequence is the number of its event within the run.
	Sequence uint64 `json:"sequence"`
	// Sections and Bytes are what it has of the flight recorder.
	Sections int `json:"sections"`
	Bytes    int `json:"bytes"`
	// AgainSeconds is how long to wait where there have been too many: then there
	// is no event.
	AgainSeconds int64 `json:"again_seconds,omitzero"`
}

// A TooManyError says that recordings have been asked for too often.
type TooManyError struct {
	// Again is how long to wait.
	Again time.Duration
}

func (e *TooManyError) Error() string {
	return fmt.Sprintf("too many recordings: flash and line have room for %d at once and one each %v; ask again in %v",
		recordings, recordingEvery, e.Again)
}

// record makes an event of what the flight recorder holds, unless there have been
// too many.
func (a *Agent) record(reason string) Recorded {
	now := a.clock.Mono()
	a.mu.Lock()
	if wait := a.recordings.Wait(now); wait > 0 {
		a.mu.Unlock()
		return Recorded{AgainSeconds: int64((wait + time.Second - 1) / time.Second)}
	}
	a.recordings.Take(now)
	cut := a.window.Cut(max(now-recordedBefore, 0), now, a.granted.Has)
	a.mu.Unlock()
	sections := cut.Sections(recordingBytes)
	r := Recorded{Sections: len(sections)}
	for _, s := range sections {
		r.Bytes += len(s.Body)
	}
	e := wire.Event{Type: wire.Recording, At: now, Attributes: []wire.Attribute{{Key: "reason", Value: reason}}}
	r.Sequence = a.report(buffer.Events, now, now, append(eventSections(e, catalogue.Essential), sections...), a.store.Append)
	return r
}
