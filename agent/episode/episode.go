package episode

import (
	"slices"
	"strconv"
	"time"

	"livebox-agent/agent/allowance"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
	"livebox-agent/uplink/wire"
)

const (
	// lookback is how long before its opening a sign belongs to an episode:
	// sources are asked each 10 s, so that signs of one instant come apart.
	lookback = 12 * time.Second
	// together is how far apart two ports lose their links that one surge took:
	// those are pushed, by a kernel that may be a second late. Devices that sleep or
	// start by chance at once are further apart, nearly always.
	together = 3 * time.Second
	// gap without a sign ends an episode, but not before settle: a line takes a
	// minute or two to train anew, and what it comes to is what is asked for.
	gap    = 30 * time.Second
	settle = 3 * time.Minute
	// longest ends it whatever comes.
	longest = 10 * time.Minute
	// stale is the age of a reading that no longer tells what was before.
	stale = 3 * time.Minute

	// recordBefore is what of the flight recorder belongs to an episode, before
	// its opening.
	recordBefore = 10 * time.Minute

	// maxEvidence bounds the evidence of one event, without the levels.
	maxEvidence = 48
	// maxRecent bounds the signs that wait for an episode to open.
	maxRecent = 32
)

// Limits: episodes of the line alone and those of more each have 6 at once and one
// more each two hours after that, so that a line which trains all day keeps no
// surge from being told; each type of other event has 4 and one each four hours,
// so that none keeps another from being told. An episode has four events at most:
// 204 events on the first day and 132 on those after it where nothing ever ends. An
// event is a commit of some 20 kB (go test -run WorstDay -v ./agent), so that is
// 4.1 MB of flash and 2.6 MB, of the 4 MiB a day that the store may write.
const (
	burst       = 6
	every       = 2 * time.Hour
	burstOthers = 4
	everyOther  = 4 * time.Hour
	// maxNotices bounds the notices of one episode: the first, and one each time
	// that the evidence becomes of more.
	maxNotices = 3
)

// Told is an event that is due.
type Told struct {
	Event   wire.Event
	Purpose catalogue.Purpose
	// Notice: the power may fail at any moment.
	Notice bool
	// From and To are what of the flight recorder belongs to it; To is zero
	// where nothing does.
	From, To time.Duration
}

// A Gatherer makes events of signs. It is not safe for concurrent use.
type Gatherer struct {
	recent   []sample.Sign // that have opened nothing yet, oldest first
	levels   levels
	now      *episode // nil: none
	episodes uint64
	lines    allowance.Allowance // of episodes of the line alone
	surges   allowance.Allowance // of the others
	others   map[wire.EventType]*allowance.Allowance
	untold   uint64
	unread   uint64 // messages of the kernel that were lost, of which no event has told
}

// New returns a Gatherer that has seen nothing.
func New() *Gatherer {
	g := &Gatherer{
		lines:  allowance.Allowance{Burst: burst, Every: every},
		surges: allowance.Allowance{Burst: burst, Every: every},
		others: map[wire.EventType]*allowance.Allowance{},
	}
	for _, t := range types {
		g.others[t] = &allowance.Allowance{Burst: burstOthers, Every: everyOther}
	}
	return g
}

// An episode is one that is open.
type episode struct {
	number   uint64
	opened   time.Duration // the first sign's time
	last     time.Duration // the latest sign's
	evidence []wire.Evidence
	more     uint64   // signs beyond maxEvidence
	lost     []string // ports that lost their link and have none yet
	parts    parts    // what the evidence is of
	notices  int      // told
}

// Observe takes readings, for the values before and after.
func (g *Gatherer) Observe(b *sample.Batch) { g.levels.observe(b) }

// Add takes a sign and returns what is due because of it. Signs come in the
// order of their times, nearly: a poll tells later than a push.
func (g *Gatherer) Add(s sample.Sign, now time.Duration) []Told {
	told := g.Tick(now)
	what := classes[s.Kind]
	if what == alone || s.Kind == sample.Stepped && part(s) == 0 {
		return append(told, g.single(s, now)...)
	}
	if g.now != nil {
		return append(told, g.follow(s, now)...)
	}
	if len(g.recent) == maxRecent {
		told = append(told, g.expire(now)...)
	}
	g.recent = append(g.recent, s)
	if what == opens || what == joins && g.suspicious() {
		told = append(told, g.open(now)...)
	}
	return told
}

// Restarted takes what is missed since the box restarted without being asked,
// with what is known of the restart: one episode, told at once.
func (g *Gatherer) Restarted(signs []sample.Sign, now time.Duration) []Told {
	told := g.Tick(now)
	if len(signs) == 0 {
		return told
	}
	e := g.now
	if e == nil {
		e = g.begin(now)
	}
	for _, s := range signs {
		e.add(s)
	}
	e.last = max(e.last, now)
	return append(told, g.notify(e, now)...)
}

// suspicious tells whether signs that mean nothing alone came together.
func (g *Gatherer) suspicious() bool {
	for i, s := range g.recent {
		for _, f := range g.recent[:i] {
			if classes[s.Kind] != joins || classes[f.Kind] != joins {
				continue
			}
			if part(s) != part(f) || s.Kind == sample.PortDown && s.Instance != f.Instance && (s.At-f.At).Abs() <= together {
				return true
			}
		}
	}
	return false
}

// open starts an episode with all signs that wait, and tells of it.
func (g *Gatherer) open(now time.Duration) []Told {
	e := g.begin(g.recent[0].At)
	e.last = now
	return g.notify(e, now)
}

// begin makes an episode of the signs that wait.
func (g *Gatherer) begin(at time.Duration) *episode {
	g.episodes++
	g.now = &episode{number: g.episodes, opened: at}
	for _, s := range g.recent {
		g.now.add(s)
	}
	g.recent = g.recent[:0]
	g.levels.open(at, stale)
	return g.now
}

// follow takes a sign into the episode that is open. What makes it one of more
// than it was may be the last that there is time for, so that is told too.
func (g *Gatherer) follow(s sample.Sign, now time.Duration) []Told {
	e := g.now
	parts, lost := e.parts, len(e.lost)
	e.add(s)
	if e.parts == parts && len(e.lost) <= lost || e.notices == maxNotices {
		return nil
	}
	return g.notify(e, now)
}

// notify tells what an episode has so far. The first notice needs a token of the
// episode's kind; an episode that had none may become one of another kind.
func (g *Gatherer) notify(e *episode, now time.Duration) []Told {
	tokens := &g.surges
	if e.kind() == wire.Line {
		tokens = &g.lines
	}
	if e.notices == 0 && !tokens.Take(now) {
		return nil
	}
	e.notices++
	return []Told{{Event: g.event(e, "notice"), Purpose: catalogue.Essential, Notice: true}}
}

// Tick ends an episode whose time has come, and tells what it came to.
func (g *Gatherer) Tick(now time.Duration) []Told {
	var told []Told
	for len(g.recent) > 0 && now-g.recent[0].At > lookback {
		told = append(told, g.expire(now)...)
	}
	if g.now != nil && now >= g.now.ends() {
		told = append(told, g.end(now)...)
	}
	return told
}

// Next returns when Tick has something to do; ok is false where it never has.
func (g *Gatherer) Next() (at time.Duration, ok bool) {
	if g.now != nil {
		return g.now.ends(), true
	}
	if len(g.recent) > 0 {
		return g.recent[0].At + lookback + time.Millisecond, true
	}
	return 0, false
}

// Close ends an open episode before its time, and lets go of what waits: the
// agent stops.
func (g *Gatherer) Close(now time.Duration) []Told {
	var told []Told
	for len(g.recent) > 0 {
		told = append(told, g.expire(now)...)
	}
	if g.now != nil {
		told = append(told, g.end(now)...)
	}
	return told
}

// Suspicious tells whether a sign may be the first of an episode: what else the
// box can tell is worth asking for at once.
func Suspicious(s sample.Sign) bool {
	c := classes[s.Kind]
	return c == opens || c == joins
}

func (e *episode) ends() time.Duration {
	return min(max(e.last+gap, e.opened+settle), e.opened+longest)
}

// end tells what an episode came to.
func (g *Gatherer) end(now time.Duration) []Told {
	e := g.now
	g.now = nil
	if e.notices == 0 {
		g.untold++
		return nil
	}
	e.dead(now)
	e.evidence = append(e.evidence, g.levels.told()...)
	t := Told{
		Event: g.event(e, "whole"), Purpose: catalogue.Essential,
		From: max(e.opened-recordBefore, 0), To: now,
	}
	return []Told{t}
}

// dead adds the ports that lost their link in the episode and have none at its
// end, in the order of their loss.
func (e *episode) dead(now time.Duration) {
	for _, instance := range e.lost {
		e.evidence = append(e.evidence, wire.Evidence{Sign: sample.Sign{At: now, Kind: sample.PortDead, Instance: instance}})
	}
}

// add takes a sign into the evidence. What was seen before is counted, and the
// value that it came to is the last.
func (e *episode) add(s sample.Sign) {
	e.last = max(e.last, s.At)
	e.parts |= part(s)
	switch s.Kind {
	case sample.PortDown:
		if !slices.Contains(e.lost, s.Instance) && len(e.lost) < maxEvidence {
			e.lost = append(e.lost, s.Instance)
		}
	case sample.PortUp, sample.PortSlower:
		e.lost = slices.DeleteFunc(e.lost, func(i string) bool { return i == s.Instance })
	}
	for i := range e.evidence {
		if v := &e.evidence[i]; v.Kind == s.Kind && v.Instance == s.Instance && v.Metric == s.Metric {
			v.Count = max(v.Count, 1) + 1
			v.After = s.After
			return
		}
	}
	if len(e.evidence) == maxEvidence {
		e.more++
		return
	}
	e.evidence = append(e.evidence, wire.Evidence{Sign: s})
}

// event puts what an episode has into the words of the wire.
func (g *Gatherer) event(e *episode, which string) wire.Event {
	ev := wire.Event{
		Type: e.kind(), At: e.opened,
		Attributes: []wire.Attribute{{Key: "episode", Value: strconv.FormatUint(e.number, 10)}, {Key: "part", Value: which}},
		Evidence:   slices.Clone(e.evidence),
	}
	if e.more > 0 {
		ev.Attributes = append(ev.Attributes, wire.Attribute{Key: "more", Value: strconv.FormatUint(e.more, 10)})
	}
	return g.owning(ev)
}

// kind says what the evidence is of: the line alone, or more.
func (e *episode) kind() wire.EventType {
	if e.parts == ofLine {
		return wire.Line
	}
	return wire.Surge
}

// owning adds what could not be told before this event: how many others, and how
// many messages of the kernel no one has read.
func (g *Gatherer) owning(e wire.Event) wire.Event {
	for _, c := range []struct {
		key string
		n   *uint64
	}{{"untold", &g.untold}, {"messages_lost", &g.unread}} {
		if *c.n > 0 {
			e.Attributes = append(e.Attributes, wire.Attribute{Key: c.key, Value: strconv.FormatUint(*c.n, 10)})
			*c.n = 0
		}
	}
	return e
}

// expire lets go of the oldest sign that waits: it opened nothing.
func (g *Gatherer) expire(now time.Duration) []Told {
	s := g.recent[0]
	g.recent = slices.Delete(g.recent, 0, 1)
	switch s.Kind {
	case sample.Stepped:
		return g.single(s, now)
	case sample.KernelMessagesLost:
		g.unread += uint64(max(0, s.After-s.Before))
	}
	return nil
}

// single tells a sign that is an event of its own.
func (g *Gatherer) single(s sample.Sign, now time.Duration) []Told {
	if !g.others[types[s.Kind]].Take(now) {
		g.untold++
		return nil
	}
	return []Told{{
		Event:   g.owning(wire.Event{Type: types[s.Kind], At: s.At, Evidence: []wire.Evidence{{Sign: s}}}),
		Purpose: s.Purpose(),
	}}
}
