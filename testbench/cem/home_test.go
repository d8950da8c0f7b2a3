package cem

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"livebox-agent/agent/clock"
	"livebox-agent/uplink/wire"
)

const (
	reportEvery = 5 * time.Minute
	spillAfter  = 15 * time.Minute
	// unsynchronised is how long after a time daemon's last word the agent no
	// longer believes the kernel's: 4 s at 500 ppm.
	unsynchronised = 8000 * time.Second
	// stepped: a time daemon steps a clock that is so far off, and slews another.
	stepped = 128 * time.Millisecond
	year    = 365 * 24 * time.Hour
)

// in1970 is where a box without a battery begins.
var in1970 = time.Unix(0, 0)

// A home is a box with the clocks of a real kernel, a time daemon and the
// agent's clock, and the CEM that it reports to. The truth is the bubble's
// clock, some decades later.
type home struct {
	t   *testing.T
	rng *rand.Rand
	dir string // of the agent's state
	cem *box

	// The kernel.
	boot         string
	boots        int
	up           time.Duration // since boot, by its oscillator
	off          time.Time     // the wall clock when up is 0
	free, steady float64       // error of the oscillator, without a time daemon and with what it learnt
	learnt       bool
	spoke        time.Duration // when the time daemon last spoke; negative: never since the last step
	polled       time.Duration

	// The network.
	ntp, wan bool
	lie      time.Duration // of the time server

	// The agent.
	clock      *clock.Clock
	sequence   uint64
	opened     time.Duration
	ram, flash []wire.Report // not acknowledged
	online     bool

	taken    []*taken // every reading
	inReport map[reportName][]*taken
}

type reportName struct{ run, sequence uint64 }

// A taken is one reading and its truth.
type taken struct {
	boot       int // the number of the boot
	kernelBoot uint32
	at         time.Duration
	truth      time.Time
	delivered  bool
}

func newHome(t *testing.T, seed uint64) *home {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	return &home{
		t: t, rng: rng, dir: t.TempDir(), cem: newBox("box1"), ntp: true, wan: true,
		free: ppm(rng, 45), steady: ppm(rng, 2), inReport: map[reportName][]*taken{},
	}
}

// ppm returns an error of at most so many millionths.
func ppm(rng *rand.Rand, most float64) float64 { return (2*rng.Float64() - 1) * most / 1e6 }

// truth is the time. A bubble begins in 2000.
func (h *home) truth() time.Time { return time.Now().Add(27 * year) }

func (h *home) wall() time.Time { return h.off.Add(h.up) }

func (h *home) synchronised() bool { return h.spoke >= 0 && h.up-h.spoke < unsynchronised }

// power boots the box, its clock at wall.
func (h *home) power(wall time.Time) {
	h.boots++
	h.boot = fmt.Sprintf("boot %d", h.boots)
	h.up = time.Duration(h.rng.IntN(30_000)) * time.Millisecond
	h.off, h.spoke, h.polled, h.learnt = wall.Add(-h.up), -1, 0, false
	h.start()
}

// start starts the agent.
func (h *home) start() {
	root, err := os.OpenRoot(h.dir)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { root.Close() })
	h.clock, err = clock.Open(root, clock.Host{
		Mono: func() time.Duration { return h.up }, Wall: h.wall, Synchronised: h.synchronised,
		BootID: func() ([]byte, error) { return []byte(h.boot), nil },
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.sequence, h.opened, h.online = 0, h.up, false
}

// kill ends the agent, or the power: what was in memory only is gone.
func (h *home) kill() { h.ram = nil }

// stop ends the agent as asked.
func (h *home) stop() {
	h.seal()
	h.flash, h.ram = append(h.flash, h.ram...), nil
	if err := h.clock.End(); err != nil {
		h.t.Fatal(err)
	}
}

// set sets the wall clock, as settimeofday(2) does.
func (h *home) set(wall time.Time) { h.off, h.spoke = wall.Add(-h.up), -1 }

// run lets time pass.
func (h *home) run(d time.Duration) {
	const tick = time.Minute
	for ; d > 0; d -= tick {
		<-time.After(tick)
		rate := h.free
		if h.learnt {
			rate = h.steady
		}
		h.up += tick + time.Duration(float64(tick)*rate)
		h.discipline()
		h.clock.Now()
		if h.up-h.opened >= reportEvery {
			h.seal()
		}
		h.spill()
		h.deliver()
	}
}

// discipline is the time daemon.
func (h *home) discipline() {
	every := time.Minute
	if h.learnt {
		every = 17 * time.Minute
	}
	if !h.ntp || h.up-h.polled < every {
		return
	}
	h.polled = h.up
	noise := time.Duration(h.rng.IntN(100)-50) * time.Millisecond
	wrong := h.wall().Sub(h.truth().Add(h.lie)) + noise
	if wrong.Abs() >= stepped {
		h.set(h.wall().Add(-wrong))
		return
	}
	h.up -= wrong // slewing moves both clocks
	h.learnt = h.learnt || h.spoke >= 0
	h.spoke = h.up
}

// seal makes a report of a few readings.
func (h *home) seal() {
	h.sequence++
	run := h.clock.Start().Run
	r := window(run, h.sequence)
	r.Opened, r.Sealed, h.opened = h.opened, h.up, h.up
	r.Sections = []wire.Section{upTime(h.up, int64(h.sequence))}
	now := h.truth()
	for i := range 3 {
		before := (r.Sealed - r.Opened) * time.Duration(i) / 2
		one := &taken{h.boots, run.KernelBoot, r.Sealed - before, now.Add(-before), false}
		h.taken = append(h.taken, one)
		h.inReport[reportName{run.ID, h.sequence}] = append(h.inReport[reportName{run.ID, h.sequence}], one)
	}
	h.ram = append(h.ram, r)
}

// spill writes what has waited to flash, and what is known of the clock.
func (h *home) spill() {
	for len(h.ram) > 0 && h.up-h.ram[0].Sealed >= spillAfter {
		h.flash, h.ram = append(h.flash, h.ram[0]), h.ram[1:]
	}
	if len(h.flash) > 0 {
		if err := h.clock.Keep(); err != nil {
			h.t.Fatal(err)
		}
	}
}

// deliver publishes what is buffered, as the agent does: the clock is put in
// now, whenever the report was made.
func (h *home) deliver() {
	if !h.wan {
		h.online = false
		return
	}
	run := h.clock.Start().Run
	if !h.online {
		h.online = true
		h.cem.foldStatus(message{subject: "cem.v1.box1.status", stored: h.truth(), payload: wire.AppendStatus(nil, wire.Status{
			Box: "box1", Online: true, Run: run, Clock: h.clock.Now(),
		})})
	}
	for _, r := range append(h.ram, h.flash...) {
		r.Clock = h.clock.At(r.Run.KernelBoot)
		h.cem.fold(message{subject: "cem.v1.box1.telemetry", stored: h.truth(), payload: encode(r)})
		for _, one := range h.inReport[reportName{r.Run.ID, r.Sequence}] {
			one.delivered = true
		}
		h.hold(h.inReport[reportName{r.Run.ID, r.Sequence}])
	}
	h.ram, h.flash = nil, nil
}

// A placing counts readings.
type placing struct {
	placed, unplaceable int
	worst               time.Duration
}

// hold checks that the CEM places each of these that it has within a second of
// the truth, or not at all.
func (h *home) hold(readings []*taken) (p placing) {
	h.t.Helper()
	s := BoxState{Boots: h.cem.bootStates()}
	for _, one := range readings {
		wall, ok := s.Place(one.kernelBoot, one.at)
		switch off := wall.Sub(one.truth).Abs(); {
		case !one.delivered:
		case !ok:
			p.unplaceable++
		case off > time.Second:
			h.t.Fatalf("boot %d, at %v: placed at %v, was at %v, %v off; %+v", one.boot, one.at, wall, one.truth, off, s.Boots)
		default:
			p.placed, p.worst = p.placed+1, max(p.worst, off)
		}
	}
	return p
}

// of returns the readings of one boot.
func (h *home) of(boot int) (all []*taken) {
	for _, one := range h.taken {
		if one.boot == boot {
			all = append(all, one)
		}
	}
	return all
}
