package box

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// AddStation lets a device associate, and returns its address.
func (b *Box) AddStation(s Station) (mac string, err error) {
	st, notices, err := b.addStation(s)
	if err != nil {
		return "", err
	}
	b.notify(notices)
	return st.MAC, nil
}

func (b *Box) addStation(s Station) (*station, []notice, error) {
	w := b.at()
	defer b.mu.Unlock()
	if _, err := w.find(s.MAC); err == nil {
		return nil, nil, fmt.Errorf("station %s: is there already", s.MAC)
	}
	st := w.join(s)
	if st == nil {
		return nil, nil, fmt.Errorf("station: %s has no radio on %s", b.config.Model, s.Band)
	}
	b.tellStation(st, "device_added")
	return st, b.hostapdNotices(st, "auth", "assoc", "sta-authorized"), nil
}

// FailStation lets a device try to join so many times with the wrong key.
func (b *Box) FailStation(s Station, times int) error {
	notices, err := b.failStation(s, times)
	b.notify(notices)
	return err
}

func (b *Box) failStation(s Station, times int) (notices []notice, err error) {
	w := b.at()
	defer b.mu.Unlock()
	if _, err := w.find(s.MAC); err == nil {
		return nil, fmt.Errorf("station %s: is there already", s.MAC)
	}
	st := w.join(s)
	if st == nil {
		return nil, fmt.Errorf("station: %s has no radio on %s", b.config.Model, s.Band)
	}
	w.stations = slices.DeleteFunc(w.stations, func(x *station) bool { return x == st })
	w.refused[st.radio.vaps[0]] += times
	for range times {
		// hostapd notices the wrong key in each of two messages.
		notices = append(notices, b.hostapdNotices(st, "auth", "assoc", "key-mismatch", "key-mismatch", "deauth")...)
	}
	return notices, nil
}

// MoveStation puts a device at a distance from the box, in metres.
func (b *Box) MoveStation(mac string, metres float64) error {
	w := b.at()
	defer b.mu.Unlock()
	st, err := w.find(mac)
	if err != nil {
		return err
	}
	if metres <= 0 || math.IsNaN(metres) {
		return fmt.Errorf("station %s: %v m is no distance", mac, metres)
	}
	st.Distance = metres
	b.tellStation(st, "wifi_device_updated")
	return nil
}

// RemoveStation lets a device go.
func (b *Box) RemoveStation(mac string) error {
	notices, err := b.removeStation(mac)
	b.notify(notices)
	return err
}

func (b *Box) removeStation(mac string) ([]notice, error) {
	w := b.at()
	defer b.mu.Unlock()
	st, err := w.find(mac)
	if err != nil {
		return nil, err
	}
	w.stations = slices.DeleteFunc(w.stations, func(s *station) bool { return s == st })
	b.tellStation(st, "device_deleted")
	return b.hostapdNotices(st, "deauth", "disassoc"), nil
}

// tellStation puts an event of a device on the event channels.
func (b *Box) tellStation(st *station, reason string) {
	b.happened("Devices.Device."+st.MAC, reason, obj(
		"Key", st.MAC, "PhysAddress", st.MAC, "Active", reason != "device_deleted",
		"InterfaceName", st.radio.vaps[0], "SignalStrength", st.signal(b.world),
	))
}

// Stations returns the addresses of the devices that are associated.
func (b *Box) Stations() []string {
	w := b.at()
	defer b.mu.Unlock()
	var macs []string
	for _, s := range w.stations {
		macs = append(macs, s.MAC)
	}
	return macs
}

// Traffic sets what wired hosts transfer on average, in bits per second from
// and to the network.
func (b *Box) Traffic(down, up float64) {
	w := b.at()
	defer b.mu.Unlock()
	w.down, w.up = max(down, 0), max(up, 0)
}

// DegradeLine adds noise to the copper line, in dB; what is negative takes it
// away again. A line without margin trains anew.
func (b *Box) DegradeLine(dB float64) {
	w := b.at()
	defer b.mu.Unlock()
	w.line.noise = max(w.line.noise+dB, 0)
}

// Retrain takes the copper line down and up again.
func (b *Box) Retrain() {
	w := b.at()
	defer b.mu.Unlock()
	w.line.retrain(w)
	w.noteWAN()
}

// StrikeLine lets a surge on the copper line do harm: its attenuation is dB more
// from now on, over restarts too, and it trains anew.
func (b *Box) StrikeLine(dB float64) {
	w := b.at()
	defer b.mu.Unlock()
	w.line.strike(w, max(dB, 0))
	w.noteWAN()
}

// BendFibre sets the loss that a bend adds, in dB. Below -30 dBm the module
// loses the exchange.
func (b *Box) BendFibre(dB float64) {
	w := b.at()
	defer b.mu.Unlock()
	w.fibre.loss = dB
	w.noteWAN()
}

// Heat makes the optical module warmer than it is at rest, in degrees.
func (b *Box) Heat(celsius int) {
	w := b.at()
	defer b.mu.Unlock()
	w.fibre.heat = celsius
}

// WAN lets the connection come or go while the line stays as it is.
func (b *Box) WAN(up bool) {
	w := b.at()
	defer b.mu.Unlock()
	w.wanOff = !up
	w.noteWAN()
}

// Backup gives the box a mobile modem, which carries what there is to carry while
// the connection is down, or takes it away.
func (b *Box) Backup(there bool) {
	w := b.at()
	defer b.mu.Unlock()
	w.modem = there
	w.noteWAN()
}

// HoldUp is how long a box bridges a loss of power.
const HoldUp = 20 * time.Millisecond

// Slow makes the box answer getMIBs after d and everything else after a tenth
// of that, one request at a time. 0 makes it quick. Real boxes need from 1 to
// 25 seconds.
func (b *Box) Slow(d time.Duration) {
	b.at()
	defer b.mu.Unlock()
	b.slow = max(d, 0)
}

// SetPassword changes the password of the user admin. Sessions go on.
func (b *Box) SetPassword(password string) {
	b.at()
	defer b.mu.Unlock()
	b.password = password
}

// Misbehave makes the box answer badly from now on, everything but logins.
func (b *Box) Misbehave(kind Misbehaviour) {
	b.at()
	defer b.mu.Unlock()
	b.misbehave = kind
}

// A Truth is what is really so, in the units of physics, to compare with what
// was measured.
type Truth struct {
	// Uptime is the time since the box booted.
	Uptime time.Duration
	// WANUp says whether the box is connected, LinkUp whether its line works.
	WANUp, LinkUp bool
	// WANReceived and WANSent are bytes since the boot.
	WANReceived, WANSent uint64
	// RxDBm and TxDBm are the optical powers, BiasMilliamps the laser's
	// current, Volts its supply; zero without optics.
	RxDBm, TxDBm, BiasMilliamps, Volts float64
	ModuleCelsius                      int
	// MarginDown and MarginUp are in dB, the rates in kbit/s; zero without a
	// copper line or while it trains.
	MarginDown, MarginUp float64
	RateDown, RateUp     float64
	Retrains             int
	// Signal is in dBm by the address of the station.
	Signal map[string]int
}

// Truth returns what is really so.
func (b *Box) Truth() Truth {
	w := b.at()
	defer b.mu.Unlock()
	wan := w.traffic[w.p.wanIntf]
	t := Truth{
		Uptime: w.now - w.booted, WANUp: w.wanUp(), LinkUp: w.linkUp(),
		WANReceived: uint64(wan.rxBytes), WANSent: uint64(wan.txBytes),
		Signal: map[string]int{},
	}
	if f := &w.fibre; f.rest.rx > 0 {
		dBm := func(register int) float64 { return 10 * math.Log10(float64(register)/10000) }
		t.RxDBm, t.TxDBm = dBm(f.rx()), dBm(f.rest.tx)
		t.BiasMilliamps, t.Volts, t.ModuleCelsius = float64(f.bias())*0.002, float64(f.rest.voltage)/1e4, f.celsius()
	}
	if l := &w.line; w.p.wan == wanDSL {
		t.Retrains = l.retrains
		if l.showtime(w.now) {
			t.MarginDown, t.MarginUp = l.margin(w, &l.down, "down"), l.margin(w, &l.up, "up")
			t.RateDown, t.RateUp = l.down.currentRate(), l.up.currentRate()
		}
	}
	for _, s := range w.stations {
		if s.active(w) {
			t.Signal[s.MAC] = s.signal(w)
		}
	}
	return t
}
