package broker_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"livebox-agent/testbench/broker"
	"livebox-agent/testbench/mqttbox"
	"livebox-agent/testbench/pki"
)

const patience = 30 * time.Second

// A lab is a broker and the authority that both sides trust.
type lab struct {
	*broker.Broker

	ca  *pki.Authority
	cfg broker.Config
}

// newLab starts a broker that ends with the test.
func newLab(t *testing.T) *lab {
	t.Helper()
	ca, err := pki.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server, err := ca.Server("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{ca: ca, cfg: broker.Config{
		Dir: t.TempDir(), CAFile: ca.CAFile(), CertFile: server.Cert, KeyFile: server.Key,
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}}
	l.start(t)
	return l
}

func (l *lab) start(t *testing.T) {
	t.Helper()
	b, err := broker.Start(l.cfg)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(b.Stop)
	l.Broker = b
}

// config is that of box1 with a certificate of its own.
func (l *lab) config(t *testing.T) mqttbox.Config {
	t.Helper()
	return mqttbox.Config{URL: l.URL(), Box: "box1", Certificate: boxLeaf(t, l.ca, "box1"), Roots: l.ca.Pool()}
}

// dial connects box1.
func (l *lab) dial(t *testing.T) *mqttbox.Box {
	t.Helper()
	b, err := mqttbox.Dial(l.config(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// publish publishes a payload, which the broker must answer.
func publish(t *testing.T, b *mqttbox.Box, topic, payload string) {
	t.Helper()
	if err := b.Publish(topic, []byte(payload)); err != nil {
		t.Fatalf("publish %s: %v", topic, err)
	}
}

// stored reads n messages of a stream and checks that no more are there.
func (l *lab) stored(t *testing.T, stream string, n int) []string {
	t.Helper()
	conn, err := l.InProcess()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for len(got) < n {
		m, err := c.Next(jetstream.FetchMaxWait(patience))
		if err != nil {
			t.Fatalf("%d messages in %s; want %d: %v", len(got), stream, n, err)
		}
		got = append(got, m.Subject()+" "+string(m.Data()))
	}
	s, err := js.Stream(ctx, stream)
	if err != nil {
		t.Fatal(err)
	}
	if have := s.CachedInfo().State.Msgs; have != uint64(n) {
		t.Fatalf("%s holds %d messages; want %d", stream, have, n)
	}
	return got
}

// hear returns the next message that the box hears.
func hear(t *testing.T, b *mqttbox.Box) mqttbox.Message {
	t.Helper()
	select {
	case m := <-b.Heard():
		return m
	case <-time.After(patience):
		t.Fatal("the box heard nothing")
		return mqttbox.Message{}
	}
}

func TestStreamsKeepWhatBoxesPublish(t *testing.T) {
	l := newLab(t)
	b := l.dial(t)
	publish(t, b, "cem/v1/box1/telemetry", "w1")
	publish(t, b, "cem/v1/box1/event", "e1")
	publish(t, b, "cem/v1/box1/telemetry", "w2")
	got := strings.Join(l.stored(t, broker.StreamTelemetry, 3), ", ")
	if want := "cem.v1.box1.telemetry w1, cem.v1.box1.event e1, cem.v1.box1.telemetry w2"; got != want {
		t.Errorf("stored %s; want %s", got, want)
	}
}

func TestBoxCannotPublishAsAnother(t *testing.T) {
	l := newLab(t)
	b := l.dial(t)
	for _, topic := range []string{
		"cem/v1/box2/telemetry", "cem/v1/box2/event", "cem/v1/box1/telemetry/x", "cem/v1/box1/ack",
	} {
		publish(t, b, topic, "forged")
	}
	publish(t, b, "cem/v1/box1/telemetry", "own")
	if got := l.stored(t, broker.StreamTelemetry, 1); got[0] != "cem.v1.box1.telemetry own" {
		t.Errorf("stored %q; want the box's own only", got)
	}
}

func TestBoxCannotReadAnother(t *testing.T) {
	l := newLab(t)
	b := l.dial(t)
	for _, topic := range []string{
		"cem/v1/box2/ack", "cem/v1/+/ack", "cem/v1/#", "#", "cem/v1/box1/telemetry",
		"cem/v1/box2/status", "cem/v1/box1/+", "$MQTT/sub/#", "$SYS/#",
	} {
		if err := b.Subscribe(topic); err == nil {
			t.Errorf("box1 may subscribe %s", topic)
		}
	}
	for _, topic := range []string{"cem/v1/box1/ack", "cem/v1/box1/desired", "cem/v1/box1/command"} {
		if err := b.Subscribe(topic); err != nil {
			t.Error(err)
		}
	}
	conn, err := l.InProcess()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, subject := range []string{"cem.v1.box2.ack", "cem.v1.box1.ack"} {
		if err := conn.Publish(subject, []byte("for "+subject)); err != nil {
			t.Fatal(err)
		}
	}
	if m := hear(t, b); m.Topic != "cem/v1/box1/ack" || string(m.Payload) != "for cem.v1.box1.ack" {
		t.Errorf("box1 heard %s %q first; want its own acknowledgement", m.Topic, m.Payload)
	}
}

func TestWillCannotReachAnotherBox(t *testing.T) {
	l := newLab(t)
	cfg := l.config(t)
	cfg.Will = &mqttbox.Will{Topic: "cem/v1/box2/status", Payload: []byte("forged")}
	b, err := mqttbox.Dial(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Break(); err != nil {
		t.Fatal(err)
	}
	// The same box with a will of its own: once this one is stored, the first
	// would be too.
	cfg.Will.Topic = "cem/v1/box1/status"
	if b, err = mqttbox.Dial(cfg); err != nil {
		t.Fatal(err)
	}
	if err := b.Break(); err != nil {
		t.Fatal(err)
	}
	if got := l.stored(t, broker.StreamStatus, 1); got[0] != "cem.v1.box1.status forged" {
		t.Errorf("stored %q; want the box's own will only", got)
	}
}

func TestStrangersAreRefused(t *testing.T) {
	l := newLab(t)
	other, err := pki.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		harm func(*mqttbox.Config)
	}{
		{"no certificate", func(c *mqttbox.Config) { c.Certificate = nil }},
		{"certificate of another authority", func(c *mqttbox.Config) { c.Certificate = boxLeaf(t, other, "box1") }},
		{"server certificate", func(c *mqttbox.Config) {
			leaf, err := l.ca.Leaf(&x509.Certificate{
				Subject:     pkix.Name{CommonName: "box1"},
				ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
			})
			if err != nil {
				t.Fatal(err)
			}
			c.Certificate = &leaf
		}},
		{"common name is a wildcard of NATS", func(c *mqttbox.Config) { c.Box, c.Certificate = "*", boxLeaf(t, l.ca, "*") }},
		{"common name has a wildcard of MQTT", func(c *mqttbox.Config) { c.Box, c.Certificate = "a+b", boxLeaf(t, l.ca, "a+b") }},
		{"common name spans two levels", func(c *mqttbox.Config) { c.Box, c.Certificate = "a.b", boxLeaf(t, l.ca, "a.b") }},
		{"no common name", func(c *mqttbox.Config) { c.Box, c.Certificate = "", boxLeaf(t, l.ca, "") }},
		{"client identifier of another box", func(c *mqttbox.Config) { c.Box = "box2" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := l.config(t)
			tt.harm(&cfg)
			b, err := mqttbox.Dial(cfg)
			if err == nil {
				b.Close()
				t.Error("connected; want it refused")
			}
		})
	}
}

func boxLeaf(t *testing.T, ca *pki.Authority, cn string) *tls.Certificate {
	t.Helper()
	leaf, err := ca.Leaf(&x509.Certificate{
		Subject:     pkix.Name{CommonName: cn},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &leaf
}

func TestOlderTLSIsRefused(t *testing.T) {
	l := newLab(t)
	conn, err := tls.Dial("tcp", l.Addr(), &tls.Config{
		RootCAs: l.ca.Pool(), Certificates: []tls.Certificate{*boxLeaf(t, l.ca, "box1")},
		MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12,
	})
	if err == nil {
		_ = conn.Close()
		t.Error("TLS 1.2 connected; want it refused")
	}
}

// A session of TLS that is resumed would outlive the certificate it began with.
func TestSessionsAreNotResumed(t *testing.T) {
	l := newLab(t)
	cache := tls.NewLRUClientSessionCache(1)
	for range 2 {
		conn, err := tls.Dial("tcp", l.Addr(), &tls.Config{
			RootCAs: l.ca.Pool(), Certificates: []tls.Certificate{*boxLeaf(t, l.ca, "box1")},
			ClientSessionCache: cache, MinVersion: tls.VersionTLS13,
		})
		if err != nil {
			t.Fatal(err)
		}
		// CONNECT of MQTT 3.1.1 (3.1) as box1 with a clean session. Tickets come
		// with the first bytes that the server sends.
		connect := []byte("\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04box1")
		if _, err := conn.Write(connect); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		if conn.ConnectionState().DidResume {
			t.Error("the session was resumed")
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRestartKeepsStreamsAndRetainedStatus(t *testing.T) {
	l := newLab(t)
	b := l.dial(t)
	publish(t, b, "cem/v1/box1/telemetry", "before")
	if err := b.PublishRetained("cem/v1/box1/status", []byte("online")); err != nil {
		t.Fatal(err)
	}
	l.stored(t, broker.StreamTelemetry, 1)
	l.cfg.Listen = l.Addr()
	l.Stop()
	select {
	case err := <-b.Lost():
		t.Logf("connection lost: %v", err)
	case <-time.After(patience):
		t.Fatal("the box did not notice")
	}
	l.start(t)
	b = l.dial(t)
	publish(t, b, "cem/v1/box1/telemetry", "after")
	got := strings.Join(l.stored(t, broker.StreamTelemetry, 2), ", ")
	if want := "cem.v1.box1.telemetry before, cem.v1.box1.telemetry after"; got != want {
		t.Errorf("stored %s; want %s", got, want)
	}
	if got := l.stored(t, broker.StreamStatus, 1); got[0] != "cem.v1.box1.status online" {
		t.Errorf("status %q; want the one from before", got)
	}
}

func TestWillBecomesTheStatusOfALostBox(t *testing.T) {
	l := newLab(t)
	cfg := l.config(t)
	cfg.Will = &mqttbox.Will{Topic: "cem/v1/box1/status", Payload: []byte("offline")}
	b, err := mqttbox.Dial(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.PublishRetained("cem/v1/box1/status", []byte("online")); err != nil {
		t.Fatal(err)
	}
	l.stored(t, broker.StreamStatus, 1)
	if err := b.Break(); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(l.stored(t, broker.StreamStatus, 2), ", ")
	if want := "cem.v1.box1.status online, cem.v1.box1.status offline"; got != want {
		t.Errorf("stored %s; want %s", got, want)
	}
}

func TestStatusOfManyRunsIsBounded(t *testing.T) {
	l := newLab(t)
	b := l.dial(t)
	for range 100 {
		if err := b.PublishRetained("cem/v1/box1/status", []byte("online")); err != nil {
			t.Fatal(err)
		}
	}
	l.stored(t, broker.StreamStatus, 64)
}

func TestStartRefusesWhatCannotWork(t *testing.T) {
	l := newLab(t)
	for _, tt := range []struct {
		name string
		harm func(*broker.Config)
		want string
	}{
		{"port in use", func(c *broker.Config) { c.Listen = l.Addr() }, "address already in use"},
		{"no port", func(c *broker.Config) { c.Listen = "127.0.0.1" }, "listen address"},
		{"port out of range", func(c *broker.Config) { c.Listen = "127.0.0.1:65536" }, "listen address"},
		{"no certificate", func(c *broker.Config) { c.CertFile = "nowhere.pem" }, "nowhere.pem"},
		{"no authority", func(c *broker.Config) { c.CAFile = "nowhere.pem" }, "nowhere.pem"},
		{"a key for the authority", func(c *broker.Config) { c.CAFile = c.KeyFile }, "no certificate in it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := l.cfg
			cfg.Dir = t.TempDir()
			tt.harm(&cfg)
			b, err := broker.Start(cfg)
			if err == nil {
				b.Stop()
				t.Fatal("started")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Start: %v; want %q in it", err, tt.want)
			}
		})
	}
}
