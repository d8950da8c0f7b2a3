package sysbus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/platform/tree"
)

const (
	// pollTimeout is how long the box may keep an event request open. The
	// boxes' own limits (eventmanager.longpolling_timeout) are below that.
	pollTimeout = 3 * time.Minute
	// minPoll is the least time between two event requests, in case a box
	// answers at once with nothing.
	minPoll = time.Second
	// maxPollPause bounds the doubling pause after a failed event request.
	maxPollPause = 2 * time.Minute
	// maxEvents bounds the events of one reply.
	maxEvents = 256
)

// An Event is what the box reports without being asked each time.
type Event struct {
	// Handler is the object that it is about, such as
	// "HomeLan.Interface.veip0.Stats". Handlers of Devices hold a customer's
	// device in their name: they never leave the agent as they are.
	Handler string
	// Reason is what happened, such as "changed".
	Reason string
	// Attributes are what changed.
	Attributes tree.Node
}

// Events hands each event of the objects called names ("NMC",
// "HomeLan.Interface") and of those below them to f, until ctx is done or the
// box refuses. It keeps a request open at the box, on a connection of its own,
// which no call waits for. A lost channel is opened again: what happened
// meanwhile is not reported, so whoever depends on events asks now and then
// all the same.
//
// f is called by Events itself. The error is that of ctx, or wraps
// collector.ErrRefused or collector.ErrNoData.
func (c *Client) Events(ctx context.Context, names []string, f func(Event)) error {
	var channel tree.Node
	pause := minPoll
	via := c.newLane()
	defer via.close()
	for {
		started := c.now()
		n, err := c.poll(ctx, via, names, channel)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			if channel.Exists() {
				pause = minPoll
			}
			channel = n.Get("channelid")
			deliver(n.Get("events"), f)
		case channel.Exists():
			// Whatever went wrong, the box may have forgotten the channel: it
			// says so in more than one way, and a restart is one of them.
			channel = tree.Node{}
			pause = min(2*pause, maxPollPause)
		case errors.Is(err, collector.ErrRefused), errors.Is(err, collector.ErrNoData):
			return fmt.Errorf("events: %w", err)
		default:
			if pause == minPoll {
				c.log.Warn("no events from the box", "err", err)
			}
			pause = min(2*pause, maxPollPause)
		}
		if wait := pause - (c.now() - started); wait > 0 {
			timer := time.NewTimer(wait)
			select {
			case <-ctx.Done():
				timer.Stop()
				return ctx.Err()
			case <-timer.C:
			}
		}
	}
}

// poll opens one event request, and once more with a new session if the one
// there was is gone.
func (c *Client) poll(ctx context.Context, via *lane, names []string, channel tree.Node) (tree.Node, error) {
	body := map[string]any{"events": names}
	if id, ok := channel.Uint(); ok {
		body["channelid"] = id
	}
	held, err := c.borrow(ctx, session{})
	if err != nil {
		return tree.Node{}, err
	}
	n, err := c.exchange(ctx, request{kind: kindEvent, body: body, session: &held, via: via})
	if !errors.Is(err, collector.ErrRefused) {
		return n, err
	}
	fresh, lost := c.borrow(ctx, held)
	if lost != nil || fresh.context == held.context {
		return n, err
	}
	return c.exchange(ctx, request{kind: kindEvent, body: body, session: &fresh, via: via})
}

// borrow returns a copy of the session, after opening one where there is none
// or only the one that was lost.
func (c *Client) borrow(ctx context.Context, lost session) (session, error) {
	if err := take(ctx, c.turn); err != nil {
		return session{}, err
	}
	defer func() { c.turn <- struct{}{} }()
	if lost.context != "" && c.session.context == lost.context {
		c.session = session{}
	}
	if err := c.open(ctx); err != nil && !errors.Is(err, errLogin) {
		return session{}, err
	}
	return session{context: c.session.context, cookies: append([]string(nil), c.session.cookies...)}, nil
}

// deliver hands the events of one reply to f.
func deliver(events tree.Node, f func(Event)) {
	for i := range min(events.Len(), maxEvents) {
		data := events.Get(strconv.Itoa(i), "data")
		handler, ok := data.Get("handler").Text()
		if !ok {
			continue
		}
		e := Event{Handler: handler, Attributes: data.Get("object", "attributes")}
		e.Reason, _ = data.Get("object", "reason").Text()
		f(e)
	}
}
