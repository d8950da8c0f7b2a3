package optics

import (
	"context"
	"encoding/binary"
	"errors"
	"strconv"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

// A page names 128 bytes of a module's memory, of which the lower half of page
// 0 is common to all pages of a bank.
type page struct {
	// address is that of the module on its I2C bus.
	address uint8
	number  uint8
}

// Addresses of modules on their bus (SFF-8472 §4.1): a QSFP and a CMIS module
// has the first only.
const (
	base        = 0x50
	diagnostics = 0x51
)

// A span is a part of a page that is read at once: length bytes from offset
// on, both below or both above 128, as the kernel allows.
type span struct {
	page
	offset, length uint8
}

// A memory reads a module. The bytes are valid until the next call.
type memory interface {
	read(context.Context, span) ([]byte, error)
}

// A layout is what is known of a module after it was looked at once: where its
// measurements are and what they mean.
type layout interface {
	// spans lists what measure needs.
	spans() []span
	// measure adds what the bytes of the spans say; each is as long as its
	// span. It returns errOther where they are those of another module.
	measure(m *ports, bytes [][]byte) error
}

// Errors of modules.
var (
	// errOther says that the module is not the one that was looked at.
	errOther = errors.New("another module")
	// errNothing says that a module measures nothing, or cannot be read.
	errNothing = errors.New("module without measurements")
	// errDamaged says that the memory of a module does not hold together.
	errDamaged = errors.New("memory of a module with a wrong checksum")
)

// Identifiers of modules (SFF-8024 table 4-1).
const (
	soldered    = 0x02
	sfp         = 0x03
	dwdmSFP     = 0x0b
	qsfp        = 0x0c
	qsfpPlus    = 0x0d
	qsfp28      = 0x11
	qsfpDD      = 0x18
	osfp        = 0x19
	dsfp        = 0x1b
	qsfpCMIS    = 0x1e
	sfpDDCMIS   = 0x1f
	sfpPlusCMIS = 0x20
)

// maxLanes is how many lanes of a module are reported.
const maxLanes = 8

// ports names what the readings of one module belong to: the interface, and
// the lanes of one that has several.
type ports struct {
	name  string
	lanes [maxLanes]string
	b     *sample.Batch
}

func newPorts(name string) ports {
	p := ports{name: name}
	for i := range p.lanes {
		p.lanes[i] = name + " lane " + strconv.Itoa(i+1)
	}
	return p
}

func (p *ports) port() module        { return module{p.name, p.b} }
func (p *ports) laneOf(i int) module { return module{p.lanes[i], p.b} }

// look finds out what the module is.
func look(ctx context.Context, m memory) (layout, error) {
	// The flags that a QSFP or a CMIS module clears when they are read belong
	// to its driver, so that the rest of the page is left alone.
	head, err := m.read(ctx, span{page{base, 0}, 0, 3})
	if err != nil {
		return nil, err
	}
	switch id, status := head[0], head[2]; id {
	case soldered, sfp, dwdmSFP:
		return lookSFF8472(ctx, m)
	case qsfp, qsfpPlus, qsfp28:
		return lookSFF8636(ctx, m, status&0x04 != 0)
	case qsfpDD, osfp, dsfp, qsfpCMIS, sfpDDCMIS, sfpPlusCMIS:
		return lookCMIS(ctx, m, status&0x80 != 0)
	}
	return nil, errNothing
}

// sum says whether the last byte of b is the sum of those before it, as the
// checksums of all tables are.
func sum(b []byte) bool {
	var s uint8
	for _, c := range b[:len(b)-1] {
		s += c
	}
	return s == b[len(b)-1]
}

// u16 and s16 return the register at offset.
func u16(b []byte, offset int) uint16 { return binary.BigEndian.Uint16(b[offset:]) }
func s16(b []byte, offset int) int16  { return int16(u16(b, offset)) }

// temperature256 adds a temperature of 1/256 °C.
func (m module) temperature256(v int64) {
	m.gauge(catalogue.OpticTemperature, (v*1000+128)>>8, true, minTemperature, maxTemperature)
}

// voltage adds a supply of 0.1 mV. It is zero where a module has measured
// nothing yet.
func (m module) voltage(v int64) { m.gauge(catalogue.OpticVoltage, v, true, minVoltage, maxVoltage) }

// light adds a power of n × 0.1 µW.
func (m module) light(id catalogue.ID, n float64) {
	v, ok := milliDBm(n)
	m.power(id, v, ok)
}

// alarm is a threshold of n × 0.1 µW; none where the register is at an end of
// its range.
type alarm struct {
	metric catalogue.ID
	v      int64
	ok     bool
}

func newAlarm(id catalogue.ID, register uint16, n float64) alarm {
	v, ok := milliDBm(n)
	return alarm{id, v, ok && register != 0 && register != 1<<16-1}
}

func (m module) alarms(alarms *[4]alarm) {
	for _, a := range alarms {
		m.power(a.metric, a.v, a.ok)
	}
}

// alarmsOf returns the alarms of b, where those of power sent begin at tx and
// those of power received at rx, high before low in all tables.
func alarmsOf(b []byte, rx, tx int) [4]alarm {
	at := func(id catalogue.ID, offset int) alarm {
		return newAlarm(id, u16(b, offset), float64(u16(b, offset)))
	}
	return [4]alarm{
		at(catalogue.OpticRxPowerLow, rx+2), at(catalogue.OpticRxPowerHigh, rx),
		at(catalogue.OpticTxPowerLow, tx+2), at(catalogue.OpticTxPowerHigh, tx),
	}
}
