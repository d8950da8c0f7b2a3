package vitals

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/shirou/gopsutil/v3/disk"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

const (
	interval = time.Minute
	timeout  = 3 * time.Second
)

// System is the source system.
type System struct{ stateDir string }

// NewSystem returns the source system of a box whose agent keeps its state in
// stateDir.
func NewSystem(stateDir string) *System { return &System{stateDir} }

// Describe implements collector.Source.
func (s *System) Describe() collector.Description {
	return collector.Description{
		Name: "system", Purpose: catalogue.Essential, Interval: interval, Timeout: timeout,
		Metrics: []catalogue.ID{catalogue.UpTime, catalogue.StateSpaceFree},
	}
}

// Collect implements collector.Source. The free space is what the agent may
// use: without what the file system keeps for the superuser.
func (s *System) Collect(ctx context.Context, b *sample.Batch) error {
	b.Add(catalogue.UpTime, "", int64(b.At/time.Second))
	usage, err := disk.UsageWithContext(ctx, s.stateDir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("state directory %s: %w: %w", s.stateDir, err, collector.ErrNoData)
	}
	if err != nil {
		return fmt.Errorf("state directory %s: %w", s.stateDir, err)
	}
	b.Add(catalogue.StateSpaceFree, "", int64(usage.Free/1024))
	return nil
}
