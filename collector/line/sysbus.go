package line

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform"
	"livebox-agent/collector/platform/sysbus"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
)

// defaultLine is the line of every Livebox that was seen so far.
const defaultLine = "dsl0"

// Decoders lists what reads the replies of each platform.
func Decoders() []platform.Decoder {
	return []platform.Decoder{
		{
			Name: "line.mib", Platform: platform.Sysbus, Object: "NeMo.Intf.*", Method: "getMIBs", Variant: "dsl",
			Metrics: mibMetrics(),
			Decode:  func(n tree.Node, _ platform.Hint, b *sample.Batch) error { return decodeMIB(n, b) },
		},
		{
			Name: "line.stats", Platform: platform.Sysbus, Object: "NeMo.Intf.*", Method: "getDSLStats",
			Metrics: statsMetrics(),
			Decode:  func(n tree.Node, _ platform.Hint, b *sample.Batch) error { return decodeStats(n, defaultLine, b) },
		},
		{
			Name: "line.seconds", Platform: platform.Sysbus, Object: "NeMo.Intf.*", Method: "getDSLLineStats",
			Metrics: lineStatsMetrics(),
			Decode:  func(n tree.Node, _ platform.Hint, b *sample.Batch) error { return decodeLineStats(n, defaultLine, b) },
		},
		{
			Name: "line.metrics", Platform: platform.OpenWrt, Object: "dsl", Method: "metrics",
			Metrics: ubusMetrics(),
			Decode:  func(n tree.Node, _ platform.Hint, b *sample.Batch) error { return decodeMetrics(n, b) },
		},
	}
}

// askSysbus asks for the lines, then for the counters of each.
func (s *Source) askSysbus(ctx context.Context, b *sample.Batch) error {
	n, err := s.sysbus.Call(ctx, "NeMo.Intf.data", "getMIBs", map[string]any{"mibs": "dsl"})
	if err != nil {
		return err
	}
	s.raw.Reset(b.At)
	failure := decodeMIB(n, &s.raw)
	lines := linesOf(&s.raw)
	silent := silentLines(&s.raw)
	s.deliver("mib", b)
	var missing error
	for _, line := range lines {
		for _, call := range []struct {
			method string
			decode func(tree.Node, string, *sample.Batch) error
		}{{"getDSLStats", decodeStats}, {"getDSLLineStats", decodeLineStats}} {
			err := s.askCounters(ctx, b, line, call.method, call.decode)
			switch {
			case absent(err):
				missing = err
			case silent[line] && refusedByModem(err):
				// A Livebox 4 on fibre. It is asked again each round: a line may
				// come.
				missing = fmt.Errorf("%w while the line is down: %w", collector.ErrNoData, err)
			case err != nil:
				failure = errors.Join(failure, err)
			}
		}
	}
	if failure == nil {
		// What is missing is a reason, no failure: there are other readings.
		failure = missing
	}
	return failure
}

// askCounters asks the line for counters, unless the box has shown lately that
// it does not give them.
func (s *Source) askCounters(
	ctx context.Context, b *sample.Batch, line, method string, decode func(tree.Node, string, *sample.Batch) error,
) error {
	object := "NeMo.Intf." + line
	if s.wait[object+method] > 0 {
		s.wait[object+method]--
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	n, err := s.sysbus.Call(ctx, object, method, map[string]any{})
	if err == nil {
		s.raw.Reset(b.At)
		if err = decode(n, line, &s.raw); err != nil {
			err = fmt.Errorf("%s: %w", method, err)
		}
		s.deliver(method, b)
	}
	if absent(err) && len(s.wait) < maxTotals {
		s.wait[object+method] = retryRounds
	}
	return err
}

// linesOf returns the lines that b has readings of.
func linesOf(b *sample.Batch) []string {
	var lines []string
	for _, r := range b.Readings {
		if len(lines) == 0 || lines[len(lines)-1] != r.Instance {
			lines = append(lines, r.Instance)
		}
	}
	return lines
}

// silentLines returns the lines of b that are not up.
func silentLines(b *sample.Batch) map[string]bool {
	silent := map[string]bool{}
	for _, r := range b.Readings {
		if r.Metric == catalogue.LineStatus && r.Value != statusUp {
			silent[r.Instance] = true
		}
	}
	return silent
}

// refusedByModem says whether the box answered that it could not do what it was
// asked.
func refusedByModem(err error) bool {
	_, ok := errors.AsType[*sysbus.FaultError](err)
	return ok
}

func mibMetrics() []catalogue.ID {
	return []catalogue.ID{
		catalogue.LineStatus, catalogue.LineLastChange, catalogue.LineDownRate, catalogue.LineUpRate,
		catalogue.LineDownMaxRate, catalogue.LineUpMaxRate, catalogue.LineDownMargin, catalogue.LineUpMargin,
		catalogue.LineDownAttenuation, catalogue.LineUpAttenuation, catalogue.LineDownPower, catalogue.LineUpPower,
		catalogue.LineProfile, catalogue.LineStandard, catalogue.LineElectricalLength,
	}
}

// decodeMIB reads the reply of getMIBs {"mibs":"dsl"}: status.dsl.<line>.
func decodeMIB(n tree.Node, b *sample.Batch) error {
	status, err := object(n, "status")
	if err != nil {
		return err
	}
	lines, err := object(status, "dsl")
	if err != nil {
		return err
	}
	var check tree.Check
	count := 0
	lines.Each(func(name string, line tree.Node) {
		switch {
		case !plain(name) || !line.IsObject():
			check.Bad("dsl")
		case line.Len() > 0 && count < maxLines:
			count++
			reply{&check, name, b}.mib(line)
		}
	})
	if err := check.Err(); err != nil {
		return err
	}
	if count == 0 {
		return fmt.Errorf("no DSL line: %w", collector.ErrNoData)
	}
	return nil
}

// mib reads the fields of one line.
func (r reply) mib(n tree.Node) {
	c := r.check
	status := r.status(n)
	r.b.Add(catalogue.LineStatus, r.line, status)
	// Not LastChangeTime, which is when that was.
	v, ok := c.Int(n, "LastChange")
	r.gauge(catalogue.LineLastChange, v, ok, 0, maxTime)

	down, downOK := c.Int(n, "DownstreamCurrRate")
	up, upOK := c.Int(n, "UpstreamCurrRate")
	if status != statusUp || downOK && upOK && down == 0 && up == 0 {
		return
	}
	r.gauge(catalogue.LineDownRate, down, downOK, 1, maxRate)
	r.gauge(catalogue.LineUpRate, up, upOK, 1, maxRate)
	for _, f := range []struct {
		metric       catalogue.ID
		key, instead string
		least, most  int64
	}{
		{catalogue.LineDownMaxRate, "DownstreamMaxRate", "", 1, maxRate},
		{catalogue.LineUpMaxRate, "UpstreamMaxRate", "", 1, maxRate},
		{catalogue.LineDownMargin, "DownstreamNoiseMargin", "", minMargin, maxMargin},
		{catalogue.LineUpMargin, "UpstreamNoiseMargin", "", minMargin, maxMargin},
		// Copper always attenuates, so 0 is not measured.
		{catalogue.LineDownAttenuation, "DownstreamLineAttenuation", "DownstreamAttenuation", 1, maxAttenuation},
		{catalogue.LineUpAttenuation, "UpstreamLineAttenuation", "UpstreamAttenuation", 1, maxAttenuation},
		{catalogue.LineDownPower, "DownstreamPower", "", -maxPower, maxPower},
		{catalogue.LineUpPower, "UpstreamPower", "", -maxPower, maxPower},
	} {
		v, ok := c.Int(n, f.key)
		if f.instead != "" && (!ok || v < f.least || v > f.most) {
			v, ok = c.Int(n, f.instead)
		}
		r.gauge(f.metric, v, ok, f.least, f.most)
	}
	text, ok := c.Text(n, "CurrentProfile")
	r.profile(text, ok)
	text, ok = c.Text(n, "StandardUsed")
	r.standard(text, ok)
	if !ok || strings.HasPrefix(text, "G.993") {
		// ADSL has no such thing, but the box gives a number for it.
		v, ok := c.Int(n, "UPBOKLE")
		r.gauge(catalogue.LineElectricalLength, v, ok, 1, maxLength)
	}
}

// status returns the state of the line. Where the link is only said not to be
// up, the line itself (LineStatus, firmware of 2019 and later) knows more.
func (r reply) status(n tree.Node) int64 {
	link, _ := r.check.Text(n, "LinkStatus")
	line, _ := r.check.Text(n, "LineStatus")
	if i := index(catalogue.LineStatus, link); i > statusUnknown {
		return i
	}
	if i := index(catalogue.LineStatus, line); i > statusUp || i == statusUp && link == "" {
		return i
	}
	switch link {
	case "Down", "LowerLayerDown":
		return statusNoSignal
	case "NotPresent":
		return statusDisabled
	}
	return statusUnknown
}

// statsFields are those of getDSLStats. ErroredSecs, LossOfFraming and all
// without ATUC are counted at the box.
func statsFields() []field {
	return []field{
		{"LinkRetrain", catalogue.LineRetrains},
		{"InitErrors", catalogue.LineInitErrors},
		{"InitTimeouts", catalogue.LineInitTimeouts},
		{"ErroredSecs", catalogue.LineDownES},
		{"SeverelyErroredSecs", catalogue.LineDownSES},
		{"LossOfFraming", catalogue.LineDownLOF},
		{"FECErrors", catalogue.LineDownFEC},
		{"ATUCFECErrors", catalogue.LineUpFEC},
		{"CRCErrors", catalogue.LineDownCRC},
		{"ATUCCRCErrors", catalogue.LineUpCRC},
		{"HECErrors", catalogue.LineDownHEC},
		{"ATUCHECErrors", catalogue.LineUpHEC},
	}
}

func statsMetrics() []catalogue.ID { return metricsOf(statsFields()) }

// decodeStats reads the reply of getDSLStats of the line.
func decodeStats(n tree.Node, line string, b *sample.Batch) error {
	status, err := object(n, "status")
	if err != nil {
		return err
	}
	return decodeCounters(status, line, statsFields(), b)
}

// lineStatsFields are those of getDSLLineStats, below Total.
func lineStatsFields() []field {
	return []field{
		{"ErroredSecs", catalogue.LineDownES},
		{"SeverelyErroredSecs", catalogue.LineDownSES},
		{"UAS", catalogue.LineDownUAS},
		{"LOS", catalogue.LineDownLOS},
		{"LOF", catalogue.LineDownLOF},
		{"LOM", catalogue.LineDownLOM},
	}
}

func lineStatsMetrics() []catalogue.ID { return metricsOf(lineStatsFields()) }

// decodeLineStats reads the reply of getDSLLineStats of the line: of its
// periods the Total, which the others are parts of.
func decodeLineStats(n tree.Node, line string, b *sample.Batch) error {
	status, err := object(n, "status")
	if err != nil {
		return err
	}
	total, err := object(status, "Total")
	if err != nil {
		return err
	}
	return decodeCounters(total, line, lineStatsFields(), b)
}

func decodeCounters(n tree.Node, line string, fields []field, b *sample.Batch) error {
	before := len(b.Readings)
	var check tree.Check
	reply{&check, line, b}.counters(n, fields)
	if err := check.Err(); err != nil {
		return err
	}
	if len(b.Readings) == before {
		return fmt.Errorf("no counters of a DSL line: %w", collector.ErrNoData)
	}
	return nil
}
