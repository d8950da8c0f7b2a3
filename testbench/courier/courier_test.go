package courier_test

import (
	"path/filepath"
	"testing"
	"time"

	"livebox-agent/testbench/cem"
	"livebox-agent/testbench/courier"
	"livebox-agent/testbench/lab"
	"livebox-agent/uplink/wire"
)

const patience = 30 * time.Second

// config is that of a box of the lab, or of nobody where there is none.
func config(t *testing.T, l *lab.Lab, dir, broker string) courier.Config {
	t.Helper()
	pair, err := l.CA.Box("box1")
	if err != nil {
		t.Fatal(err)
	}
	u := courier.Eager(broker)
	u.CAFile, u.CertFile, u.KeyFile = l.CA.CAFile(), pair.Cert, pair.Key
	return courier.Config{Box: "box1", Dir: dir, Uplink: u}
}

// until waits until the CEM's state of the box is as it should be.
func until(t *testing.T, l *lab.Lab, what string, ok func(cem.BoxState) bool) cem.BoxState {
	t.Helper()
	deadline := time.After(patience)
	for {
		changed := l.CEM.Changed()
		s, _ := l.CEM.Box("box1")
		if ok(s) {
			return s
		}
		select {
		case <-changed:
		case <-deadline:
			s.Values = nil
			t.Fatalf("no %s: %+v", what, s)
		}
	}
}

func start(t *testing.T, cfg courier.Config) *courier.Courier {
	t.Helper()
	c, err := courier.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What one run could not deliver, and kept at its clean stop, the next does.
func TestNextRunDeliversWhatTheLastKept(t *testing.T) {
	l, err := lab.Start(lab.Config{Dir: filepath.Join(t.TempDir(), "lab"), AckEvery: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Stop(); err != nil {
			t.Error(err)
		}
	})
	dir := t.TempDir()
	cfg := config(t, l, dir, "tls://127.0.0.1:1") // nobody listens there
	cfg.Counter = 1
	c := start(t, cfg)
	if err := c.Windows(3); err != nil {
		t.Fatal(err)
	}
	if err := c.Event(100); err != nil {
		t.Fatal(err)
	}
	if c.Made() != 4 || c.Left() != 4 {
		t.Errorf("%d made, %d left; want 4 and 4", c.Made(), c.Left())
	}
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	first := c.Run()

	cfg = config(t, l, dir, l.Broker.URL())
	cfg.Counter = 2
	c = start(t, cfg)
	if err := c.Windows(2); err != nil {
		t.Fatal(err)
	}
	s := until(t, l, "reports of both runs", func(s cem.BoxState) bool { return s.Reports == 6 && s.Online })
	if s.Missing() != 0 || s.Rejected+s.UndecodableReports+s.Violations != 0 || len(s.Runs) != 2 || s.Runs[0].ID != first.ID {
		t.Errorf("%+v; want two runs, decoded, in order, without gaps", s.Totals)
	}
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for c.Left() > 0 {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%d reports left: %+v", c.Left(), c.Uplink())
		}
	}
	if detail, ever := c.Sick(wire.HealthUplinkDown); detail != "" || ever {
		t.Errorf("uplink_down %q, ever %v; want it good all the time", detail, ever)
	}
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	s = until(t, l, "farewell", func(s cem.BoxState) bool { return !s.Online })
	if !s.Runs[1].CleanStop {
		t.Errorf("runs %+v; want the second to say that it stopped", s.Runs)
	}
	if c.FlashWritten() == 0 {
		t.Error("no bytes written; want what was delivered taken off the flash")
	}
}
