package storm

import (
	"math"
	"time"
)

// tick is the step of simulated time. A wait that ends within a step ends at
// the end of it.
const (
	tick     = 100 * time.Millisecond
	perTick  = float64(tick) / float64(time.Second)
	perFlash = int32(time.Second / tick)
)

// A Broker is the model of a broker, or of a cluster behind one address.
type Broker struct {
	// Rate is how many connects it completes in a second.
	Rate float64
	// Queue is how much work may wait, in connects. What comes beyond is
	// refused.
	Queue float64
	// RefusalCost is what a refusal costs it, in connects: little where a load
	// balancer resets, half where TLS was spoken first.
	RefusalCost float64
	// Patience is after how long a box in the queue gives up; the work for it
	// is done all the same.
	Patience time.Duration
	// Down is for how long it is dead at first: attempts fail at once.
	Down time.Duration
	// Shed is how long what waits in the queue may take before the broker
	// connects no more boxes but tells each, for ShedCost connects, to come
	// back later: within a time that it draws so that all whom it tells come
	// back at its rate. 0: it does not.
	Shed     time.Duration
	ShedCost float64
}

// A Fall is how a fleet lost its connections.
type Fall uint8

// The ways.
const (
	// PowerReturned: all boxes start in the same instant.
	PowerReturned Fall = iota
	// Reset: all boxes were connected, and notice in the same instant that the
	// broker is gone.
	Reset
	// Announced is Reset by a broker that told each box before, by retry_after,
	// when to come back.
	Announced
	// Silent: all boxes were connected, and each notices when it next expects
	// an answer.
	Silent
)

// A Scenario is a fleet, a broker and what happened.
type Scenario struct {
	Boxes  int
	Broker Broker
	Fall   Fall
	// Spread is over how long an announcing broker spreads its boxes.
	Spread time.Duration
	// Horizon is when the simulation ends.
	Horizon time.Duration
	Seed    uint64
}

// longUp is how long connections had lasted before they were lost.
const longUp = 24 * time.Hour

// A simulation is a Scenario under way. Time is in ticks; each box waits for
// its next attempt in the list of the tick at which it is due.
type simulation struct {
	Scenario

	policy   Policy
	heads    []int32 // first box of each tick, -1: none
	next     []int32 // box behind each box
	counts   []int32 // boxes in the list of each tick
	attempts []uint16
	rand     randomSource

	backlog float64 // work that waits, in connects
	told    float64 // when the last box is due that was told to come back, in seconds
	result  *Result
}

// randomSource is as much of rand.Rand as the simulation needs.
type randomSource interface {
	Float64() float64
	Int64N(n int64) int64
}

// Simulate runs a scenario with a policy, which is for this run only.
func Simulate(sc Scenario, p Policy) *Result {
	ticks := int(sc.Horizon/tick) + 1
	s := &simulation{
		Scenario: sc, policy: p,
		heads: make([]int32, ticks), next: make([]int32, sc.Boxes), counts: make([]int32, ticks),
		attempts: make([]uint16, sc.Boxes),
		rand:     random(sc.Seed, 3),
		result:   newResult(sc, p.Name(), ticks),
	}
	for i := range s.heads {
		s.heads[i] = -1
	}
	for box := range int32(sc.Boxes) {
		s.due(box, s.first(box))
	}
	for now := range int32(ticks) {
		s.step(now)
	}
	s.result.finish(s.attempts)
	return s.result
}

// first is when a box makes its first attempt.
func (s *simulation) first(box int32) time.Duration {
	switch s.Fall {
	case Announced:
		s.policy.RetryAfter(box, time.Second+time.Duration(s.rand.Int64N(int64(s.Spread))))
		return s.policy.Next(box, longUp)
	case Reset:
		return s.policy.Next(box, longUp)
	case Silent:
		return s.policy.Notice(box) + s.policy.Next(box, longUp)
	}
	return s.policy.Start(box)
}

// due puts a box into the list of its next attempt, or leaves it out where
// that comes too late.
func (s *simulation) due(box int32, at time.Duration) {
	t := int((at + tick - 1) / tick)
	if t >= len(s.heads) {
		return
	}
	s.next[box], s.heads[t] = s.heads[t], box
	s.counts[t]++
}

// step lets one tick pass.
func (s *simulation) step(now int32) {
	n := s.counts[now]
	s.result.offered[now/perFlash] += n
	at := time.Duration(now) * tick
	taken := int32(0)
	work := s.Broker.Rate * perTick
	down := at < s.Broker.Down
	if !down {
		taken = s.room(n, work)
		refused := float64(n-taken) * s.Broker.RefusalCost
		s.result.refused += int64(n - taken)
		if s.backlog >= s.Broker.Queue-1 || n > taken {
			s.result.busy[now/perFlash] = true
		}
		work = max(0, work-refused)
	}
	left := n
	for box := s.heads[now]; box >= 0; {
		following := s.next[box]
		s.attempts[box] = min(s.attempts[box]+1, math.MaxUint16-1)
		// Whoever comes in the same tick has the same chance.
		if taken > 0 && s.rand.Int64N(int64(left)) < int64(taken) {
			taken--
			s.take(box, at)
		} else {
			s.due(box, at+max(tick, s.policy.Next(box, 0)))
		}
		left--
		box = following
	}
	if !down {
		s.backlog = max(0, s.backlog-work)
	}
}

// room returns how many of n that come in one tick find a place, where work is
// what the broker can do in it.
func (s *simulation) room(n int32, work float64) int32 {
	c := s.Broker.RefusalCost
	free := s.Broker.Queue - s.backlog + work
	if float64(n) <= free {
		return n
	}
	// The refusals of the others take from the work, but not more than there is.
	m := (free - c*float64(n)) / (1 - c)
	m = max(m, s.Broker.Queue-s.backlog)
	return int32(min(max(m, 0), float64(n)))
}

// take puts a box into the broker's queue.
func (s *simulation) take(box int32, at time.Duration) {
	shed := s.Broker.Shed > 0 && s.backlog > s.Broker.Shed.Seconds()*s.Broker.Rate
	if shed {
		s.backlog += s.Broker.ShedCost
	} else {
		s.backlog++
	}
	wait := time.Duration(s.backlog / s.Broker.Rate * float64(time.Second))
	switch {
	case wait > s.Broker.Patience:
		s.result.wasted++
		s.due(box, at+s.Broker.Patience+s.policy.Next(box, 0))
	case shed:
		s.result.shed++
		s.told = max(s.told, at.Seconds()) + 1/s.Broker.Rate
		later := time.Duration((s.told - at.Seconds()) * float64(time.Second)).Truncate(time.Second)
		s.policy.RetryAfter(box, later)
		s.due(box, at+wait+max(tick, s.policy.Next(box, tick)))
	default:
		s.result.connected(box, at+wait)
	}
}
