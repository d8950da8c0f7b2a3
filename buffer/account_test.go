package buffer

import (
	"testing"
	"time"
)

func TestAccountGoesOnAfterRestart(t *testing.T) {
	first := account{limit: 1000, boot: 1}
	first.advance(10 * time.Hour)
	first.spend(600)
	saved := first.encode(50)
	for _, tt := range []struct {
		name        string
		boot        uint32
		now         time.Duration
		wantSpent   int64
		wantElapsed time.Duration
	}{
		{"same boot, a minute later", 1, 10*time.Hour + time.Minute, 650, 10*time.Hour + time.Minute},
		{"same boot, the next day", 1, 25 * time.Hour, 0, time.Hour},
		{"another boot, a minute old", 2, time.Minute, 650, 10*time.Hour + time.Minute},
		{"another boot, fifteen hours old", 2, 15 * time.Hour, 0, time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := account{limit: 1000, boot: tt.boot, at: tt.now}
			a.decode(saved)
			if a.spent != tt.wantSpent || a.elapsed != tt.wantElapsed || a.total != 650 {
				t.Errorf("spent %d, elapsed %v, total %d; want %d, %v, 650", a.spent, a.elapsed, a.total, tt.wantSpent, tt.wantElapsed)
			}
		})
	}
	for n := range len(saved) {
		a := account{limit: 1000, at: time.Hour}
		a.decode(saved[:n])
		if a.spent != 0 || a.total != 0 {
			t.Errorf("%d of %d bytes were believed", n, len(saved))
		}
	}
}

// A commit that cost more than was left is paid the next day.
func TestAccountCarriesOverWhatWasTooMuch(t *testing.T) {
	a := account{limit: 1000}
	a.spend(1300)
	a.advance(25 * time.Hour)
	if a.spent != 300 {
		t.Errorf("the next day starts with %d spent; want 300", a.spent)
	}
	a.advance(100 * time.Hour)
	if a.spent != 0 {
		t.Errorf("days later %d", a.spent)
	}
}

func TestAccountPacesWindows(t *testing.T) {
	a := account{limit: 8000} // 7000 for windows, of which 1750 at once
	for _, tt := range []struct {
		spent, n int64
		elapsed  time.Duration
		want     time.Duration
	}{
		{0, 1750, 0, 0},
		{1000, 700, 0, 0},
		{1750, 525, 0, day / 10},
		{1750, 525, day / 20, day / 20},
		{1750, 525, day / 2, 0},
		{6900, 200, day / 2, day / 2}, // not today
	} {
		a.spent, a.elapsed = tt.spent, tt.elapsed
		if got := a.pacedFrom(tt.n); got.Round(time.Second) != tt.want.Round(time.Second) {
			t.Errorf("spent %d, %v into the day: %d bytes in %v; want %v", tt.spent, tt.elapsed, tt.n, got, tt.want)
		}
	}
	a.spent = 7000
	if a.allowsWindows(1) || !a.allowsEvent(1000) || a.allowsEvent(1001) {
		t.Error("7000 of 8000 spent: windows must wait, events have 1000 left")
	}
}
