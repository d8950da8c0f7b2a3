package box

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// step is how finely time passes in the model; recordEvery is how often
// HomeLan keeps a measure.
const (
	step        = 10 * time.Second
	recordEvery = 30 * time.Second
)

// traffic is what has passed an interface since the box booted, seen from the
// box.
type traffic struct {
	rxBytes, txBytes, rxPackets, txPackets float64
	rxDropped, txDropped, multicast        float64
	// rxKept and txKept are the bytes at the last measure of HomeLan.
	rxKept, txKept float64
	measures       []measure // oldest first
}

// A measure is what HomeLan keeps: bits in each direction since the one
// before.
type measure struct {
	at     time.Duration
	rx, tx uint64
}

// A boot is one entry of the log of reboots.
type boot struct {
	booted               time.Duration
	reason               string
	shutdown             time.Duration
	shutdownReason       string
	wasShutdown, running bool
}

// world is the state of the box, its lines and its surroundings. It knows
// nothing of how it is asked. All times are of the Config's clock.
type world struct {
	p      *personality
	chance chance
	now    time.Duration
	// booted is when the box, upAt when its services started.
	booted, upAt time.Duration
	bootTime     time.Duration
	boots        []boot // oldest first
	bootCounter  int
	firstBoots   int // what bootCounter was at first
	watchdogs    int

	traffic  map[string]*traffic
	stations []*station
	// refused are those that had the wrong key, by network, since the box
	// booted.
	refused map[string]int
	// down and up are bits per second of wired hosts.
	down, up float64
	line     dsl
	fibre    fibre
	power    power
	wanOff   bool
	wanSince time.Duration
	wanWasUp bool
	// modem says that one stands in for the connection.
	modem, wasOnBackup bool

	// happened is told what the event channel tells.
	happened func(handler, reason string, attributes *object)
}

func newWorld(p *personality, c Config) *world {
	w := &world{
		p: p, chance: chance(c.Seed), now: c.Clock(), bootTime: c.BootTime,
		traffic: map[string]*traffic{}, refused: map[string]int{}, down: 4e6, up: 4e5, happened: func(string, string, *object) {},
	}
	w.booted = w.now - c.Uptime
	w.upAt = w.booted
	w.wanSince = w.booted + 40*time.Second
	w.bootCounter = p.reboots + 12 + w.chance.below("boots", 100)
	w.firstBoots = w.bootCounter
	w.watchdogs = w.chance.below("watchdogs", 4)
	w.boots = []boot{
		{
			booted: w.booted - 40*24*time.Hour, reason: "NMC", shutdown: w.booted - 9*24*time.Hour,
			shutdownReason: "TR069 reboot", wasShutdown: true,
		},
		{booted: w.booted - 9*24*time.Hour + 80*time.Second, reason: "POR"},
		{booted: w.booted, reason: "POR", running: true},
	}
	for _, name := range w.interfaces() {
		// As if the box had been used since it booted.
		bytes := c.Uptime.Seconds() * 6e5 * (0.5 + w.chance.unit("used "+name, 0))
		w.traffic[name] = &traffic{
			rxBytes: bytes, txBytes: bytes / 9, rxPackets: bytes / 1100, txPackets: bytes / 9 / 400,
			multicast: c.Uptime.Seconds() / 7,
		}
	}
	w.line = newDSL(p, w.booted)
	w.fibre = newFibre(p)
	w.power = newPower()
	w.wanWasUp = true
	for i := range c.Stations {
		w.join(w.someStation(i))
	}
	return w
}

// interfaces returns the names of those with counters.
func (w *world) interfaces() []string {
	names := append([]string{w.p.wanIntf}, w.p.ports...)
	for _, r := range w.p.radios {
		names = append(names, r.vaps...)
	}
	return names
}

// up says whether the box's services run.
func (w *world) serving() bool { return w.now >= w.upAt }

// tick is the time at which what wanders is looked at, so that what passes
// in a step does not depend on how often somebody asked meanwhile.
func (w *world) tick() time.Duration { return w.now / step * step }

// linkUp says whether the line works.
func (w *world) linkUp() bool {
	switch w.p.wan {
	case wanDSL:
		return w.line.showtime(w.now)
	case wanEth:
		return true
	}
	return w.fibre.operation()
}

// wanUp says whether the box is connected.
func (w *world) wanUp() bool { return w.serving() && w.linkUp() && !w.wanOff }

// advance lets time pass until to.
func (w *world) advance(to time.Duration) {
	for w.now < to {
		next := min(to, (w.now/step+1)*step)
		if w.now < w.upAt {
			next = min(next, max(w.upAt, w.now+1))
		}
		w.pass(next - w.now)
		w.now = next
		if w.now%recordEvery == 0 && w.serving() {
			w.record()
		}
		w.noteWAN()
	}
}

// pass lets d pass, at most one step.
func (w *world) pass(d time.Duration) {
	if !w.serving() {
		return
	}
	seconds := d.Seconds()
	w.line.pass(w, d)
	bucket := int64(w.now / step)
	var down, up float64 // bits per second from and to the network
	for _, s := range w.stations {
		sd, su := s.pass(w, seconds, bucket)
		down, up = down+sd, up+su
	}
	share := 2 * w.chance.unit("wired", bucket)
	wiredDown, wiredUp := w.down*share, w.up*share
	if !w.wanUp() {
		wiredDown, wiredUp = 0, 0
	}
	port := w.traffic[w.wiredPort()]
	port.move(wiredUp*seconds/8, wiredDown*seconds/8)
	wan := w.traffic[w.p.wanIntf]
	wan.move((down+wiredDown)*seconds/8, (up+wiredUp)*seconds/8)
	for _, r := range w.p.radios {
		// Beacons and what is sent to all.
		w.traffic[r.vaps[0]].txPackets += 3 * seconds
		w.traffic[r.vaps[0]].txBytes += 3 * 120 * seconds
		w.traffic[r.vaps[0]].multicast += seconds / 7
	}
}

// wiredPort is the port that the wired hosts are at.
func (w *world) wiredPort() string { return w.p.ports[len(w.p.ports)-1] }

// move counts bytes that an interface received and sent.
func (t *traffic) move(rx, tx float64) {
	t.rxBytes += rx
	t.txBytes += tx
	t.rxPackets += rx / 1100
	t.txPackets += tx / 1100
}

// record keeps a measure of every interface.
func (w *world) record() {
	for _, name := range w.interfaces() {
		t := w.traffic[name]
		m := measure{
			at: w.now,
			rx: 8 * (uint64(t.rxBytes) - uint64(t.rxKept)),
			tx: 8 * (uint64(t.txBytes) - uint64(t.txKept)),
		}
		t.rxKept, t.txKept = t.rxBytes, t.txBytes
		// Twice as many as are told, so that the oldest seldom move.
		if n := len(t.measures); n >= 2*max(w.p.records, 1) {
			t.measures = slices.Delete(t.measures, 0, n-w.p.records)
		}
		t.measures = append(t.measures, m)
		if m.rx+m.tx > 0 {
			w.happened("HomeLan.Interface."+w.homeLanKey(name)+".Stats", "Statistics", obj(
				"BytesSent", w.count(t.txBytes), "BytesReceived", w.count(t.rxBytes),
			))
		}
	}
}

// homeLanKey returns the key under which HomeLan lists an interface.
func (w *world) homeLanKey(name string) string {
	for _, l := range w.p.lan {
		if l.name == name {
			return l.key
		}
	}
	return name
}

// noteWAN tells that the connection came or went.
func (w *world) noteWAN() {
	up, backup := w.wanUp(), w.onBackup()
	if up == w.wanWasUp && backup == w.wasOnBackup {
		return
	}
	if up != w.wanWasUp {
		w.wanWasUp, w.wanSince = up, w.now
	}
	w.wasOnBackup = backup
	w.happened("NMC", "changed", obj("WanState", upDown(up || backup)))
}

// onBackup says whether the modem carries what the connection does not.
func (w *world) onBackup() bool { return w.modem && !w.wanUp() && w.serving() }

func upDown(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

// count returns a counter as the box's interfaces show it.
func (w *world) count(v float64) uint64 {
	if w.p.wide {
		return uint64(v)
	}
	return low32(v)
}

// low32 returns what a counter of 32 bits shows.
func low32(v float64) uint64 { return uint64(v) & math.MaxUint32 }

// restart is the end of one run of the box and the start of the next. The
// reason is as the box names it; an empty shutdown means that the box could
// not say anything any more.
func (w *world) restart(reason, shutdown string) {
	if n := len(w.boots); n > 0 {
		last := &w.boots[n-1]
		last.running = false
		if shutdown != "" {
			last.wasShutdown, last.shutdown, last.shutdownReason = true, w.now, shutdown
		}
	}
	w.booted, w.upAt = w.now, w.now+w.bootTime
	w.boots = append(w.boots, boot{booted: w.upAt, reason: reason, running: true})
	if len(w.boots) > 10 {
		w.boots = w.boots[len(w.boots)-10:]
	}
	w.bootCounter++
	if reason == "Watchdog" || reason == "Oops" {
		w.watchdogs++
	}
	for _, t := range w.traffic {
		*t = traffic{}
	}
	for _, s := range w.stations {
		s.associate(w.upAt)
	}
	clear(w.refused)
	w.line.boot(w.upAt)
	w.wanWasUp, w.wanSince = false, w.upAt
	w.wasOnBackup = false
}

// find returns the station of an address.
func (w *world) find(mac string) (*station, error) {
	for _, s := range w.stations {
		if s.MAC == mac {
			return s, nil
		}
	}
	return nil, fmt.Errorf("station %s: not there", mac)
}
