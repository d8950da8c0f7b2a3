package buffer

import (
	"fmt"
	"testing"
)

func BenchmarkAppendAckInRAM(b *testing.B) {
	l := newLab(b)
	w := l.window(1)
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Append(w); err != nil {
			b.Fatal(err)
		}
		l.Ack(testRun.ID, Windows, w.Key.Sequence, nil)
		w.Key.Sequence++
	}
}

// One commit of windows with three times 1.1 KB of columns and 0.4 KB of
// summaries each.
func BenchmarkSpill(b *testing.B) {
	for _, n := range []uint64{1, 3, 12} {
		b.Run(fmt.Sprint(n, "windows"), func(b *testing.B) {
			l := newLab(b, func(c *Config) { c.FlashDailyBytes = 1 << 50 })
			seq := uint64(0)
			before := l.Stats()
			for b.Loop() {
				for range n {
					seq++
					if err := l.Append(l.window(seq)); err != nil {
						b.Fatal(err)
					}
				}
				if err := l.Spill("bench"); err != nil {
					b.Fatal(err)
				}
				if seq%300 == 0 { // as after an outage
					l.Ack(testRun.ID, Windows, seq-3, nil)
				}
			}
			st := l.Stats()
			b.ReportMetric(float64(st.FlashWritten-before.FlashWritten)/float64(b.N), "flash-B/op")
			b.ReportMetric(float64(st.Commits-before.Commits)/float64(b.N), "commits/op")
		})
	}
}

// Opening a full store: every page is walked, every value checked.
func BenchmarkOpenFull(b *testing.B) {
	l := newLab(b, func(c *Config) { c.FlashDailyBytes = 1 << 50 })
	for seq := uint64(1); seq <= 800; seq++ {
		if err := l.Append(l.window(seq)); err != nil {
			b.Fatal(err)
		}
		if seq%20 == 0 {
			if err := l.Spill("bench"); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(l.Stats().FileBytes), "file-B")
	for b.Loop() {
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
		l.open()
	}
}

func BenchmarkNextFromFlash(b *testing.B) {
	l := newLab(b)
	for seq := uint64(1); seq <= 50; seq++ {
		if err := l.Append(l.window(seq)); err != nil {
			b.Fatal(err)
		}
	}
	if err := l.Spill("bench"); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	var after Key
	for b.Loop() {
		r, ok := l.Next(Windows, after)
		after = r.Key
		if !ok {
			after = Key{}
		}
	}
}
