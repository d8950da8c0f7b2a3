package uplink

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCheckCredentials(t *testing.T) {
	write := func(lab *tlsLab, file, text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			lab.t.Fatal(err)
		}
	}
	client := x509.ExtKeyUsageClientAuth
	for _, tt := range []struct {
		name string
		box  string
		do   func(*tlsLab)
		want []string // one part of each problem, in order
	}{
		{"all as it should be", "box1", func(*tlsLab) {}, nil},
		{"name from the certificate", "", func(*tlsLab) {}, nil},
		{"files that are not there", "box1", func(lab *tlsLab) {
			lab.config.CAFile, lab.config.CertFile, lab.config.KeyFile = "/nonexistent/a", "/nonexistent/b", "/nonexistent/c"
		}, []string{"ca_file: open /nonexistent/a", "cert_file: open /nonexistent/b", "key_file: open /nonexistent/c"}},
		{"text in place of certificates", "box1", func(lab *tlsLab) {
			write(lab, lab.config.CAFile, "ca")
			write(lab, lab.config.CertFile, "box")
		}, []string{"no certificate in PEM", "no certificate in PEM"}},
		{"text in place of the certificate", "box1", func(lab *tlsLab) {
			write(lab, lab.config.CertFile, "box")
		}, []string{"cert_file "}},
		{"text in place of the certificate, and no key", "box1", func(lab *tlsLab) {
			write(lab, lab.config.CertFile, "box")
			lab.config.KeyFile = "/nonexistent/c"
		}, []string{"key_file: open /nonexistent/c", "no certificate in PEM"}},
		{"text in place of the key", "box1", func(lab *tlsLab) {
			write(lab, lab.config.KeyFile, "key")
		}, []string{"with key_file "}},
		{"key of another, and no authority", "box1", func(lab *tlsLab) {
			write(lab, lab.config.CAFile, "")
			other := newTLSLab(lab.t)
			lab.config.KeyFile = other.config.KeyFile
		}, []string{"ca_file ", "does not match"}},
		{"expired", "box1", func(lab *tlsLab) {
			lab.identify(lab.ca.issue("box1", client, lab.start.Add(-2*day), lab.start.Add(-day)))
		}, []string{`"box1" expired on `}},
		{"not yet valid", "box1", func(lab *tlsLab) {
			lab.identify(lab.ca.issue("box1", client, lab.start.Add(day), lab.start.Add(2*day)))
		}, []string{`"box1" is not valid before `}},
		{"authority not yet valid", "box1", func(lab *tlsLab) {
			lab.ca.renew(lab.start.Add(day))
			writePEM(lab.t, lab.config.CAFile, "CERTIFICATE", lab.ca.cert.Raw)
		}, []string{`"issuing CA" is not valid before `}},
		{"name of another box", "box2", func(*tlsLab) {}, []string{`common name "box1" is not the name of the box, "box2"`}},
		{"name that is none, out of date", "", func(lab *tlsLab) {
			lab.identify(lab.ca.issue("box/1", client, lab.start.Add(-2*day), lab.start.Add(-day)))
		}, []string{"expired on ", `common name "box/1" cannot be the name of a box`}},
		{"without TLS, nothing is read", "box2", func(lab *tlsLab) {
			lab.config.Broker, lab.config.CertFile = "tcp://127.0.0.1:1883", "/nonexistent/b"
		}, nil},
		{"without TLS, but for the name", "", func(lab *tlsLab) {
			lab.config.Broker, lab.config.CertFile = "tcp://127.0.0.1:1883", "/nonexistent/b"
		}, []string{"cert_file: open /nonexistent/b"}},
		{"without TLS, a name that is none", "", func(lab *tlsLab) {
			lab.config.Broker, lab.config.CAFile = "tcp://127.0.0.1:1883", "/nonexistent/a"
			lab.identify(lab.ca.issue("box 1", client, lab.start.Add(-2*day), lab.start.Add(-day)))
		}, []string{`common name "box 1" cannot be`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lab := newTLSLab(t)
			tt.do(lab)
			got := lab.config.CheckCredentials(tt.box, lab.start.Add(time.Second))
			good := len(got) == len(tt.want)
			for i := range min(len(got), len(tt.want)) {
				good = good && strings.Contains(got[i].Error(), tt.want[i])
			}
			if !good {
				t.Errorf("CheckCredentials = %v; want %q", got, tt.want)
			}
		})
	}
}

// A key that stands before the certificate in one file is passed over.
func TestCheckCredentialsFindsTheCertificateBehindTheKey(t *testing.T) {
	lab := newTLSLab(t)
	key, err := os.ReadFile(lab.config.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := os.ReadFile(lab.config.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	both := filepath.Join(t.TempDir(), "both.pem")
	if err := os.WriteFile(both, append(key, cert...), 0o600); err != nil {
		t.Fatal(err)
	}
	lab.config.CertFile, lab.config.KeyFile = both, both
	if errs := lab.config.CheckCredentials("box1", lab.start); len(errs) != 0 {
		t.Errorf("CheckCredentials = %v; want nothing", errs)
	}
}
