// Package arch tests the shape of the module: who may import whom, what a
// package must say about itself, how long a file or function may be, and what
// is linked into the agent.
//
// A rule reads the syntax of every file, whatever its build constraints, and
// returns one line per finding. Where a rule has exceptions they stand, with a
// reason each, in a text file beside this one: modules.txt, skips.txt and
// promises.txt.
package arch
