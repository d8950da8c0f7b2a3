package sysbus

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"livebox-agent/collector"
	"livebox-agent/collector/platform/tree"
)

// A StatusError is a reply of the box's web server that is no reply to a call.
type StatusError struct {
	// Code is the HTTP status.
	Code int
	// meaning is collector.ErrRefused, collector.ErrNoData or nil.
	meaning error
}

func (e *StatusError) Error() string {
	if e.Code >= 300 && e.Code < 400 {
		return fmt.Sprintf("HTTP status %d: redirects are not followed", e.Code)
	}
	return fmt.Sprintf("HTTP status %d", e.Code)
}

// Unwrap returns collector.ErrRefused for a login that is wanted,
// collector.ErrNoData where there is no such service, or nil.
func (e *StatusError) Unwrap() error { return e.meaning }

func newStatusError(code int) *StatusError {
	e := &StatusError{Code: code}
	switch code {
	case statusUnauthorized, statusForbidden:
		e.meaning = collector.ErrRefused
	case statusNotFound, statusMethodNotAllowed:
		e.meaning = collector.ErrNoData
	}
	return e
}

// A kind of request differs in its headers.
type kind uint8

const (
	kindCall kind = iota
	kindLogin
	kindEvent
)

// A request is one POST. An event has a body of its own, all others are calls.
type request struct {
	service    string
	method     string
	parameters any
	body       any
	kind       kind
	session    *session
	via        *lane // of an event
}

func (r request) encode() ([]byte, error) {
	if r.kind == kindEvent {
		return json.Marshal(r.body)
	}
	if r.parameters == nil {
		r.parameters = struct{}{}
	}
	return json.Marshal(struct {
		Service    string `json:"service"`
		Method     string `json:"method"`
		Parameters any    `json:"parameters"`
	}{r.service, r.method, r.parameters})
}

// message returns the HTTP request that carries r, with its body. What the box
// asked to be sent back was checked when it came: nothing in it ends a line.
func (c *Client) message(r request, body []byte) []byte {
	variant := c.config.ContentType
	switch r.kind {
	case kindLogin:
		variant = Bare
	case kindEvent:
		variant = "event-4"
	}
	m := fmt.Appendf(nil, "POST /ws HTTP/1.1\r\nHost: %s\r\nUser-Agent: livebox-agent\r\n"+
		"Content-Type: application/x-sah-%s-call+json\r\nContent-Length: %d\r\n", c.host, variant, len(body))
	if r.kind == kindLogin {
		m = append(m, "Authorization: X-Sah-Login\r\n"...)
	}
	m = append(r.session.show(m), "\r\n"...)
	return append(m, body...)
}

// exchange sends one request and returns the reply, without the wrapper.
func (c *Client) exchange(ctx context.Context, r request) (tree.Node, error) {
	via, limit := c.calls, Timeout
	if r.kind == kindEvent {
		via, limit = r.via, pollTimeout
	}
	body, err := r.encode()
	if err != nil {
		return tree.Node{}, fmt.Errorf("encode request: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if r.kind == kindCall {
		via.known = c.lengths[string(body)]
	}
	answer, err := via.roundTrip(ctx, c.message(r, body))
	via.known = 0
	if err != nil {
		return tree.Node{}, fmt.Errorf("ask %s: %w", c.config.URL, err)
	}
	if answer.status != statusOK {
		return tree.Node{}, newStatusError(answer.status)
	}
	r.session.addCookies(answer.cookies)
	if r.kind == kindCall {
		c.noteLength(body, len(answer.body))
	}
	return answer.parse()
}

// noteLength notes how long the reply to a call was, with room for one that is
// a little longer. The caller has the turn.
func (c *Client) noteLength(call []byte, n int) {
	if len(c.lengths) >= maxLengths {
		clear(c.lengths)
	}
	c.lengths[string(call)] = n + n/16
}

// parse returns what the body says.
func (r reply) parse() (tree.Node, error) {
	n, err := tree.Parse(r.body)
	if err != nil {
		if t, _, _ := strings.Cut(r.contentType, ";"); t != "" {
			return tree.Node{}, fmt.Errorf("%w (the box calls it %s)", err, clip(t))
		}
		return tree.Node{}, err
	}
	return unwrap(n)
}

// unwrap returns what is inside "result", and the error if that is one.
func unwrap(n tree.Node) (tree.Node, error) {
	if err := fault(n); err != nil {
		return tree.Node{}, err
	}
	if inner := n.Get("result"); inner.IsObject() && !n.Get("status").Exists() {
		n = inner
		if err := fault(n); err != nil {
			return tree.Node{}, err
		}
	}
	if !n.IsObject() {
		return tree.Node{}, fmt.Errorf("read reply: %w: not an object", tree.ErrMalformed)
	}
	return n, nil
}
