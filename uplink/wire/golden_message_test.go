package wire_test

import (
	"encoding/hex"
	"testing"
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
	"livebox-agent/uplink/wire"
)

// The messages as the vectors write them: fields by the names that
// telemetry.proto gives them, enumerations by number.

type goldenRun struct {
	ID         uint64 `json:"id"`
	Counter    uint32 `json:"counter"`
	KernelBoot uint32 `json:"kernel_boot"`
}

type goldenConsent struct {
	PolicyVersion uint32 `json:"policy_version"`
	Purposes      uint32 `json:"purposes"`
}

type goldenSection struct {
	Purpose  catalogue.Purpose `json:"purpose"`
	Fidelity wire.Fidelity     `json:"fidelity"`
	Body     any               `json:"body"`
}

type goldenReport struct {
	Box       string          `json:"box"`
	Run       goldenRun       `json:"run"`
	Lane      wire.Lane       `json:"lane"`
	Sequence  uint64          `json:"sequence"`
	Consent   goldenConsent   `json:"consent"`
	Catalogue uint32          `json:"catalogue"`
	OpenedMS  int64           `json:"opened_ms"`
	SealedMS  int64           `json:"sealed_ms"`
	Sections  []goldenSection `json:"sections"`
	goldenClock
}

// A goldenClock is the part of a vector that says when the kernel booted.
type goldenClock struct {
	WallMS int64             `json:"wall_at_boot_ms"`
	Clock  wire.ClockQuality `json:"clock"`
	FromMS int64             `json:"clock_from_ms"`
	ToMS   int64             `json:"clock_to_ms"`
}

type goldenAttribute struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

type goldenLoss struct {
	RunID  uint64          `json:"run_id"`
	Lane   wire.Lane       `json:"lane"`
	First  uint64          `json:"first"`
	Last   uint64          `json:"last"`
	Count  uint64          `json:"count"`
	Reason wire.LossReason `json:"reason"`
}

type goldenEvent struct {
	Type       wire.EventType    `json:"type"`
	AtMS       int64             `json:"at_ms"`
	Attributes []goldenAttribute `json:"attributes"`
	Losses     []goldenLoss      `json:"losses"`
	Evidence   []goldenEvidence  `json:"evidence"`
	Unseen     []string          `json:"unseen"`
}

type goldenEvidence struct {
	Kind     sample.SignKind `json:"kind"`
	AtMS     int64           `json:"at_ms"`
	Instance string          `json:"instance"`
	Metric   catalogue.ID    `json:"metric"`
	Before   int64           `json:"before"`
	After    int64           `json:"after"`
	Count    uint32          `json:"count"`
}

type goldenCapability struct {
	Source  string               `json:"source"`
	State   wire.CapabilityState `json:"state"`
	Reason  string               `json:"reason"`
	Metrics []catalogue.ID       `json:"metrics"`
}

type goldenHealth struct {
	Code    string `json:"code"`
	SinceMS int64  `json:"since_ms"`
	Detail  string `json:"detail"`
}

type goldenCounters struct {
	Readings           uint64 `json:"readings"`
	Reports            uint64 `json:"reports"`
	Published          uint64 `json:"published"`
	Acknowledged       uint64 `json:"acknowledged"`
	Lost               uint64 `json:"lost"`
	FlashBytes         uint64 `json:"flash_bytes"`
	BufferedRAMBytes   uint64 `json:"buffered_ram_bytes"`
	BufferedFlashBytes uint64 `json:"buffered_flash_bytes"`
}

type goldenStatus struct {
	Box           string             `json:"box"`
	Online        bool               `json:"online"`
	Run           goldenRun          `json:"run"`
	Version       string             `json:"version"`
	Consent       goldenConsent      `json:"consent"`
	Catalogue     uint32             `json:"catalogue"`
	Configuration uint32             `json:"configuration"`
	Capabilities  []goldenCapability `json:"capabilities"`
	Health        []goldenHealth     `json:"health"`
	Losses        []goldenLoss       `json:"losses"`
	Counters      goldenCounters     `json:"counters"`
	goldenClock
	CleanStop bool `json:"clean_stop"`
}

type goldenRange struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
}

type goldenLaneAck struct {
	RunID      uint64        `json:"run_id"`
	Lane       wire.Lane     `json:"lane"`
	Contiguous uint64        `json:"contiguous"`
	Ranges     []goldenRange `json:"ranges"`
}

type goldenAck struct {
	Lanes      []goldenLaneAck `json:"lanes"`
	RetryAfter int64           `json:"retry_after_s"`
}

// decodedMessage returns what a message holds, as a vector writes it.
func decodedMessage(t *testing.T, kind string, b []byte) any {
	t.Helper()
	var got any
	var err error
	switch kind {
	case "report":
		var r wire.Report
		r, err = wire.ParseReport(b)
		g := goldenReport{
			r.Box, goldenRun(r.Run), r.Lane, r.Sequence, goldenConsent(r.Consent), r.Catalogue,
			r.Opened.Milliseconds(), r.Sealed.Milliseconds(),
			[]goldenSection{},
			clockOf(r.Clock),
		}
		for _, s := range r.Sections {
			kinds := map[wire.Fidelity]string{wire.Columns: "columns", wire.Summary: "summary", wire.EventBody: "event"}
			g.Sections = append(g.Sections, goldenSection{s.Purpose, s.Fidelity, decoded(t, kinds[s.Fidelity], s.Body)})
		}
		got = g
	case "event":
		var e wire.Event
		e, err = wire.ParseEvent(b)
		g := goldenEvent{e.Type, e.At.Milliseconds(), []goldenAttribute{}, losses(e.Losses), []goldenEvidence{}, append([]string{}, e.Unseen...)}
		for _, v := range e.Evidence {
			g.Evidence = append(g.Evidence, goldenEvidence{v.Kind, v.At.Milliseconds(), v.Instance, v.Metric, v.Before, v.After, v.Count})
		}
		for _, a := range e.Attributes {
			g.Attributes = append(g.Attributes, goldenAttribute(a))
		}
		got = g
	case "status":
		var s wire.Status
		s, err = wire.ParseStatus(b)
		got = decodedStatus(s)
	case "ack":
		var a wire.Ack
		a, err = wire.ParseAck(b)
		g := goldenAck{[]goldenLaneAck{}, int64(a.RetryAfter / time.Second)}
		for _, l := range a.Lanes {
			lane := goldenLaneAck{l.RunID, l.Lane, l.Contiguous, []goldenRange{}}
			for _, r := range l.Ranges {
				lane.Ranges = append(lane.Ranges, goldenRange(r))
			}
			g.Lanes = append(g.Lanes, lane)
		}
		got = g
	default:
		t.Fatalf("unknown kind %q of %s", kind, hex.EncodeToString(b))
	}
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func decodedStatus(s wire.Status) goldenStatus {
	g := goldenStatus{
		s.Box, s.Online, goldenRun(s.Run), s.Version, goldenConsent(s.Consent), s.Catalogue, s.Configuration,
		[]goldenCapability{},
		[]goldenHealth{},
		losses(s.Losses), goldenCounters(s.Counters),
		clockOf(s.Clock), s.CleanStop,
	}
	for _, c := range s.Capabilities {
		g.Capabilities = append(g.Capabilities, goldenCapability{c.Source, c.State, c.Reason, append([]catalogue.ID{}, c.Metrics...)})
	}
	for _, h := range s.Health {
		g.Health = append(g.Health, goldenHealth{h.Code, h.Since.Milliseconds(), h.Detail})
	}
	return g
}

func losses(all []wire.Loss) []goldenLoss {
	g := []goldenLoss{}
	for _, l := range all {
		g = append(g, goldenLoss(l))
	}
	return g
}

// clockOf has a wall time of 0 where there is none, as on the wire.
func clockOf(c wire.Clock) goldenClock {
	if c.Quality == wire.ClockUnknown {
		return goldenClock{}
	}
	return goldenClock{c.WallAtBoot.UnixMilli(), c.Quality, c.From.Milliseconds(), c.To.Milliseconds()}
}

// A goldenMessage is what a vector of a message is made of.
type goldenMessage struct {
	about, kind string
	body        []byte
}

// goldenMessages returns the vectors of messages by name; the functions code
// the bodies of sections.
func goldenMessages(columns func([]byte, []wire.Table, bool) []byte, summary func([]byte, []wire.Table) []byte) map[string]goldenMessage {
	worked := goldenInputs()["worked"].tables
	run := wire.Run{ID: 0x0123456789abcdef, Counter: 3, KernelBoot: 0xcafe}
	consent := wire.Consent{PolicyVersion: 2, Purposes: 1<<1 | 1<<2}
	known := wire.Clock{time.UnixMilli(1_790_000_000_123), wire.ClockSynchronised, 41_250 * time.Millisecond, time.Hour + 36*time.Second}
	lost := []wire.Loss{
		{RunID: 0xfedcba9876543210, Lane: wire.Windows, First: 100, Last: 250, Count: 149, Reason: wire.LostFull},
		{RunID: 0xfedcba9876543210, Lane: wire.Events, First: 1, Last: 1, Count: 1, Reason: wire.LostDamaged},
		{RunID: run.ID, Lane: wire.Windows, First: 2, Last: 9, Count: 8, Reason: wire.LostThinned},
		{RunID: run.ID, Lane: wire.Windows, First: 1, Last: 1, Count: 1, Reason: wire.LostWithdrawn},
	}
	started := wire.AppendEvent(nil, wire.Event{Type: wire.AgentStarted, At: 12_345 * time.Millisecond, Attributes: []wire.Attribute{
		{Key: "previous_end", Value: "unclean"}, {Key: "previous_run", Value: "fedcba9876543210"}, {Key: "version", Value: "1.2.3"},
	}})

	report := wire.AppendHeader(nil, wire.Header{
		Box: "lb-000000000001", Run: run, Lane: wire.Windows, Sequence: 42, Consent: consent,
		Catalogue: 0x12345678, Opened: time.Hour - 5*time.Second, Sealed: time.Hour + 35*time.Second,
	})
	report = wire.AppendSection(report, catalogue.Essential, wire.Columns, columns(nil, worked, false))
	report = wire.AppendSection(report, catalogue.Support, wire.Summary, summary(nil, worked))
	report = wire.AppendClock(report, known)

	event := wire.AppendHeader(nil, wire.Header{
		Box: "lb-000000000001", Run: run, Lane: wire.Events, Sequence: 1, Consent: consent,
		Catalogue: 0x12345678, Opened: 12_345 * time.Millisecond, Sealed: 12_345 * time.Millisecond,
	})
	event = wire.AppendSection(event, catalogue.Essential, wire.EventBody, started)
	event = wire.AppendClock(event, wire.Clock{WallAtBoot: time.UnixMilli(-12_000), Quality: wire.ClockFloor})

	return map[string]goldenMessage{
		"report":              {"a report of two sections", "report", report},
		"report-event":        {"a report of the lane of events, of a clock whose boot was before 1970", "report", event},
		"event-agent-started": {"the agent started after an unclean end", "event", started},
		"event-reports-lost": {"reports were lost for every reason", "event", wire.AppendEvent(nil, wire.Event{
			Type: wire.ReportsLost, At: 90 * time.Hour, Losses: lost,
		})},
		"event-store-reset": {"the store was reset, what that cost is not known and nothing was set aside", "event", wire.AppendEvent(nil, wire.Event{
			Type: wire.StoreReset, At: 3 * time.Second, Attributes: []wire.Attribute{
				{Key: "reason", Value: "page 7: checksum"}, {Key: "set_aside"}, {Key: "lost", Value: "-1"},
			},
		})},
		"event-surge": {"a surge: the rail sagged, two ports lost their links, the line its margin; who could not say more", "event", wire.AppendEvent(nil, wire.Event{
			Type: wire.Surge, At: 61250 * time.Millisecond, Attributes: []wire.Attribute{{Key: "episode", Value: "3"}, {Key: "part", Value: "whole"}},
			Evidence: []wire.Evidence{
				{Sign: sample.Sign{At: 61250 * time.Millisecond, Kind: sample.BrownOut, Instance: "hwmon0/in1", Metric: catalogue.SensorVoltage, Before: 12040, After: 9310}},
				{Sign: sample.Sign{At: 61252 * time.Millisecond, Kind: sample.PortDown, Instance: "lan1"}, Count: 4},
				{Sign: sample.Sign{At: 61252 * time.Millisecond, Kind: sample.PortDead, Instance: "lan3"}},
				{Sign: sample.Sign{At: 90 * time.Second, Kind: sample.Stepped, Instance: "dsl0", Metric: catalogue.LineDownMargin, Before: 81, After: -12}},
			},
			Unseen: []string{"restart: refused: NMC.Reboot", "strikes: no data"},
		})},
		"status": {"a status with every field", "status", wire.AppendStatus(nil, wire.Status{
			Box: "lb-000000000001", Online: true, Run: run, Version: "1.2.3", Consent: consent,
			Catalogue: 0x12345678, Configuration: 0x9abcdef0,
			Capabilities: []wire.Capability{
				{Source: "sensors", State: wire.Working, Metrics: []catalogue.ID{16, 17, 300}},
				{Source: "stations", State: wire.NotGranted, Reason: "personalised"},
			},
			Health: []wire.Health{
				{Code: wire.HealthNotStored, Since: 3_600_500 * time.Millisecond, Detail: "no acknowledgement for 1 h: à vérifier"},
				{Code: wire.HealthNotEncrypted},
			},
			Losses: lost,
			Counters: wire.Counters{
				Readings: 1 << 40, Reports: 300, Published: 320, Acknowledged: 290, Lost: 2,
				FlashBytes: 1_000_000, BufferedRAMBytes: 65_536, BufferedFlashBytes: 524_288,
			},
			Clock: known, CleanStop: true,
		})},
		"status-will": {"a last will", "status", wire.AppendStatus(nil, wire.Status{Box: "lb-000000000001", Run: run})},
		"ack": {"two lanes, one with ranges, and a wait", "ack", wire.AppendAck(nil, wire.Ack{
			Lanes: []wire.LaneAck{
				{RunID: run.ID, Lane: wire.Windows, Contiguous: 17, Ranges: []wire.Range{{First: 19, Last: 19}, {First: 25, Last: 1 << 60}}},
				{RunID: 0xfedcba9876543210, Lane: wire.Events, Contiguous: 3},
			},
			RetryAfter: 90 * time.Second,
		})},
	}
}
