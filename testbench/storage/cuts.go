package storage

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"livebox-agent/testbench/faultdisk"
)

// Cuts is what came of cutting the power at every operation of a workload.
type Cuts struct {
	Verdict

	// Operations of the workload, Writes and Syncs among them.
	Operations, Writes, Syncs int
	// Left are the different states that the cuts left, each of which was
	// judged.
	Left int
}

// recorded runs a workload on a fault disk.
func recorded(w workload) (*promises, faultdisk.Trace, error) {
	d, err := faultdisk.New()
	if err != nil {
		return nil, nil, err
	}
	log := newPromises(d.Len)
	err = w.do(newBox(d.Dir, smallConfig(), log))
	return log, d.Trace(), errors.Join(err, d.Close())
}

// memory is where states are laid out: what is judged there is no one's to
// keep, and syncs cost nothing.
const memory = "/dev/shm"

// cutFrom judges everything that a cut may leave of trace after so many
// operations or more. atMost is how many broken promises it stops at.
func (l *promises) cutFrom(first int, trace faultdisk.Trace, atMost int) (c Cuts, err error) {
	c.Operations = len(trace)
	for _, op := range trace {
		switch op.Kind {
		case faultdisk.Write:
			c.Writes++
		case faultdisk.Sync, faultdisk.SyncDir:
			c.Syncs++
		}
	}
	type left struct {
		cut   faultdisk.Cut
		image faultdisk.Image
	}
	work := make(chan left)
	var judges sync.WaitGroup
	var mu sync.Mutex // guards c and err
	stop := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return err != nil || len(c.Problems) >= atMost
	}
	for range 2 {
		judges.Go(func() {
			for s := range work {
				v, jerr := l.inMemory(s.cut.After, s.image)
				for i, p := range v.Problems {
					v.Problems[i] = fmt.Errorf("power cut after operation %d, %s: %w", s.cut.After, s.cut.What, p)
				}
				mu.Lock()
				c.add(v)
				err = errors.Join(err, jerr)
				mu.Unlock()
			}
		})
	}
	type state struct {
		key     uint64
		version int
	}
	seen := map[state]bool{}
	for cut := range trace.Cuts() {
		s := state{cut.Key, l.version(cut.After)}
		if cut.After < first || seen[s] {
			continue
		}
		if stop() {
			break
		}
		seen[s] = true
		work <- left{cut, cut.Image()}
	}
	close(work)
	judges.Wait()
	c.Left = len(seen)
	return c, err
}

// inMemory judges an image.
func (l *promises) inMemory(n int, m faultdisk.Image) (v Verdict, err error) {
	at := memory
	if _, serr := os.Stat(at); serr != nil {
		at = ""
	}
	dir, err := os.MkdirTemp(at, "storage")
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := m.Write(dir); err != nil {
		return v, err
	}
	return l.judge(n, dir, m), nil
}
