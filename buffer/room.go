package buffer

import (
	"os"
	"syscall"
)

// copyFits returns ENOSPC where the file system surely has no room for a copy
// of what can be read of the file name. Without it each attempt to replace a
// store would fill the flash once more, and wear it.
func copyFits(root *os.Root, name string) error {
	free, known := freeBytes(root)
	if !known {
		return nil
	}
	info, err := root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return nil // nothing is copied
	}
	f, err := root.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	p, err := openPages(f, info.Size(), true)
	if err != nil {
		return nil
	}
	need := int64(createCost)
	_ = p.visit(reportsBucket(), func(key, value []byte) error {
		// Elements that are damaged may overlap.
		if _, err := decodeValue(key, value); err == nil {
			need += int64(elementLen + len(key) + len(value))
		}
		return nil
	})
	if need > free {
		return syscall.ENOSPC
	}
	return nil
}

// freeBytes returns what the file system says that it has left.
func freeBytes(root *os.Root) (n int64, known bool) {
	dir, err := root.Open(".")
	if err != nil {
		return 0, false
	}
	defer dir.Close()
	var st syscall.Statfs_t
	if err := syscall.Fstatfs(int(dir.Fd()), &st); err != nil || st.Blocks == 0 {
		return 0, false
	}
	blocks, size := uint64(st.Bavail), uint64(st.Bsize)
	return int64(min(blocks, 1<<40/max(size, 1)) * size), true
}
