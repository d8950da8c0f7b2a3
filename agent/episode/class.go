package episode

import (
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
	"livebox-agent/uplink/wire"
)

// A class says what a sign does. One of no class belongs to an episode that is
// open, and means nothing alone.
type class uint8

const (
	// joins: it is ordinary alone, and opens an episode with another.
	joins class = iota + 1
	// opens: it opens an episode.
	opens
	// alone: it is an event of its own, and of no episode.
	alone
)

var classes = map[sample.SignKind]class{
	sample.BrownOut: opens, sample.OverVoltage: opens, sample.ProtectionTripped: opens,
	sample.LineDown: opens, sample.LineRetrained: opens, sample.LineErrors: opens,

	sample.PortDown: joins, sample.PortSlower: joins, sample.KernelMessage: joins, sample.Stepped: joins,

	sample.PortFlapping: alone, sample.PortSteady: alone, sample.Degraded: alone, sample.Recovered: alone,
	sample.Hot: alone, sample.Cooled: alone, sample.PoorCoverage: alone, sample.GoodCoverage: alone,
	sample.AssociationFailures: alone,
}

// types are the events that signs are alone.
var types = map[sample.SignKind]wire.EventType{
	sample.Stepped: wire.Step, sample.PortFlapping: wire.Flapping, sample.PortSteady: wire.Flapping,
	sample.Degraded: wire.Quality, sample.Recovered: wire.Quality,
	sample.Hot: wire.Thermal, sample.Cooled: wire.Thermal,
	sample.PoorCoverage: wire.Coverage, sample.GoodCoverage: wire.Coverage,
	sample.AssociationFailures: wire.Association,
}

// parts are the parts of a box that evidence is of.
type parts uint8

const (
	ofRails parts = 1 << iota
	ofProtection
	ofLine
	ofPorts
	ofKernel
	ofRestart
)

// part says what a sign is evidence of: nothing for a strike, which was
// elsewhere, and for a level that a surge does not move.
func part(s sample.Sign) parts {
	switch s.Kind {
	case sample.BrownOut, sample.OverVoltage:
		return ofRails
	case sample.ProtectionTripped:
		return ofProtection
	case sample.LineDown, sample.LineRetrained, sample.LineErrors:
		return ofLine
	case sample.PortDown, sample.PortSlower, sample.PortDead:
		return ofPorts
	case sample.Restarted:
		return ofRestart
	case sample.KernelMessage:
		return ofKernel
	case sample.Stepped:
		switch id := s.Metric; {
		case id >= catalogue.LineStatus && id <= catalogue.LinePowerState, id >= catalogue.OpticRxPower && id <= catalogue.OpticTransmitFault:
			return ofLine
		case id == catalogue.SensorVoltage:
			return ofRails
		}
	}
	return 0
}
