package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"livebox-agent/agent"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/probe/stamptest"
	"livebox-agent/collector/sample"
	"livebox-agent/testbench/cem"
	"livebox-agent/testbench/island"
	"livebox-agent/uplink/wire"
)

// reflect has the agent probe a reflector on the loopback, and returns it and
// what ends it.
func (b *bench) reflect(t *testing.T, path stamptest.Path) (r *stamptest.Reflector, stop func()) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r = stamptest.New(path)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Serve(ctx, conn) }()
	stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("reflector: %v", err)
		}
		ended <- nil
	}
	t.Cleanup(stop)
	for key, value := range map[string]string{
		"reflector": fmt.Sprintf("%q", conn.LocalAddr()), "spacing": `"10ms"`, "wait": `"2s"`, "icmp_fallback": "false",
		// Nobody knows what else this machine does, where there is no island.
		"busy_down": "100000000", "busy_up": "100000000",
	} {
		b.agent.Set["probe."+key] = value
	}
	return r, stop
}

// probed returns the latest values of the probes by STAMP.
func probed(s cem.BoxState) map[catalogue.ID]int64 { return probedBy(s, "stamp") }

func probedBy(s cem.BoxState, method string) map[catalogue.ID]int64 {
	all := map[catalogue.ID]int64{}
	for _, v := range s.Values {
		if v.Instance == method && v.Metric >= catalogue.ProbeRTT && v.Metric <= catalogue.ProbeSkipped {
			all[v.Metric] = v.Value
		}
	}
	return all
}

// lossOf returns the sign of loss that the CEM was told of.
func lossOf(s cem.BoxState) (sample.Sign, bool) {
	for _, e := range events(s, wire.Quality) {
		for _, v := range evidence(e, sample.Degraded) {
			if v.Metric == catalogue.ProbeReceived {
				return v, true
			}
		}
	}
	return sample.Sign{}, false
}

func TestLossIsSeenByProbesAndTold(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const delay = 5 * time.Millisecond
	r, stop := b.reflect(t, func(uint32) []time.Duration { return []time.Duration{delay} })
	b.operatorUp(t)
	b.agentUp(t)
	got := probed(b.await(t, "three rounds of probes", func(s cem.BoxState) bool { return probed(s)[catalogue.ProbeReceived] >= 30 }))
	if rtt, least := got[catalogue.ProbeRTT], got[catalogue.ProbeRTTMin]; least < delay.Microseconds() || rtt < least {
		t.Errorf("round trip %d µs, least %d; want %d and more", rtt, least, delay.Microseconds())
	}
	if sent, received := got[catalogue.ProbeSent], got[catalogue.ProbeReceived]; sent != received || int64(r.Received()) < sent {
		t.Errorf("%d sent, %d answered, the reflector had %d", sent, received, r.Received())
	}
	stop()
	s := b.await(t, "an event of the loss", func(s cem.BoxState) bool { _, told := lossOf(s); return told })
	loss, _ := lossOf(s)
	if loss.Instance != "stamp" || loss.Before < 13 || loss.After >= loss.Before {
		t.Errorf("%+v; want 13 probes and more, not all answered", loss)
	}
	s = b.await(t, "the loss in the counters", func(s cem.BoxState) bool {
		return probed(s)[catalogue.ProbeSent] >= probed(s)[catalogue.ProbeReceived]+20
	})
	if received, answered := probed(s)[catalogue.ProbeReceived], int64(r.Received()); received > answered {
		t.Errorf("%d answered; the reflector had %d", received, answered)
	}
	once(t, s)
}

func TestHostOfAReflectorThatIsGoneIsAskedByEcho(t *testing.T) {
	island.Need(t) // the kernel answers echo requests there, and permits them
	t.Parallel()
	b := newBench(t)
	_, stop := b.reflect(t, stamptest.Direct)
	b.agent.Set["probe.icmp_fallback"] = "true"
	stop()
	b.operatorUp(t)
	b.agentUp(t)
	s := b.await(t, "a round of echoes", func(s cem.BoxState) bool { return probedBy(s, "icmp")[catalogue.ProbeReceived] >= 10 })
	got := probed(s)
	if _, measured := got[catalogue.ProbeRTT]; measured || got[catalogue.ProbeSent] < 10 || got[catalogue.ProbeReceived] != 0 {
		t.Errorf("by STAMP %v; want a round without an answer", got)
	}
}

func TestNoProbesWithoutConsentForSupport(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r, _ := b.reflect(t, stamptest.Direct)
	b.agent.Set["consent.purposes"] = `["essential", "personalised", "mobile"]`
	b.operatorUp(t)
	b.agentUp(t)
	s := b.await(t, "four windows", windows(4))
	if len(probed(s))+len(probedBy(s, "icmp")) != 0 || r.Received() != 0 {
		t.Errorf("readings %v, %d packets; want none", probed(s), r.Received())
	}
}

func TestSampleOnceProbes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r, stop := b.reflect(t, stamptest.Direct)
	sampled := func() string {
		t.Helper()
		if err := b.agent.Write(); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), b.agent.Binary, "sample", "--grant", "support", "--config", b.agent.File()).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	if out := sampled(); !strings.Contains(out, "Probe.{i}.RoundTripTime") || r.Received() != 10 {
		t.Errorf("%d packets:\n%s", r.Received(), out)
	}
	stop()
	b.agent.Set["probe.reflector"] = `""`
	if out := sampled(); !strings.Contains(out, "no reflector is configured") || strings.Contains(out, "Probe.{i}") || r.Received() != 10 {
		t.Errorf("without a reflector, %d packets:\n%s", r.Received(), out)
	}
}

// A download, as the kernel counts it on the interface that the default route
// leads to, keeps the probes back, and its end lets them go on.
func TestNoProbesWhileTheLineIsBusy(t *testing.T) {
	island.Need(t)
	b := newBench(t)
	port := island.AddPort(t, "line0")
	port.Lead(t)
	r, _ := b.reflect(t, stamptest.Direct)
	b.agent.Set["probe.busy_down"] = "200"
	ctx, cancel := context.WithCancel(t.Context())
	idle := port.Receive(ctx, t, bytes.Repeat([]byte{0xff}, 1500), time.Millisecond) // 12 Mbit/s, or a part of it where the machine is busy
	defer func() { cancel(); <-idle }()
	b.operatorUp(t)
	p := b.agentUp(t)
	got := probed(b.await(t, "two rounds left out", func(s cem.BoxState) bool { return probed(s)[catalogue.ProbeSkipped] >= 2 }))
	if got[catalogue.ProbeSent] != 0 || r.Received() != 0 {
		t.Errorf("%v, the reflector had %d; want none", got, r.Received())
	}
	cancel()
	<-idle
	b.await(t, "probes", func(s cem.BoxState) bool { return probed(s)[catalogue.ProbeReceived] >= 10 })
	b.ask(t, p, "source that works", func(s agent.Snapshot) bool { return r.Received() >= 10 })
}
