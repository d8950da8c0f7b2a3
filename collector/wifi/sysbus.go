package wifi

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/counter"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
)

const (
	// sysbusInterval is the time between two rounds: a Livebox takes up to
	// 25 s to answer one.
	sysbusInterval = time.Minute
	sysbusTimeout  = 30 * time.Second
	// temperatureInterval is longer, as a round may cost a call of its own
	// and a radio takes minutes to warm up; temperatureTimeout is for that
	// call and for the one that the box answers first.
	temperatureInterval = 5 * time.Minute
	temperatureTimeout  = time.Minute
	// yield is how long Temperatures lets a round of the others, which may
	// be due at the same instant, ask first.
	yield = 200 * time.Millisecond
)

// What is asked of a Livebox. One reply has all radios, all access points and
// all stations on them.
const (
	sysbusObject = "NeMo.Intf.lan"
	sysbusMethod = "getMIBs"
	// stationMIBs has the addresses of stations in it, radioMIBs has not.
	stationMIBs = "base wlanradio wlanvap"
	radioMIBs   = "base wlanradio"
)

// A Caller asks a Livebox; *sysbus.Client is one.
type Caller interface {
	Call(ctx context.Context, object, method string, params any) (tree.Node, error)
}

// A Sysbus is the Wi-Fi of a Livebox. The sources made of it share one reply
// where they are asked for the same instant, and never otherwise.
type Sysbus struct {
	caller Caller

	mu sync.Mutex
	// asking is the call for all MIBs that is under way, nil for none. It is
	// guarded by mu.
	asking *asked
}

// asked is one call. reply and err may be read when done is closed.
type asked struct {
	at    time.Duration
	done  chan struct{}
	reply tree.Node
	err   error
}

// NewSysbus returns the Wi-Fi of the box that caller asks.
func NewSysbus(caller Caller) *Sysbus { return &Sysbus{caller: caller} }

// mibs are the parameters of getMIBs.
type mibs struct {
	MIBs string `json:"mibs"`
}

// ask returns the reply for the instant at. Who asks for the instant of a call
// that is under way gets the reply to that one, or its error.
func (s *Sysbus) ask(ctx context.Context, at time.Duration) (tree.Node, error) {
	s.mu.Lock()
	if a := s.asking; a != nil && a.at == at {
		s.mu.Unlock()
		return a.wait(ctx)
	}
	a := &asked{at: at, done: make(chan struct{}), err: fmt.Errorf("%s.%s: given up", sysbusObject, sysbusMethod)}
	s.asking = a
	s.mu.Unlock()
	// Also when the caller panics, which costs the round that called alone.
	defer func() {
		s.mu.Lock()
		if s.asking == a {
			s.asking = nil
		}
		s.mu.Unlock()
		close(a.done)
	}()
	a.reply, a.err = s.caller.Call(ctx, sysbusObject, sysbusMethod, mibs{stationMIBs})
	return a.reply, a.err
}

func (a *asked) wait(ctx context.Context) (tree.Node, error) {
	select {
	case <-a.done:
		return a.reply, a.err
	case <-ctx.Done():
		return tree.Node{}, fmt.Errorf("wait for the reply of %s.%s: %w", sysbusObject, sysbusMethod, ctx.Err())
	}
}

// SysbusRadios is the source "radios" of a Livebox.
type SysbusRadios struct {
	bus     *Sysbus
	refused refusals
}

// NewRadios returns the source "radios".
func (s *Sysbus) NewRadios() *SysbusRadios { return &SysbusRadios{bus: s} }

// sysbusRadioMetrics are what a Livebox tells of its radios.
func sysbusRadioMetrics() []catalogue.ID {
	return []catalogue.ID{
		catalogue.RadioChannel, catalogue.RadioBand, catalogue.RadioBandwidth, catalogue.RadioNoise,
		catalogue.RadioUtilisation, catalogue.RadioInterference,
		catalogue.RadioStations, catalogue.RadioWeakStations, catalogue.RadioAssociationFailures,
	}
}

// Describe says that the source is for support. A Livebox tells the load of
// the channel and not the times that it is made of.
func (r *SysbusRadios) Describe() collector.Description {
	return collector.Description{
		Name:     "radios",
		Purpose:  catalogue.Support,
		Metrics:  sysbusRadioMetrics(),
		Interval: sysbusInterval,
		Timeout:  sysbusTimeout,
	}
}

// Collect adds the readings of every radio, with the box's name for it
// ("rad5g0") as instance, and the number of stations of every access point and
// of those that did not get in, with its name.
func (r *SysbusRadios) Collect(ctx context.Context, b *sample.Batch) error {
	n, err := r.bus.ask(ctx, b.At)
	if err != nil {
		return err
	}
	given := len(b.Readings)
	err = decodeRadios(n, b)
	r.refused.goOn(b.Readings[given:])
	return err
}

// refusals continue the boxes' counts of stations that did not get in, which
// start again from zero with the box and where somebody resets them.
type refusals struct{ known map[string]*counter.Unwrapper }

// goOn makes totals of the counts among the readings.
func (f *refusals) goOn(readings []sample.Reading) {
	for i := range readings {
		r := &readings[i]
		if r.Metric != catalogue.RadioAssociationFailures {
			continue
		}
		u := f.known[r.Instance]
		if u == nil {
			if f.known == nil || len(f.known) >= maxCounts {
				f.known = make(map[string]*counter.Unwrapper)
			}
			u = &counter.Unwrapper{}
			f.known[r.Instance] = u
		}
		r.Value, _ = u.Next(uint64(r.Value), 64)
	}
}

// SysbusStations is the source "stations" of a Livebox.
type SysbusStations struct {
	roster
	bus *Sysbus
}

// NewStations returns the source "stations". pseudonym gives the name under
// which the station with that address is reported; it is asked in every round,
// so that a new key is in force at once.
func (s *Sysbus) NewStations(pseudonym func(mac [6]byte) string) *SysbusStations {
	return &SysbusStations{roster: newRoster(pseudonym), bus: s}
}

// sysbusStationMetrics are what a Livebox tells of a station.
func sysbusStationMetrics() []catalogue.ID {
	return []catalogue.ID{
		catalogue.StationSignal, catalogue.StationNoise, catalogue.StationSNR,
		catalogue.StationDownlinkRate, catalogue.StationUplinkRate,
		catalogue.StationDownlinkMCS, catalogue.StationUplinkMCS,
		catalogue.StationDownlinkWidth, catalogue.StationUplinkWidth,
		catalogue.StationRetries, catalogue.StationFailures, catalogue.StationInactive,
		catalogue.StationBytesSent, catalogue.StationBytesReceived,
		catalogue.StationPacketsSent, catalogue.StationPacketsReceived,
	}
}

// Describe says that the source is for personalised advice.
func (s *SysbusStations) Describe() collector.Description {
	return collector.Description{
		Name:     "stations",
		Purpose:  catalogue.Personalised,
		Metrics:  sysbusStationMetrics(),
		Interval: sysbusInterval,
		Timeout:  sysbusTimeout,
	}
}

// Collect adds what the box tells of each associated station, with the
// station's pseudonym as instance.
func (s *SysbusStations) Collect(ctx context.Context, b *sample.Batch) error {
	n, err := s.bus.ask(ctx, b.At)
	if err != nil {
		return err
	}
	s.beginRound(b.At)
	malformed := eachStation(n, func(vap string, r *reply, c *tree.Check) {
		if !r.hasMAC {
			c.Bad("MACAddress")
			return
		}
		s.dumping = fingerprint(vap)
		s.scratch = *r
		s.steady()
		s.note()
	})
	if err := s.endRound(b); err != nil {
		return err
	}
	return malformed
}

// sameAssociation is how far apart two times of association may be in seconds
// and mean the same one: the box converts its monotonic time for every reply,
// so that its clock's corrections show.
const sameAssociation = 30

// steady gives the station noted next the time of association that it had
// before, if that is the same one.
func (s *roster) steady() {
	x := s.known[s.scratch.mac]
	if x == nil {
		return
	}
	before, now := x.before.associated, s.scratch.associated
	if max(before, now)-min(before, now) <= sameAssociation {
		s.scratch.associated = before
	}
}

// fingerprint numbers an access point by its name (FNV-1a): the place in the
// reply changes when another one comes or goes.
func fingerprint(name string) uint32 {
	h := uint32(2166136261)
	for i := range len(name) {
		h = (h ^ uint32(name[i])) * 16777619
	}
	return h
}

// SysbusTemperatures is the source "radiotemp": the temperature of the radios
// of a Livebox. It is apart from "radios" as it is for the operation of the
// box itself, and does not ask for what the others need of their purposes.
type SysbusTemperatures struct{ bus *Sysbus }

// NewTemperatures returns the source "radiotemp".
func (s *Sysbus) NewTemperatures() *SysbusTemperatures { return &SysbusTemperatures{s} }

func sysbusTemperatureMetrics() []catalogue.ID {
	return []catalogue.ID{catalogue.SensorTemperature}
}

// Describe says that the source is essential.
func (t *SysbusTemperatures) Describe() collector.Description {
	return collector.Description{
		Name:     "radiotemp",
		Purpose:  catalogue.Essential,
		Metrics:  slices.Clone(sysbusTemperatureMetrics()),
		Interval: temperatureInterval,
		Timeout:  temperatureTimeout,
	}
}

// Collect adds the temperature of every radio that tells it, with the radio's
// name as instance. It takes it from the reply that another source asks for at
// this instant, and asks for the radios alone where there is none.
func (t *SysbusTemperatures) Collect(ctx context.Context, b *sample.Batch) error {
	n, err := t.bus.askRadios(ctx, b.At)
	if err != nil {
		return err
	}
	return decodeTemperatures(n, b)
}

func (s *Sysbus) askRadios(ctx context.Context, at time.Duration) (tree.Node, error) {
	timer := time.NewTimer(yield)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return tree.Node{}, ctx.Err()
	}
	s.mu.Lock()
	a := s.asking
	s.mu.Unlock()
	if a != nil && a.at == at {
		return a.wait(ctx)
	}
	return s.caller.Call(ctx, sysbusObject, sysbusMethod, mibs{radioMIBs})
}
