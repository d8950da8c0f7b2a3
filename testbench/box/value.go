package box

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// An object is a JSON object that keeps its order, as a box's replies do.
// Its values are *object, []any, string, bool, int, int64, uint64, float64
// and nil.
type object struct {
	fields []field
}

type field struct {
	key   string
	value any
}

// obj returns the object of the keys and values that alternate in kv.
func obj(kv ...any) *object {
	o := &object{fields: make([]field, 0, len(kv)/2)}
	for i := 0; i+1 < len(kv); i += 2 {
		o.fields = append(o.fields, field{kv[i].(string), kv[i+1]})
	}
	return o
}

// find returns the place of key in o, or -1.
func (o *object) find(key string) int {
	return slices.IndexFunc(o.fields, func(f field) bool { return f.key == key })
}

// get returns the object at a key, or nil.
func (o *object) get(key string) *object {
	if i := o.find(key); i >= 0 {
		sub, _ := o.fields[i].value.(*object)
		return sub
	}
	return nil
}

// add sets key to v, at the end of o where it is new.
func (o *object) add(key string, v any) {
	if i := o.find(key); i >= 0 {
		o.fields[i].value = v
		return
	}
	o.fields = append(o.fields, field{key, v})
}

// put sets what is at path, keys joined by slashes, to v where the object has
// it: what a kind of box does not tell stays untold.
func (o *object) put(path string, v any) {
	key, rest, deeper := strings.Cut(path, "/")
	i := o.find(key)
	switch {
	case i < 0:
	case !deeper:
		o.fields[i].value = v
	default:
		if sub, ok := o.fields[i].value.(*object); ok {
			sub.put(rest, v)
		}
	}
}

// remove takes what is at path away.
func (o *object) remove(path string) {
	key, rest, deeper := strings.Cut(path, "/")
	i := o.find(key)
	switch {
	case i < 0:
	case !deeper:
		o.fields = slices.Delete(o.fields, i, i+1)
	default:
		if sub, ok := o.fields[i].value.(*object); ok {
			sub.remove(rest)
		}
	}
}

// rename gives the value at path another last key.
func (o *object) rename(path, key string) {
	first, rest, deeper := strings.Cut(path, "/")
	i := o.find(first)
	switch {
	case i < 0:
	case !deeper:
		o.fields[i].key = key
	default:
		if sub, ok := o.fields[i].value.(*object); ok {
			sub.rename(rest, key)
		}
	}
}

// clone returns a copy that shares no object with o.
func (o *object) clone() *object {
	c := &object{fields: slices.Clone(o.fields)}
	for i, f := range c.fields {
		if sub, ok := f.value.(*object); ok {
			c.fields[i].value = sub.clone()
		}
	}
	return c
}

// appendJSON appends v without a space and without escaping what JSON does
// not ask for.
func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case *object:
		b = append(b, '{')
		for i, f := range v.fields {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, f.key)
			b = append(b, ':')
			b = appendJSON(b, f.value)
		}
		return append(b, '}')
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, e)
		}
		return append(b, ']')
	case string:
		return appendString(b, v)
	case bool:
		return strconv.AppendBool(b, v)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case uint64:
		return strconv.AppendUint(b, v, 10)
	case float64:
		return strconv.AppendFloat(b, v, 'f', -1, 64)
	case nil:
		return append(b, "null"...)
	}
	panic(fmt.Sprintf("box: a reply holds a %T", v))
}

func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ':
			b = fmt.Appendf(b, `\u%04x`, r)
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

// zeroDate is how a box writes that something has never happened.
const zeroDate = "0001-01-01T00:00:00Z"

// A skeletonError says where the text of a skeleton makes no sense.
type skeletonError struct{ rest string }

func (e *skeletonError) Error() string {
	return fmt.Sprintf("skeleton: no value at %.40q", e.rest)
}

// parseSkeleton reads the notation in which this package keeps the shape of
// large replies. It is a sequence of keys, each followed at once by what its
// value is: # is the number 0, $ an empty text, ? false, @ the zero date,
// = a JSON text, number or truth value, and " {" an object of further keys
// that ends with "}".
func parseSkeleton(text string) (*object, error) {
	o, rest, err := skeletonObject(text)
	if err == nil && rest != "" {
		err = &skeletonError{rest}
	}
	return o, err
}

const skeletonSpace = " \n\t"

// skeletonObject reads keys up to a closing brace or the end.
func skeletonObject(text string) (o *object, rest string, err error) {
	o = &object{}
	for {
		text = strings.TrimLeft(text, skeletonSpace)
		if text == "" {
			return o, "", nil
		}
		if text[0] == '}' {
			return o, text[1:], nil
		}
		n := strings.IndexAny(text, "#$?@={}\n ")
		if n <= 0 {
			return nil, "", &skeletonError{text}
		}
		key := text[:n]
		var v any
		switch mark := text[n]; mark {
		case '#', '$', '?', '@':
			v = map[byte]any{'#': 0, '$': "", '?': false, '@': zeroDate}[mark]
			text = text[n+1:]
		case '=':
			v, text, err = skeletonLiteral(text[n+1:])
		default:
			inner, brace := strings.CutPrefix(strings.TrimLeft(text[n:], skeletonSpace), "{")
			if !brace {
				return nil, "", &skeletonError{text}
			}
			v, text, err = skeletonObject(inner)
		}
		if err != nil {
			return nil, "", err
		}
		o.fields = append(o.fields, field{key, v})
	}
}

// skeletonLiteral reads one JSON value that is no object and no list.
func skeletonLiteral(text string) (v any, rest string, err error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, "", &skeletonError{text}
	}
	rest = text[d.InputOffset():]
	if n, ok := v.(json.Number); ok {
		i, err := n.Int64()
		if err != nil {
			return nil, "", &skeletonError{text}
		}
		v = int(i)
	}
	return v, rest, nil
}
