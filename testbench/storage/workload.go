package storage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"livebox-agent/buffer"
	"livebox-agent/collector/catalogue"
)

const time20 = 20 * time.Minute

// A workload is what an agent does to its state directory.
type workload struct {
	name string
	do   func(b *box) error
	// runs of the agent in it.
	runs int
	// late: it says itself when the disk is to fail.
	late bool
}

// workloads are those that every cut is made of.
func workloads() []workload {
	return []workload{
		{"two runs of an agent", life, 2, false},
		{"a store at its limit", pressure, 1, false},
		{"the repair of a damaged store", repair, 2, false},
	}
}

// brief is little, for where each of its cuts is made many times.
func brief(b *box) error {
	err := b.start(allPurposes)
	err = errors.Join(err, b.window(900), b.spill())
	b.ack(buffer.Events, 1)
	b.now += 6 * time.Minute // the flash is left alone for five after an error
	return errors.Join(err, b.event(nil), b.window(900), b.stop())
}

// life is a first run, with its clock learnt and everything acknowledged for a
// while, and a second one in the next boot after consent was withdrawn.
func life(b *box) error {
	err := b.start(allPurposes)
	for n := range uint64(3) {
		err = errors.Join(err, b.event(nil), b.window(900), b.window(900), b.spill())
		b.ack(buffer.Windows, 2*n+1)
		if n == 1 {
			b.learn()
			b.ack(buffer.Events, 2)
			err = errors.Join(err, b.clock.Keep())
		}
	}
	_, kerr := b.keys.Age(24 * time.Hour)
	err = errors.Join(err, kerr)
	b.now += 2 * time.Hour // acknowledged reports are deleted
	err = errors.Join(err, b.store.Tick(), b.window(900))
	b.learn()
	err = errors.Join(err, b.stop())

	b.kernel++
	b.now = time.Minute
	err = errors.Join(err, b.start(fewPurposes), b.window(900), b.event(nil), b.spill())
	b.ack(buffer.Events, 1)
	return errors.Join(err, b.stop())
}

// pressure thins, drops, and tells the ledger.
func pressure(b *box) error {
	err := b.start(allPurposes)
	for n := range 12 {
		for range 3 {
			err = errors.Join(err, b.window(13000))
		}
		err = errors.Join(err, b.spill())
		if n%4 == 3 {
			err = errors.Join(err, b.event(nil), b.tellLosses())
		}
	}
	b.withdraw(catalogue.Mobile)
	return errors.Join(err, b.tellLosses(), b.stop())
}

// laden fills a store, and has the disk fail when there is much in it.
func laden(b *box) error {
	err := b.start(allPurposes)
	for range 10 {
		err = errors.Join(err, b.window(13000), b.event(nil), b.spill())
	}
	if b.trouble != nil {
		b.trouble()
	}
	err = errors.Join(err, b.event(nil))
	b.now += 6 * time.Minute // the flash is left alone for five after an error
	return errors.Join(err, b.event(nil), b.window(900), b.stop())
}

// repair is a start that finds a page of the store damaged.
func repair(b *box) error {
	err := b.start(allPurposes)
	for n := range 12 {
		err = errors.Join(err, b.window(3000))
		if n%3 == 2 {
			err = errors.Join(err, b.event(nil), b.spill())
		}
	}
	if err := errors.Join(err, b.stop()); err != nil {
		return err
	}
	victim := b.log.reports[len(b.log.reports)/2]
	if err := b.damage(victim.Header); err != nil {
		return err
	}
	b.now += time20
	if b.trouble != nil {
		b.trouble()
	}
	if err := b.start(allPurposes); err != nil {
		return err
	}
	switch c := b.store.Condition(); {
	case c.State == buffer.Unavailable && b.trouble != nil:
		return errors.Join(b.event(nil), b.window(900), b.stop())
	case c.State != buffer.Reset:
		return fmt.Errorf("the damaged store is %v (%s)", c.State, c.Reason)
	}
	if b.log.salvaged(b.held()) == 0 {
		return errors.New("the damage cost nothing")
	}
	return errors.Join(b.event(nil), b.tellLosses(), b.window(900), b.stop())
}

// damage spoils the header of every page of the store that holds what.
func (b *box) damage(what []byte) error {
	name := filepath.Join(b.dir, "reports.db")
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	b.log.damaged = b.log.at()
	// Pages that are no longer in use may have it too.
	for at := 0; at < len(content); at += pageSize {
		if bytes.Contains(content[at:min(at+pageSize, len(content))], what) {
			_, werr := f.WriteAt([]byte("rotten"), int64(at))
			err = errors.Join(err, werr)
		}
	}
	return errors.Join(err, f.Sync(), f.Close())
}

// held returns what the store holds.
func (b *box) held() map[buffer.Key]bool {
	there := map[buffer.Key]bool{}
	for _, lane := range []buffer.Lane{buffer.Events, buffer.Windows} {
		var after buffer.Key
		for {
			r, ok := b.store.Next(lane, after)
			if !ok {
				break
			}
			there[r.Key], after = true, r.Key
		}
	}
	return there
}
