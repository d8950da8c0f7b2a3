package wifi

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
)

// A Model asks the data model of prplOS, TR-181 without its "Device."; a
// *ubus.Conn does. As for Bus, a source has one of its own.
type Model interface {
	Values(ctx context.Context, object, method string, params map[string]any) ([]tree.Node, error)
}

const (
	modelRadio = "WiFi.Radio"
	modelAP    = "WiFi.AccessPoint"
	modelGet   = "_get"
	modelStats = "getStationStats"
	// modelCounts is the object of an access point that counts who joined and
	// who did not. It is asked for alone: what is beside it has the key.
	modelCounts = "AssociationCount."
)

// errNotInModel is the code of the data model for what it does not have
// (amxd_status_object_not_found).
const errNotInModel = 2

// read calls a method of the data model. It is answered by three values in a
// row: the result, what the method changed of its parameters, and how it went
// (an amxd_status_t of Ambiorix).
func read(ctx context.Context, m Model, object, method string, params map[string]any) (tree.Node, error) {
	values, err := m.Values(ctx, object, method, params)
	if err != nil {
		return tree.Node{}, err
	}
	if len(values) == 0 {
		return tree.Node{}, fmt.Errorf("%s.%s: %w: no value", object, method, collector.ErrNoData)
	}
	last := values[len(values)-1].Get("amxd-error-code")
	switch code, ok := last.Int(); {
	case ok && code == errNotInModel:
		return tree.Node{}, fmt.Errorf("%s.%s: %w: not in the data model", object, method, collector.ErrNoData)
	case ok && code != 0:
		return tree.Node{}, fmt.Errorf("%s.%s: error %d of the data model", object, method, code)
	}
	return values[0], nil
}

// eachInstance calls f for the instances of a table in the reply n, whose keys
// are paths with a dot at the end ("WiFi.Radio.1."). Other keys are of what is
// below or above.
func eachInstance(n tree.Node, object string, c *tree.Check, f func(number string, n tree.Node)) error {
	if !n.IsObject() {
		return fmt.Errorf("%s.%s: %w: no object", object, modelGet, tree.ErrMalformed)
	}
	left := maxVAPs
	n.Each(func(key string, n tree.Node) {
		number, ok := instanceOf(key, object)
		if !ok {
			return
		}
		if left--; left < 0 || !n.IsObject() {
			c.Bad(object)
			return
		}
		f(number, n)
	})
	return nil
}

// instanceOf returns the number of the instance of object that path names.
func instanceOf(path, object string) (number string, ok bool) {
	number, ok = strings.CutPrefix(strings.TrimSuffix(path, "."), object+".")
	if _, err := strconv.ParseUint(number, 10, 16); err != nil {
		return "", false
	}
	return number, ok
}

// PrplRadios is the source "radios" of prplOS.
type PrplRadios struct {
	model   Model
	refused refusals
}

// NewPrplRadios returns the source "radios" of a box with that data model.
func NewPrplRadios(m Model) *PrplRadios { return &PrplRadios{model: m} }

// Describe says that the source is for support. The data model tells of the
// radios what a Livebox does.
func (r *PrplRadios) Describe() collector.Description {
	return collector.Description{
		Name:     "radios",
		Purpose:  catalogue.Support,
		Metrics:  sysbusRadioMetrics(),
		Interval: sysbusInterval,
		Timeout:  sysbusTimeout,
	}
}

// Collect adds the readings of every radio, and of every access point the number
// of stations and of those that did not get in, with "radio1" and "ap1" as
// instance for the first of each: their names may be anybody's.
func (r *PrplRadios) Collect(ctx context.Context, b *sample.Batch) error {
	given := len(b.Readings)
	var t tally
	n, err := read(ctx, r.model, modelRadio, modelGet, nil)
	if err == nil {
		err = decodeModelRadios(n, b)
	}
	t.judge(modelRadio, err)
	n, err = read(ctx, r.model, modelAP, modelGet, nil)
	if err == nil {
		err = decodeModelCounts(n, b)
	}
	if t.judge(modelAP, err) {
		r.addRefused(ctx, n, b, &t)
	}
	return t.result(len(b.Readings) > given)
}

// addRefused asks every access point of the reply n that is on for its counts.
func (r *PrplRadios) addRefused(ctx context.Context, n tree.Node, b *sample.Batch, t *tally) {
	given := len(b.Readings)
	err := eachInstance(n, modelAP, &t.Check, func(number string, n tree.Node) {
		if s, _ := t.Text(n, "Status"); s != "Enabled" {
			return
		}
		n, err := read(ctx, r.model, modelAP+"."+number, modelGet, map[string]any{"rel_path": modelCounts})
		if err == nil {
			err = decodeModelRefused(n, b)
		}
		t.judge(modelAP+"."+number, err)
	})
	t.judge(modelAP, err)
	r.refused.goOn(b.Readings[given:])
}

// decodeModelRadios reads the reply of WiFi.Radio _get.
func decodeModelRadios(n tree.Node, b *sample.Batch) error {
	var c tree.Check
	err := eachInstance(n, modelRadio, &c, func(number string, n tree.Node) {
		name := "radio" + number
		if s, ok := c.Text(n, "OperatingFrequencyBand"); ok {
			if band := bandNamed(s); band != catalogue.BandUnknown {
				b.Add(catalogue.RadioBand, name, band)
			}
		}
		if s, _ := c.Text(n, "Status"); s == "Up" {
			addSysbusRadio(b, name, n, &c)
		}
	})
	if err != nil {
		return err
	}
	return c.Err()
}

// decodeModelCounts reads the reply of WiFi.AccessPoint _get.
func decodeModelCounts(n tree.Node, b *sample.Batch) error {
	var c tree.Check
	err := eachInstance(n, modelAP, &c, func(number string, n tree.Node) {
		if s, _ := c.Text(n, "Status"); s == "Enabled" {
			addSysbusCount(b, "ap"+number, n, &c)
		}
	})
	if err != nil {
		return err
	}
	return c.Err()
}

// decodeModelRefused reads the counts in the reply of _get of one access point.
func decodeModelRefused(n tree.Node, b *sample.Batch) error {
	if !n.IsObject() {
		return fmt.Errorf("%s.%s: %w: no object", modelAP, modelGet, tree.ErrMalformed)
	}
	var c tree.Check
	n.Each(func(key string, n tree.Node) {
		object, ok := strings.CutSuffix(key, "."+modelCounts)
		if number, isAP := instanceOf(object, modelAP); ok && isAP {
			addRefused(b, "ap"+number, n, &c)
		}
	})
	return c.Err()
}

// PrplStations is the source "stations" of prplOS.
type PrplStations struct {
	roster
	model Model
}

// NewPrplStations returns the source "stations" of a box with that data model.
// pseudonym gives the name under which the station with that address is
// reported; it is asked in every round, so that a new key is in force at once.
func NewPrplStations(m Model, pseudonym func(mac [6]byte) string) *PrplStations {
	return &PrplStations{roster: newRoster(pseudonym), model: m}
}

// Describe says that the source is for personalised advice. The data model
// tells of a station what a Livebox does.
func (s *PrplStations) Describe() collector.Description {
	return collector.Description{
		Name:     "stations",
		Purpose:  catalogue.Personalised,
		Metrics:  sysbusStationMetrics(),
		Interval: sysbusInterval,
		Timeout:  sysbusTimeout,
	}
}

// Collect adds what the box tells of each associated station, with the
// station's pseudonym as instance. It asks each access point for its
// statistics: the table of stations has those of the last time that somebody
// did.
func (s *PrplStations) Collect(ctx context.Context, b *sample.Batch) error {
	n, err := read(ctx, s.model, modelAP, modelGet, nil)
	if err != nil {
		return err
	}
	var t tally
	var aps []string
	err = eachInstance(n, modelAP, &t.Check, func(number string, n tree.Node) {
		if status, _ := t.Text(n, "Status"); status == "Enabled" {
			aps = append(aps, number)
		}
	})
	if err != nil {
		return err
	}
	s.beginRound(b.At)
	for _, number := range aps {
		s.dumping = fingerprint(number)
		n, err := read(ctx, s.model, modelAP+"."+number, modelStats, nil)
		if err == nil {
			err = eachModelStation(n, &t.Check, func(r *reply) {
				if !r.hasMAC {
					t.Bad("MACAddress")
					return
				}
				s.scratch = *r
				s.steady()
				s.note()
			})
		}
		t.judge(modelAP+"."+number, err)
	}
	err = s.endRound(b)
	if failed := t.result(t.good > 0); failed != nil {
		return failed
	}
	return err
}

// eachModelStation calls f for every associated station in the reply of
// getStationStats. r is used again for the next one.
func eachModelStation(n tree.Node, c *tree.Check, f func(r *reply)) error {
	stations := n.Get("retval")
	if !stations.IsList() && !stations.IsObject() {
		return fmt.Errorf("%s: %w: no stations", modelStats, tree.ErrMalformed)
	}
	var r reply
	eachEntry(stations, c, func(key string, e tree.Node) {
		if isAssociated(e, c) {
			r.decode(key, e, c)
			f(&r)
		}
	})
	return nil
}

// prplDecoders returns what reads the replies of prplOS.
func prplDecoders() []platform.Decoder {
	decoder := func(name, object, method string, metrics []catalogue.ID, decode func(tree.Node, *sample.Batch) error) platform.Decoder {
		return platform.Decoder{
			Name: name, Platform: platform.OpenWrt, Object: object, Method: method, Metrics: metrics,
			Decode: func(n tree.Node, _ platform.Hint, b *sample.Batch) error { return decode(n, b) },
		}
	}
	return []platform.Decoder{
		decoder("radios.model", modelRadio, modelGet, sysbusRadioMetrics(), decodeModelRadios),
		decoder("radios.accesspoints", modelAP, modelGet, []catalogue.ID{catalogue.RadioStations, catalogue.RadioWeakStations}, decodeModelCounts),
		decoder("radios.joins", modelAP+".*", modelGet, []catalogue.ID{catalogue.RadioAssociationFailures}, decodeModelRefused),
		decoder("stations.model", modelAP+".*", modelStats, sysbusStationMetrics(), func(n tree.Node, b *sample.Batch) error {
			var c tree.Check
			if err := naming(eachModelStation)(n, &c, b); err != nil {
				return err
			}
			return c.Err()
		}),
	}
}
