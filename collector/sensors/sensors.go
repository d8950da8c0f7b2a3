package sensors

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

const (
	// discoverEvery is how often new sensors are looked for.
	discoverEvery = 5 * time.Minute
	// discoverAgain is how soon that may happen after a sensor vanished.
	discoverAgain = time.Minute
	// patience is how many failures in a row a sensor may have before it is
	// left alone for retryRounds: one that does not answer on its bus can
	// take a second each time.
	patience    = 3
	retryRounds = 30
)

// Source is the source sensors.
type Source struct {
	root    string
	owned   []func(folder string) bool
	names   names
	sensors []*sensor
	omitted int
	// err is what kept the last discovery from seeing everything.
	err error
	// next is when to look for sensors again, on the axis of sample.Batch.At.
	next       time.Duration
	discovered time.Duration
}

// New returns the source of the sensors below root, where sysfs is mounted;
// empty means /sys. A chip of which one of owned says true, given the folder
// of its files, is left to the source that reports it otherwise.
func New(root string, owned ...func(folder string) bool) *Source {
	if root == "" {
		root = "/sys"
	}
	return &Source{root: root, owned: owned}
}

// Describe implements collector.Source.
func (s *Source) Describe() collector.Description {
	return collector.Description{
		Name: "sensors", Purpose: catalogue.Essential, Interval: 10 * time.Second, Timeout: 5 * time.Second,
		Metrics: []catalogue.ID{
			catalogue.SensorTemperature, catalogue.SensorVoltage, catalogue.SensorCurrent,
			catalogue.SensorPower, catalogue.SensorFan,
		},
	}
}

// Collect implements collector.Source.
func (s *Source) Collect(ctx context.Context, b *sample.Batch) error {
	if b.At >= s.next {
		s.discover(b.At)
	}
	before := len(b.Readings)
	var failure error
	for _, x := range s.sensors {
		if err := ctx.Err(); err != nil {
			return err
		}
		if x.wait > 0 {
			x.wait--
		} else {
			s.ask(x, b)
		}
		if x.err != nil {
			failure = x.err
		}
	}
	return s.outcome(len(b.Readings)-before, failure)
}

// ask reads x, and leaves it alone for a while if it keeps failing.
func (s *Source) ask(x *sensor, b *sample.Batch) {
	x.err = x.read(b)
	if x.err == nil {
		x.failures = 0
		return
	}
	if x.failures++; x.failures >= patience {
		x.wait = retryRounds
	}
	if errors.Is(x.err, fs.ErrNotExist) {
		s.next = min(s.next, s.discovered+discoverAgain)
	}
}

// outcome says what a round means in which n sensors gave a value.
func (s *Source) outcome(n int, failure error) error {
	switch {
	case n > 0 && s.omitted > 0:
		return fmt.Errorf("%d sensors beyond the first %d: %w", s.omitted, MaxSensors, collector.ErrNoData)
	case n > 0:
		return nil
	case len(s.sensors) == 0 && s.err == nil:
		return fmt.Errorf("no sensor: %w", collector.ErrNoData)
	case len(s.sensors) == 0:
		failure = s.err
	case failure == nil:
		// There are sensors; at present none has a value, as of a radio that
		// is off.
		return nil
	}
	switch {
	case errors.Is(failure, fs.ErrPermission):
		return fmt.Errorf("%w: %w", failure, collector.ErrRefused)
	case errors.Is(failure, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", failure, collector.ErrNoData)
	}
	return failure
}

// read adds the sensor's value to b if it has one.
func (x *sensor) read(b *sample.Batch) error {
	if x.fault != nil {
		// A fault file that cannot be read says nothing against the value.
		if fault, err := x.fault.Int(); err == nil && fault != 0 {
			return nil
		}
	}
	v, err := x.value.Int()
	if err != nil {
		return err
	}
	if believable(x.metric, v, x.radio) {
		b.Add(x.metric, x.instance, v)
	}
	return nil
}

// discover looks for the sensors anew.
func (s *Source) discover(now time.Duration) {
	s.closeAll()
	d := discovery{root: s.root, owned: s.owned, names: &s.names}
	d.run()
	s.sensors, s.omitted, s.err = d.found, d.omitted, d.err
	s.discovered = now
	s.next = now + discoverEvery
}

func (s *Source) closeAll() {
	for _, x := range s.sensors {
		x.close()
	}
	s.sensors = nil
}

// Close closes all files. It must not be called during Collect; a later
// Collect opens them again.
func (s *Source) Close() error {
	s.closeAll()
	s.next = 0
	return nil
}
