package wifi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
)

// iwinfoTimeout is for three exchanges an interface with services that ask
// the kernel in turn.
const iwinfoTimeout = 5 * time.Second

// A Bus asks the services of OpenWrt; *ubus.Conn does. A source has one of its
// own: a service that hangs must not hold up the other.
type Bus interface {
	Call(ctx context.Context, object, method string, params map[string]any) (tree.Node, error)
	List(ctx context.Context, pattern string) ([]string, error)
}

// iwinfo asks rpcd's object iwinfo and hostapd's objects.
type iwinfo struct{ bus Bus }

// A wlan is a wireless interface, and who can be asked of it.
type wlan struct {
	name            string
	iwinfo, hostapd bool
}

// list returns the wireless interfaces of the box. Their names are no more
// than names: wlan0, phy0-ap0 and wl0-ap0 are all in use.
func (w iwinfo) list(ctx context.Context) ([]wlan, error) {
	var found []wlan
	add := func(name string) *wlan {
		if !isName(name) || len(found) >= maxVAPs {
			return &wlan{}
		}
		i := slices.IndexFunc(found, func(x wlan) bool { return x.name == name })
		if i < 0 {
			i = len(found)
			found = append(found, wlan{name: name})
		}
		return &found[i]
	}
	n, devicesErr := w.bus.Call(ctx, "iwinfo", "devices", nil)
	if devicesErr != nil && !isOutcome(devicesErr) {
		return nil, devicesErr
	}
	devices := n.Get("devices")
	if devicesErr == nil && !devices.IsList() {
		return nil, fmt.Errorf("iwinfo.devices: %w: no list", tree.ErrMalformed)
	}
	devices.Each(func(_ string, n tree.Node) {
		name, _ := n.Text()
		add(name).iwinfo = true
	})
	objects, listErr := w.bus.List(ctx, "hostapd.*")
	if listErr != nil && !isOutcome(listErr) {
		return nil, listErr
	}
	for _, object := range objects {
		name, _ := strings.CutPrefix(object, "hostapd.")
		add(name).hostapd = true
	}
	if len(found) == 0 {
		for _, err := range []error{devicesErr, listErr} {
			if err != nil {
				return nil, err
			}
		}
		return nil, fmt.Errorf("%w: no wireless interface", collector.ErrNoData)
	}
	sort.Slice(found, func(i, j int) bool { return found[i].name < found[j].name })
	return found, nil
}

// isOutcome says whether err is a normal outcome: the interface or the service
// is not there (any more), does not measure this, or does not let us ask.
func isOutcome(err error) bool {
	return errors.Is(err, collector.ErrNoData) || errors.Is(err, collector.ErrRefused)
}

// ask calls a method of iwinfo for an interface.
func (w iwinfo) ask(ctx context.Context, method, device string) (tree.Node, error) {
	return w.bus.Call(ctx, "iwinfo", method, map[string]any{"device": device})
}

func (w iwinfo) clients(ctx context.Context, device string) (tree.Node, error) {
	return w.bus.Call(ctx, "hostapd."+device, "get_clients", nil)
}

// A tally is how the exchanges of a round went.
type tally struct {
	tree.Check
	first   error // that was no normal outcome
	refused error
	good    int
}

// judge counts an exchange, and says whether it gave something.
func (t *tally) judge(name string, err error) bool {
	switch {
	case err == nil:
		t.good++
		return true
	case errors.Is(err, collector.ErrRefused):
		if t.refused == nil {
			t.refused = err
		}
	case !isOutcome(err) && t.first == nil:
		t.first = fmt.Errorf("%s: %w", name, err)
	}
	return false
}

// result is the error of the round.
func (t *tally) result(given bool) error {
	switch err := t.Err(); {
	case t.first != nil:
		return t.first
	case err != nil:
		return err
	case t.refused != nil:
		return t.refused
	case !given:
		return fmt.Errorf("%w: no service tells of the Wi-Fi", collector.ErrNoData)
	}
	return nil
}

// IwinfoRadios is the source "radios" of OpenWrt.
type IwinfoRadios struct {
	iwinfo
	joins *Joins
	known []*iwinfoRadio
}

// iwinfoRadio is what is remembered of a radio from round to round.
type iwinfoRadio struct {
	label string
	times [surveyTimes]stopwatch
	// Of the round under way: who speaks for the radio, with what claim.
	speaker string
	info    wlanInfo
	claim   int
}

// NewIwinfoRadios returns the source "radios" of a box that is asked over bus.
// joins is who counts those that did not get in; nil: nobody.
func NewIwinfoRadios(bus Bus, joins *Joins) *IwinfoRadios {
	return &IwinfoRadios{iwinfo: iwinfo{bus}, joins: joins}
}

func iwinfoRadioMetrics() []catalogue.ID {
	return []catalogue.ID{
		catalogue.RadioChannel, catalogue.RadioBand, catalogue.RadioBandwidth,
		catalogue.RadioNoise, catalogue.RadioTxPower,
		catalogue.RadioStations, catalogue.RadioWeakStations, catalogue.RadioAssociationFailures,
		catalogue.RadioActiveTime, catalogue.RadioBusyTime, catalogue.RadioRxTime, catalogue.RadioTxTime,
	}
}

// Describe says that the source is for support.
func (r *IwinfoRadios) Describe() collector.Description {
	return collector.Description{
		Name:     "radios",
		Purpose:  catalogue.Support,
		Metrics:  iwinfoRadioMetrics(),
		Interval: interval,
		Timeout:  iwinfoTimeout,
	}
}

// Collect adds the readings of every radio, with the radio's name ("phy0") as
// instance, and the number of stations of every interface, with the
// interface's name. Of the stations it keeps nothing.
func (r *IwinfoRadios) Collect(ctx context.Context, b *sample.Batch) error {
	wlans, err := r.list(ctx)
	if err != nil {
		return err
	}
	given := len(b.Readings)
	var t tally
	for _, x := range r.known {
		x.claim = 0
	}
	for _, w := range wlans {
		r.addInterface(ctx, b, w, &t)
	}
	for _, x := range r.known {
		if x.claim > 0 {
			r.addSurvey(ctx, b, x, &t)
		}
	}
	return t.result(len(b.Readings) > given)
}

// addInterface adds the number of stations of an interface, and lets it speak
// for its radio if nobody has a better claim.
func (r *IwinfoRadios) addInterface(ctx context.Context, b *sample.Batch, w wlan, t *tally) {
	info := wlanInfo{mode: "Master"} // as hostapd's interfaces are
	if w.iwinfo {
		n, err := r.ask(ctx, "info", w.name)
		if err == nil {
			info, err = decodeInfo(n, &t.Check)
		}
		if !t.judge("info "+w.name, err) || !hasPeers(info.mode) {
			return
		}
	}
	count, ok := r.count(ctx, w, &info, t)
	if ok && (count.all > 0 || isMaster(info.mode)) {
		count.add(b, w.name)
	}
	if n, ok := r.joins.failures(w.name); ok && isMaster(info.mode) {
		b.Add(catalogue.RadioAssociationFailures, w.name, n)
	}
	claim := 1
	if info.frequency != 0 {
		claim += 2
	}
	if isMaster(info.mode) {
		claim++
	}
	if x := r.meet(radioLabel(w.name, info.phy)); x != nil && claim > x.claim {
		x.speaker, x.info, x.claim = w.name, info, claim
		if !w.iwinfo {
			x.speaker = ""
		}
	}
}

// count returns how many stations the interface has. From hostapd it takes
// the frequency too, where iwinfo has not told it.
func (r *IwinfoRadios) count(ctx context.Context, w wlan, info *wlanInfo, t *tally) (n stationCount, ok bool) {
	if w.iwinfo {
		reply, err := r.ask(ctx, "assoclist", w.name)
		if err == nil {
			err = eachAssociated(reply, &t.Check, n.count)
		}
		return n, t.judge("assoclist "+w.name, err)
	}
	reply, err := r.clients(ctx, w.name)
	if err == nil {
		if mhz, ok := t.Int(reply, "freq"); ok && mhz > 0 && mhz < 1<<20 {
			info.frequency = uint32(mhz)
		}
		err = eachClient(reply, &t.Check, n.count)
	}
	return n, t.judge("get_clients "+w.name, err)
}

// radioLabel names the radio of an interface: its phy, with the number of the
// radio where a phy has several (interface phy0.1-ap0), or else the part of
// the interface's name that stands for it.
func radioLabel(name, phy string) string {
	radio, _, _ := strings.Cut(name, "-")
	if phy == "" || strings.HasPrefix(radio, phy+".") {
		return radio
	}
	return phy
}

// meet returns the radio with that label; nil where there is no room for it.
func (r *IwinfoRadios) meet(label string) *iwinfoRadio {
	i := slices.IndexFunc(r.known, func(x *iwinfoRadio) bool { return x.label == label })
	if i >= 0 {
		return r.known[i]
	}
	x := &iwinfoRadio{label: label}
	if len(r.known) < maxRadios {
		r.known = append(r.known, x)
		return x
	}
	if i = slices.IndexFunc(r.known, func(x *iwinfoRadio) bool { return x.claim == 0 }); i < 0 {
		return nil
	}
	r.known[i] = x
	return x
}

// addSurvey adds what the radio's interface and the survey of its channel say.
func (r *IwinfoRadios) addSurvey(ctx context.Context, b *sample.Batch, x *iwinfoRadio, t *tally) {
	addInfo(b, x.label, &x.info)
	var s survey
	if x.speaker != "" && x.info.frequency != 0 {
		n, err := r.ask(ctx, "survey", x.speaker)
		if err == nil {
			s, _, err = decodeSurvey(n, x.info.frequency, &t.Check)
		}
		t.judge("survey "+x.speaker, err)
	}
	if s.noise == 0 {
		s.noise = int8(x.info.noise)
	}
	if noise, ok := dbm(s.noise); ok {
		b.Add(catalogue.RadioNoise, x.label, noise)
	}
	for i, metric := range timeMetrics {
		if s.given&(1<<i) != 0 {
			b.Add(metric, x.label, x.times[i].next(s.frequency, s.times[i]))
		}
	}
}

// addInfo adds what an interface tells of its radio, but for the noise.
func addInfo(b *sample.Batch, label string, w *wlanInfo) {
	number, band := channel(w.frequency)
	if band == catalogue.BandUnknown {
		number = w.channel
	} else {
		b.Add(catalogue.RadioBand, label, band)
	}
	if number > 0 {
		b.Add(catalogue.RadioChannel, label, number)
	}
	if w.width > 0 {
		b.Add(catalogue.RadioBandwidth, label, w.width)
	}
	if w.power != 0 {
		b.Add(catalogue.RadioTxPower, label, int64(w.power))
	}
}

// IwinfoStations is the source "stations" of OpenWrt.
type IwinfoStations struct {
	roster
	iwinfo
	clients map[[6]byte]reply // of the interface under way, by hostapd
}

// NewIwinfoStations returns the source "stations" of a box that is asked over
// bus. pseudonym gives the name under which the station with that address is
// reported; it is asked in every round, so that a new key is in force at once.
func NewIwinfoStations(bus Bus, pseudonym func(mac [6]byte) string) *IwinfoStations {
	return &IwinfoStations{roster: newRoster(pseudonym), iwinfo: iwinfo{bus}, clients: make(map[[6]byte]reply)}
}

// iwinfoStationMetrics are all but those that neither service knows.
func iwinfoStationMetrics() []catalogue.ID {
	return slices.DeleteFunc(slices.Clone(fieldMetrics[:]), func(id catalogue.ID) bool {
		return id == catalogue.StationBeaconLoss || id == catalogue.StationAckSignal
	})
}

// Describe says that the source is for personalised advice.
func (s *IwinfoStations) Describe() collector.Description {
	d := describeStations(iwinfoTimeout)
	d.Metrics = iwinfoStationMetrics()
	return d
}

// Collect adds what iwinfo tells of each station, completed by what hostapd
// does, with the station's pseudonym as instance. A station that two
// interfaces list, since it moved from one to the other, is the one that was
// heard last.
func (s *IwinfoStations) Collect(ctx context.Context, b *sample.Batch) error {
	wlans, err := s.list(ctx)
	if err != nil {
		return err
	}
	s.beginRound(b.At)
	var t tally
	for _, w := range wlans {
		s.dumping = fingerprint(w.name)
		s.addInterface(ctx, w, &t)
	}
	err = s.endRound(b)
	if failed := t.result(t.good > 0); failed != nil {
		return failed
	}
	return err
}

func (s *IwinfoStations) addInterface(ctx context.Context, w wlan, t *tally) {
	clear(s.clients)
	if w.hostapd {
		n, err := s.iwinfo.clients(ctx, w.name)
		if err == nil {
			err = eachClient(n, &t.Check, func(r *reply) {
				if r.hasMAC {
					s.clients[r.mac] = *r
				} else {
					t.Bad("clients")
				}
			})
		}
		t.judge("get_clients "+w.name, err)
	}
	if w.iwinfo {
		n, err := s.ask(ctx, "assoclist", w.name)
		if err == nil {
			err = eachAssociated(n, &t.Check, func(r *reply) {
				if !r.hasMAC {
					t.Bad("mac")
					return
				}
				s.scratch = *r
				if other, ok := s.clients[r.mac]; ok {
					s.scratch.complete(&other)
					delete(s.clients, r.mac)
				}
				s.note()
			})
		}
		t.judge("assoclist "+w.name, err)
	}
	for _, r := range s.clients {
		s.scratch = r
		s.note()
	}
}
