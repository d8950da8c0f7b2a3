package agent

import (
	"errors"
	"runtime/debug"
	"time"

	"livebox-agent/buffer"
	"livebox-agent/collector/catalogue"
	"livebox-agent/uplink/wire"
)

// seal ends the open window and gives it to the buffer. Sealing makes most of
// the garbage: a few milliseconds each window keep the agent at the size that it
// needs in between.
func (a *Agent) seal() {
	if a.sealWindow() {
		debug.FreeOSMemory()
	}
}

// sealWindow ends the open window, and tells whether it had anything.
func (a *Agent) sealWindow() bool {
	now := a.clock.Mono()
	a.mu.Lock()
	opened := a.opened
	a.opened = now
	parts := a.window.Seal(opened, now)
	a.mu.Unlock()
	for _, p := range parts {
		a.report(buffer.Windows, p.Opened, p.Sealed, p.Sections, a.store.Append)
	}
	return len(parts) > 0
}

// event makes a report of e, which happens now if it does not say when.
func (a *Agent) event(e wire.Event) {
	if e.At == 0 {
		e.At = a.clock.Mono()
	}
	a.report(buffer.Events, e.At, e.At, eventSections(e, catalogue.Essential), a.store.Append)
}

// report makes a report, gives it its number and header, and has it kept. It
// returns the number, 0 where it was not kept.
func (a *Agent) report(lane buffer.Lane, opened, sealed time.Duration, sections []buffer.Section, keep func(buffer.Report) error) uint64 {
	run := a.clock.Start().Run
	a.order.Lock()
	defer a.order.Unlock()
	a.sequences[lane]++
	k := buffer.Key{Run: buffer.Run(run), Lane: lane, Sequence: a.sequences[lane]}
	err := keep(buffer.Report{
		Key:    k,
		Opened: opened,
		Sealed: sealed,
		Header: wire.AppendHeader(nil, wire.Header{
			Run:       run,
			Lane:      wire.Lane(lane),
			Sequence:  k.Sequence,
			Consent:   a.consent(),
			Catalogue: catalogue.Hash(),
			Opened:    opened,
			Sealed:    sealed,
		}),
		Sections: sections,
	})
	if err != nil && !errors.Is(err, buffer.ErrNotDurable) {
		a.sequences[lane]-- // no one will ever see it
		a.log.Error("report not buffered", "lane", lane.String(), "sequence", k.Sequence, "err", err)
		return 0
	}
	return k.Sequence
}

func (a *Agent) consent() wire.Consent {
	return wire.Consent{PolicyVersion: a.cfg.Consent.PolicyVersion, Purposes: uint32(a.granted)}
}

// payload is the whole message of a buffered report: what only publishing
// knows (the name of the box, the wall time of the boot) around what was
// sealed, which stays as it is. A summary goes only where its columns are
// gone.
func (a *Agent) payload(dst []byte, box string, r buffer.Report) []byte {
	dst = wire.AppendBox(dst, box)
	dst = append(dst, r.Header...)
	for _, s := range r.Sections {
		if s.Fidelity == buffer.Summary && has(r.Sections, s.Purpose, buffer.Columns) {
			continue
		}
		dst = wire.AppendSection(dst, s.Purpose, wire.Fidelity(s.Fidelity), s.Body)
	}
	return wire.AppendClock(dst, a.clock.At(r.Key.Run.KernelBoot))
}

func has(sections []buffer.Section, p catalogue.Purpose, f buffer.Fidelity) bool {
	for _, s := range sections {
		if s.Purpose == p && s.Fidelity == f {
			return true
		}
	}
	return false
}
