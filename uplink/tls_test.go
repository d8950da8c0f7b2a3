package uplink

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"livebox-agent/uplink/wire"
)

// An authority issues certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

const day = 24 * time.Hour

func newAuthority(t *testing.T, from time.Time) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t)}
	a.renew(from)
	return a
}

// renew makes the authority's certificate anew, with the same key.
func (a *authority) renew(from time.Time) {
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(from.Unix()), Subject: pkix.Name{CommonName: "issuing CA"},
		NotBefore: from, NotAfter: from.Add(3650 * day),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.cert = a.sign(tmpl, tmpl, a.key)
}

func (a *authority) sign(tmpl, parent *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

func (a *authority) issue(name string, usage x509.ExtKeyUsage, from, to time.Time) tls.Certificate {
	a.t.Helper()
	key := newKey(a.t)
	cert := a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(from.UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: from, NotAfter: to, ExtKeyUsage: []x509.ExtKeyUsage{usage}, KeyUsage: x509.KeyUsageDigitalSignature,
	}, a.cert, key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writePEM(t *testing.T, name, kind string, ders ...[]byte) {
	t.Helper()
	var b []byte
	for _, der := range ders {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A tlsLab is a PKI, the files of a box, and a broker's side of TLS.
type tlsLab struct {
	t      *testing.T
	start  time.Time
	ca     *authority
	server *tls.Config
	config Config

	mu    sync.Mutex // guards server and peers while a rig runs
	peers []tls.ConnectionState
}

// newTLSLab makes a lab in which everything is as it should be. The broker is
// cem.test, the box box1; all is valid for thirty days from a day ago.
func newTLSLab(t *testing.T) *tlsLab {
	t.Helper()
	lab := &tlsLab{t: t, start: time.Now()}
	lab.ca = newAuthority(t, lab.start.Add(-10*day))
	pool := x509.NewCertPool()
	pool.AddCert(lab.ca.cert)
	lab.server = &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{lab.ca.issue("cem.test", x509.ExtKeyUsageServerAuth, lab.start.Add(-day), lab.start.Add(30*day))},
		ClientAuth:             tls.RequireAndVerifyClientCert,
		ClientCAs:              pool,
		SessionTicketsDisabled: true,
	}
	lab.config = labConfig()
	lab.config.Broker = "tls://cem.test:8883"
	dir := t.TempDir()
	lab.config.CAFile = filepath.Join(dir, "ca.pem")
	lab.config.CertFile = filepath.Join(dir, "box.pem")
	lab.config.KeyFile = filepath.Join(dir, "box.key")
	writePEM(t, lab.config.CAFile, "CERTIFICATE", lab.ca.cert.Raw)
	lab.identify(lab.ca.issue("box1", x509.ExtKeyUsageClientAuth, lab.start.Add(-day), lab.start.Add(30*day)))
	return lab
}

// identify gives the box its certificate, with the issuer's behind it, as many
// tools write it.
func (lab *tlsLab) identify(c tls.Certificate) {
	lab.t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		lab.t.Fatal(err)
	}
	writePEM(lab.t, lab.config.CertFile, "CERTIFICATE", c.Certificate[0], lab.ca.cert.Raw)
	writePEM(lab.t, lab.config.KeyFile, "PRIVATE KEY", key)
}

// A buffered connection takes writes without waiting for the reader, as a
// kernel does.
type buffered struct {
	net.Conn
	out  chan []byte
	once sync.Once
}

func newBuffered(c net.Conn) *buffered {
	b := &buffered{Conn: c, out: make(chan []byte, 1024)}
	go func() {
		for p := range b.out {
			_, _ = c.Write(p) // the reader notices
		}
		c.Close()
	}()
	return b
}

func (b *buffered) Write(p []byte) (int, error) {
	b.out <- slices.Clone(p)
	return len(p), nil
}

// Close closes the connection when what was written has gone.
func (b *buffered) Close() error {
	b.once.Do(func() { close(b.out) })
	return nil
}

// present gives the broker its certificate.
func (lab *tlsLab) present(c tls.Certificate) {
	lab.mu.Lock()
	defer lab.mu.Unlock()
	lab.server.Certificates = []tls.Certificate{c}
}

// rig makes a rig whose far side speaks TLS.
func (lab *tlsLab) rig(t *testing.T, scripts func(int) script, change func(*Options)) *rig {
	t.Helper()
	r := newRig(t, lab.config, scripts, change)
	r.u.o.Dial = func(context.Context, string, string) (net.Conn, error) {
		near, away := net.Pipe()
		go func() {
			lab.mu.Lock()
			conn := tls.Server(newBuffered(away), lab.server.Clone())
			lab.mu.Unlock()
			if err := conn.Handshake(); err != nil {
				_, _ = io.Copy(io.Discard, away) // until the box has read the alert and hangs up
				conn.NetConn().Close()
				return
			}
			lab.mu.Lock()
			lab.peers = append(lab.peers, conn.ConnectionState())
			lab.mu.Unlock()
			r.serve(conn)
		}()
		return near, nil
	}
	return r
}

func TestTLSRefusals(t *testing.T) {
	for _, tt := range []struct {
		name      string
		spoil     func(lab *tlsLab)
		want      Class // empty: connects
		clockless Class // while the clock is not known, and says 1970
	}{
		{"all is well", func(*tlsLab) {}, "", ""},
		{"broker of another CA", func(lab *tlsLab) {
			other := newAuthority(lab.t, lab.start.Add(-10*day))
			lab.present(other.issue("cem.test", x509.ExtKeyUsageServerAuth, lab.start.Add(-day), lab.start.Add(day)))
		}, ClassUnknownCA, ClassUnknownCA},
		{"broker's certificate expired", func(lab *tlsLab) {
			lab.present(lab.ca.issue("cem.test", x509.ExtKeyUsageServerAuth, lab.start.Add(-5*day), lab.start.Add(-day)))
		}, ClassExpired, ""},
		{"broker's certificate not yet valid", func(lab *tlsLab) {
			lab.present(lab.ca.issue("cem.test", x509.ExtKeyUsageServerAuth, lab.start.Add(day), lab.start.Add(5*day)))
		}, ClassExpired, ""},
		{"broker of another name", func(lab *tlsLab) {
			lab.present(lab.ca.issue("mail.test", x509.ExtKeyUsageServerAuth, lab.start.Add(-day), lab.start.Add(day)))
		}, ClassName, ClassName},
		{"another box plays the broker", func(lab *tlsLab) {
			lab.present(lab.ca.issue("cem.test", x509.ExtKeyUsageClientAuth, lab.start.Add(-day), lab.start.Add(day)))
		}, ClassTLS, ClassTLS},
		{"CA renewed after the broker's certificate", func(lab *tlsLab) {
			lab.ca.renew(lab.start.Add(-time.Hour))
			writePEM(lab.t, lab.config.CAFile, "CERTIFICATE", lab.ca.cert.Raw)
		}, "", ""},
		{"broker speaks TLS 1.2 only", func(lab *tlsLab) {
			lab.server.MinVersion, lab.server.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		}, ClassTLS, ClassTLS},
		{"box of another CA", func(lab *tlsLab) {
			other := newAuthority(lab.t, lab.start.Add(-10*day))
			lab.identify(other.issue("box1", x509.ExtKeyUsageClientAuth, lab.start.Add(-day), lab.start.Add(day)))
		}, ClassRejected, ClassRejected},
		{"box's certificate expired", func(lab *tlsLab) {
			lab.identify(lab.ca.issue("box1", x509.ExtKeyUsageClientAuth, lab.start.Add(-5*day), lab.start.Add(-day)))
		}, ClassRejected, ClassRejected},
		{"no certificate file", func(lab *tlsLab) { os.Remove(lab.config.CertFile) }, ClassCertificate, ClassCertificate},
		{"no key file", func(lab *tlsLab) { os.Remove(lab.config.KeyFile) }, ClassCertificate, ClassCertificate},
		{"key of another certificate", func(lab *tlsLab) {
			key, _ := x509.MarshalPKCS8PrivateKey(newKey(lab.t))
			writePEM(lab.t, lab.config.KeyFile, "PRIVATE KEY", key)
		}, ClassCertificate, ClassCertificate},
		{"CA file without a certificate", func(lab *tlsLab) { writePEM(lab.t, lab.config.CAFile, "JUNK", nil) }, ClassCertificate, ClassCertificate},
		{"damaged CA file", func(lab *tlsLab) { writePEM(lab.t, lab.config.CAFile, "CERTIFICATE", []byte{1}) }, ClassCertificate, ClassCertificate},
		{"huge CA file", func(lab *tlsLab) { writePEM(lab.t, lab.config.CAFile, "CERTIFICATE", make([]byte, maxFile)) }, ClassCertificate, ClassCertificate},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { tryTLS(t, tt.spoil, tt.want, true) })
		})
		t.Run(tt.name+", clock unknown", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { tryTLS(t, tt.spoil, tt.clockless, false) })
		})
	}
}

func tryTLS(t *testing.T, spoil func(*tlsLab), want Class, clock bool) {
	t.Helper()
	lab := newTLSLab(t)
	spoil(lab)
	r := lab.rig(t, nil, func(o *Options) {
		o.ClockKnown = func() bool { return clock }
		if !clock {
			o.Now = func() time.Time { return time.Unix(1000, 0) }
		}
	})
	r.q.add(window(1))
	r.run()
	after(30 * time.Second)
	s := r.u.Stats()
	if want == "" {
		if r.q.left() != 0 || s.Connects != 1 {
			t.Errorf("not delivered: %+v", s)
		}
		if said := r.sick(wire.HealthTLSDateUnchecked) != ""; said == clock {
			t.Errorf("tls_date_unchecked is bad: %v; want %v", said, !clock)
		}
	} else {
		if s.Connects != 0 || r.q.left() != 1 {
			t.Errorf("connected; want %q", want)
		}
		if s.Failures[want] == 0 {
			t.Errorf("failures %v (%s); want %q", s.Failures, s.LastFailure, want)
		}
		if s.Attempts > 1 {
			t.Errorf("%d attempts within 30s of a refusal; want 1", s.Attempts)
		}
		if !strings.Contains(s.LastFailure, want.advice()) {
			t.Errorf("LastFailure = %q; want it to say what to do", s.LastFailure)
		}
	}
	r.end()
}

func TestClockLearntMeansFullCheckAtTheNextConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lab := newTLSLab(t)
		lab.present(lab.ca.issue("cem.test", x509.ExtKeyUsageServerAuth, lab.start.Add(-5*day), lab.start.Add(-day)))
		var first *peer
		known := make(chan struct{})
		r := lab.rig(t, func(n int) script {
			return script{open: func(p *peer) bool { first = p; return false }}
		}, func(o *Options) {
			o.ClockKnown = func() bool {
				select {
				case <-known:
					return true
				default:
					return false
				}
			}
		})
		r.run()
		after(time.Minute)
		if r.u.Stats().Connects != 1 || r.sick(wire.HealthTLSDateUnchecked) == "" {
			t.Fatalf("Stats() = %+v; want a connection and tls_date_unchecked", r.u.Stats())
		}
		close(known)
		first.Close()
		after(time.Minute)
		if s := r.u.Stats(); s.Connects != 1 || s.Failures[ClassExpired] == 0 {
			t.Errorf("Stats() = %+v; want the expired certificate refused", s)
		}
		lab.present(lab.ca.issue("cem.test", x509.ExtKeyUsageServerAuth, lab.start.Add(-day), lab.start.Add(day)))
		after(30 * time.Minute)
		if s := r.u.Stats(); s.Connects != 2 || r.sick(wire.HealthTLSDateUnchecked) != "" {
			t.Errorf("Stats() = %+v, tls_date_unchecked %q; want a connection with all checks", s, r.sick(wire.HealthTLSDateUnchecked))
		}
		r.end()
	})
}

func TestRenewedCertificateIsUsedAtTheNextConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lab := newTLSLab(t)
		var last *peer
		r := lab.rig(t, func(int) script {
			return script{open: func(p *peer) bool { last = p; return false }}
		}, nil)
		r.run()
		after(time.Minute)
		renewed := lab.ca.issue("box1", x509.ExtKeyUsageClientAuth, lab.start.Add(-time.Hour), lab.start.Add(90*day))
		lab.identify(renewed)
		last.Close()
		after(time.Minute)
		if len(lab.peers) != 2 {
			t.Fatalf("%d connections; want 2", len(lab.peers))
		}
		if got := lab.peers[1].PeerCertificates[0].SerialNumber; got.Cmp(renewed.Leaf.SerialNumber) != 0 {
			t.Errorf("second connection used certificate %v; want the renewed one", got)
		}
		r.end()
	})
}

// The broker would give tickets and take them, and the file of the box has its
// issuer's certificate behind its own.
func TestEveryConnectionIsAFullHandshakeWithTheLeafAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lab := newTLSLab(t)
		lab.server.SessionTicketsDisabled = false
		lab.server.SetSessionTicketKeys([][32]byte{{1}}) // each connection has a clone
		r := lab.rig(t, func(n int) script {
			return script{connect: func(p *peer) {
				p.connack(0)
				if n < 5 {
					time.AfterFunc(time.Minute, func() { p.Close() })
				}
			}}
		}, nil)
		r.run()
		after(3 * time.Hour)
		if len(lab.peers) != 5 {
			t.Fatalf("%d connections; want 5", len(lab.peers))
		}
		for i, p := range lab.peers {
			if n := len(p.PeerCertificates); n != 1 {
				t.Errorf("connection %d: the box sent %d certificates; want the leaf alone", i+1, n)
			}
			if p.DidResume || p.Version != tls.VersionTLS13 {
				t.Errorf("connection %d: resumed %v, version %x; want full TLS 1.3", i+1, p.DidResume, p.Version)
			}
		}
		r.end()
	})
}

func TestUnreadableCertificateIsSaidAtOnceAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lab := newTLSLab(t)
		lab.config.PowerReturnWait = 5 * time.Minute
		good, err := os.ReadFile(lab.config.CertFile)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(lab.config.CertFile); err != nil {
			t.Fatal(err)
		}
		r := lab.rig(t, nil, nil)
		r.q.add(window(1))
		r.run()
		synctest.Wait()
		if d := r.sick(wire.HealthUplinkDown); !strings.Contains(d, "cert_file") || !strings.Contains(d, lab.config.CertFile) {
			t.Errorf("uplink_down = %q; want the key and the name of the file, before the first wait is over", d)
		}
		after(10 * time.Minute)
		if len(lab.peers) != 0 {
			t.Error("connected without a certificate")
		}
		if err := os.WriteFile(lab.config.CertFile, good, 0o600); err != nil {
			t.Fatal(err)
		}
		after(16 * time.Minute)
		if r.q.left() != 0 || r.sick(wire.HealthUplinkDown) != "" {
			t.Errorf("not delivered after the file came back: %+v", r.u.Stats())
		}
		r.end()
	})
}

// What a connection and a report cost on the wire, below TLS and above TCP.
func TestWireBytesOfAConnectionAndAReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lab := newTLSLab(t)
		r := lab.rig(t, nil, nil)
		r.run()
		after(time.Second)
		c := r.u.Stats()
		t.Logf("handshake, CONNECT, SUBSCRIBE, status: %d up, %d down", c.BytesUp, c.BytesDown)
		if sum := c.BytesUp + c.BytesDown; sum > 2500 {
			t.Errorf("a connection costs %d bytes; want at most 2500", sum)
		}
		payload := make([]byte, 1000)
		r.q.addItem(Item{Key: window(1), Payload: func(b []byte) ([]byte, error) { return append(b, payload...), nil }})
		after(time.Second)
		p := r.u.Stats()
		up, down := p.BytesUp-c.BytesUp, p.BytesDown-c.BytesDown
		t.Logf("a report of 1000 bytes with PUBACK, Ack and its PUBACK: %d up, %d down", up, down)
		if up+down > 1000+200 {
			t.Errorf("a report of 1000 bytes costs %d bytes; want at most 1200", up+down)
		}
		after(10*time.Minute - time.Second)
		k := r.u.Stats()
		t.Logf("ten minutes of silence: %d up, %d down", k.BytesUp-p.BytesUp, k.BytesDown-p.BytesDown)
		if sum := k.BytesUp + k.BytesDown - p.BytesUp - p.BytesDown; sum > 100 {
			t.Errorf("ten minutes of silence cost %d bytes; want at most two pings", sum)
		}
		r.end()
	})
}
