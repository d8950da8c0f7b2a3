package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"livebox-agent/agent"
	"livebox-agent/testbench/cem"
	"livebox-agent/uplink/wire"
)

// samples returns a condition: that many readings were taken.
func samples(n uint64) func(agent.Snapshot) bool {
	return func(s agent.Snapshot) bool { return s.Counters.Readings >= n }
}

func TestCorruptStoreIsSetAside(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	state := filepath.Join(b.agent.Dir, "state")
	if err := os.MkdirAll(state, 0o700); err != nil {
		t.Fatal(err)
	}
	garbage := strings.Repeat("this is no store of reports. ", 1000)
	if err := os.WriteFile(filepath.Join(state, "reports.db"), []byte(garbage), 0o600); err != nil {
		t.Fatal(err)
	}
	b.operatorUp(t)
	p := b.agentUp(t)
	s := b.await(t, "event of the store", func(s cem.BoxState) bool {
		return s.Readings > 0 && hasEvent(s, func(e cem.Event) bool { return e.Type == wire.StoreReset })
	})
	once(t, s)
	a := b.ask(t, p, "samples", samples(1))
	if _, found := unwell(a, wire.HealthStoreReset); !found {
		t.Errorf("health %+v; want %s", a.Health, wire.HealthStoreReset)
	}
	b.log.says(t, "state=reset", "set_aside=")
	kept, err := filepath.Glob(filepath.Join(state, "*"))
	if err != nil {
		t.Fatal(err)
	}
	aside := false
	for _, name := range kept {
		text, err := os.ReadFile(name)
		aside = aside || err == nil && strings.Contains(string(text), "this is no store of reports")
	}
	if !aside {
		t.Errorf("files %v; want the damaged one set aside for study", kept)
	}
}

func TestUnusableStateDirectoryLeavesMemory(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if err := os.MkdirAll(b.agent.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	// A path below a file: the superuser may write everywhere else.
	file := filepath.Join(b.agent.Dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.agent.Set["box.state_dir"] = `"` + file + `/state"`
	b.operatorUp(t)
	p := b.agentUp(t)
	s := b.await(t, "windows and the event of the store", func(s cem.BoxState) bool {
		return windows(2)(s) && hasEvent(s, func(e cem.Event) bool { return e.Type == wire.StoreUnavailable })
	})
	once(t, s)
	a := b.ask(t, p, "acknowledgement", func(s agent.Snapshot) bool { return s.Counters.Acknowledged > 0 })
	if detail, found := unwell(a, wire.HealthStoreUnavailable); !found || detail == "" {
		t.Errorf("health %+v; want %s with its reason", a.Health, wire.HealthStoreUnavailable)
	}
	if a.Counters.BufferedFlashBytes != 0 {
		t.Errorf("%d bytes on flash; want none", a.Counters.BufferedFlashBytes)
	}
	b.log.says(t, "state directory", file)
}

func TestUnreadableCertificateStopsNoSampling(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	missing := filepath.Join(b.agent.Dir, "nowhere.pem")
	b.agent.Set["uplink.cert_file"] = `"` + missing + `"`
	b.operatorUp(t)
	p := b.agentUp(t)
	a := b.ask(t, p, "samples in the buffer", func(s agent.Snapshot) bool {
		return s.Counters.Readings > 0 && s.Counters.BufferedReports >= 3
	})
	if detail, found := unwell(a, wire.HealthUplinkDown); !found || !strings.Contains(detail, missing) {
		t.Errorf("health %+v; want %s that names the file", a.Health, wire.HealthUplinkDown)
	}
	b.log.says(t, missing)
	if s, ok := b.lab.CEM.Box(box); ok {
		t.Errorf("CEM has %s; want nothing without a certificate", describe(s))
	}
	if err := p.Terminate(patience); err != nil {
		t.Error(err)
	}
}

func TestUnreachableBrokerAtStartStopsNoSampling(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := b.agentUp(t)
	a := b.ask(t, p, "samples in the buffer", func(s agent.Snapshot) bool {
		return s.Counters.Readings > 0 && s.Counters.BufferedReports >= 3
	})
	if a.Connected {
		t.Error("the agent says that it is connected")
	}
	b.log.says(t, "refused", b.listen)
	b.operatorUp(t)
	s := b.await(t, "everything from the start", func(s cem.BoxState) bool {
		return s.Reports >= a.Counters.Reports && s.Missing() == 0
	})
	once(t, s)
}

func TestEveryUnknownKeyIsNamedAndStopsNoSampling(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.agent.Set["box.colour"] = `"red"`
	b.agent.Set["uplink.brokre"] = `"tls://127.0.0.1:1"`
	b.agent.Set["sampling.intervals.bogus"] = `"1s"`
	p := b.agentUp(t)
	a := b.ask(t, p, "samples in spite of them", func(s agent.Snapshot) bool { return s.Counters.Readings > 0 })
	if !slices.ContainsFunc(a.Health, func(h agent.SnapshotHealth) bool { return h.Code == wire.HealthConfiguration }) {
		t.Errorf("health %+v does not tell of the unknown keys", a.Health)
	}
	for _, key := range []string{"box.colour", "uplink.brokre", "sampling.intervals.bogus"} {
		b.log.says(t, key)
	}
}
