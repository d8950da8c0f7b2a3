package sample

import (
	"strconv"
	"time"

	"livebox-agent/collector/catalogue"
)

// A Sign is one thing that happened, at an instant, as told by the box or found
// in its readings: a piece of evidence, not a verdict.
type Sign struct {
	// At is when it happened, as time since the kernel booted (CLOCK_BOOTTIME).
	At   time.Duration
	Kind SignKind
	// Instance says what it happened to: a port, a line, a sensor, a class of
	// kernel messages. As of a Reading, it holds no address of a device.
	Instance string
	// Metric says what Before and After are values of; 0: they have no meaning.
	Metric        catalogue.ID
	Before, After int64
}

// Purpose is what the customer must have granted for the sign to be kept: that
// of its metric, Essential where it has none.
func (s Sign) Purpose() catalogue.Purpose {
	if m, ok := catalogue.Lookup(s.Metric); ok {
		return m.Purpose
	}
	return catalogue.Essential
}

// A SignKind says what kind of thing happened. The numbers travel on the wire
// and are never reused.
type SignKind uint16

// The kinds of sign.
const (
	// PortDown and PortUp: a port lost its link, or has one again.
	PortDown SignKind = 1
	PortUp   SignKind = 2
	// PortSlower: the link came back slower (PortBitRate).
	PortSlower SignKind = 3
	// PortFlapping and PortSteady: links come and go more often than anyone
	// plugs cables; it is over. In between, PortDown and PortUp are not told.
	PortFlapping SignKind = 4
	PortSteady   SignKind = 5
	// PortDead: the link did not come back while the evidence was gathered.
	PortDead SignKind = 6

	// LineDown and LineUp: a copper line left showtime, an optical unit its
	// operating state (LineStatus, OpticState), or has it again.
	LineDown SignKind = 8
	LineUp   SignKind = 9
	// LineRetrained: a copper line trained anew since the reading before
	// (LineRetrains).
	LineRetrained SignKind = 10
	// LineErrors: a burst of severely errored seconds or losses of signal
	// (LineDownSES, LineDownLOS, …).
	LineErrors SignKind = 11

	// Stepped: a level has moved and stayed (margin, attenuation, optical
	// power, noise, temperature, …).
	Stepped SignKind = 16
	// Degraded and Recovered: latency or loss became worse than what is usual
	// on this line (ProbeRTT, …), or is as usual again.
	Degraded  SignKind = 17
	Recovered SignKind = 18
	// Level is what a level was before an episode and is at its end, changed or
	// not: that a line is unharmed is evidence too.
	Level SignKind = 19

	// BrownOut and OverVoltage: a supply rail left its band, by its own alarm
	// or by its readings.
	BrownOut    SignKind = 24
	OverVoltage SignKind = 25
	// RailNormal: the rail is back in its band.
	RailNormal SignKind = 26
	// Hot and Cooled: a temperature is beyond its limit, or below it again.
	Hot    SignKind = 27
	Cooled SignKind = 28
	// Strike: the lightning sensor heard one (LightningDistance).
	Strike SignKind = 29
	// ProtectionTripped: a surge protection device says that it has worked.
	ProtectionTripped SignKind = 30

	// KernelMessage: the kernel said something of interest; the instance is the
	// class. KernelMessagesLost: it said more than could be read (how many).
	KernelMessage      SignKind = 32
	KernelMessagesLost SignKind = 33
	// SignsLost: a watcher, the instance, told more than could be taken (how
	// many).
	SignsLost SignKind = 34

	// Restarted: the kernel booted without a clean end of the agent before.
	Restarted SignKind = 40
	// ResetCause: why the box says it restarted (RestartReason); the instance
	// is who says so.
	ResetCause SignKind = 41
	// CrashRecord: the kernel left a record of a crash.
	CrashRecord SignKind = 42

	// PoorCoverage and GoodCoverage: a station with traffic stays below what
	// Wi-Fi needs (StationSignal), or no longer does.
	PoorCoverage SignKind = 48
	GoodCoverage SignKind = 49
	// AssociationFailures: devices tried to join a network and failed, several
	// times in a row (RadioAssociationFailures).
	AssociationFailures SignKind = 50
)

// signNames has the kinds in lower case, as SPEC.md lists them.
var signNames = map[SignKind]string{
	PortDown: "port_down", PortUp: "port_up", PortSlower: "port_slower", PortFlapping: "port_flapping",
	PortSteady: "port_steady", PortDead: "port_dead",
	LineDown: "line_down", LineUp: "line_up", LineRetrained: "line_retrained", LineErrors: "line_errors",
	Stepped: "stepped", Degraded: "degraded", Recovered: "recovered", Level: "level",
	BrownOut: "brown_out", OverVoltage: "over_voltage", RailNormal: "rail_normal", Hot: "hot", Cooled: "cooled",
	Strike: "strike", ProtectionTripped: "protection_tripped",
	KernelMessage: "kernel_message", KernelMessagesLost: "kernel_messages_lost",
	SignsLost: "signs_lost",
	Restarted: "restarted", ResetCause: "reset_cause", CrashRecord: "crash_record",
	PoorCoverage: "poor_coverage", GoodCoverage: "good_coverage", AssociationFailures: "association_failures",
}

// String returns the kind in lower case.
func (k SignKind) String() string {
	if s, ok := signNames[k]; ok {
		return s
	}
	return "sign(" + strconv.Itoa(int(k)) + ")"
}
