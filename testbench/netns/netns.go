// Package netns makes two network namespaces with a line between them, and has
// the kernel lose, refuse or slow what passes there.
//
// # What is promised
//
//   - What the line loses is lost by the kernel, below TCP, and counted.
//
// It takes root and the programs ip (iproute2) and nft (nftables); Slow takes tc
// and the kernel's tbf, Delay its netem, which many kernels are built without.
package netns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNone says that this machine gives no network namespaces to this process.
var ErrNone = errors.New("no network namespaces")

// ErrNoNetem says that this machine's kernel has no netem.
var ErrNoNetem = errors.New("the kernel has no netem")

// The addresses at the two ends, of the range that RFC 2544 has for tests.
const (
	FarAddress = "198.18.0.1"
	BoxAddress = "198.18.0.2"
	prefix     = "/30"
	device     = "line"
)

// A Line is a pair of namespaces: the box's, and the far one.
type Line struct {
	box, far string // names
}

// New makes the namespaces, named for name and this process.
func New(name string) (*Line, error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("%w: not root", ErrNone)
	}
	l := &Line{box: fmt.Sprintf("lb%d%s-box", os.Getpid(), name), far: fmt.Sprintf("lb%d%s-far", os.Getpid(), name)}
	if _, err := run("", "ip", "netns", "add", l.box); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNone, err)
	}
	for _, c := range []string{
		"ip netns add " + l.far,
		"ip -n " + l.box + " link add " + device + " type veth peer name " + device + " netns " + l.far,
		"ip -n " + l.box + " addr add " + BoxAddress + prefix + " dev " + device,
		"ip -n " + l.far + " addr add " + FarAddress + prefix + " dev " + device,
		"ip -n " + l.box + " link set lo up", "ip -n " + l.box + " link set " + device + " up",
		"ip -n " + l.far + " link set lo up", "ip -n " + l.far + " link set " + device + " up",
	} {
		if _, err := run("", strings.Fields(c)...); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	return l, nil
}

// Close removes both.
func (l *Line) Close() error {
	var errs []error
	for _, ns := range []string{l.box, l.far} {
		if _, err := os.Stat(filepath.Join("/run/netns", ns)); err == nil {
			_, err = run("", "ip", "netns", "del", ns)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// run runs a program and returns what it printed.
func run(input string, args ...string) (string, error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

// within runs f on a thread that is in a namespace.
func within(ns string, f func() error) (err error) {
	runtime.LockOSThread()
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer own.Close()
	other, err := os.Open(filepath.Join("/run/netns", ns))
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer other.Close()
	if err := unix.Setns(int(other.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter %s: %w", ns, err)
	}
	err = f()
	if back := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, fmt.Errorf("leave %s: %w", ns, back)) // the thread stays locked and ends
	}
	runtime.UnlockOSThread()
	return err
}

// Box runs f on a thread in the box's namespace: sockets that it opens and
// processes that it starts are there.
func (l *Line) Box(f func() error) error { return within(l.box, f) }

// Listen listens at the far end.
func (l *Line) Listen(port string) (ln net.Listener, err error) {
	err = within(l.far, func() (err error) {
		ln, err = net.Listen("tcp", net.JoinHostPort(FarAddress, port))
		return err
	})
	return ln, err
}

// Dial connects from the box's end. It has the form of uplink.Options.Dial.
func (l *Line) Dial(ctx context.Context, network, addr string) (c net.Conn, err error) {
	err = l.Box(func() (err error) {
		c, err = (&net.Dialer{KeepAlive: -1, FallbackDelay: -1}).DialContext(ctx, network, addr)
		return err
	})
	return c, err
}

// Lose has the kernel lose so many of a hundred packets, each way.
func (l *Line) Lose(percent int) error {
	if percent >= 100 {
		return l.rule("counter drop")
	}
	return l.rule(fmt.Sprintf("numgen random mod 100 < %d counter drop", percent))
}

// Refuse has the kernel answer TCP with a reset.
func (l *Line) Refuse() error { return l.rule("meta l4proto tcp counter reject with tcp reset") }

// Mend takes the rule away.
func (l *Line) Mend() error { return l.rule("") }

// rule has one rule, and a count of what it leaves, hold each way.
func (l *Line) rule(text string) error {
	chain := func(hook, match string) string {
		rule := ""
		if text != "" {
			rule = match + " " + text + "\n"
		}
		return fmt.Sprintf("chain %s {\ntype filter hook %s priority 0\n%s%s counter accept\n}\n", hook, hook, rule, match)
	}
	_, err := run("table inet line\ndelete table inet line\ntable inet line {\n"+
		chain("input", `iifname "`+device+`"`)+chain("output", `oifname "`+device+`"`)+"}\n",
		"ip", "netns", "exec", l.box, "nft", "-f", "-")
	return err
}

// Passed returns how many packets the rule hit and how many passed, since it
// was set.
func (l *Line) Passed() (hit, passed uint64, err error) {
	out, err := run("", "ip", "netns", "exec", l.box, "nft", "-j", "list", "table", "inet", "line")
	if err != nil {
		return 0, 0, err
	}
	var table struct {
		Nftables []struct {
			Rule struct {
				Expr []map[string]json.RawMessage `json:"expr"`
			} `json:"rule"`
		} `json:"nftables"`
	}
	if err := json.Unmarshal([]byte(out), &table); err != nil {
		return 0, 0, fmt.Errorf("nft: %w", err)
	}
	for _, o := range table.Nftables {
		var packets uint64
		accept := false
		for _, e := range o.Rule.Expr {
			if raw, ok := e["counter"]; ok {
				var c struct{ Packets uint64 }
				if err := json.Unmarshal(raw, &c); err != nil {
					return 0, 0, fmt.Errorf("nft: %w", err)
				}
				packets = c.Packets
			}
			_, ok := e["accept"]
			accept = accept || ok
		}
		if accept {
			passed += packets
		} else {
			hit += packets
		}
	}
	return hit, passed, nil
}

// Slow has the kernel let so many kbit/s pass, each way.
func (l *Line) Slow(kbit int) error {
	return l.queue("tbf", "rate", fmt.Sprintf("%dkbit", kbit), "burst", "1600", "latency", "2s")
}

// Delay has the kernel's netem hold each packet back for d, give or take a
// random time up to jitter, each way. Packets overtake each other. The error
// is ErrNoNetem where the kernel has none.
func (l *Line) Delay(d, jitter time.Duration) error {
	err := l.queue("netem", "delay", fmt.Sprintf("%dus", d.Microseconds()), fmt.Sprintf("%dus", jitter.Microseconds()))
	if err != nil && strings.Contains(err.Error(), "qdisc kind is unknown") {
		return fmt.Errorf("%w: %w", ErrNoNetem, err)
	}
	return err
}

// queue sets the queueing discipline of both ends.
func (l *Line) queue(discipline ...string) error {
	for _, ns := range []string{l.box, l.far} {
		_, err := run("", append([]string{"ip", "netns", "exec", ns, "tc", "qdisc", "replace", "dev", device, "root"}, discipline...)...)
		if err != nil {
			return err
		}
	}
	return nil
}

// Down takes the line away, as a cable that is pulled; up brings it back.
func (l *Line) Down(down bool) error {
	state := "up"
	if down {
		state = "down"
	}
	_, err := run("", "ip", "-n", l.far, "link", "set", device, state)
	return err
}
