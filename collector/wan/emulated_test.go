package wan_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/sysbus"
	"livebox-agent/collector/platform/sysbus/sysbustest"
	"livebox-agent/collector/sample"
	"livebox-agent/collector/wan"
	"livebox-agent/testbench/box"
)

// ask returns a client that is logged in to b.
func ask(t *testing.T, b *box.Box, now func() time.Duration) *sysbus.Client {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(box.DefaultPassword), 0o600); err != nil {
		t.Fatal(err)
	}
	config := sysbus.DefaultConfig()
	config.URL, config.PasswordFile = "http://box.test", file
	c, err := sysbus.New(config, sysbus.Options{Dial: sysbustest.Serve(t, b.Handler()), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestEveryEmulatedLivebox(t *testing.T) {
	for _, tt := range []struct {
		model, link, intf string
		ont               bool
	}{
		{"livebox3", "DSL", "dsl0", false},
		{"livebox4", "DSL", "dsl0", false},
		{"livebox4-sfp", "SFP", "eth0", false},
		{"livebox5", "PON", "veip0", false},
		{"livebox5", "Ethernet", "eth0", true},
		{"livebox6", "PON", "veip0", false},
		{"livebox7", "PON", "veip0", false},
		{"liveboxW7", "PON", "veip0", false},
		{"liveboxS", "PON", "veip0", false},
	} {
		t.Run(fmt.Sprint(tt.model, " ", tt.link), func(t *testing.T) {
			now := time.Duration(0)
			b, err := box.New(box.Config{Model: tt.model, ExternalONT: tt.ont, Clock: func() time.Duration { return now }})
			if err != nil {
				t.Fatal(err)
			}
			c := ask(t, b, func() time.Duration { return now })
			source, traffic := wan.New(wan.Config{Sysbus: c}), wan.NewTraffic(wan.Config{Sysbus: c})
			var batch sample.Batch
			if err := source.Collect(t.Context(), &batch); err != nil {
				t.Fatal(err)
			}
			got := strings.Join(values(t, &batch), "; ")
			for _, want := range []string{"Status wan = Up", "LinkType wan = " + tt.link, "IPv4Up wan = yes", "LastConnectionError wan = "} {
				if !strings.Contains(got, want) {
					t.Errorf("readings %s; want %s", got, want)
				}
			}

			// An hour at 20 Mbit/s each way is 9 GB: two wraps of 32 bits.
			b.Traffic(20e6, 20e6)
			first, last := int64(-1), int64(-1)
			for range 361 {
				now += 10 * time.Second
				batch.Reset(now)
				if err := traffic.Collect(t.Context(), &batch); err != nil {
					t.Fatal(err)
				}
				for _, r := range batch.Readings {
					if r.Instance != tt.intf {
						t.Fatalf("traffic of %s; want %s", r.Instance, tt.intf)
					}
					if r.Metric == catalogue.PortBytesReceived {
						if first < 0 {
							first = r.Value
						}
						last = r.Value
					}
				}
			}
			if carried := last - first; carried < 8_000_000_000 || carried > 11_000_000_000 {
				t.Errorf("%d bytes in an hour at 20 Mbit/s; want about 9e9", carried)
			}

			b.WAN(false)
			now += time.Minute
			batch.Reset(now)
			err = source.Collect(t.Context(), &batch)
			got = strings.Join(values(t, &batch), "; ") + fmt.Sprint(err)
			if strings.Contains(got, "Status wan = Up") || !strings.Contains(got, "Status wan = ") || strings.Contains(got, "IPv4Up wan = yes") {
				t.Errorf("readings of a connection that is down: %s", got)
			}
			got += onBackup(t, b, source)
			for _, hidden := range b.Secrets() {
				if hidden != "" && strings.Contains(got, hidden) {
					t.Errorf("%q is in %s", hidden, got)
				}
			}
		})
	}
}

// onBackup has a modem stand in for a connection that is down, and returns the
// readings.
func onBackup(t *testing.T, b *box.Box, source *wan.Source) (all string) {
	t.Helper()
	for _, there := range []bool{true, false} {
		b.Backup(there)
		var batch sample.Batch
		if err := source.Collect(t.Context(), &batch); err != nil {
			t.Fatal(err)
		}
		got := strings.Join(values(t, &batch), "; ")
		metered, known := wan.Metered(&batch)
		if metered != there || !known || there != strings.Contains(got, "Status wan = Up; LinkType wan = Cellular") {
			t.Errorf("modem there: %v: metered %v; readings %s", there, metered, got)
		}
		all += got
	}
	return all
}
