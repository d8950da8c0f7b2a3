package wifi

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/kernel/netlink"
	"livebox-agent/collector/sample"
)

const (
	// maxAttempts bounds the attempts to join that are followed at a time. What
	// floods an access point with made-up addresses is not followed further.
	maxAttempts = 64
	// maxCounts bounds the access points whose failures are remembered.
	maxCounts = 4 * maxVAPs
)

// Joins watches who tries to join an access point, and counts who does not get
// in: an attempt that ended, or went on for half a minute, without the station
// being let in (its port authorised, in 802.1X's words). A station that got in
// at another access point of the box meanwhile was sent there: its attempt is
// none. An enrollee of WPS is refused once before it gets in, and counts once.
//
// It asks nl80211, or hostapd on OpenWrt's bus where the box has no nl80211 or
// does not let the agent ask. hostapd refuses some before they are known to
// the kernel (when it is full, or by their address): nl80211 tells of those only
// with drivers that refuse by themselves.
type Joins struct {
	ways []func(context.Context, *attempts) error

	mu sync.Mutex // guards what follows
	// counts has what is known of each access point, by its instance.
	counts map[string]*joinCount
	// all says that every access point is watched that is not silent.
	all bool
}

// A joinCount is what is known of one access point.
type joinCount struct {
	failures int64
	// watched and silent are of the run under way: its failures would be told;
	// its driver does not tell who was let in.
	watched, silent bool
}

// JoinsConfig says how a box is asked. The zero value is this box.
type JoinsConfig struct {
	// Dial connects to the kernel (Dial), Follow to one of its groups.
	Dial   func() (Conn, error)
	Follow func(group uint32) (*netlink.Feed, error)
	// Ubus is the socket of OpenWrt's bus; empty: where OpenWrt has it.
	Ubus string
}

// NewJoins returns the watcher "joins", which gives no signs: the counts are in
// the readings of the source "radios".
func NewJoins(c JoinsConfig) *Joins {
	if c.Dial == nil {
		c.Dial = Dial
	}
	if c.Follow == nil {
		c.Follow = func(group uint32) (*netlink.Feed, error) {
			return netlink.SubscribeGroup(unix.NETLINK_GENERIC, group)
		}
	}
	j := &Joins{counts: map[string]*joinCount{}}
	j.ways = []func(context.Context, *attempts) error{
		func(ctx context.Context, a *attempts) error {
			return (&kernelJoins{attempts: a, client: newClient(c.Dial), follow: c.Follow}).run(ctx)
		},
		func(ctx context.Context, a *attempts) error {
			return (&hostapdJoins{attempts: a, path: c.Ubus}).run(ctx)
		},
	}
	return j
}

// Watch says that the watcher is for support.
func (j *Joins) Watch() collector.Watch {
	return collector.Watch{Name: "joins", Purpose: catalogue.Support}
}

// Run counts until ctx is done, by the first way that this box has.
func (j *Joins) Run(ctx context.Context, _ func(sample.Sign)) error {
	defer j.end()
	var reasons []string
	kind := collector.ErrNoData
	for _, way := range j.ways {
		err := way(ctx, &attempts{joins: j, open: map[attemptKey]*attempt{}})
		j.end()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, collector.ErrRefused):
			kind = collector.ErrRefused
		case !errors.Is(err, collector.ErrNoData):
			return err
		}
		reasons = append(reasons, err.Error())
	}
	return fmt.Errorf("%w: %s", kind, strings.Join(reasons, "; "))
}

// end forgets what is so only while something is watched.
func (j *Joins) end() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.all = false
	for _, c := range j.counts {
		c.watched, c.silent = false, false
	}
}

// failures returns how often a device tried to join the access point and did not
// get in. ok is false where nobody would know.
func (j *Joins) failures(instance string) (n int64, ok bool) {
	if j == nil {
		return 0, false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	c := j.counts[instance]
	if c == nil {
		return 0, j.all
	}
	return c.failures, (j.all || c.watched) && !c.silent
}

// change lets f change what is known of an access point.
func (j *Joins) change(instance string, f func(c *joinCount)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.changeLocked(instance, f)
}

func (j *Joins) changeLocked(instance string, f func(c *joinCount)) {
	c := j.counts[instance]
	if c == nil {
		if len(j.counts) >= maxCounts {
			return
		}
		c = &joinCount{}
		j.counts[instance] = c
	}
	f(c)
}

// count counts a failure.
func (j *Joins) count(instance string) { j.change(instance, func(c *joinCount) { c.failures++ }) }

// watchAll says that every access point is watched.
func (j *Joins) watchAll() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.all = true
}

// watch says that these are watched, and no others.
func (j *Joins) watch(instances []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range j.counts {
		c.watched = false
	}
	for _, instance := range instances {
		j.changeLocked(instance, func(c *joinCount) { c.watched = true })
	}
}

// attempts are those to join that have not come to an end. They hold addresses
// of devices, for half a minute at most.
type attempts struct {
	joins *Joins
	open  map[attemptKey]*attempt
}

type attemptKey struct {
	instance string
	mac      [6]byte
}

// An attempt of a device to join an access point.
type attempt struct {
	began time.Time
	index uint32 // of the kernel's interface
	// associated says that hostapd was asked for the association too, refused
	// that the device had the wrong key.
	associated, refused bool
	// looks are how often it was asked whether the station was let in.
	looks int
}

// begin follows an attempt, unless it does already; nil: there is no room.
func (a *attempts) begin(key attemptKey) *attempt {
	x := a.open[key]
	if x == nil && len(a.open) < maxAttempts {
		x = &attempt{began: time.Now()}
		a.open[key] = x
	}
	return x
}

// letIn ends the attempts of a device that got in, wherever it tried.
func (a *attempts) letIn(mac [6]byte) {
	for key := range a.open {
		if key.mac == mac {
			delete(a.open, key)
		}
	}
}

// fail ends an attempt that failed, if it is followed.
func (a *attempts) fail(key attemptKey) {
	if a.open[key] != nil {
		delete(a.open, key)
		a.joins.count(key.instance)
	}
}

// forget ends all attempts, of which it is not known how they went.
func (a *attempts) forget() { clear(a.open) }

// next returns when an attempt is to be looked at; zero: there is none.
func (a *attempts) next(looks []time.Duration) time.Time {
	var first time.Time
	for _, x := range a.open {
		if at := x.began.Add(looks[x.looks]); first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

// A verdict is what was found of a station.
type verdict int

const (
	notYet verdict = iota
	isIn
	isGone
	unknown // and will not be known
)

// look asks of every attempt that is due how it goes. One that is not over at
// the last look has failed.
func (a *attempts) look(looks []time.Duration, ask func(key attemptKey, x *attempt) (verdict, error)) error {
	now := time.Now()
	for key, x := range a.open {
		if x.began.Add(looks[x.looks]).After(now) {
			continue
		}
		v, err := ask(key, x)
		if err != nil {
			return err
		}
		x.looks++
		switch {
		case v == isIn:
			a.letIn(key.mac)
		case v == unknown:
			delete(a.open, key)
		case v == isGone || x.looks == len(looks):
			a.fail(key)
		}
	}
	return nil
}
