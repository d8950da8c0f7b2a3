package storm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"livebox-agent/testbench/lab"
	"livebox-agent/uplink/wire"
)

// Operate runs broker and CEM in dir until in ends or ctx is done, and does
// what its lines say:
//
//	tell BOXES SECONDS
//
// tells so many boxes by retry_after when to come back, each another second
// from 1 to SECONDS on. It says on out where the broker listens, and ok after
// each line.
func Operate(ctx context.Context, dir, listen string, in io.Reader, out io.Writer) error {
	l, err := lab.Start(lab.Config{Dir: dir, Listen: listen, AckEvery: time.Second})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, l.Broker.Addr()); err != nil {
		return errors.Join(err, l.Stop())
	}
	lines := make(chan string)
	go func() { // it may read on when ctx is done: nothing can stop it
		defer close(lines)
		for s := bufio.NewScanner(in); s.Scan(); {
			lines <- s.Text()
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return l.Stop()
		case line, ok := <-lines:
			if !ok {
				return l.Stop()
			}
			if err := obey(l, line); err != nil {
				return errors.Join(err, l.Stop())
			}
			if _, err := fmt.Fprintln(out, "ok"); err != nil {
				return errors.Join(err, l.Stop())
			}
		}
	}
}

func obey(l *lab.Lab, line string) error {
	var boxes, seconds int
	if _, err := fmt.Sscanf(line, "tell %d %d", &boxes, &seconds); err != nil || boxes < 1 || seconds < 1 {
		return fmt.Errorf("operator: %q: want tell BOXES SECONDS", line)
	}
	conn, err := l.Broker.InProcess()
	if err != nil {
		return err
	}
	defer conn.Close()
	for i := range boxes {
		a := wire.AppendAck(nil, wire.Ack{RetryAfter: Told(i, seconds)})
		if err := conn.Publish("cem.v1."+BoxName(i)+".ack", a); err != nil {
			return fmt.Errorf("tell %s: %w", BoxName(i), err)
		}
	}
	return conn.Flush()
}

// Told is what an operator tells box i who spreads boxes over so many seconds.
func Told(i, seconds int) time.Duration { return time.Duration(1+i%seconds) * time.Second }
