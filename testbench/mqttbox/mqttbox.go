// Package mqttbox is a box of few words: an MQTT client with a box's
// certificate that publishes the bytes it is given and tells what it hears.
//
// Tests use it where the agent itself would do more than is asked.
package mqttbox

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// within bounds every exchange with the broker.
const within = 10 * time.Second

// quiesce is how long, in milliseconds, a leaving client may still send.
const quiesce = 250

// ErrTimeout says that the broker did not answer in time.
var ErrTimeout = errors.New("no answer from the broker")

// A Will is what the broker publishes, retained, when the connection breaks.
type Will struct {
	Topic   string
	Payload []byte
}

// Config says who connects to what.
type Config struct {
	// URL is the broker's, such as "tls://127.0.0.1:8883".
	URL string
	// Box is the client identifier.
	Box string
	// Certificate is the box's; nil sends none.
	Certificate *tls.Certificate
	// Roots are the authorities of the broker's certificate.
	Roots *x509.CertPool
	Will  *Will
}

// A Message is one that the box heard.
type Message struct {
	Topic    string
	Payload  []byte
	Retained bool
}

// A Box is one connection.
type Box struct {
	client mqtt.Client
	conn   net.Conn
	heard  chan Message
	lost   chan error
}

// Dial connects; it does not connect again when the connection is lost.
func Dial(cfg Config) (*Box, error) {
	b := &Box{heard: make(chan Message, 1024), lost: make(chan error, 1)}
	tlsConfig := &tls.Config{RootCAs: cfg.Roots, MinVersion: tls.VersionTLS13}
	if cfg.Certificate != nil {
		tlsConfig.Certificates = []tls.Certificate{*cfg.Certificate}
	}
	o := mqtt.NewClientOptions().AddBroker(cfg.URL).SetClientID(cfg.Box).
		SetProtocolVersion(4).SetCleanSession(true).SetAutoReconnect(false).
		SetConnectTimeout(within).SetWriteTimeout(within).
		SetDefaultPublishHandler(b.hear).
		SetCustomOpenConnectionFn(func(u *url.URL, _ mqtt.ClientOptions) (net.Conn, error) {
			d := tls.Dialer{NetDialer: &net.Dialer{Timeout: within}, Config: tlsConfig}
			conn, err := d.Dial("tcp", u.Host)
			b.conn = conn
			return conn, err
		}).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { b.lost <- err })
	if cfg.Will != nil {
		o.SetBinaryWill(cfg.Will.Topic, cfg.Will.Payload, 1, true)
	}
	b.client = mqtt.NewClient(o)
	if err := wait(b.client.Connect()); err != nil {
		return nil, fmt.Errorf("connect %s to %s: %w", cfg.Box, cfg.URL, err)
	}
	return b, nil
}

// hear passes a message on; one that nobody fetches is dropped with the oldest
// kept, since a handler that blocks would stop the client.
func (b *Box) hear(_ mqtt.Client, m mqtt.Message) {
	select {
	case b.heard <- Message{Topic: m.Topic(), Payload: m.Payload(), Retained: m.Retained()}:
	default:
	}
}

// Publish sends at QoS 1 and returns when the broker has answered with PUBACK,
// which says little: a refused publish is answered so too.
func (b *Box) Publish(topic string, payload []byte) error {
	return wait(b.client.Publish(topic, 1, false, payload))
}

// PublishRetained is Publish for a message that the broker keeps.
func (b *Box) PublishRetained(topic string, payload []byte) error {
	return wait(b.client.Publish(topic, 1, true, payload))
}

// Subscribe asks for a topic at QoS 1 and fails where the broker refuses it.
func (b *Box) Subscribe(topic string) error {
	t, ok := b.client.Subscribe(topic, 1, nil).(*mqtt.SubscribeToken)
	if !ok {
		return fmt.Errorf("subscribe %s: no such token", topic)
	}
	if err := wait(t); err != nil {
		return fmt.Errorf("subscribe %s: %w", topic, err)
	}
	// MQTT 3.1.1, 3.9.3: 0x80 is failure.
	if t.Result()[topic] == 0x80 {
		return fmt.Errorf("subscribe %s: refused", topic)
	}
	return nil
}

// Heard returns the messages in the order in which they came. The channel
// holds 1024.
func (b *Box) Heard() <-chan Message { return b.heard }

// Lost gives the reason, once, when the connection breaks.
func (b *Box) Lost() <-chan error { return b.lost }

// IsOpen tells whether the connection is there.
func (b *Box) IsOpen() bool { return b.client.IsConnectionOpen() }

// Break ends the connection as a power cut would: without a word, so that the
// broker publishes the last will.
func (b *Box) Break() error { return b.conn.Close() }

// Close leaves as MQTT wants it: the broker forgets the last will.
func (b *Box) Close() { b.client.Disconnect(quiesce) }

func wait(t mqtt.Token) error {
	if !t.WaitTimeout(within) {
		return ErrTimeout
	}
	return t.Error()
}
