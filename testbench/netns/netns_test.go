package netns_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"livebox-agent/testbench/netns"
)

// newLine makes a line that ends with the test.
func newLine(t *testing.T) *netns.Line {
	t.Helper()
	for _, name := range []string{"ip", "nft", "tc"} {
		if _, err := exec.LookPath(name); err != nil && os.Getenv("CI") != "true" {
			t.Skipf("%s is not installed", name)
		}
	}
	l, err := netns.New("t")
	if errors.Is(err, netns.ErrNone) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// sink reads whatever comes at the far end.
func sink(t *testing.T, l *netns.Line) string {
	t.Helper()
	ln, err := l.Listen("0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return ln.Addr().String()
}

func TestKernelLosesWhatItIsToldTo(t *testing.T) {
	l := newLine(t)
	addr := sink(t, l)
	for _, percent := range []int{0, 30} {
		if err := l.Lose(percent); err != nil {
			t.Fatal(err)
		}
		var c net.Conn
		// Datagrams: each is lost or not, and none is sent again.
		err := l.Box(func() (err error) {
			c, err = net.Dial("udp", addr)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 2000 {
			_, _ = c.Write([]byte("x")) // an error is a packet that the rule hit, or that nobody took
		}
		c.Close()
		hit, passed, err := l.Passed()
		if err != nil {
			t.Fatal(err)
		}
		share := float64(hit) / float64(hit+passed)
		t.Logf("%d%%: the rule hit %d of %d packets, %.3f", percent, hit, hit+passed, share)
		// Five standard deviations of 2000 draws.
		if want := float64(percent) / 100; share < want-0.055 || share > want+0.055 || percent == 0 && hit != 0 {
			t.Errorf("lost %.3f of the packets; want %.2f", share, want)
		}
	}
}

func TestKernelDelaysWhereItCan(t *testing.T) {
	l := newLine(t)
	addr := sink(t, l)
	if err := l.Delay(100*time.Millisecond, 20*time.Millisecond); errors.Is(err, netns.ErrNoNetem) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	c, err := l.Dial(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if took := time.Since(begin); took < 160*time.Millisecond {
		t.Errorf("connected in %v; want twice 80 ms at least", took)
	}
}

func TestTCPGetsThroughLossRefusalAndSlowness(t *testing.T) {
	l := newLine(t)
	addr := sink(t, l)
	talk := func() (time.Duration, error) {
		begin := time.Now()
		c, err := l.Dial(t.Context(), "tcp", addr)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		go func() { _, _ = c.Write(make([]byte, 8000)) }() // the reader notices
		_, err = io.ReadFull(c, make([]byte, 8000))
		return time.Since(begin), err
	}
	if _, err := talk(); err != nil {
		t.Fatalf("a good line: %v", err)
	}
	// Of more, the kernel now and then loses every SYN for half a minute.
	if err := l.Lose(10); err != nil {
		t.Fatal(err)
	}
	for hit := uint64(0); hit == 0; {
		took, err := talk()
		if err != nil {
			t.Fatalf("10%% loss: %v", err)
		}
		var passed uint64
		if hit, passed, err = l.Passed(); err != nil {
			t.Fatal(err)
		}
		t.Logf("8000 bytes there and back with %d of %d packets lost took %v", hit, hit+passed, took)
	}
	if err := l.Refuse(); err != nil {
		t.Fatal(err)
	}
	if _, err := talk(); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("refused: %v; want ECONNREFUSED", err)
	}
	if err := l.Mend(); err != nil {
		t.Fatal(err)
	}
	if err := l.Slow(64); err != nil {
		t.Fatal(err)
	}
	// 8000 bytes are 64 000 bits each way, less the burst.
	if took, err := talk(); err != nil || took < 500*time.Millisecond {
		t.Errorf("64 kbit/s: %v, %v; want at least 0.5s", took, err)
	}
	if err := l.Down(true); err != nil {
		t.Fatal(err)
	}
	short, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer stop()
	if c, err := l.Dial(short, "tcp", addr); err == nil {
		c.Close()
		t.Error("connected over a line that is down")
	}
}
