package cem

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"livebox-agent/collector/catalogue"
	"livebox-agent/testbench/telemetrypb"
	"livebox-agent/uplink/wire"
)

// A message is one message of a stream.
type message struct {
	subject  string
	sequence uint64
	stored   time.Time
	payload  []byte
}

// sender splits "cem.v1.{box}.{kind}", the only form that the streams hold.
func (m message) sender() (box, kind string) {
	box, kind, _ = strings.Cut(strings.TrimPrefix(m.subject, "cem.v1."), ".")
	return box, kind
}

// fold takes one report into the state of its box. It reports whether the box
// is owed an acknowledgement.
func (b *box) fold(m message) bool {
	_, kind := m.sender()
	var r telemetrypb.Report
	if err := proto.Unmarshal(m.payload, &r); err != nil {
		b.reject(m, err)
		return false
	}
	if err := checkEnvelope(&r, b.name, kind); err != nil {
		b.reject(m, err)
		return false
	}
	run := b.run(r.GetRun().GetId(), r.GetRun().GetCounter(), r.GetRun().GetKernelBoot())
	b.learn(run.kernelBoot, clockOf(&r), m.stored) // also from a report that comes again
	l := &run.lanes[r.GetLane()-1]
	added, room := l.add(r.GetSequence())
	if !room {
		b.reject(m, errors.New("too many gaps before this sequence"))
		return false
	}
	run.touched[r.GetLane()-1] = true
	if !added {
		l.duplicates++
		b.totals.Duplicates++
		return true
	}
	b.totals.Reports++
	b.totals.Bytes += uint64(len(m.payload))
	opened, sealed := millis(r.GetOpenedMs()), millis(r.GetSealedMs())
	if count(l.ranges) == 1 {
		l.first, l.last = opened, sealed
	}
	l.first, l.last = min(l.first, opened), max(l.last, sealed)
	if run.started < 0 || opened < run.started {
		run.started = opened
	}
	b.foldSections(m, &r, run)
	return true
}

// reject counts and keeps a message whose envelope is not to be believed.
func (b *box) reject(m message, err error) {
	b.totals.Rejected++
	b.keep(Undecodable{Subject: m.subject, StreamSequence: m.sequence, Reason: err.Error(), Payload: m.payload})
}

// checkEnvelope says why a report cannot be what it claims, if so.
func checkEnvelope(r *telemetrypb.Report, box, kind string) error {
	lane := wire.Windows
	if kind == "event" {
		lane = wire.Events
	}
	const longest = uint64(math.MaxInt64 / int64(time.Millisecond))
	switch {
	case r.GetBox() != box:
		return fmt.Errorf("it says that it is of box %q", r.GetBox())
	case r.GetRun().GetId() == 0:
		return errors.New("no run")
	case wire.Lane(r.GetLane()) != lane:
		return fmt.Errorf("lane %d on the topic of %s", r.GetLane(), lane)
	case r.GetSequence() == 0 || r.GetSequence() == math.MaxUint64:
		return fmt.Errorf("sequence %d", r.GetSequence())
	case r.GetOpenedMs() > r.GetSealedMs() || r.GetSealedMs() > longest:
		return fmt.Errorf("opened at %d ms, sealed at %d ms", r.GetOpenedMs(), r.GetSealedMs())
	}
	return nil
}

// foldSections takes the contents of a report that is new.
func (b *box) foldSections(m message, r *telemetrypb.Report, run *run) {
	stamp := Value{KernelBoot: run.kernelBoot, counter: run.counter, Received: m.stored}
	consent := wire.Consent{Purposes: r.GetConsent().GetPurposes()}
	// A summary stands in for columns that are not there.
	columns := make(map[telemetrypb.Purpose]bool)
	for _, s := range r.GetSections() {
		columns[s.GetPurpose()] = columns[s.GetPurpose()] || s.GetFidelity() == telemetrypb.Fidelity_FIDELITY_COLUMNS
	}
	whole := true
	for _, s := range r.GetSections() {
		if s.GetPurpose() <= 0 || s.GetPurpose() > math.MaxUint8 || !consent.Granted(catalogue.Purpose(s.GetPurpose())) {
			b.totals.Violations++
			continue
		}
		f := folding{box: b, purpose: catalogue.Purpose(s.GetPurpose()), stamp: stamp}
		var err error
		switch s.GetFidelity() {
		case telemetrypb.Fidelity_FIDELITY_COLUMNS:
			err = f.columns(s.GetBody())
		case telemetrypb.Fidelity_FIDELITY_SUMMARY:
			if !columns[s.GetPurpose()] {
				err = f.summary(s.GetBody(), millis(r.GetSealedMs()))
			}
		case telemetrypb.Fidelity_FIDELITY_EVENT:
			err = f.event(s.GetBody(), run)
		default:
			err = fmt.Errorf("fidelity %d is unknown", s.GetFidelity())
		}
		if err != nil {
			whole = false
			b.keep(Undecodable{Subject: m.subject, StreamSequence: m.sequence, Reason: err.Error(), Payload: m.payload})
		}
	}
	if !whole {
		b.totals.UndecodableReports++
	}
}

// A folding is one section on its way into the state.
type folding struct {
	box     *box
	purpose catalogue.Purpose
	stamp   Value // what all values of the report have in common
}

func (f folding) columns(body []byte) error {
	tables, err := wire.DecodeColumns(body)
	if err != nil {
		return err
	}
	for _, t := range tables {
		for _, c := range t.Columns {
			if !f.admit(c.Metric) {
				continue
			}
			last := -1
			for i, v := range c.Values {
				if v != wire.Absent {
					f.box.totals.Readings++
					last = i
				}
			}
			if last >= 0 {
				f.set(c.Metric, c.Instance, c.Values[last], t.Times[last])
			}
		}
	}
	return nil
}

func (f folding) summary(body []byte, sealed time.Duration) error {
	columns, err := wire.DecodeSummary(body)
	if err != nil {
		return err
	}
	for _, c := range columns {
		if f.admit(c.Metric) {
			f.set(c.Metric, c.Instance, c.Last, sealed)
		}
	}
	return nil
}

// admit says whether a metric may enter under the section's purpose, and counts
// it if not.
func (f folding) admit(id catalogue.ID) bool {
	m, ok := catalogue.Lookup(id)
	switch {
	case !ok:
		// Its purpose cannot be checked.
		f.box.totals.UnknownMetrics++
		return false
	case m.Purpose != f.purpose:
		f.box.totals.Violations++
		return false
	}
	return true
}

// set makes v the latest value unless a later one is there already, as when a
// backlog comes after fresh data.
func (f folding) set(id catalogue.ID, instance string, value int64, at time.Duration) {
	v := f.stamp
	v.Metric, v.Instance, v.Value, v.At = id, instance, value, at
	k := valueKey{id, instance}
	old, ok := f.box.values[k]
	switch {
	case ok && old.laterThan(v):
	case !ok && (len(f.box.values) == maxValues || len(instance) > maxText):
		f.box.totals.ValuesRefused++
	default:
		f.box.values[k] = v
	}
}

// laterThan says whether v was read after w, as far as can be told: within one
// boot of the kernel by its clock, else by the counter of runs, else not.
func (v Value) laterThan(w Value) bool {
	if v.KernelBoot == w.KernelBoot {
		return v.At > w.At
	}
	return w.counter != 0 && v.counter > w.counter
}

func (f folding) event(body []byte, run *run) error {
	e, err := wire.ParseEvent(body)
	if err != nil {
		return err
	}
	if e.Type == wire.AgentStarted {
		for _, a := range e.Attributes {
			switch a.Key {
			case "version":
				run.version = clip(a.Value)
			case "previous_run":
				run.previousRun, _ = strconv.ParseUint(a.Value, 16, 64)
			case "previous_end":
				run.previousEnd = clip(a.Value)
			}
		}
	}
	for _, l := range e.Losses {
		switch {
		case dropped(l.Reason):
			f.box.totals.Lost += l.Count
		case l.Reason == wire.LostThinned:
			f.box.totals.Thinned += l.Count
		}
		f.box.losses = push(f.box.losses, l, maxLosses)
	}
	kept := Event{Run: run.id, KernelBoot: run.kernelBoot, Event: wire.Event{Type: e.Type, At: e.At}}
	for _, a := range e.Attributes[:min(len(e.Attributes), maxAttributes)] {
		kept.Attributes = append(kept.Attributes, wire.Attribute{Key: clip(a.Key), Value: clip(a.Value)})
	}
	for _, v := range e.Evidence {
		if v.Metric != 0 && !f.admit(v.Metric) || len(kept.Evidence) == maxEvidence {
			continue
		}
		v.Instance = clip(v.Instance)
		kept.Evidence = append(kept.Evidence, v)
	}
	for _, u := range e.Unseen[:min(len(e.Unseen), maxAttributes)] {
		kept.Unseen = append(kept.Unseen, clip(u))
	}
	f.box.events = push(f.box.events, kept, maxEvents)
	return nil
}

// dropped says whether nothing is left of a report lost for that reason.
func dropped(r wire.LossReason) bool { return r == wire.LostFull || r == wire.LostDamaged }

// foldStatus takes one status into the state of its box.
func (b *box) foldStatus(m message) {
	s := &telemetrypb.Status{}
	if err := proto.Unmarshal(m.payload, s); err != nil {
		b.reject(m, err)
		return
	}
	if s.GetBox() != b.name {
		b.reject(m, fmt.Errorf("it says that it is of box %q", s.GetBox()))
		return
	}
	b.learn(s.GetRun().GetKernelBoot(), clockOf(s), m.stored)
	another := b.status.GetRun().GetId() != s.GetRun().GetId()
	if s.GetOnline() && (!b.online || another) {
		b.fresh = true
	}
	b.online = s.GetOnline()
	// The last will carries the run and nothing more.
	if b.online || s.GetCleanStop() {
		b.status = s
	}
	if s.GetCleanStop() && s.GetRun().GetId() != 0 {
		r := s.GetRun()
		b.run(r.GetId(), r.GetCounter(), r.GetKernelBoot()).cleanStop = true
	}
}

// clockOf returns the clock of a report or status.
func clockOf(m interface {
	GetClock() telemetrypb.ClockQuality
	GetWallAtBootMs() int64
	GetClockFromMs() uint64
	GetClockToMs() uint64
},
) wire.Clock {
	const longest = 100 * 365 * 24 * time.Hour / time.Millisecond
	if max(m.GetClockFromMs(), m.GetClockToMs()) > uint64(longest) {
		return wire.Clock{}
	}
	return wire.Clock{
		WallAtBoot: time.UnixMilli(m.GetWallAtBootMs()), Quality: wire.ClockQuality(m.GetClock()),
		From: millis(m.GetClockFromMs()), To: millis(m.GetClockToMs()),
	}
}

// clip bounds a text that came from a box.
func clip(s string) string { return s[:min(len(s), maxText)] }

func millis(ms uint64) time.Duration { return time.Duration(ms) * time.Millisecond }
