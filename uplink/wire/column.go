package wire

import (
	"math/bits"
	"slices"

	"livebox-agent/collector/catalogue"
)

// One column of a body: which it is, which rows have a reading, how it is
// coded, the readings.

// A plan is how a column is coded.
type plan struct {
	counter bool
	step    int64
	mode    mode
	// first is the first reading: exact of a counter, else in steps.
	first int64
	// rest is what the last reading of a counter is above its step.
	rest int64
}

// column codes one column.
func (e *Encoder) column(col Column, rows int, lossless bool) {
	c := &e.codec
	e.identify(col.Metric, col.Instance)
	readings := c.presence(rows, col.Values)
	if readings == 0 {
		return
	}
	p := e.plan(col, readings, lossless)
	m := &c.memo[byte(col.Metric)]
	c.kind(m, &p)
	c.opening(m, &p)
	if readings == 1 {
		return
	}
	c.body(m, &p, c.series)
	c.ending(&p)
}

// column decodes one column.
func (c *codec) column(rows int) Column {
	col := Column{}
	col.Metric, col.Instance = c.identity()
	readings := c.presence(rows, nil)
	if c.broken {
		return col
	}
	if rows > 0 {
		col.Values = make([]int64, rows)
	}
	for i := range col.Values {
		col.Values[i] = Absent
	}
	if readings == 0 {
		return col
	}
	m := &c.memo[byte(col.Metric)]
	var p plan
	c.kind(m, &p)
	c.opening(m, &p)
	c.series = slices.Grow(c.series[:0], readings)[:readings]
	series := c.series
	series[0] = p.first
	if p.counter {
		series[0] = 0
	}
	if readings > 1 {
		c.body(m, &p, series)
		c.ending(&p)
	}
	i, total := 0, int64(0)
	for row, present := range c.left {
		if !present {
			continue
		}
		if p.counter {
			total += series[i]
			col.Values[row] = p.first + total*p.step
			if i++; i == readings {
				col.Values[row] += p.rest
			}
		} else {
			col.Values[row] = series[i] * p.step
			i++
		}
	}
	return col
}

// identify codes which column comes next.
func (e *Encoder) identify(id catalogue.ID, instance string) {
	c := &e.codec
	instance = instance[:min(len(instance), MaxInstance)]
	same := instance == c.instances[c.last.instance]
	if !c.bit(&c.sameInstance, same) {
		at, known := e.index[instance]
		if !c.bit(&c.newInstance, !known) {
			c.otherInstance(at)
		} else {
			e.index[instance] = len(c.instances)
			c.nameInstance(instance)
		}
	}
	c.nextMetric(same, id)
}

// identity decodes which column comes next.
func (c *codec) identity() (catalogue.ID, string) {
	same := c.bit(&c.sameInstance, false)
	if !same {
		if !c.bit(&c.newInstance, false) {
			c.otherInstance(0)
		} else {
			c.nameInstance("")
		}
	}
	if c.broken {
		return 0, ""
	}
	return c.nextMetric(same, 0), c.instances[c.last.instance]
}

// otherInstance codes the place of an instance, counted on from the one before.
func (c *codec) otherInstance(at int) {
	n := len(c.instances)
	away := c.unsigned(&c.away, uint64((at-c.last.instance-1+2*n)%n))
	if away >= uint64(n) {
		c.broken = true
		return
	}
	c.last.instance = (c.last.instance + 1 + int(away)) % n
}

// alphabet is that of base64url and of most names of interfaces.
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// letter returns the place of b in the alphabet, or -1.
func letter(b byte) int {
	switch {
	case b >= 'A' && b <= 'Z':
		return int(b - 'A')
	case b >= 'a' && b <= 'z':
		return int(b-'a') + 26
	case b >= '0' && b <= '9':
		return int(b-'0') + 52
	case b == '-':
		return 62
	case b == '_':
		return 63
	}
	return -1
}

// nameInstance codes an instance that is new in the body: how many bytes it
// shares with the newest one before, and the rest.
func (c *codec) nameInstance(name string) {
	shared := 0
	for shared < min(len(name), len(c.last.name)) && name[shared] == c.last.name[shared] {
		shared++
	}
	if shared == 1 {
		shared = 0 // it costs more to say so than to repeat the byte
	}
	shared64 := c.unsigned(&c.prefix, uint64(shared))
	rest64 := c.unsigned(&c.suffix, uint64(len(name)-shared))
	if shared64 > uint64(len(c.last.name)) || rest64 > MaxInstance-shared64 {
		c.broken = true
		return
	}
	plainText := true
	for i := shared; i < len(name); i++ {
		plainText = plainText && letter(name[i]) >= 0
	}
	width := 8
	if plainText = c.bit(&c.plain, plainText); plainText {
		width = 6
	}
	var decoded []byte
	if c.decoding {
		decoded = append(decoded, c.last.name[:shared64]...)
	}
	for i := range int(rest64) {
		v := 0
		if !c.decoding {
			if v = int(name[shared+i]); plainText {
				v = letter(byte(v))
			}
		}
		if v = int(c.raw(uint64(v), width)); !c.decoding {
			continue
		}
		if plainText {
			v = int(alphabet[v])
		}
		decoded = append(decoded, byte(v))
	}
	if c.decoding {
		name = string(decoded)
	}
	c.last.instance = len(c.instances)
	c.last.name = name
	c.instances = append(c.instances, name)
}

// nextMetric codes the metric of a column: most often the one that followed the
// one before the last time.
func (c *codec) nextMetric(same bool, id catalogue.ID) catalogue.ID {
	way := 0
	if same {
		way = 1
	}
	follows := &c.follows[way][byte(c.last.metric)]
	if c.bit(&c.successor[way], *follows == id) {
		id = *follows
	} else {
		v := int64(c.last.metric) + c.signed(&c.metric, int64(id)-int64(c.last.metric))
		if v < 0 || v > 1<<16-1 {
			c.broken = true
			return 0
		}
		id = catalogue.ID(v)
	}
	*follows, c.last.metric = id, id
	return id
}

// presence codes which rows have a reading, into left, and returns how many.
func (c *codec) presence(rows int, values []int64) int {
	n := 0
	for i, v := range values {
		if i < rows && v != Absent {
			n++
		}
	}
	if c.bit(&c.full, n == rows) {
		for i := range c.left {
			c.left[i] = true
		}
		return rows
	}
	n = 0
	before := true
	for i, left := range c.left {
		present := i < len(values) && values[i] != Absent
		context := 0
		if before {
			context = 2
		}
		if left {
			context++
		}
		before = c.bit(&c.present[context], present)
		if before {
			n++
		}
		c.left[i] = before
	}
	return n
}

// kind codes whether the column is a counter and its step.
func (c *codec) kind(m *memo, p *plan) {
	if m.known && c.bit(&c.sameKind, m.counter == p.counter && m.step == p.step) {
		p.counter, p.step = m.counter, m.step
		return
	}
	p.counter = c.bit(&c.isCounter, p.counter)
	n := c.unsigned(&c.step, roundStep(p.step))
	switch {
	case n == 0:
		p.step = int64(c.unsigned(&c.otherStep, uint64(p.step)))
		c.broken = c.broken || p.step < 1
	case n > maxRound:
		c.broken = true
	default:
		p.step = [...]int64{1, 2, 4, 5}[(n-1)%4]
		for range (n - 1) / 4 {
			p.step *= 10
		}
	}
	*m = memo{known: true, counter: p.counter, step: p.step, palette: m.palette}
}

// maxRound is the number of the largest round step, 5 × 10^17.
const maxRound = 72

// roundStep numbers the round steps, 1, 2, 4 and 5 times a power of ten, from 1
// on; 0 stands for any other.
func roundStep(step int64) uint64 {
	n := uint64(1)
	for ; step >= 10 && step%10 == 0; step /= 10 {
		n += 4
	}
	switch step {
	case 1:
		return n
	case 2:
		return n + 1
	case 4:
		return n + 2
	case 5:
		return n + 3
	}
	return 0
}

// opening codes the first reading: a counter's by itself, a gauge's by what it
// differs from that of the last column of the metric.
func (c *codec) opening(m *memo, p *plan) {
	if p.counter {
		p.first = c.signed(&c.total, p.first)
		return
	}
	model := &c.level
	if m.opened {
		model = &c.change
	}
	p.first = m.level + c.signed(model, p.first-m.level)
	m.level, m.opened = p.first, true
}

// body codes the readings after the first: of a counter its increments, in
// steps, of a gauge its readings, in steps. The first element of series is not
// coded: 0 of a counter, else the first reading.
func (c *codec) body(m *memo, p *plan, series []int64) {
	if m.moded && c.bit(&c.sameMode, m.mode == p.mode) {
		p.mode = m.mode
	} else {
		tree := &c.modes[0]
		if p.counter {
			tree = &c.modes[1]
		}
		p.mode = mode(c.tree(tree[:], int(p.mode), 3))
	}
	s := spread{}
	if m.moded && m.mode == p.mode {
		s = spread{fast: m.fast, slow: m.slow, count: 1}
	}
	m.moded, m.mode = true, p.mode
	switch p.mode {
	case constant:
		for i := range series {
			series[i] = series[0]
		}
		return
	case fromPalette:
		c.paletted(m, &s, series)
	case overTime:
		c.broken = true
	default:
		x := past{}
		if !p.counter {
			x.add(series[0])
		}
		for i := 1; i < len(series); i++ {
			expected := x.predict(p.mode)
			series[i] = expected + c.residual(&s, p.mode, series[i]-expected)
			x.add(series[i])
		}
	}
	m.fast, m.slow = s.fast, s.slow
}

// paletted codes series by the metric's palette.
func (c *codec) paletted(m *memo, s *spread, series []int64) {
	if m.palette == 0 {
		c.palettes = append(c.palettes, palette{})
		m.palette = len(c.palettes)
	}
	p := &c.palettes[m.palette-1]
	at, known := p.find(series[0])
	if !known {
		p.insert(at, series[0])
	}
	for i := 1; i < len(series); i++ {
		next, known := p.find(series[i])
		if c.bit(&c.inPalette, known) {
			next = at + int(c.residual(s, fromPalette, int64(next-at)))
			if next < 0 || next >= p.n {
				c.broken = true
				return
			}
			series[i] = p.values[next]
		} else {
			series[i] = series[i-1] + c.signed(&c.newcomer, series[i]-series[i-1])
			next, known = p.find(series[i])
			if !known {
				p.insert(next, series[i])
			}
		}
		at = next
	}
}

// ending codes what the last reading of a counter is above its step.
func (c *codec) ending(p *plan) {
	if p.counter && p.step > 1 && !c.bit(&c.exact, p.rest == 0) {
		p.rest = int64(c.raw(uint64(p.rest), bits.Len64(uint64(p.step-1))))
	}
}
