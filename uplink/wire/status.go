package wire

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"livebox-agent/collector/catalogue"
)

var errMetric = errors.New("number of a metric out of range")

// A CapabilityState says what one source of the box gives.
type CapabilityState uint8

// The states of a source. The numbers travel on the wire.
const (
	// Working: it gives readings.
	Working CapabilityState = iota + 1
	// NotPresent: the box does not have it.
	NotPresent
	// Refused: the box does not let the agent read it.
	Refused
	// Failing: it fails, for the reason given.
	Failing
	// NotGranted: the customer has not granted its purpose.
	NotGranted
)

// String returns the state in lower case.
func (s CapabilityState) String() string {
	switch s {
	case Working:
		return "working"
	case NotPresent:
		return "absent"
	case Refused:
		return "refused"
	case Failing:
		return "failing"
	case NotGranted:
		return "not_granted"
	}
	return "state(" + strconv.Itoa(int(s)) + ")"
}

// A Capability is what one source of the box gives.
type Capability struct {
	Source string
	State  CapabilityState
	Reason string
	// Metrics are those that it has given in this run.
	Metrics []catalogue.ID
}

// A Health is a state of the agent that is not as it should be.
type Health struct {
	// Code is stable and in lower case: the Health constants.
	Code   string
	Since  time.Duration // since the kernel booted
	Detail string
}

// The codes of Health. SPEC.md says what each means.
const (
	HealthNotStored        = "not_stored"
	HealthStoreUnavailable = "store_unavailable"
	HealthStoreReset       = "store_reset"
	HealthClockUnknown     = "clock_unknown"
	HealthUplinkDown       = "uplink_down"
	HealthTLSDateUnchecked = "tls_date_unchecked"
	HealthReportRefused    = "report_refused"
	HealthAckRefused       = "ack_refused"
	HealthNotEncrypted     = "not_encrypted"
	HealthConfiguration    = "configuration_unknown_keys"
	HealthSignsLost        = "signs_lost"
	HealthStateNotKept     = "state_not_kept"
	HealthMetered          = "metered"
)

// Counters count since the run began; the last two are levels.
type Counters struct {
	Readings, Reports, Published, Acknowledged, Lost, FlashBytes uint64
	BufferedRAMBytes, BufferedFlashBytes                         uint64
}

// A Status is what a box says of itself, retained under its status topic. The
// last will has Box and Run alone.
type Status struct {
	Box       string
	Online    bool
	Run       Run
	Version   string
	Consent   Consent
	Catalogue uint32
	// Configuration is the first four bytes, big endian, of the SHA-256 of the
	// configuration in force.
	Configuration uint32
	Capabilities  []Capability
	Health        []Health
	Losses        []Loss
	Counters      Counters
	Clock         Clock
	// CleanStop: the agent was asked to end and everything is stored.
	CleanStop bool
}

// AppendStatus appends a Status message.
func AppendStatus(dst []byte, s Status) []byte {
	dst = appendString(dst, 1, s.Box)
	dst = appendBool(dst, 2, s.Online)
	dst = appendRun(dst, 3, s.Run)
	dst = appendString(dst, 4, s.Version)
	dst = appendConsent(dst, 5, s.Consent)
	dst = appendFixed32(dst, 6, s.Catalogue)
	dst = appendFixed32(dst, 7, s.Configuration)
	for _, c := range s.Capabilities {
		dst = appendCapability(dst, c)
	}
	for _, h := range s.Health {
		var at int
		dst, at = openMessage(dst, 9)
		dst = appendString(dst, 1, h.Code)
		dst = appendMillis(dst, 2, h.Since)
		dst = appendString(dst, 3, h.Detail)
		dst = closeMessage(dst, at)
	}
	for _, l := range s.Losses {
		dst = appendLoss(dst, 10, l)
	}
	dst, at := openMessage(dst, 11)
	for i, p := range s.Counters.fields() {
		dst = appendUint(dst, protowire.Number(i+1), *p)
	}
	dst = closeMessage(dst, at)
	dst = appendClock(dst, 12, 15, s.Clock)
	return appendBool(dst, 14, s.CleanStop)
}

// fields lists the counters in the order of their field numbers.
func (c *Counters) fields() [8]*uint64 {
	return [8]*uint64{
		&c.Readings, &c.Reports, &c.Published, &c.Acknowledged, &c.Lost,
		&c.FlashBytes, &c.BufferedRAMBytes, &c.BufferedFlashBytes,
	}
}

func appendCapability(dst []byte, c Capability) []byte {
	dst, at := openMessage(dst, 8)
	dst = appendString(dst, 1, c.Source)
	dst = appendUint(dst, 2, uint64(c.State))
	dst = appendString(dst, 3, c.Reason)
	if len(c.Metrics) > 0 {
		var packed int
		dst, packed = openMessage(dst, 4)
		for _, m := range c.Metrics {
			dst = protowire.AppendVarint(dst, uint64(m))
		}
		dst = closeMessage(dst, packed)
	}
	return closeMessage(dst, at)
}

// ParseStatus reads a Status.
func ParseStatus(b []byte) (Status, error) {
	var s Status
	var wall int64
	err := eachField(b, func(f field) error {
		var err error
		switch f.key {
		case key(1, protowire.BytesType):
			s.Box, err = f.text()
		case key(2, protowire.VarintType):
			s.Online = f.value != 0
		case key(3, protowire.BytesType):
			err = parseRun(&s.Run, f.bytes)
		case key(4, protowire.BytesType):
			s.Version, err = f.text()
		case key(5, protowire.BytesType):
			err = parseConsent(&s.Consent, f.bytes)
		case key(6, protowire.Fixed32Type):
			s.Catalogue = uint32(f.value)
		case key(7, protowire.Fixed32Type):
			s.Configuration = uint32(f.value)
		case key(8, protowire.BytesType):
			var c Capability
			c, err = parseCapability(f.bytes)
			s.Capabilities = append(s.Capabilities, c)
		case key(9, protowire.BytesType):
			var h Health
			h, err = parseHealth(f.bytes)
			s.Health = append(s.Health, h)
		case key(10, protowire.BytesType):
			var l Loss
			l, err = parseLoss(f.bytes)
			s.Losses = append(s.Losses, l)
		case key(11, protowire.BytesType):
			err = parseCounters(&s.Counters, f.bytes)
		case key(12, protowire.VarintType):
			wall = int64(f.value)
		case key(13, protowire.VarintType):
			s.Clock.Quality = ClockQuality(f.enum())
		case key(14, protowire.VarintType):
			s.CleanStop = f.value != 0
		case key(15, protowire.VarintType):
			s.Clock.From, err = f.millis()
		case key(16, protowire.VarintType):
			s.Clock.To, err = f.millis()
		}
		return err
	})
	if err != nil {
		return Status{}, fmt.Errorf("parse status: %w", err)
	}
	s.Clock.setWall(wall)
	return s, nil
}

func parseCounters(c *Counters, b []byte) error {
	fields := c.fields()
	return eachField(b, func(f field) error {
		if num, t := protowire.DecodeTag(f.key); t == protowire.VarintType && int(num) <= len(fields) {
			*fields[num-1] = f.value
		}
		return nil
	})
}

func parseHealth(b []byte) (Health, error) {
	var h Health
	err := eachField(b, func(f field) error {
		var err error
		switch f.key {
		case key(1, protowire.BytesType):
			h.Code, err = f.text()
		case key(2, protowire.VarintType):
			h.Since, err = f.millis()
		case key(3, protowire.BytesType):
			h.Detail, err = f.text()
		}
		return err
	})
	return h, err
}

func parseCapability(b []byte) (Capability, error) {
	var c Capability
	add := func(v uint64) error {
		if v > math.MaxUint16 {
			return errMetric
		}
		c.Metrics = append(c.Metrics, catalogue.ID(v))
		return nil
	}
	err := eachField(b, func(f field) error {
		var err error
		switch f.key {
		case key(1, protowire.BytesType):
			c.Source, err = f.text()
		case key(2, protowire.VarintType):
			c.State = CapabilityState(f.enum())
		case key(3, protowire.BytesType):
			c.Reason, err = f.text()
		case key(4, protowire.VarintType):
			err = add(f.value)
		case key(4, protowire.BytesType):
			for b := f.bytes; len(b) > 0 && err == nil; {
				v, n := protowire.ConsumeVarint(b)
				if n < 0 {
					return protowire.ParseError(n)
				}
				b = b[n:]
				err = add(v)
			}
		}
		return err
	})
	return c, err
}
