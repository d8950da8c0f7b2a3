package brokers

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"livebox-agent/testbench/mqttbox"
	"livebox-agent/testbench/pki"
)

// A Kind is one of the brokers.
type Kind string

// The brokers.
const (
	NATS      Kind = "NATS"
	Mosquitto Kind = "Mosquitto"
	RabbitMQ  Kind = "RabbitMQ"
	Mochi     Kind = "mochi-mqtt"
)

// Kinds lists the brokers in the order of the table.
func Kinds() []Kind { return []Kind{NATS, Mosquitto, RabbitMQ, Mochi} }

const (
	// readyWithin is how long a broker may take to start: RabbitMQ takes longest.
	readyWithin = 90 * time.Second
	// stopWithin is how long it may take to end.
	stopWithin = 30 * time.Second
	// probe is the box that finds out whether a broker is ready.
	probe = "probe"
)

// childEnv tells a program that it is to be a broker, and which.
const childEnv = "LIVEBOX_TESTBENCH_BROKER"

// Config says which broker runs where.
type Config struct {
	Kind Kind
	// Dir is the broker's own, which it is started in again.
	Dir string
	// Addr is the host and port of its MQTT listener.
	Addr string
	// PKI is the directory of the certificates.
	PKI string
	// Boxes are those that may connect, for brokers that must know them.
	Boxes []string
	// Deny is a topic of their own ("event") that boxes may not publish, as
	// where an operator got the rules wrong.
	Deny string
	// Log receives what the broker says; nil discards it.
	Log io.Writer `json:"-"`
}

// A Process is a running broker.
type Process struct {
	cfg   Config
	cmd   *exec.Cmd
	extra *exec.Cmd // a program beside it; nil where there is none
	done  chan struct{}
	err   error // how it ended; read after done
	// complete is closed when the broker has said that its start is over; nil
	// where who lets a box in has its rules.
	complete chan struct{}
}

// Start runs a broker and returns when it lets a box in.
func Start(ctx context.Context, cfg Config) (*Process, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	ca, err := pki.Open(cfg.PKI)
	if err != nil {
		return nil, err
	}
	server, err := ca.Server("127.0.0.1", "localhost")
	if err != nil {
		return nil, err
	}
	p := &Process{cfg: cfg, done: make(chan struct{})}
	f := files{ca: ca.CAFile(), cert: server.Cert, key: server.Key}
	switch cfg.Kind {
	case NATS, Mochi:
		p.cmd, err = child(cfg)
	case Mosquitto:
		p.cmd, err = mosquitto(cfg, f)
	case RabbitMQ:
		p.cmd, p.extra, err = rabbit(cfg, f)
	default:
		err = fmt.Errorf("no broker is called %q", cfg.Kind)
	}
	if err != nil {
		return nil, err
	}
	if err := p.run(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cfg.Kind, err)
	}
	if err := p.ready(ctx, ca); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", cfg.Kind, err), p.Kill())
	}
	return p, nil
}

// files are the PEM files of a broker.
type files struct{ ca, cert, key string }

// child has this program itself be the broker.
func child(cfg Config) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	return cmd, nil
}

// run starts the processes. None outlives this one, and an interrupt at the
// terminal is not for them.
func (p *Process) run() error {
	for _, c := range []*exec.Cmd{p.extra, p.cmd} {
		if c == nil {
			continue
		}
		c.Stdout, c.Stderr = p.cfg.Log, p.cfg.Log
		if p.cfg.Kind == RabbitMQ && c == p.cmd {
			// It listens before it has read its rules: those of its last start
			// hold until then.
			p.complete = make(chan struct{})
			c.Stdout = &watcher{to: p.cfg.Log, text: "Server startup complete", seen: p.complete}
			c.WaitDelay = stopWithin
		}
		c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		if err := c.Start(); err != nil {
			return errors.Join(err, p.end(p.extra))
		}
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return nil
}

// A watcher passes on what is written and looks for a text in it.
type watcher struct {
	to   io.Writer // nil: nobody
	text string
	seen chan struct{} // closed at the text
	tail string
	over bool
}

// Write implements io.Writer.
func (w *watcher) Write(b []byte) (int, error) {
	if !w.over {
		w.tail += string(b)
		if strings.Contains(w.tail, w.text) {
			w.over = true
			close(w.seen)
		}
		w.tail = w.tail[max(0, len(w.tail)-len(w.text)):]
	}
	if w.to == nil {
		return len(b), nil
	}
	return w.to.Write(b)
}

// ready waits until a box gets in.
func (p *Process) ready(ctx context.Context, ca *pki.Authority) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	pair, err := ca.Box(probe)
	if err != nil {
		return err
	}
	cert, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		return err
	}
	if p.complete != nil {
		select {
		case <-p.complete:
		case <-p.done:
			return fmt.Errorf("it ended: %w", p.err)
		case <-ctx.Done():
			return errors.New("not ready: it does not say that its start is complete")
		}
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		b, err := mqttbox.Dial(mqttbox.Config{URL: p.URL(), Box: probe, Certificate: &cert, Roots: ca.Pool()})
		if err == nil {
			b.Close()
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("it ended: %w", p.err)
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w", err)
		case <-tick.C:
		}
	}
}

// URL returns the address of the MQTT listener as the agent's configuration
// spells it.
func (p *Process) URL() string { return "tls://" + p.cfg.Addr }

// Stop asks the broker to end and waits for it.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.done:
		return p.end(p.extra)
	case <-time.After(stopWithin):
		return errors.Join(fmt.Errorf("%s did not end within %v", p.cfg.Kind, stopWithin), p.Kill())
	}
}

// Kill ends the broker and what it started without a word (SIGKILL).
func (p *Process) Kill() error {
	err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		err = nil
	}
	<-p.done
	return errors.Join(err, p.end(p.extra))
}

// end kills the program beside the broker.
func (p *Process) end(c *exec.Cmd) error {
	if c == nil || c.Process == nil || c.ProcessState != nil {
		return nil
	}
	if err := c.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	if _, ok := errors.AsType[*exec.ExitError](c.Wait()); !ok {
		return fmt.Errorf("%s ended by itself", filepath.Base(c.Path))
	}
	return nil
}
