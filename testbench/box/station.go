package box

import (
	"fmt"
	"math"
	"time"
)

// A Station is a device on the box's Wi-Fi.
type Station struct {
	// MAC is its address, upper case; one is made up if it is empty.
	MAC string
	// Band is the radio that it is on: "2.4GHz", "5GHz" or "6GHz". Empty is
	// 5 GHz.
	Band string
	// Distance from the box in metres, walls counted in; 0 is 5 m.
	Distance float64
	// Down and Up are what it transfers on average, in bits per second from
	// and to the network.
	Down, Up float64
	// Standard is "n", "ac", "ax" or "be"; empty is the best that the radio
	// has up to "ax".
	Standard string
	// Streams is the number of its spatial streams, Width the widest channel
	// that it can use in MHz; 0 is 2, and what its standard allows.
	Streams, Width int
}

type station struct {
	Station
	number int
	radio  *radioSpec
	since  time.Duration

	rxBytes, txBytes, rxPackets, txPackets   float64 // seen from the box
	rxRetries, txRetries, txFailed, airtimeR float64
	airtimeT, multicast                      float64
}

// someStation returns the n-th of the stations that a box starts with.
func (w *world) someStation(n int) Station {
	name := fmt.Sprint("station ", n)
	radio := w.p.radios[n%len(w.p.radios)]
	s := Station{
		MAC: w.address(n), Band: radio.band, Distance: 2 + 18*w.chance.unit(name, 0),
		Down: 5e4 + 4e6*math.Pow(w.chance.unit(name, 1), 3),
		Up:   2e4 + 4e5*math.Pow(w.chance.unit(name, 2), 3), Streams: 1 + n%2,
	}
	if radio.band == "2.4GHz" {
		s.Standard = "n"
	}
	return s
}

// address returns a made-up hardware address.
func (w *world) address(n int) string {
	b := w.chance.bits("address", int64(n))
	return fmt.Sprintf("02:EB:%02X:%02X:%02X:%02X", byte(b>>24), byte(b>>16), byte(b>>8), byte(n))
}

// join lets s associate. The radio must be one that the box has.
func (w *world) join(s Station) *station {
	number := 1
	for _, other := range w.stations {
		number = max(number, other.number+1)
	}
	if s.MAC == "" {
		s.MAC = w.address(1000 + number)
	}
	if s.Band == "" {
		s.Band = "5GHz"
	}
	if s.Distance <= 0 {
		s.Distance = 5
	}
	if s.Streams == 0 {
		s.Streams = 2
	}
	st := &station{Station: s, number: number, radio: w.radio(s.Band)}
	if st.radio == nil {
		return nil
	}
	if st.Standard == "" {
		st.Standard = best(st.radio.standard)
	}
	widest := map[string]int{"n": 40, "ac": 80, "ax": 160, "be": 160}[st.Standard]
	if st.Width == 0 || st.Width > widest {
		st.Width = widest
	}
	st.Width = min(st.Width, st.radio.width)
	st.associate(w.now)
	w.stations = append(w.stations, st)
	return st
}

// best returns the standard that an ordinary station uses with a radio.
func best(radio string) string {
	switch radio {
	case "bgn", "an":
		return "n"
	case "be":
		return "ax"
	}
	return radio
}

// radio returns the radio of a band, or nil.
func (w *world) radio(band string) *radioSpec {
	for i := range w.p.radios {
		if w.p.radios[i].band == band {
			return &w.p.radios[i]
		}
	}
	return nil
}

// associate starts the station's session and its counters.
func (s *station) associate(at time.Duration) {
	*s = station{Station: s.Station, number: s.number, radio: s.radio, since: at}
}

// weakest is the signal below which a station loses the box, in dBm.
const weakest = -92

// signal returns what the box receives of s, in dBm: 20 dBm sent, the loss of
// the first metre for the band, 33 dB for every tenfold of the distance, and
// what people and doors do.
func (s *station) signal(w *world) int {
	first := map[string]float64{"2.4GHz": 40, "5GHz": 46.5, "6GHz": 48}[s.Band]
	loss := first + 33*math.Log10(max(s.Distance, 0.3))
	dbm := 20 - loss + 2.5*w.chance.wander(s.MAC, w.tick(), 20*time.Second)
	return int(math.Round(min(max(dbm, -110), -18)))
}

// active says whether s is in reach.
func (s *station) active(w *world) bool { return s.signal(w) > weakest }

// noise returns the noise on the station's channel in dBm.
func (w *world) noise(r *radioSpec) int {
	return r.noise + int(math.Round(1.2*w.chance.wander(r.name+" noise", w.tick(), time.Minute)))
}

// A rate is the modulation that two radios agree on.
type rate struct {
	kbits, mcs, streams, width int
	shortGuard                 bool
}

// bitsPerCarrier is what a subcarrier carries in each modulation and coding,
// from MCS 0 (IEEE 802.11ax-2021, table 27-57 and following).
func bitsPerCarrier() [12]float64 {
	return [12]float64{0.5, 1, 1.5, 2, 3, 4, 4.5, 5, 6, 20.0 / 3, 7.5, 25.0 / 3}
}

// carriers returns the number of data subcarriers and the time of a symbol in
// microseconds.
func carriers(standard string, width int) (n, symbol float64) {
	if standard == "ax" || standard == "be" {
		return map[int]float64{20: 234, 40: 468, 80: 980, 160: 1960}[width], 13.6
	}
	return map[int]float64{20: 52, 40: 108, 80: 234, 160: 468}[width], 3.6
}

// rateAt returns the rate that a ratio of signal to noise allows.
func (s *station) rateAt(snr int) rate {
	needs := [12]int{2, 5, 8, 11, 14, 18, 20, 22, 26, 28, 31, 34}
	most := map[string]int{"n": 7, "ac": 9, "ax": 11, "be": 11}[s.Standard]
	mcs := 0
	for mcs < most && snr >= needs[mcs+1] {
		mcs++
	}
	n, symbol := carriers(s.Standard, s.Width)
	bits := bitsPerCarrier()[mcs]
	return rate{
		kbits: int(n * bits * float64(s.Streams) / symbol * 1000), mcs: mcs, streams: s.Streams, width: s.Width,
		shortGuard: s.Standard == "n" || s.Standard == "ac",
	}
}

// rates returns the modulation towards the station and from it.
func (s *station) rates(w *world) (down, up rate) {
	snr := s.signal(w) - w.noise(s.radio)
	return s.rateAt(snr), s.rateAt(snr - 3)
}

// pass lets the station transfer for some seconds, and returns the bits per
// second from and to the network.
func (s *station) pass(w *world, seconds float64, bucket int64) (down, up float64) {
	s.multicast += 3 * seconds
	if !s.active(w) || !w.wanUp() {
		return 0, 0
	}
	dr, ur := s.rates(w)
	share := 2 * w.chance.unit("use "+s.MAC, bucket)
	down = min(s.Down*share, 600*float64(dr.kbits))
	up = min(s.Up*share, 600*float64(ur.kbits))
	tx, rx := down*seconds/8, up*seconds/8
	s.txBytes, s.rxBytes = s.txBytes+tx, s.rxBytes+rx
	s.txPackets, s.rxPackets = s.txPackets+tx/1100, s.rxPackets+rx/500
	// The weaker the signal the more is sent again.
	again := math.Pow(10, -float64(s.signal(w)-w.noise(s.radio))/15)
	s.txRetries += tx / 1100 * min(again, 2)
	s.rxRetries += rx / 500 * min(again, 2)
	s.txFailed += tx / 1100 * min(again*again, 0.5)
	s.airtimeT += down / float64(dr.kbits) * seconds * 1000
	s.airtimeR += up / float64(ur.kbits) * seconds * 1000
	w.traffic[s.radio.vaps[0]].move(rx, tx)
	return down, up
}

// load returns how much of the radio's time is used, in per cent.
func (w *world) load(r *radioSpec) int {
	busy := float64(r.load) + 2*w.chance.wander(r.name+" load", w.tick(), time.Minute)
	bucket := int64(w.now / step)
	for _, s := range w.stations {
		if s.radio == r && s.active(w) && w.wanUp() {
			dr, ur := s.rates(w)
			share := 2 * w.chance.unit("use "+s.MAC, bucket)
			busy += 100 * share * (s.Down/float64(dr.kbits) + s.Up/float64(ur.kbits)) / 1000
		}
	}
	return int(min(max(busy, 0), 100))
}
