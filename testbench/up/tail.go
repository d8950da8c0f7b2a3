package up

import (
	"bytes"
	"slices"
	"sync"
)

const (
	// tailLines is how many lines a tail keeps, tailBytes how much of each.
	tailLines = 10
	tailBytes = 400
)

// A tail keeps the last lines that were written to it.
type tail struct {
	mu   sync.Mutex // guards what follows
	kept []string
	open []byte // a line without its end
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for line := range bytes.Lines(p) {
		whole, ended := bytes.CutSuffix(line, []byte("\n"))
		t.open = append(t.open, whole[:min(len(whole), max(tailBytes-len(t.open), 0))]...)
		if !ended {
			break
		}
		if len(t.kept) == tailLines {
			t.kept = slices.Delete(t.kept, 0, 1)
		}
		t.kept = append(t.kept, string(t.open))
		t.open = t.open[:0]
	}
	return len(p), nil
}

// lines returns the last whole lines, oldest first.
func (t *tail) lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.kept)
}
