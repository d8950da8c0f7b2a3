package ubus_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/platform/ubus"
	"livebox-agent/collector/platform/ubus/ubustest"
)

// subscribed returns a daemon with the objects, and a subscriber on it.
func subscribed(t *testing.T, objects func() []ubustest.Object) (*ubustest.Server, *ubus.Subscriber) {
	t.Helper()
	path := socketPath(t)
	server, err := ubustest.Listen(path, objects, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	s, err := ubus.Subscribe(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return server, s
}

func refresh(t *testing.T, s *ubus.Subscriber, pattern string, want ...string) {
	t.Helper()
	names, err := s.Refresh(t.Context(), pattern)
	if err != nil || !slices.Equal(names, want) {
		t.Fatalf("Refresh = %q, %v; want %q", names, err, want)
	}
}

func notify(t *testing.T, server *ubustest.Server, path string, n ubustest.Notice) {
	t.Helper()
	if told, err := server.Notify(path, n); err != nil || told != 1 {
		t.Fatalf("Notify(%s) = %d, %v; want one subscriber", path, told, err)
	}
}

// next returns the next notification as a text.
func next(t *testing.T, s *ubus.Subscriber) string {
	t.Helper()
	n, err := s.Next(t.Context(), time.Now().Add(10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	v, err := n.Values()
	if err != nil {
		t.Fatal(err)
	}
	address, _ := v.Get("address").Text()
	return n.Object + " " + n.Type + " " + address
}

func auth(i int) ubustest.Notice {
	return ubustest.Notice{Type: "auth", Values: map[string]any{"address": fmt.Sprint(i)}}
}

func TestSubscriberIsToldEverythingInOrder(t *testing.T) {
	server, s := subscribed(t, ubustest.Fixed(object("hostapd.a"), object("hostapd.b"), object("other")))
	refresh(t, s, "hostapd.*", "hostapd.a", "hostapd.b")
	notify(t, server, "hostapd.a", auth(1))
	notify(t, server, "hostapd.b", auth(2))
	// These are read while the bus is asked.
	refresh(t, s, "hostapd.*", "hostapd.a", "hostapd.b")
	notify(t, server, "hostapd.a", auth(3))
	for _, want := range []string{"hostapd.a auth 1", "hostapd.b auth 2", "hostapd.a auth 3"} {
		if got := next(t, s); got != want {
			t.Errorf("got %q; want %q", got, want)
		}
	}
	if told, err := server.Notify("other", auth(4)); told != 0 || err != nil {
		t.Errorf("%d subscribers, %v, of what nobody subscribed to", told, err)
	}
	if n := server.Answers(); n != 0 {
		t.Errorf("%d answers that nobody waits for", n)
	}
}

func TestWhoWaitsForTheAnswerOfASubscriberGetsOne(t *testing.T) {
	server, s := subscribed(t, ubustest.Fixed(object("o")))
	refresh(t, s, "o", "o")
	for i, readBy := range []func(){func() { next(t, s) }, func() { refresh(t, s, "o", "o") }} {
		n := auth(1)
		n.Answer = true
		notify(t, server, "o", n)
		readBy()
		// Answered before this: the daemon takes messages in their order.
		refresh(t, s, "o", "o")
		if got := server.Answers(); got != i+1 {
			t.Errorf("%d answers; want %d", got, i+1)
		}
	}
}

func TestSubscriberFollowsServicesThatStartAnew(t *testing.T) {
	var objects []ubustest.Object
	server, s := subscribed(t, func() []ubustest.Object { return objects })
	refresh(t, s, "hostapd.*")
	objects = []ubustest.Object{object("hostapd.a")}
	refresh(t, s, "hostapd.*", "hostapd.a")
	for i := range 100 { // more than there may be at a time
		server.Renumber()
		refresh(t, s, "hostapd.*", "hostapd.a")
		notify(t, server, "hostapd.a", auth(i))
		if got, want := next(t, s), fmt.Sprint("hostapd.a auth ", i); got != want {
			t.Fatalf("got %q; want %q", got, want)
		}
	}
	objects = nil
	server.Renumber()
	deadline(t, s)
	refresh(t, s, "hostapd.*")
}

// deadline lets the subscriber read until there is nothing more.
func deadline(t *testing.T, s *ubus.Subscriber) {
	t.Helper()
	if n, err := s.Next(t.Context(), time.Now().Add(50*time.Millisecond)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Next = %v, %v; want the deadline", n, err)
	}
}

func TestWaitForANotificationEnds(t *testing.T) {
	server, s := subscribed(t, ubustest.Fixed(object("o")))
	refresh(t, s, "o", "o")
	deadline(t, s)
	notify(t, server, "o", auth(1))
	if got := next(t, s); got != "o auth 1" {
		t.Errorf("after the deadline: %q", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := s.Next(ctx, time.Time{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Next = %v; want the cancellation", err)
	}
	if _, err := s.Refresh(ctx, "o"); !errors.Is(err, context.Canceled) {
		t.Errorf("Refresh = %v; want the cancellation", err)
	}
	_ = server.Close()
	if _, err := s.Next(t.Context(), time.Time{}); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Next = %v; want that the bus is gone", err)
	}
}

func TestWhatMayNotBeSubscribedTo(t *testing.T) {
	private := object("hostapd.a", "m")
	private.Private = true
	_, s := subscribed(t, ubustest.Fixed(private))
	names, err := s.Refresh(t.Context(), "hostapd.*")
	if _, ok := errors.AsType[*ubus.CallError](err); !ok || !errors.Is(err, collector.ErrRefused) || names != nil {
		t.Errorf("Refresh = %q, %v; want a CallError that is ErrRefused", names, err)
	}
	if _, err := ubus.Subscribe(t.Context(), socketPath(t)); !errors.Is(err, collector.ErrNoData) {
		t.Errorf("Subscribe = %v where there is no bus; want ErrNoData", err)
	}
}

func TestNotificationThatDoesNotHoldTogether(t *testing.T) {
	server, s := subscribed(t, ubustest.Fixed(object("o")))
	refresh(t, s, "o", "o")
	notify(t, server, "o", ubustest.Notice{Type: "auth", Values: ubustest.Raw{0x83, 0, 0, 0x40, 0, 1, 'x', 0}})
	notify(t, server, "o", auth(1))
	n, err := s.Next(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Values(); !errors.Is(err, ubus.ErrMalformed) {
		t.Errorf("Values = %v; want ErrMalformed", err)
	}
	if got := next(t, s); got != "o auth 1" {
		t.Errorf("after it: %q", got)
	}
}
