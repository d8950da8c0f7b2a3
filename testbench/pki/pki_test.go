package pki_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"livebox-agent/testbench/pki"
)

// open returns the authority in dir.
func open(t *testing.T, dir string) *pki.Authority {
	t.Helper()
	a, err := pki.Open(dir)
	if err != nil {
		t.Fatalf("Open(%q): %v", dir, err)
	}
	return a
}

// issue makes the server's and one box's certificate.
func issue(t *testing.T, a *pki.Authority) (server, box pki.Pair) {
	t.Helper()
	server, err := a.Server("127.0.0.1", "localhost")
	if err != nil {
		t.Fatalf("Server: %v", err)
	}
	box, err = a.Box("box1")
	if err != nil {
		t.Fatalf("Box: %v", err)
	}
	return server, box
}

// leaf loads a pair that must fit together.
func leaf(t *testing.T, p pki.Pair) *x509.Certificate {
	t.Helper()
	c, err := tls.LoadX509KeyPair(p.Cert, p.Key)
	if err != nil {
		t.Fatalf("load %s: %v", p.Cert, err)
	}
	return c.Leaf
}

// contents reads every file of dir.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	m := make(map[string]string)
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		m[e.Name()] = string(b)
	}
	return m
}

func TestOpeningAgainGivesTheSameCertificates(t *testing.T) {
	dir := t.TempDir()
	issue(t, open(t, dir))
	want := contents(t, dir)
	if len(want) != 6 {
		t.Fatalf("%d files; want a certificate and a key each for authority, server and box", len(want))
	}
	issue(t, open(t, dir))
	got := contents(t, dir)
	for name, w := range want {
		if got[name] != w {
			t.Errorf("%s changed", name)
		}
	}
}

func TestWhatIsOfNoMoreUseIsReplaced(t *testing.T) {
	for _, tt := range []struct {
		name string
		harm func(t *testing.T, dir string)
		// stays names a file that must be left as it was.
		stays string
	}{
		{name: "box certificate torn", stays: "server.pem", harm: func(t *testing.T, dir string) {
			t.Helper()
			if err := os.Truncate(filepath.Join(dir, "box-box1.pem"), 100); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "box key gone", stays: "ca.pem", harm: func(t *testing.T, dir string) {
			t.Helper()
			if err := os.Remove(filepath.Join(dir, "box-box1-key.pem")); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "authority gone", harm: func(t *testing.T, dir string) {
			t.Helper()
			if err := os.Remove(filepath.Join(dir, "ca.pem")); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "a leaf where the authority should be", harm: func(t *testing.T, dir string) {
			t.Helper()
			for _, suffix := range []string{".pem", "-key.pem"} {
				if err := os.Rename(filepath.Join(dir, "server"+suffix), filepath.Join(dir, "ca"+suffix)); err != nil {
					t.Fatal(err)
				}
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			issue(t, open(t, dir))
			before := contents(t, dir)
			tt.harm(t, dir)
			a := open(t, dir)
			server, box := issue(t, a)
			for _, p := range []pki.Pair{server, box} {
				_, err := leaf(t, p).Verify(x509.VerifyOptions{
					Roots: a.Pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
				})
				if err != nil {
					t.Errorf("%s: %v", p.Cert, err)
				}
			}
			if tt.stays != "" && contents(t, dir)[tt.stays] != before[tt.stays] {
				t.Errorf("%s changed without need", tt.stays)
			}
		})
	}
}

func TestExpiringCertificateIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		_, box := issue(t, open(t, dir))
		first := leaf(t, box)
		<-time.After(time.Until(first.NotAfter) - time.Hour)
		_, box = issue(t, open(t, dir))
		second := leaf(t, box)
		if !second.NotAfter.After(first.NotAfter) {
			t.Errorf("an hour before its end the certificate ends %v; want later than %v", second.NotAfter, first.NotAfter)
		}
	})
}

func TestServerFollowsItsHosts(t *testing.T) {
	a := open(t, t.TempDir())
	if _, err := a.Server("127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	p, err := a.Server("broker.example")
	if err != nil {
		t.Fatal(err)
	}
	if err := leaf(t, p).VerifyHostname("broker.example"); err != nil {
		t.Error(err)
	}
}

func TestLeafIsOfOneUseAndCannotSign(t *testing.T) {
	a := open(t, t.TempDir())
	server, box := issue(t, a)
	for _, tt := range []struct {
		name  string
		pair  pki.Pair
		usage x509.ExtKeyUsage
		ok    bool
	}{
		{"box as box", box, x509.ExtKeyUsageClientAuth, true},
		{"box as server", box, x509.ExtKeyUsageServerAuth, false},
		{"server as server", server, x509.ExtKeyUsageServerAuth, true},
		{"server as box", server, x509.ExtKeyUsageClientAuth, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := leaf(t, tt.pair)
			_, err := c.Verify(x509.VerifyOptions{Roots: a.Pool(), KeyUsages: []x509.ExtKeyUsage{tt.usage}})
			if (err == nil) != tt.ok {
				t.Errorf("Verify = %v; want success %v", err, tt.ok)
			}
			if c.IsCA || c.KeyUsage&x509.KeyUsageCertSign != 0 {
				t.Errorf("the leaf may sign certificates")
			}
			key, ok := c.PublicKey.(*ecdsa.PublicKey)
			if !ok || key.Curve != elliptic.P256() {
				t.Errorf("key is %T; want ECDSA on P-256", c.PublicKey)
			}
		})
	}
}

func TestLeafSignsAnySubjectInMemory(t *testing.T) {
	dir := t.TempDir()
	a := open(t, dir)
	before := len(contents(t, dir))
	c, err := a.Leaf(&x509.Certificate{Subject: pkix.Name{CommonName: "*"}})
	if err != nil {
		t.Fatal(err)
	}
	if c.Leaf.Subject.CommonName != "*" {
		t.Errorf("common name %q; want %q", c.Leaf.Subject.CommonName, "*")
	}
	if after := len(contents(t, dir)); after != before {
		t.Errorf("%d files after, %d before; want none written", after, before)
	}
}

func TestKeysAreForTheOwnerOnly(t *testing.T) {
	dir := t.TempDir()
	issue(t, open(t, dir))
	for name := range contents(t, dir) {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "-key.pem") && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v; want 0600", name, info.Mode())
		}
	}
}

func TestBoxIdentityMeansNothingElsewhere(t *testing.T) {
	for id, want := range map[string]bool{
		"box1":                  true,
		"7c3f-Aa_9":             true,
		strings.Repeat("x", 64): true,
		strings.Repeat("x", 65): false,
		"":                      false,
		"a.b":                   false,
		"*":                     false,
		">":                     false,
		"a/b":                   false,
		"+":                     false,
		"#":                     false,
		"..":                    false,
		"a b":                   false,
		"é":                     false,
		"$SYS":                  false,
	} {
		if got := pki.ValidBox(id); got != want {
			t.Errorf("ValidBox(%q) = %v; want %v", id, got, want)
		}
		_, err := open(t, t.TempDir()).Box(id)
		if (err == nil) != want {
			t.Errorf("Box(%q): %v; want success %v", id, err, want)
		}
	}
}
