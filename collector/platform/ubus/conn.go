package ubus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/platform/tree"
)

const (
	// Socket is where the daemon listens.
	Socket = "/var/run/ubus/ubus.sock"
	// OldSocket is where it listened before OpenWrt 21.02.
	OldSocket = "/var/run/ubus.sock"

	// DefaultTimeout ends an exchange whose context has no deadline.
	DefaultTimeout = 5 * time.Second

	// MaxAnswer bounds all messages of one answer together.
	MaxAnswer = 1 << 20
	// maxKept bounds the memory that is kept from one exchange to the next.
	maxKept = 64 << 10
)

// A Conn is a client of the bus. It connects when it is first used and again
// after an error. It is safe for concurrent use; exchanges take turns, so a
// service that does not answer holds up all who share the Conn with the one
// who asked: sources that must not harm each other have a Conn each.
type Conn struct {
	paths []string
	// turn is held by the exchange under way; it guards all that follows.
	turn     chan struct{}
	socket   net.Conn
	sequence uint16
	objects  map[string]uint32 // numbers of the objects that were looked up
	out, in  []byte
	// other takes the messages that are no answer, nil for nobody.
	other func(Message) error
}

// Dial returns a client of the daemon whose socket is at path, or at Socket
// or OldSocket where path is empty. It does not touch the socket yet.
func Dial(path string) *Conn {
	paths := []string{path}
	if path == "" {
		paths = []string{Socket, OldSocket}
	}
	return &Conn{paths: paths, turn: make(chan struct{}, 1)}
}

// Close closes the socket, once the exchange under way is over. The next one
// would open it again.
func (c *Conn) Close() error {
	c.turn <- struct{}{}
	defer c.release()
	return c.drop()
}

func (c *Conn) release() { <-c.turn }

// Call calls a method of an object and returns the first value of the answer.
// That there is none is ErrNoData, which is collector.ErrNoData too. Any error
// is a *CallError.
func (c *Conn) Call(ctx context.Context, object, method string, params map[string]any) (tree.Node, error) {
	values, err := c.Values(ctx, object, method, params)
	if err != nil {
		return tree.Node{}, err
	}
	if len(values) == 0 {
		return tree.Node{}, &CallError{Op: op(object, method), Err: ErrNoData}
	}
	return values[0], nil
}

// Values calls a method of an object and returns all values of the answer:
// prplOS answers _get and _set with several in a row.
func (c *Conn) Values(ctx context.Context, object, method string, params map[string]any) ([]tree.Node, error) {
	var values []tree.Node
	err := c.do(ctx, func() error {
		var err error
		values, err = c.call(ctx, object, method, params)
		return err
	})
	if err != nil {
		return nil, &CallError{Op: op(object, method), Err: err}
	}
	return values, nil
}

func op(object, method string) string { return "call " + object + " " + method }

// List returns the names of the objects that match pattern, in ascending
// order: an object's own name, or the beginning of names and a star. That
// none does is no error. Objects none of whose methods the agent may call are
// not listed.
func (c *Conn) List(ctx context.Context, pattern string) ([]string, error) {
	var found map[string]uint32
	err := c.do(ctx, func() error {
		var err error
		found, err = c.lookup(ctx, pattern)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, &CallError{Op: "list " + pattern, Err: err}
	}
	names := make([]string, 0, len(found))
	for name := range found {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// do carries out exchange in turn on an open socket. An error that is not the
// bus's answer leaves the socket in an unknown state: it is given up.
func (c *Conn) do(ctx context.Context, exchange func() error) (err error) {
	ctx, cancel := limit(ctx)
	defer cancel()
	select {
	case c.turn <- struct{}{}:
		defer c.release()
	case <-ctx.Done():
		return fmt.Errorf("wait for the call before: %w", ctx.Err())
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.socket == nil {
		if err := c.connect(ctx); err != nil {
			return err
		}
	}
	stop := c.interrupt(ctx)
	defer func() {
		interrupted := !stop()
		if _, answered := errors.AsType[StatusError](err); err != nil && !answered || interrupted {
			_ = c.drop()
		}
		if err != nil && ctx.Err() != nil {
			err = ctx.Err()
		}
	}()
	return exchange()
}

// limit gives ctx a deadline where it has none.
func limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, DefaultTimeout)
}

// interrupt makes reads and writes of the socket fail once ctx is done. stop
// ends that, and says whether it had not come to it.
func (c *Conn) interrupt(ctx context.Context) (stop func() bool) {
	socket := c.socket
	return context.AfterFunc(ctx, func() { _ = socket.SetDeadline(time.Unix(1, 0)) })
}

func (c *Conn) drop() error {
	if c.socket == nil {
		return nil
	}
	err := c.socket.Close()
	c.socket, c.objects = nil, nil
	return err
}

// connect opens the socket and takes the daemon's greeting.
func (c *Conn) connect(ctx context.Context) error {
	socket, err := dial(ctx, c.paths)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", collector.ErrNoData, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", collector.ErrRefused, err)
	case err != nil:
		return err
	}
	c.socket, c.objects = socket, make(map[string]uint32)
	stop := c.interrupt(ctx)
	hello, err := c.read()
	if err == nil && hello.Type != TypeHello {
		err = fmt.Errorf("%w: message of type %d for a greeting", ErrMalformed, hello.Type)
	}
	if !stop() {
		err = ctx.Err() // what the read says is how it was interrupted
	}
	if err != nil {
		_ = c.drop()
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}

// dial opens the first of the sockets that is there.
func dial(ctx context.Context, paths []string) (socket net.Conn, err error) {
	var d net.Dialer
	for _, path := range paths {
		socket, err = d.DialContext(ctx, "unix", path)
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return socket, err
}

// lookup returns the numbers of the objects that match pattern.
func (c *Conn) lookup(ctx context.Context, pattern string) (map[string]uint32, error) {
	body, err := AppendText(nil, AttrObjPath, pattern)
	if err != nil {
		return nil, err
	}
	found := make(map[string]uint32)
	err = c.exchange(ctx, Message{Type: TypeLookup, Attributes: body}, func(b Body) error {
		if b.Has(AttrObjPath) && b.Has(AttrObjID) {
			found[b.Path] = b.Object
		}
		return nil
	})
	return found, err
}

// find returns the number of an object. known says that it was looked up
// before, so that it may have changed.
func (c *Conn) find(ctx context.Context, object string) (id uint32, known bool, err error) {
	if id, known = c.objects[object]; known {
		return id, true, nil
	}
	if object == "" || strings.HasSuffix(object, "*") {
		return 0, false, ErrInvalidArgument
	}
	found, err := c.lookup(ctx, object)
	if err != nil {
		return 0, false, err
	}
	id, ok := found[object]
	if !ok {
		// The daemon hides an object from who may call none of its methods.
		return 0, false, ErrPermissionDenied
	}
	c.objects[object] = id
	return id, false, nil
}

func (c *Conn) call(ctx context.Context, object, method string, params map[string]any) ([]tree.Node, error) {
	id, known, err := c.find(ctx, object)
	if err != nil {
		return nil, err
	}
	values, err := c.invoke(ctx, id, method, params)
	if !known || !errors.Is(err, ErrNotFound) {
		return values, err
	}
	// A service that was started anew has new numbers; one that says itself
	// that it did not find what was asked for still has the old one.
	delete(c.objects, object)
	again, _, lookupErr := c.find(ctx, object)
	if lookupErr != nil {
		return nil, lookupErr
	}
	if again == id {
		return nil, err
	}
	return c.invoke(ctx, again, method, params)
}

func (c *Conn) invoke(ctx context.Context, id uint32, method string, params map[string]any) ([]tree.Node, error) {
	body := AppendUint32(nil, AttrObjID, id)
	body, err := AppendText(body, AttrMethod, method)
	if err != nil {
		return nil, err
	}
	if body, err = AppendValues(body, AttrData, params); err != nil {
		return nil, err
	}
	var values []tree.Node
	err = c.exchange(ctx, Message{Type: TypeInvoke, Peer: id, Attributes: body}, func(b Body) error {
		if !b.Has(AttrData) {
			return nil
		}
		table, err := ParseTable(b.Data)
		if err != nil {
			return err
		}
		values = append(values, tree.New(table))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return values, nil
}

// exchange sends a request and calls take for the body of each DATA of the
// answer. It returns the status that ends the answer, nil for success.
func (c *Conn) exchange(ctx context.Context, request Message, take func(Body) error) error {
	c.sequence++
	request.Sequence = c.sequence
	out, err := AppendMessage(c.out[:0], request)
	if err != nil {
		return err
	}
	c.out = out
	if len(out) > maxKept {
		c.out = nil
	}
	if _, err := c.socket.Write(out); err != nil {
		return err
	}
	for size := 0; ; {
		m, err := c.read()
		if err != nil {
			return err
		}
		if size += headerLen + len(m.Attributes); size > MaxAnswer {
			return fmt.Errorf("%w: answer beyond %d bytes", ErrMalformed, MaxAnswer)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if m.Sequence != request.Sequence || m.Peer != request.Peer || m.Type != TypeData && m.Type != TypeStatus {
			if c.other == nil {
				continue
			}
			if err := c.other(m); err != nil {
				return err
			}
			continue
		}
		body, err := ParseBody(m.Attributes)
		switch {
		case err != nil:
			return err
		case m.Type == TypeStatus && !body.Has(AttrStatus):
			return fmt.Errorf("%w: status without a number", ErrMalformed)
		case m.Type == TypeStatus && body.Status != 0:
			return body.Status
		case m.Type == TypeStatus:
			return nil
		}
		if err := take(body); err != nil {
			return err
		}
	}
}

// read takes the next message. It is valid until the one after it.
func (c *Conn) read() (Message, error) {
	m, err := ReadMessage(c.socket, c.in)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return Message{}, context.DeadlineExceeded
	case errors.Is(err, io.EOF):
		return Message{}, fmt.Errorf("connection closed by the bus: %w", err)
	case err != nil:
		return Message{}, err
	}
	if c.in = m.Attributes; cap(c.in) > maxKept {
		c.in = nil
	}
	return m, nil
}
