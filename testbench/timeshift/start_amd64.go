package timeshift

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Supported says whether programs can be run on other clocks here.
const Supported = true

// Start starts cmd on these clocks. Its end is awaited as ever.
func Start(cmd *exec.Cmd, c *Clocks) error {
	id, err := os.CreateTemp("", "boot_id")
	if err != nil {
		return err
	}
	defer os.Remove(id.Name()) // the mount keeps what is in it
	defer id.Close()
	if _, err := id.WriteString(c.bootID + "\n"); err != nil {
		return err
	}
	if err := id.Chmod(0o644); err != nil {
		return err
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Ptrace = true
	cmd.SysProcAttr.Unshareflags |= syscall.CLONE_NEWNS

	// Only the thread that started it may tell it what to do.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return err
	}
	listener, memory, err := prepare(cmd.Process.Pid, id.Name())
	if err != nil {
		err = errors.Join(fmt.Errorf("prepare %s: %w", cmd.Path, err), cmd.Process.Kill())
		_ = cmd.Wait() // it was killed
		return err
	}
	go serve(listener, memory, c)
	return nil
}

// prepare takes a program that has stopped before its first instruction
// through what it must do, and lets it go.
func prepare(pid int, idFile string) (listener int, memory *os.File, err error) {
	t := tracee{pid: pid}
	if err := t.stopped(); err != nil {
		return 0, nil, err
	}
	if memory, err = os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0); err != nil {
		return 0, nil, err
	}
	defer func() {
		if err != nil {
			memory.Close()
		}
	}()
	t.memory = memory
	if err := unix.PtraceGetRegs(pid, &t.begin); err != nil {
		return 0, nil, err
	}
	if err := t.hideVDSO(); err != nil {
		return 0, nil, err
	}
	if listener, err = t.inject(idFile); err != nil {
		return 0, nil, err
	}
	if err := unix.PtraceDetach(pid); err != nil {
		unix.Close(listener)
		return 0, nil, err
	}
	return listener, memory, nil
}

// A tracee is a program before its first instruction.
type tracee struct {
	pid    int
	memory *os.File
	begin  unix.PtraceRegs
}

// stopped waits until the program has stopped.
func (t *tracee) stopped() error {
	var status unix.WaitStatus
	if _, err := unix.Wait4(t.pid, &status, unix.WALL, nil); err != nil {
		return err
	}
	if !status.Stopped() || status.StopSignal() != unix.SIGTRAP {
		return fmt.Errorf("status %#x; want it stopped by SIGTRAP", int(status))
	}
	return nil
}

// hideVDSO overwrites where the kernel says that there is a vDSO: behind the
// arguments and the environment, which begin at the top of the stack.
func (t *tracee) hideVDSO() error {
	const atNull, atIgnore, atVDSO = 0, 1, 33
	at, word := int64(t.begin.Rsp)+8, make([]byte, 8)
	next := func() (uint64, error) {
		_, err := t.memory.ReadAt(word, at)
		at += 8
		return binary.LittleEndian.Uint64(word), err
	}
	for nulls := 0; nulls < 2; {
		v, err := next()
		if err != nil {
			return err
		}
		if v == 0 {
			nulls++
		}
	}
	for {
		key, err := next()
		switch {
		case err != nil:
			return err
		case key == atVDSO:
			binary.LittleEndian.PutUint64(word, atIgnore)
			_, err := t.memory.WriteAt(word, at-8)
			return err
		case key == atNull:
			return nil
		}
		at += 8
	}
}

// inject has the program install the filter and mount its boot identity, and
// returns the end of the filter that hears what it asks.
func (t *tracee) inject(idFile string) (listener int, err error) {
	const room = 4096 // below the stack; nothing is there yet
	base := (t.begin.Rsp - room) &^ 15
	rules := filter()
	fprog := base + uint64(8*len(rules))
	source := fprog + 16
	target := source + uint64(len(idFile)) + 1
	data := unsafe.Slice((*byte)(unsafe.Pointer(&rules[0])), 8*len(rules))
	data = binary.LittleEndian.AppendUint64(slices.Clone(data), uint64(len(rules)))
	data = binary.LittleEndian.AppendUint64(data, base)
	data = append(append(data, idFile...), 0)
	data = append(append(data, bootIDFile...), 0)
	if _, err := t.memory.WriteAt(data, int64(base)); err != nil {
		return 0, err
	}
	if _, err := t.call(unix.SYS_MOUNT, source, target, 0, unix.MS_BIND, 0); err != nil {
		return 0, fmt.Errorf("mount boot identity: %w", err)
	}
	fd, err := t.call(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, fprog)
	if err != nil {
		return 0, fmt.Errorf("install filter: %w", err)
	}
	process, err := unix.PidfdOpen(t.pid, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(process)
	if listener, err = unix.PidfdGetfd(process, int(fd), 0); err != nil {
		return 0, err
	}
	if _, err := t.call(unix.SYS_CLOSE, fd); err != nil {
		unix.Close(listener)
		return 0, err
	}
	return listener, nil
}

// call has the program do one system call.
func (t *tracee) call(number uint64, args ...uint64) (uint64, error) {
	code, was := []byte{0x0f, 0x05, 0xcc}, make([]byte, 3) // syscall; int3
	if _, err := t.memory.ReadAt(was, int64(t.begin.Rip)); err != nil {
		return 0, err
	}
	if _, err := t.memory.WriteAt(code, int64(t.begin.Rip)); err != nil {
		return 0, err
	}
	regs := t.begin
	regs.Rax, regs.Orig_rax = number, ^uint64(0)
	for i, r := range []*uint64{&regs.Rdi, &regs.Rsi, &regs.Rdx, &regs.R10, &regs.R8, &regs.R9} {
		if i < len(args) {
			*r = args[i]
		}
	}
	if err := unix.PtraceSetRegs(t.pid, &regs); err != nil {
		return 0, err
	}
	if err := unix.PtraceCont(t.pid, 0); err != nil {
		return 0, err
	}
	if err := t.stopped(); err != nil {
		return 0, err
	}
	if err := unix.PtraceGetRegs(t.pid, &regs); err != nil {
		return 0, err
	}
	if _, err := t.memory.WriteAt(was, int64(t.begin.Rip)); err != nil {
		return 0, err
	}
	if err := unix.PtraceSetRegs(t.pid, &t.begin); err != nil {
		return 0, err
	}
	if r := int64(regs.Rax); r < 0 && r > -4096 {
		return 0, unix.Errno(-r)
	}
	return regs.Rax, nil
}

// filter hands the questions for the time to the listener.
func filter() []unix.SockFilter {
	asked := []uint32{unix.SYS_CLOCK_GETTIME, unix.SYS_GETTIMEOFDAY, unix.SYS_ADJTIMEX, unix.SYS_CLOCK_ADJTIME}
	rules := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}} // the number of the call
	for i, n := range asked {
		rules = append(rules, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: uint8(len(asked) - i), K: n})
	}
	return append(rules,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF})
}

// A question is a struct seccomp_notif, an answer a struct seccomp_notif_resp.
type question struct {
	id         uint64
	pid, flags uint32
	call       int32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

type answer struct {
	id    uint64
	val   int64
	errno int32
	flags uint32
}

// serve answers until the program is gone.
func serve(listener int, memory *os.File, c *Clocks) {
	defer memory.Close()
	defer unix.Close(listener)
	for {
		fds := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		if fds[0].Revents&unix.POLLIN == 0 {
			if fds[0].Revents != 0 {
				return
			}
			continue
		}
		var q question
		if ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&q)) != 0 {
			continue // it no longer waits
		}
		a := answer{id: q.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
		if out, argument, result, ok := c.answer(q.call, q.args); ok {
			a = answer{id: q.id, val: result}
			if _, err := memory.WriteAt(out, int64(q.args[argument])); err != nil {
				a = answer{id: q.id, errno: -int32(unix.EFAULT)}
			}
		}
		ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&a)) // fails where it no longer waits
	}
}

func ioctl(fd int, request uintptr, argument unsafe.Pointer) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(argument))
	return errno
}
