package uplink

import (
	"context"
	"errors"
	"net"
	"net/url"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"livebox-agent/uplink/wire"
)

const (
	// reapWait is how long the library may take to notice that its connection is
	// gone before it is no longer waited for.
	reapWait = 5 * time.Second
	// quiesce bounds the library's farewell.
	quiesce = 500 * time.Millisecond
	// maxPendingAcks is how many Acks may wait: each repeats what the one before
	// said, so that one too many can be left out.
	maxPendingAcks = 16
)

// A link is one connection with its own client of the library, which is never
// used for a second one: what its tokens say is true of this connection only.
type link struct {
	client mqtt.Client
	guard  *guard
	acks   chan []byte
	lost   chan struct{} // closed when the link is of no more use

	once   sync.Once // closes lost
	mu     sync.Mutex
	reason error // the library's word on the loss; guarded by mu
	reaper *time.Timer
}

// open connects, subscribes to the Acks and returns the link. It ends early
// with ctx.
func (u *Uplink) open(ctx context.Context) (*link, *Error) {
	dctx, cancel := context.WithTimeout(ctx, u.cfg.ConnectTimeout)
	conn, ferr := u.dial(dctx)
	cancel()
	if ferr != nil {
		return nil, ferr
	}
	l := &link{acks: make(chan []byte, maxPendingAcks), lost: make(chan struct{})}
	l.guard = &guard{Conn: conn, timeout: u.cfg.WriteTimeout, died: l.died}
	l.client = mqtt.NewClient(u.clientOptions(l))
	stop := context.AfterFunc(ctx, func() { l.guard.Close() })
	defer stop()

	if err := l.await(l.client.Connect(), u.cfg.ConnectTimeout); err != nil {
		l.close()
		return nil, u.failed("connect", err, ClassLost)
	}
	// QoS 0: an Ack that is lost with the connection says nothing that the next
	// one does not, and QoS 1 costs brokers memory and a record for each box
	// (NATS a consumer, of which a stream has 1000 by default).
	tok := l.client.Subscribe(u.topic("ack"), 0, nil)
	if err := l.await(tok, u.cfg.ConnectTimeout); err != nil {
		l.close()
		return nil, u.failed("subscribe", err, ClassLost)
	}
	granted, ok := tok.(*mqtt.SubscribeToken).Result()[u.topic("ack")]
	u.health(wire.HealthAckRefused, !ok || granted > 2,
		"the broker does not let the box subscribe to "+u.topic("ack")+": check its access rules")
	return l, nil
}

// clientOptions are the library's settings under which a token that completes
// without error means a PUBACK on this connection.
func (u *Uplink) clientOptions(l *link) *mqtt.ClientOptions {
	o := mqtt.NewClientOptions().
		AddBroker(u.cfg.Broker).
		SetClientID(u.o.Box).
		SetProtocolVersion(4). // else a refusal is followed by a second try with 3.1
		SetCleanSession(true).
		SetAutoReconnect(false).
		SetConnectRetry(false).
		SetOrderMatters(false).
		SetConnectTimeout(u.cfg.ConnectTimeout).
		SetWriteTimeout(u.cfg.WriteTimeout).
		SetPingTimeout(u.cfg.ConnectTimeout).
		SetBinaryWill(u.topic("status"), u.o.Will, 1, true).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { u.received(l, m) })
	// Jitter only lengthens it: with a report every KeepAlive no ping is needed.
	o.SetKeepAlive(u.cfg.KeepAlive + time.Duration(u.o.Rand.Int64N(int64(u.cfg.KeepAlive)/5)))
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) {
		l.mu.Lock()
		l.reason = err
		l.mu.Unlock()
		l.end()
	})
	first := true
	o.SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) {
		if !first {
			return nil, errors.New("a link connects once")
		}
		first = false
		return l.guard, nil
	})
	return o
}

// received takes in a message. The library calls it on a goroutine of its own
// for each: it must not wait.
func (u *Uplink) received(l *link, m mqtt.Message) {
	if m.Topic() != u.topic("ack") {
		u.count(func(s *Stats) { s.AcksIgnored++ })
		return
	}
	select {
	case l.acks <- m.Payload():
	default:
		u.count(func(s *Stats) { s.AcksIgnored++ })
	}
}

// await waits for a token, at most d. Where the link ended first, the error is
// the first cause of that.
func (l *link) await(t mqtt.Token, d time.Duration) error {
	if !t.WaitTimeout(d) {
		return errTimeout
	}
	if err := t.Error(); err != nil {
		if why := l.guard.why(); why != nil {
			return why
		}
		return err
	}
	return nil
}

// died is called when the connection has failed. The library will notice and
// settle its tokens; if it does not, the link ends without it.
func (l *link) died() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reaper = time.AfterFunc(reapWait, l.end)
}

func (l *link) end() { l.once.Do(func() { close(l.lost) }) }

// isOpen tells whether the link is of use at this moment.
func (l *link) isOpen() bool {
	select {
	case <-l.lost:
		return false
	default:
		return l.guard.why() == nil && l.client.IsConnectionOpen()
	}
}

// why returns the first cause of the loss of the link.
func (l *link) why() error {
	if err := l.guard.why(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reason != nil {
		// The library's own verdict on a live connection: no answer to a ping.
		return errTimeout
	}
	return errLost
}

// close cuts the connection and ends the client. Without a farewell before,
// the broker publishes the last will.
func (l *link) close() {
	l.guard.Close()
	// Where the library has not noticed yet, this ends its goroutines; where it
	// is about to, this waits for them.
	l.client.Disconnect(uint(quiesce.Milliseconds()))
	l.end()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reaper != nil {
		l.reaper.Stop()
	}
}

// farewell takes leave of the broker, which then does not publish the will.
func (l *link) farewell() { l.client.Disconnect(uint(quiesce.Milliseconds())) }
