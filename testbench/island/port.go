package island

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A Port is a network interface of the island.
type Port struct {
	name  string
	fd    int
	speed string // the file that says it
}

// AddPort makes a port with a link of 1000 Mbit/s. It goes when the test ends.
func AddPort(t *testing.T, name string) *Port {
	t.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("open /dev/net/tun: %v", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	r, err := unix.NewIfreq(name)
	if err != nil {
		t.Fatal(err)
	}
	r.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, r); err != nil {
		t.Fatalf("make port %s: %v", name, err)
	}
	p := &Port{name: name, fd: fd, speed: filepath.Join(t.TempDir(), "speed")}
	p.SetSpeed(t, 1000)
	Show(t, p.speed, "/sys/devices/virtual/net/"+name+"/speed")
	if err := up(name); err != nil {
		t.Fatal(err)
	}
	return p
}

// SetLink gives the port a link or takes it, as a cable does.
func (p *Port) SetLink(t *testing.T, on bool) {
	t.Helper()
	v := 0
	if on {
		v = 1
	}
	if err := unix.IoctlSetPointerInt(p.fd, unix.TUNSETCARRIER, v); err != nil {
		t.Fatalf("carrier of %s: %v", p.name, err)
	}
}

// SetSpeed says what the link is negotiated to, in Mbit/s.
func (p *Port) SetSpeed(t *testing.T, mbits int) {
	t.Helper()
	if err := os.WriteFile(p.speed, []byte(strconv.Itoa(mbits)+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Lead makes the default route lead to the port.
func (p *Port) Lead(t *testing.T) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "ip", "route", "add", "default", "dev", p.name).CombinedOutput(); err != nil {
		t.Fatalf("default route to %s: %v: %s", p.name, err, out)
	}
}

// Receive has the port receive the frame again and again, with such a pause,
// until ctx is done. The channel is closed then.
func (p *Port) Receive(ctx context.Context, t *testing.T, frame []byte, pause time.Duration) <-chan struct{} {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(pause)
		defer tick.Stop()
		for {
			if _, err := unix.Write(p.fd, frame); err != nil {
				t.Errorf("frame to %s: %v", p.name, err)
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return done
}

// up switches an interface on.
func up(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r); err != nil {
		return fmt.Errorf("switch %s on: %w", name, err)
	}
	return nil
}
