// Package ubustest is a fake ubus daemon on a real unix socket, for tests and
// for emulated boxes.
//
// It speaks the daemon's side of the protocol to any client, ours or
// OpenWrt's own: greeting, LOOKUP with and without a star, INVOKE, PING,
// ADD_OBJECT and SUBSCRIBE, and the statuses of what is not there. What the
// services answer is a function; what they notify of is for Notify.
package ubustest

import (
	"bufio"
	"errors"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"

	"livebox-agent/collector/platform/ubus"
)

// Faults that a Handler may return. The values returned beside one are sent
// first.
var (
	// ErrSilent is for a service that does not end its answer.
	ErrSilent = errors.New("service does not answer")
	// ErrHangUp is for a daemon that dies.
	ErrHangUp = errors.New("daemon hangs up")
)

// Raw is a value that is sent as it is in place of a table: for what does not
// hold together.
type Raw []byte

// An Object is one object on the bus.
type Object struct {
	// Path is its name, such as "hostapd.phy0-ap0".
	Path string
	// Methods are those that it has. Others are not found.
	Methods []string
	// Hidden is for an object none of whose methods the client may call. It
	// is found, but neither shown nor called.
	Hidden bool
	// Private is for an object that the client may call, not subscribe to.
	Private bool
}

// A Handler answers a call of a method that the object has. It returns the
// values of the answer, each a ubus.Table or map[string]any as
// ubus.AppendTable takes them, or Raw. An error that wraps a
// ubus.StatusError is the status of the answer; ErrSilent and ErrHangUp are
// the faults they stand for; any other error is ubus.ErrUnknown. A value that
// cannot be encoded ends the connection. The function may be called by several
// clients at once, and has to return before Close does.
type Handler func(object, method string, params map[string]any) (values []any, err error)

// firstObject is the lowest number that an object may have: those below
// belong to the daemon (UBUS_SYSTEM_OBJECT_MAX of ubusmsg.h).
const firstObject = 1024

// A Server is a fake daemon.
type Server struct {
	listener net.Listener
	objects  func() []Object
	handler  Handler
	clients  sync.WaitGroup

	mu      sync.Mutex // guards what follows
	numbers map[string]uint32
	next    uint32
	conns   map[net.Conn]*session
	peer    uint32
	replies int
	closed  bool
}

// Listen starts a daemon on a new socket at path. objects returns the objects
// that there are now, in any order; it is asked for every request, by several
// clients at once.
func Listen(path string, objects func() []Object, handler Handler) (*Server, error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	s := &Server{
		listener: l, objects: objects, handler: handler,
		numbers: make(map[string]uint32), next: firstObject,
		conns: make(map[net.Conn]*session),
	}
	s.clients.Go(s.accept)
	return s, nil
}

// Fixed returns a function for Listen that always gives these objects.
func Fixed(objects ...Object) func() []Object {
	return func() []Object { return objects }
}

// Close stops the daemon, removes its socket, and returns when no client is
// served any more.
func (s *Server) Close() error {
	err := s.listener.Close()
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.clients.Wait()
	return err
}

// Renumber gives every object a new number, as when its service starts anew.
// Who subscribed to them is told that they are gone.
func (s *Server) Renumber() {
	s.mu.Lock()
	clear(s.numbers)
	sessions := slices.Collect(maps.Values(s.conns))
	s.mu.Unlock()
	for _, x := range sessions {
		x.unsubscribe()
	}
}

// number returns the number of an object.
func (s *Server) number(path string) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.numbers[path]
	if !ok {
		s.next++
		n = s.next
		s.numbers[path] = n
	}
	return n
}

func (s *Server) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		if x := s.admit(c); x != nil {
			s.clients.Go(func() { s.serve(x) })
		}
	}
}

// admit keeps the connection for Close; nil: the daemon is closed.
func (s *Server) admit(c net.Conn) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = c.Close()
		return nil
	}
	s.peer++
	x := &session{server: s, conn: c, peer: s.peer, w: bufio.NewWriter(c), subscribed: map[uint32]uint32{}}
	s.conns[c] = x
	return x
}

func (s *Server) serve(x *session) {
	defer func() {
		_ = x.conn.Close()
		s.mu.Lock()
		delete(s.conns, x.conn)
		s.mu.Unlock()
	}()
	if x.send(ubus.Message{Type: ubus.TypeHello, Peer: x.peer}) != nil || x.flush() != nil {
		return
	}
	r := bufio.NewReader(x.conn)
	for {
		m, err := ubus.ReadMessage(r, nil)
		if err != nil {
			return
		}
		if m.Type == ubus.TypeStatus {
			// The answer to a notification.
			s.mu.Lock()
			s.replies++
			s.mu.Unlock()
			continue
		}
		status, err := x.answer(m)
		switch {
		case errors.Is(err, ErrSilent):
			err = nil
		case err == nil:
			err = x.end(m, status)
		}
		if flushErr := x.flush(); err != nil || flushErr != nil {
			return
		}
	}
}

// A session answers one client.
type session struct {
	server *Server
	conn   net.Conn
	peer   uint32
	// service says that a service answers the request, not the daemon: it
	// names itself in the status.
	service bool

	mu sync.Mutex // guards what follows
	w  *bufio.Writer
	// subscribed has, by the client's own objects, those that they subscribed
	// to; 0 for none.
	subscribed map[uint32]uint32
}

func (x *session) send(m ubus.Message) error {
	b, err := ubus.AppendMessage(nil, m)
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	_, err = x.w.Write(b)
	return err
}

func (x *session) flush() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.w.Flush()
}

// end sends the status that ends the answer to a request.
func (x *session) end(request ubus.Message, status ubus.StatusError) error {
	request.Type = ubus.TypeStatus
	request.Attributes = ubus.AppendUint32(nil, ubus.AttrStatus, uint32(status))
	if x.service {
		request.Attributes = ubus.AppendUint32(request.Attributes, ubus.AttrObjID, request.Peer)
	}
	return x.send(request)
}

// answer sends all of the answer to a request but its end. An error ends the
// session, unless it is ErrSilent.
func (x *session) answer(m ubus.Message) (ubus.StatusError, error) {
	x.service = false
	body, err := ubus.ParseBody(m.Attributes)
	if err != nil {
		return 0, err
	}
	switch m.Type {
	case ubus.TypePing:
		m.Type = ubus.TypeData
		return 0, x.send(m)
	case ubus.TypeLookup:
		return x.lookup(m, body)
	case ubus.TypeInvoke:
		return x.invoke(m, body)
	case ubus.TypeAddObject:
		return x.addObject(m)
	case ubus.TypeSubscribe:
		return x.subscribe(body), nil
	}
	return ubus.ErrInvalidCommand, nil
}

func (x *session) lookup(m ubus.Message, body ubus.Body) (ubus.StatusError, error) {
	if body.Has(ubus.AttrObjPath) && body.Path == "" {
		return ubus.ErrInvalidArgument, nil
	}
	prefix, star := strings.CutSuffix(body.Path, "*")
	star = star || !body.Has(ubus.AttrObjPath)
	objects := slices.Clone(x.server.objects())
	slices.SortFunc(objects, func(a, b Object) int { return strings.Compare(a.Path, b.Path) })
	found := !body.Has(ubus.AttrObjPath)
	for _, o := range objects {
		if o.Path != body.Path && (!star || !strings.HasPrefix(o.Path, prefix)) {
			continue
		}
		found = true
		if o.Hidden {
			continue
		}
		reply, err := x.describe(o)
		if err != nil {
			return 0, err
		}
		m.Type, m.Attributes = ubus.TypeData, reply
		if err := x.send(m); err != nil {
			return 0, err
		}
	}
	if !found {
		return ubus.ErrNotFound, nil
	}
	return 0, nil
}

// describe returns what LOOKUP tells of an object.
func (x *session) describe(o Object) ([]byte, error) {
	b, err := ubus.AppendText(nil, ubus.AttrObjPath, o.Path)
	if err != nil {
		return nil, err
	}
	number := x.server.number(o.Path)
	b = ubus.AppendUint32(b, ubus.AttrObjID, number)
	// Each object has a type of its own here.
	b = ubus.AppendUint32(b, ubus.AttrObjType, number^1<<31)
	var signature ubus.Table
	for _, method := range o.Methods {
		signature = append(signature, ubus.Field{Name: method, Value: ubus.Table{}})
	}
	return ubus.AppendValues(b, ubus.AttrSignature, signature)
}

func (x *session) invoke(m ubus.Message, body ubus.Body) (ubus.StatusError, error) {
	if !body.Has(ubus.AttrObjID) || !body.Has(ubus.AttrMethod) {
		return ubus.ErrInvalidArgument, nil
	}
	objects := x.server.objects()
	i := slices.IndexFunc(objects, func(o Object) bool { return x.server.number(o.Path) == body.Object })
	switch {
	case i < 0:
		return ubus.ErrNotFound, nil
	case objects[i].Hidden:
		return ubus.ErrPermissionDenied, nil
	}
	x.service = true
	if !slices.Contains(objects[i].Methods, body.Method) {
		return ubus.ErrMethodNotFound, nil
	}
	params, err := ubus.ParseTable(body.Data)
	if err != nil {
		return ubus.ErrInvalidArgument, nil
	}
	values, failure := x.server.handler(objects[i].Path, body.Method, params)
	for _, v := range values {
		if err := x.value(m, v); err != nil {
			return 0, err
		}
	}
	status, ok := errors.AsType[ubus.StatusError](failure)
	switch {
	case failure == nil || ok:
		return status, nil
	case errors.Is(failure, ErrSilent), errors.Is(failure, ErrHangUp):
		return 0, failure
	}
	return ubus.ErrUnknown, nil
}

// value sends one value of an answer.
func (x *session) value(m ubus.Message, v any) error {
	b := ubus.AppendUint32(nil, ubus.AttrObjID, m.Peer)
	var err error
	if raw, ok := v.(Raw); ok {
		b, err = ubus.AppendBytes(b, ubus.AttrData, raw)
	} else {
		b, err = ubus.AppendValues(b, ubus.AttrData, v)
	}
	if err != nil {
		return err
	}
	m.Type, m.Attributes = ubus.TypeData, b
	return x.send(m)
}
