package ubus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// The types of a message (enum ubus_msg_type of ubusmsg.h) that a client of
// services meets.
const (
	TypeHello  = 0
	TypeStatus = 1
	TypeData   = 2
	TypePing   = 3
	TypeLookup = 4
	TypeInvoke = 5

	TypeAddObject   = 6
	TypeSubscribe   = 8
	TypeUnsubscribe = 9
)

// The attributes of a message (enum ubus_msg_attr of ubusmsg.h) that a client
// of services meets.
const (
	AttrStatus    = 1
	AttrObjPath   = 2
	AttrObjID     = 3
	AttrMethod    = 4
	AttrObjType   = 5
	AttrSignature = 6
	AttrData      = 7
	AttrTarget    = 8
	AttrNoReply   = 10
)

// MaxMessage is the largest message that ReadMessage takes. What the agent
// asks for is far smaller: a list of 128 stations takes some 100 kB.
const MaxMessage = 256 << 10

// headerLen is the length of a message's header and the first word of its
// blob.
const headerLen = 8 + wordLen

// A Message is one message to or from the daemon.
type Message struct {
	Type     uint8
	Sequence uint16
	// Peer is the object that a request or its answer is for, 0 in a LOOKUP,
	// and the number of the client in HELLO.
	Peer uint32
	// Attributes are those of the message, as ParseBody takes them.
	Attributes []byte
}

// AppendMessage appends m as it travels.
func AppendMessage(b []byte, m Message) ([]byte, error) {
	b = append(b, 0, m.Type)
	b = binary.BigEndian.AppendUint16(b, m.Sequence)
	b = binary.BigEndian.AppendUint32(b, m.Peer)
	n := wordLen + len(m.Attributes)
	if n > lenMask {
		return nil, fmt.Errorf("message of %d bytes: %w", n, errTooLong)
	}
	// Not padded: the length says where the next message begins.
	return append(binary.BigEndian.AppendUint32(b, uint32(n)), m.Attributes...), nil
}

// ReadMessage reads one message. Its attributes are in the memory of buf
// where that is large enough, and in new memory otherwise. A message that
// does not hold together is ErrMalformed: nothing that follows on r can be
// read then. At the end of r the error is io.EOF, within a message
// io.ErrUnexpectedEOF.
func ReadMessage(r io.Reader, buf []byte) (Message, error) {
	buf = slices.Grow(buf[:0], headerLen)[:headerLen]
	if _, err := io.ReadFull(r, buf); err != nil {
		return Message{}, err
	}
	word := binary.BigEndian.Uint32(buf[8:])
	n := int(word & lenMask)
	switch {
	case buf[0] != 0:
		return Message{}, fmt.Errorf("%w: version %d", ErrMalformed, buf[0])
	case n < wordLen:
		return Message{}, fmt.Errorf("%w: blob of %d bytes", ErrMalformed, n)
	case n > MaxMessage:
		return Message{}, fmt.Errorf("%w: %d bytes are more than %d", ErrMalformed, n, MaxMessage)
	}
	m := Message{
		Type:     buf[1],
		Sequence: binary.BigEndian.Uint16(buf[2:]),
		Peer:     binary.BigEndian.Uint32(buf[4:]),
	}
	m.Attributes = slices.Grow(buf[:0], n-wordLen)[:n-wordLen]
	if _, err := io.ReadFull(r, m.Attributes); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return Message{}, err
	}
	return m, nil
}

// A Body is what the attributes of a message say.
type Body struct {
	given     uint32 // a bit for each attribute
	Status    StatusError
	Path      string // of an object
	Object    uint32
	Method    string
	Type      uint32
	Signature []byte
	// Data are the values of a call or of its answer, as ParseTable takes
	// them. They are a part of the message.
	Data []byte
	// Target is the object that a subscription is for.
	Target uint32
	// NoReply says that nobody waits for an answer.
	NoReply bool
}

// Has says whether the message has the attribute.
func (b *Body) Has(attr uint8) bool { return attr < 32 && b.given&(1<<attr) != 0 }

// ParseBody returns what the attributes of a message say. Unknown ones are
// passed over.
func ParseBody(attributes []byte) (Body, error) {
	var body Body
	for len(attributes) > 0 {
		a, rest, err := cutBlob(attributes)
		if err != nil {
			return Body{}, err
		}
		attributes = rest
		if err := body.take(a); err != nil {
			return Body{}, err
		}
	}
	return body, nil
}

func (b *Body) take(a blob) (err error) {
	var number uint32
	switch a.id {
	case AttrStatus, AttrObjID, AttrObjType, AttrTarget:
		if len(a.data) != 4 {
			return fmt.Errorf("%w: %d bytes for the number %d", ErrMalformed, len(a.data), a.id)
		}
		number = binary.BigEndian.Uint32(a.data)
	}
	switch a.id {
	case AttrStatus:
		b.Status = StatusError(number)
	case AttrObjID:
		b.Object = number
	case AttrObjType:
		b.Type = number
	case AttrObjPath:
		b.Path, err = a.text()
	case AttrMethod:
		b.Method, err = a.text()
	case AttrSignature:
		b.Signature = a.data
	case AttrData:
		b.Data = a.data
	case AttrTarget:
		b.Target = number
	case AttrNoReply:
		b.NoReply = len(a.data) > 0 && a.data[0] != 0
	default:
		return nil
	}
	b.given |= 1 << a.id
	return err
}

// AppendUint32 appends an attribute that is a number.
func AppendUint32(b []byte, attr uint8, v uint32) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(attr)<<idShift|(wordLen+4))
	return binary.BigEndian.AppendUint32(b, v)
}

// AppendText appends an attribute that is a text.
func AppendText(b []byte, attr uint8, s string) ([]byte, error) {
	start := len(b)
	b = append(append(append(b, 0, 0, 0, 0), s...), 0)
	return finish(b, start, uint32(attr)<<idShift)
}

// AppendBytes appends an attribute that holds data as it is.
func AppendBytes(b []byte, attr uint8, data []byte) ([]byte, error) {
	start := len(b)
	b = append(append(b, 0, 0, 0, 0), data...)
	return finish(b, start, uint32(attr)<<idShift)
}

// AppendValues appends an attribute that is a table, as AppendTable takes it:
// Data, or Signature.
func AppendValues(b []byte, attr uint8, table any) ([]byte, error) {
	start := len(b)
	b, err := AppendTable(append(b, 0, 0, 0, 0), table)
	if err != nil {
		return nil, err
	}
	return finish(b, start, uint32(attr)<<idShift)
}
