package uplink

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"
)

// What Config.Acknowledgement may say.
const (
	// AckApplication: a report is delivered when the CEM says so.
	AckApplication = "application"
	// AckBroker: a report is delivered when the broker has sent its PUBACK. What
	// the broker then loses, or refuses without saying so, is lost.
	AckBroker = "broker"
)

// What Config.Metered may say.
const (
	// MeteredAuto: the box tells by what its connection runs over.
	MeteredAuto = "auto"
	// MeteredAlways and MeteredNever are the owner's word, whatever the box tells.
	MeteredAlways = "always"
	MeteredNever  = "never"
)

// Config is what the owner of the box sets.
type Config struct {
	// Broker is tls://host:port; tcp://host:port, without any protection, is for
	// laboratories.
	Broker string `toml:"broker"`
	// CAFile holds, in PEM, the only authority that may have issued the broker's
	// certificate. CertFile and KeyFile are the box's own. They are read again
	// for each connection.
	CAFile   string `toml:"ca_file"`
	CertFile string `toml:"cert_file"`
	KeyFile  string `toml:"key_file"`
	// ServerName is the name in the broker's certificate; empty: the host of
	// Broker.
	ServerName string `toml:"server_name"`
	// KeepAlive is the longest silence on a connection. Each connection draws
	// its own, up to a fifth longer.
	KeepAlive time.Duration `toml:"keepalive"`
	// Acknowledgement is AckApplication or AckBroker.
	Acknowledgement string `toml:"acknowledgement"`
	// Metered says whether the connection is paid for by what it carries: then
	// only events are sent, and windows wait. It is MeteredAuto, MeteredAlways or
	// MeteredNever.
	Metered string `toml:"metered"`
	// Bandwidth caps, in bytes per second, all that is published; one message of
	// the longest may go ahead of its time.
	Bandwidth int `toml:"bandwidth"`
	// BacklogRate, reports per second, and BacklogBytes, bytes per second, cap
	// what is sent of the backlog. Fresh reports are capped by Bandwidth alone.
	BacklogRate  float64 `toml:"backlog_rate"`
	BacklogBytes int     `toml:"backlog_bytes"`
	// Window is the most reports in flight at once, 1 to 16.
	Window int `toml:"window"`
	// ConnectTimeout bounds each step of a connection: to the broker, and the
	// answer to MQTT's CONNECT.
	ConnectTimeout time.Duration `toml:"connect_timeout"`
	// WriteTimeout bounds each write to the connection.
	WriteTimeout time.Duration `toml:"write_timeout"`
	// PubackTimeout is how long the broker may take to answer a report before
	// the connection is given up.
	PubackTimeout time.Duration `toml:"puback_timeout"`
	// BackoffMax caps the wait between two attempts to connect.
	BackoffMax time.Duration `toml:"backoff_max"`
	// PowerReturnWait is W: the first connection after the box started comes
	// after a wait between 0 and W.
	PowerReturnWait time.Duration `toml:"power_return_wait"`
	// ResendAfter is when a report that the broker accepted and the CEM did not
	// acknowledge is sent again on the same connection; it doubles from round to
	// round.
	ResendAfter time.Duration `toml:"resend_after"`
	// NotStoredAfter is how long such a report may wait before the health state
	// not_stored says so.
	NotStoredAfter time.Duration `toml:"not_stored_after"`
}

// DefaultConfig is right for a gateway; Broker and the three files are not
// set.
func DefaultConfig() Config {
	return Config{
		KeepAlive:       5 * time.Minute,
		Acknowledgement: AckApplication,
		Metered:         MeteredAuto,
		Bandwidth:       16000,
		BacklogRate:     1,
		BacklogBytes:    8000,
		Window:          4,
		ConnectTimeout:  20 * time.Second,
		WriteTimeout:    10 * time.Second,
		PubackTimeout:   time.Minute,
		BackoffMax:      15 * time.Minute,
		PowerReturnWait: 10 * time.Minute,
		ResendAfter:     30 * time.Minute,
		NotStoredAfter:  15 * time.Minute,
	}
}

// Validate reports every problem, each with its key's name.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	u, err := parseBroker(c.Broker)
	if err != nil {
		bad("broker: %w", err)
	}
	if err != nil || u.Scheme == "tls" {
		for _, f := range []struct{ key, value string }{
			{"ca_file", c.CAFile}, {"cert_file", c.CertFile}, {"key_file", c.KeyFile},
		} {
			if f.value == "" {
				bad("%s: must not be empty", f.key)
			}
		}
	}
	if c.Acknowledgement != AckApplication && c.Acknowledgement != AckBroker {
		bad("acknowledgement: %q is neither %q nor %q", c.Acknowledgement, AckApplication, AckBroker)
	}
	if c.Metered != MeteredAuto && c.Metered != MeteredAlways && c.Metered != MeteredNever {
		bad("metered: %q is none of %q, %q and %q", c.Metered, MeteredAuto, MeteredAlways, MeteredNever)
	}
	if c.Bandwidth < 100 || c.Bandwidth > 100e6 {
		bad("bandwidth: %d is not between 100 and 100000000 bytes per second", c.Bandwidth)
	}
	if !(c.BacklogRate >= 0.001 && c.BacklogRate <= 1000) { // so that NaN is refused too
		bad("backlog_rate: %v is not between 0.001 and 1000 reports per second", c.BacklogRate)
	}
	if c.BacklogBytes < 100 || c.BacklogBytes > 100e6 {
		bad("backlog_bytes: %d is not between 100 and 100000000 bytes per second", c.BacklogBytes)
	}
	if c.Window < 1 || c.Window > 16 {
		bad("window: %d is not between 1 and 16", c.Window)
	}
	for _, d := range []struct {
		key              string
		value, low, high time.Duration
	}{
		// MQTT counts the keepalive in 16 bits of seconds, a fifth more included.
		// At one second NATS, which rounds one and a half of it down, gives the box
		// up before the library has sent its ping.
		{"keepalive", c.KeepAlive, 5 * time.Second, 15 * time.Hour},
		{"connect_timeout", c.ConnectTimeout, 100 * time.Millisecond, 5 * time.Minute},
		{"write_timeout", c.WriteTimeout, 100 * time.Millisecond, 5 * time.Minute},
		// Below goodLink, so that a broker that never answers is never a good link.
		{"puback_timeout", c.PubackTimeout, 100 * time.Millisecond, 4 * time.Minute},
		{"backoff_max", c.BackoffMax, time.Second, 24 * time.Hour},
		{"power_return_wait", c.PowerReturnWait, 0, 24 * time.Hour},
		{"resend_after", c.ResendAfter, time.Second, 7 * 24 * time.Hour},
		{"not_stored_after", c.NotStoredAfter, time.Second, 7 * 24 * time.Hour},
	} {
		if d.value < d.low || d.value > d.high {
			bad("%s: %v is not between %v and %v", d.key, d.value, d.low, d.high)
		}
	}
	return errors.Join(errs...)
}

// parseBroker reads the address of a broker.
func parseBroker(s string) (*url.URL, error) {
	if s == "" {
		return nil, errors.New("must not be empty")
	}
	u, err := url.Parse(s)
	if err != nil {
		// *url.Error repeats the text, which may hold a password.
		return nil, errors.New("not an address like tls://host:port")
	}
	if u.Scheme != "tls" && u.Scheme != "tcp" {
		return nil, fmt.Errorf("scheme %q is neither tls nor tcp", u.Scheme)
	}
	if u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("more than scheme, host and port")
	}
	if _, err := net.LookupPort("tcp", u.Port()); u.Hostname() == "" || u.Port() == "" || err != nil {
		return nil, errors.New("host or port missing: write tls://host:port")
	}
	return u, nil
}
