package agent

import (
	"sort"
	"sync"
	"time"

	"livebox-agent/uplink/wire"
)

// health has the states that are not as they should be. It is safe for
// concurrent use.
type health struct {
	mono func() time.Duration

	mu     sync.Mutex // guards states
	states map[string]wire.Health
}

func newHealth(mono func() time.Duration) *health {
	return &health{mono: mono, states: map[string]wire.Health{}}
}

// set says whether the state of that code is bad, and since when it is is
// kept. It tells whether that is news.
func (h *health) set(code string, bad bool, detail string) (changed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	old, was := h.states[code]
	switch {
	case !bad:
		delete(h.states, code)
	case was:
		old.Detail = detail
		h.states[code] = old
	default:
		h.states[code] = wire.Health{Code: code, Since: h.mono(), Detail: detail}
	}
	return bad != was
}

// all returns the bad states in the order of their codes.
func (h *health) all() []wire.Health {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []wire.Health
	for _, s := range h.states {
		all = append(all, s)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Code < all[j].Code })
	return all
}
