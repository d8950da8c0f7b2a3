package netfault

import (
	"context"
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"
)

// brokerName is the name that boxes ask for, of the domain for tests.
const brokerName = "broker.test"

// A nameServer answers every question with 127.0.0.1, once it is told to; until
// then it says that there is no such name, or nothing.
type nameServer struct {
	conn    net.PacketConn
	silent  bool
	answers atomic.Bool
	running sync.WaitGroup
}

func startNameServer(silent bool) (*nameServer, error) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	n := &nameServer{conn: conn, silent: silent}
	n.running.Go(n.serve)
	return n, nil
}

func (n *nameServer) answer() { n.answers.Store(true) }

// close ends the server; one that was never started is closed.
func (n *nameServer) close() error {
	if n == nil {
		return nil
	}
	err := n.conn.Close()
	n.running.Wait()
	return err
}

func (n *nameServer) serve() {
	b := make([]byte, 512)
	for {
		size, from, err := n.conn.ReadFrom(b)
		if err != nil {
			return
		}
		if n.silent && !n.answers.Load() {
			continue
		}
		if reply := respond(b[:size], n.answers.Load()); reply != nil {
			_, _ = n.conn.WriteTo(reply, from) // who asked asks again
		}
	}
}

// respond answers a question of one name (RFC 1035, 4.1): with the loopback, with
// nothing where it is not asked for an IPv4 address, or, unless known, with "no
// such name". It is nil where the question is none.
func respond(question []byte, known bool) []byte {
	const head = 12
	if len(question) < head || binary.BigEndian.Uint16(question[4:]) != 1 {
		return nil
	}
	end := head
	for end < len(question) && question[end] != 0 {
		end += 1 + int(question[end])
	}
	end += 1 + 4 // the root, type and class
	if end > len(question) {
		return nil
	}
	kind := binary.BigEndian.Uint16(question[end-4:])
	reply := append([]byte(nil), question[:end]...)
	reply[2], reply[3] = 0x80|question[2]&0x01, 0x80 // a response, recursion as desired and available
	copy(reply[6:head], make([]byte, 6))             // no records
	switch {
	case !known:
		reply[3] |= 3 // no such name
	case kind == 1:
		reply[7] = 1
		// The name of the question, an address of the Internet for a second.
		reply = append(reply, 0xc0, head, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1)
	}
	return reply
}

// dial is the agent's dial with this name server in place of the machine's.
func (n *nameServer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{KeepAlive: -1, Resolver: &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "udp", n.conn.LocalAddr().String())
		},
	}}
	return d.DialContext(ctx, network, addr)
}
