package box

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Commands explains what Do takes.
const Commands = `  add [BAND [METRES [DOWN [UP]]]]
                   a device comes (bit/s); prints its address
  move MAC METRES  a device moves
  remove MAC       a device goes
  fail MAC [TIMES [BAND]]
                   a device tries to join, with the wrong key
  list             print the devices
  traffic DOWN UP  what wired hosts transfer, in bit/s
  noise DB         add noise to the copper line; negative takes it away
  retrain          the copper line trains anew
  surge DB         a surge takes dB of the copper line for good
  bend DB          bend the fibre
  heat CELSIUS     warm the optical module
  wan up|down      the connection comes or goes
  backup on|off    a mobile modem that stands in for the connection
  dip DURATION     the mains fail for a moment, such as 300ms
  reboot [REASON]  an orderly restart
  crash            the watchdog restarts the box
  watchdog         the same
  panic            its kernel crashes, and leaves a record
  rail VOLTS       set the supply, 12.05 by itself
  port NAME up|down [MBITS]
                   a port's link comes or goes
  strike [KM]      the lightning sensor hears a strike, such as 5km
  trip             the surge protection device works
  kmsg TEXT        the kernel says something
  slow DURATION    answer getMIBs after this, such as 25s; one at a time
  misbehave [KIND] answer badly; without KIND, well again
  truth            print what is really so`

// Do drives the box by one line of text, as Commands explains, and returns
// what there is to print.
func (b *Box) Do(line string) (string, error) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return "", nil
	}
	a := arguments{command: words[0], words: words[1:]}
	out, known := b.doStation(&a)
	if !known {
		out, known = b.doLine(&a)
	}
	if !known {
		known = b.doBox(&a) || b.doPower(&a)
	}
	switch {
	case !known:
		return "", fmt.Errorf("%s: no such command", words[0])
	case a.err != nil:
		return "", fmt.Errorf("%s: %w", words[0], a.err)
	}
	return out, nil
}

// doStation does what concerns devices.
func (b *Box) doStation(a *arguments) (out string, known bool) {
	switch a.command {
	case "add":
		s := Station{Band: a.text("5GHz"), Distance: a.number(5), Down: a.number(1e6), Up: a.number(1e5)}
		if a.done() {
			out, a.err = b.AddStation(s)
		}
	case "move":
		mac, metres := a.text(""), a.number(0)
		if a.done() {
			a.err = b.MoveStation(mac, metres)
		}
	case "remove":
		if mac := a.text(""); a.done() {
			a.err = b.RemoveStation(mac)
		}
	case "fail":
		mac, times, band := a.text(""), a.number(1), a.text("")
		if ok := times >= 1 && times <= 1000; !ok || mac == "" {
			a.fail(errors.New("an address, and from 1 to 1000 times"))
		}
		if a.done() {
			a.err = b.FailStation(Station{MAC: mac, Band: band}, int(times))
		}
	case "list":
		if a.done() {
			out = strings.Join(b.Stations(), "\n")
		}
	default:
		return "", false
	}
	return out, true
}

// doLine does what concerns lines and traffic.
func (b *Box) doLine(a *arguments) (out string, known bool) {
	switch a.command {
	case "traffic":
		if down, up := a.number(0), a.number(0); a.done() {
			b.Traffic(down, up)
		}
	case "noise":
		if dB := a.number(0); a.done() {
			b.DegradeLine(dB)
		}
	case "retrain":
		if a.done() {
			b.Retrain()
		}
	case "surge":
		if dB := a.number(0); a.done() {
			b.StrikeLine(dB)
		}
	case "bend":
		if dB := a.number(0); a.done() {
			b.BendFibre(dB)
		}
	case "heat":
		if celsius := a.number(0); a.done() {
			b.Heat(int(celsius))
		}
	case "wan":
		state := a.text("")
		if state != "up" && state != "down" {
			a.fail(fmt.Errorf("%q is neither up nor down", state))
		}
		if a.done() {
			b.WAN(state == "up")
		}
	case "backup":
		state := a.text("")
		if state != "on" && state != "off" {
			a.fail(fmt.Errorf("%q is neither on nor off", state))
		}
		if a.done() {
			b.Backup(state == "on")
		}
	case "truth":
		if a.done() {
			out = fmt.Sprintf("%+v", b.Truth())
		}
	default:
		return "", false
	}
	return out, true
}

// doBox does what concerns the box itself.
func (b *Box) doBox(a *arguments) (known bool) {
	switch a.command {
	case "reboot":
		b.Reboot(strings.Join(a.words, " "))
	case "slow":
		if d := a.duration(); a.done() {
			b.Slow(d)
		}
	case "misbehave":
		name := a.text("")
		kind, ok := Misbehaviours()[name]
		if !ok {
			a.fail(fmt.Errorf("no such kind: %q", name))
		}
		if a.done() {
			b.Misbehave(kind)
		}
	default:
		return false
	}
	return true
}

// doPower does what concerns the box's supply, its restarts, and what a surge
// does.
func (b *Box) doPower(a *arguments) (known bool) {
	switch a.command {
	case "dip":
		if d := a.duration(); a.done() {
			b.PowerDip(d)
		}
	case "crash", "watchdog":
		if a.done() {
			b.Crash()
		}
	case "panic":
		if a.done() {
			b.Panic()
		}
	case "rail":
		if volts := a.number(railVolts); a.done() {
			b.Rail(volts)
		}
	case "port":
		name, state, mbits := a.text(""), a.text(""), a.number(0)
		if state != "up" && state != "down" {
			a.fail(fmt.Errorf("%q is neither up nor down", state))
		}
		if a.done() {
			a.err = b.Port(name, state == "up", int(mbits))
		}
	case "strike":
		a.trim("km")
		if kilometres := a.number(5); a.done() {
			a.err = b.Strike(kilometres)
		}
	case "trip":
		if a.done() {
			b.Trip()
		}
	case "kmsg":
		b.KernelSays(strings.Join(a.words, " "))
	default:
		return false
	}
	return true
}

// arguments are the words of a command; err is what is wrong with them.
type arguments struct {
	command string
	words   []string
	err     error
}

func (a *arguments) fail(err error) {
	if a.err == nil {
		a.err = err
	}
}

// trim takes a unit from the end of the next word.
func (a *arguments) trim(unit string) {
	if len(a.words) > 0 {
		a.words[0] = strings.TrimSuffix(a.words[0], unit)
	}
}

// text takes the next word, or standard where there is none.
func (a *arguments) text(standard string) string {
	if len(a.words) == 0 {
		return standard
	}
	w := a.words[0]
	a.words = a.words[1:]
	return w
}

func (a *arguments) number(standard float64) float64 {
	w := a.text("")
	if w == "" {
		return standard
	}
	v, err := strconv.ParseFloat(w, 64)
	if err != nil {
		a.fail(fmt.Errorf("%q is no number", w))
	}
	return v
}

func (a *arguments) duration() time.Duration {
	d, err := time.ParseDuration(a.text(""))
	if err != nil {
		a.fail(err)
	}
	return d
}

// done says whether all words were taken and made sense.
func (a *arguments) done() bool {
	if len(a.words) > 0 {
		a.fail(fmt.Errorf("%q is too much", a.words[0]))
	}
	return a.err == nil
}
