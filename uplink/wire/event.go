package wire

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

// An EventType says what happened.
type EventType uint16

// The types of event. The numbers travel on the wire.
const (
	// AgentStarted carries the attributes previous_run (hexadecimal),
	// previous_end ("clean", "unclean", "first", "unknown") and version, and
	// evidence of why the box restarted where the kernel did.
	AgentStarted EventType = iota + 1
	// StoreReset: the store of reports was damaged or foreign and has been set
	// aside.
	StoreReset
	// ReportsLost: reports were dropped before they could be delivered; the
	// event's losses say which.
	ReportsLost
	// StoreUnavailable: the store cannot be written; reports are kept in
	// memory only.
	StoreUnavailable
	// Surge is evidence of a surge, or of what may be one.
	Surge
	// Line: the line was lost, came back or trained anew, and nothing else
	// happened.
	Line
	// Step: a level moved and stayed.
	Step
	// Flapping: a port flaps, or no longer does.
	Flapping
	// Quality: latency or loss is worse than usual, or as usual again.
	Quality
	// Coverage: a device's Wi-Fi coverage is poor, or good again.
	Coverage
	// Association: devices tried to join and failed.
	Association
	// Thermal: a temperature is beyond its limit, or below it again.
	Thermal
	// Recording is what the flight recorder held when it was asked for.
	Recording
)

// eventNames has the types in lower case.
var eventNames = [...]string{
	AgentStarted: "agent_started", StoreReset: "store_reset", ReportsLost: "reports_lost",
	StoreUnavailable: "store_unavailable", Surge: "surge", Line: "line", Step: "step", Flapping: "flapping",
	Quality: "quality", Coverage: "coverage", Association: "association", Thermal: "thermal", Recording: "recording",
}

// String returns the type in lower case.
func (t EventType) String() string {
	if t != 0 && int(t) < len(eventNames) {
		return eventNames[t]
	}
	return "event(" + strconv.Itoa(int(t)) + ")"
}

// An Event is something that happened on the box: the body of a section of
// fidelity EventBody.
type Event struct {
	Type EventType
	// At is the time since the kernel booted.
	At         time.Duration
	Attributes []Attribute
	Losses     []Loss
	// Evidence is what was seen, in order of time.
	Evidence []Evidence
	// Unseen names what could not be seen, and says why.
	Unseen []string
}

// Evidence is a sign that was seen once or more.
type Evidence struct {
	sample.Sign
	// Count is how often it was seen, the first time at Sign.At; 0 is once.
	Count uint32
}

// An Attribute is a detail of an event.
type Attribute struct{ Key, Value string }

// A LossReason says why reports were dropped or thinned.
type LossReason uint8

// The reasons for a loss. The numbers travel on the wire.
const (
	// LostFull: dropped, the store is at its limit.
	LostFull LossReason = iota + 1
	// LostDamaged: dropped, could not be read back.
	LostDamaged
	// LostThinned: columns dropped, summaries kept, the store is at its limit.
	LostThinned
	// LostWithdrawn: sections dropped, the customer withdrew consent.
	LostWithdrawn
)

// String returns the reason in lower case.
func (r LossReason) String() string {
	switch r {
	case LostFull:
		return "full"
	case LostDamaged:
		return "damaged"
	case LostThinned:
		return "thinned"
	case LostWithdrawn:
		return "withdrawn"
	}
	return "reason(" + strconv.Itoa(int(r)) + ")"
}

// A Loss is a range of reports of one run and lane that were dropped or
// thinned.
type Loss struct {
	RunID uint64
	Lane  Lane
	// Count of the sequences First to Last were lost; the others were
	// delivered.
	First, Last, Count uint64
	Reason             LossReason
}

// AppendEvent appends an Event message.
func AppendEvent(dst []byte, e Event) []byte {
	dst = appendUint(dst, 1, uint64(e.Type))
	dst = appendMillis(dst, 2, e.At)
	for _, a := range e.Attributes {
		var at int
		dst, at = openMessage(dst, 3)
		dst = appendString(dst, 1, a.Key)
		dst = appendString(dst, 2, a.Value)
		dst = closeMessage(dst, at)
	}
	for _, l := range e.Losses {
		dst = appendLoss(dst, 4, l)
	}
	for _, v := range e.Evidence {
		dst = appendEvidence(dst, 5, v)
	}
	for _, u := range e.Unseen {
		// An empty text is an element of its own: appendString would drop it.
		dst = protowire.AppendTag(dst, 6, protowire.BytesType)
		dst = protowire.AppendString(dst, strings.ToValidUTF8(u, "\uFFFD"))
	}
	return dst
}

func appendEvidence(dst []byte, num protowire.Number, e Evidence) []byte {
	dst, at := openMessage(dst, num)
	dst = appendUint(dst, 1, uint64(e.Kind))
	dst = appendMillis(dst, 2, e.At)
	dst = appendString(dst, 3, e.Instance)
	dst = appendUint(dst, 4, uint64(e.Metric))
	dst = appendUint(dst, 5, protowire.EncodeZigZag(e.Before))
	dst = appendUint(dst, 6, protowire.EncodeZigZag(e.After))
	dst = appendUint(dst, 7, uint64(e.Count))
	return closeMessage(dst, at)
}

func appendLoss(dst []byte, num protowire.Number, l Loss) []byte {
	dst, at := openMessage(dst, num)
	dst = appendFixed64(dst, 1, l.RunID)
	dst = appendUint(dst, 2, uint64(l.Lane))
	dst = appendUint(dst, 3, l.First)
	dst = appendUint(dst, 4, l.Last)
	dst = appendUint(dst, 5, l.Count)
	dst = appendUint(dst, 6, uint64(l.Reason))
	return closeMessage(dst, at)
}

// ParseEvent reads an Event.
func ParseEvent(b []byte) (Event, error) {
	var e Event
	err := eachField(b, func(f field) error {
		var err error
		switch f.key {
		case key(1, protowire.VarintType):
			e.Type = EventType(min(f.value, 1<<16-1))
		case key(2, protowire.VarintType):
			e.At, err = f.millis()
		case key(3, protowire.BytesType):
			var a Attribute
			a, err = parseAttribute(f.bytes)
			e.Attributes = append(e.Attributes, a)
		case key(4, protowire.BytesType):
			var l Loss
			l, err = parseLoss(f.bytes)
			e.Losses = append(e.Losses, l)
		case key(5, protowire.BytesType):
			var v Evidence
			v, err = parseEvidence(f.bytes)
			e.Evidence = append(e.Evidence, v)
		case key(6, protowire.BytesType):
			var u string
			u, err = f.text()
			e.Unseen = append(e.Unseen, u)
		}
		return err
	})
	if err != nil {
		return Event{}, fmt.Errorf("parse event: %w", err)
	}
	return e, nil
}

func parseEvidence(b []byte) (Evidence, error) {
	var e Evidence
	err := eachField(b, func(f field) error {
		var err error
		switch f.key {
		case key(1, protowire.VarintType):
			e.Kind = sample.SignKind(min(f.value, 1<<16-1))
		case key(2, protowire.VarintType):
			e.At, err = f.millis()
		case key(3, protowire.BytesType):
			e.Instance, err = f.text()
		case key(4, protowire.VarintType):
			e.Metric = catalogue.ID(min(f.value, 1<<16-1))
		case key(5, protowire.VarintType):
			e.Before = protowire.DecodeZigZag(f.value)
		case key(6, protowire.VarintType):
			e.After = protowire.DecodeZigZag(f.value)
		case key(7, protowire.VarintType):
			e.Count = uint32(min(f.value, 1<<32-1))
		}
		return err
	})
	return e, err
}

func parseAttribute(b []byte) (Attribute, error) {
	var a Attribute
	err := eachField(b, func(f field) error {
		var err error
		switch f.key {
		case key(1, protowire.BytesType):
			a.Key, err = f.text()
		case key(2, protowire.BytesType):
			a.Value, err = f.text()
		}
		return err
	})
	return a, err
}

func parseLoss(b []byte) (Loss, error) {
	var l Loss
	err := eachField(b, func(f field) error {
		switch f.key {
		case key(1, protowire.Fixed64Type):
			l.RunID = f.value
		case key(2, protowire.VarintType):
			l.Lane = Lane(f.enum())
		case key(3, protowire.VarintType):
			l.First = f.value
		case key(4, protowire.VarintType):
			l.Last = f.value
		case key(5, protowire.VarintType):
			l.Count = f.value
		case key(6, protowire.VarintType):
			l.Reason = LossReason(f.enum())
		}
		return nil
	})
	return l, err
}
