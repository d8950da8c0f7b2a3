package sysbus

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"livebox-agent/collector/platform/tree"
)

const (
	dialTimeout = 10 * time.Second
	// maxReply is how much a box may send in all: a body of the largest size,
	// or a smaller one in many chunks.
	maxReply = maxHeader + tree.MaxBytes
	// maxInterim is how many replies of the kind "100 Continue" may come
	// before the one that counts.
	maxInterim = 4
)

// A lane is one HTTP/1.1 connection, which stays open from one request to the
// next. It is not for concurrent use. The client of net/http does the same and
// more, at the price of linking it.
type lane struct {
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	address string

	conn net.Conn
	// in reads conn through limit, which is set anew for each reply.
	in    *bufio.Reader
	limit io.LimitedReader
	// known is about how long the body of the next reply is; 0: nobody knows.
	known int
}

// dialBox is the way to a box over the network.
func dialBox(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	return d.DialContext(ctx, network, address)
}

// A reply is what came back.
type reply struct {
	status int
	// contentType is what the box calls the body, cookies are the headers
	// Set-Cookie.
	contentType string
	cookies     []string
	// body is read for status 200 only.
	body []byte
}

// roundTrip sends one request and reads the reply to it. A connection that
// was kept may turn out to have been closed by the box meanwhile: then the
// request is sent once more on another, which does no harm, as all requests
// only read.
func (l *lane) roundTrip(ctx context.Context, request []byte) (reply, error) {
	kept := l.conn != nil
	r, began, err := l.attempt(ctx, request)
	if err != nil && kept && !began && ctx.Err() == nil {
		r, _, err = l.attempt(ctx, request)
	}
	return r, err
}

// attempt sends the request once. began says whether anything came back.
// After an error the connection is closed.
func (l *lane) attempt(ctx context.Context, request []byte) (r reply, began bool, err error) {
	if l.conn == nil {
		conn, err := l.dial(ctx, "tcp", l.address)
		if err != nil {
			return reply{}, false, err
		}
		l.conn = conn
		l.limit.R = conn
		l.in = bufio.NewReader(&l.limit)
	}
	conn := l.conn
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	keep := false
	defer func() {
		if !stop() {
			keep = false // its deadline is set for good
			if err != nil && ctx.Err() != nil {
				err = ctx.Err()
			}
		}
		if !keep {
			l.close()
		}
	}()
	if _, err := conn.Write(request); err != nil {
		return reply{}, false, err
	}
	l.limit.N = maxReply
	if _, err := l.in.Peek(1); err != nil {
		return reply{}, false, unexpected(err)
	}
	r, keep, err = l.read()
	return r, true, err
}

// read reads one reply, and says whether the connection may be kept.
func (l *lane) read() (r reply, keep bool, err error) {
	left := maxHeader
	h, err := readHead(l.in, &left)
	for i := 0; err == nil && h.status < statusOK; i++ {
		if i == maxInterim || h.status == statusSwitchingProtocols {
			return reply{}, false, fmt.Errorf("read reply: %w", malformed("HTTP status %d", h.status))
		}
		h, err = readHead(l.in, &left)
	}
	r = reply{status: h.status, contentType: h.contentType, cookies: h.cookies}
	if err == nil && h.status == statusOK {
		r.body, err = h.readBody(l.in, l.known)
	}
	if err != nil {
		if l.limit.N <= 0 {
			err = malformed("more than %d bytes", maxReply)
		}
		return reply{}, false, fmt.Errorf("read reply: %w", err)
	}
	// What came unasked would be taken for the next reply.
	known := h.status == statusOK || h.length == 0
	return r, known && !h.last && l.in.Buffered() == 0, nil
}

// close gives up the connection, if there is one.
func (l *lane) close() {
	if l.conn != nil {
		_ = l.conn.Close()
		l.conn, l.in, l.limit.R = nil, nil, nil
	}
}
