package faultproxy

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// maxPacket bounds a packet of MQTT that is passed on.
const maxPacket = 32 << 20

// A conn is one connection of a box and the one to the broker behind it.
type conn struct {
	proxy *Proxy
	box   net.Conn

	mu     sync.Mutex // guards broker, action and ended
	broker net.Conn
	action Action
	hit    bool
	ended  bool
	over   chan struct{} // closed at the end

	down sync.Mutex // one write to the box at a time: Pretend writes too
}

// A unit is what is passed on in one piece.
type unit struct {
	data  []byte
	at    time.Time // when it came
	phase Phase
	topic string
	half  bool // all that is passed on before then strikes
	then  Action
}

// join adds the broker's side; it is false where the connection is over.
func (c *conn) join(broker net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		_ = broker.Close()
		return false
	}
	c.broker = broker
	return true
}

// reset ends both sides with RST.
func (c *conn) reset() {
	c.mu.Lock()
	for _, side := range []net.Conn{c.box, c.broker} {
		if t, ok := side.(*net.TCPConn); ok {
			_ = t.SetLinger(0) // fails only where it is closed
		}
	}
	c.mu.Unlock()
	c.close()
}

func (c *conn) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.ended = true
	close(c.over)
	_ = c.box.Close()
	if c.broker != nil {
		_ = c.broker.Close()
	}
}

// strike makes an action hold for the rest of the connection.
func (c *conn) strike(a Action) {
	if a == Reset {
		c.reset()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hit, c.action = true, a
}

// hold keeps a connection that was struck before anything was read, until the
// box gives it up, if that can be seen, or the proxy ends it.
func (c *conn) hold() {
	if c.stalls() {
		<-c.over
		return
	}
	_, _ = io.Copy(io.Discard, c.box)
}

// isHit tells whether the connection was struck.
func (c *conn) isHit() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hit
}

// swallows tells whether nothing passes in that direction any more.
func (c *conn) swallows(up bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hit && (c.action == Swallow || c.action == Stall || c.action == SwallowUp && up || c.action == SwallowDown && !up)
}

func (c *conn) stalls() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hit && c.action == Stall
}

// run passes on both ways until one side ends, and then ends the other.
func (c *conn) run(box, broker net.Conn, read func(*bufio.Reader, bool) (unit, error)) {
	var ways sync.WaitGroup
	ways.Go(func() { c.pass(box, broker, true, read) })
	ways.Go(func() { c.pass(broker, box, false, read) })
	ways.Wait()
}

// pass passes on one direction.
func (c *conn) pass(from, to net.Conn, up bool, read func(*bufio.Reader, bool) (unit, error)) {
	queue := make(chan unit, 1024)
	var end error // why reading ended; read by write after queue is closed
	var writer sync.WaitGroup
	writer.Go(func() { c.write(to, queue, up); c.finish(to, up, end) })
	defer writer.Wait()
	defer close(queue)
	in := bufio.NewReaderSize(from, 16<<10)
	first := true
	for {
		if c.stalls() {
			<-c.over
			return
		}
		u, err := read(in, up)
		if err != nil {
			end = err
			return
		}
		if u.phase == Never && first {
			u.phase = Hello
			if !up {
				u.phase = Handshake
			}
		}
		first = false
		if c.meet(from, &u) {
			continue
		}
		u.at = time.Now()
		select {
		case queue <- u:
		case <-c.over:
			return
		}
	}
}

// meet lets the fault strike where it is its time; it is true where nothing of
// the unit is to be passed on.
func (c *conn) meet(box net.Conn, u *unit) (dropped bool) {
	if c.isHit() {
		return false // write knows what still passes
	}
	f, ok := c.proxy.take(u.phase, u.topic)
	if !ok {
		return false
	}
	if f.Do == Pretend {
		return c.pretend(box, u.data)
	}
	if u.phase == Handshake || u.phase == Publish {
		u.data, u.half, u.then = u.data[:len(u.data)/2], true, f.Do
		return false
	}
	c.strike(f.Do)
	return true
}

// write writes what is queued when its time has come.
func (c *conn) write(to net.Conn, queue <-chan unit, up bool) {
	free := time.Now() // when the line is free again
	for u := range queue {
		delay, rate := c.proxy.line()
		due := u.at.Add(delay)
		if rate > 0 {
			if free.Before(due) {
				free = due
			}
			free = free.Add(time.Duration(float64(len(u.data)) * 8 / float64(rate) * float64(time.Second)))
			due = free
		}
		if !c.wait(time.Until(due)) || c.swallows(up) {
			continue
		}
		if !up {
			c.down.Lock()
		}
		_, err := to.Write(u.data)
		if !up {
			c.down.Unlock()
		}
		if err != nil {
			c.reset()
			continue
		}
		count := &c.proxy.down
		if up {
			count = &c.proxy.up
		}
		count.Add(uint64(len(u.data)))
		if u.half {
			c.strike(u.then)
		}
	}
}

// finish passes on that the sender has ended, when all it said has gone: an end
// of stream as one, everything else as a reset.
func (c *conn) finish(to net.Conn, up bool, end error) {
	if c.swallows(up) {
		return
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok && errors.Is(end, io.EOF) {
		_ = half.CloseWrite() // fails only where it is closed
		return
	}
	c.reset()
}

// wait waits; it is false where the connection ends first.
func (c *conn) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.over:
		return false
	}
}

// pretend answers a PUBLISH in the broker's place.
func (c *conn) pretend(box net.Conn, packet []byte) bool {
	id, ok := publishID(packet)
	if !ok {
		return false
	}
	c.down.Lock()
	defer c.down.Unlock()
	_, err := box.Write(binary.BigEndian.AppendUint16([]byte{0x40, 2}, id))
	return err == nil
}

// readBytes reads what has come.
func readBytes(in *bufio.Reader, _ bool) (unit, error) {
	b := make([]byte, 16<<10)
	n, err := in.Read(b)
	if err != nil {
		return unit{}, err
	}
	return unit{data: b[:n]}, nil
}

var errPacket = errors.New("no packet of MQTT")

// readPacket reads one packet.
func readPacket(in *bufio.Reader, up bool) (unit, error) {
	kind, err := in.ReadByte()
	if err != nil {
		return unit{}, err
	}
	head := []byte{kind}
	length := 0
	for shift := 0; ; shift += 7 {
		b, err := in.ReadByte()
		if err != nil {
			return unit{}, err
		}
		head = append(head, b)
		length |= int(b&0x7f) << shift
		if b&0x80 == 0 {
			break
		}
		if shift == 21 {
			return unit{}, errPacket
		}
	}
	if length > maxPacket {
		return unit{}, errPacket
	}
	u := unit{data: append(head, make([]byte, length)...), phase: phaseOf(kind>>4, up)}
	if _, err := io.ReadFull(in, u.data[len(head):]); err != nil {
		return unit{}, err
	}
	if kind>>4 == 3 {
		body := u.data[len(head):]
		if len(body) < 2 || len(body) < 2+int(binary.BigEndian.Uint16(body)) {
			return unit{}, errPacket
		}
		u.topic = string(body[2 : 2+int(binary.BigEndian.Uint16(body))])
	}
	return u, nil
}

// phaseOf returns the phase of a type of packet (MQTT 3.1.1, table 2.1).
func phaseOf(kind byte, up bool) Phase {
	if up {
		switch kind {
		case 1:
			return Connect
		case 3:
			return Publish
		case 8:
			return Subscribe
		case 12:
			return Pingreq
		}
		return other
	}
	switch kind {
	case 2:
		return Connack
	case 3:
		return Message
	case 4:
		return Puback
	case 9:
		return Suback
	}
	return other
}

// other is the phase of packets that no fault names.
const other Phase = 255

// publishID returns the packet identifier of a PUBLISH at QoS 1.
func publishID(packet []byte) (uint16, bool) {
	if packet[0]&0x06 != 0x02 {
		return 0, false
	}
	body := packet[1:]
	for body[0]&0x80 != 0 {
		body = body[1:]
	}
	body = body[1:]
	at := 2 + int(binary.BigEndian.Uint16(body))
	if len(body) < at+2 {
		return 0, false
	}
	return binary.BigEndian.Uint16(body[at:]), true
}

func endsIn(topic, end string) bool { return strings.HasSuffix(topic, end) }
