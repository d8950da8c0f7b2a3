package uplink

import (
	"math/rand/v2"
	"time"
)

// A pacer says how long what is sent should take.
type pacer struct {
	rate   float64       // reports of the backlog per second
	bytes  int           // of the backlog per second
	all    int           // bytes per second of everything
	resend time.Duration // first wait before sending again
	rand   *rand.Rand
}

// gap draws the pause after a report of the backlog of that size, half to one
// and a half times what the rates ask for.
func (p pacer) gap(size int) time.Duration {
	seconds := max(1/p.rate, float64(size)/float64(p.bytes))
	return time.Duration(seconds * (0.5 + p.rand.Float64()) * float64(time.Second))
}

// takes is how long so many bytes take where nothing else is sent.
func (p pacer) takes(size int) time.Duration {
	return time.Duration(size) * time.Second / time.Duration(p.all)
}

// burst is how much of that may go ahead of its time: the longest message.
func (p pacer) burst() time.Duration { return p.takes(maxMessage) }

// jitter draws a time between 0 and d.
func (p pacer) jitter(d time.Duration) time.Duration {
	return time.Duration(p.rand.Int64N(int64(d)))
}

// A pace holds what is sent to a rate. The zero value lets something go at once.
type pace struct {
	ahead time.Duration // how far ahead of its time something may go
	until time.Time     // what has gone takes until then
}

// next is when more may go.
func (p *pace) next() time.Time { return p.until.Add(-p.ahead) }

func (p *pace) ready(now time.Time) bool { return !now.Before(p.next()) }

// sent notes that something has gone that takes d.
func (p *pace) sent(now time.Time, d time.Duration) {
	if p.until.Before(now) {
		p.until = now
	}
	p.until = p.until.Add(d)
}
