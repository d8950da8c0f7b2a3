package broker

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"livebox-agent/testbench/freeport"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The streams that the broker keeps.
const (
	// StreamTelemetry holds every report: windows and events of all boxes.
	StreamTelemetry = "TELEMETRY"
	// StreamStatus holds the last statuses of each box.
	StreamStatus = "STATUS"
)

const (
	// maxPayload is the largest MQTT message taken, in bytes.
	maxPayload = 256 << 10
	// statusesPerBox is how many statuses of each box are kept: enough to see
	// the last runs start and end.
	statusesPerBox = 64
	readyWithin    = 20 * time.Second
	// storeHeadroom is disk for MQTT's own streams (sessions, retained and
	// undelivered messages) on top of ours, in bytes.
	storeHeadroom = 1 << 30
	memoryLimit   = 64 << 20
)

// Config says where a broker keeps its data and by which certificates it is
// known and knows others.
type Config struct {
	// Dir holds the streams; it is made where missing.
	Dir string
	// Listen is the host and port of the MQTT listener; empty means a free
	// port on 127.0.0.1.
	Listen string
	// CAFile is the PEM file of the authority that issues the certificates of
	// boxes.
	CAFile string
	// CertFile and KeyFile are the broker's own PEM files.
	CertFile, KeyFile string
	// MaxBytes bounds the telemetry stream; 0 means 1 GiB. The oldest reports
	// go first.
	MaxBytes int64
	// MaxAge bounds the age of what the telemetry stream keeps; 0 means 7 days.
	MaxAge time.Duration
	// Deny is a topic of the box's own ("event") that it may not publish, as
	// where an operator got the rules wrong; empty: none.
	Deny string
	// Log receives what the server says, at debug level. Nil discards it.
	Log *slog.Logger
}

// A Broker is a running broker.
type Broker struct {
	srv    *server.Server
	opts   *server.Options
	secret string
}

// Start runs a broker and returns when it takes connections and its streams
// are there.
func Start(cfg Config) (*Broker, error) {
	if cfg.Listen == "" {
		var err error
		if cfg.Listen, err = freeport.Address(); err != nil {
			return nil, err
		}
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 1 << 30
	}
	if cfg.MaxAge == 0 {
		cfg.MaxAge = 7 * 24 * time.Hour
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	opts, err := options(cfg)
	if err != nil {
		return nil, err
	}
	rights, err := readTemplate(permissionTemplate)
	if err != nil {
		return nil, err
	}
	cem, err := readTemplate(cemPermissions)
	if err != nil {
		return nil, err
	}
	b := &Broker{opts: opts, secret: rand.Text()}
	auth := &authenticator{rights: rights.without(cfg.Deny), cem: cem, secret: b.secret}
	opts.CustomClientAuthentication = auth
	if b.srv, err = server.NewServer(opts); err != nil {
		return nil, fmt.Errorf("create broker: %w", err)
	}
	auth.srv = b.srv
	b.srv.SetLogger(&logger{log: cfg.Log}, false, false)
	b.srv.Start()
	if !b.srv.ReadyForConnections(readyWithin) {
		b.Stop()
		return nil, fmt.Errorf("start broker on %s: not ready after %v", cfg.Listen, readyWithin)
	}
	if err := b.makeStreams(cfg); err != nil {
		b.Stop()
		return nil, err
	}
	return b, nil
}

// options translates cfg for the server. The port is checked here: the server
// itself only logs that it could not listen.
func options(cfg Config) (*server.Options, error) {
	host, portText, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen address: %w", err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("listen address %s: %w", cfg.Listen, err)
	}
	tlsConfig, err := serverTLS(cfg)
	if err != nil {
		return nil, err
	}
	probe, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, err
	}
	if err := probe.Close(); err != nil {
		return nil, err
	}
	mqttPort := int(port)
	if mqttPort == 0 {
		mqttPort = server.RANDOM_PORT
	}
	return &server.Options{
		ServerName:         "lab",
		DontListen:         true,
		NoSigs:             true,
		MaxPayload:         maxPayload,
		JetStream:          true,
		StoreDir:           cfg.Dir,
		SyncAlways:         true,
		JetStreamMaxMemory: memoryLimit,
		JetStreamMaxStore:  cfg.MaxBytes + storeHeadroom,
		MQTT: server.MQTTOpts{
			Host: host, Port: mqttPort,
			TLSConfig: tlsConfig, TLSTimeout: 10, AuthTimeout: 10,
		},
	}, nil
}

// serverTLS asks every client for a certificate of the authority. Without
// session tickets no connection outlives the certificate it began with.
func serverTLS(cfg Config) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("load the broker's certificate: %w", err)
	}
	pemBytes, err := os.ReadFile(cfg.CAFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pemBytes) {
		return nil, fmt.Errorf("load %s: no certificate in it", cfg.CAFile)
	}
	return &tls.Config{
		Certificates:           []tls.Certificate{cert},
		ClientCAs:              pool,
		ClientAuth:             tls.RequireAndVerifyClientCert,
		MinVersion:             tls.VersionTLS13,
		SessionTicketsDisabled: true,
	}, nil
}

// makeStreams makes the streams, or gives those found in Dir the present
// limits.
func (b *Broker) makeStreams(cfg Config) error {
	conn, err := b.InProcess()
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return fmt.Errorf("open JetStream: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyWithin)
	defer cancel()
	for _, sc := range []jetstream.StreamConfig{
		{
			Name: StreamTelemetry, Description: "reports of all boxes, the log that the CEM folds",
			Subjects: []string{"cem.v1.*.telemetry", "cem.v1.*.event"},
			Storage:  jetstream.FileStorage, Discard: jetstream.DiscardOld,
			MaxBytes: cfg.MaxBytes, MaxAge: cfg.MaxAge,
		},
		{
			Name: StreamStatus, Description: "the last statuses of each box",
			Subjects: []string{"cem.v1.*.status"},
			Storage:  jetstream.FileStorage, Discard: jetstream.DiscardOld,
			MaxMsgsPerSubject: statusesPerBox,
		},
	} {
		if _, err := js.CreateOrUpdateStream(ctx, sc); err != nil {
			return fmt.Errorf("create stream %s: %w", sc.Name, err)
		}
	}
	return nil
}

// Addr returns the host and port of the MQTT listener. A broker started again
// with it as Config.Listen is found by the same boxes.
func (b *Broker) Addr() string {
	return net.JoinHostPort(b.opts.MQTT.Host, strconv.Itoa(b.opts.MQTT.Port))
}

// URL returns the address of the MQTT listener as the agent's configuration
// spells it.
func (b *Broker) URL() string { return "tls://" + b.Addr() }

// InProcess connects to the broker without a port, with every right: the CEM's
// connection. It reconnects by itself for as long as the broker runs.
func (b *Broker) InProcess() (*nats.Conn, error) {
	conn, err := nats.Connect("", nats.InProcessServer(b.srv), nats.UserInfo(backendUser, b.secret))
	if err != nil {
		return nil, fmt.Errorf("connect within the process: %w", err)
	}
	return conn, nil
}

// Stop ends the broker and returns when its files are closed. The streams stay
// in Dir. It may be called again.
func (b *Broker) Stop() {
	b.srv.Shutdown()
	b.srv.WaitForShutdown()
}
