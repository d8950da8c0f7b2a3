package window

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"livebox-agent/buffer"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
	"livebox-agent/uplink/wire"
)

type at struct {
	time     time.Duration
	metric   catalogue.ID
	instance string
}

// decode returns the readings of the columns of one purpose.
func decode(t *testing.T, sections []buffer.Section, p catalogue.Purpose) map[at]int64 {
	t.Helper()
	got := map[at]int64{}
	for _, s := range sections {
		if s.Purpose != p || s.Fidelity != buffer.Columns {
			continue
		}
		tables, err := wire.DecodeColumns(s.Body)
		if err != nil {
			t.Fatalf("DecodeColumns: %v", err)
		}
		for _, tab := range tables {
			for _, c := range tab.Columns {
				for i, v := range c.Values {
					if v != wire.Absent {
						got[at{tab.Times[i], c.Metric, c.Instance}] = v
					}
				}
			}
		}
	}
	return got
}

func batch(t time.Duration, readings ...sample.Reading) *sample.Batch {
	return &sample.Batch{At: t, Readings: readings}
}

func TestEveryReadingTakenIsSealed(t *testing.T) {
	var w Window
	rnd := rand.New(rand.NewPCG(1, 2))
	want := map[at]int64{}
	n := 0
	for window := range 3 {
		clear(want)
		for row := range 40 {
			b := batch(time.Duration(window*400+row*10) * time.Second)
			for i := range 5 {
				if rnd.IntN(4) == 0 {
					continue // a station that was away
				}
				// PortStatus and the like are exact on the wire: resolution 1.
				r := sample.Reading{Metric: catalogue.PortErrorsSent, Instance: "eth" + strconv.Itoa(i), Value: int64(window*1000 + row*10 + i)}
				b.Readings = append(b.Readings, r)
				want[at{b.At, r.Metric, r.Instance}] = r.Value
				n++
			}
			w.Add("ports", catalogue.Essential, b)
		}
		got := decode(t, w.Seal(), catalogue.Essential)
		if len(got) != len(want) {
			t.Fatalf("window %d: %d readings; want %d", window, len(got), len(want))
		}
		for k, v := range want {
			if got[k] != v {
				t.Fatalf("window %d: %v = %d; want %d", window, k, got[k], v)
			}
		}
	}
	if w.Dropped() != 0 || n == 0 {
		t.Errorf("dropped %d of %d", w.Dropped(), n)
	}
}

func TestPurposesShareNothing(t *testing.T) {
	var w Window
	w.Add("ports", catalogue.Essential, batch(1, sample.Reading{Metric: catalogue.PortCarrier, Instance: "eth0", Value: 1}))
	w.Add("traffic", catalogue.Support, batch(2, sample.Reading{Metric: catalogue.PortPacketsSent, Instance: "eth0", Value: 7000}))
	w.Add("stations", catalogue.Personalised, batch(3, sample.Reading{Metric: catalogue.StationSignal, Instance: "abcdefghijk", Value: -60}))
	sections := w.Seal()
	if len(sections) != 6 {
		t.Fatalf("%d sections; want columns and summary of three purposes", len(sections))
	}
	for _, p := range []catalogue.Purpose{catalogue.Essential, catalogue.Support, catalogue.Personalised} {
		alone := decode(t, sections, p)
		if len(alone) != 1 {
			t.Errorf("%v alone gives %v; want its one reading", p, alone)
		}
		for k := range alone {
			m, _ := catalogue.Lookup(k.metric)
			if m.Purpose != p {
				t.Errorf("section of %v has %s", p, m.Name)
			}
		}
	}
}

func TestDroppedCountsWhatNoReportHas(t *testing.T) {
	one := sample.Reading{Metric: catalogue.PortCarrier, Instance: "eth0", Value: 1}
	for _, tt := range []struct {
		name string
		add  func(w *Window)
		want uint64
		kept int
	}{
		{"empty batch", func(w *Window) { w.Add("ports", catalogue.Essential, batch(1)) }, 0, 0},
		{"same column twice at one instant", func(w *Window) { w.Add("ports", catalogue.Essential, batch(1, one, one)) }, 1, 1},
		{"time goes back", func(w *Window) {
			w.Add("ports", catalogue.Essential, batch(2*time.Second, one))
			w.Add("ports", catalogue.Essential, batch(time.Second, one))
		}, 1, 1},
		{"too many columns", func(w *Window) {
			b := batch(1)
			for i := range maxColumns + 3 {
				b.Add(catalogue.PortCarrier, strconv.Itoa(i), 1)
			}
			w.Add("ports", catalogue.Essential, b)
		}, 3, maxColumns},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var w Window
			tt.add(&w)
			if w.Dropped() != tt.want {
				t.Errorf("Dropped() = %d; want %d", w.Dropped(), tt.want)
			}
			if got := len(decode(t, w.Seal(), catalogue.Essential)); got != tt.kept {
				t.Errorf("%d readings sealed; want %d", got, tt.kept)
			}
		})
	}
}

func TestEmptyWindowSealsToNothing(t *testing.T) {
	var w Window
	if s := w.Seal(); len(s) != 0 || !w.Empty() {
		t.Errorf("Seal() of an empty window = %v", s)
	}
	w.Add("ports", catalogue.Essential, batch(1, sample.Reading{Metric: catalogue.PortCarrier, Instance: "eth0", Value: 1}))
	w.Seal()
	if s := w.Seal(); len(s) != 0 || !w.Empty() {
		t.Errorf("second Seal() = %v", s)
	}
}

func TestDiscardForgetsAPurpose(t *testing.T) {
	var w Window
	w.Add("ports", catalogue.Essential, batch(1, sample.Reading{Metric: catalogue.PortCarrier, Instance: "eth0", Value: 1}))
	w.Add("stations", catalogue.Personalised, batch(1, sample.Reading{Metric: catalogue.StationSignal, Instance: "abcdefghijk", Value: -60}))
	w.Discard(catalogue.Personalised)
	for _, s := range w.Seal() {
		if s.Purpose == catalogue.Personalised {
			t.Errorf("a discarded purpose was sealed: %v", s.Fidelity)
		}
	}
}

func TestColumnsOfAStationThatLeftAreForgotten(t *testing.T) {
	var w Window
	for i := range 100 {
		w.Add("stations", catalogue.Personalised, batch(time.Duration(i)*time.Second,
			sample.Reading{Metric: catalogue.StationSignal, Instance: strconv.Itoa(i), Value: -60}))
		w.Seal()
	}
	if n := len(w.tables[0].columns); n > 2 {
		t.Errorf("%d columns are remembered; want those of the last two windows at most", n)
	}
}

func TestFullAsksForASeal(t *testing.T) {
	var w Window
	for i := 0; !w.Full(); i++ {
		if i > maxReadings {
			t.Fatal("never full")
		}
		w.Add("ports", catalogue.Essential, batch(time.Duration(i), sample.Reading{Metric: catalogue.PortCarrier, Instance: "eth0", Value: 1}))
	}
	w.Seal()
	if w.Full() {
		t.Error("full after a seal")
	}
}

func TestAddOfKnownColumnsAllocatesNothing(t *testing.T) {
	var w Window
	b := batch(0)
	for i := range 200 {
		b.Add(catalogue.PortErrorsSent, "eth"+strconv.Itoa(i), int64(i))
	}
	fill := func(rows int) {
		for range rows {
			b.At += time.Second
			w.Add("ports", catalogue.Essential, b)
		}
	}
	fill(60) // makes the room
	w.Seal()
	if n := testing.AllocsPerRun(50, func() { fill(1) }); n != 0 {
		t.Errorf("%v allocations a batch; want 0", n)
	}
}

func BenchmarkAdd(b *testing.B) {
	var w Window
	bt := batch(0)
	for i := range 60 {
		bt.Add(catalogue.PortErrorsSent, "eth"+strconv.Itoa(i), int64(i))
	}
	b.ReportAllocs()
	for b.Loop() {
		bt.At += time.Second
		w.Add("ports", catalogue.Essential, bt)
		if w.Full() {
			w.Seal()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/60, "ns/reading")
}
