package agent

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
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

// What may be asked on the control socket: a line of one word, and for a
// recording the reason behind it.
const (
	askStatus = "status"
	askRecord = "record"
	maxAsk    = 256
)

// serveControl answers every connection to the control socket in JSON, until
// ctx is done. Only the user that runs the agent may connect.
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

func (a *Agent) answer(c io.ReadWriter) error {
	line, err := bufio.NewReader(io.LimitReader(c, maxAsk)).ReadString('\n')
	if err != nil {
		return fmt.Errorf("read what is asked: %w", err)
	}
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	switch word {
	case askStatus:
		return json.NewEncoder(c).Encode(a.Snapshot())
	case askRecord:
		return json.NewEncoder(c).Encode(a.record(rest))
	}
	return fmt.Errorf("unknown question %q", word)
}

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
func Ask(ctx context.Context, runDir string) (s Snapshot, err error) {
	err = ask(ctx, runDir, askStatus, &s)
	return s, err
}

// Record has the agent that runs with this run directory make an event of what
// its flight recorder holds, for a reason of at most some two hundred bytes. The
// error is a *TooManyError where it was asked for too often.
func Record(ctx context.Context, runDir, reason string) (r Recorded, err error) {
	reason = strings.Join(strings.Fields(reason), " ")
	if n := maxAsk - len(askRecord) - 2; len(reason) > n {
		return r, fmt.Errorf("a reason of more than %d bytes", n)
	}
	err = ask(ctx, runDir, askRecord+" "+reason, &r)
	if err == nil && r.AgainSeconds > 0 {
		err = &TooManyError{time.Duration(r.AgainSeconds) * time.Second}
	}
	return r, err
}

// ask sends a line to the control socket and reads the answer into v.
func ask(ctx context.Context, runDir, line string, v any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", filepath.Join(runDir, socketName))
	if err != nil {
		return err
	}
	defer c.Close()
	if t, ok := ctx.Deadline(); ok {
		c.SetDeadline(t) //nolint:errcheck // a dead connection fails where it is used
	}
	if _, err := fmt.Fprintln(c, line); err != nil {
		return fmt.Errorf("ask the agent: %w", err)
	}
	if err := json.NewDecoder(io.LimitReader(c, maxSnapshot)).Decode(v); err != nil {
		return fmt.Errorf("read the agent's answer: %w", err)
	}
	return nil
}
