package optics

import (
	"fmt"
	"os"
	"path/filepath"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/kernel/sysfs"
	"livebox-agent/collector/sample"
)

// A chip is the hwmon device of a module.
type chip struct {
	port                        string
	supply, celsius, bias       *sysfs.File // mV, m°C, mA; nil where absent
	transmitPower, receivePower *sysfs.File // µW
}

// findChips opens the hwmon devices that are modules.
func findChips(sys string) []*chip {
	entries, err := os.ReadDir(filepath.Join(sys, "class", "hwmon"))
	if err != nil {
		return nil
	}
	var chips []*chip
	for _, e := range entries {
		folder := filepath.Join("class", "hwmon", e.Name())
		if len(chips) == maxPorts || !Owns(filepath.Join(sys, folder)) {
			continue
		}
		open := func(name string) *sysfs.File {
			f, err := sysfs.Open(sys, filepath.Join(folder, name))
			if err != nil {
				return nil
			}
			return f
		}
		chips = append(chips, &chip{
			port:   cage(sys, folder),
			supply: open("in0_input"), celsius: open("temp1_input"), bias: open("curr1_input"),
			transmitPower: open("power1_input"), receivePower: open("power2_input"),
		})
	}
	return chips
}

// cage returns what the cage of a module is called: its device ("sfp-wan").
func cage(sys, folder string) string {
	device, err := filepath.EvalSymlinks(filepath.Join(sys, folder, "device"))
	if name := filepath.Base(device); err == nil && plain(name) {
		return name
	}
	return filepath.Base(folder)
}

func (c *chip) close() {
	for _, f := range []*sysfs.File{c.supply, c.celsius, c.bias, c.transmitPower, c.receivePower} {
		if f != nil {
			_ = f.Close()
		}
	}
}

// measure adds what c says.
func (c *chip) measure(b *sample.Batch) error {
	m := module{c.port, b}
	r := chipReader{port: c.port}
	supply, ok := r.read(c.supply)
	if ok && supply == 0 {
		return nil // it has measured nothing yet
	}
	m.gauge(catalogue.OpticVoltage, 10*supply, ok, minVoltage, maxVoltage)
	v, ok := r.read(c.celsius)
	m.gauge(catalogue.OpticTemperature, v, ok, minTemperature, maxTemperature)
	v, ok = r.read(c.bias)
	m.gauge(catalogue.OpticBias, 1000*v, ok, 0, maxBias)
	if v, ok = r.read(c.transmitPower); ok {
		m.light(catalogue.OpticTxPower, 10*float64(v))
	}
	if v, ok = r.read(c.receivePower); ok {
		m.light(catalogue.OpticRxPower, 10*float64(v))
	}
	return r.err
}

// A chipReader keeps the first error of a chip.
type chipReader struct {
	port string
	err  error
}

// believable bounds what is taken from a file, in its own unit, so that no
// conversion overflows.
const believable = 1 << 30

func (r *chipReader) read(f *sysfs.File) (v int64, ok bool) {
	if f == nil {
		return 0, false
	}
	v, err := f.Int()
	if err != nil {
		if r.err == nil {
			r.err = fmt.Errorf("module of %s: %w", r.port, err)
		}
		return 0, false
	}
	return v, v > -believable && v < believable
}
