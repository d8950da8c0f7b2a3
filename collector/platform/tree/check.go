package tree

import (
	"fmt"
	"strings"
)

// A Check reads values and counts those that are there but are not what they
// should be. The zero value is ready; it is for one reply.
type Check struct {
	bad   int
	first string
}

// A ValueError says that a reply held values of a wrong type. The others were
// read.
type ValueError struct {
	// Count is how many values made no sense.
	Count int
	// First is the path of the first of them, parts joined by dots.
	First string
}

func (e *ValueError) Error() string {
	if e.Count == 1 {
		return fmt.Sprintf("read %s: value of a wrong type or out of range", e.First)
	}
	return fmt.Sprintf("read %s and %d more: values of a wrong type or out of range", e.First, e.Count-1)
}

// Unwrap lets errors.Is find ErrMalformed.
func (e *ValueError) Unwrap() error { return ErrMalformed }

// Bad counts the value at path as one that makes no sense, for a caller that
// looks closer than a Check does. The path must not identify anybody: it is
// reported.
func (c *Check) Bad(path ...string) {
	if c.bad == 0 {
		c.first = strings.Join(path, ".")
	}
	c.bad++
}

// Err returns nil if every value read was absent or good, and a *ValueError
// otherwise.
func (c *Check) Err() error {
	if c.bad == 0 {
		return nil
	}
	return &ValueError{Count: c.bad, First: c.first}
}

// Int returns n.Get(path...).Int(), and counts what is there but no whole
// number. An empty text is absent.
func (c *Check) Int(n Node, path ...string) (int64, bool) {
	n = n.Get(path...)
	v, ok := n.Int()
	return v, c.number(n, ok, path)
}

// Uint returns n.Get(path...).Uint(), and counts as Int does.
func (c *Check) Uint(n Node, path ...string) (uint64, bool) {
	n = n.Get(path...)
	v, ok := n.Uint()
	return v, c.number(n, ok, path)
}

// Scaled returns n.Get(path...).Scaled(exp), and counts as Int does.
func (c *Check) Scaled(n Node, exp int, path ...string) (int64, bool) {
	n = n.Get(path...)
	v, ok := n.Scaled(exp)
	return v, c.number(n, ok, path)
}

// Text returns n.Get(path...).Text(), and counts what is there but no text.
func (c *Check) Text(n Node, path ...string) (string, bool) {
	n = n.Get(path...)
	v, ok := n.Text()
	if !ok && n.Exists() {
		c.Bad(path...)
	}
	return v, ok
}

// Bool returns n.Get(path...).Bool(), and counts what is there but no truth
// value. An empty text is absent.
func (c *Check) Bool(n Node, path ...string) (v, ok bool) {
	n = n.Get(path...)
	v, ok = n.Bool()
	return v, c.number(n, ok, path)
}

// number returns ok and counts n unless it is good or absent.
func (c *Check) number(n Node, ok bool, path []string) bool {
	if !ok && n.Exists() && n.v != "" {
		c.Bad(path...)
	}
	return ok
}
