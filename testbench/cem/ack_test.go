package cem

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"livebox-agent/uplink/wire"
)

// An acked is an acknowledgement as it was published.
type acked struct {
	at  time.Duration // since the CEM began
	ack wire.Ack
}

// acknowledging runs the acknowledging half of a CEM in a bubble; get returns
// what was published so far.
func acknowledging(t *testing.T, every time.Duration) (c *CEM, get func() []acked) {
	t.Helper()
	began := time.Now()
	c = New(Options{AckEvery: every})
	var mu sync.Mutex // guards all
	var all []acked
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	go func() {
		err := c.acknowledge(ctx, func(subject string, payload []byte) error {
			a, err := wire.ParseAck(payload)
			if err != nil || subject != "cem.v1.box1.ack" {
				t.Errorf("published %x on %s: %v; want an acknowledgement for box1", payload, subject, err)
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, acked{time.Since(began), a})
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}()
	return c, func() []acked {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

// take hands the CEM a window of box1.
func take(c *CEM, seq uint64) {
	c.takeReport(message{subject: "cem.v1.box1.telemetry", sequence: seq, payload: encode(window(run1, seq))})
}

// online is the status that begins a connection of box1.
var online = message{subject: "cem.v1.box1.status", payload: wire.AppendStatus(nil, wire.Status{
	Box: "box1", Online: true, Run: run1,
})}

func TestNothingIsAcknowledgedBeforeTheStateIsWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, get := acknowledging(t, time.Second)
		take(c, 1)
		<-time.After(time.Hour)
		if got := get(); len(got) != 0 {
			t.Fatalf("%v while the streams were still being read", got)
		}
		take(c, 2)
		close(c.caughtUp)
		<-time.After(2 * time.Second)
		if got := get(); len(got) != 1 || got[0].ack.Lanes[0].Contiguous != 2 {
			t.Errorf("%v; want one acknowledgement of both windows", got)
		}
	})
}

// The streams of reports and of statuses are read side by side.
func TestReportThatOvertookItsStatusIsTheFirstOfTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, get := acknowledging(t, time.Hour)
		close(c.caughtUp)
		take(c, 1)
		c.takeStatus(online)
		for seq := uint64(2); seq <= 3; seq++ {
			<-time.After(2 * soon)
			if got := get(); len(got) != 1 || got[0].ack.Lanes[0].Contiguous != 1 {
				t.Fatalf("%v; want the first report acknowledged soon, and no other", got)
			}
			take(c, seq)
		}
	})
}

func TestAcknowledgementsAreBatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, get := acknowledging(t, time.Minute)
		close(c.caughtUp)
		c.takeStatus(online)
		const phase = look / 2 // never at the same instant as a look
		<-time.After(phase)
		for seq := range uint64(600) {
			take(c, seq+1) // one a second for ten minutes
			if seq == 300 {
				c.takeStatus(online) // said again, on the same connection
			}
			<-time.After(time.Second)
		}
		got := get()
		if len(got) < 9 || len(got) > 11 {
			t.Fatalf("%d acknowledgements in ten minutes; want one a minute", len(got))
		}
		if got[0].at > 2*soon {
			t.Errorf("first after %v; want it soon after the connection", got[0].at)
		}
		for i, a := range got[1:] {
			if wait := a.at - got[i].at; wait < time.Minute {
				t.Errorf("%v between acknowledgements; want at least a minute", wait)
			}
		}
		for _, a := range got {
			want := []wire.LaneAck{{RunID: run1.ID, Lane: wire.Windows, Contiguous: uint64((a.at-phase)/time.Second) + 1}}
			if diff := cmp.Diff(want, a.ack.Lanes); diff != "" {
				t.Errorf("acknowledgement after %v: not all that had come (-want +got):\n%s", a.at, diff)
			}
		}
		<-time.After(time.Hour)
		if n := len(get()); n > len(got)+1 {
			t.Errorf("%d more when nothing came; want the last one only", n-len(got))
		}
	})
}

func TestStatusAfterTheFirstReportHastensItsAcknowledgement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, get := acknowledging(t, time.Hour)
		close(c.caughtUp)
		take(c, 1)
		c.takeStatus(message{subject: "cem.v1.box1.status", payload: wire.AppendStatus(nil, wire.Status{
			Box: "box1", Online: true, Run: run1,
		})})
		<-time.After(time.Second)
		if got := get(); len(got) != 1 {
			t.Errorf("%v; want one", got)
		}
	})
}

func TestAcknowledgementNamesOnlyWhatIsNew(t *testing.T) {
	b := newBox("box1")
	run2 := wire.Run{ID: 0xa2, Counter: 2, KernelBoot: 7}
	send(b, window(run1, 1), window(run2, 1), eventReport(run2, 1, wire.Event{Type: wire.StoreReset}))
	if n := len(b.ack().Lanes); n != 3 {
		t.Fatalf("%d lanes; want 3", n)
	}
	send(b, window(run2, 3))
	want := []wire.LaneAck{{RunID: run2.ID, Lane: wire.Windows, Contiguous: 1, Ranges: []wire.Range{{First: 3, Last: 3}}}}
	if diff := cmp.Diff(want, b.ack().Lanes); diff != "" {
		t.Errorf("second acknowledgement (-want +got):\n%s", diff)
	}
	if lanes := b.ack().Lanes; len(lanes) != 0 {
		t.Errorf("third acknowledgement %v; want nothing in it", lanes)
	}
}

// Whatever a box sends, it can read the answer.
func TestAcknowledgementStaysWithinWhatABoxReads(t *testing.T) {
	b := newBox("box1")
	for id := range uint64(maxRuns) {
		run := wire.Run{ID: 1<<63 + id, Counter: uint32(id + 1)}
		for i := range uint64(200) {
			send(b, window(run, 1<<40+2*i))
		}
	}
	payload := wire.AppendAck(nil, b.ack())
	got, err := wire.ParseAck(payload)
	if err != nil {
		t.Fatalf("a box cannot read %d bytes: %v", len(payload), err)
	}
	if len(got.Lanes) != maxRuns {
		t.Errorf("%d lanes; want %d", len(got.Lanes), maxRuns)
	}
}

func TestPublishThatFailsEndsTheCEM(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(Options{AckEvery: time.Second})
		close(c.caughtUp)
		take(c, 1)
		err := c.acknowledge(t.Context(), func(string, []byte) error { return fmt.Errorf("connection closed") })
		if err == nil || !strings.Contains(err.Error(), "publish cem.v1.box1.ack: connection closed") {
			t.Errorf("acknowledge = %v; want why", err)
		}
	})
}

func TestSnapshotIsACopy(t *testing.T) {
	c := New(Options{})
	take(c, 1)
	take(c, 3)
	s, ok := c.Box("box1")
	if !ok {
		t.Fatal("no state")
	}
	before := slices.Clone(s.Runs[0].Windows.Ranges)
	take(c, 2)
	if diff := cmp.Diff(before, s.Runs[0].Windows.Ranges); diff != "" {
		t.Errorf("the snapshot changed (-before +after):\n%s", diff)
	}
}
