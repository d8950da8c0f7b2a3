package cem

import "time"

// An Interruption is the time between two runs within one boot of the kernel,
// whose clock went on.
type Interruption struct {
	// Before and After are the runs' identities.
	Before, After uint64
	// From is the end of the last delivered window of the one, To the start of
	// the first of the other, since the kernel's boot. A run without a
	// delivered window ended where it began.
	From, To time.Duration
	// Clean says that the run before told its own end.
	Clean bool
}

// Uncovered returns the window time that no report covers.
func (i Interruption) Uncovered() time.Duration { return max(i.To-i.From, 0) }

// Interruptions returns the times between the runs of each boot of the kernel,
// in order. A run that has not delivered a window is left out for as long as no
// later one has: its windows may be on their way.
func (s BoxState) Interruptions() []Interruption {
	var found []Interruption
	// Runs are in order; those of one kernel follow each other on its axis.
	previous := make(map[uint32]RunState)
	for _, r := range s.Runs {
		p, ok := previous[r.KernelBoot]
		if ok && r.Windows.Stored() == 0 {
			continue
		}
		if ok {
			end := p.Started
			if p.Windows.Stored() > 0 {
				end = p.Windows.Last
			}
			found = append(found, Interruption{
				Before: p.ID, After: r.ID, From: end, To: r.Windows.First,
				Clean: p.CleanStop || r.PreviousEnd == "clean" && r.PreviousRun == p.ID,
			})
		}
		previous[r.KernelBoot] = r
	}
	return found
}

// KillCost returns the window time that the interruptions of a box cost that
// were not its own doing, and their number. What a power cut costs beyond the
// kernel's own restart is not on its axis and not counted here.
func (s BoxState) KillCost() (cost time.Duration, kills int) {
	for _, i := range s.Interruptions() {
		if !i.Clean {
			cost += i.Uncovered()
			kills++
		}
	}
	return cost, kills
}
