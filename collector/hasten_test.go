package collector_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestHastenedSourceIsAskedNowButNotWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, uptime("line", one), uptime("other", one))
		b.set.Hasten("line") // before Run: the first round is at once anyhow
		go func() {
			<-time.After(12 * time.Second) // 13 s after boot
			b.set.Hasten("line", "nobody")
			<-time.After(time.Second)
			for range 100 {
				b.set.Hasten("line")
			}
		}()
		b.run(t, 31*time.Second)
		want := []time.Duration{1 * time.Second, 3 * time.Second, 10 * time.Second, 13 * time.Second, 15 * time.Second, 20 * time.Second, 30 * time.Second}
		if !slices.Equal(b.got["line"], want) {
			t.Errorf("line asked at %v; want %v", b.got["line"], want)
		}
		if want := []time.Duration{1 * time.Second, 10 * time.Second, 20 * time.Second, 30 * time.Second}; !slices.Equal(b.got["other"], want) {
			t.Errorf("other asked at %v; want %v", b.got["other"], want)
		}
	})
}
