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
	// A value of a wrong type hides no other problem, and is reported once.
	got := problems(`
log = 3
[box]
id = 7
state_dir = ""
memory_limit = -1
run_dir.x = "a"
[consent]
purposes = ["spying", 3]
policy_version = 0
[sampling]
window = [1]
intervals.system = true
[uplink]
broker = 1979-05-27
ca_file = "ca.pem"
cert_file = "box.pem"
key_file = "box.key"
window = "4"
backlog_rate = "fast"
`)
	want := []string{
		`box.id: want a string in quotes, not 7`,
		`box.memory_limit: -1 is below 8388608: the agent would do little but collect garbage`,
		`box.run_dir: want a string in quotes, not a table`,
		`box.state_dir: must not be empty`,
		`consent.policy_version: must be at least 1`,
		`consent.purposes: unknown purpose "spying" (known: essential, support, personalised, mobile, research)`,
		`consent.purposes: want a list of strings in quotes; number 2 of it is 3`,
		`log: want a table, not 3`,
		`sampling.intervals.system: want a duration such as "5m", not true`,
		`sampling.window: want a duration such as "5m", not a list`,
		`uplink.backlog_rate: want a number, not "fast"`,
		`uplink.broker: want a string in quotes, not a date`,
		`uplink.window: want a whole number of 32 bits, not "4"`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("problems:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// problems returns the lines of the error of a configuration.
func problems(text string) []string {
	_, err := Parse(text, sources)
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}

func TestOneProblemOneLine(t *testing.T) {
	long := strings.Repeat("d", maxSocketName-len("/"+socketName))
	for _, tt := range []struct{ name, in, want string }{
		{"duration without a unit", "power_return_wait = 300", `uplink.power_return_wait: want a duration such as "5m", not 300`},
		{"and in quotes", `power_return_wait = "300"`, `uplink.power_return_wait: want a duration such as "5m", not "300"`},
		{"and as a fraction", "power_return_wait = 0.5", `uplink.power_return_wait: want a duration such as "5m", not 0.5`},
		{"interval without a unit", "[sampling.intervals]\nsystem = 10", `sampling.intervals.system: want a duration such as "5m", not 10`},
		{"key in upper case", "WINDOW = 4", "uplink.WINDOW: unknown key"},
		{"level", "[log]\nlevel = \"loud\"", `log.level: want "debug", "info", "warn" or "error", not "loud"`},
		{"level as a number", "[log]\nlevel = 4", `log.level: want "debug", "info", "warn" or "error", not 4`},
		{"long text is cut", "window = \"" + strings.Repeat("4", 999) + "\"", `uplink.window: want a whole number of 32 bits, not "` + strings.Repeat("4", 40) + `"`},
		{"more than an int of a small box", "window = 4294967297", "uplink.window: want a whole number of 32 bits, not 4294967297"},
		{"below a uint32", "[consent]\npolicy_version = -1", "consent.policy_version: want a whole number from 0 to 4294967295, not -1"},
		{"above a uint32", "[consent]\npolicy_version = 4294967296", "consent.policy_version: want a whole number from 0 to 4294967295, not 4294967296"},
		{"purposes that are no list", "[consent]\npurposes = \"support\"", `consent.purposes: want a list of strings in quotes, not "support"`},
		{"array of tables", "[[box]]\nid = \"b\"", "box: want a table, not a list"},
		{"intervals that are no table", "[sampling]\nintervals = \"10s\"", `sampling.intervals: want a table, not "10s"`},
		{"more memory than there is", "[buffer]\nram_bytes = 6291457", "buffer.ram_bytes: 6291457 is more than half of box.memory_limit, 12582912"},
		{"all the memory there may be", "[buffer]\nram_bytes = 6291456", ""},
		{"limit that is no number", "[box]\nmemory_limit = \"64M\"\n[buffer]\nram_bytes = 8388608", `box.memory_limit: want a whole number, not "64M"`},
		{"detector that is neither on nor off", "[detect]\ncoverage = 1", "detect.coverage: want true or false, not 1"},
		{"step of nothing", "[detect]\nmargin_step = 0", "detect.margin_step: 0 is not between 1 and 30"},
		{"reflector without a port", "[probe]\nreflector = \"probe.example\"", "probe.reflector: not host:port"},
		{"more probes in a round than in a day", "[probe]\npackets_per_day = 9", "probe.packets_per_day: 9 is not from the packets of one round to 1000000"},
		{"pause that no number has", "[probe]\nspacing = 100", `probe.spacing: want a duration such as "5m", not 100`},
		{"line that is always busy", "[probe]\nbusy_up = 0", "probe.busy_up: 0 is not 1 to 100000000"},
		{"socket with a long name", "[box]\nrun_dir = \"/" + long + "\"", "box.run_dir: 1 bytes too long: with /agent.sock behind it, at most 107 are a name of a socket"},
		{"socket with the longest name", "[box]\nrun_dir = \"" + long + "//\"", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.Join(problems(good+tt.in), "\n"); got != tt.want {
				t.Errorf("Parse = %q; want %q", got, tt.want)
			}
		})
	}
}

func TestWholeNumberIsANumber(t *testing.T) {
	if c, err := Parse(good+"backlog_rate = 2", sources); err != nil || c.Uplink.BacklogRate != 2 {
		t.Errorf("backlog_rate = %v, %v; want 2", c.Uplink.BacklogRate, err)
	}
}

// An older agent goes without a table whose keys it only knows in lower case,
// and without sources that it does not have, whatever they are set to.
func TestCaseOfKeysAndForeignSources(t *testing.T) {
	c, err := Parse(good+"[Sampling]\nWINDOW = \"1m\"\n[sampling.intervals]\nlidar = 5\n[sampling.intervals.radar]\nfast = \"1s\"\n", sources)
	unknown, ok := errors.AsType[*UnknownKeysError](err)
	if want := []string{"Sampling", "Sampling.WINDOW", "sampling.intervals.lidar", "sampling.intervals.radar", "sampling.intervals.radar.fast"}; !ok || !slices.Equal(unknown.Keys, want) {
		t.Fatalf("Parse = %v; want an UnknownKeysError for %q", err, want)
	}
	if c.Sampling.Window != Default().Sampling.Window || len(c.Sampling.Intervals) != 0 {
		t.Errorf("sampling = %+v; want the defaults", c.Sampling)
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
	if c, err := Load(name, sources); err != nil || c.Uplink.KeyFile != "box.key" {
		t.Errorf("Load = %+v, %v", c.Uplink, err)
	}
	if err := os.WriteFile(name, []byte("#"+strings.Repeat("x", maxBytes)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(name, sources); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("Load of a huge file = %v", err)
	}
}

func TestNotesNameEveryFileByItsKey(t *testing.T) {
	c := Default()
	dir := t.TempDir()
	c.Uplink.Broker = "tls://cem.example:8883"
	c.Uplink.CAFile, c.Uplink.CertFile, c.Uplink.KeyFile = filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "c")
	notes := c.Notes(time.Now())
	for i, key := range []string{"uplink.ca_file: ", "uplink.cert_file: ", "uplink.key_file: "} {
		if len(notes) != 3 || !strings.HasPrefix(notes[i], key) || !strings.Contains(notes[i], dir) {
			t.Fatalf("Notes() = %q; want one for each of the three files", notes)
		}
	}
	c = Default()
	c.Uplink.Broker = "tcp://127.0.0.1:1883"
	if notes := c.Notes(time.Now()); len(notes) != 1 || !strings.HasPrefix(notes[0], "box.id: empty") {
		t.Errorf("Notes() of a box without a name = %q", notes)
	}
	c.Box.ID = "box1"
	if notes := c.Notes(time.Now()); len(notes) != 0 {
		t.Errorf("Notes() of a laboratory = %q; want none", notes)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(good)
	f.Add("[sampling.intervals]\nsystem = \"1s\"\n")
	f.Add("a=[[]]\n[b.c]\n")
	f.Add(good + "box.id = {x = 1}\nlog = [{}]\n[consent]\npurposes = [\"support\", [1], 1.5]\n")
	f.Add(good + "[Uplink]\n\"\" = 1\n[[uplink.window]]\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(text, sources)
		if unknown, ok := errors.AsType[*UnknownKeysError](err); ok {
			if len(unknown.Keys) == 0 {
				t.Errorf("Parse(%q) names no unknown key", text)
			}
			err = nil
		}
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
	if c.Box != want.Box || c.Buffer != want.Buffer || c.Uplink != want.Uplink || c.Log != want.Log || c.Sysbus != want.Sysbus || c.Ubus != want.Ubus || c.Detect != want.Detect || c.Probe != want.Probe ||
		len(c.Surge.Ports)+len(c.Surge.Protection) > 0 ||
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
