package clock

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"livebox-agent/uplink/wire"
)

// spoilt are records that cannot be read today and may be tomorrow.
var spoilt = map[string]func(t *testing.T, dir string){
	"a newer version": func(t *testing.T, dir string) {
		t.Helper()
		newer := record
		newer.Version++
		if err := newer.Write(root(t, dir), fileName, []byte(`{"epochs":[57]}`)); err != nil {
			t.Fatal(err)
		}
	},
	"nothing that the device gives": func(t *testing.T, dir string) {
		t.Helper()
		file := filepath.Join(dir, fileName)
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(fileName, file); err != nil { // ELOOP
			t.Fatal(err)
		}
	},
}

// content is what stands under a name: where that leads, or its bytes.
func content(t *testing.T, file string) string {
	t.Helper()
	if to, err := os.Readlink(file); err == nil {
		return "-> " + to
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRecordThatMayBeOfUseIsLeftAlone(t *testing.T) {
	for name, spoil := range spoilt {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			b := &box{mono: time.Minute, wall: noon, boot: "a"}
			b.open(t, dir)
			spoil(t, dir)
			file := filepath.Join(dir, fileName)
			before := content(t, file)
			seen := map[uint64]bool{}
			for range 2 {
				c, err := Open(root(t, dir), b.host())
				s := c.Start()
				if err == nil || c.Kept() == nil || s.PreviousEnd != EndUnknown || s.Run.Counter != 0 || seen[s.Run.ID] {
					t.Errorf("Open = %+v, %v, kept: %v; want an error, an unknown end, and an identity of its own without a count", s, err, c.Kept())
				}
				seen[s.Run.ID] = true
				b.mono, b.wall, b.synced = b.mono+2*time.Hour, b.wall.Add(2*time.Hour), true
				if c.Now().Quality != wire.ClockSynchronised {
					t.Error("no time")
				}
				if c.Keep() == nil || c.CountAfter(57) == nil || c.End() == nil {
					t.Error("a record that was left alone is said to be kept")
				}
				if n := c.Start().Run.Counter; n != 58 {
					t.Errorf("counter %d after reports of run 57; want 58", n)
				}
			}
			if after := content(t, file); after != before {
				t.Errorf("the record is now %q; want %q as it was", after, before)
			}
		})
	}
}

func TestCountGoesOnAfterReportsThatWait(t *testing.T) {
	dir := t.TempDir()
	b := &box{mono: time.Minute, wall: noon, boot: "a"}
	if err := os.WriteFile(filepath.Join(dir, fileName), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _ := Open(root(t, dir), b.host()) // the error is that it was damaged
	for _, tt := range []struct{ waiting, want uint32 }{{0, 1}, {57, 58}, {3, 58}, {57, 58}, {58, 59}} {
		if err := c.CountAfter(tt.waiting); err != nil || c.Start().Run.Counter != tt.want {
			t.Errorf("CountAfter(%d) = %v, counter %d; want %d", tt.waiting, err, c.Start().Run.Counter, tt.want)
		}
	}
	if n := b.open(t, dir).Start().Run.Counter; n != 60 {
		t.Errorf("the next run has counter %d; want 60", n)
	}
	c = b.open(t, dir)
	if err := c.CountAfter(math.MaxUint32); err != nil || c.Start().Run.Counter != math.MaxUint32 {
		t.Errorf("after the last number: %v, counter %d", err, c.Start().Run.Counter)
	}
}

// The count of a run goes on where it cannot be written: its reports come after
// those of earlier runs when the flash can be written again.
func TestCountThatCannotBeWrittenGoesOn(t *testing.T) {
	dir := t.TempDir()
	b := &box{mono: time.Minute, wall: noon, boot: "a"}
	b.open(t, dir)
	inTheWay := filepath.Join(dir, fileName+".tmp")
	if err := os.MkdirAll(filepath.Join(inTheWay, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	c, err := Open(root(t, dir), b.host())
	if err == nil || c.Kept() == nil || c.Start().Run.Counter != 2 || c.Start().PreviousEnd != EndUnclean {
		t.Errorf("Open = %+v, %v; want run 2, and that it is not kept", c.Start(), err)
	}
	if err := os.RemoveAll(inTheWay); err != nil {
		t.Fatal(err)
	}
	if err := c.End(); err != nil || c.Kept() != nil {
		t.Errorf("End = %v, kept: %v", err, c.Kept())
	}
	if s := b.open(t, dir).Start(); s.Run.Counter != 3 || s.PreviousEnd != EndClean {
		t.Errorf("the next run = %+v; want run 3 after a clean end", s)
	}
}
