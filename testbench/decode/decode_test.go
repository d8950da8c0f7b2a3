package decode

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
	"livebox-agent/uplink/wire"
)

var update = flag.Bool("update", false, "write the golden text anew")

var run = wire.Run{ID: 0xabc, Counter: 3, KernelBoot: 0x1234}

// report returns a report with a section of every fidelity, one of them
// damaged.
func report(clock wire.Clock, hash uint32) []byte {
	var e wire.Encoder
	tables := []wire.Table{{
		Times: []time.Duration{time.Hour, time.Hour + 10*time.Second},
		Columns: []wire.Column{
			{Metric: catalogue.SensorTemperature, Instance: "soc", Values: []int64{61000, 61500}},
			{Metric: catalogue.PortStatus, Instance: "eth0", Values: []int64{wire.Absent, catalogue.PortStatusUp}},
			{Metric: catalogue.PortBytesSent, Instance: "caf\xe9\x1b[2J", Values: []int64{1, 7000}},
			{Metric: 65000, Values: []int64{-3, 4}},
		},
	}}
	b := wire.AppendHeader(nil, wire.Header{
		Box: "lb-1", Run: run, Lane: wire.Windows, Sequence: 9, Consent: wire.Consent{PolicyVersion: 2, Purposes: 0b110},
		Catalogue: hash, Opened: time.Hour - 5*time.Second, Sealed: time.Hour + 15*time.Second,
	})
	b = wire.AppendSection(b, catalogue.Essential, wire.Columns, e.AppendColumns(nil, tables, false))
	b = wire.AppendSection(b, catalogue.Support, wire.Summary, e.AppendSummary(nil, tables))
	b = wire.AppendSection(b, catalogue.Essential, wire.EventBody, event())
	b = wire.AppendSection(b, catalogue.Research, wire.Columns, []byte{9, 9, 9})
	return wire.AppendClock(b, clock)
}

func event() []byte {
	return wire.AppendEvent(nil, wire.Event{
		Type: wire.ReportsLost, At: 90 * time.Second, Attributes: []wire.Attribute{{Key: "why", Value: "full\nstop"}},
		Losses: []wire.Loss{{RunID: 0xabc, Lane: wire.Windows, First: 2, Last: 5, Count: 3, Reason: wire.LostFull}},
		Evidence: []wire.Evidence{
			{Sign: sample.Sign{At: 89 * time.Second, Kind: sample.BrownOut, Instance: "in1", Metric: catalogue.SensorVoltage, Before: 12040, After: 9310}},
			{Sign: sample.Sign{At: 89500 * time.Millisecond, Kind: sample.PortDown, Instance: "lan\x1b1"}, Count: 3},
		},
		Unseen: []string{"restart: refused"},
	})
}

func status() []byte {
	return wire.AppendStatus(nil, wire.Status{
		Box: "lb-1", Online: true, Run: run, Version: "1.0", Consent: wire.Consent{PolicyVersion: 2, Purposes: 0b10},
		Catalogue: 0xc0de, Configuration: 0xbeef,
		Capabilities: []wire.Capability{
			{Source: "sensors", State: wire.Working, Metrics: []catalogue.ID{catalogue.SensorTemperature}},
			{Source: "stations", State: wire.NotGranted, Reason: "personalised"},
		},
		Health:   []wire.Health{{Code: wire.HealthNotStored, Since: time.Minute, Detail: "no ack"}},
		Losses:   []wire.Loss{{RunID: 0xabc, Lane: wire.Events, First: 1, Last: 1, Count: 1, Reason: wire.LostDamaged}},
		Counters: wire.Counters{Readings: 1000, Reports: 10, Published: 9, Acknowledged: 8, Lost: 1, FlashBytes: 7, BufferedRAMBytes: 6, BufferedFlashBytes: 5},
		Clock:    wire.Clock{WallAtBoot: time.UnixMilli(1_790_000_000_000), Quality: wire.ClockSynchronised, To: time.Hour},
	})
}

// golden compares got with a file.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := "testdata/" + name
	if *update {
		if err := os.WriteFile(file, got, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-file +now):\n%s", name, diff)
	}
}

func TestPrint(t *testing.T) {
	known := wire.Clock{WallAtBoot: time.UnixMilli(1_790_000_000_000), Quality: wire.ClockSynchronised, To: time.Hour}
	for name, tt := range map[string]struct {
		print   func(*bytes.Buffer) error
		damaged bool
	}{
		"report.txt":  {func(b *bytes.Buffer) error { return Print(b, report(known, catalogue.Hash())) }, true},
		"report.json": {func(b *bytes.Buffer) error { return PrintJSON(b, report(known, 0xc0de)) }, false},
		"event.txt":   {func(b *bytes.Buffer) error { return PrintEvent(b, event()) }, false},
		"event.json":  {func(b *bytes.Buffer) error { return PrintEventJSON(b, event()) }, false},
		"status.txt":  {func(b *bytes.Buffer) error { return PrintStatus(b, status()) }, false},
		"status.json": {func(b *bytes.Buffer) error { return PrintStatusJSON(b, status()) }, false},
	} {
		var b bytes.Buffer
		if err := tt.print(&b); (err != nil) != tt.damaged {
			t.Errorf("%s: %v; want an error: %v", name, err, tt.damaged)
		}
		golden(t, name, b.Bytes())
		if strings.HasSuffix(name, ".json") && !json.Valid(b.Bytes()) {
			t.Errorf("%s is not JSON", name)
		}
		if bytes.ContainsRune(b.Bytes(), 0x1b) {
			t.Errorf("%s: a box's control sequence reaches the terminal", name)
		}
	}
}

func TestTimesAreSinceBootWhereTheClockIsUnknown(t *testing.T) {
	var b strings.Builder
	if err := Print(&b, report(wire.Clock{}, catalogue.Hash())); err == nil {
		t.Error("no error of the damaged section")
	}
	if !strings.Contains(b.String(), "opened boot+59m55s") || !strings.Contains(b.String(), "boot+1h0m10s") {
		t.Errorf("no times since boot in\n%s", b.String())
	}
}

func TestAnotherCatalogueIsSaid(t *testing.T) {
	var b strings.Builder
	if err := Print(&b, report(wire.Clock{}, 0xc0de)); err == nil {
		t.Error("no error of the damaged section")
	}
	if !strings.Contains(b.String(), "catalogue 0000c0de is not that of this program") {
		t.Errorf("nothing of the catalogue in\n%s", b.String())
	}
}

func TestWhatIsNoMessage(t *testing.T) {
	for name, print := range map[string]func(*bytes.Buffer, []byte) error{
		"report":         func(b *bytes.Buffer, m []byte) error { return Print(b, m) },
		"report as JSON": func(b *bytes.Buffer, m []byte) error { return PrintJSON(b, m) },
		"event":          func(b *bytes.Buffer, m []byte) error { return PrintEvent(b, m) },
		"event as JSON":  func(b *bytes.Buffer, m []byte) error { return PrintEventJSON(b, m) },
		"status":         func(b *bytes.Buffer, m []byte) error { return PrintStatus(b, m) },
		"status as JSON": func(b *bytes.Buffer, m []byte) error { return PrintStatusJSON(b, m) },
	} {
		var b bytes.Buffer
		if err := print(&b, []byte("\xff\xff\xff")); err == nil || b.Len() > 0 {
			t.Errorf("%s: %v, %q", name, err, b.String())
		}
	}
}

// A fullDisk takes nothing.
type fullDisk struct{}

var errFull = errors.New("no space left")

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func TestErrorsOfTheWriterAreReturned(t *testing.T) {
	if err := Print(fullDisk{}, report(wire.Clock{}, 0)); !errors.Is(err, errFull) {
		t.Errorf("Print: %v", err)
	}
	if err := PrintStatus(fullDisk{}, status()); !errors.Is(err, errFull) {
		t.Errorf("PrintStatus: %v", err)
	}
	if err := PrintJSON(fullDisk{}, report(wire.Clock{}, 0)); !errors.Is(err, errFull) {
		t.Errorf("PrintJSON: %v", err)
	}
}
