package wifi

import (
	"fmt"
	"slices"
	"sort"
	"time"

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

// A roster is the stations that a source knows, whatever platform tells of
// them: it continues their counters and gives their readings. A round is
// beginRound, for each interface dumping and for each of its stations scratch
// and note, and endRound.
type roster struct {
	pseudonym func(mac [6]byte) string

	known   map[[6]byte]*station
	ordered []*station // by when they became known, or by name after a new key
	round   uint64
	at      time.Duration // of the round under way
	dumping uint32        // number of the interface whose stations are noted
	shuffle bool          // a station was renamed in the round under way
	excess  int           // stations for which there was no room
	scratch reply         // what is told of the station to be noted
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

	// renamed is when the station took its name from another one, if it did;
	// former is the time of association that the other was last told.
	wasRenamed bool
	renamed    time.Duration
	former     uint64
	// What follows is of this name. base is what a counter's total has in it
	// that must not show: the reading is the rest.
	base, last [counterFields]int64
	read       uint32 // has the bit of each counter that was read

	// Of the previous reading, to see that it associated anew since.
	before struct {
		index      uint32
		associated uint64
		connected  int64
	}
}

func newRoster(pseudonym func(mac [6]byte) string) roster {
	return roster{pseudonym: pseudonym, known: make(map[[6]byte]*station)}
}

// describeStations describes the source "stations", which is the same on
// every platform.
func describeStations(timeout time.Duration) collector.Description {
	return collector.Description{
		Name:     "stations",
		Purpose:  catalogue.Personalised,
		Metrics:  slices.Clone(fieldMetrics[:]),
		Interval: interval,
		Timeout:  timeout,
	}
}

// beginRound starts a round at the time at.
func (s *roster) beginRound(at time.Duration) {
	s.round++
	s.at, s.excess, s.shuffle = at, 0, false
	s.forget()
}

// note takes what the interface dumping tells of the station in scratch.
func (s *roster) note() {
	r := &s.scratch
	if !r.hasMAC || r.pending {
		return
	}
	x := s.known[r.mac]
	if x == nil {
		if x = s.meet(r.mac); x == nil {
			s.excess++
			return
		}
	}
	if x.round == s.round && x.index != s.dumping && !heardLater(r, &x.reply) {
		return
	}
	if name := s.pseudonym(r.mac); x.name != name {
		if x.round != 0 {
			x.rename(s.at)
			s.shuffle = true
		}
		x.name = name
	}
	x.round, x.heard, x.index, x.reply = s.round, s.at, s.dumping, *r
}

// endRound adds the readings of the stations noted in this round.
func (s *roster) endRound(b *sample.Batch) error {
	if s.shuffle {
		// All are renamed at once: in the old order, the n-th new name would
		// be the n-th old one's.
		sort.Slice(s.ordered, func(i, j int) bool { return s.ordered[i].name < s.ordered[j].name })
	}
	for _, x := range s.ordered {
		if x.round == s.round {
			x.add(b)
		}
	}
	if s.excess > 0 {
		return fmt.Errorf("%d stations beyond %d are left out", s.excess, maxStations)
	}
	return nil
}

// heardLater says whether the interface that gave a heard the station later
// than the one that gave b. One that does not tell heard it now.
func heardLater(a, b *reply) bool {
	return a.values[fieldInactive] < b.values[fieldInactive]
}

// meet makes a station known, in place of the one that left first where there
// is no room; nil where none left.
func (s *roster) meet(mac [6]byte) *station {
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
func (s *roster) forget() {
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
	anew, veiled := x.associatedAnew(), x.veiled()
	for f := range fields {
		if f < counterFields && anew {
			x.counters[f].Restart()
		}
		if !x.reply.has(f) || f == fieldConnectedTime && veiled {
			continue
		}
		v := x.reply.values[f]
		if f < counterFields {
			v = x.count(f, veiled)
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

// rename makes the station's counters start anew, at the time at: by totals
// that go on, who has both would know the new name for the old one.
func (x *station) rename(at time.Duration) {
	x.wasRenamed, x.renamed, x.former = true, at, x.before.associated
	x.counters = [counterFields]counter.Unwrapper{}
	x.base, x.last, x.read = [counterFields]int64{}, [counterFields]int64{}, 0
}

// veiled says whether the station may be in an association of which something
// was reported under a former name: then its counters count only from their
// first reading under this one, and how long it lasts is not told.
func (x *station) veiled() bool {
	switch r := &x.reply; {
	case !x.wasRenamed:
		return false
	case r.has(fieldConnectedTime):
		// Whole seconds, rounded down.
		return time.Duration(r.values[fieldConnectedTime]+1)*time.Second > x.heard-x.renamed
	default:
		known := r.associated != 0 && x.former != 0
		return !known || max(r.associated, x.former)-min(r.associated, x.former) <= sameAssociation
	}
}

// count returns the reading of the counter f.
func (x *station) count(f field, veiled bool) int64 {
	total, reset := x.counters[f].Next(uint64(x.reply.values[f]), x.reply.bits(f))
	if first := x.read&(1<<f) == 0; veiled && (first || reset) {
		// What it counted so far may be from before this name.
		x.base[f] += total - x.last[f]
	}
	x.last[f] = total
	x.read |= 1 << f
	return total - x.base[f]
}
