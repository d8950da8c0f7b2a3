package faultdisk

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"
)

// ErrNoFUSE says that this machine does not let a file system be mounted: not
// root, or no /dev/fuse.
var ErrNoFUSE = errors.New("no FUSE to be had")

// A Fault says which operations fail: those of the kinds (nil: of any) with the
// number From or a later one, at most Times of them (0: all).
//
// A write that fails leaves its first half, as on a disk that is full; a sync
// that fails leaves what it should have synced to chance; any other operation
// that fails does nothing.
//
// Apart from these, a disk may be small: once files have Capacity bytes of pages
// (0: no matter how many) a write to one more fails with ENOSPC; or, with Late,
// the sync after it, and what there was no room for is left to chance: so do
// file systems that find a place for data only when they write it. Making files
// longer and giving them names needs no room.
type Fault struct {
	Errno syscall.Errno
	Kinds []Kind
	From  int
	Times int

	Capacity int64
	Late     bool
}

// of returns how the operation with the number n ends.
func (f *Fault) of(n int, op Op) syscall.Errno {
	if f.Errno == 0 || n < f.From || len(f.Kinds) > 0 && !slices.Contains(f.Kinds, op.Kind) {
		return 0
	}
	errno := f.Errno
	if f.Times > 0 {
		if f.Times--; f.Times == 0 {
			f.Errno = 0
		}
	}
	return errno
}

// served is the environment variable that makes a program serve a disk.
const served = "FAULTDISK_SERVE"

// The disk is served by a process of its own, the same program once more: a
// program that maps a file of a disk which it serves itself waits for ever for
// a page, since Go cannot run the server while it stops the world and one of
// its threads waits for the kernel.

// Main must be called first by every program and TestMain that makes a Disk. In
// a process that is to serve one it does that and does not return.
func Main() {
	dir := os.Getenv(served)
	if dir == "" {
		return
	}
	if err := serve(dir, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "fault disk:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// A question is what a Disk asks of the process that serves it.
type question struct {
	// Fault is from now on; nil changes nothing.
	Fault *Fault
	// Trace asks for what was done, Forget has it forgotten.
	Trace, Forget bool
}

// An answer is what it gets.
type answer struct {
	Err   string
	Len   int
	Trace Trace
	// Used is how many bytes of pages files have, Short how often there was no
	// room since the last Fault.
	Used  int64
	Short int
}

// serve answers questions until there are no more.
func serve(dir string, in io.Reader, out io.Writer) error {
	questions, answers := gob.NewDecoder(in), gob.NewEncoder(out)
	m, server, err := mount(dir)
	if err != nil {
		return answers.Encode(answer{Err: err.Error()})
	}
	err = answers.Encode(answer{})
	for err == nil {
		var q question
		if err = questions.Decode(&q); err == nil {
			err = answers.Encode(m.answer(q))
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if uerr := server.Unmount(); uerr != nil { // a file is open still
		return errors.Join(err, uerr, syscall.Unmount(dir, syscall.MNT_DETACH))
	}
	return err
}

func (d *memory) answer(q question) (a answer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if q.Fault != nil {
		d.fault, d.shorts = *q.Fault, 0
	}
	if q.Trace {
		a.Trace = d.trace
	}
	if q.Forget {
		d.trace = nil
	}
	a.Len, a.Used, a.Short = len(d.trace), d.used, d.shorts
	return a
}

// A Disk is a mounted file system.
type Disk struct {
	// Dir is where it is mounted.
	Dir string

	cmd       *exec.Cmd
	in        io.WriteCloser
	questions *gob.Encoder
	answers   *gob.Decoder
}

// New mounts an empty disk in a directory of its own. Its methods are for one
// goroutine; the disk itself is for all processes.
func New() (d *Disk, err error) {
	if os.Getenv(served) != "" {
		panic("BUG: a program that makes fault disks does not call faultdisk.Main")
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "faultdisk")
	if err != nil {
		return nil, err
	}
	d = &Disk{Dir: dir, cmd: exec.Command(self)}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(dir))
		}
	}()
	d.cmd.Env, d.cmd.Stderr = append(os.Environ(), served+"="+dir), os.Stderr
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if d.in, err = d.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("serve a fault disk: %w", err)
	}
	d.questions, d.answers = gob.NewEncoder(d.in), gob.NewDecoder(out)
	var a answer
	if err := d.answers.Decode(&a); err != nil || a.Err != "" {
		return nil, errors.Join(fmt.Errorf("%w: %s", ErrNoFUSE, a.Err), err, d.in.Close(), d.cmd.Wait())
	}
	return d, nil
}

// Close unmounts the disk and forgets it.
func (d *Disk) Close() error {
	return errors.Join(d.in.Close(), d.cmd.Wait(), os.Remove(d.Dir))
}

// ask asks the process that serves the disk. Without it nothing is to be had
// of the disk any more, which makes no sense to go on after.
func (d *Disk) ask(q question) (a answer) {
	if err := errors.Join(d.questions.Encode(q), d.answers.Decode(&a)); err != nil {
		panic(fmt.Sprintf("the process that serves the fault disk is gone: %v", err))
	}
	return a
}

// Len returns how many operations there were.
func (d *Disk) Len() int { return d.ask(question{}).Len }

// Used returns how many bytes of pages the files have.
func (d *Disk) Used() int64 { return d.ask(question{}).Used }

// Short returns how often there was no room since the last call of Fail.
func (d *Disk) Short() int { return d.ask(question{}).Short }

// Trace returns what was done so far.
func (d *Disk) Trace() Trace { return d.ask(question{Trace: true}).Trace }

// Fail has operations fail from now on as f says, and no others; the zero Fault
// ends it.
func (d *Disk) Fail(f Fault) { d.ask(question{Fault: &f}) }

// Forget has the trace begin anew, for a disk that everything was removed from.
func (d *Disk) Forget() { d.ask(question{Forget: true}) }
