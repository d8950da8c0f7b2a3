package optics

import (
	"context"

	"livebox-agent/collector/catalogue"
)

// sff8636 is a QSFP module: four lanes, whose registers are in the lower page.
type sff8636 struct {
	transmits bool // it measures the power sent
	limits    [4]alarm
}

// lookSFF8636 reads what a QSFP says of itself. flat says that it has only one
// upper page, so no thresholds.
func lookSFF8636(ctx context.Context, m memory, flat bool) (layout, error) {
	id, err := m.read(ctx, span{page{base, 0}, 128, 128})
	if err != nil {
		return nil, err
	}
	if !sum(id[:64]) || !sum(id[64:96]) {
		return nil, errDamaged
	}
	if id[147-128]>>4 >= 0x0a {
		return nil, errNothing // a copper cable
	}
	s := &sff8636{transmits: id[220-128]&0x04 != 0}
	if flat {
		return s, nil
	}
	limits, err := m.read(ctx, span{page{base, 3}, 128, 128})
	if err == nil {
		s.limits = alarmsOf(limits, 176-128, 192-128)
	}
	return s, nil
}

// lower is the part of the lower page that is read in each round: behind the
// flags, of which reading clears those of its driver.
const lower = 22

func (s *sff8636) spans() []span { return []span{{page{base, 0}, lower, 58 - lower}} }

func (s *sff8636) measure(p *ports, bytes [][]byte) error {
	b := bytes[0]
	m := p.port()
	m.alarms(&s.limits)
	if u16(b, 26-lower) == 0 {
		return nil
	}
	m.temperature256(int64(s16(b, 22-lower)))
	m.voltage(int64(u16(b, 26-lower)))
	for i := range 4 {
		l := lane{rx: u16(b, 34-lower+2*i), bias: 2 * int64(u16(b, 42-lower+2*i))}
		if s.transmits {
			l.tx = u16(b, 50-lower+2*i)
		}
		p.lane(i, l)
	}
	return nil
}

// A lane is what one of several lasers and receivers measures.
type lane struct {
	rx, tx uint16 // 0.1 µW; 0 is no light, or not measured
	bias   int64  // µA; -1 is not measured
}

// lane adds a lane of a module that has several. One without light or
// current is not in use.
func (p *ports) lane(i int, l lane) {
	if l.rx == 0 && l.tx == 0 && l.bias <= 0 {
		return
	}
	m := p.laneOf(i)
	m.gauge(catalogue.OpticBias, l.bias, true, 0, maxBias)
	m.light(catalogue.OpticTxPower, float64(l.tx))
	m.light(catalogue.OpticRxPower, float64(l.rx))
}

// cmis is a module of the Common Management Interface Specification, of eight
// lanes at most (the first bank).
type cmis struct {
	flat   bool
	lanes  uint8 // bits of byte 160 of page 1: which lane monitors there are
	scale  int64 // of the bias
	limits [4]alarm
}

// Bits of byte 160 of page 1 (CMIS §8.4.9).
const (
	monitorsBias = 1 << 0
	monitorsTx   = 1 << 1
	monitorsRx   = 1 << 2
)

// lookCMIS reads what a module says of itself. flat says that it has only one
// upper page: it has temperature and supply, no lanes and no thresholds.
func lookCMIS(ctx context.Context, m memory, flat bool) (layout, error) {
	id, err := m.read(ctx, span{page{base, 0}, 128, 95})
	if err != nil {
		return nil, err
	}
	if !sum(id) {
		return nil, errDamaged
	}
	if medium := id[212-128]; medium >= 0x0a && medium <= 0x0f {
		return nil, errNothing // a copper cable
	}
	c := &cmis{flat: flat}
	if flat {
		return c, nil
	}
	advertised, err := m.read(ctx, span{page{base, 1}, 128, 128})
	if err != nil {
		return nil, err
	}
	if !sum(advertised[2:]) {
		return nil, errDamaged
	}
	c.lanes = advertised[160-128]
	c.scale = 1 << (c.lanes >> 3 & 3)
	if c.scale > 4 { // reserved
		c.lanes &^= monitorsBias
	}
	limits, err := m.read(ctx, span{page{base, 2}, 128, 128})
	if err == nil && sum(limits) {
		c.limits = alarmsOf(limits, 192-128, 176-128)
	}
	return c, nil
}

func (c *cmis) spans() []span {
	spans := []span{{page{base, 0}, 14, 4}}
	if !c.flat && c.lanes&(monitorsBias|monitorsTx|monitorsRx) != 0 {
		// Behind the flags of page 11h, which reading clears.
		spans = append(spans, span{page{base, 0x11}, 154, 48})
	}
	return spans
}

func (c *cmis) measure(p *ports, bytes [][]byte) error {
	b := bytes[0]
	m := p.port()
	m.alarms(&c.limits)
	if u16(b, 2) == 0 {
		return nil
	}
	m.temperature256(int64(s16(b, 0)))
	m.voltage(int64(u16(b, 2)))
	if len(bytes) < 2 {
		return nil
	}
	b = bytes[1]
	for i := range maxLanes {
		l := lane{bias: -1}
		if c.lanes&monitorsTx != 0 {
			l.tx = u16(b, 2*i)
		}
		if c.lanes&monitorsBias != 0 {
			l.bias = 2 * c.scale * int64(u16(b, 16+2*i))
		}
		if c.lanes&monitorsRx != 0 {
			l.rx = u16(b, 32+2*i)
		}
		p.lane(i, l)
	}
	return nil
}
