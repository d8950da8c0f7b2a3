package brokers

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"livebox-agent/testbench/cem"
	"livebox-agent/testbench/courier"
	"livebox-agent/testbench/freeport"
	"livebox-agent/testbench/mqttbox"
	"livebox-agent/testbench/pki"
	"livebox-agent/uplink/wire"
)

const (
	// patience bounds every wait of the suite but those for a broker.
	patience = 60 * time.Second
	ackEvery = 100 * time.Millisecond
)

// boxes are those of the suite, one for each property that needs one.
var boxes = []string{
	"denied", "steady", "other", "curious", "taker", "victim", "plain", "gone", "large", "shipped", "often", "restart", "killed",
	"away", "lost0", "lost1", "lost2", "muted",
}

// A bench is a broker, a CEM behind it that knows no more than MQTT, and their
// certificates.
type bench struct {
	cfg    Config
	dir    string
	agent  string // the agent's program
	ca     *pki.Authority
	log    *slog.Logger
	broker *Process

	cem    *cem.CEM
	end    context.CancelFunc
	ended  chan error
	closed []func() error
}

// newBench starts a broker and a CEM in dir.
func newBench(ctx context.Context, o Options, kind Kind) (*bench, error) {
	b := &bench{dir: filepath.Join(o.Dir, string(kind)), agent: o.Agent, log: o.Log}
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return nil, err
	}
	addr, err := freeport.Address()
	if err != nil {
		return nil, err
	}
	said, err := os.Create(filepath.Join(b.dir, "broker.log"))
	if err != nil {
		return nil, err
	}
	b.closed = append(b.closed, said.Close)
	b.cfg = Config{
		Kind: kind, Dir: filepath.Join(b.dir, "broker"), Addr: addr, PKI: filepath.Join(b.dir, "pki"),
		Boxes: boxes, Log: said,
	}
	if b.ca, err = pki.Open(b.cfg.PKI); err != nil {
		return nil, errors.Join(err, b.close())
	}
	if err := b.brokerUp(ctx, ""); err != nil {
		return nil, errors.Join(err, b.close())
	}
	if err := b.cemUp(ctx, "journal"); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *bench) close() error {
	var errs []error
	errs = append(errs, b.cemDown())
	if b.broker != nil {
		errs = append(errs, b.broker.Kill())
	}
	for _, f := range b.closed {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

// brokerUp starts the broker, or starts it again.
func (b *bench) brokerUp(ctx context.Context, deny string) (err error) {
	cfg := b.cfg
	cfg.Deny = deny
	b.broker, err = Start(ctx, cfg)
	return err
}

// brokerDown ends it, by asking or by a kill.
func (b *bench) brokerDown(kill bool) error {
	p := b.broker
	b.broker = nil
	if kill {
		return p.Kill()
	}
	return p.Stop()
}

// cemUp starts the CEM on that journal and waits until it listens.
func (b *bench) cemUp(ctx context.Context, journal string) error {
	pair, err := b.ca.CEM()
	if err != nil {
		return err
	}
	cert, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		return err
	}
	b.cem = cem.New(cem.Options{
		MQTT: &cem.MQTT{
			URL: "tls://" + b.cfg.Addr, Certificate: cert, Roots: b.ca.Pool(), Dir: filepath.Join(b.dir, journal),
		},
		AckEvery: ackEvery, Log: b.log,
	})
	run, end := context.WithCancel(context.WithoutCancel(ctx))
	b.end, b.ended = end, make(chan error, 1)
	c, ended := b.cem, b.ended
	go func() { ended <- c.Run(run) }()
	select {
	case <-c.Listening():
		return nil
	case err := <-ended:
		b.ended = nil
		return fmt.Errorf("CEM ended: %w", err)
	case <-time.After(patience):
		return errors.New("the broker grants the CEM no subscription")
	}
}

func (b *bench) cemDown() error {
	if b.ended == nil {
		return nil
	}
	b.end()
	err := <-b.ended
	b.ended = nil
	return err
}

// await waits until the CEM's state of a box is as it should be.
func (b *bench) await(box, what string, ok func(cem.BoxState) bool) (cem.BoxState, error) {
	deadline := time.After(patience)
	for {
		changed := b.cem.Changed()
		s, _ := b.cem.Box(box)
		if ok(s) {
			return s, nil
		}
		select {
		case <-changed:
		case <-deadline:
			s.Values = nil
			return s, fmt.Errorf("%s: %s not within %v: %+v", box, what, patience, s)
		}
	}
}

// certificate returns that of a box.
func (b *bench) certificate(box string) (*tls.Certificate, pki.Pair, error) {
	pair, err := b.ca.Box(box)
	if err != nil {
		return nil, pair, err
	}
	cert, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
	return &cert, pair, err
}

// dial connects a box of few words.
func (b *bench) dial(box string) (*mqttbox.Box, error) {
	cert, _, err := b.certificate(box)
	if err != nil {
		return nil, err
	}
	return mqttbox.Dial(mqttbox.Config{
		URL: b.broker.URL(), Box: box, Certificate: cert, Roots: b.ca.Pool(),
		Will: &mqttbox.Will{
			Topic:   "cem/v1/" + box + "/status",
			Payload: wire.AppendStatus(nil, wire.Status{Box: box, Run: wire.Run{ID: 1}}),
		},
	})
}

// courier starts a box that delivers, to addr or to the broker itself.
func (b *bench) courier(box, addr string) (*courier.Courier, error) {
	_, pair, err := b.certificate(box)
	if err != nil {
		return nil, err
	}
	if addr == "" {
		addr = b.cfg.Addr
	}
	cfg := courier.Eager("tls://" + addr)
	cfg.CAFile, cfg.CertFile, cfg.KeyFile = b.ca.CAFile(), pair.Cert, pair.Key
	return courier.Start(courier.Config{Box: box, Dir: filepath.Join(b.dir, "box-"+box), Uplink: cfg, Log: b.log})
}

// settle waits until a courier is rid of everything, and says how the CEM holds
// it: every report once, or an error.
func (b *bench) settle(c *courier.Courier, box string) (cem.BoxState, error) {
	s, err := b.await(box, fmt.Sprintf("%d reports", c.Made()), func(s cem.BoxState) bool { return s.Reports >= c.Made() })
	if err != nil {
		return s, err
	}
	if err := once(s, c.Made()); err != nil {
		return s, err
	}
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for c.Left() > 0 {
		select {
		case <-tick.C:
		case <-deadline:
			return s, fmt.Errorf("%s: %d reports stored and not acknowledged to the box: %+v", box, c.Left(), c.Uplink())
		}
	}
	return s, nil
}

// once says what is missing of so many reports, or there twice.
func once(s cem.BoxState, made uint64) error {
	var stored uint64
	for _, r := range s.Runs {
		stored += r.Events.Stored() + r.Windows.Stored()
	}
	if s.Reports != stored || stored < made || s.Missing() != 0 || s.Lost+s.Rejected+s.UndecodableReports != 0 {
		return fmt.Errorf("%s: %d made, %d counted, %d sequences stored, %d missing; want each once: %+v",
			s.Box, made, s.Reports, stored, s.Missing(), s.Totals)
	}
	return nil
}
