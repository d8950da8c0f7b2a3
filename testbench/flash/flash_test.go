package flash

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"livebox-agent/buffer"
)

func TestDayWithBackendCostsNothing(t *testing.T) {
	bytes, commits, held, err := Day(true)
	if err != nil || bytes != 0 || commits != 0 {
		t.Errorf("Day(up) = %d bytes, %d commits, %v; want none", bytes, commits, err)
	}
	if held > 1 {
		t.Errorf("%d windows held", held)
	}
}

func TestDayWithoutBackendStaysInItsBudget(t *testing.T) {
	bytes, commits, held, err := Day(false)
	t.Logf("%d bytes in %d commits", bytes, commits)
	if err != nil || bytes > 4_000_000 || commits > 96 {
		t.Errorf("Day(down) = %d bytes, %d commits, %v; want at most 4 MB and 96", bytes, commits, err)
	}
	if held != WindowsPerDay {
		t.Errorf("%d windows held; want %d", held, WindowsPerDay)
	}
}

func TestSevenDaysOfOutageKeepEveryWindowAndEvent(t *testing.T) {
	k, err := Outage(7)
	t.Logf("%+v", k)
	if err != nil || k.Held != 7*WindowsPerDay || k.HeldEvents != 7*EventsPerDay {
		t.Errorf("Outage(7) = %+v, %v; want every window and event", k, err)
	}
	if k.FileBytes > buffer.DefaultConfig().FlashBytes || k.WorstDay > 4<<20 {
		t.Errorf("Outage(7) = %+v: above its bytes", k)
	}
}

// What is counted is what reaches the device, journal and all.
func TestDeviceBytesFollowCountedBytes(t *testing.T) {
	bytes, device, err := DayOnDevice(false)
	if errors.Is(err, ErrNoDevice) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	ratio := float64(device) / float64(bytes)
	t.Logf("%d bytes counted, %d reached the device: %.2f", bytes, device, ratio)
	if ratio < 0.9 || ratio > 1.15 {
		t.Errorf("counted to device: ratio %.2f; want 0.9 to 1.15", ratio)
	}
	if device > 4<<20 {
		t.Errorf("%d bytes reached the device in a day", device)
	}
	if _, device, err = DayOnDevice(true); err != nil || device > 64<<10 {
		t.Errorf("with the backend up %d bytes reached the device, %v", device, err)
	}
}

// A file system that is full to the last block, and one that turns read-only.
func TestFullAndReadOnlyFileSystemsStopNothing(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=256k"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("no tmpfs:", err)
		}
		t.Skip("no tmpfs:", err)
	}
	defer func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	b := NewBox(filepath.Join(dir, "buffer"), buffer.DefaultConfig())
	defer b.Close()
	for b.Condition().State == buffer.OK {
		for range 4 {
			if err := b.Window(); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Spill("test"); err != nil && !errors.Is(err, buffer.ErrNotDurable) {
			t.Fatal(err)
		}
		if b.windows > 1000 {
			t.Fatal("a thousand windows fitted in 256 KiB")
		}
	}
	t.Logf("after %d windows: %+v", b.windows, b.Condition())
	held := func() (n uint64) {
		var after buffer.Key
		for {
			r, ok := b.Next(buffer.Windows, after)
			if !ok {
				return n
			}
			after = r.Key
			n++
		}
	}
	if n := held(); n != b.windows {
		t.Errorf("%d of %d windows left on a full file system", n, b.windows)
	}
	if err := b.Event(); !errors.Is(err, buffer.ErrNotDurable) {
		t.Errorf("Append of an event = %v; want not durable", err)
	}
	// Room again: everything becomes durable.
	if err := unix.Mount("none", dir, "tmpfs", unix.MS_REMOUNT, "size=8m"); err != nil {
		t.Fatal(err)
	}
	if err := b.Spill("test"); err != nil || b.Condition().State != buffer.OK {
		t.Errorf("Spill with room = %v, %+v", err, b.Condition())
	}
	if n := held(); n != b.windows {
		t.Errorf("%d of %d windows left", n, b.windows)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	b = NewBox(filepath.Join(dir, "buffer"), buffer.DefaultConfig())
	if c := b.Condition(); c.State != buffer.Unavailable {
		t.Errorf("read-only: %+v; want unavailable", c)
	}
	if err := b.Window(); err != nil {
		t.Errorf("Append of a window = %v", err)
	}
	if n := held(); n != 1 {
		t.Errorf("%d windows; want the new one", n)
	}
}

func BenchmarkFlashDay(b *testing.B) {
	for _, bm := range []struct {
		name string
		up   bool
	}{{"up", true}, {"down", false}} {
		b.Run(bm.name, func(b *testing.B) {
			var bytes int64
			var commits int
			for b.Loop() {
				var err error
				if bytes, commits, _, err = Day(bm.up); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(bytes), "flash-B/day")
			b.ReportMetric(float64(commits), "commits/day")
		})
	}
}

func BenchmarkFlashOutage(b *testing.B) {
	for _, days := range []int{1, 3, 7, 14} {
		b.Run(string('0'+rune(days/10))+string('0'+rune(days%10))+"d", func(b *testing.B) {
			var k Kept
			for b.Loop() {
				var err error
				if k, err = Outage(days); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(k.Held)/float64(k.Windows), "windows-kept")
			b.ReportMetric(float64(k.Whole), "with-columns")
			b.ReportMetric(float64(k.FileBytes), "file-B")
			b.ReportMetric(float64(k.Written)/float64(days), "flash-B/day")
		})
	}
}
