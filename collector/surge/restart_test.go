package surge

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
)

// A files is a tree of files of sysfs, by name.
type files map[string]string

func (x files) write(tb testing.TB) (root string) {
	tb.Helper()
	root = tb.TempDir()
	x.writeTo(tb, root)
	return root
}

func (x files) writeTo(tb testing.TB, root string) {
	tb.Helper()
	for name, content := range x {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content+"\n"), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
}

// ask returns what a source gives, as "instance metric value".
func ask(t *testing.T, s collector.Source) ([]string, error) {
	t.Helper()
	var b sample.Batch
	err := s.Collect(t.Context(), &b)
	var got []string
	for _, r := range b.Readings {
		m, ok := catalogue.Lookup(r.Metric)
		if !ok || !slices.Contains(s.Describe().Metrics, r.Metric) {
			t.Errorf("reading of metric %d, which the source does not announce", r.Metric)
		}
		got = append(got, strings.TrimSpace(r.Instance+" "+strings.TrimPrefix(m.Name[strings.LastIndexByte(m.Name, '.')+1:], catalogue.VendorPrefix)+" "+m.Format(r.Value)))
	}
	slices.Sort(got)
	return got, err
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q; want %q", what, got, want)
	}
}

func TestWatchdogsTellByTheirFlags(t *testing.T) {
	for status, want := range map[string]string{
		"0": "", "32": "Watchdog", "16": "BrownOut", "48": "BrownOut", "64": "OverVoltage", "1": "Overheat",
		"2": "Fan", "4": "External", "8": "External", "33": "Overheat", "33152": "", "-1": "BrownOut",
	} {
		s := NewRestarts(Config{Sys: files{"class/watchdog/watchdog0/bootstatus": status}.write(t)})
		got, err := ask(t, s)
		if want == "" {
			if len(got) > 0 || !errors.Is(err, collector.ErrNoData) {
				t.Errorf("bootstatus %s: %q, %v; want nothing", status, got, err)
			}
			continue
		}
		same(t, "bootstatus "+status, got, []string{"watchdog0 Reason " + want})
	}
}

func TestWatchdogThatCannotBeReadCostsItself(t *testing.T) {
	sys := files{
		"class/watchdog/watchdog0/bootstatus": "much", "class/watchdog/watchdog1/bootstatus": "32",
		"class/watchdog/watchdog2/state": "active", "class/watchdog/watchdogs/bootstatus": "32",
		"class/watchdog/watchdog00:11:22:33:44:55/bootstatus": "32",
	}.write(t)
	got, err := ask(t, NewRestarts(Config{Sys: sys}))
	same(t, "two that cannot be read", got, []string{"watchdog1 Reason Watchdog"})
	if err == nil || errors.Is(err, collector.ErrRefused) {
		t.Errorf("Collect = %v; want what could not be read", err)
	}
}

func TestNoWatchdogIsOpenedAndNoRecordIsTouched(t *testing.T) {
	sys := files{
		"class/watchdog/watchdog0/bootstatus": "32",
		"fs/pstore/dmesg-ramoops-0":           "Panic#1 Part1 00:11:22:33:44:55",
		"fs/pstore/dmesg-ramoops-1":           "Oops#2", "fs/pstore/console-ramoops-0": "Linux version",
	}.write(t)
	dev := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(dev, "watchdog"), 0o600); err != nil { // who opens it is held up
		t.Fatal(err)
	}
	before := map[string]time.Time{}
	stamp := func(f func(name string, atime time.Time)) {
		for _, name := range []string{"dmesg-ramoops-0", "dmesg-ramoops-1", "console-ramoops-0"} {
			var st unix.Stat_t
			if err := unix.Stat(filepath.Join(sys, "fs/pstore", name), &st); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			f(name, time.Unix(st.Atim.Unix()))
		}
	}
	stamp(func(name string, atime time.Time) { before[name] = atime })
	signs, _ := Restart(t.Context(), Config{Sys: sys, Dev: dev})
	got, err := ask(t, NewRestarts(Config{Sys: sys, Dev: dev}))
	same(t, "restarts", got, []string{"CrashRecords 2", "watchdog0 Reason Watchdog"})
	if err != nil || len(signs) != 2 || signs[1].Kind != sample.CrashRecord || signs[1].After != 2 {
		t.Errorf("%v, signs %v", err, signs)
	}
	stamp(func(name string, atime time.Time) {
		if !atime.Equal(before[name]) {
			t.Errorf("%s was read", name)
		}
	})
}

func TestNoRecordsIsNotNoCrash(t *testing.T) {
	sys := files{"fs/pstore/console-ramoops-0": "x"}.write(t)
	got, _ := ask(t, NewRestarts(Config{Sys: sys}))
	same(t, "a console only", got, []string{"CrashRecords 0"})
	if err := os.Remove(filepath.Join(sys, "fs/pstore/console-ramoops-0")); err != nil {
		t.Fatal(err)
	}
	got, err := ask(t, NewRestarts(Config{Sys: sys}))
	if len(got) > 0 || !errors.Is(err, collector.ErrNoData) || !strings.Contains(err.Error(), "not mounted") {
		t.Errorf("an empty folder: %q, %v", got, err)
	}
}

// A bus answers calls with text, by "object.method".
type bus map[string]string

var errBus = errors.New("connection refused")

func (x bus) Call(_ context.Context, object, method string, _ any) (tree.Node, error) {
	text, ok := x[object+"."+method]
	switch {
	case !ok:
		return tree.Node{}, fmt.Errorf("box reports error 196618: %w", collector.ErrNoData)
	case text == "refused":
		return tree.Node{}, fmt.Errorf("box reports error 13: %w", collector.ErrRefused)
	case text == "broken":
		return tree.Node{}, errBus
	}
	return tree.Parse([]byte(text))
}

func (x bus) Values(ctx context.Context, object, method string, _ map[string]any) ([]tree.Node, error) {
	n, err := x.Call(ctx, object, method, nil)
	if err != nil || !n.IsList() {
		return []tree.Node{n}, err
	}
	var values []tree.Node
	n.Each(func(_ string, n tree.Node) { values = append(values, n) })
	return values, nil
}

const (
	rebootGet = "NMC.Reboot.get"
	rebootLog = "NMC.Reboot.Reboot.get"
)

func boots(entries ...string) string {
	return `{"status":{` + strings.Join(entries, ",") + `}}`
}

func entry(number int, reason, shutdown string) string {
	return fmt.Sprintf(`"%d":{"BootDate":"2026-03-10T12:00:00Z","BootReason":%q,"ShutdownDate":"0001-01-01T00:00:00Z","ShutdownReason":%q}`, number, reason, shutdown)
}

func TestLiveboxTellsWhyItRestarted(t *testing.T) {
	for _, tt := range []struct {
		name, log, want string
	}{
		{"power lost", boots(entry(9, "NMC", ""), entry(10, "POR", "")), "PowerOn"},
		{"power lost, one boot in the log", boots(entry(3, "POR", "")), "PowerOn"},
		{"switched off in order", boots(entry(9, "POR", "GUI reboot"), entry(10, "POR", "")), "User"},
		{"by the operator", boots(entry(133, "POR", "TR069 reboot"), entry(134, "NMC", "")), "Planned"},
		{"upgraded", boots(entry(133, "POR", "Upgrade"), entry(134, "NMC", "")), "Upgrade"},
		{"order of numbers, not of texts", boots(entry(10, "Watchdog", ""), entry(9, "POR", "")), "Watchdog"},
		{"a crash", boots(entry(1, "Oops", "")), "Crash"},
		{"a reset from outside", boots(entry(1, "Ext.HW", "")), "External"},
		{"at a set time", boots(entry(1, "TimedReboot", "")), "Planned"},
		{"woken up", boots(entry(1, "WakeUp", "")), "WakeUp"},
		{"unsupported", boots(entry(1, "Unsupported chipset", "")), "Unknown"},
	} {
		got, err := ask(t, NewRestarts(Config{Sys: t.TempDir(), Sysbus: bus{
			rebootGet: `{"status":{"BootCounter":134,"WatchdogRebootCounter":"3","ForceRebootDuration":85}}`, rebootLog: tt.log,
		}}))
		same(t, tt.name, got, []string{"BootCount 134", "WatchdogBootCount 3", "box Reason " + tt.want})
		if !errors.Is(err, collector.ErrNoData) {
			t.Errorf("%s: %v; want that the kernel says nothing", tt.name, err)
		}
	}
}

func TestLiveboxThatDoesNotTell(t *testing.T) {
	device := `{"status":{"NumberOfReboots":7}}`
	for _, tt := range []struct {
		name string
		bus  bus
		want []string
		err  error
	}{
		{"refused", bus{rebootGet: "refused", rebootLog: "refused", "DeviceInfo.get": device}, []string{"BootCount 7"}, collector.ErrNoData},
		{"all refused", bus{rebootGet: "refused", rebootLog: "refused", "DeviceInfo.get": "refused"}, nil, collector.ErrRefused},
		{"absent", bus{}, nil, collector.ErrNoData},
		{"no answer", bus{rebootGet: "broken", rebootLog: "broken", "DeviceInfo.get": "broken"}, nil, errBus},
		{"the log is refused", bus{rebootGet: `{"status":{"BootCounter":1}}`, rebootLog: "refused"}, []string{"BootCount 1"}, collector.ErrNoData},
		{"a list", bus{rebootGet: `{"status":[]}`, rebootLog: `{"status":null}`}, nil, tree.ErrMalformed},
		{"wrong types", bus{rebootGet: `{"status":{"BootCounter":-4,"WatchdogRebootCounter":3}}`, rebootLog: boots(`"x":{}`, `"1":7`)}, []string{"WatchdogBootCount 3"}, tree.ErrMalformed},
		{"a number beyond belief", bus{rebootGet: `{"status":{"BootCounter":1e12}}`}, nil, tree.ErrMalformed},
		{"a reason that is no text", bus{rebootLog: boots(`"1":{"BootReason":{}}`)}, nil, tree.ErrMalformed},
		{"no reason", bus{rebootLog: boots(`"1":{"BootDate":""}`)}, nil, collector.ErrNoData},
	} {
		got, err := ask(t, NewRestarts(Config{Sys: t.TempDir(), Sysbus: tt.bus}))
		same(t, tt.name, got, tt.want)
		if !errors.Is(err, tt.err) {
			t.Errorf("%s: %v; want %v", tt.name, err, tt.err)
		}
	}
}

func TestPrplOSTellsWhyItRestarted(t *testing.T) {
	reply := func(cycle, reason string) string {
		return fmt.Sprintf(`[{"Reboot.":{"BootCounter":12,"ColdBootCount":4,"MaximumNumberOfReboots":10,"NumberOfReboots":2,
			"WarmBootcount":8,"WatchdogRebootCounter":1,"X_PRPL-COM_CurrentBootCycle":%q},
			"Reboot.Reboot.9.":{"BootReason":"Watchdog"},"Reboot.Reboot.10.":{"Alias":"cpe-Reboot-10","BootReason":%q}},{},{"amxd-error-code":0}]`, cycle, reason)
	}
	for _, tt := range []struct{ cycle, reason, want string }{
		{"Warm", `Planned reboot - initiated by "LocalFactoryReset"`, "User"},
		{"Warm", `Planned reboot - initiated by "RemoteReboot"`, "Planned"},
		{"Warm", `Planned reboot - initiated by "Upgrade"`, "Upgrade"},
		{"Warm", "Watchdog", "Watchdog"},
		{"Warm", "Kernel panic", "Crash"},
		{"Cold", "Unknown", "PowerOn"},
		{"Cold", "", "PowerOn"},
		{"", "Power on reset", "PowerOn"},
		{"", "Brown out reset", "BrownOut"},
		{"", "Thermal shutdown", "Overheat"},
		{"Warm", "Unplanned", "Unknown"},
	} {
		got, _ := ask(t, NewRestarts(Config{Sys: t.TempDir(), Model: bus{"Reboot._get": reply(tt.cycle, tt.reason)}}))
		same(t, tt.cycle+" "+tt.reason, got, []string{
			"BootCount 12", "ColdBootCount 4", "WarmBootCount 8", "WatchdogBootCount 1", "box Reason " + tt.want,
		})
	}
	for text, want := range map[string]error{
		`[]`: collector.ErrNoData, `[7,{},{"amxd-error-code":0}]`: tree.ErrMalformed, "refused": collector.ErrRefused,
		`[{"Reboot.":{}}]`: collector.ErrNoData,
	} {
		if got, err := ask(t, NewRestarts(Config{Sys: t.TempDir(), Model: bus{"Reboot._get": text}})); !errors.Is(err, want) || len(got) > 0 {
			t.Errorf("%s: %q, %v; want %v", text, got, err, want)
		}
	}
	if _, err := ask(t, NewRestarts(Config{Sys: t.TempDir(), Model: bus{"Reboot._get": `[{"Reboot.":{"BootCounter":1}},{},{"amxd-error-code":3}]`}})); err == nil || errors.Is(err, collector.ErrNoData) {
		t.Errorf("an error of the data model: %v", err)
	}
}

// A mute bus does not answer: until its call is over, or never.
type mute struct{ ever chan struct{} }

func (m mute) Call(ctx context.Context, _, _ string, _ any) (tree.Node, error) {
	if m.ever != nil {
		<-m.ever
		return tree.Node{}, nil
	}
	<-ctx.Done()
	return tree.Node{}, fmt.Errorf("call: %w", ctx.Err())
}

func (m mute) Values(ctx context.Context, _, _ string, _ map[string]any) ([]tree.Node, error) {
	n, err := m.Call(ctx, "", "", nil)
	return []tree.Node{n}, err
}

type panicking struct{}

func (panicking) Call(context.Context, string, string, any) (tree.Node, error) { panic("index") }

func TestRestartTellsWhatItCouldNotSeeAndWaitsForNoOne(t *testing.T) {
	sys := files{"class/watchdog/watchdog0/bootstatus": "16"}.write(t)
	synctest.Test(t, func(t *testing.T) {
		ever := make(chan struct{})
		defer close(ever)
		began := time.Now()
		signs, unseen := Restart(t.Context(), Config{Sys: sys, Sysbus: mute{ever}, Model: mute{}})
		if d := time.Since(began); d != patience {
			t.Errorf("took %v; want %v", d, patience)
		}
		if len(signs) != 1 || signs[0] != (sample.Sign{
			Kind: sample.ResetCause, Instance: "watchdog0", Metric: catalogue.RestartReason, After: catalogue.RestartBrownOut,
		}) {
			t.Errorf("signs %+v; want the brown-out", signs)
		}
		if len(unseen) != 3 || !strings.HasPrefix(unseen[0], "pstore: ") || strings.Contains(unseen[0], "no answer") ||
			unseen[1] != "sysbus: no answer within 3s" || unseen[2] != "model: no answer within 3s" {
			t.Errorf("unseen %q", unseen)
		}
	})
	_, unseen := Restart(t.Context(), Config{Sys: sys, Sysbus: panicking{}})
	if len(unseen) != 2 || unseen[1] != "sysbus: panic: index" {
		t.Errorf("unseen %q", unseen)
	}
	_, unseen = Restart(t.Context(), Config{Sys: sys, Sysbus: bus{rebootGet: "refused", rebootLog: "refused"}})
	if len(unseen) != 2 || !strings.Contains(unseen[1], "refused") || len(unseen[1]) > maxReason+20 {
		t.Errorf("unseen %q", unseen)
	}
}

func TestRestartsEndWithTheirContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var b sample.Batch
	if err := NewRestarts(Config{Sys: t.TempDir(), Sysbus: mute{}}).Collect(ctx, &b); !errors.Is(err, context.Canceled) {
		t.Errorf("Collect = %v", err)
	}
}

func TestDescriptionsHoldAgainstTheCatalogue(t *testing.T) {
	_, err := collector.NewSet(collector.Options{Now: func() time.Duration { return 0 }}, Sources(Config{})...)
	if err != nil {
		t.Error(err)
	}
}

// Whatever a box replies, a reason is one of the states, and no text of it is
// told.
func FuzzReplies(f *testing.F) {
	f.Add(boots(entry(9, "POR", "TR069 reboot"), entry(10, "NMC", "")))
	f.Add(`{"Reboot.":{"BootCounter":1},"Reboot.Reboot.1.":{"BootReason":"Planned reboot"}}`)
	f.Add(`{"status":{"BootCounter":134,"WatchdogRebootCounter":3}}`)
	f.Add(`{"status":{"99999999999999999999":{"BootReason":1}}}`)
	reason, _ := catalogue.Lookup(catalogue.RestartReason)
	f.Fuzz(func(t *testing.T, text string) {
		n, err := tree.Parse([]byte(text))
		if err != nil {
			return
		}
		for _, d := range Decoders() {
			var b sample.Batch
			_ = d.Decode(n, platform.Hint{}, &b)
			for _, r := range b.Readings {
				if !slices.Contains(d.Metrics, r.Metric) || r.Value < 0 || r.Instance != "" && r.Instance != ofBox ||
					r.Metric == catalogue.RestartReason && r.Value >= int64(len(reason.States)) {
					t.Errorf("%s: %+v", d.Name, r)
				}
			}
		}
	})
}
