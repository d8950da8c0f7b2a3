package ubustest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"livebox-agent/collector/platform/ubus"
)

// notifyPatience bounds the wait for a client that does not read.
const notifyPatience = time.Second

// A Notice is what an object tells its subscribers: a type and a table, as
// ubus.AppendTable takes it, or Raw.
type Notice struct {
	Type   string
	Values any
	// Answer says that the object waits for the answers.
	Answer bool
}

// Notify tells those who subscribed to the object at path, and returns how many
// they are. Clients that do not read are cut off.
func (s *Server) Notify(path string, n Notice) (told int, err error) {
	number := s.number(path)
	s.mu.Lock()
	sessions := slices.Collect(maps.Values(s.conns))
	s.mu.Unlock()
	for _, x := range sessions {
		for _, own := range x.subscribers(number) {
			if err := x.notify(own, n); err != nil {
				return told, fmt.Errorf("notify of %s: %w", path, err)
			}
			told++
		}
	}
	return told, nil
}

// Answers returns how many notifications were answered.
func (s *Server) Answers() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.replies
}

// subscribers returns the client's objects that subscribed to that number.
func (x *session) subscribers(number uint32) (owns []uint32) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for own, to := range x.subscribed {
		if to == number {
			owns = append(owns, own)
		}
	}
	return owns
}

func (x *session) notify(own uint32, n Notice) error {
	b, err := ubus.AppendText(ubus.AppendUint32(nil, ubus.AttrObjID, own), ubus.AttrMethod, n.Type)
	if err != nil {
		return err
	}
	if raw, ok := n.Values.(Raw); ok {
		b, err = ubus.AppendBytes(b, ubus.AttrData, raw)
	} else {
		b, err = ubus.AppendValues(b, ubus.AttrData, n.Values)
	}
	if err != nil {
		return err
	}
	if !n.Answer {
		if b, err = ubus.AppendBytes(b, ubus.AttrNoReply, []byte{1}); err != nil {
			return err
		}
	}
	return x.tell(ubus.Message{Type: ubus.TypeInvoke, Sequence: 7, Peer: firstObject, Attributes: b})
}

// tell sends a message that is no answer. A client that does not read loses its
// connection.
func (x *session) tell(m ubus.Message) error {
	_ = x.conn.SetWriteDeadline(time.Now().Add(notifyPatience))
	err := x.send(m)
	if err == nil {
		err = x.flush()
	}
	if err != nil {
		_ = x.conn.Close()
		return nil
	}
	return x.conn.SetWriteDeadline(time.Time{})
}

// unsubscribe tells the client that all it subscribed to is gone.
func (x *session) unsubscribe() {
	x.mu.Lock()
	gone := maps.Clone(x.subscribed)
	for own := range x.subscribed {
		x.subscribed[own] = 0
	}
	x.mu.Unlock()
	for own, number := range gone {
		if number != 0 {
			b := ubus.AppendUint32(ubus.AppendUint32(nil, ubus.AttrObjID, own), ubus.AttrTarget, number)
			_ = x.tell(ubus.Message{Type: ubus.TypeUnsubscribe, Attributes: b})
		}
	}
}

// addObject makes an object of the client's.
func (x *session) addObject(m ubus.Message) (ubus.StatusError, error) {
	x.mu.Lock()
	n := len(x.subscribed)
	x.mu.Unlock()
	own := x.server.number(fmt.Sprint("client ", x.peer, " object ", n))
	x.mu.Lock()
	x.subscribed[own] = 0
	x.mu.Unlock()
	m.Type, m.Attributes = ubus.TypeData, ubus.AppendUint32(nil, ubus.AttrObjID, own)
	return 0, x.send(m)
}

func (x *session) subscribe(body ubus.Body) ubus.StatusError {
	if !body.Has(ubus.AttrObjID) || !body.Has(ubus.AttrTarget) {
		return ubus.ErrInvalidArgument
	}
	i := slices.IndexFunc(x.server.objects(), func(o Object) bool {
		return x.server.number(o.Path) == body.Target && !o.Hidden && !o.Private
	})
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, ours := x.subscribed[body.Object]; !ours || i < 0 {
		return ubus.ErrNotFound
	}
	x.subscribed[body.Object] = body.Target
	return 0
}
