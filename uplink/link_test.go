package uplink

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// falseClient says that every publish succeeded: the token of the library with
// its own reconnecting, after a connection that was lost.
type falseClient struct {
	mqtt.Client
	open bool
}

func (c *falseClient) IsConnectionOpen() bool { return c.open }

func (c *falseClient) Publish(string, byte, bool, any) mqtt.Token { return doneToken{} }

type doneToken struct{ mqtt.Token }

func (doneToken) Done() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

func (doneToken) Error() error { return nil }

func TestTokenAloneIsNoPuback(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(l *link, c *falseClient)
		ok    bool
	}{
		{"open", func(*link, *falseClient) {}, true},
		{"the library says closed", func(_ *link, c *falseClient) { c.open = false }, false},
		{"the connection failed", func(l *link, _ *falseClient) { _ = l.guard.fail(errLost) }, false},
		{"the link was lost", func(l *link, _ *falseClient) { l.end() }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, labConfig(), nil, nil)
				c := &falseClient{open: true}
				l := &link{client: c, lost: make(chan struct{})}
				l.guard = &guard{died: l.died}
				tt.spoil(l, c)
				s := &session{
					u: r.u, link: l, over: make(chan struct{}),
					out: make(chan publication, 1), settled: make(chan publication, 1),
				}
				s.workers.Go(s.publish)
				s.out <- publication{key: window(1)}
				if p := <-s.settled; (p.err == nil) != tt.ok {
					t.Errorf("a done token without error settles with %v; want ok = %v", p.err, tt.ok)
				}
				close(s.over)
				s.workers.Wait()
			})
		})
	}
}

func TestLinkEndsThoughTheLibraryDoesNotNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &link{lost: make(chan struct{})}
		l.guard = &guard{died: l.died}
		_ = l.guard.fail(errors.New("reset"))
		_ = l.guard.fail(errors.New("and again"))
		start := time.Now()
		<-l.lost
		if d := time.Since(start); d != reapWait {
			t.Errorf("lost %v after the connection failed; want %v", d, reapWait)
		}
		if err := l.why(); err == nil || err.Error() != "reset" {
			t.Errorf("why() = %v; want the first failure", err)
		}
	})
}
