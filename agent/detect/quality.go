package detect

import (
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

// A path is the way to one reflector.
type path struct {
	delay
	loss
	skipped count
	rtt     int64         // of this batch; 0: none
	busy    time.Duration // the home's own traffic is in the way until then
}

// busyFor is how long after a round that was left out, because the line was
// busy, rounds are not judged: they measure the home's own traffic.
const busyFor = 150 * time.Second

func (p *path) observe(d *Detectors, _ *entry, m catalogue.ID, v int64) {
	switch m {
	case catalogue.ProbeRTT:
		p.rtt = v
	case catalogue.ProbeSent:
		p.sent.take(d.at, v)
	case catalogue.ProbeReceived:
		p.received.take(d.at, v)
	default:
		if p.skipped.take(d.at, v); p.skipped.grew > 0 {
			p.busy = d.at + busyFor
		}
	}
}

func (p *path) finish(d *Detectors, e *entry) {
	if d.at >= p.busy || d.at < p.busy-busyFor {
		p.delay.take(d, e, p.rtt)
		p.loss.take(d, e)
	}
	p.rtt, p.sent.grew, p.received.grew = 0, 0, 0
}

// A delay is the round trip time to one reflector, judged against the 95th
// percentile of its own past.
type delay struct {
	block
	usual   int64 // the percentile, in 1/fine µs
	learnt  int   // blocks
	bad     bool
	other   int           // blocks in a row that were otherwise
	since   time.Duration // the first of them began
	badFor  int           // blocks since it became bad
	toldBad bucket
}

const (
	fine = 16
	// enoughBlocks make what is usual: half a day.
	enoughBlocks = 144
	// inARow is how many blocks show that it is otherwise: 15 min.
	inARow = 3
	// accustomed is after how many bad blocks bad has become usual: a week.
	accustomed = 7 * 24 * 12
)

func (q *delay) take(d *Detectors, e *entry, v int64) {
	if v < 1 || v > maxValue {
		return
	}
	if median, begun, ok := q.add(d.at, aMinute, bounded(v)); ok {
		q.judge(d, e, int64(median), begun)
	}
}

func (q *delay) judge(d *Detectors, e *entry, v int64, begun time.Duration) {
	if q.learnt == 0 {
		q.usual = v * fine
	}
	if q.learnt < enoughBlocks {
		q.learn(v, 8)
		return
	}
	usual, excess := q.usual/fine, d.cfg.RTTExcess.Microseconds()
	limit := max(2*usual, usual+excess)
	if q.bad {
		q.badFor++
		limit = max(usual*3/2, usual+excess/2)
	}
	if v > limit == q.bad {
		q.other = 0
		if !q.bad {
			q.learn(v, 1)
		} else if q.badFor > accustomed {
			*q = delay{block: q.block, toldBad: q.toldBad}
		}
		return
	}
	if q.other == 0 {
		q.since = begun
	}
	if q.other++; q.other < inARow {
		return
	}
	s := sample.Sign{At: q.since, Kind: sample.Degraded, Metric: catalogue.ProbeRTT, Before: usual, After: v}
	if q.bad {
		s.Kind = sample.Recovered
	} else if !q.toldBad.allow(d.at) {
		return
	}
	q.bad, q.other, q.badFor = !q.bad, 0, 0
	d.tell(e, s)
}

// learn moves the percentile: up by 19 parts where a block is above, down by
// one where it is below, so that it rests where one of twenty is above.
func (q *delay) learn(v, haste int64) {
	q.learnt = min(q.learnt+1, enoughBlocks)
	if part := max(1, q.usual*haste/1024); v*fine > q.usual {
		q.usual = min(q.usual+19*part, v*fine)
	} else {
		q.usual = max(1, q.usual-part)
	}
}

// A loss is what of the probes to one reflector is lost: a cumulative sum of
// what is lost beyond an allowance.
type loss struct {
	sent, received count
	usual          int64 // in 1/million, smoothed over a day of rounds
	sum            int64 // of lost probes, × million
	// Since the sum began to grow, or since it became bad.
	since        time.Duration
	grewS, grewR int64
	bad          bool
	good         time.Duration // since when it has been as usual; never: it is not
	told         bucket
}

const (
	million  = 1_000_000
	lossDay  = 1440
	goodFor  = 10 * time.Minute
	mostSent = 1000 // in one round: more is no round
)

func (l *loss) take(d *Detectors, e *entry) {
	sent, got := l.sent.grew, l.received.grew
	paired := l.sent.at == d.at && l.received.at == d.at && (sent == 0 || got == 0 || l.sent.over == l.received.over)
	if !paired || sent < 1 || sent > mostSent || got > sent {
		return
	}
	allowed := max(int64(d.cfg.Loss)*million/100, min(2*l.usual, million/2))
	excess := (sent-got)*million - sent*allowed
	if !l.bad {
		l.judge(d, e, sent, got, excess)
		return
	}
	l.grewS, l.grewR = l.grewS+sent, l.grewR+got
	l.sum = min(max(0, l.sum+excess), mostLost/4)
	if l.sum > 0 {
		l.good = never
		return
	}
	if l.good == never {
		l.good, l.grewS, l.grewR = d.at, 0, 0
	}
	if d.at-l.good < goodFor {
		return
	}
	l.bad = false
	d.tell(e, sample.Sign{At: l.good, Kind: sample.Recovered, Metric: catalogue.ProbeReceived, Before: l.grewS, After: l.grewR})
	l.grewS, l.grewR = 0, 0
}

// mostLost is how many probes must be lost beyond what is allowed.
const mostLost = 12 * million

func (l *loss) judge(d *Detectors, e *entry, sent, got, excess int64) {
	if l.sum == 0 {
		l.since, l.grewS, l.grewR = d.at, 0, 0
		l.usual += (min((sent-got)*million/sent, million/10) - l.usual) / lossDay
	}
	l.grewS, l.grewR = l.grewS+sent, l.grewR+got
	if l.sum = max(0, l.sum+excess); l.sum < mostLost {
		return
	}
	l.sum = mostLost
	if !l.told.allow(d.at) {
		return
	}
	l.bad, l.good = true, never
	d.tell(e, sample.Sign{At: l.since, Kind: sample.Degraded, Metric: catalogue.ProbeReceived, Before: l.grewS, After: l.grewR})
}
