package storm

import (
	"slices"
	"time"
)

// A Result is what came of a scenario under a policy.
type Result struct {
	Scenario Scenario
	Policy   string

	offered []int32 // attempts of each second
	back    []int32 // boxes that were connected in each second
	busy    []bool  // the broker refused in this second
	late    []int32 // when each box was connected, in ticks; -1: never
	refused int64
	wasted  int64
	shed    int64

	tries []int64 // boxes by number of attempts
}

func newResult(sc Scenario, policy string, ticks int) *Result {
	seconds := ticks/int(perFlash) + 1
	r := &Result{
		Scenario: sc, Policy: policy,
		offered: make([]int32, seconds), back: make([]int32, seconds), busy: make([]bool, seconds),
		late: make([]int32, sc.Boxes),
	}
	for i := range r.late {
		r.late[i] = -1
	}
	return r
}

func (r *Result) connected(box int32, at time.Duration) {
	t := int32(at / tick)
	r.late[box] = t
	if s := int(t / perFlash); s < len(r.back) {
		r.back[s]++
	}
}

func (r *Result) finish(attempts []uint16) {
	r.tries = make([]int64, int(slices.Max(attempts))+1)
	for _, n := range attempts {
		r.tries[n]++
	}
}
