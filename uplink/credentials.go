package uplink

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"time"
)

// CheckCredentials reads the files of the configuration as a connection does
// and reports every problem, each with its key's name: those that keep a
// connection from coming about, certificates that are not valid now, and a
// common name that cannot be, or is not, the name of the box. An empty box
// stands for whatever valid name the certificate has. A broker without TLS
// needs the certificate for the name alone.
func (c Config) CheckCredentials(box string, now time.Time) []error {
	var errs []error
	add := func(err error) {
		same := func(e error) bool { return e.Error() == err.Error() }
		if err != nil && !slices.ContainsFunc(errs, same) {
			errs = append(errs, err)
		}
	}
	if u, err := parseBroker(c.Broker); err == nil && u.Scheme != "tls" {
		if box == "" && c.CertFile != "" {
			own, err := c.readOwn()
			add(err)
			add(c.checkName(own, box))
		}
		return errs
	}
	cr, err := c.readCredentials()
	add(err)
	for _, ca := range cr.authorities {
		add(checkDate("ca_file "+c.CAFile, ca, now))
	}
	own, err := c.readOwn()
	key, keyErr := readFile("key_file", c.KeyFile)
	// readCredentials ends at the first problem: what is behind it is read here.
	if own == nil && (keyErr != nil || cr.authorities == nil) {
		add(err)
	}
	add(keyErr)
	if own != nil && keyErr == nil && cr.authorities == nil {
		cert, err := readFile("cert_file", c.CertFile)
		if err == nil {
			_, err = tls.X509KeyPair(cert, key)
		}
		if err != nil {
			add(fmt.Errorf("cert_file %s with key_file %s: %w", c.CertFile, c.KeyFile, err))
		}
	}
	add(checkDate("cert_file "+c.CertFile, own, now))
	add(c.checkName(own, box))
	return errs
}

// readOwn reads the certificate of the box; nil with an error.
func (c Config) readOwn() (*x509.Certificate, error) {
	b, err := readFile("cert_file", c.CertFile)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		own, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("cert_file %s: %w", c.CertFile, err)
		}
		return own, nil
	}
	return nil, fmt.Errorf("cert_file %s: no certificate in PEM", c.CertFile)
}

// checkName compares the name in the box's certificate, where there is one,
// with that of the box.
func (c Config) checkName(own *x509.Certificate, box string) error {
	if own == nil {
		return nil
	}
	switch cn := own.Subject.CommonName; {
	case box != "" && cn != box:
		return fmt.Errorf("cert_file %s: common name %.80q is not the name of the box, %q", c.CertFile, cn, box)
	case !ValidBox(cn):
		return fmt.Errorf("cert_file %s: common name %.80q cannot be the name of a box: only letters, digits, - and _, at most 64", c.CertFile, cn)
	}
	return nil
}

// checkDate compares the time of a certificate, where there is one, with now.
func checkDate(file string, cert *x509.Certificate, now time.Time) error {
	switch {
	case cert == nil:
	case now.After(cert.NotAfter):
		return fmt.Errorf("%s: %q expired on %s", file, cert.Subject.CommonName, cert.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(cert.NotBefore):
		return fmt.Errorf("%s: %q is not valid before %s", file, cert.Subject.CommonName, cert.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}
