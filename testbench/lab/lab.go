// Package lab is the operator's side in one process: certificates, broker and
// CEM, in one directory.
//
// A lab that was stopped and is started again in the same directory, at the
// same address, is the same operator after an outage.
package lab

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"livebox-agent/testbench/broker"
	"livebox-agent/testbench/cem"
	"livebox-agent/testbench/pki"
)

// Config says where a lab lives.
type Config struct {
	// Dir holds certificates and streams.
	Dir string
	// Listen is the address for boxes; empty means a free port on 127.0.0.1.
	Listen string
	// AckEvery is cem.Options.AckEvery.
	AckEvery time.Duration
	// Log receives what broker and CEM say. Nil discards it.
	Log *slog.Logger
}

// A Lab is a running operator's side.
type Lab struct {
	CA     *pki.Authority
	Broker *broker.Broker
	CEM    *cem.CEM

	locked *os.File
	conn   *nats.Conn
	end    context.CancelFunc
	runs   sync.WaitGroup
	err    error // why the CEM ended; read after runs
}

// Start runs broker and CEM and returns when both work and the CEM knows what
// the streams held.
func Start(cfg Config) (*Lab, error) {
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, err
	}
	locked, err := lock(cfg.Dir, os.O_CREATE)
	if err != nil {
		return nil, err
	}
	l := &Lab{locked: locked}
	if err := l.startBroker(cfg); err != nil {
		return nil, errors.Join(err, locked.Close())
	}
	l.CEM = cem.New(cem.Options{Conn: l.conn, Log: cfg.Log, AckEvery: cfg.AckEvery})
	ctx, end := context.WithCancel(context.Background())
	l.end = end
	ended := make(chan struct{})
	l.runs.Go(func() {
		defer close(ended)
		l.err = l.CEM.Run(ctx)
	})
	select {
	case <-l.CEM.CaughtUp():
		return l, nil
	case <-ended:
		return nil, fmt.Errorf("run CEM: %w", l.Stop())
	}
}

// startBroker makes the certificates, runs the broker and connects to it.
func (l *Lab) startBroker(cfg Config) (err error) {
	if l.CA, err = pki.Open(filepath.Join(cfg.Dir, "pki")); err != nil {
		return fmt.Errorf("open certificates: %w", err)
	}
	server, err := l.CA.Server("127.0.0.1", "localhost")
	if err != nil {
		return fmt.Errorf("make the broker's certificate: %w", err)
	}
	l.Broker, err = broker.Start(broker.Config{
		Dir: filepath.Join(cfg.Dir, "broker"), Listen: cfg.Listen, Log: cfg.Log,
		CAFile: l.CA.CAFile(), CertFile: server.Cert, KeyFile: server.Key,
	})
	if err != nil {
		return fmt.Errorf("start broker: %w", err)
	}
	if l.conn, err = l.Broker.InProcess(); err != nil {
		l.Broker.Stop()
	}
	return err
}

// Stop ends both and returns why the CEM ended before, if it did. It may be
// called again.
func (l *Lab) Stop() error {
	l.end()
	l.runs.Wait()
	l.conn.Close()
	l.Broker.Stop()
	_ = l.locked.Close() // again is no harm
	return l.err
}
