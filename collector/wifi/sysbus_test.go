package wifi

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
)

// A livebox answers every call with its reply, after it has taken its time.
type livebox struct {
	reply string
	takes time.Duration
	err   error
	panic bool
	// asked counts the calls; of which MIBs is last.
	asked atomic.Int32
	mibs  atomic.Value
}

func (l *livebox) Call(ctx context.Context, object, method string, params any) (tree.Node, error) {
	l.asked.Add(1)
	l.mibs.Store(params.(mibs).MIBs)
	if object != "NeMo.Intf.lan" || method != "getMIBs" {
		return tree.Node{}, fmt.Errorf("%s.%s: %w", object, method, collector.ErrNoData)
	}
	timer := time.NewTimer(l.takes)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return tree.Node{}, ctx.Err()
	}
	if l.panic {
		panic("as asked")
	}
	if l.err != nil {
		return tree.Node{}, l.err
	}
	return tree.Parse([]byte(l.reply))
}

// sysbusSources are all sources of the box.
func sysbusSources(l *livebox) []collector.Source {
	bus := NewSysbus(l)
	return []collector.Source{bus.NewRadios(), bus.NewStations(sysbusPseudonym), bus.NewTemperatures()}
}

// sysbusPseudonym numbers the stations of the fixtures.
func sysbusPseudonym(mac [6]byte) string { return fmt.Sprintf("device-%d-%d", mac[4], mac[5]) }

// together asks the sources at the same time for the instant at.
func together(t *testing.T, at time.Duration, sources ...collector.Source) (batches []sample.Batch, errs []error) {
	t.Helper()
	batches, errs = make([]sample.Batch, len(sources)), make([]error, len(sources))
	done := make(chan struct{})
	for i, s := range sources {
		go func() {
			defer func() {
				if p := recover(); p != nil {
					errs[i] = fmt.Errorf("panic: %v", p)
				}
				done <- struct{}{}
			}()
			batches[i].Reset(at)
			ctx, cancel := context.WithTimeout(t.Context(), s.Describe().Timeout)
			defer cancel()
			errs[i] = s.Collect(ctx, &batches[i])
		}()
	}
	for range sources {
		<-done
	}
	return batches, errs
}

func TestOneReplyServesAllSourcesOfARound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &livebox{reply: fixture(t, "livebox7"), takes: 25 * time.Second}
		sources := sysbusSources(l)
		for round := range 3 {
			batches, errs := together(t, time.Duration(round)*time.Minute, sources...)
			for i, err := range errs {
				if err != nil || len(batches[i].Readings) == 0 {
					t.Errorf("%s: %d readings, %v", sources[i].Describe().Name, len(batches[i].Readings), err)
				}
			}
			if got := int(l.asked.Load()); got != round+1 {
				t.Errorf("%d calls in %d rounds; want one in each", got, round+1)
			}
		}
	})
}

func TestReplyOfAnotherInstantIsNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &livebox{reply: fixture(t, "livebox7"), takes: 20 * time.Second}
		bus := NewSysbus(l)
		first := make(chan error)
		go func() {
			_, err := bus.ask(t.Context(), 0)
			first <- err
		}()
		synctest.Wait()
		// The reply under way was asked for earlier.
		go func() {
			_, err := bus.ask(t.Context(), time.Second)
			first <- err
		}()
		for range 2 {
			if err := <-first; err != nil {
				t.Error(err)
			}
		}
		// The one that came is of the past, also for the same instant.
		if _, err := bus.ask(t.Context(), time.Second); err != nil || l.asked.Load() != 3 {
			t.Errorf("%v after %d calls; want three", err, l.asked.Load())
		}
	})
}

func TestErrorOfACallIsThatOfAllWhoWait(t *testing.T) {
	refused := fmt.Errorf("box says so: %w", collector.ErrRefused)
	for _, tt := range []struct {
		name string
		l    *livebox
		want error
	}{
		{"refused", &livebox{takes: time.Second, err: refused}, collector.ErrRefused},
		{"too slow", &livebox{takes: time.Hour}, context.DeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				batches, errs := together(t, 0, sysbusSources(tt.l)...)
				for i, err := range errs {
					if !errors.Is(err, tt.want) || len(batches[i].Readings) != 0 {
						t.Errorf("source %d: %d readings, %v; want %v", i, len(batches[i].Readings), err, tt.want)
					}
				}
			})
		})
	}
}

func TestPanicOfACallCostsOneSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &livebox{takes: time.Second, panic: true}
		bus := NewSysbus(l)
		_, errs := together(t, 0, bus.NewRadios(), bus.NewStations(sysbusPseudonym))
		panicked, gaveUp := errs[0].Error(), errs[1].Error()
		if !strings.Contains(panicked, "panic") {
			panicked, gaveUp = gaveUp, panicked
		}
		if !strings.Contains(panicked, "as asked") || !strings.Contains(gaveUp, "given up") {
			t.Errorf("%q and %q; want one panic, and the other told", panicked, gaveUp)
		}
		l.panic, l.reply = false, fixture(t, "livebox7")
		if _, errs := together(t, time.Minute, bus.NewRadios()); errs[0] != nil {
			t.Errorf("the round after: %v", errs[0])
		}
	})
}

func TestTemperaturesAskForNoStations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &livebox{reply: fixture(t, "livebox7"), takes: time.Second}
		bus := NewSysbus(l)
		if _, errs := together(t, 0, bus.NewTemperatures()); errs[0] != nil {
			t.Fatal(errs[0])
		}
		if got := l.mibs.Load(); got != "base wlanradio" || l.asked.Load() != 1 {
			t.Errorf("asked %d times, for %q; want the radios alone", l.asked.Load(), got)
		}
		// A reply asked for another instant is not taken.
		go func() { _, _ = bus.ask(t.Context(), time.Minute) }()
		synctest.Wait()
		if _, errs := together(t, 2*time.Minute, bus.NewTemperatures()); errs[0] != nil || l.asked.Load() != 3 {
			t.Errorf("%d calls, %v; want one of its own", l.asked.Load(), errs[0])
		}
	})
}

func TestRoundOfTemperaturesEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := &livebox{}
	var b sample.Batch
	if err := NewSysbus(l).NewTemperatures().Collect(ctx, &b); !errors.Is(err, context.Canceled) || l.asked.Load() != 0 {
		t.Errorf("%v after %d calls; want context.Canceled and none", err, l.asked.Load())
	}
}

func TestSysbusDescriptionsAgreeWithTheCatalogue(t *testing.T) {
	l := &livebox{reply: fixture(t, "livebox7")}
	for i, s := range sysbusSources(l) {
		d := s.Describe()
		given := map[catalogue.ID]bool{}
		for _, r := range must(t, s) {
			for id := range r {
				given[id] = true
			}
		}
		for _, id := range d.Metrics {
			if m, ok := catalogue.Lookup(id); !ok || m.Purpose != d.Purpose {
				t.Errorf("%s: metric %d is of %v; the source of %v", d.Name, id, m.Purpose, d.Purpose)
			}
			if !given[id] {
				t.Errorf("%s announces metric %d, which a Livebox 7 that tells all does not give", d.Name, id)
			}
		}
		dec := Decoders()[i]
		if diff := cmp.Diff(d.Metrics, dec.Metrics); diff != "" || !strings.HasPrefix(dec.Name, d.Name+".") {
			t.Errorf("decoder %s of source %s: %s", dec.Name, d.Name, diff)
		}
		if d.Timeout >= d.Interval {
			t.Errorf("%s: a round takes up to %v of %v", d.Name, d.Timeout, d.Interval)
		}
	}
	if _, err := collector.NewSet(collector.Options{Now: func() time.Duration { return 0 }}, sysbusSources(l)...); err != nil {
		t.Error(err)
	}
}

func TestNothingOfASysbusStationButItsPseudonymLeaves(t *testing.T) {
	for _, name := range []string{"livebox7", "liveboxS"} {
		l := &livebox{reply: fixture(t, name)}
		for _, s := range sysbusSources(l) {
			got, err := collect(t, s, 0)
			if err != nil && !errors.Is(err, collector.ErrNoData) {
				t.Fatal(err)
			}
			for instance := range got {
				if strings.Contains(instance, "02:00") || strings.Contains(strings.ToLower(instance), "livebox-home") {
					t.Errorf("%s: instance %q", s.Describe().Name, instance)
				}
			}
		}
		// A key that is an address is in no error either.
		broken := strings.ReplaceAll(l.reply, `"Noise": -8`, `"Noise": "02:00:00:00:00:05 -8`)
		for _, text := range []string{broken, strings.ReplaceAll(l.reply, `"SignalStrength": -`, `"SignalStrength": [], "x": -`)} {
			l.reply = text
			for _, s := range sysbusSources(l) {
				if _, err := collect(t, s, 0); err != nil && strings.Contains(err.Error(), "02:00") {
					t.Errorf("%s: %v", s.Describe().Name, err)
				}
			}
		}
	}
}

// step asks the stations for a reply made of the Livebox 7's by replacing.
func step(t *testing.T, l *livebox, s collector.Source, at time.Duration, oldNew ...string) map[string]map[catalogue.ID]int64 {
	t.Helper()
	reply := fixture(t, "livebox7")
	for i := 0; i < len(oldNew); i += 2 {
		if !strings.Contains(reply, oldNew[i]) {
			t.Fatalf("no %s in the fixture", oldNew[i])
		}
	}
	l.reply = strings.NewReplacer(oldNew...).Replace(reply)
	got, err := collect(t, s, at)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

const retries5 = `"Tx_Retransmissions": 11444578`

func TestSysbusCountersWrapAtThirtyTwoBits(t *testing.T) {
	l := &livebox{}
	s := NewSysbus(l).NewStations(sysbusPseudonym)
	for i, tt := range []struct {
		raw  string
		want int64
	}{
		{"2147483647", 2147483647},
		{"-2147483648", 2147483648}, // signed on its way
		{"-1", 4294967295},
		{"9", 4294967305},
		{"4000000009", 8294967305}, // unsigned on another
		{"8", 8589934600},
	} {
		got := step(t, l, s, time.Duration(i)*time.Minute, retries5, `"Tx_Retransmissions": `+tt.raw)
		if v := got["device-0-5"][catalogue.StationRetries]; v != tt.want {
			t.Errorf("%s gives %d; want %d", tt.raw, v, tt.want)
		}
	}
}

func TestSysbusBytesMayHaveSixtyFourBits(t *testing.T) {
	l := &livebox{}
	s := NewSysbus(l).NewStations(sysbusPseudonym)
	step(t, l, s, 0)
	got := step(t, l, s, time.Minute, `"TxBytes": 164497965261`, `"TxBytes": 164497965300`)
	if v := got["device-0-5"][catalogue.StationBytesSent]; v != 164497965300 {
		t.Errorf("%d bytes; want no wrap", v)
	}
}

func TestNewAssociationOnALiveboxIsNoStepBack(t *testing.T) {
	const when = `"AssociationTime": "2024-12-02T12:29:37.664460Z"`
	for _, tt := range []struct {
		name, raw, when string
		want            int64
	}{
		{"counted on", "11444600", "2024-12-02T12:29:37.664460Z", 11444600},
		{"time corrected", "11444600", "2024-12-02T12:29:44.000001Z", 11444600},
		{"associated anew", "22", "2024-12-15T08:00:00.1Z", 11444600},
		{"anew, and passed the old value", "11444579", "2024-12-15T08:00:00.1Z", 22889157},
		{"time not told", "22", "0001-01-01T00:00:00Z", 11444600},
	} {
		l := &livebox{}
		s := NewSysbus(l).NewStations(sysbusPseudonym)
		step(t, l, s, 0)
		got := step(t, l, s, time.Minute, retries5, `"Tx_Retransmissions": `+tt.raw, when, `"AssociationTime": "`+tt.when+`"`)
		if v := got["device-0-5"][catalogue.StationRetries]; v != tt.want {
			t.Errorf("%s: %d; want %d", tt.name, v, tt.want)
		}
	}
	// A clock that is corrected a little in every round does not add up to a
	// new association.
	l := &livebox{}
	s := NewSysbus(l).NewStations(sysbusPseudonym)
	step(t, l, s, 0)
	got := step(t, l, s, time.Minute, when, `"AssociationTime": "2024-12-02T12:29:47Z"`)
	if v := got["device-0-5"][catalogue.StationRetries]; v != 11444578 {
		t.Errorf("%d after a correction; want 11444578", v)
	}
}

func TestStationThatTwoAccessPointsListIsTheOneHeardLast(t *testing.T) {
	l := &livebox{}
	s := NewSysbus(l).NewStations(sysbusPseudonym)
	got := step(t, l, s, 0, `"AssociatedDevice": {}
   },
   "vap5g0priv1"`, `"AssociatedDevice": {"1": {"MACAddress": "02:00:00:00:00:05", "Active": true, "SignalStrength": -80, "Inactive": 9}}
   },
   "vap5g0priv1"`)
	if v := got["device-0-5"][catalogue.StationSignal]; v != -65 || len(got) != 2 {
		t.Errorf("%d stations, one with %d dBm; want two and -65", len(got), v)
	}
}

func TestStationThatMovesOnALiveboxCountsAnew(t *testing.T) {
	at := func(vap string, others string) string {
		return `{"status":{"wlanvap":{` + others + `"` + vap + `":{"AssociatedDevice":{"1":{"MACAddress":"02:00:00:00:00:05","Active":true,"Tx_Retransmissions":100}}}}}}`
	}
	l := &livebox{}
	s := NewSysbus(l).NewStations(sysbusPseudonym)
	for i, tt := range []struct {
		reply string
		want  int64
	}{
		{at("vap2g0priv0", ""), 100},
		// Another access point comes up before it in the table.
		{at("vap2g0priv0", `"vap2g0guest0":{"AssociatedDevice":{}},`), 100},
		{at("vap5g0priv0", ""), 200},
	} {
		l.reply = tt.reply
		got, err := collect(t, s, time.Duration(i)*time.Minute)
		if v := got["device-0-5"][catalogue.StationRetries]; err != nil || v != tt.want {
			t.Errorf("round %d: %d, %v; want %d", i, v, err, tt.want)
		}
	}
}

func TestStationWithoutAddressIsCounted(t *testing.T) {
	l := &livebox{reply: strings.ReplaceAll(fixture(t, "liveboxS"), `"MACAddress": "02:00:00:00:01:19"`, `"MACAddress": "hidden"`)}
	got, err := collect(t, NewSysbus(l).NewStations(sysbusPseudonym), 0)
	if v, ok := errors.AsType[*tree.ValueError](err); !ok || v.Count != 1 || v.First != "MACAddress" || len(got) != 3 {
		t.Errorf("%d stations, %v; want the three others and the address counted", len(got), err)
	}
}

func TestStationsOfALiveboxAreBounded(t *testing.T) {
	var entries []string
	for n := range 100 {
		entries = append(entries, fmt.Sprintf(`"%d":{"MACAddress":"02:00:00:00:02:%02x","Active":true,"SignalStrength":-60}`, n, n))
	}
	vap := `{"VAPStatus":"Up","AssociatedDevice":{` + strings.Join(entries, ",") + `}}`
	other := strings.ReplaceAll(vap, "02:00:00:00:02", "02:00:00:00:03")
	l := &livebox{reply: `{"status":{"wlanradio":{},"wlanvap":{"a":` + vap + `,"b":` + other + `}}}`}
	got, err := collect(t, NewSysbus(l).NewStations(sysbusPseudonym), 0)
	if len(got) != maxStations || err == nil || !strings.Contains(err.Error(), "72 stations beyond 128") {
		t.Errorf("%d stations, %v; want %d and an error for the others", len(got), err, maxStations)
	}
}
