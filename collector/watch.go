package collector

import (
	"context"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

// A Watch says what a watcher is and needs, before it is started.
type Watch struct {
	// Name is unique among watchers and sources, lower case, one word.
	Name string
	// Purpose is what the customer must have granted before it is started.
	Purpose catalogue.Purpose
}

// A Watcher is told by the box when something happens, where a Source asks at
// intervals.
type Watcher interface {
	Watch() Watch
	// Run calls notice for every sign, one at a time, until ctx is done, and
	// returns then at once. Another return is a fault, ErrNoData or ErrRefused,
	// after which Run may be called again, never twice at once. notice is
	// quick, and keeps nothing of the watcher's.
	Run(ctx context.Context, notice func(sample.Sign)) error
}
