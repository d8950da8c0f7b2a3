package probe

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// Config says to whom probes are sent, and how many.
type Config struct {
	// Reflector is the host and the port of a STAMP reflector, such as
	// "probe.example.net:862" or "[2001:db8::7]:862". A name is looked up in
	// every round. Empty: nothing is sent at all.
	Reflector string `toml:"reflector"`
	// PacketsPerDay is the most packets sent in any 24 hours. With fewer
	// than the rounds of a day take, give the source "probe" a longer
	// interval, or the day's packets are used up early.
	PacketsPerDay int `toml:"packets_per_day"`
	// PacketsPerRound are sent Spacing apart.
	PacketsPerRound int           `toml:"packets_per_round"`
	Spacing         time.Duration `toml:"spacing"`
	// Wait is how long an answer may take; one that takes longer is lost.
	Wait time.Duration `toml:"wait"`
	// PacketBytes is the length of a packet above UDP and IP: 44, or 48 and
	// more.
	PacketBytes int `toml:"packet_bytes"`
	// DSCP marks the packets for a class of service (RFC 2474), 0 to 63.
	DSCP int `toml:"dscp"`
	// ICMPFallback lets the host be asked by ICMP echo while its reflector
	// does not answer.
	ICMPFallback bool `toml:"icmp_fallback"`
	// BusyDown and BusyUp are the traffic of the line, in kbit/s, above which
	// it is busy and a round is left out.
	BusyDown int `toml:"busy_down"`
	BusyUp   int `toml:"busy_up"`
}

// DefaultConfig sends nothing until a reflector is named, then up to 1.2 MB a
// day each way with the headers of UDP and IP.
func DefaultConfig() Config {
	return Config{
		PacketsPerDay:   15_000,
		PacketsPerRound: 10,
		Spacing:         100 * time.Millisecond,
		Wait:            2 * time.Second,
		PacketBytes:     44,
		ICMPFallback:    true,
		BusyDown:        10_000,
		BusyUp:          1000,
	}
}

const (
	maxPerRound = 100
	// maxRound bounds the time of a round.
	maxRound = 20 * time.Second
	// maxPacket fits the least MTU of IPv6 with its headers.
	maxPacket = 1232
	// maxBusy is 100 Gbit/s: no line of a home is that busy.
	maxBusy = 100_000_000
)

// Validate reports every problem, not only the first.
func (c Config) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	}
	if err := c.checkReflector(); err != nil {
		bad("reflector", "%v", err)
	}
	if c.PacketsPerRound < 1 || c.PacketsPerRound > maxPerRound {
		bad("packets_per_round", "%d is not 1 to %d", c.PacketsPerRound, maxPerRound)
	}
	if c.PacketsPerDay < c.PacketsPerRound || c.PacketsPerDay > 1_000_000 {
		bad("packets_per_day", "%d is not from the packets of one round to 1000000", c.PacketsPerDay)
	}
	if c.Spacing < 10*time.Millisecond {
		bad("spacing", "%v is below 10ms", c.Spacing)
	}
	if c.Wait < 100*time.Millisecond || c.Wait > 10*time.Second {
		bad("wait", "%v is not 100ms to 10s", c.Wait)
	}
	if c.Spacing > maxRound || c.duration() > maxRound {
		bad("spacing", "a round of %d packets takes longer than %v", c.PacketsPerRound, maxRound)
	}
	if c.PacketBytes != 44 && (c.PacketBytes < 48 || c.PacketBytes > maxPacket) {
		bad("packet_bytes", "%d is neither 44 nor 48 to %d", c.PacketBytes, maxPacket)
	}
	if c.DSCP < 0 || c.DSCP > 63 {
		bad("dscp", "%d is not 0 to 63", c.DSCP)
	}
	for _, limit := range []struct {
		key   string
		kbits int
	}{{"busy_down", c.BusyDown}, {"busy_up", c.BusyUp}} {
		if limit.kbits < 1 || limit.kbits > maxBusy {
			bad(limit.key, "%d is not 1 to %d", limit.kbits, maxBusy)
		}
	}
	return errors.Join(errs...)
}

func (c Config) checkReflector() error {
	if c.Reflector == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(c.Reflector)
	if err != nil {
		return errors.New("not host:port")
	}
	if p, err := strconv.ParseUint(port, 10, 16); err != nil || p == 0 {
		return fmt.Errorf("port %q is not 1 to 65535", port)
	}
	if host == "" {
		return errors.New("no host")
	}
	if a, err := netip.ParseAddr(host); err == nil && (a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255})) {
		return fmt.Errorf("%s is no host", host)
	}
	return nil
}

// duration is how long a round takes at most.
func (c Config) duration() time.Duration {
	return time.Duration(c.PacketsPerRound-1)*c.Spacing + c.Wait
}
