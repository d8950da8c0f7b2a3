package probe

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

const (
	// lookup is the time that a name may take, and what comes with a round.
	lookup = 6 * time.Second
	// silence is how many rounds in a row the reflector may leave without an
	// answer before its host is asked by echo.
	silence = 3
	// echoes is how many rounds the host is asked by echo before the
	// reflector is tried again.
	echoes = 30
	// listen is how long the line is listened to before a round.
	listen = time.Second
)

// Options are what a Source needs from the program around it.
type Options struct {
	// Load waits for the time over and returns what the line carried in it,
	// in bits per second. It is collector.ErrNoData where there is no line
	// that could be busy; after any other error nothing is sent. nil: there is
	// no line.
	Load func(ctx context.Context, over time.Duration) (down, up int64, err error)
}

// A Source is the source "probe".
type Source struct {
	config Config
	load   func(ctx context.Context, over time.Duration) (down, up int64, err error)
	dial   func(ctx context.Context, k kind, c Config, id uint16) (Conn, method, error)
	id     uint16

	budget budget
	totals [kinds]total
	// use is how the next round probes; silent how many rounds of STAMP in a
	// row had no answer, echoed how many of echo in a row had one.
	use            kind
	silent, echoed int
}

// A total is what was counted of one kind.
type total struct {
	sent, received, skipped int64
}

// New returns the source "probe". The error says what is wrong with the
// configuration.
func New(c Config, o Options) (*Source, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Source{
		config: c, load: o.Load, dial: dial, id: uint16(rand.Uint32()),
		budget: budget{limit: c.PacketsPerDay},
	}, nil
}

// Describe says that the source is for support and gives every Probe metric.
func (s *Source) Describe() collector.Description {
	return collector.Description{
		Name:    "probe",
		Purpose: catalogue.Support,
		Metrics: []catalogue.ID{
			catalogue.ProbeRTT, catalogue.ProbeRTTMin, catalogue.ProbeJitter,
			catalogue.ProbeSent, catalogue.ProbeReceived, catalogue.ProbeSkipped,
		},
		Interval: time.Minute,
		Timeout:  listen + lookup + s.config.duration(),
	}
}

// Collect does one round and adds what it found, with the kind of answer,
// "stamp" or "icmp", as instance. Without a reflector it is ErrNoData. A round
// that is cut short counts for nothing, but against the day's packets.
func (s *Source) Collect(ctx context.Context, b *sample.Batch) error {
	if s.config.Reflector == "" {
		return fmt.Errorf("%w: no reflector is configured", collector.ErrNoData)
	}
	busy, err := s.busy(ctx)
	if err != nil {
		return err
	}
	if busy || !s.budget.take(b.At, s.config.PacketsPerRound) {
		s.totals[s.use].skipped++
		s.count(b, s.use)
		return nil
	}
	conn, m, err := s.dial(ctx, s.use, s.config, s.id)
	if errors.Is(err, errNoEcho) {
		s.config.ICMPFallback, s.use = false, kindSTAMP
		conn, m, err = s.dial(ctx, s.use, s.config, s.id)
	}
	if err != nil {
		return fmt.Errorf("probe reflector: %w", cause(err))
	}
	defer conn.Close()
	k := s.use
	r := round{config: s.config, method: m, conn: conn}
	if err := r.run(ctx); err != nil {
		return fmt.Errorf("probe reflector: %w", cause(err))
	}
	res := r.result()
	s.totals[k].sent += res.sent
	s.totals[k].received += res.received
	s.count(b, k)
	if res.sent == 0 {
		// Nothing of this says whether the reflector is there.
		return fmt.Errorf("probe reflector: %w", cause(r.sendErr))
	}
	s.learn(res)
	if res.received > 0 {
		b.Add(catalogue.ProbeRTT, k.String(), microseconds(res.mean))
		b.Add(catalogue.ProbeRTTMin, k.String(), microseconds(res.least))
	}
	if res.jittered {
		b.Add(catalogue.ProbeJitter, k.String(), microseconds(res.jitter))
	}
	return nil
}

// busy says whether the line is used so much that probes would disturb its
// traffic, and measure that.
func (s *Source) busy(ctx context.Context) (bool, error) {
	if s.load == nil {
		return false, nil
	}
	down, up, err := s.load(ctx, listen)
	if errors.Is(err, collector.ErrNoData) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("load of the line: %w", err)
	}
	return down > int64(s.config.BusyDown)*1000 || up > int64(s.config.BusyUp)*1000, nil
}

func microseconds(d time.Duration) int64 { return d.Round(time.Microsecond).Microseconds() }

// count adds the counters of the kind.
func (s *Source) count(b *sample.Batch, k kind) {
	t := s.totals[k]
	b.Add(catalogue.ProbeSent, k.String(), t.sent)
	b.Add(catalogue.ProbeReceived, k.String(), t.received)
	b.Add(catalogue.ProbeSkipped, k.String(), t.skipped)
}

// learn decides how the next round probes, by what this one found. A host that
// answers neither way is behind a line that is down: the reflector is the one
// to ask.
func (s *Source) learn(res result) {
	switch {
	case s.use == kindSTAMP && res.received > 0:
		s.silent = 0
	case s.use == kindSTAMP:
		if s.silent++; res.refused {
			s.silent = silence
		}
		if s.silent >= silence && s.config.ICMPFallback {
			s.use, s.echoed = kindEcho, 0
		}
	case res.received == 0:
		s.use, s.silent = kindSTAMP, 0
	default:
		if s.echoed++; s.echoed >= echoes {
			// One more silent round is enough.
			s.use, s.silent = kindSTAMP, silence-1
		}
	}
}
