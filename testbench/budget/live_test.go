package budget

import (
	"io"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"livebox-agent/testbench/box"
)

// TestRelaySeesWhatCrossesTheLine sends through a relay and counts along.
func TestRelaySeesWhatCrossesTheLine(t *testing.T) {
	echo, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c) //nolint:errcheck // the test sees what comes back
			}()
		}
	}()
	r, err := startRelay(t.Context(), echo.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()

	const size = 100_000
	for i := range 2 {
		c, err := net.Dial("tcp4", r.addr())
		if err != nil {
			t.Fatal(err)
		}
		go c.Write(make([]byte, size)) //nolint:errcheck // the test sees what comes back
		if _, err := io.ReadFull(c, make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		got, err := r.total()
		if err != nil {
			t.Fatal(err)
		}
		want := uint64(2 * size * (i + 1))
		// The end of a connection is a byte of its own on TCP's count.
		if got.bytes < want || got.bytes > want+2*uint64(i) {
			t.Errorf("after %d connections %d bytes, want %d", i+1, got.bytes, want)
		}
		if least := want / segmentPayload; got.segments < least || got.segments > 4*least {
			t.Errorf("%d segments for %d bytes: not of the size that Ethernet has", got.segments, got.bytes)
		}
		c.Close()
	}
}

func TestRelayEndsWithOpenConnections(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r, err := startRelay(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp4", r.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	r.close()
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection lives on")
	}
}

func TestTrafficOnTheLine(t *testing.T) {
	u := usage{reports: 10, payload: 1000, traffic: traffic{bytes: 2000, segments: 50}}
	if got, want := u.perReport(), (2000.0+50*52-1000)/10; got != want {
		t.Errorf("perReport = %v, want %v", got, want)
	}
}

func TestParseMemory(t *testing.T) {
	m, err := parseMemory("x", "5580-7ffd ---p 00000000 00:00 0 [rollup]\nRss:   884 kB\nPss: 385 kB\nAnonymous:  92 kB\n")
	if err != nil || m != (memory{884 << 10, 92 << 10}) {
		t.Errorf("%+v, %v", m, err)
	}
	for _, bad := range []string{"", "\nRss: 1 kB\n", "\nRss: x kB\nAnonymous: 1 kB\n", "\nRss: 1 MB\nAnonymous: 1 kB\n"} {
		if m, err := parseMemory("x", bad); err == nil {
			t.Errorf("%q: %+v", bad, m)
		}
	}
}

func TestThisProcessIsMeasured(t *testing.T) {
	m, err := memoryOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if m.anonymous <= 0 || m.resident < m.anonymous {
		t.Errorf("%+v", m)
	}
	before, err := processorTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); time.Since(start) < 20*time.Millisecond; {
		continue // time passes, busily
	}
	after, err := processorTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if after <= before {
		t.Errorf("%v then %v", before, after)
	}
	if _, err := processorTime(1 << 30); err == nil {
		t.Error("a process that is not there has run")
	}
	if _, err := memoryOf(1 << 30); err == nil {
		t.Error("a process that is not there holds memory")
	}
}

func TestObserveSeesAnEndedProcess(t *testing.T) {
	ended := make(chan struct{})
	close(ended)
	if _, err := observe(t.Context(), os.Getpid(), time.Hour, ended); err == nil {
		t.Error("no error")
	}
	m, err := observe(t.Context(), os.Getpid(), 0, make(chan struct{}))
	if err != nil || m.resident == 0 {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestShareOfCollectd(t *testing.T) {
	u := usage{span: 10 * time.Second, processor: 10 * time.Millisecond}
	if r := share(u, 4*time.Millisecond, "")[0]; r.State != Within || r.Value != 0.25 {
		t.Errorf("1 ms of 4: %+v", r)
	}
	if r := share(u, time.Millisecond, "")[0]; r.State != Missed {
		t.Errorf("1 ms of 1: %+v", r)
	}
	if r := share(u, 0, "not installed")[0]; r.State != NotMeasured || r.How != "not installed" {
		t.Errorf("no collectd: %+v", r)
	}
}

// TestEveryPluginStandsForASource keeps the comparison in step with the agent.
func TestEveryPluginStandsForASource(t *testing.T) {
	every := hasty(here())
	for source := range plugins() {
		if every[source] <= 0 {
			t.Errorf("collectd is asked for %q, which is no source of the agent", source)
		}
	}
	text := collectdConfig("/nowhere", 25826)
	for _, want := range []string{"<LoadPlugin cpu>\n\tInterval 6\n", "<LoadPlugin interface>\n\tInterval 1\n", "Port 25826\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestSourcesKeepTheirProportions(t *testing.T) {
	keys := intervals(here())
	for key, want := range map[string]string{"load": `"6s"`, "traffic": `"1s"`} {
		if got := keys["sampling.intervals."+key]; got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
}

// What a Livebox takes its time for it is asked seldom, also in haste.
func TestProportionsAreThoseOfTheBox(t *testing.T) {
	home, err := box.New(box.Config{Model: homeModel, Stations: homeStations, Password: homePassword})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(home.Handler())
	defer srv.Close()
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(homePassword), 0o600); err != nil {
		t.Fatal(err)
	}
	sources, err := sourcesAt(t.Context(), srv.URL, password)
	if err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string]time.Duration{"stations": 6 * time.Second, "radios": 6 * time.Second, "traffic": time.Second} {
		if got := hasty(sources)[source]; got != want {
			t.Errorf("%s each %v; want %v", source, got, want)
		}
	}
}
