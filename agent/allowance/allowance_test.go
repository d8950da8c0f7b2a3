package allowance

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestNoSpanHasMoreThanTheBurstAndOneForEachPeriod(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		a := Allowance{Burst: 1 + r.IntN(5), Every: time.Duration(1+r.IntN(90)) * time.Minute}
		var taken []time.Duration
		now := time.Hour
		for range 500 {
			now += time.Duration(r.Int64N(int64(20 * time.Minute)))
			if a.Take(now) {
				taken = append(taken, now)
			} else if a.Take(now - time.Hour) {
				t.Fatalf("%+v: a clock that steps back gives one", a)
			}
		}
		if len(taken) < a.Burst {
			t.Fatalf("%+v: only %d in all", a, len(taken))
		}
		for i := range taken {
			for j := i; j < len(taken); j++ {
				if most := a.Burst + int((taken[j]-taken[i])/a.Every); j-i+1 > most {
					t.Fatalf("%+v: %d within %v; want at most %d", a, j-i+1, taken[j]-taken[i], most)
				}
			}
		}
	}
}

func TestWhoMustWaitIsToldHowLong(t *testing.T) {
	a := Allowance{Burst: 2, Every: time.Hour}
	for i, want := range []time.Duration{0, 0, time.Hour} {
		if got := a.Wait(0); got != want {
			t.Fatalf("after %d: wait %v; want %v", i, got, want)
		}
		a.Take(0)
	}
	if a.Take(time.Hour - 1) {
		t.Error("allowed before the time that was told")
	}
	if !a.Take(time.Hour) {
		t.Error("refused at the time that was told")
	}
}
