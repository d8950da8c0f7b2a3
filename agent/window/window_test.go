package window

import (
	"maps"
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

// seal seals a window that fits one report.
func seal(t *testing.T, w *Window) []buffer.Section {
	t.Helper()
	parts := w.Seal(0, time.Hour)
	switch len(parts) {
	case 0:
		return nil
	case 1:
		return parts[0].Sections
	}
	t.Fatalf("%d parts; want one", len(parts))
	return nil
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
		got := decode(t, seal(t, &w), catalogue.Essential)
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
	sections := seal(t, &w)
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
			if got := len(decode(t, seal(t, &w), catalogue.Essential)); got != tt.kept {
				t.Errorf("%d readings sealed; want %d", got, tt.kept)
			}
		})
	}
}

func TestEmptyWindowSealsToNothing(t *testing.T) {
	var w Window
	if p := w.Seal(0, 1); len(p) != 0 {
		t.Errorf("Seal() of an empty window = %v", p)
	}
	w.Add("ports", catalogue.Essential, batch(1, sample.Reading{Metric: catalogue.PortCarrier, Instance: "eth0", Value: 1}))
	w.Seal(0, 1)
	if p := w.Seal(1, 2); len(p) != 0 {
		t.Errorf("second Seal() = %v", p)
	}
}

// Counters that no model foretells, of two purposes, are more than a report
// can hold long before the window is full.
func TestWindowThatIsTooMuchForOneReportIsParted(t *testing.T) {
	var w Window
	rnd := rand.New(rand.NewPCG(3, 4))
	want := map[at]int64{}
	totals := map[string]int64{}
	sources := []struct {
		name    string
		purpose catalogue.Purpose
		metric  catalogue.ID
	}{
		{"ports", catalogue.Essential, catalogue.PortErrorsReceived},
		{"stations", catalogue.Personalised, catalogue.StationRetries},
	}
	for row := range 300 {
		for _, src := range sources {
			b := batch(time.Duration(row) * time.Second)
			for i := range 40 {
				instance := src.name + strconv.Itoa(i)
				totals[instance] += rnd.Int64N(1 << 20)
				b.Add(src.metric, instance, totals[instance])
				want[at{b.At, src.metric, instance}] = totals[instance]
			}
			w.Add(src.name, src.purpose, b)
		}
	}
	parts := w.Seal(0, 300*time.Second)
	if len(parts) < 2 || w.Dropped() != 0 {
		t.Fatalf("%d parts, %d readings dropped; want some parts and all readings", len(parts), w.Dropped())
	}
	got := map[at]int64{}
	end := time.Duration(0)
	for _, p := range parts {
		if p.Opened != end || p.Sealed <= p.Opened {
			t.Errorf("part from %v to %v; want it to begin at %v", p.Opened, p.Sealed, end)
		}
		end = p.Sealed
		size := 0
		for _, s := range p.Sections {
			size += len(s.Body)
		}
		if size > maxReport {
			t.Errorf("part of %d bytes; want at most %d", size, maxReport)
		}
		for _, src := range sources {
			for k, v := range decode(t, p.Sections, src.purpose) {
				if k.time < p.Opened || k.time >= p.Sealed {
					t.Fatalf("reading at %v is in the part from %v to %v", k.time, p.Opened, p.Sealed)
				}
				got[k] = v
			}
		}
	}
	if end != 300*time.Second || !maps.Equal(got, want) {
		t.Errorf("%d of %d readings, up to %v", len(got), len(want), end)
	}
}

func TestInstantThatNoReportCanHoldIsCounted(t *testing.T) {
	var w Window
	rnd := rand.New(rand.NewPCG(5, 6))
	for s := range 8 {
		b := batch(time.Second)
		for i := range maxColumns {
			b.Add(catalogue.PortErrorsSent, strconv.Itoa(i), rnd.Int64())
		}
		w.Add(strconv.Itoa(s), catalogue.Essential, b)
	}
	if p := w.Seal(0, 2*time.Second); len(p) != 0 || w.Dropped() != 8*maxColumns {
		t.Errorf("%d parts, %d dropped; want none, %d", len(p), w.Dropped(), 8*maxColumns)
	}
}

func TestColumnsOfAStationThatLeftAreForgotten(t *testing.T) {
	var w Window
	for i := range 100 {
		w.Add("stations", catalogue.Personalised, batch(time.Duration(i)*time.Second,
			sample.Reading{Metric: catalogue.StationSignal, Instance: strconv.Itoa(i), Value: -60}))
		w.Seal(0, time.Hour)
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
	w.Seal(0, time.Hour)
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
	w.Seal(0, time.Hour)
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
			w.Seal(0, time.Hour)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/60, "ns/reading")
}
