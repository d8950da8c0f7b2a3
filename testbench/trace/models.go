package trace

import (
	"encoding/base64"
	"math"
	"math/rand/v2"

	"livebox-agent/collector/catalogue"
)

// An ar is a first-order autoregressive process around zero.
type ar struct {
	phi, sigma, x float64
	r             *rand.Rand
}

func (a *ar) next() float64 {
	a.x = a.phi*a.x + a.sigma*math.Sqrt(1-a.phi*a.phi)*a.r.NormFloat64()
	return a.x
}

// A burst is on or off, for random times with the given means in rows.
type burst struct {
	on      bool
	up, off float64
	r       *rand.Rand
}

func (b *burst) next() bool {
	mean := b.off
	if b.on {
		mean = b.up
	}
	if b.r.Float64() < 1/mean {
		b.on = !b.on
	}
	return b.on
}

// poisson returns a Poisson number by Knuth's product, which is exact and fast
// enough for the small means used here.
func poisson(r *rand.Rand, mean float64) float64 {
	limit, p, n := math.Exp(-mean), 1.0, -1.0
	for p > limit {
		p *= r.Float64()
		n++
	}
	return n
}

// rates are the physical rates, in kbit/s, of two streams at 80 MHz (IEEE
// 802.11ax, HE-MCS 0 to 11, 0.8 µs guard interval).
var rates = [12]float64{
	72100, 144100, 216200, 288200, 432400, 576500, 648500, 720600, 864700, 960800, 1080900, 1201000,
}

// stations makes eight stations, every third of which moves about: signal,
// rate and retries of each.
func (g *generator) stations() []Series {
	var all []Series
	for i := range 8 {
		r := g.rng()
		var id [8]byte
		for j := range id {
			id[j] = byte(r.Uint32())
		}
		name := base64.RawURLEncoding.EncodeToString(id[:])
		mobile := i%3 == 2
		noise := &ar{phi: 0.95, sigma: 1.2, r: r}
		level := -45 - 30*r.Float64()
		if mobile {
			noise.sigma = 3
		}
		signal := g.each(func(int) float64 {
			if mobile && r.Float64() < 1.0/60 {
				level = -40 - 40*r.Float64()
			}
			return level + noise.next()
		})
		mcs := 0
		rate := g.each(func(row int) float64 {
			want := int(float64(signal[row]+90) / 4)
			if row == 0 || r.Float64() < 0.25 {
				mcs = min(max(want+r.IntN(2), 0), len(rates)-1)
			}
			return rates[mcs]
		})
		busy := &burst{up: 25, off: 40, r: r}
		total := float64(r.IntN(1_000_000))
		retries := g.each(func(int) float64 {
			if busy.next() {
				total += poisson(r, 30)
			} else if r.Float64() < 0.05 {
				total++
			}
			return total
		})
		all = append(all,
			Series{catalogue.StationSignal, "signal", name, signal},
			Series{catalogue.StationDownlinkRate, "rate", name, rate},
			Series{catalogue.StationRetries, "retries", name, retries})
	}
	return all
}

// line makes a DSL line that retrains once, in the middle of the trace.
func (g *generator) line() []Series {
	const name = "dsl0"
	r := g.rng()
	retrain := g.rows/2 + r.IntN(max(g.rows/8, 1))
	after := func(row int, before, then float64) float64 {
		if row < retrain {
			return before
		}
		return then
	}
	margin := func(id catalogue.ID, label string, level, sigma float64) Series {
		n := &ar{phi: 0.98, sigma: sigma, r: r}
		return Series{id, label, name, g.each(func(row int) float64 {
			return after(row, level, level+7) + n.next()
		})}
	}
	level := func(id catalogue.ID, label string, before, then float64) Series {
		return Series{id, label, name, g.each(func(row int) float64 { return after(row, before, then) })}
	}
	attainable := func(id catalogue.ID, label string, mean float64) Series {
		step := mean
		return Series{id, label, name, g.each(func(int) float64 {
			if r.Float64() < 1.0/180 {
				step = mean + 400*r.NormFloat64()
			}
			return step
		})}
	}
	count := func(id catalogue.ID, label string, perRow float64) Series {
		total := float64(r.IntN(100_000))
		noisy := &burst{up: 6, off: 300, r: r}
		return Series{id, label, name, g.each(func(int) float64 {
			if noisy.next() {
				total += poisson(r, perRow)
			}
			return total
		})}
	}
	up := float64(r.IntN(1_000_000))
	showtime := g.each(func(row int) float64 {
		if row == retrain {
			up = -g.interval.Seconds()
		}
		up += g.interval.Seconds()
		return up
	})
	return []Series{
		{catalogue.LineLastChange, "showtime", name, showtime},
		level(catalogue.LineDownRate, "down_rate", 91264, 88417),
		level(catalogue.LineUpRate, "up_rate", 31998, 31200),
		attainable(catalogue.LineDownMaxRate, "down_max_rate", 98532),
		attainable(catalogue.LineUpMaxRate, "up_max_rate", 34410),
		margin(catalogue.LineDownMargin, "down_margin", 92, 2.2),
		margin(catalogue.LineUpMargin, "up_margin", 78, 1.6),
		level(catalogue.LineDownAttenuation, "down_attenuation", 183, 184),
		level(catalogue.LineUpAttenuation, "up_attenuation", 121, 121),
		count(catalogue.LineDownES, "down_es", 0.5),
		count(catalogue.LineDownFEC, "down_fec", 40),
		count(catalogue.LineUpFEC, "up_fec", 9),
		count(catalogue.LineDownCRC, "down_crc", 2),
		count(catalogue.LineUpCRC, "up_crc", 1),
	}
}

// slow makes a level that drifts a little, and with the day, read to a quantum.
func (g *generator) slow(r *rand.Rand, level, sigma, quantum float64) []int64 {
	n := &ar{phi: 0.99, sigma: sigma, r: r}
	return g.each(func(row int) float64 {
		return math.Round((level*(1+0.02*g.day(row))+n.next())/quantum) * quantum
	})
}

// optics makes an optical module (SFF-8472).
func (g *generator) optics() []Series {
	const name = "sfp0"
	r := g.rng()
	return []Series{
		{catalogue.OpticRxPower, "rx_power", name, g.slow(r, -9510, 25, 10)},
		{catalogue.OpticTxPower, "tx_power", name, g.slow(r, 2310, 12, 10)},
		{catalogue.OpticBias, "bias", name, g.slow(r, 14000, 60, 2)},
		{catalogue.OpticVoltage, "voltage", name, g.slow(r, 32900, 20, 1)},
		{catalogue.OpticTemperature, "temperature", name, g.slow(r, 47000, 400, 100)},
	}
}

// sensors makes three temperatures of the box.
func (g *generator) sensors() []Series {
	r := g.rng()
	return []Series{
		{catalogue.SensorTemperature, "temperature", "soc", g.slow(r, 63000, 900, 100)},
		{catalogue.SensorTemperature, "temperature", "wifi0", g.slow(r, 58000, 800, 100)},
		{catalogue.SensorTemperature, "temperature", "wifi1", g.slow(r, 55000, 800, 500)},
	}
}

// load makes processor, memory and load average.
func (g *generator) load() []Series {
	r := g.rng()
	cpu := &ar{phi: 0.6, sigma: 25, r: r}
	free := &ar{phi: 0.99, sigma: 900, r: r}
	avg := 40.0
	usage := g.each(func(row int) float64 { return max(40+80*g.day(row)+cpu.next(), 2) })
	return []Series{
		{catalogue.CPUUsage, "cpu", "", usage},
		{catalogue.LoadAverage, "load", "", g.each(func(row int) float64 {
			avg += (float64(usage[row])/2 - avg) / 6
			return avg
		})},
		{catalogue.MemoryAvailable, "memory", "", g.each(func(int) float64 { return 4 * math.Round(42000+free.next()) })},
	}
}

// traffic makes the bytes of the line and of the home's three interfaces, which
// share what the line carries between them.
func (g *generator) traffic() []Series {
	r := g.rng()
	session := &burst{up: 40, off: 60, r: r}
	level := &ar{phi: 0.9, sigma: 1, r: r}
	totals := [8]float64{}
	for i := range totals {
		totals[i] = float64(r.Int64N(1 << 35))
	}
	names := [8]string{"wan", "wan", "lan", "lan", "wlan0", "wlan0", "wlan1", "wlan1"}
	all := make([]Series, len(names))
	for i, name := range names {
		id, label := catalogue.PortBytesReceived, "received"
		if i%2 == 1 {
			id, label = catalogue.PortBytesSent, "sent"
		}
		all[i] = Series{id, label, name, make([]int64, g.rows)}
	}
	share := [3]float64{0.5, 0.4, 0.1}
	for row := range g.rows {
		x := 7.7 + 1.5*g.day(row) + level.next() + 0.6*r.NormFloat64()
		if session.next() {
			x += 1.5 + g.day(row) + 0.8*r.ExpFloat64()
		}
		down := math.Exp(min(x, 20.5)) // at most 1 Gbit/s for 10 s
		up := down*(0.04+0.02*r.Float64()) + 2000*r.ExpFloat64()
		totals[0] += down
		totals[1] += up
		for i, s := range share {
			part := s * math.Exp(0.25*r.NormFloat64())
			totals[2+2*i] += up*part + 1200*r.ExpFloat64() // the home sends what the line sends
			totals[3+2*i] += down*part + 1500*r.ExpFloat64()
		}
		for i := range all {
			all[i].Values[row] = int64(totals[i])
		}
	}
	return all
}

// probe makes round-trip time and jitter, and the probes that are answered, of
// ten a round.
func (g *generator) probe() []Series {
	const name = "first_hop"
	r := g.rng()
	drift := &ar{phi: 0.98, sigma: 300, r: r}
	answered := float64(r.IntN(1_000_000))
	return []Series{
		{catalogue.ProbeRTT, "rtt", name, g.each(func(int) float64 { return 8500 + drift.next() + 600*r.ExpFloat64() })},
		{catalogue.ProbeJitter, "jitter", name, g.each(func(int) float64 { return 400 + 500*r.ExpFloat64() })},
		{catalogue.ProbeReceived, "answered", name, g.each(func(int) float64 {
			answered += 10
			if r.Float64() < 0.004 {
				answered -= 1 + float64(r.IntN(3))
			}
			return answered
		})},
	}
}
