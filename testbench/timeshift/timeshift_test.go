package timeshift

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// child makes the test's program the one that is run.
const child = "TIMESHIFT_CHILD"

// A seen is what the program says of its clocks.
type seen struct {
	Wall         time.Time
	Boot         time.Duration
	Slept        time.Duration // by the runtime's monotonic clock
	Synchronised bool
	BootID       string
}

func TestMain(m *testing.M) {
	if os.Getenv(child) == "" {
		os.Exit(m.Run())
	}
	in := json.NewDecoder(os.Stdin)
	for {
		var line string
		if err := in.Decode(&line); err != nil {
			os.Exit(0)
		}
		start := time.Now()
		<-time.After(20 * time.Millisecond)
		var tx unix.Timex
		state, err := unix.Adjtimex(&tx)
		id, iderr := os.ReadFile(bootIDFile)
		if err := errors.Join(err, iderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		s := seen{time.Now(), machine(unix.CLOCK_BOOTTIME), time.Since(start), state == unix.TIME_OK, string(id)}
		if err := json.NewEncoder(os.Stdout).Encode(s); err != nil {
			os.Exit(1)
		}
	}
}

const testBoot = "a boot of its own"

// start runs the program on these clocks. It ends with the test.
func start(t *testing.T, c *Clocks) (ask func() seen) {
	t.Helper()
	Need(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), child+"=1")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := Start(cmd, c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v\n%s", err, errs.String())
		}
	})
	answers := json.NewDecoder(out)
	return func() (s seen) {
		t.Helper()
		if err := json.NewEncoder(in).Encode("?"); err != nil {
			t.Fatal(err)
		}
		if err := answers.Decode(&s); err != nil {
			t.Fatalf("%v\n%s", err, errs.String())
		}
		return s
	}
}

func TestProgramSeesItsClocks(t *testing.T) {
	c := Boot(testBoot, time.Unix(0, 0))
	ask := start(t, c)
	began := time.Now()
	s := ask()
	if s.Wall.Year() != 1970 || s.Synchronised || s.BootID != testBoot+"\n" {
		t.Errorf("after the boot: %+v; want 1970, not synchronised, its own identity", s)
	}
	if off := s.Wall.Sub(time.Unix(0, 0)) - (s.Boot - uptime); off.Abs() > time.Second {
		t.Errorf("wall clock %v, %v since boot; want them together", s.Wall, s.Boot)
	}
	c.Set(time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC))
	later := ask()
	if later.Wall.Year() != 2090 || later.Synchronised || later.Boot <= s.Boot || later.Slept < 20*time.Millisecond {
		t.Errorf("after a step: %+v; want 2090, and time since boot going on from %v", later, s.Boot)
	}
	c.Synchronise()
	if s = ask(); s.Wall.Before(began) || s.Wall.After(time.Now().Add(time.Second)) || !s.Synchronised {
		t.Errorf("synchronised: %+v; want the machine's time", s)
	}
	if off := s.Wall.Add(-s.Boot).Sub(c.Booted()); off.Abs() > time.Second {
		t.Errorf("boot %v off what Booted says", off)
	}
	if c.Asked() == 0 {
		t.Error("it never asked")
	}
}

func TestMachineKeepsItsClocks(t *testing.T) {
	Need(t)
	id, err := os.ReadFile(bootIDFile)
	if err != nil {
		t.Fatal(err)
	}
	var before, after unix.Timex
	if _, err := unix.Adjtimex(&before); err != nil {
		t.Fatal(err)
	}
	wall := time.Now()
	c := Boot(testBoot, time.Unix(0, 0))
	ask := start(t, c)
	c.Set(wall.Add(1000 * time.Hour))
	ask()
	c.Synchronise()
	ask()
	c.Set(time.Unix(0, 0))
	ask()
	if now := time.Now(); (now.Round(0).Sub(wall.Round(0)) - now.Sub(wall)).Abs() > time.Second {
		t.Errorf("the machine's clock was moved from %v to %v", wall, now)
	}
	if _, err := unix.Adjtimex(&after); err != nil || after.Status != before.Status {
		t.Errorf("the machine's clock has status %#x, %v; was %#x", after.Status, err, before.Status)
	}
	if now, err := os.ReadFile(bootIDFile); err != nil || !bytes.Equal(now, id) {
		t.Errorf("the machine's boot is %q, %v; was %q", now, err, id)
	}
}

func TestBrokenClockGivesAnything(t *testing.T) {
	c := Boot(testBoot, time.Unix(0, 0))
	c.Break()
	seen := map[time.Duration]bool{}
	for range 100 {
		d, ok := c.gettime(unix.CLOCK_MONOTONIC)
		if !ok {
			t.Fatal("no answer")
		}
		seen[d] = true
	}
	if len(seen) < 90 {
		t.Errorf("%d different of 100; want garbage", len(seen))
	}
	if _, ok := c.gettime(unix.CLOCK_PROCESS_CPUTIME_ID); ok {
		t.Error("a clock that is the program's own is answered")
	}
}
