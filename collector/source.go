package collector

import (
	"context"
	"errors"
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

// Errors that a source returns for outcomes that are not faults of its own.
// They may be wrapped with the reason.
var (
	// ErrNoData says that this box does not have what the source reads, for
	// example because the radio or the file is absent. It is a normal outcome.
	ErrNoData = errors.New("no data")
	// ErrRefused says that the box has it but does not let the agent read it.
	ErrRefused = errors.New("refused")
)

// A Description says what a source is and needs, before it is ever asked.
type Description struct {
	// Name is unique in a Set, lower case, one word: it names the source in
	// the configuration, in the log and in the capabilities.
	Name string
	// Purpose is what the customer must have granted before the source is
	// asked. Every metric of the source has this purpose.
	Purpose catalogue.Purpose
	// Metrics are all metrics that the source may ever give.
	Metrics []catalogue.ID
	// Interval is the default time between two rounds.
	Interval time.Duration
	// Timeout is how long one round may take.
	Timeout time.Duration
}

// A Source reads one subsystem of the box.
type Source interface {
	Describe() Description
	// Collect adds the readings of this instant to b. It returns when ctx is
	// done at the latest, and may be called again after any error, never
	// twice at once. Readings added before an error count: a source that
	// could read one of two radios gives that one and the error of the other.
	Collect(ctx context.Context, b *sample.Batch) error
}
