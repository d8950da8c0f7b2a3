package netfault

import (
	"context"
	"strings"
	"testing"
	"time"

	"livebox-agent/buffer"
	"livebox-agent/testbench/cem"
	"livebox-agent/testbench/lab"
	"livebox-agent/uplink"
	"livebox-agent/uplink/wire"
)

// newLab starts an operator's side in a directory of its own.
func newLab(t *testing.T) (string, *lab.Lab) {
	t.Helper()
	dir := t.TempDir()
	l, err := lab.Start(lab.Config{Dir: dir, AckEvery: ackEvery})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Stop(); err != nil {
			t.Error(err)
		}
	})
	return dir, l
}

// waiting makes the trials of this test wait for a part of their patience.
func waiting(t *testing.T, part int) {
	t.Helper()
	old := patience
	patience = old / time.Duration(part)
	t.Cleanup(func() { patience = old })
}

// An agent that believes a PUBACK loses what a broker that lies drops: the
// counting must say so, or it could say nothing.
func TestAgentThatBelievesThePubackIsSeenToLose(t *testing.T) {
	dir, l := newLab(t)
	f := pretends("broker acks and loses", "/telemetry", 5)
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	strike := f.strike
	f.strike = func(t *trial) (func() error, error) {
		t.config.Uplink.Acknowledgement = uplink.AckBroker
		mend, err := strike(t)
		return func() error {
			go func() {
				// When the box believes that all is there, no more will come.
				_ = until(ctx, func() bool {
					s, _ := l.CEM.Box(t.box)
					return t.c.Left() == 0 && stored(s) == 17
				})
				giveUp()
			}()
			return mend()
		}, err
	}
	f.struck = func(t *trial) bool { return t.proxy.Counts().Struck == 5 }
	row, err := try(ctx, Options{Dir: dir, Trials: 1}, l, f, 0)
	if row.Lost != 5 || err == nil || !strings.Contains(err.Error(), "5 of 22 reports lost") {
		t.Errorf("%+v, %v; want 5 of 22 reports lost", row, err)
	}
}

// A fault that does not strike is an error.
func TestFaultThatDoesNotStrikeIsAnError(t *testing.T) {
	dir, l := newLab(t)
	waiting(t, 45)
	f := fault{"nothing", func(*trial) (func() error, error) { return func() error { return nil }, nil }, failure(uplink.ClassDial)}
	if _, err := try(t.Context(), Options{Dir: dir, Trials: 1}, l, f, 0); err == nil || !strings.Contains(err.Error(), "did not strike") {
		t.Errorf("%v; want it said that the fault did not strike", err)
	}
}

func TestAccountOfWhatNeitherHas(t *testing.T) {
	s := cem.BoxState{Runs: []cem.RunState{{
		ID:      7,
		Windows: cem.LaneState{Ranges: []wire.Range{{First: 1, Last: 4}, {First: 7, Last: 8}}},
		Events:  cem.LaneState{Ranges: []wire.Range{{First: 1, Last: 1}}},
	}}}
	held := buffer.Contents{Runs: []buffer.RunSummary{
		{Run: buffer.Run{ID: 7}, Lane: buffer.Windows, First: 8, Last: 9},
		{Run: buffer.Run{ID: 7}, Lane: buffer.Events, First: 3, Last: 3},
		{Run: buffer.Run{ID: 8}, Lane: buffer.Windows, First: 5, Last: 6},
	}}
	if made, lost := account(s, held); made != 12 || lost != 3 {
		t.Errorf("account = %d, %d; want 12 made, of which windows 5 and 6 and event 2 are lost", made, lost)
	}
}
