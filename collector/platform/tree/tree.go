// Package tree reads values out of a decoded reply of a box, whose types
// cannot be relied on.
//
// # What is promised
//
//   - A value of a wrong type is absent, never zero and never a panic.
//   - Numbers are read exactly: no value passes through a float on its way.
//   - A reply is parsed only within MaxBytes and MaxDepth.
//
// The same number comes as 47, "47", 47.0 or "47.0" from one firmware or the
// next, text follows the end of the JSON (an event reply ends with the word
// null), and what should be an object is null, a list or a page of HTML. A
// Node takes all that; a Check counts what was there but made no sense.
package tree

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

const (
	// MaxBytes is the largest reply that Parse takes. The largest that a real
	// box gives is getMIBs of the whole home network, some 300 kB.
	MaxBytes = 2 << 20
	// MaxDepth is how deep objects and lists may be nested. Real replies stay
	// below 12.
	MaxDepth = 32
)

// ErrMalformed says that a reply is not what the protocol says it should be:
// no JSON, cut short, or beyond a limit.
var ErrMalformed = errors.New("malformed reply")

// A Node is one value of a reply: an object, a list, a text, a number, a
// truth value, or nothing. The zero Node is nothing. Every method may be
// called on every Node.
type Node struct {
	// v is map[string]any, []any, json.Number, string, bool, float64, int64,
	// uint64, or nil.
	v any
}

// New returns the Node of v, which is built of map[string]any, []any,
// json.Number, string, bool, float64, int64, uint64 and nil. Anything else in
// it reads as nothing. The Node shares v.
func New(v any) Node { return Node{v} }

// Parse returns the first JSON value in body. Text after it is left alone.
// The error wraps ErrMalformed and shows at most one character of the body.
func Parse(body []byte) (Node, error) {
	if len(body) > MaxBytes {
		return Node{}, fmt.Errorf("parse reply: %w: %d bytes are more than %d", ErrMalformed, len(body), MaxBytes)
	}
	if depth(body) > MaxDepth {
		return Node{}, fmt.Errorf("parse reply: %w: nested deeper than %d", ErrMalformed, MaxDepth)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return Node{}, fmt.Errorf("parse reply: %w: %v", ErrMalformed, err) //nolint:errorlint // the cause is for people only
	}
	return Node{v}, nil
}

// depth returns how deep body is nested at most, so that the decoder is never
// given what would make it recurse without end.
func depth(body []byte) (deepest int) {
	now, quoted, escaped := 0, false, false
	for _, c := range body {
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}' || c == ']':
			now--
			if now <= 0 {
				return deepest
			}
		}
	}
	return deepest
}

// Get follows path down from n: a key in an object, a decimal index in a
// list. The result is nothing where a step does not exist.
func (n Node) Get(path ...string) Node {
	for _, key := range path {
		switch v := n.v.(type) {
		case map[string]any:
			n = Node{v[key]}
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(v) {
				return Node{}
			}
			n = Node{v[i]}
		default:
			return Node{}
		}
	}
	return n
}

// Exists says whether n is anything at all. The null of JSON is not.
func (n Node) Exists() bool { return n.v != nil }

// IsObject says whether n is an object.
func (n Node) IsObject() bool {
	_, ok := n.v.(map[string]any)
	return ok
}

// IsList says whether n is a list.
func (n Node) IsList() bool {
	_, ok := n.v.([]any)
	return ok
}

// Len is the number of entries of an object or a list, and zero otherwise.
func (n Node) Len() int {
	switch v := n.v.(type) {
	case map[string]any:
		return len(v)
	case []any:
		return len(v)
	}
	return 0
}

// Each calls f for the entries of an object in the order of their keys, or of
// a list in its order with the index as key.
func (n Node) Each(f func(key string, n Node)) {
	switch v := n.v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			f(key, Node{v[key]})
		}
	case []any:
		for i, e := range v {
			f(strconv.Itoa(i), Node{e})
		}
	}
}

// Text returns the text that n is. A number is no text.
func (n Node) Text() (string, bool) {
	s, ok := n.v.(string)
	return s, ok
}

// Bool returns the truth value that n is: true or false, 1 or 0, or one of
// these as text.
func (n Node) Bool() (v, ok bool) {
	switch v := n.v.(type) {
	case bool:
		return v, true
	case string:
		switch v {
		case "true":
			return true, true
		case "false":
			return false, true
		}
	}
	switch i, ok := n.Int(); {
	case ok && i == 0:
		return false, true
	case ok && i == 1:
		return true, true
	}
	return false, false
}
