package optics

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
)

// Names of the modules of a Livebox: of Livebox 5 and later the one that every
// box had so far, of Livebox 4 the object that is asked.
const (
	ponPort  = "veip0"
	sfpPort  = "SFP"
	omciPort = "omci"
)

// maxPorts is how many modules are reported.
const maxPorts = 8

// Decoders lists what reads the replies of each platform. The modules of the
// kernel are not read from replies.
func Decoders() []platform.Decoder {
	return []platform.Decoder{
		{
			Name: "optics.gpon", Platform: platform.Sysbus, Object: "NeMo.Intf.*", Method: "getMIBs", Variant: "gpon",
			Metrics: gponMetrics(), Decode: decodeGPON,
		},
		{
			Name: "optics.sfp", Platform: platform.Sysbus, Object: "SFP", Method: "get",
			Metrics: sfpMetrics(), Decode: decodeSFP,
		},
		{
			Name: "optics.omci", Platform: platform.Sysbus, Object: "SgcOmci.Optical", Method: "get",
			Metrics: omciMetrics(), Decode: decodeOMCI,
		},
	}
}

// A way is one of the calls by which a Livebox may give its module.
type way struct {
	object, method string
	params         map[string]any
	decode         func(tree.Node, platform.Hint, *sample.Batch) error
}

// ways returns the calls in the order in which a box of that generation is
// likely to answer.
func ways(box Box) []way {
	pon := box.PON
	if !plain(pon) {
		pon = ponPort
	}
	all := []way{
		{"NeMo.Intf." + pon, "getMIBs", map[string]any{"mibs": "gpon"}, decodeGPON},
		{"SFP", "get", map[string]any{}, decodeSFP},
		{"SgcOmci.Optical", "get", map[string]any{}, decodeOMCI},
	}
	if box.Generation == "livebox4" {
		all[0], all[1] = all[1], all[0]
	}
	return all
}

// askSysbus asks in the way that answered last, or finds one that answers.
func (s *Source) askSysbus(ctx context.Context, b *sample.Batch) error {
	var box Box
	if s.box != nil {
		box = s.box(ctx)
	}
	all := ways(box)
	if i := slices.IndexFunc(all, func(w way) bool { return w.object == s.answered }); i > 0 {
		all[0], all[i] = all[i], all[0]
	}
	var first error
	for _, w := range all {
		n, err := s.sysbus.Call(ctx, w.object, w.method, w.params)
		if err == nil {
			s.raw.Reset(b.At)
			err = w.decode(n, platform.Hint{Box: box.Generation}, &s.raw)
			s.deliver(b)
		}
		if !absent(err) {
			s.answered = w.object
			return err
		}
		if first == nil || errors.Is(err, collector.ErrRefused) && !errors.Is(first, collector.ErrRefused) {
			first = err
		}
	}
	return first
}

// A power is a field of power and its metric.
type power struct {
	key    string
	metric catalogue.ID
}

func gponMetrics() []catalogue.ID {
	return []catalogue.ID{
		catalogue.OpticRxPower, catalogue.OpticTxPower, catalogue.OpticBias, catalogue.OpticVoltage,
		catalogue.OpticTemperature, catalogue.OpticState, catalogue.OpticRxPowerLow, catalogue.OpticRxPowerHigh,
		catalogue.OpticTxPowerLow, catalogue.OpticTxPowerHigh, catalogue.OpticMode, catalogue.OpticDownRate,
		catalogue.OpticUpRate, catalogue.OpticRogueEvents,
	}
}

// decodeGPON reads the reply of getMIBs {"mibs":"gpon"}: status.gpon.<port>.
func decodeGPON(n tree.Node, hint platform.Hint, b *sample.Batch) error {
	status, err := object(n, "status")
	if err != nil {
		return err
	}
	ports, err := object(status, "gpon")
	if err != nil {
		return err
	}
	before, count := len(b.Readings), 0
	var check tree.Check
	ports.Each(func(name string, port tree.Node) {
		switch {
		case !plain(name) || !port.IsObject():
			check.Bad("gpon")
		case count < maxPorts:
			count++
			module{name, b}.gpon(&check, port, hint)
		}
	})
	return result(&check, b, before)
}

// result says how the reading of a reply ended, before which b had that many
// readings.
func result(check *tree.Check, b *sample.Batch, before int) error {
	if err := check.Err(); err != nil {
		return err
	}
	if len(b.Readings) == before {
		return fmt.Errorf("no optical module that measures: %w", collector.ErrNoData)
	}
	return nil
}

// gpon reads the fields of one port.
func (m module) gpon(c *tree.Check, n tree.Node, hint platform.Hint) {
	voltage, ok := c.Int(n, "Voltage")
	m.gauge(catalogue.OpticVoltage, voltage, ok, minVoltage, maxVoltage)
	// A module that was not asked yet, or that is another box's, has zero
	// everywhere. Its supply can be zero only then.
	measured := !ok || voltage != 0
	for _, p := range []power{{"SignalRxPower", catalogue.OpticRxPower}, {"SignalTxPower", catalogue.OpticTxPower}} {
		// Zero is 1 mW to the last digit: what is not measured.
		v, ok := c.Int(n, p.key)
		m.power(p.metric, v, ok && measured && v != 0)
	}
	celsius, known := c.Int(n, "Temperature")
	m.temperature(celsius, known && measured && (ok || celsius != 0))
	bias, known := c.Int(n, "Bias")
	m.bias(bias, known && measured && (ok || bias != 0), inMilliamperes(n, hint))

	text, ok := c.Text(n, "OnuState")
	if !ok {
		text, ok = c.Text(n, "ONUState") // as a Livebox 5 spells it
	}
	m.state(text, ok)
	text, ok = c.Text(n, "PonMode")
	m.mode(text, ok)
	m.thresholds(c, n)
	for _, r := range []power{{"DownstreamCurrRate", catalogue.OpticDownRate}, {"UpstreamCurrRate", catalogue.OpticUpRate}} {
		// Other replies have Mbit/s under the same names; no PON is so slow
		// that they could be kbit/s.
		v, ok := c.Int(n, r.key)
		m.gauge(r.metric, v, ok, minRate, maxRate)
	}
	v, ok := c.Int(n, "RogueOnuCount")
	m.gauge(catalogue.OpticRogueEvents, v, ok && v != 1<<32-1, 0, 1<<62)
}

func (m module) temperature(celsius int64, known bool) {
	if known && celsius > -1000 && celsius < 1000 {
		m.gauge(catalogue.OpticTemperature, celsius*1000, true, minTemperature, maxTemperature)
	}
}

// inMilliamperes says whether the bias of a reply is in milliamperes, as on a
// Livebox 5, or in microamperes, as on the later ones. Where the box is not
// known the reply tells: only a Livebox 5 spells ONUState so and has no mode.
func inMilliamperes(n tree.Node, hint platform.Hint) bool {
	if hint.Box != "" && hint.Box != "unknown" {
		return hint.Box == "livebox5"
	}
	return n.Get("ONUState").Exists() && !n.Get("OnuState").Exists() && !n.Get("PonMode").Exists()
}

// bias adds the bias of the laser. A thousand milliamperes or more burn any
// laser of a module, so that these are microamperes whatever the box is.
func (m module) bias(v int64, known, milliamperes bool) {
	if milliamperes && v < 1000 {
		v *= 1000
	}
	m.gauge(catalogue.OpticBias, v, known, 0, maxBias)
}

// state adds the state of the ONU from a text such as "O5_Operation".
func (m module) state(text string, known bool) {
	if known && len(text) >= 2 && (text[0] == 'O' || text[0] == 'o') && (len(text) == 2 || text[2] < '0' || text[2] > '9') {
		m.gauge(catalogue.OpticState, int64(text[1])-'0', true, catalogue.OpticStateO1, catalogue.OpticStateO9)
	}
}

// mode adds the kind of network from a text such as "GPON". One that the box
// itself does not know is absent.
func (m module) mode(text string, known bool) {
	names := map[string]string{"GPON": "G-PON", "XGPON": "XG-PON", "NGPON2": "NG-PON2", "XGSPON": "XGS-PON"}
	name := names[strings.ReplaceAll(strings.ToUpper(text), "-", "")]
	row, _ := catalogue.Lookup(catalogue.OpticMode)
	if i := slices.Index(row.States, name); known && i > 0 {
		m.b.Add(catalogue.OpticMode, m.port, int64(i))
	}
}

// thresholds adds the limits of power at which the ONU alarms. -127500 and
// -63500 say that it has limits of its own, and two zeros that none were set.
func (m module) thresholds(c *tree.Check, n tree.Node) {
	for _, pair := range [][2]power{
		{{"LowerOpticalThreshold", catalogue.OpticRxPowerLow}, {"UpperOpticalThreshold", catalogue.OpticRxPowerHigh}},
		{{"LowerTransmitPowerThreshold", catalogue.OpticTxPowerLow}, {"UpperTransmitPowerThreshold", catalogue.OpticTxPowerHigh}},
	} {
		low, lowOK := c.Int(n, pair[0].key)
		high, highOK := c.Int(n, pair[1].key)
		if low == 0 && high == 0 {
			continue
		}
		m.power(pair[0].metric, low, lowOK)
		m.power(pair[1].metric, high, highOK)
	}
}

func sfpMetrics() []catalogue.ID {
	return []catalogue.ID{catalogue.OpticRxPower, catalogue.OpticTxPower, catalogue.OpticTemperature, catalogue.OpticState}
}

// decodeSFP reads the reply of SFP get, of the module in the cage of a
// Livebox 4. Its powers are in 0.001 dBm, in steps of 0.002 (ITU-T G.988), and
// 16 bits wide: the least that these hold is no measurement.
func decodeSFP(n tree.Node, _ platform.Hint, b *sample.Batch) error {
	status, err := object(n, "status")
	if err != nil {
		return err
	}
	before := len(b.Readings)
	var check tree.Check
	m := module{sfpPort, b}
	measured := false
	for _, p := range []power{{"OpticalSignalLevel", catalogue.OpticRxPower}, {"TransmitOpticalLevel", catalogue.OpticTxPower}} {
		v, ok := check.Int(status, p.key)
		ok = ok && v != 0 && v > -1<<15
		m.power(p.metric, v, ok)
		measured = measured || ok
	}
	celsius, ok := check.Int(status, "ChipsetTemperature")
	m.temperature(celsius, ok && (measured || celsius != 0))
	state, ok := check.Int(status, "OperatingState")
	m.gauge(catalogue.OpticState, state, ok, catalogue.OpticStateO1, catalogue.OpticStateO9)
	return result(&check, b, before)
}

func omciMetrics() []catalogue.ID {
	return []catalogue.ID{
		catalogue.OpticRxPower, catalogue.OpticTxPower, catalogue.OpticBias, catalogue.OpticVoltage, catalogue.OpticTemperature,
	}
}

// decodeOMCI reads the reply of SgcOmci.Optical get, whose powers are in dBm.
// The units of the supply and of the bias are documented nowhere; supplies of
// modules are so much alike, and so are biases, that the size of the number
// tells.
func decodeOMCI(n tree.Node, _ platform.Hint, b *sample.Batch) error {
	status, err := object(n, "status")
	if err != nil {
		return err
	}
	before := len(b.Readings)
	var check tree.Check
	m := module{omciPort, b}
	measured := false
	for _, p := range []power{{"PowerRx", catalogue.OpticRxPower}, {"PowerTx", catalogue.OpticTxPower}} {
		v, ok := check.Scaled(status, -3, p.key)
		m.power(p.metric, v, ok && v != 0)
		measured = measured || ok && v != 0
	}
	v, ok := check.Scaled(status, -4, "Vcc")
	switch {
	case v > 1000*maxVoltage: // it was 0.1 mV
		v /= 10000
	case v > maxVoltage: // it was mV
		v /= 1000
	}
	m.gauge(catalogue.OpticVoltage, v, ok, minVoltage, maxVoltage)
	v, ok = check.Scaled(status, -3, "Temperature")
	m.gauge(catalogue.OpticTemperature, v, ok && (measured || v != 0), minTemperature, maxTemperature)
	v, ok = check.Scaled(status, -3, "BiasCurrent")
	if v >= maxBias {
		v /= 1000 // it was microamperes
	}
	m.gauge(catalogue.OpticBias, v, ok && v != 0, 0, maxBias)
	return result(&check, b, before)
}
