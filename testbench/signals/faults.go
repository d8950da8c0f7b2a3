package signals

import (
	"time"

	"livebox-agent/collector/catalogue"
)

// A Fault is something that is done to a home.
type Fault struct {
	Kind FaultKind
	// Metric and Instance say to what.
	Metric   catalogue.ID
	Instance string
	At       time.Duration // since the trace began
	For      time.Duration // 0: for ever
	// Size is in the metric's own units (dB, degrees, ms), per cent of a rail or of loss,
	// a number of counts, or the seconds between two flaps.
	Size float64
}

// A FaultKind says what is done.
type FaultKind uint8

// The kinds of fault.
const (
	// StepOf shifts a level.
	StepOf FaultKind = iota + 1
	// RampOf shifts it gradually over half an hour.
	RampOf
	// Flap takes a link down again and again.
	Flap
	// Lose takes a line or an optical unit out of service.
	Lose
	// Retrain makes a line train anew.
	Retrain
	// Errors adds so many severely errored seconds within two minutes.
	Errors
	// Sag moves a supply rail by so many per cent.
	Sag
	// Heat moves a temperature beyond its limit by so many degrees.
	Heat
	// Delay adds so many milliseconds to round trips.
	Delay
	// Drop loses so many per cent of the probes.
	Drop
	// Weak moves a station with traffic to a place with that signal.
	Weak
	// Refuse makes so many devices fail to join within 90 s.
	Refuse
)

// active tells whether a fault is being done, and when it began.
func (f Fault) active(now time.Duration) bool {
	return now >= f.At && (f.For == 0 || now < f.At+f.For)
}

// shift is what faults add to a level.
func (h *Home) shift(m catalogue.ID, instance string) float64 {
	var sum float64
	for i := range h.faults {
		f := &h.faults[i]
		if f.Metric != m || f.Instance != instance || !f.active(h.Now) {
			continue
		}
		switch f.Kind {
		case StepOf:
			sum += f.Size
		case RampOf:
			sum += f.Size * min(1, float64(h.Now-f.At)/float64(30*time.Minute))
		}
	}
	return sum
}

// fault returns the fault of that kind that is being done.
func (h *Home) fault(k FaultKind, instance string) *Fault {
	for i := range h.faults {
		if f := &h.faults[i]; f.Kind == k && f.Instance == instance && f.active(h.Now) {
			return f
		}
	}
	return nil
}
