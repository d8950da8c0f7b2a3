package catalogue

import (
	"encoding/json"
	"fmt"
	"time"
)

// A Threshold says from when on the values of a metric are worth an event. The
// box may be configured otherwise; these are the defaults. Values are in the
// units of the metric's readings; 0 stands for none.
type Threshold struct {
	Metric ID
	// Step is the change that is worth an event when it lasts for Stay; a
	// larger one needs less. StepPercent says it in per cent of what is usual.
	Step        int64
	StepPercent int64
	// Low and High are limits, of which a value that was beyond must be Back
	// inside again for all to be well. BandPercent says how far a value may be
	// from what is usual.
	Low, High, Back int64
	BandPercent     int64
	// Burst is how many counts within Stay are worth an event.
	Burst int64
	Stay  time.Duration
	// Least and Most bound what the metric can be: a reading outside is none.
	Least, Most int64
	// Source says where the numbers are from.
	Source string
}

// jsonThreshold is a threshold as the backend loads it.
type jsonThreshold struct {
	Metric      ID     `json:"metric"`
	Step        int64  `json:"step,omitempty"`
	StepPercent int64  `json:"step_percent,omitempty"`
	Low         int64  `json:"low,omitempty"`
	High        int64  `json:"high,omitempty"`
	Back        int64  `json:"back,omitempty"`
	BandPercent int64  `json:"band_percent,omitempty"`
	Burst       int64  `json:"burst,omitempty"`
	StayMS      int64  `json:"stay_ms"`
	Least       int64  `json:"least,omitempty"`
	Most        int64  `json:"most,omitempty"`
	Source      string `json:"source"`
}

// MarshalJSON writes the threshold as the backend loads it: durations in
// milliseconds, and nothing of what it has not.
func (t Threshold) MarshalJSON() ([]byte, error) {
	return json.Marshal(jsonThreshold{
		Metric: t.Metric, Step: t.Step, StepPercent: t.StepPercent,
		Low: t.Low, High: t.High, Back: t.Back, BandPercent: t.BandPercent,
		Burst: t.Burst, StayMS: t.Stay.Milliseconds(), Least: t.Least, Most: t.Most, Source: t.Source,
	})
}

// what says the threshold as a person reads it.
func (t Threshold) what(m Metric) string {
	var b []byte
	say := func(text string, a ...any) {
		if len(b) > 0 {
			b = append(b, ", "...)
		}
		b = fmt.Appendf(b, text, a...)
	}
	switch {
	case t.Step > 0 && t.StepPercent > 0:
		say("worse by %d %% and by %s", t.StepPercent, m.Format(t.Step))
	case t.Step > 0:
		say("a step of %s", m.Format(t.Step))
	case t.StepPercent > 0 && t.Burst > 0:
		say("%d more missing than %d %%", t.Burst, t.StepPercent)
	case t.StepPercent > 0:
		say("a step of %d %%", t.StepPercent)
	case t.Burst > 0:
		say("%d", t.Burst)
	}
	if t.BandPercent > 0 {
		say("%d %% beside the usual", t.BandPercent)
	}
	if t.Low != 0 {
		say("below %s (back above %s)", m.Format(t.Low), m.Format(t.Low+t.Back))
	}
	if t.High != 0 {
		say("%s and above (back below %s)", m.Format(t.High), m.Format(t.High-t.Back))
	}
	return string(b)
}

// Thresholds returns the threshold of every metric that has one, in ascending
// order of ID. The slice is shared: it must not be changed.
func Thresholds() []Threshold { return thresholds }

// LookupThreshold returns the threshold of a metric; the zero value where it
// has none.
func LookupThreshold(id ID) Threshold {
	for _, t := range thresholds {
		if t.Metric == id {
			return t
		}
	}
	return Threshold{}
}

// Where thresholds are from.
const (
	sfp      = "SFF-8472 commercial modules: 0 to 70 °C case, alarms from 75 to 90 °C; the box tells the die"
	errored  = "Rule of thumb: below 10 a day is a good line; 10 in a row make a line unavailable (ITU-T G.997.1)"
	practice = "Rule of thumb; no public source"
	gpon     = "ONT receiver windows of ITU-T G.984.2 leave 3 dB to a warning; a bend or a connector costs 2 dB and more"
	loop     = "Below 1 dB is a good line, above 3 dB one to be mended; between them rain"
)

var thresholds = []Threshold{
	{Metric: SensorTemperature, Step: 8000, High: 100_000, Back: 5000, Stay: 12 * time.Hour, Least: -40_000, Most: 200_000, Source: "Processors of gateways throttle from 105 °C; steps: " + practice},
	{Metric: SensorVoltage, StepPercent: 3, Stay: 30 * time.Minute, BandPercent: 8, Least: 1600, Most: 64_000, Source: "Rails are specified to 5 %; below 1.6 V rails follow the processor's load"},
	{Metric: PortCarrierDowns, Burst: 6, Stay: 36 * time.Minute, Source: "No one plugs a cable more than 10 times an hour; a computer that starts takes its link down 3 times"},
	{Metric: RadioNoise, Step: 6, Stay: 12 * time.Hour, Least: -120, Most: -20, Source: "Deployment guides ask 20 dB of signal over noise; 6 dB is two steps of rate"},
	{Metric: StationSignal, Low: WeakSignal, Back: 3, Stay: time.Minute, Least: -110, Most: -1, Source: "Wi-Fi deployment guides: -67 dBm for voice, unreliable from -75 to -80 dBm"},
	{Metric: LineDownMargin, Step: 30, Stay: time.Hour, Least: -640, Most: 630, Source: "Default target margin 6 dB, trouble below 3 dB"},
	{Metric: LineUpMargin, Step: 30, Stay: time.Hour, Least: -640, Most: 630, Source: "As downstream"},
	{Metric: LineDownAttenuation, Step: 20, Stay: 20 * time.Minute, Least: 1, Most: 1270, Source: loop},
	{Metric: LineUpAttenuation, Step: 20, Stay: 20 * time.Minute, Least: 1, Most: 1270, Source: loop},
	{Metric: LineDownSES, Burst: 10, Stay: 15 * time.Minute, Source: errored},
	{Metric: LineUpSES, Burst: 10, Stay: 15 * time.Minute, Source: errored},
	{Metric: LineDownUAS, Burst: 10, Stay: 15 * time.Minute, Source: errored},
	{Metric: LineUpUAS, Burst: 10, Stay: 15 * time.Minute, Source: errored},
	{Metric: LineDownLOS, Burst: 3, Stay: 15 * time.Minute, Source: practice},
	{Metric: LineUpLOS, Burst: 3, Stay: 15 * time.Minute, Source: practice},
	{Metric: OpticRxPower, Step: 2000, Stay: 10 * time.Minute, Least: -39_900, Most: 10_000, Source: gpon},
	{Metric: OpticTxPower, Step: 2000, Stay: 10 * time.Minute, Least: -39_900, Most: 10_000, Source: gpon},
	{Metric: OpticVoltage, StepPercent: 3, Stay: 30 * time.Minute, BandPercent: 8, Least: 16_000, Most: 64_000, Source: "SFF-8472 modules take 3.14 to 3.46 V"},
	{Metric: OpticTemperature, Step: 8000, High: 85_000, Back: 5000, Stay: 12 * time.Hour, Least: -40_000, Most: 128_000, Source: sfp},
	{Metric: ProbeRTT, Step: 30_000, StepPercent: 100, Stay: 15 * time.Minute, Least: 1, Most: 60_000_000, Source: "Worse than twice the line's own 95th percentile, and by 30 ms"},
	{Metric: ProbeReceived, StepPercent: 3, Burst: 12, Stay: 10 * time.Minute, Source: "1 % of loss is bad; ten probes a minute show 3 %"},
	{Metric: RadioAssociationFailures, Burst: 4, Stay: 2 * time.Minute, Source: "A device tries two or three times by itself; more is a person who tries again"},
}
