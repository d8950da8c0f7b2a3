package soak

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// samples of three hours with noise, and growth of a figure per hour.
func noisy(grow func(s *Sample, hours float64)) []Sample {
	rng := rand.New(rand.NewPCG(1, 2))
	var all []Sample
	for i := range 180 {
		at := time.Duration(i) * time.Minute
		s := Sample{
			At: at, Heap: 300_000 + rng.Int64N(40_000), Goroutines: 30 + rng.Int64N(3), Files: 20 + rng.Int64N(2),
			Resident: 11_000_000 + rng.Int64N(500_000), Anonymous: 4_000_000 + rng.Int64N(300_000), Store: 65_536,
		}
		grow(&s, at.Hours())
		all = append(all, s)
	}
	return all
}

func TestWhatGrowsIsSeen(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		grow       func(s *Sample, hours float64)
	}{
		{"flat", "", func(*Sample, float64) {}},
		{"shrinking", "", func(s *Sample, h float64) { s.Heap -= int64(h * 50_000) }},
		{"set up once", "", func(s *Sample, h float64) {
			if h < 0.5 {
				s.Heap, s.Goroutines = 100_000, 3
			}
		}},
		{"heap", "heap", func(s *Sample, h float64) { s.Heap += int64(h * 100_000) }},
		{"goroutines", "goroutines", func(s *Sample, h float64) { s.Goroutines += int64(h * 2) }},
		{"open files", "open files", func(s *Sample, h float64) { s.Files += int64(h * 1.5) }},
		{"resident", "resident", func(s *Sample, h float64) { s.Resident += int64(h * 1_000_000) }},
		{"store", "state directory", func(s *Sample, h float64) { s.Store += int64(h * 200_000) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			err := Judge(&out, noisy(tt.grow))
			t.Log(out.String())
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Judge = %v; want %q", err, tt.want)
			}
		})
	}
	if err := Judge(&strings.Builder{}, noisy(func(*Sample, float64) {})[:6]); err == nil {
		t.Error("six samples are judged; want that they are too few")
	}
}

func TestTakeSeesFilesAndGoroutines(t *testing.T) {
	dir := t.TempDir()
	// The first closes what other tests left to the collector.
	if _, err := Take(0, dir); err != nil {
		t.Fatal(err)
	}
	before, err := Take(0, dir)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, 5000)); err != nil {
		t.Fatal(err)
	}
	kept := make([]byte, 4<<20)
	stop := make(chan struct{})
	for range 3 {
		go func() { <-stop }()
	}
	after, err := Take(0, dir)
	if err != nil {
		t.Fatal(err)
	}
	close(stop)
	if after.Store-before.Store != 5000 || after.Files < before.Files+1 || after.Goroutines != before.Goroutines+3 ||
		after.Heap-before.Heap < int64(len(kept))/2 {
		t.Errorf("before %+v, after %+v; want 5000 bytes, a file, three goroutines and 4 MiB more", before, after)
	}
	kept[0] = 1
}
