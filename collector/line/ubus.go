package line

import (
	"context"
	"fmt"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
)

// Values of state_num of dsl metrics (dsl_cpe_ubus.c).
const (
	notInitialized = iota
	exception
	idle
	silent
	handshake
	fullInit
	showtimeNoSync
	showtime
	resync
)

// modem is what the line of OpenWrt is called: the object has no name for it,
// and drives one.
const modem = "dsl0"

func (s *Source) askUbus(ctx context.Context, b *sample.Batch) error {
	n, err := s.ubus.Call(ctx, "dsl", "metrics", nil)
	if err != nil {
		return err
	}
	s.raw.Reset(b.At)
	err = decodeMetrics(n, &s.raw)
	s.deliver("metrics", b)
	return err
}

func ubusMetrics() []catalogue.ID {
	return append([]catalogue.ID{
		catalogue.LineStatus, catalogue.LineLastChange, catalogue.LineDownRate, catalogue.LineUpRate,
		catalogue.LineDownMaxRate, catalogue.LineUpMaxRate, catalogue.LineDownMargin, catalogue.LineUpMargin,
		catalogue.LineDownAttenuation, catalogue.LineUpAttenuation, catalogue.LineDownPower, catalogue.LineUpPower,
		catalogue.LineProfile, catalogue.LineStandard, catalogue.LinePowerState,
	}, append(metricsOf(nearFields()), metricsOf(farFields())...)...)
}

// nearFields are those of errors.near. loss counts seconds of lost signal,
// crc_p packets with a wrong checksum.
func nearFields() []field {
	return []field{
		{"es", catalogue.LineDownES},
		{"ses", catalogue.LineDownSES},
		{"uas", catalogue.LineDownUAS},
		{"loss", catalogue.LineDownLOS},
		{"lofs", catalogue.LineDownLOF},
		{"hec", catalogue.LineDownHEC},
		{"crc_p", catalogue.LineDownCRC},
		{"rx_retransmitted", catalogue.LineDownRetransmits},
		{"rx_uncorrected_protected", catalogue.LineDownUncorrected},
		{"tx_retransmitted", catalogue.LineUpRetransmits},
	}
}

// farFields are those of errors.far.
func farFields() []field {
	return []field{
		{"es", catalogue.LineUpES},
		{"ses", catalogue.LineUpSES},
		{"uas", catalogue.LineUpUAS},
		{"loss", catalogue.LineUpLOS},
		{"lofs", catalogue.LineUpLOF},
		{"hec", catalogue.LineUpHEC},
		{"crc_p", catalogue.LineUpCRC},
		{"rx_uncorrected_protected", catalogue.LineUpUncorrected},
	}
}

// decodeMetrics reads the reply of dsl metrics.
func decodeMetrics(n tree.Node, b *sample.Batch) error {
	if !n.IsObject() {
		return fmt.Errorf("read metrics: no object: %w", tree.ErrMalformed)
	}
	before := len(b.Readings)
	var check tree.Check
	r := reply{&check, modem, b}
	state, known := r.state(n)
	if known {
		b.Add(catalogue.LineStatus, modem, status(state))
	}
	r.powerState(n)
	if known && (state == showtime || state == showtimeNoSync) {
		r.showtime(n)
	}
	errors := r.below(n, "errors")
	r.counters(r.below(errors, "near"), nearFields())
	r.counters(r.below(errors, "far"), farFields())
	if err := check.Err(); err != nil {
		return err
	}
	if len(b.Readings) == before {
		return fmt.Errorf("no DSL line: %w", collector.ErrNoData)
	}
	return nil
}

// state returns the number of the modem's state, which it leaves out for those
// that it is in only briefly: then its text and up say what matters.
func (r reply) state(n tree.Node) (state int64, known bool) {
	up, upKnown := r.check.Bool(n, "up")
	text, textKnown := r.check.Text(n, "state")
	state, known = r.check.Int(n, "state_num")
	if known {
		return state, true
	}
	if up {
		return showtime, true
	}
	switch text {
	case "Short init entry", "Discovery", "Training", "Analysis", "Exchange":
		return fullInit, true
	case "Disabled", "Idle request", "Orderly shutdown":
		return idle, true
	}
	return -1, upKnown || textKnown
}

// status returns the value of LineStatus for a state of the modem.
func status(state int64) int64 {
	switch state {
	case showtime:
		return statusUp
	case handshake:
		return statusInitializing
	case fullInit, showtimeNoSync, resync:
		return statusEstablishingLink
	case silent:
		return statusNoSignal
	case notInitialized, idle:
		return statusDisabled
	case exception:
		return statusError
	}
	return statusUnknown
}

// powerState adds the power management state. The modem writes the number -1,
// for none, without a sign.
func (r reply) powerState(n tree.Node) {
	v, ok := r.check.Int(n, "power_state_num")
	if ok && v >= 0 && v <= 3 {
		r.b.Add(catalogue.LinePowerState, r.line, v+1)
	}
}

// showtime adds what only a line in showtime has.
func (r reply) showtime(n tree.Node) {
	v, ok := r.check.Int(n, "uptime")
	r.gauge(catalogue.LineLastChange, v, ok, 0, maxTime)
	r.direction(r.below(n, "downstream"), [...]catalogue.ID{
		catalogue.LineDownRate, catalogue.LineDownMaxRate, catalogue.LineDownMargin,
		catalogue.LineDownAttenuation, catalogue.LineDownPower,
	})
	r.direction(r.below(n, "upstream"), [...]catalogue.ID{
		catalogue.LineUpRate, catalogue.LineUpMaxRate, catalogue.LineUpMargin,
		catalogue.LineUpAttenuation, catalogue.LineUpPower,
	})
	text, ok := r.check.Text(n, "profile")
	r.profile(text, ok)
	text, ok = r.check.Text(n, "standard")
	r.standard(text, ok)
}

// direction adds rate, attainable rate, margin, attenuation and power of one
// direction. Rates are in bit/s, the others in dB and dBm.
func (r reply) direction(n tree.Node, m [5]catalogue.ID) {
	const kilo = 3
	v, ok := r.check.Scaled(n, kilo, "data_rate")
	r.gauge(m[0], v, ok, 1, maxRate)
	v, ok = r.check.Scaled(n, kilo, "attndr")
	r.gauge(m[1], v, ok, 1, maxRate)
	v, ok = r.check.Scaled(n, -1, "snr")
	r.gauge(m[2], v, ok, minMargin, maxMargin)
	v, ok = r.check.Scaled(n, -1, "latn")
	if !ok || v < 1 || v > maxAttenuation {
		v, ok = r.check.Scaled(n, -1, "satn")
	}
	r.gauge(m[3], v, ok, 1, maxAttenuation)
	v, ok = r.check.Scaled(n, -1, "actatp")
	r.gauge(m[4], v, ok, -maxPower, maxPower)
}
