// Package pki makes the certificates of a lab on the spot: one issuing
// authority, the broker's certificate and one certificate for each box.
//
// # What is promised
//
//   - Opening the same directory again gives the same certificates: nothing is
//     made anew that still verifies.
//   - A damaged, foreign or expiring file is replaced, and what it had signed
//     with it.
//   - A box certificate cannot be used as a server, a server certificate not as
//     a box, and neither can sign another.
//
// Keys are ECDSA P-256. The private keys lie in the directory in the clear:
// this is a lab, not the operator's authority.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	caLife   = 10 * 365 * 24 * time.Hour
	leafLife = 365 * 24 * time.Hour
	// renewBefore is how long a certificate must at least still be valid to be
	// used again: longer than any run of the lab.
	renewBefore = 24 * time.Hour
	// maxBoxLen is ub-common-name of RFC 5280, appendix A.1.
	maxBoxLen = 64
)

// CEM is the common name of the CEM's certificate, which no box may have.
const CEM = "cem"

// A Pair names the PEM files of a certificate and of its private key.
type Pair struct {
	Cert, Key string
}

// An Authority issues certificates into its directory. It is not safe for use
// by two processes at once.
type Authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Open returns the authority that lives in dir, making the directory and the
// authority where they are missing or of no more use.
func Open(dir string) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	a := &Authority{dir: dir}
	files := a.pair("ca")
	if pair, err := tls.LoadX509KeyPair(files.Cert, files.Key); err == nil {
		key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
		if ok && pair.Leaf.IsCA && lasting(pair.Leaf) {
			a.cert, a.key = pair.Leaf, key
			return a, nil
		}
	}
	return a, a.create(files)
}

// create makes a new authority and stores it.
func (a *Authority) create(files Pair) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make the authority's key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: "livebox-agent lab authority"},
		NotBefore:             time.Now().Add(-renewBefore),
		NotAfter:              time.Now().Add(caLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return fmt.Errorf("sign the authority: %w", err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return fmt.Errorf("parse the authority: %w", err)
	}
	a.key = key
	return store(files, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})
}

// CAFile names the PEM file of the authority's certificate: what the broker
// trusts boxes by and the boxes pin.
func (a *Authority) CAFile() string { return a.pair("ca").Cert }

// Pool returns a pool that holds the authority's certificate only.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// Server returns the broker's certificate for hosts, which are IP addresses or
// DNS names. A certificate for other hosts is replaced.
func (a *Authority) Server(hosts ...string) (Pair, error) {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "broker"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	return a.issue("server", template, func(leaf *x509.Certificate) bool {
		for _, h := range hosts {
			if leaf.VerifyHostname(h) != nil {
				return false
			}
		}
		return true
	})
}

// CEM returns the certificate of a CEM that reaches the broker by MQTT.
func (a *Authority) CEM() (Pair, error) {
	return a.issue(CEM, &x509.Certificate{
		Subject:     pkix.Name{CommonName: CEM},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, func(leaf *x509.Certificate) bool { return leaf.Subject.CommonName == CEM })
}

// Box returns the certificate of the box with this identity, which becomes the
// common name.
func (a *Authority) Box(id string) (Pair, error) {
	if !ValidBox(id) {
		return Pair{}, fmt.Errorf("box %q: want 1 to %d letters, digits, '-' or '_', and not %q", id, maxBoxLen, CEM)
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: id},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	return a.issue("box-"+id, template, func(leaf *x509.Certificate) bool {
		return leaf.Subject.CommonName == id
	})
}

// ValidBox reports whether id may name a box: 1 to 64 ASCII letters, digits,
// '-' or '_', and not the CEM's name. Anything else could mean something in a topic ('/', '+', '#'), in
// a NATS subject ('.', '*', '>') or in a path.
func ValidBox(id string) bool {
	return id != CEM && len(id) >= 1 && len(id) <= maxBoxLen && strings.Trim(id,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

// Leaf signs template as a leaf in memory: subject, names, extended key usage
// and, where they are set, its dates are the template's, all else is set here.
// Anything is signed, also what must be refused.
func (a *Authority) Leaf(template *x509.Certificate) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make key: %w", err)
	}
	t := *template
	t.SerialNumber = serial()
	if t.NotBefore.IsZero() {
		t.NotBefore = time.Now().Add(-renewBefore)
	}
	if t.NotAfter.IsZero() {
		t.NotAfter = time.Now().Add(leafLife)
	}
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.BasicConstraintsValid = true
	t.IsCA = false
	der, err := x509.CreateCertificate(rand.Reader, &t, a.cert, key.Public(), a.key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("sign %s: %w", t.Subject.CommonName, err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("parse %s: %w", t.Subject.CommonName, err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// issue returns the stored leaf of that name if it still serves, or a new one.
func (a *Authority) issue(name string, template *x509.Certificate, fits func(*x509.Certificate) bool) (Pair, error) {
	files := a.pair(name)
	if pair, err := tls.LoadX509KeyPair(files.Cert, files.Key); err == nil {
		_, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: a.Pool(), KeyUsages: template.ExtKeyUsage})
		if err == nil && lasting(pair.Leaf) && fits(pair.Leaf) {
			return files, nil
		}
	}
	leaf, err := a.Leaf(template)
	if err != nil {
		return Pair{}, err
	}
	return files, store(files, leaf)
}

func (a *Authority) pair(name string) Pair {
	return Pair{
		Cert: filepath.Join(a.dir, name+".pem"),
		Key:  filepath.Join(a.dir, name+"-key.pem"),
	}
}

// store writes both files, the key first: a certificate without its key would
// not load, and is made again.
func store(files Pair, c tls.Certificate) error {
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return fmt.Errorf("encode key: %w", err)
	}
	return errors.Join(
		write(files.Key, 0o600, "PRIVATE KEY", der),
		write(files.Cert, 0o644, "CERTIFICATE", c.Certificate[0]),
	)
}

// write replaces the file in one step, so that a reader never sees half of it.
func write(name string, mode os.FileMode, kind string, der []byte) error {
	temp := name + ".new"
	if err := os.WriteFile(temp, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode); err != nil {
		return err
	}
	return os.Rename(temp, name)
}

func lasting(c *x509.Certificate) bool {
	return time.Now().Add(renewBefore).Before(c.NotAfter)
}

// serial returns a random serial number of 127 bits (RFC 5280, 4.1.2.2: a
// positive integer of at most 20 octets).
func serial() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b)
}
