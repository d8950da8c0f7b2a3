package netdev

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/collector"
)

// A Load tells what the line carries: the interfaces that the default routes
// of IPv4 and IPv6 lead to.
type Load struct{ proc string }

// NewLoad returns the load of the line of the kernel whose proc file system is
// mounted at proc; empty means /proc.
func NewLoad(proc string) *Load {
	if proc == "" {
		proc = "/proc"
	}
	return &Load{proc: proc}
}

// Rates waits for the time over and returns what the line carried in it, in
// bits per second. It is collector.ErrNoData where there is no default route.
// An interface that goes away meanwhile is an error.
func (l *Load) Rates(ctx context.Context, over time.Duration) (down, up int64, err error) {
	line, err := l.line()
	if err != nil {
		return 0, 0, err
	}
	start := time.Now()
	before, err := l.carried(line)
	if err != nil {
		return 0, 0, err
	}
	timer := time.NewTimer(over)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return 0, 0, context.Cause(ctx)
	case <-timer.C:
	}
	after, err := l.carried(line)
	if err != nil {
		return 0, 0, err
	}
	took := time.Since(start)
	for i := range after {
		down += rate(before[i].received, after[i].received, took)
		up += rate(before[i].sent, after[i].sent, took)
	}
	return down, up, nil
}

// rate returns the bits per second between two readings of a counter of bytes,
// which wraps at 32 bits on some boxes. One that started anew reads as a busy
// line, if anything, for once.
func rate(before, after uint64, took time.Duration) int64 {
	n := after - before
	if after < before {
		n = uint64(uint32(n))
	}
	return int64(min(float64(n)*8/took.Seconds(), maxRate))
}

// A carriage is what an interface carried since some time, in bytes.
type carriage struct{ received, sent uint64 }

// carried reads /proc/net/dev (dev_seq_printf_stats, net/core/net-procfs.c):
// after the name, which holds no colon, eight numbers of what was received and
// eight of what was sent, each begun by the bytes.
func (l *Load) carried(line []string) ([]carriage, error) {
	text, err := readTable(filepath.Join(l.proc, "net", "dev"))
	if err != nil {
		return nil, err
	}
	all := make([]carriage, len(line))
	found := 0
	for row := range bytes.Lines(text) {
		name, numbers, _ := bytes.Cut(row, []byte(":"))
		i := slices.Index(line, string(bytes.TrimSpace(name)))
		f := bytes.Fields(numbers)
		if i < 0 || len(f) < 16 {
			continue
		}
		received, err := strconv.ParseUint(string(f[0]), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("bytes received, in net/dev: %w", err)
		}
		sent, err := strconv.ParseUint(string(f[8]), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("bytes sent, in net/dev: %w", err)
		}
		all[i] = carriage{received, sent}
		found++
	}
	if found != len(line) {
		return nil, fmt.Errorf("%d of %d interfaces with a default route in net/dev", found, len(line))
	}
	return all, nil
}

const (
	// maxRoutes is how many families have a default route.
	maxRoutes = 2
	// maxRate is faster than any line, and fits when it is added up.
	maxRate = 1 << 61
	// maxTable bounds what is read of a table: a box of a home has some dozen
	// routes, and interfaces, of some 150 bytes.
	maxTable = 1 << 20
)

// line returns the names of the interfaces that the default routes lead to.
func (l *Load) line() ([]string, error) {
	var names []string
	for file, lead := range map[string]func(line []byte) (leads, bool){"route": lead4, "ipv6_route": lead6} {
		text, err := readTable(filepath.Join(l.proc, "net", file))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a kernel without that family
		}
		if err != nil {
			return nil, err
		}
		if name := best(text, lead); name != "" && (len(names) == 0 || names[0] != name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no default route: %w", collector.ErrNoData)
	}
	return names, nil
}

func readTable(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxTable))
}

// A leads is where a default route leads to.
type leads struct {
	name   string
	metric uint64
}

// best returns the interface of the default route that goes before the others,
// of those that lead finds in the lines of a table; the first one of equals.
func best(table []byte, lead func(line []byte) (leads, bool)) (name string) {
	metric := uint64(math.MaxUint64)
	for line := range bytes.Lines(table) {
		if to, ok := lead(line); ok && to.metric < metric {
			name, metric = to.name, to.metric
		}
	}
	return name
}

// lead4 reads a line of /proc/net/route (fib_route_seq_show, net/ipv4/
// fib_trie.c): interface, destination, gateway, flags, three numbers, of which
// the last is the metric, in decimal, and the mask.
func lead4(line []byte) (leads, bool) {
	f := bytes.Fields(line)
	if len(f) < 8 || !zero(f[1]) || !zero(f[7]) {
		return leads{}, false
	}
	return route(f[0], f[3], f[6], 10)
}

// lead6 reads a line of /proc/net/ipv6_route (rt6_print, net/ipv6/ip6_fib.c):
// destination and its length, source and its length, next hop, metric, two
// counts, flags and interface, the numbers in hexadecimal.
func lead6(line []byte) (leads, bool) {
	f := bytes.Fields(line)
	if len(f) < 10 || !zero(f[0]) || !zero(f[1]) {
		return leads{}, false
	}
	return route(f[9], f[8], f[5], 16)
}

// route returns where a route leads to whose flags are in hexadecimal; not
// where it says that there is no way.
func route(name, flags, metric []byte, base int) (leads, bool) {
	bits, err := strconv.ParseUint(string(flags), 16, 32)
	if err != nil || bits&unix.RTF_UP == 0 || bits&unix.RTF_REJECT != 0 || string(name) == "lo" {
		return leads{}, false
	}
	n, err := strconv.ParseUint(string(metric), base, 32)
	if err != nil {
		return leads{}, false
	}
	return leads{name: string(name), metric: n}, true
}

// zero says whether digits are of nothing but zeros.
func zero(digits []byte) bool { return len(digits) > 0 && len(bytes.Trim(digits, "0")) == 0 }
