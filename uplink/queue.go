package uplink

import (
	"cmp"

	"livebox-agent/uplink/wire"
)

// A Key names one report of the queue. The zero Key comes before all others.
type Key struct {
	Run      wire.Run
	Lane     wire.Lane
	Sequence uint64
}

// Compare orders the keys of one lane as a Queue gives them: by the order of
// the runs, then by sequence.
func (k Key) Compare(o Key) int {
	return cmp.Or(
		cmp.Compare(k.Run.Counter, o.Run.Counter),
		cmp.Compare(k.Run.ID, o.Run.ID),
		cmp.Compare(k.Sequence, o.Sequence),
	)
}

// An Item is one report of the queue.
type Item struct {
	Key Key
	// Payload appends the report as it travels, with what is known of the clock
	// at this moment. It is called once for each time that the report is sent.
	// An error means that the report cannot be built: it is passed over.
	Payload func(dst []byte) ([]byte, error)
}

// A Queue keeps reports until they are acknowledged. The uplink holds no more
// of it than cursors and the few reports in flight. All methods but Appended
// are called from the goroutine of Run only.
type Queue interface {
	// Next returns the first report of the lane whose key is greater than after,
	// which need not be there any more. It is false where there is none.
	Next(lane wire.Lane, after Key) (Item, bool)
	// Last returns the newest report of the lane.
	Last(lane wire.Lane) (Item, bool)
	// Appended returns a channel that becomes ready when a report has been
	// appended since it was asked for: one that is closed then, or one of
	// capacity 1 that gets a token.
	Appended() <-chan struct{}
	// Ack removes the reports of that run and lane whose sequence is at most
	// upTo or within ranges, and returns how many there were. ranges is only
	// lent.
	Ack(runID uint64, lane wire.Lane, upTo uint64, ranges []wire.Range) int
}
