package budget

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// memory is what a process holds, in bytes.
type memory struct {
	resident  int64
	anonymous int64 // of resident: what no file backs
}

// MemoryOf returns the resident and the anonymous bytes of a process.
func MemoryOf(pid int) (resident, anonymous int64, err error) {
	m, err := memoryOf(pid)
	return m.resident, m.anonymous, err
}

// memoryOf reads what the process pid holds (proc(5), smaps_rollup).
func memoryOf(pid int) (memory, error) {
	name := filepath.Join("/proc", strconv.Itoa(pid), "smaps_rollup")
	text, err := os.ReadFile(name)
	if err != nil {
		return memory{}, err
	}
	return parseMemory(name, string(text))
}

func parseMemory(name, text string) (memory, error) {
	var m memory
	for _, f := range []struct {
		key string
		to  *int64
	}{{"Rss:", &m.resident}, {"Anonymous:", &m.anonymous}} {
		_, after, ok := strings.Cut(text, "\n"+f.key)
		fields := strings.Fields(after)
		if !ok || len(fields) < 2 || fields[1] != "kB" {
			return memory{}, fmt.Errorf("%s: no %s", name, f.key)
		}
		n, err := strconv.ParseInt(fields[0], 10, 64)
		if err != nil {
			return memory{}, fmt.Errorf("%s: %s %w", name, f.key, err)
		}
		*f.to = n << 10
	}
	return m, nil
}

// most keeps the greatest of each.
func (m *memory) most(o memory) {
	m.resident = max(m.resident, o.resident)
	m.anonymous = max(m.anonymous, o.anonymous)
}

// processorTime returns how long the threads of the process pid have run so
// far (schedstat: nanoseconds, not ticks). A thread that ended is missing, which
// Go's and collectd's do not do while they work.
func processorTime(pid int) (time.Duration, error) {
	names, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task/*/schedstat"))
	if err != nil {
		return 0, err
	}
	if len(names) == 0 {
		return 0, fmt.Errorf("process %d: %w", pid, fs.ErrNotExist)
	}
	var sum time.Duration
	for _, name := range names {
		text, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		first, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		sum += time.Duration(n)
	}
	return sum, nil
}
