package ubus

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"livebox-agent/collector/platform/tree"
)

const (
	// maxSubscriptions bounds the objects that are subscribed to at a time.
	maxSubscriptions = 64
	// maxWaiting bounds the notifications that wait while the bus is asked.
	maxWaiting = 256
)

// A Notification is what an object tells its subscribers.
type Notification struct {
	// Object is the name of the object, Type what happened.
	Object, Type string
	// Data are the values, as ParseTable takes them.
	Data []byte
}

// Values returns what the notification says.
func (n Notification) Values() (tree.Node, error) {
	table, err := ParseTable(n.Data)
	if err != nil {
		return tree.Node{}, err
	}
	return tree.New(table), nil
}

// A Subscriber is told by objects on the bus what happens. It is not safe for
// concurrent use.
type Subscriber struct {
	conn   *Conn
	reader *bufio.Reader
	// own has, by its number, each object of ours by which one is subscribed
	// to. A subscription that ended leaves its object for the next.
	own     map[uint32]subscription
	waiting []Notification
	out     []byte
}

// A subscription is to the object with that name and number; to none where the
// name is empty.
type subscription struct {
	name   string
	number uint32
}

// Subscribe connects to the daemon whose socket is at path, as Dial does; what
// is subscribed to is for Refresh to say. Any error is a *CallError.
func Subscribe(ctx context.Context, path string) (*Subscriber, error) {
	ctx, cancel := limit(ctx)
	defer cancel()
	s := &Subscriber{conn: Dial(path), own: map[uint32]subscription{}}
	if err := s.conn.connect(ctx); err != nil {
		return nil, &CallError{Op: "subscribe", Err: err}
	}
	s.reader = bufio.NewReader(s.conn.socket)
	s.conn.socket = buffered{s.conn.socket, s.reader}
	s.conn.other = s.take
	return s, nil
}

// buffered is a socket that is read by a reader that has some of it already.
type buffered struct {
	net.Conn
	reader *bufio.Reader
}

func (b buffered) Read(p []byte) (int, error) { return b.reader.Read(p) }

// Close ends all subscriptions.
func (s *Subscriber) Close() error { return s.conn.Close() }

// Refresh subscribes to the objects that match pattern, as List has it, and are
// not subscribed to yet, and returns the names of all that are, in ascending
// order. After an error that is no answer of the bus the subscriber is of no
// more use.
func (s *Subscriber) Refresh(ctx context.Context, pattern string) ([]string, error) {
	var names []string
	err := s.exchange(ctx, func(ctx context.Context) error {
		found, err := s.conn.lookup(ctx, pattern)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		for name, number := range found {
			if err := s.follow(ctx, name, number); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		for _, to := range s.own {
			if to.name != "" {
				names = append(names, to.name)
			}
		}
		return nil
	})
	if err != nil {
		return nil, &CallError{Op: "subscribe " + pattern, Err: err}
	}
	slices.Sort(names)
	return names, nil
}

// exchange lets f ask the bus, until ctx is done.
func (s *Subscriber) exchange(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := limit(ctx)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.conn.socket == nil {
		return net.ErrClosed
	}
	if err := s.conn.socket.SetDeadline(time.Time{}); err != nil {
		return err
	}
	stop := s.conn.interrupt(ctx)
	defer stop()
	err := f(ctx)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// follow subscribes to an object that is not followed yet.
func (s *Subscriber) follow(ctx context.Context, name string, number uint32) error {
	var ours uint32
	for own, to := range s.own {
		switch {
		case to == subscription{name, number}:
			return nil
		case to.name == name:
			ours = own // of a service that was started anew
		case to.name == "" && ours == 0:
			ours = own
		}
	}
	if ours == 0 {
		var err error
		if ours, err = s.addObject(ctx); err != nil {
			return err
		}
	}
	s.own[ours] = subscription{name, number}
	body := AppendUint32(AppendUint32(nil, AttrObjID, ours), AttrTarget, number)
	err := s.conn.exchange(ctx, Message{Type: TypeSubscribe, Attributes: body}, func(Body) error { return nil })
	if err == nil {
		return nil
	}
	s.own[ours] = subscription{}
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	// That is what the daemon says of an object that went away meanwhile, and
	// of one that may not be subscribed to.
	again, err := s.conn.lookup(ctx, name)
	switch {
	case err == nil && again[name] == number:
		return ErrPermissionDenied
	case err == nil || errors.Is(err, ErrNotFound):
		return nil
	}
	return err
}

// addObject makes an object of ours and returns its number.
func (s *Subscriber) addObject(ctx context.Context) (number uint32, err error) {
	if len(s.own) >= maxSubscriptions {
		return 0, fmt.Errorf("more than %d objects", maxSubscriptions)
	}
	err = s.conn.exchange(ctx, Message{Type: TypeAddObject}, func(b Body) error {
		number = b.Object
		return nil
	})
	if err == nil && number == 0 {
		err = fmt.Errorf("%w: object without a number", ErrMalformed)
	}
	return number, err
}

// Next returns the next notification. It waits until ctx is done or the time
// until, if that is not zero: the error wraps os.ErrDeadlineExceeded then, and
// the subscriber goes on. After any other error it is of no more use.
func (s *Subscriber) Next(ctx context.Context, until time.Time) (Notification, error) {
	for {
		if len(s.waiting) > 0 {
			n := s.waiting[0]
			s.waiting = s.waiting[1:]
			return n, nil
		}
		if err := s.receive(ctx, until); err != nil {
			return Notification{}, &CallError{Op: "wait for notifications", Err: err}
		}
	}
}

// receive takes one message, of which s.waiting may have a notification then.
func (s *Subscriber) receive(ctx context.Context, until time.Time) error {
	socket := s.conn.socket
	if socket == nil {
		return net.ErrClosed
	}
	if err := socket.SetDeadline(until); err != nil {
		return err
	}
	stop := s.conn.interrupt(ctx)
	defer stop()
	if err := ctx.Err(); err != nil {
		return err
	}
	// Nothing is consumed by this: the deadline may pass between two messages,
	// not within one.
	_, err := s.reader.Peek(1)
	if err == nil {
		err = socket.SetDeadline(time.Now().Add(DefaultTimeout))
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return os.ErrDeadlineExceeded
	case err != nil:
		return fmt.Errorf("connection closed by the bus: %w", err)
	}
	m, err := s.conn.read()
	if err != nil {
		return fmt.Errorf("within a message: %w", err)
	}
	return s.take(m)
}

// take keeps what a message notifies of, and answers who waits for it.
func (s *Subscriber) take(m Message) error {
	switch m.Type {
	case TypeInvoke, TypeUnsubscribe:
	default:
		return nil
	}
	body, err := ParseBody(m.Attributes)
	if err != nil {
		return err
	}
	to, ok := s.own[body.Object]
	if m.Type == TypeUnsubscribe {
		if ok && to.number == body.Target {
			s.own[body.Object] = subscription{}
		}
		return nil
	}
	if ok && to.name != "" {
		if len(s.waiting) >= maxWaiting {
			return fmt.Errorf("more than %d notifications at once", maxWaiting)
		}
		s.waiting = append(s.waiting, Notification{to.name, body.Method, slices.Clone(body.Data)})
	}
	if body.NoReply {
		return nil
	}
	reply := AppendUint32(AppendUint32(nil, AttrStatus, 0), AttrObjID, body.Object)
	s.out, err = AppendMessage(s.out[:0], Message{Type: TypeStatus, Sequence: m.Sequence, Peer: m.Peer, Attributes: reply})
	if err != nil {
		return err
	}
	_, err = s.conn.socket.Write(s.out)
	return err
}
