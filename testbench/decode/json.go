package decode

import (
	"encoding/hex"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"livebox-agent/collector/catalogue"
	"livebox-agent/uplink/wire"
)

// The shapes of the JSON. Runs and hashes are hexadecimal: no number of
// JavaScript holds 64 bits. Times are milliseconds since boot, and on the wall
// clock where the report says where that is.

type jsonRun struct {
	ID         string `json:"id"`
	Counter    uint32 `json:"counter"`
	KernelBoot string `json:"kernel_boot"`
}

type jsonConsent struct {
	PolicyVersion uint32 `json:"policy_version"`
	Purposes      string `json:"purposes"`
}

type jsonTime struct {
	BootMS int64  `json:"boot_ms"`
	Wall   string `json:"wall,omitempty"`
}

type jsonReport struct {
	Box       string        `json:"box"`
	Run       jsonRun       `json:"run"`
	Lane      string        `json:"lane"`
	Sequence  uint64        `json:"sequence"`
	Consent   jsonConsent   `json:"consent"`
	Catalogue string        `json:"catalogue"`
	Opened    jsonTime      `json:"opened"`
	Sealed    jsonTime      `json:"sealed"`
	Clock     string        `json:"clock"`
	Sections  []jsonSection `json:"sections"`
}

type jsonSection struct {
	Purpose  string        `json:"purpose"`
	Fidelity string        `json:"fidelity"`
	Bytes    int           `json:"bytes"`
	Tables   []jsonTable   `json:"tables,omitempty"`
	Summary  []jsonSummary `json:"summary,omitempty"`
	Event    *jsonEvent    `json:"event,omitempty"`
	Error    string        `json:"error,omitempty"`
}

type jsonTable struct {
	Times   []jsonTime   `json:"times"`
	Columns []jsonColumn `json:"columns"`
}

// jsonMetric names a column. A value is an integer times 10^Exponent Unit.
type jsonMetric struct {
	Metric   catalogue.ID `json:"metric,omitempty"`
	Name     string       `json:"name,omitempty"`
	Instance string       `json:"instance,omitempty"`
	Unit     string       `json:"unit,omitempty"`
	Exponent int          `json:"exponent,omitempty"`
}

type jsonColumn struct {
	jsonMetric
	Values []*int64 `json:"values"` // null where absent
}

type jsonSummary struct {
	jsonMetric
	Count int    `json:"count"`
	Min   int64  `json:"min"`
	Mean  *int64 `json:"mean,omitempty"` // none of a counter
	Max   int64  `json:"max"`
	Last  int64  `json:"last"`
}

type jsonEvent struct {
	Type       string          `json:"type"`
	At         jsonTime        `json:"at"`
	Attributes []jsonAttribute `json:"attributes,omitempty"`
	Losses     []jsonLoss      `json:"losses,omitempty"`
	Evidence   []jsonEvidence  `json:"evidence,omitempty"`
	Unseen     []string        `json:"unseen,omitempty"`
}

type jsonEvidence struct {
	Kind string   `json:"kind"`
	At   jsonTime `json:"at"`
	jsonMetric
	Before *int64 `json:"before,omitempty"` // absent where there is no metric
	After  *int64 `json:"after,omitempty"`
	Count  uint32 `json:"count"`
}

type jsonAttribute struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

type jsonCounters struct {
	Readings           uint64 `json:"readings"`
	Reports            uint64 `json:"reports"`
	Published          uint64 `json:"published"`
	Acknowledged       uint64 `json:"acknowledged"`
	Lost               uint64 `json:"lost"`
	FlashBytes         uint64 `json:"flash_bytes"`
	BufferedRAMBytes   uint64 `json:"buffered_ram_bytes"`
	BufferedFlashBytes uint64 `json:"buffered_flash_bytes"`
}

type jsonLoss struct {
	Run    string `json:"run"`
	Lane   string `json:"lane"`
	First  uint64 `json:"first"`
	Last   uint64 `json:"last"`
	Count  uint64 `json:"count"`
	Reason string `json:"reason"`
}

// PrintJSON writes the Report b to w as indented JSON. A section that cannot be
// decoded has an error in place of its content.
func PrintJSON(w io.Writer, b []byte) error {
	r, err := wire.ParseReport(b)
	if err != nil {
		return err
	}
	out := jsonReport{
		Box: r.Box, Run: toRun(r.Run), Lane: r.Lane.String(), Sequence: r.Sequence,
		Consent:   jsonConsent{r.Consent.PolicyVersion, granted(r.Consent)},
		Catalogue: fmt.Sprintf("%08x", r.Catalogue),
		Opened:    toTime(r.Clock, r.Opened), Sealed: toTime(r.Clock, r.Sealed), Clock: r.Clock.Quality.String(),
		Sections: []jsonSection{},
	}
	for _, s := range r.Sections {
		out.Sections = append(out.Sections, toSection(s, r.Clock))
	}
	return write(w, out)
}

// PrintEventJSON writes the Event b to w as indented JSON.
func PrintEventJSON(w io.Writer, b []byte) error {
	e, err := wire.ParseEvent(b)
	if err != nil {
		return err
	}
	return write(w, toEvent(e, wire.Clock{}))
}

// PrintStatusJSON writes the Status b to w as indented JSON.
func PrintStatusJSON(w io.Writer, b []byte) error {
	s, err := wire.ParseStatus(b)
	if err != nil {
		return err
	}
	type capability struct {
		Source  string         `json:"source"`
		State   string         `json:"state"`
		Reason  string         `json:"reason,omitempty"`
		Metrics []catalogue.ID `json:"metrics,omitempty"`
	}
	type health struct {
		Code   string   `json:"code"`
		Since  jsonTime `json:"since"`
		Detail string   `json:"detail,omitempty"`
	}
	out := struct {
		Box           string       `json:"box"`
		Online        bool         `json:"online"`
		CleanStop     bool         `json:"clean_stop"`
		Run           jsonRun      `json:"run"`
		Version       string       `json:"version"`
		Consent       jsonConsent  `json:"consent"`
		Catalogue     string       `json:"catalogue"`
		Configuration string       `json:"configuration"`
		Clock         string       `json:"clock"`
		Boot          jsonTime     `json:"boot"`
		Counters      jsonCounters `json:"counters"`
		Capabilities  []capability `json:"capabilities"`
		Health        []health     `json:"health"`
		Losses        []jsonLoss   `json:"losses"`
	}{
		Box: s.Box, Online: s.Online, CleanStop: s.CleanStop, Run: toRun(s.Run), Version: s.Version,
		Consent:   jsonConsent{s.Consent.PolicyVersion, granted(s.Consent)},
		Catalogue: fmt.Sprintf("%08x", s.Catalogue), Configuration: fmt.Sprintf("%08x", s.Configuration),
		Clock: s.Clock.Quality.String(), Boot: jsonTime{Wall: boot(s.Clock)}, Counters: jsonCounters(s.Counters),
		Capabilities: []capability{}, Health: []health{}, Losses: toLosses(s.Losses),
	}
	for _, c := range s.Capabilities {
		out.Capabilities = append(out.Capabilities, capability{c.Source, c.State.String(), c.Reason, c.Metrics})
	}
	for _, h := range s.Health {
		out.Health = append(out.Health, health{h.Code, toTime(s.Clock, h.Since), h.Detail})
	}
	return write(w, out)
}

func toRun(r wire.Run) jsonRun {
	return jsonRun{fmt.Sprintf("%016x", r.ID), r.Counter, fmt.Sprintf("%08x", r.KernelBoot)}
}

func toTime(c wire.Clock, d time.Duration) jsonTime {
	t := jsonTime{BootMS: d.Milliseconds()}
	if _, ok := c.Place(d); ok {
		t.Wall = at(c, d)
	}
	return t
}

// toMetric names a column; an instance that is not text is in hexadecimal.
func toMetric(id catalogue.ID, instance string) jsonMetric {
	if !utf8.ValidString(instance) {
		instance = "0x" + hex.EncodeToString([]byte(instance))
	}
	m, _ := catalogue.Lookup(id)
	return jsonMetric{id, m.Name, instance, m.Unit, m.Exponent}
}

func toSection(s wire.Section, clock wire.Clock) jsonSection {
	out := jsonSection{Purpose: s.Purpose.String(), Fidelity: s.Fidelity.String(), Bytes: len(s.Body)}
	var err error
	switch s.Fidelity {
	case wire.Columns:
		var tables []wire.Table
		tables, err = wire.DecodeColumns(s.Body)
		for _, t := range tables {
			out.Tables = append(out.Tables, toTable(t, clock))
		}
	case wire.Summary:
		var all []wire.ColumnSummary
		all, err = wire.DecodeSummary(s.Body)
		for _, c := range all {
			j := jsonSummary{toMetric(c.Metric, c.Instance), c.Count, c.Min, nil, c.Max, c.Last}
			if !c.Counter {
				j.Mean = &c.Mean
			}
			out.Summary = append(out.Summary, j)
		}
	case wire.EventBody:
		var e wire.Event
		if e, err = wire.ParseEvent(s.Body); err == nil {
			out.Event = new(toEvent(e, clock))
		}
	default:
		out.Error = "fidelity is unknown"
	}
	if err != nil {
		out.Error = err.Error()
	}
	return out
}

func toTable(t wire.Table, clock wire.Clock) jsonTable {
	out := jsonTable{Times: []jsonTime{}, Columns: []jsonColumn{}}
	for _, at := range t.Times {
		out.Times = append(out.Times, toTime(clock, at))
	}
	for _, c := range t.Columns {
		values := make([]*int64, len(c.Values))
		for i, v := range c.Values {
			if v != wire.Absent {
				values[i] = &v
			}
		}
		out.Columns = append(out.Columns, jsonColumn{toMetric(c.Metric, c.Instance), values})
	}
	return out
}

func toEvent(e wire.Event, clock wire.Clock) jsonEvent {
	out := jsonEvent{Type: e.Type.String(), At: toTime(clock, e.At), Losses: toLosses(e.Losses), Unseen: e.Unseen}
	for _, a := range e.Attributes {
		out.Attributes = append(out.Attributes, jsonAttribute(a))
	}
	for _, v := range e.Evidence {
		j := jsonEvidence{Kind: v.Kind.String(), At: toTime(clock, v.At), jsonMetric: toMetric(v.Metric, v.Instance), Count: max(v.Count, 1)}
		if v.Metric != 0 {
			j.Before, j.After = &v.Before, &v.After
		}
		out.Evidence = append(out.Evidence, j)
	}
	return out
}

func toLosses(losses []wire.Loss) []jsonLoss {
	out := []jsonLoss{}
	for _, l := range losses {
		out = append(out, jsonLoss{fmt.Sprintf("%016x", l.RunID), l.Lane.String(), l.First, l.Last, l.Count, l.Reason.String()})
	}
	return out
}
