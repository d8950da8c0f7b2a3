package tree

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A document is a reply that was parsed: the text, and one cell for each value
// in the order in which they begin. A value is made when it is read.
type document struct {
	body  []byte
	cells []cell
}

// A cell says where a value is. Its first byte says what it is.
type cell struct {
	// key is the offset of the text of its key, if it is in an object.
	key uint32
	// value is the offset of its first byte.
	value uint32
	// end is the index of the first cell that is neither it nor inside it.
	end uint32
}

// node returns the Node of cell i.
func (d *document) node(i int) Node {
	from := int(d.cells[i].value)
	switch d.body[from] {
	case '{', '[':
		return Node{v: d, at: i}
	case '"':
		return Node{v: d.text(from + len(`"`))}
	case 't':
		return Node{v: true}
	case 'f':
		return Node{v: false}
	case 'n':
		return Node{}
	}
	to := from
	for to < len(d.body) && strings.IndexByte("+-.0123456789Ee", d.body[to]) >= 0 {
		to++
	}
	return Node{v: json.Number(d.body[from:to])}
}

// isObject says whether cell i, which is an object or a list, is an object.
func (d *document) isObject(i int) bool { return d.body[d.cells[i].value] == '{' }

// get returns the value at key in the object or list i. Of several with one
// key it is the last.
func (d *document) get(i int, key string) Node {
	end := int(d.cells[i].end)
	found := 0
	if d.isObject(i) {
		for child := i + 1; child < end; child = int(d.cells[child].end) {
			if d.is(int(d.cells[child].key), key) {
				found = child
			}
		}
	} else if left, err := strconv.Atoi(key); err == nil {
		for child := i + 1; child < end; child = int(d.cells[child].end) {
			if left == 0 {
				found = child
				break
			}
			left--
		}
	}
	if found == 0 {
		return Node{}
	}
	return d.node(found)
}

// len returns how many entries the object or list i has.
func (d *document) len(i int) (n int) {
	if d.isObject(i) {
		return len(d.members(i))
	}
	return d.entries(i)
}

// entries returns how many entries the object or list i has, those with the
// same key counted each.
func (d *document) entries(i int) (n int) {
	for child := i + 1; child < int(d.cells[i].end); child = int(d.cells[child].end) {
		n++
	}
	return n
}

// each calls f for the entries of the object or list i, as Node.Each does.
func (d *document) each(i int, f func(key string, n Node)) {
	if d.isObject(i) {
		for _, m := range d.members(i) {
			f(m.key, d.node(m.cell))
		}
		return
	}
	n := 0
	for child := i + 1; child < int(d.cells[i].end); child = int(d.cells[child].end) {
		f(strconv.Itoa(n), d.node(child))
		n++
	}
}

// is says whether the text that begins at from is s.
func (d *document) is(from int, s string) bool {
	for i := range len(s) {
		switch c := d.body[from+i]; {
		case c == '\\' || c >= utf8.RuneSelf:
			return d.text(from) == s
		case c == '"' || c != s[i]:
			return false
		}
	}
	return d.body[from+len(s)] == '"'
}

// A member is one entry of an object.
type member struct {
	key  string
	cell int
}

// members returns the entries of object i in the order of their keys.
func (d *document) members(i int) []member {
	all := make([]member, 0, d.entries(i))
	for child := i + 1; child < int(d.cells[i].end); child = int(d.cells[child].end) {
		all = append(all, member{d.text(int(d.cells[child].key)), child})
	}
	slices.SortFunc(all, func(a, b member) int {
		// The last of those with one key comes first, as it is the one to stay.
		return cmp.Or(strings.Compare(a.key, b.key), b.cell-a.cell)
	})
	return slices.CompactFunc(all, func(a, b member) bool { return a.key == b.key })
}

// text returns the text that begins at from and ends before the next quote. It
// is a copy: who keeps it does not keep the document.
func (d *document) text(from int) string {
	plain, to := true, from
	for ; d.body[to] != '"'; to++ {
		switch c := d.body[to]; {
		case c == '\\':
			plain = false
			to++
		case c >= utf8.RuneSelf:
			plain = false
		}
	}
	if plain {
		return string(d.body[from:to])
	}
	return unescape(d.body[from:to])
}

// unescape returns the text that raw is written for. What is no UTF-8, and half
// of a pair of UTF-16, is U+FFFD.
func unescape(raw []byte) string {
	out := make([]byte, 0, len(raw))
	for len(raw) > 0 {
		if raw[0] != '\\' {
			r, size := utf8.DecodeRune(raw)
			out, raw = utf8.AppendRune(out, r), raw[size:]
			continue
		}
		c := raw[1]
		raw = raw[2:]
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			var r rune
			r, raw = unit(raw)
			if utf16.IsSurrogate(r) {
				r, raw = pair(r, raw)
			}
			out = utf8.AppendRune(out, r)
			continue
		}
		out = append(out, c)
	}
	return string(out)
}

// pair returns the character of which first is one half and raw begins with
// the escape of the other, and what comes after it. Without the other half it
// is U+FFFD, and raw is returned as it is.
func pair(first rune, raw []byte) (r rune, rest []byte) {
	if len(raw) < 2 || raw[0] != '\\' || raw[1] != 'u' {
		return utf8.RuneError, raw
	}
	second, rest := unit(raw[2:])
	if r = utf16.DecodeRune(first, second); r == utf8.RuneError {
		return r, raw
	}
	return r, rest
}

// hexDigits is how many hexadecimal digits an escape has.
const hexDigits = 4

// unit returns the number that raw begins with, and what comes after it.
func unit(raw []byte) (r rune, rest []byte) {
	for _, c := range raw[:hexDigits] {
		digit, _ := hex(c)
		r = r<<4 | rune(digit)
	}
	return r, raw[hexDigits:]
}

// hex returns what c means as a hexadecimal digit, and whether it is one.
func hex(c byte) (digit byte, ok bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
