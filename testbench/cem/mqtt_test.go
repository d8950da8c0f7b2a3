package cem_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"testing"

	"livebox-agent/testbench/cem"
	"livebox-agent/testbench/lab"
	"livebox-agent/uplink/wire"
)

// startMQTT runs a CEM that reaches the lab's broker by MQTT alone, and returns
// it with what ends it.
func startMQTT(t *testing.T, l *lab.Lab, dir string) (c *cem.CEM, stop func()) {
	t.Helper()
	pair, err := l.CA.CEM()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	c = cem.New(cem.Options{
		MQTT:     &cem.MQTT{URL: l.Broker.URL(), Certificate: cert, Roots: l.CA.Pool(), Dir: dir},
		AckEvery: quick, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return c, stop
}

func TestBehindAnyBrokerARestartLosesNothing(t *testing.T) {
	// The lab's own CEM would answer too: it must be slow.
	l := startLab(t, lab.Config{Dir: t.TempDir(), AckEvery: 10 * patience})
	dir := t.TempDir()
	c, stop := startMQTT(t, l, dir)
	<-c.Listening()
	b := dial(t, l, "box1")
	b.windows(t, 1, 2, 3)
	await(t, c, "box1", "three windows", reports(3))
	b.ack(t, wire.LaneAck{Contiguous: 3})
	stop()
	b.windows(t, 4, 5) // the broker keeps them for the session
	c, stop = startMQTT(t, l, dir)
	s := await(t, c, "box1", "what came before and meanwhile", reports(5))
	if s.Missing() != 0 || s.Readings != 5 || s.Duplicates != 0 {
		t.Errorf("missing %d, readings %d, duplicates %d; want 0, 5, 0", s.Missing(), s.Readings, s.Duplicates)
	}
	b.ack(t, wire.LaneAck{Contiguous: 5})
	b.windows(t, 5, 6)
	s = await(t, c, "box1", "one more", reports(6))
	if s.Duplicates != 1 {
		t.Errorf("duplicates %d; want 1", s.Duplicates)
	}
	stop()
	// What was acknowledged is in the journal: without any broker too.
	l.Broker.Stop()
	c, _ = startMQTT(t, l, dir)
	<-c.CaughtUp()
	if s, ok := c.Box("box1"); !ok || s.Reports != 6 {
		t.Errorf("the journal alone gives %d reports; want 6", s.Reports)
	}
}
