package catalogue

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

func TestRowsAreWellFormed(t *testing.T) {
	names := map[string]ID{}
	last := ID(0)
	for _, m := range All() {
		if m.ID <= last {
			t.Errorf("%d comes after %d; want ascending numbers", m.ID, last)
		}
		last = m.ID
		if other, ok := names[m.Name]; ok {
			t.Errorf("%d and %d are both %s", other, m.ID, m.Name)
		}
		names[m.Name] = m.ID
		switch {
		case m.Name == "" || m.Unit == "" || m.Description == "" || !strings.HasSuffix(m.Description, "."):
			t.Errorf("%d %s: name, unit or description missing", m.ID, m.Name)
		case m.Resolution < 1:
			t.Errorf("%s: resolution %d is below 1", m.Name, m.Resolution)
		case m.Interval <= 0:
			t.Errorf("%s: no interval", m.Name)
		case m.Purpose < Essential || m.Purpose > Research:
			t.Errorf("%s: purpose %v", m.Name, m.Purpose)
		case (m.Kind == State) != (len(m.States) > 0):
			t.Errorf("%s: kind %v with %d states", m.Name, m.Kind, len(m.States))
		case m.Kind == State && (m.Resolution != 1 || m.Exponent != 0):
			t.Errorf("%s: a state cannot be rounded", m.Name)
		case strings.Contains(m.Name, "{i}") != (m.Instance != ""):
			t.Errorf("%s: instance %q", m.Name, m.Instance)
		}
		if got, ok := Lookup(m.ID); !ok || got.Name != m.Name {
			t.Errorf("Lookup(%d) = %s, %v", m.ID, got.Name, ok)
		}
	}
}

func TestLookupOfAnUnknownNumber(t *testing.T) {
	for _, id := range []ID{0, 7, 65535, All()[len(All())-1].ID + 1} {
		if m, ok := Lookup(id); ok {
			t.Errorf("Lookup(%d) = %s; want nothing", id, m.Name)
		}
	}
}

func TestFormat(t *testing.T) {
	for _, tt := range []struct {
		id   ID
		v    int64
		want string
	}{
		{SensorTemperature, 48250, "48.250 Cel"},
		{SensorTemperature, -5, "-0.005 Cel"},
		{SensorTemperature, 0, "0.000 Cel"},
		{CPUUsage, 125, "12.5 %"},
		{LoadAverage, 7, "0.07"},
		{StationSignal, -67, "-67 dB[mW]"},
		{PortStatus, PortStatusUp, "Up"},
		{PortStatus, 99, "99"},
		{PortBytesSent, -1 << 63, "-9223372036854775808 By"},
	} {
		m, _ := Lookup(tt.id)
		if got := m.Format(tt.v); got != tt.want {
			t.Errorf("%s: Format(%d) = %q; want %q", m.Name, tt.v, got, tt.want)
		}
	}
	if got, want := decimal(5, 3), "5000"; got != want {
		t.Errorf("decimal(5, 3) = %s; want %s", got, want)
	}
}

func TestPurposesAreSpeltAsParsed(t *testing.T) {
	for _, p := range Purposes() {
		if got, err := ParsePurpose(p.String()); got != p || err != nil {
			t.Errorf("ParsePurpose(%q) = %v, %v", p, got, err)
		}
	}
	if _, err := ParsePurpose("marketing"); err == nil {
		t.Error("ParsePurpose knows marketing")
	}
}

// golden compares what write writes with a file that is part of the contract.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the catalogue says; run go test ./collector/catalogue -update", name)
	}
}

func TestDocumentationIsGenerated(t *testing.T) {
	var b bytes.Buffer
	if err := WriteMarkdown(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "CATALOGUE.md", b.Bytes())
}

// TestNumbersKeepTheirMeaning holds every published number to its name, unit
// and kind: a line of this file is added, never changed.
func TestNumbersKeepTheirMeaning(t *testing.T) {
	var b bytes.Buffer
	for _, m := range All() {
		fmt.Fprintln(&b, m.ID, m.Name, m.Unit, m.Exponent, m.Kind, m.Purpose)
	}
	golden(t, "testdata/published.txt", b.Bytes())
}

func TestJSON(t *testing.T) {
	var b bytes.Buffer
	if err := WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Hash    string
		Metrics []struct {
			ID         ID
			Name       string
			Exponent   int
			Purpose    string
			IntervalMS int64 `json:"interval_ms"`
		}
		Thresholds []struct {
			Metric ID
			Step   int64
			StayMS int64 `json:"stay_ms"`
		}
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Hash) != 8 || len(got.Metrics) != len(All()) {
		t.Fatalf("hash %q, %d metrics; want 8 digits, %d", got.Hash, len(got.Metrics), len(All()))
	}
	for i, th := range Thresholds() {
		if g := got.Thresholds[i]; g.Metric != th.Metric || g.Step != th.Step || g.StayMS != th.Stay.Milliseconds() {
			t.Errorf("threshold %d = %+v; want %+v", i, g, th)
		}
	}
	for i, m := range All() {
		g := got.Metrics[i]
		if g.ID != m.ID || g.Name != m.Name || g.Exponent != m.Exponent || g.Purpose != m.Purpose.String() || g.IntervalMS != m.Interval.Milliseconds() {
			t.Errorf("row %d = %+v; want %s", i, g, m.Name)
		}
	}
}

func TestTableHasEveryMetric(t *testing.T) {
	var b bytes.Buffer
	if err := WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, m := range All() {
		if !strings.Contains(b.String(), m.Name) {
			t.Errorf("table does not have %s", m.Name)
		}
	}
}

func TestThresholdsAreWellFormed(t *testing.T) {
	last := ID(0)
	for _, th := range Thresholds() {
		m, ok := Lookup(th.Metric)
		if !ok || th.Metric <= last {
			t.Errorf("threshold of %d after that of %d; want metrics of the catalogue in ascending order", th.Metric, last)
		}
		last = th.Metric
		switch {
		case th.Source == "" || th.Stay <= 0:
			t.Errorf("%s: a threshold without source or time", m.Name)
		case th.Step == 0 && th.StepPercent == 0 && th.Burst == 0 && th.Low == 0 && th.High == 0:
			t.Errorf("%s: a threshold of nothing", m.Name)
		case th.Step < 0 || th.StepPercent < 0 || th.Burst < 0 || th.Back < 0 || th.BandPercent < 0 || th.Least > th.Most:
			t.Errorf("%s: %+v", m.Name, th)
		case (m.Kind == Counter) != (th.Burst > 0):
			t.Errorf("%s: a burst is of counters, and only that", m.Name)
		case th.Step > 0 && th.Step < m.Resolution:
			t.Errorf("%s: a step of %d is below the resolution %d", m.Name, th.Step, m.Resolution)
		case th.what(m) == "":
			t.Errorf("%s: nothing is said of it", m.Name)
		}
		if got := LookupThreshold(th.Metric); got != th {
			t.Errorf("LookupThreshold(%d) = %+v", th.Metric, got)
		}
	}
	if got := LookupThreshold(UpTime); got != (Threshold{}) {
		t.Errorf("threshold of the time since boot: %+v", got)
	}
}

func TestHashChangesWithTheCatalogue(t *testing.T) {
	b, err := json.Marshal(metrics)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range metrics[:3] {
		m.Resolution++
		c, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, c) {
			t.Errorf("%s: resolution is not in what is hashed", m.Name)
		}
	}
}
