package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// lockName is the file that a running lab holds locked.
const lockName = "lock"

// lock takes the directory for this process; the kernel gives it back when the
// file is closed, however the process ends. Two brokers on the same streams
// would destroy them.
func lock(dir string, flag int) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|flag, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = fmt.Errorf("directory %s: another lab runs in it", dir)
		}
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Free returns an error if a lab runs in dir.
func Free(dir string) error {
	f, err := lock(dir, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}
