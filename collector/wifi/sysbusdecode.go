package wifi

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/label"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
)

const (
	// maxVAPs bounds the access points of one reply that are read. A box has
	// up to ten.
	maxVAPs = 32
	// maxEntries bounds the stations of one access point that are read,
	// those that left included. Boxes admit 64 at a time.
	maxEntries = 256
	// maxName bounds the names of radios and access points.
	maxName = 32
)

// wireless returns the parts of a reply to getMIBs. A box without Wi-Fi is
// collector.ErrNoData.
func wireless(n tree.Node) (base, radios, vaps tree.Node, err error) {
	status := n.Get("status")
	base, radios, vaps = status.Get("base"), status.Get("wlanradio"), status.Get("wlanvap")
	switch {
	case !status.IsObject(), !isMap(base), !isMap(radios), !isMap(vaps):
		err = fmt.Errorf("%s.%s: %w: no MIBs", sysbusObject, sysbusMethod, tree.ErrMalformed)
	case radios.Len() == 0 && vaps.Len() == 0:
		err = fmt.Errorf("%w: no Wi-Fi", collector.ErrNoData)
	}
	return base, radios, vaps, err
}

// isMap says whether n is an object, or absent, or the empty list that some
// firmware writes for an empty object.
func isMap(n tree.Node) bool { return n.IsObject() || n.Len() == 0 && (n.IsList() || !n.Exists()) }

// each calls f for the first most entries of n that are objects with the name
// of an interface, and counts the others.
func each(n tree.Node, most int, c *tree.Check, f func(name string, n tree.Node)) {
	n.Each(func(name string, n tree.Node) {
		if most--; most < 0 || !isName(name) || !n.IsObject() {
			c.Bad("interface")
			return
		}
		f(name, n)
	})
}

// isName says whether s may be the name of a radio or an access point. What
// has colons, spaces or other letters may be somebody's name or address.
func isName(s string) bool {
	for i := range len(s) {
		switch b := s[i]; {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9', b == '_', b == '-', b == '.':
		default:
			return false
		}
	}
	return s != "" && len(s) <= maxName && !label.HasAddress(s)
}

// isUp says whether the interface works, by the field called key or else by
// the MIB base. One of which neither is told does.
func isUp(n tree.Node, key string, base tree.Node, c *tree.Check) bool {
	if s, ok := c.Text(n, key); ok {
		return s == "Up"
	}
	up, ok := c.Bool(base, "Status")
	return up || !ok
}

// decodeRadios adds what a reply to getMIBs says of the radios, and how many
// stations are on each access point. A radio that is off gives its band alone:
// the box keeps what it measured last, however long ago.
func decodeRadios(n tree.Node, b *sample.Batch) error {
	base, radios, vaps, err := wireless(n)
	if err != nil {
		return err
	}
	var c tree.Check
	given := len(b.Readings)
	each(radios, maxRadios, &c, func(name string, r tree.Node) {
		if s, ok := c.Text(r, "OperatingFrequencyBand"); ok {
			if band := bandNamed(s); band != catalogue.BandUnknown {
				b.Add(catalogue.RadioBand, name, band)
			}
		}
		if isUp(r, "RadioStatus", base.Get(name), &c) {
			addSysbusRadio(b, name, r, &c)
		}
	})
	each(vaps, maxVAPs, &c, func(name string, v tree.Node) {
		if isUp(v, "VAPStatus", base.Get(name), &c) {
			addSysbusCount(b, name, v, &c)
			addRefused(b, name, v.Get("AssociationCount"), &c)
		}
	})
	if err := c.Err(); err != nil {
		return err
	}
	if len(b.Readings) == given {
		return fmt.Errorf("%w: no radio in use", collector.ErrNoData)
	}
	return nil
}

func addSysbusRadio(b *sample.Batch, name string, r tree.Node, c *tree.Check) {
	if v, ok := c.Int(r, "Channel"); ok && v >= 1 && v <= 233 {
		b.Add(catalogue.RadioChannel, name, v)
	}
	if s, ok := c.Text(r, "CurrentOperatingChannelBandwidth"); ok {
		if mhz := widthNamed(s); mhz > 0 {
			b.Add(catalogue.RadioBandwidth, name, mhz)
		}
	}
	noise, measured := c.Int(r, "Noise")
	if measured = measured && isLevel(noise); measured {
		b.Add(catalogue.RadioNoise, name, noise)
	}
	for _, p := range []struct {
		key    string
		metric catalogue.ID
	}{{"ChannelLoad", catalogue.RadioUtilisation}, {"Interference", catalogue.RadioInterference}} {
		// One that does not measure the noise does not measure these, and
		// says zero.
		if v, ok := c.Int(r, p.key); ok && v >= 0 && v <= 100 && (v > 0 || measured) {
			b.Add(p.metric, name, v)
		}
	}
}

// addSysbusCount adds how many stations the access point has. Its own field
// AssociatedDeviceNumberOfEntries counts those that left, or nothing.
func addSysbusCount(b *sample.Batch, name string, v tree.Node, c *tree.Check) {
	table := v.Get("AssociatedDevice")
	if !isMap(table) {
		c.Bad("AssociatedDevice")
		return
	}
	var n stationCount
	eachEntry(table, c, func(_ string, e tree.Node) {
		if !isAssociated(e, c) {
			return
		}
		n.all++
		if level, ok := stationLevel(e, c); ok {
			n.measured++
			if level < catalogue.WeakSignal {
				n.weak++
			}
		}
	})
	listed := n.all
	told, ok := c.Int(v, "ActiveAssociatedDeviceNumberOfEntries")
	switch {
	case ok && told >= 0 && told <= maxEntries:
		n.all = told
	case !table.Exists():
		return
	}
	b.Add(catalogue.RadioStations, name, n.all)
	if n.measured > 0 || listed == 0 && n.all == 0 {
		b.Add(catalogue.RadioWeakStations, name, n.weak)
	}
}

// addRefused adds how many stations went away again without being let in: for
// want of the right key (FailSecurity) and for other reasons (Fail). They are
// counted apart (pwhm's wld_assocdev.c).
func addRefused(b *sample.Batch, name string, counts tree.Node, c *tree.Check) {
	security, ok := unsigned(counts, c, "FailSecurity")
	other, both := unsigned(counts, c, "Fail")
	if ok && both {
		b.Add(catalogue.RadioAssociationFailures, name, security+other)
	}
}

// eachEntry calls f for the entries of a table of stations. Their keys are
// numbers or the stations' addresses: they must not be reported.
func eachEntry(table tree.Node, c *tree.Check, f func(key string, e tree.Node)) {
	left := maxEntries
	table.Each(func(key string, e tree.Node) {
		if left--; left < 0 || !e.IsObject() {
			c.Bad("AssociatedDevice")
			return
		}
		f(key, e)
	})
}

// isAssociated says whether the entry is of a station that is there: those
// that left stay in the table, and those that are about to come are in it.
func isAssociated(e tree.Node, c *tree.Check) bool {
	active, ok := c.Bool(e, "Active")
	if ok && !active {
		return false
	}
	authenticated, ok := c.Bool(e, "AuthenticationState")
	return authenticated || !ok
}

// stationLevel returns the mean signal of a station in dBm: over its last 100
// packets (TR-181), or over the antennas where only that is told.
func stationLevel(e tree.Node, c *tree.Check) (level int64, ok bool) {
	for _, key := range []string{"SignalStrength", "AvgSignalStrengthByChain"} {
		if level, ok = c.Scaled(e, 0, key); ok && isLevel(level) {
			return level, true
		}
	}
	return 0, false
}

// isLevel says whether v may be a level in dBm. Zero is what was not measured,
// and no receiver measures above it, nor what a byte cannot hold.
func isLevel(v int64) bool { return v < 0 && v > -128 }

// eachStation calls f for every station that the reply n lists as associated,
// with the name of its access point. r is used again for the next one.
func eachStation(n tree.Node, f func(vap string, r *reply, c *tree.Check)) error {
	_, _, vaps, err := wireless(n)
	if err != nil {
		return err
	}
	var c tree.Check
	var r reply
	each(vaps, maxVAPs, &c, func(name string, v tree.Node) {
		table := v.Get("AssociatedDevice")
		if !isMap(table) {
			c.Bad("AssociatedDevice")
			return
		}
		eachEntry(table, &c, func(key string, e tree.Node) {
			if isAssociated(e, &c) {
				r.decode(key, e, &c)
				f(name, &r, &c)
			}
		})
	})
	return c.Err()
}

// decode sets r to what the entry of a table of stations says. It has no
// station's address where neither the entry nor its key is one.
func (r *reply) decode(key string, e tree.Node, c *tree.Check) {
	*r = reply{}
	if s, ok := c.Text(e, "MACAddress"); ok {
		r.setMAC(s)
	}
	if !r.hasMAC {
		r.setMAC(key)
	}
	if s, ok := c.Text(e, "AssociationTime"); ok {
		if t, err := time.Parse(time.RFC3339, s); err == nil && t.Unix() > 0 {
			r.associated = uint64(t.Unix())
		}
	}
	if v, ok := stationLevel(e, c); ok {
		r.set(fieldSignal, v)
	}
	r.decodeNoise(e, c)
	if v, ok := c.Int(e, "Inactive"); ok && v >= 0 && v <= 1<<31 {
		r.set(fieldInactive, v*1000)
	}
	standard, _ := c.Text(e, "OperatingStandard")
	link, _ := c.Text(e, "LinkBandwidth")
	for _, d := range []direction{
		{"LastDataDownlinkRate", "DownlinkMCS", "DownlinkBandwidth", fieldDownlinkRate, fieldDownlinkMCS, fieldDownlinkWidth},
		{"LastDataUplinkRate", "UplinkMCS", "UplinkBandwidth", fieldUplinkRate, fieldUplinkMCS, fieldUplinkWidth},
	} {
		r.decodeRate(e, c, d, standard, link)
	}
	r.decodeCounters(e, c)
}

func (r *reply) setMAC(s string) {
	mac, err := net.ParseMAC(s)
	if err != nil || len(mac) != len(r.mac) || [6]byte(mac) == [6]byte{} {
		return
	}
	r.mac, r.hasMAC = [6]byte(mac), true
}

// decodeNoise takes the noise in dBm and the distance of the signal from it
// in dB. Where no noise was measured, a distance of zero is none.
func (r *reply) decodeNoise(e tree.Node, c *tree.Check) {
	noise, ok := c.Int(e, "Noise")
	measured := ok && isLevel(noise)
	if measured {
		r.set(fieldNoise, noise)
	}
	if v, ok := c.Int(e, "SignalNoiseRatio"); ok && v >= 0 && v <= 127 && (v > 0 || measured) {
		r.set(fieldSNR, v)
	}
}

// A direction is where the last frame to or from a station is described.
type direction struct {
	rateKey, mcsKey, widthKey string
	rate, mcs, width          field
}

// maxRate is beyond what any generation reaches, in kbit/s (802.11be: 46).
const maxRate = 50_000_000

func (r *reply) decodeRate(e tree.Node, c *tree.Check, d direction, standard, link string) {
	kbits, ok := c.Int(e, d.rateKey)
	mcs, hasMCS := c.Int(e, d.mcsKey)
	code, _ := c.Int(e, d.widthKey)
	if !ok || kbits <= 0 || kbits > maxRate {
		// No frame yet: zero is neither an MCS nor a width.
		return
	}
	v := rate{kbits: kbits, mcs: -1, width: widthOf(code)}
	if v.width == 0 {
		v.width = widthNamed(link)
	}
	switch {
	case isLegacy(kbits, standard):
		// Boxes leave an MCS of another frame beside it.
		v.width = 20
	case hasMCS && mcs <= maxHT:
		v.mcs = mcs
	}
	if v.mcs >= 0 {
		r.set(d.mcs, v.mcs)
	}
	if v.width > 0 {
		r.set(d.width, v.width)
	}
	r.set(d.rate, v.kbits)
}

// isLegacy says whether a frame with that rate was sent without an MCS, as
// control frames are and all frames of 802.11a, b and g. The rates are those
// of IEEE 802.11-2020, clauses 15 to 18, but for 54 Mbit/s, which 802.11n has
// too.
func isLegacy(kbits int64, standard string) bool {
	switch standard {
	case "a", "b", "g":
		return true
	}
	switch kbits {
	case 1000, 2000, 5500, 6000, 9000, 11000, 12000, 18000, 24000, 36000, 48000:
		return true
	}
	return false
}

// widthOf returns the MHz of a DownlinkBandwidth or UplinkBandwidth, 0 for
// one that is not known. Up to the Livebox 7 it is a number of the enumeration
// swl_bandwidth_e (prplMesh's pwhm: auto, 20, 40, 80, 160, 320 MHz), later it
// is the MHz themselves.
func widthOf(v int64) int64 {
	switch v {
	case 1, 2, 3, 4, 5:
		return 10 << v
	case 20, 40, 80, 160, 320:
		return v
	}
	return 0
}

// widthNamed returns the MHz of a text such as "80MHz" or "320MHz-1", 0 for
// one such as "Auto".
func widthNamed(s string) int64 {
	digits, _, ok := strings.Cut(s, "MHz")
	v, err := strconv.ParseUint(digits, 10, 16)
	if !ok || err != nil || v < 20 {
		return 0
	}
	return widthOf(int64(v))
}

// bandNamed returns the band of a text such as "2.4GHz".
func bandNamed(s string) int64 {
	switch s {
	case "2.4GHz":
		return catalogue.Band2G4
	case "5GHz":
		return catalogue.Band5G
	case "6GHz":
		return catalogue.Band6G
	}
	return catalogue.BandUnknown
}

// maxFrame is the most octets that one packet counted for a station may have
// carried: the longest A-MSDU (IEEE 802.11-2020, table 9-25).
const maxFrame = 11454

// decodeCounters takes the counters. What the box transmits is the station's
// downlink. Retransmissions without a prefix is no counter: it is a share of
// the last 100 packets.
func (r *reply) decodeCounters(e tree.Node, c *tree.Check) {
	r.setCounter(fieldRetries, e, c, "Tx_Retransmissions")
	r.setCounter(fieldFailures, e, c, "Tx_RetransmissionsFailed")
	// The others have the multicast of the whole access point in them.
	r.setCounter(fieldPacketsSent, e, c, "TxUnicastPacketCount")
	r.setCounter(fieldPacketsReceived, e, c, "RxUnicastPacketCount")
	r.setCounter(fieldBytesSent, e, c, "TxBytes")
	r.setCounter(fieldBytesReceived, e, c, "RxBytes")
	if !r.has(fieldPacketsSent) {
		r.setCounter(fieldPacketsSent, e, c, "TxPacketCount")
	} else if packets := r.values[fieldPacketsSent]; r.values[fieldBytesSent]/maxFrame > packets {
		// On a Livebox 7 the bytes have that multicast too: of a quiet
		// station they say nothing.
		r.unset(fieldBytesSent)
	}
	if !r.has(fieldPacketsReceived) {
		r.setCounter(fieldPacketsReceived, e, c, "RxPacketCount")
	}
	traffic := []field{fieldBytesSent, fieldBytesReceived, fieldPacketsSent, fieldPacketsReceived}
	for _, f := range traffic {
		if r.values[f] != 0 {
			return
		}
	}
	// Nobody associates without a packet: these are not counted.
	for _, f := range traffic {
		r.unset(f)
	}
}

func (r *reply) unset(f field) {
	r.values[f] = 0
	r.given &^= 1 << f
}

// setCounter takes a counter of at least 32 bits, which boxes write as if its
// highest bit were a sign.
func (r *reply) setCounter(f field, e tree.Node, c *tree.Check, key string) {
	v, ok := c.Int(e, key)
	if !ok {
		return
	}
	if v < 0 {
		if v += 1 << 32; v < 1<<31 {
			c.Bad(key)
			return
		}
	}
	r.set(f, v)
}

// decodeTemperatures adds the temperature of every radio that is on and tells
// it, in °C. Which of the two a radio without a sensor says, -274 or 0,
// differs within one box.
func decodeTemperatures(n tree.Node, b *sample.Batch) error {
	base, radios, _, err := wireless(n)
	if err != nil {
		return err
	}
	var c tree.Check
	given := len(b.Readings)
	each(radios, maxRadios, &c, func(name string, r tree.Node) {
		const coldest, hottest = -40_000, 150_000
		v, ok := c.Scaled(r, -3, "Stats", "Temperature")
		if ok && v != 0 && v >= coldest && v <= hottest && isUp(r, "RadioStatus", base.Get(name), &c) {
			b.Add(catalogue.SensorTemperature, name, v)
		}
	})
	if err := c.Err(); err != nil {
		return err
	}
	if len(b.Readings) == given {
		return fmt.Errorf("%w: no radio tells its temperature", collector.ErrNoData)
	}
	return nil
}
