package storage

import (
	"errors"
	"fmt"
	"os"
	"time"

	"livebox-agent/buffer"
)

// A shortage is a limit that is reached.
type shortage struct {
	name    string
	cfg     buffer.Config
	windows int
}

// shortages are the limits that Config has.
func shortages() []shortage {
	flash := smallConfig()
	memory := smallConfig()
	memory.FlashBytes = 0
	day := buffer.DefaultConfig()
	day.RAMBytes, day.FlashDailyBytes = 64<<10, 512<<10
	return []shortage{
		{"flash limit reached", flash, 600},
		{"memory limit reached, no flash", memory, 600},
		{"the day's flash bytes written", day, 3 * 288},
	}
}

// Shortage is what came of reaching a limit.
type Shortage struct {
	Verdict

	Made, Kept, Whole int
	// Dropped and Thinned are what the ledger told, all of it by events.
	Dropped, Thinned int
	FlashBytes       int64
	// OutOfOrder are events that went before windows, and reports of the onset
	// or of the end of the outage that went while there were others.
	OutOfOrder int
}

// The onset and the end of an outage, as buffer/doc.go has it.
const onset, end = 12, 36

// runShort reaches the limit during an outage, and adds up what is there and
// what the events tell.
func runShort(s shortage) (r Shortage, err error) {
	dir, err := os.MkdirTemp("", "pressure")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	log := newPromises(func() int { return 0 })
	b := newBox(dir, s.cfg, log)
	if err := b.start(allPurposes); err != nil {
		return r, err
	}
	for n := range s.windows {
		err = errors.Join(err, b.window(3000), b.store.Tick())
		if n%100 == 99 {
			err = errors.Join(err, b.event(nil))
		}
		if n%40 == 39 { // as the agent: gathered, then told by an event
			err = errors.Join(err, b.tellLosses())
		}
	}
	b.now += 25 * time.Hour // bytes for the last of the ledger
	err = errors.Join(err, b.store.Tick(), b.tellLosses())
	if err != nil {
		return r, err
	}
	r.add(log.addUp(&r, b))
	r.FlashBytes = b.store.Stats().FlashWritten
	if err := b.store.Close(); err != nil && !errors.Is(err, buffer.ErrNotDurable) {
		return r, err
	}
	return r, b.root.Close()
}

// addUp compares what is there and what was told with what was made.
func (l *promises) addUp(r *Shortage, b *box) (v Verdict) {
	there := l.walk(&v, 0, b.store, append(b.store.Losses(), l.allTold()...), b.run.ID)
	if left := b.store.Losses(); len(left) > 0 {
		v.problem("%d losses were not told", len(left))
	}
	for _, loss := range l.allTold() {
		switch loss.Reason {
		case buffer.Full:
			r.Dropped += int(loss.Count)
		case buffer.Thinned:
			r.Thinned += int(loss.Count)
		default:
			v.problem("told as %v: %+v", loss.Reason, loss)
		}
	}
	made := 0
	for _, m := range l.reports {
		made++
		switch {
		case there[m.Key]:
			r.Kept++
		case m.Key.Lane == buffer.Events:
			r.OutOfOrder++
		case m.Key.Sequence <= onset, m.Key.Sequence > b.sequences[buffer.Windows]-end:
			r.OutOfOrder++
		}
	}
	r.Made = made
	var after buffer.Key
	for {
		w, ok := b.store.Next(buffer.Windows, after)
		if !ok {
			break
		}
		if after = w.Key; len(w.Sections) == 6 {
			r.Whole++
		}
	}
	if st := b.store.Stats(); int(st.Thinned) != r.Thinned || int(st.Dropped) != r.Dropped {
		v.problem("%d were thinned and %d dropped, %d and %d were told", st.Thinned, st.Dropped, r.Thinned, r.Dropped)
	}
	if missing := made - r.Kept; missing != r.Dropped {
		v.Lost += max(missing-r.Dropped, 0)
		v.problem("%d are missing and %d were told", missing, r.Dropped)
	}
	if r.OutOfOrder > 0 {
		v.problem("%d went out of their order", r.OutOfOrder)
	}
	return v
}

// allTold are the losses that events told. Those were dropped last of all, and
// an event that was dropped would be out of order.
func (l *promises) allTold() (all []buffer.Loss) {
	for _, m := range l.reports {
		all = append(all, m.losses...)
	}
	return all
}

// String says it for people.
func (r Shortage) String() string {
	return fmt.Sprintf("%d of %d kept, %d windows whole; told: %d dropped, %d thinned", r.Kept, r.Made, r.Whole, r.Dropped, r.Thinned)
}
