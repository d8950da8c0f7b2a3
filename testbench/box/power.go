package box

import (
	"fmt"
	"slices"
	"time"
)

// The flags that the box's watchdog keeps over a restart
// (include/uapi/linux/watchdog.h).
const (
	cardReset  = 0x20
	powerUnder = 0x10
)

const (
	// railVolts is the box's supply, lowVolts what its chip takes for too low.
	railVolts = 12.05
	lowVolts  = 10.8
	// alarmFor is how long an alarm stands: a file cannot tell when it is read.
	alarmFor = 20 * time.Second
	// dischargedAfter is how long a loss of power must last for the capacitors,
	// and what memory holds, to be gone: the box then starts as if it had never
	// run.
	dischargedAfter = time.Second
)

// power is what the box's kernel knows of its supply and of its end.
type power struct {
	bootstatus int
	crashes    int // records in pstore
	volts      float64
	lowest     float64
	highest    float64
	lowUntil   time.Duration // the alarm stands until then
	tripped    bool          // the protection device has worked
	// kilometres is the distance of the last strike; 0: out of range.
	kilometres int
	ports      map[string]*portState
}

// A portState is what differs from a port that works.
type portState struct {
	down  bool
	downs int
	mbits int // 0: what it is by itself
}

func newPower() power {
	return power{volts: railVolts, lowest: railVolts, highest: railVolts, ports: map[string]*portState{}}
}

// restart is the start of another run. What the protection device and the ports
// have suffered stays; counts and extremes begin anew.
func (p *power) restart(bootstatus int) {
	p.bootstatus = bootstatus
	p.lowest, p.highest, p.lowUntil = p.volts, p.volts, 0
	for _, s := range p.ports {
		s.downs = 0
	}
}

// rail notes a voltage at the time now.
func (p *power) rail(volts float64, now time.Duration) {
	p.lowest, p.highest = min(p.lowest, volts), max(p.highest, volts)
	if volts < lowVolts {
		p.lowUntil = now + alarmFor
	}
}

// PowerDip takes the mains away for some time. What is longer than HoldUp
// restarts the box, which could not say why it went down: its watchdog may
// know of an undervoltage, unless all was discharged.
func (b *Box) PowerDip(d time.Duration) {
	switch {
	case d > HoldUp && d < dischargedAfter:
		b.restart(restart{reason: "POR", bootstatus: powerUnder})
	case d > HoldUp:
		b.restart(restart{reason: "POR", discharged: true})
	default:
		w := b.at()
		defer b.mu.Unlock()
		w.power.rail(railVolts*(1-0.25*float64(d)/float64(HoldUp)), w.now)
		if w.power.lowest < lowVolts {
			b.say("hwmon hwmon3: Undervoltage detected!")
		}
	}
}

// Rail sets the box's supply, in volts.
func (b *Box) Rail(volts float64) {
	w := b.at()
	defer b.mu.Unlock()
	w.power.volts = volts
	w.power.rail(volts, w.now)
}

// Reboot restarts the box in order, as from its web page. The reason is what
// it logs, such as "TR069 reboot"; an empty one is "GUI reboot".
func (b *Box) Reboot(reason string) {
	if reason == "" {
		reason = "GUI reboot"
	}
	b.restart(restart{reason: "NMC", shutdown: reason})
}

// Crash lets the box's watchdog restart it.
func (b *Box) Crash() { b.restart(restart{reason: "Watchdog", bootstatus: cardReset}) }

// Panic lets the kernel crash, which leaves a record and the restart to the
// watchdog. Only Livebox 5 is known to have a word for it.
func (b *Box) Panic() {
	reason := "ERROR"
	if b.config.Model == "livebox5" {
		reason = "Oops"
	}
	b.restart(restart{reason: reason, bootstatus: cardReset, crash: true})
}

// A restart is the end of a run of the box and the start of the next.
type restart struct {
	// reason and shutdown are what the log of reboots says; an empty shutdown
	// means that the box could not say anything any more.
	reason, shutdown  string
	bootstatus        int
	crash, discharged bool
}

func (b *Box) restart(r restart) {
	w := b.at()
	defer b.mu.Unlock()
	w.restart(r.reason, r.shutdown)
	w.power.restart(r.bootstatus)
	switch {
	case r.crash:
		w.power.crashes++
	case r.discharged:
		w.power.crashes = 0 // they were kept in memory
	}
	b.forget()
	b.log.Info("box restarts", "reason", r.reason, "shutdown_reason", r.shutdown)
}

// Port takes the link of a port away or gives it back, at a speed in Mbit/s; 0
// is the port's own.
func (b *Box) Port(name string, up bool, mbits int) error {
	w := b.at()
	defer b.mu.Unlock()
	if !slices.Contains(w.p.ports, name) {
		return fmt.Errorf("port %s: there are %v", name, w.p.ports)
	}
	s := w.power.ports[name]
	if s == nil {
		s = &portState{}
		w.power.ports[name] = s
	}
	if s.down == up || s.mbits != mbits {
		if !s.down {
			s.downs++
			b.say(name + ": Link is Down")
		}
		s.down, s.mbits = !up, mbits
		if up {
			b.say(fmt.Sprintf("%s: Link is Up - %dMbps/Full", name, s.speed()))
		}
	}
	return nil
}

// speed returns what the port is negotiated to.
func (s *portState) speed() int {
	if s == nil || s.mbits == 0 {
		return 1000
	}
	return s.mbits
}

// Strike lets the lightning sensor hear a strike at a distance, which it tells
// to a kilometre and up to 40; beyond that it hears nothing.
func (b *Box) Strike(kilometres float64) error {
	w := b.at()
	defer b.mu.Unlock()
	if kilometres < 0 || kilometres != kilometres {
		return fmt.Errorf("%v km is no distance", kilometres)
	}
	if kilometres > 40 {
		return nil
	}
	w.power.kilometres = max(1, int(kilometres+0.5))
	b.devices.strike(byte(w.power.kilometres))
	return nil
}

// Trip lets the surge protection device work.
func (b *Box) Trip() {
	w := b.at()
	defer b.mu.Unlock()
	w.power.tripped = true
}

// KernelSays writes a message of the kernel.
func (b *Box) KernelSays(text string) {
	b.at()
	defer b.mu.Unlock()
	b.say(text)
}

// say does what KernelSays says. The caller holds mu.
func (b *Box) say(text string) { b.devices.say(text) }

// writePower shows what the kernel knows of power, of restarts, and of what is
// fitted: a watchdog, a chip at the supply, crash records, a lightning sensor,
// the contact of a protection device.
func (b *Box) writePower(t *treeWriter) {
	p := &b.world.power
	bit := func(v bool) string {
		if v {
			return "1"
		}
		return "0"
	}
	millivolts := func(v float64) string { return fmt.Sprint(int(v*1000 + 0.5)) }
	wander := 0.02 * b.world.chance.wander("rail", b.world.tick(), 10*time.Minute)
	distance := p.kilometres * 1000
	for name, content := range map[string]string{
		"class/watchdog/watchdog0/bootstatus": fmt.Sprint(p.bootstatus), "class/watchdog/watchdog0/identity": "SoC Watchdog",
		"class/watchdog/watchdog0/status": fmt.Sprintf("0x%x", 0x8000), "class/watchdog/watchdog0/state": "active",

		"class/hwmon/hwmon9/name": "ina219", "class/hwmon/hwmon9/in1_label": "12V",
		"class/hwmon/hwmon9/in1_input":     millivolts(p.volts + wander),
		"class/hwmon/hwmon9/in1_min_alarm": bit(b.world.now < p.lowUntil || p.volts < lowVolts),
		"class/hwmon/hwmon9/in1_max_alarm": bit(p.volts > 2*railVolts-lowVolts),
		"class/hwmon/hwmon9/in1_lowest":    millivolts(p.lowest), "class/hwmon/hwmon9/in1_highest": millivolts(p.highest),

		"bus/iio/devices/iio:device0/name":                "as3935",
		"bus/iio/devices/iio:device0/noise_level_tripped": "0",
		"bus/iio/devices/iio:device0/sensor_sensitivity":  "18",
		"bus/iio/devices/iio:device0/in_proximity_input":  fmt.Sprint(distance),
		"class/gpio/surge-protect/value":                  bit(p.tripped),
	} {
		t.file("sys/"+name, content)
	}
	for name, content := range map[string]string{
		"buffer/enable": "0", "buffer/length": "2", "scan_elements/in_proximity_en": "0",
		"scan_elements/in_timestamp_en": "0", "trigger/current_trigger": "",
	} {
		t.once("sys/bus/iio/devices/iio:device0/"+name, content)
	}
	t.crashes("sys/fs/pstore", p.crashes)
}
