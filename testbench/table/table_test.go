package table

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"livebox-agent/agent"
	"livebox-agent/collector/catalogue"
	"livebox-agent/testbench/cem"
	"livebox-agent/uplink/wire"
)

// now is the moment of the views in these tests.
var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// view shows one box with three values.
func view() View {
	return View{
		Now: now, Running: 12 * time.Second, Ends: 30 * time.Second,
		Boxes: []cem.BoxState{{
			Box: "demo-box",
			Values: []cem.Value{
				{Metric: catalogue.UpTime, Value: 1234567, Received: now.Add(-2 * time.Second)},
				{Metric: catalogue.PortStatus, Instance: "eth0", Value: 0, Received: now.Add(-90 * time.Second)},
				{Metric: catalogue.PortBytesReceived, Instance: "eth0", Value: -1234567, Received: now.Add(time.Second)},
			},
			Runs: []cem.RunState{{Windows: cem.LaneState{Ranges: []wire.Range{{First: 1, Last: 1}, {First: 4, Last: 4}}}}},
			Totals: cem.Totals{
				Reports: 3, Readings: 4500, Duplicates: 1,
			},
		}},
		Agent: &agent.Snapshot{Counters: agent.SnapshotCounters{
			Readings: 5200, Published: 4, Acknowledged: 3, BufferedReports: 1, Lost: 7,
		}},
	}
}

func TestHeadCountsWhatAgentAndCEMHave(t *testing.T) {
	want := []string{
		"livebox-agent lab, 12s of 30s (sampled, decoded: readings; else reports)",
		"agent  sampled 5,200  buffered 1  delivered 4  acknowledged 3  lost 7",
		"CEM    decoded 4,500  stored 3  missing 2  duplicates 1",
	}
	if diff := cmp.Diff(want, view().Head()); diff != "" {
		t.Errorf("head (-want +got):\n%s", diff)
	}
}

func TestHeadShoutsWhatMustNotBe(t *testing.T) {
	v := view()
	v.Agent, v.Ends = nil, 0
	v.Boxes[0].Violations, v.Boxes[0].Rejected, v.Boxes[0].UndecodableReports = 1, 2, 3
	got := strings.Join(v.Head(), "\n")
	for _, want := range []string{"Ctrl-C ends it", "has not answered", "UNDECODABLE 3", "REJECTED 2", "WITHOUT CONSENT 1"} {
		if !strings.Contains(got, want) {
			t.Errorf("head\n%s\nwant %q in it", got, want)
		}
	}
}

func TestRowsAreAligned(t *testing.T) {
	up, _ := catalogue.Lookup(catalogue.UpTime)
	rows := view().Rows()
	if len(rows) != 4 || !strings.HasPrefix(rows[1], up.Name+" ") {
		t.Fatalf("rows\n%s\nwant names of columns and three values", strings.Join(rows, "\n"))
	}
	column := func(row int, text string) int {
		i := strings.Index(rows[row], text)
		if i < 0 {
			t.Fatalf("row %q; want %q in it", rows[row], text)
		}
		return i + len(text)
	}
	if end := column(0, "VALUE"); column(1, "1,234,567") != end || column(3, "-1,234,567") != end {
		t.Errorf("values do not end under VALUE:\n%s", strings.Join(rows, "\n"))
	}
	if end := column(0, "AGE"); column(1, "2s") != end || column(2, "1m30s") != end || column(3, "0s") != end {
		t.Errorf("ages do not end under AGE, or one is of the future:\n%s", strings.Join(rows, "\n"))
	}
	status, _ := catalogue.Lookup(catalogue.PortStatus)
	column(2, status.States[0])
}

func TestRowsNameTheBoxesOfMany(t *testing.T) {
	v := view()
	v.Boxes = append(v.Boxes, cem.BoxState{Box: "box2", Values: v.Boxes[0].Values[:1]})
	got := strings.Join(v.Rows(), "\n")
	if !strings.Contains(got, "box demo-box\n") || !strings.Contains(got, "box box2\n") {
		t.Errorf("rows\n%s\nwant a line for each box", got)
	}
}

func TestValueWithFractionKeepsIt(t *testing.T) {
	for _, m := range catalogue.All() {
		if m.Exponent != -3 || m.Kind == catalogue.State {
			continue
		}
		_, value, unit := describe(cem.Value{Metric: m.ID, Value: 1234567})
		if value != "1,234.567" || unit != strings.TrimPrefix(m.Unit, "1") {
			t.Errorf("%s: %q %q; want 1,234.567 %s", m.Name, value, unit, m.Unit)
		}
		return
	}
	t.Error("no metric of a thousandth to try with")
}

func TestMetricOfAnotherCatalogueIsShown(t *testing.T) {
	if name, value, _ := describe(cem.Value{Metric: 65000, Value: 5}); name != "metric 65000" || value != "5" {
		t.Errorf("%s = %s; want metric 65000 = 5", name, value)
	}
}

func TestNothingOfABoxSteersTheTerminal(t *testing.T) {
	v := view()
	v.Boxes[0].Values[1].Instance = "\x1b[2J\neth0"
	v.Log = []string{"level=INFO \x1b]0;title\a"}
	for _, line := range fit(v, 200, 50) {
		if strings.ContainsAny(line, "\x1b\n\a") {
			t.Errorf("line %q holds a control character", line)
		}
	}
}

func TestFitKeepsToTheTerminal(t *testing.T) {
	v := view()
	v.Log = []string{"one", "two", "three", "four"}
	for _, tt := range []struct {
		columns, rows int
		want          string // in the lines
	}{
		{200, 50, "four"},
		{200, 10, "… and 3 rows more"},
		{40, 50, "…"},
		{1, 1, "…"},
		{80, 3, "agent"},
	} {
		lines := fit(v, tt.columns, tt.rows)
		if len(lines) > tt.rows {
			t.Errorf("%d lines on %d rows", len(lines), tt.rows)
		}
		for _, l := range lines {
			if n := len([]rune(l)); n > tt.columns {
				t.Errorf("%d columns wide on %d: %q", n, tt.columns, l)
			}
		}
		if got := strings.Join(lines, "\n"); !strings.Contains(got, tt.want) {
			t.Errorf("%d × %d:\n%s\nwant %q in it", tt.columns, tt.rows, got, tt.want)
		}
	}
	if got := strings.Join(fit(v, 200, 50), "\n"); strings.Contains(got, "one") || !strings.Contains(got, "two") {
		t.Errorf("log lines of\n%s\nwant the last three", got)
	}
}

func TestPlainScreenHasNoControlSequences(t *testing.T) {
	var b bytes.Buffer
	s := Open(&b, false)
	s.Begin()
	if err := s.Show(view()); err != nil {
		t.Fatal(err)
	}
	if err := s.Show(View{Now: now}); err != nil {
		t.Fatal(err)
	}
	s.End()
	if got := b.String(); s.InPlace() || strings.Contains(got, "\x1b") || strings.Count(got, "livebox-agent lab") != 2 {
		t.Errorf("plain screen shows\n%s\nwant two blocks of text", got)
	}
}

func TestFileIsNoTerminal(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if Open(f, false).InPlace() {
		t.Error("a file is taken for a terminal")
	}
}

func TestTerminalIsRedrawnInPlace(t *testing.T) {
	var b bytes.Buffer
	s := &Screen{w: &b, size: func() (int, int) { return 100, 20 }}
	s.Begin()
	if err := s.Show(view()); err != nil {
		t.Fatal(err)
	}
	s.End()
	got := b.String()
	if !strings.HasPrefix(got, enter+home) || !strings.HasSuffix(got, below+leave) {
		t.Errorf("%q; want it to begin at the top and to give the terminal back", got)
	}
	if lines, clears := strings.Count(got, "\r\n")+1, strings.Count(got, rest); lines != clears {
		t.Errorf("%d lines, %d of them cleared to their end; want all", lines, clears)
	}
}

func TestUnits(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 2_500_000: "2.5 MB"} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q; want %q", n, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := Group(n); got != want {
			t.Errorf("Group(%d) = %q; want %q", n, got, want)
		}
	}
}
