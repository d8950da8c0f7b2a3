package optics

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/collector"
	"livebox-agent/collector/platform/kernel/sysfs"
	"livebox-agent/collector/sample"
)

const (
	// discoverEvery is how often modules are looked for. One that fails, or
	// was changed for another, is looked for in the next round.
	discoverEvery = 5 * time.Minute
	// maxInterfaces is how many interfaces are asked for a module.
	maxInterfaces = 64
)

// kernel gives the modules that the kernel knows.
type kernel struct {
	sys     string
	ethtool ethtool
	modules []*fitted
	chips   []*chip
	// next is when to look for modules again, on the axis of sample.Batch.At.
	next time.Duration
	// refused and err are what kept the last look from seeing everything.
	refused, err error
}

// A fitted module is one whose memory can be read.
type fitted struct {
	layout
	ports
	requests [][]byte // of the layout's spans
	bytes    [][]byte
}

func newKernel(sys string, dial func() (Conn, error)) kernel {
	if sys == "" {
		sys = "/sys"
	}
	return kernel{sys: sys, ethtool: newEthtool(dial)}
}

// collect adds what all modules measure.
func (k *kernel) collect(ctx context.Context, b *sample.Batch) error {
	before := len(b.Readings)
	if b.At >= k.next {
		k.discover(ctx)
		k.next = b.At + discoverEvery
	}
	var failure error
	for _, m := range k.modules {
		m.b = b
		err := k.measure(ctx, m)
		m.b = nil
		if err != nil {
			k.next = 0
			failure = err
		}
	}
	for _, c := range k.chips {
		if err := c.measure(b); err != nil {
			k.next = 0
			failure = err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return k.outcome(len(b.Readings)-before, failure)
}

// measure adds what the memory of m says.
func (k *kernel) measure(ctx context.Context, m *fitted) error {
	for i := range m.requests {
		if err := k.ethtool.read(ctx, m.requests[i], m.bytes[i]); err != nil {
			return fmt.Errorf("module of %s: %w", m.name, err)
		}
	}
	if err := m.measure(&m.ports, m.bytes); err != nil {
		return fmt.Errorf("module of %s: %w", m.name, err)
	}
	return nil
}

// outcome says what a round means that gave n readings.
func (k *kernel) outcome(n int, failure error) error {
	switch {
	case failure != nil && gone(failure) && n == 0:
		return fmt.Errorf("%w: %w", failure, collector.ErrNoData)
	case failure != nil && !gone(failure):
		return failure
	case len(k.modules) > 0:
		return nil
	case k.refused != nil:
		// Also where hwmon gives readings: it says why they are coarse.
		return fmt.Errorf("%w: %w", k.refused, collector.ErrRefused)
	case len(k.chips) > 0:
		return nil
	case k.err != nil:
		return k.err
	}
	return fmt.Errorf("no optical module: %w", collector.ErrNoData)
}

// gone says that err means that the module is not there any more, or is
// another one.
func gone(err error) bool {
	return errors.Is(err, errOther) || errors.Is(err, fs.ErrNotExist) || nothingThere(err)
}

// discover looks for modules, and for hwmon devices where there are none.
func (k *kernel) discover(ctx context.Context) {
	k.closeChips()
	k.modules, k.refused, k.err = nil, nil, nil
	for _, name := range k.interfaces() {
		l, err := look(ctx, &reader{tool: &k.ethtool, name: name})
		switch {
		case err == nil:
			k.fit(name, l)
		case errors.Is(err, errNothing), nothingThere(err):
		case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
			k.refused = fmt.Errorf("module of %s: %w", k.instance(name), err)
		case k.err == nil:
			k.err = fmt.Errorf("module of %s: %w", k.instance(name), err)
		}
		if len(k.modules) == maxPorts || k.ethtool.absent || ctx.Err() != nil {
			break
		}
	}
	if len(k.modules) == 0 {
		k.chips = findChips(k.sys)
	}
}

// fit notes the module of the interface name.
func (k *kernel) fit(name string, l layout) {
	m := &fitted{layout: l, ports: newPorts(k.instance(name))}
	for _, s := range l.spans() {
		m.requests = append(m.requests, request(name, s))
		m.bytes = append(m.bytes, make([]byte, s.length))
	}
	k.modules = append(k.modules, m)
}

// interfaces returns the interfaces that may have a module: those of a device,
// but for Wi-Fi.
func (k *kernel) interfaces() []string {
	folder := filepath.Join(k.sys, "class", "net")
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		k.err = err
	}
	var names []string
	for _, e := range entries {
		path := filepath.Join(folder, e.Name())
		_, device := os.Stat(filepath.Join(path, "device"))
		_, radio := os.Stat(filepath.Join(path, "phy80211"))
		if device == nil && radio != nil && len(names) < maxInterfaces {
			names = append(names, e.Name())
		}
	}
	return names
}

// instance returns the name of an interface as readings carry it: its own,
// unless that could be made of a hardware address (enx…).
func (k *kernel) instance(name string) string {
	if plain(name) {
		return name
	}
	index, err := sysfs.ReadText(k.sys, filepath.Join("class", "net", name, "ifindex"))
	if err != nil || !plain(index) {
		return "#"
	}
	return "#" + index
}

func (k *kernel) closeChips() {
	for _, c := range k.chips {
		c.close()
	}
	k.chips = nil
}

// close gives up the socket and all files; a later collect opens them again.
func (k *kernel) close() error {
	k.closeChips()
	k.modules, k.next = nil, 0
	return k.ethtool.close()
}

// Owns says whether the hwmon device whose files are in folder is an optical
// module, which this package reports: drivers/net/phy/sfp.c gives its devices
// these labels, and names them after the cage ("sfp", "sfp_wan").
func Owns(folder string) bool {
	label, err := sysfs.ReadText(folder, "power1_label")
	return err == nil && strings.EqualFold(label, "TX_power")
}
