package wifi

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/kernel/netlink"
	"livebox-agent/collector/platform/kernel/netlink/netlinktest"
	"livebox-agent/collector/sample"
)

func TestBoxWithoutWiFiHasNoData(t *testing.T) {
	for _, tt := range []struct {
		name  string
		alter func(*box)
	}{
		{"no netlink", func(k *box) { k.dialErr = unix.EAFNOSUPPORT }},
		{"no generic netlink", func(k *box) { k.dialErr = unix.EPROTONOSUPPORT }},
		{"no nl80211", func(k *box) { k.family = 0 }},
		{"no interface", func(k *box) { k.interfaces = nil }},
		{"monitor only", func(k *box) {
			k.interfaces[0] = k.interfaces[0].with(unix.NL80211_ATTR_IFTYPE, uint32(unix.NL80211_IFTYPE_MONITOR))
		}},
		{"P2P device only", func(k *box) {
			k.interfaces[0] = k.interfaces[0].without(unix.NL80211_ATTR_IFINDEX).with(unix.NL80211_ATTR_IFTYPE, uint32(unix.NL80211_IFTYPE_P2P_DEVICE))
		}},
		{"interface without index", func(k *box) { k.interfaces[0] = k.interfaces[0].without(unix.NL80211_ATTR_IFINDEX) }},
		{"interface without name", func(k *box) { k.interfaces[0] = k.interfaces[0].without(unix.NL80211_ATTR_IFNAME) }},
		{"interface without type", func(k *box) { k.interfaces[0] = k.interfaces[0].without(unix.NL80211_ATTR_IFTYPE) }},
		{"interface of a type to come", func(k *box) { k.interfaces[0] = k.interfaces[0].with(unix.NL80211_ATTR_IFTYPE, uint32(99)) }},
		{"interface of which nothing is told", func(k *box) { k.interfaces[0] = nil }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := home(2)
			tt.alter(k)
			for _, s := range sources(k) {
				got, err := collect(t, s, 0)
				if !errors.Is(err, collector.ErrNoData) || errors.Is(err, collector.ErrRefused) || len(got) != 0 {
					t.Errorf("%s: %v, %v; want ErrNoData", s.Describe().Name, got, err)
				}
				if err != nil && len(err.Error()) <= len(collector.ErrNoData.Error()) {
					t.Errorf("%s: %v; want a reason", s.Describe().Name, err)
				}
			}
		})
	}
}

// Whatever this machine has, asking it is no fault.
func TestThisBox(t *testing.T) {
	for _, s := range []collector.Source{NewRadios(Dial, nil), NewStations(Dial, pseudonym)} {
		got, err := collect(t, s, 0)
		if err != nil && !errors.Is(err, collector.ErrNoData) && !errors.Is(err, collector.ErrRefused) {
			t.Errorf("%s: %v", s.Describe().Name, err)
		}
		t.Logf("%s: %d instances, %v", s.Describe().Name, len(got), err)
	}
}

func TestBoxThatRefusesIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name  string
		alter func(*box)
	}{
		{"socket", func(k *box) { k.dialErr = unix.EPERM }},
		{"interfaces", func(k *box) { k.refuses(unix.NL80211_CMD_GET_INTERFACE, 0, unix.EPERM) }},
		{"stations", func(k *box) { k.refuses(unix.NL80211_CMD_GET_STATION, 3, unix.EACCES) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := home(2)
			tt.alter(k)
			for _, s := range sources(k) {
				if _, err := collect(t, s, 0); !errors.Is(err, collector.ErrRefused) || errors.Is(err, collector.ErrNoData) {
					t.Errorf("%s: %v; want ErrRefused", s.Describe().Name, err)
				}
			}
		})
	}
}

func TestInterfaceThatVanishesCostsItsOwnReadingsOnly(t *testing.T) {
	for _, errno := range []unix.Errno{unix.ENODEV, unix.ENETDOWN} {
		k := home(1)
		k.interfaces = append(k.interfaces, accessPoint(4, "phy1-ap0").with(unix.NL80211_ATTR_WIPHY, uint32(1)))
		k.surveys[4] = k.surveys[3]
		k.stations[4] = []attributes{stationEntry(9, stationInfo())}
		k.refuses(unix.NL80211_CMD_GET_STATION, 3, errno)
		k.refuses(unix.NL80211_CMD_GET_SURVEY, 3, errno)
		radios := must(t, NewRadios(k.dial, nil))
		if _, ok := radios["phy0-ap0"]; ok {
			t.Errorf("%v: stations of the vanished interface: %v", errno, radios)
		}
		if radios["phy1"][catalogue.RadioActiveTime] != 100_000 || radios["phy1-ap0"][catalogue.RadioStations] != 1 {
			t.Errorf("%v: radios = %v; want those of phy1", errno, radios)
		}
		want := map[string]map[catalogue.ID]int64{"device-9": stationReadings()}
		if diff := cmp.Diff(want, must(t, NewStations(k.dial, pseudonym))); diff != "" {
			t.Errorf("%v: %s", errno, diff)
		}
	}
}

func TestFaultOfOneInterfaceLeavesTheOthers(t *testing.T) {
	k := home(1)
	k.interfaces = append(k.interfaces, accessPoint(4, "phy1-ap0").with(unix.NL80211_ATTR_WIPHY, uint32(1)))
	k.stations[4] = []attributes{stationEntry(9, stationInfo())}
	k.refuses(unix.NL80211_CMD_GET_STATION, 3, unix.EIO)
	k.refuses(unix.NL80211_CMD_GET_SURVEY, 4, unix.EIO)
	got, err := collect(t, NewStations(k.dial, pseudonym), 0)
	if !errors.Is(err, unix.EIO) || !strings.Contains(err.Error(), "phy0-ap0") || len(got) != 1 || got["device-9"] == nil {
		t.Errorf("stations = %v, %v; want device-9 and the error of phy0-ap0", got, err)
	}
	got, err = collect(t, NewRadios(k.dial, nil), 0)
	if !errors.Is(err, unix.EIO) || got["phy0"] == nil || got["phy1-ap0"] == nil || got["phy0-ap0"] != nil {
		t.Errorf("radios = %v, %v; want all but the stations of phy0-ap0", got, err)
	}
}

func TestConnectionIsOpenedOnceAndAgainAfterAnError(t *testing.T) {
	k := home(1)
	for _, s := range sources(k) {
		k.dials = 0
		for range 3 {
			must(t, s)
		}
		if k.dials != 1 {
			t.Errorf("%s dialled %d times in 3 rounds; want once", s.Describe().Name, k.dials)
		}
		// The module was loaded again: the family has another number.
		k.family++
		if _, err := collect(t, s, 0); err == nil {
			t.Errorf("%s: no error from a family that is gone", s.Describe().Name)
		}
		must(t, s)
		if k.dials != 2 {
			t.Errorf("%s dialled %d times; want again after the error", s.Describe().Name, k.dials)
		}
		k.dialErr = unix.EMFILE
		k.family++
		for range 2 {
			if _, err := collect(t, s, 0); err == nil || errors.Is(err, collector.ErrNoData) {
				t.Errorf("%s: %v; want an error that is not ErrNoData", s.Describe().Name, err)
			}
		}
		k.dialErr = nil
		must(t, s)
	}
}

func TestRoundEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial := func() (Conn, error) {
			return netlinktest.New(func(netlink.Message) ([]netlink.Message, error) { return nil, netlinktest.ErrSilent }), nil
		}
		for _, s := range []collector.Source{NewRadios(dial, nil), NewStations(dial, pseudonym)} {
			ctx, cancel := context.WithTimeout(t.Context(), s.Describe().Timeout)
			start := time.Now()
			err := s.Collect(ctx, new(sample.Batch))
			cancel()
			if took := time.Since(start); err == nil || took > s.Describe().Timeout {
				t.Errorf("%s ended after %v with %v; want an error within %v", s.Describe().Name, took, err, s.Describe().Timeout)
			}
		}
	})
}

func TestInterruptedDumpIsRepeated(t *testing.T) {
	// Even when the second attempt is interrupted too, what it gave is right.
	for interrupt := range 4 {
		for _, build := range []func(*box) collector.Source{
			func(k *box) collector.Source { return NewRadios(k.dial, nil) },
			func(k *box) collector.Source { return NewStations(k.dial, pseudonym) },
		} {
			k := home(5)
			want := must(t, build(k))
			k.interrupt = interrupt
			if diff := cmp.Diff(want, must(t, build(k))); diff != "" {
				t.Errorf("interrupted %d times: %s", interrupt, diff)
			}
		}
	}
}

func TestInterfaceListedTwiceCountsOnce(t *testing.T) {
	k := home(2)
	k.interfaces = append(k.interfaces, k.interfaces[0])
	for _, s := range sources(k) {
		must(t, s)
	}
}

func TestOtherMessagesAreNoEntries(t *testing.T) {
	k := home(1)
	dial := func() (Conn, error) {
		return netlinktest.New(func(m netlink.Message) ([]netlink.Message, error) {
			ms, err := k.answer(m)
			if m.Type == family {
				ms = append(ms, message(family, unix.NL80211_CMD_DEL_STATION, stationEntry(7, stationInfo())))
				ms = append(ms, message(family+1, unix.NL80211_CMD_NEW_STATION, stationEntry(8, stationInfo())))
			}
			return ms, err
		}), nil
	}
	if got := must(t, NewStations(dial, pseudonym)); len(got) != 1 || got["device-0"] == nil {
		t.Errorf("stations = %v; want device-0 alone", got)
	}
}

// Every reply is cut short at each length, and grows a wrong attribute: an
// error or fewer readings, never a panic or a reading that was not sent.
func TestMalformedRepliesAreErrors(t *testing.T) {
	for _, command := range []uint8{unix.NL80211_CMD_GET_INTERFACE, unix.NL80211_CMD_GET_SURVEY, unix.NL80211_CMD_GET_STATION} {
		for cut := 1; cut < 60; cut++ {
			k := home(1)
			dial := func() (Conn, error) {
				return netlinktest.New(func(m netlink.Message) ([]netlink.Message, error) {
					ms, err := k.answer(m)
					if m.Type == family && m.Data[0] == command {
						last := &ms[len(ms)-1]
						last.Data = last.Data[:max(len(last.Data)-cut, 0)]
					}
					return ms, err
				}), nil
			}
			full := map[string]map[catalogue.ID]int64{}
			for _, s := range sources(k) {
				maps.Copy(full, must(t, s))
			}
			for _, s := range []collector.Source{NewRadios(dial, nil), NewStations(dial, pseudonym)} {
				got, err := collect(t, s, 0)
				if err != nil && !errors.Is(err, netlink.ErrMalformed) && !errors.Is(err, collector.ErrNoData) {
					t.Errorf("%d cut by %d: %v; want ErrMalformed", command, cut, err)
				}
				for instance, readings := range got {
					for metric, v := range readings {
						if want, ok := full[instance][metric]; !ok || want != v {
							t.Errorf("%d cut by %d: metric %d of %s = %d; want %d or none", command, cut, metric, instance, v, want)
						}
					}
				}
			}
		}
	}
}

func TestTruncatedAttributeIsMalformed(t *testing.T) {
	k := home(1)
	k.stations[3][0] = stationEntry(0, stationInfo().with(unix.NL80211_STA_INFO_TX_RETRIES, uint16(60)))
	for _, s := range []collector.Source{NewStations(k.dial, pseudonym)} {
		if got, err := collect(t, s, 0); !errors.Is(err, netlink.ErrMalformed) || len(got) != 0 {
			t.Errorf("%v, %v; want ErrMalformed and nothing of the station", got, err)
		}
	}
	k.surveys[3][1] = surveyEntry(channelSurvey(5180).with(unix.NL80211_SURVEY_INFO_TIME, uint32(7)))
	if got, err := collect(t, NewRadios(k.dial, nil), 0); !errors.Is(err, netlink.ErrMalformed) || got["phy0"][catalogue.RadioActiveTime] != 0 || got["phy0"][catalogue.RadioChannel] != 36 {
		t.Errorf("%v, %v; want ErrMalformed and the channel", got, err)
	}
}

func TestAddressesAndNetworkNamesStayInside(t *testing.T) {
	k := home(20)
	secrets := [][]byte{[]byte(ssid), ownMAC[:]}
	for n := range 20 {
		mac := stationMAC(n)
		secrets = append(secrets, mac[:])
	}
	for _, s := range sources(k) {
		var b sample.Batch
		if err := s.Collect(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		if len(b.Readings) == 0 {
			t.Fatalf("%s gave no readings", s.Describe().Name)
		}
		for _, r := range b.Readings {
			plain := strings.NewReplacer(":", "", "-", "").Replace(strings.ToLower(r.Instance))
			for _, secret := range secrets {
				if bytes.Contains([]byte(r.Instance), secret) || strings.Contains(plain, hex.EncodeToString(secret)) {
					t.Fatalf("%s: instance %q has %x in it", s.Describe().Name, r.Instance, secret)
				}
			}
		}
	}
}

func TestDescriptionsAgreeWithTheCatalogue(t *testing.T) {
	for _, s := range sources(newBox()) {
		d := s.Describe()
		seen := map[catalogue.ID]bool{}
		for _, id := range d.Metrics {
			m, ok := catalogue.Lookup(id)
			if !ok || m.Purpose != d.Purpose || m.Interval != d.Interval || seen[id] {
				t.Errorf("%s: metric %d (%s) is of %v each %v, twice %t; the source of %v each %v",
					d.Name, id, m.Name, m.Purpose, m.Interval, seen[id], d.Purpose, d.Interval)
			}
			seen[id] = true
			if isCounter := m.Kind == catalogue.Counter; d.Name == "stations" && isCounter != (fieldOf(id) < counterFields) {
				t.Errorf("%s is a %v", m.Name, m.Kind)
			}
		}
		for _, m := range catalogue.All() {
			if m.ID == catalogue.RadioUtilisation || m.ID == catalogue.RadioInterference {
				// For boxes that give no times; the kernel does.
				continue
			}
			instances := map[string][]string{"radios": {"radio", "interface"}, "stations": {"station"}}[d.Name]
			for _, instance := range instances {
				if m.Instance == instance && m.Purpose == d.Purpose && strings.HasPrefix(m.Name, "WiFi.") && !seen[m.ID] {
					t.Errorf("%s does not give %s", d.Name, m.Name)
				}
			}
		}
	}
}

func fieldOf(id catalogue.ID) field {
	for f, metric := range fieldMetrics {
		if metric == id {
			return field(f)
		}
	}
	return fields
}

// steady returns a source that has its memory, and whose kernel answers
// without making anything anew.
func steady(tb testing.TB, k *box, build func(dial func() (Conn, error)) collector.Source) (collector.Source, *sample.Batch) {
	tb.Helper()
	ready := map[string][]netlink.Message{}
	s := build(func() (Conn, error) {
		return netlinktest.New(func(m netlink.Message) ([]netlink.Message, error) {
			if ms, ok := ready[string(m.Data)]; ok {
				return ms, nil
			}
			ms, err := k.answer(m)
			ready[string(m.Data)] = ms
			return ms, err
		}), nil
	})
	b := new(sample.Batch)
	for range 2 {
		b.Reset(0)
		if err := s.Collect(tb.Context(), b); err != nil {
			tb.Fatal(err)
		}
	}
	return s, b
}

func radiosOf(dial func() (Conn, error)) collector.Source { return NewRadios(dial, nil) }

func stationsOf(dial func() (Conn, error)) collector.Source { return NewStations(dial, pseudonym) }

func TestSteadyRoundAllocatesNothing(t *testing.T) {
	for _, build := range []func(func() (Conn, error)) collector.Source{radiosOf, stationsOf} {
		s, b := steady(t, home(20), build)
		ctx := t.Context()
		if n := testing.AllocsPerRun(100, func() {
			b.Reset(b.At + time.Second)
			if err := s.Collect(ctx, b); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s allocates %v times a round; want 0", s.Describe().Name, n)
		}
		if s.Describe().Name == "stations" && len(b.Readings) != 20*len(stationReadings()) {
			t.Errorf("%d readings of 20 stations", len(b.Readings))
		}
	}
}

func BenchmarkStations20(b *testing.B) { benchmark(b, stationsOf) }

func BenchmarkRadios20(b *testing.B) { benchmark(b, radiosOf) }

func benchmark(b *testing.B, build func(func() (Conn, error)) collector.Source) {
	b.Helper()
	s, batch := steady(b, home(20), build)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		batch.Reset(0)
		if err := s.Collect(ctx, batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(batch.Readings)), "readings/op")
}
