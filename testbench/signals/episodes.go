package signals

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"time"

	"livebox-agent/agent/detect"
	"livebox-agent/agent/episode"
	"livebox-agent/agent/rollcall"
	"livebox-agent/collector/sample"
	"livebox-agent/uplink/wire"
)

// An Outcome is an event that a box made of signs, in which of its boots, and when
// as the trace has it.
type Outcome struct {
	episode.Told
	Boot int
	Now  time.Duration
}

// dutiesEvery is how often the agent calls the roll.
const dutiesEvery = 30 * time.Second

// Gather lets a box see a home until the trace is that old, and returns the events
// that it makes: detectors, episodes and the call of the roll as the agent has
// them, started anew with the box. What was not told when the power failed is lost.
func Gather(cfg detect.Config, o Options, until time.Duration) []Outcome {
	return gatherFrom(cfg, o, until, func(*Home) {})
}

// gatherFrom is Gather of a home that is changed first.
func gatherFrom(cfg detect.Config, o Options, until time.Duration, change func(*Home)) (all []Outcome) {
	var h *Home
	var d *detect.Detectors
	var g *episode.Gatherer
	var roll *rollcall.Roll
	var marks []rollcall.Mark
	boot, last, ticked := 0, time.Duration(0), time.Duration(0)
	add := func(told []episode.Told) {
		for _, t := range told {
			all = append(all, Outcome{t, boot, h.Now})
		}
	}
	emit := func(s sample.Sign) { add(g.Add(s, h.up())) }
	o.Life = true
	h = New(o, Sink{
		Boot: func() {
			old, unasked := d, h != nil && !h.Asked
			d = detect.New(cfg)
			if old != nil {
				d.Restore(old.Baselines())
				if !unasked {
					add(g.Close(last))
				}
			}
			boot++
			ticked = 0
			g, roll = episode.New(), rollcall.New(func(string) bool { return true })
			roll.Restore(marks, 0, unasked)
		},
		Batch: func(b *sample.Batch) {
			last = b.At
			g.Observe(b)
			d.Observe(b, emit)
			roll.Observe(b)
			add(g.Tick(b.At))
			if b.At-ticked < dutiesEvery {
				return
			}
			ticked = b.At
			if missed := roll.Call(b.At); len(missed) > 0 {
				add(g.Restarted(append([]sample.Sign{{Kind: sample.Restarted}}, missed...), b.At))
			}
			if m, due := roll.Due(b.At); due {
				marks = m
				roll.Kept(m)
			}
		},
		Sign: func(s sample.Sign) { d.Notice(s, emit) },
	})
	change(h)
	h.Run(until)
	return all
}

// The kinds of episodes, as the table has them.
const (
	OfLine    = "line"
	OfRestart = "surge, since a restart"
	OfPorts   = "surge, of ports alone"
	OfMore    = "surge, of more"
)

// Kinds returns them in the order of the table.
func Kinds() []string { return []string{OfLine, OfRestart, OfPorts, OfMore} }

// EpisodeBudget is how many episodes of a kind an ordinary box may have in a year.
func EpisodeBudget(kind string) float64 {
	switch kind {
	case OfLine: // what was so: management, impulse noise
		return 8
	case OfRestart: // what stays off after a power cut
		return 4
	case OfPorts: // devices that sleep or start by chance at once, cables pulled together
		return 4
	}
	return 1
}

// what says in a few words what an episode of a kind is of, in ordinary life.
func what(kind string) string {
	switch kind {
	case OfLine:
		return "trainings at night, bursts of impulse noise: true, and harmless"
	case OfRestart:
		return "a device that stays off, or asleep, after a power cut"
	case OfPorts:
		return "two devices that sleep or start by chance within the trace's step of 10 s, cables pulled at once"
	}
	return "a port and a level or the line within seconds"
}

// kindOf names the kind of an episode by its last event.
func kindOf(e wire.Event) string {
	if e.Type == wire.Line {
		return OfLine
	}
	ports := true
	for _, v := range e.Evidence {
		switch v.Kind {
		case sample.Restarted:
			return OfRestart
		case sample.PortDown, sample.PortUp, sample.PortSlower, sample.PortDead, sample.Level:
		default:
			ports = false
		}
	}
	if ports {
		return OfPorts
	}
	return OfMore
}

// An Ordinary is what boxes told of a life in which nothing was struck.
type Ordinary struct {
	BoxYears float64
	// Episodes are by kind, Single are events by type that belong to none.
	Episodes map[string]int
	Single   map[wire.EventType]int
	// Events are all reports that came of signs.
	Events int
	// First is the first episode of each kind, as it was told at last, and Seeds
	// has the home.
	First map[string]wire.Event
	Seeds map[string]uint64
}

// OrdinaryLife watches so many homes for so many days each, seeds from seed on.
func OrdinaryLife(cfg detect.Config, seed uint64, homes, days int) Ordinary {
	r := Ordinary{
		BoxYears: float64(homes*days) / 365, Episodes: map[string]int{}, Single: map[wire.EventType]int{},
		First: map[string]wire.Event{}, Seeds: map[string]uint64{},
	}
	results := make([][]Outcome, homes)
	parallel(homes, func(i int) {
		results[i] = Gather(cfg, Options{Seed: seed + uint64(i)}, time.Duration(days)*day)
	})
	for i, all := range results {
		r.Events += len(all)
		for n, o := range all {
			if !o.Notice && o.To == 0 {
				r.Single[o.Event.Type]++
				continue
			}
			// An episode is of the kind that its last event says.
			later := func(l Outcome) bool { return l.same(o) }
			if slices.ContainsFunc(all[n+1:], later) {
				continue
			}
			k := kindOf(o.Event)
			if r.Episodes[k]++; r.Episodes[k] == 1 {
				r.First[k], r.Seeds[k] = o.Event, seed+uint64(i)
			}
		}
	}
	return r
}

// same tells whether two events are of one episode.
func (o Outcome) same(p Outcome) bool {
	return o.Boot == p.Boot && (o.Notice || o.To > 0) && o.Event.Attributes[0] == p.Event.Attributes[0]
}

// printEpisodes writes the table of episodes. The error says of which kind there
// were more than their budget.
func printEpisodes(w io.Writer, cfg detect.Config, run Run) error {
	r := OrdinaryLife(cfg, run.Seed, run.Homes, run.Days)
	fmt.Fprintf(w, `
Episodes of the same homes, in which nothing was struck, with what they are made of beside it: devices that stay off or asleep
after a power cut (%.0f %%), all cables pulled at once (%d times a year), restarts by the web page and by the plug. Other
events are those of single signs. %.0f reports a box-year in all.

| episode | in ordinary life | a box-year | budget |
|---|---|---|---|
`, 100*staysOff, cleanings, float64(r.Events)/r.BoxYears)
	var over []error
	for _, k := range Kinds() {
		fmt.Fprintf(w, "| %s | %s | %.2f | %.1f |\n", k, what(k), float64(r.Episodes[k])/r.BoxYears, EpisodeBudget(k))
		if n := r.Episodes[k]; n > int(math.Ceil(EpisodeBudget(k)*r.BoxYears)) {
			over = append(over, fmt.Errorf("episodes, %s: %d in %.1f box-years, first %+v of seed %d", k, n, r.BoxYears, r.First[k], r.Seeds[k]))
		}
	}
	for _, t := range slices.Sorted(maps.Keys(r.Single)) {
		fmt.Fprintf(w, "| none: %v | | %.2f | |\n", t, float64(r.Single[t])/r.BoxYears)
	}
	return errors.Join(over...)
}
