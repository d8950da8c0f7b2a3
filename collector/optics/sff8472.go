package optics

import (
	"context"
	"encoding/binary"
	"math"

	"livebox-agent/collector/catalogue"
)

// Bits of byte 92 of the base memory, the kind of diagnostics, and of byte 93,
// what else is implemented (SFF-8472 §8.8 and §8.9).
const (
	hasDiagnostics = 1 << 6
	external       = 1 << 4
	changeAddress  = 1 << 2

	hasTransmitFault = 1 << 5
	hasLossOfSignal  = 1 << 4
)

// Bits of byte 110 of the diagnostics.
const (
	transmitFault = 1 << 2
	lossOfSignal  = 1 << 1
	notReady      = 1 << 0
)

// sff8472 is an SFP module.
type sff8472 struct {
	options  uint8
	checksum uint8
	// calibrated says that the registers are raw and cal makes sense of them.
	calibrated bool
	cal        calibration
	limits     [4]alarm
}

// A calibration turns raw registers into those of a module that calibrates
// itself (SFF-8472 §9.3). Slopes are in 1/256.
type calibration struct {
	bias, power, temperature, voltage line
	rx                                [5]float64 // of the powers of the register, the fourth first
}

type line struct{ slope, offset int64 }

// lookSFF8472 reads what an SFP says of itself. One without diagnostics, or
// whose diagnostics only come after a command on the bus, which the kernel's
// driver does not give either, is errNothing.
func lookSFF8472(ctx context.Context, m memory) (layout, error) {
	id, err := m.read(ctx, span{page{base, 0}, 0, 96})
	if err != nil {
		return nil, err
	}
	if !sum(id[:64]) || !sum(id[64:]) {
		return nil, errDamaged
	}
	kind, options := id[92], id[93]
	if kind&hasDiagnostics == 0 || kind&changeAddress != 0 {
		return nil, errNothing
	}
	a2, err := m.read(ctx, span{page{diagnostics, 0}, 0, 96})
	if err != nil {
		return nil, err
	}
	s := &sff8472{options: options, checksum: a2[95], calibrated: kind&external != 0}
	if s.calibrated {
		s.cal = parseCalibration(a2)
	}
	whole := sum(a2)
	switch {
	case !whole && s.calibrated:
		// Without the right constants nothing that it measures makes sense.
		return nil, errDamaged
	case whole:
		s.limits = [4]alarm{
			newAlarm(catalogue.OpticRxPowerLow, u16(a2, 34), s.rx(u16(a2, 34))),
			newAlarm(catalogue.OpticRxPowerHigh, u16(a2, 32), s.rx(u16(a2, 32))),
			newAlarm(catalogue.OpticTxPowerLow, u16(a2, 26), s.tx(u16(a2, 26))),
			newAlarm(catalogue.OpticTxPowerHigh, u16(a2, 24), s.tx(u16(a2, 24))),
		}
	}
	return s, nil
}

// parseCalibration reads the constants of the diagnostics a2.
func parseCalibration(a2 []byte) calibration {
	at := func(offset int) line { return line{int64(u16(a2, offset)), int64(s16(a2, offset+2))} }
	c := calibration{bias: at(76), power: at(80), temperature: at(84), voltage: at(88)}
	for i := range c.rx {
		c.rx[i] = float64(math.Float32frombits(binary.BigEndian.Uint32(a2[56+4*i:])))
	}
	return c
}

// of returns slope × v + offset, rounded to the nearest.
func (l line) of(v int64) int64 { return (l.slope*v+128)>>8 + l.offset }

// rx and tx return the power of a register in 0.1 µW.
func (s *sff8472) rx(register uint16) float64 {
	if !s.calibrated {
		return float64(register)
	}
	var n float64
	for _, c := range s.cal.rx {
		n = n*float64(register) + c
	}
	return math.Round(n)
}

func (s *sff8472) tx(register uint16) float64 {
	if !s.calibrated {
		return float64(register)
	}
	return float64(s.cal.power.of(int64(register)))
}

// measured is the part of the diagnostics that is read in each round. It
// begins one register before the measurements, with the checksum of all that
// comes before them: that shows when the module has been changed for another.
const measured = 94

func (s *sff8472) spans() []span { return []span{{page{diagnostics, 0}, measured, 112 - measured}} }

func (s *sff8472) measure(p *ports, bytes [][]byte) error {
	b := bytes[0]
	if b[95-measured] != s.checksum {
		return errOther
	}
	m := p.port()
	status := b[110-measured]
	if s.options&hasLossOfSignal != 0 {
		m.flag(catalogue.OpticLossOfSignal, status&lossOfSignal != 0)
	}
	if s.options&hasTransmitFault != 0 {
		m.flag(catalogue.OpticTransmitFault, status&transmitFault != 0)
	}
	m.alarms(&s.limits)
	temperature, voltage := int64(s16(b, 96-measured)), int64(u16(b, 98-measured))
	bias := int64(u16(b, 100-measured))
	if s.calibrated {
		temperature, voltage, bias = s.cal.temperature.of(temperature), s.cal.voltage.of(voltage), s.cal.bias.of(bias)
	}
	if status&notReady != 0 || u16(b, 98-measured) == 0 {
		return nil
	}
	m.temperature256(temperature)
	m.voltage(voltage)
	m.gauge(catalogue.OpticBias, 2*bias, true, 0, maxBias)
	m.light(catalogue.OpticTxPower, s.tx(u16(b, 102-measured)))
	m.light(catalogue.OpticRxPower, s.rx(u16(b, 104-measured)))
	return nil
}
