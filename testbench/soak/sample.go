package soak

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// A Sample is what the agent holds at one moment.
type Sample struct {
	At         time.Duration `json:"at"`   // since the run began
	Heap       int64         `json:"heap"` // bytes that are reachable
	Goroutines int64         `json:"goroutines"`
	Files      int64         `json:"files"`     // open descriptors
	Resident   int64         `json:"resident"`  // bytes; 0: not measured
	Anonymous  int64         `json:"anonymous"` // bytes; 0: not measured
	Store      int64         `json:"store"`     // bytes of the files in the state directory
}

// String is what a Sample holds, for a line of progress.
func (s Sample) String() string {
	const kB = 1000
	return fmt.Sprintf("heap %d kB, %d goroutines, %d files, resident %d kB, anonymous %d kB, state directory %d kB",
		s.Heap/kB, s.Goroutines, s.Files, s.Resident/kB, s.Anonymous/kB, s.Store/kB)
}

// Take samples this process and the state directory.
func Take(at time.Duration, stateDir string) (Sample, error) {
	// The second collection frees what finalizers of the first let go.
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s := Sample{At: at, Heap: int64(m.HeapAlloc), Goroutines: int64(runtime.NumGoroutine())}
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return s, err
	}
	s.Files = int64(len(files)) - 1 // the directory itself
	s.Store, err = size(stateDir)
	return s, err
}

// size adds up the files of a directory.
func size(dir string) (int64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	sum := int64(0)
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue // replaced meanwhile
		}
		if err != nil {
			return 0, err
		}
		if info.Mode().IsRegular() {
			sum += info.Size()
		}
	}
	return sum, nil
}

// A Row is one figure over a run.
type Row struct {
	Name              string
	First, Last, Most float64
	// Growth is what the linear trend adds over the part of the run that
	// counts, Allowed how much that may be.
	Growth, Allowed float64
}

// Flat tells whether the figure does not grow.
func (r Row) Flat() bool { return r.Growth <= r.Allowed }

// A figure is read from samples; slack is what it may grow, the greater of a
// number and a share of its mean.
type figure struct {
	name  string
	of    func(Sample) int64
	slack float64
	share float64
}

func allFigures() []figure {
	return []figure{
		{"heap after collection, bytes", func(s Sample) int64 { return s.Heap }, 128 << 10, 0.1},
		{"goroutines", func(s Sample) int64 { return s.Goroutines }, 2, 0},
		{"open files", func(s Sample) int64 { return s.Files }, 1.5, 0},
		{"resident, bytes", func(s Sample) int64 { return s.Resident }, 1 << 20, 0.1},
		{"anonymous, bytes", func(s Sample) int64 { return s.Anonymous }, 1 << 20, 0.15},
		{"files of the state directory, bytes", func(s Sample) int64 { return s.Store }, 256 << 10, 0.1},
	}
}

// warm is the share of a run that is left out: what is set up once grows then.
const warm = 0.25

// Rows are the figures of a run, those left out that were never measured.
func Rows(samples []Sample) ([]Row, error) {
	kept := samples[int(warm*float64(len(samples))):]
	if len(kept) < 6 {
		return nil, fmt.Errorf("%d samples are too few for a trend", len(samples))
	}
	var rows []Row
	for _, f := range allFigures() {
		r := Row{Name: f.name, First: float64(f.of(samples[0])), Last: float64(f.of(samples[len(samples)-1]))}
		mean := 0.0
		for _, s := range samples {
			r.Most = max(r.Most, float64(f.of(s)))
		}
		for _, s := range kept {
			mean += float64(f.of(s)) / float64(len(kept))
		}
		if r.Most == 0 {
			continue
		}
		r.Growth = slope(kept, f.of) * (kept[len(kept)-1].At - kept[0].At).Hours()
		r.Allowed = max(f.slack, f.share*mean)
		rows = append(rows, r)
	}
	return rows, nil
}

// slope is that of the line through the samples with the least squares, per
// hour.
func slope(samples []Sample, of func(Sample) int64) float64 {
	n := float64(len(samples))
	var x, y float64
	for _, s := range samples {
		x += s.At.Hours() / n
		y += float64(of(s)) / n
	}
	var xx, xy float64
	for _, s := range samples {
		dx := s.At.Hours() - x
		xx += dx * dx
		xy += dx * (float64(of(s)) - y)
	}
	if xx == 0 {
		return 0
	}
	return xy / xx
}

// Judge writes the figures of a run to w. The error names what grew.
func Judge(w io.Writer, samples []Sample) error {
	rows, err := Rows(samples)
	if err != nil {
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "FIGURE\tFIRST\tLAST\tMOST\tTREND OVER THE RUN\tALLOWED\t")
	var grew []string
	for _, r := range rows {
		fmt.Fprintf(tw, "%s\t%.0f\t%.0f\t%.0f\t%+.1f\t%.0f\t\n", r.Name, r.First, r.Last, r.Most, r.Growth, r.Allowed)
		if !r.Flat() {
			grew = append(grew, fmt.Sprintf("%s by %.1f", r.Name, r.Growth))
		}
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if len(grew) > 0 {
		return fmt.Errorf("not flat: %s", strings.Join(grew, ", "))
	}
	return nil
}
