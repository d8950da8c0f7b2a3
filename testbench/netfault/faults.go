package netfault

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync/atomic"
	"time"

	"livebox-agent/testbench/faultproxy"
	"livebox-agent/testbench/pki"
	"livebox-agent/uplink"
	"livebox-agent/uplink/wire"
)

// A fault is one way in which the network or what is behind it can fail.
type fault struct {
	name string
	// strike makes it so, before the box starts, and returns what mends it.
	strike func(*trial) (mend func() error, err error)
	// struck says whether it has taken effect.
	struck func(*trial) bool
}

// faults lists them in the order of the table.
func faults() []fault {
	all := []fault{{"TCP refused", refused, failure(uplink.ClassDial)}}
	for _, p := range []faultproxy.Phase{faultproxy.Accepted, faultproxy.Hello, faultproxy.Handshake} {
		all = append(all, atPhase("reset: "+p.String(), true, faultproxy.Fault{At: p}, uplink.ClassLost))
	}
	for p := faultproxy.Connect; p < faultproxy.Pingreq; p++ {
		all = append(all, atPhase("reset: "+p.String(), false, faultproxy.Fault{At: p}, uplink.ClassLost))
	}
	both := faultproxy.Swallow
	all = append(all, idle("reset: "+faultproxy.Pingreq.String(), faultproxy.Fault{At: faultproxy.Pingreq}, uplink.ClassLost))
	return append(
		append(all,
			atPhase("TCP accepted, never read", true, faultproxy.Fault{At: faultproxy.Accepted, Do: faultproxy.Stall}, uplink.ClassTimeout),
			atPhase("TLS stalls after the hello", true, faultproxy.Fault{At: faultproxy.Hello, Do: both}, uplink.ClassTimeout),
			atPhase("TLS stalls half way", true, faultproxy.Fault{At: faultproxy.Handshake, Do: both}, uplink.ClassTimeout),
			atPhase("half-open in a PUBLISH", false, faultproxy.Fault{At: faultproxy.Publish, Do: both}, uplink.ClassTimeout),
			idle("half-open when idle", faultproxy.Fault{At: faultproxy.Pingreq, Do: both}, uplink.ClassTimeout),
			atPhase("half-open, only up is dead", false, faultproxy.Fault{At: faultproxy.Publish, Do: faultproxy.SwallowUp}, uplink.ClassTimeout),
			atPhase("half-open, only down is dead", false, faultproxy.Fault{At: faultproxy.Puback, Do: faultproxy.SwallowDown}, uplink.ClassTimeout),
			atPhase("broker stops reading", false, faultproxy.Fault{At: faultproxy.Publish, Do: faultproxy.Stall}, uplink.ClassTimeout),
			slow("600 ms each way", faultproxy.Fault{Delay: 600 * time.Millisecond}),
			slow("16 kbit/s each way", faultproxy.Fault{BitsPerSecond: 16_000}),
			pretends("broker acks and loses", "/telemetry", 20),
			pretends("denied publish that looks like success", "/event", 0),
			fault{"name does not resolve", noName(false), failure(uplink.ClassDNS)},
			fault{"name server does not answer", noName(true), failure(uplink.ClassDNS)},
		),
		certificates()...,
	)
}

// failure says that the uplink gave failures of that class.
func failure(c uplink.Class) func(*trial) bool {
	return func(t *trial) bool { return t.failed(c) }
}

func refused(t *trial) (func() error, error) {
	return t.proxy.Listen, t.proxy.Refuse()
}

// atPhase is a fault of the proxy that strikes every connection until it is
// mended. What is half-open then stays so: the box must notice by itself.
func atPhase(name string, bytesOnly bool, f faultproxy.Fault, class uplink.Class) fault {
	return fault{name, func(t *trial) (func() error, error) {
		if bytesOnly {
			if err := t.bytesOnly(); err != nil {
				return nil, err
			}
		}
		t.proxy.Set(f)
		if class == uplink.ClassTimeout {
			t.impatient()
		}
		return func() error { t.proxy.Set(faultproxy.Fault{}); return nil }, nil
	}, func(t *trial) bool { return t.proxy.Counts().Struck >= 2 && t.failed(class) }}
}

// impatient has the box wait two seconds for an answer, where none will come.
func (t *trial) impatient() {
	u := &t.config.Uplink
	u.ConnectTimeout, u.WriteTimeout, u.PubackTimeout = 2*time.Second, 2*time.Second, 2*time.Second
}

// idle is a fault that strikes when nothing is said: once, since a keepalive
// has to pass before.
func idle(name string, f faultproxy.Fault, class uplink.Class) fault {
	i := atPhase(name, false, f, class)
	i.struck = func(t *trial) bool { return t.proxy.Counts().Struck > 0 && t.c.Uplink().Failures[class] > 0 }
	return i
}

// slow is a line over which everything still works: recovery is delivery, over
// the line as it is, with the waits of a gateway.
func slow(name string, f faultproxy.Fault) fault {
	return fault{name, func(t *trial) (func() error, error) {
		if err := t.bytesOnly(); err != nil {
			return nil, err
		}
		t.proxy.Set(f)
		u, d := &t.config.Uplink, uplink.DefaultConfig()
		u.ConnectTimeout, u.WriteTimeout, u.PubackTimeout, u.KeepAlive = d.ConnectTimeout, d.WriteTimeout, d.PubackTimeout, d.KeepAlive
		return func() error { return nil }, nil
	}, func(t *trial) bool { return t.proxy.Counts().Connections > 0 }}
}

// pretends is a broker that answers a report with PUBACK and drops it.
func pretends(name, topic string, times int) fault {
	return fault{name, func(t *trial) (func() error, error) {
		t.proxy.Set(faultproxy.Fault{At: faultproxy.Publish, Do: faultproxy.Pretend, Topic: topic, Times: times})
		return func() error { t.proxy.Set(faultproxy.Fault{}); return nil }, nil
	}, func(t *trial) bool {
		_, said := t.c.Sick(wire.HealthNotStored)
		return t.proxy.Counts().Struck >= 1 && said
	}}
}

// noName has the box ask a name server that knows no such name, or is silent.
func noName(silent bool) func(*trial) (func() error, error) {
	return func(t *trial) (func() error, error) {
		var err error
		if t.names, err = startNameServer(silent); err != nil {
			return nil, err
		}
		_, port, err := net.SplitHostPort(t.proxy.Addr())
		if err != nil {
			return nil, err
		}
		t.config.Uplink.Broker = "tls://" + net.JoinHostPort(brokerName, port)
		t.config.Uplink.ServerName = "localhost"
		t.config.Dial = t.names.dial
		if silent {
			t.impatient()
		}
		return func() error { t.names.answer(); return nil }, nil
	}
}

// certificates are the faults of a broker's certificate, and of the clock by
// which the box judges it.
func certificates() []fault {
	now := time.Now()
	const day = 24 * time.Hour
	leaf := func(name string, from, to time.Duration, host string, class uplink.Class) fault {
		return fault{name, func(t *trial) (func() error, error) {
			bad, err := serverLeaf(t.lab.CA, host, now.Add(from), now.Add(to))
			return t.present(bad, err)
		}, failure(class)}
	}
	return []fault{
		leaf("certificate expired", -3*day, -day, "127.0.0.1", uplink.ClassExpired),
		leaf("certificate not yet valid", day, 3*day, "127.0.0.1", uplink.ClassExpired),
		leaf("certificate of another name", -day, day, "198.18.0.9", uplink.ClassName),
		{"certificate of another CA", func(t *trial) (func() error, error) {
			other, err := pki.Open(filepath.Join(t.dir, "other"))
			if err != nil {
				return nil, err
			}
			bad, err := serverLeaf(other, "127.0.0.1", now.Add(-day), now.Add(day))
			return t.present(bad, err)
		}, failure(uplink.ClassUnknownCA)},
		{"certificate of another box", func(t *trial) (func() error, error) {
			bad, err := t.lab.CA.Leaf(&x509.Certificate{
				Subject: pkix.Name{CommonName: "thief"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
				ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
			})
			return t.present(bad, err)
		}, failure(uplink.ClassTLS)},
		clock("clock believed, ten years ahead", 10*365*day),
		clock("clock believed, in 1970", -time.Duration(now.UnixNano())),
		{"clock unknown, in 1970", func(t *trial) (func() error, error) {
			t.config.Now = func() time.Time { return time.Unix(1000, 0) }
			t.config.ClockKnown = func() bool { return false }
			return func() error { return nil }, nil
		}, func(t *trial) bool {
			_, said := t.c.Sick(wire.HealthTLSDateUnchecked)
			return said && t.c.Uplink().Connects > 0
		}},
	}
}

// clock is a wrong clock that the box believes, until it is set right.
func clock(name string, off time.Duration) fault {
	return fault{name, func(t *trial) (func() error, error) {
		var right atomic.Bool
		t.config.Now = func() time.Time {
			if right.Load() {
				return time.Now()
			}
			return time.Now().Add(off)
		}
		return func() error { right.Store(true); return nil }, nil
	}, failure(uplink.ClassExpired)}
}

// present has boxes see a bad certificate until the good one is back.
func (t *trial) present(bad tls.Certificate, err error) (func() error, error) {
	if err != nil {
		return nil, err
	}
	server, err := t.lab.CA.Server("127.0.0.1", "localhost")
	if err != nil {
		return nil, err
	}
	good, err := tls.LoadX509KeyPair(server.Cert, server.Key)
	if err != nil {
		return nil, err
	}
	t.proxy.Present(bad)
	return func() error { t.proxy.Present(good); return nil }, nil
}

func serverLeaf(ca *pki.Authority, host string, from, to time.Time) (tls.Certificate, error) {
	ip := net.ParseIP(host)
	if ip == nil {
		return tls.Certificate{}, errors.New("no address: " + host)
	}
	c, err := ca.Leaf(&x509.Certificate{
		Subject: pkix.Name{CommonName: "broker"}, IPAddresses: []net.IP{ip},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, NotBefore: from, NotAfter: to,
	})
	if err != nil {
		return c, fmt.Errorf("certificate for %s: %w", host, err)
	}
	return c, nil
}
