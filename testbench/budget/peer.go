package budget

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// maxShare is the budget of processor time as a share of collectd's.
const maxShare = 0.5

// plugins lists collectd's plugins that read what each source of the agent
// reads; it has none for the radios.
func plugins() map[string][]string {
	return map[string][]string{
		"system":  {"uptime", "df"},
		"load":    {"cpu", "load", "memory"},
		"sensors": {"thermal"},
		"traffic": {"interface"},
	}
}

// collectdConfig is collectd on the agent's readings, each as often as the
// agent reads it, and delivering them: MQTT with QoS 1, without TLS, which the
// agent has on top.
func collectdConfig(dir string, port int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Hostname \"budget\"\nBaseDir %q\nPIDFile %q\nInterval %g\n", dir, filepath.Join(dir, "pid"), round.Seconds())
	every := hasty(here())
	for source, names := range plugins() {
		for _, name := range names {
			fmt.Fprintf(&b, "<LoadPlugin %s>\n\tInterval %g\n</LoadPlugin>\n", name, every[source].Seconds())
		}
	}
	fmt.Fprintf(&b, "LoadPlugin mqtt\n<Plugin mqtt>\n\t<Publish \"budget\">\n\t\tHost \"127.0.0.1\"\n\t\tPort %d\n"+
		"\t\tClientId \"collectd\"\n\t\tQoS 1\n\t</Publish>\n</Plugin>\n", port)
	return b.String()
}

// A sink is a broker that takes what anyone publishes and counts it.
type sink struct {
	mochi.HookBase
	server *mochi.Server
	port   int
	once   sync.Once
	first  chan struct{} // closed by the first message
	taken  atomic.Uint64
}

func startSink() (*sink, error) {
	s := &sink{
		server: mochi.New(&mochi.Options{Logger: slog.New(slog.DiscardHandler)}),
		first:  make(chan struct{}),
	}
	tcp := listeners.NewTCP(listeners.Config{ID: "sink", Address: "127.0.0.1:0"})
	if err := errors.Join(s.server.AddHook(s, nil), s.server.AddListener(tcp), s.server.Serve()); err != nil {
		return nil, fmt.Errorf("start a broker for collectd: %w", err)
	}
	_, port, err := net.SplitHostPort(tcp.Address())
	if err == nil {
		s.port, err = strconv.Atoi(port)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start a broker for collectd: %w", err), s.server.Close())
	}
	return s, nil
}

// ID names the hook.
func (s *sink) ID() string { return "sink" }

// Provides says which of the hook's calls are wanted.
func (s *sink) Provides(b byte) bool {
	return b == mochi.OnConnectAuthenticate || b == mochi.OnACLCheck || b == mochi.OnPublished
}

// OnConnectAuthenticate lets everyone in.
func (s *sink) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }

// OnACLCheck lets everything through.
func (s *sink) OnACLCheck(*mochi.Client, string, bool) bool { return true }

// OnPublished counts a message.
func (s *sink) OnPublished(*mochi.Client, packets.Packet) {
	s.taken.Add(1)
	s.once.Do(func() { close(s.first) })
}

// collectd returns the processor time per round of Debian's collectd, watched
// for span beside the agent; an empty reason says that it was measured.
func collectd(ctx context.Context, dir string, span time.Duration) (perRound time.Duration, reason string, err error) {
	path, err := exec.LookPath("collectd")
	if err != nil {
		return 0, "collectd is not installed (Debian: collectd-core)", nil
	}
	dir = filepath.Join(dir, "collectd")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, "", fmt.Errorf("run collectd: %w", err)
	}
	to, err := startSink()
	if err != nil {
		return 0, "", err
	}
	defer to.server.Close()
	file := filepath.Join(dir, "collectd.conf")
	text := collectdConfig(dir, to.port)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return 0, "", fmt.Errorf("run collectd: %w", err)
	}
	var log bytes.Buffer
	cmd := exec.CommandContext(ctx, path, "-f", "-C", file)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		return 0, "", fmt.Errorf("run collectd: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cmd.Wait() //nolint:errcheck // a wrong end shows below
	}()
	defer func() {
		cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may have ended
		<-ended
	}()
	// The first message says that it samples and delivers.
	timeout := time.NewTimer(30 * time.Second)
	defer timeout.Stop()
	select {
	case <-to.first:
	case <-ended:
		return 0, "collectd ended: " + tail(log.String(), 3), nil
	case <-timeout.C:
		return 0, "collectd delivers nothing here (its mqtt plugin needs Debian's libmosquitto1): " + tail(log.String(), 3), nil
	}
	before, err := processorTime(cmd.Process.Pid)
	if err != nil {
		return 0, "", err
	}
	start := time.Now()
	if _, err := observe(ctx, cmd.Process.Pid, span, ended); err != nil {
		return 0, "", fmt.Errorf("watch collectd: %w\n%s", err, tail(log.String(), 5))
	}
	after, err := processorTime(cmd.Process.Pid)
	if err != nil {
		return 0, "", err
	}
	rounds := time.Since(start).Seconds() / round.Seconds()
	return time.Duration(float64(after-before) / rounds), "", nil
}
