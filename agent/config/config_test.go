package config

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var sources = []string{"system", "stations"}

// good is the least that a box must say.
const good = `
[uplink]
broker = "tls://cem.example:8883"
ca_file = "ca.pem"
cert_file = "box.pem"
key_file = "box.key"
`

func TestLeftOutKeysHaveDefaults(t *testing.T) {
	c, err := Parse(good, sources)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	if c.Box != want.Box || c.Buffer != want.Buffer || c.Sampling.Window != want.Sampling.Window || c.Log != want.Log {
		t.Errorf("Parse = %+v; want the defaults %+v", c, want)
	}
	if got := c.Consent.Set().String(); got != "essential" {
		t.Errorf("consent of a file that does not speak of it: %s; want essential", got)
	}
	if c.Uplink.KeepAlive != want.Uplink.KeepAlive || c.Uplink.Broker != "tls://cem.example:8883" {
		t.Errorf("uplink = %+v", c.Uplink)
	}
}

func TestEveryKeyIsTaken(t *testing.T) {
	c, err := Parse(good+`
[box]
id = "box-1"
state_dir = "/s"
run_dir = "/r"
memory_limit = 8388608
[consent]
purposes = ["support", "mobile"]
policy_version = 7
[sampling]
window = "1m"
[sampling.intervals]
system = "2s"
[buffer]
ram_bytes = 131072
flash_bytes = 1048576
flash_daily_bytes = 2097152
spill_after = "20m"
[log]
level = "debug"
`, sources)
	if err != nil {
		t.Fatal(err)
	}
	if c.Box.ID != "box-1" || c.Box.StateDir != "/s" || c.Box.RunDir != "/r" || c.Box.MemoryLimit != 8<<20 {
		t.Errorf("box = %+v", c.Box)
	}
	if got := c.Consent.Set().String(); got != "essential,support,mobile" || c.Consent.PolicyVersion != 7 {
		t.Errorf("consent = %s, version %d", got, c.Consent.PolicyVersion)
	}
	if c.Sampling.Window != time.Minute || c.Interval("system") != 2*time.Second || c.Interval("stations") != 0 {
		t.Errorf("sampling = %+v", c.Sampling)
	}
	if b := c.Buffer; b.RAMBytes != 128<<10 || b.FlashBytes != 1<<20 || b.FlashDailyBytes != 2<<20 || b.SpillAfter != 20*time.Minute {
		t.Errorf("buffer = %+v", b)
	}
	if c.Log.Level != slog.LevelDebug {
		t.Errorf("log level %v", c.Log.Level)
	}
	other, err := Parse(good, sources)
	if err != nil || other.Hash() == c.Hash() || c.Hash() == 0 {
		t.Errorf("hashes %x and %x of two configurations, %v", c.Hash(), other.Hash(), err)
	}
}

func TestEveryProblemIsReportedAtOnceWithItsKey(t *testing.T) {
	_, err := Parse(`
colour = "orange"
[box]
state_dir = ""
id = "box/1"
memory_limit = 1
[consent]
purposes = ["essential", "marketing", "spying"]
policy_version = 0
[sampling]
window = "10ms"
[sampling.intervals]
nosuch = "1s"
system = "1ms"
[buffer]
ram_bytes = 1
spill_afters = "15m"
[uplink]
broker = "http://x"
window = 99
`, sources)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"colour: unknown key", "buffer.spill_afters: unknown key",
		"box.state_dir: must not be empty", "box.id: ", "box.memory_limit: ",
		`consent.purposes: unknown purpose "marketing"`, `consent.purposes: unknown purpose "spying"`, "consent.policy_version: ",
		"sampling.window: ", "sampling.intervals.nosuch: unknown key", "sampling.intervals.system: ",
		"buffer.ram_bytes: ", "uplink.broker: ", "uplink.window: ", "uplink.ca_file: ",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not say %q:\n%v", want, err)
		}
	}
}

func TestUnknownKeysAloneLeaveAGoodConfiguration(t *testing.T) {
	c, err := Parse(good+"colour = \"orange\"\n[radio]\nband = 5\n[sampling.intervals]\nlidar = \"1s\"\n", sources)
	unknown, ok := errors.AsType[*UnknownKeysError](err)
	if !ok || !slices.Equal(unknown.Keys, []string{"uplink.colour", "radio", "radio.band", "sampling.intervals.lidar"}) {
		t.Fatalf("Parse = %v; want an UnknownKeysError for the four keys", err)
	}
	if c.Uplink.Broker != "tls://cem.example:8883" || c.Hash() == 0 || !slices.Equal(c.Unknown(), unknown.Keys) {
		t.Errorf("configuration beside the unknown keys: %+v", c)
	}
	for _, k := range unknown.Keys {
		if !strings.Contains(err.Error(), k+": unknown key") {
			t.Errorf("%q does not name %s", err, k)
		}
	}
}

func TestWhatIsNoTOML(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"broken", "[box\n", "line 2"},
		{"wrong type", "[box]\nstate_dir = 5\n", "state_dir"},
		{"bad duration", "[sampling]\nwindow = \"soon\"\n", "window"},
		{"bad level", "[log]\nlevel = \"loud\"\n", "level"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(tt.in, sources)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Parse(%q) = %v; want %q in it", tt.in, err, tt.want)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "agent.toml")
	if _, err := Load(name, sources); err == nil || !os.IsNotExist(err) {
		t.Errorf("Load of no file = %v", err)
	}
	if err := os.WriteFile(name, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(name, sources)
	if err != nil {
		t.Fatal(err)
	}
	if m := c.Missing(); len(m) != 3 || !strings.Contains(m[0], "uplink.ca_file") {
		t.Errorf("Missing() = %q; want the three files", m)
	}
	if err := os.WriteFile(name, []byte("#"+strings.Repeat("x", maxBytes)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(name, sources); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("Load of a huge file = %v", err)
	}
}

func TestValidBoxID(t *testing.T) {
	for id, want := range map[string]bool{
		"b1": true, "A-b_9": true, strings.Repeat("a", 64): true,
		"": false, strings.Repeat("a", 65): false, "a/b": false, "a+": false, "#": false, "a.b": false, "é": false, "a b": false,
	} {
		if got := ValidBoxID(id); got != want {
			t.Errorf("ValidBoxID(%q) = %v; want %v", id, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(good)
	f.Add("[sampling.intervals]\nsystem = \"1s\"\n")
	f.Add("a=[[]]\n[b.c]\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(text, sources)
		if err == nil && (c.Sampling.Window < time.Second || c.Uplink.Broker == "") {
			t.Errorf("Parse(%q) let through %+v", text, c)
		}
	})
}

// The example that is shipped has every key with its default.
func TestExampleIsTheDefaults(t *testing.T) {
	b, err := os.ReadFile("agent.toml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse(string(b), sources)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Uplink.Broker = "tls://cem.example:8883"
	want.Uplink.CAFile = "/etc/livebox-agent/ca.pem"
	want.Uplink.CertFile = "/etc/livebox-agent/box.pem"
	want.Uplink.KeyFile = "/etc/livebox-agent/box.key"
	if c.Box != want.Box || c.Buffer != want.Buffer || c.Uplink != want.Uplink || c.Log != want.Log ||
		c.Sampling.Window != want.Sampling.Window || c.Consent.Set() != want.Consent.Set() {
		t.Errorf("the example says %+v; the defaults are %+v", c, want)
	}
	var keys int
	for line := range strings.Lines(string(b)) {
		if k, _, ok := strings.Cut(line, " = "); ok && !strings.HasPrefix(k, "#") {
			keys++
		}
	}
	if want := countKeys(reflect.TypeFor[Config]()); keys != want {
		t.Errorf("the example has %d keys; the configuration has %d", keys, want)
	}
}

// countKeys counts the keys of a configuration struct but maps.
func countKeys(t reflect.Type) (n int) {
	for f := range t.Fields() {
		switch {
		case f.Tag.Get("toml") == "" || f.Type.Kind() == reflect.Map:
		case f.Type.Kind() == reflect.Struct:
			n += countKeys(f.Type)
		default:
			n++
		}
	}
	return n
}
