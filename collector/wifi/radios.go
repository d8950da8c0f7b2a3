package wifi

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/label"
	"livebox-agent/collector/sample"
)

const (
	interval = 10 * time.Second
	// timeout is for a dozen exchanges that take the kernel less than a
	// millisecond each, or 100 ms where a driver asks its firmware.
	timeout = 3 * time.Second
	// maxRadios bounds the radios that are remembered: phys get a new number
	// each time their driver starts.
	maxRadios = 16
)

// Radios reads the channel, the air time and the load of each radio, and how
// many stations are on it: of these, it reads nothing but their signal.
type Radios struct {
	client *client
	joins  *Joins
	radios []radio

	// The round under way.
	channel uint32 // whose survey is wanted
	best    survey
	count   stationCount

	beginSurvey, beginCount func()
	takeSurvey, takeStation func(attributes []byte) error
}

// A radio is what is remembered from round to round.
type radio struct {
	phy    uint32
	number int // on its phy, or noRadio
	label  string
	times  [surveyTimes]stopwatch
	// best is the index of the interface that speaks for the radio in the
	// round under way, -1 for none.
	best int
}

// A stationCount is how many stations one interface has.
type stationCount struct {
	all, weak, measured int64
}

// NewRadios returns the source "radios". dial connects to the kernel (Dial);
// it is called in the first round, and again after an error. joins is who
// counts those that did not get in; nil: nobody.
func NewRadios(dial func() (Conn, error), joins *Joins) *Radios {
	r := &Radios{client: newClient(dial), joins: joins}
	r.beginSurvey = func() { r.best = survey{} }
	r.beginCount = func() { r.count = stationCount{} }
	r.takeSurvey = r.addSurvey
	r.takeStation = r.addStation
	return r
}

// Describe says that the source is for support and gives every Radio metric.
func (r *Radios) Describe() collector.Description {
	return collector.Description{
		Name:    "radios",
		Purpose: catalogue.Support,
		Metrics: append([]catalogue.ID{
			catalogue.RadioChannel, catalogue.RadioBand, catalogue.RadioBandwidth,
			catalogue.RadioNoise, catalogue.RadioTxPower,
			catalogue.RadioStations, catalogue.RadioWeakStations, catalogue.RadioAssociationFailures,
		}, timeMetrics[:]...),
		Interval: interval,
		Timeout:  timeout,
	}
}

// Collect adds the readings of every radio, with the radio's name ("phy0";
// "phy0.1" for the second radio of a phy that has several) as instance, and
// the number of stations of every interface and of those that did not get in,
// with the interface's name.
func (r *Radios) Collect(ctx context.Context, b *sample.Batch) error {
	return r.client.finish(r.collect(ctx, b))
}

func (r *Radios) collect(ctx context.Context, b *sample.Batch) error {
	if err := r.client.list(ctx); err != nil {
		return err
	}
	before := len(b.Readings)
	r.elect()
	var first error
	for i := range r.radios {
		if r.radios[i].best < 0 {
			continue
		}
		if err := r.addRadio(ctx, b, &r.radios[i]); err != nil && first == nil {
			first = fmt.Errorf("survey %s: %w", r.radios[i].label, err)
		}
	}
	for i := range r.client.interfaces {
		it := &r.client.interfaces[i]
		if err := r.addCount(ctx, b, it); err != nil && first == nil {
			first = fmt.Errorf("count stations of %s: %w", it.instance, err)
		}
		if n, ok := r.joins.failures(it.instance); ok && it.isAccessPoint() {
			b.Add(catalogue.RadioAssociationFailures, it.instance, n)
		}
	}
	if first == nil && len(b.Readings) == before {
		return fmt.Errorf("%w: no radio in use", collector.ErrNoData)
	}
	return first
}

// elect finds the interface that speaks for each radio: an access point before
// another, one with a channel before one without.
func (r *Radios) elect() {
	for i := range r.radios {
		r.radios[i].best = -1
	}
	// Radios that are known come first, so that none of them is replaced.
	for i := range r.client.interfaces {
		if x := r.find(&r.client.interfaces[i]); x != nil {
			r.nominate(x, i)
		}
	}
	for i := range r.client.interfaces {
		it := &r.client.interfaces[i]
		if r.find(it) == nil {
			r.meet(it)
		}
		if x := r.find(it); x != nil {
			r.nominate(x, i)
		}
	}
}

// nominate lets interface i speak for x if it has the better claim.
func (r *Radios) nominate(x *radio, i int) {
	if x.best < 0 || claim(&r.client.interfaces[i]) > claim(&r.client.interfaces[x.best]) {
		x.best = i
	}
}

func claim(it *netif) int {
	c := 0
	if it.frequency != 0 {
		c += 2
	}
	if it.isAccessPoint() {
		c++
	}
	return c
}

// find returns the radio of the interface, nil where it is not known.
func (r *Radios) find(it *netif) *radio {
	for i := range r.radios {
		if x := &r.radios[i]; x.phy == it.phy && x.number == it.radio {
			return x
		}
	}
	return nil
}

// meet makes the radio of the interface known. Where there is no room, it
// takes the place of one that has no interface any more, if there is one.
func (r *Radios) meet(it *netif) {
	x := radio{phy: it.phy, number: it.radio, label: phyLabel(it), best: -1}
	if len(r.radios) < maxRadios {
		r.radios = append(r.radios, x)
		return
	}
	if i := slices.IndexFunc(r.radios, func(x radio) bool { return x.best < 0 }); i >= 0 {
		r.radios[i] = x
	}
}

// phyLabel names the radio of an interface: by the name of its phy, or the
// number where that name may not be reported.
func phyLabel(it *netif) string {
	radio := ""
	if it.radio != noRadio {
		radio = "." + strconv.Itoa(it.radio)
	}
	if name := it.phyName + radio; it.phyName != "" && label.Interface(name, it.phy) == name {
		return name
	}
	return "phy" + strconv.FormatUint(uint64(it.phy), 10) + radio
}

// addRadio adds what the radio's interface and the survey of its channel say.
func (r *Radios) addRadio(ctx context.Context, b *sample.Batch, x *radio) error {
	it := &r.client.interfaces[x.best]
	if number, band := channel(it.frequency); band != catalogue.BandUnknown {
		b.Add(catalogue.RadioChannel, x.label, number)
		b.Add(catalogue.RadioBand, x.label, band)
	}
	if it.width > 0 {
		b.Add(catalogue.RadioBandwidth, x.label, it.width)
	}
	if it.power != 0 {
		b.Add(catalogue.RadioTxPower, x.label, int64(it.power))
	}
	r.channel = it.frequency
	err := r.client.dump(ctx, unix.NL80211_CMD_GET_SURVEY, it.index, r.beginSurvey, r.takeSurvey)
	if gone(err) || unsupported(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if noise, ok := dbm(r.best.noise); ok {
		b.Add(catalogue.RadioNoise, x.label, noise)
	}
	for i, metric := range timeMetrics {
		if r.best.given&(1<<i) != 0 {
			b.Add(metric, x.label, x.times[i].next(r.best.frequency, r.best.times[i]))
		}
	}
	return nil
}

func (r *Radios) addSurvey(attributes []byte) error {
	s, err := parseSurvey(attributes)
	if err != nil {
		return err
	}
	if s.rank(r.channel) > r.best.rank(r.channel) {
		r.best = s
	}
	return nil
}

// addCount adds how many stations the interface has. One that is no access
// point counts where it has a peer.
func (r *Radios) addCount(ctx context.Context, b *sample.Batch, it *netif) error {
	err := r.client.dump(ctx, unix.NL80211_CMD_GET_STATION, it.index, r.beginCount, r.takeStation)
	if gone(err) || unsupported(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if r.count.all == 0 && !it.isAccessPoint() {
		return nil
	}
	b.Add(catalogue.RadioStations, it.instance, r.count.all)
	if r.count.measured > 0 || r.count.all == 0 {
		b.Add(catalogue.RadioWeakStations, it.instance, r.count.weak)
	}
	return nil
}

func (r *Radios) addStation(attributes []byte) error {
	level, ok, associated, err := parseLevel(attributes)
	if err != nil || !associated {
		return err
	}
	r.count.all++
	if ok {
		r.count.measured++
		if level < catalogue.WeakSignal {
			r.count.weak++
		}
	}
	return nil
}
