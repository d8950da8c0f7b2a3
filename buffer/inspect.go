package buffer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"syscall"
)

// ErrLocked says that another process has the store open.
var ErrLocked = errLocked

// A RunSummary is what the store holds of one run and lane.
type RunSummary struct {
	Run  Run
	Lane Lane
	// Reports lie between the sequences First and Last; Thinned of them
	// have no columns.
	Reports, Thinned int
	First, Last      uint64
	// Bytes are those of headers and bodies.
	Bytes int64
}

// Contents is what a store holds.
type Contents struct {
	// FileBytes is the size of the file, UsedBytes the part of it in use.
	FileBytes, UsedBytes int64
	// Runs are in the order of lanes and runs.
	Runs []RunSummary
	// Losses is the ledger, by run, lane, reason and sequence.
	Losses []Loss
	// Damaged are the reports that cannot be read.
	Damaged []Key
	// FlashTotal is the bytes written since the store was made.
	FlashTotal int64
}

// Inspect reads the store in dir without changing it. The error is ErrLocked
// where another process has it open, and says what is wrong with a damaged
// one.
func Inspect(dir string) (Contents, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Contents{}, err
	}
	defer root.Close()
	f, err := root.Open(storeName)
	if err != nil {
		return Contents{}, err
	}
	defer f.Close()
	fail := func(err error) (Contents, error) {
		return Contents{}, fmt.Errorf("inspect %s: %w", filepath.Join(dir, storeName), err)
	}
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return fail(ErrLocked)
	case err != nil:
		return fail(err)
	}
	o, size, err := load(f)
	if err != nil {
		return fail(err)
	}
	return summarise(o, size), nil
}

func summarise(o *opened, size int64) Contents {
	sum := Contents{FileBytes: size, UsedBytes: o.used, Losses: o.losses, Damaged: o.drops}
	sort.Slice(sum.Losses, func(i, j int) bool { return compareLoss(sum.Losses[i], sum.Losses[j]) < 0 })
	sort.Slice(sum.Damaged, func(i, j int) bool { return sum.Damaged[i].Compare(sum.Damaged[j]) < 0 })
	var a account
	a.decode(o.account)
	sum.FlashTotal = a.total
	for i := range o.index {
		x := &o.index[i]
		for j := range x.entries {
			e := &x.entries[j]
			n := len(sum.Runs)
			if n == 0 || sum.Runs[n-1].Run != *e.run || sum.Runs[n-1].Lane != x.lane {
				sum.Runs = append(sum.Runs, RunSummary{Run: *e.run, Lane: x.lane, First: e.seq})
				n++
			}
			r := &sum.Runs[n-1]
			r.Reports++
			r.Last = e.seq
			r.Bytes += e.bytes()
			if x.lane == Windows && e.cols == 0 {
				r.Thinned++
			}
		}
	}
	return sum
}
