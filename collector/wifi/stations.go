package wifi

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"livebox-agent/collector"
	"livebox-agent/collector/sample"
)

// Stations reads signal, rates and counters of every station, under its
// pseudonym.
type Stations struct {
	roster
	client *client

	begin       func()
	takeStation func(attributes []byte) error
}

// NewStations returns the source "stations". dial connects to the kernel
// (Dial); it is called in the first round, and again after an error.
// pseudonym gives the name under which the station with that address is
// reported; it is asked in every round, so that a new key is in force at once.
func NewStations(dial func() (Conn, error), pseudonym func(mac [6]byte) string) *Stations {
	s := &Stations{roster: newRoster(pseudonym), client: newClient(dial)}
	// A second attempt at a dump overwrites what the first one gave.
	s.begin = func() {}
	s.takeStation = s.addStation
	return s
}

// Describe says that the source is for personalised advice and gives every
// Station metric.
func (s *Stations) Describe() collector.Description { return describeStations(timeout) }

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
	s.beginRound(b.At)
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
			first = fmt.Errorf("list stations of %s: %w", it.instance, err)
		}
	}
	err := s.endRound(b)
	switch {
	case first != nil:
		return first
	case !listed:
		return fmt.Errorf("%w: no driver lists its stations", collector.ErrNoData)
	}
	return err
}

// addStation notes what an interface tells of a station.
func (s *Stations) addStation(attributes []byte) error {
	if err := s.scratch.parse(attributes); err != nil {
		return err
	}
	s.note()
	return nil
}
