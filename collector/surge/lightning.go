package surge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/kernel/sysfs"
	"livebox-agent/collector/sample"
)

// sensorName is what the kernel's driver calls the sensor.
const sensorName = "as3935"

const (
	// distanceMask are the bits of a distance, in kilometres; all set means
	// that the storm is out of range.
	distanceMask = 0x3f
	outOfRange   = distanceMask
)

// Lightning is the source lightning, which has what the lightning sensor says
// at present, and the watcher strikes, which tells of every strike that it
// hears. There is one sensor at most.
type Lightning struct {
	sys, dev string
	now      func() time.Duration

	mu      sync.Mutex // guards what follows
	hearing bool       // strikes are counted
	strikes int64
}

// NewLightning returns the source lightning and watcher strikes.
func NewLightning(c Config) *Lightning {
	c = c.withDefaults()
	return &Lightning{sys: c.Sys, dev: c.Dev, now: c.Now}
}

// find returns the name of the sensor's device, such as "iio:device0".
func (s *Lightning) find() (device string, err error) {
	folder := filepath.Join("bus", "iio", "devices")
	entries, err := os.ReadDir(filepath.Join(s.sys, folder))
	if err != nil {
		return "", outcome(err)
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].Name() < entries[j].Name() })
	for _, e := range entries[:min(len(entries), maxEntries)] {
		if !numbered(e.Name(), "iio:device") {
			continue
		}
		if name, err := sysfs.ReadText(s.sys, filepath.Join(folder, e.Name(), "name")); err == nil && name == sensorName {
			return e.Name(), nil
		}
	}
	return "", fmt.Errorf("no lightning sensor: %w", collector.ErrNoData)
}

// Describe implements collector.Source.
func (s *Lightning) Describe() collector.Description {
	return collector.Description{
		Name: "lightning", Purpose: catalogue.Essential, Interval: time.Minute, Timeout: 5 * time.Second,
		Metrics: []catalogue.ID{catalogue.LightningDistance, catalogue.LightningStrikes, catalogue.LightningNoise},
	}
}

// Collect implements collector.Source.
func (s *Lightning) Collect(_ context.Context, b *sample.Batch) error {
	device, err := s.find()
	if err != nil {
		return err
	}
	s.mu.Lock()
	if s.hearing {
		b.Add(catalogue.LightningStrikes, sensorName, s.strikes)
	}
	s.mu.Unlock()
	metres, err := s.read(device, "in_proximity_input")
	switch {
	case errors.Is(err, unix.EINVAL): // no storm in range
	case err != nil:
		return outcome(err)
	case metres >= 0 && metres <= distanceMask*1000:
		b.Add(catalogue.LightningDistance, sensorName, metres)
	}
	noise, err := s.read(device, "noise_level_tripped")
	if err != nil {
		return outcome(err)
	}
	b.Add(catalogue.LightningNoise, sensorName, min(max(noise, 0), 1))
	return nil
}

func (s *Lightning) read(device, name string) (int64, error) {
	f, err := sysfs.Open(s.sys, filepath.Join("bus", "iio", "devices", device, name))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return f.Int()
}

// Watch implements collector.Watcher.
func (s *Lightning) Watch() collector.Watch {
	return collector.Watch{Name: "strikes", Purpose: catalogue.Essential}
}

// Run implements collector.Watcher.
func (s *Lightning) Run(ctx context.Context, notice func(sample.Sign)) error {
	device, err := s.find()
	if err != nil {
		return err
	}
	// The kernel lets one program at a time open it: what that one has set up
	// is then left alone.
	f, err := os.OpenFile(filepath.Join(s.dev, device), os.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("lightning sensor: another program listens to it: %w", collector.ErrRefused)
	}
	if err != nil {
		return outcome(err)
	}
	defer f.Close()
	if err := s.setUp(device); err != nil {
		return fmt.Errorf("set up the lightning sensor: %w", outcome(err))
	}
	defer func() { _ = s.write(device, "buffer/enable", "0") }()
	s.setHearing(true)
	defer s.setHearing(false)
	stop := context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var buf [16]byte
	for {
		n, err := f.Read(buf[:])
		for _, record := range buf[:max(n, 0)] {
			notice(s.strike(record))
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, io.EOF):
			return fmt.Errorf("lightning sensor ended: %w", err)
		case err != nil:
			return outcome(err)
		}
	}
}

// setUp lets the sensor's interrupt put its distance, a byte, into its buffer
// (Documentation/ABI/testing/sysfs-bus-iio). What was set up before, by a run
// that did not end well, is taken down first.
func (s *Lightning) setUp(device string) error {
	for _, x := range []struct{ file, value string }{
		{"buffer/enable", "0"},
		{"scan_elements/in_proximity_en", "1"},
		{"scan_elements/in_timestamp_en", "0"},
		{"trigger/current_trigger", sensorName + "-dev" + device[len("iio:device"):]},
		{"buffer/length", "64"},
		{"buffer/enable", "1"},
	} {
		if err := s.write(device, x.file, x.value); err != nil {
			return err
		}
	}
	return nil
}

// write sets an attribute that is there.
func (s *Lightning) write(device, name, value string) error {
	f, err := os.OpenFile(filepath.Join(s.sys, "bus", "iio", "devices", device, filepath.FromSlash(name)), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value + "\n")
	return errors.Join(err, f.Close())
}

func (s *Lightning) setHearing(hearing bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hearing = hearing
}

// strike counts a strike and returns its sign, with the distance where the
// sensor has one.
func (s *Lightning) strike(record byte) sample.Sign {
	s.mu.Lock()
	s.strikes++
	s.mu.Unlock()
	sign := sample.Sign{At: s.now(), Kind: sample.Strike, Instance: sensorName}
	if km := record & distanceMask; km != outOfRange {
		sign.Metric, sign.After = catalogue.LightningDistance, int64(km)*1000
	}
	return sign
}
