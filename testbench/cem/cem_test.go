package cem_test

import (
	"crypto/tls"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"livebox-agent/collector/catalogue"
	"livebox-agent/testbench/cem"
	"livebox-agent/testbench/lab"
	"livebox-agent/testbench/mqttbox"
	"livebox-agent/uplink/wire"
)

const (
	patience = 30 * time.Second
	// quick is the acknowledgement interval of tests that wait for one.
	quick = 100 * time.Millisecond
)

var run1 = wire.Run{ID: 0xa1, Counter: 1, KernelBoot: 7}

// startLab starts a lab that ends with the test.
func startLab(t *testing.T, cfg lab.Config) *lab.Lab {
	t.Helper()
	cfg.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	l, err := lab.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Stop(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// A testBox is a scripted box that knows its name.
type testBox struct {
	*mqttbox.Box

	name string
}

// dial connects a box and lets it listen for acknowledgements.
func dial(t *testing.T, l *lab.Lab, name string) *testBox {
	t.Helper()
	pair, err := l.CA.Box(name)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	b, err := mqttbox.Dial(mqttbox.Config{
		URL: l.Broker.URL(), Box: name, Certificate: &cert, Roots: l.CA.Pool(),
		Will: &mqttbox.Will{
			Topic:   "cem/v1/" + name + "/status",
			Payload: wire.AppendStatus(nil, wire.Status{Box: name, Run: run1}),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if err := b.Subscribe("cem/v1/" + name + "/ack"); err != nil {
		t.Fatal(err)
	}
	return &testBox{Box: b, name: name}
}

// online publishes the status that begins a connection.
func (b *testBox) online(t *testing.T) {
	t.Helper()
	s := wire.AppendStatus(nil, wire.Status{Box: b.name, Online: true, Run: run1, Version: "1"})
	if err := b.PublishRetained("cem/v1/"+b.name+"/status", s); err != nil {
		t.Fatal(err)
	}
}

// windows publishes the windows of these sequences, one uptime reading each.
func (b *testBox) windows(t *testing.T, sequences ...uint64) {
	t.Helper()
	for _, seq := range sequences {
		if err := b.Publish("cem/v1/"+b.name+"/telemetry", window(b.name, seq)); err != nil {
			t.Fatal(err)
		}
	}
}

func window(box string, seq uint64) []byte {
	var e wire.Encoder
	at := time.Duration(seq) * time.Minute
	b := wire.AppendHeader(nil, wire.Header{
		Box: box, Run: run1, Lane: wire.Windows, Sequence: seq,
		Consent: wire.Consent{PolicyVersion: 1, Purposes: 1 << catalogue.Essential}, Catalogue: catalogue.Hash(),
		Opened: at - time.Minute, Sealed: at,
	})
	return wire.AppendSection(b, catalogue.Essential, wire.Columns, e.AppendColumns(nil, []wire.Table{{
		Times:   []time.Duration{at},
		Columns: []wire.Column{{Metric: catalogue.UpTime, Values: []int64{int64(seq)}}},
	}}, true))
}

// ack waits for an acknowledgement that says want of the windows.
func (b *testBox) ack(t *testing.T, want wire.LaneAck) {
	t.Helper()
	want.RunID, want.Lane = run1.ID, wire.Windows
	deadline := time.After(patience)
	var last []wire.LaneAck
	for {
		select {
		case m := <-b.Heard():
			a, err := wire.ParseAck(m.Payload)
			if err != nil {
				t.Fatal(err)
			}
			if last = a.Lanes; len(last) == 1 && cmp.Equal(last[0], want) {
				return
			}
		case <-deadline:
			t.Fatalf("%s: last acknowledgement %+v; want %+v", b.name, last, want)
		}
	}
}

// await waits until ok holds for the box.
func await(t *testing.T, c *cem.CEM, box, what string, ok func(cem.BoxState) bool) cem.BoxState {
	t.Helper()
	deadline := time.After(patience)
	for {
		changed := c.Changed()
		s, _ := c.Box(box)
		if ok(s) {
			return s
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%s: no %s: %+v", box, what, s)
		}
	}
}

func reports(n uint64) func(cem.BoxState) bool {
	return func(s cem.BoxState) bool { return s.Reports == n }
}

func TestReportsReachTheStateAndAreAcknowledged(t *testing.T) {
	l := startLab(t, lab.Config{Dir: t.TempDir(), AckEvery: quick})
	b := dial(t, l, "box1")
	b.windows(t, 1, 2, 3, 7, 3, 9, 10)
	b.ack(t, wire.LaneAck{Contiguous: 3, Ranges: []wire.Range{{First: 7, Last: 7}, {First: 9, Last: 10}}})
	s := await(t, l.CEM, "box1", "reports", reports(6))
	if s.Duplicates != 1 || s.Readings != 6 || len(s.Values) != 1 || s.Values[0].Value != 10 {
		t.Errorf("state %+v; want one duplicate, six readings, 10 as the latest", s)
	}
	if age := s.Values[0].Age(time.Now()); age < 0 || age > patience {
		t.Errorf("age %v; want the time since it was received", age)
	}
}

func TestDuplicateIsAcknowledgedAgain(t *testing.T) {
	l := startLab(t, lab.Config{Dir: t.TempDir(), AckEvery: quick})
	b := dial(t, l, "box1")
	b.windows(t, 1)
	b.ack(t, wire.LaneAck{Contiguous: 1})
	b.windows(t, 1)
	b.ack(t, wire.LaneAck{Contiguous: 1})
}

// The box must not wait for the common acknowledgement when it has just come
// back and wants to know what to send again.
func TestFirstReportsOfAConnectionAreAcknowledgedSoon(t *testing.T) {
	l := startLab(t, lab.Config{Dir: t.TempDir(), AckEvery: time.Hour})
	b := dial(t, l, "box1")
	online := func() {
		t.Helper()
		b.online(t)
		// The reports are another stream, which could be read before.
		await(t, l.CEM, "box1", "status", func(s cem.BoxState) bool { return s.Online })
	}
	online()
	b.windows(t, 1)
	b.ack(t, wire.LaneAck{Contiguous: 1})
	if err := b.Break(); err != nil {
		t.Fatal(err)
	}
	await(t, l.CEM, "box1", "last will", func(s cem.BoxState) bool { return !s.Online })
	b = dial(t, l, "box1")
	online()
	b.windows(t, 2)
	b.ack(t, wire.LaneAck{Contiguous: 2})
	b.windows(t, 3)
	if s := await(t, l.CEM, "box1", "third report", reports(3)); s.Acks != 2 {
		t.Errorf("%d acknowledgements; want 2: the third report waits its hour", s.Acks)
	}
}

func TestRestartLosesNothing(t *testing.T) {
	cfg := lab.Config{Dir: t.TempDir(), AckEvery: time.Hour}
	l := startLab(t, cfg)
	b := dial(t, l, "box1")
	b.online(t)
	b.windows(t, 1, 2, 5)
	await(t, l.CEM, "box1", "reports", func(s cem.BoxState) bool { return s.Reports == 3 && s.Online && s.Acks == 1 })
	// One that is stored but not acknowledged.
	b.windows(t, 6)
	before := await(t, l.CEM, "box1", "report", reports(4))
	if err := l.Stop(); err != nil {
		t.Fatal(err)
	}

	cfg.AckEvery = quick
	l = startLab(t, cfg)
	after, _ := l.CEM.Box("box1")
	if diff := cmp.Diff(before.Runs, after.Runs); diff != "" {
		t.Errorf("runs (-before +after):\n%s", diff)
	}
	if len(after.Values) != 1 || after.Values[0] != before.Values[0] {
		t.Errorf("values %v; want %v", after.Values, before.Values)
	}
	if after.Status.GetVersion() != "1" {
		t.Errorf("status %v; want the one from before", after.Status)
	}
	// A box that is not there yet does not hear it, and sends it again.
	await(t, l.CEM, "box1", "acknowledgement that was owed", func(s cem.BoxState) bool { return s.Acks == 1 })
	b = dial(t, l, "box1")
	b.windows(t, 6)
	b.ack(t, wire.LaneAck{Contiguous: 2, Ranges: []wire.Range{{First: 5, Last: 6}}})
	b.windows(t, 3, 4)
	b.ack(t, wire.LaneAck{Contiguous: 6})
	s := await(t, l.CEM, "box1", "reports", reports(6))
	if s.Duplicates != 1 || s.Runs[0].Windows.Stored() != 6 {
		t.Errorf("state %+v; want six sequences, one duplicate", s)
	}
}

func TestBoxesDoNotMix(t *testing.T) {
	l := startLab(t, lab.Config{Dir: t.TempDir(), AckEvery: quick})
	b1, b2 := dial(t, l, "box1"), dial(t, l, "box2")
	b1.windows(t, 1, 2)
	b2.windows(t, 1)
	// Box 2 uses its own topic, but box 1's name.
	if err := b2.Publish("cem/v1/box2/telemetry", window("box1", 3)); err != nil {
		t.Fatal(err)
	}
	b1.ack(t, wire.LaneAck{Contiguous: 2})
	b2.ack(t, wire.LaneAck{Contiguous: 1})
	await(t, l.CEM, "box2", "rejected report", func(s cem.BoxState) bool { return s.Rejected == 1 })
	names := []string{}
	for _, s := range l.CEM.Snapshot() {
		names = append(names, s.Box)
		if want := uint64(3 - len(names)); s.Reports != want {
			t.Errorf("%s: %d reports; want %d", s.Box, s.Reports, want)
		}
	}
	if !slices.Equal(names, []string{"box1", "box2"}) {
		t.Errorf("boxes %v; want box1, box2", names)
	}
}

func TestRejectedReportIsNotAcknowledged(t *testing.T) {
	l := startLab(t, lab.Config{Dir: t.TempDir(), AckEvery: quick})
	b := dial(t, l, "box1")
	if err := b.Publish("cem/v1/box1/telemetry", []byte("no report")); err != nil {
		t.Fatal(err)
	}
	s := await(t, l.CEM, "box1", "rejected report", func(s cem.BoxState) bool { return s.Rejected == 1 })
	if string(s.Undecodable[0].Payload) != "no report" {
		t.Errorf("kept %q; want the payload", s.Undecodable[0].Payload)
	}
	b.windows(t, 1)
	b.ack(t, wire.LaneAck{Contiguous: 1})
	if s, _ := l.CEM.Box("box1"); s.Acks != 1 {
		t.Errorf("%d acknowledgements; want 1, for the report that followed", s.Acks)
	}
}

func TestUnknownBoxHasNoState(t *testing.T) {
	l := startLab(t, lab.Config{Dir: t.TempDir()})
	if s, ok := l.CEM.Box("nobody"); ok {
		t.Errorf("state %+v of a box that sent nothing", s)
	}
}

func TestRunEndsWithTheBroker(t *testing.T) {
	l := startLab(t, lab.Config{Dir: t.TempDir(), AckEvery: quick})
	conn, err := l.Broker.InProcess()
	if err != nil {
		t.Fatal(err)
	}
	c := cem.New(cem.Options{Conn: conn})
	ended := make(chan error, 1)
	go func() { ended <- c.Run(t.Context()) }()
	<-c.CaughtUp()
	conn.Close()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("Run = nil; want why it ended")
		}
	case <-time.After(patience):
		t.Error("Run goes on without a broker")
	}
}
