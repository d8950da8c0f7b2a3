package wifi

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/counter"
	"livebox-agent/collector/sample"
)

const (
	// maxStations bounds the stations that are known, those that left
	// included. A home has a few tens.
	maxStations = 128
	// forgetAfter is how long a station that left stays known, so that its
	// counters go on when it comes back.
	forgetAfter = 24 * time.Hour
)

// Stations reads signal, rates and counters of every station, under its
// pseudonym.
type Stations struct {
	client    *client
	pseudonym func(mac [6]byte) string

	known   map[[6]byte]*station
	ordered []*station // by when they became known
	round   uint64
	at      time.Duration // of the round under way
	dumping uint32        // index of the interface whose stations are read
	excess  int           // stations for which there was no room
	scratch reply

	begin       func()
	takeStation func(attributes []byte) error
}

// A station is what is known of one station from round to round.
type station struct {
	mac      [6]byte
	name     string // pseudonym
	round    uint64 // in which it was heard last
	heard    time.Duration
	index    uint32 // of the interface that hears it
	reply    reply
	counters [counterFields]counter.Unwrapper

	// Of the previous reading, to see that it associated anew since.
	before struct {
		index      uint32
		associated uint64
		connected  int64
	}
}

// NewStations returns the source "stations". dial connects to the kernel
// (Dial); it is called in the first round, and again after an error.
// pseudonym gives the name under which the station with that address is
// reported; it is asked in every round, so that a new key is in force at once.
func NewStations(dial func() (Conn, error), pseudonym func(mac [6]byte) string) *Stations {
	s := &Stations{
		client:    newClient(dial),
		pseudonym: pseudonym,
		known:     make(map[[6]byte]*station),
	}
	// A second attempt at a dump overwrites what the first one gave.
	s.begin = func() {}
	s.takeStation = s.addStation
	return s
}

// Describe says that the source is for personalised advice and gives every
// Station metric.
func (s *Stations) Describe() collector.Description {
	return collector.Description{
		Name:     "stations",
		Purpose:  catalogue.Personalised,
		Metrics:  slices.Clone(fieldMetrics[:]),
		Interval: interval,
		Timeout:  timeout,
	}
}

// Collect adds what the kernel tells of each station, with the station's
// pseudonym as instance. A station that two interfaces list, since it moved
// from one to the other, is the one that was heard last.
func (s *Stations) Collect(ctx context.Context, b *sample.Batch) error {
	return s.client.finish(s.collect(ctx, b))
}

func (s *Stations) collect(ctx context.Context, b *sample.Batch) error {
	if err := s.client.list(ctx); err != nil {
		return err
	}
	s.round++
	s.at, s.excess = b.At, 0
	s.forget()
	var first error
	listed := false
	for i := range s.client.interfaces {
		it := &s.client.interfaces[i]
		s.dumping = it.index
		err := s.client.dump(ctx, unix.NL80211_CMD_GET_STATION, it.index, s.begin, s.takeStation)
		if !unsupported(err) {
			listed = true
		}
		if err != nil && !gone(err) && !unsupported(err) && first == nil {
			first = fmt.Errorf("list stations of %s: %w", it.name, err)
		}
	}
	for _, x := range s.ordered {
		if x.round == s.round {
			x.add(b)
		}
	}
	switch {
	case first != nil:
		return first
	case !listed:
		return fmt.Errorf("%w: no driver lists its stations", collector.ErrNoData)
	case s.excess > 0:
		return fmt.Errorf("%d stations beyond %d are left out", s.excess, maxStations)
	}
	return nil
}

// addStation notes what an interface tells of a station.
func (s *Stations) addStation(attributes []byte) error {
	r := &s.scratch
	if err := r.parse(attributes); err != nil {
		return err
	}
	if !r.hasMAC || r.pending {
		return nil
	}
	x := s.known[r.mac]
	if x == nil {
		if x = s.meet(r.mac); x == nil {
			s.excess++
			return nil
		}
	}
	if x.round == s.round && x.index != s.dumping && !heardLater(r, &x.reply) {
		return nil
	}
	x.name = s.pseudonym(r.mac)
	x.round, x.heard, x.index, x.reply = s.round, s.at, s.dumping, *r
	return nil
}

// heardLater says whether the interface that gave a heard the station later
// than the one that gave b. One that does not tell heard it now.
func heardLater(a, b *reply) bool {
	return a.values[fieldInactive] < b.values[fieldInactive]
}

// meet makes a station known, in place of the one that left first where there
// is no room; nil where none left.
func (s *Stations) meet(mac [6]byte) *station {
	if len(s.ordered) >= maxStations {
		oldest := -1
		for i, x := range s.ordered {
			// Not one of the last round: it may be listed yet in this one.
			if x.round+1 < s.round && (oldest < 0 || x.round < s.ordered[oldest].round) {
				oldest = i
			}
		}
		if oldest < 0 {
			return nil
		}
		delete(s.known, s.ordered[oldest].mac)
		s.ordered = slices.Delete(s.ordered, oldest, oldest+1)
	}
	x := &station{mac: mac}
	s.known[mac] = x
	s.ordered = append(s.ordered, x)
	return x
}

// forget drops the stations that have been away for too long.
func (s *Stations) forget() {
	s.ordered = slices.DeleteFunc(s.ordered, func(x *station) bool {
		if s.at-x.heard < forgetAfter {
			return false
		}
		delete(s.known, x.mac)
		return true
	})
}

// add adds the readings of the station.
func (x *station) add(b *sample.Batch) {
	anew := x.associatedAnew()
	for f := range fields {
		if f < counterFields && anew {
			x.counters[f].Restart()
		}
		if !x.reply.has(f) {
			continue
		}
		v := x.reply.values[f]
		if f < counterFields {
			v, _ = x.counters[f].Next(uint64(v), x.reply.bits(f))
		}
		b.Add(fieldMetrics[f], x.name, v)
	}
	x.before.index = x.index
	x.before.associated = x.reply.associated
	x.before.connected = x.reply.values[fieldConnectedTime]
}

// associatedAnew says whether the station associated since the last reading:
// then the kernel's counters started again from zero, however large they are
// now. Without a sign of it, the counters have to show it themselves.
func (x *station) associatedAnew() bool {
	switch {
	case x.before.index != x.index:
		return true
	case x.before.associated != 0 && x.reply.associated != 0:
		return x.before.associated != x.reply.associated
	}
	return x.reply.has(fieldConnectedTime) && x.reply.values[fieldConnectedTime] < x.before.connected
}
