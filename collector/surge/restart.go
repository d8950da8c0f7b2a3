package surge

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/kernel/sysfs"
	"livebox-agent/collector/sample"
)

const (
	// patience is how long Restart waits for each teller.
	patience = 3 * time.Second
	// maxEntries bounds what is looked at of a folder or a log.
	maxEntries = 64
	// maxReason bounds a reason in bytes.
	maxReason = 200
)

// A teller is a part of the box that may tell why it restarted.
type teller struct {
	name string
	ask  func(ctx context.Context, b *sample.Batch) error
}

// tellers are those that c has.
func (c Config) tellers() []teller {
	all := []teller{
		{"watchdog", func(_ context.Context, b *sample.Batch) error { return readWatchdogs(c.Sys, b) }},
		{"pstore", func(_ context.Context, b *sample.Batch) error { return readCrashes(c.Sys, b) }},
	}
	if c.Sysbus != nil {
		all = append(all, teller{"sysbus", func(ctx context.Context, b *sample.Batch) error { return askSysbus(ctx, c.Sysbus, b) }})
	}
	if c.Model != nil {
		all = append(all, teller{"model", func(ctx context.Context, b *sample.Batch) error { return askModel(ctx, c.Model, b) }})
	}
	return all
}

// errLate is the error of a teller that did not answer.
var errLate = fmt.Errorf("no answer within %v", patience)

// Restart asks every part of the box that can tell why it restarted, all at
// once and each for a few seconds. The signs are at the time of the boot,
// zero. Unseen names those that could not tell, and says why.
func Restart(ctx context.Context, c Config) (signs []sample.Sign, unseen []string) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	type answer struct {
		b   sample.Batch
		err error
	}
	tellers := c.withDefaults().tellers()
	answers := make([]chan *answer, len(tellers))
	for i, t := range tellers {
		// Room for the answer, so that one who is late can still go.
		answers[i] = make(chan *answer, 1)
		go func() {
			a := &answer{}
			a.err = t.safely(ctx, &a.b)
			answers[i] <- a
		}()
	}
	for i, t := range tellers {
		a := &answer{err: errLate}
		select {
		case a = <-answers[i]:
		case <-ctx.Done():
			select { // it may have answered while another was waited for
			case a = <-answers[i]:
			default:
			}
		}
		if errors.Is(a.err, context.DeadlineExceeded) {
			a.err = errLate
		}
		found := signsOf(&a.b)
		signs = append(signs, found...)
		if a.err != nil && len(found) == 0 {
			unseen = append(unseen, t.name+": "+short(a.err))
		}
	}
	return signs, unseen
}

// safely asks t, whose panic is its own fault.
func (t teller) safely(ctx context.Context, b *sample.Batch) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return t.ask(ctx, b)
}

// signsOf returns what readings say of the restart.
func signsOf(b *sample.Batch) (signs []sample.Sign) {
	for _, r := range b.Readings {
		switch {
		case r.Metric == catalogue.RestartReason:
			signs = append(signs, sample.Sign{Kind: sample.ResetCause, Instance: r.Instance, Metric: r.Metric, After: r.Value})
		case r.Metric == catalogue.CrashRecords && r.Value > 0:
			signs = append(signs, sample.Sign{Kind: sample.CrashRecord, Metric: r.Metric, After: r.Value})
		}
	}
	return signs
}

// short returns err on one line of bounded length.
func short(err error) string {
	s := strings.ToValidUTF8(strings.Join(strings.Fields(err.Error()), " "), "?")
	if len(s) > maxReason {
		s = strings.ToValidUTF8(s[:maxReason], "") + "…"
	}
	return s
}

// Restarts is the source restarts: why the box last restarted, and how often
// it has.
type Restarts struct{ tellers []teller }

// NewRestarts returns the source restarts.
func NewRestarts(c Config) *Restarts { return &Restarts{c.withDefaults().tellers()} }

// Describe implements collector.Source.
func (s *Restarts) Describe() collector.Description {
	return collector.Description{
		Name: "restarts", Purpose: catalogue.Essential, Interval: 5 * time.Minute, Timeout: 55 * time.Second,
		Metrics: []catalogue.ID{
			catalogue.RestartReason, catalogue.Restarts, catalogue.WatchdogRestarts, catalogue.ColdRestarts,
			catalogue.WarmRestarts, catalogue.VersionRestarts, catalogue.CrashRecords,
		},
	}
}

// Collect implements collector.Source.
func (s *Restarts) Collect(ctx context.Context, b *sample.Batch) error {
	before := len(b.Readings)
	var reasons []string
	var worst error
	for _, t := range s.tellers {
		err := t.ask(ctx, b)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			reasons = append(reasons, t.name+": "+short(err))
		}
		worst = worse(worst, err)
	}
	if rank(worst) == failed {
		return worst
	}
	if worst == nil {
		return nil
	}
	kind := collector.ErrNoData
	if rank(worst) == refused && len(b.Readings) == before {
		kind = collector.ErrRefused
	}
	return &reasonsError{kind, reasons}
}

// The ranks of errors, by what they mean for who asked.
const (
	absent = iota + 1
	refused
	failed
)

func rank(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, collector.ErrNoData):
		return absent
	case errors.Is(err, collector.ErrRefused):
		return refused
	}
	return failed
}

// worse returns the error of the two that has the higher rank, the first of
// equals: joined, an absence would hide a failure.
func worse(a, b error) error {
	if rank(b) > rank(a) {
		return b
	}
	return a
}

// A reasonsError says what was not there. The reasons have the kind's words in
// them.
type reasonsError struct {
	kind    error
	reasons []string
}

func (e *reasonsError) Error() string { return strings.Join(e.reasons, "; ") }
func (e *reasonsError) Unwrap() error { return e.kind }

// flags are what a watchdog says of the last restart (include/uapi/linux/
// watchdog.h), what says most first: where several are set, the supply is what
// made the watchdog's own flag.
var flags = [...]struct{ flag, reason int64 }{
	{0x10, catalogue.RestartBrownOut},    // WDIOF_POWERUNDER
	{0x40, catalogue.RestartOverVoltage}, // WDIOF_POWEROVER
	{0x01, catalogue.RestartOverheat},    // WDIOF_OVERHEAT
	{0x02, catalogue.RestartFan},         // WDIOF_FANFAULT
	{0x20, catalogue.RestartWatchdog},    // WDIOF_CARDRESET
	{0x0c, catalogue.RestartExternal},    // WDIOF_EXTERN1, WDIOF_EXTERN2
}

// readWatchdogs asks every watchdog, by its files: to open the device would
// arm it.
func readWatchdogs(sys string, b *sample.Batch) error {
	folder := filepath.Join("class", "watchdog")
	entries, err := os.ReadDir(filepath.Join(sys, folder))
	if err != nil {
		return outcome(err)
	}
	before := len(b.Readings)
	var failure error
	for _, e := range entries[:min(len(entries), maxEntries)] {
		if !numbered(e.Name(), "watchdog") {
			continue
		}
		reason, err := readWatchdog(sys, filepath.Join(folder, e.Name(), "bootstatus"))
		switch {
		case err != nil:
			failure = err
		case reason != catalogue.RestartUnknown:
			b.Add(catalogue.RestartReason, e.Name(), reason)
		}
	}
	switch {
	case failure != nil:
		return outcome(failure)
	case len(b.Readings) == before:
		return fmt.Errorf("no watchdog says anything: %w", collector.ErrNoData)
	}
	return nil
}

// readWatchdog returns the reason that a watchdog gives; unknown where it gives
// none.
func readWatchdog(sys, name string) (reason int64, err error) {
	f, err := sysfs.Open(sys, name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	status, err := f.Int()
	if err != nil {
		return 0, err
	}
	for _, f := range flags {
		if status&f.flag != 0 {
			return f.reason, nil
		}
	}
	return catalogue.RestartUnknown, nil
}

// numbered says whether name is prefix and a number.
func numbered(name, prefix string) bool {
	number, ok := strings.CutPrefix(name, prefix)
	_, whole := digits([]byte(number))
	return ok && whole
}

// pstoreMagic is the type of the kernel's file system of crash records
// (PSTOREFS_MAGIC, include/uapi/linux/magic.h).
const pstoreMagic = 0x6165676c

// readCrashes counts the records of crashes. They are neither read nor
// removed: they belong to the firmware's own collector.
func readCrashes(sys string, b *sample.Batch) error {
	folder := filepath.Join(sys, "fs", "pstore")
	d, err := os.Open(folder)
	if err != nil {
		return outcome(err)
	}
	defer d.Close()
	names, err := d.Readdirnames(maxEntries)
	if len(names) == 0 {
		var fs unix.Statfs_t
		if unix.Statfs(folder, &fs) != nil || uint32(fs.Type) != pstoreMagic {
			return fmt.Errorf("pstore is not mounted: %w", collector.ErrNoData)
		}
	} else if err != nil {
		return outcome(err)
	}
	crashes := int64(0)
	for _, name := range names {
		// dmesg-BACKEND-NUMBER is of an oops or a panic; console- and pmsg-
		// are there after any restart.
		if strings.HasPrefix(name, "dmesg-") {
			crashes++
		}
	}
	b.Add(catalogue.CrashRecords, "", crashes)
	return nil
}
