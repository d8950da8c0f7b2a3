package sensors

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/kernel/sysfs"
)

// MaxSensors is how many sensors are read at most.
const MaxSensors = 128

// A file is an attribute file kept open, as *sysfs.File is.
type file interface {
	Int() (int64, error)
	Close() error
}

// A sensor is one value that is read.
type sensor struct {
	metric   catalogue.ID
	instance string
	radio    bool
	value    file
	// folder and stem are where its files are and what they begin with.
	folder, stem string
	// fault is the file that says whether the sensor is broken; nil where
	// there is none.
	fault file
	// err is why the last read failed, failures how many did in a row; wait
	// is for how many more rounds the sensor is left alone because of them.
	err            error
	failures, wait int
}

func (s *sensor) close() {
	_ = s.value.Close()
	if s.fault != nil {
		_ = s.fault.Close()
	}
}

// A place is a device of one of the two classes.
type place struct {
	class string // "hwmon" or "thermal"
	// folder is where its files are, below the root.
	folder string
	// name is what the kernel calls it: a chip's name or a zone's type.
	name string
	// path is the device of a chip, and what tells it from others of its
	// name; linked says that the kernel gives one.
	path   string
	linked bool
	// radio says that the device is one of Wi-Fi.
	radio bool
}

// discovery looks for the sensors below root.
type discovery struct {
	root    string
	owned   []func(folder string) bool
	names   *names
	found   []*sensor
	omitted int
	err     error // the first that is not mere absence
}

// run finds and opens all sensors.
func (d *discovery) run() {
	d.names.sensors = map[sensorName]bool{}
	zones := d.list("thermal", "thermal_zone", "type")
	chips := d.list("hwmon", "hwmon", "name")
	chips = slices.DeleteFunc(chips, func(c place) bool { return mirrors(c, zones) || d.isOwned(c) })
	for _, c := range chips {
		d.chip(c)
	}
	for _, z := range zones {
		d.open(sensorOf(z, catalogue.SensorTemperature), z.folder, "temp",
			d.names.chip(z.class+" "+clean(z.name, maxName), z.path))
	}
	d.names.sensors = nil
}

func sensorOf(p place, m catalogue.ID) *sensor { return &sensor{metric: m, radio: p.radio} }

// list returns the devices of a class, in an order that does not depend on
// when their drivers were loaded.
func (d *discovery) list(class, prefix, nameFile string) []place {
	folder := filepath.Join("class", class)
	entries, err := os.ReadDir(filepath.Join(d.root, folder))
	d.note(err)
	var places []place
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) || hasAddress(e.Name()) {
			continue
		}
		p := place{class: class, folder: filepath.Join(folder, e.Name())}
		d.locate(&p)
		p.name, err = sysfs.ReadText(d.root, filepath.Join(p.folder, nameFile))
		if errors.Is(err, fs.ErrNotExist) && p.linked {
			// Before Linux 3.13 the files of most chips were with their device.
			p.folder = filepath.Join(p.folder, "device")
			p.name, err = sysfs.ReadText(d.root, filepath.Join(p.folder, nameFile))
		}
		if err != nil {
			d.note(err)
			continue
		}
		if p.name == "" || hasAddress(p.name) || hasAddress(strings.TrimPrefix(p.path, d.root)) {
			continue
		}
		places = append(places, p)
	}
	sort.Slice(places, func(i, j int) bool {
		a, b := places[i], places[j]
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.path, b.path)) < 0
	})
	return places
}

// locate finds the device behind p.
func (d *discovery) locate(p *place) {
	p.path = filepath.Join(d.root, p.folder)
	device, err := filepath.EvalSymlinks(filepath.Join(p.path, "device"))
	if err != nil {
		return
	}
	_, err = os.Stat(filepath.Join(device, "ieee80211"))
	p.radio = err == nil || strings.Contains(device, "/ieee80211/")
	if p.class == "hwmon" {
		p.path, p.linked = device, true
	}
}

// isOwned says whether the chip belongs to another source.
func (d *discovery) isOwned(chip place) bool {
	return slices.ContainsFunc(d.owned, func(owns func(string) bool) bool {
		return owns(filepath.Join(d.root, chip.folder))
	})
}

// mirrors says whether the chip only repeats thermal zones, as the kernel lets
// them for the sake of older programs (drivers/thermal/thermal_hwmon.c): it
// belongs to a zone, or, on older kernels, to nothing, and has the type of a
// zone for its name.
func mirrors(chip place, zones []place) bool {
	if chip.linked {
		return strings.HasPrefix(filepath.Base(chip.path), "thermal_zone")
	}
	return slices.ContainsFunc(zones, func(z place) bool {
		return strings.ReplaceAll(z.name, "-", "_") == strings.ReplaceAll(chip.name, "-", "_")
	})
}

// chip opens all sensors of a chip.
func (d *discovery) chip(c place) {
	entries, err := os.ReadDir(filepath.Join(d.root, c.folder))
	d.note(err)
	var attributes []attribute
	for _, e := range entries {
		if a, ok := parseAttribute(e.Name()); ok {
			attributes = append(attributes, a)
		}
	}
	if len(attributes) == 0 {
		return
	}
	sort.Slice(attributes, func(i, j int) bool { return attributes[i].compare(attributes[j]) < 0 })
	name := d.names.chip(clean(c.name, maxName), c.path)
	for _, a := range attributes {
		choices := []string{name + " " + a.stem()}
		label, err := sysfs.ReadText(d.root, filepath.Join(c.folder, a.stem()+"_label"))
		if err == nil && label != "" && !hasAddress(label) {
			choices = []string{name + " " + label, name + " " + label + " " + a.stem()}
		}
		d.open(sensorOf(c, kinds[a.kind].metric), c.folder, a.stem(), choices...)
	}
}

// open opens the files of s, whose names begin with stem, and names it by the
// first choice that is free.
func (d *discovery) open(s *sensor, folder, stem string, choices ...string) {
	if len(d.found) == MaxSensors {
		d.omitted++
		return
	}
	name := stem + "_input"
	if stem == "temp" { // of a thermal zone
		name = stem
	}
	value, err := sysfs.Open(d.root, filepath.Join(folder, name))
	if err != nil {
		d.note(err)
		return
	}
	s.value, s.folder, s.stem = value, folder, stem
	if fault, err := sysfs.Open(d.root, filepath.Join(folder, stem+"_fault")); err == nil {
		s.fault = fault
	}
	s.instance = d.names.sensor(s.metric, choices...)
	d.found = append(d.found, s)
}

// note keeps err if it is the first that says more than that nothing is there.
func (d *discovery) note(err error) {
	if err != nil && d.err == nil && !errors.Is(err, fs.ErrNotExist) {
		d.err = err
	}
}
