package optics

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/kernel/netlink"
	"livebox-agent/collector/sample"
)

const internal = hasDiagnostics | 1<<5

var sfpWant = readings{
	catalogue.OpticRxPower: -16861, catalogue.OpticTxPower: 3618, catalogue.OpticBias: 19008,
	catalogue.OpticVoltage: 32920, catalogue.OpticTemperature: 48250,
	catalogue.OpticRxPowerLow: -30000, catalogue.OpticRxPowerHigh: -7999,
	catalogue.OpticTxPowerLow: -2999, catalogue.OpticTxPowerHigh: 5000,
}

func TestModulesOfTheKernel(t *testing.T) {
	k := newHost(t, map[string]image{"eth1": newSFP(internal), "eth0": nil})
	s := k.source(t)
	for round := range 3 {
		got, err := ask(t, s, time.Duration(round)*time.Minute)
		if err != nil || len(got) != 1 {
			t.Errorf("round %d: %d ports, %v", round, len(got), err)
		}
		expect(t, "an SFP", got["eth1"], sfpWant)
	}
	if n := len(k.asked["eth0"]); n != 1 {
		t.Errorf("the interface without a module was asked %d times in 3 rounds; want once", n)
	}
	if _, err := ask(t, s, discoverEvery); err != nil || len(k.asked["eth0"]) != 2 {
		t.Errorf("after %v it was asked %d times, %v; want twice", discoverEvery, len(k.asked["eth0"]), err)
	}
}

func TestWhereThereIsNoModule(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(k *host)
		want error
	}{
		{"no interface answers", func(*host) {}, collector.ErrNoData},
		{"kernel without ethtool netlink", func(k *host) { k.family = 0 }, collector.ErrNoData},
		{"no generic netlink", func(k *host) { k.dialErr = unix.EPROTONOSUPPORT }, collector.ErrNoData},
		{"an empty cage", func(k *host) { k.errs["eth0"] = unix.ENODEV }, collector.ErrNoData},
		{"driver without such a call", func(k *host) { k.errs["eth0"] = unix.EOPNOTSUPP }, collector.ErrNoData},
		{"driver that finds the request strange", func(k *host) { k.errs["eth0"] = unix.EINVAL }, collector.ErrNoData},
		{"not the superuser", func(k *host) { k.errs["eth0"] = unix.EPERM }, collector.ErrRefused},
		{"a bus that fails", func(k *host) { k.errs["eth0"] = unix.EIO }, unix.EIO},
		{"replies that are cut", func(k *host) { k.modules["eth0"], k.short = newSFP(internal), true }, netlink.ErrMalformed},
		{"another kind of module", func(k *host) { k.modules["eth0"] = image{pageA0: {0: 0x05}} }, collector.ErrNoData},
		{"a cage of zeros", func(k *host) { k.modules["eth0"] = image{} }, collector.ErrNoData},
		{"wrong checksum", func(k *host) { k.modules["eth0"] = newSFP(internal); k.modules["eth0"].at(pageA0)[30]++ }, errDamaged},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newHost(t, map[string]image{"eth0": nil})
			tt.set(k)
			s := k.source(t)
			for round := range 2 {
				if got, err := ask(t, s, time.Duration(round)*time.Minute); !errors.Is(err, tt.want) || len(got) != 0 {
					t.Errorf("round %d: %v, %v; want %v", round, got, err, tt.want)
				}
			}
		})
	}
}

func TestInterfacesThatCannotHaveAModuleAreNotAsked(t *testing.T) {
	k := newHost(t, map[string]image{"eth0": nil})
	k.file(t, "class/net/br-lan/ifindex", "3")
	k.file(t, "class/net/wlan0/device/uevent", "")
	k.file(t, "class/net/wlan0/phy80211/name", "phy0")
	if _, err := ask(t, k.source(t), 0); !errors.Is(err, collector.ErrNoData) {
		t.Error(err)
	}
	if got := slices.Sorted(maps.Keys(k.asked)); !slices.Equal(got, []string{"eth0"}) {
		t.Errorf("asked %v; want eth0 alone", got)
	}
}

func TestNoPortIsNamedAfterAHardwareAddress(t *testing.T) {
	k := newHost(t, map[string]image{"enx020000000001": newSFP(internal)})
	got, err := ask(t, k.source(t), 0)
	if err != nil || len(got) != 1 || got["#7"] == nil {
		t.Errorf("%v, %v; want the port #7", got, err)
	}
}

func TestFlagsThatBelongToTheDriverAreNotRead(t *testing.T) {
	k := newHost(t, map[string]image{"eth0": newQSFP(), "eth1": newCMIS(), "eth2": newSFP(internal)})
	s := k.source(t)
	for round := range 2 {
		if _, err := ask(t, s, time.Duration(round)*time.Minute); err != nil {
			t.Error(err)
		}
	}
	for name, flags := range map[string][]span{
		"eth0": {{pageA0, 3, 19}}, "eth1": {{pageA0, 8, 6}, {page{base, 0x11}, 134, 20}},
	} {
		for _, s := range k.asked[name] {
			for _, f := range flags {
				if s.page == f.page && s.offset < f.offset+f.length && f.offset < s.offset+s.length {
					t.Errorf("of %s %+v was read: it clears the flags %+v", name, s, f)
				}
			}
		}
	}
}

func TestModuleThatIsChangedIsLookedAtAnew(t *testing.T) {
	k := newHost(t, map[string]image{"eth0": newSFP(internal)})
	s := k.source(t)
	if _, err := ask(t, s, 0); err != nil {
		t.Fatal(err)
	}
	// The other module's registers are raw: by the first one's table they
	// would be a plausible lie.
	k.modules["eth0"] = newExternal()
	if got, err := ask(t, s, time.Minute); len(got) != 0 || !errors.Is(err, collector.ErrNoData) {
		t.Errorf("%v, %v; want nothing of the first round with another module", got, err)
	}
	got, err := ask(t, s, 2*time.Minute)
	if err != nil || got["eth0"][catalogue.OpticVoltage] != 33000 {
		t.Errorf("%v, %v; want what the other module measures", got["eth0"].byName(), err)
	}
}

func TestModuleThatIsPulledOutIsAbsent(t *testing.T) {
	k := newHost(t, map[string]image{"eth0": newSFP(internal)})
	s := k.source(t)
	if _, err := ask(t, s, 0); err != nil {
		t.Fatal(err)
	}
	for at := time.Minute; at <= 2*time.Minute; at += time.Minute {
		k.errs["eth0"] = unix.ENODEV
		if got, err := ask(t, s, at); len(got) != 0 || !errors.Is(err, collector.ErrNoData) {
			t.Errorf("%v, %v; want no data", got, err)
		}
	}
	delete(k.errs, "eth0")
	if got, err := ask(t, s, discoverEvery+2*time.Minute); err != nil || len(got) != 1 {
		t.Errorf("%v, %v; want the module that is back", got, err)
	}
}

func TestModuleThatFailsCostsOnlyItsOwnReadings(t *testing.T) {
	k := newHost(t, map[string]image{"eth0": newSFP(internal), "eth1": newSFP(internal)})
	s := k.source(t)
	if got, err := ask(t, s, 0); err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	k.errs["eth0"] = unix.EIO
	if got, err := ask(t, s, time.Minute); !errors.Is(err, unix.EIO) || len(got) != 1 || len(got["eth1"]) != len(sfpWant) {
		t.Errorf("%v, %v; want that of eth1, and the error", got, err)
	}
}

func TestBrokenConnectionIsDialledAnew(t *testing.T) {
	k := newHost(t, map[string]image{"eth0": newSFP(internal)})
	s := k.source(t)
	for at, broken := range []bool{false, true, false} {
		delete(k.errs, "eth0")
		if broken {
			k.errs["eth0"] = errors.New("socket breaks")
		}
		if _, err := ask(t, s, time.Duration(at)*time.Minute); (err != nil) != broken {
			t.Errorf("broken %v: %v", broken, err)
		}
	}
	if k.dials != 2 {
		t.Errorf("dialled %d times; want twice", k.dials)
	}
}

func TestHwmonWhereNoMemoryCanBeRead(t *testing.T) {
	for _, tt := range []struct {
		name string
		errs error
		want error // of the round, which has readings
	}{
		{"kernel before 5.13", unix.EOPNOTSUPP, nil},
		{"not the superuser", unix.EPERM, collector.ErrRefused},
		{"bus that fails for the memory", unix.EIO, nil},
	} {
		k := newHost(t, map[string]image{"eth0": nil})
		k.errs["eth0"] = tt.errs
		k.hwmon(t, "hwmon2", "sfp-wan", nil)
		k.hwmon(t, "hwmon1", "lm75", map[string]string{"power1_label": "", "power2_label": ""})
		got, err := ask(t, k.source(t), 0)
		if !errors.Is(err, tt.want) || len(got) != 1 {
			t.Errorf("%s: %v, %v; want %v", tt.name, got, err, tt.want)
		}
		expect(t, tt.name, got["sfp-wan"], readings{
			catalogue.OpticVoltage: 32900, catalogue.OpticTemperature: 48250, catalogue.OpticBias: 11000,
			catalogue.OpticTxPower: 3617, catalogue.OpticRxPower: -16777,
		})
	}
}

func TestModuleIsReportedOnce(t *testing.T) {
	k := newHost(t, map[string]image{"eth0": newSFP(internal)})
	k.hwmon(t, "hwmon2", "sfp-wan", nil)
	got, err := ask(t, k.source(t), 0)
	if err != nil || len(got) != 1 || got["eth0"] == nil {
		t.Errorf("%v, %v; want eth0 alone, by its memory", got, err)
	}
	// And not by the kernel where the box's own bus has it.
	x := &box{replies: map[string]string{gponObject: livebox7}}
	s := New(Config{Sysbus: x, Sys: k.sys, Dial: k.dial})
	got, err = ask(t, s, 0)
	if err != nil || len(got) != 1 || got["veip0"] == nil {
		t.Errorf("%v, %v; want veip0 alone, by sysbus", got, err)
	}
	x.replies = nil
	if got, err = ask(t, s, time.Minute); err != nil || got["eth0"] == nil {
		t.Errorf("%v, %v; want what the kernel has where the bus has nothing", got, err)
	}
	if !Owns(filepath.Join(k.sys, "class/hwmon/hwmon2")) || Owns(filepath.Join(k.sys, "class/net/eth0")) || Owns(k.sys) {
		t.Error("Owns does not tell modules from others")
	}
}

func TestHwmonReadsTwoMicrowattsFromMinus28ToMinus26(t *testing.T) {
	// Why the memory goes first: these powers are one and the same here.
	for _, n := range []float64{15, 19, 24} {
		exact, _ := milliDBm(n)
		if exact < -28240 || exact > -26190 {
			t.Errorf("%v × 0.1 µW are %d", n, exact)
		}
	}
	k := newHost(t, nil)
	k.hwmon(t, "hwmon0", "sfp", map[string]string{"power2_input": "2"})
	got, err := ask(t, k.source(t), 0)
	if err != nil || got["sfp"][catalogue.OpticRxPower] != -26989 {
		t.Errorf("%v, %v; want -26.989 dBm", got["sfp"].byName(), err)
	}
}

func TestHwmonThatMeasuresLittle(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  readings
	}{
		{"no light", map[string]string{"power2_input": "0"}, readings{
			catalogue.OpticVoltage: 32900, catalogue.OpticTemperature: 48250, catalogue.OpticBias: 11000, catalogue.OpticTxPower: 3617,
		}},
		{"power received hidden by external calibration", map[string]string{"power2_input": "", "power2_label": ""}, readings{
			catalogue.OpticVoltage: 32900, catalogue.OpticTemperature: 48250, catalogue.OpticBias: 11000, catalogue.OpticTxPower: 3617,
		}},
		{"laser off", map[string]string{"curr1_input": "0", "power1_input": "0"}, readings{
			catalogue.OpticVoltage: 32900, catalogue.OpticTemperature: 48250, catalogue.OpticBias: 0, catalogue.OpticRxPower: -16777,
		}},
		{"nothing measured yet", map[string]string{"in0_input": "0"}, nil},
		{"numbers that cannot be", map[string]string{
			"in0_input": "9223372036854775807", "temp1_input": "-274000", "curr1_input": "-5", "power1_input": "-1", "power2_input": "9223372036854775807",
		}, nil},
	} {
		k := newHost(t, nil)
		k.hwmon(t, "hwmon0", "sfp", tt.files)
		got, err := ask(t, k.source(t), 0)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		expect(t, tt.name, got["sfp"], tt.want)
	}
	k := newHost(t, nil)
	k.hwmon(t, "hwmon0", "sfp", map[string]string{"temp1_input": "warm"})
	if got, err := ask(t, k.source(t), 0); err == nil || len(got["sfp"]) != 4 {
		t.Errorf("a file that is no number: %v, %v; want the other four and an error", got["sfp"].byName(), err)
	}
}

func TestHwmonThatVanishesIsLookedForInTheNextRound(t *testing.T) {
	k := newHost(t, nil)
	k.hwmon(t, "hwmon0", "sfp", nil)
	s := k.source(t)
	if _, err := ask(t, s, 0); err != nil {
		t.Fatal(err)
	}
	for _, c := range s.kernel.chips {
		c.close() // what reading a device that went away is like
	}
	if _, err := ask(t, s, time.Minute); err == nil {
		t.Error("files that cannot be read gave no error")
	}
	if err := os.RemoveAll(filepath.Join(k.sys, "class/hwmon")); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t, s, 2*time.Minute); !errors.Is(err, collector.ErrNoData) {
		t.Errorf("%v; want no data", err)
	}
}

func TestCollectEndsWithItsContext(t *testing.T) {
	k := newHost(t, map[string]image{"eth0": newSFP(internal)})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, s := range []*Source{k.source(t), New(Config{Sysbus: &box{}, Sys: k.sys, Dial: k.dial})} {
		var b sample.Batch
		if err := s.Collect(ctx, &b); !errors.Is(err, context.Canceled) || len(b.Readings) != 0 {
			t.Errorf("Collect = %v, %v; want no readings, cancelled", b.Readings, err)
		}
	}
}

func TestCloseThenCollectAgain(t *testing.T) {
	k := newHost(t, map[string]image{"eth0": newSFP(internal)})
	s := k.source(t)
	for range 2 {
		if got, err := ask(t, s, time.Minute); err != nil || len(got["eth0"]) != len(sfpWant) {
			t.Errorf("%v, %v", got, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if k.dials != 2 {
		t.Errorf("dialled %d times; want twice", k.dials)
	}
}

func TestSteadyRoundAllocatesNothing(t *testing.T) {
	// The fake kernel's replies are made beforehand: only what the source
	// does counts.
	k := newHost(t, map[string]image{"eth0": newSFP(internal)})
	s := New(Config{Sys: k.sys, Dial: func() (Conn, error) { return &recorded{kernel: k}, nil }})
	var b sample.Batch
	b.Reset(time.Minute)
	ctx := t.Context()
	if err := s.Collect(ctx, &b); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		b.Reset(time.Minute)
		_ = s.Collect(ctx, &b)
	}); n != 0 || len(b.Readings) != len(sfpWant) {
		t.Errorf("%v allocations for %d readings in a round; want 0 for %d", n, len(b.Readings), len(sfpWant))
	}
}

// recorded answers a request that it has seen before with what the kernel said
// then.
type recorded struct {
	kernel  *host
	replies map[string]netlink.Message
}

func (r *recorded) Execute(_ context.Context, m netlink.Message, each func(netlink.Message) error) error {
	reply, ok := r.replies[string(m.Data)]
	if !ok {
		replies, err := r.kernel.answer(m)
		if err != nil {
			return err
		}
		if r.replies == nil {
			r.replies = map[string]netlink.Message{}
		}
		reply = replies[0]
		r.replies[string(m.Data)] = reply
	}
	return each(reply)
}

func (r *recorded) Close() error { return nil }

func TestThisKernelsModules(t *testing.T) {
	s := New(Config{})
	defer s.Close()
	got, err := ask(t, s, 0)
	if err == nil && len(got) == 0 {
		t.Error("neither readings nor a reason")
	}
	for port := range got {
		if len(port) > len("nnnnnnnnnnn lane 8") {
			t.Errorf("port %q", port)
		}
	}
}

func BenchmarkCollectSFP(b *testing.B) {
	b.ReportAllocs()
	k := newHost(b, map[string]image{"eth0": newSFP(internal)})
	s := New(Config{Sys: k.sys, Dial: func() (Conn, error) { return &recorded{kernel: k}, nil }})
	var batch sample.Batch
	ctx := b.Context()
	for b.Loop() {
		batch.Reset(time.Minute)
		if err := s.Collect(ctx, &batch); err != nil {
			b.Fatal(err)
		}
	}
}
