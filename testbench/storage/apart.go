package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// apart is the environment variable that makes a program pass an outage: how
// long, and the file that gets what came of it.
const apart = "STORAGE_OUTAGE"

// Only a test can make a place where time is virtual, and only a process that
// is a test as a whole can run one.

// Main must be called first by every program that runs Trials. In a process
// that is to pass an outage it does that and does not return.
func Main() {
	file, ok := os.LookupEnv(apart)
	if !ok {
		return
	}
	all := func(string, string) (bool, error) { return true, nil }
	testing.Main(all, []testing.InternalTest{{Name: "outage", F: func(t *testing.T) {
		t.Helper()
		if err := pass(t, os.Args[1], file); err != nil {
			t.Fatal(err)
		}
	}}}, nil, nil)
}

// pass passes an outage and writes to file what came of it.
func pass(t *testing.T, length, file string) error {
	t.Helper()
	d, err := time.ParseDuration(length)
	if err != nil {
		return err
	}
	o, err := outage(d, func(f func()) error {
		synctest.Test(t, func(*testing.T) { f() })
		return nil
	})
	if err != nil {
		return err
	}
	b, err := json.Marshal(o)
	return errors.Join(err, os.WriteFile(file, b, 0o600))
}

// outageApart passes an outage in a process of its own.
func outageApart(ctx context.Context, d time.Duration) (o Outage, err error) {
	self, err := os.Executable()
	if err != nil {
		return o, err
	}
	dir, err := os.MkdirTemp("", "outage")
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := filepath.Join(dir, "result")
	cmd := exec.CommandContext(ctx, self, d.String())
	cmd.Env = append(os.Environ(), apart+"="+file)
	if out, err := cmd.CombinedOutput(); err != nil {
		return o, fmt.Errorf("pass an outage: %w: %s", err, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return o, err
	}
	return o, json.Unmarshal(b, &o)
}
