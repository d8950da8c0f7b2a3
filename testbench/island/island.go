package island

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inside is set in the environment of a program that runs in an island.
const inside = "LIVEBOX_AGENT_ISLAND"

// Main runs the tests of a program in an island, and returns the exit code. A
// TestMain calls it. Where there can be none the tests run all the same, and
// those that call Need skip themselves, or fail where CI=true.
func Main(m *testing.M) int {
	if os.Getenv(inside) != "" {
		if err := settle(); err != nil {
			fmt.Fprintln(os.Stderr, "island:", err)
			return 1
		}
		return m.Run()
	}
	if os.Geteuid() != 0 {
		return m.Run()
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return e.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "no namespaces, the tests that need them skip:", err)
		return m.Run()
	}
	return 0
}

// Need skips a test that is in no island, or fails it where CI=true.
func Need(t *testing.T) {
	t.Helper()
	if os.Getenv(inside) != "" {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("no namespaces: not root, or the kernel forbids them")
	}
	t.Skip("no namespaces: not root, or the kernel forbids them")
}

// settle makes the new namespaces habitable: nothing that is mounted shows
// outside, the loopback is up, and /sys is a folder of which every part can be
// replaced.
func settle() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := up("lo"); err != nil {
		return err
	}
	kernel, err := os.MkdirTemp("", "livebox-agent-sys")
	if err != nil {
		return err
	}
	if err := unix.Mount("sysfs", kernel, "sysfs", 0, ""); err != nil {
		return fmt.Errorf("mount sysfs: %w", err)
	}
	if err := unix.Mount("tmpfs", "/sys", "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount /sys: %w", err)
	}
	for _, part := range []string{"devices", "class/net"} { // the second has links into the first
		if err := bind(filepath.Join(kernel, part), filepath.Join("/sys", part)); err != nil {
			return err
		}
	}
	return nil
}

// bind shows a file or folder at another place, which is made where there is
// none.
func bind(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if _, err := os.Stat(to); errors.Is(err, os.ErrNotExist) {
		if info.IsDir() {
			err = os.MkdirAll(to, 0o755)
		} else if err = os.MkdirAll(filepath.Dir(to), 0o755); err == nil {
			err = os.WriteFile(to, nil, 0o644)
		}
		if err != nil {
			return err
		}
	}
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("show %s at %s: %w", from, to, err)
	}
	return nil
}

// Show shows a file or folder where the agent looks for one, until the test
// ends.
func Show(t *testing.T, from, to string) {
	t.Helper()
	if err := bind(from, to); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(to, unix.MNT_DETACH); err != nil {
			t.Errorf("hide %s: %v", to, err)
		}
	})
}

// ShowTree shows what a box wrote (box.WriteTree) where the agent looks for it:
// every class of devices but the interfaces, which are the island's own, and
// what else there is below sys and dev.
func ShowTree(t *testing.T, dir string) {
	t.Helper()
	for _, pattern := range []string{"sys/class/*", "sys/bus/*", "sys/fs/*", "dev/*"} {
		found, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range found {
			rel, err := filepath.Rel(dir, name)
			if err != nil {
				t.Fatal(err)
			}
			if rel != filepath.Join("sys", "class", "net") {
				Show(t, name, filepath.Join("/", rel))
			}
		}
	}
}

// Boot makes the kernel one that has just booted, as far as its identity goes;
// the time since its boot goes on.
func Boot(t *testing.T) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "boot_id")
	if err := os.WriteFile(name, []byte(rand.Text()+"\n"), 0o444); err != nil {
		t.Fatal(err)
	}
	Show(t, name, "/proc/sys/kernel/random/boot_id")
}
