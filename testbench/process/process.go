// Package process runs the real agent as a process of its own, configured for
// a lab.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"livebox-agent/agent"
	"livebox-agent/testbench/build"
	"livebox-agent/testbench/pki"
)

// Config says how the agent is to run.
type Config struct {
	// Binary is the agent's program.
	Binary string
	// Dir is the agent's own: configuration, state and run directory.
	Dir string
	// Broker is the address of the MQTT listener: "tls://host:port".
	Broker string
	// CAFile is what the agent trusts the broker by, Box its certificate.
	CAFile string
	Box    pki.Pair
	// Window is the time of one report, SpillAfter that after which one goes
	// to flash, Every that between two samples of each source; 0 keeps the
	// agent's defaults.
	Window, SpillAfter, Every time.Duration
	// Set adds keys, or replaces those above: "uplink.backoff_max" to `"1s"`,
	// a value as TOML spells it.
	Set map[string]string
	// Begin starts the program, on clocks of its own for instance; nil starts it
	// as it is.
	Begin func(*exec.Cmd) error
	// Log receives what the agent logs; nil discards it.
	Log io.Writer
}

// File returns the name of the configuration file.
func (c Config) File() string { return filepath.Join(c.Dir, "agent.toml") }

// RunDir returns the directory of the control socket.
func (c Config) RunDir() string { return filepath.Join(c.Dir, "run") }

// keys returns the configuration: all purposes granted, and what Config says.
func (c Config) keys() map[string]string {
	keys := map[string]string{
		"box.state_dir":            quote(filepath.Join(c.Dir, "state")),
		"box.run_dir":              quote(c.RunDir()),
		"consent.purposes":         `["essential", "support", "personalised", "mobile", "research"]`,
		"consent.policy_version":   "1",
		"uplink.broker":            quote(c.Broker),
		"uplink.ca_file":           quote(c.CAFile),
		"uplink.cert_file":         quote(c.Box.Cert),
		"uplink.key_file":          quote(c.Box.Key),
		"uplink.power_return_wait": `"0s"`,
	}
	if c.SpillAfter > 0 {
		keys["buffer.spill_after"] = quote(c.SpillAfter)
	}
	if c.Window > 0 {
		keys["sampling.window"] = quote(c.Window)
	}
	if c.Every > 0 {
		for _, name := range agent.SourceNames() {
			keys["sampling.intervals."+name] = quote(c.Every)
		}
	}
	maps.Copy(keys, c.Set)
	return keys
}

// quote writes a value as a string of TOML.
func quote(v any) string { return fmt.Sprintf("%q", fmt.Sprint(v)) }

// Write writes the configuration file.
func (c Config) Write() error {
	tables := make(map[string][]string)
	for key, value := range c.keys() {
		i := strings.LastIndexByte(key, '.')
		tables[key[:i]] = append(tables[key[:i]], key[i+1:]+" = "+value)
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		slices.Sort(tables[name])
		fmt.Fprintf(&b, "[%s]\n%s\n\n", name, strings.Join(tables[name], "\n"))
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(c.File(), []byte(b.String()), 0o600)
}

// A Process is a running agent.
type Process struct {
	cfg  Config
	cmd  *exec.Cmd
	done chan struct{}
	err  error // how it ended; read after done
}

// Start writes the configuration and starts the agent.
func Start(cfg Config) (*Process, error) {
	if err := cfg.Write(); err != nil {
		return nil, fmt.Errorf("write the agent's configuration: %w", err)
	}
	p := &Process{cfg: cfg, done: make(chan struct{})}
	p.cmd = exec.Command(cfg.Binary, "run", "--config", cfg.File())
	p.cmd.Stdout, p.cmd.Stderr = cfg.Log, cfg.Log
	// An interrupt at the terminal is for the lab, which then ends the agent;
	// and the agent must not outlive a lab that was killed.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	begin := cfg.Begin
	if begin == nil {
		begin = (*exec.Cmd).Start
	}
	if err := begin(p.cmd); err != nil {
		return nil, fmt.Errorf("start agent: %w", err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Done is closed when the agent has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// PID returns the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Terminate asks the agent to end and waits for it. An agent that does not end
// within the time given is killed, which is an error.
func (p *Process) Terminate(within time.Duration) error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end agent: %w", err)
	}
	select {
	case <-p.done:
	case <-time.After(within):
		return errors.Join(fmt.Errorf("agent did not end within %v of SIGTERM", within), p.Kill())
	}
	if p.err != nil {
		return fmt.Errorf("agent ended badly: %w", p.err)
	}
	return nil
}

// Kill ends the agent without a word (SIGKILL) and waits for it.
func (p *Process) Kill() error {
	err := p.cmd.Process.Kill()
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	<-p.done
	return err
}

// Err returns how the agent ended, nil for a clean end. It is for after Done.
func (p *Process) Err() error { return p.err }

// Ask asks the agent what it does.
func (p *Process) Ask(ctx context.Context) (agent.Snapshot, error) {
	return agent.Ask(ctx, p.cfg.RunDir())
}

// Build builds the agent of the module that the working directory is in, for
// this machine, into dir, and returns the program's name.
func Build(ctx context.Context, dir string) (string, error) {
	root, err := build.Root()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	out := filepath.Join(dir, "livebox-agent")
	return out, build.Agent(ctx, root, build.Host(), out)
}
