package main

import (
	"io"
	"os"
	"os/exec"
	"syscall"
)

// A child is this program, run once more.
type child struct {
	*exec.Cmd
	in  io.WriteCloser
	out io.Reader
}

// again runs this program with other arguments, in a process group of its own.
// It must end when its input does, also where this process was killed.
func again(args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{Cmd: exec.Command(self, args...)}
	c.Stderr = os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if c.in, err = c.StdinPipe(); err != nil {
		return nil, err
	}
	if c.out, err = c.StdoutPipe(); err != nil {
		return nil, err
	}
	return c, c.Start()
}
