package surge

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/label"
	"livebox-agent/collector/platform/kernel/sysfs"
	"livebox-agent/collector/sample"
)

// contactEvery is how often a contact is looked at whose changes the kernel
// does not tell.
const contactEvery = time.Second

// Protection is the source protection, which has the state of surge protection
// devices, and the watcher contacts, which tells when one has worked.
type Protection struct {
	sys   string
	names []string
	now   func() time.Duration
	every time.Duration

	// states are those that the watcher knows, by name.
	states map[string]int64
}

// NewProtection returns the source protection and watcher contacts.
func NewProtection(c Config) *Protection {
	c = c.withDefaults()
	p := &Protection{sys: c.Sys, now: c.Now, every: contactEvery, states: map[string]int64{}}
	for _, name := range c.Protection {
		if filepath.IsLocal(name) && filepath.Base(name) == name && !label.HasAddress(name) && !slices.Contains(p.names, name) {
			p.names = append(p.names, name)
		}
	}
	return p
}

// Describe implements collector.Source.
func (p *Protection) Describe() collector.Description {
	return collector.Description{
		Name: "protection", Purpose: catalogue.Essential, Interval: time.Minute, Timeout: 5 * time.Second,
		Metrics: []catalogue.ID{catalogue.ProtectionState},
	}
}

// Watch implements collector.Watcher.
func (p *Protection) Watch() collector.Watch {
	return collector.Watch{Name: "contacts", Purpose: catalogue.Essential}
}

// A contact is one that is open.
type contact struct {
	name string
	file *sysfs.File
}

// open opens the contacts that are there; err is why one of the others is not.
func (p *Protection) open() (contacts []contact, err error) {
	err = fmt.Errorf("no contact is configured: %w", collector.ErrNoData)
	for _, name := range p.names {
		f, failure := sysfs.Open(p.sys, filepath.Join("class", "gpio", name, "value"))
		if failure != nil {
			err = outcome(failure)
			continue
		}
		contacts = append(contacts, contact{name, f})
	}
	return contacts, err
}

func closeAll(contacts []contact) {
	for _, c := range contacts {
		_ = c.file.Close()
	}
}

// state returns what a contact says.
func (c contact) state() (int64, error) {
	v, err := c.file.Int()
	switch {
	case err != nil:
		return 0, outcome(err)
	case v == 0:
		return catalogue.ProtectionReady, nil
	}
	return catalogue.ProtectionTripped, nil
}

// Collect implements collector.Source.
func (p *Protection) Collect(_ context.Context, b *sample.Batch) error {
	contacts, err := p.open()
	defer closeAll(contacts)
	for _, c := range contacts {
		state, failure := c.state()
		if failure != nil {
			err = failure
			continue
		}
		b.Add(catalogue.ProtectionState, c.name, state)
	}
	if len(b.Readings) == len(p.names) && len(p.names) > 0 {
		return nil
	}
	return err
}

// Run implements collector.Watcher. A device found tripped at the first look is
// told.
func (p *Protection) Run(ctx context.Context, notice func(sample.Sign)) error {
	contacts, err := p.open()
	defer closeAll(contacts)
	if len(contacts) == 0 {
		return err
	}
	files := make([]*sysfs.File, len(contacts))
	for i, c := range contacts {
		files[i] = c.file
	}
	w, err := sysfs.NewWaiter(files...)
	if err != nil {
		return err
	}
	defer w.Close()
	for {
		if err := p.look(contacts, notice); err != nil {
			return err
		}
		if err := w.Wait(ctx, p.every); err != nil {
			return err
		}
	}
}

// look tells which contacts have tripped since the last look. The error is that
// of the last where none can be read.
func (p *Protection) look(contacts []contact, notice func(sample.Sign)) error {
	var failure error
	read := 0
	for _, c := range contacts {
		state, err := c.state()
		if err != nil {
			failure = worse(failure, err)
			continue
		}
		read++
		before := p.states[c.name]
		p.states[c.name] = state
		if state == catalogue.ProtectionTripped && before != state {
			notice(sample.Sign{
				At: p.now(), Kind: sample.ProtectionTripped, Instance: c.name,
				Metric: catalogue.ProtectionState, Before: before, After: state,
			})
		}
	}
	if read > 0 {
		return nil
	}
	return failure
}
