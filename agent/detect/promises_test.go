package detect

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

func TestAbsenceResetsGapsAndClocksGiveNoSign(t *testing.T) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 0))
		b := newBench()
		full := fullBatch(6)
		down := map[int]bool{}
		for range 12 * 60 * 24 { // 12 days of minutes
			switch r.IntN(1000) {
			case 0:
				b.at += time.Duration(r.Int64N(int64(40 * time.Hour))) // a gap
			case 1:
				b.at = max(0, b.at-time.Duration(r.Int64N(int64(40*time.Hour)))) // no clock of the kernel's does that
			case 2:
				for i := range full.Readings { // every counter starts again
					if m, _ := catalogue.Lookup(full.Readings[i].Metric); m.Kind == catalogue.Counter {
						full.Readings[i].Value = 0
					}
				}
			case 3:
				down[r.IntN(len(full.Readings))] = true // absent, for as long as it likes
			case 4:
				clear(down)
			}
			b.batch.Reset(b.at)
			for i, rd := range full.Readings {
				switch {
				case down[i]:
				case rd.Metric == catalogue.ProbeSent || rd.Metric == catalogue.ProbeReceived:
					full.Readings[i].Value += 10
					b.batch.Add(rd.Metric, rd.Instance, full.Readings[i].Value)
				case r.IntN(100) == 0: // what a driver says that does not know
					if m, _ := catalogue.Lookup(rd.Metric); m.Kind == catalogue.Gauge {
						b.batch.Add(rd.Metric, rd.Instance, []int64{0, -274_000, 65_535_000, math.MaxInt64, math.MinInt64, 0x7ffffffe}[r.IntN(6)])
					}
				default:
					b.batch.Add(rd.Metric, rd.Instance, rd.Value+r.Int64N(2)*noisy(rd.Metric))
				}
			}
			b.see(time.Minute, b.batch.Readings...)
		}
		if len(b.told) > 0 {
			t.Fatalf("seed %d: told %+v of nothing", seed, b.told[0])
		}
	}
}

// noisy is 1 for levels: counters and states stay as they are.
func noisy(m catalogue.ID) int64 {
	if row, _ := catalogue.Lookup(m); row.Kind == catalogue.Gauge && m != catalogue.RadioChannel {
		return 1
	}
	return 0
}

func TestWhatIsKnownIsBoundedAndForgotten(t *testing.T) {
	most := 0
	for _, n := range places {
		most += n
	}
	b := newBench()
	routed := []catalogue.ID{}
	for m, r := range b.d.routes {
		if r.kind != none {
			routed = append(routed, catalogue.ID(m))
		}
	}
	for i := range 2000 {
		for _, m := range routed {
			b.see(0, reading(m, strconv.Itoa(i), 100))
		}
		b.push(sample.PortDown, "p"+strconv.Itoa(i))
	}
	known, refused := len(b.d.index), b.d.refused
	if known != most || refused == 0 {
		t.Errorf("%d instances are known, %d refused; want %d, and some", known, refused, most)
	}
	// A crowd that is there does not turn out what was there before it.
	if b.d.index[key{catalogue.StationSignal, "0"}] == nil {
		t.Error("a newcomer took the place of one that is seen")
	}
	b.at += yielding + time.Minute
	b.see(0, reading(catalogue.StationSignal, "new", -60))
	if b.d.index[key{catalogue.StationSignal, "new"}] == nil {
		t.Error("a newcomer found no place of one that is not seen any more")
	}
	b.at += passing + time.Hour
	b.see(0)
	if b.d.counts[ofStation] != 0 || b.d.counts[ofLevel] == 0 {
		t.Errorf("after two hours %d stations and %d levels are known", b.d.counts[ofStation], b.d.counts[ofLevel])
	}
	b.at += patience + time.Hour
	b.d.Tick(b.at, b.emit)
	if known := len(b.d.index); known != 0 {
		t.Errorf("after a week %d instances are known", known)
	}
}

// TestNoDetectorTellsMoreThanTenTimesAnHour tries the worst that readings can
// do: everything goes from one end to the other and stays for as long as it
// pleases.
func TestNoDetectorTellsMoreThanTenTimesAnHour(t *testing.T) {
	type what struct {
		kind     sample.SignKind
		metric   catalogue.ID
		instance string
	}
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 1))
		b := newBench()
		batch := fullBatch(3)
		times := map[what][]time.Duration{}
		emit := func(s sample.Sign) {
			w := what{s.Kind, s.Metric, s.Instance}
			for len(times[w]) > 0 && b.at-times[w][0] >= time.Hour {
				times[w] = times[w][1:]
			}
			if times[w] = append(times[w], b.at); len(times[w]) > 10 {
				t.Fatalf("seed %d: %v of %s told %d times within an hour", seed, s.Kind, s.Instance, len(times[w]))
			}
		}
		hold := 1 + r.IntN(40)
		for i := range 3000 {
			batch.At = b.at
			if i%hold == 0 {
				for j := range batch.Readings {
					rd := &batch.Readings[j]
					m, _ := catalogue.Lookup(rd.Metric)
					th := catalogue.LookupThreshold(rd.Metric)
					switch {
					case m.Kind == catalogue.Counter:
						rd.Value += r.Int64N(100)
					case m.Kind == catalogue.State:
						rd.Value = []int64{1, 5, 2, 4}[r.IntN(4)]
					case r.IntN(2) == 0:
						rd.Value = th.Least + (th.Most-th.Least)/4
					default:
						rd.Value = th.Most - (th.Most-th.Least)/4
					}
				}
			}
			b.d.Observe(batch, emit)
			b.at += time.Duration(10+r.IntN(50)) * time.Second
		}
	}
}

func FuzzObserve(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{144, 0, 1, 0, 0, 0, 0, 0, 0, 0, 200, 3})
	f.Add([]byte("\x60\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x01\x66\x00\x01\x00\x00\x00\x00\x00\x00\x00\x3c\x01\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, in []byte) {
		d := New(DefaultConfig())
		told := 0
		emit := func(s sample.Sign) {
			told++
			if s.Kind == 0 || s.Purpose() == 0 {
				t.Fatalf("told %+v", s)
			}
		}
		var b sample.Batch
		for len(in) >= 12 {
			m := catalogue.ID(binary.LittleEndian.Uint16(in))
			v := int64(binary.BigEndian.Uint64(in[3:])) >> (in[2] & 63)
			instance := strconv.Itoa(int(in[2]))
			switch step := int64(int8(in[11])); {
			case step == 0:
				d.Forget(catalogue.Purpose(v & 7))
			case step == 1:
				d.Notice(sample.Sign{At: b.At, Kind: sample.SignKind(v & 63), Instance: instance}, func(sample.Sign) {})
			case step == 2:
				d.Tick(time.Duration(v), emit)
			case step == 3:
				d.Restore(append(d.Baselines(), Baseline{m, instance, v - 1, v, v + 1}))
			case step == 4:
				b.At = time.Duration(v)
			case step < 0:
				for range -step { // the same for long
					b.At += time.Minute
					d.Observe(&b, emit)
				}
			default:
				b.At += time.Duration(step) * 10 * time.Second
				b.Add(m%256, instance, v)
				b.Add(m, instance, v)
				d.Observe(&b, emit)
			}
			in = in[12:]
			if len(b.Readings) > 64 {
				b.Readings = b.Readings[:0]
			}
		}
		for of, n := range d.counts {
			if n < 0 || n > places[of] {
				t.Fatalf("%d instances of kind %d", n, of)
			}
		}
		if cap(d.touched) > maxTouched {
			t.Fatalf("room for %d", cap(d.touched))
		}
	})
}
