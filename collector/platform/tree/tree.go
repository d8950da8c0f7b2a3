// Package tree reads values out of a decoded reply of a box, whose types
// cannot be relied on.
//
// # What is promised
//
//   - A value of a wrong type is absent, never zero and never a panic.
//   - Numbers are read exactly: no value passes through a float on its way.
//   - A reply is parsed only within MaxBytes and MaxDepth.
//   - Parse takes what encoding/json takes, and reads it as that does.
//   - Parsing allocates for a reply as a whole, not for each value in it.
//   - Texts and keys are copies: who keeps one does not keep the reply.
//
// The same number comes as 47, "47", 47.0 or "47.0" from one firmware or the
// next, text follows the end of the JSON (an event reply ends with the word
// null), and what should be an object is null, a list or a page of HTML. A
// Node takes all that; a Check counts what was there but made no sense.
//
// A reply of which a few values are read has thousands. Parse notes where each
// begins, in 12 bytes, and a value is made when it is asked for. So a step of
// Get goes through the entries of one object, and the order of keys is made
// when Each or Len needs it.
package tree

import (
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
	// v is *document for an object or a list of a reply that was parsed, or
	// map[string]any, []any, json.Number, string, bool, float64, int64, uint64,
	// or nil.
	v any
	// at is the cell of the object or list in the document.
	at int
}

// New returns the Node of v, which is built of map[string]any, []any,
// json.Number, string, bool, float64, int64, uint64 and nil. Anything else in
// it reads as nothing. The Node shares v.
func New(v any) Node { return Node{v: v} }

// Parse returns the first JSON value in body. Text after it is left alone. Of
// several entries of an object with one key the last counts. The Node reads
// from body, which must not change any more; texts and keys are copies.
// The error wraps ErrMalformed and shows at most one character of the body.
func Parse(body []byte) (Node, error) {
	if len(body) > MaxBytes {
		return Node{}, fmt.Errorf("parse reply: %w: %d bytes are more than %d", ErrMalformed, len(body), MaxBytes)
	}
	d, err := parse(body)
	if err != nil {
		return Node{}, fmt.Errorf("parse reply: %w: %v", ErrMalformed, err) //nolint:errorlint // the cause is for people only
	}
	return d.node(0), nil
}

// Get follows path down from n: a key in an object, a decimal index in a
// list. The result is nothing where a step does not exist.
func (n Node) Get(path ...string) Node {
	for _, key := range path {
		switch v := n.v.(type) {
		case *document:
			n = v.get(n.at, key)
		case map[string]any:
			n = Node{v: v[key]}
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(v) {
				return Node{}
			}
			n = Node{v: v[i]}
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
	switch v := n.v.(type) {
	case *document:
		return v.isObject(n.at)
	case map[string]any:
		return true
	}
	return false
}

// IsList says whether n is a list.
func (n Node) IsList() bool {
	switch v := n.v.(type) {
	case *document:
		return !v.isObject(n.at)
	case []any:
		return true
	}
	return false
}

// Len is the number of entries of an object or a list, and zero otherwise.
func (n Node) Len() int {
	switch v := n.v.(type) {
	case *document:
		return v.len(n.at)
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
	case *document:
		v.each(n.at, f)
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			f(key, Node{v: v[key]})
		}
	case []any:
		for i, e := range v {
			f(strconv.Itoa(i), Node{v: e})
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
