package e2e

import (
	"slices"
	"testing"

	"livebox-agent/agent"
	"livebox-agent/testbench/cem"
	"livebox-agent/testbench/telemetrypb"
	"livebox-agent/uplink/wire"
)

// A line fails, and the box's modem carries what there is: events come, windows
// wait, the box and the CEM say so; then the line is back.
func TestOnBackupOnlyEventsAreSent(t *testing.T) {
	t.Parallel()
	for _, model := range []string{"livebox7", "openwrt"} {
		t.Run(model, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			home := b.on(t, model)
			b.operatorUp(t)
			p := b.agentUp(t)
			b.await(t, "windows", windows(2))

			home.Backup(true)
			home.WAN(false)
			b.ask(t, p, "word of the backup", func(s agent.Snapshot) bool {
				_, said := unwell(s, wire.HealthMetered)
				return s.Metered && said
			})
			b.await(t, "word of the backup", func(s cem.BoxState) bool { return says(s, wire.HealthMetered) })
			// What was on its way comes before an event that is made now.
			before := b.record(t)
			s := b.await(t, "event", func(s cem.BoxState) bool { return s.Runs[0].Events.Contiguous() >= before })
			had := s.Runs[0].Windows.Contiguous()
			now := b.ask(t, p, "windows that wait", func(s agent.Snapshot) bool { return s.Counters.BufferedReports >= 5 })
			event := b.record(t)
			s = b.await(t, "event", func(s cem.BoxState) bool { return s.Runs[0].Events.Contiguous() >= event })
			if have := s.Runs[0].Windows.Contiguous(); have != had {
				t.Errorf("the CEM has %d windows, %d while the line was up", have, had)
			}

			home.WAN(true)
			b.await(t, "the windows that waited", func(s cem.BoxState) bool {
				return s.Missing() == 0 && s.Runs[0].Windows.Contiguous() >= had+5 && !says(s, wire.HealthMetered)
			})
			if err := p.Terminate(patience); err != nil {
				t.Fatal(err)
			}
			once(t, b.await(t, "clean stop", func(s cem.BoxState) bool { return s.Status.GetCleanStop() }))
			if now.Counters.Lost > 0 {
				t.Errorf("%d reports lost", now.Counters.Lost)
			}
		})
	}
}

// record has the agent make an event, and returns its number.
func (b *bench) record(t *testing.T) uint64 {
	t.Helper()
	r, err := agent.Record(t.Context(), b.agent.RunDir(), "a test")
	if err != nil {
		t.Fatal(err)
	}
	return r.Sequence
}

// says tells whether the box's status has a health state.
func says(s cem.BoxState, code string) bool {
	return slices.ContainsFunc(s.Status.GetHealth(), func(h *telemetrypb.Health) bool { return h.GetCode() == code })
}
