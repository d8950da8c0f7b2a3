package box

import (
	"math"
	"time"
)

// dsl is a copper line. Values are in dB and kbit/s.
type dsl struct {
	down, up direction
	// noise is what has been added to the line, in dB.
	noise float64
	// showtimeAt is when the modem is, or was, in step; since is when the
	// state changed last.
	showtimeAt, since time.Duration
	retrains          int
	lossOfFraming     float64
	// total and the others are the windows of getDSLLineStats.
	total, showtimeStats, lastShowtime, day, quarter seconds
	blocksRx, blocksTx                               float64
}

// A direction is half of a line.
type direction struct {
	base        float64 // margin of the line at rest
	traded      float64 // margin bought with rate at the last training
	rate        float64 // at rest
	attainable  float64
	attenuation float64
	power       float64
	fec, crc    float64 // counted
}

// seconds are the counters of a window.
type seconds struct{ es, ses, los, lof, uas, lom float64 }

func (s *seconds) add(o seconds) {
	s.es, s.ses, s.los, s.lof = s.es+o.es, s.ses+o.ses, s.los+o.los, s.lof+o.lof
	s.uas, s.lom = s.uas+o.uas, s.lom+o.lom
}

// training is how long a modem takes to come into step.
const training = 45 * time.Second

// target is the margin that the exchange trains for, in dB.
const target = 6

func newDSL(p *personality, booted time.Duration) dsl {
	d := dsl{
		down: direction{base: 8.3, rate: 65262, attainable: 66156, attenuation: 37.1, power: 14.5},
		up:   direction{base: 9.4, rate: 9191, attainable: 12776, attenuation: 38.6, power: 2.0},
	}
	if !p.vdsl {
		d.down = direction{base: 7.6, rate: 6484, attainable: 7212, attenuation: 45.5, power: 18.4}
		d.up = direction{base: 11.2, rate: 892, attainable: 1112, attenuation: 26.1, power: 12.4}
	}
	d.showtimeAt, d.since = booted+training, booted+training
	return d
}

// showtime says whether the line works.
func (l *dsl) showtime(now time.Duration) bool { return now >= l.showtimeAt }

// headroom returns what the line leaves a direction, without the margin that
// was bought with rate.
func (l *dsl) headroom(w *world, d *direction, name string) float64 {
	return d.base - l.noise + 0.4*w.chance.wander(name, w.tick(), 10*time.Minute)
}

// margin returns the noise margin in dB.
func (l *dsl) margin(w *world, d *direction, name string) float64 {
	return l.headroom(w, d, name) + d.traded
}

// pass lets d pass.
func (l *dsl) pass(w *world, d time.Duration) {
	if w.p.wan != wanDSL {
		return
	}
	n := d.Seconds()
	if w.now/(15*time.Minute) != (w.now+d)/(15*time.Minute) {
		l.quarter = seconds{}
	}
	if w.now/(24*time.Hour) != (w.now+d)/(24*time.Hour) {
		l.day = seconds{}
	}
	if !l.showtime(w.now) {
		l.count(seconds{uas: n, los: n / training.Seconds()})
		return
	}
	var s seconds
	down, up := l.margin(w, &l.down, "down"), l.margin(w, &l.up, "up")
	for i, m := range []float64{down, up} {
		dir := []*direction{&l.down, &l.up}[i]
		perSecond := math.Pow(10, 1.5-0.6*m) // 0.0001 at 9 dB, 30 at 0
		dir.crc += perSecond * n
		dir.fec += 4000 * perSecond * n
		if i == 0 {
			s.es += min(perSecond, 1) * n
			s.ses += min(perSecond/30, 1) * n
		}
	}
	l.count(s)
	l.blocksRx += 59 * n
	l.blocksTx += 43 * n
	if down < 0 || up < 0 {
		l.retrain(w)
	}
}

// strike takes dB of what both front ends hear, for good, and the line with it.
func (l *dsl) strike(w *world, dB float64) {
	for _, d := range []*direction{&l.down, &l.up} {
		d.attenuation += dB
		d.base -= dB
	}
	l.retrain(w)
}

// count adds to all windows.
func (l *dsl) count(s seconds) {
	for _, window := range []*seconds{&l.total, &l.showtimeStats, &l.day, &l.quarter} {
		window.add(s)
	}
}

// retrain takes the line down and lets it come up with a rate that leaves the
// target margin.
func (l *dsl) retrain(w *world) {
	l.retrains++
	l.lossOfFraming++
	l.lastShowtime, l.showtimeStats = l.showtimeStats, seconds{}
	l.count(seconds{lof: 1})
	for i, d := range []*direction{&l.down, &l.up} {
		d.traded = max(0, target-l.headroom(w, d, []string{"down", "up"}[i]))
	}
	l.since, l.showtimeAt = w.now, w.now+training
}

// boot starts the modem anew.
func (l *dsl) boot(at time.Duration) {
	l.retrains, l.lossOfFraming, l.blocksRx, l.blocksTx = 0, 0, 0, 0
	l.down.crc, l.down.fec, l.up.crc, l.up.fec = 0, 0, 0, 0
	l.total, l.showtimeStats, l.lastShowtime, l.day, l.quarter = seconds{}, seconds{}, seconds{}, seconds{}, seconds{}
	l.since, l.showtimeAt = at, at+training
}

// factor is what is left of a rate after margin was bought with it: 3 % for
// each dB.
func factor(db float64) float64 { return max(1-0.03*db, 0.05) }

// currentRate returns what the direction carries in kbit/s.
func (d *direction) currentRate() float64 { return d.rate * factor(d.traded) }

// attainableRate returns what it could carry.
func (d *direction) attainableRate(noise float64) float64 {
	return d.attainable * factor(max(noise, 0))
}

// lastChange returns when the state of the line changed last.
func (l *dsl) lastChange(now time.Duration) time.Duration {
	if l.showtime(now) {
		return l.showtimeAt
	}
	return l.since
}

// fibre is an optical module. Powers are registers of 0.1 µW, as SFF-8472 has
// them: what the box says follows from whole numbers.
type fibre struct {
	rest ponSpec
	loss float64 // dB that a bend takes
	heat int     // degrees above those at rest
}

func newFibre(p *personality) fibre { return fibre{rest: p.pon} }

// dark is the register below which a receiver sees nothing: -30 dBm.
const dark = 10

// rx returns the register of received power.
func (f *fibre) rx() int {
	return max(int(math.Round(float64(f.rest.rx)*math.Pow(10, -f.loss/10))), 0)
}

// bias returns the register of the laser's current, of 2 µA: a warm laser
// needs more for the same light.
func (f *fibre) bias() int {
	return int(math.Round(float64(f.rest.bias) * (1 + 0.012*float64(f.heat))))
}

func (f *fibre) celsius() int { return f.rest.celsius + f.heat }

// operation says whether the module is in step with the exchange.
func (f *fibre) operation() bool { return f.rx() >= dark }

// noLight is what a box says where there is none, in 0.001 dBm.
const noLight = -40000

// milliDBm returns a register of 0.1 µW in 0.001 dBm, as boxes cut it.
func milliDBm(register int) int {
	if register <= 0 {
		return noLight
	}
	return int(math.Trunc(10000 * math.Log10(float64(register)/10000)))
}
