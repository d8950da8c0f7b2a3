package detect

import (
	"errors"
	"fmt"
	"math"
	"time"

	"livebox-agent/collector/catalogue"
)

// Config says which detectors run and from when on they tell. The defaults are
// the thresholds of the catalogue, in the units that people use.
type Config struct {
	Step        bool `toml:"step"`
	Flapping    bool `toml:"flapping"`
	Line        bool `toml:"line"`
	Rail        bool `toml:"rail"`
	Quality     bool `toml:"quality"`
	Coverage    bool `toml:"coverage"`
	Association bool `toml:"association"`
	Thermal     bool `toml:"thermal"`

	// Lasting changes that are worth an event: dB, and degrees Celsius.
	MarginStep      float64 `toml:"margin_step"`
	AttenuationStep float64 `toml:"attenuation_step"`
	OpticalStep     float64 `toml:"optical_step"`
	NoiseStep       float64 `toml:"noise_step"`
	TemperatureStep float64 `toml:"temperature_step"`
	// RailStep is a lasting change, RailBand a momentary one, of a supply rail,
	// in per cent of its usual voltage.
	RailStep int `toml:"rail_step"`
	RailBand int `toml:"rail_band"`
	// Hot and HotOptics are limits, in degrees Celsius, of the box's own
	// sensors and of optical modules.
	Hot       int `toml:"hot"`
	HotOptics int `toml:"hot_optics"`
	// RTTExcess is what a round trip must be over the line's own 95th
	// percentile, beside being twice it.
	RTTExcess time.Duration `toml:"rtt_excess"`
	// Loss is how much loss of probes, in per cent, passes.
	Loss int `toml:"loss"`
	// WeakSignal is the signal in dBm below which a station with traffic of
	// ActiveRate kbit/s must stay for WeakFor.
	WeakSignal int           `toml:"weak_signal"`
	WeakFor    time.Duration `toml:"weak_for"`
	ActiveRate int           `toml:"active_rate"`
	// AssociationFailures is how many within two minutes are a burst,
	// ErroredSeconds how many severely errored or unavailable ones within 15.
	AssociationFailures int `toml:"association_failures"`
	ErroredSeconds      int `toml:"errored_seconds"`
	// Flaps is how many times a link goes down at once before it flaps.
	Flaps int `toml:"flaps"`
}

// DefaultConfig returns the thresholds of the catalogue, with every detector
// on.
func DefaultConfig() Config {
	th := catalogue.LookupThreshold
	unit := func(id catalogue.ID, v int64) float64 {
		m, _ := catalogue.Lookup(id)
		return float64(v) / float64(perUnit(m))
	}
	step := func(id catalogue.ID) float64 { return unit(id, th(id).Step) }
	return Config{
		Step: true, Flapping: true, Line: true, Rail: true,
		Quality: true, Coverage: true, Association: true, Thermal: true,

		MarginStep:          step(catalogue.LineDownMargin),
		AttenuationStep:     step(catalogue.LineDownAttenuation),
		OpticalStep:         step(catalogue.OpticRxPower),
		NoiseStep:           step(catalogue.RadioNoise),
		TemperatureStep:     step(catalogue.SensorTemperature),
		RailStep:            int(th(catalogue.SensorVoltage).StepPercent),
		RailBand:            int(th(catalogue.SensorVoltage).BandPercent),
		Hot:                 int(unit(catalogue.SensorTemperature, th(catalogue.SensorTemperature).High)),
		HotOptics:           int(unit(catalogue.OpticTemperature, th(catalogue.OpticTemperature).High)),
		RTTExcess:           time.Duration(th(catalogue.ProbeRTT).Step) * time.Microsecond,
		Loss:                int(th(catalogue.ProbeReceived).StepPercent),
		WeakSignal:          int(th(catalogue.StationSignal).Low),
		WeakFor:             th(catalogue.StationSignal).Stay,
		ActiveRate:          50,
		AssociationFailures: int(th(catalogue.RadioAssociationFailures).Burst),
		ErroredSeconds:      int(th(catalogue.LineDownSES).Burst),
		Flaps:               int(th(catalogue.PortCarrierDowns).Burst),
	}
}

// perUnit is how many steps of a reading make one unit; units of our metrics
// are never below the steps of their readings.
func perUnit(m catalogue.Metric) int64 {
	n := int64(1)
	for range -m.Exponent {
		n *= 10
	}
	return n
}

// Validate reports every problem, each with its key's name.
func (c Config) Validate() error {
	var errs []error
	number := func(key string, v, least, most float64) {
		if !(v >= least && v <= most) || math.IsNaN(v) {
			errs = append(errs, fmt.Errorf("%s: %v is not between %v and %v", key, v, least, most))
		}
	}
	number("margin_step", c.MarginStep, 1, 30)
	number("attenuation_step", c.AttenuationStep, 0.5, 30)
	number("optical_step", c.OpticalStep, 0.5, 20)
	number("noise_step", c.NoiseStep, 2, 40)
	number("temperature_step", c.TemperatureStep, 2, 50)
	number("rail_step", float64(c.RailStep), 1, 20)
	number("rail_band", float64(c.RailBand), 3, 30)
	number("hot", float64(c.Hot), 40, 150)
	number("hot_optics", float64(c.HotOptics), 40, 125)
	number("loss", float64(c.Loss), 1, 50)
	number("weak_signal", float64(c.WeakSignal), -95, -50)
	number("active_rate", float64(c.ActiveRate), 1, 1_000_000)
	number("association_failures", float64(c.AssociationFailures), 2, 100)
	number("errored_seconds", float64(c.ErroredSeconds), 2, 900)
	number("flaps", float64(c.Flaps), 2, 100)
	span := func(key string, d, least, most time.Duration) {
		if d < least || d > most {
			errs = append(errs, fmt.Errorf("%s: %v is not between %v and %v", key, d, least, most))
		}
	}
	span("rtt_excess", c.RTTExcess, time.Millisecond, 5*time.Second)
	span("weak_for", c.WeakFor, 10*time.Second, time.Hour)
	return errors.Join(errs...)
}
