package sysbus

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"

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
	case http.StatusUnauthorized, http.StatusForbidden:
		e.meaning = collector.ErrRefused
	case http.StatusNotFound, http.StatusMethodNotAllowed:
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

// headers returns what the box wants to see beside the body.
func (c *Client) headers(r request) http.Header {
	h := http.Header{
		"User-Agent": {"livebox-agent"},
		// All that is asked only reads. The nil, which is not sent, lets
		// net/http ask again when the kept connection turns out to be closed.
		"Idempotency-Key": nil,
	}
	variant := "application/x-sah-" + c.config.ContentType + "-call+json"
	switch r.kind {
	case kindLogin:
		h.Set("Authorization", "X-Sah-Login")
		variant = "application/x-sah-" + Bare + "-call+json"
	case kindEvent:
		variant = "application/x-sah-event-4-call+json"
	}
	h.Set("Content-Type", variant)
	r.session.show(h)
	return h
}

// exchange sends one request and returns the reply, without the wrapper.
func (c *Client) exchange(ctx context.Context, r request) (tree.Node, error) {
	via, limit := c.calls, Timeout
	if r.kind == kindEvent {
		via, limit = c.polls, pollTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	body, err := r.encode()
	if err != nil {
		return tree.Node{}, fmt.Errorf("encode request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.config.endpoint(), bytes.NewReader(body))
	if err != nil {
		return tree.Node{}, err
	}
	req.Header = c.headers(r)
	resp, err := via.Do(req)
	if err != nil {
		return tree.Node{}, err // *url.Error already names the operation and the URL
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return tree.Node{}, newStatusError(resp.StatusCode)
	}
	r.session.addCookies(resp.Header.Values("Set-Cookie"))
	return readReply(resp)
}

// readReply returns what the body says.
func readReply(resp *http.Response) (tree.Node, error) {
	if resp.ContentLength > tree.MaxBytes {
		return tree.Node{}, fmt.Errorf("read reply: %w: %d bytes announced", tree.ErrMalformed, resp.ContentLength)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, tree.MaxBytes+1))
	if err != nil {
		return tree.Node{}, fmt.Errorf("read reply: %w", err)
	}
	n, err := tree.Parse(body)
	if err != nil {
		if t, _, bad := mime.ParseMediaType(resp.Header.Get("Content-Type")); bad == nil {
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
