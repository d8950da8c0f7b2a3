// Package consent holds what the customer has granted, and the keys under
// which addresses of the home's devices become pseudonyms.
//
// # What is promised
//
//   - Essential is always granted, and nothing else is until it is said.
//   - The pseudonym of an address is the same for as long as its key lives,
//     differs between purposes, and cannot be computed without the key.
//   - The key of a purpose that is withdrawn is destroyed, at the latest by the
//     first start that can read it.
//   - A file of keys that is damaged is replaced; one of a newer version, or that
//     the device does not give, is left alone, and keys last for the run.
package consent

import (
	"errors"
	"fmt"
	"strings"

	"livebox-agent/collector/catalogue"
)

// A Set is a set of purposes: bit p stands for purpose p.
type Set uint32

// Of returns the set of the given purposes and Essential.
func Of(purposes ...catalogue.Purpose) Set {
	s := Set(1) << catalogue.Essential
	for _, p := range purposes {
		s |= 1 << p
	}
	return s
}

// Parse returns the set that the configuration spells, with Essential in it
// whether named or not. The error joins one for every unknown purpose.
func Parse(names []string) (Set, error) {
	s := Of()
	var errs []error
	for _, n := range names {
		p, err := catalogue.ParsePurpose(n)
		if err != nil {
			errs = append(errs, fmt.Errorf("%w (known: %s)", err, known()))
			continue
		}
		s |= 1 << p
	}
	return s, errors.Join(errs...)
}

func known() string {
	var names []string
	for _, p := range catalogue.Purposes() {
		names = append(names, p.String())
	}
	return strings.Join(names, ", ")
}

// Has tells whether p is in the set.
func (s Set) Has(p catalogue.Purpose) bool { return s&(1<<p) != 0 }

// Without returns the purposes that are in s and not in t.
func (s Set) Without(t Set) []catalogue.Purpose {
	var ps []catalogue.Purpose
	for _, p := range catalogue.Purposes() {
		if s.Has(p) && !t.Has(p) {
			ps = append(ps, p)
		}
	}
	return ps
}

// String lists the purposes, separated by commas.
func (s Set) String() string {
	var names []string
	for _, p := range s.Without(0) {
		names = append(names, p.String())
	}
	return strings.Join(names, ",")
}
