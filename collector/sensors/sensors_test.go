package sensors

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

// A tree is a fake /sys: files with their content, and symbolic links with
// their target after "->".
type tree map[string]string

func (x tree) write(tb testing.TB, root string) {
	tb.Helper()
	for name, content := range x {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			tb.Fatal(err)
		}
		var err error
		if target, link := strings.CutPrefix(content, "->"); link {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(content+"\n"), 0o600)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
}

func (x tree) source(tb testing.TB) (s *Source, root string) {
	tb.Helper()
	root = tb.TempDir()
	x.write(tb, root)
	s = New(root)
	tb.Cleanup(func() { _ = s.Close() })
	return s, root
}

func ask(t *testing.T, s *Source, at time.Duration) (map[string]int64, error) {
	t.Helper()
	var b sample.Batch
	b.Reset(at)
	err := s.Collect(t.Context(), &b)
	got := map[string]int64{}
	for _, r := range b.Readings {
		m, _ := catalogue.Lookup(r.Metric)
		key := r.Instance + ", " + m.Unit
		if _, twice := got[key]; twice {
			t.Errorf("%s twice in a round", key)
		}
		got[key] = r.Value
	}
	return got, err
}

// sfp is what the kernel shows of an optical module (drivers/net/phy/sfp.c).
var sfp = tree{
	"devices/platform/sfp-wan/hwmon/hwmon2/name":         "sfp",
	"devices/platform/sfp-wan/hwmon/hwmon2/device":       "->../..",
	"devices/platform/sfp-wan/hwmon/hwmon2/in0_input":    "3290",
	"devices/platform/sfp-wan/hwmon/hwmon2/in0_label":    "VCC",
	"devices/platform/sfp-wan/hwmon/hwmon2/in0_max":      "3600",
	"devices/platform/sfp-wan/hwmon/hwmon2/temp1_input":  "48250",
	"devices/platform/sfp-wan/hwmon/hwmon2/temp1_label":  "temperature",
	"devices/platform/sfp-wan/hwmon/hwmon2/curr1_input":  "11",
	"devices/platform/sfp-wan/hwmon/hwmon2/curr1_label":  "bias",
	"devices/platform/sfp-wan/hwmon/hwmon2/power1_input": "1585",
	"devices/platform/sfp-wan/hwmon/hwmon2/power1_label": "TX_power",
	"devices/platform/sfp-wan/hwmon/hwmon2/power2_input": "2",
	"devices/platform/sfp-wan/hwmon/hwmon2/power2_label": "RX_power",
	"class/hwmon/hwmon2":                                 "->../../devices/platform/sfp-wan/hwmon/hwmon2",
}

var sfpWant = map[string]int64{
	"sfp VCC, V": 3290, "sfp temperature, Cel": 48250, "sfp bias, A": 11, "sfp TX_power, W": 1585, "sfp RX_power, W": 2,
}

// A situation is a box and what its sensors give.
type situation struct {
	name string
	tree tree
	want map[string]int64
	err  error
}

func try(t *testing.T, situations []situation) {
	t.Helper()
	for _, tt := range situations {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := tt.tree.source(t)
			for round := range 2 {
				got, err := ask(t, s, time.Duration(round)*10*time.Second)
				if !maps.Equal(got, tt.want) || !errors.Is(err, tt.err) {
					t.Errorf("round %d: %v, %v; want %v, %v", round, got, err, tt.want, tt.err)
				}
			}
		})
	}
}

func TestChips(t *testing.T) {
	try(t, []situation{
		{name: "no sensor classes at all", tree: tree{"kernel/x": ""}, want: nil, err: collector.ErrNoData},
		{name: "empty classes", tree: tree{"class/hwmon/.keep": "", "class/thermal/cooling_device0/type": "fan"}, err: collector.ErrNoData},
		{name: "a chip without sensors", tree: tree{"class/hwmon/hwmon0/name": "acpi"}, err: collector.ErrNoData},
		{name: "a chip without a name", tree: tree{"class/hwmon/hwmon0/temp1_input": "1"}, err: collector.ErrNoData},
		{name: "an optical module", tree: sfp, want: sfpWant},
		{
			name: "no labels",
			tree: tree{"class/hwmon/hwmon0/name": "lm75", "class/hwmon/hwmon0/temp1_input": "48000", "class/hwmon/hwmon0/fan2_input": "1200"},
			want: map[string]int64{"lm75 temp1, Cel": 48000, "lm75 fan2, /min": 1200},
		},
		{
			name: "one label twice",
			tree: tree{
				"class/hwmon/hwmon0/name":        "board",
				"class/hwmon/hwmon0/temp1_input": "1", "class/hwmon/hwmon0/temp1_label": "phy",
				"class/hwmon/hwmon0/temp2_input": "2", "class/hwmon/hwmon0/temp2_label": "phy",
			},
			want: map[string]int64{"board phy, Cel": 1, "board phy temp2, Cel": 2},
		},
		{
			name: "two chips of one name go by their devices, whatever their numbers",
			tree: tree{
				"devices/i2c/1-0048/hwmon/hwmon7/name": "lm75", "devices/i2c/1-0048/hwmon/hwmon7/temp1_input": "48",
				"devices/i2c/1-0048/hwmon/hwmon7/device": "->../..", "class/hwmon/hwmon7": "->../../devices/i2c/1-0048/hwmon/hwmon7",
				"devices/i2c/1-0049/hwmon/hwmon3/name": "lm75", "devices/i2c/1-0049/hwmon/hwmon3/temp1_input": "49",
				"devices/i2c/1-0049/hwmon/hwmon3/device": "->../..", "class/hwmon/hwmon3": "->../../devices/i2c/1-0049/hwmon/hwmon3",
			},
			want: map[string]int64{"lm75 temp1, Cel": 48, "lm75@1-0049 temp1, Cel": 49},
		},
		{
			name: "files with their device, as before Linux 3.13",
			tree: tree{
				"devices/isa/name": "w83627", "devices/isa/in1_input": "5010",
				"class/hwmon/hwmon0/device": "->../../../devices/isa",
			},
			want: map[string]int64{"w83627 in1, V": 5010},
		},
	})
}

func TestSensorInBothClassesIsReportedOnce(t *testing.T) {
	try(t, []situation{
		{
			name: "thermal zones",
			tree: tree{
				"class/thermal/thermal_zone0/type": "cpu-thermal", "class/thermal/thermal_zone0/temp": "61000",
				"class/thermal/thermal_zone1/type": "acpitz", "class/thermal/thermal_zone1/temp": "27800",
				"class/thermal/thermal_zone2/type": "acpitz", "class/thermal/thermal_zone2/temp": "29800",
			},
			want: map[string]int64{
				"thermal cpu-thermal, Cel": 61000, "thermal acpitz, Cel": 27800, "thermal acpitz@thermal_zone2, Cel": 29800,
			},
		},
		{
			name: "a zone that hwmon mirrors",
			tree: tree{
				"class/thermal/thermal_zone0/type": "cpu-thermal", "class/thermal/thermal_zone0/temp": "61000",
				"class/thermal/thermal_zone0/hwmon0/name": "cpu_thermal", "class/thermal/thermal_zone0/hwmon0/temp1_input": "61000",
				"class/thermal/thermal_zone0/hwmon0/device": "->../../thermal_zone0",
				"class/hwmon/hwmon0":                        "->../thermal/thermal_zone0/hwmon0",
			},
			want: map[string]int64{"thermal cpu-thermal, Cel": 61000},
		},
		{
			name: "a zone that the hwmon of an older kernel mirrors",
			tree: tree{
				"class/thermal/thermal_zone0/type": "cpu-thermal", "class/thermal/thermal_zone0/temp": "61000",
				"class/hwmon/hwmon0/name": "cpu_thermal", "class/hwmon/hwmon0/temp1_input": "61000",
			},
			want: map[string]int64{"thermal cpu-thermal, Cel": 61000},
		},
		{
			name: "a chip with the name of a zone but a device of its own",
			tree: tree{
				"class/thermal/thermal_zone0/type": "adc", "class/thermal/thermal_zone0/temp": "1000",
				"class/hwmon/hwmon0/name": "adc", "class/hwmon/hwmon0/in1_input": "2", "class/hwmon/hwmon0/device/x": "",
			},
			want: map[string]int64{"thermal adc, Cel": 1000, "adc in1, V": 2},
		},
	})
}

func TestChipOfAnotherSourceIsLeftToIt(t *testing.T) {
	x := tree{"class/hwmon/hwmon0/name": "lm75", "class/hwmon/hwmon0/temp1_input": "48000"}
	maps.Copy(x, sfp)
	root := t.TempDir()
	x.write(t, root)
	s := New(root, func(folder string) bool {
		_, err := os.Stat(filepath.Join(folder, "power1_label"))
		return err == nil
	}, func(string) bool { return false })
	t.Cleanup(func() { _ = s.Close() })
	want := map[string]int64{"lm75 temp1, Cel": 48000}
	if got, err := ask(t, s, 0); !maps.Equal(got, want) || err != nil {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}

func TestValueThatCannotBeIsAbsent(t *testing.T) {
	try(t, []situation{
		{
			name: "a faulty sensor and a healthy one",
			tree: tree{
				"class/hwmon/hwmon0/name":        "lm90",
				"class/hwmon/hwmon0/temp1_input": "40000", "class/hwmon/hwmon0/temp1_fault": "0",
				"class/hwmon/hwmon0/temp2_input": "127000", "class/hwmon/hwmon0/temp2_fault": "1",
			},
			want: map[string]int64{"lm90 temp1, Cel": 40000},
		},
		{
			name: "radios of which one is off",
			tree: tree{
				"devices/pci/ieee80211/phy0/name": "phy0", "class/hwmon/hwmon0/device": "->../../../devices/pci",
				"class/hwmon/hwmon0/name": "ath11k_hwmon", "class/hwmon/hwmon0/temp1_input": "0",
				"class/hwmon/hwmon1/device": "->../../../devices/pci/ieee80211/phy0",
				"class/hwmon/hwmon1/name":   "mt7915_phy0", "class/hwmon/hwmon1/temp1_input": "0",
				"class/hwmon/hwmon2/name": "mt7915_phy1", "class/hwmon/hwmon2/temp1_input": "-274000",
				"class/hwmon/hwmon3/device": "->../../../devices/pci/ieee80211/phy0",
				"class/hwmon/hwmon3/name":   "mt7915_phy2", "class/hwmon/hwmon3/temp1_input": "53000",
			},
			want: map[string]int64{"mt7915_phy2 temp1, Cel": 53000},
		},
		{
			name: "all radios off",
			tree: tree{
				"class/hwmon/hwmon0/name": "mt7915_phy0", "class/hwmon/hwmon0/temp1_input": "-274000",
			},
			want: nil,
		},
		{
			name: "the battery of a customer's headset",
			tree: tree{
				"class/hwmon/hwmon0/name": "hid_0c:fc:18:e1:30:05_battery", "class/hwmon/hwmon0/in0_input": "3700",
				"class/hwmon/hwmon1/name": "bat", "class/hwmon/hwmon1/in0_input": "3800", "class/hwmon/hwmon1/in0_label": "0c:fc:18:e1:30:05",
			},
			want: map[string]int64{"bat in0, V": 3800},
		},
	})
}

func TestValuesAreReadAnew(t *testing.T) {
	s, root := sfp.source(t)
	for i, v := range []int64{3290, 3100, 2900} {
		tree{"devices/platform/sfp-wan/hwmon/hwmon2/in0_input": strconv.FormatInt(v, 10)}.write(t, root)
		if got, err := ask(t, s, time.Duration(i)*time.Second); got["sfp VCC, V"] != v || err != nil {
			t.Errorf("round %d: %v, %v; want a VCC of %d", i, got, err, v)
		}
	}
}

func TestNewSensorsAreFoundAfterAWhile(t *testing.T) {
	s, root := tree{"class/thermal/thermal_zone0/type": "cpu", "class/thermal/thermal_zone0/temp": "50000"}.source(t)
	for _, tt := range []struct {
		at   time.Duration
		want int
	}{{0, 1}, {10 * time.Second, 1}, {discoverEvery - time.Second, 1}, {discoverEvery, 6}, {discoverEvery + 10*time.Second, 6}} {
		got, err := ask(t, s, tt.at)
		if len(got) != tt.want || err != nil {
			t.Errorf("at %v: %d values, %v; want %d", tt.at, len(got), err, tt.want)
		}
		if tt.at == 0 {
			sfp.write(t, root) // a module is plugged in
		}
	}
}

// A broken file answers with an error.
type broken struct {
	err    error
	asked  int
	closed bool
}

func (f *broken) Int() (int64, error) { f.asked++; return 0, f.err }
func (f *broken) Close() error        { f.closed = true; return nil }

func TestSensorThatVanishesCostsOnlyItsOwnReadings(t *testing.T) {
	s, root := sfp.source(t)
	if _, err := ask(t, s, 0); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(s.sensors, func(x *sensor) bool { return x.instance == "sfp bias" })
	_ = s.sensors[i].value.Close()
	gone := &broken{err: fmt.Errorf("read: %w: %w", unix.ENODEV, fs.ErrNotExist)}
	s.sensors[i].value = gone
	want := maps.Clone(sfpWant)
	delete(want, "sfp bias, A")
	if got, err := ask(t, s, 10*time.Second); !maps.Equal(got, want) || err != nil {
		t.Errorf("without its bias: %v, %v; want %v", got, err, want)
	}
	// It is looked for after a minute, not in the next round, and not only
	// after five.
	if err := os.Remove(filepath.Join(root, "devices/platform/sfp-wan/hwmon/hwmon2/curr1_input")); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t, s, 20*time.Second); err != nil || gone.closed {
		t.Errorf("in the next round: %v; looked for again %v", err, gone.closed)
	}
	if got, err := ask(t, s, discoverAgain); !gone.closed || !maps.Equal(got, want) || err != nil {
		t.Errorf("a minute later: looked again %v; %v, %v; want %v", gone.closed, got, err, want)
	}
}

func TestSensorThatKeepsFailingIsLeftAlone(t *testing.T) {
	s, _ := sfp.source(t)
	if _, err := ask(t, s, 0); err != nil {
		t.Fatal(err)
	}
	bad := &broken{err: &fs.PathError{Op: "read", Path: "in0_input", Err: unix.EIO}}
	_ = s.sensors[0].value.Close()
	s.sensors[0].value = bad
	for range 2 * (patience + retryRounds) {
		if got, err := ask(t, s, time.Second); len(got) != 4 || err != nil {
			t.Fatalf("%v, %v; want the other four", got, err)
		}
	}
	if want := patience + 2; bad.asked != want {
		t.Errorf("asked %d times in %d rounds; want %d", bad.asked, 2*(patience+retryRounds), want)
	}
}

func TestOutcomeWhereNoSensorAnswers(t *testing.T) {
	for _, tt := range []struct {
		errno           unix.Errno
		refused, absent bool
	}{
		{errno: unix.EIO},
		{errno: unix.ENODATA},
		{errno: unix.EACCES, refused: true},
		{errno: unix.ENOENT, absent: true},
	} {
		s, _ := tree{"class/thermal/thermal_zone0/type": "cpu", "class/thermal/thermal_zone0/temp": "50000"}.source(t)
		if _, err := ask(t, s, 0); err != nil {
			t.Fatal(err)
		}
		_ = s.sensors[0].value.Close()
		s.sensors[0].value = &broken{err: &fs.PathError{Op: "read", Path: "temp", Err: tt.errno}}
		for round := range patience + 2 { // also while it is left alone
			got, err := ask(t, s, time.Second)
			refused, absent := errors.Is(err, collector.ErrRefused), errors.Is(err, collector.ErrNoData)
			if len(got) != 0 || !errors.Is(err, tt.errno) || refused != tt.refused || absent != tt.absent {
				t.Errorf("round %d: %v, %v; want %v, refused %v, absent %v", round, got, err, tt.errno, tt.refused, tt.absent)
			}
		}
	}
}

func TestClassThatMayNotBeReadIsRefused(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("the superuser may read everything")
	}
	s, root := tree{"class/hwmon/hwmon0/name": "lm75"}.source(t)
	folder := filepath.Join(root, "class/hwmon")
	if err := os.Chmod(folder, 0); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.Chmod(folder, 0o700) }() //nolint:gosec // so that the test's folder can be removed
	if _, err := ask(t, s, 0); !errors.Is(err, collector.ErrRefused) {
		t.Errorf("Collect = %v; want refused", err)
	}
}

func TestNoMoreThanMaxSensorsAreRead(t *testing.T) {
	x := tree{"class/hwmon/hwmon0/name": "big"}
	for i := range MaxSensors + 5 {
		x[fmt.Sprintf("class/hwmon/hwmon0/in%d_input", i)] = "1"
	}
	s, _ := x.source(t)
	got, err := ask(t, s, 0)
	if len(got) != MaxSensors || !errors.Is(err, collector.ErrNoData) || !strings.Contains(err.Error(), "5 sensors beyond") {
		t.Errorf("%d values, %v; want %d and how many are left out", len(got), err, MaxSensors)
	}
}

func TestCollectEndsWithItsContext(t *testing.T) {
	s, _ := sfp.source(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var b sample.Batch
	if err := s.Collect(ctx, &b); !errors.Is(err, context.Canceled) || len(b.Readings) != 0 {
		t.Errorf("Collect = %v, %v; want no readings, cancelled", b.Readings, err)
	}
}

func TestCloseThenCollectAgain(t *testing.T) {
	s, _ := sfp.source(t)
	for range 2 {
		if got, err := ask(t, s, time.Second); !maps.Equal(got, sfpWant) || err != nil {
			t.Errorf("%v, %v; want %v", got, err, sfpWant)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDescriptionHoldsAgainstTheCatalogue(t *testing.T) {
	if _, err := collector.NewSet(collector.Options{Now: func() time.Duration { return 0 }}, New("")); err != nil {
		t.Error(err)
	}
}

func TestSteadyRoundAllocatesNothing(t *testing.T) {
	s, _ := sfp.source(t)
	var b sample.Batch
	ctx := t.Context()
	if err := s.Collect(ctx, &b); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		b.Reset(time.Second)
		_ = s.Collect(ctx, &b)
	}); n != 0 || len(b.Readings) != 5 {
		t.Errorf("%v allocations for %d readings in a round; want 0 for 5", n, len(b.Readings))
	}
}

func TestThisKernelsSensors(t *testing.T) {
	s := New("")
	defer s.Close()
	got, err := ask(t, s, 0)
	if err != nil && len(got) > 0 {
		t.Errorf("%v, %v; want one or the other", got, err)
	}
	if err != nil {
		t.Skipf("this machine has none: %v", err)
	}
	for name := range got {
		if hasAddress(name) {
			t.Errorf("%q holds a hardware address", name)
		}
	}
}

func BenchmarkCollect5Sensors(b *testing.B) {
	b.ReportAllocs()
	s, _ := sfp.source(b)
	var batch sample.Batch
	ctx := b.Context()
	for b.Loop() {
		batch.Reset(time.Second)
		if err := s.Collect(ctx, &batch); err != nil {
			b.Fatal(err)
		}
	}
}
