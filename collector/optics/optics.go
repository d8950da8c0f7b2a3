package optics

import (
	"context"
	"errors"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/counter"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
)

const (
	interval = time.Minute
	// kernelTimeout is for the kernel alone; a module that does not answer on
	// its bus can take a second for each read.
	kernelTimeout = 15 * time.Second
	// sysbusTimeout leaves room for a slow reply of a Livebox (25 s) and what
	// waits before it, and ends before the next round.
	sysbusTimeout = 55 * time.Second
)

// Sysbus asks a Livebox, as *sysbus.Client does.
type Sysbus interface {
	Call(ctx context.Context, object, method string, params any) (tree.Node, error)
}

// A Box is what is known of the Livebox that is asked. The zero Box is an
// unknown one.
type Box struct {
	// Generation is "livebox3" to "livebox7", "liveboxW7", "liveboxS" or
	// "funbox6"; empty or "unknown" where it is not known.
	Generation string
	// PON is the name of the interface on the fibre; empty means "veip0".
	PON string
}

// A Config says how the box can be asked. The zero Config is the kernel that
// the program runs on.
type Config struct {
	// Sysbus is asked before the kernel; nil where there is none.
	Sysbus Sysbus
	// Box says which Livebox Sysbus asks; nil where that is not known.
	Box func(context.Context) Box
	// Sys is where sysfs is mounted; empty means /sys.
	Sys string
	// Dial opens a generic netlink socket; nil opens one to the kernel. It is
	// called again after the connection broke.
	Dial func() (Conn, error)
}

// Source is the source optics.
type Source struct {
	sysbus Sysbus
	box    func(context.Context) Box
	// answered is the object that gave the module last.
	answered string
	raw      sample.Batch
	rogue    map[string]*counter.Unwrapper // by port

	kernel kernel
}

// New returns the source of the optical modules of a box.
func New(c Config) *Source {
	return &Source{
		sysbus: c.Sysbus, box: c.Box, rogue: map[string]*counter.Unwrapper{},
		kernel: newKernel(c.Sys, c.Dial),
	}
}

// Describe implements collector.Source.
func (s *Source) Describe() collector.Description {
	timeout := kernelTimeout
	if s.sysbus != nil {
		timeout = sysbusTimeout
	}
	return collector.Description{
		Name: "optics", Purpose: catalogue.Essential, Interval: interval, Timeout: timeout,
		Metrics: append(gponMetrics(), catalogue.OpticLossOfSignal, catalogue.OpticTransmitFault),
	}
}

// Collect implements collector.Source.
func (s *Source) Collect(ctx context.Context, b *sample.Batch) error {
	if s.sysbus == nil {
		return s.kernel.collect(ctx, b)
	}
	err := s.askSysbus(ctx, b)
	if !absent(err) {
		return err
	}
	next := s.kernel.collect(ctx, b)
	if !absent(next) || errors.Is(next, collector.ErrRefused) && !errors.Is(err, collector.ErrRefused) {
		return next
	}
	return err
}

// Close gives up the socket and the files. It must not be called during
// Collect; a later Collect opens them again.
func (s *Source) Close() error { return s.kernel.close() }

// absent says that err means that the box does not have, or does not give,
// what was asked for.
func absent(err error) bool {
	return errors.Is(err, collector.ErrNoData) || errors.Is(err, collector.ErrRefused)
}

// deliver adds what a reply says to b, with its counter as a total.
func (s *Source) deliver(b *sample.Batch) {
	for _, r := range s.raw.Readings {
		if r.Metric == catalogue.OpticRogueEvents {
			u := s.rogue[r.Instance]
			if u == nil {
				if len(s.rogue) == maxPorts {
					continue
				}
				u = &counter.Unwrapper{MaxStep: 1 << 20}
				s.rogue[r.Instance] = u
			}
			r.Value, _ = u.Next(uint64(r.Value), 32)
		}
		b.Readings = append(b.Readings, r)
	}
}
