package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"livebox-agent/buffer"
	"livebox-agent/testbench/fault"
	"livebox-agent/testbench/faultdisk"
)

// A filling is a disk that has 4 KiB more in each turn, until there is enough.
type filling struct {
	name     string
	fault    faultdisk.Fault
	workload workload
}

// fillings are the ways in which a disk is too small.
func fillings() []filling {
	whole := workload{"two runs of an agent", life, 2, false}
	full := workload{"a store with much in it", laden, 1, true}
	broken := workload{"the repair of a damaged store", repair, 2, true}
	once := faultdisk.Fault{Errno: syscall.EIO, Kinds: []faultdisk.Kind{faultdisk.Sync}, Times: 1}
	return []filling{
		{"flash of 4 KiB more each time", faultdisk.Fault{}, whole},
		{"flash of 4 KiB more each time, told by the sync", faultdisk.Fault{Late: true}, whole},
		{"a sync fails on a flash with 4 KiB more left each time", once, full},
		{"a damaged store on a flash with 4 KiB more left each time", faultdisk.Fault{}, broken},
		{"a damaged store on such a flash, told by the sync", faultdisk.Fault{Late: true}, broken},
	}
}

// fillEach runs the workload on disks of any size.
func fillEach(d *faultdisk.Disk, f filling) (all Failures, err error) {
	enough, log, err := fillOne(d, f, 1<<20)
	if err != nil {
		return all, err
	}
	all.add(enough.Verdict)
	for pages := range int64(1000) {
		one, got, err := fillOne(d, f, pages)
		if err != nil {
			return all, fmt.Errorf("%s, %d pages: %w", f.name, pages, err)
		}
		if a, b := log.gone(), got.gone(); a != b {
			one.problem("%d reports went with the damage; where there is room, %d do", b, a)
		}
		for i, p := range one.Problems {
			one.Problems[i] = fmt.Errorf("%s, %d pages: %w", f.name, pages, p)
		}
		all.add(one.Verdict)
		all.Runs++
		all.Left += one.Left
		all.Short += one.Short
		all.Recovered = max(all.Recovered, one.Recovered)
		if one.Short == 0 || len(all.Problems) > 20 {
			return all, nil
		}
	}
	return all, fmt.Errorf("%s: a thousand pages are not enough", f.name)
}

// fillOne runs it on a disk with so many pages left where the workload has come
// to when there is to be no more.
func fillOne(d *faultdisk.Disk, f filling, pages int64) (one Failures, log *promises, err error) {
	one, log, err = runOn(d, f.workload, func() {
		fault := f.fault
		// Not 0, which is no limit.
		fault.From, fault.Capacity = d.Len(), d.Used()+pages*pageSize+1
		d.Fail(fault)
	})
	if err != nil {
		return one, log, err
	}
	trace := d.Trace()
	cuts, err := log.cutFrom(len(trace), trace, 20)
	one.add(cuts.Verdict)
	one.Left = cuts.Left
	return one, log, err
}

// gone is how many reports went with damage.
func (l *promises) gone() (n int) {
	for _, m := range l.reports {
		if m.gone {
			n++
		}
	}
	return n
}

// errNoMount says that this machine does not let a tmpfs be mounted.
var errNoMount = errors.New("no tmpfs to be had")

// small is a real file system of so many bytes.
type small struct{ dir string }

func newSmall(bytes int64) (s small, err error) {
	if s.dir, err = os.MkdirTemp("", "small"); err != nil {
		return s, err
	}
	if err := unix.Mount("none", s.dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		return s, errors.Join(fmt.Errorf("%w: %w", errNoMount, err), os.Remove(s.dir))
	}
	return s, nil
}

func (s small) resize(bytes int64) error {
	return unix.Mount("none", s.dir, "tmpfs", unix.MS_REMOUNT, fmt.Sprintf("size=%d", bytes))
}

func (s small) used() (int64, error) {
	var st unix.Statfs_t
	err := unix.Statfs(s.dir, &st)
	return int64(st.Blocks-st.Bfree) * st.Bsize, err
}

func (s small) close() error {
	return errors.Join(unix.Unmount(s.dir, unix.MNT_DETACH), os.Remove(s.dir))
}

// image is everything on it.
func (s small) image() (m faultdisk.Image, err error) {
	m.Files = map[string][]byte{}
	err = filepath.WalkDir(s.dir, func(name string, e fs.DirEntry, err error) error {
		at, rerr := filepath.Rel(s.dir, name)
		if err = errors.Join(err, rerr); err != nil || at == "." {
			return err
		}
		if e.IsDir() {
			m.Dirs = append(m.Dirs, at)
			return nil
		}
		m.Files[at], err = os.ReadFile(name)
		return err
	})
	return m, err
}

// roomy is a size that is enough.
const roomy = 8 << 20

// fillSmall runs agents on real file systems, each 4 KiB larger than the one
// before, from one page up to more than they need.
func fillSmall() (all Failures, err error) {
	for _, w := range []workload{{"two runs of an agent", life, 2, false}, {"a store with much in it", laden, 1, false}} {
		_, need, err := smallOne(w, roomy)
		if err != nil {
			return all, err
		}
		for size := int64(pageSize); size <= need+pageSize; size += pageSize {
			one, _, err := smallOne(w, size)
			if err != nil {
				return all, fmt.Errorf("%s, %d bytes: %w", w.name, size, err)
			}
			for i, p := range one.Problems {
				one.Problems[i] = fmt.Errorf("%s, %d bytes: %w", w.name, size, p)
			}
			all.add(one.Verdict)
			all.Runs++
			all.Short += one.Short
			all.Recovered = max(all.Recovered, one.Recovered)
			if len(all.Problems) > 20 {
				return all, nil
			}
		}
	}
	return all, nil
}

// smallOne runs one on one; used is what was on it before the last run ended.
func smallOne(w workload, size int64) (one Failures, used int64, err error) {
	s, err := newSmall(size)
	if err != nil {
		return one, 0, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	calls := 0
	log := newPromises(func() int { calls++; return calls })
	b := newBox(s.dir, smallConfig(), log)
	runs := 0
	b.stopping = func() error {
		runs++
		one.missing(log, b)
		if b.store.Condition().State == buffer.Unavailable {
			one.Short++
		}
		if runs < w.runs {
			return nil
		}
		var uerr error
		used, uerr = s.used()
		err := errors.Join(uerr, s.resize(roomy))
		one.recover(b)
		return err
	}
	_ = w.do(b) // its errors are that what cannot be kept was not kept
	if runs < w.runs {
		return one, 0, fmt.Errorf("%d of %d runs came to their end", runs, w.runs)
	}
	m, err := s.image()
	if err != nil {
		return one, 0, err
	}
	v, err := log.inMemory(log.at(), m)
	one.add(v)
	return one, used, err
}

func fullRows(context.Context, fault.Lab) (rows []fault.Row, err error) {
	d, err := faultdisk.New()
	if err != nil {
		return nil, err
	}
	defer d.Close()
	row := func(name string, got Failures, err error) error {
		rows = append(rows, fault.Row{
			Fault: name, Trials: got.Runs, Lost: got.Lost, Duplicated: got.Duplicated,
			Recovered: got.Recovered, Virtual: true, Note: fmt.Sprintf("%d times without room", got.Short),
		})
		return errors.Join(err, got.err())
	}
	for _, f := range fillings() {
		got, err := fillEach(d, f)
		if err := row(f.name, got, err); err != nil {
			return rows, err
		}
	}
	got, err := fillSmall()
	return rows, row("tmpfs of 4 KiB more each time", got, err)
}
