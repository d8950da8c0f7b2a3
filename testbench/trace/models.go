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
	r := g.rng()
	retrain := g.rows/2 + r.IntN(max(g.rows/8, 1))
	after := func(row int, before, then float64) float64 {
		if row < retrain {
			return before
		}
		return then
	}
	margin := func(name string, level, sigma float64) Series {
		n := &ar{phi: 0.98, sigma: sigma, r: r}
		return Series{LineMargin, "margin", name, g.each(func(row int) float64 {
			return after(row, level, level+7) + n.next()
		})}
	}
	level := func(id catalogue.ID, label, name string, before, then float64) Series {
		return Series{id, label, name, g.each(func(row int) float64 { return after(row, before, then) })}
	}
	attainable := func(name string, mean float64) Series {
		step := mean
		return Series{LineAttainable, "attainable", name, g.each(func(int) float64 {
			if r.Float64() < 1.0/180 {
				step = mean + 400*r.NormFloat64()
			}
			return step
		})}
	}
	count := func(id catalogue.ID, label, name string, perRow float64) Series {
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
		margin("down", 92, 2.2), margin("up", 78, 1.6),
		level(LineAttenuation, "attenuation", "down", 183, 184), level(LineAttenuation, "attenuation", "up", 121, 121),
		level(LineRate, "line_rate", "down", 91264, 88417), level(LineRate, "line_rate", "up", 31998, 31200),
		attainable("down", 98532), attainable("up", 34410),
		count(LineCRC, "crc", "down", 2), count(LineCRC, "crc", "up", 1),
		count(LineFEC, "fec", "down", 40), count(LineFEC, "fec", "up", 9),
		count(LineErroredSeconds, "es", "down", 0.5),
		{LineShowtime, "showtime", "", showtime},
	}
}

// sensors makes an optical module (light, bias, temperature, supply) and three
// temperatures of the box.
func (g *generator) sensors() []Series {
	r := g.rng()
	slow := func(id catalogue.ID, label, name string, level, sigma, quantum float64) Series {
		n := &ar{phi: 0.99, sigma: sigma, r: r}
		return Series{id, label, name, g.each(func(row int) float64 {
			return math.Round((level*(1+0.02*g.day(row))+n.next())/quantum) * quantum
		})}
	}
	return []Series{
		slow(catalogue.SensorPower, "light_received", "sfp_rx", 112, 1, 1),
		slow(catalogue.SensorPower, "light_sent", "sfp_tx", 1380, 3, 1),
		slow(catalogue.SensorCurrent, "bias", "sfp_bias", 14, 0.4, 1),
		slow(catalogue.SensorTemperature, "temperature", "sfp", 47000, 400, 100),
		slow(catalogue.SensorVoltage, "supply", "sfp_vcc", 3290, 4, 1),
		slow(catalogue.SensorTemperature, "temperature", "soc", 63000, 900, 100),
		slow(catalogue.SensorTemperature, "temperature", "wifi0", 58000, 800, 100),
		slow(catalogue.SensorTemperature, "temperature", "wifi1", 55000, 800, 500),
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
		x := 8.4 + 1.5*g.day(row) + level.next() + 0.6*r.NormFloat64()
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

// ping makes round-trip time and jitter in 0.01 ms and the lost of ten.
func (g *generator) ping() []Series {
	r := g.rng()
	drift := &ar{phi: 0.98, sigma: 30, r: r}
	return []Series{
		{PingRTT, "rtt", "", g.each(func(int) float64 { return 850 + drift.next() + 60*r.ExpFloat64() })},
		{PingJitter, "jitter", "", g.each(func(int) float64 { return 40 + 50*r.ExpFloat64() })},
		{PingLoss, "loss", "", g.each(func(int) float64 {
			if r.Float64() < 0.004 {
				return 1 + float64(r.IntN(3))
			}
			return 0
		})},
	}
}
