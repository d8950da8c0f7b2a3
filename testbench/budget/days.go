package budget

import (
	"fmt"
	"time"

	"livebox-agent/testbench/flash"
	"livebox-agent/testbench/trace"
	"livebox-agent/uplink/wire"
)

// Budgets of a day.
const (
	maxFlashDown   = 4.0  // MB
	maxLine        = 0.45 // MB
	maxReading     = 0.60 // bytes
	maxReadingFull = 0.71 // bytes, lossless
	outageDays     = 7
)

// The reference trace: a day of 60 columns at a reading each 10 s.
const (
	traceInterval = 10 * time.Second
	traceRows     = int(24 * time.Hour / traceInterval)
	windowRows    = int(5 * time.Minute / traceInterval)
)

// coded is what a day of the reference trace becomes.
type coded struct {
	reports  int
	readings int
	bodies   int // bytes of the coded sections
	payload  int // bytes of the reports
	further  int // segments beyond the first of each report
}

// whole is the bytes per reading of the reports, and sections that of what is
// coded in them.
func (c coded) whole() float64    { return float64(c.payload) / float64(c.readings) }
func (c coded) sections() float64 { return float64(c.bodies) / float64(c.readings) }

// code codes the trace in windows of rows, as the agent publishes them.
func code(t *trace.Trace, rows int, lossless bool) coded {
	encoder := wire.Encoder{}
	c := coded{readings: t.Readings()}
	var body, report []byte
	for i, w := range t.Windows(rows) {
		report = wire.AppendHeader(report[:0], wire.Header{
			Box: "lb-0123456789abcdef", Run: wire.Run{ID: 1<<63 + 1, Counter: 1000, KernelBoot: 1<<31 + 1},
			Lane: wire.Windows, Sequence: uint64(i + 1), Consent: wire.Consent{PolicyVersion: 1, Purposes: 1<<6 - 2},
			Catalogue: 1 << 31, Opened: w.Opened, Sealed: w.Sealed,
		})
		for _, s := range w.Sections {
			body = encoder.AppendColumns(body[:0], s.Tables, lossless)
			report = wire.AppendSection(report, s.Purpose, wire.Columns, body)
			c.bodies += len(body)
		}
		report = wire.AppendClock(report, wire.Clock{
			Quality: wire.ClockSynchronised, WallAtBoot: time.Unix(1_800_000_000, 0), From: time.Minute, To: w.Sealed,
		})
		c.reports++
		c.payload += len(report)
		c.further += len(report) / segmentPayload
	}
	return c
}

// line computes what a day of the reference trace is on the access line, from
// its reports as they are coded and what the running agent showed that each
// report and a connection cost beyond that.
func line(r running) ([]Row, error) {
	t := trace.Generate(trace.Seed, traceRows, traceInterval)
	day, full := code(t, windowRows, false), code(t, windowRows, true)
	how := fmt.Sprintf("%d readings of the reference trace in %d reports", day.readings, day.reports)
	total := float64(day.payload) + float64(day.reports)*r.perReport + float64(day.further*segmentHeader) + r.connect
	return []Row{
		measured("report per reading, at resolution", "bytes", day.whole(), maxReading, how),
		measured("sections per reading, lossless", "bytes", full.sections(), maxReadingFull, how+", without their headers"),
		informative("report per reading, lossless", "bytes", full.whole(), how),
		informative("line per report beside its bytes", "bytes", r.perReport,
			fmt.Sprintf("running agent, %d reports: MQTT, TLS, TCP/IP, both ways, acknowledgements of broker and CEM, %d statuses", r.reports, r.statuses)),
		informative("line per connection", "bytes", r.connect, "running agent: handshake, CONNECT, subscription, status"),
		measured("line per day", "MB", total/mega, maxLine,
			"60 metrics each 10 s, a report each 5 min (which keeps the connection alive), one connection"),
	}, nil
}

// flashDays measures what the buffer writes in a day and keeps of an outage.
func flashDays() ([]Row, error) {
	up, _, _, err := flash.Day(true)
	if err != nil {
		return nil, err
	}
	down, commits, _, err := flash.Day(false)
	if err != nil {
		return nil, err
	}
	kept, err := flash.Outage(outageDays)
	if err != nil {
		return nil, err
	}
	how := "bytes that bbolt wrote, time compressed, default configuration"
	return []Row{
		measured("flash per day of telemetry, backend answering", "bytes", float64(up), 0, how),
		measured("flash per day of outage", "MB", float64(down)/mega, maxFlashDown, fmt.Sprintf("%s, %d commits", how, commits)),
		measured("flash per day of outage, worst of 7", "MB", float64(kept.WorstDay)/mega, maxFlashDown, how+", 8 events a day"),
		measured("windows lost in 7 days of outage", "", float64(kept.Windows-kept.Held), 0,
			fmt.Sprintf("of %d, %d of them with every reading", kept.Windows, kept.Whole)),
		measured("events lost in 7 days of outage", "", float64(kept.Events-kept.HeldEvents), 0, fmt.Sprintf("of %d", kept.Events)),
	}, nil
}
