package sysbus_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/platform/sysbus"
	"livebox-agent/collector/platform/sysbus/sysbustest"
	"livebox-agent/collector/platform/tree"
)

// A channel is the event service of a box: one channel at a time, an event
// every period, long polls that end after a minute.
type channel struct {
	period time.Duration

	mu   sync.Mutex
	id   uint64
	sent int
	// opened counts the channels, polls the requests.
	opened, polls int
}

func (ch *channel) serve(r *http.Request, body tree.Node) any {
	ch.mu.Lock()
	ch.polls++
	id, has := body.Get("channelid").Uint()
	if has && id != ch.id {
		ch.mu.Unlock()
		return sysbustest.Error(196639, "Function execution failed", "channel does not exist")
	}
	if !has {
		ch.opened++
		ch.id = uint64(1000 + ch.opened)
		id = ch.id
		ch.mu.Unlock()
		return map[string]any{"channelid": id, "events": []any{}}
	}
	ch.mu.Unlock()
	select {
	case <-time.After(min(ch.period, time.Minute)):
	case <-r.Context().Done():
		return nil
	}
	if ch.period > time.Minute {
		return map[string]any{"channelid": id}
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.sent++
	return map[string]any{"channelid": id, "events": []any{
		map[string]any{"data": map[string]any{"handler": "NMC", "object": map[string]any{
			"reason": "changed", "attributes": map[string]any{"WanState": fmt.Sprint(ch.sent)},
		}}},
	}}
}

func (ch *channel) lose() {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.id = 0
}

// watch runs Events until the test ends, and returns what came so far and
// what Events returned.
func watch(t *testing.T, c *sysbus.Client) (got func() []string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var seen []string
	done := make(chan error, 1)
	go func() {
		done <- c.Events(ctx, []string{"NMC"}, func(e sysbus.Event) {
			mu.Lock()
			defer mu.Unlock()
			state, _ := e.Attributes.Get("WanState").Text()
			seen = append(seen, e.Handler+" "+e.Reason+" "+state)
		})
	}()
	return func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(seen) },
		func() error { cancel(); return <-done }
}

// pass lets d go by in a bubble.
func pass(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
	synctest.Wait()
}

func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ch := &channel{period: 10 * time.Second}
		box := &sysbustest.Box{Reply: replies, Events: ch.serve, Password: secret}
		c := connect(t, box, logIn(passwordFile(t)))
		got, stop := watch(t, c)
		pass(t, 35*time.Second)
		if want := []string{"NMC changed 1", "NMC changed 2", "NMC changed 3"}; !slices.Equal(got(), want) {
			t.Errorf("events = %q; want %q", got(), want)
		}
		// A poll is open for most of the time: no call waits for it.
		start := time.Now()
		if _, err := c.Call(t.Context(), "NMC", "get", nil); err != nil || time.Since(start) > 0 {
			t.Errorf("a call beside the open poll took %v: %v", time.Since(start), err)
		}
		ch.lose()
		pass(t, 30*time.Second)
		if ch.opened != 2 || len(got()) < 4 {
			t.Errorf("after the channel was lost %d channels were opened, %d events in all", ch.opened, len(got()))
		}
		before := len(got())
		box.Restart()
		ch.lose()
		pass(t, 40*time.Second)
		if box.Logins() != 2 || len(got()) <= before {
			t.Errorf("after a restart: %d logins, %d events more", box.Logins(), len(got())-before)
		}
		if err := stop(); !errors.Is(err, context.Canceled) {
			t.Errorf("Events = %v; want context canceled", err)
		}
	})
}

func TestAQuietHourOfEventsIsCheap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ch := &channel{period: time.Hour}
		_, stop := watch(t, connect(t, &sysbustest.Box{Reply: replies, Events: ch.serve, Password: secret}, logIn(passwordFile(t))))
		pass(t, time.Hour)
		if ch.polls < 55 || ch.polls > 62 || ch.opened != 1 {
			t.Errorf("%d polls and %d channels in a quiet hour; want one a minute on one channel", ch.polls, ch.opened)
		}
		_ = stop()
	})
}

func TestEventsDoNotRunInATightLoop(t *testing.T) {
	for name, tt := range map[string]struct {
		reply func() any
		most  int // polls in a minute
	}{
		"answered at once with nothing": {func() any { return map[string]any{"channelid": 7, "events": []any{}} }, 61},
		"failing each time":             {func() any { return sysbustest.Error(196639, "Function execution failed", "x") }, 7},
		"of no sense":                   {func() any { return json.RawMessage(`[1,2]`) }, 7},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				polls := 0
				box := &sysbustest.Box{Reply: replies, Password: secret, Events: func(*http.Request, tree.Node) any {
					polls++
					return tt.reply()
				}}
				_, stop := watch(t, connect(t, box, logIn(passwordFile(t))))
				pass(t, time.Minute)
				if polls < 3 || polls > tt.most {
					t.Errorf("%d polls in a minute", polls)
				}
				_ = stop()
			})
		})
	}
}

func TestEventsEndWhereTheBoxHasNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := &sysbustest.Box{Reply: replies, Password: secret}
		c := connect(t, box, logIn(passwordFile(t)))
		err := c.Events(t.Context(), []string{"NMC"}, func(sysbus.Event) { t.Error("an event") })
		if !errors.Is(err, collector.ErrRefused) || box.Logins() != 2 {
			t.Errorf("Events = %v after %d logins; want ErrRefused after a second login", err, box.Logins())
		}
	})
}

func TestEventsThatMakeNoSense(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := true
		box := &sysbustest.Box{Reply: replies, Password: secret, Events: func(r *http.Request, _ tree.Node) any {
			if !first {
				<-r.Context().Done()
				return nil
			}
			first = false
			return json.RawMessage(`{"channelid":"x","events":[null,3,{"data":7},{"data":{"handler":5}},
				{"data":{"handler":"NMC","object":"x"}},{"data":{"handler":"NMC","object":{"reason":{},"attributes":[1]}}}]}`)
		}}
		got, stop := watch(t, connect(t, box, logIn(passwordFile(t))))
		pass(t, 10*time.Second)
		if want := []string{"NMC  ", "NMC  "}; !slices.Equal(got(), want) {
			t.Errorf("events = %q; want %q", got(), want)
		}
		_ = stop()
	})
}
