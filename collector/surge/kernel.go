package surge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/kernel"
	"livebox-agent/collector/sample"
)

const (
	// longestRecord is what one read needs: CONSOLE_EXT_LOG_MAX of
	// kernel/printk/printk.c.
	longestRecord = 8192
	// keptOfRecord is how much of a record whose end has not come is kept. The
	// kernel gives whole ones; a pipe may not.
	keptOfRecord = 2048

	// toldEvery and toldAtOnce bound the signs of a class: so many at once, and
	// then one each so often, with the count of what came meanwhile.
	toldEvery  = 10 * time.Second
	toldAtOnce = 4
)

// Kernel is the watcher messages, which tells when the kernel complains, and
// the source kernel, which has the counts of it.
type Kernel struct {
	path  string
	since time.Duration
	now   func() time.Duration

	log  reader
	last int64 // sequence of the last record; -1: none
	pace time.Duration
	// every says that messages of other programs count too, for tests.
	every bool

	mu      sync.Mutex // guards what follows
	read    bool       // the log can be read
	classes [numClasses]tally
	bad     int64 // records that made no sense
}

// A tally counts the messages of one class.
type tally struct {
	total, told int64
	// first is when the first came that has not been told.
	first time.Duration
	// free is when the next sign would be due if they came evenly.
	free time.Duration
}

// NewKernel returns the watcher messages and source kernel. What the kernel
// said before Config.Since is counted and not told.
func NewKernel(c Config) *Kernel {
	c = c.withDefaults()
	return &Kernel{path: filepath.Join(c.Dev, "kmsg"), since: c.Since, now: c.Now, last: -1, pace: toldEvery}
}

// Watch implements collector.Watcher.
func (k *Kernel) Watch() collector.Watch {
	return collector.Watch{Name: "messages", Purpose: catalogue.Essential}
}

// Run implements collector.Watcher.
func (k *Kernel) Run(ctx context.Context, notice func(sample.Sign)) error {
	if err := k.log.open(k.path); err != nil {
		return outcome(err)
	}
	defer k.log.close()
	k.mu.Lock()
	k.read = true
	k.mu.Unlock()
	// First all that is there, told together, then what comes.
	for {
		_, err := k.log.fill(ctx, time.Time{}, false)
		if errors.Is(err, unix.EAGAIN) {
			break
		}
		if err := k.heard(ctx, err); err != nil {
			k.tell(notice)
			return err
		}
		k.take(false, 0)
	}
	next := k.tell(notice)
	for {
		until := time.Time{}
		if next > 0 {
			until = time.Now().Add(next - k.now())
		}
		waited, err := k.log.fill(ctx, until, true)
		at := k.now()
		if err := k.heard(ctx, err); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			k.tell(notice)
			return err
		}
		k.take(waited, at)
		next = k.tell(notice)
	}
}

// heard says what the end of a read means; nil: go on.
func (k *Kernel) heard(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil, errors.Is(err, unix.EPIPE):
		// What was overwritten the next record's number tells.
		return nil
	case errors.Is(err, io.EOF):
		return fmt.Errorf("kernel log ended: %w", err)
	}
	return err
}

// take counts what the last read gave. With live, the first of it came at at.
func (k *Kernel) take(live bool, at time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	offset := kernel.Asleep()
	for line := range k.log.lines() {
		if line[0] == ' ' {
			continue // KEY=value: of the record before
		}
		var r record
		if r.parse(line) != nil {
			k.bad++
			continue
		}
		if r.sequence <= k.last {
			continue // read before a fault
		}
		if k.last >= 0 && r.sequence > k.last+1 {
			k.add(classNone, r.sequence-k.last-1, now)
		}
		k.last = r.sequence
		if live {
			live, offset = false, at-r.at
		}
		if r.facility != fromKernel && !k.every {
			continue
		}
		if c := classify(r.text); c != classNone {
			k.add(c, 1, min(now, max(0, r.at+offset)))
		}
	}
	if k.log.cut() {
		k.bad++
	}
}

// add counts n messages of a class, the first of them at at.
func (k *Kernel) add(c class, n int64, at time.Duration) {
	t := &k.classes[c]
	if t.total == t.told {
		t.first = at
	}
	t.total += n
	if at < k.since {
		t.told = t.total
	}
}

// tell tells of the classes that have something untold and are not told of too
// often. It returns when there is more to tell; 0: nothing is left.
func (k *Kernel) tell(notice func(sample.Sign)) (next time.Duration) {
	now := k.now()
	var signs [numClasses]sample.Sign
	n := 0
	k.mu.Lock()
	for c := range k.classes {
		t := &k.classes[c]
		due := t.free - (toldAtOnce-1)*k.pace
		switch {
		case t.total == t.told:
		case due > now:
			if next == 0 || due < next {
				next = due
			}
		default:
			t.free = max(t.free, now) + k.pace
			signs[n] = t.sign(class(c))
			n++
		}
	}
	k.mu.Unlock()
	for _, s := range signs[:n] {
		notice(s)
	}
	return next
}

// sign tells what t has untold.
func (t *tally) sign(c class) sample.Sign {
	s := sample.Sign{
		At: t.first, Kind: sample.KernelMessage, Instance: classNames[c],
		Metric: catalogue.KernelMessages, Before: t.told, After: t.total,
	}
	if c == classNone {
		s.Kind, s.Metric = sample.KernelMessagesLost, catalogue.KernelMessagesUntold
	}
	t.told = t.total
	return s
}

// Describe implements collector.Source.
func (k *Kernel) Describe() collector.Description {
	return collector.Description{
		Name: "kernel", Purpose: catalogue.Essential, Interval: time.Minute, Timeout: time.Second,
		Metrics: []catalogue.ID{catalogue.KernelMessages, catalogue.KernelMessagesUntold},
	}
}

// Collect implements collector.Source: it gives what the watcher has counted.
func (k *Kernel) Collect(_ context.Context, b *sample.Batch) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.read {
		return fmt.Errorf("the kernel's log is not read: %w", collector.ErrNoData)
	}
	b.Add(catalogue.KernelMessagesUntold, "", k.classes[classNone].total)
	for c, t := range k.classes {
		if c != int(classNone) && t.total > 0 {
			b.Add(catalogue.KernelMessages, classNames[c], t.total)
		}
	}
	if k.bad > 0 {
		return fmt.Errorf("%d records made no sense: %w", k.bad, collector.ErrNoData)
	}
	return nil
}

// A reader reads the log.
type reader struct {
	f     *os.File
	buf   [keptOfRecord + longestRecord]byte
	kept  int // bytes of an unfinished record, at the start of buf
	n     int // bytes in buf
	short bool
}

// open opens the log, or what stands for it: a pipe, a file.
func (l *reader) open(path string) error {
	// Without O_NONBLOCK a pipe would wait for its other end.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	l.f, l.kept, l.n = f, 0, 0
	return nil
}

func (l *reader) close() { _ = l.f.Close() }

// fill reads once. With wait, it waits for something to read until ctx is done
// or the time until, if that is not zero, and says whether it had to; without,
// the error is EAGAIN where there is nothing.
func (l *reader) fill(ctx context.Context, until time.Time, wait bool) (waited bool, err error) {
	raw, err := l.f.SyscallConn()
	if err != nil {
		return false, err
	}
	if err := l.f.SetReadDeadline(until); err != nil && !errors.Is(err, os.ErrNoDeadline) {
		return false, err
	}
	stop := context.AfterFunc(ctx, func() { _ = l.f.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	l.n = l.kept
	n := 0
	failed := raw.Read(func(fd uintptr) bool {
		for {
			n, err = unix.Read(int(fd), l.buf[l.kept:l.kept+longestRecord])
			if !errors.Is(err, unix.EINTR) {
				break
			}
		}
		if wait && errors.Is(err, unix.EAGAIN) {
			waited = true
			return false
		}
		return true
	})
	switch {
	case failed != nil:
		return waited, failed
	case err != nil:
		return waited, err
	case n == 0:
		return waited, io.EOF
	}
	l.n = l.kept + n
	return waited, nil
}

// lines gives the whole lines of the last read, none of them empty, and keeps
// what follows for the next.
func (l *reader) lines() func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		rest := l.buf[:l.n]
		for {
			line, after, ok := bytes.Cut(rest, []byte{'\n'})
			if !ok {
				break
			}
			rest = after
			if len(line) > 0 && !yield(line) {
				return
			}
		}
		l.short = len(rest) > keptOfRecord
		if l.short {
			rest = nil
		}
		l.kept = copy(l.buf[:], rest)
		l.n = l.kept
	}
}

// cut says whether the end of the last read was longer than what is kept.
func (l *reader) cut() bool { return l.short }

// outcome says what an error of a file means.
func outcome(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", err, collector.ErrRefused)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return fmt.Errorf("%w: %w", err, collector.ErrNoData)
	}
	return err
}
