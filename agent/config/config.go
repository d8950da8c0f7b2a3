// Package config reads the agent's configuration file.
//
// # What is promised
//
//   - Every problem of a file is reported at once, each with its key's name.
//   - An unknown key never silently does nothing: it is an error of its own,
//     with which the agent may run (an older agent reads a newer file after a
//     rollback) and must say so.
//   - A key that is left out has a default that is right for a gateway.
package config

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"livebox-agent/agent/consent"
	"livebox-agent/agent/detect"
	"livebox-agent/buffer"
	"livebox-agent/collector/platform/sysbus"
	"livebox-agent/collector/probe"
	"livebox-agent/uplink"
)

// maxName bounds the name of an interface or a contact.
const maxName = 64

// maxBytes bounds the file before it is read.
const maxBytes = 256 << 10

const (
	// socketName is that of the control socket in Box.RunDir.
	socketName = "agent.sock"
	// maxSocketName is the room for a name, without the NUL behind it, in the
	// kernel's struct sockaddr_un (include/uapi/linux/un.h).
	maxSocketName = 107
)

// Config is the whole configuration, as the TOML file spells it.
type Config struct {
	Box      Box           `toml:"box"`
	Consent  Consent       `toml:"consent"`
	Sampling Sampling      `toml:"sampling"`
	Buffer   buffer.Config `toml:"buffer"`
	Uplink   uplink.Config `toml:"uplink"`
	Sysbus   sysbus.Config `toml:"sysbus"`
	Ubus     Ubus          `toml:"ubus"`
	Detect   detect.Config `toml:"detect"`
	Surge    Surge         `toml:"surge"`
	Probe    probe.Config  `toml:"probe"`
	Log      Log           `toml:"log"`

	hash    uint32
	unknown []string
}

// Box says which box this is and where the agent keeps things on it.
type Box struct {
	// ID is the pseudonymous name of the box; empty: the common name of the
	// certificate.
	ID string `toml:"id"`
	// StateDir is on flash: the store of reports, the count of starts.
	StateDir string `toml:"state_dir"`
	// RunDir is in memory: the control socket. The socket's name, RunDir in
	// front, has at most 107 bytes.
	RunDir string `toml:"run_dir"`
	// MemoryLimit is the soft limit, in bytes, of all memory that the Go
	// runtime manages (GOMEMLIMIT).
	MemoryLimit int64 `toml:"memory_limit"`
}

// Consent says what the customer has granted.
type Consent struct {
	Purposes      []string `toml:"purposes"`
	PolicyVersion uint32   `toml:"policy_version"`
}

// Set returns the granted purposes; unknown names, which Validate reports,
// grant nothing.
func (c Consent) Set() consent.Set {
	s, _ := consent.Parse(c.Purposes)
	return s
}

// Sampling says how often the box is measured.
type Sampling struct {
	// Window is the time of one report.
	Window time.Duration `toml:"window"`
	// Intervals has, for each source by name, the time between two samples;
	// a source that is not named keeps its default.
	Intervals map[string]time.Duration `toml:"intervals"`
}

// Ubus says where OpenWrt's bus is.
type Ubus struct {
	// Socket is empty for the places where OpenWrt has it.
	Socket string `toml:"socket"`
}

// Surge says what tells of surges on this box, beside what every box has.
type Surge struct {
	// Ports are interfaces that are ports although software makes them.
	Ports []string `toml:"ports"`
	// Protection are the names under which contacts of surge protection devices
	// are exported as GPIO.
	Protection []string `toml:"protection"`
}

// Log says what is logged.
type Log struct {
	Level slog.Level `toml:"level"`
}

// Default returns the configuration of an empty file.
func Default() Config {
	return Config{
		Box: Box{
			StateDir:    "/var/lib/livebox-agent",
			RunDir:      "/run/livebox-agent",
			MemoryLimit: 12 << 20,
		},
		Consent:  Consent{Purposes: []string{"essential"}, PolicyVersion: 1},
		Sampling: Sampling{Window: 5 * time.Minute},
		Buffer:   buffer.DefaultConfig(),
		Uplink:   uplink.DefaultConfig(),
		Sysbus:   sysbus.DefaultConfig(),
		Detect:   detect.DefaultConfig(),
		Probe:    probe.DefaultConfig(),
	}
}

// An UnknownKeysError says that a configuration is good but for keys that the
// agent does not know and goes without.
type UnknownKeysError struct {
	// Keys of the file, in its order.
	Keys []string
}

func (e *UnknownKeysError) Error() string {
	var b strings.Builder
	for i, k := range e.Keys {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(k + ": unknown key")
	}
	return b.String()
}

// Load reads and checks the file of that name. sources are the names of all
// sources that the agent knows. The error joins one for every problem; where
// it is an *UnknownKeysError alone, the Config is good all the same.
func Load(name string, sources []string) (Config, error) {
	f, err := os.Open(name)
	if err != nil {
		return Config{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return Config{}, err
	}
	if len(b) > maxBytes {
		return Config{}, fmt.Errorf("%s: larger than %d bytes", name, maxBytes)
	}
	c, err := Parse(string(b), sources)
	if err != nil {
		return c, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// Parse is Load for the text of a file.
func Parse(text string, sources []string) (Config, error) {
	c := Default()
	r := reader{sources: sources}
	keys, err := r.decode(text, &c)
	if err != nil {
		if pe, ok := errors.AsType[toml.ParseError](err); ok {
			if pe.LastKey != "" {
				return Config{}, fmt.Errorf("line %d: %s: %s", pe.Position.Line, pe.LastKey, pe.Message)
			}
			return Config{}, fmt.Errorf("line %d: %s", pe.Position.Line, pe.Message)
		}
		return Config{}, err
	}
	errs := append(r.errs, c.validate(r.wrong)...)
	sort.Slice(errs, func(i, j int) bool { return errs[i].Error() < errs[j].Error() })
	unknown := &UnknownKeysError{Keys: keys}
	if len(unknown.Keys) > 0 && len(errs) > 0 {
		errs = append([]error{errors.New(unknown.Error())}, errs...)
	}
	if err := errors.Join(errs...); err != nil {
		return Config{}, err
	}
	sum := sha256.Sum256([]byte(text))
	c.hash = binary.BigEndian.Uint32(sum[:4])
	if len(unknown.Keys) > 0 {
		c.unknown = unknown.Keys
		return c, unknown
	}
	return c, nil
}

// Unknown returns the keys of the file that the agent does not know and goes
// without.
func (c Config) Unknown() []string { return c.unknown }

// Hash returns the first four bytes, big endian, of the SHA-256 of the text
// that the configuration was read from.
func (c Config) Hash() uint32 { return c.hash }

// Notes says, each with its key, what is wrong at this time with the files that
// the configuration names and with the box's name in its certificate: the agent
// runs with that, but its broker may not take it.
func (c Config) Notes(now time.Time) []string {
	var notes []string
	if c.Box.ID == "" && c.Uplink.CertFile == "" {
		notes = append(notes, "box.id: empty, and there is no uplink.cert_file to take it from")
	}
	for _, err := range c.Uplink.CheckCredentials(c.Box.ID, now) {
		notes = append(notes, "uplink."+err.Error())
	}
	return notes
}

// Interval returns the configured interval of a source; 0 stands for its
// default.
func (c Config) Interval(source string) time.Duration { return c.Sampling.Intervals[source] }

// validate reports every problem but those of keys whose value is wrong and was
// not taken.
func (c Config) validate(wrong map[string]bool) []error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if c.Box.StateDir == "" {
		bad("box.state_dir: must not be empty")
	}
	if c.Box.RunDir == "" {
		bad("box.run_dir: must not be empty")
	}
	if n := len(filepath.Join(c.Box.RunDir, socketName)); n > maxSocketName {
		bad("box.run_dir: %d bytes too long: with /%s behind it, at most %d are a name of a socket", n-maxSocketName, socketName, maxSocketName)
	}
	if c.Box.ID != "" && !uplink.ValidBox(c.Box.ID) {
		bad("box.id: %q: only letters, digits, - and _, at most 64", c.Box.ID)
	}
	switch limit := c.Box.MemoryLimit; {
	case limit < 8<<20:
		bad("box.memory_limit: %d is below 8388608: the agent would do little but collect garbage", limit)
	case c.Buffer.RAMBytes > limit/2 && !wrong["box.memory_limit"]:
		bad("buffer.ram_bytes: %d is more than half of box.memory_limit, %d", c.Buffer.RAMBytes, limit)
	}
	for _, err := range split(errOf(consent.Parse(c.Consent.Purposes))) {
		bad("consent.purposes: %w", err)
	}
	if c.Consent.PolicyVersion == 0 {
		bad("consent.policy_version: must be at least 1")
	}
	if w := c.Sampling.Window; w < time.Second || w > 24*time.Hour {
		bad("sampling.window: %v is not between 1s and 24h", w)
	}
	for name, d := range c.Sampling.Intervals {
		if d < 100*time.Millisecond || d > 24*time.Hour {
			bad("sampling.intervals.%s: %v is not between 100ms and 24h", name, d)
		}
	}
	for _, err := range split(c.Buffer.Validate()) {
		bad("buffer.%w", err)
	}
	for _, err := range split(c.Uplink.Validate()) {
		bad("uplink.%w", err)
	}
	for _, err := range split(c.Sysbus.Validate()) {
		bad("sysbus.%w", err)
	}
	for _, err := range split(c.Detect.Validate()) {
		bad("detect.%w", err)
	}
	for _, err := range split(c.Probe.Validate()) {
		bad("probe.%w", err)
	}
	for _, list := range []struct {
		key   string
		names []string
	}{{"ports", c.Surge.Ports}, {"protection", c.Surge.Protection}} {
		for _, n := range list.names {
			if n == "" || n == "." || n == ".." || strings.ContainsRune(n, '/') || len(n) > maxName {
				bad("surge.%s: %q: a name without a slash, of at most %d bytes", list.key, n, maxName)
			}
		}
	}
	return slices.DeleteFunc(errs, func(err error) bool {
		key, _, _ := strings.Cut(err.Error(), ": ")
		return wrong[key]
	})
}

func errOf[T any](_ T, err error) error { return err }

// split returns the errors that err joins.
func split(err error) []error {
	if err == nil {
		return nil
	}
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		return j.Unwrap()
	}
	return []error{err}
}
