package box

import (
	"context"
	"embed"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"livebox-agent/collector/platform/ubus/ubustest"
)

// DefaultPassword is the password of a box whose Config has none.
const DefaultPassword = "Emulated"

//go:embed skeleton/*.txt
var skeletons embed.FS

// A Config says which box it is and how it is at the start.
type Config struct {
	// Model is one of Models.
	Model string
	// Seed makes one box differ from another of its kind.
	Seed uint64
	// Clock is the time since the emulation began; nil is real time since New.
	// It must not go backwards.
	Clock func() time.Duration
	// Epoch is the date when Clock was zero; zero is 10 March 2026, noon UTC.
	Epoch time.Time
	// Uptime is how long the box has been running when it is made; 0 is 3
	// days.
	Uptime time.Duration
	// Password is that of the user admin; empty is DefaultPassword.
	Password string
	// Stations is how many devices are on the Wi-Fi; negative is none, 0 is 3.
	Stations int
	// SessionIdle is how long a session lasts without a call, by the Clock; 0
	// is 10 minutes.
	SessionIdle time.Duration
	// LongPoll is how long a call for events waits, by a timer; 0 is 30
	// seconds.
	LongPoll time.Duration
	// BootTime is how long the box needs to start. Meanwhile it closes every
	// connection.
	BootTime time.Duration
	// ExternalONT feeds a Livebox 5 or later by its Ethernet port: veip0 is
	// there but not bound.
	ExternalONT bool
	// OldHostapd leaves out of hostapd's replies what builds of 2020 do not
	// have.
	OldHostapd bool
	// Log takes what drives the box; nil discards it.
	Log *slog.Logger
}

// A Box is one emulated box.
type Box struct {
	config Config
	p      *personality
	log    *slog.Logger
	// radio, vap and stationShape are what Wi-Fi tells, lacks what one of the
	// radios or networks does not have of it.
	radioShape, vapShape, stationShape, lacks *object

	devices devices
	// written is what WriteTree wrote last.
	written map[string]string

	// turn holds a token while nobody is served slowly.
	turn chan struct{}

	mu        sync.Mutex // guards what follows
	world     *world
	random    *rand.Rand
	password  string
	sessions  map[string]*session
	cookie    string // name of the session's cookie
	channels  map[int]*channel
	lastEvent int
	events    []event
	more      chan struct{} // closed when an event is added; nil: no one waits
	slow      time.Duration
	misbehave Misbehaviour
	calls     map[string]int
	buses     []*ubustest.Server
}

// New returns a box of the kind that the Config asks for.
func New(c Config) (*Box, error) {
	p := models()[c.Model]
	if p == nil {
		return nil, fmt.Errorf("model %q: there are %s", c.Model, strings.Join(Models(), ", "))
	}
	if c.ExternalONT && p.wan != wanPON {
		return nil, fmt.Errorf("model %s: has no optics to leave unused", c.Model)
	}
	c = c.withDefaults()
	b := &Box{
		written: map[string]string{},
		config:  c, p: p, log: c.Log, turn: make(chan struct{}, 1), password: c.Password,
		random: rand.New(rand.NewPCG(c.Seed, 0x6c69766562 /* "liveb" */)),
	}
	b.turn <- struct{}{}
	if err := b.loadShapes(); err != nil {
		return nil, err
	}
	if c.ExternalONT {
		p.wan, p.wanIntf, p.mode = wanEth, "eth0", "Ethernet_DHCP"
	}
	b.calls = map[string]int{}
	b.forget()
	b.world = newWorld(p, c)
	b.world.happened = b.happened
	b.cookie = fmt.Sprintf("%08x/sessid", b.random.Uint32())
	return b, nil
}

func (c Config) withDefaults() Config {
	if c.Clock == nil {
		start := time.Now()
		c.Clock = func() time.Duration { return time.Since(start) }
	}
	if c.Epoch.IsZero() {
		c.Epoch = time.Date(2026, time.March, 10, 12, 0, 0, 0, time.UTC)
	}
	if c.Password == "" {
		c.Password = DefaultPassword
	}
	if c.Stations == 0 {
		c.Stations = 3
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		value    *time.Duration
		standard time.Duration
	}{{&c.Uptime, 72 * time.Hour}, {&c.SessionIdle, 10 * time.Minute}, {&c.LongPoll, 30 * time.Second}} {
		if *d.value == 0 {
			*d.value = d.standard
		}
	}
	c.Stations = max(c.Stations, 0)
	return c
}

// loadShapes reads the skeleton of the box's Wi-Fi.
func (b *Box) loadShapes() error {
	if b.p.family == "" {
		return nil
	}
	text, err := skeletons.ReadFile("skeleton/" + b.p.family + ".txt")
	if err != nil {
		return err
	}
	all, err := parseSkeleton(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", b.p.family, err)
	}
	b.radioShape, b.vapShape, b.stationShape = all.get("radio"), all.get("vap"), all.get("station")
	b.lacks = all.get("lacks")
	if b.radioShape == nil || b.vapShape == nil || b.stationShape == nil {
		return fmt.Errorf("%s: a skeleton has radio, vap and station", b.p.family)
	}
	return nil
}

// forget drops what a restart ends: sessions and event channels. The caller
// holds mu, or nobody knows b yet.
func (b *Box) forget() {
	b.sessions, b.channels, b.events = map[string]*session{}, map[int]*channel{}, nil
	b.wake()
}

// wake lets those who wait for events look again. The caller holds mu, or nobody
// knows b yet.
func (b *Box) wake() {
	if b.more != nil {
		close(b.more)
		b.more = nil
	}
}

// at locks the box at the present time. The caller unlocks it.
func (b *Box) at() *world {
	b.mu.Lock()
	b.world.advance(b.config.Clock())
	return b.world
}

// date returns a time of the model as a date.
func (b *Box) date(at time.Duration) time.Time { return b.config.Epoch.Add(at) }

// isoDate is how a box writes a date.
func (b *Box) isoDate(at time.Duration) string {
	return b.date(at).UTC().Format("2006-01-02T15:04:05Z")
}

// take waits for the turn of a slow box.
func (b *Box) take(ctx context.Context) error {
	select {
	case <-b.turn:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Model returns the name of the box's kind.
func (b *Box) Model() string { return b.config.Model }

// Calls returns how often each function was called, by the name
// "Object.method", refused ones included.
func (b *Box) Calls() map[string]int {
	b.at()
	defer b.mu.Unlock()
	return maps.Clone(b.calls)
}

// Secrets returns the texts that the box tells of its owner, its line and its
// neighbours, none of which may leave it: addresses, names of networks,
// serial and registration numbers. Addresses are in the case in which the box
// writes them.
func (b *Box) Secrets() []string {
	w := b.at()
	defer b.mu.Unlock()
	s := []string{
		b.password, b.mac(0), b.serial(), b.ponSerial(), b.ssid(), b.ipv4(), gatewayV4, b.ipv6(), b.prefix(),
		b.neighbour(), b.neighbourMAC(), registrationID, b.account(),
	}
	for _, st := range w.stations {
		s = append(s, st.MAC, strings.ToLower(st.MAC))
	}
	for i := range b.p.radios {
		s = append(s, b.mac(10+i), strings.ToLower(b.mac(10+i)))
	}
	return slices.Compact(s)
}
