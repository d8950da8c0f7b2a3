package signals

import (
	"runtime"
	"strconv"
	"time"

	"livebox-agent/agent/detect"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

// A Cost is what a detector takes.
type Cost struct {
	// Nanoseconds of a reading in which nothing is found, on this machine.
	Nanoseconds float64
	// Bytes of one instance (one line, one port, one station).
	Bytes float64
}

// usual has, for a detector, the readings of one instance, and of each how
// much it grows from one batch to the next.
func usual(detector string) (metrics []catalogue.ID, values, growth []int64) {
	switch detector {
	case Margin:
		return []catalogue.ID{catalogue.LineDownMargin}, []int64{60}, []int64{0}
	case Attenuation:
		return []catalogue.ID{catalogue.LineDownAttenuation}, []int64{200}, []int64{0}
	case Optical:
		return []catalogue.ID{catalogue.OpticRxPower}, []int64{-20_000}, []int64{0}
	case Noise:
		return []catalogue.ID{catalogue.RadioNoise}, []int64{-95}, []int64{0}
	case Temperature, Thermal:
		return []catalogue.ID{catalogue.SensorTemperature}, []int64{50_000}, []int64{0}
	case RailStep, RailBand:
		return []catalogue.ID{catalogue.SensorVoltage}, []int64{12_000}, []int64{0}
	case Flapping:
		return []catalogue.ID{catalogue.PortCarrierDowns}, []int64{3}, []int64{0}
	case LineLoss, LineErrors:
		return []catalogue.ID{
			catalogue.LineStatus, catalogue.LineLastChange, catalogue.LineRetrains,
			catalogue.LineDownSES, catalogue.LineUpSES, catalogue.LineDownUAS, catalogue.LineUpUAS,
		}, []int64{lineIsUp, 5000, 3, 8, 8, 700, 700}, []int64{0, 10, 0, 0, 0, 0, 0}
	case Latency, Loss:
		return []catalogue.ID{catalogue.ProbeRTT, catalogue.ProbeSent, catalogue.ProbeReceived, catalogue.ProbeSkipped}, []int64{9000, 10, 10, 0}, []int64{0, 10, 10, 0}
	case Coverage:
		return []catalogue.ID{catalogue.StationSignal, catalogue.StationBytesSent, catalogue.StationBytesReceived}, []int64{-60, 1, 1}, []int64{0, 1 << 20, 1 << 12}
	}
	return []catalogue.ID{catalogue.RadioAssociationFailures}, []int64{2}, []int64{0}
}

// Measure says what a detector costs on this machine. Those that share a state
// (step and limit of a temperature) share the cost.
func Measure(cfg detect.Config, detector string) Cost {
	const instances, rounds = 8, 20_000 // each detector has places for eight
	metrics, values, growth := usual(detector)
	b := sample.Batch{At: 2 * time.Hour}
	for i := range instances {
		for j, m := range metrics {
			b.Add(m, "i"+strconv.Itoa(i), values[j])
		}
	}
	emit := func(sample.Sign) {}
	var before, after runtime.MemStats
	const copies = 64 // so that what else the runtime does is small beside it
	all := make([]*detect.Detectors, copies)
	for i := range all {
		all[i] = detect.New(cfg)
	}
	runtime.GC()
	runtime.ReadMemStats(&before)
	for _, d := range all {
		d.Observe(&b, emit)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	c := Cost{Bytes: float64(int64(after.HeapAlloc)-int64(before.HeapAlloc)) / (copies * instances)}
	d := all[0]
	begun := time.Now()
	for range rounds {
		b.At += tick
		for i := range b.Readings {
			b.Readings[i].Value += growth[i%len(growth)]
		}
		d.Observe(&b, emit)
	}
	c.Nanoseconds = float64(time.Since(begun).Nanoseconds()) / float64(rounds*len(b.Readings))
	runtime.KeepAlive(all)
	return c
}
