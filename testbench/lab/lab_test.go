package lab_test

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"

	"livebox-agent/testbench/lab"
	"livebox-agent/testbench/mqttbox"
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
	pair, err := l.CA.Box("box1")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	b, err := mqttbox.Dial(mqttbox.Config{URL: l.Broker.URL(), Box: "box1", Certificate: &cert, Roots: l.CA.Pool()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
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

func TestStoredWithoutLab(t *testing.T) {
	if _, err := lab.Stored(t.Context(), t.TempDir(), 0); err == nil || !strings.Contains(err.Error(), "no lab has run") {
		t.Errorf("Stored: %v; want that no lab has run there", err)
	}
}
