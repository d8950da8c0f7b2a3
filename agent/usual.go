package agent

import (
	"encoding/json"
	"errors"
	"io/fs"
	"time"

	"livebox-agent/agent/detect"
	"livebox-agent/buffer/durable"
	"livebox-agent/collector/catalogue"
)

const (
	usualName = "usual"
	// usualEvery is how often what is usual goes to flash: a day's band changes
	// little in a quarter of one.
	usualEvery = 6 * time.Hour
)

// maxUsual bounds what is kept: more than any box has of levels.
const maxUsual = 128

// usualFile is how what is usual on this box is kept.
var usualFile = durable.Format{Magic: [4]byte{'L', 'B', 'U', 'S'}, Version: 1, Oldest: 1, Limit: 32 << 10}

// recallUsual gives the detectors what was usual in the run before, of the
// purposes that are granted still.
func (a *Agent) recallUsual() {
	if a.root == nil {
		return
	}
	b, _, err := usualFile.Read(a.root, usualName)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var all []detect.Baseline
	if err == nil {
		err = json.Unmarshal(b, &all)
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
	if a.root == nil {
		return
	}
	a.mu.Lock()
	all := a.detectors.Baselines()
	a.mu.Unlock()
	all = all[:min(len(all), maxUsual)]
	b, err := json.Marshal(all)
	if err == nil {
		err = usualFile.Write(a.root, usualName, b)
	}
	if err != nil {
		a.log.Debug("what is usual on this box not kept", "err", err)
	}
}
