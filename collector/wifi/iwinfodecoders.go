package wifi

import (
	"fmt"
	"strconv"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
)

// anyInterface is the instance of what a reply says of an interface that it
// does not name.
const anyInterface = "wlan"

// iwinfoDecoders returns what reads the replies of OpenWrt.
func iwinfoDecoders() []platform.Decoder {
	counts := []catalogue.ID{catalogue.RadioStations, catalogue.RadioWeakStations}
	decoder := func(name, object, method string, metrics []catalogue.ID, decode func(tree.Node, *tree.Check, *sample.Batch) error) platform.Decoder {
		return platform.Decoder{
			Name: name, Platform: platform.OpenWrt, Object: object, Method: method, Metrics: metrics,
			Decode: func(n tree.Node, _ platform.Hint, b *sample.Batch) error {
				var c tree.Check
				if err := decode(n, &c, b); err != nil {
					return err
				}
				return c.Err()
			},
		}
	}
	return []platform.Decoder{
		decoder("radios.info", "iwinfo", "info", []catalogue.ID{
			catalogue.RadioChannel, catalogue.RadioBand, catalogue.RadioBandwidth, catalogue.RadioNoise, catalogue.RadioTxPower,
		}, readInfo),
		decoder("radios.survey", "iwinfo", "survey", append([]catalogue.ID{catalogue.RadioNoise}, timeMetrics[:timeBSSRx]...), readSurvey),
		decoder("radios.assoclist", "iwinfo", "assoclist", counts, counting(eachAssociated)),
		decoder("stations.assoclist", "iwinfo", "assoclist", iwinfoStationMetrics(), naming(eachAssociated)),
		decoder("radios.clients", "hostapd.*", "get_clients", counts, counting(eachClient)),
		decoder("stations.clients", "hostapd.*", "get_clients", []catalogue.ID{
			catalogue.StationSignalLast, catalogue.StationDownlinkRate, catalogue.StationUplinkRate,
			catalogue.StationBytesReceived, catalogue.StationBytesSent, catalogue.StationPacketsReceived,
			catalogue.StationPacketsSent, catalogue.StationRxAirtime, catalogue.StationTxAirtime,
		}, naming(eachClient)),
	}
}

func readInfo(n tree.Node, c *tree.Check, b *sample.Batch) error {
	w, err := decodeInfo(n, c)
	if err != nil {
		return err
	}
	label := radioLabel(anyInterface, w.phy)
	addInfo(b, label, &w)
	if w.noise != 0 {
		b.Add(catalogue.RadioNoise, label, w.noise)
	}
	return nil
}

func readSurvey(n tree.Node, c *tree.Check, b *sample.Batch) error {
	s, found, err := decodeSurvey(n, 0, c)
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("%w: no channel surveyed", collector.ErrNoData)
	}
	if noise, ok := dbm(s.noise); ok {
		b.Add(catalogue.RadioNoise, anyInterface, noise)
	}
	for i, metric := range timeMetrics {
		if s.given&(1<<i) != 0 {
			b.Add(metric, anyInterface, int64(min(s.times[i], 1<<63-1)))
		}
	}
	return nil
}

// eachStationOf calls f for the stations of a reply.
type eachStationOf func(n tree.Node, c *tree.Check, f func(r *reply)) error

// counting counts the stations of a reply.
func counting(each eachStationOf) func(tree.Node, *tree.Check, *sample.Batch) error {
	return func(n tree.Node, c *tree.Check, b *sample.Batch) error {
		var count stationCount
		if err := each(n, c, count.count); err != nil {
			return err
		}
		count.add(b, anyInterface)
		return nil
	}
}

// naming adds what a reply says of each station, under a number.
func naming(each eachStationOf) func(tree.Node, *tree.Check, *sample.Batch) error {
	return func(n tree.Node, c *tree.Check, b *sample.Batch) error {
		number := 0
		return each(n, c, func(r *reply) {
			if number++; number > maxStations || r.pending || !r.hasMAC {
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
}
