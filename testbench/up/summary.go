package up

import (
	"fmt"
	"strings"
	"time"

	"livebox-agent/agent"
	"livebox-agent/testbench/cem"
	"livebox-agent/testbench/table"
	"livebox-agent/testbench/telemetrypb"
)

// An outcome is what a demonstration came to.
type outcome struct {
	ran   time.Duration
	state cem.BoxState
	last  *agent.Snapshot // the agent's last answer; nil without one
	died  bool            // the agent ended by itself
	ended error           // how it ended
	log   []string        // its last lines
	dir   string
}

// counters are the agent's own last count: that of its final status, else of
// its last answer.
func (o outcome) counters() *telemetrypb.Counters {
	if c := o.state.Status.GetCounters(); o.state.Status.GetCleanStop() {
		return c
	}
	if o.last == nil {
		return &telemetrypb.Counters{}
	}
	c := o.last.Counters
	return &telemetrypb.Counters{
		Readings: c.Readings, Reports: c.Reports, Published: c.Published,
		Acknowledged: c.Acknowledged, Lost: c.Lost, FlashBytes: c.FlashBytes,
	}
}

// windows is how many reports with readings were acknowledged, by the agent's
// last answer: its final status counts them together with events, and the event
// of its start is acknowledged before any reading.
func (o outcome) windows() uint64 {
	if o.last == nil {
		return 0
	}
	return o.last.Counters.AcknowledgedWindows
}

// judge returns every reason for which the demonstration did not show that
// readings of the agent are decoded by the CEM and acknowledged back.
func (o outcome) judge() error {
	var reasons []string
	bad := func(yes bool, format string, a ...any) {
		if yes {
			reasons = append(reasons, fmt.Sprintf(format, a...))
		}
	}
	s := o.state
	bad(o.died, "the agent ended by itself after %v (%v)", o.ran.Round(time.Second), ending(o.ended))
	bad(!o.died && o.ended != nil, "%v", o.ended)
	bad(s.Readings == 0 && o.ran < 2*window, "no readings were decoded: %v is too short for a window of %v to come through",
		o.ran.Round(time.Second), window)
	bad(s.Readings == 0 && o.ran >= 2*window, "no readings were decoded")
	bad(o.windows() == 0, "no readings were acknowledged back to the agent")
	bad(!o.died && o.ended == nil && !s.Status.GetCleanStop(), "the agent did not report a clean stop")
	bad(s.UndecodableReports+s.Rejected > 0, "%d reports were undecodable or rejected", s.UndecodableReports+s.Rejected)
	bad(s.Violations > 0, "%d sections came without consent", s.Violations)
	return failure(reasons)
}

func ending(err error) string {
	if err == nil {
		return "without an error"
	}
	return err.Error()
}

// summary is one screen that says what came of it.
func (o outcome) summary(verdict error) string {
	var b strings.Builder
	line := func(key, format string, a ...any) {
		fmt.Fprintf(&b, "  %-9s  %s\n", key, fmt.Sprintf(format, a...))
	}
	c, s := o.counters(), o.state
	fmt.Fprintf(&b, "Summary after %v\n", o.ran.Round(time.Second))
	line("agent", "sampled %s readings in %s reports; delivered %s, acknowledged %s (%s with readings), lost %s; %s", table.Group(c.GetReadings()),
		table.Group(c.GetReports()), table.Group(c.GetPublished()), table.Group(c.GetAcknowledged()), table.Group(o.windows()),
		table.Group(c.GetLost()), o.stop())
	line("CEM", "decoded %s readings of %s series from %s reports; missing %s, duplicates %s, undecodable %s, without consent %s",
		table.Group(s.Readings), table.Group(uint64(len(s.Values))), table.Group(s.Reports), table.Group(s.Missing()),
		table.Group(s.Duplicates), table.Group(s.UndecodableReports+s.Rejected), table.Group(s.Violations))
	if s.Readings > 0 {
		line("payload", "%s, %.2f bytes per reading (windows of %v; a box's are 5 min)",
			table.Bytes(s.Bytes), float64(s.Bytes)/float64(s.Readings), window)
	}
	line("flash", "%s written by the agent", table.Bytes(c.GetFlashBytes()))
	if o.last != nil {
		var working, silent []string
		for _, src := range o.last.Sources {
			if src.State == "working" {
				working = append(working, src.Name)
			} else {
				silent = append(silent, fmt.Sprintf("%s %s (%s)", src.Name, src.State, src.Reason))
			}
		}
		line("sources", "%s", strings.Join(working, ", "))
		for _, text := range silent {
			line("", "%s", text)
		}
		for _, h := range o.last.Health {
			line("not well", "%s: %s", h.Code, h.Detail)
		}
	}
	line("files", "%s", o.dir)
	if verdict == nil {
		b.WriteString("OK: readings of the real agent were decoded by the CEM and acknowledged back to the agent.\n")
		return b.String()
	}
	if len(o.log) > 0 {
		b.WriteString("The agent's last lines:\n  " + strings.Join(o.log, "\n  ") + "\n")
	}
	return b.String()
}

// stop says how the agent ended.
func (o outcome) stop() string {
	switch {
	case o.died:
		return "ended by itself"
	case o.ended == nil && o.state.Status.GetCleanStop():
		return "stopped cleanly"
	}
	return "did not stop cleanly"
}
