package vitals

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/shirou/gopsutil/v3/common"
	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/load"
	"github.com/shirou/gopsutil/v3/mem"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

// Load is the source load.
type Load struct {
	proc string
	env  common.EnvMap
	// busy and total are the processor time, in seconds, up to the last
	// reading; total is zero before the first.
	busy, total float64
}

// NewLoad returns the source load of the kernel whose proc file system is
// mounted at proc; empty means /proc.
func NewLoad(proc string) *Load {
	if proc == "" {
		proc = "/proc"
	}
	// Set even for /proc: gopsutil would heed the environment otherwise.
	return &Load{proc: proc, env: common.EnvMap{common.HostProcEnvKey: proc}}
}

// Describe implements collector.Source.
func (s *Load) Describe() collector.Description {
	return collector.Description{
		Name: "load", Purpose: catalogue.Support, Interval: interval, Timeout: timeout,
		Metrics: []catalogue.ID{
			catalogue.CPUUsage, catalogue.LoadAverage,
			catalogue.MemoryTotal, catalogue.MemoryFree, catalogue.MemoryAvailable,
		},
	}
}

// Collect implements collector.Source.
func (s *Load) Collect(ctx context.Context, b *sample.Batch) error {
	ctx = context.WithValue(ctx, common.EnvKey, s.env)
	return errors.Join(s.processor(ctx, b), s.average(ctx, b), s.memory(ctx, b))
}

// processor adds the share of processor time that was not idle since the last
// reading. Waiting for a disk is idle time: the processor could have worked.
func (s *Load) processor(ctx context.Context, b *sample.Batch) error {
	times, err := cpu.TimesWithContext(ctx, false)
	if err != nil {
		return fmt.Errorf("processor times: %w", err)
	}
	if len(times) == 0 {
		return s.absent("stat")
	}
	t := times[0]
	idle := t.Idle + t.Iowait
	// The kernel counts guests as user time as well.
	busy := t.User + t.Nice + t.System + t.Irq + t.Softirq + t.Steal
	share, ok := permille(busy-s.busy, busy+idle-s.total)
	if s.total > 0 && ok {
		b.Add(catalogue.CPUUsage, "", share)
	}
	s.busy, s.total = busy, busy+idle
	return nil
}

// permille returns what busy is of total. There is no answer where no time has
// passed, or the counters went back, as when a processor is taken out; single
// ones go back a little at any time (proc(5) on iowait).
func permille(busy, total float64) (share int64, ok bool) {
	if !(total > 0) || math.IsInf(total, 0) || math.IsNaN(busy) {
		return 0, false
	}
	return int64(math.Round(1000 * min(1, max(0, busy/total)))), true
}

// average adds the load average over one minute.
func (s *Load) average(ctx context.Context, b *sample.Batch) error {
	// gopsutil asks the running kernel where the file is missing, and does
	// not look at how many fields it has.
	text, err := os.ReadFile(filepath.Join(s.proc, "loadavg"))
	if err != nil || len(bytes.Fields(text)) < 3 {
		return s.absent("loadavg")
	}
	avg, err := load.AvgWithContext(ctx)
	if err != nil {
		return fmt.Errorf("load average: %w", err)
	}
	const most = 1e6
	if !(avg.Load1 >= 0 && avg.Load1 < most) {
		return s.absent("loadavg")
	}
	b.Add(catalogue.LoadAverage, "", int64(math.Round(100*avg.Load1)))
	return nil
}

// memory adds the readings of memory.
func (s *Load) memory(ctx context.Context, b *sample.Batch) error {
	text, err := os.ReadFile(filepath.Join(s.proc, "meminfo"))
	if err != nil || !bytes.Contains(text, []byte("MemTotal:")) {
		return s.absent("meminfo")
	}
	m, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return fmt.Errorf("memory: %w", err)
	}
	for _, x := range []struct {
		key    string
		metric catalogue.ID
		bytes  uint64
	}{
		{"MemTotal:", catalogue.MemoryTotal, m.Total},
		{"MemFree:", catalogue.MemoryFree, m.Free},
		{"MemAvailable:", catalogue.MemoryAvailable, m.Available},
	} {
		if bytes.Contains(text, []byte(x.key)) {
			b.Add(x.metric, "", int64(x.bytes/1024))
		}
	}
	return nil
}

// absent says that the kernel has no such file, or nothing in it.
func (s *Load) absent(file string) error {
	return fmt.Errorf("%s: %w", filepath.Join(s.proc, file), collector.ErrNoData)
}
