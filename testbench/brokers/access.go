package brokers

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"livebox-agent/testbench/cem"
	"livebox-agent/testbench/mqttbox"
	"livebox-agent/testbench/pki"
	"livebox-agent/uplink/wire"
)

// quiet is how long nothing must be heard for it to be silence.
const quiet = time.Second

// strangers asks whether the broker lets in who has no certificate of its CA.
func strangers(_ context.Context, b *bench) (string, error) {
	other, err := pki.Open(filepath.Join(b.dir, "other-pki"))
	if err != nil {
		return "", err
	}
	foreign := &bench{ca: other}
	cert, _, err := foreign.certificate("plain")
	if err != nil {
		return "", err
	}
	cfg := mqttbox.Config{URL: b.broker.URL(), Box: "plain", Roots: b.ca.Pool()}
	for _, cfg.Certificate = range []*tls.Certificate{nil, cert} {
		if box, err := mqttbox.Dial(cfg); err == nil {
			box.Close()
			return "let in", errors.New("a client that the CA does not know was let in")
		}
	}
	return "refused", nil
}

// takeover asks whether a box can take another's client identifier, and with
// it end its session. It then still has its own rights only.
func takeover(_ context.Context, b *bench) (string, error) {
	victim, err := b.dial("victim")
	if err != nil {
		return "", err
	}
	defer victim.Close()
	cert, _, err := b.certificate("taker")
	if err != nil {
		return "", err
	}
	taker, err := mqttbox.Dial(mqttbox.Config{URL: b.broker.URL(), Box: "victim", Certificate: cert, Roots: b.ca.Pool()})
	if err != nil {
		return "refused", stands(victim)
	}
	defer taker.Close()
	named := stands(victim) == nil
	if taker.Subscribe("cem/v1/victim/ack") == nil {
		if heard, err := hears(b, taker, victim, "victim"); heard || err != nil {
			return "", errors.Join(err, errors.New("a box heard what is meant for another"))
		}
	}
	if named {
		return "named by its certificate", nil
	}
	return "ends the other's connection, reaches nothing of it", nil
}

// stands says whether a connection is still there.
func stands(b *mqttbox.Box) error {
	select {
	case err := <-b.Lost():
		return fmt.Errorf("the connection of the box that did nothing was ended: %w", err)
	case <-time.After(quiet):
		return nil
	}
}

// hears has the CEM acknowledge something to owner, whose connection own is, and
// says whether box hears it.
func hears(b *bench, box, own *mqttbox.Box, owner string) (bool, error) {
	before, _ := b.cem.Box(owner)
	if err := own.Publish("cem/v1/"+owner+"/telemetry", window(owner, 1)); err != nil {
		return false, nil // taken over: it cannot speak, and nobody answers
	}
	if _, err := b.await(owner, "an acknowledgement", func(s cem.BoxState) bool { return s.Acks > before.Acks }); err != nil {
		return false, err
	}
	select {
	case <-box.Heard():
		return true, nil
	case <-time.After(quiet):
		return false, nil
	}
}

// deniedPublish publishes as another box.
func deniedPublish(_ context.Context, b *bench) (string, error) {
	box, err := b.dial("denied")
	if err != nil {
		return "", err
	}
	defer box.Close()
	answer := "answered with PUBACK, dropped"
	if err := box.Publish("cem/v1/other/telemetry", window("other", 7)); err != nil {
		answer = "connection closed"
		if errors.Is(err, mqttbox.ErrTimeout) {
			answer = "no answer"
		}
	}
	// What comes later on the same way shows that the first would have come.
	own, err := b.dial("plain")
	if err != nil {
		return answer, err
	}
	defer own.Close()
	if err := own.Publish("cem/v1/plain/telemetry", window("plain", 1)); err != nil {
		return answer, err
	}
	if _, err := b.await("plain", "its window", func(s cem.BoxState) bool { return s.Reports > 0 }); err != nil {
		return answer, err
	}
	if s, ok := b.cem.Box("other"); ok {
		return answer, fmt.Errorf("the CEM has %d reports of a box that sent none", s.Reports)
	}
	return answer, nil
}

// deniedSubscribe subscribes to what is meant for others.
func deniedSubscribe(_ context.Context, b *bench) (string, error) {
	victim, err := b.dial("victim")
	if err != nil {
		return "", err
	}
	defer victim.Close()
	answer := ""
	for _, filter := range []string{"cem/v1/victim/ack", "cem/v1/+/ack", "#"} {
		box, err := b.dial("curious")
		if err != nil {
			return answer, err
		}
		got := "refused in SUBACK"
		switch err := box.Subscribe(filter); {
		case err == nil:
			got = "granted, and nothing comes"
		case errors.Is(err, mqttbox.ErrTimeout):
			got = "no answer"
		case !box.IsOpen():
			got = "connection closed"
		}
		heard, err := hears(b, box, victim, "victim")
		box.Close()
		if heard || err != nil {
			return got, errors.Join(err, fmt.Errorf("with %s a box heard what is meant for another", filter))
		}
		if answer != "" && answer != got {
			got = answer + "; " + filter + ": " + got
		}
		answer = got
	}
	return answer, nil
}

// will breaks a connection and asks a CEM that knows nothing yet.
func will(ctx context.Context, b *bench) (string, error) {
	box, err := b.dial("gone")
	if err != nil {
		return "", err
	}
	online := wire.AppendStatus(nil, wire.Status{Box: "gone", Online: true, Run: wire.Run{ID: 1}, Version: "1"})
	if err := box.PublishRetained("cem/v1/gone/status", online); err != nil {
		return "", err
	}
	if _, err := b.await("gone", "online", func(s cem.BoxState) bool { return s.Online }); err != nil {
		return "", err
	}
	if err := box.Break(); err != nil {
		return "", err
	}
	if _, err := b.await("gone", "its last will", func(s cem.BoxState) bool { return !s.Online }); err != nil {
		return "no will", err
	}
	if err := b.cemDown(); err != nil {
		return "", err
	}
	if err := b.cemUp(ctx, "journal-that-is-new"); err != nil {
		return "", err
	}
	answer := "published, retained"
	if !b.knows("gone") {
		answer = "published; not kept for a CEM that subscribes by wildcard"
	}
	if err := b.cemDown(); err != nil {
		return answer, err
	}
	return answer, b.cemUp(ctx, "journal")
}

// knows waits a while for the first word of a box.
func (b *bench) knows(box string) bool {
	deadline := time.After(5 * quiet)
	for {
		changed := b.cem.Changed()
		if _, ok := b.cem.Box(box); ok {
			return true
		}
		select {
		case <-changed:
		case <-deadline:
			return false
		}
	}
}
