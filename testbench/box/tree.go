package box

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// WriteTree writes what the box's kernel shows at this moment into dir: the
// folders sys (class/net, class/thermal, class/watchdog, fs/pstore, a lightning
// sensor, the contact of a protection device, and class/hwmon with the supply,
// and the optical module where it is in a cage) and proc. Files whose
// content changed are overwritten in place, so that who has them open sees the
// new values; the others are left alone.
func (b *Box) WriteTree(dir string) error {
	w := b.at()
	defer b.mu.Unlock()
	t := treeWriter{dir: dir, written: b.written}
	for _, name := range w.interfaces() {
		b.writeInterface(&t, name)
	}
	for i, r := range b.p.radios {
		for _, vap := range r.vaps {
			t.file("sys/class/net/"+vap+"/phy80211/index", fmt.Sprint(i))
		}
		if r.celsius == noCelsius || r.celsius == 0 {
			continue
		}
		chip := fmt.Sprintf("sys/class/hwmon/hwmon%d/", i+1)
		t.file(chip+"name", r.name)
		t.file(chip+"temp1_input", fmt.Sprint(r.celsius*1000))
	}
	zone := 48000 + int(3000*w.chance.wander("zone", w.tick(), 10*time.Minute))
	t.file("sys/class/thermal/thermal_zone0/type", "cpu-thermal")
	t.file("sys/class/thermal/thermal_zone0/temp", fmt.Sprint(zone))
	if b.p.openwrt && b.p.wan == wanEth {
		b.writeModule(&t)
	}
	b.writePower(&t)
	b.writeProc(&t)
	return errors.Join(t.errs...)
}

// A treeWriter writes files and keeps what went wrong.
type treeWriter struct {
	dir     string
	written map[string]string // content by the name of the file
	errs    []error
}

func (t *treeWriter) file(name, content string) {
	name = filepath.Join(t.dir, filepath.FromSlash(name))
	if old, ok := t.written[name]; ok && old == content {
		return
	}
	t.written[name] = content
	err := os.MkdirAll(filepath.Dir(name), 0o755)
	if err == nil {
		err = os.WriteFile(name, []byte(content+"\n"), 0o644)
	}
	if err != nil {
		t.errs = append(t.errs, err)
	}
}

// once writes a file that is not there: the agent writes to some.
func (t *treeWriter) once(name, content string) {
	if _, err := os.Stat(filepath.Join(t.dir, filepath.FromSlash(name))); err != nil {
		t.file(name, content)
	}
}

// crashes makes the folder with so many records of crashes, and no other file.
func (t *treeWriter) crashes(folder string, count int) {
	names, err := filepath.Glob(filepath.Join(t.dir, filepath.FromSlash(folder), "dmesg-ramoops-*"))
	for _, name := range names {
		err = errors.Join(err, os.Remove(name))
		delete(t.written, name)
	}
	if err != nil {
		t.errs = append(t.errs, err)
	}
	for i := range count {
		t.file(fmt.Sprintf("%s/dmesg-ramoops-%d", folder, i), fmt.Sprintf("Panic#%d Part1\n<0>Kernel panic - not syncing: Fatal exception", i+1))
	}
	t.file(folder+"/console-ramoops-0", "<6>reboot: Restarting system")
}

func (b *Box) writeInterface(t *treeWriter, name string) {
	w := b.world
	folder := "sys/class/net/" + name + "/"
	carrier := b.carrier(name)
	downs := 0
	if name == b.p.wanIntf {
		downs = w.line.retrains
	}
	if s := w.power.ports[name]; s != nil {
		downs = s.downs
	}
	ups := 1 + downs
	state, bit, speed := "up", "1", fmt.Sprint(w.power.ports[name].speed())
	if !carrier {
		state, bit, speed = "down", "0", "-1"
		ups = max(ups-1, 0)
	}
	for file, content := range map[string]string{
		"operstate": state, "carrier": bit, "carrier_changes": fmt.Sprint(ups + downs),
		"carrier_up_count": fmt.Sprint(ups), "carrier_down_count": fmt.Sprint(downs),
		"address": strings.ToLower(b.mac(1)), "mtu": "1500", "speed": speed, "duplex": "full",
	} {
		t.file(folder+file, content)
	}
	for _, c := range kernelCounters(w.traffic[name]) {
		t.file(folder+"statistics/"+c.name, fmt.Sprint(w.count(c.value)))
	}
}

// writeModule shows the optical module as the kernel does
// (drivers/net/phy/sfp.c): whole microwatts, however little light there is.
func (b *Box) writeModule(t *treeWriter) {
	f := &b.world.fibre
	chip := "sys/class/hwmon/hwmon0/"
	watts := func(register int) string { return fmt.Sprint(int(math.Round(float64(register) / 10))) }
	for file, content := range map[string]string{
		"name":      "sfp",
		"in0_label": "VCC", "in0_input": fmt.Sprint((f.rest.voltage + 5) / 10),
		"temp1_label": "temperature", "temp1_input": fmt.Sprint(f.celsius() * 1000),
		"curr1_label": "bias", "curr1_input": fmt.Sprint((f.bias() + 250) / 500),
		"power1_label": "TX_power", "power1_input": watts(f.rest.tx),
		"power2_label": "RX_power", "power2_input": watts(f.rx()),
	} {
		t.file(chip+file, content)
	}
}

func (b *Box) writeProc(t *treeWriter) {
	w := b.world
	up := (w.now - w.booted).Seconds()
	t.file("proc/uptime", fmt.Sprintf("%.2f %.2f", up, up*3.6))
	load := 0.2 + 0.1*w.chance.wander("load", w.tick(), time.Minute)
	t.file("proc/loadavg", fmt.Sprintf("%.2f %.2f %.2f 1/98 4321", load, load*0.9, load*0.8))
	const total = 524288
	t.file("proc/meminfo", fmt.Sprintf(
		"MemTotal:       %8d kB\nMemFree:        %8d kB\nMemAvailable:   %8d kB\nBuffers:        %8d kB\nCached:         %8d kB",
		total, total*2/5, total/2, 3072, 61440))
	ticks := int(up * 100)
	line := fmt.Sprintf("%d 0 %d %d 0 0 0 0 0 0", ticks/20, ticks/30, ticks*4-ticks/12)
	t.file("proc/stat", "cpu  "+line+"\ncpu0 "+line+fmt.Sprintf("\nbtime %d\nprocesses 4321", b.date(w.booted).Unix()))
	var dev strings.Builder
	dev.WriteString("Inter-|   Receive                                                |  Transmit\n" +
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed")
	for _, name := range w.interfaces() {
		c := w.traffic[name]
		fmt.Fprintf(&dev, "\n%6s: %d %d 0 %d 0 0 0 %d %d %d 0 %d 0 0 0 0", name, w.count(c.rxBytes), w.count(c.rxPackets),
			w.count(c.rxDropped), w.count(c.multicast), w.count(c.txBytes), w.count(c.txPackets), w.count(c.txDropped))
	}
	t.file("proc/net/dev", dev.String())
}
