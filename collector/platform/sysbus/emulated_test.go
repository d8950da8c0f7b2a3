package sysbus_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"livebox-agent/collector"
	"livebox-agent/collector/platform/sysbus"
	"livebox-agent/testbench/box"
)

// emulate returns an emulated box whose password is secret.
func emulate(t *testing.T, c box.Config) *box.Box {
	t.Helper()
	c.Password = secret
	b, err := box.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEveryGenerationIsDiscovered(t *testing.T) {
	for model, want := range map[string]sysbus.Box{
		"livebox3":     {Generation: "livebox3", WAN: []string{"dsl0"}, DSL: "dsl0", Radios: []string{"wifi0_ath", "wifi1_ath"}},
		"livebox4":     {Generation: "livebox4", WAN: []string{"dsl0", "eth0"}, DSL: "dsl0", Radios: []string{"wifi0_bcm", "wifi0_quan"}},
		"livebox4-sfp": {Generation: "livebox4", WAN: []string{"eth0", "dsl0"}, DSL: "dsl0", Radios: []string{"wifi0_bcm", "wifi0_quan"}},
		"livebox5":     {Generation: "livebox5", WAN: []string{"veip0", "eth0"}, PON: "veip0", Radios: []string{"wifi0_bcm", "wifi0_quan"}},
		"livebox6":     {Generation: "livebox6", WAN: []string{"veip0", "ETH4"}, PON: "veip0", Radios: []string{"rad2g0", "rad5g0", "rad6g0"}},
		"livebox7":     {Generation: "livebox7", WAN: []string{"veip0", "ETH1"}, PON: "veip0", Radios: []string{"rad2g0", "rad5g0", "rad6g0"}},
		"liveboxW7":    {Generation: "liveboxW7", WAN: []string{"veip0", "ETH3"}, PON: "veip0", Radios: []string{"rad2g0", "rad5g0"}},
		"liveboxS":     {Generation: "liveboxS", WAN: []string{"veip0", "ETH3"}, PON: "veip0", Radios: []string{"rad2g0", "rad5g0"}},
	} {
		t.Run(model, func(t *testing.T) {
			c := connect(t, emulate(t, box.Config{Model: model}).Handler(), logIn(passwordFile(t)))
			got, err := c.Box(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(got.ProductClass, "Livebox ") || len(got.SoftwareVersion) < 10 || len(got.VAPs) < 2 {
				t.Errorf("Box = %+v", got)
			}
			got.ProductClass, got.SoftwareVersion, got.VAPs = "", "", nil
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Box (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnEmulatedBoxThatMisbehaves(t *testing.T) {
	for name, kind := range box.Misbehaviours() {
		if kind == box.Behave {
			continue
		}
		t.Run(name, func(t *testing.T) {
			b := emulate(t, box.Config{Model: "livebox7"})
			c := connect(t, b.Handler(), logIn(passwordFile(t)))
			if _, err := c.Call(t.Context(), "NMC", "get", nil); err != nil {
				t.Fatal(err)
			}
			b.Misbehave(kind)
			n, err := c.Call(t.Context(), "NMC", "get", nil)
			// Wrong values in a right form are for the decoders.
			harmless := slices.Contains([]box.Misbehaviour{box.WrongTypes, box.NotUTF8, box.HugeNumbers}, kind)
			if (err == nil) != harmless || err != nil && n.Exists() {
				t.Errorf("Call = %v", err)
			}
			if err != nil && (errors.Is(err, collector.ErrNoData) || len(err.Error()) > 300) {
				t.Errorf("Call = %v; want a short failure, for the box has what was asked", err)
			}
			b.Misbehave(box.Behave)
			if _, err := c.Call(t.Context(), "NMC", "get", nil); err != nil {
				t.Errorf("after it behaves again: %v", err)
			}
		})
	}
}

func TestAnEmulatedBoxThatRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		b := emulate(t, box.Config{
			Model: "liveboxS", BootTime: time.Minute, SessionIdle: 5 * time.Minute,
			Clock: func() time.Duration { return time.Since(start) },
		})
		c := connect(t, b.Handler(), logIn(passwordFile(t)))
		var mu sync.Mutex
		events := 0
		ctx, cancel := context.WithCancel(t.Context())
		var watcher sync.WaitGroup
		watcher.Go(func() {
			err := c.Events(ctx, []string{"NMC", "HomeLan", "Devices"}, func(sysbus.Event) {
				mu.Lock()
				defer mu.Unlock()
				events++
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("Events = %v", err)
			}
		})
		ask := func() error {
			_, err := c.Call(t.Context(), "NeMo.Intf.veip0", "getMIBs", map[string]string{"mibs": "gpon"})
			return err
		}
		if err := ask(); err != nil {
			t.Fatal(err)
		}
		b.Reboot("TR069 reboot")
		if err := ask(); err == nil || errors.Is(err, collector.ErrNoData) {
			t.Errorf("while it starts: %v; want a failure", err)
		}
		pass(t, 2*time.Minute)
		if err := ask(); err != nil {
			t.Errorf("after it has started: %v", err)
		}
		mu.Lock()
		before := events
		mu.Unlock()
		b.WAN(false)
		pass(t, 5*time.Minute)
		mu.Lock()
		if events == before {
			t.Error("no event of the connection that went down after the restart")
		}
		mu.Unlock()
		if err := ask(); err != nil {
			t.Errorf("after a while: %v", err)
		}
		cancel()
		watcher.Wait()
	})
}

func TestAnEmulatedBoxIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := emulate(t, box.Config{Model: "livebox6"})
		c := connect(t, b.Handler(), logIn(passwordFile(t)))
		b.Slow(25 * time.Second)
		got, err := c.Box(t.Context())
		if err != nil || len(got.Radios) == 0 {
			t.Errorf("Box = %+v, %v", got, err)
		}
	})
}

func TestNoSecretOfAnEmulatedBoxIsInABox(t *testing.T) {
	b := emulate(t, box.Config{Model: "livebox7"})
	got, err := connect(t, b.Handler(), logIn(passwordFile(t))).Box(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(slices.Concat(got.WAN, got.Radios, got.VAPs, []string{got.ProductClass, got.SoftwareVersion}), " ")
	for _, hidden := range b.Secrets() {
		if hidden != "" && strings.Contains(all, hidden) {
			t.Errorf("%q is in %s", hidden, all)
		}
	}
}
