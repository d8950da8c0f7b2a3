package detect

import (
	"time"

	"livebox-agent/collector/catalogue"
)

// A kind of state. Its instances have a number of places of their own, so that
// a crowd of stations takes none from the line.
type kind uint8

const (
	none kind = iota
	ofLevel
	ofTemperature
	ofRail
	ofLine
	ofOptic
	ofPort
	ofChannel
	ofPath
	ofStation
	ofAssociation
	kinds
)

// places is how many instances of a kind are held.
var places = [kinds]int{
	ofLevel: 48, ofTemperature: 32, ofRail: 32, ofLine: 8, ofOptic: 8, ofPort: 64,
	ofChannel: 16, ofPath: 8, ofStation: 128, ofAssociation: 32,
}

const (
	// patience is how long an instance that is not seen keeps its place, and
	// passing how long a station does: people come and go.
	patience = 7 * 24 * time.Hour
	passing  = time.Hour
	// yielding is how long an instance must be unseen to lose its place to
	// another one.
	yielding = 15 * time.Minute
)

// A state judges the readings of one instance.
type state interface {
	observe(d *Detectors, e *entry, m catalogue.ID, v int64)
}

// A finisher is a state that judges several readings of one batch together.
type finisher interface {
	finish(d *Detectors, e *entry)
}

type key struct {
	metric   catalogue.ID
	instance string
}

// An entry is one instance that a detector knows. That of a removed one has no
// metric and is found no more.
type entry struct {
	key
	kind    kind
	purpose catalogue.Purpose
	seen    time.Duration
	batch   uint32 // in which it was last seen
	next    *entry // what was looked for after it the last time
	state   state
}

// A table finds entries. Sources give their readings in the same order nearly
// always, so what followed the last one is looked at before the index.
type table struct {
	index   map[key]*entry
	counts  [kinds]int
	full    [kinds]time.Duration // until when no place can fall free; 0: not known
	last    *entry
	refused uint64
}

func newTable() table { return table{index: map[key]*entry{}, last: &entry{}} }

// find returns the entry of k, nil where it has none.
func (t *table) find(k key) *entry {
	if t.last.metric == k.metric && t.last.instance == k.instance {
		return t.last
	}
	n := t.last.next
	if n == nil || n.metric != k.metric || n.instance != k.instance {
		if n = t.index[k]; n == nil {
			return nil
		}
		t.last.next = n
	}
	t.last = n
	return n
}

// add makes an entry of k, or returns nil where all places are taken.
func (t *table) add(k key, of kind, now time.Duration) *entry {
	if t.counts[of] >= places[of] && !t.yield(of, now) {
		t.refused++
		return nil
	}
	m, _ := catalogue.Lookup(k.metric)
	e := &entry{key: k, kind: of, purpose: m.Purpose, seen: now}
	t.index[k] = e
	t.counts[of]++
	t.last.next, t.last = e, e
	return e
}

// yield makes room for one more of a kind: the one not seen for longest goes.
func (t *table) yield(of kind, now time.Duration) bool {
	if now < t.full[of] {
		return false
	}
	var oldest *entry
	for _, e := range t.index {
		if e.kind == of && (oldest == nil || e.seen < oldest.seen || e.seen == oldest.seen && e.less(oldest)) {
			oldest = e
		}
	}
	if now-oldest.seen < yielding {
		t.full[of] = oldest.seen + yielding
		return false
	}
	t.remove(oldest)
	return true
}

// less orders entries, so that which one goes does not hang on a map's order.
func (e *entry) less(o *entry) bool {
	return e.metric < o.metric || e.metric == o.metric && e.instance < o.instance
}

func (t *table) remove(e *entry) {
	delete(t.index, e.key)
	t.counts[e.kind]--
	t.full[e.kind] = 0
	e.key, e.next, e.state = key{}, nil, nil
}

// sweep removes what has not been seen for long.
func (t *table) sweep(now time.Duration) {
	for _, e := range t.index {
		if limit := patience; now-e.seen > limit || e.kind == ofStation && now-e.seen > passing {
			t.remove(e)
		}
	}
}

// forget removes what was learnt under a purpose.
func (t *table) forget(p catalogue.Purpose) {
	for _, e := range t.index {
		if e.purpose == p {
			t.remove(e)
		}
	}
}
