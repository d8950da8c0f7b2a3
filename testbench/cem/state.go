package cem

import (
	"cmp"
	"slices"
	"time"

	"livebox-agent/collector/catalogue"
	"livebox-agent/testbench/telemetrypb"
	"livebox-agent/uplink/wire"
)

// What one box can make the CEM hold.
const (
	// maxRuns: when a box has more, the run not heard of for longest is
	// forgotten.
	maxRuns = 64
	// maxValues bounds the pairs of metric and instance.
	maxValues = 4096
	// maxLosses bounds the ranges that the ledger told; the sums go on.
	maxLosses = 256
	// maxEvents bounds the events kept, oldest first out; maxAttributes and
	// maxEvidence what each may carry.
	maxEvents     = 32
	maxAttributes = 16
	maxEvidence   = 64
	// maxUndecodable bounds what is kept for inspection, oldest first out.
	maxUndecodable = 4
	// maxKept is how much is kept of each, in bytes.
	maxKept = 4 << 10
	// maxText bounds a name or a reason, in bytes.
	maxText = 256
)

// A BoxState is what the CEM knows of one box at one moment. It is a copy.
type BoxState struct {
	Box string
	// Online is what the last status said: the box's own or its last will.
	Online bool
	// Status is the last that the box itself published; nil before the first.
	// It is shared and must not be changed.
	Status *telemetrypb.Status
	// Runs are the starts of the agent, as far as they are known, in order.
	Runs []RunState
	// Boots are the boots of which a wall time is known, or was thought to be.
	Boots []BootState
	// Values are the latest readings, in order of metric and instance.
	Values []Value
	// Losses are the last ranges that the box's ledger told.
	Losses []wire.Loss
	// Events are the last that came, without their losses, as they came.
	Events      []Event
	Undecodable []Undecodable
	Totals
}

// Totals count what came from a box, since the beginning of the streams.
type Totals struct {
	// Reports are those of windows and events after removal of duplicates.
	Reports uint64
	// Bytes are those of the reports as they came, each counted once.
	Bytes uint64
	// Readings are the values decoded from columns.
	Readings   uint64
	Duplicates uint64
	// Lost are reports that the box's ledger told as dropped; Thinned those
	// of which the summaries only are left.
	Lost, Thinned uint64
	// UndecodableReports have an envelope but a body that does not decode;
	// Rejected have no envelope to believe: they are not acknowledged.
	UndecodableReports, Rejected uint64
	// Violations are sections and columns whose purpose the report's consent
	// does not grant, or that are not of the purpose they claim.
	Violations uint64
	// UnknownMetrics are columns that the catalogue does not have.
	UnknownMetrics uint64
	// ValuesRefused are columns beyond the bound on different ones.
	ValuesRefused uint64
	// Acks are the acknowledgements published to the box since the CEM began.
	Acks uint64
}

// Missing returns how many sequences are not stored although later ones of
// their run and lane are.
func (s BoxState) Missing() (n uint64) {
	for _, r := range s.Runs {
		n += count(r.Events.Missing()) + count(r.Windows.Missing())
	}
	return n
}

// A RunState is what is known of one start of the agent.
type RunState struct {
	ID         uint64
	Counter    uint32
	KernelBoot uint32
	// Version, PreviousRun and PreviousEnd ("clean", "unclean", "first",
	// "unknown") are what the agent-started event said; zero until it has come.
	Version     string
	PreviousRun uint64
	PreviousEnd string
	// CleanStop says that the run told its own end and that everything was
	// stored.
	CleanStop bool
	// Started is the earliest time since the kernel's boot that is known of
	// the run.
	Started         time.Duration
	Events, Windows LaneState
}

// A LaneState is what has come of one run and lane.
type LaneState struct {
	// Ranges are the sequences that are stored, ascending and apart.
	Ranges []wire.Range
	// Duplicates came again after they were stored.
	Duplicates uint64
	// First and Last are the times since the kernel's boot at which the
	// earliest report opened and the latest was sealed; both are zero while
	// there is none.
	First, Last time.Duration
	// Lost is how many the box's ledger told as dropped.
	Lost uint64
}

// Stored returns how many sequences are stored.
func (l LaneState) Stored() uint64 { return count(l.Ranges) }

// Contiguous returns the highest sequence up to which all are stored.
func (l LaneState) Contiguous() uint64 {
	n, _ := contiguous(l.Ranges)
	return n
}

// Missing returns the sequences that are not stored although later ones are:
// on their way, or lost.
func (l LaneState) Missing() []wire.Range { return missing(l.Ranges) }

// A Value is the latest reading of one metric of one instance.
type Value struct {
	Metric   catalogue.ID
	Instance string
	// Value is in units of 10^Exponent of the metric.
	Value int64
	// At is when it was read, since the kernel's boot.
	At         time.Duration
	KernelBoot uint32
	// Wall is when it was read, within a second; zero where that cannot be told.
	Wall time.Time
	// Received is when the broker took the report.
	Received time.Time

	counter uint32
}

// Age returns how old the reading is at now: to a second where it can be placed
// on the wall clock, else since it was received.
func (v Value) Age(now time.Time) time.Duration {
	if !v.Wall.IsZero() {
		return now.Sub(v.Wall)
	}
	return now.Sub(v.Received)
}

// An Event is something that happened on a box. Its attributes are shared and
// must not be changed.
type Event struct {
	Run        uint64
	KernelBoot uint32
	// Wall is when it happened, within a second; zero where that cannot be told.
	Wall time.Time
	wire.Event
}

// An Undecodable is a message that made no sense.
type Undecodable struct {
	Subject        string
	StreamSequence uint64
	Reason         string
	// Payload is its beginning, at most 4 KiB.
	Payload []byte
}

type valueKey struct {
	metric   catalogue.ID
	instance string
}

// A lane is one lane of a run, folded.
type lane struct {
	coverage

	duplicates  uint64
	first, last time.Duration
}

// A run is one run, folded.
type run struct {
	id                  uint64
	counter, kernelBoot uint32
	started             time.Duration
	version             string
	previousRun         uint64
	previousEnd         string
	cleanStop           bool
	lanes               [2]lane // of wire.Events, wire.Windows
	heard               uint64  // order of the last message about it
	touched             [2]bool // since the last acknowledgement
}

// A box is one box, folded.
type box struct {
	name        string
	online      bool
	fresh       bool // came online, nothing received since
	status      *telemetrypb.Status
	runs        map[uint64]*run
	boots       map[uint32]*boot // by the kernel's boot
	values      map[valueKey]Value
	losses      []wire.Loss
	events      []Event
	undecodable []Undecodable
	totals      Totals
	clock       uint64 // counts messages, for run.heard
}

func newBox(name string) *box {
	return &box{name: name, runs: make(map[uint64]*run), boots: make(map[uint32]*boot), values: make(map[valueKey]Value)}
}

// run returns the run of that identity, made where it is new.
func (b *box) run(id uint64, counter, kernelBoot uint32) *run {
	b.clock++
	r := b.runs[id]
	if r == nil {
		if len(b.runs) == maxRuns {
			oldest := id
			for k, o := range b.runs {
				if oldest == id || o.heard < b.runs[oldest].heard {
					oldest = k
				}
			}
			delete(b.runs, oldest)
		}
		r = &run{id: id, counter: counter, kernelBoot: kernelBoot, started: -1}
		b.runs[id] = r
	}
	r.heard = b.clock
	return r
}

// keep puts a message aside for inspection.
func (b *box) keep(u Undecodable) {
	u.Payload = slices.Clone(u.Payload[:min(len(u.Payload), maxKept)])
	u.Reason = clip(u.Reason)
	b.undecodable = push(b.undecodable, u, maxUndecodable)
}

// push appends to a list of at most so many, the oldest going first.
func push[T any](list []T, e T, most int) []T {
	if len(list) == most {
		list = slices.Delete(list, 0, 1)
	}
	return append(list, e)
}

// snapshot copies the state for others to read.
func (b *box) snapshot() BoxState {
	s := BoxState{
		Box: b.name, Online: b.online, Status: b.status, Totals: b.totals,
		Losses: slices.Clone(b.losses), Events: slices.Clone(b.events), Undecodable: slices.Clone(b.undecodable),
		Values: make([]Value, 0, len(b.values)), Runs: make([]RunState, 0, len(b.runs)),
	}
	s.Boots = b.bootStates()
	for i := range s.Events {
		s.Events[i].Wall, _ = s.Place(s.Events[i].KernelBoot, s.Events[i].At)
	}
	for _, v := range b.values {
		v.Wall, _ = s.Place(v.KernelBoot, v.At)
		s.Values = append(s.Values, v)
	}
	slices.SortFunc(s.Values, func(x, y Value) int {
		return cmp.Or(cmp.Compare(x.Metric, y.Metric), cmp.Compare(x.Instance, y.Instance))
	})
	for _, r := range b.runs {
		s.Runs = append(s.Runs, RunState{
			ID: r.id, Counter: r.counter, KernelBoot: r.kernelBoot,
			Version: r.version, PreviousRun: r.previousRun, PreviousEnd: r.previousEnd,
			CleanStop: r.cleanStop, Started: max(r.started, 0),
			Events: b.laneState(r, wire.Events), Windows: b.laneState(r, wire.Windows),
		})
	}
	slices.SortFunc(s.Runs, func(x, y RunState) int {
		// Without a counter the time since boot orders what the same kernel
		// ran; the rest cannot be told.
		return cmp.Or(cmp.Compare(x.Counter, y.Counter), cmp.Compare(x.Started, y.Started), cmp.Compare(x.ID, y.ID))
	})
	return s
}

func (b *box) laneState(r *run, l wire.Lane) LaneState {
	from := &r.lanes[l-1]
	s := LaneState{
		Ranges: slices.Clone(from.ranges), Duplicates: from.duplicates,
		First: from.first, Last: from.last,
	}
	for _, loss := range b.losses {
		if loss.RunID == r.id && loss.Lane == l && dropped(loss.Reason) {
			s.Lost += loss.Count
		}
	}
	return s
}
