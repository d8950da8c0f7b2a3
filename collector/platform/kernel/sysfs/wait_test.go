package sysfs_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"livebox-agent/collector/platform/kernel/sysfs"
)

func waiter(t *testing.T) *sysfs.Waiter {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "value"), []byte("0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := sysfs.Open(dir, "value")
	if err != nil {
		t.Fatal(err)
	}
	w, err := sysfs.NewWaiter(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = w.Close(), f.Close() })
	return w
}

func TestWaitEndsWhenItsTimeIsOver(t *testing.T) {
	w := waiter(t)
	began := time.Now()
	for range 2 {
		if err := w.Wait(t.Context(), 20*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	if d := time.Since(began); d < 40*time.Millisecond {
		t.Errorf("two waits of 20 ms took %v", d)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	w := waiter(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Wait(ctx, time.Hour) }()
	<-time.After(10 * time.Millisecond)
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Wait = %v; want the cancellation", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Wait goes on")
	}
	if err := w.Wait(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait after that = %v", err)
	}
}
