package box

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A channel is what an asker for events gets them by.
type channel struct {
	roots []string
	next  int // number of the first event that it has not had
	used  time.Duration
}

type event struct {
	number int
	body   *object
	from   string // handler
}

const (
	// maxEvents is how many events a box keeps for its channels.
	maxEvents = 256
	// maxChannels is how many channels it has.
	maxChannels = 8
	// channelIdle is how long a channel lasts without a call.
	channelIdle = 2 * time.Minute
)

// happened puts an event on the channels. The caller holds mu.
func (b *Box) happened(handler, reason string, attributes *object) {
	b.lastEvent++
	b.events = append(b.events, event{b.lastEvent, obj("data", obj(
		"handler", handler, "object", obj("reason", reason, "attributes", attributes),
	)), handler})
	if len(b.events) > maxEvents {
		b.events = b.events[len(b.events)-maxEvents:]
	}
	b.wake()
}

// serveEvents answers a long poll: at the first event, or when the time is up.
func (b *Box) serveEvents(w http.ResponseWriter, r *http.Request, body []byte) {
	var call struct {
		Events []string        `json:"events"`
		ID     json.RawMessage `json:"channelid"`
	}
	if err := json.Unmarshal(body, &call); err != nil || len(call.Events) == 0 {
		http.Error(w, "Bad Request", http.StatusBadRequest)
		return
	}
	id := b.channelFor(call.Events, strings.Trim(string(call.ID), `"`))
	deadline := time.NewTimer(b.config.LongPoll)
	defer deadline.Stop()
	for {
		found, more, wait, there := b.poll(id)
		if !there {
			b.writeEvents(w, r, b.failure("", fault{codeFailed, "Function execution failed", "channel does not exist"}))
			return
		}
		if len(found) > 0 {
			b.writeEvents(w, r, obj("channelid", id, "events", found))
			return
		}
		again := time.NewTimer(wait)
		select {
		case <-more:
		case <-again.C: // a measure of HomeLan is due
		case <-deadline.C:
			again.Stop()
			b.writeEvents(w, r, obj("channelid", id, "events", []any{}))
			return
		case <-r.Context().Done():
			again.Stop()
			return
		}
		again.Stop()
	}
}

// channelFor returns the number of the channel asked for, or of a new one if
// none is.
func (b *Box) channelFor(roots []string, id string) int {
	w := b.at()
	defer b.mu.Unlock()
	b.calls["events"]++
	for n, c := range b.channels {
		if w.now-c.used > channelIdle {
			delete(b.channels, n)
		}
	}
	if id != "" && id != "0" && id != "null" {
		n, err := strconv.Atoi(id)
		if err != nil {
			return -1
		}
		return n
	}
	n := b.random.IntN(1<<20) + 1
	for len(b.channels) >= maxChannels {
		oldest := 0
		for n, c := range b.channels {
			if oldest == 0 || c.used < b.channels[oldest].used {
				oldest = n
			}
		}
		delete(b.channels, oldest)
	}
	b.channels[n] = &channel{roots: roots, next: b.lastEvent + 1, used: w.now}
	return n
}

// poll returns the events that a channel has not had, what is closed at the
// next one, and how long it is until there is a measure.
func (b *Box) poll(id int) (found []any, more <-chan struct{}, wait time.Duration, there bool) {
	w := b.at()
	defer b.mu.Unlock()
	c := b.channels[id]
	if c == nil {
		return nil, nil, 0, false
	}
	c.used = w.now
	for _, e := range b.events {
		if e.number >= c.next && c.wants(e.from) {
			found = append(found, e.body)
		}
	}
	c.next = b.lastEvent + 1
	if b.more == nil {
		b.more = make(chan struct{})
	}
	return found, b.more, recordEvery - w.now%recordEvery, true
}

// wants says whether the channel asked for events of a handler.
func (c *channel) wants(handler string) bool {
	for _, root := range c.roots {
		if rest, ok := strings.CutPrefix(handler, root); ok && (rest == "" || rest[0] == '.') {
			return true
		}
	}
	return false
}

// writeEvents writes the reply to a long poll, which ends with the word null.
func (b *Box) writeEvents(w http.ResponseWriter, r *http.Request, v *object) {
	b.at()
	kind := b.misbehave
	b.mu.Unlock()
	if kind != Behave {
		kind.write(w, r, typeEvent, v)
		return
	}
	w.Header().Set("Content-Type", typeEvent+"; charset=UTF-8")
	_, _ = w.Write(append(appendJSON(nil, v), "null"...))
}
