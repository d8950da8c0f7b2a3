package agent

import (
	"errors"
	"io/fs"
	"time"

	"livebox-agent/collector/catalogue"
)

// usualEvery is how often what is usual goes to flash: a day's band changes
// little in a quarter of one.
const usualEvery = 6 * time.Hour

// maxUsual bounds what is kept: more than any box has of levels.
const maxUsual = 128

// recallUsual gives the detectors what was usual in the run before, of the
// purposes that are granted still.
func (a *Agent) recallUsual() {
	all, err := a.usual.Read()
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		a.log.Warn("what is usual on this box is learnt anew", "err", err)
		return
	}
	a.detectors.Restore(all)
	for _, p := range catalogue.Purposes() {
		if !a.granted.Has(p) {
			a.detectors.Forget(p)
		}
	}
	if len(a.detectors.Baselines()) < len(all) {
		a.keepUsual() // what an earlier consent left goes from the flash at once
	}
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
