package netdev

import (
	"errors"
	"fmt"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/label"
	"livebox-agent/collector/platform/kernel/netlink"
)

const (
	addressName  = "enx001122334455"
	addressOther = "wlx3C22FB5A0001"
)

// checkOutput fails where an address is in what a round gave.
func checkOutput(t *testing.T, got round, err error) {
	t.Helper()
	for key := range got {
		if label.HasAddress(key) {
			t.Errorf("a reading of %q", key)
		}
	}
	if err != nil && label.HasAddress(err.Error()) {
		t.Errorf("the round ended with %q", err)
	}
}

func TestNoInstanceHoldsAHardwareAddress(t *testing.T) {
	sys := t.TempDir()
	sysfsOf(t, sys, addressName, "1000", "full")
	good := []nic{eth("eth0", 2, 64, 1, 10), eth(addressName, 7, 64, 2, 20), eth(addressOther, 8, 64, 3, 30), eth("bell\a", 9, 64, 4, 40)}
	for _, tt := range []struct {
		name  string
		alter func(*box)
		fails bool
	}{
		{"all is well", func(*box) {}, false},
		{"the dump fails half way", func(x *box) { x.err = unix.ENOMEM }, true},
		{"the dump is refused", func(x *box) { x.err = unix.EPERM }, true},
		{"a message is cut", func(x *box) {
			m := good[1].message()
			m.Data = m.Data[:len(m.Data)-3]
			x.replies = append(x.replies, m)
		}, true},
		{"a name is too long", func(x *box) {
			x.replies = append(x.replies, netlink.Message{
				Type: unix.RTM_NEWLINK, Data: netlink.AppendText(header(ether, 9, up), unix.IFLA_IFNAME, addressName+"001122334455"),
			})
		}, true},
		{"there are too many", func(x *box) {
			for i := range MaxInterfaces {
				x.replies = append(x.replies, eth(fmt.Sprintf("enx0011223344%02x", i), 100+i, 64, 1, 1).message())
			}
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var x box
			x.have(good...)
			tt.alter(&x)
			ports := NewPorts(Config{Sys: sys, Dial: x.dial})
			defer ports.Close()
			for _, s := range []collector.Source{ports, NewTraffic(Config{Dial: x.dial})} {
				got, err := ask(t, s)
				checkOutput(t, got, err)
				if (err != nil) != tt.fails {
					t.Errorf("%s: %v", s.Describe().Name, err)
				}
				if err != nil {
					continue
				}
				want := round{"#7 BytesReceived": 20, "#8 BytesReceived": 30, "#9 BytesReceived": 40, "eth0 BytesReceived": 10}
				if s == ports {
					// The file is still found under the kernel's name.
					want = round{"#7 CurrentBitRate": 1000, "#8 Status": catalogue.PortStatusUp, "#9 Status": catalogue.PortStatusUp}
				}
				for key, v := range want {
					if got[key] != v {
						t.Errorf("%s: %s = %d; want %d", s.Describe().Name, key, got[key], v)
					}
				}
			}
		})
	}
}

func TestAddressNamedAdapterPluggedInAgainGoesByItsNewIndex(t *testing.T) {
	var x box
	s := NewTraffic(Config{Dial: x.dial})
	x.have(eth(addressName, 7, 64, 10, 1000))
	mustAsk(t, s)
	x.have(eth("eth0", 2, 64, 1, 1))
	mustAsk(t, s)
	x.have(eth("eth0", 2, 64, 1, 1), eth(addressName, 9, 64, 1, 50), eth(addressOther, 7, 64, 1, 3))
	if got := mustAsk(t, s); len(got) != 12 || got["#9 BytesReceived"] != 1050 || got["#7 BytesReceived"] != 3 {
		t.Errorf("traffic = %v; want the adapter as #9 with a total of 1050", got)
	}
}

// The kernel itself, in a network of its own, with an adapter that systemd
// would have named.
func TestThisKernelsAddressNamedAdapter(t *testing.T) {
	missing := make(chan error, 1)
	go func() {
		defer close(missing)
		// The thread ends with the goroutine, and the network with the thread.
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			missing <- fmt.Errorf("no network of its own: %w", err)
			return
		}
		tun, err := tap(addressName)
		if err != nil {
			missing <- fmt.Errorf("no tap: %w", err)
			return
		}
		defer unix.Close(tun)
		sys := t.TempDir()
		for _, s := range []collector.Source{NewPorts(Config{Sys: sys}), NewTraffic(Config{})} {
			got, err := ask(t, s)
			checkOutput(t, got, err)
			if err != nil {
				missing <- fmt.Errorf("%s: this kernel does not say: %w", s.Describe().Name, err)
				return
			}
			if len(got) == 0 {
				t.Errorf("%s: nothing; want the tap", s.Describe().Name)
			}
			for key := range got {
				if key[0] != '#' {
					t.Errorf("%s: %s; want the index", s.Describe().Name, key)
				}
			}
		}
	}()
	if err := <-missing; err != nil {
		t.Skip(err)
	}
}

func tap(name string) (fd int, err error) {
	fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}
