package agent

import (
	"errors"
	"io/fs"
	"time"

	"livebox-agent/agent/clock"
	"livebox-agent/agent/episode"
	"livebox-agent/collector/sample"
)

// unasked tells whether the kernel booted anew and nobody had asked for it, as far
// as the run before could say.
func (a *Agent) unasked() bool {
	start := a.clock.Start()
	return !start.SameBoot && start.PreviousEnd != clock.EndClean && start.PreviousEnd != clock.EndFirst
}

// recallRoll reads which ports and lines had a link in the run before.
func (a *Agent) recallRoll() {
	marks, err := a.links.Read()
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		a.log.Warn("which links were up before is not known", "err", err)
		return
	}
	a.roll.Restore(marks, a.clock.Mono(), a.unasked())
}

// callRoll has told what had a link before a restart that nobody asked for and has
// none now, and keeps what has one.
func (a *Agent) callRoll(now time.Duration) {
	a.mu.Lock()
	missed := a.roll.Call(now)
	if len(missed) > 0 {
		missed = append(append([]sample.Sign(nil), a.restarted...), missed...)
	}
	marks, due := a.roll.Due(now)
	a.mu.Unlock()
	if len(missed) > 0 {
		a.missed <- missed // there is room: it happens once a run
	}
	if !due {
		return
	}
	if err := a.links.Write(marks); err != nil {
		a.log.Debug("which links are up not kept", "err", err)
		return
	}
	a.mu.Lock()
	a.roll.Kept(marks)
	a.mu.Unlock()
}

// tellMissed makes events of what is missed since a restart.
func (a *Agent) tellMissed(signs []sample.Sign) {
	a.tell(func(g *episode.Gatherer, now time.Duration) []episode.Told { return g.Restarted(signs, now) })
}
