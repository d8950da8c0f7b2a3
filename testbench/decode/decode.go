package decode

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/uplink/wire"
)

// A printer writes lines and keeps the first error of the writer.
type printer struct {
	w   *tabwriter.Writer
	err error
}

func newPrinter(w io.Writer) *printer {
	return &printer{w: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// end flushes and returns the writer's error, or what the message had wrong.
func (p *printer) end(damage error) error {
	if p.err == nil {
		p.err = p.w.Flush()
	}
	return errors.Join(p.err, damage)
}

// Print writes the Report b to w for people: its header, then for each section
// its rows, one column each. The error says what could not be decoded; the rest
// has been printed.
func Print(w io.Writer, b []byte) error {
	r, err := wire.ParseReport(b)
	if err != nil {
		return err
	}
	p := newPrinter(w)
	p.line("box %s, run %016x (start %d), kernel boot %08x", quote(r.Box), r.Run.ID, r.Run.Counter, r.Run.KernelBoot)
	p.line("%s %d, opened %s, sealed %s", r.Lane, r.Sequence, at(r.Clock, r.Opened), at(r.Clock, r.Sealed))
	p.line("consent policy %d: %s", r.Consent.PolicyVersion, granted(r.Consent))
	p.line("clock %s", r.Clock.Quality)
	if r.Catalogue != catalogue.Hash() {
		p.line("catalogue %08x is not that of this program, %08x: names and units may be wrong", r.Catalogue, catalogue.Hash())
	}
	var damage []error
	for _, s := range r.Sections {
		p.line("")
		p.line("section %s, %s, %d bytes", s.Purpose, s.Fidelity, len(s.Body))
		if err := p.section(s, r.Clock); err != nil {
			p.line("  %v", err)
			damage = append(damage, fmt.Errorf("section %s, %s: %w", s.Purpose, s.Fidelity, err))
		}
	}
	return p.end(errors.Join(damage...))
}

// section prints the body of a section.
func (p *printer) section(s wire.Section, clock wire.Clock) error {
	switch s.Fidelity {
	case wire.Columns:
		tables, err := wire.DecodeColumns(s.Body)
		if err != nil {
			return err
		}
		for _, t := range tables {
			p.table(t, clock)
		}
		return nil
	case wire.Summary:
		all, err := wire.DecodeSummary(s.Body)
		if err != nil {
			return err
		}
		p.line("  METRIC\tINSTANCE\tREADINGS\tMIN\tMEAN\tMAX\tLAST")
		for _, c := range all {
			mean := "-"
			if !c.Counter {
				mean = format(c.Metric, c.Mean)
			}
			p.line("  %s\t%s\t%d\t%s\t%s\t%s\t%s", name(c.Metric), quote(c.Instance), c.Count,
				format(c.Metric, c.Min), mean, format(c.Metric, c.Max), format(c.Metric, c.Last))
		}
		return nil
	case wire.EventBody:
		e, err := wire.ParseEvent(s.Body)
		if err != nil {
			return err
		}
		p.event(e, clock)
		return nil
	}
	return errors.New("fidelity is unknown")
}

// table prints every reading of a table: a line for each row of each column.
func (p *printer) table(t wire.Table, clock wire.Clock) {
	p.line("  TIME\tMETRIC\tINSTANCE\tVALUE")
	for _, c := range t.Columns {
		for row, v := range c.Values {
			if v != wire.Absent {
				p.line("  %s\t%s\t%s\t%s", at(clock, t.Times[row]), name(c.Metric), quote(c.Instance), format(c.Metric, v))
			}
		}
	}
}

// PrintEvent writes the Event b to w for people, its time since boot.
func PrintEvent(w io.Writer, b []byte) error {
	e, err := wire.ParseEvent(b)
	if err != nil {
		return err
	}
	p := newPrinter(w)
	p.event(e, wire.Clock{})
	return p.end(nil)
}

func (p *printer) event(e wire.Event, clock wire.Clock) {
	p.line("  event %s at %s", e.Type, at(clock, e.At))
	for _, a := range e.Attributes {
		p.line("  %s\t%s", quote(a.Key), quote(a.Value))
	}
	for _, l := range e.Losses {
		p.loss(l)
	}
	for _, v := range e.Evidence {
		p.line("  %s\t%s\t%s\t%s", at(clock, v.At), v.Kind, quote(v.Instance), change(v))
	}
	for _, u := range e.Unseen {
		p.line("  not seen\t%s", quote(u))
	}
}

// change says what became of what, and how often.
func change(v wire.Evidence) string {
	var parts []string
	if v.Metric != 0 {
		parts = append(parts, fmt.Sprintf("%s %s → %s", name(v.Metric), format(v.Metric, v.Before), format(v.Metric, v.After)))
	}
	if v.Count > 1 {
		parts = append(parts, fmt.Sprintf("%d times", v.Count))
	}
	return strings.Join(parts, ", ")
}

func (p *printer) loss(l wire.Loss) {
	p.line("  lost %d of %s %d to %d of run %016x: %s", l.Count, l.Lane, l.First, l.Last, l.RunID, l.Reason)
}

// PrintStatus writes the Status b to w for people.
func PrintStatus(w io.Writer, b []byte) error {
	s, err := wire.ParseStatus(b)
	if err != nil {
		return err
	}
	p := newPrinter(w)
	state := "offline"
	switch {
	case s.Online:
		state = "online"
	case s.CleanStop:
		state = "stopped, everything stored"
	}
	p.line("box %s, %s, run %016x (start %d), kernel boot %08x", quote(s.Box), state, s.Run.ID, s.Run.Counter, s.Run.KernelBoot)
	p.line("version %s, configuration %08x, catalogue %08x", quote(s.Version), s.Configuration, s.Catalogue)
	p.line("consent policy %d: %s", s.Consent.PolicyVersion, granted(s.Consent))
	p.line("kernel booted at %s, clock %s", cmp.Or(boot(s.Clock), "an unknown time"), s.Clock.Quality)
	c := s.Counters
	p.line("readings %d, reports %d, published %d, acknowledged %d, lost %d", c.Readings, c.Reports, c.Published, c.Acknowledged, c.Lost)
	p.line("flash written %d bytes; buffered %d bytes in memory, %d on flash", c.FlashBytes, c.BufferedRAMBytes, c.BufferedFlashBytes)
	for _, h := range s.Health {
		p.line("  health %s since %s\t%s", quote(h.Code), at(s.Clock, h.Since), quote(h.Detail))
	}
	for _, l := range s.Losses {
		p.loss(l)
	}
	for _, c := range s.Capabilities {
		names := make([]string, len(c.Metrics))
		for i, m := range c.Metrics {
			names[i] = name(m)
		}
		p.line("  source %s: %s\t%s\t%s", quote(c.Source), c.State, quote(c.Reason), strings.Join(names, ", "))
	}
	return p.end(nil)
}

// quote makes text from a box safe to print: what is not printable is escaped.
func quote(s string) string {
	q := strconv.Quote(s)
	if q == `"`+s+`"` {
		return s
	}
	return q
}

// at writes a time since boot, on the wall clock where that is known.
func at(c wire.Clock, d time.Duration) string {
	wall, ok := c.Place(d)
	if !ok {
		return "boot+" + d.String()
	}
	return wall.UTC().Format(milliseconds)
}

const milliseconds = "2006-01-02T15:04:05.000Z"

// boot writes when the kernel booted: what a clock says that may have been seen
// weeks later is good enough for people to read.
func boot(c wire.Clock) string {
	if c.Quality != wire.ClockSynchronised {
		return ""
	}
	return c.WallAtBoot.UTC().Format(milliseconds)
}

func granted(c wire.Consent) string {
	var names []string
	for p := range catalogue.Purpose(32) {
		if c.Granted(p) {
			names = append(names, p.String())
		}
	}
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

// name returns the catalogue's name of a metric, or its number.
func name(id catalogue.ID) string {
	if m, ok := catalogue.Lookup(id); ok {
		return m.Name
	}
	return "metric(" + strconv.Itoa(int(id)) + ")"
}

// format returns a value with the catalogue's unit, or bare.
func format(id catalogue.ID, v int64) string {
	if m, ok := catalogue.Lookup(id); ok {
		return m.Format(v)
	}
	return strconv.FormatInt(v, 10)
}

// write writes v as indented JSON.
func write(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
