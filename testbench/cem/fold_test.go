package cem

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"livebox-agent/collector/catalogue"
	"livebox-agent/uplink/wire"
)

// allPurposes is the consent to everything.
const allPurposes = 1<<catalogue.Essential | 1<<catalogue.Support | 1<<catalogue.Personalised |
	1<<catalogue.Mobile | 1<<catalogue.Research

// received is when the broker of these tests takes what it is given.
var received = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// run1 is the run of these tests.
var run1 = wire.Run{ID: 0xa1, Counter: 1, KernelBoot: 7}

// window is the report of the seq-th minute, which holds nothing yet.
func window(run wire.Run, seq uint64) wire.Report {
	return wire.Report{Header: wire.Header{
		Box: "box1", Run: run, Lane: wire.Windows, Sequence: seq,
		Consent: wire.Consent{PolicyVersion: 1, Purposes: allPurposes}, Catalogue: catalogue.Hash(),
		Opened: time.Duration(seq-1) * time.Minute, Sealed: time.Duration(seq) * time.Minute,
	}}
}

// eventReport holds one event.
func eventReport(run wire.Run, seq uint64, e wire.Event) wire.Report {
	r := window(run, seq)
	r.Lane, r.Opened, r.Sealed = wire.Events, e.At, e.At
	r.Sections = []wire.Section{{
		Purpose: catalogue.Essential, Fidelity: wire.EventBody, Body: wire.AppendEvent(nil, e),
	}}
	return r
}

// upTime is a column section: one reading of the box's uptime, in its unit.
func upTime(at time.Duration, value int64) wire.Section {
	var e wire.Encoder
	return wire.Section{
		Purpose: catalogue.Essential, Fidelity: wire.Columns,
		Body: e.AppendColumns(nil, []wire.Table{{
			Times:   []time.Duration{at},
			Columns: []wire.Column{{Metric: catalogue.UpTime, Values: []int64{value}}},
		}}, true),
	}
}

// encode writes a report as the agent does.
func encode(r wire.Report) []byte {
	b := wire.AppendHeader(nil, r.Header)
	for _, s := range r.Sections {
		b = wire.AppendSection(b, s.Purpose, s.Fidelity, s.Body)
	}
	return wire.AppendClock(b, r.Clock)
}

// send folds reports one after the other into b.
func send(b *box, reports ...wire.Report) {
	for _, r := range reports {
		kind := "telemetry"
		if r.Lane == wire.Events {
			kind = "event"
		}
		b.fold(message{subject: "cem.v1.box1." + kind, stored: received, payload: encode(r)})
	}
}

// value returns the latest reading of the uptime.
func value(t *testing.T, b *box) Value {
	t.Helper()
	for _, v := range b.snapshot().Values {
		if v.Metric == catalogue.UpTime {
			return v
		}
	}
	t.Fatal("no uptime")
	return Value{}
}

func TestReportCountsOnce(t *testing.T) {
	b := newBox("box1")
	w := window(run1, 1)
	w.Sections = []wire.Section{upTime(time.Second, 1)}
	send(b, w, w, window(run1, 3), w)
	s := b.snapshot()
	if s.Reports != 2 || s.Readings != 1 || s.Duplicates != 2 {
		t.Errorf("reports %d, readings %d, duplicates %d; want 2, 1, 2", s.Reports, s.Readings, s.Duplicates)
	}
	l := s.Runs[0].Windows
	if l.Stored() != 2 || l.Duplicates != 2 || l.Contiguous() != 1 {
		t.Errorf("lane %+v; want sequences 1 and 3 once, two duplicates", l)
	}
	if diff := cmp.Diff([]wire.Range{{First: 2, Last: 2}}, l.Missing()); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
	if l.First != 0 || l.Last != 3*time.Minute {
		t.Errorf("from %v to %v; want 0s to 3m", l.First, l.Last)
	}
}

func TestRunsAndLanesAreApart(t *testing.T) {
	b := newBox("box1")
	run2 := wire.Run{ID: 0xa2, Counter: 2, KernelBoot: 7}
	send(b, window(run1, 1), window(run2, 1),
		eventReport(run1, 1, wire.Event{Type: wire.StoreReset, At: time.Second}))
	s := b.snapshot()
	if s.Reports != 3 || s.Duplicates != 0 || len(s.Runs) != 2 {
		t.Fatalf("reports %d, duplicates %d, runs %d; want 3, 0, 2", s.Reports, s.Duplicates, len(s.Runs))
	}
	if s.Runs[0].Events.Stored() != 1 || s.Runs[0].Windows.Stored() != 1 || s.Runs[1].Events.Stored() != 0 {
		t.Errorf("runs %+v; want one event and one window, then one window", s.Runs)
	}
}

func TestBacklogDoesNotReplaceFreshValue(t *testing.T) {
	reboot := wire.Run{ID: 0xa2, Counter: 2, KernelBoot: 8}
	for _, tt := range []struct {
		name  string
		first wire.Run
		at    time.Duration
		then  wire.Run
		late  time.Duration
		want  int64 // 1 is the first, 2 the second to come
	}{
		{"later reading", run1, time.Minute, run1, 2 * time.Minute, 2},
		{"earlier reading", run1, 2 * time.Minute, run1, time.Minute, 1},
		{"after the next boot", reboot, time.Second, run1, time.Hour, 1},
		{"from the next boot", run1, time.Hour, reboot, time.Second, 2},
		{"runs without an order", wire.Run{ID: 1, KernelBoot: 1}, time.Hour, wire.Run{ID: 2, KernelBoot: 2}, time.Second, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox("box1")
			first, second := window(tt.first, 1), window(tt.then, 2)
			first.Sections = []wire.Section{upTime(tt.at, 1)}
			second.Sections = []wire.Section{upTime(tt.late, 2)}
			send(b, first, second)
			if got := value(t, b).Value; got != tt.want {
				t.Errorf("value of report %d; want of %d", got, tt.want)
			}
		})
	}
}

func TestAgeUsesTheBoxClockOnlyIfSynchronised(t *testing.T) {
	boot := received.Add(-time.Hour)
	for quality, want := range map[wire.ClockQuality]time.Duration{
		wire.ClockUnknown:      time.Minute,
		wire.ClockFloor:        time.Minute,
		wire.ClockSynchronised: 6 * time.Minute,
	} {
		t.Run(quality.String(), func(t *testing.T) {
			b := newBox("box1")
			w := window(run1, 1)
			w.Sections = []wire.Section{upTime(55*time.Minute, 1)}
			w.Clock = wire.Clock{WallAtBoot: boot, Quality: quality}
			send(b, w)
			if got := value(t, b).Age(received.Add(time.Minute)); got != want {
				t.Errorf("age %v; want %v", got, want)
			}
		})
	}
}

func TestSummaryStandsInForColumns(t *testing.T) {
	var e wire.Encoder
	summary := wire.Section{
		Purpose: catalogue.Essential, Fidelity: wire.Summary,
		Body: e.AppendSummary(nil, []wire.Table{{
			Times:   []time.Duration{0, time.Second},
			Columns: []wire.Column{{Metric: catalogue.UpTime, Values: []int64{5, 6}}},
		}}),
	}
	b := newBox("box1")
	thinned := window(run1, 1)
	thinned.Sections = []wire.Section{summary}
	send(b, thinned)
	if v := value(t, b); v.Value != 6 || v.At != time.Minute {
		t.Errorf("value %d at %v; want the summary's last, 6, at the end of the window, 1m0s", v.Value, v.At)
	}
	both := window(run1, 2)
	both.Sections = []wire.Section{summary, upTime(90*time.Second, 90)}
	send(b, both)
	if v := value(t, b); v.Value != 90 || v.At != 90*time.Second {
		t.Errorf("value %d at %v; want that of the columns, 90 at 1m30s", v.Value, v.At)
	}
}

func TestConsentIsCheckedAgain(t *testing.T) {
	for _, tt := range []struct {
		name     string
		purposes uint32
		as       catalogue.Purpose
		want     uint64
	}{
		{"granted", 1 << catalogue.Essential, catalogue.Essential, 0},
		{"not granted", 1 << catalogue.Support, catalogue.Essential, 1},
		{"nothing granted", 0, catalogue.Essential, 1},
		{"under a purpose that is not the metric's", allPurposes, catalogue.Support, 1},
		{"under no purpose", allPurposes | 1, 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox("box1")
			w := window(run1, 1)
			w.Consent.Purposes = tt.purposes
			w.Sections = []wire.Section{upTime(time.Second, 1)}
			w.Sections[0].Purpose = tt.as
			send(b, w)
			s := b.snapshot()
			if s.Violations != tt.want || s.Readings != 1-tt.want || len(s.Values) != int(1-tt.want) {
				t.Errorf("violations %d, readings %d, %d values; want %d violations and nothing of it kept",
					s.Violations, s.Readings, len(s.Values), tt.want)
			}
			if s.Reports != 1 {
				t.Errorf("reports %d; want the report to count", s.Reports)
			}
		})
	}
}

func TestUnknownMetricIsCountedNotKept(t *testing.T) {
	b := newBox("box1")
	var e wire.Encoder
	w := window(run1, 1)
	w.Sections = []wire.Section{{
		Purpose: catalogue.Essential, Fidelity: wire.Columns,
		Body: e.AppendColumns(nil, []wire.Table{{
			Times:   []time.Duration{0},
			Columns: []wire.Column{{Metric: 65000, Values: []int64{1}}},
		}}, true),
	}}
	send(b, w)
	if s := b.snapshot(); s.UnknownMetrics != 1 || len(s.Values) != 0 {
		t.Errorf("unknown %d, values %v; want 1, none", s.UnknownMetrics, s.Values)
	}
}

func TestEnvelopeNotToBeBelievedIsRejected(t *testing.T) {
	for _, tt := range []struct {
		name string
		harm func(*wire.Report)
		want string
	}{
		{"another box", func(r *wire.Report) { r.Box = "box2" }, `box "box2"`},
		{"no run", func(r *wire.Report) { r.Run.ID = 0 }, "no run"},
		{"no lane", func(r *wire.Report) { r.Lane = 0 }, "lane 0"},
		{"no sequence", func(r *wire.Report) { r.Sequence = 0 }, "sequence 0"},
		{"last sequence of all", func(r *wire.Report) { r.Sequence = 1<<64 - 1 }, "sequence"},
		{"sealed before it opened", func(r *wire.Report) { r.Opened = time.Hour }, "opened at"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox("box1")
			w := window(run1, 1)
			tt.harm(&w)
			if b.fold(message{subject: "cem.v1.box1.telemetry", sequence: 5, payload: encode(w)}) {
				t.Error("it is owed an acknowledgement")
			}
			s := b.snapshot()
			if s.Rejected != 1 || s.Reports != 0 || len(s.Undecodable) != 1 {
				t.Fatalf("rejected %d, reports %d, kept %d; want 1, 0, 1", s.Rejected, s.Reports, len(s.Undecodable))
			}
			if u := s.Undecodable[0]; !strings.Contains(u.Reason, tt.want) || u.StreamSequence != 5 {
				t.Errorf("kept %+v; want sequence 5 with %q", u, tt.want)
			}
		})
	}
	t.Run("events on the topic of windows", func(t *testing.T) {
		b := newBox("box1")
		e := eventReport(run1, 1, wire.Event{Type: wire.StoreReset})
		if b.fold(message{subject: "cem.v1.box1.telemetry", payload: encode(e)}) {
			t.Error("it is owed an acknowledgement")
		}
	})
	t.Run("no protobuf", func(t *testing.T) {
		b := newBox("box1")
		if b.fold(message{subject: "cem.v1.box1.telemetry", payload: []byte{0xff}}) {
			t.Error("it is owed an acknowledgement")
		}
	})
}

func TestBodyThatDoesNotDecodeIsAcknowledgedAndKept(t *testing.T) {
	b := newBox("box1")
	for name, s := range map[string]wire.Section{
		"columns":  {Purpose: catalogue.Essential, Fidelity: wire.Columns, Body: []byte{0xff, 0xff, 0xff}},
		"summary":  {Purpose: catalogue.Support, Fidelity: wire.Summary, Body: []byte{0xff}},
		"event":    {Purpose: catalogue.Essential, Fidelity: wire.EventBody, Body: []byte{0xff}},
		"fidelity": {Purpose: catalogue.Essential, Fidelity: 9},
	} {
		before := b.snapshot()
		w := window(run1, before.Reports+1)
		w.Sections = []wire.Section{s, upTime(w.Sealed, 1)}
		if !b.fold(message{subject: "cem.v1.box1.telemetry", payload: encode(w)}) {
			t.Errorf("%s: it is not acknowledged", name)
		}
		after := b.snapshot()
		if after.UndecodableReports != before.UndecodableReports+1 || after.Readings != before.Readings+1 {
			t.Errorf("%s: undecodable %d, readings %d after %d, %d; want one more each: the good section counts",
				name, after.UndecodableReports, after.Readings, before.UndecodableReports, before.Readings)
		}
	}
	if n := len(b.snapshot().Undecodable); n != 4 {
		t.Errorf("%d kept; want 4", n)
	}
}

func TestLedgerTellsLosses(t *testing.T) {
	b := newBox("box1")
	send(b, window(run1, 1), window(run1, 5), eventReport(run1, 1, wire.Event{
		Type: wire.ReportsLost, At: time.Minute, Losses: []wire.Loss{
			{RunID: run1.ID, Lane: wire.Windows, First: 2, Last: 3, Count: 2, Reason: wire.LostFull},
			{RunID: run1.ID, Lane: wire.Windows, First: 4, Last: 4, Count: 1, Reason: wire.LostDamaged},
			{RunID: run1.ID, Lane: wire.Windows, First: 5, Last: 5, Count: 1, Reason: wire.LostThinned},
		},
	}))
	s := b.snapshot()
	if s.Lost != 3 || s.Thinned != 1 || len(s.Losses) != 3 {
		t.Errorf("lost %d, thinned %d, ranges %v; want 3, 1, three of them", s.Lost, s.Thinned, s.Losses)
	}
	if l := s.Runs[0].Windows; l.Lost != count(l.Missing()) {
		t.Errorf("lane: %d told, %v missing; want the same", l.Lost, l.Missing())
	}
}

func TestStatusIsTheBoxesLastWord(t *testing.T) {
	b := newBox("box1")
	say := func(s wire.Status) {
		s.Box, s.Run = "box1", run1
		b.foldStatus(message{subject: "cem.v1.box1.status", payload: wire.AppendStatus(nil, s)})
	}
	say(wire.Status{Online: true, Version: "1.2", Counters: wire.Counters{Readings: 9}})
	if s := b.snapshot(); !s.Online || s.Status.GetVersion() != "1.2" {
		t.Fatalf("online %v, status %v; want the box's", s.Online, s.Status)
	}
	say(wire.Status{})
	if s := b.snapshot(); s.Online || s.Status.GetCounters().GetReadings() != 9 {
		t.Errorf("after the last will: online %v, status %v; want offline and the box's own last status", s.Online, s.Status)
	}
	say(wire.Status{CleanStop: true, Counters: wire.Counters{Readings: 10}})
	if s := b.snapshot(); len(s.Runs) != 1 || !s.Runs[0].CleanStop || s.Status.GetCounters().GetReadings() != 10 {
		t.Errorf("after a clean stop: %+v; want the run marked and the last counters", s)
	}
	b.foldStatus(message{subject: "cem.v1.box1.status", payload: wire.AppendStatus(nil, wire.Status{Box: "box2", Online: true})})
	b.foldStatus(message{subject: "cem.v1.box1.status", payload: []byte{0xff}})
	if s := b.snapshot(); s.Online || s.Rejected != 2 {
		t.Errorf("online %v, rejected %d; want a foreign and a torn status rejected", s.Online, s.Rejected)
	}
}

func TestMemoryOfABoxIsBounded(t *testing.T) {
	b := newBox("box1")
	var e wire.Encoder
	for i := range uint64(2 * maxRuns) {
		run := wire.Run{ID: i + 1, Counter: uint32(i + 1)}
		for j := range uint64(2 * maxUndecodable) {
			w := window(run, j+1)
			w.Sections = []wire.Section{{Purpose: catalogue.Essential, Fidelity: 9, Body: make([]byte, 64<<10)}}
			send(b, w)
		}
	}
	columns := make([]wire.Column, 0, 100)
	losses := make([]wire.Loss, 2*maxLosses)
	for i := range 100 {
		w := window(run1, uint64(i+1))
		columns = columns[:0]
		for j := range 100 {
			columns = append(columns, wire.Column{
				Metric: catalogue.UpTime, Instance: fmt.Sprintf("%d/%d", i, j), Values: []int64{1},
			})
		}
		w.Sections = []wire.Section{{
			Purpose: catalogue.Essential, Fidelity: wire.Columns,
			Body: e.AppendColumns(nil, []wire.Table{{Times: []time.Duration{0}, Columns: columns}}, true),
		}}
		send(b, w)
	}
	send(b, eventReport(run1, 1, wire.Event{Type: wire.ReportsLost, Losses: losses}))
	for i := range uint64(2 * maxEvents) {
		send(b, eventReport(run1, i+2, wire.Event{
			Type: wire.StoreReset, At: time.Duration(i) * time.Second,
			Attributes: slices.Repeat([]wire.Attribute{{Key: "k", Value: strings.Repeat("v", 1000)}}, 2*maxAttributes),
		}))
	}
	s := b.snapshot()
	if len(s.Events) != maxEvents || len(s.Events[0].Attributes) != maxAttributes || len(s.Events[0].Attributes[0].Value) != maxText {
		t.Errorf("%d events; want %d, with bounded attributes", len(s.Events), maxEvents)
	}
	if last := s.Events[maxEvents-1]; last.At != (2*maxEvents-1)*time.Second || last.Run != run1.ID {
		t.Errorf("last event %v of run %x; want the last that came", last.At, last.Run)
	}
	if len(s.Runs) != maxRuns || len(s.Values) != maxValues || len(s.Losses) != maxLosses || len(s.Undecodable) != maxUndecodable {
		t.Errorf("%d runs, %d values, %d losses, %d kept; want %d, %d, %d, %d", len(s.Runs), len(s.Values),
			len(s.Losses), len(s.Undecodable), maxRuns, maxValues, maxLosses, maxUndecodable)
	}
	if n := len(s.Undecodable[0].Payload); n > maxKept {
		t.Errorf("%d bytes kept of one message; want at most %d", n, maxKept)
	}
	if s.ValuesRefused != 100*100-maxValues {
		t.Errorf("%d values refused; want %d", s.ValuesRefused, 100*100-maxValues)
	}
	if s.Runs[maxRuns-1].ID != 2*maxRuns && b.runs[run1.ID] == nil {
		t.Error("the runs heard of last are not the ones kept")
	}
}
