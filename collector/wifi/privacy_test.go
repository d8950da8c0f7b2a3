package wifi

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/label"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
)

const (
	addressName  = "wlx3c22fb5a0001"
	addressOther = "wlx3C22FB5A0002"
)

// checkOutput asks s once and fails where an address is in what it gives.
func checkOutput(t *testing.T, s collector.Source) (map[string]map[catalogue.ID]int64, error) {
	t.Helper()
	got, err := collect(t, s, time.Hour)
	for instance := range got {
		if label.HasAddress(instance) {
			t.Errorf("%s: a reading of %q", s.Describe().Name, instance)
		}
	}
	if err != nil && label.HasAddress(err.Error()) {
		t.Errorf("%s: the round ended with %q", s.Describe().Name, err)
	}
	return got, err
}

// addressHome is a box with two interfaces that have addresses for names, on
// phys that do too.
func addressHome() *box {
	k := home(1)
	k.interfaces = []attributes{
		accessPoint(3, addressName).with(unix.NL80211_ATTR_WIPHY_NAME, "3c22fb5a0001"),
		accessPoint(4, addressOther).with(unix.NL80211_ATTR_WIPHY, uint32(1)).with(unix.NL80211_ATTR_WIPHY_NAME, "3c.22.fb.5a.00").with(attrRadioMask, uint32(1<<12)),
	}
	k.surveys[4] = k.surveys[3]
	return k
}

func TestNoInstanceHoldsAHardwareAddress(t *testing.T) {
	k := addressHome()
	radios := NewRadios(k.dial, nil)
	for range 2 {
		got, err := checkOutput(t, radios)
		if err != nil || got["#3"] == nil || got["#4"] == nil || got["phy0"] == nil || got["phy1.12"] == nil || len(got) != 4 {
			t.Errorf("%v, %v; want the interfaces by their index, the phys by their number", got, err)
		}
	}
	if got, err := checkOutput(t, NewStations(k.dial, pseudonym)); err != nil || got["device-0"] == nil {
		t.Errorf("%v, %v; want the station", got, err)
	}
}

func TestNoErrorHoldsAHardwareAddress(t *testing.T) {
	for _, command := range []uint8{unix.NL80211_CMD_GET_INTERFACE, unix.NL80211_CMD_GET_SURVEY, unix.NL80211_CMD_GET_STATION} {
		for _, errno := range []unix.Errno{unix.EIO, unix.EPERM, unix.ENOMEM} {
			failed := 0
			k := addressHome()
			k.refuses(command, 0, errno)
			for _, s := range sources(k) {
				if _, err := checkOutput(t, s); err != nil {
					failed++
				}
			}
			if failed == 0 {
				t.Errorf("command %d: no source says %v", command, errno)
			}
		}
	}
}

func TestInterfaceThatTakesAnothersPlaceHasItsOwnInstance(t *testing.T) {
	var n netif
	for _, tt := range []struct {
		index uint32
		name  string
		want  string
	}{{3, addressName, "#3"}, {3, addressName, "#3"}, {5, addressName, "#5"}, {5, "wlan0", "wlan0"}, {5, addressOther, "#5"}} {
		if err := n.parse(accessPoint(tt.index, tt.name).encode(nil)); err != nil || n.instance != tt.want {
			t.Errorf("%d, %s: %q, %v; want %q", tt.index, tt.name, n.instance, err, tt.want)
		}
	}
}

// The services of a bus tell no index: what is named after an address is left
// out there.
func TestNoInterfaceOfABusHoldsAHardwareAddress(t *testing.T) {
	for _, name := range []string{addressName, "00-11-22-33-44-55", "0011.2233.4455"} {
		if isName(name) {
			t.Errorf("%q may be reported", name)
		}
		w := newOpenWrt(t)
		w.replies["iwinfo devices"] = fmt.Sprintf(`{"devices":["phy0-ap0",%q]}`, name)
		w.replies["iwinfo info "+name] = infoReply
		w.replies["hostapd."+name+" get_clients "] = clientsReply
		bus := w.bus(t)
		for _, s := range []collector.Source{NewIwinfoRadios(bus, nil), NewIwinfoStations(bus, pseudonym)} {
			if got, err := checkOutput(t, s); err != nil || len(got) == 0 {
				t.Errorf("%s: %v, %v; want phy0-ap0", s.Describe().Name, got, err)
			}
		}
		n, err := tree.Parse(fmt.Appendf(nil, `{"status":{"wlanradio":{%q:{"Channel":36,"Stats":{"Temperature":50}}}}}`, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, decode := range []func(tree.Node, *sample.Batch) error{decodeRadios, decodeTemperatures} {
			var b sample.Batch
			if err := decode(n, &b); len(b.Readings) != 0 || err == nil || label.HasAddress(err.Error()) {
				t.Errorf("%v, %v; want nothing", b.Readings, err)
			}
		}
	}
}

// A rotation is a source whose key changes.
type rotation struct {
	k   *box
	s   *Stations
	key int
}

func newRotation() *rotation {
	x := &rotation{k: home(0)}
	x.s = NewStations(x.k.dial, func(mac [6]byte) string { return fmt.Sprintf("key%d-%d", x.key, mac[5]) })
	return x
}

// told is a station that has been there for so many seconds.
func told(connected uint32, bytes uint64, retries uint32) attributes {
	return attributes{
		{unix.NL80211_STA_INFO_CONNECTED_TIME, connected},
		{unix.NL80211_STA_INFO_TX_BYTES64, bytes},
		{unix.NL80211_STA_INFO_TX_RETRIES, retries},
	}
}

// ask returns the readings of station 0 at second at, of which info is told.
func (x *rotation) ask(t *testing.T, at int, info attributes) map[catalogue.ID]int64 {
	t.Helper()
	x.k.stations[3] = []attributes{stationEntry(0, info)}
	got, err := collect(t, x.s, time.Duration(at)*time.Second)
	if name := fmt.Sprintf("key%d-0", x.key); err != nil || len(got) != 1 || got[name] == nil {
		t.Fatalf("%v, %v; want %s alone", got, err, name)
	}
	return got[fmt.Sprintf("key%d-0", x.key)]
}

func TestNewPseudonymCannotBeToldForTheOldOneByTotals(t *testing.T) {
	const absent = -1
	type row struct {
		name            string
		key, at         int
		info            attributes
		bytes, retries  int64
		connectedExpect int64
	}
	withAssociation := func(ns uint64, bytes uint64) attributes {
		return attributes{{unix.NL80211_STA_INFO_ASSOC_AT_BOOTTIME, ns}, {unix.NL80211_STA_INFO_TX_BYTES64, bytes}}
	}
	noRetries := told(1020, 9_000_900, 0).without(unix.NL80211_STA_INFO_TX_RETRIES)
	for name, rows := range map[string][]row{
		"the station stays, then comes anew": {
			{"before", 0, 5000, told(1000, 9_000_000, 70), 9_000_000, 70, 1000},
			{"the new key", 1, 5010, told(1010, 9_000_400, 71), 0, 0, absent},
			{"later", 1, 5020, told(1020, 9_000_900, 75), 500, 4, absent},
			{"much later", 1, 9000, told(5000, 9_001_400, 76), 1000, 5, absent},
			{"associated anew", 1, 9010, told(5, 300, 1), 1300, 6, 5},
			{"goes on", 1, 9020, told(15, 400, 1), 1400, 6, 15},
			{"another key", 2, 9030, told(25, 450, 2), 0, 0, absent},
		},
		"a counter that is told later": {
			{"before", 0, 5000, told(1000, 9_000_000, 70), 9_000_000, 70, 1000},
			{"the new key", 1, 5020, noRetries, 0, absent, absent},
			{"told again", 1, 5030, told(1030, 9_000_900, 75), 0, 0, absent},
			{"goes on", 1, 5040, told(1040, 9_000_900, 77), 0, 2, absent},
		},
		"associated anew in the very round": {
			{"before", 0, 5000, told(1000, 9_000_000, 70), 9_000_000, 70, 1000},
			{"the new key", 1, 5010, told(4, 300, 3), 0, 0, absent},
			{"later", 1, 5020, told(14, 900, 3), 600, 0, absent},
		},
		"associated in the second of the change": {
			{"before", 0, 5000, told(1000, 9_000_000, 70), 9_000_000, 70, 1000},
			{"the new key", 1, 5010, told(0, 300, 3), 0, 0, absent},
			{"later", 1, 5020, told(10, 300, 3), 0, 0, absent},
		},
		"a counter that is told in the next association only": {
			{"before", 0, 5000, told(1000, 9_000_000, 70), 9_000_000, 70, 1000},
			{"the new key", 1, 5020, noRetries, 0, absent, absent},
			{"associated anew", 1, 5030, told(5, 300, 75), 300, 75, 5},
		},
		"away during the change": {
			{"before", 0, 5000, told(1000, 9_000_000, 70), 9_000_000, 70, 1000},
			{"back", 1, 6000, told(20, 800, 3), 0, 0, absent},
		},
		"no time since the association": {
			{"before", 0, 5000, withAssociation(77e9, 9_000_000), 9_000_000, absent, absent},
			{"the new key", 1, 5010, withAssociation(77e9, 9_000_400), 0, absent, absent},
			{"later", 1, 5020, withAssociation(77e9, 9_000_500), 100, absent, absent},
			{"associated anew", 1, 5030, withAssociation(5025e9, 30), 130, absent, absent},
		},
		"no sign of the association at all": {
			{"before", 0, 5000, old(9_000_000), 9_000_000, 9_000_000, absent},
			{"the new key", 1, 5010, old(9_000_400), 0, 0, absent},
			{"later", 1, 5020, old(9_000_900), 500, 500, absent},
			{"started again", 1, 5030, old(50), 500, 500, absent},
			{"goes on", 1, 5040, old(70), 520, 520, absent},
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := newRotation()
			for _, r := range rows {
				x.key = r.key
				got := x.ask(t, r.at, r.info)
				for metric, want := range map[catalogue.ID]int64{
					catalogue.StationBytesSent: r.bytes, catalogue.StationRetries: r.retries, catalogue.StationConnectedTime: r.connectedExpect,
				} {
					if v, ok := got[metric]; ok != (want != absent) || ok && v != want {
						t.Errorf("%s: metric %d = %d, %t; want %d", r.name, metric, v, ok, want)
					}
				}
			}
		})
	}
}

// A station that two interfaces list, one of them only for its past, must not
// bring that past back under the new name.
func TestStaleEntryDoesNotBringBackWhatTheOldPseudonymCounted(t *testing.T) {
	x := newRotation()
	x.k.interfaces = append(x.k.interfaces, accessPoint(4, "phy1-ap0").with(unix.NL80211_ATTR_WIPHY, uint32(1)))
	x.ask(t, 5000, told(1000, 9_000_000, 70))
	x.key = 1
	x.ask(t, 5010, told(1010, 9_000_400, 70))
	for i, tt := range []struct {
		first, second attributes
		bytes         int64
		connected     bool
	}{
		{nil, told(5, 100, 0), 100, true},
		{told(1030, 9_000_400, 70), nil, 100, false},
		{nil, told(25, 200, 0), 300, true},
	} {
		x.k.stations = map[uint32][]attributes{}
		for index, info := range map[uint32]attributes{3: tt.first, 4: tt.second} {
			if info != nil {
				x.k.stations[index] = []attributes{stationEntry(0, info)}
			}
		}
		got, err := collect(t, x.s, time.Duration(5020+10*i)*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		r := got["key1-0"]
		if _, ok := r[catalogue.StationConnectedTime]; ok != tt.connected || r[catalogue.StationBytesSent] != tt.bytes {
			t.Errorf("round %d: %v; want %d bytes, connected time %t", i, r, tt.bytes, tt.connected)
		}
	}
}

func TestNewPseudonymsCannotBeToldByTheirOrder(t *testing.T) {
	names := [][]string{{"c", "a", "d", "b"}, {"s", "q", "r", "p"}}
	key := 0
	k := home(4)
	s := NewStations(k.dial, func(mac [6]byte) string { return names[key][mac[5]] })
	order := func() (got []string) {
		var b sample.Batch
		if err := s.Collect(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		for _, r := range b.Readings {
			got = append(got, r.Instance)
		}
		return slices.Compact(got)
	}
	if got := order(); !slices.Equal(got, names[0]) {
		t.Errorf("%v; want the kernel's order", got)
	}
	key = 1
	for range 2 {
		if got := order(); !slices.Equal(got, []string{"p", "q", "r", "s"}) {
			t.Errorf("%v; want the order of the new names", got)
		}
	}
}

func TestTheBusSourcesForgetWithThePseudonym(t *testing.T) {
	key := "old"
	s := newRoster(func([6]byte) string { return key })
	at := func(seconds int, associated uint64, bytes, retries int64) (got [2]int64, err error) {
		var b sample.Batch
		s.beginRound(time.Duration(seconds) * time.Second)
		s.scratch = reply{mac: stationMAC(1), hasMAC: true, associated: associated}
		s.scratch.set(fieldBytesSent, bytes)
		if retries > 0 {
			s.scratch.set(fieldRetries, retries)
		}
		s.steady()
		s.note()
		err = s.endRound(&b)
		for i, r := range b.Readings {
			if got[i] = r.Value; r.Instance != key {
				err = errors.Join(err, fmt.Errorf("reading of %q", r.Instance))
			}
		}
		return got, err
	}
	for i, tt := range []struct {
		key            string
		associated     uint64 // Unix time, as a Livebox tells it
		bytes, retries int64
		want           [2]int64
	}{
		{"old", 1_700_000_000, 5000, 70, [2]int64{5000, 70}},
		{"new", 1_700_000_002, 5100, 0, [2]int64{0, 0}},
		{"new", 0, 5200, 0, [2]int64{100, 0}},
		{"new", 1_700_000_003, 5300, 75, [2]int64{200, 0}},
		{"new", 1_700_009_000, 40, 3, [2]int64{240, 3}},
	} {
		key = tt.key
		if got, err := at(60*i, tt.associated, tt.bytes, tt.retries); err != nil || got != tt.want {
			t.Errorf("round %d: %d, %v; want %d", i, got, err, tt.want)
		}
	}
}
