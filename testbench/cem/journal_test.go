package cem

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func entry(i int) message {
	return message{
		subject: "cem.v1.box1.telemetry", stored: time.Unix(1700000000, int64(i)),
		payload: fmt.Appendf(nil, "report %d", i),
	}
}

// reopen returns what the journal in dir holds.
func reopen(t *testing.T, dir string, most int64) (*journal, []message) {
	t.Helper()
	var held []message
	j, err := openJournal(dir, most, func(m message) { held = append(held, m) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.close() })
	return j, held
}

func TestJournalGivesBackWhatItTook(t *testing.T) {
	dir := t.TempDir()
	j, held := reopen(t, dir, 1<<20)
	if len(held) != 0 {
		t.Errorf("a new journal holds %d messages", len(held))
	}
	for i := range 10 {
		if err := j.append([]message{entry(2 * i), entry(2*i + 1)}); err != nil {
			t.Fatal(err)
		}
	}
	_, held = reopen(t, dir, 1<<20)
	if len(held) != 20 {
		t.Fatalf("%d messages; want 20", len(held))
	}
	for i, m := range held {
		want := entry(i)
		if m.subject != want.subject || !bytes.Equal(m.payload, want.payload) || !m.stored.Equal(want.stored) || m.sequence != uint64(i+1) {
			t.Errorf("message %d: %+v; want %+v", i, m, want)
		}
	}
}

// Wherever a loss of power cuts the file, the whole entries before the cut are
// there, and the journal goes on behind them.
func TestJournalCutAnywhereKeepsTheWholeEntries(t *testing.T) {
	dir := t.TempDir()
	j, _ := reopen(t, dir, 1<<20)
	var ends []int64
	for i := range 3 {
		if err := j.append([]message{entry(i)}); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, j.bytes)
	}
	whole, err := os.ReadFile(filepath.Join(dir, "journal.log"))
	if err != nil {
		t.Fatal(err)
	}
	for cut := range whole {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "journal.log"), whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		want := 0
		for _, end := range ends {
			if int64(cut) >= end {
				want++
			}
		}
		j, held := reopen(t, dir, 1<<20)
		if len(held) != want {
			t.Fatalf("cut at %d: %d messages; want %d", cut, len(held), want)
		}
		if err := j.append([]message{entry(9)}); err != nil {
			t.Fatal(err)
		}
		if _, held = reopen(t, dir, 1<<20); len(held) != want+1 {
			t.Fatalf("cut at %d: %d messages after one more; want %d", cut, len(held), want+1)
		}
	}
}

func TestJournalStaysWithinItsBytes(t *testing.T) {
	const most = 4 << 10
	dir := t.TempDir()
	j, _ := reopen(t, dir, most)
	for i := range 1000 {
		if err := j.append([]message{entry(i)}); err != nil {
			t.Fatal(err)
		}
	}
	var bytes int64
	for _, ext := range []string{"old", "log"} {
		info, err := os.Stat(j.name(ext))
		if err != nil {
			t.Fatal(err)
		}
		bytes += info.Size()
	}
	if bytes > most+200 { // one entry more in each
		t.Errorf("%d bytes; want at most %d", bytes, most)
	}
	_, held := reopen(t, dir, most)
	if n := len(held); n == 0 || string(held[n-1].payload) != "report 999" {
		t.Errorf("%d messages, the last of which is not the newest", n)
	}
}

func FuzzReadEntry(f *testing.F) {
	f.Add(appendEntry(nil, entry(1)))
	f.Add([]byte{10, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0xff, 0xff})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, n, err := readEntry(bytes.NewReader(b))
		if err != nil {
			return
		}
		if again := appendEntry(nil, m); !bytes.Equal(again, b[:n]) {
			t.Errorf("% x reads as %+v, which is written % x", b[:n], m, again)
		}
	})
}

func TestSubjectOf(t *testing.T) {
	for topic, want := range map[string]string{
		"cem/v1/box1/telemetry":   "cem.v1.box1.telemetry",
		"cem/v1/box1/event":       "cem.v1.box1.event",
		"cem/v1/box1/status":      "cem.v1.box1.status",
		"cem/v1/box1/ack":         "",
		"cem/v1/a.b/telemetry":    "",
		"cem/v1//telemetry":       "",
		"cem/v1/box1/telemetry/x": "",
		"cem/v2/box1/telemetry":   "",
		"":                        "",
	} {
		if got, ok := subjectOf(topic); got != want || ok != (want != "") {
			t.Errorf("subjectOf(%q) = %q, %v; want %q", topic, got, ok, want)
		}
	}
}
