package process

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"livebox-agent/agent"
	"livebox-agent/agent/config"
	"livebox-agent/testbench/pki"
)

func TestConfigurationIsWhatTheAgentReads(t *testing.T) {
	c := Config{
		Dir: filepath.Join(t.TempDir(), `a "box"`), Broker: "tls://127.0.0.1:8883", CAFile: "ca.pem",
		Box: pki.Pair{Cert: "c.pem", Key: "k.pem"}, Window: 5 * time.Second, SpillAfter: 3 * time.Second, Every: time.Second,
		Set: map[string]string{"uplink.backoff_max": `"2s"`, "consent.policy_version": "7"},
	}
	if err := c.Write(); err != nil {
		t.Fatal(err)
	}
	got, err := config.Load(c.File(), agent.SourceNames())
	if err != nil {
		t.Fatal(err)
	}
	if got.Box.RunDir != c.RunDir() || got.Uplink.Broker != c.Broker || got.Uplink.KeyFile != "k.pem" {
		t.Errorf("box %+v, uplink %+v; want those of %+v", got.Box, got.Uplink, c)
	}
	if got.Sampling.Window != c.Window || got.Buffer.SpillAfter != c.SpillAfter || got.Interval("system") != c.Every {
		t.Errorf("sampling %+v, spill after %v; want those of %+v", got.Sampling, got.Buffer.SpillAfter, c)
	}
	if got.Uplink.BackoffMax != 2*time.Second || got.Consent.PolicyVersion != 7 {
		t.Errorf("backoff_max %v, policy_version %d; want what Set says", got.Uplink.BackoffMax, got.Consent.PolicyVersion)
	}
}

// script writes a program that stands in for the agent.
func script(t *testing.T, text string) Config {
	t.Helper()
	dir := t.TempDir()
	name := filepath.Join(dir, "program")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return Config{Binary: name, Dir: dir, Broker: "tls://127.0.0.1:8883", Log: &bytes.Buffer{}}
}

func start(t *testing.T, c Config) *Process {
	t.Helper()
	p, err := Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// ready waits until the program has made the file "ready" in its directory.
func ready(t *testing.T, c Config) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(filepath.Join(c.Dir, "ready")); err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("program does not run")
		}
	}
}

func TestTerminate(t *testing.T) {
	for _, tt := range []struct {
		name, text, want string
		within           time.Duration
	}{
		{"ends cleanly", `trap 'exit 0' TERM; touch "${3%/*}/ready"; while :; do sleep 0.01; done`, "", 20 * time.Second},
		{"ends badly", `trap 'exit 4' TERM; touch "${3%/*}/ready"; while :; do sleep 0.01; done`, "exit status 4", 20 * time.Second},
		{"does not end", `trap '' TERM; touch "${3%/*}/ready"; while :; do sleep 0.01; done`, "did not end within", 100 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := script(t, tt.text)
			p := start(t, c)
			ready(t, c)
			err := p.Terminate(tt.within)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Terminate = %v; want %q", err, tt.want)
			}
			select {
			case <-p.Done():
			default:
				t.Error("the process still runs")
			}
		})
	}
}

func TestProcessThatEndedIsNoErrorToEnd(t *testing.T) {
	p := start(t, script(t, "exit 0"))
	<-p.Done()
	if err := p.Terminate(time.Second); err != nil {
		t.Errorf("Terminate = %v", err)
	}
}

func TestAskWithoutAgent(t *testing.T) {
	p := start(t, script(t, "exit 0"))
	<-p.Done()
	if _, err := p.Ask(t.Context()); err == nil {
		t.Error("Ask = nil error of an agent that does not run")
	}
}

func TestLogIsPassedOn(t *testing.T) {
	c := script(t, "echo out; echo err >&2; exit 5")
	p := start(t, c)
	<-p.Done()
	if p.Err() == nil || !strings.Contains(p.Err().Error(), "5") {
		t.Errorf("Err = %v; want exit status 5", p.Err())
	}
	if log, ok := c.Log.(*bytes.Buffer); !ok || log.String() != "out\nerr\n" {
		t.Errorf("log %q; want both outputs", log)
	}
}
