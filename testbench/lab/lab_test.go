package lab_test

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"

	"livebox-agent/testbench/lab"
	"livebox-agent/testbench/mqttbox"
	"livebox-agent/uplink/wire"
)

func start(t *testing.T, dir string) *lab.Lab {
	t.Helper()
	l, err := lab.Start(lab.Config{Dir: dir})
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

func TestOneLabInADirectory(t *testing.T) {
	dir := t.TempDir()
	l := start(t, dir)
	if _, err := lab.Start(lab.Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "another lab runs") {
		t.Errorf("second Start: %v; want it refused", err)
	}
	if err := lab.Free(dir); err == nil {
		t.Error("Free(dir of a running lab) = nil")
	}
	if err := l.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := lab.Free(dir); err != nil {
		t.Errorf("Free(dir of a stopped lab) = %v", err)
	}
	start(t, dir)
}

func TestFreeOfADirectoryWithoutLab(t *testing.T) {
	if err := lab.Free(t.TempDir()); err != nil {
		t.Errorf("Free(empty) = %v", err)
	}
}

func TestStoredReadsARunningLab(t *testing.T) {
	dir := t.TempDir()
	l := start(t, dir)
	b := dial(t, l, "box1")
	for i := range 5 {
		changed := l.CEM.Changed()
		if err := b.Publish("cem/v1/box1/telemetry", fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
		<-changed // it is stored
	}
	for last, want := range map[uint64]string{0: "01234", 2: "34", 9: "01234"} {
		messages, err := lab.Stored(t.Context(), dir, last)
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for _, m := range messages {
			got.WriteString(string(m.Payload))
		}
		if got.String() != want || messages[0].Topic != "cem/v1/box1/telemetry" || messages[0].Stored.IsZero() {
			t.Errorf("Stored(last %d) = %v; want payloads %q", last, messages, want)
		}
	}
}

// dial connects as a box.
func dial(t *testing.T, l *lab.Lab, box string) *mqttbox.Box {
	t.Helper()
	pair, err := l.CA.Box(box)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	b, err := mqttbox.Dial(mqttbox.Config{URL: l.Broker.URL(), Box: box, Certificate: &cert, Roots: l.CA.Pool()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func TestStatusesAreTheLastOfEachBox(t *testing.T) {
	dir := t.TempDir()
	l := start(t, dir)
	for _, box := range []string{"box2", "box1"} {
		b := dial(t, l, box)
		for _, version := range []string{"old", "new"} {
			changed := l.CEM.Changed()
			if err := b.Publish("cem/v1/"+box+"/status", wire.AppendStatus(nil, wire.Status{Box: box, Version: version})); err != nil {
				t.Fatal(err)
			}
			<-changed // it is stored
		}
	}
	messages, err := lab.Statuses(t.Context(), dir)
	if err != nil || len(messages) != 2 {
		t.Fatalf("Statuses = %v, %v; want one of each box", messages, err)
	}
	for i, box := range []string{"box1", "box2"} {
		s, err := wire.ParseStatus(messages[i].Payload)
		if err != nil || s.Box != box || s.Version != "new" || messages[i].Topic != "cem/v1/"+box+"/status" {
			t.Errorf("status %d on %s: %+v, %v; want the last of %s", i, messages[i].Topic, s, err, box)
		}
	}
	if _, err := lab.Statuses(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "no lab has run") {
		t.Errorf("Statuses: %v; want that no lab has run there", err)
	}
}

func TestStoredWithoutLab(t *testing.T) {
	if _, err := lab.Stored(t.Context(), t.TempDir(), 0); err == nil || !strings.Contains(err.Error(), "no lab has run") {
		t.Errorf("Stored: %v; want that no lab has run there", err)
	}
}
