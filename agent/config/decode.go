package config

import (
	"fmt"
	"log/slog"
	"maps"
	"math"
	"reflect"
	"slices"
	"time"

	"github.com/BurntSushi/toml"
)

// keyDepth is the most names in one key of the configuration.
const keyDepth = 3

// A reader takes the keys of a file one by one: the library's own decoding ends
// at the first value of a wrong type, takes a duration without a unit for
// nanoseconds, and does not tell upper case from lower.
type reader struct {
	sources []string
	tables  map[string]bool // keys of tables that the agent knows
	leaves  map[string]bool // keys of values that it knows
	wrong   map[string]bool // those of leaves and tables that kept their default
	errs    []error
}

// decode puts what the file says into c, which holds the defaults, and returns
// the keys that the agent does not know, in the order of the file. The error is
// one of TOML's syntax; what is wrong with values is in r.
func (r *reader) decode(text string, c *Config) (unknown []string, err error) {
	var file map[string]any
	md, err := toml.Decode(text, &file)
	if err != nil {
		return nil, err
	}
	r.tables, r.leaves, r.wrong = map[string]bool{}, map[string]bool{}, map[string]bool{}
	r.table(nil, file, reflect.ValueOf(c).Elem())
	said := map[string]bool{}
	for _, key := range md.Keys() {
		name := key.String()
		if r.tables[name] || r.leaves[name] || r.insideLeaf(key) || said[name] {
			continue
		}
		said[name] = true
		unknown = append(unknown, name)
	}
	return unknown, nil
}

// insideLeaf tells whether the key belongs to a table that stands where a value
// should: the value's key is then reported, and that is enough.
func (r *reader) insideLeaf(key toml.Key) bool {
	for n := 1; n < len(key) && n <= keyDepth; n++ {
		if r.leaves[key[:n].String()] {
			return true
		}
	}
	return false
}

func (r *reader) table(key toml.Key, table map[string]any, dst reflect.Value) {
	for f, field := range dst.Fields() {
		name := f.Tag.Get("toml")
		if name == "" {
			continue
		}
		if value, ok := table[name]; ok {
			r.value(append(slices.Clip(key), name), value, field)
		}
	}
}

// value puts a value of the file where it belongs, or reports it.
func (r *reader) value(key toml.Key, value any, dst reflect.Value) {
	name := key.String()
	intervals, isMap := reflect.TypeAssert[*map[string]time.Duration](dst.Addr())
	if !isMap && dst.Kind() != reflect.Struct {
		r.leaves[name] = true
		r.leaf(name, value, dst.Addr().Interface())
		return
	}
	table, ok := value.(map[string]any)
	switch {
	case !ok:
		r.leaves[name] = true
		r.refuse(name, "a table", value)
	case isMap:
		r.tables[name] = true
		*intervals = r.intervals(key, table)
	default:
		r.tables[name] = true
		r.table(key, table, dst)
	}
}

// intervals leaves sources that the agent does not have among the unknown keys.
func (r *reader) intervals(key toml.Key, table map[string]any) map[string]time.Duration {
	all := map[string]time.Duration{}
	for _, source := range slices.Sorted(maps.Keys(table)) {
		if !slices.Contains(r.sources, source) {
			continue
		}
		var d time.Duration
		below := append(slices.Clip(key), source)
		r.value(below, table[source], reflect.ValueOf(&d).Elem())
		if !r.wrong[below.String()] {
			all[source] = d
		}
	}
	return all
}

// leaf sets what dst points to; a value that does not fit leaves the default.
func (r *reader) leaf(name string, value, dst any) {
	want, ok := "", false
	switch dst := dst.(type) {
	case *string:
		want, ok = "a string in quotes", set(dst, value)
	case *bool:
		want, ok = "true or false", set(dst, value)
	case *[]string:
		r.list(name, value, dst)
		return
	case *int64:
		want, ok = "a whole number", set(dst, value)
	case *int:
		var n int64
		want, ok = "a whole number of 32 bits", set(&n, value) && n >= math.MinInt32 && n <= math.MaxInt32
		if ok {
			*dst = int(n)
		}
	case *uint32:
		var n int64
		want, ok = "a whole number from 0 to 4294967295", set(&n, value) && n >= 0 && n <= math.MaxUint32
		if ok {
			*dst = uint32(n)
		}
	case *float64:
		var n int64
		want, ok = "a number", set(dst, value)
		if set(&n, value) {
			*dst, ok = float64(n), true
		}
	case *time.Duration:
		var s string
		if want = `a duration such as "5m"`; set(&s, value) {
			d, err := time.ParseDuration(s)
			ok = err == nil && set(dst, any(d))
		}
	case *slog.Level:
		var s string
		if want = `"debug", "info", "warn" or "error"`; set(&s, value) {
			var l slog.Level
			ok = l.UnmarshalText([]byte(s)) == nil && set(dst, any(l))
		}
	default:
		want = fmt.Sprintf("nothing, the agent cannot read a %T", dst)
	}
	if !ok {
		r.refuse(name, want, value)
	}
}

// list takes the strings of a list and reports what else is in it.
func (r *reader) list(name string, value any, dst *[]string) {
	const want = "a list of strings in quotes"
	items, ok := value.([]any)
	if !ok {
		r.refuse(name, want, value)
		return
	}
	*dst = []string{}
	for i, item := range items {
		if s, ok := item.(string); ok {
			*dst = append(*dst, s)
		} else {
			r.errs = append(r.errs, fmt.Errorf("%s: want %s; number %d of it is %s", name, want, i+1, describe(item)))
		}
	}
}

func (r *reader) refuse(name, want string, got any) {
	r.wrong[name] = true
	r.errs = append(r.errs, fmt.Errorf("%s: want %s, not %s", name, want, describe(got)))
}

// set sets dst to value where it has the same type.
func set[T any](dst *T, value any) bool {
	v, ok := value.(T)
	if ok {
		*dst = v
	}
	return ok
}

// describe shows a value of the file in a few words.
func describe(value any) string {
	switch v := value.(type) {
	case string:
		return fmt.Sprintf("%.40q", v)
	case int64, float64, bool:
		return fmt.Sprint(v)
	case time.Time:
		return "a date"
	case map[string]any:
		return "a table"
	}
	return "a list"
}
