package window

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"livebox-agent/buffer"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

func everything(catalogue.Purpose) bool { return true }

// fly gives a recorder readings each 10 s, up to a time: errors of a port, and the signal of as many stations. Its window
// is sealed each five minutes.
func fly(r *Recorder, to time.Duration, stations int) {
	const window = 5 * time.Minute
	for now := time.Duration(0); now < to; now += 10 * time.Second {
		if now > 0 && now%window == 0 {
			r.Seal(now-window, now)
		}
		r.Add("ports", catalogue.Essential, batch(now, sample.Reading{Metric: catalogue.PortErrorsSent, Instance: "eth0", Value: int64(now / time.Second)}))
		b := batch(now)
		for s := range stations {
			for m := catalogue.StationSignal; m <= catalogue.StationBytesReceived; m++ {
				b.Add(m, fmt.Sprint("station", s), int64(s)*int64(m)+int64(now/time.Second)*int64(m%7)*int64(s))
			}
		}
		r.Add("stations", catalogue.Personalised, b)
	}
}

func TestRecorderHasTheLastTwentyMinutes(t *testing.T) {
	var r Recorder
	fly(&r, time.Hour, 3)
	now := time.Hour
	got := decode(t, r.Cut(now-recorded, now, everything).Sections(1<<20), catalogue.Essential)
	for at := now - recorded; at < now; at += 10 * time.Second {
		if v, ok := got[atOf(at)]; !ok || v != int64(at/time.Second) {
			t.Errorf("reading of %v is %d, %v", at, v, ok)
		}
	}
	for at := range got {
		if at.time < now-recorded-slice {
			t.Errorf("reading of %v is still there", at.time)
		}
	}
}

func atOf(time time.Duration) at { return at{time, catalogue.PortErrorsSent, "eth0"} }

func TestRecorderGivesWhatWasAskedFor(t *testing.T) {
	var r Recorder
	fly(&r, 12*time.Minute, 3)
	essential := func(p catalogue.Purpose) bool { return p == catalogue.Essential }
	sections := r.Cut(5*time.Minute, 8*time.Minute, essential).Sections(1 << 20)
	for _, s := range sections {
		if s.Purpose != catalogue.Essential || s.Fidelity != buffer.Columns {
			t.Errorf("section of %v, %v", s.Purpose, s.Fidelity)
		}
	}
	if got := decode(t, sections, catalogue.Essential); len(got) != 18 || got[atOf(5*time.Minute)] != 300 || got[atOf(8*time.Minute-10*time.Second)] != 470 {
		t.Errorf("got %d readings: %v", len(got), got)
	}
	// A recording that has no room for all has what came last.
	all := r.Cut(0, 12*time.Minute, essential).Sections(1 << 20)
	limit := 0
	for _, s := range all[len(all)-2:] {
		limit += len(s.Body)
	}
	few := r.Cut(0, 12*time.Minute, essential).Sections(limit)
	if got := decode(t, few, catalogue.Essential); len(few) != 2 || got[atOf(12*time.Minute-10*time.Second)] != 710 {
		t.Errorf("%d sections in %d bytes: %v", len(few), limit, got)
	}
}

func TestRecorderStaysWithinItsBytes(t *testing.T) {
	var r Recorder
	fly(&r, 20*time.Minute, 400)
	sum := 0
	for _, h := range r.held {
		sum += len(h.body)
	}
	if sum != r.bytes || sum > RecorderBytes || sum < RecorderBytes/2 {
		t.Errorf("%d bytes held, %d counted; want at most %d", sum, r.bytes, RecorderBytes)
	}
	last := r.held[len(r.held)-1]
	if last.to < 19*time.Minute {
		t.Errorf("the last minute held ends at %v: the oldest should go, not the newest", last.to)
	}
}

// TestSealAndRecorderShareEveryReading seals within a minute: what was read before
// and after, and what comes late, is in the window and in the recorder, once.
func TestSealAndRecorderShareEveryReading(t *testing.T) {
	const s = time.Second
	var r Recorder
	add := func(source string, at time.Duration) {
		r.Add(source, catalogue.Essential, batch(at, sample.Reading{Metric: catalogue.PortErrorsSent, Instance: source, Value: int64(at / s)}))
	}
	count := func(sections []buffer.Section) (n int) {
		for _, section := range sections {
			if section.Fidelity == buffer.Columns {
				n += len(decode(t, []buffer.Section{section}, catalogue.Essential))
			}
		}
		return n
	}
	add("fast", 0)
	add("slow", 5*s)
	add("fast", 10*s)
	parts := r.Seal(0, 30*s)
	if len(parts) != 1 || count(parts[0].Sections) != 3 {
		t.Fatalf("the first window is %d parts; want 3 readings in one", len(parts))
	}
	add("fast", 40*s)
	add("slow", 25*s) // asked before the seal
	if got := r.Cut(0, 50*s, everything).Sections(1 << 20); len(got) != 2 || count(got) != 5 {
		t.Errorf("the recorder has %d readings in %d sections; want 5 in 2", count(got), len(got))
	}
	add("fast", 55*s)
	if parts = r.Seal(30*s, 60*s); len(parts) != 1 || count(parts[0].Sections) != 3 {
		t.Errorf("the second window is %d parts; want 3 readings in one", len(parts))
	}
	if got := r.Cut(0, 60*s, everything).Sections(1 << 20); len(got) != 2 || count(got) != 6 {
		t.Errorf("the recorder has %d readings in %d sections; want 6 in 2", count(got), len(got))
	}
}

// What is cut stays as it was while the recorder goes on, and the recorder as it
// would be without.
func TestCutAndRecorderShareNothing(t *testing.T) {
	var r, alone Recorder
	fly(&r, 5*time.Minute+30*time.Second, 3)
	fly(&alone, 5*time.Minute+30*time.Second, 3)
	c := r.Cut(0, time.Hour, everything)
	want := decode(t, c.Sections(1<<20), catalogue.Personalised)
	if len(want) != 33*3*int(catalogue.StationBytesReceived-catalogue.StationSignal+1) {
		t.Fatalf("%d readings in the cut", len(want))
	}
	for now := 5*time.Minute + 30*time.Second; now < 9*time.Minute; now += 10 * time.Second {
		for _, x := range []*Recorder{&r, &alone} {
			x.Add("stations", catalogue.Personalised, batch(now, sample.Reading{Metric: catalogue.StationSignal, Instance: "station1", Value: -1}))
		}
	}
	if got := decode(t, c.Sections(1<<20), catalogue.Personalised); !maps.Equal(got, want) {
		t.Errorf("the cut has changed: %d readings, were %d", len(got), len(want))
	}
	one, two := r.Cut(0, time.Hour, everything).Sections(1<<20), alone.Cut(0, time.Hour, everything).Sections(1<<20)
	if !slices.EqualFunc(one, two, func(a, b buffer.Section) bool { return a.Purpose == b.Purpose && bytes.Equal(a.Body, b.Body) }) {
		t.Error("a recorder that was cut from has other minutes than one that was not")
	}
}

// BenchmarkCut is what a recording costs while readings wait (cut), and what it
// costs in all.
func BenchmarkCut(b *testing.B) {
	for _, stations := range []int{8, 60} {
		var r Recorder
		fly(&r, 20*time.Minute-10*time.Second, stations)
		b.Run(fmt.Sprintf("%d_stations/cut", stations), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Cut(0, time.Hour, everything)
			}
		})
		b.Run(fmt.Sprintf("%d_stations/all", stations), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Cut(0, time.Hour, everything).Sections(48 << 10)
			}
		})
	}
}

// BenchmarkRecorder is a home's hour: what is held at its end, and the time for
// each reading.
func BenchmarkRecorder(b *testing.B) {
	for _, stations := range []int{0, 8, 60} {
		b.Run(fmt.Sprintf("%d_stations", stations), func(b *testing.B) {
			b.ReportAllocs()
			var r Recorder
			readings := 0
			for b.Loop() {
				r = Recorder{}
				fly(&r, time.Hour, stations)
				readings += 360 * (1 + 16*stations)
			}
			b.ReportMetric(float64(r.bytes), "bytes_held")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(readings), "ns/reading")
		})
	}
}
