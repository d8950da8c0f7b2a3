package uplink

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"livebox-agent/uplink/wire"
)

// maxFile bounds a file of certificates before it is read.
const maxFile = 256 << 10

// credentials are what the files of the configuration hold.
type credentials struct {
	authorities []*x509.Certificate
	own         tls.Certificate
}

// readCredentials reads the files anew, so that a certificate can be renewed
// while the agent runs.
func (c Config) readCredentials() (credentials, error) {
	var cr credentials
	b, err := readFile("ca_file", c.CAFile)
	if err != nil {
		return cr, err
	}
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		ca, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return cr, fmt.Errorf("ca_file %s: %w", c.CAFile, err)
		}
		cr.authorities = append(cr.authorities, ca)
	}
	if len(cr.authorities) == 0 {
		return cr, fmt.Errorf("ca_file %s: no certificate in PEM", c.CAFile)
	}
	cert, err := readFile("cert_file", c.CertFile)
	if err != nil {
		return cr, err
	}
	key, err := readFile("key_file", c.KeyFile)
	if err != nil {
		return cr, err
	}
	if cr.own, err = tls.X509KeyPair(cert, key); err != nil {
		return cr, fmt.Errorf("cert_file %s with key_file %s: %w", c.CertFile, c.KeyFile, err)
	}
	// The broker has the issuing CA: sending it costs as much as the rest.
	cr.own.Certificate = cr.own.Certificate[:1]
	return cr, nil
}

func readFile(key, name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("%s %s: larger than %d bytes", key, name, maxFile)
	}
	return b, nil
}

// tlsConfig returns the TLS of a connection to the server of that name. With
// dated, certificates are checked against now.
func (cr credentials) tlsConfig(name string, now func() time.Time, dated bool) *tls.Config {
	roots := x509.NewCertPool()
	for _, ca := range cr.authorities {
		roots.AddCert(ca)
	}
	t := &tls.Config{
		MinVersion:   tls.VersionTLS13,
		ServerName:   name,
		RootCAs:      roots,
		Certificates: []tls.Certificate{cr.own},
		Time:         now,
		// A ticket carries the box's certificate there and back: with client
		// certificates a full handshake is the shorter one.
		SessionTicketsDisabled: true,
		// The hybrid with ML-KEM costs 2.3 KB on each connection.
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256},
	}
	if !dated {
		// This switches off all of the library's checks: every one but that of
		// the date is made in VerifyConnection.
		t.InsecureSkipVerify = true
		t.VerifyConnection = func(s tls.ConnectionState) error {
			return cr.verifyUndated(s.PeerCertificates, roots, name)
		}
	}
	return t
}

// verifyUndated checks a broker's certificate as TLS does, at a time when it
// and its issuer are valid.
func (cr credentials) verifyUndated(peer []*x509.Certificate, roots *x509.CertPool, name string) error {
	if len(peer) == 0 {
		return errors.New("the broker sent no certificate")
	}
	leaf := peer[0]
	o := x509.VerifyOptions{
		Roots:         roots,
		DNSName:       name,
		Intermediates: x509.NewCertPool(),
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, c := range peer[1:] {
		o.Intermediates.AddCert(c)
	}
	// All are valid together, if ever, from the day when the youngest became so.
	from := []time.Time{leaf.NotBefore}
	for _, c := range append(peer[1:], cr.authorities...) {
		if c.NotBefore.After(leaf.NotBefore) && c.NotBefore.Before(leaf.NotAfter) {
			from = append(from, c.NotBefore)
		}
	}
	var err error
	for _, o.CurrentTime = range from {
		if _, err = leaf.Verify(o); err == nil {
			return nil
		}
	}
	return &tls.CertificateVerificationError{UnverifiedCertificates: peer, Err: err}
}

// dial opens the byte stream to the broker: TCP, and TLS over it. ctx bounds
// it.
func (u *Uplink) dial(ctx context.Context) (net.Conn, *Error) {
	var cr credentials
	if u.broker.Scheme == "tls" {
		var err error
		if cr, err = u.cfg.readCredentials(); err != nil {
			return nil, u.failed("connect", err, ClassCertificate)
		}
	}
	raw, err := u.o.Dial(ctx, "tcp", u.broker.Host)
	if err != nil {
		return nil, u.failed("connect", err, ClassDial)
	}
	conn := net.Conn(&counted{Conn: raw, up: &u.bytesUp, down: &u.bytesDown})
	if u.broker.Scheme != "tls" {
		return conn, nil
	}
	name := u.cfg.ServerName
	if name == "" {
		name = u.broker.Hostname()
	}
	dated := u.o.ClockKnown == nil || u.o.ClockKnown()
	tc := tls.Client(conn, cr.tlsConfig(name, u.o.Now, dated))
	if err := tc.HandshakeContext(ctx); err != nil {
		conn.Close()
		if errors.Is(err, context.DeadlineExceeded) {
			err = errTimeout
		}
		return nil, u.failed("connect", err, ClassLost)
	}
	u.health(wire.HealthTLSDateUnchecked, !dated, "the clock is not known: the date of the broker's certificate was not checked")
	return tc, nil
}

// dialTCP is the dial of a box. Its connections have no TCP keepalive: Go's
// default, a probe every 15 s, would cost more bytes than all telemetry, and
// MQTT has a keepalive of its own.
func dialTCP(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{KeepAlive: -1}
	return d.DialContext(ctx, network, addr)
}
