package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/probe/stamp"
	"livebox-agent/collector/probe/stamptest"
	"livebox-agent/collector/sample"
)

const ms = time.Millisecond

// home is where the reflector of the tests in memory is.
func home() net.Addr { return &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 862} }

func config() Config {
	c := DefaultConfig()
	c.Reflector = "192.0.2.1:862"
	return c
}

// A lab is the network of a source in memory.
type lab struct {
	reflector *stamptest.Reflector
	// answer, if there is one, stands for the reflector.
	answer func(b []byte) []stamptest.Delivery
	// echo answers the echo requests; nil says that they are not permitted.
	echo func(b []byte) []stamptest.Delivery
	// err is that of dialling.
	err error
	// writeErr, if there is one, decides what becomes of the n-th write.
	writeErr func(n int) error

	dials  []kind
	writes int
}

// source returns a source in the lab.
func (l *lab) source(tb testing.TB, c Config, o Options) *Source {
	tb.Helper()
	s, err := New(c, o)
	if err != nil {
		tb.Fatal(err)
	}
	s.dial = func(_ context.Context, k kind, _ Config, id uint16) (Conn, method, error) {
		l.dials = append(l.dials, k)
		if l.err != nil {
			return nil, nil, l.err
		}
		if k == kindEcho {
			if l.echo == nil {
				return nil, nil, errNoEcho
			}
			return l.count(stamptest.NewConn(home(), l.echo)), echoMethod{id: id}, nil
		}
		answer := l.answer
		if answer == nil {
			answer = l.reflector.Answer
		}
		return l.count(stamptest.NewConn(home(), answer)), stampMethod{}, nil
	}
	return s
}

// A counted socket counts its writes in the lab.
type counted struct {
	*stamptest.Conn
	l *lab
}

func (l *lab) count(c *stamptest.Conn) Conn { return counted{c, l} }

func (c counted) Write(b []byte) (int, error) {
	c.l.writes++
	if c.l.writeErr != nil {
		if err := c.l.writeErr(c.l.writes); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(b)
}

type readings = map[string]map[catalogue.ID]int64

// collect asks the source once, at the time at.
func collect(t *testing.T, s *Source, at time.Duration) (readings, error) {
	t.Helper()
	var b sample.Batch
	b.Reset(at)
	ctx, cancel := context.WithTimeout(t.Context(), s.Describe().Timeout)
	defer cancel()
	err := s.Collect(ctx, &b)
	got := readings{}
	for _, r := range b.Readings {
		if got[r.Instance] == nil {
			got[r.Instance] = map[catalogue.ID]int64{}
		}
		got[r.Instance][r.Metric] = r.Value
	}
	return got, err
}

// newLab returns a lab with a reflector at the end of the path.
func newLab(path stamptest.Path) *lab { return &lab{reflector: stamptest.New(path)} }

// after is the path on which every answer takes d.
func after(d time.Duration) stamptest.Path {
	return func(uint32) []time.Duration { return []time.Duration{d} }
}

// by is the path on which the n-th packet's answers take what the n-th entry
// says, and those after the last one 10 ms.
func by(entries ...[]time.Duration) stamptest.Path {
	return func(sequence uint32) []time.Duration {
		if int(sequence) < len(entries) {
			return entries[sequence]
		}
		return []time.Duration{10 * ms}
	}
}

func lost(uint32) []time.Duration { return nil }

func TestRounds(t *testing.T) {
	one := func(d time.Duration) []time.Duration { return []time.Duration{d} }
	for _, tt := range []struct {
		name               string
		path               stamptest.Path
		processing         time.Duration
		received           int64
		mean, least, delta int64 // µs; delta is the jitter, -1 for none
		took               time.Duration
	}{
		{name: "steady", path: after(10 * ms), received: 10, mean: 10_000, least: 10_000, took: 910 * ms},
		{name: "at once", path: stamptest.Direct, received: 10, took: 900 * ms},
		{name: "one slow", path: by(one(30 * ms)), received: 10, mean: 12_000, least: 10_000, delta: 2222, took: 910 * ms},
		{name: "in turns", path: func(n uint32) []time.Duration { return one(time.Duration(10+5*(n%2)) * ms) }, received: 10, mean: 12_500, least: 10_000, delta: 5000, took: 915 * ms},
		{name: "processing left out", path: after(10 * ms), processing: 40 * ms, received: 10, mean: 10_000, least: 10_000, took: 950 * ms},
		{name: "some lost", path: by(nil, one(10*ms), nil), received: 8, mean: 10_000, least: 10_000, took: 2900 * ms},
		{name: "alternate lost", path: func(n uint32) []time.Duration { return one(10 * ms)[n%2:] }, received: 5, mean: 10_000, least: 10_000, delta: -1, took: 2900 * ms},
		{name: "all lost", path: lost, delta: -1, took: 2900 * ms},
		{name: "doubled", path: func(uint32) []time.Duration { return []time.Duration{10 * ms, 10 * ms, 50 * ms} }, received: 10, mean: 10_000, least: 10_000, took: 910 * ms},
		{name: "reordered", path: by(one(250*ms), one(150*ms), one(50*ms)), received: 10, mean: 52_000, least: 10_000, delta: 26_667, took: 910 * ms},
		{name: "in reverse", path: func(n uint32) []time.Duration { return one(time.Duration(1000-100*n) * ms) }, received: 10, mean: 550_000, least: 100_000, delta: 100_000, took: time.Second},
		{name: "in time", path: after(1999 * ms), received: 10, mean: 1_999_000, least: 1_999_000, took: 2899 * ms},
		{name: "too late", path: after(2001 * ms), delta: -1, took: 2900 * ms},
		{name: "first too late for itself", path: by(one(2500 * ms)), received: 9, mean: 10_000, least: 10_000, took: 2900 * ms},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(tt.path)
				l.reflector.Processing = tt.processing
				start := time.Now()
				got, err := collect(t, l.source(t, config(), Options{}), 0)
				took := time.Since(start)
				want := map[catalogue.ID]int64{catalogue.ProbeSent: 10, catalogue.ProbeReceived: tt.received, catalogue.ProbeSkipped: 0}
				if tt.received > 0 {
					want[catalogue.ProbeRTT], want[catalogue.ProbeRTTMin] = tt.mean, tt.least
				}
				if tt.delta >= 0 {
					want[catalogue.ProbeJitter] = tt.delta
				}
				if diff := cmp.Diff(readings{"stamp": want}, got); diff != "" || err != nil {
					t.Errorf("%v\n%s", err, diff)
				}
				if took != tt.took {
					t.Errorf("took %v; want %v", took, tt.took)
				}
			})
		})
	}
}

func TestReflectorsClockDoesNotMatter(t *testing.T) {
	for _, ptp := range []bool{false, true} {
		for _, ahead := range []time.Duration{0, -20 * 365 * 24 * time.Hour, 14 * 365 * 24 * time.Hour} {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(after(10 * ms))
				l.reflector.PTP, l.reflector.Clock, l.reflector.Processing = ptp, ahead, 7*ms
				got, err := collect(t, l.source(t, config(), Options{}), 0)
				if v := got["stamp"][catalogue.ProbeRTT]; v != 10_000 || err != nil {
					t.Errorf("ahead %v, PTP %t: %d µs, %v; want 10000", ahead, ptp, v, err)
				}
			})
		}
	}
}

// spoil returns a reflector whose answers f changes, or leaves out (nil).
func spoil(l *lab, f func(sequence uint32, r stamp.Reply, d stamptest.Delivery) []stamptest.Delivery) {
	l.answer = func(b []byte) []stamptest.Delivery {
		request, err := stamp.ParseRequest(b)
		if err != nil {
			panic(err)
		}
		var answers []stamptest.Delivery
		for _, d := range l.reflector.Answer(b) {
			r, err := stamp.ParseReply(d.Data)
			if err != nil {
				panic(err)
			}
			answers = append(answers, f(request.Sequence, r, d)...)
		}
		return answers
	}
}

func TestForgedAnswersDoNotCount(t *testing.T) {
	with := func(d stamptest.Delivery, r stamp.Reply) stamptest.Delivery {
		d.Data = r.Append(nil, 0)
		return d
	}
	for name, forge := range map[string]func(r stamp.Reply, d stamptest.Delivery) stamptest.Delivery{
		"from another host": func(_ stamp.Reply, d stamptest.Delivery) stamptest.Delivery {
			d.From = &net.UDPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 862}
			return d
		},
		"from another port": func(_ stamp.Reply, d stamptest.Delivery) stamptest.Delivery {
			d.From = &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 863}
			return d
		},
		"from nowhere": func(_ stamp.Reply, d stamptest.Delivery) stamptest.Delivery {
			d.From = &net.UnixAddr{}
			return d
		},
		"timestamp guessed": func(r stamp.Reply, d stamptest.Delivery) stamptest.Delivery {
			r.SenderTimestamp ^= 1
			return with(d, r)
		},
		"of a packet not sent yet": func(r stamp.Reply, d stamptest.Delivery) stamptest.Delivery {
			r.SenderSequence++
			return with(d, r)
		},
		"of a packet never sent": func(r stamp.Reply, d stamptest.Delivery) stamptest.Delivery {
			r.SenderSequence += 1 << 16
			return with(d, r)
		},
		"cut short": func(_ stamp.Reply, d stamptest.Delivery) stamptest.Delivery {
			d.Data = d.Data[:40]
			return d
		},
		"empty": func(_ stamp.Reply, d stamptest.Delivery) stamptest.Delivery {
			d.Data = nil
			return d
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(after(10 * ms))
				// Before each true answer comes a forged one, but for the
				// last packet, whose true one is lost.
				spoil(l, func(sequence uint32, r stamp.Reply, d stamptest.Delivery) []stamptest.Delivery {
					forged := forge(r, d)
					forged.After = 5 * ms
					if sequence == 9 {
						return []stamptest.Delivery{forged}
					}
					return []stamptest.Delivery{forged, d}
				})
				got, err := collect(t, l.source(t, config(), Options{}), 0)
				v := got["stamp"]
				if err != nil || v[catalogue.ProbeReceived] != 9 || v[catalogue.ProbeRTTMin] != 10_000 {
					t.Errorf("%v, %v; want 9 answers after 10 ms", v, err)
				}
			})
		})
	}
}

func TestAnswersToAnEarlierRoundDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(stamptest.Direct)
		var kept []stamptest.Delivery
		replay := false
		spoil(l, func(sequence uint32, _ stamp.Reply, d stamptest.Delivery) []stamptest.Delivery {
			if replay {
				return []stamptest.Delivery{kept[sequence]}
			}
			kept = append(kept, d)
			return []stamptest.Delivery{d}
		})
		s := l.source(t, config(), Options{})
		if got, err := collect(t, s, 0); err != nil || got["stamp"][catalogue.ProbeReceived] != 10 {
			t.Fatalf("%v, %v", got, err)
		}
		replay = true
		if got, err := collect(t, s, time.Minute); err != nil || got["stamp"][catalogue.ProbeReceived] != 10 || got["stamp"][catalogue.ProbeSent] != 20 {
			t.Errorf("%v, %v; want no more than the 10 of the first round", got, err)
		}
	})
}

func TestImpossibleTurnaroundIsNotLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(after(10 * ms))
		spoil(l, func(_ uint32, r stamp.Reply, d stamptest.Delivery) []stamptest.Delivery {
			r.Received = r.Timestamp - 1<<32 // a second, of the 10 ms
			d.Data = r.Append(nil, 0)
			return []stamptest.Delivery{d}
		})
		got, err := collect(t, l.source(t, config(), Options{}), 0)
		if v := got["stamp"][catalogue.ProbeRTT]; v != 10_000 || err != nil {
			t.Errorf("%d µs, %v; want 10000", v, err)
		}
	})
}

func TestFloodEndsTheRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(lost)
		l.answer = func([]byte) []stamptest.Delivery {
			flood := make([]stamptest.Delivery, 200)
			for i := range flood {
				flood[i] = stamptest.Delivery{Data: []byte("forged")}
			}
			return flood
		}
		start := time.Now()
		got, err := collect(t, l.source(t, config(), Options{}), 0)
		if err == nil || !strings.Contains(err.Error(), "no answers") || len(got) != 0 || time.Since(start) > time.Second {
			t.Errorf("%v, %v after %v; want an error and no readings, soon", got, err, time.Since(start))
		}
	})
}

func TestNothingIsSentUnlessConfigured(t *testing.T) {
	l := newLab(stamptest.Direct)
	s := l.source(t, DefaultConfig(), Options{Load: func(context.Context, time.Duration) (down, up int64, err error) {
		t.Error("the line was looked at")
		return 0, 0, nil
	}})
	got, err := collect(t, s, 0)
	if !errors.Is(err, collector.ErrNoData) || len(got) != 0 || len(l.dials) != 0 {
		t.Errorf("%v, %v, %d sockets; want ErrNoData and nothing", got, err, len(l.dials))
	}
}

func TestNoDaySeesMorePacketsThanConfigured(t *testing.T) {
	for _, perDay := range []int{10, 100, 999, 5000} {
		b := budget{limit: perDay}
		type sending struct {
			at time.Duration
			n  int
		}
		var sent []sending
		for at := 17 * time.Minute; at < 5*24*time.Hour; at += time.Minute {
			if b.take(at, 10) {
				sent = append(sent, sending{at, 10})
			}
		}
		most, last := 0, 0
		for i := range sent {
			sum := 0
			for _, s := range sent[i:] {
				if s.at >= sent[i].at+24*time.Hour {
					break
				}
				sum += s.n
			}
			most = max(most, sum)
			last = i
		}
		if most > perDay || most < perDay-9 {
			t.Errorf("%d packets in some 24 hours; want at most %d, and all of them", most, perDay)
		}
		if sent[last].at < 4*24*time.Hour {
			t.Errorf("nothing sent after %v: the days' packets do not come back", sent[last].at)
		}
	}
}

func TestUsedUpBudgetSkipsRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(stamptest.Direct)
		c := config()
		c.PacketsPerDay = 25
		s := l.source(t, c, Options{})
		for i, want := range []int64{0, 0, 1, 2} {
			got, err := collect(t, s, time.Duration(i)*time.Minute)
			if v := got["stamp"]; err != nil || v[catalogue.ProbeSkipped] != want || v[catalogue.ProbeSent] != int64(10*min(i+1, 2)) {
				t.Errorf("round %d: %v, %v", i, v, err)
			}
		}
		if l.writes != 20 {
			t.Errorf("%d packets; want 20", l.writes)
		}
		if got, err := collect(t, s, 25*time.Hour); err != nil || got["stamp"][catalogue.ProbeSent] != 30 {
			t.Errorf("the day after: %v, %v; want a round", got, err)
		}
	})
}

// echo answers echo requests over IPv4.
func echo(b []byte) []stamptest.Delivery {
	reply := append([]byte(nil), b...)
	reply[0] = echoReply4
	return []stamptest.Delivery{{After: 20 * ms, Data: reply}}
}

func TestHostIsAskedByEchoWhileItsReflectorIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(lost)
		l.echo = echo
		s := l.source(t, config(), Options{})
		at := time.Duration(0)
		step := func() readings {
			got, err := collect(t, s, at)
			if err != nil || len(got) != 1 {
				t.Fatalf("%v, %v", got, err)
			}
			at += time.Minute
			return got
		}
		for range silence {
			step()
		}
		for range echoes {
			if got := step(); got["icmp"][catalogue.ProbeRTT] != 20_000 || got["icmp"][catalogue.ProbeReceived] != got["icmp"][catalogue.ProbeSent] {
				t.Fatalf("%v; want answers after 20 ms", got)
			}
		}
		// Then the reflector is tried once more.
		if got := step(); got["stamp"][catalogue.ProbeSent] != 10*(silence+1) || got["stamp"][catalogue.ProbeReceived] != 0 {
			t.Errorf("%v; want a round without an answer", got)
		}
		if got := step(); got["icmp"] == nil {
			t.Errorf("%v; want an echo again at once", got)
		}
		for range echoes - 1 {
			step()
		}
		l.reflector.SetPath(stamptest.Direct)
		for range 5 {
			if got := step(); got["stamp"] == nil {
				t.Errorf("%v; want the reflector, which answers again", got)
			}
		}
	})
}

func TestLineThatIsDownIsNoFaultOfTheReflector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(lost)
		l.echo = func([]byte) []stamptest.Delivery { return nil }
		s := l.source(t, config(), Options{})
		for i := range 2 * (silence + 1) {
			if _, err := collect(t, s, time.Duration(i)*time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		want := []kind{kindSTAMP, kindSTAMP, kindSTAMP, kindEcho, kindSTAMP, kindSTAMP, kindSTAMP, kindEcho}
		if diff := cmp.Diff(want, l.dials); diff != "" {
			t.Error(diff)
		}
	})
}

func TestNoEchoWhereItIsNotWantedOrPermitted(t *testing.T) {
	for _, wanted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(lost)
			c := config()
			c.ICMPFallback = wanted
			s := l.source(t, c, Options{})
			for i := range 2 * silence {
				got, err := collect(t, s, time.Duration(i)*time.Minute)
				if err != nil || got["stamp"][catalogue.ProbeSent] != int64(10*(i+1)) {
					t.Fatalf("round %d: %v, %v", i, got, err)
				}
			}
			echoed := 0
			for _, k := range l.dials {
				if k == kindEcho {
					echoed++
				}
			}
			if want := map[bool]int{true: 1}[wanted]; echoed != want {
				t.Errorf("wanted %t: %d attempts; want %d", wanted, echoed, want)
			}
		})
	}
}

func TestPacketsThatCannotBeSentAreNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(stamptest.Direct)
		l.writeErr = func(n int) error {
			if n%2 == 1 {
				return unix.ENOBUFS
			}
			return nil
		}
		s := l.source(t, config(), Options{})
		got, err := collect(t, s, 0)
		if v := got["stamp"]; err != nil || v[catalogue.ProbeSent] != 5 || v[catalogue.ProbeReceived] != 5 {
			t.Errorf("%v, %v; want 5 of 5", v, err)
		}
		l.writeErr = func(int) error { return unix.ENETUNREACH }
		got, err = collect(t, s, time.Minute)
		if v := got["stamp"]; !errors.Is(err, unix.ENETUNREACH) || v[catalogue.ProbeSent] != 5 || v[catalogue.ProbeReceived] != 5 {
			t.Errorf("%v, %v; want ENETUNREACH and nothing counted", v, err)
		}
	})
}

func TestPendingRefusalDoesNotCostAPacket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(stamptest.Direct)
		l.echo = echo
		l.writeErr = func(n int) error {
			if n == 4 {
				return unix.ECONNREFUSED
			}
			return nil
		}
		s := l.source(t, config(), Options{})
		if got, err := collect(t, s, 0); err != nil || got["stamp"][catalogue.ProbeSent] != 10 || l.writes != 11 {
			t.Errorf("%v, %v after %d writes; want 10 of 11", got, err, l.writes)
		}
		// One that answers otherwise is there.
		if _, err := collect(t, s, time.Minute); err != nil || l.dials[1] != kindSTAMP {
			t.Errorf("%v, %v; want the reflector again", l.dials, err)
		}
	})
}

func TestRoundEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(lost)
		s := l.source(t, config(), Options{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		var b sample.Batch
		if err := s.Collect(ctx, &b); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second || len(b.Readings) != 0 {
			t.Errorf("%d readings, %v after %v; want none and the deadline", len(b.Readings), err, time.Since(start))
		}
	})
}

func TestUnreachableReflectorIsAnError(t *testing.T) {
	l := &lab{err: fmt.Errorf("lookup: %w", unix.EHOSTUNREACH)}
	got, err := collect(t, l.source(t, config(), Options{}), 0)
	if !errors.Is(err, unix.EHOSTUNREACH) || len(got) != 0 {
		t.Errorf("%v, %v; want EHOSTUNREACH", got, err)
	}
}

func TestDescriptionAgreesWithTheCatalogue(t *testing.T) {
	s := (&lab{}).source(t, config(), Options{})
	if _, err := collector.NewSet(collector.Options{Now: func() time.Duration { return 0 }}, s); err != nil {
		t.Error(err)
	}
	if d := s.Describe(); d.Name != "probe" || d.Timeout < lookup+2900*ms || d.Timeout >= d.Interval {
		t.Errorf("%+v", d)
	}
}
