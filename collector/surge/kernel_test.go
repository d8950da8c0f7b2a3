package surge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/kernel"
	"livebox-agent/collector/sample"
)

func TestMessagesAreClassedAsTheKernelWritesThem(t *testing.T) {
	for _, tt := range []struct {
		text string
		want class
	}{
		{"hwmon hwmon1: Undervoltage detected!", classPower},
		{"VDD_5V: under-voltage condition", classPower},
		{"reboot: HARDWARE PROTECTION shutdown (Under-voltage)", classPower},
		{"reboot: HARDWARE PROTECTION shutdown (Temperature too high)", classThermal},
		{"thermal thermal_zone0: cpu-thermal: critical temperature reached, shutting down", classThermal},
		{"Generic PHY mdio.0:01: Downshift occurred from negotiated speed 1Gbps to actual speed 100Mbps, check cabling!", classPort},
		{"NETDEV WATCHDOG: eth0 (mtk_soc_eth): transmit queue 0 timed out", classPort},
		{"mtk_soc_eth 1b100000.ethernet: mdio: MDIO timeout", classPort},
		{"sfp sfp-wan: module transmit fault indicated", classPort},
		{"pcieport 0000:00:00.0: PCIe Bus Error: severity=Corrected, type=Data Link Layer", classPCIe},
		{"ath11k 0000:01:00.0: Unable to change power state from D3cold to D0, device inaccessible", classPCIe},
		{"usb 1-1: device descriptor read/64, error -71", classUSB},
		{"usb usb1-port1: over-current condition", classUSB},
		{"xhci-hcd xhci-hcd.0.auto: HC died; cleaning up", classUSB},
		{"mmc0: Timeout waiting for hardware interrupt.", classFlash},
		{"I/O error, dev mmcblk0, sector 2048 op 0x0:(READ) flags 0x0", classFlash},
		{"ubi0 error: ubi_io_read: error -74 while reading 4096 bytes from PEB 12:0", classFlash},
		{"UBIFS error (ubi0:1 pid 1): ubifs_scan: corrupt empty space", classFlash},
		{"ath10k_pci 0000:01:00.0: firmware crashed! (guid n/a)", classRadio},
		{"mt7915e 0000:01:00.0: Message 00002ced (seq 7) timeout", classRadio},
		{"ieee80211 phy0: Hardware restart was requested", classRadio},
		{"watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [kworker/0:1:11]", classWatchdog},
		{"rcu: INFO: rcu_sched self-detected stall on CPU", classWatchdog},
		{"INFO: task jffs2_gcd:42 blocked for more than 120 seconds.", classWatchdog},
		{"watchdog: watchdog0: watchdog did not stop!", classWatchdog},
		{"Unable to handle kernel NULL pointer dereference at virtual address 00000000", classCrash},
		{"Internal error: Oops: 5 [#1] SMP ARM", classCrash},
		{"Kernel panic - not syncing: Fatal exception", classCrash},
		{"BUG: scheduling while atomic: swapper/0/0x00000100", classCrash},
		{"kernel BUG at mm/slab.c:123!", classCrash},

		{"", classNone},
		{"DEBUG: nothing", classNone},
		{"mtk_soc_eth 1b100000.ethernet eth0: Link is Down", classNone},
		{"pcieport 0000:00:00.0: AER: enabled with IRQ 27", classNone},
		{"Linux version 6.6.0 (gcc) #1 SMP", classNone},
		{"dubious error: not of the flash", classNone},
	} {
		if got := classify([]byte(tt.text)); got != tt.want {
			t.Errorf("%q is of %q; want %q", tt.text, classNames[got], classNames[tt.want])
		}
	}
	text := []byte(strings.Repeat("x", 100) + "Kernel panic")
	if n := testing.AllocsPerRun(100, func() { classify(text) }); n != 0 {
		t.Errorf("a message takes %v allocations", n)
	}
}

func TestEveryClassHasAPatternAndAName(t *testing.T) {
	seen := map[class]bool{}
	for _, p := range patterns {
		seen[p.class] = true
	}
	for c := classNone + 1; c < numClasses; c++ {
		if !seen[c] || classNames[c] == "" {
			t.Errorf("class %d (%q): pattern %v", c, classNames[c], seen[c])
		}
	}
}

func TestRecordsAreRead(t *testing.T) {
	for _, tt := range []struct {
		line string
		want record
		bad  bool
	}{
		{line: "6,339,5140900,-;NET: Registered", want: record{0, 339, 5140900 * time.Microsecond, []byte("NET: Registered")}},
		{line: "30,340,5690716,-,caller=T1;udevd[80]: a;b", want: record{3, 340, 5690716 * time.Microsecond, []byte("udevd[80]: a;b")}},
		{line: "4,341,0,c;", want: record{0, 341, 0, []byte{}}},
		{line: "", bad: true},
		{line: "6,339,5140900", bad: true},
		{line: "6,339;text", bad: true},
		{line: ";", bad: true},
		{line: "6,,5140900,-;text", bad: true},
		{line: "-6,339,5140900,-;text", bad: true},
		{line: "6,339,51409x0,-;text", bad: true},
		{line: "6,9999999999999999999,5140900,-;text", bad: true},
		{line: "6,339,999999999999999999,-;text", bad: true},
	} {
		var r record
		err := r.parse([]byte(tt.line))
		if (err != nil) != tt.bad || fmt.Sprint(r) != fmt.Sprint(tt.want) && !tt.bad {
			t.Errorf("%q: %+v, %v; want %+v", tt.line, r, err, tt.want)
		}
	}
}

// A pipe stands for the kernel's log.
type pipe struct {
	t    *testing.T
	dev  string
	f    *os.File
	next int64
}

func newPipe(t *testing.T) *pipe {
	t.Helper()
	p := &pipe{t: t, dev: t.TempDir()}
	name := filepath.Join(p.dev, "kmsg")
	if err := unix.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	p.f = f
	t.Cleanup(func() { _ = f.Close() })
	return p
}

// say writes a record of the kernel.
func (p *pipe) say(at time.Duration, text string) {
	p.write("4,%d,%d,-;%s\n", p.next, at.Microseconds(), text)
}

func (p *pipe) write(format string, a ...any) {
	p.next++
	if _, err := fmt.Fprintf(p.f, format, a...); err != nil {
		p.t.Fatal(err)
	}
}

// A listener runs a watcher.
type listener struct {
	t     *testing.T
	signs chan sample.Sign
	stop  context.CancelFunc
	ended chan error
}

func listen(t *testing.T, w collector.Watcher) *listener {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &listener{t, make(chan sample.Sign, 1000), cancel, make(chan error, 1)}
	go func() { l.ended <- w.Run(ctx, func(s sample.Sign) { l.signs <- s }) }()
	return l
}

// end ends the watcher.
func (l *listener) end() {
	l.t.Helper()
	l.stop()
	if err := <-l.ended; !errors.Is(err, context.Canceled) {
		l.t.Errorf("Run = %v; want the cancellation", err)
	}
}

// next waits for a sign.
func (l *listener) next() sample.Sign {
	l.t.Helper()
	select {
	case s := <-l.signs:
		return s
	case err := <-l.ended:
		l.t.Fatalf("the watcher ended: %v", err)
	case <-time.After(20 * time.Second):
		l.t.Fatal("no sign")
	}
	return sample.Sign{}
}

// want waits for a sign "kind instance before>after".
func (l *listener) want(line string) sample.Sign {
	l.t.Helper()
	s := l.next()
	if got := fmt.Sprintf("%v %s %d>%d", s.Kind, s.Instance, s.Before, s.After); got != line {
		l.t.Errorf("sign %q; want %q", got, line)
	}
	return s
}

func TestHistoryIsToldByItsOwnTime(t *testing.T) {
	p := newPipe(t)
	p.say(2*time.Second, "usb 1-1: device descriptor read/64, error -71")
	p.say(3*time.Second, "usb 1-1: device descriptor read/64, error -71")
	p.say(math.MaxInt32*time.Second, "Kernel panic - not syncing")
	k := NewKernel(Config{Dev: p.dev, Now: func() time.Duration { return time.Hour }})
	l := listen(t, k)
	if s := l.want("kernel_message usb 0>2"); s.At != 2*time.Second+kernel.Asleep() {
		t.Errorf("first message at %v; want 2 s", s.At)
	}
	if s := l.want("kernel_message crash 0>1"); s.At != time.Hour {
		t.Errorf("message of the future at %v; want now", s.At)
	}
	l.end()
}

// The kernel's clock of messages may be off, so what was waited for came when
// the wait ended, and what follows in the same read so much later as it says.
func TestMessageThatWasWaitedForCameThen(t *testing.T) {
	p := newPipe(t)
	k := NewKernel(Config{Dev: p.dev, Now: func() time.Duration { return time.Hour }})
	if err := k.log.open(k.path); err != nil {
		t.Fatal(err)
	}
	defer k.log.close()
	p.say(5*time.Second, "eth0: nothing of interest")
	p.say(7*time.Second, "hwmon hwmon1: Undervoltage detected!")
	p.say(9*time.Second, "usb 1-1: device descriptor read/64, error -71")
	if _, err := k.log.fill(t.Context(), time.Time{}, false); err != nil {
		t.Fatal(err)
	}
	k.take(true, time.Hour-3*time.Second)
	at := map[string]time.Duration{}
	k.tell(func(s sample.Sign) { at[s.Instance] = s.At })
	if at["power"] != time.Hour-time.Second || at["usb"] != time.Hour {
		t.Errorf("told at %v; want 2 s after the first of the read, and not after now", at)
	}
}

func TestMessagesOverwrittenAndOfOtherPrograms(t *testing.T) {
	p := newPipe(t)
	p.write("4,10,1,-;Kernel panic\n")
	p.write("4,15,1,-;Kernel panic\n SUBSYSTEM=net\n DEVICE=+platform:Kernel panic\n")
	p.write("12,16,1,-;Kernel panic by a program\n") // facility 1
	k := NewKernel(Config{Dev: p.dev})
	l := listen(t, k)
	l.want("kernel_messages_lost  0>4")
	l.want("kernel_message crash 0>2")
	l.end()
	var b sample.Batch
	if err := k.Collect(t.Context(), &b); err != nil || !slices.Contains(b.Readings, sample.Reading{Metric: catalogue.KernelMessagesUntold, Value: 4}) {
		t.Errorf("%v, %v; want those that were overwritten counted in a reading", b.Readings, err)
	}
}

func TestStormOfMessagesIsToldSeldom(t *testing.T) {
	now := time.Hour
	k := NewKernel(Config{Now: func() time.Duration { return now }})
	var got []sample.Sign
	tell := func() time.Duration { return k.tell(func(s sample.Sign) { got = append(got, s) }) }
	var next time.Duration
	for range 60_000 { // a minute of one each millisecond
		k.add(classFlash, 1, now)
		if d := tell(); d > 0 {
			next = d
		}
		now += time.Millisecond
	}
	if len(got) != toldAtOnce+5 {
		t.Errorf("%d signs in a minute; want %d", len(got), toldAtOnce+5)
	}
	if next <= now-toldEvery || next > now+toldEvery {
		t.Errorf("the rest is due at %v, it is %v", next, now)
	}
	now = next
	if d := tell(); d != 0 {
		t.Errorf("still due at %v", d)
	}
	total := int64(0)
	for _, s := range got {
		if s.Before != total {
			t.Errorf("sign from %d; want %d", s.Before, total)
		}
		total = s.After
	}
	if total != 60_000 {
		t.Errorf("told of %d; want all", total)
	}
	if s := got[len(got)-1]; s.At > now-toldEvery/2 || s.At < now-2*toldEvery {
		t.Errorf("last sign at %v, it is %v; want when its first came", s.At, now)
	}
	if !slices.ContainsFunc(got, func(s sample.Sign) bool { return s.Instance == "flash" && s.Metric == catalogue.KernelMessages }) {
		t.Errorf("signs %v", got)
	}
}

func TestRestOfAStormIsToldWithoutAnother(t *testing.T) {
	p := newPipe(t)
	k := NewKernel(Config{Dev: p.dev})
	k.pace = 100 * time.Millisecond
	l := listen(t, k)
	last := int64(0)
	for range toldAtOnce {
		p.say(0, "Kernel panic")
		last = l.next().After
	}
	p.say(0, "Kernel panic")
	if s := l.next(); s.Before != last || s.After != last+1 {
		t.Errorf("sign %+v after %d", s, last)
	}
	l.end()
}

func TestMessagesBeforeSinceAreCountedNotTold(t *testing.T) {
	p := newPipe(t)
	p.say(2*time.Second, "Kernel panic")
	p.say(50*time.Minute, "Kernel panic")
	k := NewKernel(Config{Dev: p.dev, Since: 30 * time.Minute, Now: func() time.Duration { return time.Hour }})
	l := listen(t, k)
	l.want("kernel_message crash 1>2")
	l.end()
	var b sample.Batch
	if err := k.Collect(t.Context(), &b); err != nil || len(b.Readings) != 2 || b.Readings[1].Value != 2 {
		t.Errorf("%v, %v; want both counted", b.Readings, err)
	}
}

func TestLogIsNotReadTwice(t *testing.T) {
	p := newPipe(t)
	p.say(0, "Kernel panic")
	k := NewKernel(Config{Dev: p.dev})
	l := listen(t, k)
	l.want("kernel_message crash 0>1")
	l.end()
	p.next = 0
	p.say(0, "Kernel panic")
	p.say(0, "Kernel panic")
	l = listen(t, k)
	l.want("kernel_message crash 1>2")
	l.end()
}

func TestRecordsThatMakeNoSenseCostThemselves(t *testing.T) {
	p := newPipe(t)
	p.write("nonsense of 00:11:22:33:44:55\n")
	p.write("\n\n 4,1,1,-;not a record\n")
	p.say(0, "Kernel panic")
	k := NewKernel(Config{Dev: p.dev})
	l := listen(t, k)
	l.want("kernel_message crash 0>1")
	p.write("%s\n", strings.Repeat("x", 3*keptOfRecord)) // in two reads or one
	p.say(0, "Kernel panic")
	for l.next().Instance != "crash" {
	}
	// One that comes in two parts.
	_, _ = p.f.WriteString("4,100,1,-;Unable to handle ")
	<-time.After(20 * time.Millisecond)
	_, _ = p.f.WriteString("kernel paging request\n")
	if s := l.next(); s.Kind == sample.KernelMessagesLost {
		s = l.next()
		if s.Instance != "crash" {
			t.Errorf("sign %+v", s)
		}
	}
	l.end()
	var b sample.Batch
	err := k.Collect(t.Context(), &b)
	if !errors.Is(err, collector.ErrNoData) || !strings.Contains(err.Error(), "records made no sense") || strings.Contains(err.Error(), ":44:") {
		t.Errorf("Collect = %v; want how many made no sense, and nothing of them", err)
	}
}

func TestOutcomesOfTheLog(t *testing.T) {
	k := NewKernel(Config{Dev: t.TempDir()})
	if err := k.Run(t.Context(), nil); !errors.Is(err, collector.ErrNoData) {
		t.Errorf("no log: %v", err)
	}
	var b sample.Batch
	if err := k.Collect(t.Context(), &b); !errors.Is(err, collector.ErrNoData) || len(b.Readings) > 0 {
		t.Errorf("Collect = %v, %v", b.Readings, err)
	}
	if err := outcome(&os.PathError{Op: "open", Err: unix.EPERM}); !errors.Is(err, collector.ErrRefused) {
		t.Errorf("not permitted: %v", err)
	}
	dev := t.TempDir()
	if err := os.WriteFile(filepath.Join(dev, "kmsg"), []byte("4,1,1,-;Kernel panic\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var got []sample.Sign
	k = NewKernel(Config{Dev: dev})
	if err := k.Run(t.Context(), func(s sample.Sign) { got = append(got, s) }); !errors.Is(err, io.EOF) || len(got) != 1 {
		t.Errorf("a log that ends: %v, %v", got, err)
	}
	for err, want := range map[error]error{unix.EPIPE: nil, nil: nil, unix.EIO: unix.EIO} {
		if got := k.heard(t.Context(), err); !errors.Is(got, want) {
			t.Errorf("%v means %v; want %v", err, got, want)
		}
	}
}

func TestThisKernelsLog(t *testing.T) {
	f, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("the kernel's log cannot be written: %v", err)
	}
	defer f.Close()
	k := NewKernel(Config{Since: kernel.SinceBoot()})
	k.every = true
	l := listen(t, k)
	for { // until the history is read
		var b sample.Batch
		if k.Collect(t.Context(), &b) == nil {
			break
		}
		select {
		case err := <-l.ended:
			t.Skipf("the kernel's log cannot be read: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	<-time.After(50 * time.Millisecond)
	at := kernel.SinceBoot()
	if _, err := f.WriteString("<7>livebox-agent test: Undervoltage detected!\n"); err != nil {
		t.Fatal(err)
	}
	s := l.next()
	for s.Instance != "power" {
		s = l.next()
	}
	// A read that did not have to wait goes by the kernel's clock.
	if s.At < at-time.Second || s.At > kernel.SinceBoot() || s.After != s.Before+1 {
		t.Errorf("sign %+v; want one message since %v", s, at)
	}
	t.Logf("told %v after it was written", s.At-at)
	l.end()
}

// Whatever the log holds, what is told is of the table, and at a time that has
// been.
func FuzzLog(f *testing.F) {
	f.Add([]byte("6,339,5140900,-;NET: Registered\n SUBSYSTEM=net\n"), true)
	f.Add([]byte("4,1,1,-;Kernel panic\n4,9,99999999999,c;usb: HC died\\x0a\n"), false)
	f.Add([]byte("4,1,1,-;Kernel pa"), true)
	f.Add([]byte("\n\n;;;,,,"), false)
	f.Fuzz(func(t *testing.T, data []byte, live bool) {
		k := NewKernel(Config{Now: func() time.Duration { return time.Minute }})
		for len(data) > 0 {
			n := copy(k.log.buf[k.log.kept:k.log.kept+longestRecord], data)
			data = data[n:]
			k.log.n = k.log.kept + n
			k.take(live, time.Minute)
		}
		k.tell(func(s sample.Sign) {
			if s.At < 0 || s.At > time.Minute || s.After <= s.Before || !slices.Contains(classNames[:], s.Instance) {
				t.Errorf("sign %+v", s)
			}
		})
	})
}

func BenchmarkClassify(b *testing.B) {
	b.ReportAllocs()
	text := []byte("br-lan: port 3(lan3) entered forwarding state, of no interest to anyone but who looks")
	for b.Loop() {
		classify(text)
	}
}
