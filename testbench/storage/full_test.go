package storage

import (
	"errors"
	"os"
	"testing"
)

func TestFlashOfAnySizeIsSurvived(t *testing.T) {
	d := newDisk(t)
	all := fillings()
	if raceDetector {
		all = all[2:4]
	}
	for _, f := range all {
		t.Run(f.name, func(t *testing.T) {
			got, err := fillEach(d, f)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d runs, %d times without room, durable again after %v", got.Runs, got.Short, got.Recovered)
			if err := got.err(); err != nil {
				t.Error(err)
			}
			if got.Short < 5 {
				t.Errorf("%d times without room: it was never full", got.Short)
			}
		})
	}
}

func TestFileSystemOfAnySizeIsSurvived(t *testing.T) {
	got, err := fillSmall()
	if errors.Is(err, errNoMount) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d runs, %d times without room, durable again after %v", got.Runs, got.Short, got.Recovered)
	if err := got.err(); err != nil {
		t.Error(err)
	}
	if got.Short < 5 {
		t.Errorf("%d times without room: it was never full", got.Short)
	}
}
