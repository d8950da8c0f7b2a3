package budget

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
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
// agent reads it, over collectd's own protocol, which is its cheapest way out.
func collectdConfig(dir string, port int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Hostname \"budget\"\nBaseDir %q\nPIDFile %q\nInterval %g\n", dir, filepath.Join(dir, "pid"), round.Seconds())
	every := hasty()
	for source, names := range plugins() {
		for _, name := range names {
			fmt.Fprintf(&b, "<LoadPlugin %s>\n\tInterval %g\n</LoadPlugin>\n", name, every[source].Seconds())
		}
	}
	fmt.Fprintf(&b, "LoadPlugin network\n<Plugin network>\n\tServer \"127.0.0.1\" \"%d\"\n</Plugin>\n", port)
	return b.String()
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
	sink, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return 0, "", fmt.Errorf("run collectd: %w", err)
	}
	defer sink.Close()
	file := filepath.Join(dir, "collectd.conf")
	text := collectdConfig(dir, sink.LocalAddr().(*net.UDPAddr).Port)
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
	// The first packet says that it samples.
	if err := sink.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return 0, "", fmt.Errorf("run collectd: %w", err)
	}
	if _, _, err := sink.ReadFrom(make([]byte, 2048)); err != nil {
		return 0, "collectd sends nothing here: " + tail(log.String(), 3), nil
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
