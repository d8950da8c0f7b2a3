package cem

import (
	"cmp"
	"slices"
	"time"

	"livebox-agent/uplink/wire"
)

const (
	// maxBoots bounds the boots of a kernel whose wall time is kept, the one not
	// heard of for longest going first, and maxSpans the spans of each, oldest
	// first out.
	maxBoots = 64
	maxSpans = 8
	// early is how far ahead of the broker's clock a box's may be.
	early = time.Second
	// apart is how far two spans of a boot may differ, beside what an
	// oscillator that is off by one in drift makes of the time between them.
	apart = 500 * time.Millisecond
	drift = 20_000 // 50 ppm
)

// A BootState is what is known of the wall time of one boot of a kernel.
type BootState struct {
	KernelBoot uint32
	// Spans are in order of their ends.
	Spans []Span
}

// A Span is a time during which a box's clock was synchronised and did not
// step. The clock's quality is always wire.ClockSynchronised.
type Span struct {
	wire.Clock
	// Refuted says that nothing is placed by it: it was ahead of the broker's
	// clock, or the box's clock has been put right since.
	Refuted bool
}

// Place returns the wall time of a time since a kernel's boot. It is within a
// second of the truth, or ok is false: SPEC.md says under which conditions.
func (s BoxState) Place(kernelBoot uint32, at time.Duration) (wall time.Time, ok bool) {
	for _, b := range s.Boots {
		if b.KernelBoot == kernelBoot {
			return b.place(at)
		}
	}
	return time.Time{}, false
}

// place uses the nearest span that reaches at.
func (b BootState) place(at time.Duration) (wall time.Time, ok bool) {
	var nearest time.Duration
	for _, s := range b.Spans {
		w, reached := s.Place(at)
		if s.Refuted || !reached {
			continue
		}
		if d := max(s.From-at, at-s.To, 0); !ok || d <= nearest {
			wall, ok, nearest = w.UTC(), true, d
		}
	}
	return wall, ok
}

// A boot is one boot of a kernel, folded.
type boot struct {
	spans []span // in order of their ends
	heard uint64 // order of the last message that told of it
}

type span struct {
	wire.Clock
	ahead bool // of the broker's clock
}

// learn takes a box's word for when a kernel booted, as the broker stored it.
func (b *box) learn(kernelBoot uint32, c wire.Clock, stored time.Time) {
	if c.Quality != wire.ClockSynchronised || c.From > c.To {
		return
	}
	at := b.boots[kernelBoot]
	if at == nil {
		if len(b.boots) == maxBoots {
			b.forgetBoot()
		}
		at = &boot{}
		b.boots[kernelBoot] = at
	}
	at.heard = b.clock
	at.learn(span{c, c.WallAtBoot.Add(c.To).After(stored.Add(early))})
}

func (b *box) forgetBoot() {
	oldest, first := uint32(0), true
	for k, o := range b.boots {
		if first || o.heard < b.boots[oldest].heard {
			oldest, first = k, false
		}
	}
	delete(b.boots, oldest)
}

// learn takes one span, whose order among others does not matter: it may come
// late or again.
func (b *boot) learn(s span) {
	i := slices.IndexFunc(b.spans, func(o span) bool { return o.From == s.From })
	switch {
	case i < 0:
		b.spans = push(b.spans, s, maxSpans)
	case s.To > b.spans[i].To:
		s.ahead = s.ahead || b.spans[i].ahead
		b.spans[i] = s
	default:
		b.spans[i].ahead = b.spans[i].ahead || s.ahead
	}
	slices.SortFunc(b.spans, func(x, y span) int { return cmp.Or(cmp.Compare(x.To, y.To), cmp.Compare(x.From, y.From)) })
}

// state judges the spans by the last of them that can be true.
func (b *boot) state(kernelBoot uint32) BootState {
	s := BootState{KernelBoot: kernelBoot}
	var last wire.Clock
	for _, o := range b.spans {
		if !o.ahead {
			last = o.Clock
		}
	}
	for _, o := range b.spans {
		free := max(last.From-o.To, 0)
		off := last.WallAtBoot.Sub(o.WallAtBoot).Abs()
		s.Spans = append(s.Spans, Span{o.Clock, o.ahead || off > apart+free/drift})
	}
	return s
}

// bootStates judges every boot.
func (b *box) bootStates() []BootState {
	states := make([]BootState, 0, len(b.boots))
	for k, o := range b.boots {
		states = append(states, o.state(k))
	}
	slices.SortFunc(states, func(x, y BootState) int { return cmp.Compare(x.KernelBoot, y.KernelBoot) })
	return states
}
