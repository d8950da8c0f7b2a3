// Package table shows what the CEM holds of the boxes, and what the agent says
// of itself, as text for a person.
package table

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"livebox-agent/agent"
	"livebox-agent/collector/catalogue"
	"livebox-agent/testbench/cem"
)

// A View is what is shown at one moment.
type View struct {
	// Now is the moment, for the ages.
	Now time.Time
	// Running is how long the lab has run, Ends how long it will; 0 means
	// until it is interrupted.
	Running, Ends time.Duration
	Boxes         []cem.BoxState
	// Agent is the agent's last answer; nil before the first.
	Agent *agent.Snapshot
	// Log are the agent's last lines, oldest first.
	Log []string
}

// Head returns the lines that sum up: how long, what the agent counts and what
// the CEM counts.
func (v View) Head() []string {
	title := fmt.Sprintf("livebox-agent lab, %s", seconds(v.Running))
	if v.Ends > 0 {
		title += fmt.Sprintf(" of %s", seconds(v.Ends))
	} else {
		title += ", Ctrl-C ends it"
	}
	return []string{title + " (sampled, decoded: readings; else reports)", v.agentLine(), v.cemLine()}
}

// agentLine is what the agent says that it did.
func (v View) agentLine() string {
	if v.Agent == nil {
		return "agent  has not answered yet"
	}
	c := v.Agent.Counters
	return fmt.Sprintf("agent  sampled %s  buffered %s  delivered %s  acknowledged %s  lost %s",
		Group(c.Readings), Group(c.BufferedReports), Group(c.Published), Group(c.Acknowledged), Group(c.Lost))
}

// cemLine is what the CEM has, over all boxes.
func (v View) cemLine() string {
	var t cem.Totals
	var missing uint64
	for _, b := range v.Boxes {
		t.Reports += b.Reports
		t.Readings += b.Readings
		t.Duplicates += b.Duplicates
		t.UndecodableReports += b.UndecodableReports
		t.Rejected += b.Rejected
		t.Violations += b.Violations
		missing += b.Missing()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "CEM    decoded %s  stored %s  missing %s  duplicates %s",
		Group(t.Readings), Group(t.Reports), Group(missing), Group(t.Duplicates))
	for _, bad := range []struct {
		name string
		n    uint64
	}{
		{"undecodable", t.UndecodableReports},
		{"rejected", t.Rejected},
		{"without consent", t.Violations},
	} {
		if bad.n > 0 {
			fmt.Fprintf(&b, "  %s %s", strings.ToUpper(bad.name), Group(bad.n))
		}
	}
	return b.String()
}

// Rows returns the latest value of every metric and instance under one line of
// column names, aligned; nil while there is none.
func (v View) Rows() []string {
	rows := [][]string{{"METRIC", "INSTANCE", "VALUE", "UNIT", "AGE"}}
	for _, b := range v.Boxes {
		if len(v.Boxes) > 1 && len(b.Values) > 0 {
			rows = append(rows, []string{"box " + b.Box})
		}
		values := slices.Clone(b.Values)
		slices.SortStableFunc(values, func(x, y cem.Value) int { return cmp.Compare(x.Metric, y.Metric) })
		for _, x := range values {
			name, value, unit := describe(x)
			rows = append(rows, []string{name, printable(x.Instance), value, unit, seconds(max(x.Age(v.Now), 0))})
		}
	}
	if len(rows) == 1 {
		return nil
	}
	return Align(rows, map[int]bool{2: true, 4: true})
}

// describe names a value as the catalogue does.
func describe(v cem.Value) (name, value, unit string) {
	m, ok := catalogue.Lookup(v.Metric)
	if !ok {
		return fmt.Sprintf("metric %d", v.Metric), fmt.Sprint(v.Value), ""
	}
	value, unit, _ = strings.Cut(m.Format(v.Value), " ")
	if m.Kind == catalogue.State {
		return m.Name, m.Format(v.Value), ""
	}
	whole, fraction, point := strings.Cut(value, ".")
	whole = groupDigits(whole)
	if point {
		whole += "." + fraction
	}
	return m.Name, whole, unit
}

// printable replaces what would steer the terminal: names come from boxes.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '�'
		}
		return r
	}, s)
}

// Align pads each column to its widest cell, two spaces apart; those in right
// to the left.
func Align(rows [][]string, right map[int]bool) []string {
	var width []int
	for _, r := range rows {
		for i, cell := range r {
			if i == len(width) {
				width = append(width, 0)
			}
			// A line of its own does not widen the first column.
			if len(r) > 1 {
				width[i] = max(width[i], utf8.RuneCountInString(cell))
			}
		}
	}
	lines := make([]string, 0, len(rows))
	for _, r := range rows {
		var b strings.Builder
		for i, cell := range r {
			pad := strings.Repeat(" ", max(width[i]-utf8.RuneCountInString(cell), 0))
			if right[i] {
				b.WriteString(pad + cell + "  ")
			} else {
				b.WriteString(cell + pad + "  ")
			}
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	return lines
}

// Group writes n with a comma between thousands.
func Group(n uint64) string { return groupDigits(fmt.Sprint(n)) }

func groupDigits(s string) string {
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// Bytes writes a number of bytes in the unit that fits.
func Bytes(n uint64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// seconds writes a time without what nobody reads.
func seconds(d time.Duration) string {
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
