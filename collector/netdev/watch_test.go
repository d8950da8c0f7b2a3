package netdev

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
	"livebox-agent/collector/platform/kernel/netlink"
	"livebox-agent/collector/platform/kernel/netlink/netlinktest"
	"livebox-agent/collector/sample"
)

// A stage is a fake kernel with ports, and the watcher that it tells.
type stage struct {
	t      *testing.T
	sys    string
	box    box
	kernel *netlinktest.Teller
	links  *Links
	born   time.Time
	signs  []sample.Sign
	ended  chan error
	cancel context.CancelFunc
}

// raise starts the watcher of a box with these interfaces.
func raise(t *testing.T, nics ...nic) *stage {
	t.Helper()
	x := &stage{t: t, sys: t.TempDir(), born: time.Now(), ended: make(chan error, 1)}
	x.box.have(nics...)
	x.links = NewLinks(Config{
		Sys: x.sys, Dial: x.box.dial, Now: func() time.Duration { return time.Since(x.born) },
		Subscribe: func() (*netlink.Feed, error) {
			feed, kernel := netlinktest.NewFeed()
			x.kernel = kernel
			return feed, nil
		},
	})
	x.run()
	return x
}

func (x *stage) run() {
	ctx, cancel := context.WithCancel(x.t.Context())
	x.cancel = cancel
	go func() { x.ended <- x.links.Run(ctx, func(s sample.Sign) { x.signs = append(x.signs, s) }) }()
	synctest.Wait()
}

// end ends the watcher and returns why it did.
func (x *stage) end() error {
	x.cancel()
	return <-x.ended
}

func (x *stage) tell(nics ...nic) {
	x.t.Helper()
	for _, n := range nics {
		x.kernel.Tell(n.message())
	}
	synctest.Wait()
}

// expect compares the signs since the last time: "port_down eth1 3>4".
func (x *stage) expect(want ...string) {
	x.t.Helper()
	var got []string
	for _, s := range x.signs {
		line := fmt.Sprint(s.Kind, " ", s.Instance)
		if s.Metric != 0 {
			line += fmt.Sprintf(" %d>%d", s.Before, s.After)
		}
		got = append(got, line)
	}
	x.signs = nil
	if !slices.Equal(got, want) {
		x.t.Errorf("got %q; want %q", got, want)
	}
}

func (n nic) down() nic {
	n.flags = noCarrier
	n.downs++
	return n
}

func (n nic) again() nic {
	n.flags = up
	n.ups++
	return n
}

const noCarrier = unix.IFF_UP

func wired(name string, index int) nic { return eth(name, index, 64, 1, 1) }

func TestPortThatLosesItsLinkIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		eth1, eth2 := wired("eth1", 2), wired("eth2", 3)
		x := raise(t, eth1, eth2)
		x.expect()
		eth1 = eth1.down()
		x.tell(eth1)
		x.expect("port_down eth1 0>1")
		<-time.After(2 * time.Second)
		eth1 = eth1.again()
		x.tell(eth1, eth1, eth2)
		if len(x.signs) != 1 || x.signs[0].At != 2*time.Second {
			t.Errorf("%v; want one sign at 2 s", x.signs)
		}
		x.expect("port_up eth1 1>2")
		if err := x.end(); !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v", err)
		}
	})
}

func TestFlapBetweenTwoMessagesIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		eth1 := wired("eth1", 2)
		x := raise(t, eth1)
		x.tell(eth1.down().again())
		x.expect("port_down eth1 0>1", "port_up eth1 1>2")
		x.tell(eth1.down().again().down().again().down())
		x.expect("port_down eth1 1>3") // as it is now, and how often it was lost
		_ = x.end()
	})
}

func TestMessageOlderThanTheDumpTellsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := wired("eth1", 2)
		now := before.down().again()
		x := raise(t, now)
		x.tell(before.down(), now)
		x.expect()
		x.tell(now.down())
		x.expect("port_down eth1 1>2")
		_ = x.end()
	})
}

func TestNothingIsLostWhereTheSocketOverflows(t *testing.T) {
	for _, tt := range []struct {
		name string
		lose func(*netlinktest.Teller)
	}{
		{"no room", func(k *netlinktest.Teller) { k.Fail(unix.ENOBUFS) }},
		{"a datagram cut", func(k *netlinktest.Teller) { k.Send([]byte{1, 2, 3}) }},
		{"a message cut", func(k *netlinktest.Teller) {
			m := wired("eth1", 2).message()
			k.Tell(netlink.Message{Type: m.Type, Data: m.Data[:len(m.Data)-3]})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				eth1, eth2, eth3 := wired("eth1", 2), wired("eth2", 3), wired("eth3", 4)
				x := raise(t, eth1, eth2, eth3)
				eth1, eth2 = eth1.down().again(), eth2.down()
				x.box.have(eth1, eth2) // and eth3 is gone
				tt.lose(x.kernel)
				synctest.Wait()
				x.expect("port_down eth1 0>1", "port_up eth1 1>2", "port_down eth2 0>1", "port_down eth3")
				x.tell(eth2.again())
				x.expect("port_up eth2 1>2")
				_ = x.end()
			})
		})
	}
}

func TestChangesDuringAFaultAreToldAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		eth1 := wired("eth1", 2)
		x := raise(t, eth1)
		x.kernel.Fail(unix.EIO)
		if err := <-x.ended; !errors.Is(err, unix.EIO) {
			t.Errorf("Run = %v; want the socket's error", err)
		}
		x.box.have(eth1.down())
		x.run()
		x.expect("port_down eth1 0>1")
		_ = x.end()
	})
}

func TestOldKernelsWithoutCounts(t *testing.T) {
	message := func(flags, changes uint32) netlink.Message {
		b := netlink.AppendText(header(ether, 2, flags), unix.IFLA_IFNAME, "eth1")
		if changes > 0 {
			b = netlink.AppendUint32(b, unix.IFLA_CARRIER_CHANGES, changes)
		}
		return netlink.Message{Type: unix.RTM_NEWLINK, Data: b}
	}
	synctest.Test(t, func(t *testing.T) {
		x := raise(t)
		tell := func(flags, changes uint32) {
			x.kernel.Tell(message(flags, changes))
			synctest.Wait()
		}
		tell(up, 5)
		tell(noCarrier, 6)
		x.expect("port_down eth1")
		tell(noCarrier, 8) // came and went
		x.expect("port_down eth1")
		tell(up, 11)
		x.expect("port_down eth1", "port_up eth1")
		tell(up, 13)
		x.expect("port_down eth1", "port_up eth1")
		_ = x.end()

		y := raise(t)
		for _, flags := range []uint32{up, up, noCarrier, noCarrier, up} {
			y.kernel.Tell(message(flags, 0))
		}
		synctest.Wait()
		y.expect("port_down eth1", "port_up eth1")
		_ = y.end()
	})
}

func TestLinkThatComesBackSlowerIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		eth1 := wired("eth1", 2)
		x := raise(t)
		set := func(mbits string) {
			if err := os.WriteFile(filepath.Join(x.sys, "class/net/eth1/speed"), []byte(mbits+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		sysfsOf(t, x.sys, "eth1", "1000", "full")
		x.tell(eth1)
		flap := func(after string, want ...string) {
			t.Helper()
			set("-1")
			eth1 = eth1.down().again()
			x.tell(eth1)
			up := x.signs[len(x.signs)-1].At
			x.signs = nil
			<-time.After(500 * time.Millisecond)
			set(after)
			<-time.After(4 * time.Second)
			synctest.Wait()
			for _, s := range x.signs {
				if s.Metric != catalogue.PortBitRate || s.At != up {
					t.Errorf("sign %+v; want the speed, at %v", s, up)
				}
			}
			x.expect(want...)
		}
		flap("100", "port_slower eth1 1000>100")
		flap("100")
		flap("1000")
		flap("-1")
		flap("10", "port_slower eth1 1000>10")
		_ = x.end()
	})
}

func TestOnlyPortsAreWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		veth, dsa, vlan, wifi, address := wired("veth0", 2), wired("lan1", 3), wired("eth0.100", 4), wired("wlan0", 5), wired(addressName, 6)
		veth.kind, dsa.kind, vlan.kind = "veth", "dsa", "vlan"
		x := raise(t)
		if err := os.MkdirAll(filepath.Join(x.sys, "class/net/wlan0/phy80211"), 0o700); err != nil {
			t.Fatal(err)
		}
		all := []nic{veth, dsa, vlan, wifi, address}
		x.tell(all...)
		for _, n := range all {
			x.tell(n.down())
		}
		x.expect("port_down lan1 0>1", "port_down #6 0>1")
		_ = x.end()
	})
}

func TestHasTellsWhichInstancesArePorts(t *testing.T) {
	if NewLinks(Config{}).Has("lan1") {
		t.Error("a watcher that has not run knows a port")
	}
	synctest.Test(t, func(t *testing.T) {
		bridge := wired("br0", 4)
		bridge.kind = "bridge"
		x := raise(t, wired("lan1", 2), wired("lan2", 3), bridge)
		x.tell(wired("lan2", 3).down())
		for name, want := range map[string]bool{"lan1": true, "lan2": true, "lan3": false, "br0": false, "": false} {
			if got := x.links.Has(name); got != want {
				t.Errorf("Has(%q) = %v", name, got)
			}
		}
		if err := x.end(); !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v", err)
		}
	})
}

func TestPortSwitchedOffIsNoLostLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		eth1 := wired("eth1", 2)
		x := raise(t, eth1)
		off := eth1.down()
		off.flags = 0
		on := off
		on.flags = noCarrier
		x.tell(off, on)
		x.expect()
		x.tell(on.again())
		x.expect("port_up eth1 1>2")
		m := on.again().message()
		m.Type = unix.RTM_DELLINK
		x.kernel.Tell(m)
		synctest.Wait()
		x.expect("port_down eth1")
		x.kernel.Tell(m)
		synctest.Wait()
		x.expect()
		_ = x.end()
	})
}

func TestPortsBeyondTheMostAreLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := raise(t)
		for i := range MaxInterfaces + 10 {
			x.tell(wired(fmt.Sprint("eth", i), i+2))
		}
		if len(x.links.ports) != MaxInterfaces {
			t.Errorf("%d ports", len(x.links.ports))
		}
		_ = x.end()
	})
}

func TestOutcomesOfTheWatcher(t *testing.T) {
	ok := func() (*netlink.Feed, error) { f, _ := netlinktest.NewFeed(); return f, nil }
	refused := func() (*netlink.Feed, error) { return nil, unix.EPERM }
	for _, tt := range []struct {
		name      string
		subscribe func() (*netlink.Feed, error)
		box       box
		want      error
	}{
		{"no subscription", refused, box{}, collector.ErrRefused},
		{"no socket", ok, box{dialErr: unix.EPROTONOSUPPORT}, collector.ErrNoData},
		{"dump refused", ok, box{err: unix.EACCES}, collector.ErrRefused},
		{"dump fails", ok, box{err: unix.ENOMEM}, unix.ENOMEM},
	} {
		w := NewLinks(Config{Sys: t.TempDir(), Dial: tt.box.dial, Subscribe: tt.subscribe})
		if err := w.Run(t.Context(), nil); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v; want %v", tt.name, err, tt.want)
		}
	}
	if d := NewLinks(Config{}).Watch(); d.Name != "links" || d.Purpose != catalogue.Essential {
		t.Errorf("watch %+v", d)
	}
}

// Whatever a message is made of, the watcher goes on and names what it tells.
func FuzzTake(f *testing.F) {
	f.Add(wired("eth1", 2).message().Data)
	f.Add(wired(addressName, 2).down().message().Data)
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, data []byte) {
		w := NewLinks(Config{Sys: t.TempDir(), Now: func() time.Duration { return 0 }})
		w.notice = func(s sample.Sign) {
			if s.Instance == "" || strings.Contains(s.Instance, "001122334455") {
				t.Errorf("sign of %q", s.Instance)
			}
		}
		w.take(wired("eth1", 2).message())
		w.take(netlink.Message{Type: unix.RTM_NEWLINK, Data: data})
		w.take(netlink.Message{Type: unix.RTM_DELLINK, Data: data})
		w.take(wired("eth1", 2).down().message())
		w.speeds()
	})
}
