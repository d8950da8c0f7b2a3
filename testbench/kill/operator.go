package kill

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"livebox-agent/testbench/lab"
)

// served is the environment variable that makes a program run an operator's
// side: directory and address.
const served = "KILL_OPERATOR"

// Main must be called first by every program and TestMain that kills. In a
// process that is to be the operator's side it runs that and does not return.
func Main() {
	dir, listen, ok := strings.Cut(os.Getenv(served), "|")
	if !ok {
		return
	}
	if err := operate(dir, listen, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "operator:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// operate runs broker and CEM until nobody is there any more.
func operate(dir, listen string, w io.Writer) error {
	l, err := lab.Start(config(dir, listen))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, "ready")
	if err == nil {
		_, err = io.Copy(io.Discard, os.Stdin)
	}
	return errors.Join(err, l.Stop())
}

func config(dir, listen string) lab.Config {
	return lab.Config{Dir: dir, Listen: listen, AckEvery: 100 * time.Millisecond}
}

// An operator is broker and CEM in a process of their own.
type operator struct {
	cmd *exec.Cmd
	in  io.Closer
}

// startOperator starts the operator's side and waits until it works.
func startOperator(ctx context.Context, dir, listen string) (*operator, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	o := &operator{cmd: exec.CommandContext(ctx, self)}
	o.cmd.Env, o.cmd.Stderr = append(os.Environ(), served+"="+dir+"|"+listen), os.Stderr
	o.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if o.in, err = o.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := o.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := o.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the operator's side: %w", err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return nil, errors.Join(errors.New("the operator's side did not start"), o.kill())
	}
	return o, nil
}

// kill ends it without a word.
func (o *operator) kill() error {
	err := o.cmd.Process.Kill()
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	_ = o.cmd.Wait() // says that it was killed
	return err
}
