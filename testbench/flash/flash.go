package flash

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"time"

	"livebox-agent/buffer"
	"livebox-agent/collector/catalogue"
)

// What the simulated box does.
const (
	WindowsPerDay = 288
	EventsPerDay  = 8
	columnBytes   = 1100
	summaryBytes  = 400
	eventBytes    = 200
	headerBytes   = 60
	step          = time.Minute
	windowEvery   = 24 * time.Hour / WindowsPerDay
	eventEvery    = 24 * time.Hour / EventsPerDay
)

// A Box is a simulated agent with a real buffer in a directory.
type Box struct {
	*buffer.Store
	now             atomic.Int64 // since the kernel booted
	run             buffer.Run
	windows, events uint64
	rnd             *rand.PCG
}

// NewBox opens a buffer in dir.
func NewBox(dir string, cfg buffer.Config) *Box {
	b := &Box{
		run: buffer.Run{ID: 1, Counter: 1, KernelBoot: 1},
		rnd: rand.NewPCG(5, 6),
	}
	b.now.Store(int64(time.Minute))
	b.Store = buffer.Open(cfg, buffer.Options{
		Dir: dir, Now: b.Now, KernelBoot: b.run.KernelBoot,
	})
	return b
}

// Now is the time since the box's kernel booted.
func (b *Box) Now() time.Duration { return time.Duration(b.now.Load()) }

// random returns n bytes that do not compress.
func (b *Box) random(n int) []byte {
	p := make([]byte, 0, n+8)
	for len(p) < n {
		p = binary.BigEndian.AppendUint64(p, b.rnd.Uint64())
	}
	return p[:n]
}

func (b *Box) report(lane buffer.Lane, sequence uint64) buffer.Report {
	return buffer.Report{
		Key:    buffer.Key{Run: b.run, Lane: lane, Sequence: sequence},
		Opened: b.Now(), Sealed: b.Now(), Header: b.random(headerBytes),
	}
}

// Window appends one window.
func (b *Box) Window() error {
	b.windows++
	r := b.report(buffer.Windows, b.windows)
	for p := catalogue.Essential; p <= catalogue.Personalised; p++ {
		r.Sections = append(r.Sections,
			buffer.Section{Purpose: p, Fidelity: buffer.Columns, Body: b.random(columnBytes)},
			buffer.Section{Purpose: p, Fidelity: buffer.Summary, Body: b.random(summaryBytes)})
	}
	return b.Append(r)
}

// Event appends one event.
func (b *Box) Event() error {
	b.events++
	r := b.report(buffer.Events, b.events)
	r.Sections = []buffer.Section{{Purpose: catalogue.Essential, Fidelity: buffer.EventBody, Body: b.random(eventBytes)}}
	return b.Append(r)
}

// Pass lets d go by: windows are sealed, events happen if events is set, Tick
// is called each minute, and with up everything is acknowledged a minute after
// it was appended.
func (b *Box) Pass(d time.Duration, up, events bool) error {
	for end := b.Now() + d; b.Now() < end; {
		b.now.Add(int64(step))
		if up {
			b.Ack(b.run.ID, buffer.Windows, b.windows, nil)
			b.Ack(b.run.ID, buffer.Events, b.events, nil)
		}
		if b.Now()%windowEvery == 0 {
			if err := b.Window(); err != nil {
				return err
			}
		}
		if events && b.Now()%eventEvery == 0 {
			if err := b.Event(); err != nil {
				return err
			}
		}
		if err := b.Tick(); err != nil {
			return err
		}
	}
	return nil
}

// inTemp runs fn with a box in a directory of its own.
func inTemp(fn func(b *Box) error) (err error) {
	dir, err := os.MkdirTemp("", "flash")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := NewBox(dir, buffer.DefaultConfig())
	if c := b.Condition(); c.State != buffer.OK {
		return fmt.Errorf("buffer %v: %s", c.State, c.Reason)
	}
	return errors.Join(fn(b), b.Close())
}

// Day returns the bytes that the buffer counted as written and the commits it made in 24 hours
// of windows at the default configuration, with the backend up or down, and
// how many windows are held at the end.
func Day(up bool) (bytes int64, commits, held int, err error) {
	err = inTemp(func(b *Box) error {
		before := b.Stats()
		if err := b.Pass(24*time.Hour, up, false); err != nil {
			return err
		}
		after := b.Stats()
		bytes = after.FlashWritten - before.FlashWritten
		commits = int(after.Commits - before.Commits)
		held = after.Windows.RAMReports + after.Windows.FlashReports
		return nil
	})
	return bytes, commits, held, err
}

// Kept is what is left after an outage.
type Kept struct {
	// Windows and Events are how many were made, Held and HeldEvents how many
	// are left; Whole of the windows still have their columns.
	Windows, Held, Whole, Events, HeldEvents int
	// FileBytes is the size of the store, Written what all days together
	// wrote, WorstDay the most that one of them did.
	FileBytes, Written, WorstDay int64
}

// Outage returns what is left at the default configuration after days without
// the backend, with 8 events a day.
func Outage(days int) (k Kept, err error) {
	err = inTemp(func(b *Box) error {
		for range days {
			before := b.Stats().FlashWritten
			if err := b.Pass(24*time.Hour, false, true); err != nil {
				return err
			}
			k.WorstDay = max(k.WorstDay, b.Stats().FlashWritten-before)
		}
		k.Windows, k.Events = int(b.windows), int(b.events)
		k.Written, k.FileBytes = b.Stats().FlashWritten, b.Stats().FileBytes
		var after buffer.Key
		for {
			r, ok := b.Next(buffer.Windows, after)
			if !ok {
				break
			}
			after = r.Key
			k.Held++
			if len(r.Sections) == 6 {
				k.Whole++
			}
		}
		for after = (buffer.Key{}); ; k.HeldEvents++ {
			r, ok := b.Next(buffer.Events, after)
			if !ok {
				return nil
			}
			after = r.Key
		}
	})
	return k, err
}
