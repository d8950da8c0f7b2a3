package storage

import "testing"

func TestEveryLossUnderPressureIsToldAndInOrder(t *testing.T) {
	for _, s := range shortages() {
		t.Run(s.name, func(t *testing.T) {
			r, err := runShort(s)
			if err != nil {
				t.Fatal(err)
			}
			t.Log(r)
			if err := r.err(); err != nil {
				t.Error(err)
			}
			if r.Thinned == 0 || r.Dropped == 0 {
				t.Error("nothing was thinned or nothing was dropped: the limit was not reached")
			}
		})
	}
}
