package vitals

import (
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

const (
	meminfo = `MemTotal:         504412 kB
MemFree:           81236 kB
MemAvailable:     233012 kB
Buffers:            9000 kB
Cached:           150000 kB
SReclaimable:       7000 kB
Active(file):      90000 kB
Inactive(file):    60000 kB
`
	loadavg = "0.52 0.58 0.59 1/389 12345\n"
)

// proc writes a proc file system with the given files.
func proc(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		put(t, root, name, content)
	}
	return root
}

func put(t *testing.T, root, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func ask(t *testing.T, s collector.Source, at time.Duration) (map[catalogue.ID]int64, error) {
	t.Helper()
	var b sample.Batch
	b.Reset(at)
	err := s.Collect(t.Context(), &b)
	got := map[catalogue.ID]int64{}
	for _, r := range b.Readings {
		if _, twice := got[r.Metric]; twice || r.Instance != "" {
			t.Errorf("reading %+v; want each metric once, without an instance", r)
		}
		got[r.Metric] = r.Value
	}
	return got, err
}

func TestWhatTheKernelDoesNotSayIsAbsent(t *testing.T) {
	// The environment is not what says where the files are.
	t.Setenv("HOST_PROC", "/nowhere")
	t.Setenv("HOST_ROOT", "/nowhere")
	without := func(key string) string {
		var kept []string
		for line := range strings.Lines(meminfo) {
			if !strings.HasPrefix(line, key) {
				kept = append(kept, line)
			}
		}
		return strings.Join(kept, "")
	}
	memory := map[catalogue.ID]int64{catalogue.MemoryTotal: 504412, catalogue.MemoryFree: 81236, catalogue.MemoryAvailable: 233012}
	for _, tt := range []struct {
		name   string
		files  map[string]string
		want   map[catalogue.ID]int64
		absent []string // files that the error names
	}{
		{name: "no files at all", absent: []string{"stat", "loadavg", "meminfo"}},
		{name: "empty files", files: map[string]string{"stat": "", "loadavg": "", "meminfo": ""}, absent: []string{"stat", "loadavg", "meminfo"}},
		{name: "files that are something else", files: map[string]string{"stat": "page 1 2\n", "loadavg": "0.1\n", "meminfo": "hello\n"}, absent: []string{"stat", "loadavg", "meminfo"}},
		{name: "memory alone", files: map[string]string{"meminfo": meminfo}, want: memory, absent: []string{"stat", "loadavg"}},
		{
			name: "kernel before MemAvailable", files: map[string]string{"meminfo": without("MemAvailable")},
			want:   map[catalogue.ID]int64{catalogue.MemoryTotal: 504412, catalogue.MemoryFree: 81236},
			absent: []string{"stat", "loadavg"},
		},
		{
			name: "no free memory", files: map[string]string{"meminfo": strings.Replace(meminfo, "233012", "0", 1)},
			want:   map[catalogue.ID]int64{catalogue.MemoryTotal: 504412, catalogue.MemoryFree: 81236, catalogue.MemoryAvailable: 0},
			absent: []string{"stat", "loadavg"},
		},
		{name: "load alone", files: map[string]string{"loadavg": loadavg}, want: map[catalogue.ID]int64{catalogue.LoadAverage: 52}, absent: []string{"stat", "meminfo"}},
		{name: "a load that is no number", files: map[string]string{"loadavg": "NaN inf 1 1/1 1\n"}, absent: []string{"loadavg"}},
		{name: "a load that is infinite", files: map[string]string{"loadavg": "inf inf 1 1/1 1\n"}, absent: []string{"loadavg"}},
		{name: "a heavy load", files: map[string]string{"loadavg": "123.456 58 59 1/389 1\n"}, want: map[catalogue.ID]int64{catalogue.LoadAverage: 12346}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ask(t, NewLoad(proc(t, tt.files)), 0)
			if !maps.Equal(got, tt.want) || !errors.Is(err, collector.ErrNoData) {
				t.Errorf("Collect = %v, %v; want %v, no data", got, err, tt.want)
			}
			for _, file := range tt.absent {
				if !strings.Contains(err.Error(), "/"+file+": no data") {
					t.Errorf("Collect: %v; want %s named", err, file)
				}
			}
		})
	}
}

func TestProcessorShareIsOfTheTimeBetweenTwoReadings(t *testing.T) {
	root := proc(t, map[string]string{"loadavg": loadavg, "meminfo": meminfo})
	s := NewLoad(root)
	for _, tt := range []struct {
		name string
		stat string // user nice system idle iowait irq softirq steal guest guest_nice
		want int64  // negative: absent
	}{
		{"the first reading", "cpu  1000 0 1000 8000 0 0 0 0 0 0", -1},
		{"a quarter busy", "cpu  1100 50 1050 8500 100 20 20 10 0 0", 294},
		{"idle", "cpu  1100 50 1050 9500 100 20 20 10 0 0", 0},
		{"waiting for the disk is idle", "cpu  1100 50 1050 9500 200 20 20 10 0 0", 0},
		{"all busy", "cpu  2100 50 1050 9500 200 20 20 10 0 0", 1000},
		{"a guest counts once", "cpu  2200 50 1050 9600 200 20 20 10 100 0", 500},
		{"no time passed", "cpu  2200 50 1050 9600 200 20 20 10 100 0", -1},
		{"waiting steps back a little", "cpu  2300 50 1050 9700 195 20 20 10 100 0", 513},
		{"a processor was taken out", "cpu  1200 20 500 4000 100 10 10 0 0 0", -1},
		{"and it goes on", "cpu  1300 20 500 4300 100 10 10 0 0 0", 250},
		{"a kernel of 2.6", "cpu  1400 20 500 4400 100 10 10", 500},
	} {
		put(t, root, "stat", tt.stat+"\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 5\n")
		got, err := ask(t, s, 0)
		share, ok := got[catalogue.CPUUsage]
		if !ok {
			share = -1
		}
		if share != tt.want || err != nil || len(got) < 4 {
			t.Errorf("%s: share %d, %v, %d readings; want %d, and the others", tt.name, share, err, len(got), tt.want)
		}
	}
}

func TestPermille(t *testing.T) {
	for _, tt := range []struct {
		busy, total float64
		want        int64
		ok          bool
	}{
		{0, 0, 0, false},
		{1, -1, 0, false},
		{1, math.NaN(), 0, false},
		{math.NaN(), 1, 0, false},
		{1, math.Inf(1), 0, false},
		{-0.5, 10, 0, true},
		{11, 10, 1000, true},
		{1, 3, 333, true},
		{2, 3, 667, true},
	} {
		if got, ok := permille(tt.busy, tt.total); got != tt.want || ok != tt.ok {
			t.Errorf("permille(%v, %v) = %d, %v; want %d, %v", tt.busy, tt.total, got, ok, tt.want, tt.ok)
		}
	}
}

func TestSystem(t *testing.T) {
	t.Run("state directory", func(t *testing.T) {
		got, err := ask(t, NewSystem(t.TempDir()), 90*time.Second+999*time.Millisecond)
		if err != nil || got[catalogue.UpTime] != 90 || got[catalogue.StateSpaceFree] <= 0 {
			t.Errorf("Collect = %v, %v; want 90 s and free space", got, err)
		}
	})
	t.Run("no state directory", func(t *testing.T) {
		got, err := ask(t, NewSystem(filepath.Join(t.TempDir(), "absent")), time.Second)
		want := map[catalogue.ID]int64{catalogue.UpTime: 1}
		if !maps.Equal(got, want) || !errors.Is(err, collector.ErrNoData) {
			t.Errorf("Collect = %v, %v; want the uptime alone, no data", got, err)
		}
	})
	t.Run("state directory below a file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		put(t, filepath.Dir(file), "file", "")
		got, err := ask(t, NewSystem(filepath.Join(file, "state")), time.Second)
		if len(got) != 1 || err == nil || errors.Is(err, collector.ErrNoData) {
			t.Errorf("Collect = %v, %v; want the uptime alone and a fault", got, err)
		}
	})
}

func TestDescriptionsHoldAgainstTheCatalogue(t *testing.T) {
	now := func() time.Duration { return 0 }
	if _, err := collector.NewSet(collector.Options{Now: now}, NewSystem("/"), NewLoad("")); err != nil {
		t.Error(err)
	}
}

func TestThisKernel(t *testing.T) {
	if _, err := os.Stat("/proc/loadavg"); err != nil {
		t.Skipf("no proc file system: %v", err)
	}
	s := NewLoad("")
	got, err := ask(t, s, 0)
	total := got[catalogue.MemoryTotal]
	if err != nil || total < 1024 || got[catalogue.MemoryAvailable] > total || got[catalogue.MemoryFree] > total {
		t.Errorf("Collect = %v, %v", got, err)
	}
}

// Once a minute, so what gopsutil allocates is known rather than zero.
func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	s := NewLoad("")
	var batch sample.Batch
	for b.Loop() {
		batch.Reset(0)
		if err := s.Collect(b.Context(), &batch); err != nil {
			b.Fatal(err)
		}
	}
}
