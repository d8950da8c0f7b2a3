package wifi_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/ubus"
	"livebox-agent/collector/sample"
	"livebox-agent/collector/wifi"
	"livebox-agent/testbench/box"
)

const stranger = "02:EB:00:00:00:77"

func TestFailuresOnAnEmulatedLivebox(t *testing.T) {
	for model, told := range map[string]bool{
		"livebox3": false, "livebox5": true, "livebox7": true, "liveboxS": true,
	} {
		t.Run(model, func(t *testing.T) {
			g := newGateway(t, model)
			failures := func() (n int64, told bool) {
				g.now += time.Minute
				radios, err := g.collect(t, "radios")
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range radios {
					v, ok := r[catalogue.RadioAssociationFailures]
					n, told = n+v, told || ok
				}
				return n, told
			}
			for i, tt := range []struct {
				do   func() error
				want int64
			}{
				{func() error { return nil }, 0},
				{func() error { return g.FailStation(box.Station{MAC: stranger}, 3) }, 3},
				{func() error { _, err := g.AddStation(box.Station{MAC: stranger}); return err }, 3},
				{func() error { return g.RemoveStation(stranger) }, 3},
				{func() error { g.Reboot(""); return nil }, 3},
				{func() error { return g.FailStation(box.Station{MAC: stranger, Band: "2.4GHz"}, 2) }, 5},
			} {
				if err := tt.do(); err != nil {
					t.Fatal(err)
				}
				if n, ok := failures(); ok != told || told && n != tt.want {
					t.Errorf("step %d: %d failures, told %t; want %d, %t", i, n, ok, tt.want, told)
				}
			}
		})
	}
}

// A router is an emulated box with a bus, and a source on it.
type router struct {
	*box.Box
	source collector.Source
}

// startRouter serves a router's bus and returns it and the path of the socket.
func startRouter(t *testing.T, c box.Config) (*router, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "wrt") //nolint:usetesting // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	b, err := box.New(c)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	server, err := b.ServeUbus(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Close()
		_ = os.RemoveAll(dir)
	})
	return &router{Box: b}, path
}

func dialBus(t *testing.T, path string) *ubus.Conn {
	t.Helper()
	c := ubus.Dial(path)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// failures returns the failures of an access point; ok is false where they are
// not told.
func (r *router) failures(t *testing.T, instance string) (n int64, ok bool) {
	t.Helper()
	var b sample.Batch
	if err := r.source.Collect(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	for _, x := range b.Readings {
		if x.Metric == catalogue.RadioAssociationFailures && x.Instance == instance {
			return x.Value, true
		}
	}
	return 0, false
}

// await waits until there are so many failures of an access point.
func (r *router) await(t *testing.T, instance string, want int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		n, ok := r.failures(t, instance)
		if ok && n == want {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%d failures, told %t; want %d", n, ok, want)
		}
	}
}

func TestFailuresOnAnEmulatedOpenWrt(t *testing.T) {
	for _, old := range []bool{false, true} {
		r, path := startRouter(t, box.Config{Model: "openwrt", OldHostapd: old})
		joins := wifi.NewJoins(wifi.JoinsConfig{
			Ubus: path, Dial: func() (wifi.Conn, error) { return nil, unix.EPROTONOSUPPORT },
		})
		r.source = wifi.NewIwinfoRadios(dialBus(t, path), joins)
		if _, ok := r.failures(t, "phy1-ap0"); ok {
			t.Error("failures are told while nobody watches")
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- joins.Run(ctx, nil) }()
		r.await(t, "phy1-ap0", 0)
		fail := func(times int) {
			if err := r.FailStation(box.Station{MAC: stranger}, times); err != nil {
				t.Fatal(err)
			}
		}
		fail(3)
		r.await(t, "phy1-ap0", 3)
		if !old {
			// Who is let in is no failure, then or when it goes.
			if _, err := r.AddStation(box.Station{MAC: stranger}); err != nil {
				t.Fatal(err)
			}
			if err := r.RemoveStation(stranger); err != nil {
				t.Fatal(err)
			}
		}
		fail(1)
		r.await(t, "phy1-ap0", 4)
		if n, ok := r.failures(t, "phy0-ap0"); n != 0 || !ok {
			t.Errorf("%d failures, told %t, at the other radio", n, ok)
		}
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v; want the cancellation", err)
		}
		if _, ok := r.failures(t, "phy1-ap0"); ok {
			t.Error("failures are told when nobody watches any more")
		}
	}
}

func TestFailuresOnAnEmulatedPrplOS(t *testing.T) {
	r, path := startRouter(t, box.Config{Model: "prplos"})
	r.source = wifi.NewPrplRadios(dialBus(t, path))
	r.await(t, "ap2", 0)
	if err := r.FailStation(box.Station{MAC: stranger}, 3); err != nil {
		t.Fatal(err)
	}
	r.await(t, "ap2", 3)
	r.Crash()
	r.await(t, "ap2", 3)
	if err := r.FailStation(box.Station{MAC: stranger}, 1); err != nil {
		t.Fatal(err)
	}
	r.await(t, "ap2", 4)
	if n, ok := r.failures(t, "ap1"); n != 0 || !ok {
		t.Errorf("%d failures, told %t, at the other radio", n, ok)
	}
}
