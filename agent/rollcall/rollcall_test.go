package rollcall

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

// A box is a box whose sources are asked each ten seconds.
type box struct {
	*Roll
	now   time.Duration
	ports map[string]int64 // Mbit/s; 0: no link; absent: no such interface
	line  int64            // LineStatus; 0: nothing is read
	light int64            // OpticLossOfSignal; -1: nothing is read
}

const start = time.Minute

// boot starts the box with what was kept.
func boot(marks []Mark, unasked bool) *box {
	b := &box{
		Roll: New(func(name string) bool { return name[0] == 'l' }), now: start,
		ports: map[string]int64{"lan1": 1000, "lan2": 100, "lan3": 0, "wlan0": 0, "br0": 1000}, line: lineIsUp, light: -1,
	}
	b.Restore(marks, b.now, unasked)
	return b
}

// pass lets time pass, in which what is due is written, and returns the signs and
// what was last written.
func (b *box) pass(d time.Duration) (signs []sample.Sign, marks []Mark, writes int) {
	for end := b.now + d; b.now < end; b.now += 10 * time.Second {
		r := sample.Batch{At: b.now}
		for _, name := range []string{"br0", "lan1", "lan2", "lan3", "lan4", "wlan0"} {
			mbits, ok := b.ports[name]
			if !ok {
				continue
			}
			r.Add(catalogue.PortStatus, name, 1)
			r.Add(catalogue.PortCarrier, name, min(mbits, 1))
			if mbits > 0 {
				r.Add(catalogue.PortBitRate, name, mbits)
			}
		}
		b.Observe(&r)
		r.Reset(b.now)
		if b.line != 0 {
			r.Add(catalogue.LineStatus, "dsl0", b.line)
		}
		if b.light >= 0 {
			r.Add(catalogue.OpticLossOfSignal, "sfp0", b.light)
		}
		b.Observe(&r)
		signs = append(signs, b.Call(b.now)...)
		if m, due := b.Due(b.now); due {
			b.Kept(m)
			marks = m
			writes++
		}
	}
	return signs, marks, writes
}

// kept is what a box keeps on which all is well.
func kept(t *testing.T, change func(b *box)) []Mark {
	t.Helper()
	b := boot(nil, false)
	if change != nil {
		change(b)
	}
	signs, marks, writes := b.pass(time.Hour)
	if len(signs) > 0 || writes != 1 {
		t.Fatalf("%d writes, signs %v; want one of what settled, and no sign", writes, signs)
	}
	return marks
}

func TestWhatIsKept(t *testing.T) {
	got := kept(t, func(b *box) { b.light = 0 })
	want := []Mark{
		{Metric: catalogue.PortCarrier, Instance: "lan1", Value: 1, Mbits: 1000},
		{Metric: catalogue.PortCarrier, Instance: "lan2", Value: 1, Mbits: 100},
		{Metric: catalogue.LineStatus, Instance: "dsl0", Value: lineIsUp},
		{Metric: catalogue.OpticLossOfSignal, Instance: "sfp0"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("kept %+v\nwant %+v", got, want)
	}
}

func TestWhatHasItsLinkNoMoreIsASign(t *testing.T) {
	light := func(b *box) { b.light = 0 }
	for _, tt := range []struct {
		name   string
		before func(b *box)
		after  func(b *box)
		want   string
	}{
		{"nothing", light, light, ""},
		{"a port", nil, func(b *box) { b.ports["lan1"] = 0 }, "port_dead(lan1) 1000 to 0"},
		{"a port and its interface", nil, func(b *box) { delete(b.ports, "lan2") }, "port_dead(lan2) 100 to 0"},
		{"all interfaces", nil, func(b *box) { b.ports = nil }, ""},
		{"a slower port", nil, func(b *box) { b.ports["lan1"] = 10 }, "port_slower(lan1) 1000 to 10"},
		{"a faster port", nil, func(b *box) { b.ports["lan2"] = 1000 }, ""},
		{"a port of unknown speed", nil, func(b *box) { b.ports["lan1"] = 1 }, "port_slower(lan1) 1000 to 1"},
		{"what had no link before", nil, func(b *box) { b.ports["lan4"] = 0 }, ""},
		{"a bridge", nil, func(b *box) { b.ports["br0"] = 0 }, ""},
		{"the line", nil, func(b *box) { b.line = 4 }, "line_down(dsl0) 1 to 4"},
		{"a line of which nothing is read", nil, func(b *box) { b.line = 0 }, ""},
		{"light", light, func(b *box) { b.light = 1 }, "line_down(sfp0) 0 to 1"},
		{
			"two ports and the line", nil, func(b *box) { b.ports["lan1"], b.ports["lan2"], b.line = 0, 0, 2 },
			"port_dead(lan1) 1000 to 0 port_dead(lan2) 100 to 0 line_down(dsl0) 1 to 2",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := boot(kept(t, tt.before), true)
			tt.after(b)
			signs, _, _ := b.pass(24 * time.Hour)
			var got strings.Builder
			for i, s := range signs {
				if i > 0 {
					got.WriteString(" ")
				}
				fmt.Fprintf(&got, "%v(%s) %d to %d", s.Kind, s.Instance, s.Before, s.After)
				if s.At != start+Patience {
					t.Errorf("told at %v; want %v after the start", s.At, Patience)
				}
			}
			if got.String() != tt.want {
				t.Errorf("told %q; want %q", got.String(), tt.want)
			}
		})
	}
}

func TestRestartThatWasAskedForIsNotCompared(t *testing.T) {
	b := boot(kept(t, nil), false)
	b.ports["lan1"] = 0
	if signs, _, _ := b.pass(time.Hour); len(signs) > 0 {
		t.Errorf("told %+v", signs)
	}
}

func TestWhatComesBackInTimeIsNoSign(t *testing.T) {
	b := boot(kept(t, nil), true)
	b.ports["lan1"], b.line = 0, 2
	b.pass(Patience - 10*time.Second)
	b.ports["lan1"], b.line = 1000, lineIsUp
	if signs, _, _ := b.pass(time.Hour); len(signs) > 0 {
		t.Errorf("told %+v", signs)
	}
}

// What was unplugged an hour before the power failed had no link when that was
// last written; what was unplugged a minute before had.
func TestWhatWasUnpluggedBeforeIsNoSign(t *testing.T) {
	for _, tt := range []struct {
		before time.Duration
		signs  int
	}{{time.Hour, 0}, {Settled + 20*time.Second, 0}, {time.Minute, 1}} {
		marks := kept(t, nil)
		b := boot(marks, false)
		b.pass(2 * time.Hour)
		b.ports["lan1"] = 0
		if _, m, n := b.pass(tt.before); n > 0 {
			marks = m
		}
		b = boot(marks, true)
		b.ports["lan1"] = 0
		if signs, _, _ := b.pass(time.Hour); len(signs) != tt.signs {
			t.Errorf("unplugged %v before: told %+v; want %d", tt.before, signs, tt.signs)
		}
	}
}

func TestNothingIsWrittenBeforeItWasCompared(t *testing.T) {
	marks := kept(t, nil)
	b := boot(marks, true)
	b.ports["lan1"], b.ports["lan3"] = 0, 1000
	if _, _, n := b.pass(Patience); n > 0 {
		t.Error("what was kept is replaced before it was compared")
	}
	// The power fails again: what was kept is as it was.
	b = boot(marks, true)
	b.ports["lan1"] = 0
	signs, after, n := b.pass(time.Hour)
	if len(signs) != 1 || n != 1 || slices.ContainsFunc(after, func(m Mark) bool { return m.Instance == "lan1" }) {
		t.Errorf("told %+v, then kept %+v in %d writes; want lan1 told once, and then known as without a link", signs, after, n)
	}
}

// Links that come and go all day are written some thirty times, however they do.
func TestLinksThatComeAndGoDoNotWearTheFlash(t *testing.T) {
	for _, each := range []time.Duration{20 * time.Second, 6 * time.Minute, 11 * time.Minute, 2 * time.Hour} {
		b := boot(nil, false)
		total := 0
		for range 24 * time.Hour / each {
			for _, p := range []string{"lan1", "lan2", "lan3"} {
				b.ports[p] = 1000 - b.ports[p]
			}
			b.ports["lan2"] = max(b.ports["lan2"], 0)
			_, _, n := b.pass(each)
			total += n
		}
		if most := atOnce + 24; total > most || total == 0 && each > Settled {
			t.Errorf("changes each %v: %d writes in a day; want at most %d", each, total, most)
		}
		if each < Settled && total > 1 {
			t.Errorf("changes each %v, which is never settled: %d writes", each, total)
		}
	}
}

func TestWhatIsGoneIsForgotten(t *testing.T) {
	b := boot(kept(t, nil), false)
	delete(b.ports, "lan2")
	b.line = 0
	_, marks, writes := b.pass(time.Hour)
	if writes != 1 || len(marks) != 2 {
		t.Errorf("kept %+v in %d writes; want lan1 and the line, of which nothing was read for an hour only", marks, writes)
	}
	if _, marks, writes = b.pass(25 * time.Hour); writes != 1 || len(marks) != 1 {
		t.Errorf("kept %+v in %d writes; want lan1 alone", marks, writes)
	}
}

func TestWhatIsKnownIsBounded(t *testing.T) {
	r := New(func(string) bool { return true })
	b := sample.Batch{At: time.Minute}
	var marks []Mark
	for i := range 10 * Limit {
		b.Add(catalogue.PortCarrier, fmt.Sprint("p", i), 1)
		marks = append(marks, Mark{Metric: catalogue.PortCarrier, Instance: fmt.Sprint("q", i), Value: 1})
	}
	r.Observe(&b)
	if len(r.all) != Limit {
		t.Errorf("%d known", len(r.all))
	}
	r = New(func(string) bool { return true })
	r.Restore(marks, 0, true)
	r.Restore([]Mark{{Metric: catalogue.PortErrorsSent, Value: 1}, {Metric: catalogue.LineStatus, Value: 4}}, 0, true)
	if len(r.all) != Limit {
		t.Errorf("%d restored", len(r.all))
	}
}

func TestSteadyReadingsAllocateNothing(t *testing.T) {
	b := boot(nil, false)
	b.pass(time.Hour)
	r := sample.Batch{At: b.now}
	for _, name := range []string{"br0", "lan1", "lan2", "lan3"} {
		r.Add(catalogue.PortCarrier, name, 1)
		r.Add(catalogue.PortBitRate, name, 1000)
	}
	if n := testing.AllocsPerRun(100, func() { b.Observe(&r) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzRoll reads any states at any time: nothing panics, what is kept is of links
// alone, and what is written is within its allowance.
func FuzzRoll(f *testing.F) {
	f.Add([]byte{0, 1, 10, 1, 1, 200, 2, 5, 200, 3, 0, 200, 4, 100, 100})
	f.Fuzz(func(t *testing.T, in []byte) {
		r := New(func(string) bool { return true })
		r.Restore([]Mark{{Metric: catalogue.PortCarrier, Instance: "x", Value: 1, Mbits: 100}}, 0, true)
		ids := []catalogue.ID{catalogue.PortCarrier, catalogue.LineStatus, catalogue.OpticState, catalogue.OpticLossOfSignal, catalogue.PortBitRate}
		now, calls, writes := time.Duration(0), 0, 0
		for ; len(in) >= 3; in = in[3:] {
			now += time.Duration(in[2]) * 10 * time.Second
			b := sample.Batch{At: now}
			b.Add(ids[int(in[0])%len(ids)], string('x'+rune(in[0]%3)), int64(in[1]))
			r.Observe(&b)
			if s := r.Call(now); len(s) > 0 {
				calls++
			}
			marks, due := r.Due(now)
			if due {
				writes++
				r.Kept(marks)
			}
			for _, m := range marks {
				if isUp, known := up(m.Metric, m.Value); !isUp || !known {
					t.Fatalf("kept %+v, which is no link", m)
				}
			}
		}
		if most := atOnce + int(now/every); calls > 1 || writes > most {
			t.Errorf("called %d times, %d writes in %v", calls, writes, now)
		}
	})
}
