package optics

import (
	"context"
	"encoding/binary"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/collector/platform/kernel/netlink"
	"livebox-agent/collector/platform/kernel/netlink/netlinktest"
	"livebox-agent/collector/sample"
)

// An image is the memory of a module: 256 bytes for each page, of which the
// lower half is that of page 0 everywhere.
type image map[page]*[256]byte

func (x image) at(p page) *[256]byte {
	if x[p] == nil {
		x[p] = &[256]byte{}
	}
	return x[p]
}

// put16 and putFloat set registers.
func (x image) put16(p page, offset int, values ...int) {
	for i, v := range values {
		binary.BigEndian.PutUint16(x.at(p)[offset+2*i:], uint16(v))
	}
}

func (x image) putFloat(p page, offset int, values ...float32) {
	for i, v := range values {
		binary.BigEndian.PutUint32(x.at(p)[offset+4*i:], math.Float32bits(v))
	}
}

// seal sets the checksum of the bytes from to.
func (x image) seal(p page, from, to int) {
	b := x.at(p)
	b[to] = 0
	for _, c := range b[from:to] {
		b[to] += c
	}
}

// bytes is what the kernel answers a request for s with.
func (x image) bytes(s span) []byte {
	out := make([]byte, s.length)
	p := s.page
	if s.offset < 128 {
		p.number = 0
	}
	if b := x[p]; b != nil {
		copy(out, b[s.offset:])
	}
	return out
}

// read makes an image a memory.
func (x image) read(_ context.Context, s span) ([]byte, error) { return x.bytes(s), nil }

var (
	pageA0 = page{base, 0}
	pageA2 = page{diagnostics, 0}
)

// newSFP is an SFP of that kind of diagnostics, with the powers of a real
// line: -16.861 dBm received, 3.618 dBm sent.
func newSFP(kind uint8) image {
	x := image{}
	a0 := x.at(pageA0)
	a0[0], a0[1] = sfp, 4
	copy(a0[20:], "MAKER           ")
	copy(a0[68:], "SERIAL0000000001")
	a0[92], a0[93] = kind, 0
	x.seal(pageA0, 0, 63)
	x.seal(pageA0, 64, 95)
	x.put16(pageA2, 24, 31623, 5012)                          // power sent: 5 dBm, -3 dBm
	x.put16(pageA2, 32, 1585, 10)                             // power received: -8 dBm, -30 dBm
	x.put16(pageA2, 96, 48<<8|64, 32920, 19008/2, 23004, 206) // 48.25 °C, 3.292 V, 19.008 mA
	x.seal(pageA2, 0, 95)
	return x
}

// options sets what else an SFP implements, and its status.
func (x image) options(options, status uint8) image {
	x.at(pageA0)[93] = options
	x.seal(pageA0, 64, 95)
	x.at(pageA2)[110] = status
	return x
}

// A host is a kernel with interfaces, of which some have a module.
type host struct {
	modules map[string]image
	// errs is what the kernel answers for an interface.
	errs map[string]error
	// family is the number of ethtool, 0 for a kernel without it.
	family  uint16
	dialErr error
	dials   int
	asked   map[string][]span
	short   bool // replies are cut
	sys     string
}

func newHost(tb testing.TB, modules map[string]image) *host {
	tb.Helper()
	k := &host{modules: modules, errs: map[string]error{}, family: 21, asked: map[string][]span{}, sys: tb.TempDir()}
	for name := range modules {
		k.file(tb, "class/net/"+name+"/device/uevent", "")
		k.file(tb, "class/net/"+name+"/ifindex", "7")
	}
	return k
}

func (k *host) file(tb testing.TB, name, content string) {
	tb.Helper()
	path := filepath.Join(k.sys, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content+"\n"), 0o600); err != nil {
		tb.Fatal(err)
	}
}

func (k *host) dial() (Conn, error) {
	k.dials++
	if k.dialErr != nil {
		return nil, &netlink.OpError{Op: "dial generic", Err: k.dialErr}
	}
	return netlinktest.New(k.answer), nil
}

func (k *host) source(tb testing.TB) *Source {
	tb.Helper()
	s := New(Config{Sys: k.sys, Dial: k.dial})
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

// answer is net/ethtool/eeprom.c.
func (k *host) answer(m netlink.Message) ([]netlink.Message, error) {
	command, body, err := netlink.CutGeneric(m.Data)
	if err != nil {
		return nil, err
	}
	if m.Type == unix.GENL_ID_CTRL {
		if k.family == 0 {
			return nil, unix.ENOENT
		}
		data := netlink.AppendGeneric(nil, unix.CTRL_CMD_NEWFAMILY, 2)
		data = netlink.AppendUint16(data, unix.CTRL_ATTR_FAMILY_ID, k.family)
		return []netlink.Message{{Type: unix.GENL_ID_CTRL, Data: data}}, nil
	}
	if m.Type != k.family || command != 0x1f {
		return nil, unix.EOPNOTSUPP
	}
	var name string
	var s span
	length, number := uint32(0), uint8(0)
	a := netlink.NewAttributes(body)
	for a.Next() {
		switch a.Type() {
		case 1:
			header := a.Nested()
			for header.Next() {
				if header.Type() == 2 {
					name = string(header.Text())
				}
			}
		case 2:
			s.offset = uint8(a.Uint32())
		case 3:
			length = a.Uint32()
		case 4:
			number = a.Uint8()
		case 6:
			s.address = a.Uint8()
		}
	}
	s.number, s.length = number, uint8(length)
	switch {
	case a.Err() != nil:
		return nil, a.Err()
	case length < 1 || length > 128,
		number > 0 && s.offset < 128,
		s.offset < 128 && uint32(s.offset)+length > 128,
		uint32(s.offset)+length > 256:
		return nil, unix.EINVAL
	}
	k.asked[name] = append(k.asked[name], s)
	if err := k.errs[name]; err != nil {
		return nil, err
	}
	x, ok := k.modules[name]
	if !ok || x == nil {
		return nil, unix.EOPNOTSUPP
	}
	bytes := x.bytes(s)
	if k.short {
		bytes = bytes[:len(bytes)/2]
	}
	data := netlink.AppendGeneric(nil, 0x20, 1)
	return []netlink.Message{{Type: k.family, Data: netlink.AppendBytes(data, 7, bytes)}}, nil
}

// ask asks s once at the time at and returns what it gives of all ports.
func ask(t *testing.T, s *Source, at time.Duration) (map[string]readings, error) {
	t.Helper()
	var b sample.Batch
	b.Reset(at)
	err := s.Collect(t.Context(), &b)
	check(t, &b)
	all := map[string]readings{}
	for _, r := range b.Readings {
		if all[r.Instance] == nil {
			all[r.Instance] = readingsOf(t, &b, r.Instance)
		}
	}
	return all, err
}

// labels makes the folder a hwmon device of drivers/net/phy/sfp.c.
func (k *host) hwmon(t *testing.T, number, device string, files map[string]string) {
	t.Helper()
	folder := "devices/platform/" + device + "/hwmon/" + number
	all := map[string]string{
		"name": strings.ReplaceAll(device, "-", "_"), "in0_label": "VCC", "temp1_label": "temperature", "curr1_label": "bias",
		"power1_label": "TX_power", "power2_label": "RX_power",
		"in0_input": "3290", "temp1_input": "48250", "curr1_input": "11", "power1_input": "2300", "power2_input": "21",
	}
	maps.Copy(all, files)
	for name, content := range all {
		if content != "" {
			k.file(t, folder+"/"+name, content)
		}
	}
	link := func(target, name string) {
		path := filepath.Join(k.sys, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
	}
	link("../..", folder+"/device")
	link("../../"+folder, "class/hwmon/"+number)
}
