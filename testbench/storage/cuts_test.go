package storage

import (
	"errors"
	"os"
	"testing"

	"livebox-agent/testbench/faultdisk"
)

func TestMain(m *testing.M) {
	faultdisk.Main()
	os.Exit(m.Run())
}

// record runs a workload for a test.
func record(t *testing.T, w workload) (*promises, faultdisk.Trace) {
	t.Helper()
	log, trace, err := recorded(w)
	if errors.Is(err, faultdisk.ErrNoFUSE) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return log, trace
}

func TestEveryPowerCutIsSurvived(t *testing.T) {
	all := workloads()
	if raceDetector {
		all = all[:1]
	}
	for _, w := range all {
		t.Run(w.name, func(t *testing.T) {
			log, trace := record(t, w)
			t.Logf("%d operations, %d reports", len(trace), len(log.reports))
			c, err := log.cutFrom(0, trace, 20)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d operations, %d writes, %d syncs: %d states", c.Operations, c.Writes, c.Syncs, c.Left)
			if err := c.err(); err != nil {
				t.Error(err)
			}
		})
	}
}

// The judge itself: a disk that lies about what it synced must not pass.
func TestLyingDiskIsFoundOut(t *testing.T) {
	log, trace := record(t, workload{"a run of an agent", brief, 1, false})
	for _, tt := range []struct {
		name        string
		files, dirs bool
	}{{"about files", true, false}, {"about directories", false, true}, {"about both", true, true}} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := log.cutFrom(0, trace.Lying(0, tt.files, tt.dirs), 20)
			if err != nil {
				t.Fatal(err)
			}
			if len(c.Problems) == 0 {
				t.Errorf("%d states judged, and no promise broken", c.Left)
			}
		})
	}
	// From the middle on: reports that were durable before are none of its.
	c, err := log.cutFrom(0, trace.Lying(len(trace)*2/3, true, false), 1000)
	if err != nil || c.Lost == 0 {
		t.Errorf("lying from the middle on lost %d reports, %v; want some", c.Lost, err)
	}
	// One sync left out is one too many, whichever of the store's it is.
	if c, err := log.cutFrom(0, trace, 1); err != nil || len(c.Problems) > 0 {
		t.Errorf("without a lie: %v, %v", c.Problems, err)
	}
}

// newDisk mounts a disk for a test.
func newDisk(t *testing.T) *faultdisk.Disk {
	t.Helper()
	d, err := faultdisk.New()
	if errors.Is(err, faultdisk.ErrNoFUSE) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}
