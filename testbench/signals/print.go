package signals

import (
	"errors"
	"fmt"
	"io"
	"time"

	"livebox-agent/agent/detect"
)

// Budget is how many false alarms a box-year each detector may give on the
// reference traces.
func Budget(detector string) float64 {
	switch detector {
	case Coverage: // of devices at the edge of what is covered
		return 6
	case Noise, Temperature: // of what people do
		return 1
	case Association:
		return 0.2
	}
	return 0.1
}

// Allowed is the budget of so many box-years in whole alarms, rounded down.
func Allowed(detector string, boxYears float64) int { return int(Budget(detector) * boxYears) }

// method says in a few words how a detector works; detect's documentation says
// it in full.
func method(detector string) string {
	switch detector {
	case Margin, Attenuation, Optical:
		return "CUSUM of 5 min medians beyond the band of a day"
	case RailStep:
		return "the same, in per cent"
	case Noise, Temperature:
		return "the same, of medians of an hour"
	case RailBand:
		return "off the usual voltage by 8 %"
	case Flapping:
		return "leaky bucket, 10 an hour; steady after 10 min"
	case LineLoss:
		return "state left, counter grown"
	case LineErrors:
		return "window of 15 min, against 5 × the line's usual"
	case Latency:
		return "15 min above twice the own 95th percentile, and by 30 ms"
	case Loss:
		return "CUSUM of lost probes beyond 3 %"
	case Coverage:
		return "smoothed signal with traffic for 1 min, hysteresis"
	case Association:
		return "window of 2 min; next after 30 min without"
	}
	return "limit for 1 min, hysteresis"
}

// A Run says how much is measured.
type Run struct {
	Seed        uint64
	Homes, Days int // for false alarms
	Tries       int // of each fault
}

// Print measures and writes the tables of the detectors, in Markdown. The error
// says which detectors gave more false alarms than their budget, and of which kind
// there were more episodes.
func Print(w io.Writer, cfg detect.Config, run Run) error {
	begun := time.Now()
	err := errors.Join(printAlarms(w, cfg, run), printEpisodes(w, cfg, run))
	printFaults(w, cfg, run)
	fmt.Fprintf(w, "\nMeasured in %v.\n", time.Since(begun).Round(time.Second))
	return err
}

func printAlarms(w io.Writer, cfg detect.Config, run Run) error {
	q := FalseAlarms(cfg, run.Seed, run.Homes, run.Days)
	fmt.Fprintf(w, `%d homes (seeds %d to %d) for %d days: %.1f box-years, %d million readings. False alarms are signs of
nothing, harmless ones of what was so and needs no one (rain in a cable, impulse noise, line management, a device with an
old password). Times are of the machine that measured.

| detector | method | false a box-year | budget | harmless a box-year | ns a reading | bytes an instance |
|---|---|---|---|---|---|---|
`, run.Homes, run.Seed, run.Seed+uint64(run.Homes)-1, run.Days, q.BoxYears, q.Readings/1e6)
	var over []error
	for _, n := range Names() {
		a, c := q.By[n], Measure(cfg, n)
		fmt.Fprintf(w, "| %s | %s | %.2f | %.1f | %.2f | %.0f | %.0f |\n", n, method(n),
			float64(a.False)/q.BoxYears, Budget(n), float64(a.Harmless)/q.BoxYears, c.Nanoseconds, c.Bytes)
		if a.False > Allowed(n, q.BoxYears) {
			over = append(over, fmt.Errorf("%s: %d false alarms in %.1f box-years, first %+v of seed %d", n, a.False, q.BoxYears, a.Examples[0], a.Seeds[0]))
		}
	}
	return errors.Join(over...)
}

func printFaults(w io.Writer, cfg detect.Config, run Run) {
	fmt.Fprintf(w, `
Faults, each in %d homes with all that confounds (seeds from %d), a day and a half or more after the start. Sources are
asked each minute (line, optics, probes, noise) or 10 s (the others): that is in the delay.

| detector | fault | size | found | median delay | 90 %% within |
|---|---|---|---|---|---|
`, run.Tries, run.Seed+1000)
	for _, c := range Challenges() {
		for _, f := range c.Try(cfg, run.Seed+1000, run.Tries) {
			median, p90 := "", ""
			if f.Hits > 0 {
				median, p90 = f.Median.String(), f.P90.String()
			}
			fmt.Fprintf(w, "| %s | %s | %v %s | %.0f %% | %s | %s |\n", c.Detector, c.What, f.Size, c.Unit, 100*f.Rate(), median, p90)
		}
	}
}
