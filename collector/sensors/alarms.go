package sensors

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/kernel"
	"livebox-agent/collector/platform/kernel/sysfs"
	"livebox-agent/collector/sample"
)

const (
	// lookEvery is how often alarms are looked at of which the kernel says
	// nothing by itself.
	lookEvery = 10 * time.Second
	// maxUntold bounds the signs that wait for the watcher.
	maxUntold = 64
)

// alarmFiles are the ends of the names of hwmon's alarms, what says most first.
var alarmFiles = [...]struct {
	suffix string
	state  int64
}{
	{"_lcrit_alarm", catalogue.AlarmCriticallyLow},
	{"_crit_alarm", catalogue.AlarmCriticallyHigh},
	{"_emergency_alarm", catalogue.AlarmCriticallyHigh},
	{"_min_alarm", catalogue.AlarmLow},
	{"_max_alarm", catalogue.AlarmHigh},
	{"_alarm", catalogue.AlarmRaised},
}

// Alarms is the source alarms, which has the state of the alarms that chips
// have of their own and the extremes that they have seen, and the watcher
// rails, which tells when an alarm is raised or goes.
//
// Many chips forget an alarm when it is read: nothing else may read them.
type Alarms struct {
	root  string
	owned []func(folder string) bool
	now   func() time.Duration
	// every is how often the watcher looks.
	every time.Duration

	mu         sync.Mutex // guards what follows
	names      names
	guards     []*guard
	err        error // what kept the last discovery from seeing everything
	discovered bool
	next       time.Duration // when to look for new ones
	generation int           // counts discoveries
	untold     []sample.Sign
}

// A guard is a sensor with alarms or extremes of its own.
type guard struct {
	metric   catalogue.ID // of the sensor
	instance string
	alarms   []alarm
	lowest   *sysfs.File // nil where absent
	highest  *sysfs.File
	// state is the last one, known that there is one.
	state int64
	known bool
}

type alarm struct {
	file  *sysfs.File
	state int64
}

// NewAlarms returns the source alarms and watcher rails of the sensors below
// root, without those that are left out as New does. Now gives the time since
// the kernel booted; nil: the kernel's.
func NewAlarms(root string, now func() time.Duration, owned ...func(folder string) bool) *Alarms {
	if root == "" {
		root = "/sys"
	}
	if now == nil {
		now = kernel.SinceBoot
	}
	return &Alarms{root: root, owned: owned, now: now, every: lookEvery}
}

// Describe implements collector.Source.
func (a *Alarms) Describe() collector.Description {
	return collector.Description{
		Name: "alarms", Purpose: catalogue.Essential, Interval: 10 * time.Second, Timeout: 5 * time.Second,
		Metrics: []catalogue.ID{
			catalogue.SensorVoltageAlarm, catalogue.SensorVoltageLowest, catalogue.SensorVoltageHighest,
			catalogue.SensorTemperatureAlarm,
		},
	}
}

// Watch implements collector.Watcher.
func (a *Alarms) Watch() collector.Watch {
	return collector.Watch{Name: "rails", Purpose: catalogue.Essential}
}

// Collect implements collector.Source.
func (a *Alarms) Collect(ctx context.Context, b *sample.Batch) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := len(b.Readings)
	failure := a.look(ctx)
	for _, g := range a.guards {
		if g.known {
			b.Add(alarmOf(g.metric), g.instance, g.state)
		}
		for _, x := range []struct {
			file   *sysfs.File
			metric catalogue.ID
		}{{g.lowest, catalogue.SensorVoltageLowest}, {g.highest, catalogue.SensorVoltageHighest}} {
			if x.file == nil {
				continue
			}
			v, err := x.file.Int()
			if err != nil {
				failure = err
				continue
			}
			b.Add(x.metric, g.instance, v)
		}
	}
	if len(b.Readings) > before && ctx.Err() == nil {
		return nil
	}
	return a.outcome(failure)
}

// alarmOf returns the metric of the alarm of a sensor.
func alarmOf(sensor catalogue.ID) catalogue.ID {
	if sensor == catalogue.SensorTemperature {
		return catalogue.SensorTemperatureAlarm
	}
	return catalogue.SensorVoltageAlarm
}

// outcome says what a look means that gave nothing.
func (a *Alarms) outcome(failure error) error {
	if failure == nil {
		failure = a.err
	}
	switch {
	case failure == nil:
		return fmt.Errorf("no sensor has an alarm: %w", collector.ErrNoData)
	case errors.Is(failure, fs.ErrPermission):
		return fmt.Errorf("%w: %w", failure, collector.ErrRefused)
	case errors.Is(failure, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", failure, collector.ErrNoData)
	}
	return failure
}

// Run implements collector.Watcher.
func (a *Alarms) Run(ctx context.Context, notice func(sample.Sign)) error {
	for {
		w, generation, err := a.waiter(ctx)
		if err != nil {
			return err
		}
		// Until sensors are looked for anew: then the files are others.
		for same := true; same; {
			a.tell(notice)
			if err = w.Wait(ctx, a.every); err != nil {
				break
			}
			if same, err = a.again(ctx, generation); err != nil {
				break
			}
		}
		a.tell(notice)
		_ = w.Close()
		if err != nil {
			return err
		}
	}
}

// waiter looks at all alarms and returns what waits for the next change.
func (a *Alarms) waiter(ctx context.Context) (w *sysfs.Waiter, generation int, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	failure := a.look(ctx)
	var files []*sysfs.File
	for _, g := range a.guards {
		for _, x := range g.alarms {
			files = append(files, x.file)
		}
	}
	if ctx.Err() != nil {
		return nil, 0, ctx.Err()
	}
	if len(files) == 0 {
		return nil, 0, a.outcome(failure)
	}
	w, err = sysfs.NewWaiter(files...)
	return w, a.generation, err
}

// again looks at all alarms; same says that the files are still those of the
// generation.
func (a *Alarms) again(ctx context.Context, generation int) (same bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	failure := a.look(ctx)
	for _, g := range a.guards {
		if g.known {
			return a.generation == generation, nil
		}
	}
	return false, a.outcome(failure)
}

// tell hands on the signs that were found.
func (a *Alarms) tell(notice func(sample.Sign)) {
	a.mu.Lock()
	signs := a.untold
	a.untold = nil
	a.mu.Unlock()
	for _, s := range signs {
		notice(s)
	}
}

// look reads every alarm and notes what has changed. The error is the last of
// what could not be read.
func (a *Alarms) look(ctx context.Context) (failure error) {
	if now := a.now(); !a.discovered || now >= a.next {
		a.discover()
		a.discovered, a.next = true, now+discoverEvery
	}
	for _, g := range a.guards {
		if err := ctx.Err(); err != nil {
			return err
		}
		state, ok, err := g.read()
		if err != nil {
			failure = err
		}
		if !ok {
			continue
		}
		if s, told := g.turn(state); told && len(a.untold) < maxUntold {
			s.At = a.now()
			a.untold = append(a.untold, s)
		}
		g.state, g.known = state, true
	}
	return failure
}

// read returns the state that the alarms say; ok is false where none can be
// read.
func (g *guard) read() (state int64, ok bool, failure error) {
	for _, x := range g.alarms {
		v, err := x.file.Int()
		if err != nil {
			failure = err
			continue
		}
		ok = true
		// All are read, so that a chip forgets all that it has told.
		if v != 0 && state == catalogue.AlarmNone {
			state = x.state
		}
	}
	return state, ok, failure
}

// turn returns the sign of a change to state, if it is one. The first state is
// no change where it is that of health.
func (g *guard) turn(state int64) (s sample.Sign, told bool) {
	if state == g.state {
		return s, false
	}
	s = sample.Sign{Instance: g.instance, Metric: alarmOf(g.metric), Before: g.state, After: state}
	if g.metric == catalogue.SensorTemperature {
		hot := func(state int64) bool {
			return state != catalogue.AlarmNone && state != catalogue.AlarmLow && state != catalogue.AlarmCriticallyLow
		}
		s.Kind = sample.Cooled
		if hot(state) {
			s.Kind = sample.Hot
		}
		return s, hot(state) != hot(g.state)
	}
	switch state {
	case catalogue.AlarmNone:
		s.Kind = sample.RailNormal
	case catalogue.AlarmHigh, catalogue.AlarmCriticallyHigh:
		s.Kind = sample.OverVoltage
	default:
		// Without a direction too: a rail sags far more often than it rises.
		s.Kind = sample.BrownOut
	}
	return s, true
}

// discover looks for the sensors anew. One that was known keeps its state.
func (a *Alarms) discover() {
	before := a.guards
	a.guards = nil
	a.generation++
	d := discovery{root: a.root, owned: a.owned, names: &a.names}
	d.run()
	a.err = d.err
	for _, s := range d.found {
		s.close() // its value is another source's
		g := a.guard(s)
		if g == nil {
			continue
		}
		for _, old := range before {
			if old.instance == g.instance && old.metric == g.metric {
				g.state, g.known = old.state, old.known
			}
		}
		a.guards = append(a.guards, g)
	}
	for _, g := range before {
		g.close()
	}
}

// guard opens what s has of alarms and extremes; nil where it has none.
func (a *Alarms) guard(s *sensor) *guard {
	if s.metric != catalogue.SensorVoltage && s.metric != catalogue.SensorTemperature {
		return nil
	}
	open := func(suffix string) *sysfs.File {
		f, err := sysfs.Open(a.root, filepath.Join(s.folder, s.stem+suffix))
		if err != nil {
			return nil
		}
		return f
	}
	g := &guard{metric: s.metric, instance: s.instance}
	for _, x := range alarmFiles {
		if f := open(x.suffix); f != nil {
			g.alarms = append(g.alarms, alarm{f, x.state})
		}
	}
	if s.metric == catalogue.SensorVoltage {
		g.lowest, g.highest = open("_lowest"), open("_highest")
	}
	if len(g.alarms) == 0 && g.lowest == nil && g.highest == nil {
		return nil
	}
	return g
}

func (g *guard) close() {
	for _, x := range g.alarms {
		_ = x.file.Close()
	}
	for _, f := range []*sysfs.File{g.lowest, g.highest} {
		if f != nil {
			_ = f.Close()
		}
	}
}

// Close closes all files. It must not be called during Run or Collect.
func (a *Alarms) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, g := range a.guards {
		g.close()
	}
	a.guards, a.discovered = nil, false
	return nil
}
