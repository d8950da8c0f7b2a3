// Package catalogue lists every metric the agent can report: its stable
// number, its name, its unit, its resolution and the purpose of consent that
// it needs.
//
// The catalogue is the contract between the box and the backend: the
// documentation table, the JSON that the backend loads and the names in the
// decoders come from it, and its hash travels in every report. A number, once
// given, keeps its meaning for ever; a retired metric leaves a gap.
//
// The package is a leaf: every other package may import it, and it imports
// the standard library only.
package catalogue
