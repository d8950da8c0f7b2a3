package main

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// agentRun runs the program with these arguments.
func agentRun(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), env{&out, &errs}, args)
	return code, out.String(), errs.String()
}

// writeConfig writes a configuration with these lines added to the least that
// is good.
func writeConfig(t *testing.T, more string) string {
	t.Helper()
	dir := t.TempDir()
	name := filepath.Join(dir, "agent.toml")
	text := `
[box]
state_dir = "` + dir + `"
run_dir = "` + dir + `"
[uplink]
broker = "tls://cem.example:8883"
ca_file = "ca.pem"
cert_file = "box.pem"
key_file = "box.key"
` + more
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestCommandLine(t *testing.T) {
	good := writeConfig(t, "")
	bad := writeConfig(t, "windwo = 3\n[sampling]\nwindow = \"1ms\"\n")
	for _, tt := range []struct {
		name           string
		args           []string
		code           int
		stdout, stderr string // parts
	}{
		{"nothing asked", nil, exitUsage, "", "Commands:"},
		{"help", []string{"help"}, exitOK, "check-config", ""},
		{"help of a command", []string{"status", "--help"}, exitOK, "", "Ask the running agent"},
		{"unknown command", []string{"dance"}, exitUsage, "", `unknown command "dance"`},
		{"unknown flag", []string{"version", "--loud"}, exitUsage, "", "-loud"},
		{"argument too many", []string{"version", "please"}, exitUsage, "", `unexpected argument "please"`},
		{"version", []string{"version"}, exitOK, "livebox-agent " + version, ""},
		{"catalogue", []string{"catalogue"}, exitOK, "DeviceInfo.UpTime", ""},
		{"catalogue as markdown", []string{"catalogue", "--markdown"}, exitOK, "| 1 | `DeviceInfo.UpTime`", ""},
		{"files that are missing are no good", []string{"check-config", "--config", good}, exitOK, " has no error, but its broker may not be reached", ""},
		{"good configuration", []string{"check-config", "--config", good}, exitOK, "consent essential", ""},
		{"files that are missing are said", []string{"check-config", "--config", good}, exitOK, "uplink.cert_file", ""},
		{"bad configuration, every key", []string{"check-config", "--config", bad}, exitFailure, "", "uplink.windwo: unknown key"},
		{"bad configuration, every key", []string{"check-config", "--config", bad}, exitFailure, "", "sampling.window"},
		{"unknown keys fail the check", []string{"check-config", "--config", writeConfig(t, "windwo = 3\n")}, exitFailure, "", "uplink.windwo: unknown key"},
		{"and are only said elsewhere", []string{"sample", "--config", writeConfig(t, "windwo = 3\n")}, exitOK, "DeviceInfo.UpTime", "uplink.windwo: unknown key"},
		{"run with a bad configuration", []string{"run", "--config", bad}, exitFailure, "", "sampling.window"},
		{"no configuration", []string{"check-config", "--config", "/nonexistent"}, exitFailure, "", "no such file"},
		{"status of no agent", []string{"status", "--config", good}, exitFailure, "", "is the agent running"},
		{"buffer that was never there", []string{"buffer", "--config", good}, exitFailure, "", "no report was ever stored"},
		{"sample with a purpose that is none", []string{"sample", "--grant", "spying"}, exitFailure, "", `"spying"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := agentRun(t, tt.args...)
			if code != tt.code || !strings.Contains(stdout, tt.stdout) || !strings.Contains(stderr, tt.stderr) {
				t.Errorf("livebox-agent %q = %d; want %d\nstdout (want %q): %s\nstderr (want %q): %s",
					tt.args, code, tt.code, tt.stdout, stdout, tt.stderr, stderr)
			}
		})
	}
}

// writePair writes a certificate of that name, its own authority, and its key.
func writePair(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	certDER, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &secret.PublicKey, secret)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: certDER}, key: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestCheckConfigReadsTheCertificates(t *testing.T) {
	dir := t.TempDir()
	cert, key := writePair(t, dir, "box1")
	_, foreign := writePair(t, dir, "box2")
	for _, tt := range []struct{ name, id, key, want string }{
		{"good", "box1", key, ""},
		{"named by the certificate", "", key, ""},
		{"key of another", "box1", foreign, "note: uplink.cert_file " + cert + " with key_file " + foreign + ": tls: "},
		{"certificate of another", "box3", key, `note: uplink.cert_file ` + cert + `: common name "box1" is not the name of the box, "box3"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := fmt.Sprintf("[box]\nid = %q\n[uplink]\nbroker = \"tls://cem.example:8883\"\nca_file = %q\ncert_file = %q\nkey_file = %q\n", tt.id, cert, cert, tt.key)
			file := filepath.Join(t.TempDir(), "agent.toml")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			code, stdout, stderr := agentRun(t, "check-config", "--config", file)
			notes := strings.Count(stdout, "note: ")
			if good := tt.want == ""; code != exitOK || strings.Contains(stdout, "is good") != good || good != (notes == 0) || notes > 1 || !strings.Contains(stdout, tt.want) {
				t.Errorf("check-config = %d, want %q in\n%s%s", code, tt.want, stdout, stderr)
			}
		})
	}
}

func TestCatalogueJSONIsLoaded(t *testing.T) {
	_, stdout, _ := agentRun(t, "catalogue", "--json")
	var got struct{ Metrics []struct{ Name string } }
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || len(got.Metrics) == 0 {
		t.Errorf("catalogue --json: %d metrics, %v", len(got.Metrics), err)
	}
}

func TestSampleSaysWhatThisBoxGivesAndWhyNot(t *testing.T) {
	_, stdout, stderr := agentRun(t, "sample", "--json", "--config", writeConfig(t, ""))
	var got []jsonOutcome
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%v in %s%s", err, stdout, stderr)
	}
	states := map[string]jsonOutcome{}
	for _, o := range got {
		states[o.Source] = o
		if o.State != "working" && o.Reason == "" && o.State != "not_granted" {
			t.Errorf("%s is %s without a reason", o.Source, o.State)
		}
	}
	if o := states["system"]; o.State != "working" || len(o.Readings) == 0 {
		t.Errorf("system = %+v", o)
	}
	if o := states["stations"]; o.State != "not_granted" || len(o.Readings) != 0 {
		t.Errorf("stations without consent = %+v", o)
	}
	code, stdout, stderr := agentRun(t, "sample", "--grant", "all")
	if code != exitOK || !strings.Contains(stdout, "DeviceInfo.UpTime") || strings.Contains(stdout, "not_granted") {
		t.Errorf("sample --grant all = %d: %s%s", code, stdout, stderr)
	}
}

func TestRecordSaysWhatTheAgentAnswers(t *testing.T) {
	config := writeConfig(t, "")
	l, err := net.Listen("unix", filepath.Join(filepath.Dir(config), "agent.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, tt := range []struct {
		answer         string
		code           int
		stdout, stderr string
	}{
		{`{"sequence":7,"sections":3,"bytes":1200}`, exitOK, "event 7 has 3 sections of readings, 1200 B", ""},
		{`{"sequence":0}`, exitFailure, "", "the event was not kept"},
		{`{"again_seconds":5400}`, exitFailure, "", "ask again in 1h30m0s\n"},
		{`what?`, exitFailure, "", "is the agent running"},
	} {
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			if _, err := bufio.NewReader(c).ReadString('\n'); err == nil {
				fmt.Fprintln(c, tt.answer)
			}
		}()
		code, stdout, stderr := agentRun(t, "record", "--config", config)
		if code != tt.code || !strings.Contains(stdout, tt.stdout) || !strings.Contains(stderr, tt.stderr) {
			t.Errorf("%s: exit status %d, %q, %q", tt.answer, code, stdout, stderr)
		}
	}
}

func TestHelpListsEveryCommand(t *testing.T) {
	_, stdout, _ := agentRun(t, "help")
	for _, c := range commands() {
		if !strings.Contains(stdout, c.name) || c.about == "" || c.long == "" {
			t.Errorf("command %s is not explained", c.name)
		}
		if code, _, stderr := agentRun(t, c.name, "--help"); code != exitOK || !strings.Contains(stderr, c.long) {
			t.Errorf("%s --help = %d: %s", c.name, code, stderr)
		}
	}
}
