package probe

import (
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
)

func TestDefaultConfigIsValidAndSendsNothing(t *testing.T) {
	c := DefaultConfig()
	if err := c.Validate(); err != nil || c.Reflector != "" {
		t.Errorf("%+v: %v", c, err)
	}
	// A round a minute fits in its day.
	if perDay := 24 * 60 * c.PacketsPerRound; perDay > c.PacketsPerDay {
		t.Errorf("%d packets of %d a day", perDay, c.PacketsPerDay)
	}
}

func TestEveryProblemIsReportedWithItsKey(t *testing.T) {
	c := Config{
		Reflector: "nowhere", PacketsPerDay: -1, PacketsPerRound: 101, Spacing: 1, Wait: time.Minute,
		PacketBytes: 45, DSCP: 64, BusyUp: maxBusy + 1,
	}
	err := c.Validate()
	if err == nil {
		t.Fatal("valid")
	}
	for _, key := range []string{"reflector: ", "packets_per_day: ", "packets_per_round: ", "spacing: ", "wait: ", "packet_bytes: ", "dscp: ", "busy_down: ", "busy_up: "} {
		if !strings.Contains("\n"+err.Error(), "\n"+key) {
			t.Errorf("%s is missing in\n%v", key, err)
		}
	}
	if _, err := New(c, Options{}); err == nil {
		t.Error("a source of an invalid configuration")
	}
}

func TestConfigIsReadFromTOML(t *testing.T) {
	c := DefaultConfig()
	md, err := toml.Decode(`
		reflector = "[2001:db8::7]:862"
		packets_per_day = 3000
		packets_per_round = 5
		spacing = "50ms"
		wait = "1s"
		packet_bytes = 200
		dscp = 46
		icmp_fallback = false
		busy_down = 4000
		busy_up = 300`, &c)
	want := Config{"[2001:db8::7]:862", 3000, 5, 50 * time.Millisecond, time.Second, 200, 46, false, 4000, 300}
	if err != nil || len(md.Undecoded()) > 0 || c != want || c.Validate() != nil {
		t.Errorf("%+v, %v, %v; want %+v", c, err, md.Undecoded(), want)
	}
}

func TestReflectors(t *testing.T) {
	for reflector, ok := range map[string]bool{
		"": true, "probe.example.net:862": true, "192.0.2.1:1": true, "[2001:db8::1]:65535": true, "[fe80::1%eth0]:862": true,
		"probe.example.net": false, ":862": false, "192.0.2.1:0": false, "192.0.2.1:65536": false, "192.0.2.1:stamp": false,
		"2001:db8::1:862": false, "0.0.0.0:862": false, "[::]:862": false, "224.0.0.1:862": false, "[ff02::1]:862": false,
		"255.255.255.255:862": false, "192.0.2.1:-1": false,
	} {
		c := DefaultConfig()
		c.Reflector = reflector
		if err := c.Validate(); (err == nil) != ok {
			t.Errorf("%q: %v", reflector, err)
		}
	}
}

func TestRoundsAreBounded(t *testing.T) {
	for _, tt := range []struct {
		packets int
		spacing time.Duration
		ok      bool
	}{
		{10, 100 * time.Millisecond, true},
		{1, 10 * time.Millisecond, true},
		{100, 100 * time.Millisecond, true},
		{100, 200 * time.Millisecond, false},
		{10, 1<<63 - 1, false},
		{0, time.Second, false},
		{10, 9 * time.Millisecond, false},
	} {
		c := DefaultConfig()
		c.PacketsPerRound, c.Spacing = tt.packets, tt.spacing
		if err := c.Validate(); (err == nil) != tt.ok {
			t.Errorf("%d packets %v apart: %v", tt.packets, tt.spacing, err)
		}
	}
}
