package netdev

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/kernel/netlink"
	"livebox-agent/collector/platform/kernel/netlink/netlinktest"
	"livebox-agent/collector/sample"
)

// A nic is an interface of the fake kernel.
type nic struct {
	name  string
	index int
	kind  string
	flags uint32
	ups   uint32
	downs uint32
	// bits is the width of the counters that the kernel reports: 64, 32, or 0
	// for none.
	bits  int
	stats [numStats]uint64
}

// eth returns an interface that is up, with the given packets and bytes in
// both directions.
func eth(name string, index, bits int, packets, bytes uint64) nic {
	n := nic{name: name, index: index, flags: up, bits: bits, ups: 1}
	n.stats[rxPackets], n.stats[txPackets] = packets, packets
	n.stats[rxBytes], n.stats[txBytes] = bytes, bytes
	return n
}

func (n nic) message() netlink.Message {
	b := netlink.AppendText(header(ether, n.index, n.flags), unix.IFLA_IFNAME, n.name)
	b = netlink.AppendUint8(b, unix.IFLA_OPERSTATE, operUp)
	b = netlink.AppendUint32(b, unix.IFLA_CARRIER_UP_COUNT, n.ups)
	b = netlink.AppendUint32(b, unix.IFLA_CARRIER_DOWN_COUNT, n.downs)
	if n.kind != "" {
		b = kind(b, n.kind)
	}
	var wide, narrow []byte
	for _, v := range n.stats {
		wide = binary.NativeEndian.AppendUint64(wide, v)
		narrow = binary.NativeEndian.AppendUint32(narrow, uint32(v))
	}
	switch n.bits {
	case 64:
		b = netlink.AppendBytes(b, unix.IFLA_STATS64, wide)
	case 32:
		b = netlink.AppendBytes(b, unix.IFLA_STATS, narrow)
	}
	return netlink.Message{Type: unix.RTM_NEWLINK, Data: b}
}

// A box is a fake kernel with interfaces.
type box struct {
	replies []netlink.Message
	err     error
	dials   int
	dialErr error
	asked   int
}

func (x *box) have(nics ...nic) {
	x.replies = nil
	for _, n := range nics {
		x.replies = append(x.replies, n.message())
	}
}

func (x *box) dial() (Conn, error) {
	x.dials++
	if x.dialErr != nil {
		return nil, x.dialErr
	}
	return netlinktest.New(func(request netlink.Message) ([]netlink.Message, error) {
		x.asked++
		if request.Type != unix.RTM_GETLINK || request.Flags&unix.NLM_F_DUMP != unix.NLM_F_DUMP || len(request.Data) != unix.SizeofIfInfomsg {
			return nil, unix.EINVAL
		}
		return x.replies, x.err
	}), nil
}

// A round is what a source gave at one instant.
type round map[string]int64

func ask(t *testing.T, s collector.Source) (round, error) {
	t.Helper()
	var b sample.Batch
	err := s.Collect(t.Context(), &b)
	got := round{}
	for _, r := range b.Readings {
		m, ok := catalogue.Lookup(r.Metric)
		if !ok || !slices.Contains(s.Describe().Metrics, r.Metric) {
			t.Errorf("reading of metric %d, which the source does not announce", r.Metric)
		}
		key := fmt.Sprint(r.Instance, " ", m.Name[strings.LastIndex(m.Name, ".")+1:])
		if _, twice := got[key]; twice {
			t.Errorf("%s twice in a round", key)
		}
		got[key] = r.Value
	}
	return got, err
}

func mustAsk(t *testing.T, s collector.Source) round {
	t.Helper()
	got, err := ask(t, s)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestWhatTheKernelDoesNotSayIsAbsent(t *testing.T) {
	var x box
	x.replies = []netlink.Message{{
		Type: unix.RTM_NEWLINK,
		Data: netlink.AppendText(header(ether, 2, noLink), unix.IFLA_IFNAME, "eth0"),
	}}
	ports := NewPorts(Config{Sys: t.TempDir(), Dial: x.dial})
	want := round{"eth0 Status": catalogue.PortStatusUnknown, "eth0 X_LIVEBOX-AGENT_Carrier": 0}
	if got := mustAsk(t, ports); !equal(got, want) {
		t.Errorf("ports = %v; want %v", got, want)
	}
	if got := mustAsk(t, NewTraffic(Config{Dial: x.dial})); len(got) != 0 {
		t.Errorf("traffic = %v; want nothing", got)
	}
}

func equal(a, b round) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			return false
		}
	}
	return true
}

func TestPorts(t *testing.T) {
	sys := t.TempDir()
	sysfsOf(t, sys, "eth0", "2500", "full")
	n := eth("eth0", 2, 64, 10, 1000)
	n.ups, n.downs = 5, 4
	n.stats[rxErrors], n.stats[txErrors], n.stats[rxDropped], n.stats[txDropped], n.stats[rxCRCErrors] = 1, 2, 3, 4, 5
	var x box
	x.have(eth("lo", 1, 64, 1, 1), n, nic{name: "veth1", index: 3, kind: "veth"})
	binary.NativeEndian.PutUint16(x.replies[0].Data[2:], unix.ARPHRD_LOOPBACK)
	s := NewPorts(Config{Sys: sys, Dial: x.dial})
	defer s.Close()
	want := round{
		"eth0 Status": catalogue.PortStatusUp, "eth0 X_LIVEBOX-AGENT_Carrier": 1,
		"eth0 X_LIVEBOX-AGENT_CarrierUps": 5, "eth0 X_LIVEBOX-AGENT_CarrierDowns": 4,
		"eth0 CurrentBitRate": 2500, "eth0 DuplexMode": catalogue.DuplexFull,
		"eth0 ErrorsReceived": 1, "eth0 ErrorsSent": 2, "eth0 DiscardPacketsReceived": 3, "eth0 DiscardPacketsSent": 4,
		"eth0 X_LIVEBOX-AGENT_CRCErrors": 5, "eth0 X_LIVEBOX-AGENT_Resets": 0,
	}
	for range 2 {
		if got := mustAsk(t, s); !equal(got, want) {
			t.Errorf("ports = %v; want %v", got, want)
		}
	}
	if x.dials != 1 || x.asked != 2 {
		t.Errorf("%d sockets, %d dumps in two rounds; want 1 and 2", x.dials, x.asked)
	}
}

// A step is one round of a box with one interface, eth0.
type step struct {
	nic nic
	// received are the total bytes, packets the total packets, resets the
	// resets after it.
	bytes, packets, resets int64
}

func TestWrapsAndResetsAreToldApart(t *testing.T) {
	const m = math.MaxUint32
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"64-bit counters go on beyond 32 bits", []step{
			{eth("eth0", 2, 64, 3e6, m-10), m - 10, 3e6, 0},
			{eth("eth0", 2, 64, 4e6, 1<<40), 1 << 40, 4e6, 0},
		}},
		{"32-bit counters wrap", []step{
			{eth("eth0", 2, 32, 3e6, m-10), m - 10, 3e6, 0},
			{eth("eth0", 2, 32, 3e6+5, 89), m + 90, 3e6 + 5, 0},
		}},
		{"32-bit counters wrap twice in three rounds", []step{
			{eth("eth0", 2, 32, 1e6, 3<<30), 3 << 30, 1e6, 0},
			{eth("eth0", 2, 32, 3e6, 1<<30), 5 << 30, 3e6, 0},
			{eth("eth0", 2, 32, 5e6, 3<<30), 7 << 30, 5e6, 0},
			{eth("eth0", 2, 32, 7e6, 1<<30), 9 << 30, 7e6, 0},
		}},
		{"32-bit counters reported as 64-bit ones wrap", []step{
			{eth("eth0", 2, 64, 3e6, m-10), m - 10, 3e6, 0},
			{eth("eth0", 2, 64, 3e6+5, 89), m + 90, 3e6 + 5, 0},
		}},
		{"a wrap by more than half of the range", []step{
			{eth("eth0", 2, 32, 3e6, 3<<30), 3 << 30, 3e6, 0},
			{eth("eth0", 2, 32, 5e6, 5<<29), 3<<30 + 7<<29, 5e6, 0},
		}},
		{"64-bit counters start again", []step{
			{eth("eth0", 2, 64, 1e9, 1<<40), 1 << 40, 1e9, 0},
			{eth("eth0", 2, 64, 5, 500), 1<<40 + 500, 1e9 + 5, 1},
		}},
		{"32-bit counters start again", []step{
			{eth("eth0", 2, 32, 1e6, 1e9), 1e9, 1e6, 0},
			{eth("eth0", 2, 32, 5, 500), 1e9 + 500, 1e6 + 5, 1},
		}},
		{"32-bit counters start again where the bytes alone look like a wrap", []step{
			{eth("eth0", 2, 32, 3e6, m-10), m - 10, 3e6, 0},
			{eth("eth0", 2, 32, 5, 500), m + 490, 3e6 + 5, 1},
		}},
		{"64-bit counters below 32 bits start again", []step{
			{eth("eth0", 2, 64, 3e6, m-10), m - 10, 3e6, 0},
			{eth("eth0", 2, 64, 5, 500), m + 490, 3e6 + 5, 1},
		}},
		{"another device under the same name, already beyond the old counts", []step{
			{eth("eth0", 2, 64, 100, 1000), 1000, 100, 0},
			{eth("eth0", 9, 64, 200, 5000), 6000, 300, 1},
			{eth("eth0", 9, 64, 201, 5001), 6001, 301, 1},
		}},
		{"a driver that steps back a little", []step{
			{eth("eth0", 2, 64, 1000000, 1<<40), 1 << 40, 1000000, 0},
			{eth("eth0", 2, 64, 999999, 1<<40-1500), 1 << 40, 1000000, 0},
			{eth("eth0", 2, 64, 1000002, 1<<40+3000), 1<<40 + 3000, 1000002, 0},
		}},
		{"a driver of 32 bits that steps back a little", []step{
			{eth("eth0", 2, 32, 1000000, 3e9), 3e9, 1000000, 0},
			{eth("eth0", 2, 32, 1000010, 3e9-1500), 3e9, 1000010, 0},
		}},
		{"no traffic at all", []step{
			{eth("eth0", 2, 64, 0, 0), 0, 0, 0},
			{eth("eth0", 2, 64, 0, 0), 0, 0, 0},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var x box
			traffic, ports := NewTraffic(Config{Dial: x.dial}), NewPorts(Config{Sys: t.TempDir(), Dial: x.dial})
			for i, s := range tt.steps {
				x.have(s.nic)
				got := mustAsk(t, traffic)
				want := round{"eth0 BytesReceived": s.bytes, "eth0 BytesSent": s.bytes, "eth0 PacketsReceived": s.packets, "eth0 PacketsSent": s.packets}
				if !equal(got, want) {
					t.Errorf("round %d: traffic = %v; want %v", i, got, want)
				}
				if got := mustAsk(t, ports)["eth0 X_LIVEBOX-AGENT_Resets"]; got != s.resets {
					t.Errorf("round %d: %d resets; want %d", i, got, s.resets)
				}
			}
		})
	}
}

func TestCarrierCountsGoOnOverANewDevice(t *testing.T) {
	var x box
	s := NewPorts(Config{Sys: t.TempDir(), Dial: x.dial})
	for i, tt := range []struct {
		index       int
		ups, downs  uint32
		wantU, want int64
	}{{2, 7, 6, 7, 6}, {2, 8, 7, 8, 7}, {5, 1, 0, 9, 7}, {5, 9, 9, 17, 16}, {9, 20, 16, 37, 32}} {
		n := eth("eth0", tt.index, 64, 1, 1)
		n.ups, n.downs = tt.ups, tt.downs
		x.have(n)
		got := mustAsk(t, s)
		if u, d := got["eth0 X_LIVEBOX-AGENT_CarrierUps"], got["eth0 X_LIVEBOX-AGENT_CarrierDowns"]; u != tt.wantU || d != tt.want {
			t.Errorf("round %d: %d ups, %d downs; want %d, %d", i, u, d, tt.wantU, tt.want)
		}
	}
}

func TestVanishedInterfaceCostsOnlyItsOwnReadings(t *testing.T) {
	var x box
	s := NewTraffic(Config{Dial: x.dial})
	x.have(eth("eth0", 2, 64, 10, 100), eth("wlan0", 3, 64, 20, 200))
	mustAsk(t, s)
	x.have(eth("eth0", 2, 64, 11, 110))
	want := round{"eth0 BytesReceived": 110, "eth0 BytesSent": 110, "eth0 PacketsReceived": 11, "eth0 PacketsSent": 11}
	if got := mustAsk(t, s); !equal(got, want) {
		t.Errorf("without wlan0 = %v; want %v", got, want)
	}
	x.have(eth("eth0", 2, 64, 11, 110), eth("wlan0", 4, 64, 1, 10))
	if got := mustAsk(t, s)["wlan0 BytesReceived"]; got != 210 {
		t.Errorf("wlan0 came back with a total of %d; want 210: totals go on", got)
	}
}

func TestFilesOfAVanishedInterfaceAreClosed(t *testing.T) {
	x, sys := fleet(t, 2)
	s := NewPorts(Config{Sys: sys, Dial: x.dial})
	defer s.Close()
	mustAsk(t, s)
	x.have(eth("eth0", 2, 64, 1, 1))
	mustAsk(t, s)
	if s.table.ports["eth0"].negotiated.speed == nil || s.table.ports["eth1"].negotiated.speed != nil {
		t.Error("want the files of eth0 open, those of eth1 closed")
	}
}

func TestRenamedInterfaceStartsItsOwnSeries(t *testing.T) {
	var x box
	s := NewTraffic(Config{Dial: x.dial})
	x.have(eth("eth0", 2, 64, 10, 100))
	mustAsk(t, s)
	x.have(eth("wan", 2, 64, 11, 110))
	got := mustAsk(t, s)
	if _, old := got["eth0 BytesReceived"]; old || got["wan BytesReceived"] != 110 {
		t.Errorf("after the rename = %v; want wan alone, from 110", got)
	}
}

func TestNoMoreThanMaxInterfacesAreReported(t *testing.T) {
	var x box
	s := NewTraffic(Config{Dial: x.dial})
	var nics []nic
	for i := range MaxInterfaces + 3 {
		nics = append(nics, eth(fmt.Sprint("eth", i), i+2, 64, 1, 1))
	}
	x.have(nics...)
	got, err := ask(t, s)
	if len(got) != 4*MaxInterfaces || !errors.Is(err, collector.ErrNoData) || !strings.Contains(err.Error(), "3 interfaces beyond") {
		t.Errorf("%d readings, %v; want %d and how many are left out", len(got), err, 4*MaxInterfaces)
	}
}

func TestNoMoreThanTwiceAsManyAreRemembered(t *testing.T) {
	var x box
	s := NewTraffic(Config{Dial: x.dial})
	for i := range 3 * maxRemembered {
		x.have(eth("eth0", 2, 64, uint64(i), uint64(i)), eth(fmt.Sprint("ppp", i), i+3, 64, 1, 1))
		mustAsk(t, s)
	}
	if n := len(s.table.ports); n != maxRemembered {
		t.Errorf("%d interfaces remembered; want %d", n, maxRemembered)
	}
	if _, ok := s.table.ports["eth0"]; !ok {
		t.Error("the one that was always there was forgotten")
	}
}

func TestInterfaceTwiceInADumpIsReportedOnce(t *testing.T) {
	var x box
	s := NewTraffic(Config{Dial: x.dial})
	x.have(eth("eth0", 2, 64, 1, 100), eth("eth0", 2, 64, 2, 200))
	for i := range x.replies {
		x.replies[i].Flags |= unix.NLM_F_DUMP_INTR
	}
	if got := mustAsk(t, s); got["eth0 BytesReceived"] != 100 || len(got) != 4 {
		t.Errorf("traffic = %v; want eth0 once", got)
	}
	if x.asked != 2 {
		t.Errorf("%d dumps; want the interrupted one repeated", x.asked)
	}
}

func TestOutcomes(t *testing.T) {
	for _, tt := range []struct {
		name     string
		box      box
		want     error // nil: any other error
		readings int
	}{
		{name: "no interface", box: box{}, want: collector.ErrNoData},
		{name: "only the loopback", box: box{replies: []netlink.Message{{
			Type: unix.RTM_NEWLINK, Data: netlink.AppendText(header(unix.ARPHRD_LOOPBACK, 1, up), unix.IFLA_IFNAME, "lo"),
		}}}, want: collector.ErrNoData},
		{name: "kernel without netlink", box: box{dialErr: &netlink.OpError{Op: "dial route", Err: unix.EPROTONOSUPPORT}}, want: collector.ErrNoData},
		{name: "socket refused", box: box{dialErr: &netlink.OpError{Op: "dial route", Err: unix.EPERM}}, want: collector.ErrRefused},
		{name: "dump refused", box: box{err: unix.EACCES}, want: collector.ErrRefused},
		{name: "dump fails", box: box{err: unix.ENOMEM}, want: unix.ENOMEM},
		{name: "dump fails half way", box: box{err: unix.ENOMEM, replies: []netlink.Message{eth("eth0", 2, 64, 1, 1).message()}}, want: unix.ENOMEM, readings: 4},
		{name: "one message makes no sense", box: box{replies: []netlink.Message{
			{Type: unix.RTM_NEWLINK, Data: []byte{1, 2, 3}}, eth("eth0", 2, 64, 1, 1).message(),
		}}, want: netlink.ErrMalformed, readings: 4},
		{name: "messages of another type are passed over", box: box{replies: []netlink.Message{
			{Type: unix.RTM_NEWADDR, Data: []byte{1, 2, 3}},
		}}, want: collector.ErrNoData},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ask(t, NewTraffic(Config{Dial: tt.box.dial}))
			if !errors.Is(err, tt.want) || len(got) != tt.readings {
				t.Errorf("Collect = %d readings, %v; want %d, %v", len(got), err, tt.readings, tt.want)
			}
		})
	}
}

func TestBrokenConnectionIsDialledAnew(t *testing.T) {
	var x box
	s := NewTraffic(Config{Dial: x.dial})
	x.have(eth("eth0", 2, 64, 1, 1))
	mustAsk(t, s)
	x.err = errors.New("socket buffer gone")
	if _, err := ask(t, s); err == nil {
		t.Fatal("no error of a broken socket")
	}
	x.err = nil
	if got := mustAsk(t, s); len(got) != 4 || x.dials != 2 {
		t.Errorf("%v after %d sockets; want readings from the second", got, x.dials)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if mustAsk(t, s); x.dials != 3 {
		t.Errorf("%d sockets after Close; want a third", x.dials)
	}
}

func TestDescriptionsHoldAgainstTheCatalogue(t *testing.T) {
	if _, err := collector.NewSet(collector.Options{Now: func() time.Duration { return 0 }}, NewPorts(Config{}), NewTraffic(Config{})); err != nil {
		t.Error(err)
	}
}

// fleet returns a box with n interfaces that all have a link and a speed.
func fleet(tb testing.TB, n int) (*box, string) {
	tb.Helper()
	sys := tb.TempDir()
	var nics []nic
	x := &box{}
	for i := range n {
		name := fmt.Sprint("eth", i)
		nics = append(nics, eth(name, i+2, 64, 1, 1))
		sysfsOf(tb, sys, name, "1000", "full")
	}
	x.have(nics...)
	return x, sys
}

func TestSteadyRoundAllocatesNothing(t *testing.T) {
	x, sys := fleet(t, 12)
	ports := NewPorts(Config{Sys: sys, Dial: x.dial})
	defer ports.Close()
	for _, s := range []collector.Source{ports, NewTraffic(Config{Dial: x.dial})} {
		var b sample.Batch
		collect := func() {
			b.Reset(0)
			if err := s.Collect(t.Context(), &b); err != nil {
				t.Fatal(err)
			}
		}
		collect()
		ctx := t.Context()
		if n := testing.AllocsPerRun(100, func() {
			b.Reset(0)
			_ = s.Collect(ctx, &b)
		}); n != 0 {
			t.Errorf("%s: %v allocations in a round; want 0", s.Describe().Name, n)
		}
	}
}

func TestThisKernelsInterfaces(t *testing.T) {
	for _, s := range []collector.Source{NewPorts(Config{}), NewTraffic(Config{})} {
		got, err := ask(t, s)
		if err != nil {
			t.Skipf("%s: this kernel does not say: %v", s.Describe().Name, err)
		}
		for key := range got {
			if strings.HasPrefix(key, "lo ") {
				t.Errorf("%s reports the loopback: %s", s.Describe().Name, key)
			}
		}
	}
}

func BenchmarkTraffic12Interfaces(b *testing.B) {
	x, _ := fleet(b, 12)
	bench(b, NewTraffic(Config{Dial: x.dial}))
}

func BenchmarkPorts12Interfaces(b *testing.B) {
	x, sys := fleet(b, 12)
	bench(b, NewPorts(Config{Sys: sys, Dial: x.dial}))
}

func bench(b *testing.B, s collector.Source) {
	b.Helper()
	b.ReportAllocs()
	var batch sample.Batch
	ctx := b.Context()
	for b.Loop() {
		batch.Reset(0)
		if err := s.Collect(ctx, &batch); err != nil {
			b.Fatal(err)
		}
	}
}
