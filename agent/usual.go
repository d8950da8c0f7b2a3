package agent

import (
	"time"

	"livebox-agent/agent/kept"
)

// usualEvery is how often what is usual goes to flash: a day's band changes
// little in a quarter of one.
const usualEvery = 6 * time.Hour

// maxUsual bounds what is kept: more than any box has of levels.
const maxUsual = 128

// recallUsual gives the detectors what was usual in the run before, of the
// purposes that are granted still.
func (a *Agent) recallUsual() {
	all, err := kept.RecallUsual(a.usual, a.granted.Has)
	if err != nil {
		a.log.Warn("what is usual on this box is not all known", "err", err)
	}
	a.detectors.Restore(all)
}

// keepUsual writes what is usual to flash.
func (a *Agent) keepUsual() {
	a.mu.Lock()
	all := a.detectors.Baselines()
	a.mu.Unlock()
	if err := a.usual.Write(all[:min(len(all), maxUsual)]); err != nil {
		a.log.Debug("what is usual on this box not kept", "err", err)
	}
}
