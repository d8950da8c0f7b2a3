package brokers

import (
	"strings"
	"testing"
)

func TestWatcherSeesATextInPieces(t *testing.T) {
	var out strings.Builder
	w := &watcher{to: &out, text: "start complete", seen: make(chan struct{})}
	seen := func() bool {
		select {
		case <-w.seen:
			return true
		default:
			return false
		}
	}
	for _, s := range []string{"start", "ing\nst", "art comp"} {
		if n, err := w.Write([]byte(s)); n != len(s) || err != nil || seen() {
			t.Fatalf("after %q: %d, %v, seen %v", s, n, err, seen())
		}
	}
	for range 2 {
		if _, err := w.Write([]byte("lete; start complete")); err != nil || !seen() {
			t.Fatalf("%v, seen %v", err, seen())
		}
	}
	if want := "starting\nstart complete; start completelete; start complete"; out.String() != want {
		t.Errorf("passed on %q; want %q", out.String(), want)
	}
	w = &watcher{text: "x", seen: make(chan struct{})}
	if n, err := w.Write([]byte("axb")); n != 3 || err != nil {
		t.Errorf("to nobody: %d, %v", n, err)
	}
}
