package wifi

import (
	"slices"
	"strconv"

	"livebox-agent/collector/platform"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
)

// Decoders returns what reads the replies of boxes that are asked over a bus.
func Decoders() []platform.Decoder {
	return slices.Concat(sysbusDecoders(), iwinfoDecoders(), prplDecoders())
}

// sysbusDecoders returns what reads the replies of a Livebox. They all read
// the same one.
func sysbusDecoders() []platform.Decoder {
	d := platform.Decoder{Platform: platform.Sysbus, Object: sysbusObject, Method: sysbusMethod, Variant: "wlan"}
	radios, stations, temperatures := d, d, d
	radios.Name, radios.Metrics = "radios.wlan", sysbusRadioMetrics()
	radios.Decode = func(n tree.Node, _ platform.Hint, b *sample.Batch) error { return decodeRadios(n, b) }
	stations.Name, stations.Metrics = "stations.wlan", sysbusStationMetrics()
	stations.Decode = func(n tree.Node, _ platform.Hint, b *sample.Batch) error { return decodeStations(n, b) }
	temperatures.Name, temperatures.Metrics = "radiotemp.wlan", sysbusTemperatureMetrics()
	temperatures.Decode = func(n tree.Node, _ platform.Hint, b *sample.Batch) error { return decodeTemperatures(n, b) }
	return []platform.Decoder{radios, stations, temperatures}
}

// decodeStations adds what a reply says of each station, under a number.
func decodeStations(n tree.Node, b *sample.Batch) error {
	number := 0
	return eachStation(n, func(_ string, r *reply, _ *tree.Check) {
		if number++; number > maxStations {
			return
		}
		name := "station" + strconv.Itoa(number)
		for f := range fields {
			if r.has(f) {
				b.Add(fieldMetrics[f], name, r.values[f])
			}
		}
	})
}
