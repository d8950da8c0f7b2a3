package uplink

import (
	"time"

	"livebox-agent/uplink/wire"
)

// maxResend caps the doubling wait between two rounds of sending again.
const maxResend = 12 * time.Hour

// A lane is where the uplink stands in one lane of the queue: two cursors, no
// reports. Fresh reports are those appended after the connection began; the
// old ones are gone through in rounds, first at the beginning of the
// connection, then each time that the CEM has had long enough to acknowledge.
type lane struct {
	id    wire.Lane
	queue Queue

	fresh  Key   // what comes after it is fresh
	more   bool  // there may be something after fresh
	newest *Item // goes before the first round

	held bool // nothing of it is sent

	round    bool // a round is under way
	at       Key  // where it is
	end      Key  // the last key that belongs to it
	skip     Key  // sent already on this connection
	again    bool // it sends what the broker accepted before
	resent   int  // how many reports it has sent
	mark     Key  // end of the next round: what was sent until the last ended
	next     time.Time
	wait     time.Duration
	starved  bool // nothing was acknowledged between the last two rounds
	progress bool // something was acknowledged since the last round
	seen     bool // a report that cannot be sent, since the round began
	refused  bool // there is a report that cannot be sent

	// What the broker accepted and the CEM has not stored, over connections.
	waiting Key // the oldest known one; zero: none
	since   time.Time
	waited  time.Duration // while connected, before this connection
	stuck   bool          // for longer than it should
}

// begin starts the lane on a new connection.
func (l *lane) begin(now time.Time, newestFirst bool, wait time.Duration) {
	*l = lane{
		id: l.id, queue: l.queue, more: true, wait: wait, next: now.Add(wait),
		waiting: l.waiting, waited: l.waited, since: now.Add(-l.waited), stuck: l.stuck,
		refused: l.refused,
	}
	last, ok := l.queue.Last(l.id)
	if !ok {
		return
	}
	l.fresh, l.end, l.round, l.next = last.Key, last.Key, true, time.Time{}
	if newestFirst {
		l.newest, l.skip = &last, last.Key
	}
}

// suspend ends the connection for the lane.
func (l *lane) suspend(now time.Time) {
	l.waited, l.newest = now.Sub(l.since), nil
}

// hold stops the lane, or lets it go on. What gathered meanwhile is then a
// backlog, as after an outage: the newest goes first, the rest in a round.
func (l *lane) hold(held bool) {
	if l.held == held {
		return
	}
	l.held = held
	if held {
		if l.newest != nil {
			l.newest, l.skip = nil, Key{}
		}
		return
	}
	last, ok := l.queue.Last(l.id)
	if !ok || last.Key.Compare(l.fresh) <= 0 {
		return
	}
	if !l.round {
		l.round, l.again, l.at, l.resent, l.next = true, false, l.fresh, 0, time.Time{}
		l.seen = l.refused
	}
	l.end, l.fresh = last.Key, last.Key
	l.newest, l.skip = &last, last.Key
}

// nextFresh gives the next fresh report and steps over it.
func (l *lane) nextFresh() (Item, bool) {
	if it := l.newest; it != nil {
		l.newest = nil
		return *it, true
	}
	if !l.more || l.held {
		return Item{}, false
	}
	it, ok := l.queue.Next(l.id, l.fresh)
	if !ok {
		l.more = false
		return Item{}, false
	}
	l.fresh = it.Key
	return it, true
}

// nextOld gives the next report of the round and steps over it. It ends the
// round where there is none.
func (l *lane) nextOld(now time.Time, flying map[Key]flight, p pacer) (Item, bool) {
	for l.round && !l.held {
		it, ok := l.queue.Next(l.id, l.at)
		if !ok || it.Key.Compare(l.end) > 0 {
			l.endRound(now, p)
			break
		}
		l.at = it.Key
		if _, busy := flying[it.Key]; busy || it.Key == l.skip {
			continue
		}
		l.resent++
		return it, true
	}
	return Item{}, false
}

// endRound ends a round and sets the time of the next.
func (l *lane) endRound(now time.Time, p pacer) {
	l.round, l.skip, l.refused = false, Key{}, l.seen
	switch {
	case !l.again:
	case l.resent == 0:
		l.wait = p.resend
		if l.stuck && l.waiting.Compare(l.end) <= 0 { // dropped from the queue: nothing waits any more
			l.waiting, l.stuck = Key{}, false
		}
	default:
		l.wait = min(2*l.wait, max(maxResend, p.resend))
	}
	l.mark = l.fresh
	l.next = now.Add(l.wait)
}

// beginAgain starts a round of what was sent at least one wait ago and is
// still there.
func (l *lane) beginAgain() {
	l.round, l.again, l.at, l.end, l.resent, l.next = true, true, Key{}, l.mark, 0, time.Time{}
	l.seen = false
	l.starved, l.progress = !l.progress, false
}

// accepted notes that the broker has taken the report of that key. again says
// that it had done so one wait before.
func (l *lane) accepted(k Key, again bool, now time.Time, p pacer) {
	since := now
	if again {
		since = now.Add(-p.resend)
	}
	if l.waiting == (Key{}) || again && since.Before(l.since) {
		l.waiting, l.since = k, since
	}
}

// acknowledged notes an acknowledgement that removed n reports.
func (l *lane) acknowledged(a wire.LaneAck, n int, now time.Time, p pacer) {
	if l.waiting.Run.ID == a.RunID && covers(a, l.waiting.Sequence) {
		l.waiting, l.stuck = Key{}, false
	}
	if n == 0 {
		return
	}
	l.progress = true
	if l.starved && l.resent > 0 && !l.next.IsZero() {
		// The CEM is back after a while: it gets soon what it missed, but not
		// from all boxes at once.
		l.starved, l.wait = false, p.resend
		if soon := now.Add(p.jitter(p.resend)); soon.Before(l.next) {
			l.next = soon
		}
	}
}

// covers tells whether an acknowledgement holds that sequence.
func covers(a wire.LaneAck, seq uint64) bool {
	if seq <= a.Contiguous {
		return seq > 0
	}
	for _, r := range a.Ranges {
		if r.First <= seq && seq <= r.Last {
			return true
		}
	}
	return false
}
