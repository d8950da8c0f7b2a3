package tree

import (
	"encoding/json"
	"math"
	"strconv"
)

// Int returns the whole number that n is, also where it is written as text or
// as a fraction of zero ("47.0"). A fraction, a number beyond 64 bits, and
// anything else is none.
func (n Node) Int() (int64, bool) {
	if v, ok := n.v.(int64); ok {
		return v, true
	}
	d, ok := n.decimal()
	if !ok || !d.whole() {
		return 0, false
	}
	return d.scaled(0)
}

// Uint returns the whole number that n is, from 0 to 2^64-1, as Int does.
func (n Node) Uint() (uint64, bool) {
	d, ok := n.decimal()
	if !ok || !d.whole() || d.negative && d.digits != 0 {
		return 0, false
	}
	return d.magnitude(0)
}

// Scaled returns the number that n is in units of 10^exp: "-75.5" is -755 in
// tenths (exp -1) and -76 in ones (exp 0). It rounds to the nearest, halves
// away from zero. A number beyond 64 bits in these units is none.
func (n Node) Scaled(exp int) (int64, bool) {
	d, ok := n.decimal()
	if !ok {
		return 0, false
	}
	return d.scaled(exp)
}

// decimal is digits × 10^exp.
type decimal struct {
	negative bool
	digits   uint64
	exp      int
}

// maxExponent bounds the exponent that a number may be written with.
const maxExponent = 400

// decimal returns the number that n is.
func (n Node) decimal() (decimal, bool) {
	switch v := n.v.(type) {
	case json.Number:
		return parseDecimal(string(v))
	case string:
		return parseDecimal(v)
	case int64:
		if v < 0 {
			return decimal{negative: true, digits: -uint64(v)}, true
		}
		return decimal{digits: uint64(v)}, true
	case uint64:
		return decimal{digits: v}, true
	case float64:
		// The shortest text that means v; NaN and infinity are no decimals.
		return parseDecimal(strconv.FormatFloat(v, 'e', -1, 64))
	}
	return decimal{}, false
}

// parseDecimal reads [+-]digits[.digits][e[+-]digits]. Digits of the fraction
// beyond what 64 bits hold are dropped.
func parseDecimal(s string) (d decimal, ok bool) {
	if s != "" && (s[0] == '-' || s[0] == '+') {
		d.negative, s = s[0] == '-', s[1:]
	}
	seen, fraction, full := false, false, false
	for len(s) > 0 {
		c := s[0]
		switch {
		case c >= '0' && c <= '9':
			seen = true
			digit := uint64(c - '0')
			switch {
			case full:
			case d.digits <= (math.MaxUint64-digit)/10:
				d.digits = d.digits*10 + digit
				if fraction {
					d.exp--
				}
			case fraction:
				full = true
			default:
				return decimal{}, false
			}
		case c == '.' && !fraction:
			fraction = true
		case (c == 'e' || c == 'E') && seen:
			exp, err := strconv.Atoi(s[1:])
			if err != nil || exp < -maxExponent || exp > maxExponent {
				return decimal{}, false
			}
			d.exp += exp
			return d, true
		default:
			return decimal{}, false
		}
		s = s[1:]
	}
	return d, seen
}

// whole says whether d has no fraction.
func (d decimal) whole() bool {
	for e := d.exp; e < 0; e++ {
		if d.digits%10 != 0 {
			return false
		}
		d.digits /= 10
		if d.digits == 0 {
			return true
		}
	}
	return true
}

// magnitude returns |d| in units of 10^exp, and whether 64 bits hold it.
func (d decimal) magnitude(exp int) (uint64, bool) {
	v, shift := d.digits, d.exp-exp
	for ; shift > 0 && v != 0; shift-- {
		if v > math.MaxUint64/10 {
			return 0, false
		}
		v *= 10
	}
	for ; shift < -1 && v != 0; shift++ {
		v /= 10
	}
	if shift < 0 {
		// The last digit to go decides, as those below it cannot make a half
		// of what is less.
		last := v % 10
		v /= 10
		if last >= 5 {
			v++
		}
	}
	return v, true
}

// scaled returns d in units of 10^exp, and whether an int64 holds it.
func (d decimal) scaled(exp int) (int64, bool) {
	v, ok := d.magnitude(exp)
	switch {
	case !ok:
		return 0, false
	case d.negative && v == 1<<63:
		return math.MinInt64, true
	case v > math.MaxInt64:
		return 0, false
	case d.negative:
		return -int64(v), true
	}
	return int64(v), true
}
