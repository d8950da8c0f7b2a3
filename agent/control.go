package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	socketName = "agent.sock"
	// patience bounds one answer on the control socket.
	patience = 5 * time.Second
	// maxSnapshot bounds what Ask reads.
	maxSnapshot = 4 << 20
)

// serveControl answers every connection to the control socket with a Snapshot
// in JSON, until ctx is done. Only the user that runs the agent may connect.
func (a *Agent) serveControl(ctx context.Context) {
	if a.control == nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { a.control.Close() })
	defer stop()
	var answers sync.WaitGroup
	defer answers.Wait()
	for {
		c, err := a.control.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // too many open files, say
			a.log.Debug("control connection not taken", "err", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Second):
				continue
			}
		}
		answers.Go(func() {
			defer c.Close()
			c.SetDeadline(time.Now().Add(patience)) //nolint:errcheck // a dead connection fails where it is used
			if err := a.answer(c); err != nil && ctx.Err() == nil {
				a.log.Debug("control connection broke", "err", err)
			}
		})
	}
}

func (a *Agent) answer(w io.Writer) error { return json.NewEncoder(w).Encode(a.Snapshot()) }

// errRunning says that another agent has the run directory.
var errRunning = errors.New("another agent answers there")

// listen takes the socket over from an agent that was killed, not from one
// that runs.
func listen(name string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, err
	}
	if c, err := net.DialTimeout("unix", name, time.Second); err == nil {
		c.Close()
		return nil, fmt.Errorf("%s: %w", name, errRunning)
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", name)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(name, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Ask asks the agent that runs with this run directory what it does.
func Ask(ctx context.Context, runDir string) (Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", filepath.Join(runDir, socketName))
	if err != nil {
		return Snapshot{}, err
	}
	defer c.Close()
	if t, ok := ctx.Deadline(); ok {
		c.SetDeadline(t) //nolint:errcheck // a dead connection fails where it is used
	}
	var s Snapshot
	if err := json.NewDecoder(io.LimitReader(c, maxSnapshot)).Decode(&s); err != nil {
		return Snapshot{}, fmt.Errorf("read the agent's answer: %w", err)
	}
	return s, nil
}
