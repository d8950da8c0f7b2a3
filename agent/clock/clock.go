// Package clock gives the agent its time: which run this is, how long the
// kernel has been up, and, as one number for each boot, when that was.
//
// # What is promised
//
//   - Every start of the agent has an identity of its own, and starts are
//     counted for as long as the state directory can be written. A start counts
//     after every one whose reports wait, also where the record was lost.
//   - A wall clock that steps moves one number, the wall time of the kernel's
//     boot, and nothing that was measured.
//   - What was learnt of earlier boots is kept for the reports that they left.
//   - The wall time of a boot comes with the times between which the clock was
//     seen synchronised and that time held.
//   - A kernel on which monotonic time does not move as slept is found before
//     anything is measured.
//   - A state directory that cannot be read or written costs the count and the
//     earlier boots, never the start.
//   - A record that is damaged is replaced; one of a newer version, or that the
//     device does not give, is left alone.
package clock

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/buffer/durable"
	"livebox-agent/uplink/wire"
)

// Release is a time that had passed when this code was written: no true clock
// is before it.
var Release = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

const (
	fileName = "runs"
	// keptBoots bounds how many earlier boots are remembered.
	keptBoots = 64
	// steady is how far the wall time of the boot may move between the first
	// synchronisation of a span and the last. Slewing moves it not at all, since
	// it slews the time since boot alike; a step moves it.
	steady = 250 * time.Millisecond
	// aged is how much longer the clock must have been synchronised than flash
	// says for that to be worth a write: no more than what a span reaches
	// beyond its end, so that a loss of power costs no report its place.
	aged = wire.ReachAfter
	// maxError is the kernel's bound on the error of its clock from which on
	// the agent believes it no longer. The kernel adds 500 ppm, hence it is
	// reached 2.2 h after a time daemon last spoke; the kernel itself waits for
	// 16 s. Daemons that work speak each 1.1 h or more often.
	maxError = 4 * time.Second
	// together is how little time may pass while both clocks are read.
	together = 2 * time.Millisecond
)

// record is how the file of runs is kept.
var record = durable.Format{Magic: [4]byte{'L', 'B', 'R', 'N'}, Version: 1, Oldest: 1, Limit: 16 << 10}

// Values of Start.PreviousEnd.
const (
	EndClean   = "clean"
	EndUnclean = "unclean"
	EndFirst   = "first"   // there was no earlier run
	EndUnknown = "unknown" // the record of it could not be read
)

var errNoDirectory = errors.New("no state directory")

// A Host is where time comes from. The zero value is this machine.
type Host struct {
	// Mono returns the time since the kernel booted; nil: CLOCK_BOOTTIME.
	Mono func() time.Duration
	// Wall returns the wall clock; nil: the machine's.
	Wall func() time.Time
	// Synchronised tells whether the kernel says that its clock is
	// synchronised; nil: adjtimex(2).
	Synchronised func() bool
	// BootID returns what tells this boot of the kernel from others; nil:
	// /proc/sys/kernel/random/boot_id.
	BootID func() ([]byte, error)
}

// Mono returns the time since the kernel booted, time in suspend included.
func Mono() time.Duration {
	d, err := readBoot()
	if err != nil {
		panic("BUG: no CLOCK_BOOTTIME: " + err.Error()) // Check looks for it at the start
	}
	return d
}

// synchronised asks the kernel's own flag, which time daemons clear
// (adjtimex(2), STA_UNSYNC), and the bound on its error.
func synchronised() bool {
	var tx unix.Timex
	state, err := unix.Adjtimex(&tx)
	return err == nil && state != unix.TIME_ERROR && tx.Status&unix.STA_UNSYNC == 0 &&
		time.Duration(tx.Maxerror)*time.Microsecond <= maxError
}

func bootID() ([]byte, error) { return os.ReadFile("/proc/sys/kernel/random/boot_id") }

// A Start says how this run of the agent began.
type Start struct {
	Run wire.Run
	// PreviousEnd is how the run before ended.
	PreviousEnd string
	PreviousRun uint64
	// SameBoot tells that the run before was in the same boot of the kernel.
	SameBoot bool
}

// A Clock is the time of one run. It is safe for concurrent use.
type Clock struct {
	host  Host
	root  *os.Root // the state directory; nil: nothing is kept
	start Start

	mu    sync.Mutex // guards what follows
	state state
	said  boot  // what state on flash says of this boot
	alone error // why the file is left alone; nil: it may be written
	kept  error // why the last write came to nothing
}

// state is the file.
type state struct {
	Counter uint32 `json:"counter"`
	Run     uint64 `json:"run"`
	Clean   bool   `json:"clean"`
	// Floor is when the clock was last synchronised, in Unix milliseconds: a
	// clock that is not, and is before it, is wrong.
	Floor int64  `json:"floor"`
	Boots []boot `json:"boots"` // oldest first; the last is this one
}

// boot is what is known of one boot of the kernel.
type boot struct {
	Kernel  uint32            `json:"kernel"`
	Wall    int64             `json:"wall"` // at boot, Unix milliseconds
	Quality wire.ClockQuality `json:"quality"`
	// The span: when the clock was first and last seen synchronised, in
	// milliseconds since boot, and what Wall was at first.
	From   int64 `json:"from,omitempty"`
	To     int64 `json:"to,omitempty"`
	Anchor int64 `json:"anchor,omitempty"`
}

// Open starts a run: it reads the record of earlier runs in the state
// directory, counts this one and writes the record. Without a directory (nil)
// nothing is kept. The Clock is good whatever the error says; the error says
// that the count or the earlier boots were lost or could not be kept.
func Open(root *os.Root, h Host) (*Clock, error) {
	h = h.orMachine()
	c := &Clock{host: h, root: root}
	c.start.Run.ID = random()
	c.start.Run.KernelBoot = kernelBoot(h)

	err := c.read()
	switch {
	case err == nil:
		c.start.PreviousEnd, c.start.PreviousRun = EndUnclean, c.state.Run
		if c.state.Clean {
			c.start.PreviousEnd = EndClean
		}
	case errors.Is(err, fs.ErrNotExist):
		c.start.PreviousEnd, err = EndFirst, nil
	default:
		c.start.PreviousEnd, c.state = EndUnknown, state{}
	}
	if !durable.MayReplace(err) {
		c.alone = err
	}
	b := c.state.Boots
	c.start.SameBoot = len(b) > 0 && b[len(b)-1].Kernel == c.start.Run.KernelBoot
	if !c.start.SameBoot {
		c.state.Boots = append(b, boot{Kernel: c.start.Run.KernelBoot})
		if n := len(c.state.Boots) - keptBoots; n > 0 {
			c.state.Boots = c.state.Boots[n:]
		}
	}
	if c.alone == nil {
		c.state.Counter++
	}
	c.state.Run, c.state.Clean = c.start.Run.ID, false
	c.start.Run.Counter = c.state.Counter
	c.mu.Lock()
	defer c.mu.Unlock()
	c.observe()
	if werr := c.write(); c.alone == nil {
		err = errors.Join(err, werr)
	}
	return c, err
}

// CountAfter makes this run count after the run of that number, whose reports
// wait for the CEM: they are older whatever became of the record. It is called
// before anything is said of this run.
func (c *Clock) CountAfter(run uint32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Counter > run {
		return nil
	}
	c.state.Counter = run + min(1, math.MaxUint32-run)
	c.start.Run.Counter = c.state.Counter
	return c.write()
}

// Kept says why what is known of runs and boots is not on flash; nil: it is.
func (c *Clock) Kept() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept
}

func (h Host) orMachine() Host {
	if h.Mono == nil {
		h.Mono = Mono
	}
	if h.Wall == nil {
		h.Wall = time.Now
	}
	if h.Synchronised == nil {
		h.Synchronised = synchronised
	}
	if h.BootID == nil {
		h.BootID = bootID
	}
	return h
}

func random() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return binary.BigEndian.Uint64(b[:]) | 1
}

// kernelBoot hashes the kernel's boot identity to 32 bits: enough to tell the
// boots of one box apart, and not the identity itself. A box without one gets
// a random number for each run.
func kernelBoot(h Host) uint32 {
	id, err := h.BootID()
	if err != nil || len(bytes.TrimSpace(id)) == 0 {
		return uint32(random())
	}
	sum := sha256.Sum256(bytes.TrimSpace(id))
	return binary.BigEndian.Uint32(sum[:4])
}

func (c *Clock) read() error {
	if c.root == nil {
		return errNoDirectory
	}
	b, _, err := record.Read(c.root, fileName)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, &c.state); err != nil {
		return fmt.Errorf("read %s: %w: %w", fileName, durable.ErrDamaged, err)
	}
	return nil
}

func (c *Clock) write() error {
	c.kept = c.replace()
	return c.kept
}

func (c *Clock) replace() error {
	if c.alone != nil {
		return c.alone
	}
	b, err := json.Marshal(c.state)
	if err != nil {
		return err
	}
	if err := record.Write(c.root, fileName, b); err != nil {
		return err
	}
	c.said = c.state.Boots[len(c.state.Boots)-1]
	return nil
}

// observe takes the wall clock's word for when this boot was: a synchronised
// clock's whatever it said before, another's only as long as nothing better is
// known, and not where it is before a time that has passed. Callers hold mu.
func (c *Clock) observe() {
	now, mono, synced := c.host.both()
	at, quality := now.UnixMilli(), wire.ClockUnknown
	switch {
	case at < Release.UnixMilli():
	case synced:
		quality = wire.ClockSynchronised
		c.state.Floor = at
	case at >= c.state.Floor:
		quality = wire.ClockFloor
	}
	b := &c.state.Boots[len(c.state.Boots)-1]
	if quality < b.Quality {
		return // what was once known is not unlearnt
	}
	again := b.Quality == wire.ClockSynchronised
	b.Quality, b.Wall = quality, 0
	if quality != wire.ClockUnknown {
		b.Wall = now.Add(-mono).UnixMilli()
	}
	if quality != wire.ClockSynchronised {
		return
	}
	if !again || abs(b.Wall-b.Anchor) > steady {
		b.From, b.Anchor = mono.Milliseconds(), b.Wall
	}
	b.To = mono.Milliseconds()
}

// both reads the wall clock and the time since boot as of one instant, and
// whether the clock is synchronised: only if it was so before and after, since
// it may be stepped in between.
func (h Host) both() (wall time.Time, mono time.Duration, synced bool) {
	narrowest := time.Duration(math.MaxInt64)
	for range 5 { // another program may run between the three
		synchronised := h.Synchronised()
		before := h.Mono()
		now := h.Wall()
		width := h.Mono() - before
		synchronised = synchronised && h.Synchronised()
		if width < narrowest {
			narrowest, wall, mono, synced = width, now, before+width/2, synchronised
		}
		if width <= together {
			break
		}
	}
	return wall, mono, synced && narrowest <= steady
}

func abs(ms int64) time.Duration { return (time.Duration(ms) * time.Millisecond).Abs() }

// Start says how this run began.
func (c *Clock) Start() Start { return c.start }

// Mono returns the time since the kernel booted.
func (c *Clock) Mono() time.Duration { return c.host.Mono() }

// Now looks at the wall clock and returns when this boot was, as far as it is
// known.
func (c *Clock) Now() wire.Clock {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.observe()
	return c.state.Boots[len(c.state.Boots)-1].clock()
}

// At returns what is known of a boot of the kernel, this one or an earlier one.
func (c *Clock) At(kernelBoot uint32) wire.Clock {
	if kernelBoot == c.start.Run.KernelBoot {
		return c.Now()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.state.Boots {
		if b.Kernel == kernelBoot {
			return b.clock()
		}
	}
	return wire.Clock{}
}

func (b boot) clock() wire.Clock {
	if b.Quality == wire.ClockUnknown {
		return wire.Clock{}
	}
	return wire.Clock{
		WallAtBoot: time.UnixMilli(b.Wall), Quality: b.Quality,
		From: time.Duration(b.From) * time.Millisecond, To: time.Duration(b.To) * time.Millisecond,
	}
}

// Keep writes what was learnt of this boot to flash, if it is worth a write:
// the quality rose, the time of the boot moved, or it held for an hour more.
// The agent calls it when reports go to flash, so that they can be placed after
// a loss of power.
func (c *Clock) Keep() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.observe()
	b, said := c.state.Boots[len(c.state.Boots)-1], c.said
	if b.Quality == said.Quality && b.From == said.From && abs(b.Wall-said.Wall) <= steady && abs(b.To-said.To) < aged {
		return nil
	}
	return c.write()
}

// End records that this run ended as asked, with everything stored.
func (c *Clock) End() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.observe()
	c.state.Clean = true
	return c.write()
}
