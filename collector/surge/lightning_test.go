package surge

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

const iio = "bus/iio/devices/iio:device1/"

// storm is a box with a lightning sensor beside another device.
var storm = files{
	"bus/iio/devices/iio:device0/name": "tsl2563", iio + "name": "as3935", iio + "in_proximity_input": "12000",
	iio + "noise_level_tripped": "0", iio + "buffer/enable": "1", iio + "buffer/length": "2",
	iio + "scan_elements/in_proximity_en": "0", iio + "scan_elements/in_timestamp_en": "1", iio + "trigger/current_trigger": "",
}

// ears makes the device of the sensor, whose other end is returned.
func ears(t *testing.T) (dev string, f *os.File) {
	t.Helper()
	dev = t.TempDir()
	name := filepath.Join(dev, "iio:device1")
	if err := unix.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return dev, f
}

func TestEveryStrikeIsToldWithItsDistance(t *testing.T) {
	dev, f := ears(t)
	sys := storm.write(t)
	s := NewLightning(Config{Sys: sys, Dev: dev, Now: func() time.Duration { return time.Hour }})
	l := listen(t, s)
	for _, x := range []struct {
		bytes []byte
		want  string
	}{
		{[]byte{5}, "strike as3935 0>5000"},
		{[]byte{1}, "strike as3935 0>1000"},
		{[]byte{0x3f}, "strike as3935 0>0"},
		{[]byte{0xc0 | 40}, "strike as3935 0>40000"},
	} {
		if _, err := f.Write(x.bytes); err != nil {
			t.Fatal(err)
		}
		if sign := l.want(x.want); sign.At != time.Hour || (sign.Metric == 0) != (x.bytes[0] == 0x3f) {
			t.Errorf("sign %+v", sign)
		}
	}
	if _, err := f.Write([]byte{7, 8, 9}); err != nil { // three at once
		t.Fatal(err)
	}
	for range 3 {
		l.next()
	}
	got, err := ask(t, s)
	same(t, "lightning", got, []string{"as3935 Distance 12000 m", "as3935 Noise no", "as3935 Strikes 7"})
	if err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{
		"buffer/enable": "1", "buffer/length": "64", "scan_elements/in_proximity_en": "1", "scan_elements/in_timestamp_en": "0",
		"trigger/current_trigger": "as3935-dev1",
	} {
		if text, err := os.ReadFile(filepath.Join(sys, iio+name)); string(text) != want+"\n" {
			t.Errorf("%s is %q, %v; want %q", name, text, err, want)
		}
	}
	l.end()
	if text, _ := os.ReadFile(filepath.Join(sys, iio+"buffer/enable")); string(text) != "0\n" {
		t.Error("the sensor goes on to fill its buffer")
	}
	if got, _ := ask(t, s); len(got) != 2 {
		t.Errorf("%q after the watcher's end; want no count", got)
	}
}

func TestOutcomesOfTheLightningSensor(t *testing.T) {
	dev, _ := ears(t)
	without := func(name string) files {
		x := maps.Clone(storm)
		delete(x, iio+name)
		return x
	}
	for _, tt := range []struct {
		name      string
		files     files
		dev       string
		run, read error
	}{
		{"no such devices", files{"x": ""}, dev, collector.ErrNoData, collector.ErrNoData},
		{"another device", without("name"), dev, collector.ErrNoData, collector.ErrNoData},
		{"no device file", storm, t.TempDir(), collector.ErrNoData, nil},
		{"no buffer", without("buffer/enable"), dev, collector.ErrNoData, nil},
		{"no trigger", without("trigger/current_trigger"), dev, collector.ErrNoData, nil},
		{"no distance", without("in_proximity_input"), dev, nil, collector.ErrNoData},
	} {
		s := NewLightning(Config{Sys: tt.files.write(t), Dev: tt.dev})
		if tt.run != nil {
			if err := s.Run(t.Context(), nil); !errors.Is(err, tt.run) {
				t.Errorf("%s: Run = %v; want %v", tt.name, err, tt.run)
			}
		}
		if _, err := ask(t, s); !errors.Is(err, tt.read) {
			t.Errorf("%s: Collect = %v; want %v", tt.name, err, tt.read)
		}
	}
	x := maps.Clone(storm)
	x[iio+"in_proximity_input"], x[iio+"noise_level_tripped"] = "-5", "9"
	got, err := ask(t, NewLightning(Config{Sys: x.write(t)}))
	same(t, "values that cannot be", got, []string{"as3935 Noise yes"})
	if err != nil {
		t.Error(err)
	}
}

func TestProtectionDeviceThatTripsIsTold(t *testing.T) {
	sys := files{"class/gpio/surge-protect/value": "0", "class/gpio/mains-protect/value": "1", "class/gpio/other/value": "1"}.write(t)
	p := NewProtection(Config{Sys: sys, Protection: []string{"surge-protect", "mains-protect", "surge-protect", "absent"}})
	p.every = 5 * time.Millisecond
	l := listen(t, p)
	l.want("protection_tripped mains-protect 0>2") // tripped before
	<-time.After(20 * time.Millisecond)
	files{"class/gpio/surge-protect/value": "1"}.writeTo(t, sys)
	if s := l.want("protection_tripped surge-protect 1>2"); s.Metric != catalogue.ProtectionState || s.Kind != sample.ProtectionTripped {
		t.Errorf("sign %+v", s)
	}
	got, err := ask(t, p)
	same(t, "protection", got, []string{"mains-protect State Tripped", "surge-protect State Tripped"})
	if !errors.Is(err, collector.ErrNoData) {
		t.Errorf("Collect = %v; want that one is absent", err)
	}
	l.end()
}

func TestOutcomesOfProtection(t *testing.T) {
	sys := files{"class/gpio/a/value": "x", "secret/value": "1"}.write(t)
	for _, tt := range []struct {
		name  string
		names []string
		want  error
	}{
		{"none configured", nil, collector.ErrNoData},
		{"absent", []string{"b"}, collector.ErrNoData},
		{"outside", []string{"../../secret", "/secret", ".."}, collector.ErrNoData},
		{"an address", []string{"00:11:22:33:44:55"}, collector.ErrNoData},
		{"no number", []string{"a"}, nil},
	} {
		p := NewProtection(Config{Sys: sys, Protection: tt.names})
		got, err := ask(t, p)
		runErr := p.Run(t.Context(), nil)
		for _, e := range []error{err, runErr} {
			if e == nil || tt.want != nil && !errors.Is(e, tt.want) || tt.want == nil && rank(e) != failed || len(got) > 0 {
				t.Errorf("%s: %q, %v; want %v", tt.name, got, e, tt.want)
			}
		}
	}
}
