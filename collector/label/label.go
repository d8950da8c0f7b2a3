// Package label keeps hardware addresses out of the names under which sources
// report what a box has: an adapter is often named after its address
// (systemd.net-naming-scheme(7): enx001122334455, wlx001122334455).
//
// # What is promised
//
//   - No label holds a hardware address.
//   - Two interfaces have two labels.
//   - A label prints.
package label

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// forms are how the twelve hexadecimal digits of an address are written: in
// groups of so many, with one of the separators between each two.
var forms = [...]struct {
	group      int
	separators string
}{
	{12, ""},
	{2, ":-_."},
	{6, ":-_."},
	// Colons are left out: the kernel has them in what is no address, such as
	// a HID device (0003:046D:C52B.0001).
	{4, "-_."},
}

// HasAddress says whether s holds a hardware address: twelve hexadecimal
// digits in a row, or in pairs, fours or halves with one separator between
// each two.
func HasAddress(s string) bool {
	for i := range len(s) {
		for _, f := range &forms {
			if begins(s[i:], f.group, f.separators) {
				return true
			}
		}
	}
	return false
}

// begins says whether s begins with an address in groups of that size.
func begins(s string, group int, separators string) bool {
	const digits = 12
	if len(s) < digits+digits/group-1 {
		return false
	}
	for n, i := 0, 0; n < digits; i++ {
		if i%(group+1) == group {
			if strings.IndexByte(separators, s[i]) < 0 {
				return false
			}
			continue
		}
		if !isDigit(s[i]) {
			return false
		}
		n++
	}
	return true
}

func isDigit(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'f' || b >= 'A' && b <= 'F'
}

// Interface returns what the network interface with that name and index is
// called in readings and errors: its name, or "#" and its index where the name
// is empty, holds a hardware address, does not print or begins as these labels
// do. The kernel allows names of any bytes but white space, colons and slashes
// (dev_valid_name, net/core/dev.c). It allocates nothing where it returns the
// name.
func Interface(name string, index uint32) string {
	if name == "" || name[0] == '#' || !prints(name) || HasAddress(name) {
		return "#" + strconv.FormatUint(uint64(index), 10)
	}
	return name
}

func prints(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}
