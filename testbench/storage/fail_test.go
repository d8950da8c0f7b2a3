package storage

import (
	"testing"
)

func TestEveryFailingOperationIsSurvived(t *testing.T) {
	d := newDisk(t)
	all := failings()
	if raceDetector {
		all = all[4:7]
	}
	for _, f := range all {
		t.Run(f.name, func(t *testing.T) {
			got, err := failEach(d, f)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d runs, %d states, durable again after %v", got.Runs, got.Left, got.Recovered)
			if err := got.err(); err != nil {
				t.Error(err)
			}
			if got.Runs < 15 {
				t.Errorf("%d runs: nothing failed", got.Runs)
			}
		})
	}
}
