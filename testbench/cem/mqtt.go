package cem

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"livebox-agent/testbench/pki"
)

const (
	// maxBatch bounds how many messages are synced together.
	maxBatch = 256
	// leave bounds the farewell, in milliseconds.
	leave = 250
	// retryEvery is how long a connection that failed is waited for.
	retryEvery = 500 * time.Millisecond
	// subscribeWithin is how long a broker may take to answer a subscription.
	subscribeWithin = 10 * time.Second
)

// An MQTT says how a CEM reaches a broker that is no more than MQTT.
type MQTT struct {
	// URL is the broker's, such as "tls://127.0.0.1:8883".
	URL string
	// Certificate is the CEM's; its common name is the client identifier of a
	// session that the broker keeps while the CEM is away.
	Certificate tls.Certificate
	// Roots are the authorities of the broker's certificate.
	Roots *x509.CertPool
	// Dir holds the journal, of which JournalBytes bounds the size; 0 means
	// 1 GiB. The oldest messages go first.
	Dir          string
	JournalBytes int64
}

// An arrival is a message that came and is not yet acknowledged to the broker.
type arrival struct {
	message

	ack func()
}

// kept are the messages that the client has no answer to. It marks those that it
// takes from there as sent again, also while it is still sending one of them.
type kept struct{ *mqtt.MemoryStore }

// Get returns a message of its own, for marking.
func (k kept) Get(key string) packets.ControlPacket {
	p := k.MemoryStore.Get(key)
	if sent, ok := p.(*packets.PublishPacket); ok {
		again := *sent
		return &again
	}
	return p
}

// runMQTT is Run for a CEM behind any broker. A message is acknowledged to the
// broker when it is in the journal, synced, and not before.
func (c *CEM) runMQTT(ctx context.Context, cfg MQTT) error {
	j, err := openJournal(cfg.Dir, cmp.Or(cfg.JournalBytes, defaultJournalBytes), c.take)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.behind = 1
	c.mu.Unlock()
	c.reachedEnd()
	arrivals := make(chan arrival, maxBatch)
	client := mqtt.NewClient(c.clientOptions(ctx, cfg, arrivals))
	client.Connect() // goes on trying by itself
	defer client.Disconnect(leave)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	acknowledged := make(chan error, 1)
	go func() {
		acknowledged <- c.acknowledge(ctx, func(subject string, ack []byte) error {
			// What cannot be sent now the client keeps for its next connection.
			client.Publish(strings.ReplaceAll(subject, ".", "/"), 1, false, ack)
			return nil
		})
	}()
	err = c.fill(ctx, j, arrivals)
	cancel(err)
	return errors.Join(err, <-acknowledged, j.close())
}

// fill puts what arrives into the journal and folds it.
func (c *CEM) fill(ctx context.Context, j *journal, arrivals <-chan arrival) error {
	for {
		var batch []arrival
		select {
		case <-ctx.Done():
			return nil
		case a := <-arrivals:
			batch = append(batch, a)
		}
		for more := true; more && len(batch) < maxBatch; {
			select {
			case a := <-arrivals:
				batch = append(batch, a)
			default:
				more = false
			}
		}
		messages := make([]message, len(batch))
		for i, a := range batch {
			messages[i] = a.message
		}
		if err := j.append(messages); err != nil {
			return fmt.Errorf("write journal: %w", err)
		}
		for i, a := range batch {
			c.take(messages[i])
			a.ack()
		}
	}
}

// take folds a message of the journal.
func (c *CEM) take(m message) {
	if _, kind := m.sender(); kind == "status" {
		c.takeStatus(m)
		return
	}
	c.takeReport(m)
}

func (c *CEM) clientOptions(ctx context.Context, cfg MQTT, arrivals chan<- arrival) *mqtt.ClientOptions {
	tlsConfig := &tls.Config{
		RootCAs: cfg.Roots, Certificates: []tls.Certificate{cfg.Certificate}, MinVersion: tls.VersionTLS13,
	}
	o := mqtt.NewClientOptions().AddBroker(cfg.URL).SetClientID(pki.CEM).SetProtocolVersion(4).
		SetTLSConfig(tlsConfig).SetCleanSession(false).SetAutoAckDisabled(true).SetOrderMatters(true).
		SetConnectRetry(true).SetConnectRetryInterval(retryEvery).SetMaxReconnectInterval(retryEvery).
		SetKeepAlive(30 * time.Second).SetStore(kept{mqtt.NewMemoryStore()})
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
		subject, ok := subjectOf(m.Topic())
		if !ok || len(m.Payload()) > maxEntry-entryPrefix-len(subject) {
			c.opts.Log.Warn("message ignored", "topic", clip(m.Topic()), "bytes", len(m.Payload()))
			m.Ack()
			return
		}
		select {
		case arrivals <- arrival{message{subject: subject, stored: time.Now(), payload: m.Payload()}, m.Ack}:
		case <-ctx.Done(): // without an acknowledgement the broker keeps it
		}
	})
	o.SetOnConnectHandler(func(client mqtt.Client) {
		go c.subscribe(ctx, client) // the handler must not wait
	})
	return o
}

// subscribe asks for what boxes send until it is granted. A broker may refuse a
// session that it resumes: mochi-mqtt does while what waited for it has packet
// identifiers that the client chooses too.
func (c *CEM) subscribe(ctx context.Context, client mqtt.Client) {
	filters := map[string]byte{"cem/v1/+/telemetry": 1, "cem/v1/+/event": 1, "cem/v1/+/status": 1}
	tick := time.NewTicker(retryEvery)
	defer tick.Stop()
	for client.IsConnectionOpen() {
		t, ok := client.SubscribeMultiple(filters, nil).(*mqtt.SubscribeToken)
		if ok && t.WaitTimeout(subscribeWithin) && t.Error() == nil {
			refused := false
			for topic, code := range t.Result() {
				if code > 2 {
					refused = true
					c.opts.Log.Warn("broker refuses a subscription", "topic", topic, "code", code)
				}
			}
			if !refused {
				c.listen()
				return
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// subjectOf returns the subject that stands for a topic of a box.
func subjectOf(topic string) (subject string, ok bool) {
	levels := strings.Split(topic, "/")
	if len(levels) != 4 || levels[0] != "cem" || levels[1] != "v1" || !pki.ValidBox(levels[2]) {
		return "", false
	}
	switch levels[3] {
	case "telemetry", "event", "status":
		return strings.Join(levels, "."), true
	}
	return "", false
}
