package agent

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/uplink"
	"livebox-agent/uplink/wire"
)

// A Snapshot is what the agent does at this moment, as the control socket and
// "livebox-agent status --json" give it.
type Snapshot struct {
	Box           string           `json:"box"`
	Version       string           `json:"version"`
	Run           string           `json:"run"`
	RunCounter    uint32           `json:"run_counter"`
	PreviousEnd   string           `json:"previous_end"`
	UptimeSeconds int64            `json:"uptime_seconds"` // of the kernel
	Clock         string           `json:"clock"`          // quality
	Purposes      []string         `json:"purposes"`
	PolicyVersion uint32           `json:"policy_version"`
	Catalogue     string           `json:"catalogue"`
	Connected     bool             `json:"connected"`
	UplinkState   string           `json:"uplink_state"`
	Metered       bool             `json:"metered"` // only events are sent
	LastFailure   string           `json:"last_failure,omitempty"`
	Counters      SnapshotCounters `json:"counters"`
	Sources       []SnapshotSource `json:"sources"`
	Health        []SnapshotHealth `json:"health"`
	Losses        []SnapshotLoss   `json:"losses"`
}

// SnapshotCounters count since the run began; the buffered ones are levels.
type SnapshotCounters struct {
	Readings        uint64 `json:"readings"`
	ReadingsDropped uint64 `json:"readings_dropped"`
	// SignsLost are pieces of evidence that came faster than the flash took
	// events.
	SignsLost    uint64 `json:"signs_lost"`
	Reports      uint64 `json:"reports"`
	Published    uint64 `json:"published"`
	Acknowledged uint64 `json:"acknowledged"`
	// AcknowledgedWindows is the part of Acknowledged that has readings.
	AcknowledgedWindows uint64 `json:"acknowledged_windows"`
	Lost                uint64 `json:"lost"`
	Connects            uint64 `json:"connects"`
	BytesUp             uint64 `json:"bytes_up"`
	BytesDown           uint64 `json:"bytes_down"`
	FlashBytes          uint64 `json:"flash_bytes"`
	FlashCommits        uint64 `json:"flash_commits"`
	BufferedReports     uint64 `json:"buffered_reports"`
	BufferedRAMBytes    uint64 `json:"buffered_ram_bytes"`
	BufferedFlashBytes  uint64 `json:"buffered_flash_bytes"`
}

// A SnapshotSource is what one source gives.
type SnapshotSource struct {
	Name    string   `json:"name"`
	Purpose string   `json:"purpose"`
	State   string   `json:"state"`
	Reason  string   `json:"reason,omitempty"`
	Metrics []string `json:"metrics,omitempty"`
}

// A SnapshotHealth is a state that is not as it should be.
type SnapshotHealth struct {
	Code         string `json:"code"`
	SinceSeconds int64  `json:"since_seconds"` // of kernel uptime
	Detail       string `json:"detail,omitempty"`
}

// A SnapshotLoss is a range of reports that no one will get.
type SnapshotLoss struct {
	Run    string `json:"run"`
	Lane   string `json:"lane"`
	First  uint64 `json:"first"`
	Last   uint64 `json:"last"`
	Count  uint64 `json:"count"`
	Reason string `json:"reason"`
}

// Snapshot says what the agent does at this moment.
func (a *Agent) Snapshot() Snapshot {
	start := a.clock.Start()
	s := Snapshot{
		Version:       a.version,
		Run:           fmt.Sprintf("%016x", start.Run.ID),
		RunCounter:    start.Run.Counter,
		PreviousEnd:   start.PreviousEnd,
		UptimeSeconds: int64(a.clock.Mono() / time.Second),
		Clock:         a.clock.Now().Quality.String(),
		PolicyVersion: a.cfg.Consent.PolicyVersion,
		Catalogue:     fmt.Sprintf("%08x", catalogue.Hash()),
		UplinkState:   "no certificate",
		Counters:      a.counters(),
		Sources:       []SnapshotSource{},
		Health:        []SnapshotHealth{},
		Losses:        []SnapshotLoss{},
	}
	for _, p := range a.granted.Without(0) {
		s.Purposes = append(s.Purposes, p.String())
	}
	if l := a.line.Load(); l != nil {
		s.Box = l.box
		st := l.uplink.Stats()
		s.Connected, s.UplinkState = st.State == uplink.StateOnline, string(st.State)
		s.LastFailure, s.Metered = st.LastFailure, st.Metered
	}
	for _, c := range a.asked() {
		src := SnapshotSource{Name: c.Source, Purpose: a.purposes[c.Source].String(), State: c.State.String(), Reason: c.Reason}
		for _, id := range c.Metrics {
			m, _ := catalogue.Lookup(id)
			src.Metrics = append(src.Metrics, m.Name)
		}
		s.Sources = append(s.Sources, src)
	}
	for _, h := range a.health.all() {
		s.Health = append(s.Health, SnapshotHealth{h.Code, int64(h.Since / time.Second), h.Detail})
	}
	for _, l := range a.losses() {
		s.Losses = append(s.Losses, SnapshotLoss{fmt.Sprintf("%016x", l.RunID), l.Lane.String(), l.First, l.Last, l.Count, l.Reason.String()})
	}
	return s
}

// counters gathers what the parts count.
func (a *Agent) counters() SnapshotCounters {
	b := a.store.Stats()
	c := SnapshotCounters{
		Readings:            a.readings.Load(),
		SignsLost:           a.lostSigns(),
		Reports:             b.Appended,
		Acknowledged:        b.Acked,
		AcknowledgedWindows: a.windowsAcked.Load(),
		Lost:                b.Dropped + b.Damaged,
		FlashBytes:          uint64(b.FlashWritten),
		FlashCommits:        b.Commits,
		BufferedRAMBytes:    uint64(b.Events.RAMBytes + b.Windows.RAMBytes),
		BufferedFlashBytes:  uint64(b.Events.FlashBytes + b.Windows.FlashBytes),
		BufferedReports: uint64(b.Events.RAMReports + b.Events.FlashReports +
			b.Windows.RAMReports + b.Windows.FlashReports),
	}
	a.mu.Lock()
	c.ReadingsDropped = a.window.Dropped()
	a.mu.Unlock()
	if l := a.line.Load(); l != nil {
		u := l.uplink.Stats()
		c.Published, c.Connects, c.BytesUp, c.BytesDown = u.Published, u.Connects, u.BytesUp, u.BytesDown
	}
	return c
}

// losses is the ledger in the words of the wire.
func (a *Agent) losses() []wire.Loss {
	var all []wire.Loss
	for _, l := range a.store.Losses() {
		all = append(all, wireLoss(l))
	}
	return all
}

// status is the payload of the status topic of a box that is online, or of one
// that stops.
func (a *Agent) status(box string, online bool) []byte {
	c := a.counters()
	s := wire.Status{
		Box:           box,
		Online:        online,
		Run:           a.clock.Start().Run,
		Version:       a.version,
		Consent:       a.consent(),
		Catalogue:     catalogue.Hash(),
		Configuration: a.cfg.Hash(),
		Capabilities:  a.capabilities(),
		Health:        a.health.all(),
		Losses:        a.losses(),
		Clock:         a.clock.Now(),
		CleanStop:     a.cleanStop.Load(),
		Counters: wire.Counters{
			Readings: c.Readings, Reports: c.Reports, Published: c.Published, Acknowledged: c.Acknowledged, Lost: c.Lost,
			FlashBytes: c.FlashBytes, BufferedRAMBytes: c.BufferedRAMBytes, BufferedFlashBytes: c.BufferedFlashBytes,
		},
	}
	return wire.AppendStatus(nil, s)
}

// asked says what each source and watcher can do on this box.
func (a *Agent) asked() []collector.Capability {
	return append(a.set.Capabilities(), a.watchers.Capabilities()...)
}

// capabilities says what this box gives, in the words of the wire.
func (a *Agent) capabilities() []wire.Capability {
	var all []wire.Capability
	for _, c := range a.asked() {
		all = append(all, wire.Capability{
			Source: c.Source, State: wire.CapabilityState(c.State), Reason: c.Reason, Metrics: c.Metrics,
		})
	}
	return all
}

// Print writes the snapshot for a person.
func (s Snapshot) Print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	c := s.Counters
	fmt.Fprintf(tw, "box\t%s\n", cmp.Or(s.Box, "unknown: the certificate could not be read"))
	fmt.Fprintf(tw, "agent\t%s, run %d (%s), the run before ended %s\n", s.Version, s.RunCounter, s.Run, s.PreviousEnd)
	fmt.Fprintf(tw, "consent\t%s (policy %d)\n", strings.Join(s.Purposes, ", "), s.PolicyVersion)
	fmt.Fprintf(tw, "clock\t%s\n", s.Clock)
	only := ""
	if s.Metered {
		only = ", metered: only events are sent"
	}
	fmt.Fprintf(tw, "backend\t%s%s; %d connections, %d B up, %d B down\n", s.UplinkState, only, c.Connects, c.BytesUp, c.BytesDown)
	fmt.Fprintf(tw, "readings\t%d taken, %d dropped; %d signs dropped\n", c.Readings, c.ReadingsDropped, c.SignsLost)
	fmt.Fprintf(tw, "reports\t%d made, %d published, %d acknowledged, %d lost\n", c.Reports, c.Published, c.Acknowledged, c.Lost)
	fmt.Fprintf(tw, "buffer\t%d reports; %d B in memory, %d B on flash; %d B written to flash in %d commits\n",
		c.BufferedReports, c.BufferedRAMBytes, c.BufferedFlashBytes, c.FlashBytes, c.FlashCommits)
	fmt.Fprintln(tw)
	fmt.Fprintln(tw, "SOURCE\tPURPOSE\tSTATE\tMETRICS\tREASON")
	for _, src := range s.Sources {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%s\n", src.Name, src.Purpose, src.State, len(src.Metrics), src.Reason)
	}
	for _, h := range s.Health {
		fmt.Fprintf(tw, "\nnot well\t%s since %d s after boot: %s", h.Code, h.SinceSeconds, h.Detail)
	}
	for _, l := range s.Losses {
		fmt.Fprintf(tw, "\nlost\t%d of %s %d to %d of run %s: %s", l.Count, l.Lane, l.First, l.Last, l.Run, l.Reason)
	}
	if len(s.Health)+len(s.Losses) > 0 {
		fmt.Fprintln(tw)
	}
	return tw.Flush()
}
