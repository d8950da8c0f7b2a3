package agent

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"livebox-agent/buffer"
	"livebox-agent/collector/sample"
	"livebox-agent/collector/wan"
	"livebox-agent/uplink"
	"livebox-agent/uplink/wire"
)

// identityRetry is how often a certificate that cannot be read is tried again.
const identityRetry = time.Minute

// maxCertificate bounds the certificate file before it is read.
const maxCertificate = 64 << 10

// A line is the uplink under the name that the certificate gives.
type line struct {
	box    string
	uplink *uplink.Uplink
}

// deliver runs the uplink until ctx is done. It needs the name of the box
// first, and waits for a certificate that tells it.
func (a *Agent) deliver(ctx context.Context) {
	select {
	case <-a.introduced:
	case <-ctx.Done():
		return
	}
	box, ok := a.identify(ctx)
	if !ok {
		return
	}
	u, err := uplink.New(a.cfg.Uplink, a.uplinkOptions(box))
	if err != nil {
		a.log.Error("uplink cannot work", "err", err)
		a.health.set(wire.HealthUplinkDown, true, err.Error())
		return
	}
	a.line.Store(&line{box, u})
	if err := u.Run(ctx); err != nil && ctx.Err() == nil {
		a.log.Error("uplink ended", "err", err)
		a.health.set(wire.HealthUplinkDown, true, err.Error())
	}
}

func (a *Agent) uplinkOptions(box string) uplink.Options {
	start := a.clock.Start()
	return uplink.Options{
		Log:    a.log,
		Box:    box,
		Queue:  queue{a, box},
		Status: func(online bool) []byte { return a.status(box, online) },
		Will:   wire.AppendStatus(nil, wire.Status{Box: box, Run: start.Run}),
		Warm:   start.SameBoot,
		// A clock that is not before some time may still be years behind the
		// broker's certificate.
		ClockKnown: func() bool { return a.clock.Now().Quality == wire.ClockSynchronised },
		Metered:    a.metered.Load,
		OnHealth:   func(code string, bad bool, detail string) { a.health.set(code, bad, detail) },
		Dial:       a.dial,
	}
}

// lookAtConnection takes in what the box says that its connection runs over.
func (a *Agent) lookAtConnection(b *sample.Batch) {
	metered, known := wan.Metered(b)
	if !known || a.metered.Swap(metered) == metered {
		return
	}
	a.log.Info("connection changed", "mobile", metered)
	if l := a.line.Load(); l != nil {
		l.uplink.StatusChanged()
	}
}

// identify returns the name of the box: the configured one, or the common name
// of its certificate.
func (a *Agent) identify(ctx context.Context) (box string, ok bool) {
	if id := a.cfg.Box.ID; id != "" {
		return id, true
	}
	ticker := time.NewTicker(identityRetry)
	defer ticker.Stop()
	for {
		box, err := commonName(a.cfg.Uplink.CertFile)
		if err == nil {
			return box, true
		}
		if a.health.set(wire.HealthUplinkDown, true, err.Error()) {
			a.log.Error("no identity: reports stay in the buffer until the certificate can be read", "err", err)
		}
		select {
		case <-ctx.Done():
			return "", false
		case <-ticker.C:
		}
	}
}

// commonName returns the common name in the first certificate of a PEM file.
func commonName(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxCertificate))
	if err != nil {
		return "", err
	}
	block, rest := pem.Decode(b)
	for block != nil && block.Type != "CERTIFICATE" { // a key may stand before it
		block, rest = pem.Decode(rest)
	}
	if block == nil {
		return "", fmt.Errorf("%s: no certificate in PEM", file)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	if cn := cert.Subject.CommonName; uplink.ValidBox(cn) {
		return cn, nil
	}
	return "", fmt.Errorf("%s: common name %q is no name of a box", file, cert.Subject.CommonName)
}

// queue shows the buffer to the uplink.
type queue struct {
	agent *Agent
	box   string
}

func (q queue) Next(lane wire.Lane, after uplink.Key) (uplink.Item, bool) {
	r, ok := q.agent.store.Next(buffer.Lane(lane), buffer.Key{
		Run: buffer.Run(after.Run), Lane: buffer.Lane(lane), Sequence: after.Sequence,
	})
	return q.item(r), ok
}

func (q queue) Last(lane wire.Lane) (uplink.Item, bool) {
	k, ok := q.agent.store.Last(buffer.Lane(lane))
	if !ok {
		return uplink.Item{}, false
	}
	k.Sequence-- // Next gives the one behind it
	r, ok := q.agent.store.Next(buffer.Lane(lane), k)
	return q.item(r), ok
}

func (q queue) item(r buffer.Report) uplink.Item {
	return uplink.Item{
		Key: uplink.Key{Run: wire.Run(r.Key.Run), Lane: wire.Lane(r.Key.Lane), Sequence: r.Key.Sequence},
		Payload: func(dst []byte) ([]byte, error) {
			if len(r.Sections) == 0 {
				return dst, errors.New("report without sections")
			}
			return q.agent.payload(dst, q.box, r), nil
		},
	}
}

func (q queue) Appended() <-chan struct{} { return q.agent.store.Appended() }

func (q queue) Ack(runID uint64, lane wire.Lane, upTo uint64, ranges []wire.Range) int {
	rs := make([]buffer.Range, len(ranges))
	for i, r := range ranges {
		rs[i] = buffer.Range(r)
	}
	n := q.agent.store.Ack(runID, buffer.Lane(lane), upTo, rs)
	if lane == wire.Windows {
		q.agent.windowsAcked.Add(uint64(n))
	}
	return n
}
