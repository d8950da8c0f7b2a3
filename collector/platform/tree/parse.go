package tree

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// A parser goes once through the first JSON value of body (RFC 8259). It goes
// through it twice in all: to see that it is sound and to count its values,
// and then to note where they are, in as many cells as there are values.
type parser struct {
	body []byte
	at   int
	// passed is how many values began so far.
	passed int
	// cells is nil while the values are only counted.
	cells []cell
}

// parse returns the first JSON value in body, which it keeps.
func parse(body []byte) (*document, error) {
	count := parser{body: body}
	if err := count.value(0, 0); err != nil {
		return nil, err
	}
	body = body[:count.at:count.at]
	note := parser{body: body, cells: make([]cell, count.passed)}
	if err := note.value(0, 0); err != nil {
		return nil, err
	}
	return &document{body: body, cells: note.cells}, nil
}

// value passes the space before a value and the value. The text of its key
// begins at key, and depth objects and lists are around it.
func (p *parser) value(key, depth int) error {
	p.space()
	i, from := p.passed, p.at
	p.passed++
	if err := p.content(depth); err != nil {
		return err
	}
	if p.cells != nil {
		p.cells[i] = cell{key: uint32(key), value: uint32(from), end: uint32(p.passed)}
	}
	return nil
}

// content passes a value.
func (p *parser) content(depth int) error {
	switch p.next() {
	case '{':
		return p.entries('}', depth+1)
	case '[':
		return p.entries(']', depth+1)
	case '"':
		return p.text()
	case 't':
		return p.word("true")
	case 'f':
		return p.word("false")
	case 'n':
		return p.word("null")
	}
	return p.number()
}

// entries passes an object or a list, which the byte closing ends. It is the
// depth-th of those that are in each other.
func (p *parser) entries(closing byte, depth int) error {
	if depth > MaxDepth {
		return fmt.Errorf("nested deeper than %d", MaxDepth)
	}
	p.at++
	if p.space(); p.take(closing) {
		return nil
	}
	for {
		key := 0
		if closing == '}' {
			p.space()
			key = p.at + len(`"`)
			if err := p.text(); err != nil {
				return err
			}
			if p.space(); !p.take(':') {
				return p.unexpected("a colon")
			}
		}
		if err := p.value(key, depth); err != nil {
			return err
		}
		p.space()
		if p.take(closing) {
			return nil
		}
		if !p.take(',') {
			return p.unexpected("a comma or the end of the object or list")
		}
	}
}

// text passes a text in quotes.
func (p *parser) text() error {
	if !p.take('"') {
		return p.unexpected("a text")
	}
	for p.at < len(p.body) {
		switch c := p.body[p.at]; {
		case c == '"':
			p.at++
			return nil
		case c == '\\':
			p.at++
			if err := p.escape(); err != nil {
				return err
			}
		case c < ' ':
			return p.unexpected("a character of a text")
		default:
			p.at++
		}
	}
	return p.unexpected("the end of a text")
}

// escape passes what follows a backslash.
func (p *parser) escape() error {
	c := p.next()
	if c == 0 || strings.IndexByte(`"\/bfnrtu`, c) < 0 {
		return p.unexpected("an escape")
	}
	p.at++
	if c != 'u' {
		return nil
	}
	for range hexDigits {
		if _, ok := hex(p.next()); !ok {
			return p.unexpected("a hexadecimal digit")
		}
		p.at++
	}
	return nil
}

// word passes w, whose first letter is there.
func (p *parser) word(w string) error {
	for i := range len(w) {
		if !p.take(w[i]) {
			return p.unexpected(w)
		}
	}
	return nil
}

// number passes a number.
func (p *parser) number() error {
	negative := p.take('-')
	switch {
	case p.take('0') || p.digits():
	case negative:
		return p.unexpected("a digit")
	default:
		return p.unexpected("a value")
	}
	if p.take('.') && !p.digits() {
		return p.unexpected("a digit")
	}
	if p.take('e') || p.take('E') {
		if !p.take('+') {
			p.take('-')
		}
		if !p.digits() {
			return p.unexpected("a digit")
		}
	}
	return nil
}

// digits passes digits and says whether there are any.
func (p *parser) digits() bool {
	from := p.at
	for c := p.next(); c >= '0' && c <= '9'; c = p.next() {
		p.at++
	}
	return p.at > from
}

// space passes what may be between values.
func (p *parser) space() {
	for c := p.next(); c == ' ' || c == '\n' || c == '\r' || c == '\t'; c = p.next() {
		p.at++
	}
}

// next returns the byte that comes next, and 0 at the end, which nothing in
// JSON is.
func (p *parser) next() byte {
	if p.at < len(p.body) {
		return p.body[p.at]
	}
	return 0
}

// take passes c if it comes next, and says whether it did.
func (p *parser) take(c byte) bool {
	if p.at < len(p.body) && p.body[p.at] == c {
		p.at++
		return true
	}
	return false
}

// unexpected says what should have come next.
func (p *parser) unexpected(want string) error {
	switch {
	case p.at < len(p.body):
		r, _ := utf8.DecodeRune(p.body[p.at:])
		return fmt.Errorf("%q at byte %d where %s should be", r, p.at, want)
	case p.at == 0:
		return errors.New("empty")
	}
	return fmt.Errorf("the end at byte %d where %s should be", p.at, want)
}
