package wifi

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/label"
	"livebox-agent/collector/platform/kernel/netlink"
	"livebox-agent/collector/platform/kernel/netlink/netlinktest"
	"livebox-agent/collector/sample"
)

// mlmeGroup is the number of the group in the fake kernel.
const mlmeGroup = 700

// What the flags of a station say that is not yet, and that was let in.
const (
	pendingFlags    = 1<<unix.NL80211_STA_FLAG_AUTHENTICATED | 1<<unix.NL80211_STA_FLAG_ASSOCIATED
	authorisedFlags = pendingFlags | 1<<unix.NL80211_STA_FLAG_AUTHORIZED
)

// A watched box is one whose joins are watched, in a synctest bubble.
type watchedBox struct {
	*box
	joins  *Joins
	radios *Radios
	tell   *netlinktest.Teller
	ended  chan error
	stop   context.CancelFunc
}

// watch starts to watch k.
func watch(t *testing.T, k *box) *watchedBox {
	t.Helper()
	w := &watchedBox{box: k, ended: make(chan error, 1)}
	w.joins = NewJoins(JoinsConfig{
		Dial: k.dial, Ubus: "/nonexistent",
		Follow: func(group uint32) (*netlink.Feed, error) {
			if group != mlmeGroup {
				t.Errorf("followed group %d; want %d", group, mlmeGroup)
			}
			feed, teller := netlinktest.NewFeed()
			w.tell = teller
			return feed, nil
		},
	})
	w.radios = NewRadios(k.dial, w.joins)
	w.start(t)
	return w
}

func (w *watchedBox) start(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	w.stop = stop
	t.Cleanup(stop)
	go func() {
		w.ended <- w.joins.Run(ctx, func(s sample.Sign) { t.Errorf("sign %v", s) })
	}()
	synctest.Wait()
}

// end stops the watcher.
func (w *watchedBox) end(t *testing.T) {
	t.Helper()
	w.stop()
	if err := <-w.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v; want the cancellation", err)
	}
}

// event is what nl80211 tells of station n.
func event(command uint8, index uint32, n int) netlink.Message {
	mac := stationMAC(n)
	return message(family, command, attributes{
		{unix.NL80211_ATTR_IFINDEX, index},
		{unix.NL80211_ATTR_MAC, mac[:]},
		{unix.NL80211_ATTR_GENERATION, uint32(7)},
		{unix.NL80211_ATTR_STA_INFO, attributes{{unix.NL80211_STA_INFO_STA_FLAGS, flags(0xfe, pendingFlags)}}},
	})
}

// comes lets station n come with flags; 0 for a driver that has none.
func (w *watchedBox) comes(index uint32, n int, set uint32) {
	info := attributes{{unix.NL80211_STA_INFO_SIGNAL, int8(-58)}}
	if set != 0 {
		info = info.with(unix.NL80211_STA_INFO_STA_FLAGS, flags(0xfe, set))
	}
	w.change(func() { w.stations[index] = append(w.stations[index], stationEntry(n, info)) })
	w.tell.Tell(event(unix.NL80211_CMD_NEW_STATION, index, n))
	synctest.Wait()
}

// becomes changes the flags of the stations of an interface.
func (w *watchedBox) becomes(index uint32, set uint32) {
	w.change(func() {
		for i, s := range w.stations[index] {
			info := attributes{{unix.NL80211_STA_INFO_STA_FLAGS, flags(0xfe, set)}}
			w.stations[index][i] = s.with(unix.NL80211_ATTR_STA_INFO, info)
		}
	})
}

// change lets f change the box.
func (w *watchedBox) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// goes takes all stations of an interface away, and tells of station n.
func (w *watchedBox) goes(index uint32, n int) {
	w.change(func() { w.stations[index] = nil })
	w.tell.Tell(event(unix.NL80211_CMD_DEL_STATION, index, n))
	synctest.Wait()
}

// after lets time pass.
func after(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
}

// want fails where the readings of radios have not so many failures of an
// interface; untold: none at all.
func (w *watchedBox) want(t *testing.T, instance string, want int64) {
	t.Helper()
	got, ok := must(t, w.radios)[instance][catalogue.RadioAssociationFailures]
	if ok != (want != untold) || ok && got != want {
		t.Errorf("%s: %d failures, %t; want %d", instance, got, ok, want)
	}
}

const untold = -1

// A joinCase is what happens on phy0-ap0, and how many failures that is.
type joinCase struct {
	name string
	do   func(w *watchedBox)
	want int64
}

func runJoinCases(t *testing.T, cases []joinCase) {
	t.Helper()
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := home(0)
				k.interfaces = append(k.interfaces, accessPoint(4, "phy0-ap1"),
					accessPoint(5, "phy0-sta0").with(unix.NL80211_ATTR_IFTYPE, uint32(unix.NL80211_IFTYPE_STATION)))
				w := watch(t, k)
				tt.do(w)
				w.want(t, "phy0-ap0", tt.want)
				w.want(t, "phy0-ap1", 0)
				w.want(t, "phy0-sta0", untold)
				w.end(t)
			})
		})
	}
}

func TestStationThatIsNotLetInIsAFailure(t *testing.T) {
	runJoinCases(t, []joinCase{
		{"wrong key, taken away after five seconds", func(w *watchedBox) {
			w.comes(3, 1, pendingFlags)
			after(5 * time.Second)
			w.goes(3, 1)
		}, 1},
		{"gives up at once", func(w *watchedBox) {
			w.comes(3, 1, pendingFlags)
			w.goes(3, 1)
		}, 1},
		{"three times", func(w *watchedBox) {
			for range 3 {
				w.comes(3, 1, pendingFlags)
				after(2 * time.Second)
				w.goes(3, 1)
			}
		}, 3},
		{"authenticated and no more", func(w *watchedBox) {
			w.comes(3, 1, 1<<unix.NL80211_STA_FLAG_AUTHENTICATED)
			after(31 * time.Second)
			w.goes(3, 1)
		}, 1},
		{"the end is lost, the station is not there any more", func(w *watchedBox) {
			w.comes(3, 1, pendingFlags)
			w.change(func() { w.stations[3] = nil })
			after(time.Second)
		}, 1},
		{"refused by the driver", func(w *watchedBox) {
			w.tell.Tell(event(unix.NL80211_CMD_CONN_FAILED, 3, 1), event(unix.NL80211_CMD_CONN_FAILED, 3, 2))
			synctest.Wait()
		}, 2},
		{"when notifications were lost", func(w *watchedBox) {
			w.comes(3, 1, pendingFlags)
			w.tell.Fail(unix.ENOBUFS)
			after(time.Minute)
			w.goes(3, 1)
			w.comes(3, 2, pendingFlags) // and goes on
			w.goes(3, 2)
		}, 1},
	})
}

func TestWhatIsNoFailureToJoin(t *testing.T) {
	runJoinCases(t, []joinCase{
		{"nobody tries", func(*watchedBox) {}, 0},
		{"let in, and gone later", func(w *watchedBox) {
			w.comes(3, 1, pendingFlags)
			after(100 * time.Millisecond)
			w.becomes(3, authorisedFlags)
			after(time.Second)
			w.goes(3, 1)
		}, 0},
		{"let in at the third look", func(w *watchedBox) {
			w.comes(3, 1, pendingFlags)
			after(1500 * time.Millisecond)
			w.becomes(3, authorisedFlags)
			after(time.Second)
			w.goes(3, 1)
		}, 0},
		{"an open network, where all are let in at once", func(w *watchedBox) {
			w.comes(3, 1, authorisedFlags)
			after(time.Second)
			w.goes(3, 1)
		}, 0},
		{"comes twice, the end between was lost", func(w *watchedBox) {
			w.comes(3, 1, pendingFlags)
			w.comes(3, 1, authorisedFlags)
			after(time.Minute)
		}, 0},
		{"let in at another access point meanwhile", func(w *watchedBox) {
			w.comes(3, 1, pendingFlags)
			after(10 * time.Millisecond)
			w.comes(4, 1, authorisedFlags)
			after(310 * time.Millisecond)
			w.goes(3, 1)
		}, 0},
		{"of a station mode's own access point", func(w *watchedBox) {
			w.comes(5, 1, pendingFlags)
			w.goes(5, 1)
		}, 0},
		{"of another family, another command, and of nobody", func(w *watchedBox) {
			other := event(unix.NL80211_CMD_CONN_FAILED, 3, 1)
			other.Type++
			w.tell.Tell(
				other, event(unix.NL80211_CMD_NEW_SCAN_RESULTS, 3, 1), event(unix.NL80211_CMD_CONN_FAILED, 99, 1),
				message(family, unix.NL80211_CMD_CONN_FAILED, attributes{{unix.NL80211_ATTR_IFINDEX, uint32(3)}}),
				message(family, unix.NL80211_CMD_CONN_FAILED, attributes{{unix.NL80211_ATTR_IFINDEX, uint32(3)}, {unix.NL80211_ATTR_MAC, []byte{1, 2}}}),
				netlink.Message{Type: family, Data: []byte{unix.NL80211_CMD_CONN_FAILED}},
			)
			synctest.Wait()
		}, 0},
	})
}

func TestDriverThatDoesNotTellWhoIsLetInCountsNothing(t *testing.T) {
	for name, prepare := range map[string]func(w *watchedBox){
		"no flags":     func(w *watchedBox) { w.comes(3, 1, 0) },
		"no such flag": func(w *watchedBox) { w.comes(3, 1, 0); w.unknown(3) },
		"no stations": func(w *watchedBox) {
			w.change(func() { w.refuseOne = unix.EOPNOTSUPP })
			w.comes(3, 1, pendingFlags)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := home(0)
				k.interfaces = append(k.interfaces, accessPoint(4, "phy0-ap1"))
				w := watch(t, k)
				prepare(w)
				after(time.Second)
				w.goes(3, 1)
				w.want(t, "phy0-ap0", untold)
				w.want(t, "phy0-ap1", 0)
				w.end(t)
			})
		})
	}
}

// unknown lets the driver say nothing of the flag.
func (w *watchedBox) unknown(index uint32) {
	info := attributes{{unix.NL80211_STA_INFO_STA_FLAGS, flags(pendingFlags, pendingFlags)}}
	w.change(func() { w.stations[index][0] = w.stations[index][0].with(unix.NL80211_ATTR_STA_INFO, info) })
}

func TestFailuresGoOnWhenTheWatcherStartsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, home(0))
		w.comes(3, 1, pendingFlags)
		w.goes(3, 1)
		w.comes(3, 1, pendingFlags)
		w.end(t)
		w.want(t, "phy0-ap0", untold) // nobody would know of another
		w.stations[3] = nil
		w.start(t)
		w.want(t, "phy0-ap0", 1)
		w.comes(3, 1, pendingFlags)
		w.goes(3, 1)
		w.want(t, "phy0-ap0", 2)
		// The socket breaks.
		w.tell.Fail(io.ErrUnexpectedEOF)
		if err := <-w.ended; !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("Run = %v; want the fault", err)
		}
		w.want(t, "phy0-ap0", untold)
	})
}

func TestAccessPointThatIsNewIsWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, home(0))
		after(time.Minute)
		w.change(func() { w.interfaces = append(w.interfaces, accessPoint(7, "guest")) })
		w.comes(7, 1, pendingFlags)
		w.goes(7, 1)
		w.want(t, "guest", 1)
		w.end(t)
	})
}

func TestWatcherOfABoxWithoutWiFi(t *testing.T) {
	for _, tt := range []struct {
		name string
		k    func() *box
		want error
	}{
		{"no nl80211", func() *box { k := home(0); k.family = 0; return k }, collector.ErrNoData},
		{"no interface", newBox, collector.ErrNoData},
		{"no such group", func() *box { k := home(0); k.noGroups = true; return k }, collector.ErrNoData},
		{"not allowed", func() *box { k := home(0); k.dialErr = unix.EPERM; return k }, collector.ErrRefused},
	} {
		j := NewJoins(JoinsConfig{Dial: tt.k().dial, Ubus: t.TempDir() + "/none", Follow: func(uint32) (*netlink.Feed, error) {
			feed, _ := netlinktest.NewFeed()
			return feed, nil
		}})
		if err := j.Run(t.Context(), nil); !errors.Is(err, tt.want) {
			t.Errorf("%s: Run = %v; want %v", tt.name, err, tt.want)
		}
	}
	if w := NewJoins(JoinsConfig{}).Watch(); w.Name != "joins" || w.Purpose != catalogue.Support {
		t.Errorf("Watch = %+v", w)
	}
}

// Who floods an access point with made-up addresses costs little memory, none of
// it for long.
func TestAddressesOfThoseWhoTryAreKeptForHalfAMinuteAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := NewJoins(JoinsConfig{})
		a := &attempts{joins: j, open: map[attemptKey]*attempt{}}
		for _, looks := range [][]time.Duration{kernelLooks(), hostapdLooks()} {
			for n := range 1000 {
				a.begin(attemptKey{"ap", [6]byte{2, 0, 0, 0, byte(n >> 8), byte(n)}})
			}
			if len(a.open) != maxAttempts {
				t.Errorf("%d addresses are kept; want %d", len(a.open), maxAttempts)
			}
			for range looks {
				after(time.Until(a.next(looks)))
				if err := a.look(looks, func(attemptKey, *attempt) (verdict, error) { return notYet, nil }); err != nil {
					t.Fatal(err)
				}
			}
			if last := looks[len(looks)-1]; len(a.open) != 0 || last > 30*time.Second {
				t.Errorf("%d addresses are kept beyond %v", len(a.open), last)
			}
		}
	})
}

func TestNoReadingOrErrorHoldsTheAddressOfWhoTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, addressHome())
		w.comes(3, 1, pendingFlags)
		w.goes(3, 1)
		got, err := checkOutput(t, w.radios)
		if err != nil || got["#3"][catalogue.RadioAssociationFailures] != 1 {
			t.Errorf("%v, %v; want a failure of the interface by its index", got, err)
		}
		w.change(func() { w.refuseOne = unix.EIO })
		w.comes(3, 1, pendingFlags)
		after(time.Second)
		if err := <-w.ended; !errors.Is(err, unix.EIO) || label.HasAddress(err.Error()) {
			t.Errorf("Run = %v; want EIO and no address", err)
		}
	})
}

func FuzzStationEvent(f *testing.F) {
	f.Add(event(unix.NL80211_CMD_NEW_STATION, 3, 1).Data)
	f.Add(event(unix.NL80211_CMD_CONN_FAILED, 3, 1).Data[:9])
	f.Add(message(family, unix.NL80211_CMD_NEW_STATION, stationEntry(1, stationInfo())).Data)
	f.Fuzz(func(t *testing.T, data []byte) {
		_, attributes, err := netlink.CutGeneric(data)
		if err != nil {
			return
		}
		if e, ok, _ := parseStationEvent(attributes); ok && e.index == 0 {
			t.Error("a station of no interface")
		}
		if told, in, err := parseAuthorised(attributes); in && !told || err != nil && told {
			t.Errorf("told %t, in %t, %v", told, in, err)
		}
	})
}
