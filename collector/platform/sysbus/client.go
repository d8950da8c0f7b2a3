package sysbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"syscall"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/platform/tree"
)

// Timeout is how long the box has for one reply. The slowest known, getMIBs of
// the whole home network, takes 25 s.
const Timeout = 40 * time.Second

// Options are what a Client needs from the program around it.
type Options struct {
	// Log takes changes of state; nil discards them.
	Log *slog.Logger
	// Now gives a time that only goes forward; nil means the program's own.
	Now func() time.Duration
	// Dial connects to the box; nil means the network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// A Client asks one box. It may be used by several goroutines.
type Client struct {
	config Config
	log    *slog.Logger
	now    func() time.Duration
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
	// host is where the box is as its name goes into a request, address as
	// it is dialled.
	host, address string

	// turn holds a token while nobody asks. Whoever took it owns the fields
	// below.
	turn    chan struct{}
	calls   *lane
	session session
	// known says that something there has answered as a Livebox does.
	known bool
	// refused says until when what was refused is not asked again.
	refused map[string]time.Duration
	// lengths says how long the reply to a call was, by the text of the call.
	lengths map[string]int
	// loginErr is why there is no session, if there should be one. It was
	// the password file's state loginVersion that the box refused, and
	// nothing is tried with that until loginAfter.
	loginErr     error
	loginVersion string
	loginAfter   time.Duration

	// discovery holds a token while nobody is finding out what box this is.
	// Whoever took it owns the fields below. A box that is not whole is
	// looked at again after boxUntil.
	discovery chan struct{}
	box       *Box
	boxWhole  bool
	boxUntil  time.Duration
}

// New returns a Client. It asks nothing yet. The error says what is wrong with
// the configuration.
func New(config Config, o Options) (*Client, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if config.URL == "" {
		return nil, errors.New("url: must not be empty")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		start := time.Now()
		o.Now = func() time.Duration { return time.Since(start) }
	}
	if o.Dial == nil {
		o.Dial = dialBox
	}
	c := &Client{
		config: config, log: o.Log, now: o.Now, dial: o.Dial,
		turn: make(chan struct{}, 1), refused: map[string]time.Duration{}, lengths: map[string]int{},
		discovery: make(chan struct{}, 1),
	}
	c.host, c.address = config.host()
	c.calls = c.newLane()
	c.turn <- struct{}{}
	c.discovery <- struct{}{}
	return c, nil
}

// newLane returns a connection to the box that is not made yet.
func (c *Client) newLane() *lane { return &lane{dial: c.dial, address: c.address} }

// String shows where the Client asks, and nothing of its session.
func (c *Client) String() string { return "sysbus " + c.config.URL }

// GoString is String, for the verb %#v.
func (c *Client) GoString() string { return c.String() }

// LogValue implements slog.LogValuer.
func (c *Client) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Close gives up the connection, unless a call is in flight: that ends with
// its context. The session ends by itself: boxes refuse to end it on request.
func (c *Client) Close() error {
	select {
	case <-c.turn:
		c.calls.close()
		c.turn <- struct{}{}
	default:
	}
	return nil
}

// Call calls method of object ("NMC", "NeMo.Intf.veip0") with parameters
// params, which is encoded as a JSON object; nil means none. It returns what
// the box answered, "status" and "data" as they are, without the wrapper
// "result".
//
// An error wraps collector.ErrRefused where the user may not ask this,
// collector.ErrNoData where the box does not have it, and tree.ErrMalformed
// where the reply made no sense. Other errors of the box are of the type
// *FaultError, those of its web server of the type *StatusError.
func (c *Client) Call(ctx context.Context, object, method string, params any) (tree.Node, error) {
	n, err := c.call(ctx, request{service: object, method: method, parameters: params})
	if err != nil {
		return tree.Node{}, fmt.Errorf("%s.%s: %w", object, method, err)
	}
	return n, nil
}

// take waits for the turn.
func take(ctx context.Context, turn chan struct{}) error {
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the calls before: %w", ctx.Err())
	}
}

// Bounds of what is remembered: as refused, and as the length of a reply.
const (
	maxRefused = 256
	maxLengths = 64
)

// errAgain says that something is not asked because it was refused before.
var errAgain = fmt.Errorf("%w before, not asked again yet", collector.ErrRefused)

func (c *Client) call(ctx context.Context, r request) (tree.Node, error) {
	if err := take(ctx, c.turn); err != nil {
		return tree.Node{}, err
	}
	defer func() { c.turn <- struct{}{} }()
	key := r.service + "." + r.method
	if c.now() < c.refused[key] {
		return tree.Node{}, errAgain
	}
	delete(c.refused, key)
	r.session = &c.session
	n, err := c.askTwice(ctx, key, r)
	return n, c.absent(err)
}

// absent returns err, as collector.ErrNoData where nothing listens and nothing
// ever did: this is no Livebox. The caller has the turn.
func (c *Client) absent(err error) error {
	switch _, fault := errors.AsType[*FaultError](err); {
	case err == nil || fault:
		c.known = true
	case !c.known && errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no Livebox at %s: %w", c.config.URL, collector.ErrNoData)
	}
	return err
}

// askTwice asks, and once more with a new session if the one there was is
// gone. The caller has the turn.
func (c *Client) askTwice(ctx context.Context, key string, r request) (tree.Node, error) {
	proven := c.session.context == ""
	err := c.open(ctx)
	if err != nil && !errors.Is(err, errLogin) {
		return tree.Node{}, err
	}
	n, err := c.exchange(ctx, r)
	if !errors.Is(err, collector.ErrRefused) {
		return n, err
	}
	if !proven {
		// Idle for too long, or the box has restarted.
		c.session = session{}
		if lost := c.open(ctx); lost != nil && !errors.Is(lost, errLogin) {
			return tree.Node{}, lost
		}
		if n, err = c.exchange(ctx, r); !errors.Is(err, collector.ErrRefused) {
			return n, err
		}
	}
	if c.loginErr != nil {
		return tree.Node{}, fmt.Errorf("%w; %w", err, c.loginErr)
	}
	if len(c.refused) >= maxRefused {
		clear(c.refused)
	}
	c.refused[key] = c.now() + RefusedFor
	return tree.Node{}, err
}
